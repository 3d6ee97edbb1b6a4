// SPDX-License-Identifier: Apache-2.0
#include <etp/timers.h>

#include <stdlib.h>

#include "util/array.h"
#include "vm/vm.h"

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_terms(const void *a, const void *b)
{
	return compare(*(const etp_term *)a, *(const etp_term *)b);
}

// Of two that are equal otherwise, the one at the lower address comes first.
static int compare_remaining(const void *a, const void *b)
{
	const struct etp_timer *x = a, *y = b;
	if (x->remaining_ms != y->remaining_ms)
		return x->remaining_ms < y->remaining_ms ? -1 : 1;
	return compare(x->address, y->address);
}

static int compare_receivers(const void *a, const void *b)
{
	const struct etp_timer_receiver *x = a, *y = b;
	if (x->receiver != y->receiver)
		return compare(x->receiver, y->receiver);
	return x->remaining_ms < y->remaining_ms ? -1 : x->remaining_ms > y->remaining_ms;
}

static int compare_counts(const void *a, const void *b)
{
	const struct etp_timer_receiver *x = a, *y = b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return compare(x->receiver, y->receiver);
}

static bool collect(const struct etp_vm *vm, const etp_term *wanted, size_t wanted_count,
                    struct etp_timers *found)
{
	struct etp_reader reader;
	struct etp_timer_iter iter;
	struct etp_timer timer;
	size_t capacity = 0;
	etp_reader_init(&reader, vm->target);
	etp_timer_iter_init(&iter, vm, &reader);
	while (etp_timer_iter_next(&iter, &timer)) {
		if (wanted_count &&
		    !bsearch(&timer.receiver, wanted, wanted_count, sizeof(*wanted), compare_terms))
			continue;
		struct etp_timer *slot =
			array_add(&found->timers, &found->count, &capacity, sizeof(*slot));
		if (!slot)
			return false;
		*slot = timer;
	}
	found->cancelled = iter.cancelled;
	found->gaps = iter.gaps;
	found->problem = iter.problem;
	return true;
}

static bool count_receivers(struct etp_timers *found)
{
	if (!found->count)
		return true;
	found->receivers = calloc(found->count, sizeof(*found->receivers));
	if (!found->receivers)
		return false;
	for (size_t i = 0; i < found->count; i++)
		found->receivers[i] = (struct etp_timer_receiver){
			.receiver = found->timers[i].receiver,
			.count = 1,
			.remaining_ms = found->timers[i].remaining_ms,
		};
	qsort(found->receivers, found->count, sizeof(*found->receivers), compare_receivers);
	size_t last = 0;
	for (size_t i = 1; i < found->count; i++) {
		if (found->receivers[i].receiver == found->receivers[last].receiver)
			found->receivers[last].count++;
		else
			found->receivers[++last] = found->receivers[i];
	}
	found->receiver_count = last + 1;
	qsort(found->receivers, found->receiver_count, sizeof(*found->receivers), compare_counts);
	return true;
}

struct etp_error *etp_timers_take(const struct etp_vm *vm, const etp_term *wanted,
                                  size_t wanted_count, struct etp_timers *ret)
{
	struct etp_timers found = {0};
	etp_term *sorted = NULL;
	bool ok = true;
	if (wanted_count) {
		sorted = malloc(wanted_count * sizeof(*sorted));
		ok = sorted;
		if (ok) {
			memcpy(sorted, wanted, wanted_count * sizeof(*sorted));
			qsort(sorted, wanted_count, sizeof(*sorted), compare_terms);
		}
	}
	ok = ok && collect(vm, sorted, wanted_count, &found);
	if (ok && found.count)
		qsort(found.timers, found.count, sizeof(*found.timers), compare_remaining);
	ok = ok && count_receivers(&found);
	free(sorted);
	if (!ok) {
		etp_timers_deinit(&found);
		return &etp_error_no_memory;
	}
	*ret = found;
	return NULL;
}

void etp_timers_deinit(struct etp_timers *timers)
{
	free(timers->timers);
	free(timers->receivers);
}
