// SPDX-License-Identifier: Apache-2.0
#include "vm/ets_parts.h"

#include <stdlib.h>

#include "util/array.h"
#include "vm/vm.h"

enum {
	// Levels of a tree that are gone down for parts: at most 4,096 of them.
	LEVELS_MAX = 12,
	// Parts of a hash table besides its first segment, whatever its counter says.
	HASH_PARTS_MAX = 1 << LEVELS_MAX,
};

struct planner {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	struct ets_parts *parts;
	// Roots of AVL trees: one, or that of each base node of a CA tree.
	uint64_t *roots;
	size_t root_count, root_capacity;
	// A node that is to come before the next tree.
	uint64_t node;
	bool out_of_memory;
};

static bool add_part(struct planner *p, struct ets_part part)
{
	struct ets_parts *parts = p->parts;
	struct ets_part *slot =
		array_add(&parts->parts, &parts->count, &parts->capacity, sizeof(*slot));
	if (slot)
		*slot = part;
	else
		p->out_of_memory = true;
	return slot;
}

static bool add_root(struct planner *p, uint64_t root)
{
	uint64_t *slot = array_add(&p->roots, &p->root_count, &p->root_capacity, sizeof(*slot));
	if (slot)
		*slot = root;
	else
		p->out_of_memory = true;
	return slot;
}

// Segments are read as a whole, and must not be divided.
static bool divide_hash(struct planner *p, const struct etp_ets_iter *whole, uint64_t size,
                        uint64_t rows)
{
	uint64_t all = whole->slots / SEGMENT_SLOTS, segments = all * rows / size;
	uint64_t fewest = all / HASH_PARTS_MAX + 1;
	uint64_t slots = (segments > fewest ? segments : fewest) * SEGMENT_SLOTS;
	uint64_t end = 0;
	for (uint64_t slot = 0; slot < whole->slots; slot = end) {
		end += slot ? slots : slots - SEGMENT_SLOTS + FIRST_SEGMENT_SLOTS;
		if (end > whole->slots)
			end = whole->slots;
		if (!add_part(p, (struct ets_part){.slot = slot, .slots = end}))
			return false;
	}
	return true;
}

static bool may_visit(struct planner *p)
{
	return p->parts->visits++ < p->parts->budget;
}

// Divide the AVL tree below `root` at its `levels`-th level. False if a node cannot be read.
static bool divide_tree(struct planner *p, uint64_t root, unsigned levels)
{
	struct {
		uint64_t node;
		unsigned level, above;
		bool is_entered;
	} stack[2 * LEVELS_MAX + 2] = {{.node = root}};
	unsigned depth = 1;
	while (depth) {
		uint64_t node = stack[--depth].node, left, right;
		unsigned level = stack[depth].level, above = stack[depth].above;
		if (stack[depth].is_entered) {
			// Nothing was below it on its left, or that is a part by now.
			if (p->node && !add_part(p, (struct ets_part){.node = p->node}))
				return false;
			p->node = node;
			continue;
		}
		if (!node)
			continue;
		if (level == levels) {
			struct ets_part part = {
				.node = p->node,
				.root = node,
				.depth_above = above,
			};
			if (!add_part(p, part))
				return false;
			p->node = 0;
			continue;
		}
		if (!may_visit(p) || !READ_WORD(p->vm, p->reader, node, TreeDbTerm, left, &left) ||
		    !READ_WORD(p->vm, p->reader, node, TreeDbTerm, right, &right))
			return false;
		stack[depth].node = right;
		stack[depth].level = level + 1;
		stack[depth].above = above;
		stack[depth++].is_entered = false;
		stack[depth].node = node;
		stack[depth++].is_entered = true;
		stack[depth].node = left;
		stack[depth].level = level + 1;
		stack[depth].above = above + 1;
		stack[depth++].is_entered = false;
	}
	return true;
}

// Base nodes of a CA tree from left to right. False if a node cannot be read.
static bool find_base_nodes(struct planner *p, uint64_t node)
{
	const struct etp_vm *vm = p->vm;
	uint64_t stack[ETP_ETS_STACK_DEPTH];
	unsigned depth = 0;
	while (node || depth) {
		uint64_t is_base, next;
		if (!node) {
			// cppcheck-suppress uninitvar ; depth counts what was put there
			if (!READ_WORD(vm, p->reader, stack[--depth], DbTableCATreeNode, right,
			               &node))
				return false;
			continue;
		}
		if (!may_visit(p) ||
		    !READ_ANY(vm, p->reader, node, DbTableCATreeNode, is_base_node, &is_base))
			return false;
		if (is_base) {
			if (!READ_WORD(vm, p->reader, node, DbTableCATreeNode, base_root, &next) ||
			    !add_root(p, next))
				return false;
			node = 0;
			continue;
		}
		if (depth == ETP_ETS_STACK_DEPTH)
			return false;
		stack[depth++] = node;
		if (!READ_WORD(vm, p->reader, node, DbTableCATreeNode, left, &node))
			return false;
	}
	return true;
}

static bool divide_trees(struct planner *p, const struct etp_ets_table *table, uint64_t size,
                         uint64_t rows)
{
	uint64_t root;
	if (table->type == ETP_ETS_ORDERED_SET) {
		if (!READ_WORD(p->vm, p->reader, table->address, DbTableTree, root, &root) ||
		    !add_root(p, root))
			return false;
	} else if (!READ_WORD(p->vm, p->reader, table->address, DbTableCATree, root, &root) ||
	           !find_base_nodes(p, root)) {
		return false;
	}
	unsigned levels = 0;
	if (!p->root_count)
		return true;
	while (levels < LEVELS_MAX && size / rows / p->root_count >> levels)
		levels++;
	for (size_t i = 0; i < p->root_count; i++) {
		if (!divide_tree(p, p->roots[i], levels))
			return false;
		if (p->node && !add_part(p, (struct ets_part){.node = p->node}))
			return false;
		p->node = 0;
	}
	return true;
}

bool ets_parts_init(struct ets_parts *parts, const struct etp_vm *vm, struct etp_reader *reader,
                    const struct etp_ets_table *table, uint64_t rows)
{
	*parts = (struct ets_parts){0};
	uint64_t size = table->size > 0 ? (uint64_t)table->size : 0;
	if (table->problem || table->is_deleting || size < 2 * rows)
		return true;
	struct etp_ets_iter whole;
	etp_ets_iter_init(&whole, vm, reader, table);
	if (whole.unreadable)
		return true;
	struct planner p = {.vm = vm, .reader = reader, .parts = parts};
	bool divided;
	if (table->type <= ETP_ETS_DUPLICATE_BAG) {
		parts->budget = whole.budget;
		parts->segtab = whole.segtab;
		divided = divide_hash(&p, &whole, size, rows);
	} else {
		// It went down the left side already.
		parts->budget = ets_iter_tree_budget(&whole);
		divided = divide_trees(&p, table, size, rows);
	}
	free(p.roots);
	if (!divided)
		ets_parts_deinit(parts);
	return !p.out_of_memory;
}

void ets_parts_deinit(struct ets_parts *parts)
{
	free(parts->parts);
	*parts = (struct ets_parts){0};
}
