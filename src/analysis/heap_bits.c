// SPDX-License-Identifier: Apache-2.0
#include "analysis/heap_bits.h"

#include <stdlib.h>
#include <string.h>

void heap_bits_deinit(struct heap_bits *bits)
{
	free(bits->bits);
	*bits = (struct heap_bits){0};
}

bool heap_bits_begin(struct heap_bits *bits, const struct process_heap *heap)
{
	size_t size = (size_t)(heap->words / 64 + 1);
	if (size > bits->capacity) {
		uint64_t *grown = realloc(bits->bits, size * sizeof(*grown));
		if (!grown)
			return false;
		bits->bits = grown;
		bits->capacity = size;
	}
	memset(bits->bits, 0, size * sizeof(*bits->bits));
	bits->heap = heap;
	return true;
}

// The word of the bitmap, and in it the bit, of an address. NULL if the heap does not
// have it.
static uint64_t *find(const struct heap_bits *bits, uint64_t address, uint64_t *mask_ret)
{
	const struct heap_area *area = process_heap_find(bits->heap, address);
	if (!area)
		return NULL;
	uint64_t bit = area->bit + (address - area->start) / 8;
	*mask_ret = UINT64_C(1) << bit % 64;
	return &bits->bits[bit / 64];
}

bool heap_bits_set(struct heap_bits *bits, uint64_t address)
{
	uint64_t mask, *word = find(bits, address, &mask);
	if (!word || *word & mask)
		return false;
	*word |= mask;
	return true;
}

bool heap_bits_test(const struct heap_bits *bits, uint64_t address)
{
	uint64_t mask, *word = find(bits, address, &mask);
	return word && *word & mask;
}
