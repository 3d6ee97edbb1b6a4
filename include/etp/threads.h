// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_THREADS_H
#define ETP_THREADS_H

/**
 * @file
 * Threads of a target, their registers, and their stacks of C.
 *
 * Registers are those of NT_PRSTATUS in a core or snapshot, and of the moment at which a
 * process was stopped. Frames are found by the .eh_frame of the executable and of the
 * libraries that the target knows; code that none of them has (the JIT's) ends a stack.
 *
 * Thread safety: as etp_target; an unwinder belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/target.h>

enum {
	/** Registers of x86-64 by their DWARF numbers: rax, rdx, rcx, rbx, rsi, rdi, rbp,
	 *  rsp, r8 to r15, and the program counter. */
	ETP_DWARF_REGISTERS = 17,
	ETP_DWARF_SP = 7,
	ETP_DWARF_PC = 16,
};

struct etp_thread_state {
	int tid;
	/** The thread as pthread_self() knows it (fs_base, or of the first 4,096 threads as its
	 *  stack leads to it where the registers are not known), 0 when unknown. */
	uint64_t thread;
	uint64_t registers[ETP_DWARF_REGISTERS];
	/** Of the registers, only stack pointer and program counter are known. */
	bool is_partial;
};

/** The number of threads; 0 if the target knows none, or is not of x86-64. */
ETP_EXPORT size_t etp_target_thread_count(const struct etp_target *target);

/** Thread `index`, below etp_target_thread_count(). */
ETP_EXPORT void etp_target_thread(const struct etp_target *target, size_t index,
                                  struct etp_thread_state *ret);

struct etp_unwinder;

/** Error: NO_MEMORY. @param ret Owned by the caller; the target must outlive it. */
ETP_EXPORT struct etp_error *etp_unwinder_create(const struct etp_target *target,
                                                 struct etp_unwinder **ret);
ETP_EXPORT void etp_unwinder_destroy(struct etp_unwinder *unwinder);

struct etp_c_frame {
	/** Of the first frame where it is, of the others where it returns to. */
	uint64_t pc;
	/** Function, and bytes from its start; NULL when it has no symbol, then from that of the
	 *  file. Name of the file, NULL when it is in none. Valid as long as the unwinder. */
	const char *function, *file;
	uint64_t offset;
	/** The file is not here, or is none: nothing is known of its functions and frames, so
	 *  that this frame is the last. */
	bool is_missing;
};

/** Frames of a thread, innermost first, at most `capacity`; returns how many. It stops
 *  where a frame's caller is not known. */
ETP_EXPORT size_t etp_unwind(struct etp_unwinder *unwinder, const struct etp_thread_state *state,
                             struct etp_c_frame *frames, size_t capacity);

#endif
