// SPDX-License-Identifier: Apache-2.0
#include "util/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "util/array.h"

static unsigned char *new_chunk(struct chunks *chunks, size_t size)
{
	unsigned char *chunk = chunks->spare;
	if (!chunk)
		return calloc(CHUNK_ITEMS, size);
	memcpy(&chunks->spare, chunk, sizeof(chunks->spare));
	memset(chunk, 0, CHUNK_ITEMS * size);
	return chunk;
}

bool chunks_reserve(struct chunks *chunks, size_t index, size_t size)
{
	while (chunks->count <= index / CHUNK_ITEMS) {
		unsigned char *items = new_chunk(chunks, size);
		unsigned char **slot = items ? array_add(&chunks->chunks, &chunks->count,
		                                         &chunks->capacity, sizeof(*slot))
		                             : NULL;
		if (!slot) {
			free(items);
			return false;
		}
		*slot = items;
	}
	return true;
}

void chunks_trim(struct chunks *chunks, size_t keep)
{
	while (chunks->count > keep)
		free(chunks->chunks[--chunks->count]);
}

void chunks_hand_over(struct chunks *to, struct chunks *from, size_t chunk)
{
	unsigned char *items = from->chunks[chunk];
	memcpy(items, &to->spare, sizeof(to->spare));
	to->spare = items;
	from->chunks[chunk] = NULL;
}

void chunks_deinit(struct chunks *chunks)
{
	chunks_trim(chunks, 0);
	free(chunks->chunks);
	for (unsigned char *chunk = chunks->spare, *next; chunk; chunk = next) {
		memcpy(&next, chunk, sizeof(next));
		free(chunk);
	}
	*chunks = (struct chunks){0};
}
