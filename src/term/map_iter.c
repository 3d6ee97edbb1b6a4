// SPDX-License-Identifier: Apache-2.0
#include <etp/term.h>

#include "vm/vm.h"

// Go down to the inner node at `address`. False if it is not one.
static bool enter_node(struct etp_map_iter *iter, uint64_t address)
{
	uint64_t header;
	if (iter->depth == ETP_MAP_ITER_DEPTH || !etp_read_u64(iter->reader, address, &header) ||
	    header_thing(iter->vm->scheme, header) != ETP_THING_MAP)
		return false;
	uint64_t slots = address + 8;
	unsigned count;
	switch (header_map_type(header)) {
	case ETP_MAP_NODE_BITMAP:
		count = (unsigned)__builtin_popcount(header_map_bitmap(header));
		break;
	case ETP_MAP_HEAD_BITMAP:
		count = (unsigned)__builtin_popcount(header_map_bitmap(header));
		slots = address + OFFSET(iter->vm, hashmap_head, items);
		break;
	case ETP_MAP_HEAD_ARRAY:
		count = 16;
		slots = address + OFFSET(iter->vm, hashmap_head, items);
		break;
	default:
		return false;
	}
	const void *words = etp_reader_at(iter->reader, slots, count * UINT64_C(8));
	if (!words || !count)
		return false;
	if (iter->depth)
		iter->node_words += 1 + count;
	iter->path[iter->depth].slots = words;
	iter->path[iter->depth].count = count;
	iter->path[iter->depth].next = 0;
	iter->depth++;
	return true;
}

void etp_map_iter_init(struct etp_map_iter *iter, const struct etp_vm *vm,
                       struct etp_reader *reader, const struct etp_term_view *map,
                       enum etp_map_order order)
{
	memset(iter, 0, offsetof(struct etp_map_iter, path));
	iter->vm = vm;
	iter->reader = reader;
	if (map->kind == ETP_TERM_FLATMAP) {
		iter->is_flat = true;
		iter->remaining = map->flatmap.size;
		iter->keys = map->flatmap.keys;
		iter->values = map->flatmap.values;
		return;
	}
	iter->backwards = order == ETP_MAP_ORDER_TO_LIST;
	iter->remaining = map->hashmap.size;
	// Each pair is a cell: a head that promises more of them than there is memory
	// would keep us in nodes that lead into each other.
	uint64_t most = etp_target_info(vm->target)->bytes_saved / 16 + reader->overlay.size / 16;
	iter->damaged = map->hashmap.size > most || !enter_node(iter, map->address);
}

static bool next_of_hashmap(struct etp_map_iter *iter, etp_term *key_ret, etp_term *value_ret)
{
	while (iter->depth) {
		unsigned level = iter->depth - 1;
		if (iter->path[level].next == iter->path[level].count) {
			iter->depth--;
			continue;
		}
		unsigned slot = iter->path[level].next++;
		if (iter->backwards)
			slot = iter->path[level].count - 1 - slot;
		etp_term child = etp_word_at(iter->path[level].slots, slot);
		switch (term_primary(child)) {
		case TAG_PRIMARY_LIST: {
			const void *leaf = etp_reader_at(iter->reader, term_pointer(child), 16);
			if (!leaf)
				break;
			*key_ret = etp_word_at(leaf, 0);
			*value_ret = etp_word_at(leaf, 1);
			return true;
		}
		case TAG_PRIMARY_BOXED:
			if (enter_node(iter, term_pointer(child)))
				continue;
			break;
		default:
			break;
		}
		iter->damaged = true;
		return false;
	}
	// The head promised more pairs than the trie holds.
	iter->damaged = true;
	return false;
}

bool etp_map_iter_next(struct etp_map_iter *iter, etp_term *key_ret, etp_term *value_ret)
{
	if (!iter->remaining || iter->damaged)
		return false;
	if (!iter->is_flat && !next_of_hashmap(iter, key_ret, value_ret))
		return false;
	if (iter->is_flat) {
		*key_ret = etp_word_at(iter->keys, iter->position);
		*value_ret = etp_word_at(iter->values, iter->position);
		iter->position++;
	}
	iter->remaining--;
	return true;
}
