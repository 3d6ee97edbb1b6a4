// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_TOP_H
#define ETP_UTIL_TOP_H

// The first few of many items in some order, without sorting all of them: in an array of
// the caller's, which is a heap with the last of them on top until it is sorted.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// As qsort() has it; no two items may be equal.
typedef int top_order(const void *a, const void *b);

// `count` items are in the array at `items`, each of `size` bytes, the last of which was
// added behind the others just now.
void top_added(void *items, size_t count, size_t size, top_order *order);

// Of the `count` items and this one, the last in order goes.
void top_offer(void *items, size_t count, size_t size, const void *item, top_order *order);

// What decides where an item comes: the smaller `first`, then `second`, then the item's number.
struct top_rank {
	uint64_t first, second;
	size_t index;
};

// Of item number `index`; `ret` has that already. False if it is not wanted.
typedef bool top_rank_of(const void *context, size_t index, struct top_rank *ret);

// The numbers of the first `limit` of those of `count` items that are wanted, or with `reverse` of
// the last, last first: `*count_ret` of `*wanted_ret`. The caller frees them. NULL when memory ran
// out. The time it takes hardly grows with `limit`, the memory does.
size_t *top_choose(size_t count, top_rank_of *rank_of, const void *context, bool reverse,
                   size_t limit, size_t *count_ret, size_t *wanted_ret);

#endif
