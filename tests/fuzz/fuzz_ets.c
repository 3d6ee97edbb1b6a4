// SPDX-License-Identifier: Apache-2.0
// Tables whose memory was damaged: lists of them, their rows, the scan.

#include <stdlib.h>

#include <etp/ets.h>
#include <etp/ets_scan.h>

#include "fuzz/image.h"
#include "term/row_expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 3 };

static void look_at_rows(const struct etp_vm *vm, const struct etp_ets_table *table,
                         struct etp_row_words *words)
{
	struct etp_reader reader;
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	etp_reader_init(&reader, etp_vm_target(vm));
	etp_ets_iter_init(&iter, vm, &reader, table);
	for (unsigned i = 0; i < ROWS && etp_ets_iter_next(&iter, &row); i++) {
		struct etp_reader own;
		const char *reason;
		etp_term term = (row.dbterm + OFFSET(vm, DbTerm, tpl)) | 2;
		etp_reader_init(&own, etp_vm_target(vm));
		if (!table->is_compressed ||
		    etp_row_expand(vm, &own, row.dbterm, table->keypos, words, &term, &reason))
			image_look_at(&own, term);
	}
	struct etp_ets_fixation fixations[4];
	etp_ets_fixations(vm, &reader, table, fixations, 4);
}

// The same scan by parts must find the same.
static void scan(const struct etp_vm *vm, const struct etp_ets_tables *tables)
{
	const struct etp_ets_scan_options whole = {.threads = 1},
					  parts = {.threads = 1, .rows_a_part = 64};
	struct etp_ets_scan *a, *b;
	struct etp_error *err = etp_ets_scan_run(vm, tables->tables, tables->count, &whole, &a);
	image_forgive(err);
	if (err)
		return;
	err = etp_ets_scan_run(vm, tables->tables, tables->count, &parts, &b);
	image_forgive(err);
	if (!err) {
		size_t count;
		const struct etp_ets_scan_table *x = etp_ets_scan_tables(a, &count),
						*y = etp_ets_scan_tables(b, &count);
		if (etp_ets_scan_binary_count(a) != etp_ets_scan_binary_count(b))
			abort();
		for (size_t i = 0; i < count; i++) {
			if (x[i].rows != y[i].rows || x[i].unreadable != y[i].unreadable ||
			    x[i].visible_bytes != y[i].visible_bytes)
				abort();
		}
		etp_ets_scan_destroy(b);
	}
	etp_ets_scan_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	struct etp_ets_tables tables;
	struct etp_row_words words;
	image_damage(data, size);
	struct etp_error *err = etp_ets_tables_init(&tables, image->vm);
	image_forgive(err);
	if (!err) {
		etp_row_words_init(&words);
		for (size_t i = 0; i < tables.count && i < 200; i++)
			look_at_rows(image->vm, &tables.tables[i], &words);
		etp_row_words_deinit(&words);
		scan(image->vm, &tables);
		etp_ets_tables_deinit(&tables);
	}
	image_repair();
	return 0;
}
