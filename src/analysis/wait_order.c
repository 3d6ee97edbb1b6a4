// SPDX-License-Identifier: Apache-2.0
#include "analysis/wait_order.h"

#include <stdlib.h>

#include "util/array.h"

// Each waiter has one target at most. Those that nobody waits for are taken away first, then
// those that only these waited for, and so on: what is left are cycles.

static uint32_t add(uint32_t a, uint32_t b)
{
	return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static void count_direct(struct etp_waits *waits)
{
	for (size_t i = 0; i < waits->count; i++)
		if (waits->waiters[i].target != ETP_WAIT_NOBODY)
			waits->waiters[waits->waiters[i].target].direct++;
}

// `left` of each waiter: how many that wait for it are still there.
static void take_away(struct etp_waits *waits, uint32_t *left, uint32_t *queue)
{
	size_t first = 0, end = 0;
	for (size_t i = 0; i < waits->count; i++) {
		left[i] = waits->waiters[i].direct;
		waits->waiters[i].deepest = ETP_WAIT_NOBODY;
		if (!left[i])
			queue[end++] = (uint32_t)i;
	}
	while (first < end) {
		uint32_t at = queue[first++];
		const struct etp_waiter *waiter = &waits->waiters[at];
		if (waiter->target == ETP_WAIT_NOBODY)
			continue;
		struct etp_waiter *target = &waits->waiters[waiter->target];
		target->behind = add(target->behind, waiter->behind + 1);
		if (waiter->depth + 1 > target->depth) {
			target->depth = waiter->depth + 1;
			target->deepest = at;
		}
		if (!--left[waiter->target])
			queue[end++] = waiter->target;
	}
}

static bool is_call(const struct etp_waiter *waiter)
{
	return waiter->wait == ETP_WAIT_CALL || waiter->wait == ETP_WAIT_REQUEST ||
	       waiter->wait == ETP_WAIT_START || waiter->wait == ETP_WAIT_EXIT;
}

// Of the waiters that are left, each is in one cycle.
static struct etp_error *collect_cycles(struct etp_waits *waits, uint32_t *left)
{
	size_t capacity = 0;
	for (uint32_t i = 0; i < waits->count; i++) {
		if (!left[i])
			continue;
		struct etp_wait_cycle *cycle =
			array_add(&waits->cycles, &waits->cycle_count, &capacity, sizeof(*cycle));
		if (!cycle)
			return &etp_error_no_memory;
		*cycle = (struct etp_wait_cycle){.first = i, .is_certain = true};
		for (uint32_t at = i; left[at]; at = waits->waiters[at].target) {
			left[at] = 0;
			cycle->size++;
			cycle->behind = add(cycle->behind, waits->waiters[at].behind);
			cycle->is_certain &= is_call(&waits->waiters[at]);
		}
	}
	return NULL;
}

static int compare_cycles(const void *a, const void *b)
{
	const struct etp_wait_cycle *x = a, *y = b;
	uint64_t size_x = (uint64_t)x->size + x->behind, size_y = (uint64_t)y->size + y->behind;
	if (size_x != size_y)
		return size_x < size_y ? 1 : -1;
	return x->first < y->first ? -1 : 1;
}

struct root {
	uint32_t behind, at;
};

static int compare_roots(const void *a, const void *b)
{
	const struct root *x = a, *y = b;
	if (x->behind != y->behind)
		return x->behind < y->behind ? 1 : -1;
	return x->at < y->at ? -1 : 1;
}

static struct etp_error *collect_roots(struct etp_waits *waits)
{
	struct root *roots = NULL;
	size_t count = 0, capacity = 0;
	for (uint32_t i = 0; i < waits->count; i++) {
		if (waits->waiters[i].target != ETP_WAIT_NOBODY || !waits->waiters[i].direct)
			continue;
		struct root *root = array_add(&roots, &count, &capacity, sizeof(*root));
		if (!root) {
			free(roots);
			return &etp_error_no_memory;
		}
		*root = (struct root){waits->waiters[i].behind, i};
	}
	if (count)
		qsort(roots, count, sizeof(*roots), compare_roots);
	waits->roots = calloc(count + 1, sizeof(*waits->roots));
	for (size_t i = 0; waits->roots && i < count; i++)
		waits->roots[i] = roots[i].at;
	waits->root_count = count;
	free(roots);
	return waits->roots ? NULL : &etp_error_no_memory;
}

struct etp_error *wait_order_find(struct etp_waits *waits)
{
	uint32_t *left = calloc(waits->count + 1, sizeof(*left));
	uint32_t *queue = calloc(waits->count + 1, sizeof(*queue));
	struct etp_error *err = &etp_error_no_memory;
	if (left && queue) {
		count_direct(waits);
		take_away(waits, left, queue);
		err = collect_cycles(waits, left);
	}
	free(left);
	free(queue);
	if (err)
		return err;
	if (waits->cycle_count)
		qsort(waits->cycles, waits->cycle_count, sizeof(*waits->cycles), compare_cycles);
	return collect_roots(waits);
}
