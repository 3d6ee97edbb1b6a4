// SPDX-License-Identifier: Apache-2.0
#include "analysis/root_scan.h"

#include <stdlib.h>

#include "analysis/off_heap.h"
#include "util/array.h"

void root_scan_give_up(struct root_scan *scan, const char *problem)
{
	scan->unreadable++;
	scan->problem = problem;
}

bool root_scan_add_binary(struct root_scan *scan, uint64_t address, uint64_t start, uint64_t end)
{
	struct off_heap_binary binary;
	if (!off_heap_read_binary(scan->vm, &scan->reader, address, &binary)) {
		root_scan_give_up(scan, "an off-heap binary of a timer or port cannot be read");
		return true;
	}
	struct binary_entry *entry = binary_map_insert(&scan->local, address);
	if (!entry)
		return false;
	entry->size = binary.size;
	entry->refc = binary.refc;
	entry->flags = (uint32_t)binary.flags;
	entry->refs++;
	if (end > binary.size)
		end = binary.size;
	return binary_map_add_range(&scan->local, entry, start, end);
}

bool root_scan_finish(struct root_scan *scan, enum etp_holder_kind kind, uint64_t address,
                      etp_term term)
{
	if (!scan->local.count)
		return true;
	struct etp_census_root root = {.kind = kind, .address = address, .term = term};
	for (size_t i = 0; i < scan->local.count; i++) {
		root.binary_refs += scan->local.entries[i].refs;
		root.binary_bytes += scan->local.entries[i].size;
	}
	uint32_t holder = scan->first_holder + (uint32_t)scan->count;
	struct etp_census_root *slot =
		array_add(&scan->roots, &scan->count, &scan->capacity, sizeof(*slot));
	if (!slot)
		return false;
	*slot = root;
	bool ok = binary_store_merge(scan->store, &scan->local, holder);
	binary_map_clear(&scan->local);
	return ok;
}

bool root_scan_run(struct root_scan *scan, const struct etp_vm *vm, struct binary_store *store,
                   uint32_t first_holder)
{
	*scan = (struct root_scan){.vm = vm, .store = store, .first_holder = first_holder};
	etp_reader_init(&scan->reader, vm->target);
	binary_map_init(&scan->local);
	bool ok = timer_scan_run(scan) && port_scan_run(scan);
	binary_map_deinit(&scan->local);
	return ok;
}

void root_scan_deinit(struct root_scan *scan)
{
	free(scan->roots);
}
