// SPDX-License-Identifier: Apache-2.0
#include "vm/ptab.h"

#include <stdlib.h>

#include "vm/vm.h"

enum {
	// ERTS_PTAB_MAX_SIZE, erl_ptab.h.
	PTAB_MAX_SIZE = 1 << 27,
	// erl_ptab.h, erl_term.h: of 64 bits, 4 are the tag.
	ID_DATA_SHIFT = 4,
	ID_DATA_BITS = 60,
	ID_DATA_BITS_TO_25 = 28,
	PID_NUMBER_BITS = 28,
	PID_NUMBER_BITS_TO_25 = 15,
};

bool etp_id_format_read(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        struct etp_id_format *ret)
{
	struct etp_id_format format = {
		// The masks became as wide as what they mask.
		.holds_slot = MEMBER_SIZE(vm, ErtsPTab, pix_mask) == 8,
	};
	uint64_t cl_shift, cli_shift;
	if (!etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsPTab_pix_mask, &format.mask) ||
	    !etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsPTab_pix_cl_mask,
	                        &format.cl_mask) ||
	    !etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsPTab_pix_cl_shift, &cl_shift) ||
	    !etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsPTab_pix_cli_mask,
	                        &format.cli_mask) ||
	    !etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsPTab_pix_cli_shift,
	                        &cli_shift) ||
	    cl_shift > 31 || cli_shift > 31)
		return false;
	format.cl_shift = (unsigned)cl_shift;
	format.cli_shift = (unsigned)cli_shift;
	*ret = format;
	return true;
}

uint64_t etp_id_data_max(const struct etp_id_format *format)
{
	return (UINT64_C(1) << (format->holds_slot ? ID_DATA_BITS : ID_DATA_BITS_TO_25)) - 1;
}

unsigned etp_pid_number_bits(const struct etp_id_format *format)
{
	return format->holds_slot ? PID_NUMBER_BITS : PID_NUMBER_BITS_TO_25;
}

// erts_ptab_data2pix()
static uint64_t slot_of_data(const struct etp_id_format *format, uint64_t data)
{
	return ((data & format->cl_mask) << format->cl_shift) +
	       (data >> format->cli_shift & format->cli_mask);
}

// erts_ptab_id2data()
uint64_t etp_id_data(const struct etp_id_format *format, etp_term id)
{
	uint64_t data = id >> ID_DATA_SHIFT & etp_id_data_max(format);
	if (!format->holds_slot)
		return data;
	return (data & ~format->mask) | (data >> format->cl_shift & format->cl_mask) |
	       (data & format->cli_mask) << format->cli_shift;
}

// erts_ptab_make_id()
etp_term etp_id_make(const struct etp_id_format *format, uint64_t data, unsigned tag)
{
	uint64_t slot = slot_of_data(format, data);
	if (format->holds_slot)
		return ((data & ~format->mask) | slot) << ID_DATA_SHIFT | tag;
	return slot << 32 | data << ID_DATA_SHIFT | tag;
}

uint64_t etp_id_slot(const struct etp_id_format *format, etp_term id)
{
	return slot_of_data(format, etp_id_data(format, id));
}

static size_t hash_id(etp_term id)
{
	return (size_t)((id >> ID_DATA_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
}

struct etp_error *etp_ptab_index(struct etp_ptab *ptab)
{
	free(ptab->index);
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
	    !READ_WORD(vm, &reader, address, ErtsPTab, invalid_element, &invalid) ||
	    !etp_id_format_read(vm, &reader, address, &ptab->format))
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
	ptab->capacity = capacity;
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
	return etp_ptab_index(ptab);
}

static struct etp_error *grow(struct etp_ptab *ptab, size_t capacity)
{
	uint64_t *addresses = reallocarray(ptab->addresses, capacity, sizeof(*addresses));
	if (addresses)
		ptab->addresses = addresses;
	etp_term *ids = reallocarray(ptab->ids, capacity, sizeof(*ids));
	if (ids)
		ptab->ids = ids;
	uint32_t *slots = reallocarray(ptab->slots, capacity, sizeof(*slots));
	if (slots)
		ptab->slots = slots;
	if (!addresses || !ids || !slots)
		return &etp_error_no_memory;
	ptab->capacity = capacity;
	return NULL;
}

struct etp_error *etp_ptab_add(struct etp_ptab *ptab, uint64_t address, etp_term id)
{
	struct etp_error *err =
		ptab->count < ptab->capacity ? NULL : grow(ptab, ptab->capacity * 2);
	if (err)
		return err;
	ptab->addresses[ptab->count] = address;
	ptab->ids[ptab->count] = id;
	ptab->slots[ptab->count++] = (uint32_t)etp_id_slot(&ptab->format, id);
	return NULL;
}

void etp_ptab_deinit(struct etp_ptab *ptab)
{
	free(ptab->addresses);
	free(ptab->ids);
	free(ptab->slots);
	free(ptab->index);
}

size_t etp_ptab_position(const struct etp_ptab *ptab, etp_term id)
{
	if (!ptab->index)
		return SIZE_MAX;
	size_t slot = hash_id(id) & ptab->index_mask;
	while (ptab->index[slot]) {
		size_t i = ptab->index[slot] - 1;
		if (ptab->ids[i] == id)
			return i;
		slot = (slot + 1) & ptab->index_mask;
	}
	return SIZE_MAX;
}

uint64_t etp_ptab_find(const struct etp_ptab *ptab, etp_term id)
{
	size_t i = etp_ptab_position(ptab, id);
	return i == SIZE_MAX ? 0 : ptab->addresses[i];
}
