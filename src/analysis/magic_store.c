// SPDX-License-Identifier: Apache-2.0
#include "analysis/magic_store.h"

#include <stdlib.h>

#include "analysis/off_heap.h"
#include "analysis/trap_scan.h"
#include "util/array.h"

void magic_finder_init(struct magic_finder *finder, const struct etp_vm *vm,
                       struct etp_reader *reader, const struct etp_magic_kinds *kinds)
{
	*finder = (struct magic_finder){.vm = vm, .reader = reader, .kinds = kinds};
	binary_map_init(&finder->resources);
	binary_map_init(&finder->known);
	binary_map_init(&finder->traps);
}

void magic_finder_deinit(struct magic_finder *finder)
{
	binary_map_deinit(&finder->resources);
	binary_map_deinit(&finder->known);
	binary_map_deinit(&finder->traps);
}

static void clear(struct binary_map *map)
{
	if (map->count)
		binary_map_clear(map);
}

void magic_finder_clear(struct magic_finder *finder)
{
	clear(&finder->resources);
	clear(&finder->known);
	clear(&finder->traps);
}

bool magic_finder_add(struct magic_finder *finder, uint64_t address)
{
	struct etp_magic magic;
	struct binary_entry *entry;
	etp_magic_read(finder->vm, finder->reader, finder->kinds, address, &magic);
	switch (magic.kind) {
	case ETP_MAGIC_RESOURCE:
		entry = binary_map_insert(&finder->resources, address);
		if (entry)
			binary_entry_add_refs(entry, 1);
		return entry;
	case ETP_MAGIC_DIST_SEND:
	case ETP_MAGIC_MATCH_SPEC:
		return binary_map_insert(&finder->known, address);
	case ETP_MAGIC_OTHER:
		return !trap_holds_binaries(finder->vm, finder->reader, address) ||
		       binary_map_insert(&finder->traps, address);
	}
	return true;
}

bool magic_finder_add_ref(struct magic_finder *finder, uint64_t ref)
{
	uint64_t address;
	return !READ_WORD(finder->vm, finder->reader, ref, ErtsMRefThing, mb, &address) ||
	       magic_finder_add(finder, address);
}

bool magic_finder_add_chain(struct magic_finder *finder, uint64_t first)
{
	struct off_heap_iter iter = off_heap_iter(finder->vm, finder->reader, first);
	uint64_t ref;
	while (off_heap_next(&iter, ETP_THING_REF, &ref))
		if (!magic_finder_add_ref(finder, ref))
			return false;
	return true;
}

static bool insert_all(struct binary_map *map, const struct binary_map *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (!binary_map_insert(map, binary_map_at(from, i)->address))
			return false;
	return true;
}

bool magic_finder_take(struct magic_finder *finder, struct magic_finder *from)
{
	return binary_map_take(&finder->resources, &from->resources, NULL, NULL) &&
	       insert_all(&finder->known, &from->known) && insert_all(&finder->traps, &from->traps);
}

void magic_store_init(struct magic_store *store)
{
	*store = (struct magic_store){0};
	binary_store_init(&store->resources);
	binary_map_init(&store->known);
}

void magic_store_deinit(struct magic_store *store)
{
	binary_store_deinit(&store->resources);
	binary_map_deinit(&store->known);
	free(store->traps);
}

bool magic_store_merge(struct magic_store *store, const struct magic_finder *finder,
                       uint32_t holder)
{
	if (!insert_all(&store->known, &finder->known))
		return false;
	for (size_t i = 0; i < finder->traps.count; i++) {
		struct trap_state *trap = array_add(&store->traps, &store->trap_count,
		                                    &store->trap_capacity, sizeof(*trap));
		if (!trap)
			return false;
		*trap = (struct trap_state){binary_map_at(&finder->traps, i)->address, holder};
	}
	return binary_store_merge(&store->resources, &finder->resources, holder);
}

static int compare_traps(const void *a, const void *b)
{
	const struct trap_state *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->holder < y->holder ? -1 : x->holder > y->holder;
}

void magic_store_sort_traps(struct magic_store *store)
{
	if (store->trap_count)
		qsort(store->traps, store->trap_count, sizeof(*store->traps), compare_traps);
}
