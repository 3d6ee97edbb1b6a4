// SPDX-License-Identifier: Apache-2.0
#include "util/top.h"

#include <string.h>

static char *at(void *items, size_t index, size_t size)
{
	return (char *)items + index * size;
}

static void swap(char *a, char *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char byte = a[i];
		a[i] = b[i];
		b[i] = byte;
	}
}

void top_added(void *items, size_t count, size_t size, top_order *order)
{
	for (size_t i = count - 1, above; i; i = above) {
		above = (i - 1) / 2;
		if (order(at(items, above, size), at(items, i, size)) > 0)
			return;
		swap(at(items, above, size), at(items, i, size), size);
	}
}

void top_offer(void *items, size_t count, size_t size, const void *item, top_order *order)
{
	if (!count || order(item, items) > 0)
		return;
	memcpy(items, item, size);
	for (size_t i = 0, below; (below = 2 * i + 1) < count; i = below) {
		if (below + 1 < count &&
		    order(at(items, below, size), at(items, below + 1, size)) < 0)
			below++;
		if (order(at(items, i, size), at(items, below, size)) > 0)
			return;
		swap(at(items, i, size), at(items, below, size), size);
	}
}
