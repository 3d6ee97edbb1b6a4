// SPDX-License-Identifier: Apache-2.0
#include "analysis/binary_map.h"

#include <string.h>

enum {
	// Buckets at first.
	BUCKETS = CHUNK_ITEMS,
	ENTRIES_A_BUCKET = 1,
	// Chunks that an empty map keeps.
	CHUNKS_KEPT = 64,
	// A map with fewer entries is emptied entry by entry.
	FEW = 64,
	// What a set costs beside its ranges, in ranges.
	RANGES_A_SET = 2,
	// How long before it is needed something is fetched: of a large map nothing is in a cache.
	AHEAD = 8,
	FLAGS = 0x7f,
};

void binary_map_init(struct binary_map *map)
{
	*map = (struct binary_map){.range_room = BINARY_MAP_RANGES};
}

static struct range_set *set_at(const struct binary_map *map, size_t index)
{
	return chunk_item(&map->range_sets, index, sizeof(struct range_set));
}

static void free_range_sets(struct binary_map *map)
{
	for (size_t i = 0; i < map->range_set_count; i++)
		range_set_deinit(set_at(map, i), &map->range_room);
	map->range_set_count = 0;
	map->range_room = BINARY_MAP_RANGES;
}

void binary_map_deinit(struct binary_map *map)
{
	free_range_sets(map);
	chunks_deinit(&map->range_sets);
	chunks_deinit(&map->entries);
	chunks_deinit(&map->buckets);
	*map = (struct binary_map){0};
}

static uint64_t hash_address(uint64_t address)
{
	return (address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 24;
}

// There are as many buckets as a power of two, and some of the next one: those below were
// divided already.
static uint32_t *bucket_of(const struct binary_map *map, uint64_t hash)
{
	uint64_t power = UINT64_C(1) << (63 - __builtin_clzll(map->bucket_count));
	uint64_t bucket = hash & (2 * power - 1);
	if (bucket >= map->bucket_count)
		bucket &= power - 1;
	return chunk_item(&map->buckets, bucket, sizeof(uint32_t));
}

static void empty_buckets(struct binary_map *map)
{
	for (size_t i = 0; i < map->buckets.count; i++)
		memset(map->buckets.chunks[i], 0, CHUNK_ITEMS * sizeof(uint32_t));
}

// A map that was large once keeps what is usual only.
void binary_map_clear(struct binary_map *map)
{
	free_range_sets(map);
	chunks_trim(&map->range_sets, 1);
	chunks_trim(&map->entries, CHUNKS_KEPT);
	if (map->count < FEW) {
		for (size_t i = 0; i < map->count; i++)
			*bucket_of(map, hash_address(binary_map_at(map, i)->address)) = 0;
	} else {
		chunks_trim(&map->buckets, CHUNKS_KEPT);
		empty_buckets(map);
		map->bucket_count = BUCKETS;
	}
	map->count = 0;
}

static struct binary_entry *find_in(const struct binary_map *map, uint32_t first, uint64_t address,
                                    uint32_t *number_ret)
{
	for (uint32_t number = first; number;) {
		struct binary_entry *entry = binary_map_at(map, number - 1);
		*number_ret = number;
		if (entry->address == address)
			return entry;
		number = entry->next;
	}
	return NULL;
}

struct binary_entry *binary_map_find(const struct binary_map *map, uint64_t address)
{
	uint32_t number;
	return map->bucket_count
	               ? find_in(map, *bucket_of(map, hash_address(address)), address, &number)
	               : NULL;
}

size_t binary_map_index(const struct binary_map *map, uint64_t address)
{
	uint32_t number = 0;
	bool found = map->bucket_count &&
	             find_in(map, *bucket_of(map, hash_address(address)), address, &number);
	return found ? number - 1 : SIZE_MAX;
}

static void fetch_first_entry(const struct binary_map *map, uint32_t number)
{
	if (number)
		__builtin_prefetch(binary_map_at(map, number - 1), 1);
}

void binary_map_look_ahead(const struct binary_map *map, const struct binary_map *from, size_t i)
{
	if (map->count < AHEAD * CHUNK_ITEMS || i + 2 * AHEAD >= from->count)
		return;
	uint64_t soon = hash_address(binary_map_at(from, i + AHEAD)->address);
	uint64_t later = hash_address(binary_map_at(from, i + 2 * AHEAD)->address);
	fetch_first_entry(map, *bucket_of(map, soon));
	__builtin_prefetch(bucket_of(map, later), 1);
}

// One bucket more: it gets its share of the one that it was part of.
static bool add_bucket(struct binary_map *map)
{
	size_t added = map->bucket_count;
	if (!chunks_reserve(&map->buckets, added, sizeof(uint32_t)))
		return false;
	size_t power = (size_t)1 << (63 - __builtin_clzll(added));
	// The next ones to be divided are those behind this one.
	if (added - power + AHEAD < added)
		fetch_first_entry(map, *(uint32_t *)chunk_item(&map->buckets, added - power + AHEAD,
		                                               sizeof(uint32_t)));
	uint32_t *old = chunk_item(&map->buckets, added - power, sizeof(*old));
	uint32_t *new = chunk_item(&map->buckets, added, sizeof(*new));
	uint32_t number = *old;
	*old = *new = 0;
	map->bucket_count++;
	while (number) {
		struct binary_entry *entry = binary_map_at(map, number - 1);
		uint32_t *bucket = bucket_of(map, hash_address(entry->address));
		uint32_t next = entry->next;
		entry->next = *bucket;
		*bucket = number;
		number = next;
	}
	return true;
}

static bool reserve(struct binary_map *map)
{
	if (map->count >= BINARY_MAP_NONE - 1)
		return false;
	if (!map->bucket_count) {
		if (!chunks_reserve(&map->buckets, BUCKETS - 1, sizeof(uint32_t)))
			return false;
		map->bucket_count = BUCKETS;
	}
	if (map->count >= map->bucket_count * ENTRIES_A_BUCKET && !add_bucket(map))
		return false;
	return chunks_reserve(&map->entries, map->count, sizeof(struct binary_entry));
}

struct binary_entry *binary_map_insert(struct binary_map *map, uint64_t address)
{
	struct binary_entry *entry = binary_map_find(map, address);
	if (entry)
		return entry;
	if (!reserve(map))
		return NULL;
	uint32_t *bucket = bucket_of(map, hash_address(address));
	entry = binary_map_at(map, map->count);
	*entry = (struct binary_entry){
		.address = address,
		.holders = BINARY_MAP_NONE,
		.next = *bucket,
	};
	*bucket = (uint32_t)++map->count;
	return entry;
}

struct binary_entry *binary_map_add_reference(struct binary_map *map, uint64_t address,
                                              uint64_t size, uint64_t refc, uint32_t flags)
{
	struct binary_entry *entry = binary_map_insert(map, address);
	if (!entry)
		return NULL;
	entry->size = size;
	entry->refc = refc;
	entry->flags = flags & FLAGS;
	entry->refs++;
	return entry;
}

static bool has_set(const struct binary_entry *entry)
{
	return entry->start == BINARY_MAP_HAS_SET;
}

static void widen(struct binary_entry *entry, uint64_t start, uint64_t end)
{
	if (start < entry->start)
		entry->start = start;
	if (end > entry->end)
		entry->end = end;
}

static bool add_to_set(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                       uint64_t end)
{
	bool coarse = entry->coarse;
	bool ok = range_set_add(set_at(map, entry->end), start, end, &map->range_room, &coarse);
	entry->coarse = coarse;
	return ok;
}

// The entry's range goes into a set of its own.
static bool make_set(struct binary_map *map, struct binary_entry *entry)
{
	size_t number = map->range_set_count;
	if (!chunks_reserve(&map->range_sets, number, sizeof(struct range_set)))
		return false;
	*set_at(map, number) = (struct range_set){0};
	map->range_set_count++;
	map->range_room -= RANGES_A_SET;
	uint64_t start = entry->start, end = entry->end;
	entry->start = BINARY_MAP_HAS_SET;
	entry->end = number;
	return add_to_set(map, entry, start, end);
}

bool binary_map_add_range(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                          uint64_t end)
{
	if (start >= end)
		return true;
	if (has_set(entry))
		return add_to_set(map, entry, start, end);
	if (entry->start == entry->end) {
		entry->start = start;
		entry->end = end;
		return true;
	}
	if (start <= entry->end && end >= entry->start) {
		widen(entry, start, end);
		return true;
	}
	if (map->range_room < RANGES_A_SET + RANGE_SET_FIRST) {
		widen(entry, start, end);
		entry->coarse = true;
		return true;
	}
	return make_set(map, entry) && add_to_set(map, entry, start, end);
}

bool binary_map_add_ranges_of(struct binary_map *map, struct binary_entry *entry,
                              const struct binary_map *from, const struct binary_entry *other)
{
	entry->coarse |= other->coarse;
	if (!has_set(other))
		return binary_map_add_range(map, entry, other->start, other->end);
	const struct range_set *set = set_at(from, other->end);
	for (uint32_t i = 0; i < set->count; i++)
		if (!binary_map_add_range(map, entry, set->items[i].start, set->items[i].end))
			return false;
	return true;
}

bool binary_map_add(struct binary_map *map, const struct binary_map *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct binary_entry *other = binary_map_at(from, i);
		binary_map_look_ahead(map, from, i);
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
	if (!has_set(entry))
		return entry->end - entry->start;
	return range_set_bytes(set_at(map, entry->end));
}
