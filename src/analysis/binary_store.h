// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_BINARY_STORE_H
#define ETP_ANALYSIS_BINARY_STORE_H

// All off-heap binaries that were found, each with its holders. What is found in
// one holder is collected in a map of its own first, so that it can be summed up
// by itself, and is then merged.
//
// Memory: that of the map, and 16 bytes a (binary, holder) pair.

#include "analysis/binary_map.h"

// One holder's share in a binary: a link of the list in binary_entry.holders.
struct binary_holder {
	// Number that the owner of the store gave to the holder.
	uint32_t holder;
	uint32_t next;
	uint64_t refs;
};

struct binary_store {
	struct binary_map map;
	struct chunks holders;
	size_t holder_count;
};

void binary_store_init(struct binary_store *store);
void binary_store_deinit(struct binary_store *store);

// Of a list that begins with binary_entry.holders and ends with BINARY_MAP_NONE.
static inline struct binary_holder *binary_store_holder(const struct binary_store *store,
                                                        uint32_t link)
{
	return chunk_item(&store->holders, link, sizeof(struct binary_holder));
}

// Put all of `local` to the account of `holder`. False when memory ran out.
bool binary_store_merge(struct binary_store *store, const struct binary_map *local,
                        uint32_t holder);

// All holders of `other`, an entry of `from`, hold `entry` too. False when memory ran out.
bool binary_store_add_holders_of(struct binary_store *store, struct binary_entry *entry,
                                 const struct binary_store *from, const struct binary_entry *other);

// Holders of an entry, most references first: at most `capacity` of them are
// written; returns how many there are.
size_t binary_store_holders(const struct binary_store *store, const struct binary_entry *entry,
                            struct binary_holder *holders, size_t capacity);

#endif
