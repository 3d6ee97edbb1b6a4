// SPDX-License-Identifier: Apache-2.0
#include <etp/ets_scan.h>

#include <stdlib.h>

#include "analysis/ets_scan.h"
#include "analysis/row_scan.h"
#include "term/row_expand.h"

enum {
	// Rows between two looks at the progress callback.
	PROGRESS_ROWS = 4096,
};

struct etp_ets_scan {
	struct etp_ets_scan_table *tables;
	size_t table_count;
	// The scan's own, or that of the census which it is a part of.
	struct binary_store *store;
	struct binary_store own_store;
	uint64_t data_offset;
	bool complete;
};

struct scanner {
	const struct etp_vm *vm;
	struct etp_reader reader;
	const struct etp_ets_scan_options *options;
	struct etp_ets_scan *scan;
	struct row_scan row;
	struct etp_row_words expanded;
	// Binaries of the table at hand.
	struct binary_map local;
	// Visible bytes of each binary of the row at hand.
	uint64_t *seen;
	size_t seen_capacity;
	uint64_t done, total;
	bool stopped;
};

// The row sees less than half of what it keeps alive? Adds up ranges per binary:
// two that overlap count twice, which can only hide a pin, not invent one.
static bool judge_row(struct scanner *s, struct etp_ets_scan_table *out, uint64_t dbterm)
{
	struct row_scan *row = &s->row;
	if (row->binary_count > s->seen_capacity) {
		uint64_t *seen = realloc(s->seen, row->binary_count * sizeof(*seen));
		if (!seen)
			return false;
		s->seen = seen;
		s->seen_capacity = row->binary_count;
	}
	memset(s->seen, 0, row->binary_count * sizeof(*s->seen));
	for (size_t i = 0; i < row->range_count; i++)
		s->seen[row->ranges[i].binary] += row->ranges[i].end - row->ranges[i].start;
	bool pinned = false;
	for (size_t i = 0; i < row->binary_count; i++) {
		const struct row_binary *bin = &row->binaries[i];
		if (s->seen[i] >= bin->size / 2)
			continue;
		pinned = true;
		uint64_t waste = bin->size - s->seen[i];
		if (!out->sample_pin || waste > out->sample_pin_bytes - out->sample_pin_visible) {
			out->sample_pin = dbterm;
			out->sample_pin_bytes = bin->size;
			out->sample_pin_visible = s->seen[i];
		}
	}
	out->pinned_rows += pinned;
	return true;
}

static bool note_binaries(struct scanner *s, struct etp_ets_scan_table *out, uint64_t dbterm)
{
	out->binary_refs += s->row.binary_count;
	if (!row_scan_collect(&s->row, &s->local))
		return false;
	return judge_row(s, out, dbterm);
}

// Look at the words of an object, wherever they are. `key_ret` gets its key, 0 if it
// cannot be read. False when memory ran out.
static bool scan_words(struct scanner *s, const struct etp_ets_table *table,
                       const struct etp_ets_row *row, struct etp_ets_scan_table *out,
                       uint64_t *key_ret)
{
	uint64_t tuple = row->dbterm + OFFSET(s->vm, DbTerm, tpl);
	bool ok;
	if (table->is_compressed) {
		etp_term term;
		const char *reason;
		if (!etp_row_expand(s->vm, &s->reader, row->dbterm, table->keypos, &s->expanded,
		                    &term, &reason)) {
			out->unreadable++;
			out->problem = reason;
			return true;
		}
		tuple = term_pointer(term);
		// Each word can be one term, once.
		ok = row_scan_walk(&s->row, row->first_oh, term, row->words * 2);
	} else {
		ok = row_scan_sweep(&s->row, row->first_oh, tuple, row->words);
	}
	if (!etp_read_u64(&s->reader, tuple + table->keypos * UINT64_C(8), key_ret))
		*key_ret = 0;
	return ok;
}

static bool scan_row(struct scanner *s, const struct etp_ets_table *table,
                     const struct etp_ets_row *row, struct etp_ets_scan_table *out)
{
	uint64_t key = 0;
	out->rows++;
	out->words += row->words;
	if (row->pseudo_deleted) {
		out->pseudo_deleted++;
		out->pseudo_deleted_words += row->words;
	}
	row_scan_reset(&s->row);
	if (!scan_words(s, table, row, out, &key))
		return false;
	if (s->row.has_dead_pid) {
		out->dead_pid_rows++;
		out->sample_dead = row->dbterm;
		out->dead_pid_keys += row_scan_key_is_dead(&s->row, key);
	}
	out->live_pid_rows += s->row.has_live_pid;
	out->dead_ref_rows += s->row.has_dead_ref;
	return !s->row.binary_count || note_binaries(s, out, row->dbterm);
}

static bool report_progress(struct scanner *s)
{
	s->stopped = s->options && s->options->progress &&
	             s->options->progress(s->options->context, s->done, s->total);
	return !s->stopped;
}

// Sum up the binaries of a table, and put them with those of the others.
static bool finish_table(struct scanner *s, size_t table, struct etp_ets_scan_table *out)
{
	for (size_t i = 0; i < s->local.count; i++) {
		const struct binary_entry *entry = &s->local.entries[i];
		uint64_t visible = binary_map_visible_bytes(&s->local, entry);
		out->binaries++;
		out->binary_bytes += entry->size;
		out->visible_bytes += visible;
		if (entry->refs == entry->refc) {
			out->own_binaries++;
			out->own_bytes += entry->size;
			out->own_visible_bytes += visible;
		}
	}
	bool ok = binary_store_merge(s->scan->store, &s->local, (uint32_t)table);
	binary_map_clear(&s->local);
	return ok;
}

static bool scan_table(struct scanner *s, const struct etp_ets_table *table, size_t index)
{
	struct etp_ets_scan_table *out = &s->scan->tables[index];
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	s->row.unreadable = 0;
	s->row.problem = NULL;
	etp_ets_iter_init(&iter, s->vm, &s->reader, table);
	while (etp_ets_iter_next(&iter, &row)) {
		if (!scan_row(s, table, &row, out))
			return false;
		if (++s->done % PROGRESS_ROWS == 0 && !report_progress(s)) {
			out->incomplete = true;
			break;
		}
	}
	out->unreadable += iter.unreadable + s->row.unreadable;
	if (iter.problem)
		out->problem = iter.problem;
	else if (s->row.problem)
		out->problem = s->row.problem;
	return finish_table(s, index, out);
}

static bool scan_all(struct scanner *s, const struct etp_ets_table *tables, size_t count)
{
	for (size_t i = 0; i < count; i++)
		s->total += tables[i].size > 0 ? (uint64_t)tables[i].size : 0;
	for (size_t i = 0; i < count; i++) {
		s->scan->tables[i].address = tables[i].address;
		s->scan->tables[i].incomplete = s->stopped;
		if (!s->stopped && !scan_table(s, &tables[i], i))
			return false;
	}
	if (!s->stopped)
		report_progress(s);
	s->scan->complete = !s->stopped;
	return true;
}

struct etp_error *ets_scan_run_into(const struct etp_vm *vm, const struct etp_ets_table *tables,
                                    size_t count, const struct etp_ets_scan_options *options,
                                    struct binary_store *store, struct etp_ets_scan **ret)
{
	struct etp_ets_scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return &etp_error_no_memory;
	scan->tables = calloc(count ? count : 1, sizeof(*scan->tables));
	scan->table_count = count;
	scan->data_offset = OFFSET(vm, Binary, orig_bytes);
	binary_store_init(&scan->own_store);
	scan->store = store ? store : &scan->own_store;

	struct scanner s = {.vm = vm, .options = options, .scan = scan};
	etp_reader_init(&s.reader, vm->target);
	row_scan_init(&s.row, vm, &s.reader);
	etp_row_words_init(&s.expanded);
	binary_map_init(&s.local);
	bool ok = scan->tables && scan_all(&s, tables, count);
	binary_map_deinit(&s.local);
	etp_row_words_deinit(&s.expanded);
	row_scan_deinit(&s.row);
	free(s.seen);
	if (!ok) {
		etp_ets_scan_destroy(scan);
		return &etp_error_no_memory;
	}
	*ret = scan;
	return NULL;
}

struct etp_error *etp_ets_scan_run(const struct etp_vm *vm, const struct etp_ets_table *tables,
                                   size_t count, const struct etp_ets_scan_options *options,
                                   struct etp_ets_scan **ret)
{
	return ets_scan_run_into(vm, tables, count, options, NULL, ret);
}

void etp_ets_scan_destroy(struct etp_ets_scan *scan)
{
	if (!scan)
		return;
	binary_store_deinit(&scan->own_store);
	free(scan->tables);
	free(scan);
}

bool etp_ets_scan_is_complete(const struct etp_ets_scan *scan)
{
	return scan->complete;
}

const struct etp_ets_scan_table *etp_ets_scan_tables(const struct etp_ets_scan *scan,
                                                     size_t *count_ret)
{
	*count_ret = scan->table_count;
	return scan->tables;
}

size_t etp_ets_scan_binary_count(const struct etp_ets_scan *scan)
{
	return scan->store->map.count;
}

void etp_ets_scan_binary(const struct etp_ets_scan *scan, size_t index,
                         struct etp_ets_scan_binary *ret)
{
	const struct binary_entry *entry = &scan->store->map.entries[index];
	*ret = (struct etp_ets_scan_binary){
		.address = entry->address,
		.size = entry->size,
		.refc = entry->refc,
		.flags = entry->flags,
		.refs = entry->refs,
		.visible_bytes = binary_map_visible_bytes(&scan->store->map, entry),
		.data_address = entry->address + scan->data_offset,
	};
}

size_t etp_ets_scan_find(const struct etp_ets_scan *scan, uint64_t address)
{
	const struct binary_entry *entry = binary_map_find(&scan->store->map, address);
	return entry ? (size_t)(entry - scan->store->map.entries) : SIZE_MAX;
}

size_t etp_ets_scan_holders(const struct etp_ets_scan *scan, size_t index,
                            struct etp_ets_scan_holder *holders, size_t capacity)
{
	enum { HOLDERS_MAX = 256 };
	struct binary_holder found[HOLDERS_MAX];
	const struct binary_entry *entry = &scan->store->map.entries[index];
	if (capacity > HOLDERS_MAX)
		capacity = HOLDERS_MAX;
	size_t count = binary_store_holders(scan->store, entry, found, capacity);
	for (size_t i = 0; i < count && i < capacity; i++) {
		// In a census, others than tables are holders too.
		bool is_table = found[i].holder < scan->table_count;
		holders[i] = (struct etp_ets_scan_holder){
			.table = is_table ? scan->tables[found[i].holder].address : 0,
			.refs = found[i].refs,
		};
	}
	return count;
}
