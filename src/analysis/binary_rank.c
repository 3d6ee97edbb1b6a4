// SPDX-License-Identifier: Apache-2.0
// The first of the binaries that were found, in some order.
#include <etp/ets_scan.h>

#include "util/top.h"

static uint64_t largest_first(const struct etp_ets_scan_binary *binary, enum etp_binary_order order)
{
	switch (order) {
	case ETP_BINARY_BY_SIZE:
		return binary->size;
	case ETP_BINARY_BY_WASTE:
		// Of a forged one more may be seen than there is.
		return binary->size > binary->visible_bytes ? binary->size - binary->visible_bytes
		                                            : 0;
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

struct choosing {
	const struct etp_ets_scan *scan;
	const struct etp_binary_choice *choice;
	// Of choice->after.
	struct top_rank after;
};

static struct top_rank rank_of(const struct etp_ets_scan_binary *binary,
                               enum etp_binary_order order)
{
	// Their numbers depend on the threads that found them.
	return (struct top_rank){~largest_first(binary, order), binary->address, 0};
}

static bool is_behind(const struct choosing *choosing, const struct top_rank *rank)
{
	const struct top_rank *after = &choosing->after;
	if (rank->second == after->second)
		return false;
	bool is_greater = rank->first != after->first ? rank->first > after->first
	                                              : rank->second > after->second;
	return is_greater != choosing->choice->reverse;
}

static bool rank(const void *context, size_t index, struct top_rank *ret)
{
	const struct choosing *choosing = context;
	struct etp_ets_scan_binary binary;
	etp_ets_scan_binary(choosing->scan, index, &binary);
	if (choosing->choice->unaccounted && binary.refs == binary.refc)
		return false;
	struct top_rank found = rank_of(&binary, choosing->choice->order);
	ret->first = found.first;
	ret->second = found.second;
	return !choosing->choice->after || is_behind(choosing, &found);
}

struct etp_error *etp_ets_scan_choose(const struct etp_ets_scan *scan,
                                      const struct etp_binary_choice *choice, size_t **ret,
                                      size_t *count_ret)
{
	struct choosing choosing = {.scan = scan, .choice = choice};
	size_t chosen, wanted;
	if (choice->after) {
		size_t index = etp_ets_scan_find(scan, choice->after);
		if (index == SIZE_MAX)
			return etp_error_create(ETP_ERROR_NOT_FOUND, "No binary is at 0x%llx.",
			                        (unsigned long long)choice->after);
		struct etp_ets_scan_binary binary;
		etp_ets_scan_binary(scan, index, &binary);
		choosing.after = rank_of(&binary, choice->order);
	}
	size_t *indexes = top_choose(etp_ets_scan_binary_count(scan), rank, &choosing,
	                             choice->reverse, choice->limit, &chosen, &wanted);
	if (!indexes)
		return &etp_error_no_memory;
	*ret = indexes;
	*count_ret = chosen;
	return NULL;
}
