// SPDX-License-Identifier: Apache-2.0
#include "vm/ptab.h"

#include <stdlib.h>

#include "vm/vm.h"

enum {
	// ERTS_PTAB_MAX_SIZE, erl_ptab.h.
	PTAB_MAX_SIZE = 1 << 27,
};

static size_t hash_id(etp_term id)
{
	return (size_t)((id >> ID_DATA_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
}

static struct etp_error *build_index(struct etp_ptab *ptab)
{
	size_t size = 16;
	while (size < ptab->count * 2)
		size *= 2;
	ptab->index = calloc(size, sizeof(*ptab->index));
	if (!ptab->index)
		return &etp_error_no_memory;
	ptab->index_mask = size - 1;
	for (size_t i = 0; i < ptab->count; i++) {
		size_t slot = hash_id(ptab->ids[i]) & ptab->index_mask;
		// An id stands in one slot only; a damaged table may be full of one.
		while (ptab->index[slot] && ptab->ids[ptab->index[slot] - 1] != ptab->ids[i])
			slot = (slot + 1) & ptab->index_mask;
		if (!ptab->index[slot])
			ptab->index[slot] = (uint32_t)i + 1;
	}
	return NULL;
}

// Pointers in the table are read page-wise: the table of a VM that allows 134
// million processes is 1 GiB of mostly untouched zeros.
struct etp_error *etp_ptab_init(struct etp_ptab *ptab, const struct etp_vm *vm, const char *name,
                                unsigned tag)
{
	uint64_t address;
	struct etp_error *err = etp_target_symbol(vm->target, name, &address, NULL);
	if (err)
		return err;

	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t tab, invalid;
	uint32_t max, count;
	if (!READ_WORD(vm, &reader, address, ErtsPTab, tab, &tab) ||
	    !READ_U32(vm, &reader, address, ErtsPTab, max, &max) ||
	    !READ_U32(vm, &reader, address, ErtsPTab, count, &count) ||
	    !READ_WORD(vm, &reader, address, ErtsPTab, invalid_element, &invalid))
		return etp_error_prefix(etp_error_fault(reader.fault_address, "Process table"),
		                        "%s", name);
	if (max > PTAB_MAX_SIZE || count > max)
		return etp_error_create(
			ETP_ERROR_BAD_DATA,
			"%s at 0x%llx says it has %u of at most %u elements; that is "
			"not a process table, so the layout does not fit.",
			name, (unsigned long long)address, count, max);
	ptab->limit = max;

	// One more than the count: an element may be on its way in.
	size_t capacity = (size_t)count + 64;
	ptab->addresses = calloc(capacity, sizeof(*ptab->addresses));
	ptab->ids = calloc(capacity, sizeof(*ptab->ids));
	ptab->slots = calloc(capacity, sizeof(*ptab->slots));
	if (!ptab->addresses || !ptab->ids || !ptab->slots)
		return &etp_error_no_memory;

	enum { SLOTS_A_READ = 512 };
	uint64_t id_offset = OFFSET(vm, Process, id);
	for (uint32_t slot = 0; slot < max; slot += SLOTS_A_READ) {
		uint32_t n = max - slot < SLOTS_A_READ ? max - slot : SLOTS_A_READ;
		const void *slots =
			etp_reader_at(&reader, tab + slot * UINT64_C(8), n * UINT64_C(8));
		if (!slots) {
			ptab->unreadable += n;
			continue;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint64_t element = etp_word_at(slots, i);
			if (!element || element == invalid)
				continue;
			uint64_t id;
			bool readable = etp_read_u64(&reader, element + id_offset, &id);
			if (readable && (id & TAG_IMMED1_MASK) != tag)
				ptab->no_id++;
			if (!readable || (id & TAG_IMMED1_MASK) != tag || ptab->count == capacity) {
				ptab->unreadable++;
				continue;
			}
			ptab->addresses[ptab->count] = element;
			ptab->ids[ptab->count] = id;
			ptab->slots[ptab->count++] = slot + i;
		}
	}
	return build_index(ptab);
}

void etp_ptab_deinit(struct etp_ptab *ptab)
{
	free(ptab->addresses);
	free(ptab->ids);
	free(ptab->slots);
	free(ptab->index);
}

uint64_t etp_ptab_find(const struct etp_ptab *ptab, etp_term id)
{
	if (!ptab->index)
		return 0;
	size_t slot = hash_id(id) & ptab->index_mask;
	while (ptab->index[slot]) {
		size_t i = ptab->index[slot] - 1;
		if (ptab->ids[i] == id)
			return ptab->addresses[i];
		slot = (slot + 1) & ptab->index_mask;
	}
	return 0;
}
