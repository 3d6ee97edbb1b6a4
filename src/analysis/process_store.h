// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_PROCESS_STORE_H
#define ETP_ANALYSIS_PROCESS_STORE_H

// What a census found in each process, in few bytes: most of the numbers of most processes are
// small, or 0.
//
// Memory: 8 bytes a process, and some 20 to 40 for what was found.

#include <etp/census.h>

struct process_store {
	// One a process, NULL as long as nothing was added.
	const unsigned char **records;
	size_t count;
	// They are in blocks that are never moved.
	unsigned char **blocks;
	size_t block_count, block_capacity;
	// Of the last block.
	size_t used;
};

// Room for so many processes. False when memory ran out; then it can be released, too.
bool process_store_init(struct process_store *store, size_t count);
void process_store_deinit(struct process_store *store);

// All but address and pid, which the process table has. False when memory ran out.
bool process_store_add(struct process_store *store, size_t index,
                       const struct etp_census_process *process);
// Likewise; one that was not added is incomplete.
void process_store_get(const struct process_store *store, size_t index,
                       struct etp_census_process *ret);

#endif
