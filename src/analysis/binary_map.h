// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_BINARY_MAP_H
#define ETP_ANALYSIS_BINARY_MAP_H

// Distinct off-heap binaries by the address of their Binary, with the references
// found to them and the bytes that these references can see.
//
// Memory: 40 bytes a binary, in chunks, so that they are never copied to grow, and 10 to 13
// for its slot. Of binaries of which more parts than one are seen, 24 bytes and 16 to 32 a
// part, but never more than BINARY_MAP_RANGES times 16 in all.
//
// Of a large map nothing is in a cache. A slot has the hash value of its binary, so that
// growing and looking for what is not there touch slots only; and what will be needed soon
// can be fetched ahead.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/range_set.h"
#include "util/chunks.h"

static const uint32_t BINARY_MAP_NONE = UINT32_MAX;

enum {
	// Ranges for which a map has room: 64 MiB.
	BINARY_MAP_RANGES = 1 << 22,
};

// Sizes and counts are as off_heap_read_binary() bounds them.
struct binary_entry {
	uint64_t address;
	// Of Binary.flags, those that ERTS has; and more is said to be visible than is.
	uint64_t size : 56, flags : 7, coarse : 1;
	// And references found, as binary_entry_refs() puts them together.
	uint64_t refc : 48, refs_low : 16;
	uint32_t refs_high;
	// The only visible range; empty when start == end. With BINARY_MAP_HAS_SET for a
	// start there is more than one, or one beyond 4 GiB, in the set of ranges number `end`;
	// or all counts as visible, when that is BINARY_MAP_ALL.
	uint32_t start, end;
	// Who holds it, as the owner of the map keeps it.
	uint32_t holders;
};

static inline uint64_t binary_entry_refs(const struct binary_entry *entry)
{
	return (uint64_t)entry->refs_high << 16 | entry->refs_low;
}

static inline void binary_entry_add_refs(struct binary_entry *entry, uint64_t refs)
{
	refs += binary_entry_refs(entry);
	entry->refs_low = refs & UINT16_MAX;
	entry->refs_high = (uint32_t)(refs >> 16);
}

#define BINARY_MAP_HAS_SET UINT32_MAX
#define BINARY_MAP_ALL UINT32_MAX

// Where the entry number `number` - 1 is found; free when that is 0.
struct binary_slot {
	uint32_t hash;
	uint32_t number;
};

struct binary_map {
	// In the order in which they were inserted.
	struct chunks entries;
	size_t count;
	// Open addressing, in the order of the hash values.
	struct binary_slot *slots;
	size_t slot_count;
	struct chunks range_sets;
	size_t range_set_count;
	// Ranges for which sets may still grow.
	size_t range_room;
};

void binary_map_init(struct binary_map *map);
void binary_map_deinit(struct binary_map *map);
// Forget all entries, keep some memory.
void binary_map_clear(struct binary_map *map);

// Entry number `index` of map->count.
static inline struct binary_entry *binary_map_at(const struct binary_map *map, size_t index)
{
	return chunk_item(&map->entries, index, sizeof(struct binary_entry));
}

// The entry at `address`, NULL if there is none. It stays where it is.
struct binary_entry *binary_map_find(const struct binary_map *map, uint64_t address);
// Its number, SIZE_MAX if there is none.
size_t binary_map_index(const struct binary_map *map, uint64_t address);
// The entry at `address`, made if need be (then all zero but for address and the
// holders, BINARY_MAP_NONE). NULL when memory ran out.
struct binary_entry *binary_map_insert(struct binary_map *map, uint64_t address);

// `address` will be looked up: have its slot fetched, or what the slot, which was fetched before,
// leads to.
void binary_map_fetch_slot(const struct binary_map *map, uint64_t address);
void binary_map_fetch_entry(const struct binary_map *map, uint64_t address);

// So many references more, to what the header of the Binary says this of.
void binary_entry_describe(struct binary_entry *entry, uint64_t size, uint64_t refc, uint32_t flags,
                           uint64_t refs);
// One more reference to the Binary at `address`, whose header says this. NULL when memory ran out.
struct binary_entry *binary_map_add_reference(struct binary_map *map, uint64_t address,
                                              uint64_t size, uint64_t refc, uint32_t flags);

// Bytes [start, end) of the entry's binary are visible. False when out of memory.
bool binary_map_add_range(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                          uint64_t end);

// Put entry number `index` of `from` into `map` too, with the references and what is visible
// added up, on the way through all of `from`. NULL when out of memory.
struct binary_entry *binary_map_merge(struct binary_map *map, const struct binary_map *from,
                                      size_t index);
// Entry `other` has become a part of `entry`, whose holders are as they were. False when out of
// memory.
typedef bool binary_map_merged(void *context, struct binary_entry *entry,
                               const struct binary_entry *other);
// Put all of `from` into `map`; `from` is empty then, and what it took serves for `map` on the way.
// Calls `merged`, if it is not NULL, for each. False when out of memory.
bool binary_map_take(struct binary_map *map, struct binary_map *from, binary_map_merged *merged,
                     void *context);
uint64_t binary_map_visible_bytes(const struct binary_map *map, const struct binary_entry *entry);

#endif
