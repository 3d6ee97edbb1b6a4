// SPDX-License-Identifier: Apache-2.0
#include "target/threads.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "target/proc.h"

// struct user_regs_struct of x86_64, and of aarch64 (asm/ptrace.h): numbers of words.
static const struct {
	size_t words, sp, pc;
} layouts[] = {
	[ETP_MACHINE_X86_64] = {.words = 27, .sp = 19, .pc = 16},
	[ETP_MACHINE_AARCH64] = {.words = 34, .sp = 31, .pc = 32},
};

bool etp_thread_waits(int pid, int tid, uint64_t *sp_ret, uint64_t *pc_ret)
{
	char name[48], *text;
	size_t size;
	snprintf(name, sizeof(name), "task/%d/syscall", tid);
	struct etp_error *err = etp_proc_read(pid, name, &text, &size);
	if (err) {
		etp_error_destroy(err);
		return false;
	}
	// "number arguments sp pc", or "-1 sp pc" outside of system calls, or "running".
	char *words[16], *rest;
	size_t count = 0;
	for (char *word = strtok_r(text, " \n", &rest); word && count < 16;
	     word = strtok_r(NULL, " \n", &rest))
		words[count++] = word;
	if (count >= 3) {
		*sp_ret = strtoull(words[count - 2], NULL, 16);
		*pc_ret = strtoull(words[count - 1], NULL, 16);
	}
	free(text);
	return count >= 3;
}

void etp_thread_place(const struct etp_thread *thread, enum etp_machine machine, uint64_t *sp_ret,
                      uint64_t *pc_ret)
{
	memcpy(sp_ret, thread->registers + layouts[machine].sp * 8, sizeof(*sp_ret));
	memcpy(pc_ret, thread->registers + layouts[machine].pc * 8, sizeof(*pc_ret));
}

static void read_thread(int pid, enum etp_machine machine, struct etp_thread *thread)
{
	struct iovec registers = {thread->registers, sizeof(thread->registers)};
	thread->registers_size = layouts[machine].words * 8;
	// Registers of another size are those of another machine.
	if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)(uintptr_t)NT_PRSTATUS, &registers) ==
	            0 &&
	    registers.iov_len == thread->registers_size)
		return;
	memset(thread->registers, 0, sizeof(thread->registers));
	uint64_t sp, pc;
	if (!etp_thread_waits(pid, thread->tid, &sp, &pc))
		return;
	memcpy(thread->registers + layouts[machine].sp * 8, &sp, sizeof(sp));
	memcpy(thread->registers + layouts[machine].pc * 8, &pc, sizeof(pc));
}

struct etp_error *etp_threads_read(int pid, enum etp_machine machine, struct etp_thread **ret,
                                   size_t *count_ret)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *directory = opendir(path);
	if (!directory)
		return etp_error_os(errno, "The threads of process %d cannot be listed", pid);
	struct etp_thread *threads = NULL;
	size_t count = 0, capacity = 0;
	for (struct dirent *entry; (entry = readdir(directory));) {
		int tid = (int)strtol(entry->d_name, NULL, 10);
		if (tid <= 0)
			continue;
		if (count == capacity) {
			capacity = capacity ? 2 * capacity : 64;
			struct etp_thread *larger =
				reallocarray(threads, capacity, sizeof(threads[0]));
			if (!larger) {
				free(threads);
				closedir(directory);
				return &etp_error_no_memory;
			}
			threads = larger;
		}
		threads[count] = (struct etp_thread){.tid = tid};
		read_thread(pid, machine, &threads[count++]);
	}
	closedir(directory);
	*ret = threads;
	*count_ret = count;
	return NULL;
}
