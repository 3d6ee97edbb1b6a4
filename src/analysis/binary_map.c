// SPDX-License-Identifier: Apache-2.0
#include "analysis/binary_map.h"

#include <string.h>

#include "util/pages.h"

enum {
	SLOTS_AT_FIRST = 256,
	// Chunks that an empty map keeps, and slots.
	CHUNKS_KEPT = 64,
	SLOTS_KEPT = CHUNKS_KEPT * CHUNK_ITEMS,
	// Of a map with fewer entries, one slot after the other is freed.
	FEW = 64,
	// What a set costs beside its ranges, in ranges.
	RANGES_A_SET = 2,
	// How many entries before it is needed something is fetched.
	AHEAD = 12,
	// From here on slots grow by a quarter only.
	SLOTS_LARGE = 1 << 20,
	// How many old slots are given back at a time, when they have gone to new ones.
	SLOTS_GIVEN_BACK = 1 << 18,
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
	pages_free(map->slots, map->slot_count * sizeof(*map->slots));
	*map = (struct binary_map){0};
}

static uint32_t hash_address(uint64_t address)
{
	return (uint32_t)((address >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static struct binary_slot *first_slot(const struct binary_map *map, uint32_t hash)
{
	return &map->slots[hash * (uint64_t)map->slot_count >> 32];
}

static struct binary_slot *next_slot(const struct binary_map *map, struct binary_slot *slot)
{
	return ++slot == map->slots + map->slot_count ? map->slots : slot;
}

// Where `address` is, or would be.
static struct binary_slot *find_slot(const struct binary_map *map, uint64_t address, uint32_t hash)
{
	struct binary_slot *slot = first_slot(map, hash);
	while (slot->number &&
	       (slot->hash != hash || binary_map_at(map, slot->number - 1)->address != address))
		slot = next_slot(map, slot);
	return slot;
}

static void free_slots(struct binary_map *map)
{
	if (map->slot_count > SLOTS_KEPT) {
		pages_free(map->slots, map->slot_count * sizeof(*map->slots));
		map->slots = NULL;
		map->slot_count = 0;
	} else if (map->count >= FEW) {
		memset(map->slots, 0, map->slot_count * sizeof(*map->slots));
	} else {
		for (uint32_t i = 0; i < map->count; i++) {
			uint32_t hash = hash_address(binary_map_at(map, i)->address);
			struct binary_slot *slot = first_slot(map, hash);
			while (slot->number != i + 1)
				slot = next_slot(map, slot);
			slot->number = 0;
		}
	}
}

// A map that was large once keeps what is usual only.
void binary_map_clear(struct binary_map *map)
{
	free_range_sets(map);
	free_slots(map);
	chunks_trim(&map->range_sets, 1);
	chunks_trim(&map->entries, CHUNKS_KEPT);
	map->count = 0;
}

struct binary_entry *binary_map_find(const struct binary_map *map, uint64_t address)
{
	size_t index = binary_map_index(map, address);
	return index == SIZE_MAX ? NULL : binary_map_at(map, index);
}

size_t binary_map_index(const struct binary_map *map, uint64_t address)
{
	uint32_t number = map->count ? find_slot(map, address, hash_address(address))->number : 0;
	return number ? number - 1 : SIZE_MAX;
}

void binary_map_fetch_slot(const struct binary_map *map, uint64_t address)
{
	if (map->slot_count > SLOTS_KEPT)
		__builtin_prefetch(first_slot(map, hash_address(address)), 1);
}

void binary_map_fetch_entry(const struct binary_map *map, uint64_t address)
{
	if (map->slot_count <= SLOTS_KEPT)
		return;
	uint32_t hash = hash_address(address);
	const struct binary_slot *slot = first_slot(map, hash);
	if (slot->number && slot->hash == hash)
		__builtin_prefetch(binary_map_at(map, slot->number - 1), 1);
}

static size_t more_slots(size_t count)
{
	if (!count)
		return SLOTS_AT_FIRST;
	return count < SLOTS_LARGE ? count * 2 : count + count / 4;
}

// More slots. They stay in the order of their hash values, so that both the old and the
// new ones are gone through once, and the old ones are needed no more one after the other.
static bool add_slots(struct binary_map *map)
{
	struct binary_map grown = {.slot_count = more_slots(map->slot_count)};
	grown.slots = pages_alloc(grown.slot_count * sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (size_t i = 0; i < map->slot_count; i++) {
		if (i && i % SLOTS_GIVEN_BACK == 0)
			pages_drop(map->slots + i - SLOTS_GIVEN_BACK,
			           SLOTS_GIVEN_BACK * sizeof(*map->slots));
		if (!map->slots[i].number)
			continue;
		struct binary_slot *slot = first_slot(&grown, map->slots[i].hash);
		while (slot->number)
			slot = next_slot(&grown, slot);
		*slot = map->slots[i];
	}
	pages_free(map->slots, map->slot_count * sizeof(*map->slots));
	map->slots = grown.slots;
	map->slot_count = grown.slot_count;
	return true;
}

// At most four fifths of the slots are taken.
static bool reserve(struct binary_map *map)
{
	if (map->count >= BINARY_MAP_NONE - 1)
		return false;
	if (map->count >= map->slot_count / 5 * 4 && !add_slots(map))
		return false;
	return chunks_reserve(&map->entries, map->count, sizeof(struct binary_entry));
}

struct binary_entry *binary_map_insert(struct binary_map *map, uint64_t address)
{
	if (!reserve(map))
		return NULL;
	uint32_t hash = hash_address(address);
	struct binary_slot *slot = find_slot(map, address, hash);
	if (slot->number)
		return binary_map_at(map, slot->number - 1);
	struct binary_entry *entry = binary_map_at(map, map->count++);
	*entry = (struct binary_entry){.address = address, .holders = BINARY_MAP_NONE};
	*slot = (struct binary_slot){.hash = hash, .number = (uint32_t)map->count};
	return entry;
}

void binary_entry_describe(struct binary_entry *entry, uint64_t size, uint64_t refc, uint32_t flags,
                           uint64_t refs)
{
	entry->size = size;
	entry->refc = refc;
	entry->flags = flags & FLAGS;
	binary_entry_add_refs(entry, refs);
}

struct binary_entry *binary_map_add_reference(struct binary_map *map, uint64_t address,
                                              uint64_t size, uint64_t refc, uint32_t flags)
{
	struct binary_entry *entry = binary_map_insert(map, address);
	if (entry)
		binary_entry_describe(entry, size, refc, flags, 1);
	return entry;
}

static bool has_set(const struct binary_entry *entry)
{
	return entry->start == BINARY_MAP_HAS_SET;
}

static bool is_all_visible(const struct binary_entry *entry)
{
	return has_set(entry) && entry->end == BINARY_MAP_ALL;
}

static bool add_to_set(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                       uint64_t end)
{
	bool coarse = entry->coarse;
	bool ok = range_set_add(set_at(map, entry->end), start, end, &map->range_room, &coarse);
	entry->coarse = coarse;
	return ok;
}

// The entry's range, if it has one, goes into a set of its own.
static bool make_set(struct binary_map *map, struct binary_entry *entry)
{
	size_t number = map->range_set_count;
	if (number >= BINARY_MAP_ALL ||
	    !chunks_reserve(&map->range_sets, number, sizeof(struct range_set)))
		return false;
	*set_at(map, number) = (struct range_set){0};
	map->range_set_count++;
	map->range_room -= RANGES_A_SET;
	uint64_t start = entry->start, end = entry->end;
	entry->start = BINARY_MAP_HAS_SET;
	entry->end = (uint32_t)number;
	return start == end || add_to_set(map, entry, start, end);
}

// Make the entry's range one with this. False if that does not fit.
static bool widen(struct binary_entry *entry, uint64_t start, uint64_t end)
{
	if (end >= BINARY_MAP_HAS_SET)
		return false;
	bool is_first = entry->start == entry->end;
	if (is_first || start < entry->start)
		entry->start = (uint32_t)start;
	if (is_first || end > entry->end)
		entry->end = (uint32_t)end;
	return true;
}

bool binary_map_add_range(struct binary_map *map, struct binary_entry *entry, uint64_t start,
                          uint64_t end)
{
	if (start >= end || is_all_visible(entry))
		return true;
	if (has_set(entry))
		return add_to_set(map, entry, start, end);
	bool touches = entry->start == entry->end || (start <= entry->end && end >= entry->start);
	if (touches && widen(entry, start, end))
		return true;
	if (map->range_room >= RANGES_A_SET + RANGE_SET_FIRST)
		return make_set(map, entry) && add_to_set(map, entry, start, end);
	entry->coarse = true;
	if (!widen(entry, start, end)) {
		entry->start = BINARY_MAP_HAS_SET;
		entry->end = BINARY_MAP_ALL;
	}
	return true;
}

// All that is visible of `other`, an entry of `from`, is visible of `entry` too.
static bool add_ranges_of(struct binary_map *map, struct binary_entry *entry,
                          const struct binary_map *from, const struct binary_entry *other)
{
	entry->coarse |= other->coarse;
	if (is_all_visible(other))
		return binary_map_add_range(map, entry, 0, other->size);
	if (!has_set(other))
		return binary_map_add_range(map, entry, other->start, other->end);
	const struct range_set *set = set_at(from, other->end);
	for (uint32_t i = 0; i < set->count; i++)
		if (!binary_map_add_range(map, entry, set->items[i].start, set->items[i].end))
			return false;
	return true;
}

struct binary_entry *binary_map_merge(struct binary_map *map, const struct binary_map *from,
                                      size_t index)
{
	if (index + 2 * AHEAD < from->count) {
		binary_map_fetch_slot(map, binary_map_at(from, index + 2 * AHEAD)->address);
		binary_map_fetch_entry(map, binary_map_at(from, index + AHEAD)->address);
	}
	const struct binary_entry *other = binary_map_at(from, index);
	struct binary_entry *entry = binary_map_insert(map, other->address);
	if (!entry)
		return NULL;
	binary_entry_describe(entry, other->size, other->refc, other->flags,
	                      binary_entry_refs(other));
	return add_ranges_of(map, entry, from, other) ? entry : NULL;
}

bool binary_map_take(struct binary_map *map, struct binary_map *from, binary_map_merged *merged,
                     void *context)
{
	bool ok = true;
	for (size_t i = 0; ok && i < from->count; i++) {
		struct binary_entry *entry = binary_map_merge(map, from, i);
		ok = entry && (!merged || merged(context, entry, binary_map_at(from, i)));
		if ((i + 1) % CHUNK_ITEMS == 0)
			chunks_hand_over(&map->entries, &from->entries, i / CHUNK_ITEMS);
	}
	binary_map_deinit(from);
	binary_map_init(from);
	return ok;
}

uint64_t binary_map_visible_bytes(const struct binary_map *map, const struct binary_entry *entry)
{
	if (is_all_visible(entry))
		return entry->size;
	if (!has_set(entry))
		return entry->end - entry->start;
	return range_set_bytes(set_at(map, entry->end));
}
