// SPDX-License-Identifier: Apache-2.0
#include "util/chunks.h"

#include <stdlib.h>

#include "util/array.h"

bool chunks_reserve(struct chunks *chunks, size_t index, size_t size)
{
	while (chunks->count <= index / CHUNK_ITEMS) {
		unsigned char *items = calloc(CHUNK_ITEMS, size);
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

void chunks_drop(struct chunks *chunks, size_t chunk)
{
	free(chunks->chunks[chunk]);
	chunks->chunks[chunk] = NULL;
}

void chunks_deinit(struct chunks *chunks)
{
	chunks_trim(chunks, 0);
	free(chunks->chunks);
	*chunks = (struct chunks){0};
}
