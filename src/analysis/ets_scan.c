// SPDX-License-Identifier: Apache-2.0
#include <etp/ets_scan.h>

#include <stdlib.h>
#include <time.h>

#include "analysis/ets_scan.h"
#include "analysis/row_scan.h"
#include "term/row_expand.h"
#include "util/array.h"
#include "util/crew.h"
#include "util/reason.h"
#include "vm/ets_order.h"
#include "vm/ets_parts.h"

enum {
	// Rows between two looks at the progress callback, or fewer that have so many words
	// (64 of them stand for a binary), or milliseconds without either.
	PROGRESS_ROWS = 4096,
	PROGRESS_WORDS = 1 << 20,
	PROGRESS_MS = 50,
	WORDS_A_BINARY = 64,
	// Of a table that is shared out, a part has so many rows: as many as are put in order
	// together, or fewer for the sake of sharing.
	FEWEST_ROWS_A_PART = 1 << 14,
	MOST_ROWS_A_PART = ETS_ORDER_CHAINS,
	PARTS_WANTED = 24,
	// Threads pay from some rows on.
	ROWS_A_THREAD = 1 << 15,
	// Rows whose memory, and then that of their binaries, is fetched together.
	ROWS_AHEAD = 16,
	LINE_BYTES = 64,
	// Lines of a row that are fetched, beside that of its first binary.
	LINES_AHEAD = 6,
};

struct etp_ets_scan {
	struct etp_ets_scan_table *tables;
	size_t table_count;
	// The scan's own, or that of the census which it is a part of.
	struct binary_store *store;
	struct binary_store own_store;
	// Of the census; NULL without one.
	struct magic_store *magic;
	// Binaries that were counted and forgotten, and their bytes.
	uint64_t forgotten, forgotten_bytes;
	uint64_t data_offset;
	bool complete;
};

// What was found in a table, or in a part of one.
struct finding {
	struct etp_ets_scan_table table;
	// Of the walk: objects that are not deleted, what could not be read, and why.
	uint64_t live, missing;
	const char *missing_problem;
	// The same of the words of objects.
	uint64_t damaged;
	const char *damage_problem;
};

// A table that is shared out.
struct shared_table {
	struct ets_parts parts;
	// One a part.
	struct finding *findings;
	// Its binaries, which all who have parts of it feed.
	struct binary_map map;
	pthread_mutex_t map_lock;
	// One a worker: the magic binaries that it met in its parts.
	struct magic_finder *magics;
	// Parts that are not done yet.
	atomic_size_t left;
	// Nodes visited so far, in all parts.
	atomic_uint_fast64_t visits;
	// The parts say that the table is damaged such that they may not add up to the whole.
	atomic_bool redo;
};

// What a worker takes: a table, or a part of one that is shared out.
struct share {
	size_t table, part;
	struct shared_table *shared;
};

// What the workers have in common.
struct scan_work {
	const struct etp_vm *vm;
	const struct etp_ets_scan_options *options;
	struct etp_ets_scan *scan;
	const struct etp_ets_table *tables;
	struct share *shares;
	size_t share_count, share_capacity;
	struct shared_table **shared;
	size_t shared_count, shared_capacity;
	size_t workers;
	struct etp_magic_kinds magic_kinds;
	// Its lock guards scan->store.
	struct crew crew;
	atomic_uint_fast64_t done;
	uint64_t total;
};

struct scanner {
	struct scan_work *work;
	// Worker 0 is the caller's thread, which reports.
	size_t number;
	// Rows that were done then, and when that was.
	uint64_t reported, reported_ms;
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct row_scan row;
	struct etp_row_words expanded;
	// Rows on their way: how many came in, and how many of these went out.
	struct etp_ets_row rows[ROWS_AHEAD];
	size_t rows_in, rows_out;
	struct etp_reader ahead, binaries_ahead;
	struct ets_order order;
	// Binaries of the table at hand: `own`, or one of a shared table's.
	struct binary_map *local;
	struct binary_map own;
	// On their way into it.
	struct binary_feed feed;
	// Likewise the magic binaries.
	struct magic_finder *local_magic;
	struct magic_finder own_magic;
	// Binaries that are alone are summed up and forgotten.
	bool forgets;
	// Visible bytes of each binary of the row at hand.
	uint64_t *seen;
	size_t seen_capacity;
};

// Of rows that waste as much the one with the lowest address.
static void note_pin(struct etp_ets_scan_table *out, uint64_t dbterm, uint64_t bytes,
                     uint64_t visible)
{
	uint64_t waste = bytes - visible, most = out->sample_pin_bytes - out->sample_pin_visible;
	if (out->sample_pin && (waste < most || (waste == most && dbterm >= out->sample_pin)))
		return;
	out->sample_pin = dbterm;
	out->sample_pin_bytes = bytes;
	out->sample_pin_visible = visible;
}

// Likewise.
static void note_dead(struct etp_ets_scan_table *out, uint64_t dbterm)
{
	if (!out->sample_dead || dbterm < out->sample_dead)
		out->sample_dead = dbterm;
}

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
		note_pin(out, dbterm, bin->size, s->seen[i]);
	}
	out->pinned_rows += pinned;
	return true;
}

// `own`: the table has all references to it that there are.
static void count_binary(struct etp_ets_scan_table *out, uint64_t bytes, uint64_t visible, bool own)
{
	out->binaries++;
	out->binary_bytes += bytes;
	out->visible_bytes += visible;
	out->own_binaries += own;
	out->own_bytes += own ? bytes : 0;
	out->own_visible_bytes += own ? visible : 0;
}

// The usual row of a leak: it sees one part of its only binary, to which nothing else refers, so
// that there is nothing to put together.
static bool is_alone(const struct row_scan *row)
{
	return row->binary_count == 1 && row->range_count == 1 && row->binaries[0].refc == 1;
}

static bool note_binaries(struct scanner *s, struct etp_ets_scan_table *out, uint64_t dbterm)
{
	const struct row_scan *row = &s->row;
	out->binary_refs += row->binary_count;
	if (s->forgets && is_alone(row))
		count_binary(out, row->binaries[0].size, row->ranges[0].end - row->ranges[0].start,
		             true);
	else if (!row_scan_collect(row, &s->feed))
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
			reason_add(&out->problem, reason);
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

// Of rows that are equally large the one with the lowest address, whichever thread met it.
static void note_largest(struct etp_ets_scan_table *out, uint64_t dbterm, uint64_t words)
{
	if (words < out->largest_row_words ||
	    (words == out->largest_row_words && dbterm >= out->largest_row))
		return;
	out->largest_row = dbterm;
	out->largest_row_words = words;
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
	} else {
		note_largest(out, row->dbterm, row->words);
	}
	row_scan_reset(&s->row);
	if (!scan_words(s, table, row, out, &key))
		return false;
	if (s->row.has_dead_pid) {
		out->dead_pid_rows++;
		note_dead(out, row->dbterm);
		out->dead_pid_keys += row_scan_key_is_dead(&s->row, key);
	}
	out->live_pid_rows += s->row.has_live_pid;
	out->dead_ref_rows += s->row.has_dead_ref;
	for (size_t i = 0; i < s->row.magic_count; i++)
		if (!magic_finder_add(s->local_magic, s->row.magics[i]))
			return false;
	return !s->row.binary_count || note_binaries(s, out, row->dbterm);
}

// The words of a row that was just met; of its first line some were read.
static void fetch_words(struct scanner *s, const struct etp_ets_row *row)
{
	uint64_t lines = row->words / (LINE_BYTES / 8) + 1;
	for (uint64_t i = 1; i <= lines && i <= LINES_AHEAD; i++)
		etp_reader_prefetch(&s->ahead, row->dbterm + i * LINE_BYTES);
	if (lines > LINES_AHEAD && row->first_oh)
		etp_reader_prefetch(&s->ahead, row->first_oh);
}

// The first binary of a row whose words are there.
static void fetch_binary(struct scanner *s, const struct etp_ets_row *row)
{
	uint64_t binary;
	if (row->first_oh && READ_WORD(s->vm, &s->ahead, row->first_oh, BinRef, val, &binary))
		etp_reader_prefetch(&s->binaries_ahead, binary);
}

// Some more rows, all of which are fetched at once: the processor then looks their pages up at the
// same time, which is what takes long.
static void fetch_rows(struct scanner *s, struct etp_ets_iter *iter)
{
	s->rows_in = s->rows_out = 0;
	while (s->rows_in < ROWS_AHEAD && etp_ets_iter_next(iter, &s->rows[s->rows_in]))
		fetch_words(s, &s->rows[s->rows_in++]);
	for (size_t i = 0; i < s->rows_in; i++)
		fetch_binary(s, &s->rows[i]);
}

// The next row. False at the end.
static bool next_row(struct scanner *s, struct etp_ets_iter *iter, struct etp_ets_row *ret)
{
	if (s->rows_in == s->rows_out)
		fetch_rows(s, iter);
	if (s->rows_in == s->rows_out)
		return false;
	*ret = s->rows[s->rows_out++];
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool report_rows(struct scanner *s)
{
	const struct etp_ets_scan_options *options = s->work->options;
	s->reported = atomic_load(&s->work->done);
	bool stop = options && options->progress &&
	            options->progress(options->context, s->reported, s->work->total);
	// The callback may take its time, too.
	s->reported_ms = now_ms();
	return stop;
}

// Every few rows, whoever scans them; also while there are none, for it is the callback that hears
// of Ctrl-C.
static bool report_now_and_then(void *worker)
{
	struct scanner *s = worker;
	bool is_time = atomic_load(&s->work->done) - s->reported >= PROGRESS_ROWS ||
	               now_ms() - s->reported_ms >= PROGRESS_MS;
	return is_time && report_rows(s);
}

// Some more rows are done. False when the scan shall stop.
static bool go_on(struct scanner *s, uint64_t rows)
{
	struct crew *crew = &s->work->crew;
	atomic_fetch_add(&s->work->done, rows);
	if (!s->number && report_now_and_then(s))
		atomic_store(&crew->stopped, true);
	return !atomic_load(&crew->stopped);
}

// Parts that lead into each other could each visit what they must not visit together.
static bool may_visit(struct shared_table *shared, struct etp_ets_iter *iter, uint64_t *counted)
{
	uint64_t visits = shared->parts.budget - iter->budget;
	uint64_t all = atomic_fetch_add(&shared->visits, visits - *counted) + visits - *counted;
	*counted = visits;
	if (all + shared->parts.visits >= shared->parts.budget)
		atomic_store(&shared->redo, true);
	return !atomic_load(&shared->redo);
}

// Scan all objects that `iter` leads to; `shared` is NULL for a table as a whole. False when
// memory ran out.
static bool scan_rows(struct scanner *s, const struct etp_ets_table *table,
                      struct etp_ets_iter *iter, struct shared_table *shared, struct finding *out)
{
	struct etp_ets_row row;
	uint64_t rows = 0, words = 0, visits = 0;
	s->row.unreadable = 0;
	s->row.problem = NULL;
	ets_iter_put_in_order(iter, &s->order);
	binary_feed_init(&s->feed, s->local, shared ? &shared->map_lock : NULL);
	s->rows_in = s->rows_out = 0;
	while (next_row(s, iter, &row)) {
		if (!scan_row(s, table, &row, &out->table))
			return false;
		words += row.words + s->row.binary_count * WORDS_A_BINARY;
		if (++rows < PROGRESS_ROWS && words < PROGRESS_WORDS)
			continue;
		out->table.incomplete = !go_on(s, rows);
		rows = words = 0;
		if (out->table.incomplete || (shared && !may_visit(shared, iter, &visits)))
			break;
	}
	atomic_fetch_add(&s->work->done, rows);
	if (shared)
		may_visit(shared, iter, &visits);
	if (!binary_feed_finish(&s->feed))
		return false;
	out->live = iter->live;
	out->missing = iter->unreadable;
	out->missing_problem = iter->problem;
	out->damaged = s->row.unreadable;
	out->damage_problem = s->row.problem;
	return true;
}

// Sum up the binaries of a table, and put them with those of the others.
static bool finish_table(struct scanner *s, size_t index, const struct finding *found)
{
	struct etp_ets_scan_table *out = &s->work->scan->tables[index];
	*out = found->table;
	out->address = s->work->tables[index].address;
	out->unreadable += found->missing + found->damaged;
	if (found->missing_problem)
		out->problem = found->missing_problem;
	else if (found->damage_problem)
		out->problem = found->damage_problem;
	uint64_t forgotten = out->binaries, forgotten_bytes = out->binary_bytes;
	for (size_t i = 0; i < s->local->count; i++) {
		const struct binary_entry *entry = binary_map_at(s->local, i);
		count_binary(out, entry->size, binary_map_visible_bytes(s->local, entry),
		             binary_entry_refs(entry) == entry->refc);
	}
	struct etp_ets_scan *scan = s->work->scan;
	pthread_mutex_lock(&s->work->crew.lock);
	scan->forgotten += forgotten;
	scan->forgotten_bytes += forgotten_bytes;
	bool ok = binary_store_take(scan->store, s->local, (uint32_t)index) &&
	          (!scan->magic || magic_store_merge(scan->magic, s->local_magic, (uint32_t)index));
	pthread_mutex_unlock(&s->work->crew.lock);
	magic_finder_clear(s->local_magic);
	return ok;
}

static bool is_forgetful(const struct scan_work *work)
{
	return work->options && work->options->sums_only;
}

// A table whose links are damaged may lead to a row more than once: then what was forgotten was
// summed up as often.
static bool may_repeat(const struct etp_ets_table *table, const struct finding *found)
{
	return found->missing || table->size < 0 || found->live > (uint64_t)table->size;
}

static bool walk_whole(struct scanner *s, const struct etp_ets_table *table, bool forgets,
                       struct finding *out)
{
	struct etp_ets_iter iter;
	*out = (struct finding){0};
	s->local = &s->own;
	s->local_magic = &s->own_magic;
	s->forgets = forgets;
	etp_ets_iter_init(&iter, s->vm, &s->reader, table);
	return scan_rows(s, table, &iter, NULL, out);
}

static bool scan_whole(struct scanner *s, size_t index, bool forgets)
{
	const struct etp_ets_table *table = &s->work->tables[index];
	struct finding found;
	if (!walk_whole(s, table, forgets, &found))
		return false;
	if (forgets && !found.table.incomplete && may_repeat(table, &found)) {
		binary_map_clear(&s->own);
		magic_finder_clear(&s->own_magic);
		if (!walk_whole(s, table, false, &found))
			return false;
	}
	return finish_table(s, index, &found);
}

// What the next part of a table has; as if it had been found after the others.
static void add_finding(struct finding *sum, const struct finding *part)
{
	struct etp_ets_scan_table *to = &sum->table;
	const struct etp_ets_scan_table *from = &part->table;
	to->rows += from->rows;
	to->words += from->words;
	to->pseudo_deleted += from->pseudo_deleted;
	to->pseudo_deleted_words += from->pseudo_deleted_words;
	to->unreadable += from->unreadable;
	to->binary_refs += from->binary_refs;
	to->binaries += from->binaries;
	to->binary_bytes += from->binary_bytes;
	to->visible_bytes += from->visible_bytes;
	to->own_binaries += from->own_binaries;
	to->own_bytes += from->own_bytes;
	to->own_visible_bytes += from->own_visible_bytes;
	to->pinned_rows += from->pinned_rows;
	to->live_pid_rows += from->live_pid_rows;
	to->dead_pid_rows += from->dead_pid_rows;
	to->dead_pid_keys += from->dead_pid_keys;
	to->dead_ref_rows += from->dead_ref_rows;
	to->incomplete = to->incomplete || from->incomplete;
	reason_add(&to->problem, from->problem);
	if (from->sample_dead)
		note_dead(to, from->sample_dead);
	if (from->sample_pin)
		note_pin(to, from->sample_pin, from->sample_pin_bytes, from->sample_pin_visible);
	if (from->largest_row)
		note_largest(to, from->largest_row, from->largest_row_words);
	sum->live += part->live;
	sum->missing += part->missing;
	reason_add(&sum->missing_problem, part->missing_problem);
	sum->damaged += part->damaged;
	reason_add(&sum->damage_problem, part->damage_problem);
}

static void forget_shared(struct shared_table *shared, size_t workers)
{
	for (size_t i = 0; shared->magics && i < workers; i++)
		magic_finder_deinit(&shared->magics[i]);
	binary_map_deinit(&shared->map);
	free(shared->magics);
	free(shared->findings);
	shared->magics = NULL;
	shared->findings = NULL;
	ets_parts_deinit(&shared->parts);
}

// All parts are done: put together what the workers found.
static bool finish_shared(struct scanner *s, size_t index, struct shared_table *shared)
{
	const struct etp_ets_table *table = &s->work->tables[index];
	struct finding sum = {0};
	for (size_t i = 0; i < shared->parts.count; i++)
		add_finding(&sum, &shared->findings[i]);
	// What is wrong with a tree may show elsewhere, or not at all, when it is walked in
	// parts.
	bool is_tree = table->type > ETP_ETS_DUPLICATE_BAG;
	bool repeats = is_forgetful(s->work) && may_repeat(table, &sum);
	bool is_off = atomic_load(&shared->redo) || (is_tree && sum.missing) || repeats;
	if (!sum.table.incomplete && is_off) {
		forget_shared(shared, s->work->workers);
		return scan_whole(s, index, is_forgetful(s->work) && !repeats);
	}
	struct etp_ets_iter whole = {
		.table = table,
		.live = sum.live,
		.unreadable = sum.missing,
		.problem = sum.missing_problem,
	};
	if (!sum.table.incomplete)
		ets_iter_compare_with_counter(&whole);
	sum.missing = whole.unreadable;
	sum.missing_problem = whole.problem;
	s->local = &shared->map;
	s->local_magic = &shared->magics[s->number];
	bool ok = true;
	for (size_t i = 0; ok && i < s->work->workers; i++)
		if (i != s->number)
			ok = magic_finder_take(s->local_magic, &shared->magics[i]);
	ok = ok && finish_table(s, index, &sum);
	forget_shared(shared, s->work->workers);
	return ok;
}

static bool scan_part(struct scanner *s, const struct share *share)
{
	struct shared_table *shared = share->shared;
	const struct etp_ets_table *table = &s->work->tables[share->table];
	struct finding *found = &shared->findings[share->part];
	found->table.incomplete = atomic_load(&s->work->crew.stopped);
	if (!found->table.incomplete && !atomic_load(&shared->redo)) {
		struct etp_ets_iter iter;
		s->local = &shared->map;
		s->local_magic = &shared->magics[s->number];
		s->local_magic->reader = &s->reader;
		s->forgets = is_forgetful(s->work);
		ets_iter_init_part(&iter, s->vm, &s->reader, table, &shared->parts,
		                   &shared->parts.parts[share->part]);
		if (!scan_rows(s, table, &iter, shared, found))
			return false;
	}
	return atomic_fetch_sub(&shared->left, 1) > 1 || finish_shared(s, share->table, shared);
}

static bool scan_share(void *worker, size_t item)
{
	struct scanner *s = worker;
	const struct share *share = &s->work->shares[item];
	struct etp_ets_scan_table *out = &s->work->scan->tables[share->table];
	if (share->shared)
		return scan_part(s, share);
	out->incomplete = atomic_load(&s->work->crew.stopped);
	return out->incomplete || scan_whole(s, share->table, is_forgetful(s->work));
}

static bool add_share(struct scan_work *work, struct share share)
{
	struct share *slot =
		array_add(&work->shares, &work->share_count, &work->share_capacity, sizeof(*slot));
	if (slot)
		*slot = share;
	return slot;
}

// Takes `parts`, also when memory runs out.
static bool share_out(struct scan_work *work, size_t table, struct ets_parts *parts)
{
	// An array of pointers. NOLINTNEXTLINE(bugprone-sizeof-expression)
	const size_t size = sizeof(struct shared_table *);
	struct shared_table **slot =
		array_add(&work->shared, &work->shared_count, &work->shared_capacity, size);
	struct shared_table *shared = slot ? calloc(1, sizeof(*shared)) : NULL;
	if (slot)
		*slot = shared;
	if (!shared) {
		ets_parts_deinit(parts);
		return false;
	}
	shared->parts = *parts;
	binary_map_init(&shared->map);
	pthread_mutex_init(&shared->map_lock, NULL);
	shared->findings = calloc(parts->count, sizeof(*shared->findings));
	shared->magics = calloc(work->workers, sizeof(*shared->magics));
	if (!shared->findings || !shared->magics)
		return false;
	// Each worker's own reader is set when it takes a part.
	for (size_t i = 0; i < work->workers; i++)
		magic_finder_init(&shared->magics[i], work->vm, NULL, &work->magic_kinds);
	atomic_store(&shared->left, parts->count);
	for (size_t i = 0; i < parts->count; i++)
		if (!add_share(work, (struct share){table, i, shared}))
			return false;
	return true;
}

static uint64_t rows_a_part(const struct scan_work *work, const struct etp_ets_table *table)
{
	if (work->options && work->options->rows_a_part)
		return work->options->rows_a_part;
	uint64_t rows = table->size > 0 ? (uint64_t)table->size / PARTS_WANTED : 0;
	if (rows > MOST_ROWS_A_PART)
		return MOST_ROWS_A_PART;
	return rows > FEWEST_ROWS_A_PART ? rows : FEWEST_ROWS_A_PART;
}

static bool make_shares(struct scan_work *work, struct etp_reader *reader)
{
	for (size_t i = 0; i < work->scan->table_count; i++) {
		struct ets_parts parts = {0};
		work->scan->tables[i].address = work->tables[i].address;
		if (work->workers > 1 && !ets_parts_init(&parts, work->vm, reader, &work->tables[i],
		                                         rows_a_part(work, &work->tables[i])))
			return false;
		if (parts.count ? !share_out(work, i, &parts)
		                : !add_share(work, (struct share){i, 0, NULL}))
			return false;
	}
	return true;
}

static void scanner_init(struct scanner *s, struct scan_work *work, size_t number)
{
	*s = (struct scanner){.work = work, .number = number, .vm = work->vm};
	etp_reader_init(&s->reader, work->vm->target);
	etp_reader_init(&s->ahead, work->vm->target);
	etp_reader_init(&s->binaries_ahead, work->vm->target);
	ets_order_init(&s->order);
	row_scan_init(&s->row, work->vm, &s->reader);
	etp_row_words_init(&s->expanded);
	binary_map_init(&s->own);
	magic_finder_init(&s->own_magic, work->vm, &s->reader, &work->magic_kinds);
}

static void scanner_deinit(struct scanner *s)
{
	binary_map_deinit(&s->own);
	magic_finder_deinit(&s->own_magic);
	ets_order_deinit(&s->order);
	etp_row_words_deinit(&s->expanded);
	row_scan_deinit(&s->row);
	free(s->seen);
}

static bool scan_all(struct scan_work *work)
{
	unsigned threads = work->options ? work->options->threads : 0;
	for (size_t i = 0; i < work->scan->table_count; i++)
		work->total += work->tables[i].size > 0 ? (uint64_t)work->tables[i].size : 0;
	work->workers = crew_size(work->total / ROWS_A_THREAD + 1, threads);
	struct scanner scanners[CREW_THREADS_MAX] = {0};
	void *workers[CREW_THREADS_MAX];
	for (size_t i = 0; i < work->workers; i++) {
		scanner_init(&scanners[i], work, i);
		workers[i] = &scanners[i];
	}
	scanners[0].reported_ms = now_ms();
	bool ok = make_shares(work, &scanners[0].reader);
	work->crew.items = work->share_count;
	work->crew.work = scan_share;
	work->crew.report = report_now_and_then;
	ok = ok && crew_run(&work->crew, workers, work->workers);
	if (ok && !atomic_load(&work->crew.stopped) && report_rows(&scanners[0]))
		atomic_store(&work->crew.stopped, true);
	work->scan->complete = !atomic_load(&work->crew.stopped);
	for (size_t i = 0; i < work->workers; i++)
		scanner_deinit(&scanners[i]);
	return ok;
}

static void shared_deinit(struct shared_table *shared, size_t workers)
{
	forget_shared(shared, workers);
	pthread_mutex_destroy(&shared->map_lock);
}

static void scan_work_deinit(struct scan_work *work)
{
	for (size_t i = 0; i < work->shared_count; i++) {
		if (work->shared[i])
			shared_deinit(work->shared[i], work->workers);
		free(work->shared[i]);
	}
	free(work->shared);
	free(work->shares);
	crew_deinit(&work->crew);
}

struct etp_error *ets_scan_run_into(const struct etp_vm *vm, const struct etp_ets_table *tables,
                                    size_t count, const struct etp_ets_scan_options *options,
                                    struct binary_store *store, struct magic_store *magic,
                                    struct etp_ets_scan **ret)
{
	struct etp_ets_scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return &etp_error_no_memory;
	scan->tables = calloc(count ? count : 1, sizeof(*scan->tables));
	scan->table_count = count;
	scan->data_offset = OFFSET(vm, Binary, orig_bytes);
	binary_store_init(&scan->own_store);
	scan->store = store ? store : &scan->own_store;
	scan->magic = magic;
	struct scan_work work = {.vm = vm, .options = options, .scan = scan, .tables = tables};
	etp_magic_kinds_init(&work.magic_kinds, vm);
	crew_init(&work.crew);
	bool ok = scan->tables && scan_all(&work);
	scan_work_deinit(&work);
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
	return ets_scan_run_into(vm, tables, count, options, NULL, NULL, ret);
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

// In a census, others than tables are holders too.
static bool is_in_table(const struct etp_ets_scan *scan, const struct binary_entry *entry)
{
	struct binary_holder holder;
	uint32_t link = entry->holders;
	while (binary_store_next_holder(scan->store, entry, &link, &holder))
		if (holder.holder < scan->table_count)
			return true;
	return false;
}

void ets_scan_sum_binaries(const struct etp_ets_scan *scan, uint64_t *count_ret,
                           uint64_t *bytes_ret)
{
	uint64_t count = scan->forgotten, bytes = scan->forgotten_bytes;
	for (size_t i = 0; i < scan->store->map.count; i++) {
		const struct binary_entry *entry = binary_map_at(&scan->store->map, i);
		if (!is_in_table(scan, entry))
			continue;
		count++;
		bytes += entry->size;
	}
	*count_ret = count;
	*bytes_ret = bytes;
}

bool ets_scan_has_forgotten(const struct etp_ets_scan *scan)
{
	return scan->forgotten > 0;
}

size_t etp_ets_scan_binary_count(const struct etp_ets_scan *scan)
{
	return scan->store->map.count;
}

void etp_ets_scan_binary(const struct etp_ets_scan *scan, size_t index,
                         struct etp_ets_scan_binary *ret)
{
	const struct binary_entry *entry = binary_map_at(&scan->store->map, index);
	*ret = (struct etp_ets_scan_binary){
		.address = entry->address,
		.size = entry->size,
		.refc = entry->refc,
		.flags = entry->flags,
		.refs = binary_entry_refs(entry),
		.visible_bytes = binary_map_visible_bytes(&scan->store->map, entry),
		.data_address = entry->address + scan->data_offset,
	};
}

size_t etp_ets_scan_find(const struct etp_ets_scan *scan, uint64_t address)
{
	return binary_map_index(&scan->store->map, address);
}

size_t etp_ets_scan_holder_count(const struct etp_ets_scan *scan, size_t index)
{
	return binary_store_holders(scan->store, binary_map_at(&scan->store->map, index), NULL, 0);
}

struct etp_error *etp_ets_scan_holders(const struct etp_ets_scan *scan, size_t index,
                                       struct etp_ets_scan_holder *holders, size_t capacity)
{
	const struct binary_entry *entry = binary_map_at(&scan->store->map, index);
	struct binary_holder *found = calloc(capacity + 1, sizeof(*found));
	if (!found)
		return &etp_error_no_memory;
	size_t count = binary_store_holders(scan->store, entry, found, capacity);
	for (size_t i = 0; i < count && i < capacity; i++) {
		// In a census, others than tables are holders too.
		bool is_table = found[i].holder < scan->table_count;
		holders[i] = (struct etp_ets_scan_holder){
			.table = is_table ? scan->tables[found[i].holder].address : 0,
			.refs = found[i].refs,
		};
	}
	free(found);
	return NULL;
}
