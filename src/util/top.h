// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_TOP_H
#define ETP_UTIL_TOP_H

// The first few of many items in some order, without sorting all of them: in an array of
// the caller's, which is a heap with the last of them on top until it is sorted.

#include <stddef.h>

// As qsort() has it; no two items may be equal.
typedef int top_order(const void *a, const void *b);

// `count` items are in the array at `items`, each of `size` bytes, the last of which was
// added behind the others just now.
void top_added(void *items, size_t count, size_t size, top_order *order);

// Of the `count` items and this one, the last in order goes.
void top_offer(void *items, size_t count, size_t size, const void *item, top_order *order);

#endif
