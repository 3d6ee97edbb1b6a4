// SPDX-License-Identifier: Apache-2.0
#include "util/unmap.h"

#include <sys/mman.h>

#include "util/crew.h"

// What a thread takes out at a time.
static const size_t PIECE = 64 << 20;

struct mapping {
	char *bytes;
	size_t size;
};

// Pages are taken out by several threads at a time, mappings are not.
static bool drop_piece(void *worker, size_t item)
{
	const struct mapping *mapping = worker;
	size_t start = item * PIECE, left = mapping->size - start;
	(void)madvise(mapping->bytes + start, left < PIECE ? left : PIECE, MADV_DONTNEED);
	return true;
}

void unmap(void *bytes, size_t size)
{
	struct mapping mapping = {bytes, size};
	struct crew crew;
	void *workers[CREW_THREADS_MAX];
	crew_init(&crew);
	crew.items = size / PIECE;
	crew.work = drop_piece;
	size_t count = crew_size(crew.items, 0);
	for (size_t i = 0; i < count; i++)
		workers[i] = &mapping;
	// What is less than a piece, or is left, goes with the mapping.
	if (count > 1)
		(void)crew_run(&crew, workers, count);
	crew_deinit(&crew);
	munmap(bytes, size);
}
