// SPDX-License-Identifier: Apache-2.0
//
// Functions of code that is not in the core: those that are exported stand in the
// export table too (ERTS: export.h), with the address of their code.

#include <stdlib.h>

#include "vm/code.h"
#include "vm/hash_table.h"

enum {
	// EXPORT_LIMIT, export.c.
	EXPORTS_MAX = 512 * 1024,
	// MAX_ARITY, erl_vm.h.
	ARITY_MAX = 255,
};

static bool read_export(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        const struct etp_code *code, struct etp_code_export *ret)
{
	// Entries of the table are an IndexSlot and a pointer to the Export.
	uint64_t export;
	struct etp_code_export found;
	if (!READ_WORD(vm, reader, address, ExportEntry, ep, &export))
		return false;
	uint64_t mfa = export + OFFSET(vm, Export, info) + OFFSET(vm, ErtsCodeInfo, mfa);
	if (!etp_read_u64(reader, export + OFFSET(vm, Export, dispatch) + code->active_index * 8,
	                  &found.address) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, module, &found.module) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, function, &found.function) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, arity, &found.arity) ||
	    !term_is_atom(found.module) || !term_is_atom(found.function) || found.arity > ARITY_MAX)
		return false;
	const struct etp_code_module *module = etp_code_module_at(code, found.address);
	if (!module || !module->is_missing || module->name != found.module)
		return false;
	*ret = found;
	return true;
}

static int compare_exports(const void *a, const void *b)
{
	const struct etp_code_export *x = a, *y = b;
	return (x->address > y->address) - (x->address < y->address);
}

struct etp_error *etp_code_init_exports(struct etp_vm *vm, struct etp_code *code)
{
	bool is_missing = false;
	for (size_t i = 0; i < code->count; i++)
		is_missing |= code->modules[i].is_missing;
	if (!is_missing)
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	struct etp_index_table table;
	if (etp_index_table_find(vm, &reader, ETP_EXPORT_TABLE_NAMES, code->active_index,
	                         EXPORTS_MAX, &table))
		return NULL;
	code->exports = calloc((size_t)table.entries + 1, sizeof(*code->exports));
	if (!code->exports)
		return &etp_error_no_memory;
	for (uint32_t i = 0; i < table.entries; i++) {
		uint64_t entry = etp_index_table_entry(&table, &reader, i);
		if (entry &&
		    read_export(vm, &reader, entry, code, &code->exports[code->export_count]))
			code->export_count++;
	}
	qsort(code->exports, code->export_count, sizeof(*code->exports), compare_exports);
	return NULL;
}

const struct etp_code_export *etp_code_export_before(const struct etp_code *code, uint64_t address,
                                                     uint64_t start)
{
	size_t low = 0, high = code->export_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (code->exports[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || code->exports[low - 1].address < start)
		return NULL;
	return &code->exports[low - 1];
}
