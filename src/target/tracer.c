// SPDX-License-Identifier: Apache-2.0
#include "target/tracer.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/proc.h"

// How long a thread may take to stop before it is called stuck.
static const double patience_seconds = 1;

struct tracee {
	pid_t tid;
	bool stopped, gone;
	// We are its parent, who must still learn how it ended.
	bool is_child;
	// A signal that was on its way to the thread, and must still reach it.
	int signal;
};

struct etp_tracer {
	pid_t pid;
	struct tracee *tracees;
	size_t count, capacity;
};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool is_known(const struct etp_tracer *tracer, pid_t tid)
{
	for (size_t i = 0; i < tracer->count; i++)
		if (tracer->tracees[i].tid == tid)
			return true;
	return false;
}

static struct etp_error *explain(pid_t pid, int os_errno)
{
	int other = (int)etp_proc_status(pid, "TracerPid");
	if (other)
		return etp_error_create(ETP_ERROR_OS,
		                        "Process %d is traced already, by process %d: a debugger "
		                        "or strace. There can be one only; use etp in that "
		                        "debugger, or end it.",
		                        pid, other);
	if (os_errno == ESRCH)
		return etp_error_create(ETP_ERROR_NOT_FOUND, "There is no process %d.", pid);
	return etp_error_append(etp_error_os(os_errno, "Process %d cannot be stopped", pid), "%s",
	                        etp_proc_permission_hint());
}

// A thread that ended meanwhile is none.
static struct etp_error *seize(struct etp_tracer *tracer, pid_t tid)
{
	if (tracer->count == tracer->capacity) {
		size_t capacity = tracer->capacity ? 2 * tracer->capacity : 64;
		struct tracee *tracees =
			reallocarray(tracer->tracees, capacity, sizeof(tracees[0]));
		if (!tracees)
			return &etp_error_no_memory;
		tracer->tracees = tracees;
		tracer->capacity = capacity;
	}
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0)
		return errno == ESRCH && tid != tracer->pid ? NULL : explain(tracer->pid, errno);
	tracer->tracees[tracer->count++] = (struct tracee){
		.tid = tid,
		.is_child = tid == tracer->pid && etp_proc_status(tid, "PPid") == getpid(),
	};
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return NULL;
}

// Seize the threads that are not yet; threads are made by threads that still run.
static struct etp_error *seize_new(struct etp_tracer *tracer, size_t *new_ret)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/task", tracer->pid);
	DIR *directory = opendir(path);
	if (!directory)
		return errno == ENOENT ? explain(tracer->pid, ESRCH) : explain(tracer->pid, errno);
	struct etp_error *err = NULL;
	size_t before = tracer->count;
	for (struct dirent *entry; !err && (entry = readdir(directory));) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid > 0 && !is_known(tracer, tid))
			err = seize(tracer, tid);
	}
	closedir(directory);
	*new_ret = tracer->count - before;
	return err;
}

// Has it stopped, or ended?
static void check(struct tracee *tracee)
{
	siginfo_t info = {0};
	int options = WSTOPPED | WEXITED | WNOHANG | __WALL;
	if (waitid(P_PID, (id_t)tracee->tid, &info, options | WNOWAIT) != 0) {
		tracee->gone = errno == ECHILD;
		return;
	}
	if (info.si_pid == 0)
		return;
	if (info.si_code != CLD_STOPPED && info.si_code != CLD_TRAPPED) {
		tracee->gone = true;
		if (tracee->is_child)
			return;
	}
	waitid(P_PID, (id_t)tracee->tid, &info, options);
	tracee->stopped = !tracee->gone;
	// Our own interruption, and a stop by SIGSTOP that it may be in, are events.
	if (tracee->stopped && info.si_status >> 8 == 0)
		tracee->signal = info.si_status;
}

static size_t wait_for_all(struct etp_tracer *tracer)
{
	double until = now() + patience_seconds;
	size_t running;
	for (;;) {
		running = 0;
		for (size_t i = 0; i < tracer->count; i++) {
			struct tracee *tracee = &tracer->tracees[i];
			if (tracee->stopped || tracee->gone)
				continue;
			check(tracee);
			running += !tracee->stopped && !tracee->gone;
		}
		if (!running || now() > until)
			return running;
		const struct timespec pause = {.tv_nsec = 20000};
		nanosleep(&pause, NULL);
	}
}

struct etp_error *etp_tracer_stop(int pid, struct etp_tracer **ret)
{
	struct etp_tracer *tracer = calloc(1, sizeof(*tracer));
	if (!tracer)
		return &etp_error_no_memory;
	tracer->pid = pid;
	struct etp_error *err = NULL;
	for (size_t new = 1; !err &&new;) {
		err = seize_new(tracer, &new);
		wait_for_all(tracer);
	}
	if (err) {
		etp_tracer_release(tracer);
		return err;
	}
	*ret = tracer;
	return NULL;
}

size_t etp_tracer_stuck(const struct etp_tracer *tracer)
{
	size_t stuck = 0;
	for (size_t i = 0; i < tracer->count; i++)
		stuck += !tracer->tracees[i].stopped && !tracer->tracees[i].gone;
	return stuck;
}

void etp_tracer_release(struct etp_tracer *tracer)
{
	if (!tracer)
		return;
	// One that is stuck may have stopped meanwhile; else it goes on when we end.
	if (etp_tracer_stuck(tracer))
		wait_for_all(tracer);
	bool killed = false;
	for (size_t i = 0; i < tracer->count; i++) {
		struct tracee *tracee = &tracer->tracees[i];
		if (!tracee->stopped)
			continue;
		void *signal = (void *)(intptr_t)tracee->signal;
		tracee->stopped = false;
		tracee->gone = ptrace(PTRACE_DETACH, tracee->tid, NULL, signal) == 0;
		killed |= !tracee->gone;
	}
	// One that was killed while it stood still: the parent of its process does not learn
	// that it has ended before we have.
	if (killed)
		wait_for_all(tracer);
	free(tracer->tracees);
	free(tracer);
}
