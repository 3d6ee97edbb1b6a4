// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_TRAP_SCAN_H
#define ETP_ANALYSIS_TRAP_SCAN_H

// BIFs that were interrupted in the middle keep their state in a magic binary, and in it
// binaries that no term refers to yet: what term_to_binary/1 and binary:copy/2 build. The
// structs are each BIF's own, and their destructors have no symbols; so the words are looked
// through for addresses of what has all marks of such a binary. What is found is a guess.

#include "analysis/root_scan.h"

// Does the magic binary at `address` have the address of a binary that is being built?
bool trap_holds_binaries(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address);

// What the trap states of processes hold, of those that were found: `process` gives the pid for
// the number of a holder, 0 if it is no process. The last scan, because it believes in no binary
// that others hold. False when memory ran out.
typedef etp_term trap_process_fn(const void *context, uint32_t holder);
bool trap_scan_run(struct root_scan *scan, trap_process_fn *process, const void *context);

#endif
