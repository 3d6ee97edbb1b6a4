// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_THREAD_PROGRESS_H
#define ETP_THREAD_PROGRESS_H

/**
 * @file
 * Thread progress: which thread the others wait for before memory can be freed.
 *
 * A managed thread (schedulers, the aux thread, pollers) confirms each value in turn,
 * between two pieces of work; when all have, or sleep, the VM's value grows. One that does
 * not come back from its work (a NIF, a lock) stops that for good: memory that others
 * delayed to free stays, code is not purged, tables are not unlocked.
 *
 * ERTS: erl_thr_progress.c.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>

struct etp_vm;
struct etp_reader;

struct etp_managed_thread {
	/** From 0: the aux thread, normal schedulers by their number, then pollers and the
	 *  dispatcher of system messages. */
	uint64_t id;
	/** Number of the scheduler, or 0. */
	uint64_t scheduler;
	/** It sleeps, and is not waited for. */
	bool is_waiting;
	/** The value that it has confirmed, unless it waits. */
	uint64_t confirmed;
	/** The others wait for it: it has not confirmed the value that comes next, or all
	 *  have, and it is the leader, who has not looked. */
	bool is_awaited;
	/** It looks whether all have. */
	bool is_leader;
};

struct etp_thread_progress {
	/** The VM's value. */
	uint64_t current;
	size_t managed_count;
	/** All managed threads that do not wait have confirmed the next one. */
	bool all_confirmed;
	/** Unmanaged threads (dirty schedulers, async threads) that delay it now: in the
	 *  period that counts, and in the one before. */
	int64_t unmanaged[2];
	/** Some thread wants to execute alone, and how many managed ones have not stopped
	 *  for it. */
	bool is_blocking;
	uint64_t unblocked;
	/** Only schedulers are known: where the rest stands was not found. */
	bool is_incomplete;
	/** ErtsThrPrgrInternalData, or 0. */
	uint64_t address;
};

/** Errors: NOT_FOUND (no symbol), FAULT, LAYOUT. */
ETP_EXPORT struct etp_error *etp_thread_progress(const struct etp_vm *vm, struct etp_reader *reader,
                                                 struct etp_thread_progress *ret);

/** Managed thread `index`, below managed_count. False if it cannot be read. */
ETP_EXPORT bool etp_managed_thread(const struct etp_vm *vm, struct etp_reader *reader,
                                   const struct etp_thread_progress *progress, size_t index,
                                   struct etp_managed_thread *ret);

#endif
