// SPDX-License-Identifier: Apache-2.0
#include <etp/heap.h>

#include <stdlib.h>

#include "util/array.h"
#include "util/top.h"

void etp_heap_largest_init(struct etp_heap_largest *largest, size_t most)
{
	*largest = (struct etp_heap_largest){.most = most};
}

void etp_heap_largest_deinit(struct etp_heap_largest *largest)
{
	free(largest->things);
}

static int compare(const void *a, const void *b)
{
	const struct etp_heap_thing *x = a, *y = b;
	if (x->words != y->words)
		return x->words > y->words ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

bool etp_heap_largest_put(struct etp_heap_largest *largest, const struct etp_heap_thing *thing)
{
	largest->total++;
	largest->invalid += thing->kind == ETP_HEAP_INVALID;
	if (largest->count == largest->most) {
		top_offer(largest->things, largest->count, sizeof(*thing), thing, compare);
		return true;
	}
	struct etp_heap_thing *slot =
		array_add(&largest->things, &largest->count, &largest->capacity, sizeof(*slot));
	if (!slot)
		return false;
	*slot = *thing;
	top_added(largest->things, largest->count, sizeof(*thing), compare);
	return true;
}

bool etp_heap_largest_add(struct etp_heap_largest *largest, struct etp_heap_iter *iter,
                          uint64_t things)
{
	struct etp_heap_thing thing;
	for (uint64_t i = 0; i < things && etp_heap_iter_next(iter, &thing); i++)
		if (!etp_heap_largest_put(largest, &thing))
			return false;
	largest->unreadable += iter->unreadable;
	iter->unreadable = 0;
	return true;
}

void etp_heap_largest_sort(struct etp_heap_largest *largest)
{
	if (largest->count)
		qsort(largest->things, largest->count, sizeof(*largest->things), compare);
}
