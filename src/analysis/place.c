// SPDX-License-Identifier: Apache-2.0
#include <etp/ets.h>
#include <etp/path.h>

#include "analysis/process_heap.h"
#include "term/row_expand.h"

static struct etp_error *find_in_processes(const struct etp_vm *vm, struct etp_reader *reader,
                                           uint64_t address, struct etp_place *ret)
{
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(vm, &addresses, &pids);
	struct process_heap heap;
	process_heap_init(&heap);
	bool ok = true;
	for (size_t i = 0; ok && i < count && ret->kind == ETP_PLACE_UNKNOWN; i++) {
		ok = process_heap_load(&heap, vm, reader, addresses[i]);
		if (ok && process_heap_find(&heap, address))
			*ret = (struct etp_place){ETP_PLACE_PROCESS, addresses[i], 0};
	}
	process_heap_deinit(&heap);
	return ok ? NULL : &etp_error_no_memory;
}

static void find_in_table(const struct etp_vm *vm, struct etp_reader *reader,
                          const struct etp_ets_table *table, uint64_t address,
                          struct etp_place *ret)
{
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	uint64_t offset = OFFSET(vm, DbTerm, tpl);
	etp_ets_iter_init(&iter, vm, reader, table);
	while (etp_ets_iter_next(&iter, &row)) {
		uint64_t start = row.dbterm + offset, words = row.words;
		// A compressed row is not as long as it says that it would be.
		if (table->is_compressed && address > start)
			words = etp_row_block_words(vm, reader, row.dbterm, table->keypos);
		if (address - start < words * 8) {
			*ret = (struct etp_place){ETP_PLACE_ETS_ROW, table->address, row.dbterm};
			return;
		}
	}
}

struct etp_error *etp_find_place(const struct etp_vm *vm, uint64_t address, struct etp_place *ret)
{
	struct etp_reader reader;
	struct etp_place place = {.kind = ETP_PLACE_UNKNOWN};
	etp_reader_init(&reader, vm->target);
	struct etp_error *err = find_in_processes(vm, &reader, address, &place);
	if (!err && place.kind == ETP_PLACE_UNKNOWN) {
		struct etp_ets_tables tables;
		err = etp_ets_tables_init(&tables, vm);
		for (size_t i = 0; !err && i < tables.count; i++) {
			if (place.kind != ETP_PLACE_UNKNOWN)
				break;
			find_in_table(vm, &reader, &tables.tables[i], address, &place);
		}
		if (!err)
			etp_ets_tables_deinit(&tables);
	}
	if (!err)
		*ret = place;
	return err;
}
