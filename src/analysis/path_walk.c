// SPDX-License-Identifier: Apache-2.0
#include "analysis/path_walk.h"

#include <stdlib.h>

#include "util/array.h"

void path_walk_init(struct path_walk *walk, const struct etp_vm *vm, struct etp_reader *reader)
{
	*walk = (struct path_walk){.vm = vm, .reader = reader};
}

void path_walk_deinit(struct path_walk *walk)
{
	heap_bits_deinit(&walk->met);
	free(walk->nodes);
	free(walk->roots);
}

// Note the thing that `term` points to, if it is in the holder's memory and was not
// met before. False when memory ran out.
static bool enter(struct path_walk *walk, etp_term term, uint32_t parent,
                  enum etp_path_step_kind kind, uint64_t index)
{
	if (term_primary(term) != TAG_PRIMARY_BOXED && term_primary(term) != TAG_PRIMARY_LIST)
		return true;
	if (!heap_bits_set(&walk->met, term_pointer(term)))
		return true;
	if (walk->node_count == walk->node_limit) {
		walk->truncated = true;
		return true;
	}
	struct path_node *node =
		array_add(&walk->nodes, &walk->node_count, &walk->node_capacity, sizeof(*node));
	if (!node)
		return false;
	if (index > PATH_STEP_INDEX_MASK)
		index = PATH_STEP_INDEX_MASK;
	*node = (struct path_node){
		.address = term & ~(uint64_t)TAG_LITERAL_PTR,
		.parent = parent,
		.step = (uint32_t)kind << PATH_STEP_KIND_SHIFT | (uint32_t)index,
	};
	return true;
}

static bool enter_words(struct path_walk *walk, const void *words, uint64_t count, uint32_t parent,
                        enum etp_path_step_kind kind)
{
	for (uint64_t i = 0; i < count; i++)
		if (!enter(walk, etp_word_at(words, i), parent, kind, i))
			return false;
	return true;
}

// Keys of pairs are not kept in nodes, but looked up by position when a path is told.
static bool enter_pairs(struct path_walk *walk, const struct etp_term_view *map, uint32_t parent)
{
	struct etp_map_iter iter;
	etp_term key, value;
	uint64_t i = 0;
	etp_map_iter_init(&iter, walk->vm, walk->reader, map, ETP_MAP_ORDER_ITERATOR);
	for (; etp_map_iter_next(&iter, &key, &value); i++)
		if (!enter(walk, value, parent, ETP_PATH_VALUE, i) ||
		    !enter(walk, key, parent, ETP_PATH_KEY, i))
			return false;
	walk->unreadable += iter.damaged;
	return true;
}

// A further cell of a list is a part of the first: its index counts on.
static bool enter_cell(struct path_walk *walk, const struct etp_term_view *cell, uint32_t node)
{
	uint64_t index = 0;
	uint32_t list = node;
	enum etp_path_step_kind kind = path_node_step(&walk->nodes[node]);
	if (kind == ETP_PATH_TAIL && walk->nodes[node].parent != PATH_NODE_NONE) {
		list = walk->nodes[node].parent;
		index = path_node_index(&walk->nodes[node]);
	}
	enum etp_path_step_kind tail_kind = ETP_PATH_TAIL;
	return enter(walk, cell->cons.tail, list, tail_kind, index + 1) &&
	       enter(walk, cell->cons.head, list, ETP_PATH_LIST_ELEMENT, index);
}

static bool enter_parts(struct path_walk *walk, const struct etp_term_view *view, uint32_t node)
{
	switch (view->kind) {
	case ETP_TERM_CONS:
		return enter_cell(walk, view, node);
	case ETP_TERM_TUPLE:
		return enter_words(walk, view->tuple.elements, view->tuple.arity, node,
		                   ETP_PATH_ELEMENT);
	case ETP_TERM_RECORD:
		return enter_words(walk, view->record.values, view->record.size, node,
		                   ETP_PATH_ELEMENT);
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP:
		return enter_pairs(walk, view, node);
	case ETP_TERM_FUN:
		return enter_words(walk, view->fun.env, view->fun.num_free, node,
		                   ETP_PATH_ENVIRONMENT);
	case ETP_TERM_BITSTRING:
	case ETP_TERM_MATCH_CONTEXT:
		if (!view->bits.proc_bin || view->bits.proc_bin == view->address)
			return true;
		return enter(walk, view->bits.proc_bin | TAG_PRIMARY_BOXED, node, ETP_PATH_ORIGINAL,
		             0);
	case ETP_TERM_INVALID:
		walk->unreadable++;
		return true;
	default:
		return true;
	}
}

static bool enter_root(struct path_walk *walk, size_t index)
{
	const struct heap_root *root = &walk->heap->roots[index];
	const void *words = etp_reader_at(walk->reader, root->address, root->count * 8);
	if (!words) {
		walk->unreadable++;
		return true;
	}
	struct path_root *slot =
		array_add(&walk->roots, &walk->root_count, &walk->root_capacity, sizeof(*slot));
	if (!slot)
		return false;
	*slot = (struct path_root){
		.root = (uint32_t)index,
		.first_node = (uint32_t)walk->node_count,
	};
	return enter_words(walk, words, root->count, PATH_NODE_NONE, ETP_PATH_ELEMENT);
}

bool path_walk_run(struct path_walk *walk, const struct process_heap *heap, etp_term start,
                   path_visit_fn *visit, void *context)
{
	if (!heap_bits_begin(&walk->met, heap))
		return false;
	walk->heap = heap;
	walk->node_count = walk->root_count = 0;
	walk->truncated = false;
	walk->unreadable = 0;
	if (!walk->node_limit || walk->node_limit > PATH_NODE_NONE - 1)
		walk->node_limit = PATH_NODE_NONE - 1;
	for (size_t i = 0; i < heap->root_count; i++)
		if (!enter_root(walk, i))
			return false;
	if (!heap->root_count && !enter(walk, start, PATH_NODE_NONE, ETP_PATH_ELEMENT, 0))
		return false;
	for (size_t i = 0; i < walk->node_count; i++) {
		struct etp_term_view view;
		etp_term_decode(walk->vm, walk->reader, walk->nodes[i].address, &view);
		if (!visit(context, walk, (uint32_t)i, &view))
			return true;
		if (!enter_parts(walk, &view, (uint32_t)i))
			return false;
	}
	return true;
}

// The root whose things begin last before `node`.
static const struct path_root *root_of(const struct path_walk *walk, uint32_t node)
{
	size_t low = 0, high = walk->root_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (walk->roots[middle].first_node <= node)
			low = middle;
		else
			high = middle;
	}
	return &walk->roots[low];
}

static enum etp_path_root root_kind(const struct heap_root *root)
{
	switch (root->kind) {
	case HEAP_ROOT_STACK:
		return ETP_PATH_STACK;
	case HEAP_ROOT_REGISTERS:
		return ETP_PATH_REGISTER;
	case HEAP_ROOT_DICTIONARY:
		return ETP_PATH_DICTIONARY;
	case HEAP_ROOT_MESSAGE:
		return root->in_transit ? ETP_PATH_MESSAGE_IN_TRANSIT : ETP_PATH_MESSAGE;
	case HEAP_ROOT_SIGNAL:
		return ETP_PATH_SIGNAL;
	case HEAP_ROOT_MONITOR_TAG:
		return ETP_PATH_MONITOR_TAG;
	case HEAP_ROOT_TRACER:
		return ETP_PATH_TRACER;
	case HEAP_ROOT_SYSTEM_TASK:
		return ETP_PATH_SYSTEM_TASK;
	case HEAP_ROOT_SAVED_ARGUMENTS:
		return ETP_PATH_SAVED_ARGUMENT;
	case HEAP_ROOT_GROUP_LEADER:
		return ETP_PATH_GROUP_LEADER;
	case HEAP_ROOT_FVALUE:
		return ETP_PATH_FVALUE;
	case HEAP_ROOT_FTRACE:
		return ETP_PATH_FTRACE;
	case HEAP_ROOT_SEQ_TRACE_TOKEN:
		return ETP_PATH_SEQ_TRACE_TOKEN;
	case HEAP_ROOT_PARENT:
		return ETP_PATH_PARENT;
	case HEAP_ROOT_RECEIVE_MARKER:
		return ETP_PATH_RECEIVE_MARKER;
	}
	return ETP_PATH_TERM;
}

enum etp_path_root path_walk_root(const struct path_walk *walk, uint32_t node)
{
	return walk->root_count ? root_kind(&walk->heap->roots[root_of(walk, node)->root])
	                        : ETP_PATH_TERM;
}

static etp_term pair_key(struct path_walk *walk, uint64_t map, uint64_t position)
{
	struct etp_term_view view;
	struct etp_map_iter iter;
	etp_term key = 0, value;
	etp_term_decode(walk->vm, walk->reader, map, &view);
	if (view.kind != ETP_TERM_FLATMAP && view.kind != ETP_TERM_HASHMAP)
		return 0;
	etp_map_iter_init(&iter, walk->vm, walk->reader, &view, ETP_MAP_ORDER_ITERATOR);
	for (uint64_t i = 0; i <= position; i++)
		if (!etp_map_iter_next(&iter, &key, &value))
			return 0;
	return key;
}

// A dictionary keeps {Key, Value}, or lists of such pairs where keys collide: leave
// the pair out of the path and name the key.
static void skip_dictionary_pair(struct path_walk *walk, struct etp_path *path,
                                 const uint64_t *parents)
{
	size_t skip = 0;
	if (skip < path->step_count && path->steps[skip].kind == ETP_PATH_LIST_ELEMENT)
		skip++;
	if (skip >= path->step_count || path->steps[skip].kind != ETP_PATH_ELEMENT)
		return;
	struct etp_term_view pair;
	if (etp_term_decode(walk->vm, walk->reader, parents[skip], &pair) != ETP_TERM_TUPLE ||
	    pair.tuple.arity != 2)
		return;
	path->root_key = etp_word_at(pair.tuple.elements, 0);
	skip++;
	path->step_count -= skip;
	memmove(path->steps, path->steps + skip, path->step_count * sizeof(*path->steps));
}

// Where a path begins that enters at word `index` of `root`.
static void set_root(struct etp_path *path, const struct heap_root *root, uint64_t index)
{
	path->root = root_kind(root);
	path->root_index = root->kind == HEAP_ROOT_MESSAGE || root->kind == HEAP_ROOT_SIGNAL
	                           ? root->index
	                           : index;
}

struct etp_error *path_to_external(const struct process_heap *heap,
                                   const struct heap_external *external, struct etp_path *ret)
{
	struct etp_path_step *step = calloc(1, sizeof(*step));
	if (!step)
		return &etp_error_no_memory;
	step->kind = ETP_PATH_EXTERNAL_FORMAT;
	*ret = (struct etp_path){.step_count = 1, .steps = step};
	set_root(ret, &heap->roots[external->root], 0);
	return NULL;
}

struct etp_error *path_walk_path(struct path_walk *walk, uint32_t node, struct etp_path *ret)
{
	size_t count = 0;
	uint32_t top = node;
	for (uint32_t n = node; walk->nodes[n].parent != PATH_NODE_NONE; n = walk->nodes[n].parent)
		count++;
	struct etp_path_step *steps = calloc(count + 1, sizeof(*steps));
	uint64_t *parents = calloc(count + 1, sizeof(*parents));
	if (!steps || !parents) {
		free(steps);
		free(parents);
		return &etp_error_no_memory;
	}
	for (size_t i = count; i--; top = walk->nodes[top].parent) {
		const struct path_node *at = &walk->nodes[top];
		parents[i] = walk->nodes[at->parent].address;
		steps[i].kind = path_node_step(at);
		steps[i].index = path_node_index(at);
		if (steps[i].kind == ETP_PATH_VALUE || steps[i].kind == ETP_PATH_KEY)
			steps[i].key = pair_key(walk, parents[i], steps[i].index);
	}
	*ret = (struct etp_path){
		.root = ETP_PATH_TERM,
		.target = walk->nodes[node].address,
		.step_count = count,
		.steps = steps,
	};
	if (walk->root_count) {
		const struct heap_root *from = &walk->heap->roots[root_of(walk, top)->root];
		set_root(ret, from, path_node_index(&walk->nodes[top]));
	}
	if (ret->root == ETP_PATH_DICTIONARY)
		skip_dictionary_pair(walk, ret, parents);
	free(parents);
	return NULL;
}
