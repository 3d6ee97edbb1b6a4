// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_ETS_ORDER_H
#define ETP_VM_ETS_ORDER_H

// In which order a walk over a hash table visits its chains. A hash value scatters objects over all
// of the table's memory, and each is in a page that the processor has to look up. So the first
// objects of many chains are visited in the order in which they lie in memory, and then what the
// chains go on with; objects that were made one after the other refer to what was made then, too.
//
// Memory: 16 bytes a chain, for ETS_ORDER_CHAINS of them at a time.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/ets.h>

enum {
	// Chains that are put in order together.
	ETS_ORDER_CHAINS = 1 << 17,
};

struct ets_order {
	// Room for the chains at hand, and for sorting them.
	uint64_t *nodes, *spare;
	// Chains at hand, and how many of them were visited.
	size_t count, next;
	// Of those, how many go on: where they do stands before what is still to be visited.
	size_t rest;
	// These are what chains go on with.
	bool is_rest;
};

void ets_order_init(struct ets_order *order);
void ets_order_deinit(struct ets_order *order);

// Make room, and forget what was at hand. False when memory ran out.
bool ets_order_begin(struct ets_order *order);
// One more chain, if there is room.
static inline void ets_order_add(struct ets_order *order, uint64_t node)
{
	order->nodes[order->count++] = node;
}
// All are there: put them in order.
void ets_order_sort(struct ets_order *order);
// The chain that was visited last goes on at `node`.
static inline void ets_order_put_aside(struct ets_order *order, uint64_t node)
{
	order->nodes[order->rest++] = node;
}
// All were visited: what they go on with comes next.
void ets_order_take_rest(struct ets_order *order);

// From here on `iter` visits what is left of a hash table in this order, which is `order`'s for as
// long as it is used. A tree stays as it is, and so does a small table, or any when memory ran out.
void ets_iter_put_in_order(struct etp_ets_iter *iter, struct ets_order *order);

#endif
