// SPDX-License-Identifier: Apache-2.0
#include "target/tracer.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
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

// How long a thread may take to stop before it is called stuck: one that waits in the kernel,
// where nothing reaches it, and one that is to run but gets no processor.
static const double wait_seconds = 0.1, patience_seconds = 5;

struct tracee {
	pid_t tid;
	bool stopped, gone;
	// We are its parent, who must still learn how it ended.
	bool is_child;
	// A signal that was on its way to the thread, and must still reach it.
	int signal;
};

// All of it is done by one thread, for the kernel lets everything run that a thread traces when
// that thread ends. So what is stuck goes on too, which nothing else could be told.
struct etp_tracer {
	pid_t pid;
	struct tracee *tracees;
	size_t count, capacity;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	// What the thread is to do, until it is done.
	struct etp_error *(*call)(void *context);
	void *context;
	struct etp_error *err;
	bool is_ending;
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

static bool waits_in_kernel(const struct etp_tracer *tracer, const struct tracee *tracee)
{
	char name[48], *text;
	size_t size;
	snprintf(name, sizeof(name), "task/%d/stat", tracee->tid);
	struct etp_error *err = etp_proc_read(tracer->pid, name, &text, &size);
	if (err) {
		etp_error_destroy(err);
		return false;
	}
	const char *state = strrchr(text, ')');
	bool waits = state && strncmp(state, ") D", 3) == 0;
	free(text);
	return waits;
}

static void wait_for_all(struct etp_tracer *tracer)
{
	double start = now();
	for (;;) {
		size_t running = 0, waiting = 0;
		bool is_late = now() > start + wait_seconds;
		for (size_t i = 0; i < tracer->count; i++) {
			struct tracee *tracee = &tracer->tracees[i];
			if (tracee->stopped || tracee->gone)
				continue;
			check(tracee);
			if (tracee->stopped || tracee->gone)
				continue;
			running++;
			waiting += is_late && waits_in_kernel(tracer, tracee);
		}
		if (running == waiting || now() > start + patience_seconds)
			return;
		const struct timespec pause = {.tv_nsec = is_late ? 1000000 : 20000};
		nanosleep(&pause, NULL);
	}
}

static struct etp_error *stop_all(void *context)
{
	struct etp_tracer *tracer = context;
	struct etp_error *err = NULL;
	for (size_t new = 1; !err &&new;) {
		err = seize_new(tracer, &new);
		wait_for_all(tracer);
	}
	return err;
}

static void let_run(struct etp_tracer *tracer)
{
	bool killed = false;
	for (size_t i = 0; i < tracer->count; i++) {
		struct tracee *tracee = &tracer->tracees[i];
		// One that was stuck may have stopped meanwhile.
		if (!tracee->stopped && !tracee->gone)
			check(tracee);
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
}

static void *trace(void *context)
{
	struct etp_tracer *tracer = context;
	pthread_mutex_lock(&tracer->lock);
	for (;;) {
		while (!tracer->call && !tracer->is_ending)
			pthread_cond_wait(&tracer->changed, &tracer->lock);
		if (!tracer->call)
			break;
		tracer->err = tracer->call(tracer->context);
		tracer->call = NULL;
		pthread_cond_broadcast(&tracer->changed);
	}
	pthread_mutex_unlock(&tracer->lock);
	let_run(tracer);
	return NULL;
}

struct etp_error *etp_tracer_call(struct etp_tracer *tracer,
                                  struct etp_error *(*call)(void *context), void *context)
{
	pthread_mutex_lock(&tracer->lock);
	tracer->call = call;
	tracer->context = context;
	pthread_cond_broadcast(&tracer->changed);
	while (tracer->call)
		pthread_cond_wait(&tracer->changed, &tracer->lock);
	struct etp_error *err = tracer->err;
	pthread_mutex_unlock(&tracer->lock);
	return err;
}

static void tracer_free(struct etp_tracer *tracer)
{
	pthread_cond_destroy(&tracer->changed);
	pthread_mutex_destroy(&tracer->lock);
	free(tracer->tracees);
	free(tracer);
}

struct etp_error *etp_tracer_stop(int pid, struct etp_tracer **ret)
{
	struct etp_tracer *tracer = calloc(1, sizeof(*tracer));
	if (!tracer)
		return &etp_error_no_memory;
	tracer->pid = pid;
	pthread_mutex_init(&tracer->lock, NULL);
	pthread_cond_init(&tracer->changed, NULL);
	// Signals are for the thread that called us.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int os_errno = pthread_create(&tracer->thread, NULL, trace, tracer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (os_errno) {
		tracer_free(tracer);
		return etp_error_os(os_errno, "No thread can be started to stop process %d", pid);
	}
	struct etp_error *err = etp_tracer_call(tracer, stop_all, tracer);
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
	pthread_mutex_lock(&tracer->lock);
	tracer->is_ending = true;
	pthread_cond_broadcast(&tracer->changed);
	pthread_mutex_unlock(&tracer->lock);
	pthread_join(tracer->thread, NULL);
	tracer_free(tracer);
}
