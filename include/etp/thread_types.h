// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_THREAD_TYPES_H
#define ETP_THREAD_TYPES_H

/**
 * @file
 * What the VM itself calls its threads.
 *
 * ERTS: ErtsMsAcc, erl_msacc.h, of which schedulers, the aux thread, pollers and async threads
 * have one each, in two lists. Their heads are static: they are found because what they point to
 * names a thread of the target. The dispatchers of signals and of system messages, and threads of
 * NIFs and drivers, have none.
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

struct etp_thread_type {
	/** The thread, as pthread_self() knows it. */
	uint64_t thread;
	/** As erlang:statistics(microstate_accounting) has it: "scheduler",
	 *  "dirty_cpu_scheduler", "dirty_io_scheduler", "async", "aux" or "poll". Not terminated;
	 *  valid as long as the target. */
	const char *type;
	size_t type_size;
	/** Its number among those. */
	int64_t id;
};

/** Calls `see` for each, until it returns false. Looks through the memory of beam.smp.
 *  `breaks_off_ret` says whether a list leads to what is not in the core; a list whose head leads
 *  there is not seen at all. Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_thread_types(const struct etp_vm *vm, struct etp_reader *reader,
                                              bool (*see)(void *context,
                                                          const struct etp_thread_type *type),
                                              void *context, bool *breaks_off_ret);

#endif
