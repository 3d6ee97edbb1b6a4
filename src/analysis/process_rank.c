// SPDX-License-Identifier: Apache-2.0
// Processes of a census in the order of what a garbage collection would change about their
// binaries.
#include <etp/census.h>

#include <stdlib.h>

struct ranked {
	int64_t first, second;
	size_t index;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->second != y->second)
		return x->second < y->second ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static struct ranked rank(const struct etp_census_process *process,
                          enum etp_census_process_order order, size_t index)
{
	int64_t refs = (int64_t)(process->added_refs - process->released_refs);
	int64_t bytes = (int64_t)(process->added_bytes - process->released_bytes);
	switch (order) {
	case ETP_PROCESS_BY_DELTA:
		return (struct ranked){refs, bytes, index};
	case ETP_PROCESS_BY_DELTA_BYTES:
		return (struct ranked){bytes, refs, index};
	case ETP_PROCESS_BY_RELEASED:
		return (struct ranked){-(int64_t)process->released_refs, 0, index};
	case ETP_PROCESS_BY_RELEASED_BYTES:
		return (struct ranked){-(int64_t)process->released_bytes, 0, index};
	case ETP_PROCESS_BY_ADDED:
		return (struct ranked){-(int64_t)process->added_refs, 0, index};
	case ETP_PROCESS_BY_ADDED_BYTES:
		return (struct ranked){-(int64_t)process->added_bytes, 0, index};
	case ETP_PROCESS_BY_REFS:
		return (struct ranked){-(int64_t)process->binary_refs, 0, index};
	case ETP_PROCESS_BY_REFS_BYTES:
		break;
	}
	return (struct ranked){-(int64_t)process->binary_bytes, 0, index};
}

struct etp_error *etp_census_rank_processes(const struct etp_census *census,
                                            enum etp_census_process_order order, bool changing,
                                            size_t **ret, size_t *count_ret)
{
	size_t count, chosen = 0;
	const struct etp_census_process *processes = etp_census_processes(census, &count);
	struct ranked *ranked = calloc(count + 1, sizeof(*ranked));
	size_t *indexes = calloc(count + 1, sizeof(*indexes));
	if (!ranked || !indexes) {
		free(ranked);
		free(indexes);
		return &etp_error_no_memory;
	}
	for (size_t i = 0; i < count; i++)
		if (!changing || processes[i].released_refs || processes[i].added_refs)
			ranked[chosen++] = rank(&processes[i], order, i);
	qsort(ranked, chosen, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < chosen; i++)
		indexes[i] = ranked[i].index;
	free(ranked);
	*ret = indexes;
	*count_ret = chosen;
	return NULL;
}
