// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_MARK_H
#define ETP_ANALYSIS_MARK_H

// Marks what of a process's heap is alive: what its roots lead to. What stays
// unmarked is what a major garbage collection would free.

#include <stdbool.h>
#include <stdint.h>

#include "analysis/binary_map.h"
#include "analysis/process_heap.h"

// Words that are still to be looked at.
struct mark_range {
	const unsigned char *words;
	uint64_t count;
};

struct marker {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	const struct process_heap *heap;
	// Gets the ranges that live terms see of the binaries in it.
	struct binary_map *binaries;
	// Binaries that are met join the map.
	bool collect;
	// A bit a word of the heap: a live thing starts there.
	uint64_t *bits;
	size_t bits_capacity;
	// While measuring: which blocks of the bits have some that are set, a bit a block, so that
	// a small term of a large heap costs no more than itself. In the first `tracked` words of
	// the bits none is set elsewhere.
	uint64_t *touched;
	size_t tracked;
	struct mark_range *stack;
	size_t stack_count, stack_capacity;
	const struct heap_area *last_area;
	// Words of live things, terms visited, and pointers that lead out of the
	// process's own memory: to literals, or astray.
	uint64_t live_words, terms, foreign;
	// Of the live words, heads and nodes of tries; and the pairs that the heads count.
	uint64_t trie_words, trie_pairs;
	uint64_t unreadable;
	const char *problem;
};

void marker_init(struct marker *marker, const struct etp_vm *vm, struct etp_reader *reader);
void marker_deinit(struct marker *marker);

// Mark from the roots of `heap`, which must stay until the next run; those of messages
// in transit only if asked. False when memory ran out.
bool marker_run(struct marker *marker, const struct process_heap *heap, struct binary_map *binaries,
                bool in_transit);

// Mark from `term` only: marker->live_words is what it and all in it occupy, and
// `binaries` gets the off-heap binaries that it refers to. False when memory ran out.
bool marker_measure(struct marker *marker, const struct process_heap *heap, etp_term term,
                    struct binary_map *binaries);

// Go on with another term: marker->live_words grows by what was not marked before. False when
// memory ran out.
bool marker_measure_more(struct marker *marker, etp_term term);

// Is the thing at `address` alive?
bool marker_is_live(const struct marker *marker, uint64_t address);

#endif
