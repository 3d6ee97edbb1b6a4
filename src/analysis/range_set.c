// SPDX-License-Identifier: Apache-2.0
#include "analysis/range_set.h"

#include <stdlib.h>

void range_set_deinit(struct range_set *set, size_t *room)
{
	*room += set->capacity;
	free(set->items);
	*set = (struct range_set){0};
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

// Merge ranges, sorted ones, between which there are at most `gap` bytes.
static void merge(struct range_set *set, uint64_t gap)
{
	uint32_t last = 0;
	for (uint32_t i = 1; i < set->count; i++) {
		const struct range *item = &set->items[i];
		if (item->start > set->items[last].end && item->start - set->items[last].end > gap)
			set->items[++last] = *item;
		else if (item->end > set->items[last].end)
			set->items[last].end = item->end;
	}
	set->count = last + 1;
}

void range_set_normalize(struct range_set *set)
{
	if (set->count < 2)
		return;
	qsort(set->items, set->count, sizeof(*set->items), compare_ranges);
	merge(set, 0);
}

// To half of what there is room for.
static void coarsen(struct range_set *set)
{
	for (uint64_t gap = 1; gap && set->count > set->capacity / 2; gap *= 2)
		merge(set, gap);
	if (set->count > set->capacity / 2)
		merge(set, UINT64_MAX);
}

// Room for as many again. False when memory ran out.
static bool grow(struct range_set *set, size_t *room, bool *coarse_ret)
{
	uint32_t more = set->capacity ? set->capacity : RANGE_SET_FIRST;
	if (set->capacity && (*room < more || set->capacity > UINT32_MAX / 2)) {
		*coarse_ret = true;
		coarsen(set);
		return true;
	}
	struct range *items =
		reallocarray(set->items, (size_t)set->capacity + more, sizeof(*items));
	if (!items)
		return false;
	set->items = items;
	set->capacity += more;
	*room -= more;
	return true;
}

bool range_set_add(struct range_set *set, uint64_t start, uint64_t end, size_t *room,
                   bool *coarse_ret)
{
	if (set->count == set->capacity) {
		range_set_normalize(set);
		if ((set->count > set->capacity / 2 || !set->capacity) &&
		    !grow(set, room, coarse_ret))
			return false;
	}
	set->items[set->count++] = (struct range){start, end};
	return true;
}

uint64_t range_set_bytes(struct range_set *set)
{
	range_set_normalize(set);
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < set->count; i++)
		bytes += set->items[i].end - set->items[i].start;
	return bytes;
}
