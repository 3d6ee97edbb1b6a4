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

bool binary_feed_finish(struct binary_feed *feed)
{
	bool ok = true;
	if (feed->lock)
		pthread_mutex_lock(feed->lock);
	for (size_t i = 0; i < feed->count; i++)
		binary_map_fetch_slot(feed->map, feed->waiting[i].address);
	for (size_t i = 0; i < feed->count; i++)
		binary_map_fetch_entry(feed->map, feed->waiting[i].address);
	for (size_t i = 0; ok && i < feed->count; i++)
		ok = let_in(feed->map, &feed->waiting[i]);
	if (feed->lock)
		pthread_mutex_unlock(feed->lock);
	feed->count = 0;
	return ok;
}

bool binary_feed_add(struct binary_feed *feed, const struct binary_sight *sight)
{
	feed->waiting[feed->count++] = *sight;
	return feed->count < BINARY_FEED_ROOM || binary_feed_finish(feed);
}
