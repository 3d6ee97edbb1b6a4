// SPDX-License-Identifier: Apache-2.0
// The kernel counts how often a thread was taken off its processor (/proc/PID/task/TID/
// status), and says of one that it waits only if it is on none (.../syscall, Linux:
// wait_task_inactive()). One that was on none twice, and was taken off none in between,
// has not been on any: to be put on one is not counted, but it cannot leave it uncounted.

#include "target/rest.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/proc.h"

struct resting {
	int tid;
	// Times that it was taken off a processor.
	uint64_t switches;
	// Where it will go on.
	uint64_t sp, pc;
};

struct etp_rest {
	int pid;
	struct resting *threads;
	size_t count;
};

static bool count_of(const char *text, const char *label, uint64_t *ret)
{
	const char *line = strstr(text, label);
	return line && sscanf(line + strlen(label), "%" SCNu64, ret) == 1;
}

static bool read_switches(int pid, int tid, uint64_t *ret)
{
	char name[48], *text;
	size_t size;
	snprintf(name, sizeof(name), "task/%d/status", tid);
	struct etp_error *err = etp_proc_read(pid, name, &text, &size);
	if (err) {
		etp_error_destroy(err);
		return false;
	}
	uint64_t own, forced;
	bool told = count_of(text, "\nvoluntary_ctxt_switches:", &own) &&
	            count_of(text, "\nnonvoluntary_ctxt_switches:", &forced);
	free(text);
	if (told)
		*ret = own + forced;
	return told;
}

static bool begin_thread(struct etp_rest *rest, int tid)
{
	struct resting *threads = reallocarray(rest->threads, rest->count + 1, sizeof(threads[0]));
	if (!threads)
		return false;
	rest->threads = threads;
	struct resting *thread = &threads[rest->count++];
	*thread = (struct resting){.tid = tid};
	// In this order, and in the opposite one at the end.
	return read_switches(rest->pid, tid, &thread->switches) &&
	       etp_thread_waits(rest->pid, tid, &thread->sp, &thread->pc);
}

struct etp_rest *etp_rest_begin(int pid)
{
	struct etp_rest *rest = calloc(1, sizeof(*rest));
	if (!rest)
		return NULL;
	rest->pid = pid;
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *directory = opendir(path);
	bool rests = directory;
	for (struct dirent *entry; rests && (entry = readdir(directory));) {
		int tid = (int)strtol(entry->d_name, NULL, 10);
		rests = tid <= 0 || begin_thread(rest, tid);
	}
	if (directory)
		closedir(directory);
	if (rests && rest->count > 0)
		return rest;
	etp_rest_end(rest);
	return NULL;
}

bool etp_rest_held(const struct etp_rest *rest)
{
	// New threads are made by threads that execute.
	for (size_t i = 0; i < rest->count; i++) {
		const struct resting *thread = &rest->threads[i];
		uint64_t sp, pc, switches;
		if (!etp_thread_waits(rest->pid, thread->tid, &sp, &pc) ||
		    !read_switches(rest->pid, thread->tid, &switches) ||
		    switches != thread->switches)
			return false;
	}
	return true;
}

static const struct resting *find(const struct etp_rest *rest, int tid)
{
	for (size_t i = 0; i < rest->count; i++)
		if (rest->threads[i].tid == tid)
			return &rest->threads[i];
	return NULL;
}

bool etp_rest_has(const struct etp_rest *rest, enum etp_machine machine,
                  const struct etp_thread *threads, size_t count)
{
	if (count != rest->count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct resting *was = find(rest, threads[i].tid);
		uint64_t sp, pc;
		etp_thread_place(&threads[i], machine, &sp, &pc);
		// Of a system call that is to be repeated, aarch64 has the address already.
		if (!was || sp != was->sp || (pc != was->pc && pc + 4 != was->pc))
			return false;
	}
	return true;
}

void etp_rest_end(struct etp_rest *rest)
{
	if (!rest)
		return;
	free(rest->threads);
	free(rest);
}
