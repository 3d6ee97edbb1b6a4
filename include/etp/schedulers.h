// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_SCHEDULERS_H
#define ETP_SCHEDULERS_H

/**
 * @file
 * Schedulers: what each of them does.
 *
 * ERTS: ErtsSchedulerData and ErtsSchedulerSleepInfo, erl_process.h.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/process.h>
#include <etp/term.h>

enum etp_scheduler_activity {
	/** Executes a process: its code, a BIF or NIF, a collection, a system task. */
	ETP_SCHEDULER_RUNS_PROCESS,
	/** Executes tasks of a port. */
	ETP_SCHEDULER_RUNS_PORT,
	/** Sleeps until it is woken. */
	ETP_SCHEDULER_SLEEPS,
	/** Sleeps in the poll set of the schedulers. */
	ETP_SCHEDULER_POLLS,
	/** Looks for work for a while before it goes to sleep. */
	ETP_SCHEDULER_SPINS,
	/** Is suspended: it is not online, or others execute alone. */
	ETP_SCHEDULER_IS_SUSPENDED,
	/** Is in code of its own: chooses what to execute next, balances, does aux work. */
	ETP_SCHEDULER_SCHEDULES,
	/** Cannot be read. */
	ETP_SCHEDULER_UNKNOWN,
};

/** "process", "port", "sleeping", "polling", "spinning", "suspended", "scheduling" or
 *  "unknown". */
ETP_EXPORT const char *etp_scheduler_activity_name(enum etp_scheduler_activity activity);

struct etp_scheduler {
	enum etp_scheduler_kind kind;
	/** From 1 within its kind; and among all, as in crash dumps and by
	 *  erlang:statistics(scheduler_wall_time_all): normal, dirty CPU, dirty IO. */
	uint64_t number, id;
	/** Of the ErtsSchedulerData. */
	uint64_t address;
	enum etp_scheduler_activity activity;
	/** The thread as pthread_self() knows it, 0 when unknown. */
	uint64_t thread;
	/** ERTS_SSI_FLG_* and ERTS_SSI_AUX_WORK_*. */
	uint32_t sleep_flags, aux_work;
	/** The Process that it executes and its pid, 0 if none. */
	uint64_t process;
	etp_term pid;
	/** The port whose tasks it executes, 0 if none. */
	etp_term port;
	/** Is it in a NIF, and of which library: the name that ERL_NIF_INIT was given. Not
	 *  terminated, NULL when it cannot be read; valid as long as the target. */
	bool is_in_nif;
	const char *nif_library;
	size_t nif_library_size;
	/** Of its run queue, 0 when unknown. Dirty schedulers of a kind share one. */
	uint64_t run_queue;
	/** Reductions that all processes used on it, up to when the last was scheduled
	 *  out. */
	uint64_t reductions;
	/** Reductions that its process has used since it was scheduled in, -1 when unknown.
	 *  While Erlang code runs, they are counted in a register, and this is of the last
	 *  time that the code called C. */
	int64_t process_reductions;
	/** Nanoseconds between its last look at the clock and the last one of any
	 *  scheduler; -1 when unknown. One that executes processes looks at least every 4000
	 *  reductions. */
	int64_t clock_age_ns;
	/** Its ethr_ts_event, by which it stands in the queues of locks; 0 when unknown. */
	uint64_t event;
	/** Logical processor that it is bound to, or -1. */
	int cpu;
	/** Something of the above could not be read, or is not in the layout. */
	bool is_incomplete;
};

/** The number of schedulers of all kinds. */
ETP_EXPORT size_t etp_scheduler_count(const struct etp_vm *vm);

/** Scheduler `index`, below etp_scheduler_count(): normal ones, dirty CPU, dirty IO.
 *  One that cannot be read has activity UNKNOWN. */
ETP_EXPORT void etp_scheduler(const struct etp_vm *vm, struct etp_reader *reader, size_t index,
                              struct etp_scheduler *ret);

/** The JIT's main loop has no .eh_frame, and its frame on the stack of C holds the registers of
 *  its scheduler: where it returns to, the stack pointer then, and the frame pointer if the
 *  caller has one, else 0. False where there is no such
 *  frame: in the emulator, and in dirty schedulers. */
ETP_EXPORT bool etp_scheduler_outer_frame(const struct etp_vm *vm, struct etp_reader *reader,
                                          const struct etp_scheduler *scheduler, uint64_t *pc_ret,
                                          uint64_t *sp_ret, uint64_t *fp_ret);

/** Name of bit `bit` of sleep_flags ("TSE_SLEEPING"), or NULL if it has none. */
ETP_EXPORT const char *etp_scheduler_sleep_flag_name(unsigned bit);

enum {
	ETP_AUX_WORK_BITS = 32,
};

/** Names of the bits of aux_work ("DELAYED_AW_WAKEUP"), as the VM itself has them for
 *  its crash dumps; NULL for one that has none. They are valid as long as the target.
 *  Returns how many were found: 0 if the VM's table was not. Looks through the memory of
 *  beam.smp. */
ETP_EXPORT size_t etp_aux_work_names(const struct etp_vm *vm, const char *names[ETP_AUX_WORK_BITS]);

#endif
