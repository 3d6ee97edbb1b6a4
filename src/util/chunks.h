// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_CHUNKS_H
#define ETP_UTIL_CHUNKS_H

// An array in pieces of a fixed number of items: it grows without being copied, and so has
// hardly more room than it needs, and items stay where they are.

#include <stdbool.h>
#include <stddef.h>

enum { CHUNK_ITEMS = 256 };

struct chunks {
	unsigned char **chunks;
	size_t count, capacity;
	// Chunks that wait to be used, each with the address of the next in its first bytes.
	unsigned char *spare;
};

// Item number `index`, of `size` bytes each, for which there is room.
static inline void *chunk_item(const struct chunks *chunks, size_t index, size_t size)
{
	return chunks->chunks[index / CHUNK_ITEMS] + index % CHUNK_ITEMS * size;
}

// Make room for item number `index`; new room is all zero. False when memory ran out.
bool chunks_reserve(struct chunks *chunks, size_t index, size_t size);
// Give up all but the first `keep` chunks.
void chunks_trim(struct chunks *chunks, size_t keep);
// Of chunk number `chunk` of `from`, which has items of the same size, none is needed any more: it
// will be the next one of `to`.
void chunks_hand_over(struct chunks *to, struct chunks *from, size_t chunk);
void chunks_deinit(struct chunks *chunks);

#endif
