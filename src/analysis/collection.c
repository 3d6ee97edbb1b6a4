// SPDX-License-Identifier: Apache-2.0
#include "analysis/collection.h"

#include <stdlib.h>
#include <string.h>

#include <etp/chain.h>

#include "util/array.h"
#include "vm/vm.h"

enum {
	// Elements of the records `dict` and `set`, from 0: dict.erl, sets.erl.
	HASH_TAG,
	HASH_SIZE,
	HASH_SLOTS,
	HASH_SLOTS_MAX,
	HASH_SEGMENTS = 8,
	HASH_ARITY,
	// Buckets of a segment (?seg_size).
	SEGMENT_ARITY = 16,
	// Elements of the record `array` to OTP 28, and of its leaves and nodes (array.erl).
	ARRAY_SIZE = 1,
	ARRAY_MAX = 2,
	ARRAY_ELEMENTS = 4,
	ARRAY_ARITY,
	LEAF_SIZE = 10,
	// The same since OTP 29; of an index, the lowest bits are its place in a leaf.
	CACHED_ARRAY_ZERO = 2,
	CACHED_ARRAY_CACHE = 5,
	CACHED_ARRAY_CACHE_INDEX,
	CACHED_ARRAY_ELEMENTS,
	CACHED_ARRAY_BITS,
	CACHED_ARRAY_ARITY,
	CACHED_LEAF_BITS = 4,
	CACHED_LEAF_SIZE = 1 << CACHED_LEAF_BITS,
	// Elements of the nodes of gb_trees and gb_sets.
	GB_TREE_ARITY = 4,
	GB_SET_ARITY = 3,
	// Larger than any size that can be true, so that sums stay small.
	SIZE_BITS = 48,
};

const char *etp_collection_name(enum etp_collection_kind kind)
{
	static const char *const names[] = {
		[ETP_COLLECTION_MAP] = "map",
		[ETP_COLLECTION_LIST] = "list",
		[ETP_COLLECTION_TUPLE] = "tuple",
		[ETP_COLLECTION_BINARY] = "binary",
		[ETP_COLLECTION_QUEUE] = "queue",
		[ETP_COLLECTION_SET] = "set",
		[ETP_COLLECTION_DICT] = "dict",
		[ETP_COLLECTION_GB_TREE] = "gb_tree",
		[ETP_COLLECTION_GB_SET] = "gb_set",
		[ETP_COLLECTION_ARRAY] = "array",
		[ETP_COLLECTION_ORDDICT] = "orddict",
		[ETP_COLLECTION_MAP_SET] = "map_set",
		[ETP_COLLECTION_DICTIONARY] = "dictionary",
	};
	return names[kind];
}

static etp_term find_atom(const struct etp_vm *vm, const char *name)
{
	uint64_t index;
	struct etp_error *err = etp_vm_find_atom(vm, name, strlen(name), &index);
	etp_error_destroy(err);
	return err ? 0 : term_make_atom(index);
}

void collection_finder_init(struct collection_finder *finder, const struct etp_vm *vm,
                            struct etp_reader *reader)
{
	*finder = (struct collection_finder){
		.vm = vm,
		.reader = reader,
		.dict = find_atom(vm, "dict"),
		.set = find_atom(vm, "set"),
		.array = find_atom(vm, "array"),
		.nil = find_atom(vm, "nil"),
		.struct_key = find_atom(vm, "__struct__"),
		.map_set = find_atom(vm, "Elixir.MapSet"),
		.map_key = find_atom(vm, "map"),
	};
}

void collection_finder_deinit(struct collection_finder *finder)
{
	free(finder->stack);
}

// One walk over a collection: to find out whether it is one, or for its parts.
struct walk {
	struct collection_finder *finder;
	// NULL when only the form is in question.
	collection_part_fn *part;
	void *context;
};

static bool may_step(struct walk *w)
{
	if (w->finder->budget) {
		w->finder->budget--;
		return true;
	}
	w->finder->exhausted = true;
	return false;
}

static void emit(struct walk *w, uint64_t address, uint64_t words)
{
	if (w->part)
		w->part(w->context, &(struct collection_part){address, words, 0, 0});
}

// `iter` has gone through all of its pairs.
static void emit_map(struct walk *w, const struct etp_term_view *map,
                     const struct etp_map_iter *iter, uint64_t pairs)
{
	struct collection_part part = {map->address, map->words, 0, 0};
	if (map->kind == ETP_TERM_HASHMAP) {
		// The pairs of a trie are cons cells.
		part.words += iter->node_words + 2 * pairs;
		part.trie_pairs = pairs;
	} else if (pairs) {
		part.key_tuple_words = 1 + pairs;
	}
	if (w->part)
		w->part(w->context, &part);
}

static bool push(struct walk *w, etp_term term)
{
	struct collection_finder *f = w->finder;
	etp_term *slot = array_add(&f->stack, &f->stack_count, &f->stack_capacity, sizeof(*slot));
	if (slot)
		*slot = term;
	else
		f->out_of_memory = true;
	return slot;
}

static bool decode_tuple(struct walk *w, etp_term term, struct etp_term_view *view)
{
	return etp_term_decode(w->finder->vm, w->finder->reader, term, view) == ETP_TERM_TUPLE;
}

static etp_term element(const struct etp_term_view *tuple, uint64_t index)
{
	return etp_word_at(tuple->tuple.elements, index);
}

// A small integer that can be a size.
static bool size_of(etp_term term, uint64_t *ret)
{
	if (!term_is_small(term) || term_small(term) < 0 || term_small(term) >> SIZE_BITS)
		return false;
	*ret = (uint64_t)term_small(term);
	return true;
}

// Count the cells of a proper list; at most `most` of them.
static bool walk_list(struct walk *w, etp_term list, uint64_t most, uint64_t *count)
{
	struct etp_chain chain = {0};
	struct etp_term_view view;
	while (!term_is_nil(list)) {
		if (*count >= most || !may_step(w) || !etp_chain_step(&chain, list) ||
		    etp_term_decode(w->finder->vm, w->finder->reader, list, &view) != ETP_TERM_CONS)
			return false;
		++*count;
		emit(w, view.address, view.words);
		list = view.cons.tail;
	}
	return true;
}

static bool walk_queue(struct walk *w, const struct etp_term_view *tuple, uint64_t *size)
{
	*size = 0;
	emit(w, tuple->address, tuple->words);
	return walk_list(w, element(tuple, 0), UINT64_MAX, size) &&
	       walk_list(w, element(tuple, 1), UINT64_MAX, size);
}

// {Size, Tree}; nodes are {Key, Value, Smaller, Larger} or {Key, Smaller, Larger}.
static bool walk_gb(struct walk *w, const struct etp_term_view *tuple, uint64_t arity,
                    uint64_t size)
{
	struct collection_finder *f = w->finder;
	uint64_t count = 0;
	f->stack_count = 0;
	emit(w, tuple->address, tuple->words);
	if (!push(w, element(tuple, 1)))
		return false;
	while (f->stack_count) {
		etp_term term = f->stack[--f->stack_count];
		struct etp_term_view node;
		if (term == f->nil)
			continue;
		if (++count > size || !may_step(w) || !decode_tuple(w, term, &node) ||
		    node.tuple.arity != arity || !push(w, element(&node, arity - 1)) ||
		    !push(w, element(&node, arity - 2)))
			return false;
		emit(w, node.address, node.words);
	}
	return count == size;
}

// {dict | set, Size, Slots, MaxSlots, ..., Segments}: a tuple of tuples of lists.
static bool walk_hash(struct walk *w, const struct etp_term_view *tuple, uint64_t size)
{
	uint64_t slots, slots_max, count = 0;
	struct etp_term_view segments, segment;
	if (!size_of(element(tuple, HASH_SLOTS), &slots) ||
	    !size_of(element(tuple, HASH_SLOTS_MAX), &slots_max) || slots > slots_max ||
	    !decode_tuple(w, element(tuple, HASH_SEGMENTS), &segments) ||
	    segments.tuple.arity * SEGMENT_ARITY != slots_max)
		return false;
	emit(w, tuple->address, tuple->words);
	emit(w, segments.address, segments.words);
	for (uint64_t i = 0; i < segments.tuple.arity; i++) {
		if (!may_step(w) || !decode_tuple(w, element(&segments, i), &segment) ||
		    segment.tuple.arity != SEGMENT_ARITY)
			return false;
		emit(w, segment.address, segment.words);
		for (uint64_t j = 0; j < SEGMENT_ARITY; j++)
			if (!walk_list(w, element(&segment, j), size, &count))
				return false;
	}
	return count == size;
}

// What a tree of an array spans: itself a number while nothing was set in it.
static bool array_span(struct walk *w, etp_term term, uint64_t *ret)
{
	struct etp_term_view node;
	if (size_of(term, ret))
		return true;
	if (!decode_tuple(w, term, &node))
		return false;
	if (node.tuple.arity == LEAF_SIZE) {
		*ret = LEAF_SIZE;
		return true;
	}
	if (node.tuple.arity != LEAF_SIZE + 1 || !size_of(element(&node, LEAF_SIZE), ret))
		return false;
	*ret *= LEAF_SIZE;
	return true;
}

// Nodes are of ten subtrees and the span of each of these.
static bool walk_plain_array(struct walk *w, const struct etp_term_view *tuple, uint64_t size)
{
	struct collection_finder *f = w->finder;
	uint64_t max, span;
	// 0 for an array of a fixed size.
	if (!size_of(element(tuple, ARRAY_MAX), &max) ||
	    !array_span(w, element(tuple, ARRAY_ELEMENTS), &span) || size > span ||
	    (max && max != span))
		return false;
	emit(w, tuple->address, tuple->words);
	f->stack_count = 0;
	if (!push(w, element(tuple, ARRAY_ELEMENTS)))
		return false;
	while (f->stack_count) {
		etp_term term = f->stack[--f->stack_count];
		struct etp_term_view node;
		uint64_t below, part;
		if (term_is_small(term))
			continue;
		if (!may_step(w) || !decode_tuple(w, term, &node))
			return false;
		emit(w, node.address, node.words);
		if (node.tuple.arity == LEAF_SIZE)
			continue;
		// Its arity was checked when its span was asked for.
		if (!size_of(element(&node, LEAF_SIZE), &below))
			return false;
		for (uint64_t i = 0; i < LEAF_SIZE; i++)
			if (!array_span(w, element(&node, i), &part) || part != below ||
			    !push(w, element(&node, i)))
				return false;
	}
	return true;
}

static bool decode_cached_leaf(struct walk *w, etp_term term, struct etp_term_view *view)
{
	return decode_tuple(w, term, view) && view->tuple.arity == CACHED_LEAF_SIZE;
}

// Nodes are of 16 subtrees, [] where nothing was set. All leaves are as deep; the one that was
// used last is apart, too.
static bool walk_cached_array(struct walk *w, const struct etp_term_view *tuple, uint64_t size)
{
	struct collection_finder *f = w->finder;
	uint64_t zero, cached, bits;
	struct etp_term_view node;
	if (!size_of(element(tuple, CACHED_ARRAY_ZERO), &zero) ||
	    !size_of(element(tuple, CACHED_ARRAY_CACHE_INDEX), &cached) ||
	    !size_of(element(tuple, CACHED_ARRAY_BITS), &bits) || bits % CACHED_LEAF_BITS ||
	    bits > SIZE_BITS)
		return false;
	uint64_t span = UINT64_C(1) << (bits + CACHED_LEAF_BITS);
	if (zero + size > span || cached >= span || cached % CACHED_LEAF_SIZE || !may_step(w) ||
	    !decode_cached_leaf(w, element(tuple, CACHED_ARRAY_CACHE), &node))
		return false;
	emit(w, tuple->address, tuple->words);
	emit(w, node.address, node.words);
	// With each tree goes how many bits of an index are for what is below its nodes.
	f->stack_count = 0;
	if (!push(w, element(tuple, CACHED_ARRAY_ELEMENTS)) || !push(w, bits))
		return false;
	while (f->stack_count) {
		bits = f->stack[--f->stack_count];
		etp_term term = f->stack[--f->stack_count];
		if (term_is_nil(term))
			continue;
		if (!may_step(w) || !decode_cached_leaf(w, term, &node))
			return false;
		emit(w, node.address, node.words);
		for (uint64_t i = 0; bits && i < CACHED_LEAF_SIZE; i++)
			if (!push(w, element(&node, i)) || !push(w, bits - CACHED_LEAF_BITS))
				return false;
	}
	return true;
}

static bool walk_array(struct walk *w, const struct etp_term_view *tuple, uint64_t size)
{
	if (tuple->tuple.arity == CACHED_ARRAY_ARITY)
		return walk_cached_array(w, tuple, size);
	return tuple->tuple.arity == ARRAY_ARITY && walk_plain_array(w, tuple, size);
}

// A map whose values are all [].
static bool walk_set_map(struct walk *w, const struct etp_term_view *map)
{
	struct etp_map_iter iter;
	etp_term key, value;
	uint64_t pairs = 0;
	etp_map_iter_init(&iter, w->finder->vm, w->finder->reader, map, ETP_MAP_ORDER_ITERATOR);
	for (; etp_map_iter_next(&iter, &key, &value); pairs++)
		if (!term_is_nil(value) || !may_step(w))
			return false;
	if (iter.damaged)
		return false;
	emit_map(w, map, &iter, pairs);
	return true;
}

static uint64_t map_size(const struct etp_term_view *map)
{
	return map->kind == ETP_TERM_HASHMAP ? map->hashmap.size : map->flatmap.size;
}

static bool is_map(const struct etp_term_view *view)
{
	return view->kind == ETP_TERM_FLATMAP || view->kind == ETP_TERM_HASHMAP;
}

// The map in a %MapSet{}.
static bool inner_map(struct walk *w, const struct etp_term_view *map, struct etp_term_view *ret)
{
	const struct collection_finder *f = w->finder;
	etp_term inner = 0;
	bool is_map_set = false;
	if (map->kind != ETP_TERM_FLATMAP || !f->struct_key || !f->map_set)
		return false;
	for (uint64_t i = 0; i < map->flatmap.size; i++) {
		etp_term key = etp_word_at(map->flatmap.keys, i);
		etp_term value = etp_word_at(map->flatmap.values, i);
		if (key == f->struct_key)
			is_map_set = value == f->map_set;
		else if (key == f->map_key)
			inner = value;
	}
	if (!is_map_set || !inner)
		return false;
	etp_term_decode(f->vm, f->reader, inner, ret);
	return is_map(ret);
}

static bool walk_map_set(struct walk *w, const struct etp_term_view *map, uint64_t *size)
{
	struct etp_term_view inner;
	if (!inner_map(w, map, &inner))
		return false;
	*size = map_size(&inner);
	emit_map(w, map, NULL, map->flatmap.size);
	return walk_set_map(w, &inner);
}

// Keys whose order is known without a comparison of whole terms; numbers are less than
// atoms, and these less than binaries.
enum key_rank {
	KEY_SMALL,
	KEY_ATOM,
	KEY_BINARY,
	KEY_OTHER,
};

struct key {
	enum key_rank rank;
	int64_t small;
	const unsigned char *bytes;
	uint64_t size;
};

static struct key read_key(struct walk *w, etp_term term)
{
	const struct collection_finder *f = w->finder;
	struct key key = {.rank = KEY_OTHER};
	struct etp_term_view view;
	if (term_is_small(term)) {
		key.rank = KEY_SMALL;
		key.small = term_small(term);
	} else if (term_is_atom(term)) {
		size_t size;
		key.bytes = (const unsigned char *)etp_vm_atom(f->vm, f->reader,
		                                               term_atom_index(term), &size);
		if (key.bytes)
			key.rank = KEY_ATOM;
		key.size = size;
	} else if (etp_term_decode(f->vm, f->reader, term, &view) == ETP_TERM_BITSTRING &&
	           view.bits.bytes && !view.bits.bit_offset && view.bits.bit_size % 8 == 0) {
		key.rank = KEY_BINARY;
		key.bytes = view.bits.bytes;
		key.size = view.bits.bit_size / 8;
	}
	return key;
}

static bool is_less(const struct key *a, const struct key *b)
{
	if (a->rank != b->rank || a->rank == KEY_SMALL)
		return a->rank != b->rank ? a->rank < b->rank : a->small < b->small;
	uint64_t common = a->size < b->size ? a->size : b->size;
	int order = common ? memcmp(a->bytes, b->bytes, common) : 0;
	return order < 0 || (!order && a->size < b->size);
}

static bool walk_orddict(struct walk *w, const struct etp_term_view *first, uint64_t *size)
{
	struct etp_chain chain = {0};
	struct etp_term_view cell = *first, pair;
	struct key last = {0};
	*size = 0;
	for (;;) {
		if (!may_step(w) || !etp_chain_step(&chain, cell.address) ||
		    !decode_tuple(w, cell.cons.head, &pair) || pair.tuple.arity != 2)
			return false;
		struct key key = read_key(w, element(&pair, 0));
		if (key.rank == KEY_OTHER || (*size && !is_less(&last, &key)))
			return false;
		last = key;
		++*size;
		emit(w, cell.address, cell.words);
		emit(w, pair.address, pair.words);
		if (term_is_nil(cell.cons.tail))
			return true;
		if (etp_term_decode(w->finder->vm, w->finder->reader, cell.cons.tail, &cell) !=
		    ETP_TERM_CONS)
			return false;
	}
}

static bool is_cons(etp_term term)
{
	return term_primary(term) == TAG_PRIMARY_LIST;
}

// What a pair can be, by its first look.
static bool find_pair(struct walk *w, const struct etp_term_view *tuple, uint64_t min_size,
                      struct collection *ret)
{
	struct etp_term_view node;
	if (is_cons(element(tuple, 0)) && is_cons(element(tuple, 1))) {
		ret->kind = ETP_COLLECTION_QUEUE;
		return walk_queue(w, tuple, &ret->size);
	}
	if (!w->finder->nil || !size_of(element(tuple, 0), &ret->size) || !ret->size ||
	    ret->size < min_size || !decode_tuple(w, element(tuple, 1), &node))
		return false;
	ret->kind =
		node.tuple.arity == GB_TREE_ARITY ? ETP_COLLECTION_GB_TREE : ETP_COLLECTION_GB_SET;
	return (node.tuple.arity == GB_TREE_ARITY || node.tuple.arity == GB_SET_ARITY) &&
	       walk_gb(w, tuple, node.tuple.arity, ret->size);
}

static bool find_record(struct walk *w, const struct etp_term_view *tuple, uint64_t min_size,
                        struct collection *ret)
{
	const struct collection_finder *f = w->finder;
	etp_term tag = element(tuple, HASH_TAG);
	if (!tag || !size_of(element(tuple, HASH_SIZE), &ret->size) || ret->size < min_size)
		return false;
	if (tag == f->array) {
		ret->kind = ETP_COLLECTION_ARRAY;
		return walk_array(w, tuple, ret->size);
	}
	ret->kind = tag == f->dict ? ETP_COLLECTION_DICT : ETP_COLLECTION_SET;
	return tuple->tuple.arity == HASH_ARITY && (tag == f->dict || tag == f->set) &&
	       walk_hash(w, tuple, ret->size);
}

bool collection_find(struct collection_finder *finder, const struct etp_term_view *view,
                     bool begins_list, uint64_t min_size, struct collection *ret)
{
	struct walk w = {.finder = finder};
	bool found = false;
	switch (view->kind) {
	case ETP_TERM_TUPLE:
		if (view->tuple.arity == 2)
			found = find_pair(&w, view, min_size, ret);
		else if (view->tuple.arity == HASH_ARITY || view->tuple.arity == ARRAY_ARITY)
			found = find_record(&w, view, min_size, ret);
		break;
	case ETP_TERM_CONS:
		ret->kind = ETP_COLLECTION_ORDDICT;
		// Two pairs at least: one is in order whatever it is.
		found = begins_list && walk_orddict(&w, view, &ret->size) && ret->size > 1;
		break;
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP:
		ret->kind = ETP_COLLECTION_MAP_SET;
		found = walk_map_set(&w, view, &ret->size);
		if (found || !map_size(view))
			break;
		ret->kind = ETP_COLLECTION_SET;
		ret->size = map_size(view);
		found = ret->size >= min_size && walk_set_map(&w, view);
		break;
	default:
		break;
	}
	return found && ret->size >= min_size;
}

void collection_parts(struct collection_finder *finder, const struct etp_term_view *view,
                      const struct collection *collection, collection_part_fn *part, void *context)
{
	// What was found within the budget is gone through once more.
	uint64_t budget = finder->budget, size = collection->size;
	finder->budget = UINT64_MAX;
	struct walk w = {finder, part, context};
	switch (collection->kind) {
	case ETP_COLLECTION_QUEUE:
		walk_queue(&w, view, &size);
		break;
	case ETP_COLLECTION_GB_TREE:
		walk_gb(&w, view, GB_TREE_ARITY, size);
		break;
	case ETP_COLLECTION_GB_SET:
		walk_gb(&w, view, GB_SET_ARITY, size);
		break;
	case ETP_COLLECTION_DICT:
		walk_hash(&w, view, size);
		break;
	case ETP_COLLECTION_ARRAY:
		walk_array(&w, view, size);
		break;
	case ETP_COLLECTION_SET:
		if (view->kind == ETP_TERM_TUPLE)
			walk_hash(&w, view, size);
		else
			walk_set_map(&w, view);
		break;
	case ETP_COLLECTION_MAP_SET:
		walk_map_set(&w, view, &size);
		break;
	case ETP_COLLECTION_ORDDICT:
		walk_orddict(&w, view, &size);
		break;
	default:
		break;
	}
	finder->budget = budget;
}
