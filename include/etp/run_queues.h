// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_RUN_QUEUES_H
#define ETP_RUN_QUEUES_H

/**
 * @file
 * Run queues: what waits to be executed.
 *
 * Each normal scheduler has one, the dirty CPU schedulers share one, and so do the dirty
 * IO schedulers. ERTS: ErtsRunQueue, erl_process.h.
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

enum {
	/** Priorities of processes: max, high, normal, low. */
	ETP_PROCESS_PRIORITIES = 4,
	/** Queues, in this order: processes of each priority, ports. */
	ETP_RUN_QUEUE_LEVELS = 5,
};

/** "max", "high", "normal", "low" or "port". */
ETP_EXPORT const char *etp_run_queue_level_name(unsigned level);

struct etp_run_queue {
	/** Of the ErtsRunQueue. */
	uint64_t address;
	/** From 0: normal queues in the order of their schedulers, dirty CPU, dirty IO. */
	uint64_t index;
	enum etp_scheduler_kind kind;
	/** erlang:statistics(run_queue_lengths_all): processes and ports that wait. */
	int64_t length;
	/** The largest length since its schedulers balanced the last time. */
	int64_t max_length;
	/** Of these at each level, likewise. */
	int64_t lengths[ETP_RUN_QUEUE_LEVELS], max_lengths[ETP_RUN_QUEUE_LEVELS];
	/** Things to be done on its scheduler that belong to no process. */
	uint64_t misc;
	/** ERTS_RUNQ_FLG_*: etp_run_queue_flag_name(). */
	uint32_t flags;
	bool is_suspended, is_executing, is_nonempty, is_inactive, is_halting;
	/** Processes that were scheduled in, and reductions that they used. */
	uint64_t context_switches, reductions;
	/** To which queue its processes of each level are to go by themselves (the index), or
	 *  that they are to be evacuated there; -1 if they stay. */
	int64_t emigrates_to[ETP_RUN_QUEUE_LEVELS];
	bool is_evacuated[ETP_RUN_QUEUE_LEVELS];
	/** Something of the above could not be read, or is not in the layout. */
	bool is_incomplete;
};

/** The number of run queues; 0 if they are not known. */
ETP_EXPORT size_t etp_run_queue_count(const struct etp_vm *vm);

/** Run queue `index`. Error: FAULT, LAYOUT. */
ETP_EXPORT struct etp_error *etp_run_queue(const struct etp_vm *vm, struct etp_reader *reader,
                                           size_t index, struct etp_run_queue *ret);

/** Name of bit `bit` of flags ("SUSPENDED"), or NULL if it has none. Bits that say where
 *  processes migrate have one with their level ("EMIGRATE_normal"), written to
 *  `buffer`. */
ETP_EXPORT const char *etp_run_queue_flag_name(const struct etp_vm *vm, unsigned bit,
                                               char buffer[static 32]);

/** Walks what waits in one queue: processes, of which those of normal and low priority
 *  share one, or ports. */
struct etp_run_queue_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** Port or Process to come, 0 at the end. */
	uint64_t next;
	bool is_of_ports;
	uint64_t count, limit;
	/** The chain breaks off, or is longer than it can be. */
	bool is_broken;
};

/** Start on the queue of `level` of the ErtsRunQueue at `run_queue`; for low, that is the
 *  one of normal. */
ETP_EXPORT void etp_run_queue_iter_init(struct etp_run_queue_iter *iter, const struct etp_vm *vm,
                                        struct etp_reader *reader, uint64_t run_queue,
                                        unsigned level);

/** Address and identifier of the next one; false at the end. */
ETP_EXPORT bool etp_run_queue_iter_next(struct etp_run_queue_iter *iter, uint64_t *address_ret,
                                        etp_term *id_ret);

#endif
