// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_BINARY_STORE_H
#define ETP_ANALYSIS_BINARY_STORE_H

// All off-heap binaries that were found, each with its holders. What is found in
// one holder is collected in a map of its own first, so that it can be summed up
// by itself, and is then merged.
//
// Memory: that of the map, and 16 bytes a (binary, holder) pair if the binary has more holders
// than one. An only holder is in the entry itself.

#include "analysis/binary_map.h"

// One holder's share in a binary.
struct binary_holder {
	// Number that the owner of the store gave to the holder, below BINARY_STORE_ONLY.
	uint32_t holder;
	// Link to the next one of the binary.
	uint32_t next;
	uint64_t refs;
};

// A link, in binary_entry.holders or in a holder, is the position of a holder in the store; or
// this and the number of the binary's only holder; or BINARY_MAP_NONE behind the last.
#define BINARY_STORE_ONLY (UINT32_C(1) << 31)

struct binary_store {
	struct binary_map map;
	struct chunks holders;
	size_t holder_count;
};

void binary_store_init(struct binary_store *store);
void binary_store_deinit(struct binary_store *store);

// The holder that `*link` leads to, at first an entry's; then `*link` leads to the next. False
// behind the last.
bool binary_store_next_holder(const struct binary_store *store, const struct binary_entry *entry,
                              uint32_t *link, struct binary_holder *ret);

// Put all of `local` to the account of `holder`. False when memory ran out.
bool binary_store_merge(struct binary_store *store, const struct binary_map *local,
                        uint32_t holder);

// The same; `local` is empty then, and what it took serves for the store where it can.
bool binary_store_take(struct binary_store *store, struct binary_map *local, uint32_t holder);

// All holders of `other`, an entry of `from`, hold `entry` too. False when memory ran out.
bool binary_store_add_holders_of(struct binary_store *store, struct binary_entry *entry,
                                 const struct binary_store *from, const struct binary_entry *other);

// Holders of an entry, most references first: at most `capacity` of them are
// written; returns how many there are.
size_t binary_store_holders(const struct binary_store *store, const struct binary_entry *entry,
                            struct binary_holder *holders, size_t capacity);

#endif
