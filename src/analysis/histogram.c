// SPDX-License-Identifier: Apache-2.0
#include <etp/histogram.h>

#include <stdlib.h>

#include <etp/ets.h>

#include "analysis/collection.h"
#include "analysis/path_walk.h"
#include "analysis/row_heap.h"

enum {
	PROGRESS_HOLDERS = 256,
	// Shapes that are told apart; what comes after goes to "other".
	SHAPES_MAX = 1 << 20,
	// MAP_SMALL_MAP_LIMIT, erl_map.h.
	FLATMAP_KEYS_MAX = 32,
};

struct counter {
	const struct etp_vm *vm;
	struct etp_reader reader;
	const struct etp_histogram_options *options;
	struct etp_histogram *out;
	size_t capacity;
	// Open addressing to positions in out->shapes, plus 1.
	uint32_t *index;
	size_t index_mask;
	struct process_heap process;
	struct row_heap row;
	struct path_walk walk;
	struct collection_finder collections;
	// Things of the holder at hand that are counted, by themselves or as part of a
	// collection.
	struct heap_bits counted;
	// Of the row at hand: words that were counted, and pairs of tries by the shape that
	// these were counted with.
	uint64_t row_words;
	struct trie_pairs {
		struct etp_shape shape;
		uint64_t pairs;
	} tries[3];
	bool out_of_memory, stopped;
};

const char *etp_shape_name(enum etp_shape_kind kind)
{
	static const char *const names[] = {
		[ETP_SHAPE_TUPLE] = "tuple",
		[ETP_SHAPE_STRUCT] = "struct",
		[ETP_SHAPE_MAP] = "map",
		[ETP_SHAPE_LARGE_MAP] = "large_map",
		[ETP_SHAPE_LIST] = "list",
		[ETP_SHAPE_COLLECTION] = "collection",
		[ETP_SHAPE_HEAP_BINARY] = "heap_binary",
		[ETP_SHAPE_REFC_BINARY] = "refc_binary",
		[ETP_SHAPE_SUB_BINARY] = "sub_binary",
		[ETP_SHAPE_FUN] = "fun",
		[ETP_SHAPE_FLOAT] = "float",
		[ETP_SHAPE_BIG] = "big",
		[ETP_SHAPE_REF] = "ref",
		[ETP_SHAPE_OTHER] = "other",
	};
	return names[kind];
}

static uint64_t shape_hash(const struct etp_shape *shape)
{
	uint64_t hash = (uint64_t)shape->kind * UINT64_C(0x9e3779b97f4a7c15) ^ shape->tag ^
	                (uint64_t)shape->collection << 32;
	// Maps of the same keys may have different tuples of them.
	for (uint64_t i = 0; shape->keys && i < shape->arity; i++)
		hash = (hash ^ shape->keys[i]) * UINT64_C(0x100000001b3);
	hash = (hash ^ shape->arity) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ hash >> 29;
}

static bool same_shape(const struct etp_shape *a, const struct etp_shape *b)
{
	return a->kind == b->kind && a->arity == b->arity && a->tag == b->tag &&
	       a->collection == b->collection && !a->keys == !b->keys &&
	       (!a->keys || !memcmp(a->keys, b->keys, a->arity * sizeof(*a->keys)));
}

static size_t find_slot(const struct counter *c, const struct etp_shape *shape)
{
	size_t slot = shape_hash(shape) & c->index_mask;
	while (c->index[slot] && !same_shape(&c->out->shapes[c->index[slot] - 1], shape))
		slot = (slot + 1) & c->index_mask;
	return slot;
}

static bool grow(struct counter *c)
{
	size_t capacity = c->capacity ? c->capacity * 2 : 256;
	struct etp_shape *shapes = realloc(c->out->shapes, capacity * sizeof(*shapes));
	if (!shapes)
		return false;
	c->out->shapes = shapes;
	uint32_t *index = calloc(capacity * 2, sizeof(*index));
	if (!index)
		return false;
	free(c->index);
	c->index = index;
	c->index_mask = capacity * 2 - 1;
	c->capacity = capacity;
	for (size_t i = 0; i < c->out->count; i++)
		c->index[find_slot(c, &shapes[i])] = (uint32_t)i + 1;
	return true;
}

static bool add_shape(struct counter *c, size_t slot, struct etp_shape shape)
{
	if (shape.keys) {
		etp_term *keys = calloc(shape.arity, sizeof(*keys));
		if (!keys)
			return false;
		shape.keys = memcpy(keys, shape.keys, shape.arity * sizeof(*keys));
		// cppcheck-suppress memleak ; the shape has them now
	}
	c->out->shapes[c->out->count] = shape;
	c->index[slot] = (uint32_t)++c->out->count;
	return true;
}

// The keys of `shape` stay the caller's.
static bool count_shape(struct counter *c, struct etp_shape shape)
{
	c->row_words += shape.words;
	if (c->out->count == c->capacity && !grow(c))
		return false;
	size_t slot = find_slot(c, &shape);
	if (!c->index[slot] && c->out->count >= SHAPES_MAX) {
		shape.kind = ETP_SHAPE_OTHER;
		shape.tag = shape.arity = 0;
		shape.keys = NULL;
		slot = find_slot(c, &shape);
	}
	if (!c->index[slot])
		return add_shape(c, slot, shape);
	struct etp_shape *known = &c->out->shapes[c->index[slot] - 1];
	known->count += shape.count;
	known->words += shape.words;
	known->binary_bytes += shape.binary_bytes;
	known->elements += shape.elements;
	return true;
}

static void shape_of_tuple(const struct etp_term_view *view, struct etp_shape *shape)
{
	shape->kind = ETP_SHAPE_TUPLE;
	shape->arity = view->tuple.arity;
	etp_term first = view->tuple.arity ? etp_word_at(view->tuple.elements, 0) : 0;
	if (term_is_atom(first))
		shape->tag = first;
}

// `keys` has room for those of any flatmap.
static void shape_of_flatmap(struct counter *c, const struct etp_term_view *view, etp_term *keys,
                             struct etp_shape *shape)
{
	uint64_t size = view->flatmap.size;
	shape->kind = ETP_SHAPE_MAP;
	// The tuple of keys is of the row too, though maps may share it.
	c->row_words += size ? 1 + size : 0;
	bool atoms = size <= FLATMAP_KEYS_MAX;
	for (uint64_t i = 0; i < size; i++) {
		etp_term key = etp_word_at(view->flatmap.keys, i);
		etp_term value = etp_word_at(view->flatmap.values, i);
		if (key == c->collections.struct_key && term_is_atom(value)) {
			shape->kind = ETP_SHAPE_STRUCT;
			shape->tag = value;
			return;
		}
		atoms = atoms && term_is_atom(key);
		if (atoms)
			keys[i] = key;
	}
	if (!atoms || !size)
		return;
	shape->arity = size;
	shape->keys = keys;
}

static void shape_of_bits(const struct etp_term_view *view, struct etp_shape *shape)
{
	switch (view->bits.storage) {
	case ETP_BITSTRING_HEAP:
		shape->kind = ETP_SHAPE_HEAP_BINARY;
		break;
	case ETP_BITSTRING_REFC:
		shape->kind = ETP_SHAPE_REFC_BINARY;
		shape->binary_bytes = view->bits.bit_size / 8;
		break;
	case ETP_BITSTRING_SUB:
		shape->kind = ETP_SHAPE_SUB_BINARY;
		break;
	}
}

// Words of the inner nodes of a map and of its pairs, which are cons cells.
static uint64_t trie_words(struct counter *c, const struct etp_term_view *map)
{
	struct etp_map_iter iter;
	etp_term key, value;
	uint64_t pairs = 0;
	etp_map_iter_init(&iter, c->vm, &c->reader, map, ETP_MAP_ORDER_ITERATOR);
	while (etp_map_iter_next(&iter, &key, &value))
		pairs++;
	return iter.node_words + 2 * pairs;
}

// Nodes of tries in an expanded row are not those of the VM: see count_hidden_words().
static void note_trie(struct counter *c, const struct etp_shape *shape, uint64_t pairs)
{
	struct trie_pairs *at = c->tries;
	while (at->pairs && !same_shape(&at->shape, shape))
		at++;
	at->shape = *shape;
	at->shape.count = at->shape.words = at->shape.elements = 0;
	at->pairs += pairs;
}

struct part_counter {
	struct counter *counter;
	struct etp_shape *shape;
};

static void count_part(void *context, const struct collection_part *part)
{
	struct part_counter *parts = context;
	if (!heap_bits_set(&parts->counter->counted, part->address))
		return;
	parts->counter->row_words += part->key_tuple_words;
	if (part->trie_pairs && parts->counter->row.is_expanded) {
		note_trie(parts->counter, parts->shape, part->trie_pairs);
		parts->shape->words += 2 * part->trie_pairs;
	} else {
		parts->shape->words += part->words;
	}
}

static bool count_collection(struct counter *c, const struct etp_term_view *view,
                             const struct collection *found)
{
	struct etp_shape shape = {
		.kind = ETP_SHAPE_COLLECTION,
		.collection = found->kind,
		.count = 1,
		.elements = found->size,
	};
	struct part_counter parts = {c, &shape};
	collection_parts(&c->collections, view, found, count_part, &parts);
	return count_shape(c, shape);
}

static bool visit(void *context, struct path_walk *walk, uint32_t node,
                  const struct etp_term_view *view)
{
	struct counter *c = context;
	struct etp_shape shape = {.kind = ETP_SHAPE_OTHER, .count = 1, .words = view->words};
	struct collection found;
	etp_term keys[FLATMAP_KEYS_MAX];
	if (heap_bits_test(&c->counted, view->address))
		return true;
	bool begins = path_node_step(&walk->nodes[node]) != ETP_PATH_TAIL;
	if (collection_find(&c->collections, view, begins, 1, &found)) {
		c->out_of_memory = !count_collection(c, view, &found);
		return !c->out_of_memory;
	}
	heap_bits_set(&c->counted, view->address);
	switch (view->kind) {
	case ETP_TERM_INVALID:
		// Counted as unreadable by the walk.
		return true;
	case ETP_TERM_TUPLE:
		shape_of_tuple(view, &shape);
		break;
	case ETP_TERM_FLATMAP:
		shape_of_flatmap(c, view, keys, &shape);
		break;
	case ETP_TERM_HASHMAP:
		shape.kind = ETP_SHAPE_LARGE_MAP;
		if (c->row.is_expanded) {
			note_trie(c, &shape, view->hashmap.size);
			shape.words = 2 * view->hashmap.size;
		} else {
			shape.words += trie_words(c, view);
		}
		break;
	case ETP_TERM_CONS:
		shape.kind = ETP_SHAPE_LIST;
		break;
	case ETP_TERM_BITSTRING:
		shape_of_bits(view, &shape);
		break;
	case ETP_TERM_FUN:
		shape.kind = ETP_SHAPE_FUN;
		shape.tag = term_make_atom(view->fun.module);
		break;
	case ETP_TERM_FLOAT:
		shape.kind = ETP_SHAPE_FLOAT;
		break;
	case ETP_TERM_BIG:
		shape.kind = ETP_SHAPE_BIG;
		break;
	case ETP_TERM_REF:
		shape.kind = ETP_SHAPE_REF;
		break;
	default:
		break;
	}
	c->out_of_memory = !count_shape(c, shape);
	return !c->out_of_memory;
}

static bool look_at(struct counter *c, const struct process_heap *heap, etp_term start)
{
	enum { CELLS_MIN = 1 << 20, CELLS_FACTOR = 8 };
	c->out->holders++;
	c->collections.budget = heap->words * CELLS_FACTOR + CELLS_MIN;
	c->collections.exhausted = false;
	if (!heap_bits_begin(&c->counted, heap) ||
	    !path_walk_run(&c->walk, heap, start, visit, c) || c->out_of_memory ||
	    c->collections.out_of_memory)
		return false;
	c->out->truncated += c->walk.truncated || c->collections.exhausted;
	c->out->unreadable += c->walk.unreadable + heap->unreadable;
	return true;
}

// The nodes of an expanded row's large maps: what its words leave over, shared out by
// pairs.
static bool count_hidden_words(struct counter *c, uint64_t row_words)
{
	uint64_t pairs = 0, known = c->row_words;
	size_t count = sizeof(c->tries) / sizeof(c->tries[0]);
	for (size_t i = 0; i < count; i++)
		pairs += c->tries[i].pairs;
	if (known >= row_words || !pairs || c->walk.truncated || c->walk.unreadable)
		return true;
	uint64_t left = row_words - known;
	for (size_t i = 0; i < count && pairs; i++) {
		struct etp_shape shape = c->tries[i].shape;
		shape.words = (uint64_t)((double)left * (double)c->tries[i].pairs / (double)pairs);
		pairs -= c->tries[i].pairs;
		left -= shape.words;
		if (shape.words && !count_shape(c, shape))
			return false;
	}
	return true;
}

static bool look_at_row(struct counter *c, const struct etp_ets_table *table,
                        const struct etp_ets_row *row)
{
	c->row_words = 0;
	memset(c->tries, 0, sizeof(c->tries));
	return row_heap_load(&c->row, table, row) && look_at(c, &c->row.heap, c->row.tuple) &&
	       (!c->row.is_expanded || count_hidden_words(c, row->words));
}

static void report_progress(struct counter *c, uint64_t done, uint64_t total, const char *what)
{
	c->stopped = c->options->progress &&
	             c->options->progress(c->options->context, done, total, what);
}

static bool look_at_processes(struct counter *c)
{
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(c->vm, &addresses, &pids);
	for (size_t i = 0; i < count && !c->stopped; i++) {
		if (c->options->process && c->options->process != addresses[i])
			continue;
		if (i % PROGRESS_HOLDERS == 0)
			report_progress(c, i, count, "processes");
		if (!process_heap_load(&c->process, c->vm, &c->reader, addresses[i]) ||
		    !look_at(c, &c->process, 0))
			return false;
	}
	return true;
}

static bool look_at_rows(struct counter *c, const struct etp_ets_table *table)
{
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	uint64_t done = 0, total = table->size > 0 ? (uint64_t)table->size : 0;
	etp_ets_iter_init(&iter, c->vm, &c->reader, table);
	while (!c->stopped && etp_ets_iter_next(&iter, &row)) {
		if (++done % PROGRESS_HOLDERS == 0)
			report_progress(c, done, total, "rows");
		if (!look_at_row(c, table, &row))
			return false;
	}
	c->out->unreadable += iter.unreadable;
	return true;
}

static struct etp_error *look_at_tables(struct counter *c)
{
	struct etp_ets_tables tables;
	struct etp_error *err = etp_ets_tables_init(&tables, c->vm);
	if (err)
		return err;
	bool found = !c->options->table;
	for (size_t i = 0; !err && !c->stopped && i < tables.count; i++) {
		const struct etp_ets_table *table = &tables.tables[i];
		if (c->options->table && c->options->table != table->address)
			continue;
		found = true;
		if (!look_at_rows(c, table))
			err = &etp_error_no_memory;
	}
	etp_ets_tables_deinit(&tables);
	if (!err && !found)
		err = etp_error_create(ETP_ERROR_NOT_FOUND, "No ETS table is at 0x%llx.",
		                       (unsigned long long)c->options->table);
	return err;
}

static int compare_shapes(const void *a, const void *b)
{
	const struct etp_shape *x = a, *y = b;
	return x->words > y->words ? -1 : x->words < y->words;
}

struct etp_error *etp_histogram_make(const struct etp_vm *vm,
                                     const struct etp_histogram_options *options,
                                     struct etp_histogram *ret)
{
	struct etp_histogram out = {0};
	struct counter c = {.vm = vm, .options = options, .out = &out};
	etp_reader_init(&c.reader, vm->target);
	process_heap_init(&c.process);
	row_heap_init(&c.row, vm, &c.reader);
	collection_finder_init(&c.collections, vm, &c.reader);
	path_walk_init(&c.walk, vm, &c.reader);
	c.walk.node_limit = options->max_things ? options->max_things : ETP_SEARCH_THINGS_DEFAULT;
	struct etp_error *err =
		options->table || look_at_processes(&c) ? NULL : &etp_error_no_memory;
	if (!err && !options->process && !c.stopped)
		err = look_at_tables(&c);
	path_walk_deinit(&c.walk);
	heap_bits_deinit(&c.counted);
	collection_finder_deinit(&c.collections);
	row_heap_deinit(&c.row);
	process_heap_deinit(&c.process);
	free(c.index);
	if (err) {
		etp_histogram_deinit(&out);
		return err;
	}
	if (out.count)
		qsort(out.shapes, out.count, sizeof(*out.shapes), compare_shapes);
	out.complete = !c.stopped;
	*ret = out;
	return NULL;
}

void etp_histogram_deinit(struct etp_histogram *histogram)
{
	for (size_t i = 0; i < histogram->count; i++)
		free(histogram->shapes[i].keys);
	free(histogram->shapes);
	*histogram = (struct etp_histogram){0};
}
