// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_ROW_HEAP_H
#define ETP_ANALYSIS_ROW_HEAP_H

// The words of one object of a table as a heap for a walk, whether they stand in the
// target or are expanded from a compressed row.
//
// Memory: of one row at a time, at most what the VM's own decoder would need for it.

#include <stdbool.h>

#include <etp/ets.h>

#include "analysis/process_heap.h"
#include "term/row_expand.h"

struct row_heap {
	const struct etp_vm *vm;
	// Gets the overlay of an expanded row, until the next row.
	struct etp_reader *reader;
	struct process_heap heap;
	struct etp_row_words expanded;
	// The row; 0 if it cannot be read.
	etp_term tuple;
	// Its tries are not those of the VM: they have other nodes.
	bool is_expanded;
};

void row_heap_init(struct row_heap *row_heap, const struct etp_vm *vm, struct etp_reader *reader);
void row_heap_deinit(struct row_heap *row_heap);

// False when memory ran out. What cannot be read is counted in heap.unreadable.
bool row_heap_load(struct row_heap *row_heap, const struct etp_ets_table *table,
                   const struct etp_ets_row *row);

#endif
