// SPDX-License-Identifier: Apache-2.0
#include "analysis/range_set.h"

#include <stdlib.h>

void range_set_deinit(struct range_set *set)
{
	free(set->items);
	*set = (struct range_set){0};
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

void range_set_normalize(struct range_set *set)
{
	if (set->count < 2)
		return;
	qsort(set->items, set->count, sizeof(*set->items), compare_ranges);
	size_t last = 0;
	for (size_t i = 1; i < set->count; i++) {
		if (set->items[i].start > set->items[last].end)
			set->items[++last] = set->items[i];
		else if (set->items[i].end > set->items[last].end)
			set->items[last].end = set->items[i].end;
	}
	set->count = last + 1;
}

bool range_set_add(struct range_set *set, uint64_t start, uint64_t end)
{
	if (set->count == set->capacity) {
		range_set_normalize(set);
		if (set->count > set->capacity / 2 || !set->capacity) {
			size_t capacity = set->capacity ? set->capacity * 2 : 4;
			struct range *items = realloc(set->items, capacity * sizeof(*items));
			if (!items)
				return false;
			set->items = items;
			set->capacity = capacity;
		}
	}
	set->items[set->count++] = (struct range){start, end};
	return true;
}

uint64_t range_set_bytes(struct range_set *set)
{
	range_set_normalize(set);
	uint64_t bytes = 0;
	for (size_t i = 0; i < set->count; i++)
		bytes += set->items[i].end - set->items[i].start;
	return bytes;
}
