// SPDX-License-Identifier: Apache-2.0
#include "analysis/binary_feed.h"

void binary_feed_init(struct binary_feed *feed, struct binary_map *map)
{
	feed->map = map;
	feed->in = feed->out = 0;
}

static struct binary_sight *place(struct binary_feed *feed, size_t number)
{
	return &feed->waiting[number % BINARY_FEED_ROOM];
}

static bool let_in(struct binary_feed *feed)
{
	const struct binary_sight *sight = place(feed, feed->out++);
	struct binary_entry *entry = binary_map_insert(feed->map, sight->address);
	if (!entry)
		return false;
	binary_entry_describe(entry, sight->size, sight->refc, sight->flags, sight->refs);
	return binary_map_add_range(feed->map, entry, sight->start, sight->end);
}

bool binary_feed_add(struct binary_feed *feed, const struct binary_sight *sight)
{
	binary_map_fetch_slot(feed->map, sight->address);
	*place(feed, feed->in++) = *sight;
	if (feed->in - feed->out > BINARY_FEED_ROOM / 2)
		binary_map_fetch_entry(feed->map,
		                       place(feed, feed->in - BINARY_FEED_ROOM / 2)->address);
	return feed->in - feed->out < BINARY_FEED_ROOM || let_in(feed);
}

bool binary_feed_finish(struct binary_feed *feed)
{
	while (feed->out < feed->in)
		if (!let_in(feed))
			return false;
	return true;
}
