// SPDX-License-Identifier: Apache-2.0
#include "analysis/binary_feed.h"

void binary_feed_init(struct binary_feed *feed, struct binary_map *map, pthread_mutex_t *lock)
{
	feed->map = map;
	feed->lock = lock;
	feed->count = 0;
}

static bool let_in(struct binary_map *map, const struct binary_sight *sight)
{
	struct binary_entry *entry = binary_map_insert(map, sight->address);
	if (!entry)
		return false;
	binary_entry_describe(entry, sight->size, sight->refc, sight->flags, sight->refs);
	return binary_map_add_range(map, entry, sight->start, sight->end);
}

static bool let_in_turn(struct binary_map *map, const struct binary_sight *waiting, size_t count)
{
	for (size_t i = 0; i < count; i++)
		binary_map_fetch_slot(map, waiting[i].address);
	for (size_t i = 0; i < count; i++)
		binary_map_fetch_entry(map, waiting[i].address);
	for (size_t i = 0; i < count; i++)
		if (!let_in(map, &waiting[i]))
			return false;
	return true;
}

// The map is ours. False when out of memory.
static bool let_in_all(struct binary_feed *feed)
{
	bool ok = true;
	for (size_t i = 0; ok && i < feed->count; i += BINARY_FEED_TURN) {
		size_t left = feed->count - i;
		ok = let_in_turn(feed->map, &feed->waiting[i],
		                 left < BINARY_FEED_TURN ? left : BINARY_FEED_TURN);
	}
	feed->count = 0;
	if (feed->lock)
		pthread_mutex_unlock(feed->lock);
	return ok;
}

bool binary_feed_finish(struct binary_feed *feed)
{
	if (feed->lock)
		pthread_mutex_lock(feed->lock);
	return let_in_all(feed);
}

bool binary_feed_add(struct binary_feed *feed, const struct binary_sight *sight)
{
	feed->waiting[feed->count++] = *sight;
	if (feed->count == BINARY_FEED_ROOM || !feed->lock)
		return feed->count < BINARY_FEED_TURN || binary_feed_finish(feed);
	// To sleep until the other thread is done would take longer than to go on meanwhile.
	return feed->count % BINARY_FEED_TURN || pthread_mutex_trylock(feed->lock) ||
	       let_in_all(feed);
}
