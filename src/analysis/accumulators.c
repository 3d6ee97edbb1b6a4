// SPDX-License-Identifier: Apache-2.0
#include <etp/accumulators.h>

#include <stdlib.h>

#include <etp/ets.h>
#include <etp/persistent_term.h>
#include <etp/process.h>

#include "analysis/collection.h"
#include "analysis/mark.h"
#include "analysis/off_heap.h"
#include "analysis/path_pattern.h"
#include "analysis/row_heap.h"
#include "util/array.h"

enum {
	MIN_COUNT_DEFAULT = 1000,
	MIN_BYTES_DEFAULT = 1 << 20,
	PROGRESS_HOLDERS = 256,
};

// A large collection of the holder at hand.
struct candidate {
	uint32_t node;
	enum etp_collection_kind kind;
	uint64_t count;
	// Number of the group that it is counted in.
	uint32_t group;
};

// Collections of one kind at one path.
struct group {
	uint32_t pattern;
	enum etp_collection_kind kind;
	// The next one at the same path, from 1.
	uint32_t next;
	uint64_t collections, count, largest, words, binary_bytes;
	// Where the largest is.
	uint64_t row;
	etp_term target;
};

struct finder {
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_accumulator_options options;
	struct etp_accumulators *out;
	// Of a process, or of a persistent term.
	struct process_heap process;
	struct row_heap row;
	// Of the two, that of the holder at hand.
	const struct process_heap *heap;
	struct path_walk walk;
	struct marker marker;
	// Of the term that is measured, and of all rows of a table: there the holder is the first
	// group that it was counted for. For which others is in the last, by group and number.
	struct binary_map binaries, table_binaries, table_pairs;
	struct collection_finder collections;
	// What collections are built of that were told by their form: no collections of
	// their own.
	struct heap_bits parts;
	struct candidate *candidates;
	size_t candidate_count, candidate_capacity;
	// Of the process, table or persistent term at hand.
	struct path_patterns patterns;
	struct group *groups;
	size_t group_count, group_capacity;
	// Cells that may still be counted in the holder at hand.
	uint64_t cells;
	bool out_of_memory, stopped;
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
	struct candidate *slot = array_add(&f->candidates, &f->candidate_count,
	                                   &f->candidate_capacity, sizeof(*slot));
	if (slot)
		*slot = (struct candidate){.node = node, .kind = kind, .count = count};
	else
		f->out_of_memory = true;
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
	return !f->out_of_memory;
}

// The group of collections of a kind at a path. PATH_PATTERN_NONE when memory ran out.
static uint32_t group_of(struct finder *f, uint32_t pattern, enum etp_collection_kind kind)
{
	uint32_t *next = &f->patterns.items[pattern].first_counter;
	for (; *next; next = &f->groups[*next - 1].next)
		if (f->groups[*next - 1].kind == kind)
			return *next - 1;
	uint32_t first = f->patterns.items[pattern].first_counter;
	struct group *group =
		array_add(&f->groups, &f->group_count, &f->group_capacity, sizeof(*group));
	if (!group)
		return PATH_PATTERN_NONE;
	*group = (struct group){.pattern = pattern, .kind = kind, .next = first};
	f->patterns.items[pattern].first_counter = (uint32_t)f->group_count;
	return (uint32_t)f->group_count - 1;
}

// Begin to measure.
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

// A key of table_pairs: none of two is the same. The map hashes all but the lowest 3 bits, as of
// addresses.
static uint64_t pair_key(uint32_t group, uint32_t binary)
{
	enum { ADDRESS_SHIFT = 3 };
	uint64_t pair = (uint64_t)group << 32 | binary;
	return pair << ADDRESS_SHIFT | pair >> (64 - ADDRESS_SHIFT);
}

// Is this the first row of the group to have the binary at `address`? False when memory ran out.
static bool note_binary(struct finder *f, uint32_t group, uint64_t address, bool *is_first_ret)
{
	struct binary_entry *entry = binary_map_insert(&f->table_binaries, address);
	if (!entry)
		return false;
	if (entry->holders != BINARY_MAP_NONE && entry->holders != group) {
		size_t number = binary_map_index(&f->table_binaries, address);
		entry = binary_map_insert(&f->table_pairs, pair_key(group, (uint32_t)number));
		if (!entry)
			return false;
	}
	*is_first_ret = entry->holders == BINARY_MAP_NONE;
	entry->holders = group;
	return true;
}

// Add the binaries of what was measured; those of rows that none of the group had before. False
// when memory ran out.
static bool add_binaries(struct finder *f, struct group *group, bool is_row)
{
	for (size_t i = 0; i < f->binaries.count; i++) {
		const struct binary_entry *binary = binary_map_at(&f->binaries, i);
		bool is_first = true;
		if (is_row &&
		    !note_binary(f, (uint32_t)(group - f->groups), binary->address, &is_first))
			return false;
		if (is_first)
			group->binary_bytes += binary->size;
	}
	return true;
}

// Count `count` collections of one group in the holder at hand. `row_words` is DbTerm.size, 0
// for what is no row. False when memory ran out.
static bool add_to_group(struct finder *f, const struct etp_place *place, uint64_t row_words,
                         const struct candidate *candidates, size_t count)
{
	struct group *group = &f->groups[candidates->group];
	group->collections += count;
	for (size_t i = 0; i < count; i++) {
		etp_term term = f->walk.nodes[candidates[i].node].address;
		group->count += candidates[i].count;
		if (candidates[i].count > group->largest) {
			group->largest = candidates[i].count;
			group->row = place->row;
			group->target = f->row.is_expanded ? 0 : term;
		}
		if (!(i ? marker_measure_more(&f->marker, term) : measure(f, term)))
			return false;
	}
	uint64_t words = f->marker.live_words;
	bool is_row = place->kind == ETP_PLACE_ETS_ROW;
	if (!add_binaries(f, group, is_row))
		return false;
	if (is_row && f->row.is_expanded && f->marker.trie_pairs &&
	    !correct_words(f, row_words, &words))
		return false;
	group->words += words;
	return true;
}

static int compare_groups(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return x->group < y->group ? -1 : x->group > y->group;
}

// Count the candidates. False when memory ran out.
static bool add_candidates(struct finder *f, const struct etp_place *place, uint64_t row_words)
{
	if (!path_patterns_begin(&f->patterns, &f->walk))
		return false;
	for (size_t i = 0; i < f->candidate_count; i++)
		path_patterns_want(&f->patterns, &f->walk, f->candidates[i].node);
	if (!path_patterns_find(&f->patterns, &f->walk))
		return false;
	for (size_t i = 0; i < f->candidate_count; i++) {
		struct candidate *at = &f->candidates[i];
		at->group = group_of(f, path_patterns_of(&f->patterns, at->node), at->kind);
		if (at->group == PATH_PATTERN_NONE)
			return false;
	}
	qsort(f->candidates, f->candidate_count, sizeof(*f->candidates), compare_groups);
	for (size_t i = 0, end; i < f->candidate_count; i = end) {
		for (end = i + 1; end < f->candidate_count &&
		                  f->candidates[end].group == f->candidates[i].group;)
			end++;
		if (!add_to_group(f, place, row_words, &f->candidates[i], end - i))
			return false;
	}
	return true;
}

// Walk the holder whose memory is in `heap`. False when memory ran out.
static bool look_at(struct finder *f, const struct process_heap *heap,
                    const struct etp_place *place, etp_term start, uint64_t row_words)
{
	enum { CELLS_MIN = 1 << 20, CELLS_FACTOR = 8 };
	f->heap = heap;
	f->candidate_count = 0;
	f->cells = heap->words * CELLS_FACTOR + CELLS_MIN;
	f->collections.budget = f->cells;
	f->collections.exhausted = false;
	if (!heap_bits_begin(&f->parts, heap) || !path_walk_run(&f->walk, heap, start, visit, f) ||
	    f->collections.out_of_memory || f->out_of_memory)
		return false;
	f->out->truncated += f->walk.truncated || f->collections.exhausted;
	f->out->unreadable += f->walk.unreadable + heap->unreadable;
	return !f->candidate_count || add_candidates(f, place, row_words);
}

// Tell of what was found in the process, table or persistent term at hand, and forget it.
static struct etp_error *tell(struct finder *f, const struct etp_place *place, etp_term key)
{
	struct etp_error *err = NULL;
	bool go_on = true;
	for (size_t i = 0; !err && go_on && i < f->group_count; i++) {
		const struct group *group = &f->groups[i];
		struct etp_accumulator item = {
			.place = *place,
			.key = key,
			.kind = group->kind,
			.collections = group->collections,
			.count = group->count,
			.largest = group->largest,
			.words = group->words,
			.binary_bytes = group->binary_bytes,
		};
		item.place.row = group->row;
		err = path_patterns_path(&f->patterns, group->pattern, &item.path);
		item.path.target = group->target;
		if (!err && f->options.found)
			go_on = f->options.found(f->options.context, &item);
		free(item.path.steps);
	}
	f->stopped |= !go_on;
	f->group_count = 0;
	path_patterns_clear(&f->patterns);
	if (f->table_binaries.count)
		binary_map_clear(&f->table_binaries);
	if (f->table_pairs.count)
		binary_map_clear(&f->table_pairs);
	return err;
}

static bool report_progress(struct finder *f, uint64_t done, uint64_t total, const char *what)
{
	f->stopped =
		f->options.progress && f->options.progress(f->options.context, done, total, what);
	return !f->stopped;
}

// The dictionary itself is a collection too. False when memory ran out.
static bool look_at_dictionary(struct finder *f, const struct heap_root *root)
{
	struct etp_dictionary_iter iter;
	etp_term key, value;
	uint64_t count = 0;
	etp_dictionary_iter_init(&iter, f->vm, &f->reader,
	                         root->address - OFFSET(f->vm, ProcDict, data));
	while (etp_dictionary_iter_next(&iter, &key, &value))
		count++;
	f->out->unreadable += iter.gaps;
	if (count < f->options.min_count)
		return true;
	uint32_t pattern = path_patterns_root(&f->patterns, ETP_PATH_DICTIONARY);
	uint32_t number = pattern == PATH_PATTERN_NONE
	                          ? PATH_PATTERN_NONE
	                          : group_of(f, pattern, ETP_COLLECTION_DICTIONARY);
	if (number == PATH_PATTERN_NONE || !measure(f, ETP_NIL))
		return false;
	for (uint64_t i = 0; i < root->count; i++) {
		etp_term slot;
		if (etp_read_u64(&f->reader, root->address + i * 8, &slot) &&
		    !marker_measure_more(&f->marker, slot))
			return false;
	}
	struct group *group = &f->groups[number];
	group->collections = 1;
	group->count = group->largest = count;
	group->words = f->marker.live_words;
	return add_binaries(f, group, false);
}

static bool look_at_process(struct finder *f, const struct etp_place *place)
{
	if (!process_heap_load(&f->process, f->vm, &f->reader, place->holder) ||
	    !look_at(f, &f->process, place, 0, 0))
		return false;
	f->out->processes++;
	uint64_t messages = f->process.messages + f->process.messages_in_transit;
	if (messages >= f->options.min_count) {
		f->out->mailboxes++;
		f->out->messages += messages;
	}
	for (size_t i = 0; i < f->process.root_count; i++)
		if (f->process.roots[i].kind == HEAP_ROOT_DICTIONARY &&
		    !look_at_dictionary(f, &f->process.roots[i]))
			return false;
	return true;
}

static struct etp_error *look_at_processes(struct finder *f)
{
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(f->vm, &addresses, &pids);
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && !f->stopped && i < count; i++) {
		if (i % PROGRESS_HOLDERS == 0 && !report_progress(f, i, count, "processes"))
			break;
		struct etp_place place = {ETP_PLACE_PROCESS, addresses[i], 0};
		err = look_at_process(f, &place) ? tell(f, &place, 0) : &etp_error_no_memory;
	}
	return err;
}

// May one of the binaries of a row be a large one? Only what they say in the row is read, where
// they say it there: the binaries themselves are all over the memory.
static bool may_have_large_binary(struct finder *f, const struct etp_ets_row *row)
{
	struct off_heap_iter chain = off_heap_iter(f->vm, &f->reader, row->first_oh);
	uint64_t thing, size, binary;
	while (off_heap_next_proc_bin(&chain, &thing)) {
		bool is_known =
			HAS(f->vm, ProcBin, size)
				? READ_WORD(f->vm, &f->reader, thing, ProcBin, size, &size)
				: READ_WORD(f->vm, &f->reader, thing, BinRef, val, &binary) &&
					  READ_WORD(f->vm, &f->reader, binary, Binary, orig_size,
		                                    &size);
		if (!is_known || size >= f->options.min_bytes)
			return true;
	}
	// What is wrong with a chain is found on the way through the row.
	return chain.problem;
}

// A row of fewer words than elements are wanted cannot hold a large collection, but for an
// array in which nothing is set.
static struct etp_error *look_at_rows(struct finder *f, const struct etp_ets_table *table,
                                      uint64_t *done, uint64_t total)
{
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	struct etp_place place = {ETP_PLACE_ETS_ROW, table->address, 0};
	etp_ets_iter_init(&iter, f->vm, &f->reader, table);
	while (!f->stopped && etp_ets_iter_next(&iter, &row)) {
		if (++*done % PROGRESS_HOLDERS == 0)
			report_progress(f, *done, total, "rows");
		if (row.words < f->options.min_count && !row.first_oh) {
			f->out->small_rows++;
			continue;
		}
		f->out->rows++;
		if (row.words < f->options.min_count && !may_have_large_binary(f, &row))
			continue;
		place.row = row.dbterm;
		if (!row_heap_load(&f->row, table, &row) ||
		    !look_at(f, &f->row.heap, &place, f->row.tuple, row.words))
			return &etp_error_no_memory;
	}
	f->out->unreadable += iter.unreadable;
	f->row.is_expanded = false;
	return tell(f, &place, 0);
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

// What a literal area has begins with {Key, Value}.
static struct etp_error *look_at_persistent_term(struct finder *f,
                                                 const struct etp_persistent_term *term)
{
	uint64_t area = term->literal_area;
	uint64_t start = area + OFFSET(f->vm, ErtsLiteralArea, start), end;
	if (!READ_WORD(f->vm, &f->reader, area, ErtsLiteralArea, end, &end) || end < start) {
		f->out->unreadable++;
		return NULL;
	}
	f->out->persistent_terms++;
	struct etp_path_words words = {start, (end - start) / 8};
	struct etp_place place = {ETP_PLACE_PERSISTENT_TERM, area, 0};
	if (words.count < f->options.min_count)
		return NULL;
	return process_heap_set_words(&f->process, &f->reader, &words, 1) &&
	                       look_at(f, &f->process, &place, start | TAG_PRIMARY_BOXED, 0)
	               ? tell(f, &place, term->key)
	               : &etp_error_no_memory;
}

static struct etp_error *look_at_persistent_terms(struct finder *f)
{
	struct etp_persistent_terms terms;
	struct etp_error *err = etp_persistent_terms_init(&terms, f->vm);
	if (err)
		return err;
	f->out->problem = terms.problem;
	for (size_t i = 0; !err && !f->stopped && i < terms.count; i++) {
		if (i % PROGRESS_HOLDERS == 0 &&
		    !report_progress(f, i, terms.count, "persistent terms"))
			break;
		err = look_at_persistent_term(f, &terms.terms[i]);
	}
	etp_persistent_terms_deinit(&terms);
	return err;
}

static void finder_init(struct finder *f)
{
	const struct etp_vm *vm = f->vm;
	if (!f->options.min_count)
		f->options.min_count = MIN_COUNT_DEFAULT;
	if (!f->options.min_bytes)
		f->options.min_bytes = MIN_BYTES_DEFAULT;
	etp_reader_init(&f->reader, vm->target);
	process_heap_init(&f->process);
	row_heap_init(&f->row, vm, &f->reader);
	collection_finder_init(&f->collections, vm, &f->reader);
	path_walk_init(&f->walk, vm, &f->reader);
	f->walk.node_limit =
		f->options.max_things ? f->options.max_things : ETP_SEARCH_THINGS_DEFAULT;
	path_patterns_init(&f->patterns, vm, &f->reader);
	marker_init(&f->marker, vm, &f->reader);
	binary_map_init(&f->binaries);
	binary_map_init(&f->table_binaries);
	binary_map_init(&f->table_pairs);
}

static void finder_deinit(struct finder *f)
{
	free(f->groups);
	free(f->candidates);
	binary_map_deinit(&f->table_pairs);
	binary_map_deinit(&f->table_binaries);
	binary_map_deinit(&f->binaries);
	marker_deinit(&f->marker);
	path_patterns_deinit(&f->patterns);
	path_walk_deinit(&f->walk);
	heap_bits_deinit(&f->parts);
	collection_finder_deinit(&f->collections);
	row_heap_deinit(&f->row);
	process_heap_deinit(&f->process);
}

struct etp_error *etp_accumulators_find(const struct etp_vm *vm,
                                        const struct etp_accumulator_options *options,
                                        struct etp_accumulators *ret)
{
	struct etp_accumulators out = {0};
	struct finder f = {.vm = vm, .options = *options, .out = &out};
	finder_init(&f);
	struct etp_error *err = look_at_processes(&f);
	if (!err && !f.stopped)
		err = look_at_tables(&f);
	if (!err && !f.stopped)
		err = look_at_persistent_terms(&f);
	finder_deinit(&f);
	if (err)
		return err;
	out.complete = !f.stopped;
	*ret = out;
	return NULL;
}
