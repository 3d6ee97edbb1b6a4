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

struct choosing {
	const struct etp_ets_scan *scan;
	const struct etp_binary_choice *choice;
};

static bool rank(const void *context, size_t index, struct top_rank *ret)
{
	const struct choosing *choosing = context;
	struct etp_ets_scan_binary binary;
	etp_ets_scan_binary(choosing->scan, index, &binary);
	if (choosing->choice->unaccounted && binary.refs == binary.refc)
		return false;
	ret->first = ~largest_first(&binary, choosing->choice->order);
	// Their numbers depend on the threads that found them.
	ret->second = binary.address;
	return true;
}

struct etp_error *etp_ets_scan_choose(const struct etp_ets_scan *scan,
                                      const struct etp_binary_choice *choice, size_t **ret,
                                      size_t *count_ret)
{
	const struct choosing choosing = {scan, choice};
	size_t chosen, wanted;
	size_t *indexes = top_choose(etp_ets_scan_binary_count(scan), rank, &choosing,
	                             choice->reverse, choice->limit, &chosen, &wanted);
	if (!indexes)
		return &etp_error_no_memory;
	*ret = indexes;
	*count_ret = chosen;
	return NULL;
}
