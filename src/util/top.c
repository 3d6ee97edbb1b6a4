// SPDX-License-Identifier: Apache-2.0
#include "util/top.h"

#include <stdlib.h>
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

static int compare_ranks(const void *a, const void *b)
{
	const struct top_rank *x = a, *y = b;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->second != y->second)
		return x->second < y->second ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int compare_reversed(const void *a, const void *b)
{
	return compare_ranks(b, a);
}

size_t *top_choose(size_t count, top_rank_of *rank_of, const void *context, bool reverse,
                   size_t limit, size_t *count_ret, size_t *wanted_ret)
{
	limit = limit < count ? limit : count;
	top_order *order = reverse ? compare_reversed : compare_ranks;
	struct top_rank *ranks = calloc(limit + 1, sizeof(*ranks));
	size_t *indexes = calloc(limit + 1, sizeof(*indexes));
	size_t wanted = 0;
	for (size_t i = 0; ranks && indexes && i < count; i++) {
		struct top_rank rank = {.index = i};
		if (!rank_of(context, i, &rank))
			continue;
		if (wanted++ >= limit) {
			top_offer(ranks, limit, sizeof(rank), &rank, order);
			continue;
		}
		ranks[wanted - 1] = rank;
		// All that there are need no heap to drop the last of.
		if (limit < count)
			top_added(ranks, wanted, sizeof(rank), order);
	}
	if (!ranks || !indexes) {
		free(ranks);
		free(indexes);
		return NULL;
	}
	size_t chosen = wanted < limit ? wanted : limit;
	qsort(ranks, chosen, sizeof(*ranks), order);
	for (size_t i = 0; i < chosen; i++)
		indexes[i] = ranks[i].index;
	free(ranks);
	*count_ret = chosen;
	*wanted_ret = wanted;
	return indexes;
}
