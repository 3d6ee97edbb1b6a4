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

struct range_set {
	struct range *items;
	size_t count, capacity;
};

void range_set_deinit(struct range_set *set);
// False when memory ran out.
bool range_set_add(struct range_set *set, uint64_t start, uint64_t end);
// Sort and merge; afterwards the items are disjoint and ascending.
void range_set_normalize(struct range_set *set);
// Number of bytes in the union. Normalizes.
uint64_t range_set_bytes(struct range_set *set);

#endif
