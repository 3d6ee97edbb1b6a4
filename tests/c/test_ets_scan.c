// SPDX-License-Identifier: Apache-2.0
//
// Scans of tables of hand-laid memory: who wants to stop one is heard, whatever its rows are like;
// forged binaries have their place in what was found.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <etp/ets_scan.h>

#include "analysis/ets_scan.h"
#include "mock_test.h"
#include "vm/ets_parts.h"

enum {
	// Words of a row, which all rows of a table share.
	WORDS = 1 << 18,
	SMALL_ROWS = FIRST_SEGMENT_SLOTS,
	ALL_ROWS = SMALL_ROWS + FIRST_SEGMENT_SLOTS + SEGMENT_SLOTS,
};

static uint64_t make_segment(struct mock *m, uint64_t slots, uint64_t node)
{
	uint64_t head = OFFSET(&m->vm, segment, buckets) / 8;
	uint64_t address = mock_alloc(m, head + slots);
	for (uint64_t i = 0; i < slots; i++)
		mock_put(m, address + (head + i) * 8, node);
	return address;
}

// A table each of whose slots has the same object of so many words.
static struct etp_ets_table make_table(struct mock *m, uint64_t slots, uint64_t words)
{
	struct etp_ets_table table = {
		.address = new_struct(m, ETP_STRUCT_DbTableHash),
		.type = ETP_ETS_SET,
		.keypos = 1,
	};
	uint64_t node = mock_alloc(m, SIZEOF(&m->vm, HashDbTerm) / 8 + words);
	uint64_t segtab = mock_alloc(m, 2);
	PUT(m, node + OFFSET(&m->vm, HashDbTerm, dbterm), DbTerm, size, words);
	mock_put(m, segtab, make_segment(m, FIRST_SEGMENT_SLOTS, node));
	mock_put(m, segtab + 8, make_segment(m, SEGMENT_SLOTS, node));
	PUT(m, table.address, DbTableHash, segtab, segtab);
	PUT(m, table.address, DbTableHash, nactive, slots);
	PUT(m, table.address, DbTableHash, nslots, slots);
	PUT(m, table.address, DbTableHash, nsegs, 2);
	return table;
}

// Stops the scan once so many rows are done.
static bool stop_after(void *context, uint64_t done, uint64_t total)
{
	const uint64_t *rows = context;
	return done >= *rows;
}

static uint64_t scan_until(struct mock *m, uint64_t rows, unsigned threads)
{
	const struct etp_ets_table tables[] = {
		make_table(m, SMALL_ROWS, WORDS),
		make_table(m, ALL_ROWS - SMALL_ROWS, 4 * WORDS),
	};
	const struct etp_ets_scan_options options = {
		.progress = stop_after,
		.context = &rows,
		.threads = threads,
	};
	struct etp_ets_scan *scan;
	size_t count;
	assert_null(etp_ets_scan_run(&m->vm, tables, 2, &options, &scan));
	const struct etp_ets_scan_table *found = etp_ets_scan_tables(scan, &count);
	assert_int_equal(count, 2);
	uint64_t done = found[0].rows + found[1].rows;
	assert_false(etp_ets_scan_is_complete(scan));
	assert_true(found[1].incomplete);
	etp_ets_scan_destroy(scan);
	return done;
}

static void test_stopping_within_few_rows(void **state)
{
	assert_in_range(scan_until(*state, 10, 1), 10, SMALL_ROWS / 2);
}

// The caller's thread is done with its rows before, and only waits for the other.
static void test_stopping_while_another_thread_works(void **state)
{
	assert_in_range(scan_until(*state, SMALL_ROWS + 100, 2), SMALL_ROWS + 100, ALL_ROWS / 2);
}

// A binary of 100 bytes of which so many are seen.
static void add_binary(struct binary_store *store, uint64_t address, uint64_t seen)
{
	struct binary_entry *entry = binary_map_add_reference(&store->map, address, 100, 1, 0);
	assert_non_null(entry);
	assert_true(binary_map_add_range(&store->map, entry, 0, seen));
}

// Of what the ProcBins of a forged core say, more may be seen than there is.
static void test_what_is_wasted_of_a_binary_is_never_less_than_nothing(void **state)
{
	struct mock *m = *state;
	struct binary_store store;
	struct etp_ets_scan *scan;
	const struct etp_binary_choice choice = {.order = ETP_BINARY_BY_WASTE, .limit = 3};
	size_t *indexes, count;
	binary_store_init(&store);
	add_binary(&store, 0x1000, 200);
	add_binary(&store, 0x2000, 100);
	add_binary(&store, 0x3000, 10);
	assert_null(ets_scan_run_into(&m->vm, NULL, 0, NULL, &store, NULL, &scan));
	assert_null(etp_ets_scan_choose(scan, &choice, &indexes, &count));
	assert_int_equal(count, 3);
	assert_int_equal(indexes[0], 2);
	// As large as each other, the lower address first.
	assert_int_equal(indexes[1], 0);
	assert_int_equal(indexes[2], 1);
	free(indexes);
	etp_ets_scan_destroy(scan);
	binary_store_deinit(&store);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stopping_within_few_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopping_while_another_thread_works, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_is_wasted_of_a_binary_is_never_less_than_nothing, set_up,
			tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
