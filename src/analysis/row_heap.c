// SPDX-License-Identifier: Apache-2.0
#include "analysis/row_heap.h"

void row_heap_init(struct row_heap *row_heap, const struct etp_vm *vm, struct etp_reader *reader)
{
	*row_heap = (struct row_heap){.vm = vm, .reader = reader};
	process_heap_init(&row_heap->heap);
	etp_row_words_init(&row_heap->expanded);
}

void row_heap_deinit(struct row_heap *row_heap)
{
	process_heap_deinit(&row_heap->heap);
	etp_row_words_deinit(&row_heap->expanded);
}

static bool load_expanded(struct row_heap *row_heap, const struct etp_ets_table *table,
                          const struct etp_ets_row *row)
{
	const char *reason = NULL;
	struct etp_row_words *expanded = &row_heap->expanded;
	row_heap->is_expanded = etp_row_expand(row_heap->vm, row_heap->reader, row->dbterm,
	                                       table->keypos, expanded, &row_heap->tuple, &reason);
	struct etp_path_words words[] = {
		{ETP_WORDS_BASE, expanded->words.used},
		{expanded->block, expanded->block_words},
	};
	if (!process_heap_set_words(&row_heap->heap, row_heap->reader, words,
	                            row_heap->is_expanded ? 2 : 0))
		return false;
	if (reason) {
		row_heap->heap.unreadable++;
		row_heap->heap.problem = reason;
	}
	return true;
}

bool row_heap_load(struct row_heap *row_heap, const struct etp_ets_table *table,
                   const struct etp_ets_row *row)
{
	row_heap->tuple = 0;
	row_heap->is_expanded = false;
	if (table->is_compressed)
		return load_expanded(row_heap, table, row);
	memset(&row_heap->reader->overlay, 0, sizeof(row_heap->reader->overlay));
	struct etp_path_words words = {row->dbterm + OFFSET(row_heap->vm, DbTerm, tpl), row->words};
	row_heap->tuple = words.address | TAG_PRIMARY_BOXED;
	return process_heap_set_words(&row_heap->heap, row_heap->reader, &words, 1);
}
