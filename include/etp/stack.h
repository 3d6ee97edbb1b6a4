// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_STACK_H
#define ETP_STACK_H

/**
 * @file
 * Stacks: where a process is, and what its stack holds.
 *
 * The stack of a process lies at the end of its heap, from Process.stop up to
 * Process.hend (erl_process.h). It holds terms (Y registers), catches, and the
 * return addresses (continuation pointers) that make a stacktrace.
 *
 * While a scheduler runs a process, its registers and the top of its stack are in
 * the scheduler's own registers, and what the struct says is older.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/code.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

/** Where the stack and the argument registers of a process are. */
struct etp_stack {
	/** Of the Process. */
	uint64_t process;
	/** Words from `top` to `start` are the stack; it grows downwards. */
	uint64_t top, start;
	/** Argument registers: `register_count` words, which a process has that waits
	 *  to be scheduled, or hibernates. */
	uint64_t registers, register_count;
	/** Process.i: where it goes on, 0 if it goes nowhere any more. */
	uint64_t pc;
	/** Process.current: an ErtsCodeMFA, or 0. */
	uint64_t current;
	/** On a scheduler: stack and registers are those of an earlier moment. */
	bool is_running;
	/** In a garbage collection: its terms may have moved. */
	bool is_in_gc;
	/** What is wrong with the stack or the registers, a static string, or NULL;
	 *  the part in question is then empty. */
	const char *problem;
};

/** Errors: FAULT, BAD_DATA (no process stands at `process`). */
ETP_EXPORT struct etp_error *etp_stack_find(const struct etp_vm *vm, struct etp_reader *reader,
                                            uint64_t process, struct etp_stack *ret);

/** Words from the first that cannot be read on: an iterator does not get there, and a
 *  stacktrace ends before them. */
ETP_EXPORT uint64_t etp_stack_unreadable(struct etp_reader *reader, const struct etp_stack *stack);

enum etp_stack_slot_kind {
	ETP_STACK_TERM,
	/** A catch: `pc` is its handler, 0 if that is unknown. */
	ETP_STACK_CATCH,
	/** A return address: `pc`. */
	ETP_STACK_RETURN,
	/** The caller's frame pointer, before a return address (+JPperf map). */
	ETP_STACK_FRAME_POINTER,
	/** Behind a return address of call tracing: points to the ErtsCodeMFA `pc`. */
	ETP_STACK_MFA,
	/** The place that the emulator keeps for a return address, not in use. */
	ETP_STACK_RESERVED,
};

/** "term", "catch", "return", "frame_pointer", "mfa" or "reserved". */
ETP_EXPORT const char *etp_stack_slot_kind_name(enum etp_stack_slot_kind kind);

struct etp_stack_slot {
	uint64_t address;
	etp_term word;
	enum etp_stack_slot_kind kind;
	/** 0 for the function that runs, 1 for the one that called it, and so on. A
	 *  return address belongs to the function that it returns into. */
	uint64_t frame;
	/** Number of the Y register, for ETP_STACK_TERM and ETP_STACK_CATCH. */
	uint64_t y;
	uint64_t pc;
};

/** Walks a stack from its top. */
struct etp_stack_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	uint64_t next, end;
	uint64_t frame, y;
	/** Words still to come of a return address. */
	unsigned return_words;
	/** From the pointer that tracing put here back to an ErtsCodeMFA, or UINT64_MAX. */
	uint64_t before_mfa;
	bool may_be_reserved;
	/** Words that could not be read: the rest of the stack. */
	uint64_t unreadable;
};

ETP_EXPORT void etp_stack_iter_init(struct etp_stack_iter *iter, const struct etp_vm *vm,
                                    struct etp_reader *reader, const struct etp_stack *stack);

/** The next word; false at the end. See iter->unreadable for what is missing. */
ETP_EXPORT bool etp_stack_iter_next(struct etp_stack_iter *iter, struct etp_stack_slot *ret);

/** process_info(P, current_function), or with `with_line` current_location. */
ETP_EXPORT enum etp_code_kind etp_stack_current(const struct etp_vm *vm, struct etp_reader *reader,
                                                const struct etp_stack *stack, bool with_line,
                                                struct etp_code_location *ret);

/** The number of entries that the VM puts into a stacktrace at most
 *  (erlang:system_flag(backtrace_depth, N); 8 unless it was changed). */
ETP_EXPORT size_t etp_stack_backtrace_depth(const struct etp_vm *vm);

/** process_info(P, current_stacktrace): at most `depth` entries, written to
 *  `frames`; returns how many. Addresses that the VM knows no function for count, as
 *  they do there, but entries for them are left out. `more_ret` (may be NULL) says
 *  whether there were more than `depth`. */
ETP_EXPORT size_t etp_stack_trace(const struct etp_vm *vm, struct etp_reader *reader,
                                  const struct etp_stack *stack, size_t depth,
                                  struct etp_code_location *frames, bool *more_ret);

#endif
