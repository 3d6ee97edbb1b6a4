// SPDX-License-Identifier: Apache-2.0
#include "analysis/binary_store.h"

#include <stdlib.h>

#include "util/top.h"

void binary_store_init(struct binary_store *store)
{
	*store = (struct binary_store){0};
	binary_map_init(&store->map);
}

void binary_store_deinit(struct binary_store *store)
{
	binary_map_deinit(&store->map);
	chunks_deinit(&store->holders);
}

static bool add_holder(struct binary_store *store, struct binary_entry *entry, uint32_t holder,
                       uint64_t refs)
{
	if (store->holder_count >= BINARY_MAP_NONE ||
	    !chunks_reserve(&store->holders, store->holder_count, sizeof(struct binary_holder)))
		return false;
	*binary_store_holder(store, (uint32_t)store->holder_count) = (struct binary_holder){
		.holder = holder,
		.next = entry->holders,
		.refs = refs,
	};
	entry->holders = (uint32_t)store->holder_count++;
	return true;
}

bool binary_store_merge(struct binary_store *store, const struct binary_map *local, uint32_t holder)
{
	for (size_t i = 0; i < local->count; i++) {
		const struct binary_entry *entry = binary_map_at(local, i);
		binary_map_look_ahead(&store->map, local, i);
		struct binary_entry *global = binary_map_insert(&store->map, entry->address);
		if (!global)
			return false;
		global->size = entry->size;
		global->refc = entry->refc;
		global->flags = entry->flags;
		global->refs += entry->refs;
		if (!binary_map_add_ranges_of(&store->map, global, local, entry) ||
		    !add_holder(store, global, holder, entry->refs))
			return false;
	}
	return true;
}

bool binary_store_add_holders_of(struct binary_store *store, struct binary_entry *entry,
                                 const struct binary_store *from, const struct binary_entry *other)
{
	entry->refs += other->refs;
	for (uint32_t i = other->holders; i != BINARY_MAP_NONE;
	     i = binary_store_holder(from, i)->next) {
		const struct binary_holder *added = binary_store_holder(from, i);
		uint32_t link = entry->holders;
		while (link != BINARY_MAP_NONE &&
		       binary_store_holder(store, link)->holder != added->holder)
			link = binary_store_holder(store, link)->next;
		if (link != BINARY_MAP_NONE)
			binary_store_holder(store, link)->refs += added->refs;
		else if (!add_holder(store, entry, added->holder, added->refs))
			return false;
	}
	return true;
}

// Most references first; where these are equal, in the order of the holders' numbers, so
// that threads cannot change it.
static int compare_holders(const void *a, const void *b)
{
	const struct binary_holder *x = a, *y = b;
	if (x->refs != y->refs)
		return x->refs > y->refs ? -1 : 1;
	return x->holder < y->holder ? -1 : x->holder > y->holder;
}

size_t binary_store_holders(const struct binary_store *store, const struct binary_entry *entry,
                            struct binary_holder *holders, size_t capacity)
{
	size_t count = 0;
	uint32_t link = entry->holders;
	for (; link != BINARY_MAP_NONE; link = binary_store_holder(store, link)->next, count++) {
		const struct binary_holder *holder = binary_store_holder(store, link);
		if (count >= capacity) {
			top_offer(holders, capacity, sizeof(*holders), holder, compare_holders);
			continue;
		}
		holders[count] = *holder;
		top_added(holders, count + 1, sizeof(*holders), compare_holders);
	}
	size_t written = count < capacity ? count : capacity;
	if (written)
		qsort(holders, written, sizeof(*holders), compare_holders);
	return count;
}
