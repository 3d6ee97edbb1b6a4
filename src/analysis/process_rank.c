// SPDX-License-Identifier: Apache-2.0
// Processes of a census in the order of what a garbage collection would change about their
// binaries.
#include <etp/census.h>

#include "util/top.h"

// The lowest first.
static uint64_t ascending(uint64_t difference)
{
	return difference ^ UINT64_C(1) << 63;
}

static void rank_process(const struct etp_census_process *process,
                         enum etp_census_process_order order, struct top_rank *ret)
{
	uint64_t refs = ascending(process->added_refs - process->released_refs);
	uint64_t bytes = ascending(process->added_bytes - process->released_bytes);
	switch (order) {
	case ETP_PROCESS_BY_DELTA:
		ret->first = refs;
		ret->second = bytes;
		return;
	case ETP_PROCESS_BY_DELTA_BYTES:
		ret->first = bytes;
		ret->second = refs;
		return;
	case ETP_PROCESS_BY_RELEASED:
		ret->first = ~process->released_refs;
		return;
	case ETP_PROCESS_BY_RELEASED_BYTES:
		ret->first = ~process->released_bytes;
		return;
	case ETP_PROCESS_BY_ADDED:
		ret->first = ~process->added_refs;
		return;
	case ETP_PROCESS_BY_ADDED_BYTES:
		ret->first = ~process->added_bytes;
		return;
	case ETP_PROCESS_BY_REFS:
		ret->first = ~process->binary_refs;
		return;
	case ETP_PROCESS_BY_REFS_BYTES:
		ret->first = ~process->binary_bytes;
		return;
	}
}

struct choosing {
	const struct etp_census *census;
	const struct etp_process_choice *choice;
};

static bool rank(const void *context, size_t index, struct top_rank *ret)
{
	const struct choosing *choosing = context;
	struct etp_census_process process;
	etp_census_process(choosing->census, index, &process);
	if (choosing->choice->changing && !process.released_refs && !process.added_refs)
		return false;
	rank_process(&process, choosing->choice->order, ret);
	return true;
}

struct etp_error *etp_census_choose_processes(const struct etp_census *census,
                                              const struct etp_process_choice *choice, size_t **ret,
                                              size_t *count_ret, size_t *all_ret)
{
	const struct choosing choosing = {census, choice};
	size_t chosen, wanted;
	size_t *indexes = top_choose(etp_census_process_count(census), rank, &choosing,
	                             choice->reverse, choice->limit, &chosen, &wanted);
	if (!indexes)
		return &etp_error_no_memory;
	*ret = indexes;
	*count_ret = chosen;
	*all_ret = wanted;
	return NULL;
}
