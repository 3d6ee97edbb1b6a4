// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_ROW_SCAN_H
#define ETP_ANALYSIS_ROW_SCAN_H

// What one object of a table holds, from one pass over its words. The heap of an
// object is one contiguous block, so that its words are read in a line, as a
// garbage collector would sweep them, without following terms.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/ets.h>

#include "analysis/binary_feed.h"
#include "vm/vm.h"

// An off-heap binary that the row holds.
struct row_binary {
	// Of the ProcBin and of its Binary.
	uint64_t proc_bin, binary;
	uint64_t size, refc;
	uint32_t flags;
	// ProcBin.bytes as an offset into the Binary's data, and ProcBin.size.
	uint64_t offset, length;
};

// A range of a binary that the row sees; `binary` is a position in `binaries`.
struct row_range {
	uint32_t binary;
	uint64_t start, end;
};

struct row_scan {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// Binaries are in other segments than rows.
	struct etp_reader binary_reader;
	struct row_binary *binaries;
	size_t binary_count, binary_capacity;
	struct row_range *ranges;
	size_t range_count, range_capacity;
	// Magic binaries that it refers to, once a reference.
	uint64_t *magics;
	size_t magic_count, magic_capacity;
	// Terms that are still to be visited in a walk.
	etp_term *stack;
	size_t stack_count, stack_capacity;
	// Things of the off-heap chain that could not be read.
	uint64_t unreadable;
	const char *problem;
	bool has_live_pid, has_dead_pid, has_dead_ref;
};

void row_scan_init(struct row_scan *scan, const struct etp_vm *vm, struct etp_reader *reader);
void row_scan_deinit(struct row_scan *scan);

// Forget the last row.
void row_scan_reset(struct row_scan *scan);

// Read the off-heap chain at `first_oh`, then sweep the `count` words at `address`:
// those of an object from DbTerm.tpl on. False when memory ran out.
bool row_scan_sweep(struct row_scan *scan, uint64_t first_oh, uint64_t address, uint64_t count);

// The same for an expanded row of a compressed table, whose words are not one
// heap block: follows the terms, at most `limit` of them.
bool row_scan_walk(struct row_scan *scan, uint64_t first_oh, etp_term tuple, uint64_t limit);

// Read the off-heap chain at `first_oh` only. False when memory ran out.
bool row_scan_chain(struct row_scan *scan, uint64_t first_oh);

// Put the binaries of the last row, and what it sees of them, into `feed`. False when
// memory ran out.
bool row_scan_collect(const struct row_scan *scan, struct binary_feed *feed);

// Does `key` hold the pid of a dead process, in itself or in the tuples and lists
// that it is made of?
bool row_scan_key_is_dead(struct row_scan *scan, etp_term key);

#endif
