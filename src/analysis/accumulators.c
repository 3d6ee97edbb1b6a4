// SPDX-License-Identifier: Apache-2.0
#include <etp/accumulators.h>

#include <stdlib.h>

#include <etp/ets.h>

#include "analysis/mark.h"
#include "analysis/path_walk.h"

enum {
	MIN_COUNT_DEFAULT = 1000,
	MIN_BYTES_DEFAULT = 1 << 20,
	MAX_ITEMS_DEFAULT = 200,
	// Large collections of one holder that are measured, largest count first.
	CANDIDATES_MAX = 32,
	// Things of one holder that are looked at: 512 MiB of nodes.
	THINGS_MAX = 32 << 20,
	PROGRESS_HOLDERS = 256,
};

struct candidate {
	uint32_t node;
	enum etp_collection_kind kind;
	uint64_t count;
};

struct finder {
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_accumulator_options options;
	struct etp_accumulators *out;
	size_t capacity;
	struct process_heap heap;
	struct path_walk walk;
	struct marker marker;
	struct binary_map binaries;
	struct candidate candidates[CANDIDATES_MAX];
	size_t candidate_count;
	// Cells that may still be counted in the holder at hand.
	uint64_t cells;
	bool stopped;
};

const char *etp_collection_name(enum etp_collection_kind kind)
{
	switch (kind) {
	case ETP_COLLECTION_MAP:
		return "map";
	case ETP_COLLECTION_LIST:
		return "list";
	case ETP_COLLECTION_TUPLE:
		return "tuple";
	default:
		return "binary";
	}
}

// Cells of a list; stops where it runs in a circle. Lists may share their ends: the cells
// of one holder are counted a few times at most.
static uint64_t list_length(struct finder *f, etp_term list)
{
	struct etp_term_view view;
	etp_term tortoise = 0;
	uint64_t count = 0, power = 1, steps = 0;
	while (etp_term_decode(f->vm, &f->reader, list, &view) == ETP_TERM_CONS &&
	       list != tortoise) {
		if (!f->cells) {
			f->walk.truncated = true;
			break;
		}
		f->cells--;
		if (++steps == power) {
			tortoise = list;
			power *= 2;
			steps = 0;
		}
		count++;
		list = view.cons.tail;
	}
	return count;
}

static void add_candidate(struct finder *f, uint32_t node, enum etp_collection_kind kind,
                          uint64_t count)
{
	size_t at = f->candidate_count;
	if (at == CANDIDATES_MAX) {
		f->out->more++;
		if (f->candidates[at - 1].count >= count)
			return;
		at--;
	} else {
		f->candidate_count++;
	}
	for (; at && f->candidates[at - 1].count < count; at--)
		f->candidates[at] = f->candidates[at - 1];
	f->candidates[at] = (struct candidate){node, kind, count};
}

// A list is looked at where it begins; the cells behind are nodes of kind TAIL.
static bool begins_list(const struct path_walk *walk, uint32_t node)
{
	return path_node_step(&walk->nodes[node]) != ETP_PATH_TAIL;
}

static bool visit(void *context, struct path_walk *walk, uint32_t node,
                  const struct etp_term_view *view)
{
	struct finder *f = context;
	uint64_t count = 0;
	switch (view->kind) {
	case ETP_TERM_FLATMAP:
		count = view->flatmap.size;
		break;
	case ETP_TERM_HASHMAP:
		count = view->hashmap.size;
		break;
	case ETP_TERM_TUPLE:
		if (view->tuple.arity >= f->options.min_count)
			add_candidate(f, node, ETP_COLLECTION_TUPLE, view->tuple.arity);
		return true;
	case ETP_TERM_CONS:
		if (begins_list(walk, node))
			count = list_length(f, view->word);
		if (count >= f->options.min_count)
			add_candidate(f, node, ETP_COLLECTION_LIST, count);
		return true;
	case ETP_TERM_BITSTRING:
		if (view->bits.proc_bin == view->address &&
		    view->bits.bit_size / 8 >= f->options.min_bytes)
			add_candidate(f, node, ETP_COLLECTION_BINARY, view->bits.bit_size / 8);
		return true;
	default:
		return true;
	}
	if (count >= f->options.min_count)
		add_candidate(f, node, ETP_COLLECTION_MAP, count);
	return true;
}

static uint64_t item_bytes(const struct etp_accumulator *item)
{
	return item->words * 8 + item->binary_bytes;
}

static int compare_items(const void *a, const void *b)
{
	uint64_t x = item_bytes(a), y = item_bytes(b);
	return x > y ? -1 : x < y;
}

// Keep the largest: at twice the number wanted, the smaller half goes.
static void trim(struct finder *f)
{
	struct etp_accumulators *out = f->out;
	qsort(out->items, out->count, sizeof(*out->items), compare_items);
	for (; out->count > f->options.max_items; out->more++)
		free(out->items[--out->count].path.steps);
}

static struct etp_error *add_item(struct finder *f, const struct etp_place *place,
                                  const struct candidate *candidate)
{
	struct etp_accumulators *out = f->out;
	if (out->count == f->capacity)
		trim(f);
	struct etp_accumulator item = {
		.place = *place,
		.kind = candidate->kind,
		.count = candidate->count,
	};
	binary_map_clear(&f->binaries);
	if (!marker_measure(&f->marker, &f->heap, f->walk.nodes[candidate->node].address,
	                    &f->binaries))
		return &etp_error_no_memory;
	item.words = f->marker.live_words;
	for (size_t i = 0; i < f->binaries.count; i++)
		item.binary_bytes += f->binaries.entries[i].size;
	struct etp_error *err = path_walk_path(&f->walk, candidate->node, &item.path);
	if (!err)
		out->items[out->count++] = item;
	return err;
}

// Walk the holder whose memory is in f->heap.
static struct etp_error *look_at(struct finder *f, const struct etp_place *place, etp_term start)
{
	enum { CELLS_MIN = 1 << 20, CELLS_FACTOR = 8 };
	f->candidate_count = 0;
	f->cells = f->heap.words * CELLS_FACTOR + CELLS_MIN;
	f->out->holders++;
	if (!path_walk_run(&f->walk, &f->heap, start, visit, f))
		return &etp_error_no_memory;
	f->out->truncated += f->walk.truncated;
	f->out->unreadable += f->walk.unreadable + f->heap.unreadable;
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && i < f->candidate_count; i++)
		err = add_item(f, place, &f->candidates[i]);
	return err;
}

static bool report_progress(struct finder *f, uint64_t done, uint64_t total, const char *what)
{
	f->stopped =
		f->options.progress && f->options.progress(f->options.context, done, total, what);
	return !f->stopped;
}

static struct etp_error *look_at_processes(struct finder *f)
{
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(f->vm, &addresses, &pids);
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && i < count; i++) {
		if (i % PROGRESS_HOLDERS == 0 && !report_progress(f, i, count, "processes"))
			break;
		struct etp_place place = {ETP_PLACE_PROCESS, addresses[i], 0};
		err = process_heap_load(&f->heap, f->vm, &f->reader, addresses[i])
		              ? look_at(f, &place, 0)
		              : &etp_error_no_memory;
	}
	return err;
}

// A row of less than three words an element cannot hold a large collection.
static struct etp_error *look_at_rows(struct finder *f, const struct etp_ets_table *table,
                                      uint64_t *done, uint64_t total)
{
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	struct etp_error *err = NULL;
	etp_ets_iter_init(&iter, f->vm, &f->reader, table);
	while (!err && !f->stopped && etp_ets_iter_next(&iter, &row)) {
		if (++*done % PROGRESS_HOLDERS == 0)
			report_progress(f, *done, total, "rows");
		if (table->is_compressed || (row.words < f->options.min_count && !row.first_oh))
			continue;
		uint64_t tuple = row.dbterm + OFFSET(f->vm, DbTerm, tpl);
		struct etp_place place = {ETP_PLACE_ETS_ROW, table->address, row.dbterm};
		err = process_heap_set_words(&f->heap, &f->reader, tuple, row.words)
		              ? look_at(f, &place, tuple | TAG_PRIMARY_BOXED)
		              : &etp_error_no_memory;
	}
	f->out->unreadable += iter.unreadable;
	return err;
}

static struct etp_error *look_at_tables(struct finder *f)
{
	struct etp_ets_tables tables;
	struct etp_error *err = etp_ets_tables_init(&tables, f->vm);
	if (err)
		return err;
	uint64_t done = 0, total = 0;
	for (size_t i = 0; i < tables.count; i++)
		total += tables.tables[i].size > 0 ? (uint64_t)tables.tables[i].size : 0;
	for (size_t i = 0; !err && !f->stopped && i < tables.count; i++)
		err = look_at_rows(f, &tables.tables[i], &done, total);
	etp_ets_tables_deinit(&tables);
	return err;
}

struct etp_error *etp_accumulators_find(const struct etp_vm *vm,
                                        const struct etp_accumulator_options *options,
                                        struct etp_accumulators *ret)
{
	struct etp_accumulators out = {0};
	struct finder f = {.vm = vm, .options = *options, .out = &out};
	if (!f.options.min_count)
		f.options.min_count = MIN_COUNT_DEFAULT;
	if (!f.options.min_bytes)
		f.options.min_bytes = MIN_BYTES_DEFAULT;
	if (!f.options.max_items)
		f.options.max_items = MAX_ITEMS_DEFAULT;
	f.capacity = f.options.max_items * 2 + CANDIDATES_MAX;
	out.items = calloc(f.capacity, sizeof(*out.items));
	etp_reader_init(&f.reader, vm->target);
	process_heap_init(&f.heap);
	path_walk_init(&f.walk, vm, &f.reader);
	f.walk.node_limit = THINGS_MAX;
	marker_init(&f.marker, vm, &f.reader);
	binary_map_init(&f.binaries);
	struct etp_error *err = out.items ? look_at_processes(&f) : &etp_error_no_memory;
	if (!err && !f.stopped)
		err = look_at_tables(&f);
	binary_map_deinit(&f.binaries);
	marker_deinit(&f.marker);
	path_walk_deinit(&f.walk);
	process_heap_deinit(&f.heap);
	if (err) {
		etp_accumulators_deinit(&out);
		return err;
	}
	trim(&f);
	out.complete = !f.stopped;
	*ret = out;
	return NULL;
}

void etp_accumulators_deinit(struct etp_accumulators *accumulators)
{
	for (size_t i = 0; i < accumulators->count; i++)
		free(accumulators->items[i].path.steps);
	free(accumulators->items);
	*accumulators = (struct etp_accumulators){0};
}
