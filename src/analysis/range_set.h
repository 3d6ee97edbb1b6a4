// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_RANGE_SET_H
#define ETP_ANALYSIS_RANGE_SET_H

// A set of half-open ranges of bytes. Ranges are appended as they come and
// merged when the array is full, so that adding is O(log n) amortised.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end;
};

// What an empty set takes when the first range is added.
enum { RANGE_SET_FIRST = 2 };

struct range_set {
	struct range *items;
	uint32_t count, capacity;
};

// Takes what was of `*room` back to it.
void range_set_deinit(struct range_set *set, size_t *room);
// Room for further ranges is taken from `*room`, where there must be RANGE_SET_FIRST for an empty
// set. When there is none, ranges that are near each other become one with what is between them,
// and `*coarse_ret` is set. False when memory ran out.
bool range_set_add(struct range_set *set, uint64_t start, uint64_t end, size_t *room,
                   bool *coarse_ret);
// Sort and merge; afterwards the items are disjoint and ascending.
void range_set_normalize(struct range_set *set);
// Number of bytes in the union. Normalizes.
uint64_t range_set_bytes(struct range_set *set);

#endif
