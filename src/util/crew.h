// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_CREW_H
#define ETP_UTIL_CREW_H

// Threads that share work: numbered items, of which each takes the next one that
// nobody has. The thread that runs the crew works too, and it alone reports.

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	// Threads share the memory's bandwidth: more than these do not pay.
	CREW_THREADS_MAX = 8,
};

struct crew {
	// Guards what the workers share, as they agree upon.
	pthread_mutex_t lock;
	size_t items;
	// Do one item. False when memory ran out, which ends the work. Once `stopped` is
	// set it is called for the rest of the items all the same, to note that they were
	// not done.
	bool (*work)(void *worker, size_t item);
	// Called now and then by the thread that runs the crew; true to stop.
	bool (*report)(void *worker);
	// The next item that nobody has taken.
	atomic_size_t next;
	atomic_bool stopped, out_of_memory;
	// Threads that still work.
	pthread_cond_t finished;
	unsigned running;
};

void crew_init(struct crew *crew);
void crew_deinit(struct crew *crew);

// How many workers pay for so many shares of work: not more than there are processors.
// `wanted` is what was asked for instead, if it is not 0.
size_t crew_size(size_t shares, size_t wanted);

// Do all items. Worker 0 is the caller's thread; each other has a thread of its own, or
// is done without if that cannot be started. False when memory ran out.
bool crew_run(struct crew *crew, void *const *workers, size_t count);

#endif
