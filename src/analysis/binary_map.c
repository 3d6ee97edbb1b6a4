// SPDX-License-Identifier: Apache-2.0
#include "analysis/binary_map.h"

#include <stdlib.h>
#include <string.h>

void binary_map_init(struct binary_map *map)
{
	*map = (struct binary_map){0};
}

static void free_range_sets(struct binary_map *map)
{
	for (size_t i = 0; i < map->range_set_count; i++)
		range_set_deinit(&map->range_sets[i]);
	map->range_set_count = 0;
}

void binary_map_deinit(struct binary_map *map)
{
	free_range_sets(map);
	free(map->range_sets);
	free(map->entries);
	free(map->index);
	*map = (struct binary_map){0};
}

static size_t hash_address(uint64_t address)
{
	return (size_t)((address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 24);
}

// A map that was large once and holds little now is emptied entry by entry.
void binary_map_clear(struct binary_map *map)
{
	free_range_sets(map);
	if (map->count < map->capacity / 8) {
		for (size_t i = 0; i < map->count; i++) {
			size_t slot = hash_address(map->entries[i].address) & map->index_mask;
			while (map->index[slot] != i + 1)
				slot = (slot + 1) & map->index_mask;
			map->index[slot] = 0;
		}
	} else if (map->index) {
		memset(map->index, 0, (map->index_mask + 1) * sizeof(*map->index));
	}
	map->count = 0;
}

// The slot of `address`, or the free one where it belongs.
static size_t find_slot(const struct binary_map *map, uint64_t address)
{
	size_t slot = hash_address(address) & map->index_mask;
	while (map->index[slot] && map->entries[map->index[slot] - 1].address != address)
		slot = (slot + 1) & map->index_mask;
	return slot;
}

struct binary_entry *binary_map_find(const struct binary_map *map, uint64_t address)
{
	if (!map->index)
		return NULL;
	uint32_t position = map->index[find_slot(map, address)];
	return position ? &map->entries[position - 1] : NULL;
}

static bool grow(struct binary_map *map)
{
	size_t capacity = map->capacity ? map->capacity * 2 : 64;
	if (capacity > UINT32_MAX / 2)
		return false;
	struct binary_entry *entries = realloc(map->entries, capacity * sizeof(*entries));
	if (!entries)
		return false;
	map->entries = entries;
	map->capacity = capacity;
	uint32_t *index = calloc(capacity * 2, sizeof(*index));
	if (!index)
		return false;
	free(map->index);
	map->index = index;
	map->index_mask = capacity * 2 - 1;
	for (size_t i = 0; i < map->count; i++)
		map->index[find_slot(map, entries[i].address)] = (uint32_t)i + 1;
	return true;
}

struct binary_entry *binary_map_insert(struct binary_map *map, uint64_t address)
{
	if (map->count == map->capacity && !grow(map))
		return NULL;
	size_t slot = find_slot(map, address);
	if (!map->index[slot]) {
		map->entries[map->count] = (struct binary_entry){
			.address = address,
			.ranges = BINARY_MAP_NONE,
			.holders = BINARY_MAP_NONE,
		};
		map->index[slot] = (uint32_t)++map->count;
	}
	return &map->entries[map->index[slot] - 1];
}

struct binary_entry *binary_map_add_reference(struct binary_map *map, uint64_t address,
                                              uint64_t size, uint64_t refc, uint32_t flags)
{
	struct binary_entry *entry = binary_map_insert(map, address);
	if (!entry)
		return NULL;
	entry->size = size;
	entry->refc = refc;
	entry->flags = flags;
	entry->refs++;
	return entry;
}

static bool new_range_set(struct binary_map *map, uint32_t *ret)
{
	if (map->range_set_count == map->range_set_capacity) {
		size_t capacity = map->range_set_capacity ? map->range_set_capacity * 2 : 16;
		struct range_set *sets = realloc(map->range_sets, capacity * sizeof(*sets));
		if (!sets)
			return false;
		map->range_sets = sets;
		map->range_set_capacity = capacity;
	}
	map->range_sets[map->range_set_count] = (struct range_set){0};
	*ret = (uint32_t)map->range_set_count++;
	return true;
}

bool binary_map_add_range(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                          uint64_t end)
{
	if (start >= end)
		return true;
	if (entry->ranges == BINARY_MAP_NONE) {
		if (entry->start == entry->end) {
			entry->start = start;
			entry->end = end;
			return true;
		}
		if (start <= entry->end && end >= entry->start) {
			if (start < entry->start)
				entry->start = start;
			if (end > entry->end)
				entry->end = end;
			return true;
		}
		uint32_t set;
		if (!new_range_set(map, &set) ||
		    !range_set_add(&map->range_sets[set], entry->start, entry->end))
			return false;
		entry->ranges = set;
	}
	return range_set_add(&map->range_sets[entry->ranges], start, end);
}

bool binary_map_add_ranges_of(struct binary_map *map, struct binary_entry *entry,
                              const struct binary_map *from, const struct binary_entry *other)
{
	if (other->ranges == BINARY_MAP_NONE)
		return binary_map_add_range(map, entry, other->start, other->end);
	const struct range_set *set = &from->range_sets[other->ranges];
	for (size_t i = 0; i < set->count; i++)
		if (!binary_map_add_range(map, entry, set->items[i].start, set->items[i].end))
			return false;
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	const struct binary_entry *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

void binary_map_sort(struct binary_map *map)
{
	if (!map->count)
		return;
	qsort(map->entries, map->count, sizeof(*map->entries), compare_entries);
	memset(map->index, 0, (map->index_mask + 1) * sizeof(*map->index));
	for (size_t i = 0; i < map->count; i++)
		map->index[find_slot(map, map->entries[i].address)] = (uint32_t)i + 1;
}

bool binary_map_add(struct binary_map *map, const struct binary_map *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct binary_entry *other = &from->entries[i];
		struct binary_entry *entry = binary_map_insert(map, other->address);
		if (!entry)
			return false;
		entry->size = other->size;
		entry->refc = other->refc;
		entry->flags = other->flags;
		entry->refs += other->refs;
		if (!binary_map_add_ranges_of(map, entry, from, other))
			return false;
	}
	return true;
}

uint64_t binary_map_visible_bytes(const struct binary_map *map, const struct binary_entry *entry)
{
	if (entry->ranges == BINARY_MAP_NONE)
		return entry->end - entry->start;
	return range_set_bytes(&map->range_sets[entry->ranges]);
}
