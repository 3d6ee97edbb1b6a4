// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_PATH_WALK_H
#define ETP_ANALYSIS_PATH_WALK_H

// A breadth-first walk over the terms of one holder, that remembers how it got to
// each: the first way found to a thing is a shortest one.
//
// Memory: 16 bytes a thing, so that it is run on one holder at a time and not as
// part of the census.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/path.h>

#include "analysis/heap_bits.h"

static const uint32_t PATH_NODE_NONE = UINT32_MAX;

struct path_node {
	// Of the thing or cons cell.
	uint64_t address;
	uint32_t parent;
	// Which part of the parent: an enum etp_path_step_kind in the high 4 bits, its
	// index in the others.
	uint32_t step;
};

enum { PATH_STEP_KIND_SHIFT = 28, PATH_STEP_INDEX_MASK = (1 << PATH_STEP_KIND_SHIFT) - 1 };

static inline enum etp_path_step_kind path_node_step(const struct path_node *node)
{
	return node->step >> PATH_STEP_KIND_SHIFT;
}

static inline uint32_t path_node_index(const struct path_node *node)
{
	return node->step & PATH_STEP_INDEX_MASK;
}

struct path_walk {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// Where the holder's things are; others are not entered.
	const struct process_heap *heap;
	// Things that were met.
	struct heap_bits met;
	struct path_node *nodes;
	size_t node_count, node_capacity, node_limit;
	// For each root that was entered, the node where its things begin.
	struct path_root {
		uint32_t root, first_node;
	} * roots;
	size_t root_count, root_capacity;
	// The walk was given up because it met too many things.
	bool truncated;
	uint64_t unreadable;
};

void path_walk_init(struct path_walk *walk, const struct etp_vm *vm, struct etp_reader *reader);
void path_walk_deinit(struct path_walk *walk);

// Called once for each thing, in order of distance; false ends the walk.
typedef bool path_visit_fn(void *context, struct path_walk *walk, uint32_t node,
                           const struct etp_term_view *view);

// Walk from the roots of `heap`, or from `start` if it has none. False when memory ran
// out.
bool path_walk_run(struct path_walk *walk, const struct process_heap *heap, etp_term start,
                   path_visit_fn *visit, void *context);

// Where the way to a node begins that is no part of another.
enum etp_path_root path_walk_root(const struct path_walk *walk, uint32_t node);

// The way to a node. Error: NO_MEMORY.
struct etp_error *path_walk_path(struct path_walk *walk, uint32_t node, struct etp_path *ret);

// The way to a binary that bytes of an undecoded signal are in. Error: NO_MEMORY.
struct etp_error *path_to_external(const struct process_heap *heap,
                                   const struct heap_external *external, struct etp_path *ret);

#endif
