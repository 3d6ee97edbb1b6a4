// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_BINARY_FEED_H
#define ETP_ANALYSIS_BINARY_FEED_H

// What was seen of binaries, on its way into a map: it waits until the map's memory that it
// needs was fetched, as that of those in front of it was.

#include "analysis/binary_map.h"

enum { BINARY_FEED_ROOM = 32 };

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
	// How many came in and went out; the one that came in as number n waits at n modulo the
	// room.
	size_t in, out;
	struct binary_sight waiting[BINARY_FEED_ROOM];
};

void binary_feed_init(struct binary_feed *feed, struct binary_map *map);
// False when out of memory.
bool binary_feed_add(struct binary_feed *feed, const struct binary_sight *sight);
// Nothing more comes: let in all who wait. False when out of memory.
bool binary_feed_finish(struct binary_feed *feed);

#endif
