// SPDX-License-Identifier: Apache-2.0
#include <etp/accumulators.h>

#include <stdlib.h>

#include <etp/ets.h>

#include "analysis/collection.h"
#include "analysis/mark.h"
#include "analysis/path_walk.h"
#include "analysis/row_heap.h"

enum {
	MIN_COUNT_DEFAULT = 1000,
	MIN_BYTES_DEFAULT = 1 << 20,
	MAX_ITEMS_DEFAULT = 200,
	// Large collections of one holder that are measured, largest count first.
	CANDIDATES_MAX = 32,
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
	struct process_heap process;
	struct row_heap row;
	// Of the two, that of the holder at hand.
	const struct process_heap *heap;
	struct path_walk walk;
	struct marker marker;
	struct binary_map binaries;
	struct collection_finder collections;
	// What collections are built of that were told by their form: no collections of
	// their own.
	struct heap_bits parts;
	struct candidate candidates[CANDIDATES_MAX];
	size_t candidate_count;
	// Cells that may still be counted in the holder at hand.
	uint64_t cells;
	bool stopped;
};

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

static void note_part(void *context, const struct collection_part *part)
{
	heap_bits_set(context, part->address);
}

// A collection of Erlang's own.
static bool find_plain(struct finder *f, const struct etp_term_view *view, struct collection *ret)
{
	switch (view->kind) {
	case ETP_TERM_FLATMAP:
		*ret = (struct collection){ETP_COLLECTION_MAP, view->flatmap.size};
		break;
	case ETP_TERM_HASHMAP:
		*ret = (struct collection){ETP_COLLECTION_MAP, view->hashmap.size};
		break;
	case ETP_TERM_TUPLE:
		*ret = (struct collection){ETP_COLLECTION_TUPLE, view->tuple.arity};
		break;
	case ETP_TERM_CONS:
		*ret = (struct collection){ETP_COLLECTION_LIST, list_length(f, view->word)};
		break;
	default:
		return false;
	}
	return ret->size >= f->options.min_count;
}

static bool visit(void *context, struct path_walk *walk, uint32_t node,
                  const struct etp_term_view *view)
{
	struct finder *f = context;
	struct collection found;
	if (view->kind == ETP_TERM_BITSTRING) {
		if (view->bits.proc_bin == view->address &&
		    view->bits.bit_size / 8 >= f->options.min_bytes)
			add_candidate(f, node, ETP_COLLECTION_BINARY, view->bits.bit_size / 8);
		return true;
	}
	if (view->kind == ETP_TERM_CONS && !begins_list(walk, node))
		return true;
	if (collection_find(&f->collections, view, true, f->options.min_count, &found)) {
		if (heap_bits_test(&f->parts, view->address))
			return true;
		collection_parts(&f->collections, view, &found, note_part, &f->parts);
	} else if (!find_plain(f, view, &found) || heap_bits_test(&f->parts, view->address)) {
		return !f->collections.out_of_memory;
	}
	add_candidate(f, node, found.kind, found.size);
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

static bool measure(struct finder *f, etp_term term)
{
	binary_map_clear(&f->binaries);
	return marker_measure(&f->marker, f->heap, term, &f->binaries);
}

// Words of what was measured in an expanded row, with as many nodes of tries as the VM
// has: what the words of the row leave over, shared out by pairs. False when memory ran
// out.
static bool correct_words(struct finder *f, uint64_t row_words, uint64_t *words)
{
	uint64_t pairs = f->marker.trie_pairs;
	*words -= f->marker.trie_words;
	if (!measure(f, f->row.tuple))
		return false;
	uint64_t known = f->marker.live_words - f->marker.trie_words;
	if (known < row_words && f->marker.trie_pairs)
		*words += (uint64_t)((double)(row_words - known) * (double)pairs /
		                     (double)f->marker.trie_pairs);
	return true;
}

static bool is_in_overlay(etp_term term)
{
	return term_pointer(term) >= ETP_WORDS_BASE && !term_is_immediate(term);
}

// The overlay will be that of another row.
static void forget_row(struct etp_path *path)
{
	path->target = 0;
	for (size_t i = 0; i < path->step_count; i++)
		if (is_in_overlay(path->steps[i].key))
			path->steps[i].key = 0;
}

// `row_words` is DbTerm.size, 0 for a process.
static struct etp_error *add_item(struct finder *f, const struct etp_place *place,
                                  uint64_t row_words, const struct candidate *candidate)
{
	struct etp_accumulators *out = f->out;
	if (out->count == f->capacity)
		trim(f);
	struct etp_accumulator item = {
		.place = *place,
		.kind = candidate->kind,
		.count = candidate->count,
	};
	if (!measure(f, f->walk.nodes[candidate->node].address))
		return &etp_error_no_memory;
	item.words = f->marker.live_words;
	for (size_t i = 0; i < f->binaries.count; i++)
		item.binary_bytes += binary_map_at(&f->binaries, i)->size;
	if (f->row.is_expanded && f->marker.trie_pairs && !correct_words(f, row_words, &item.words))
		return &etp_error_no_memory;
	struct etp_error *err = path_walk_path(&f->walk, candidate->node, &item.path);
	if (err)
		return err;
	if (f->row.is_expanded)
		forget_row(&item.path);
	out->items[out->count++] = item;
	return NULL;
}

// Walk the holder whose memory is in `heap`.
static struct etp_error *look_at(struct finder *f, const struct process_heap *heap,
                                 const struct etp_place *place, etp_term start, uint64_t row_words)
{
	enum { CELLS_MIN = 1 << 20, CELLS_FACTOR = 8 };
	f->heap = heap;
	f->candidate_count = 0;
	f->cells = heap->words * CELLS_FACTOR + CELLS_MIN;
	f->collections.budget = f->cells;
	f->collections.exhausted = false;
	f->out->holders++;
	if (!heap_bits_begin(&f->parts, heap) || !path_walk_run(&f->walk, heap, start, visit, f) ||
	    f->collections.out_of_memory)
		return &etp_error_no_memory;
	f->out->truncated += f->walk.truncated || f->collections.exhausted;
	f->out->unreadable += f->walk.unreadable + heap->unreadable;
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && i < f->candidate_count; i++)
		err = add_item(f, place, row_words, &f->candidates[i]);
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
		err = process_heap_load(&f->process, f->vm, &f->reader, addresses[i])
		              ? look_at(f, &f->process, &place, 0, 0)
		              : &etp_error_no_memory;
	}
	return err;
}

// A row of fewer words than elements are wanted cannot hold a large collection, but for an
// array in which nothing is set.
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
		if (row.words < f->options.min_count && !row.first_oh)
			continue;
		struct etp_place place = {ETP_PLACE_ETS_ROW, table->address, row.dbterm};
		err = row_heap_load(&f->row, table, &row)
		              ? look_at(f, &f->row.heap, &place, f->row.tuple, row.words)
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
	process_heap_init(&f.process);
	row_heap_init(&f.row, vm, &f.reader);
	collection_finder_init(&f.collections, vm, &f.reader);
	path_walk_init(&f.walk, vm, &f.reader);
	f.walk.node_limit = f.options.max_things ? f.options.max_things : ETP_SEARCH_THINGS_DEFAULT;
	marker_init(&f.marker, vm, &f.reader);
	binary_map_init(&f.binaries);
	struct etp_error *err = out.items ? look_at_processes(&f) : &etp_error_no_memory;
	if (!err && !f.stopped)
		err = look_at_tables(&f);
	binary_map_deinit(&f.binaries);
	marker_deinit(&f.marker);
	path_walk_deinit(&f.walk);
	heap_bits_deinit(&f.parts);
	collection_finder_deinit(&f.collections);
	row_heap_deinit(&f.row);
	process_heap_deinit(&f.process);
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
