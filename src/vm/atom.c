// SPDX-License-Identifier: Apache-2.0
//
// The atom table (ERTS: atom.h, index.h): an IndexTable of pages of Atom.

#include <stdlib.h>
#include <string.h>

#include "target/warn.h"
#include "vm/vm.h"

enum {
	// index.h
	INDEX_PAGE_SHIFT = 10,
	INDEX_PAGE_MASK = (1 << INDEX_PAGE_SHIFT) - 1,
	// 255 characters of at most 4 bytes (MAX_ATOM_SZ_LIMIT, atom.h).
	ATOM_MAX_BYTES = 4 * 255,
	// ERTS's own atoms come first; there are about 1,500 of them in OTP 25.
	STATIC_ATOMS_MAX = 4096,
};

// The page of the table of atoms that has this index.
static bool read_page(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index,
                      uint64_t *ret)
{
	return etp_read_u64(reader, vm->atoms.seg_table + (index >> INDEX_PAGE_SHIFT) * 8, ret);
}

uint64_t etp_vm_atom_address(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index)
{
	uint64_t page, atom;
	if (index >= vm->atoms.count)
		return 0;
	if (!read_page(vm, reader, index, &page) ||
	    !etp_read_u64(reader, page + (index & INDEX_PAGE_MASK) * 8, &atom))
		return 0;
	return atom;
}

bool etp_vm_atom_text(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index,
                      uint64_t *address_ret, uint64_t *size_ret)
{
	uint64_t atom = etp_vm_atom_address(vm, reader, index);
	if (!atom || !etp_vm_read_member(vm, reader, atom, ETP_MEMBER_Atom_len, size_ret) ||
	    *size_ret > ATOM_MAX_BYTES)
		return false;
	if (!HAS(vm, Atom, bin))
		return READ_WORD(vm, reader, atom, Atom, name, address_ret);
	// Since OTP 28 the name is a literal, which atom_to_binary/1 returns.
	etp_term name;
	struct etp_term_view view;
	if (!READ_WORD(vm, reader, atom, Atom, bin, &name) ||
	    etp_term_decode(vm, reader, name, &view) != ETP_TERM_BITSTRING ||
	    view.bits.bit_offset || view.bits.bit_size != *size_ret * 8)
		return false;
	*address_ret = view.bits.data_address;
	return true;
}

const char *etp_vm_atom(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index,
                        size_t *size_ret)
{
	uint64_t name, size;
	if (!etp_vm_atom_text(vm, reader, index, &name, &size))
		return NULL;
	if (!size) {
		*size_ret = 0;
		return "";
	}
	const char *text = etp_reader_at(reader, name, size);
	if (text)
		*size_ret = size;
	return text;
}

static bool find_below(const struct etp_vm *vm, struct etp_reader *reader, uint64_t limit,
                       const char *name, size_t size, uint64_t *index_ret)
{
	uint64_t page;
	for (uint64_t i = 0; i < limit; i++) {
		size_t n;
		// The number of atoms comes from the core: what is not there is left out by the
		// page.
		if (!(i & INDEX_PAGE_MASK) && !read_page(vm, reader, i, &page)) {
			i |= INDEX_PAGE_MASK;
			continue;
		}
		const char *text = etp_vm_atom(vm, reader, i, &n);
		if (text && n == size && !memcmp(text, name, size)) {
			*index_ret = i;
			return true;
		}
	}
	return false;
}

struct etp_error *etp_vm_find_atom(const struct etp_vm *vm, const char *name, size_t size,
                                   uint64_t *index_ret)
{
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	if (find_below(vm, &reader, vm->atoms.count, name, size, index_ret))
		return NULL;
	return etp_error_create(ETP_ERROR_NOT_FOUND,
	                        "None of the %llu atoms of this VM is named '%.*s'.",
	                        (unsigned long long)vm->atoms.count, (int)size, name);
}

bool etp_vm_is_atom(const struct etp_vm *vm, struct etp_reader *reader, etp_term term,
                    const char *name)
{
	if (!term_is_atom(term))
		return false;
	size_t size;
	const char *text = etp_vm_atom(vm, reader, term_atom_index(term), &size);
	return text && size == strlen(name) && !memcmp(text, name, size);
}

static uint64_t count_unreadable(const struct etp_vm *vm, struct etp_reader *reader)
{
	uint64_t count = 0, page, next;
	for (uint64_t i = 0; i < vm->atoms.count; i = next) {
		next = (i | INDEX_PAGE_MASK) + 1;
		if (next > vm->atoms.count)
			next = vm->atoms.count;
		if (!read_page(vm, reader, i, &page)) {
			count += next - i;
			continue;
		}
		for (size_t size; i < next; i++)
			count += !etp_vm_atom(vm, reader, i, &size);
	}
	return count;
}

static struct etp_error *warn_unreadable(struct etp_vm *vm, struct etp_reader *reader)
{
	uint64_t count = vm->is_trial ? 0 : count_unreadable(vm, reader);
	if (!count)
		return NULL;
	return etp_target_warn(
		vm->target,
		"%llu of %llu atoms cannot be read: what is looked for by one of them, "
		"a name, a function or a key, is not found.",
		(unsigned long long)count, (unsigned long long)vm->atoms.count);
}

struct etp_error *etp_atoms_init(struct etp_vm *vm)
{
	uint64_t table;
	struct etp_error *err = etp_target_symbol(vm->target, "erts_atom_table", &table, NULL);
	if (err)
		return err;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint32_t entries, limit;
	if (!READ_U32(vm, &reader, table, IndexTable, entries, &entries) ||
	    !READ_U32(vm, &reader, table, IndexTable, limit, &limit) ||
	    !READ_WORD(vm, &reader, table, IndexTable, seg_table, &vm->atoms.seg_table))
		return etp_error_fault(reader.fault_address, "Atom table (erts_atom_table)");
	if (entries > limit || limit > INT32_MAX)
		return etp_error_create(
			ETP_ERROR_LAYOUT,
			"The atom table says it has %u of at most %u entries; the layout (%s) does "
			"not fit this core.",
			entries, limit, vm->layout->source);
	vm->atoms.count = entries;
	vm->atoms.limit = limit;

	static const char *const names[AM_COUNT] = {
		[AM_EXTERNAL] = "external", [AM_TRUE] = "true",       [AM_UNDEFINED] = "undefined",
		[AM_NONE] = "none",         [AM_TIMEOUT] = "timeout",
	};
	uint64_t count = entries < STATIC_ATOMS_MAX ? entries : STATIC_ATOMS_MAX;
	for (size_t i = 0; i < AM_COUNT; i++) {
		uint64_t index;
		if (find_below(vm, &reader, count, names[i], strlen(names[i]), &index))
			vm->am[i] = term_make_atom(index);
	}
	// proc_lib's: one of the first few thousand atoms of every system.
	if (!find_below(vm, &reader, entries, "$initial_call", 13, &vm->atom_initial_call))
		vm->atom_initial_call = UINT64_MAX;
	return warn_unreadable(vm, &reader);
}
