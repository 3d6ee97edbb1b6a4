// SPDX-License-Identifier: Apache-2.0
//
// Sizes of tables of the VM, as it adds them up itself: erts_allocated_areas(), erl_alloc.c,
// which erlang:system_info(allocated_areas) shows. Most are in static variables that no symbol
// names, so that they are added up anew.

#include "vm/allocated_areas.h"

#include <stdlib.h>

#include "vm/code.h"
#include "vm/hash_table.h"
#include "vm/vm.h"

enum {
	// MAX_SHIFT, hash.c: a table has 1 << (MAX_SHIFT - shift) slots.
	HASH_MAX_SHIFT = 64,
	// code_ix.h
	NUM_CODE_IX = 3,
	// AtomText, atom.c: a link, and ATOM_TEXT_SIZE (erl_vm.h).
	ATOM_TEXT_SIZE = 32768,
	ATOM_TEXT_BYTES = 8 + ATOM_TEXT_SIZE,
	// MODULE_LIMIT and EXPORT_LIMIT, module.c and export.c.
	MODULES_MAX = 1 << 16,
	EXPORTS_MAX = 512 * 1024,
	// FUN_LIMIT, erl_fun.c.
	FUNS_MAX = 512 * 1024,
	// struct ranges, beam_ranges.c: address, entries, room, last found; Range is two words.
	RANGES_SIZE = 32,
	RANGE_SIZE = 16,
	// More than an allocator makes a block larger than was asked for.
	BLOCK_ROUNDING_MAX = 128,
};

struct adder {
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_allocators *out;
};

static void give_up(struct adder *a, const char *problem)
{
	a->out->unreadable++;
	a->out->problem = problem;
}

// Slots of a hash table, now (or when it was made). 0 if they make no sense.
static uint64_t hash_slots(struct adder *a, uint64_t hash, enum etp_member_id member)
{
	uint32_t shift;
	if (!etp_layout_has(a->vm->layout, member) ||
	    !etp_read_u32(&a->reader, hash + a->vm->layout->members[member].offset, &shift) ||
	    shift <= HASH_MAX_SHIFT / 2 || shift >= HASH_MAX_SHIFT)
		return 0;
	return UINT64_C(1) << (HASH_MAX_SHIFT - shift);
}

// hash_table_sz(), hash.c; 0 if it cannot be read.
static uint64_t hash_size(struct adder *a, uint64_t hash, size_t name_length)
{
	uint64_t slots = hash_slots(a, hash, ETP_MEMBER_Hash_shift);
	return slots ? SIZEOF(a->vm, Hash) + slots * 8 + name_length + 1 : 0;
}

// index_table_sz(), index.c; 0 if it cannot be read.
static uint64_t index_size(struct adder *a, uint64_t table, size_t name_length)
{
	const struct etp_vm *vm = a->vm;
	uint32_t size;
	uint64_t hash = hash_size(a, table + OFFSET(vm, IndexTable, htable), name_length);
	if (!hash || !READ_U32(vm, &a->reader, table, IndexTable, size, &size))
		return 0;
	return SIZEOF(vm, IndexTable) - SIZEOF(vm, Hash) + size * UINT64_C(8) + hash;
}

// Names of atoms are put one behind the other in pieces of memory; those of the VM's own
// atoms are in its program. Since OTP 28 all are literals (atom_alloc(), atom.c).
static void add_atom_texts(struct adder *a)
{
	const struct etp_vm *vm = a->vm;
	const struct etp_target_info *info = etp_target_info(vm->target);
	bool are_literals = HAS(vm, Atom, bin);
	uint64_t pieces = 1, used = 0, next = 0;
	for (uint64_t i = 0; i < vm->atoms.count; i++) {
		uint64_t name, size;
		if (!etp_vm_atom_text(vm, &a->reader, i, &name, &size)) {
			give_up(a, "the names of some atoms cannot be read");
			return;
		}
		if (!are_literals && name >= info->executable_start && name < info->executable_end)
			continue;
		pieces += next && name != next;
		used += size;
		next = name + size;
	}
	a->out->areas.atom_space = are_literals ? used : pieces * ATOM_TEXT_BYTES;
	a->out->areas.atom_space_used = used;
}

// An allocated block is preceded by its size, below the place in its carrier and above three flags
// (MBC_ABLK_SZ_MASK, erl_alloc_util.h), which counts that header.
static uint64_t atom_block(struct adder *a, uint64_t atom)
{
	const uint64_t mask = (UINT64_C(1) << 40) - 8;
	uint64_t size = SIZEOF(a->vm, Atom), word;
	if (!atom || !etp_read_u64(&a->reader, atom - 8, &word))
		return size;
	// What is no such header has no size of that order.
	uint64_t block = word & mask;
	return block >= size + 8 && block <= size + BLOCK_ROUNDING_MAX ? block : size;
}

static void add_atoms(struct adder *a)
{
	for (uint64_t i = 0; i < a->vm->atoms.count; i++)
		a->out->areas.atom_blocks +=
			atom_block(a, etp_vm_atom_address(a->vm, &a->reader, i));
	uint64_t table;
	struct etp_error *err = etp_target_symbol(a->vm->target, "erts_atom_table", &table, NULL);
	etp_error_destroy(err);
	a->out->areas.atoms = a->vm->atoms.count * SIZEOF(a->vm, Atom);
	a->out->areas.atom_table = err ? 0 : index_size(a, table, strlen("atom_tab"));
	if (!a->out->areas.atom_table)
		give_up(a, "the atom table cannot be read");
	add_atom_texts(a);
}

// tot_module_bytes, module.c: the modules, and what the tables have grown by.
static void add_modules(struct adder *a)
{
	const struct etp_vm *vm = a->vm;
	for (uint32_t i = 0; i < NUM_CODE_IX; i++) {
		struct etp_index_table table;
		uint32_t size;
		const char *problem =
			etp_index_table_find(vm, &a->reader, "module_code", i, MODULES_MAX, &table);
		uint64_t hash = table.address + OFFSET(vm, IndexTable, htable);
		uint64_t slots = problem ? 0 : hash_slots(a, hash, ETP_MEMBER_Hash_shift);
		uint64_t slots_at_first =
			problem ? 0 : hash_slots(a, hash, ETP_MEMBER_Hash_max_shift);
		if (!slots || !slots_at_first || slots_at_first > slots ||
		    !READ_U32(vm, &a->reader, table.address, IndexTable, size, &size)) {
			give_up(a, "the tables of modules cannot be read");
			return;
		}
		a->out->areas.module_table += table.entries * SIZEOF(vm, Module) +
		                              size * UINT64_C(8) + (slots - slots_at_first) * 8;
	}
}

static int compare_words(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

// Bytes of what the entries of three tables, one for each code index, are part of: each thing is
// allocated once, with an entry for each of the tables (total_entries_bytes, export.c; since
// OTP 29 erl_code_staged.h).
static uint64_t entries_size(struct adder *a, const struct etp_index_table *tables,
                             uint64_t thing_size, const char *problem)
{
	const struct etp_vm *vm = a->vm;
	size_t room = 0, count = 0, distinct = 0;
	for (uint32_t i = 0; i < NUM_CODE_IX; i++)
		room += tables[i].entries;
	uint64_t *things = calloc(room + 1, sizeof(*things));
	for (uint32_t i = 0; things && i < NUM_CODE_IX; i++) {
		for (uint32_t j = 0; j < tables[i].entries; j++) {
			uint64_t entry = etp_index_table_entry(&tables[i], &a->reader, j);
			if (entry &&
			    READ_WORD(vm, &a->reader, entry, ExportEntry, ep, &things[count]))
				count++;
		}
	}
	if (!things || count < room)
		give_up(a, problem);
	if (count)
		qsort(things, count, sizeof(*things), compare_words);
	for (size_t i = 0; i < count; i++)
		distinct += !i || things[i] != things[i - 1];
	free(things);
	return distinct * (thing_size + NUM_CODE_IX * SIZEOF(vm, ExportEntry));
}

// The tables of this name, one for each code index, and their size; 0 if one cannot be read.
static uint64_t find_tables(struct adder *a, const char *names, uint32_t limit,
                            struct etp_index_table *tables)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < NUM_CODE_IX; i++) {
		const char *problem =
			etp_index_table_find(a->vm, &a->reader, names, i, limit, &tables[i]);
		uint64_t size =
			problem ? 0 : index_size(a, tables[i].address, tables[i].name_length);
		if (!size)
			return 0;
		sum += size;
	}
	return sum;
}

static void add_exports(struct adder *a)
{
	struct etp_index_table tables[NUM_CODE_IX];
	uint64_t size = find_tables(a, ETP_EXPORT_TABLE_NAMES, EXPORTS_MAX, tables);
	if (!size) {
		give_up(a, "the tables of exported functions cannot be read");
		return;
	}
	a->out->areas.export_table = size;
	a->out->areas.export_list = entries_size(a, tables, SIZEOF(a->vm, Export),
	                                         "some exported functions cannot be read");
}

// One table, or since OTP 29 one for each code index, with entries like those of exports.
static void add_funs(struct adder *a)
{
	static const char name[] = "fun_table";
	uint64_t hash;
	if (etp_hash_tables_find(a->vm, name, strlen(name), &hash, 1) == 1) {
		a->out->areas.fun_table = hash_size(a, hash, strlen(name));
	} else {
		struct etp_index_table tables[NUM_CODE_IX];
		a->out->areas.fun_table = find_tables(a, "fun_staged_index", FUNS_MAX, tables);
		if (a->out->areas.fun_table)
			a->out->areas.fun_list = entries_size(a, tables, SIZEOF(a->vm, ErlFunEntry),
			                                      "some funs cannot be read");
	}
	if (!a->out->areas.fun_table)
		give_up(a, "the table of funs cannot be read");
}

// Could this be a struct ranges? Its modules must be in ascending order, and each be known.
static bool is_ranges(struct adder *a, const void *words, uint64_t *budget)
{
	const struct etp_code *code = a->vm->code;
	uint64_t modules = etp_word_at(words, 0), count = etp_word_at(words, 1);
	uint64_t room = etp_word_at(words, 2), found = etp_word_at(words, 3), last = 0;
	if (!modules || modules % 8 || !count || count > room || room > 4 * MODULES_MAX ||
	    found < modules || found - modules > count * RANGE_SIZE ||
	    (found - modules) % RANGE_SIZE)
		return false;
	const void *ranges = etp_reader_at(&a->reader, modules, count * RANGE_SIZE);
	// Of one that is not in use, modules may be purged by now.
	if (!ranges || !etp_code_module_at(code, etp_word_at(ranges, 0)))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t start = etp_word_at(ranges, 2 * i);
		if (start <= last || !etp_search_go_on(budget))
			return false;
		last = start;
	}
	return true;
}

// mem_used, beam_ranges.c: room for ranges in r[], a struct for each code index.
static void add_ranges(struct adder *a)
{
	uint64_t position = 0, first = 0, room = 0;
	uint64_t budget = etp_search_budget(a->vm->target);
	struct etp_segment segment;
	while (budget && etp_executable_memory(a->vm->target, &position, &segment)) {
		uint64_t skip = -segment.start & 7;
		for (uint64_t i = skip; budget && i + RANGES_SIZE <= segment.size; i += 8) {
			if (!etp_word_at(segment.bytes + i, 0) ||
			    !is_ranges(a, segment.bytes + i, &budget))
				continue;
			uint64_t address = segment.start + i;
			first = first ? first : address;
			if ((address - first) % RANGES_SIZE ||
			    address - first >= NUM_CODE_IX * RANGES_SIZE) {
				give_up(a, "the ranges of code cannot be told from others");
				return;
			}
			room += etp_word_at(segment.bytes + i, 2);
		}
	}
	if (!budget) {
		give_up(a, "too much looks like the ranges of code");
		return;
	}
	if (!first)
		give_up(a, "the ranges of code cannot be found");
	a->out->areas.module_refs = room * RANGE_SIZE;
}

void etp_allocated_areas(const struct etp_vm *vm, struct etp_allocators *ret)
{
	struct adder a = {.vm = vm, .out = ret};
	etp_reader_init(&a.reader, vm->target);
	add_atoms(&a);
	add_modules(&a);
	add_exports(&a);
	add_funs(&a);
	add_ranges(&a);
}
