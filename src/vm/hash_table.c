// SPDX-License-Identifier: Apache-2.0
#include "vm/hash_table.h"

#include <string.h>

enum {
	// index.h
	INDEX_PAGE_SHIFT = 10,
	INDEX_PAGE_MASK = (1 << INDEX_PAGE_SHIFT) - 1,
	// code_ix.h
	NUM_CODE_IX = 3,
};

bool etp_executable_memory(const struct etp_target *target, uint64_t *position,
                           struct etp_segment *ret)
{
	const struct etp_target_info *info = etp_target_info(target);
	uint64_t start = *position > info->executable_start ? *position : info->executable_start;
	uint64_t end = info->executable_end ? info->executable_end : UINT64_MAX;
	struct etp_segment segment;
	if (start >= end || !etp_target_next_segment(target, start, &segment) ||
	    segment.start >= end)
		return false;
	uint64_t first = segment.start < start ? start : segment.start;
	uint64_t last = segment.start + segment.size;
	if (last > end)
		last = end;
	segment.bytes += first - segment.start;
	segment.start = first;
	segment.size = last - first;
	*position = last;
	*ret = segment;
	return true;
}

uint64_t etp_search_budget(const struct etp_target *target)
{
	return etp_target_info(target)->bytes_total / sizeof(uint64_t) + 1;
}

static bool is_string(struct etp_reader *reader, uint64_t address, const char *text, size_t size)
{
	const char *found = etp_reader_at(reader, address, size);
	return found && !memcmp(found, text, size - 1) && !found[size - 1];
}

size_t etp_string_pointers_find(const struct etp_vm *vm, const char *text, size_t length,
                                uint64_t *addresses, size_t capacity)
{
	const struct etp_target_info *info = etp_target_info(vm->target);
	uint64_t start = info->executable_start;
	uint64_t end = info->executable_end ? info->executable_end : UINT64_MAX;
	size_t size = length + 1;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t position = 0;
	size_t count = 0;
	struct etp_segment segment;
	while (etp_executable_memory(vm->target, &position, &segment)) {
		uint64_t skip = -segment.start & 7;
		for (uint64_t i = skip; i + 8 <= segment.size; i += 8) {
			uint64_t word = etp_word_at(segment.bytes + i, 0);
			if (word < start || word >= end || !is_string(&reader, word, text, size))
				continue;
			if (count < capacity)
				addresses[count] = segment.start + i;
			count++;
		}
	}
	return count;
}

size_t etp_hash_tables_find(const struct etp_vm *vm, const char *name, size_t name_length,
                            uint64_t *addresses, size_t capacity)
{
	size_t count = etp_string_pointers_find(vm, name, name_length, addresses, capacity);
	for (size_t i = 0; i < count && i < capacity; i++)
		addresses[i] -= OFFSET(vm, Hash, name);
	return count;
}

// All three tables of the first of the names that is there at all.
static bool find_three(const struct etp_vm *vm, const char *names, uint64_t hashes[NUM_CODE_IX],
                       size_t *name_length_ret)
{
	for (;;) {
		size_t length = strcspn(names, "|");
		size_t count = etp_hash_tables_find(vm, names, length, hashes, NUM_CODE_IX);
		*name_length_ret = length;
		if (count || !names[length])
			return count == NUM_CODE_IX;
		names += length + 1;
	}
}

const char *etp_index_table_find(const struct etp_vm *vm, struct etp_reader *reader,
                                 const char *names, uint32_t code_index, uint32_t limit,
                                 struct etp_index_table *ret)
{
	uint64_t hashes[NUM_CODE_IX];
	size_t name_length;
	if (code_index >= NUM_CODE_IX)
		return "the_active_code_index is none of 0, 1 and 2";
	if (!find_three(vm, names, hashes, &name_length))
		return "the table is not in the memory of beam.smp three times";
	uint64_t offset = OFFSET(vm, IndexTable, htable);
	for (size_t i = 1; i < NUM_CODE_IX; i++)
		if (hashes[i] - hashes[i - 1] != SIZEOF(vm, IndexTable))
			return "the tables of the three code indices are not side by side";
	struct etp_index_table table = {.address = hashes[code_index] - offset,
	                                .name_length = name_length};
	uint32_t own_limit, size;
	if (!READ_U32(vm, reader, table.address, IndexTable, entries, &table.entries) ||
	    !READ_U32(vm, reader, table.address, IndexTable, limit, &own_limit) ||
	    !READ_U32(vm, reader, table.address, IndexTable, size, &size) ||
	    !READ_WORD(vm, reader, table.address, IndexTable, seg_table, &table.seg_table))
		return "the table is not in the core";
	if (own_limit > limit || table.entries > own_limit || table.entries > size)
		return "the table says that it has more entries than it can have";
	*ret = table;
	return NULL;
}

uint64_t etp_index_table_entry(const struct etp_index_table *table, struct etp_reader *reader,
                               uint32_t index)
{
	uint64_t page, entry;
	if (index >= table->entries ||
	    !etp_read_u64(reader, table->seg_table + (index >> INDEX_PAGE_SHIFT) * UINT64_C(8),
	                  &page) ||
	    !etp_read_u64(reader, page + (index & INDEX_PAGE_MASK) * UINT64_C(8), &entry))
		return 0;
	return entry;
}
