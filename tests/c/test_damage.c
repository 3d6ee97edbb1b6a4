// SPDX-License-Identifier: Apache-2.0
//
// What a forged or torn core may hold: things cut off at the end of memory, links that come
// round in circles, counts that nothing bears out. Each must end soon, and say so.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <etp/census.h>
#include <etp/ets.h>
#include <etp/timers.h>

#include "analysis/root_scan.h"
#include "mock_vm.h"
#include "term/compare.h"
#include "term/dist_expand.h"
#include "vm/ets_parts.h"

static const char *layout_path;

static struct mock mock;

static int set_up(void **state)
{
	struct etp_error *err = mock_init(&mock, layout_path);
	assert_null(err);
	return 0;
}

static int tear_down(void **state)
{
	mock_deinit(&mock);
	return 0;
}

static void put_member(uint64_t address, enum etp_member_id id, uint64_t value)
{
	mock_member(&mock, address, id, value);
}

#define PUT(address, struct_, member, value)                                                       \
	put_member(address, ETP_MEMBER_##struct_##_##member, value)

// Under AddressSanitizer, or by the end of the mapping, a byte too far would be noticed.
static void test_things_cut_off_by_the_end_of_memory(void **state)
{
	uint64_t end = MOCK_BASE + MOCK_SIZE;
	for (uint64_t words = 1; words <= 6; words++) {
		uint64_t address = end - words * 8;
		for (uint64_t subtag = 0; subtag < 16; subtag++) {
			for (uint64_t arity = 0; arity < 8; arity++) {
				struct etp_term_view view;
				memset(mock.memory + MOCK_SIZE - 64, 0xff, 64);
				mock_put(&mock, address,
				         arity << HEADER_ARITY_SHIFT |
				                 subtag << HEADER_SUBTAG_SHIFT);
				etp_term_decode(&mock.vm, &mock.reader, mock_boxed(address), &view);
				if (header_thing(mock.vm.scheme, subtag << HEADER_SUBTAG_SHIFT) !=
				    ETP_THING_REF)
					continue;
				bool whole = arity >= 2 && 1 + arity <= words;
				assert_int_equal(view.kind,
				                 whole ? ETP_TERM_REF : ETP_TERM_INVALID);
			}
		}
	}
}

static etp_term hash_map(uint64_t size, const etp_term *slots)
{
	uint64_t address = mock_alloc(&mock, 2 + 16);
	mock_put(&mock, address, mock_header(&mock, ETP_THING_MAP, ETP_MAP_HEAD_ARRAY));
	PUT(address, hashmap_head, size, size);
	for (unsigned i = 0; i < 16; i++)
		mock_put(&mock, address + 16 + i * 8, slots ? slots[i] : mock_boxed(address));
	return mock_boxed(address);
}

static uint64_t count_pairs(etp_term map, bool *damaged)
{
	struct etp_term_view view;
	struct etp_map_iter iter;
	etp_term key, value;
	uint64_t count = 0;
	etp_term_decode(&mock.vm, &mock.reader, map, &view);
	etp_map_iter_init(&iter, &mock.vm, &mock.reader, &view, ETP_MAP_ORDER_ITERATOR);
	while (etp_map_iter_next(&iter, &key, &value))
		count++;
	*damaged = iter.damaged;
	return count;
}

static void test_maps_that_promise_too_much(void **state)
{
	bool damaged;
	etp_term slots[16];
	for (unsigned i = 0; i < 16; i++)
		slots[i] = mock_cons(&mock, term_make_small(i), term_make_small(i));
	assert_int_equal(count_pairs(hash_map(16, slots), &damaged), 16);
	assert_false(damaged);
	assert_int_equal(count_pairs(hash_map(17, slots), &damaged), 16);
	assert_true(damaged);
	count_pairs(hash_map(UINT64_MAX, NULL), &damaged);
	assert_true(damaged);
	// Seven levels of nodes that share their children hold 16^7 pairs.
	etp_term shared = hash_map(UINT64_C(1) << 60, slots);
	for (unsigned level = 1; level < 7; level++) {
		for (unsigned i = 0; i < 16; i++)
			slots[i] = shared;
		shared = hash_map(UINT64_C(1) << 60, slots);
	}
	assert_true(count_pairs(shared, &damaged) <= MOCK_SIZE / 16);
	assert_true(damaged);
}

// A tuple of many elements that ends in itself.
static etp_term endless_tuple(uint64_t arity)
{
	uint64_t address = mock_alloc(&mock, 1 + arity);
	mock_put(&mock, address, mock_header(&mock, ETP_THING_TUPLE, arity));
	for (uint64_t i = 1; i < arity; i++)
		mock_put(&mock, address + i * 8, ETP_NIL);
	mock_put(&mock, address + arity * 8, mock_boxed(address));
	return mock_boxed(address);
}

static void test_comparing_what_never_ends(void **state)
{
	etp_term a = endless_tuple(1 << 20), b = endless_tuple(1 << 20);
	bool equal = false;
	struct etp_error *err = etp_term_equal(&mock.vm, &mock.reader, a, &mock.reader, b, &equal);
	assert_non_null(err);
	assert_int_equal(err->kind, ETP_ERROR_BAD_DATA);
	etp_error_destroy(err);
	assert_int_equal(etp_term_hash(&mock.vm, &mock.reader, a),
	                 etp_term_hash(&mock.vm, &mock.reader, b));
	assert_null(etp_term_equal(&mock.vm, &mock.reader, a, &mock.reader, a, &equal));
	assert_true(equal);
}

static void put_ca_node(uint64_t address, bool is_base, uint64_t left, uint64_t right)
{
	PUT(address, DbTableCATreeNode, is_base_node, is_base);
	if (is_base) {
		PUT(address, DbTableCATreeNode, base_root, left);
		return;
	}
	PUT(address, DbTableCATreeNode, left, left);
	PUT(address, DbTableCATreeNode, right, right);
}

static uint64_t count_rows(enum etp_ets_type type, uint64_t root, struct etp_ets_iter *iter)
{
	struct etp_ets_table table = {
		.address = mock_alloc(&mock, 200),
		.type = type,
		.size = 10,
	};
	struct etp_ets_row row;
	if (type == ETP_ETS_ORDERED_SET)
		PUT(table.address, DbTableTree, root, root);
	else
		PUT(table.address, DbTableCATree, root, root);
	etp_ets_iter_init(iter, &mock.vm, &mock.reader, &table);
	while (etp_ets_iter_next(iter, &row))
		;
	return iter->rows;
}

static void test_route_nodes_that_lead_nowhere(void **state)
{
	struct etp_ets_iter iter;
	uint64_t base = mock_alloc(&mock, 40), self = mock_alloc(&mock, 40);
	put_ca_node(base, true, 0, 0);
	assert_int_equal(count_rows(ETP_ETS_CA_ORDERED_SET, base, &iter), 0);
	put_ca_node(self, false, self, self);
	assert_int_equal(count_rows(ETP_ETS_CA_ORDERED_SET, self, &iter), 0);
	assert_true(iter.unreadable > 0);
	put_ca_node(self, false, base, self);
	assert_int_equal(count_rows(ETP_ETS_CA_ORDERED_SET, self, &iter), 0);
	assert_true(iter.unreadable > 0);
	// Levels of routes that share their children, empty at the end: 2^100 ways.
	uint64_t below = base;
	for (unsigned level = 0; level < 100; level++) {
		uint64_t route = mock_alloc(&mock, 40);
		put_ca_node(route, false, below, below);
		below = route;
	}
	assert_int_equal(count_rows(ETP_ETS_CA_ORDERED_SET, below, &iter), 0);
	assert_true(iter.unreadable > 0);
}

static void test_trees_that_run_in_circles(void **state)
{
	struct etp_ets_iter iter;
	uint64_t node = mock_alloc(&mock, 40);
	PUT(node, TreeDbTerm, left, 0);
	PUT(node, TreeDbTerm, right, node);
	count_rows(ETP_ETS_ORDERED_SET, node, &iter);
	assert_true(iter.unreadable > 0);
	PUT(node, TreeDbTerm, left, node);
	count_rows(ETP_ETS_ORDERED_SET, node, &iter);
	assert_true(iter.unreadable > 0);
}

// A segment all of whose buckets lead to `node`; behind it lies what leads nowhere.
static uint64_t make_hash_segment(uint64_t slots, uint64_t node)
{
	uint64_t head = OFFSET(&mock.vm, segment, buckets) / 8, behind = 64;
	uint64_t address = mock_alloc(&mock, head + slots + behind);
	for (uint64_t i = 0; i < slots + behind; i++)
		mock_put(&mock, address + (head + i) * 8, i < slots ? node : MOCK_NOWHERE);
	return address;
}

static struct etp_ets_table make_hash_table(uint64_t slots, uint64_t segtab, uint64_t segments)
{
	struct etp_ets_table table = {
		.address = mock_alloc(&mock, SIZEOF(&mock.vm, DbTableHash) / 8 + 1),
		.type = ETP_ETS_SET,
	};
	PUT(table.address, DbTableHash, segtab, segtab);
	PUT(table.address, DbTableHash, nactive, slots);
	PUT(table.address, DbTableHash, nslots, slots);
	PUT(table.address, DbTableHash, nsegs, segments);
	return table;
}

// The second segment is filled from the middle on, round its end.
static void test_nothing_is_fetched_from_behind_a_segment(void **state)
{
	uint64_t slots = FIRST_SEGMENT_SLOTS + SEGMENT_SLOTS;
	uint64_t node = mock_alloc(&mock, 20), segments = mock_alloc(&mock, 2);
	PUT(node, HashDbTerm, next, node);
	mock_put(&mock, segments, make_hash_segment(FIRST_SEGMENT_SLOTS, node));
	mock_put(&mock, segments + 8, make_hash_segment(SEGMENT_SLOTS, node));
	struct etp_ets_table table = make_hash_table(slots, segments, 2);
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	etp_ets_iter_init(&iter, &mock.vm, &mock.reader, &table);
	while (etp_ets_iter_next(&iter, &row))
		;
	assert_in_range(iter.rows, slots, 4 * slots);
	assert_int_equal(iter.ahead.faults, 0);
}

// Segments that the memory has room for.
static uint64_t segments_at_most(void)
{
	return MOCK_SIZE / (SEGMENT_SLOTS * 8) + 1;
}

static void test_more_slots_than_memory(void **state)
{
	const uint64_t slots = UINT32_MAX;
	struct etp_ets_table table = make_hash_table(slots, MOCK_NOWHERE, UINT32_MAX);
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	etp_ets_iter_init(&iter, &mock.vm, &mock.reader, &table);
	assert_false(etp_ets_iter_next(&iter, &row));
	assert_in_range(iter.unreadable, 1, segments_at_most() + 1);
	// All segments are one, which is empty.
	uint64_t count = 2 * segments_at_most(), segtab = mock_alloc(&mock, count);
	uint64_t segment = make_hash_segment(SEGMENT_SLOTS, 0);
	for (uint64_t i = 0; i < count; i++)
		mock_put(&mock, segtab + i * 8, segment);
	table = make_hash_table(slots, segtab, UINT32_MAX);
	etp_ets_iter_init(&iter, &mock.vm, &mock.reader, &table);
	assert_false(etp_ets_iter_next(&iter, &row));
	assert_int_equal(iter.unreadable, 1);
	assert_string_equal(iter.problem, "the hash table has more slots than there is room for");
}

static void test_parts_of_a_table_that_counts_too_much(void **state)
{
	enum { ROWS = 1 << 14, PARTS = 4096 + 1 };
	uint64_t segments = segments_at_most();
	uint64_t slots = FIRST_SEGMENT_SLOTS + (segments - 1) * SEGMENT_SLOTS;
	struct etp_ets_table table = make_hash_table(slots, MOCK_NOWHERE, segments);
	table.size = INT64_C(1) << 60;
	struct ets_parts parts;
	assert_true(ets_parts_init(&parts, &mock.vm, &mock.reader, &table, ROWS));
	assert_in_range(parts.count, 2, PARTS);
	assert_int_equal(parts.parts[parts.count - 1].slots, slots);
	ets_parts_deinit(&parts);
}

// A ProcBin in a chain of one.
static uint64_t chain_of_one(void)
{
	uint64_t binary = mock_alloc(&mock, 16), proc_bin = mock_alloc(&mock, 8);
	PUT(binary, Binary, orig_size, 100);
	PUT(binary, Binary, refc, 1);
	mock_put(&mock, proc_bin,
	         mock_header(&mock, ETP_THING_PROC_BIN, SIZEOF(&mock.vm, ProcBin) / 8 - 1));
	PUT(proc_bin, ProcBin, size, 100);
	PUT(proc_bin, BinRef, val, binary);
	PUT(proc_bin, ErlOffHeapHeader, next, 0);
	return proc_bin;
}

static uint64_t fragment_circle(void)
{
	uint64_t fragment = mock_alloc(&mock, 20);
	PUT(fragment, ErlHeapFragment, off_heap, chain_of_one());
	PUT(fragment, ErlHeapFragment, next, fragment);
	return fragment;
}

static void test_binaries_of_fragments_in_a_circle(void **state)
{
	uint64_t process = mock_alloc(&mock, SIZEOF(&mock.vm, Process) / 8 + 1);
	PUT(process, Process, mbuf, fragment_circle());
	struct etp_process_binary *binaries;
	size_t count;
	const char *problem = NULL;
	assert_null(etp_process_binaries(&mock.vm, process, &binaries, &count, &problem));
	assert_non_null(problem);
	assert_in_range(count, 1, 4);
	free(binaries);
}

// A scheduler with an empty wheel, and no timers beyond it.
static void make_scheduler(uint64_t *wheel_ret, uint64_t *service_ret)
{
	uint64_t esd = mock_alloc(&mock, SIZEOF(&mock.vm, ErtsAlignedSchedulerData) / 8 + 1);
	uint64_t wheel = mock_alloc(&mock, SIZEOF(&mock.vm, ErtsTimerWheel) / 8 + 1);
	uint64_t service = mock_alloc(&mock, SIZEOF(&mock.vm, ErtsHLTimerService) / 8 + 1);
	uint64_t sentinel = wheel + OFFSET(&mock.vm, ErtsTimerWheel, sentinel);
	mock.vm.info.schedulers = 1;
	mock.vm.scheduler_data = esd;
	mock.vm.scheduler_stride = SIZEOF(&mock.vm, ErtsAlignedSchedulerData);
	esd += OFFSET(&mock.vm, ErtsAlignedSchedulerData, esd);
	PUT(esd, ErtsSchedulerData, timer_wheel, wheel);
	PUT(esd, ErtsSchedulerData, timer_service, service);
	PUT(sentinel, ErtsTWheelTimer, next, sentinel);
	*wheel_ret = wheel;
	*service_ret = service;
}

enum {
	// ERTS_TMR_ROFLG_HLT, ERTS_TMR_ROFLG_BIF_TMR, ERTS_TMR_ROFLG_REG_NAME; scheduler 1.
	ROFLG_HLT = 1 << 11,
	ROFLG_BIF_NAME = 1 << 12 | 1 << 14 | 1,
};

// A timer of erlang:send_after/3 to a name.
static uint64_t make_timer(uint32_t flags)
{
	uint64_t timer = mock_alloc(&mock, SIZEOF(&mock.vm, ErtsBifTimer) / 8 + 1);
	PUT(timer, ErtsTmrHead, roflgs, ROFLG_BIF_NAME | flags);
	PUT(timer, ErtsTmrHead, receiver, mock_atom(&mock, "name"));
	PUT(timer, ErtsBifTimer, message, ETP_NIL);
	return timer;
}

// Its ErtsTWheelTimer.
static uint64_t make_wheel_timer(void)
{
	uint64_t timer = make_timer(0), wheel_timer = timer + OFFSET(&mock.vm, ErtsTWTimer, tw_tmr);
	PUT(wheel_timer, ErtsTWheelTimer, arg, timer);
	return wheel_timer;
}

static size_t count_timers(uint64_t *gaps_ret, uint64_t *cancelled_ret)
{
	struct etp_timers timers;
	assert_null(etp_timers_take(&mock.vm, NULL, 0, &timers));
	size_t count = timers.count;
	*gaps_ret = timers.gaps;
	*cancelled_ret = timers.cancelled;
	etp_timers_deinit(&timers);
	return count;
}

static void test_timers_in_a_circle(void **state)
{
	uint64_t wheel, service, gaps, cancelled;
	make_scheduler(&wheel, &service);
	uint64_t first = make_wheel_timer(), second = make_wheel_timer();
	PUT(wheel, ErtsTimerWheel, slots, first);
	PUT(wheel, ErtsTimerWheel, nto, 2);
	PUT(first, ErtsTWheelTimer, next, second);
	PUT(second, ErtsTWheelTimer, next, first);
	assert_int_equal(count_timers(&gaps, &cancelled), 2);
	assert_int_equal(gaps, 0);
	// It does not come back to where it began.
	PUT(second, ErtsTWheelTimer, next, second);
	assert_in_range(count_timers(&gaps, &cancelled), 2, 10);
	assert_true(gaps > 0);
	PUT(second, ErtsTWheelTimer, next, MOCK_NOWHERE);
	assert_int_equal(count_timers(&gaps, &cancelled), 2);
	assert_true(gaps > 0);
	// Nor does a tree.
	PUT(second, ErtsTWheelTimer, next, first);
	uint64_t node = make_timer(ROFLG_HLT);
	PUT(service, ErtsHLTimerService, time_tree, node);
	assert_int_equal(count_timers(&gaps, &cancelled), 3);
	assert_int_equal(gaps, 0);
	PUT(node, ErtsHLTimer, tree_left, node);
	assert_in_range(count_timers(&gaps, &cancelled), 3,
	                MOCK_SIZE / SIZEOF(&mock.vm, ErtsTWheelTimer) + 1);
	assert_true(gaps > 0);
}

static void test_timers_that_are_none(void **state)
{
	uint64_t wheel, service, gaps, cancelled;
	make_scheduler(&wheel, &service);
	uint64_t timer = make_wheel_timer();
	uint64_t head = timer - OFFSET(&mock.vm, ErtsTWTimer, tw_tmr);
	PUT(wheel, ErtsTimerWheel, slots, timer);
	PUT(timer, ErtsTWheelTimer, next, timer);
	// ERTS_TMR_STATE_CANCELED
	PUT(head, ErtsBifTimer, state, 1);
	assert_int_equal(count_timers(&gaps, &cancelled), 0);
	assert_int_equal(cancelled, 1);
	assert_int_equal(gaps, 0);
	// Of another scheduler, for two kinds of receivers at once, of a tree.
	static const uint32_t damaged[] = {1, 1 << 15, ROFLG_HLT};
	PUT(head, ErtsBifTimer, state, 0);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		PUT(head, ErtsTmrHead, roflgs, ROFLG_BIF_NAME ^ damaged[i]);
		assert_int_equal(count_timers(&gaps, &cancelled), 0);
		assert_int_equal(gaps, 1);
	}
	// The wheel counts more than it has.
	PUT(head, ErtsTmrHead, roflgs, ROFLG_BIF_NAME);
	PUT(wheel, ErtsTimerWheel, nto, 5);
	assert_int_equal(count_timers(&gaps, &cancelled), 1);
	assert_int_equal(gaps, 1);
}

static void test_fragments_of_a_timer_in_a_circle(void **state)
{
	uint64_t wheel, service;
	make_scheduler(&wheel, &service);
	uint64_t timer = make_wheel_timer();
	PUT(wheel, ErtsTimerWheel, slots, timer);
	PUT(timer, ErtsTWheelTimer, next, timer);
	PUT(timer - OFFSET(&mock.vm, ErtsTWTimer, tw_tmr), ErtsBifTimer, bp, fragment_circle());
	struct binary_store store;
	struct root_scan scan;
	struct magic_store magic;
	binary_store_init(&store);
	magic_store_init(&magic);
	assert_true(root_scan_run(&scan, &mock.vm, &store, 0, &magic));
	assert_true(scan.unreadable > 0);
	assert_int_equal(scan.count, 1);
	assert_in_range(scan.roots[0].binary_refs, 1, 4);
	root_scan_deinit(&scan);
	magic_store_deinit(&magic);
	binary_store_deinit(&store);
}

// Sizes that come round to a small sum: the first fragment has more bytes than all together.
static void test_fragments_of_a_message_that_are_too_long(void **state)
{
	enum { FRAGMENTS = 2, LONG = 1 << 16, SUM = 100 };
	uint64_t address = mock_alloc(&mock, 64), node = mock_alloc(&mock, 128);
	uint64_t size = SIZEOF(&mock.vm, ErtsDistExternalData);
	uint64_t data = mock_alloc(&mock, FRAGMENTS * size / 8 + 1);
	uint64_t bytes = mock_alloc(&mock, LONG / 8);
	PUT(address, ErtsDistExternal, dep, node);
	PUT(address, ErtsDistExternal, data, data);
	PUT(node, DistEntry, sysname, mock_atom(&mock, "a@b"));
	PUT(data, ErtsDistExternalData, frag_id, FRAGMENTS);
	PUT(data, ErtsDistExternalData, extp, bytes);
	PUT(data, ErtsDistExternalData, ext_endp, bytes + LONG);
	PUT(data + size, ErtsDistExternalData, extp, 8);
	PUT(data + size, ErtsDistExternalData, ext_endp, 8 + SUM - (uint64_t)LONG);
	struct etp_row_words row;
	etp_row_words_init(&row);
	etp_term term;
	const char *reason = NULL;
	assert_false(etp_dist_expand(&mock.vm, &mock.reader, address, &row, &term, &reason));
	assert_string_equal(reason, "its ErtsDistExternal cannot be read");
	// With lengths that are true, only the bytes are no external format.
	PUT(data + size, ErtsDistExternalData, extp, bytes);
	PUT(data + size, ErtsDistExternalData, ext_endp, bytes + SUM);
	assert_false(etp_dist_expand(&mock.vm, &mock.reader, address, &row, &term, &reason));
	assert_string_equal(reason, "external format without a version");
	etp_row_words_deinit(&row);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_things_cut_off_by_the_end_of_memory, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(test_maps_that_promise_too_much, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_comparing_what_never_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_route_nodes_that_lead_nowhere, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(test_trees_that_run_in_circles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_fetched_from_behind_a_segment,
	                                        set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_slots_than_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parts_of_a_table_that_counts_too_much, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(test_binaries_of_fragments_in_a_circle, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(test_timers_in_a_circle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_timers_that_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fragments_of_a_timer_in_a_circle, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(test_fragments_of_a_message_that_are_too_long,
	                                        set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
