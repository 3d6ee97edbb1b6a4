// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_HASH_TABLE_H
#define ETP_VM_HASH_TABLE_H

// Hash and index tables of ERTS that no symbol names (ERTS: hash.h, index.h). Each
// Hash points to its own name, which tells them apart in .data and .bss.

#include <stddef.h>
#include <stdint.h>

#include "vm/vm.h"

// Addresses of the static Hash structs with this name, of `name_length` bytes, ascending: at
// most `capacity` are written; returns how many there are.
size_t etp_hash_tables_find(const struct etp_vm *vm, const char *name, size_t name_length,
                            uint64_t *addresses, size_t capacity);

// Addresses of words in the memory of the executable that point to a string of its own, the
// first `length` bytes of `text`, likewise.
size_t etp_string_pointers_find(const struct etp_vm *vm, const char *text, size_t length,
                                uint64_t *addresses, size_t capacity);

// An IndexTable that was read and found plausible.
struct etp_index_table {
	uint64_t address;
	uint64_t seg_table;
	uint32_t entries;
	// Length of its name, which ERTS adds to its size.
	size_t name_length;
};

// The IndexTable with one of these names ("a|b") that belongs to code index `index` (code_ix.h):
// ERTS keeps one for each of its three code indices, one behind the other. `limit` is the most
// entries that it can have. Returns NULL, or what is wrong, a static string.
const char *etp_index_table_find(const struct etp_vm *vm, struct etp_reader *reader,
                                 const char *names, uint32_t code_index, uint32_t limit,
                                 struct etp_index_table *ret);

// Names of the export table: since OTP 29 that of all tables that are staged
// (erl_code_staged.h).
#define ETP_EXPORT_TABLE_NAMES "export_list|export_staged_index"

// Address of the entry with this index, 0 if it cannot be read.
uint64_t etp_index_table_entry(const struct etp_index_table *table, struct etp_reader *reader,
                               uint32_t index);

// Memory of the executable (all of a target that has none), one piece at a time
// from address `*position`, 0 at first. False at the end.
bool etp_executable_memory(const struct etp_target *target, uint64_t *position,
                           struct etp_segment *ret);

// What a search for something static may look at behind all the words that could lead to it: as
// many things as the target has words. In a VM nearly every such word is found wrong at once;
// forged ones could each make a search read the same megabytes again.
uint64_t etp_search_budget(const struct etp_target *target);

// One more thing is looked at. False when that was the last one: the search is to be given up.
static inline bool etp_search_go_on(uint64_t *budget)
{
	*budget -= *budget > 0;
	return *budget > 0;
}

#endif
