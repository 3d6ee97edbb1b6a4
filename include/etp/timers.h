// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TIMERS_H
#define ETP_TIMERS_H

/**
 * @file
 * Timers: of erlang:send_after/3 and erlang:start_timer/3, of `receive ... after`, of ports,
 * and those that ERTS has set for itself.
 *
 * ERTS: erl_hl_timer.c, time.c. Each scheduler has a wheel of the timers that are due within
 * some hours, and a tree (ErtsHLTimerService) of those that are due later.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/chain.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum etp_timer_kind {
	/** erlang:send_after/3,4, or erlang:start_timer/3,4 with a message of another form. */
	ETP_TIMER_SEND_AFTER,
	/** erlang:start_timer/3,4: its message is {timeout, Ref, Message} with its own Ref. */
	ETP_TIMER_START_TIMER,
	/** A process that waits in `receive ... after`. */
	ETP_TIMER_RECEIVE,
	/** A port's driver asked for it. */
	ETP_TIMER_PORT,
	/** ERTS itself: a function that is to be called. */
	ETP_TIMER_CALLBACK,
	ETP_TIMER_KIND_COUNT,
};

/** "send_after", "start_timer", "receive", "port", "callback". */
ETP_EXPORT const char *etp_timer_kind_name(enum etp_timer_kind kind);

struct etp_timer {
	enum etp_timer_kind kind;
	/** It stands still while its process is suspended by the debugger (since OTP 29). */
	bool is_paused;
	/** Of the ErtsBifTimer, ErtsTWTimer and so on; of the ErtsTWheelTimer of some of
	 *  ERTS's own. */
	uint64_t address;
	/** The scheduler that has it, from 1; 0 when it is paused. */
	uint64_t scheduler;
	/** Milliseconds until it is due, as erlang:read_timer/1 says it; less than 0: it has been
	 *  due for so long, which erlang:read_timer/1 does not tell. */
	int64_t remaining_ms;
	/** Pid or registered name that gets the message, pid that waits, port; 0 for ERTS's
	 *  own, or when unknown. */
	etp_term receiver;
	/** Of the first two kinds; else 0. */
	etp_term message;
	/** First ErlHeapFragment of the message, 0 if there is none. */
	uint64_t fragment;
	/** Numbers of the reference, as stored, of the first two kinds. A paused timer has
	 *  none. */
	uint32_t ref[3];
	bool has_ref;
	/** Of ERTS's own: the function, and its argument. */
	uint64_t callback, arg;
};

enum {
	/** Levels of a red-black tree with more timers than there is memory. */
	ETP_TIMER_TREE_DEPTH = 128,
};

struct etp_timer_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** What could not be read, and why the last: a static string or NULL. */
	uint64_t gaps;
	const char *problem;
	/** Timers that were cancelled, and still wait to be removed by their scheduler. */
	uint64_t cancelled;
	/** For timer_iter.c. The VM's time, in clock ticks. */
	int64_t now, ticks_per_second;
	unsigned phase;
	uint64_t scheduler, wheel, service, slot, seen;
	uint64_t first, node;
	struct etp_chain chain;
	uint64_t stack[ETP_TIMER_TREE_DEPTH];
	unsigned depth;
	size_t process;
	/** Timers that may still come before the walk is given up. */
	uint64_t budget;
};

ETP_EXPORT void etp_timer_iter_init(struct etp_timer_iter *iter, const struct etp_vm *vm,
                                    struct etp_reader *reader);

/** The next timer, in no order; false at the end. */
ETP_EXPORT bool etp_timer_iter_next(struct etp_timer_iter *iter, struct etp_timer *timer);

/** How many timers a process, name or port has. */
struct etp_timer_receiver {
	/** 0: ERTS itself, and those whose receiver is unknown. */
	etp_term receiver;
	uint64_t count;
	/** The first of them that is due. */
	int64_t remaining_ms;
};

struct etp_timers {
	/** By `remaining_ms`, soonest first. */
	struct etp_timer *timers;
	size_t count;
	/** The most timers first. */
	struct etp_timer_receiver *receivers;
	size_t receiver_count;
	/** As in the iterator. */
	uint64_t cancelled, gaps;
	const char *problem;
};

/** All timers, or those of one of `wanted_count` receivers (pids, names, ports; 0: of all).
 *  Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_timers_take(const struct etp_vm *vm, const etp_term *wanted,
                                             size_t wanted_count, struct etp_timers *ret);

ETP_EXPORT void etp_timers_deinit(struct etp_timers *timers);

#endif
