// SPDX-License-Identifier: Apache-2.0
#include "util/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

// Below it, malloc() knows better.
static const size_t LARGE = 1 << 20;

void *pages_alloc(size_t bytes)
{
	if (bytes < LARGE)
		return calloc(1, bytes);
	void *items = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (items == MAP_FAILED)
		return NULL;
	// Without it all works as well.
	(void)madvise(items, bytes, MADV_HUGEPAGE);
	return items;
}

void pages_drop(void *part, size_t bytes)
{
	// Without it all works as well.
	(void)madvise(part, bytes, MADV_DONTNEED);
}

void pages_free(void *items, size_t bytes)
{
	if (bytes < LARGE)
		free(items);
	else if (items)
		munmap(items, bytes);
}
