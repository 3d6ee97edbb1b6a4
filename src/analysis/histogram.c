// SPDX-License-Identifier: Apache-2.0
#include <etp/histogram.h>

#include <stdlib.h>

#include <etp/ets.h>

#include "analysis/path_walk.h"

enum {
	// Things of one holder that are looked at: 512 MiB of nodes.
	THINGS_MAX = 32 << 20,
	PROGRESS_HOLDERS = 256,
	// Shapes that are told apart; what comes after goes to "other".
	SHAPES_MAX = 1 << 20,
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
	struct process_heap heap;
	struct path_walk walk;
	etp_term struct_atom;
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

// Maps of the same keys may have different tuples of them: hash and compare the atoms.
static uint64_t keys_hash(const struct counter *c, etp_term tag, bool *atoms)
{
	struct etp_reader reader = c->reader;
	struct etp_term_view keys;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	*atoms = etp_term_decode(c->vm, &reader, tag, &keys) == ETP_TERM_TUPLE;
	for (uint64_t i = 0; *atoms && i < keys.tuple.arity; i++) {
		etp_term key = etp_word_at(keys.tuple.elements, i);
		*atoms = term_is_atom(key);
		hash = (hash ^ key) * UINT64_C(0x100000001b3);
	}
	return hash;
}

static bool same_keys(const struct counter *c, etp_term a, etp_term b)
{
	struct etp_reader reader = c->reader;
	struct etp_term_view x, y;
	return a == b || (etp_term_decode(c->vm, &reader, a, &x) == ETP_TERM_TUPLE &&
	                  etp_term_decode(c->vm, &reader, b, &y) == ETP_TERM_TUPLE &&
	                  x.tuple.arity == y.tuple.arity &&
	                  !memcmp(x.tuple.elements, y.tuple.elements, x.tuple.arity * 8));
}

static uint64_t shape_hash(const struct counter *c, const struct etp_shape *shape)
{
	bool atoms;
	uint64_t tag = shape->kind == ETP_SHAPE_MAP && shape->tag ? keys_hash(c, shape->tag, &atoms)
	                                                          : shape->tag;
	uint64_t hash = (uint64_t)shape->kind * UINT64_C(0x9e3779b97f4a7c15) ^ tag;
	hash = (hash ^ shape->arity) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ hash >> 29;
}

static bool same_shape(const struct counter *c, const struct etp_shape *a,
                       const struct etp_shape *b)
{
	if (a->kind != b->kind || a->arity != b->arity)
		return false;
	if (a->kind == ETP_SHAPE_MAP && a->tag && b->tag)
		return same_keys(c, a->tag, b->tag);
	return a->tag == b->tag;
}

static size_t find_slot(const struct counter *c, const struct etp_shape *shape)
{
	size_t slot = shape_hash(c, shape) & c->index_mask;
	while (c->index[slot] && !same_shape(c, &c->out->shapes[c->index[slot] - 1], shape))
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

static bool count_shape(struct counter *c, struct etp_shape shape)
{
	if (c->out->count == c->capacity && !grow(c))
		return false;
	size_t slot = find_slot(c, &shape);
	if (!c->index[slot] && c->out->count >= SHAPES_MAX) {
		shape.kind = ETP_SHAPE_OTHER;
		shape.tag = shape.arity = 0;
		slot = find_slot(c, &shape);
	}
	if (!c->index[slot]) {
		c->out->shapes[c->out->count] = shape;
		c->index[slot] = (uint32_t)++c->out->count;
		return true;
	}
	struct etp_shape *known = &c->out->shapes[c->index[slot] - 1];
	known->count += shape.count;
	known->words += shape.words;
	known->binary_bytes += shape.binary_bytes;
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

static void shape_of_flatmap(const struct counter *c, const struct etp_term_view *view,
                             struct etp_shape *shape)
{
	shape->kind = ETP_SHAPE_MAP;
	for (uint64_t i = 0; c->struct_atom && i < view->flatmap.size; i++) {
		etp_term value = etp_word_at(view->flatmap.values, i);
		if (etp_word_at(view->flatmap.keys, i) == c->struct_atom && term_is_atom(value)) {
			shape->kind = ETP_SHAPE_STRUCT;
			shape->tag = value;
			return;
		}
	}
	bool atoms;
	keys_hash(c, view->flatmap.key_tuple, &atoms);
	if (!atoms)
		return;
	shape->arity = view->flatmap.size;
	shape->tag = view->flatmap.key_tuple;
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

static bool visit(void *context, struct path_walk *walk, uint32_t node,
                  const struct etp_term_view *view)
{
	struct counter *c = context;
	struct etp_shape shape = {.kind = ETP_SHAPE_OTHER, .count = 1, .words = view->words};
	switch (view->kind) {
	case ETP_TERM_INVALID:
		// Counted as unreadable by the walk.
		return true;
	case ETP_TERM_TUPLE:
		shape_of_tuple(view, &shape);
		break;
	case ETP_TERM_FLATMAP:
		shape_of_flatmap(c, view, &shape);
		break;
	case ETP_TERM_HASHMAP:
		shape.kind = ETP_SHAPE_LARGE_MAP;
		shape.words += trie_words(c, view);
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

static bool look_at(struct counter *c, etp_term start)
{
	c->out->holders++;
	if (!path_walk_run(&c->walk, &c->heap, start, visit, c) || c->out_of_memory)
		return false;
	c->out->truncated += c->walk.truncated;
	c->out->unreadable += c->walk.unreadable + c->heap.unreadable;
	return true;
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
		if (!process_heap_load(&c->heap, c->vm, &c->reader, addresses[i]) || !look_at(c, 0))
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
		uint64_t tuple = row.dbterm + OFFSET(c->vm, DbTerm, tpl);
		if (++done % PROGRESS_HOLDERS == 0)
			report_progress(c, done, total, "rows");
		if (!process_heap_set_words(&c->heap, &c->reader, tuple, row.words) ||
		    !look_at(c, tuple | TAG_PRIMARY_BOXED))
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
		if (!table->is_compressed && !look_at_rows(c, table))
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
	uint64_t struct_atom;
	struct etp_error *err = etp_vm_find_atom(vm, "__struct__", 10, &struct_atom);
	if (!err)
		c.struct_atom = term_make_atom(struct_atom);
	// A VM without Elixir has no structs.
	etp_error_destroy(err);
	etp_reader_init(&c.reader, vm->target);
	process_heap_init(&c.heap);
	path_walk_init(&c.walk, vm, &c.reader);
	c.walk.node_limit = THINGS_MAX;
	err = options->table || look_at_processes(&c) ? NULL : &etp_error_no_memory;
	if (!err && !options->process && !c.stopped)
		err = look_at_tables(&c);
	path_walk_deinit(&c.walk);
	process_heap_deinit(&c.heap);
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
	free(histogram->shapes);
	*histogram = (struct etp_histogram){0};
}
