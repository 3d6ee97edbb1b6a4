// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_PATH_PATTERN_H
#define ETP_ANALYSIS_PATH_PATTERN_H

// Ways to things of a walk without what differs from one instance to the next: positions
// in lists and on the stack, and keys that are no atoms. What many ways have in common is
// there once. Of very long ways the end is left out.
//
// Memory: 4 bytes a node of the walk at hand; 24 bytes a pattern, and 8 to 16 for its slot.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/path_walk.h"

static const uint32_t PATH_PATTERN_NONE = UINT32_MAX;

struct path_pattern {
	// The way to what this is a part of; PATH_PATTERN_NONE: this is a root.
	uint32_t parent;
	// An enum etp_path_root or an enum etp_path_step_kind.
	uint32_t kind;
	// Index of an element or free variable; a key that is an atom, else 0.
	uint64_t value;
	uint32_t steps;
	// For whoever counts what is at the end of such a way; 0 at first.
	uint32_t first_counter;
};

struct path_patterns {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	struct path_pattern *items;
	size_t count, capacity;
	// Open addressing: number of an item, from 1.
	uint32_t *slots;
	size_t slot_count;
	// By the number of a node.
	uint32_t *of_node;
	size_t of_node_capacity;
};

void path_patterns_init(struct path_patterns *patterns, const struct etp_vm *vm,
                        struct etp_reader *reader);
void path_patterns_deinit(struct path_patterns *patterns);
// Forget all of them.
void path_patterns_clear(struct path_patterns *patterns);

// To find those of nodes of `walk`: begin, ask for each node, find. False when memory ran out.
bool path_patterns_begin(struct path_patterns *patterns, const struct path_walk *walk);
void path_patterns_want(struct path_patterns *patterns, const struct path_walk *walk,
                        uint32_t node);
bool path_patterns_find(struct path_patterns *patterns, const struct path_walk *walk);
// Number of the pattern of a node that was asked for.
static inline uint32_t path_patterns_of(const struct path_patterns *patterns, uint32_t node)
{
	return patterns->of_node[node];
}

// Number of the pattern of a root as a whole; PATH_PATTERN_NONE when memory ran out.
uint32_t path_patterns_root(struct path_patterns *patterns, enum etp_path_root root);

// As a path. A key of a dictionary is a step VALUE. Error: NO_MEMORY.
struct etp_error *path_patterns_path(const struct path_patterns *patterns, uint32_t pattern,
                                     struct etp_path *ret);

#endif
