// SPDX-License-Identifier: Apache-2.0
#include "analysis/path_pattern.h"

#include <stdlib.h>
#include <string.h>

#include "util/array.h"

enum {
	SLOTS_AT_FIRST = 64,
	// Slots that are kept for what comes next.
	SLOTS_KEPT = 1 << 12,
	// Steps that are told apart.
	STEPS_MAX = 64,
};

// A node that was asked for, or that leads to one.
static const uint32_t WANTED = UINT32_MAX - 1;

// Pairs of one map, as far as they were gone through: its parts follow one another in a walk.
struct key_cursor {
	uint32_t map;
	uint64_t next;
	struct etp_map_iter iter;
	etp_term key;
};

void path_patterns_init(struct path_patterns *patterns, const struct etp_vm *vm,
                        struct etp_reader *reader)
{
	*patterns = (struct path_patterns){.vm = vm, .reader = reader};
}

void path_patterns_deinit(struct path_patterns *patterns)
{
	free(patterns->items);
	free(patterns->slots);
	free(patterns->of_node);
}

static void free_slots(struct path_patterns *patterns)
{
	free(patterns->slots);
	patterns->slots = NULL;
	patterns->slot_count = 0;
}

// They are cleared once a holder: a table that was large once would take its time each time.
void path_patterns_clear(struct path_patterns *patterns)
{
	if (patterns->slot_count > SLOTS_KEPT)
		free_slots(patterns);
	else if (patterns->count)
		memset(patterns->slots, 0, patterns->slot_count * sizeof(*patterns->slots));
	patterns->count = 0;
}

static size_t slot_of(const struct path_patterns *patterns, const struct path_pattern *wanted)
{
	uint64_t hash = (wanted->value + ((uint64_t)wanted->parent << 32 | wanted->kind)) *
	                UINT64_C(0x9e3779b97f4a7c15);
	hash ^= hash >> 32;
	size_t slot = hash & (patterns->slot_count - 1);
	for (; patterns->slots[slot]; slot = (slot + 1) & (patterns->slot_count - 1)) {
		const struct path_pattern *at = &patterns->items[patterns->slots[slot] - 1];
		if (at->parent == wanted->parent && at->kind == wanted->kind &&
		    at->value == wanted->value)
			break;
	}
	return slot;
}

static bool add_slots(struct path_patterns *patterns)
{
	size_t count = patterns->slot_count ? patterns->slot_count * 2 : SLOTS_AT_FIRST;
	uint32_t *slots = calloc(count, sizeof(*slots));
	if (!slots)
		return false;
	free(patterns->slots);
	patterns->slots = slots;
	patterns->slot_count = count;
	for (size_t i = 0; i < patterns->count; i++)
		slots[slot_of(patterns, &patterns->items[i])] = (uint32_t)i + 1;
	return true;
}

// Its number, the same for the same way; PATH_PATTERN_NONE when memory ran out.
static uint32_t number_of(struct path_patterns *patterns, uint32_t parent, uint32_t kind,
                          uint64_t value)
{
	struct path_pattern wanted = {.parent = parent, .kind = kind, .value = value};
	if (parent != PATH_PATTERN_NONE) {
		wanted.steps = patterns->items[parent].steps + 1;
		if (wanted.steps > STEPS_MAX)
			return parent;
		if (wanted.steps == STEPS_MAX) {
			wanted.kind = ETP_PATH_FURTHER;
			wanted.value = 0;
		}
	}
	if (patterns->count >= patterns->slot_count / 2 && !add_slots(patterns))
		return PATH_PATTERN_NONE;
	uint32_t *slot = &patterns->slots[slot_of(patterns, &wanted)];
	if (*slot)
		return *slot - 1;
	struct path_pattern *item =
		array_add(&patterns->items, &patterns->count, &patterns->capacity, sizeof(*item));
	if (!item)
		return PATH_PATTERN_NONE;
	*item = wanted;
	*slot = (uint32_t)patterns->count;
	return *slot - 1;
}

uint32_t path_patterns_root(struct path_patterns *patterns, enum etp_path_root root)
{
	return number_of(patterns, PATH_PATTERN_NONE, root, 0);
}

bool path_patterns_begin(struct path_patterns *patterns, const struct path_walk *walk)
{
	if (walk->node_count > patterns->of_node_capacity) {
		uint32_t *of_node = reallocarray(patterns->of_node, walk->node_capacity,
		                                 sizeof(*patterns->of_node));
		if (!of_node)
			return false;
		patterns->of_node = of_node;
		patterns->of_node_capacity = walk->node_capacity;
	}
	// PATH_PATTERN_NONE.
	if (walk->node_count)
		memset(patterns->of_node, 0xff, walk->node_count * sizeof(*patterns->of_node));
	return true;
}

void path_patterns_want(struct path_patterns *patterns, const struct path_walk *walk, uint32_t node)
{
	for (; node != PATH_NODE_NONE && patterns->of_node[node] != WANTED;
	     node = walk->nodes[node].parent)
		patterns->of_node[node] = WANTED;
}

static etp_term key_at(struct key_cursor *cursor, const struct path_walk *walk, uint32_t map,
                       uint64_t position)
{
	if (cursor->map != map || position + 1 < cursor->next) {
		struct etp_term_view view;
		etp_term_decode(walk->vm, walk->reader, walk->nodes[map].address, &view);
		if (view.kind != ETP_TERM_FLATMAP && view.kind != ETP_TERM_HASHMAP)
			return 0;
		etp_map_iter_init(&cursor->iter, walk->vm, walk->reader, &view,
		                  ETP_MAP_ORDER_ITERATOR);
		cursor->map = map;
		cursor->next = 0;
		cursor->key = 0;
	}
	etp_term value;
	for (; cursor->next <= position; cursor->next++)
		if (!etp_map_iter_next(&cursor->iter, &cursor->key, &value))
			return 0;
	return cursor->key;
}

static uint64_t atom_or_0(etp_term key)
{
	return term_is_atom(key) ? key : 0;
}

// What stands in a dictionary itself: {Key, Value}, or lists of such pairs where keys
// collide. These are left out, and the key is named.
static bool is_dictionary(const struct path_patterns *patterns, uint32_t pattern)
{
	return patterns->items[pattern].parent == PATH_PATTERN_NONE &&
	       patterns->items[pattern].kind == ETP_PATH_DICTIONARY;
}

static uint32_t part_of_dictionary(struct path_patterns *patterns, uint32_t parent, etp_term pair,
                                   enum etp_path_step_kind kind, uint64_t index)
{
	struct etp_term_view view;
	if (kind == ETP_PATH_LIST_ELEMENT || kind == ETP_PATH_TAIL)
		return parent;
	if (kind != ETP_PATH_ELEMENT ||
	    etp_term_decode(patterns->vm, patterns->reader, pair, &view) != ETP_TERM_TUPLE ||
	    view.tuple.arity != 2)
		return number_of(patterns, parent, kind, index);
	return number_of(patterns, parent, ETP_PATH_VALUE,
	                 atom_or_0(etp_word_at(view.tuple.elements, 0)));
}

static uint32_t find(struct path_patterns *patterns, const struct path_walk *walk, uint32_t number,
                     struct key_cursor *cursor)
{
	const struct path_node *node = &walk->nodes[number];
	if (node->parent == PATH_NODE_NONE)
		return path_patterns_root(patterns, path_walk_root(walk, number));
	uint32_t parent = patterns->of_node[node->parent];
	enum etp_path_step_kind kind = path_node_step(node);
	uint64_t index = path_node_index(node);
	if (is_dictionary(patterns, parent))
		return part_of_dictionary(patterns, parent, walk->nodes[node->parent].address, kind,
		                          index);
	switch (kind) {
	case ETP_PATH_ORIGINAL:
		// A sub-binary and what it is a part of are one thing.
		return parent;
	case ETP_PATH_VALUE:
	case ETP_PATH_KEY:
		return number_of(patterns, parent, kind,
		                 atom_or_0(key_at(cursor, walk, node->parent, index)));
	case ETP_PATH_LIST_ELEMENT:
	case ETP_PATH_TAIL:
		return number_of(patterns, parent, kind, 0);
	default:
		return number_of(patterns, parent, kind, index);
	}
}

// A node stands behind what it is a part of.
bool path_patterns_find(struct path_patterns *patterns, const struct path_walk *walk)
{
	struct key_cursor cursor = {.map = PATH_NODE_NONE};
	for (size_t i = 0; i < walk->node_count; i++) {
		if (patterns->of_node[i] != WANTED)
			continue;
		patterns->of_node[i] = find(patterns, walk, (uint32_t)i, &cursor);
		if (patterns->of_node[i] == PATH_PATTERN_NONE)
			return false;
	}
	return true;
}

struct etp_error *path_patterns_path(const struct path_patterns *patterns, uint32_t pattern,
                                     struct etp_path *ret)
{
	size_t count = 0;
	const struct path_pattern *at = &patterns->items[pattern];
	for (; at->parent != PATH_PATTERN_NONE; at = &patterns->items[at->parent])
		count++;
	struct etp_path path = {.root = at->kind, .step_count = count};
	path.steps = calloc(count + 1, sizeof(*path.steps));
	if (!path.steps)
		return &etp_error_no_memory;
	at = &patterns->items[pattern];
	for (; count--; at = &patterns->items[at->parent]) {
		bool has_key = at->kind == ETP_PATH_VALUE || at->kind == ETP_PATH_KEY;
		path.steps[count] = (struct etp_path_step){
			.kind = at->kind,
			.index = has_key ? 0 : at->value,
			.key = has_key ? at->value : 0,
		};
	}
	*ret = path;
	return NULL;
}
