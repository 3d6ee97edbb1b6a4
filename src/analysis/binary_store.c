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

static struct binary_holder *holder_at(const struct binary_store *store, uint32_t link)
{
	return chunk_item(&store->holders, link, sizeof(struct binary_holder));
}

static bool is_only(uint32_t link)
{
	return link != BINARY_MAP_NONE && link >= BINARY_STORE_ONLY;
}

bool binary_store_next_holder(const struct binary_store *store, const struct binary_entry *entry,
                              uint32_t *link, struct binary_holder *ret)
{
	if (*link == BINARY_MAP_NONE)
		return false;
	*ret = is_only(*link) ? (struct binary_holder){.holder = *link - BINARY_STORE_ONLY,
	                                               .next = BINARY_MAP_NONE,
	                                               .refs = binary_entry_refs(entry)}
	                      : *holder_at(store, *link);
	*link = ret->next;
	return true;
}

static bool link_holder(struct binary_store *store, struct binary_entry *entry, uint32_t holder,
                        uint64_t refs)
{
	if (store->holder_count >= BINARY_STORE_ONLY ||
	    !chunks_reserve(&store->holders, store->holder_count, sizeof(struct binary_holder)))
		return false;
	uint32_t link = (uint32_t)store->holder_count++;
	*holder_at(store, link) =
		(struct binary_holder){.holder = holder, .next = entry->holders, .refs = refs};
	entry->holders = link;
	return true;
}

// Of the references of `entry`, `refs` are those of `holder`, which it does not have yet.
static bool add_holder(struct binary_store *store, struct binary_entry *entry, uint32_t holder,
                       uint64_t refs)
{
	uint32_t first = entry->holders;
	if (first == BINARY_MAP_NONE) {
		entry->holders = BINARY_STORE_ONLY + holder;
		return true;
	}
	if (is_only(first)) {
		entry->holders = BINARY_MAP_NONE;
		if (!link_holder(store, entry, first - BINARY_STORE_ONLY,

		                 binary_entry_refs(entry) - refs))
			return false;
	}
	return link_holder(store, entry, holder, refs);
}

bool binary_store_merge(struct binary_store *store, const struct binary_map *local, uint32_t holder)
{
	for (size_t i = 0; i < local->count; i++) {
		struct binary_entry *entry = binary_map_merge(&store->map, local, i);
		if (!entry ||
		    !add_holder(store, entry, holder, binary_entry_refs(binary_map_at(local, i))))
			return false;
	}
	return true;
}

struct taking {
	struct binary_store *store;
	uint32_t holder;
};

// `other` has become a part of `entry`: the holders of both, of which only one has `holder`.
static bool join_holders(void *context, struct binary_entry *entry,
                         const struct binary_entry *other)
{
	const struct taking *taking = context;
	if (entry->holders == BINARY_MAP_NONE) {
		entry->holders = other->holders;
		return true;
	}
	uint64_t refs = binary_entry_refs(other);
	if (other->holders != BINARY_STORE_ONLY + taking->holder) {
		refs = binary_entry_refs(entry) - refs;
		entry->holders = other->holders;
	}
	return add_holder(taking->store, entry, taking->holder, refs);
}

bool binary_store_take(struct binary_store *store, struct binary_map *local, uint32_t holder)
{
	struct taking taking = {store, holder};
	for (size_t i = 0; i < local->count; i++)
		binary_map_at(local, i)->holders = BINARY_STORE_ONLY + holder;
	// The smaller goes into the larger.
	if (store->map.count < local->count) {
		struct binary_map other = store->map;
		store->map = *local;
		*local = other;
	}
	return binary_map_take(&store->map, local, join_holders, &taking);
}

// The share of `holder` in `entry`, NULL if it has none of its own in the list.
static struct binary_holder *find_holder(struct binary_store *store,
                                         const struct binary_entry *entry, uint32_t holder)
{
	uint32_t link = entry->holders;
	while (link != BINARY_MAP_NONE && !is_only(link)) {
		struct binary_holder *found = holder_at(store, link);
		if (found->holder == holder)
			return found;
		link = found->next;
	}
	return NULL;
}

bool binary_store_add_holders_of(struct binary_store *store, struct binary_entry *entry,
                                 const struct binary_store *from, const struct binary_entry *other)
{
	uint32_t link = other->holders;
	struct binary_holder added;
	while (binary_store_next_holder(from, other, &link, &added)) {
		struct binary_holder *found = find_holder(store, entry, added.holder);
		binary_entry_add_refs(entry, added.refs);
		if (found)
			found->refs += added.refs;
		else if (entry->holders != BINARY_STORE_ONLY + added.holder &&
		         !add_holder(store, entry, added.holder, added.refs))
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
	struct binary_holder holder;
	for (; binary_store_next_holder(store, entry, &link, &holder); count++) {
		if (count >= capacity) {
			top_offer(holders, capacity, sizeof(*holders), &holder, compare_holders);
			continue;
		}
		holders[count] = holder;
		top_added(holders, count + 1, sizeof(*holders), compare_holders);
	}
	size_t written = count < capacity ? count : capacity;
	if (written)
		qsort(holders, written, sizeof(*holders), compare_holders);
	return count;
}
