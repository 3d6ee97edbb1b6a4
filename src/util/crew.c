// SPDX-License-Identifier: Apache-2.0
#include "util/crew.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

enum {
	// Milliseconds between two reports while we only wait.
	WAIT_MS = 50,
};

// What a thread is given.
struct member {
	struct crew *crew;
	void *worker;
	pthread_t thread;
};

void crew_init(struct crew *crew)
{
	*crew = (struct crew){0};
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->finished, NULL);
}

void crew_deinit(struct crew *crew)
{
	pthread_cond_destroy(&crew->finished);
	pthread_mutex_destroy(&crew->lock);
}

size_t crew_size(size_t shares, size_t wanted)
{
	if (wanted)
		return wanted < CREW_THREADS_MAX ? wanted : CREW_THREADS_MAX;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = cpus > CREW_THREADS_MAX ? CREW_THREADS_MAX : cpus > 0 ? (size_t)cpus : 1;
	return shares < most ? shares ? shares : 1 : most;
}

static void report(struct crew *crew, void *worker)
{
	if (crew->report && !atomic_load(&crew->stopped) && crew->report(worker))
		atomic_store(&crew->stopped, true);
}

static void take_turns(struct crew *crew, void *worker, bool reports)
{
	for (;;) {
		if (reports)
			report(crew, worker);
		size_t item = atomic_fetch_add(&crew->next, 1);
		if (item >= crew->items || atomic_load(&crew->out_of_memory))
			return;
		if (!crew->work(worker, item))
			atomic_store(&crew->out_of_memory, true);
	}
}

static void *run_thread(void *context)
{
	struct member *member = context;
	struct crew *crew = member->crew;
	take_turns(crew, member->worker, false);
	pthread_mutex_lock(&crew->lock);
	crew->running--;
	pthread_cond_signal(&crew->finished);
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

static void wait_for_threads(struct crew *crew, void *worker)
{
	pthread_mutex_lock(&crew->lock);
	while (crew->running) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&crew->finished, &crew->lock, &until);
		pthread_mutex_unlock(&crew->lock);
		report(crew, worker);
		pthread_mutex_lock(&crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
}

static bool start(struct member *member)
{
	struct crew *crew = member->crew;
	pthread_mutex_lock(&crew->lock);
	crew->running++;
	pthread_mutex_unlock(&crew->lock);
	if (!pthread_create(&member->thread, NULL, run_thread, member))
		return true;
	pthread_mutex_lock(&crew->lock);
	crew->running--;
	pthread_mutex_unlock(&crew->lock);
	return false;
}

bool crew_run(struct crew *crew, void *const *workers, size_t count)
{
	struct member members[CREW_THREADS_MAX];
	size_t started = 0;
	// Threads inherit the mask. Signals are for those of the debugger that we run in,
	// which expects them in its own thread.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started + 1 < count && started < CREW_THREADS_MAX) {
		members[started] = (struct member){.crew = crew, .worker = workers[started + 1]};
		if (!start(&members[started]))
			break;
		started++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	take_turns(crew, workers[0], true);
	wait_for_threads(crew, workers[0]);
	for (size_t i = 0; i < started; i++)
		pthread_join(members[i].thread, NULL);
	return !atomic_load(&crew->out_of_memory);
}
