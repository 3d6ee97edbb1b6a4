// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_BINARY_MAP_H
#define ETP_ANALYSIS_BINARY_MAP_H

// Distinct off-heap binaries by the address of their Binary, with the references
// found to them and the bytes that these references can see.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/range_set.h"

enum { BINARY_MAP_NONE = UINT32_MAX };

struct binary_entry {
	uint64_t address;
	uint64_t size;
	uint64_t refc;
	uint32_t flags;
	// Index of the set of visible ranges when there is more than one range.
	uint32_t ranges;
	// The only visible range; empty when start == end. Unused with `ranges`.
	uint64_t start, end;
	uint64_t refs;
	// First holder in a list that the owner of the map keeps.
	uint32_t holders;
};

struct binary_map {
	struct binary_entry *entries;
	size_t count, capacity;
	// Open addressing to positions in `entries`, plus 1.
	uint32_t *index;
	size_t index_mask;
	struct range_set *range_sets;
	size_t range_set_count, range_set_capacity;
};

void binary_map_init(struct binary_map *map);
void binary_map_deinit(struct binary_map *map);
// Forget all entries, keep the memory.
void binary_map_clear(struct binary_map *map);

// The entry at `address`, NULL if there is none. Valid until the next insertion.
struct binary_entry *binary_map_find(const struct binary_map *map, uint64_t address);
// The entry at `address`, made if need be (then all zero but for address and the
// lists). NULL when memory ran out.
struct binary_entry *binary_map_insert(struct binary_map *map, uint64_t address);

// One more reference to the Binary at `address`, whose header says this. NULL when memory ran out.
struct binary_entry *binary_map_add_reference(struct binary_map *map, uint64_t address,
                                              uint64_t size, uint64_t refc, uint32_t flags);

// Bytes [start, end) of the entry's binary are visible. False when out of memory.
bool binary_map_add_range(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                          uint64_t end);
// All that is visible of `from`'s entry is visible of `entry` too.
bool binary_map_add_ranges_of(struct binary_map *map, struct binary_entry *entry,
                              const struct binary_map *from, const struct binary_entry *other);
// Sort the entries by address, so that their order tells nothing of who found them.
void binary_map_sort(struct binary_map *map);
// Put all of `from` into `map`, with the references added up. False when out of memory.
bool binary_map_add(struct binary_map *map, const struct binary_map *from);
uint64_t binary_map_visible_bytes(const struct binary_map *map, const struct binary_entry *entry);

#endif
