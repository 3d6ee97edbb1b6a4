// SPDX-License-Identifier: Apache-2.0
// The first of the binaries that were found, in some order.
#include <etp/ets_scan.h>

#include <stdlib.h>

#include "util/top.h"

struct ranked {
	uint64_t rank, address;
	size_t index;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	// In which order they were found depends on the threads.
	return x->address < y->address ? -1 : x->address > y->address;
}

static int compare_reversed(const void *a, const void *b)
{
	return compare_ranked(b, a);
}

static uint64_t rank_of(const struct etp_ets_scan_binary *binary, enum etp_binary_order order)
{
	switch (order) {
	case ETP_BINARY_BY_SIZE:
		return binary->size;
	case ETP_BINARY_BY_WASTE:
		return binary->size - binary->visible_bytes;
	case ETP_BINARY_BY_VISIBLE:
		return binary->visible_bytes;
	case ETP_BINARY_BY_REFC:
		return binary->refc;
	case ETP_BINARY_BY_REFS:
		return binary->refs;
	case ETP_BINARY_BY_ADDRESS:
		break;
	}
	return UINT64_MAX - binary->address;
}

static size_t choose(const struct etp_ets_scan *scan, const struct etp_binary_choice *choice,
                     struct ranked *ranked, size_t limit, top_order *order)
{
	size_t chosen = 0, count = etp_ets_scan_binary_count(scan);
	for (size_t i = 0; i < count; i++) {
		struct etp_ets_scan_binary binary;
		etp_ets_scan_binary(scan, i, &binary);
		if (choice->unaccounted && binary.refs == binary.refc)
			continue;
		struct ranked one = {rank_of(&binary, choice->order), binary.address, i};
		if (chosen == limit) {
			top_offer(ranked, limit, sizeof(one), &one, order);
			continue;
		}
		ranked[chosen++] = one;
		// All that there are need no heap to drop the last of.
		if (limit < count)
			top_added(ranked, chosen, sizeof(one), order);
	}
	return chosen;
}

struct etp_error *etp_ets_scan_choose(const struct etp_ets_scan *scan,
                                      const struct etp_binary_choice *choice, size_t **ret,
                                      size_t *count_ret)
{
	size_t count = etp_ets_scan_binary_count(scan);
	size_t limit = choice->limit < count ? choice->limit : count;
	top_order *order = choice->reverse ? compare_reversed : compare_ranked;
	struct ranked *ranked = calloc(limit + 1, sizeof(*ranked));
	size_t *indexes = calloc(limit + 1, sizeof(*indexes));
	if (!ranked || !indexes) {
		free(ranked);
		free(indexes);
		return &etp_error_no_memory;
	}
	size_t chosen = choose(scan, choice, ranked, limit, order);
	qsort(ranked, chosen, sizeof(*ranked), order);
	for (size_t i = 0; i < chosen; i++)
		indexes[i] = ranked[i].index;
	free(ranked);
	*ret = indexes;
	*count_ret = chosen;
	return NULL;
}
