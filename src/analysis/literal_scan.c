// SPDX-License-Identifier: Apache-2.0
#include "analysis/literal_scan.h"

#include <stdlib.h>

#include <etp/code.h>
#include <etp/persistent_term.h>

#include "analysis/row_scan.h"
#include "util/array.h"

static bool add_area(struct literal_scan *scan, enum etp_holder_kind kind, uint64_t address,
                     etp_term term, etp_term value)
{
	struct etp_census_literals *area =
		array_add(&scan->areas, &scan->count, &scan->capacity, sizeof(*area));
	if (area)
		*area = (struct etp_census_literals){
			.kind = kind,
			.address = address,
			.term = term,
			.value = value,
		};
	return area;
}

static struct etp_error *add_persistent_terms(struct literal_scan *scan, const struct etp_vm *vm)
{
	struct etp_persistent_terms terms;
	struct etp_error *err = etp_persistent_terms_init(&terms, vm);
	if (err)
		return err;
	if (terms.problem)
		scan->problem = terms.problem;
	for (size_t i = 0; !err && i < terms.count; i++)
		if (!add_area(scan, ETP_HOLDER_PERSISTENT_TERM, terms.terms[i].literal_area,
		              terms.terms[i].key, terms.terms[i].value))
			err = &etp_error_no_memory;
	etp_persistent_terms_deinit(&terms);
	return err;
}

static struct etp_error *add_modules(struct literal_scan *scan, const struct etp_vm *vm)
{
	const struct etp_code_module *modules;
	const char *problem;
	size_t count = etp_code_modules(vm, &modules, &problem);
	if (problem)
		scan->problem = problem;
	for (size_t i = 0; i < count; i++) {
		if (modules[i].problem)
			scan->problem = "The literals of some modules cannot be read, which "
					"may hold binaries too.";
		if (modules[i].literal_area &&
		    !add_area(scan, ETP_HOLDER_MODULE, modules[i].literal_area, modules[i].name, 0))
			return &etp_error_no_memory;
	}
	return NULL;
}

static bool scan_area(struct etp_census_literals *out, const struct etp_vm *vm,
                      struct row_scan *row, struct binary_map *local, struct magic_finder *magic)
{
	uint64_t chain, end;
	uint64_t start = out->address + OFFSET(vm, ErtsLiteralArea, start);
	if (!READ_WORD(vm, row->reader, out->address, ErtsLiteralArea, off_heap, &chain) ||
	    !READ_WORD(vm, row->reader, out->address, ErtsLiteralArea, end, &end) || end < start ||
	    (end - start) % 8) {
		out->unreadable++;
		out->problem = "the head of the literal area cannot be read";
		return true;
	}
	out->words = (end - start) / 8;
	row->unreadable = 0;
	row->problem = NULL;
	// Only areas with off-heap things are of interest here; most have none.
	struct binary_feed feed;
	binary_feed_init(&feed, local, NULL);
	if (chain && (!row_scan_sweep(row, chain, start, out->words) ||
	              !row_scan_collect(row, &feed) || !binary_feed_finish(&feed)))
		return false;
	for (size_t i = 0; chain && i < row->magic_count; i++)
		if (!magic_finder_add(magic, row->magics[i]))
			return false;
	out->unreadable += row->unreadable;
	if (row->problem)
		out->problem = row->problem;
	out->binary_refs = chain ? row->binary_count : 0;
	for (size_t i = 0; i < local->count; i++)
		out->binary_bytes += binary_map_at(local, i)->size;
	return true;
}

static bool scan_areas(struct literal_scan *scan, const struct etp_vm *vm,
                       struct binary_store *store, struct magic_store *magic, uint32_t first_holder)
{
	struct etp_reader reader;
	struct etp_magic_kinds kinds;
	struct magic_finder finder;
	struct row_scan row;
	struct binary_map local;
	etp_reader_init(&reader, vm->target);
	row_scan_init(&row, vm, &reader);
	binary_map_init(&local);
	etp_magic_kinds_init(&kinds, vm);
	magic_finder_init(&finder, vm, &reader, &kinds);
	bool ok = true;
	for (size_t i = 0; ok && i < scan->count; i++) {
		uint32_t holder = first_holder + (uint32_t)i;
		ok = scan_area(&scan->areas[i], vm, &row, &local, &finder) &&
		     binary_store_merge(store, &local, holder) &&
		     magic_store_merge(magic, &finder, holder);
		if (local.count)
			binary_map_clear(&local);
		magic_finder_clear(&finder);
	}
	magic_finder_deinit(&finder);
	binary_map_deinit(&local);
	row_scan_deinit(&row);
	return ok;
}

struct etp_error *literal_scan_run(struct literal_scan *scan, const struct etp_vm *vm,
                                   struct binary_store *store, struct magic_store *magic,
                                   uint32_t first_holder)
{
	struct etp_error *err = add_persistent_terms(scan, vm);
	if (!err)
		err = add_modules(scan, vm);
	if (!err && !scan_areas(scan, vm, store, magic, first_holder))
		err = &etp_error_no_memory;
	return err;
}

void literal_scan_deinit(struct literal_scan *scan)
{
	free(scan->areas);
	*scan = (struct literal_scan){0};
}
