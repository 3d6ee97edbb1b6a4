// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_HEAP_BITS_H
#define ETP_ANALYSIS_HEAP_BITS_H

// A bit for each word of a heap.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/process_heap.h"

struct heap_bits {
	const struct process_heap *heap;
	uint64_t *bits;
	size_t capacity;
};

void heap_bits_deinit(struct heap_bits *bits);

// Clear all, for `heap`, which must stay until the next time. False when memory ran out.
bool heap_bits_begin(struct heap_bits *bits, const struct process_heap *heap);

// Set the bit of the word at `address`. False if it was set before, or the heap does not
// have that word.
bool heap_bits_set(struct heap_bits *bits, uint64_t address);
bool heap_bits_test(const struct heap_bits *bits, uint64_t address);

#endif
