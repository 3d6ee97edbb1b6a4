// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_BINARY_FEED_H
#define ETP_ANALYSIS_BINARY_FEED_H

// What was seen of binaries, on its way into a map, which threads may share. Some wait until there
// are enough to have the map's memory fetched for all of them at once.

#include <pthread.h>

#include "analysis/binary_map.h"

enum {
	// Are fetched together.
	BINARY_FEED_TURN = 64,
	// May wait while another thread has the map.
	BINARY_FEED_ROOM = 4 * BINARY_FEED_TURN,
};

// References to a binary, as binary_map_add_reference() takes one, and what they see.
struct binary_sight {
	uint64_t address, size, refc;
	uint32_t flags;
	// 0 for another range of a reference that was counted.
	uint32_t refs;
	uint64_t start, end;
};

struct binary_feed {
	struct binary_map *map;
	// Of the map; NULL if it is not shared.
	pthread_mutex_t *lock;
	size_t count;
	struct binary_sight waiting[BINARY_FEED_ROOM];
};

void binary_feed_init(struct binary_feed *feed, struct binary_map *map, pthread_mutex_t *lock);
// False when out of memory.
bool binary_feed_add(struct binary_feed *feed, const struct binary_sight *sight);
// Let in all who wait: nothing more comes. False when out of memory.
bool binary_feed_finish(struct binary_feed *feed);

#endif
