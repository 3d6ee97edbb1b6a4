// SPDX-License-Identifier: Apache-2.0
#include "vm/ets_order.h"

#include <string.h>

#include "util/pages.h"

enum {
	PAGE_SHIFT = 12,
	DIGIT_BITS = 11,
	DIGITS = 1 << DIGIT_BITS,
	// Fewer are not worth it.
	SORTED_MIN = 256,
};

static const size_t ROOM = 2 * ETS_ORDER_CHAINS * sizeof(uint64_t);

void ets_order_init(struct ets_order *order)
{
	*order = (struct ets_order){0};
}

// Sorting swaps the two.
void ets_order_deinit(struct ets_order *order)
{
	pages_free(order->nodes < order->spare ? order->nodes : order->spare, ROOM);
}

bool ets_order_begin(struct ets_order *order)
{
	if (!order->nodes) {
		order->nodes = pages_alloc(ROOM);
		if (!order->nodes)
			return false;
		order->spare = order->nodes + ETS_ORDER_CHAINS;
	}
	order->count = order->next = order->rest = 0;
	order->is_rest = false;
	return true;
}

// Stable, by some bits of the address.
static void sort_by_digit(struct ets_order *order, unsigned shift)
{
	uint32_t starts[DIGITS] = {0}, start = 0;
	for (size_t i = 0; i < order->count; i++)
		starts[order->nodes[i] >> shift & (DIGITS - 1)]++;
	for (size_t i = 0; i < DIGITS; i++) {
		uint32_t count = starts[i];
		starts[i] = start;
		start += count;
	}
	for (size_t i = 0; i < order->count; i++) {
		uint64_t node = order->nodes[i];
		order->spare[starts[node >> shift & (DIGITS - 1)]++] = node;
	}
	uint64_t *sorted = order->spare;
	order->spare = order->nodes;
	order->nodes = sorted;
}

// By pages. That those come together which are equal in these bits alone does no harm.
void ets_order_sort(struct ets_order *order)
{
	if (order->count < SORTED_MIN)
		return;
	sort_by_digit(order, PAGE_SHIFT);
	sort_by_digit(order, PAGE_SHIFT + DIGIT_BITS);
}

void ets_order_take_rest(struct ets_order *order)
{
	order->count = order->rest;
	order->next = order->rest = 0;
	order->is_rest = true;
	ets_order_sort(order);
}
