// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_THREADS_H
#define ETP_TARGET_THREADS_H

// Threads of a process that stands still.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/target.h>

struct etp_thread {
	int tid;
	// struct user_regs_struct of its machine, as NT_PRSTATUS has it.
	unsigned char registers[512];
	size_t registers_size;
};

// The threads of `pid`, the first one first; released with free(). Whoever traces them
// gets their registers; others only the program counter and the stack pointer, which
// /proc tells (the rest are 0).
struct etp_error *etp_threads_read(int pid, enum etp_machine machine, struct etp_thread **ret,
                                   size_t *count_ret);

// Does the thread wait, on no processor? Then this is its stack pointer, and where it
// will go on.
bool etp_thread_waits(int pid, int tid, uint64_t *sp_ret, uint64_t *pc_ret);

// The same of a thread whose registers were read.
void etp_thread_place(const struct etp_thread *thread, enum etp_machine machine, uint64_t *sp_ret,
                      uint64_t *pc_ret);

#endif
