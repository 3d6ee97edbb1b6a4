// SPDX-License-Identifier: Apache-2.0
//
// Links, monitors, signal queues and dictionaries on hand-laid memory, sound and
// damaged: a walk ends, returns each node at most once, and counts what is missing.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <etp/heap.h>
#include <etp/links.h>
#include <etp/process.h>

#include "mock_test.h"

static uint64_t make_pid(uint64_t number)
{
	return number << 4 | TAG_IMMED1_PID;
}

// A process with a heap of 10 words that is empty.
static uint64_t new_process(struct mock *m)
{
	uint64_t p = new_struct(m, ETP_STRUCT_Process);
	uint64_t heap = mock_alloc(m, 10);
	PUT(m, p, Process, id, make_pid(7));
	PUT(m, p, Process, heap, heap);
	PUT(m, p, Process, htop, heap);
	PUT(m, p, Process, high_water, heap);
	PUT(m, p, Process, stop, heap + 80);
	PUT(m, p, Process, hend, heap + 80);
	PUT(m, p, Process, heap_sz, 10);
	uint64_t initial = p + OFFSET(&m->vm, Process, initial);
	PUT(m, initial, ErtsCodeMFA, module, term_make_atom(1));
	PUT(m, initial, ErtsCodeMFA, function, term_make_atom(2));
	PUT(m, p, Process, arg_reg, p + OFFSET(&m->vm, Process, def_arg_reg));
	return p;
}

// A complete tree of links of `depth` levels; their other ends are numbered from 1
// in the order in which they are made.
static uint64_t new_tree(struct mock *m, unsigned depth, uint64_t parent, uint64_t *number)
{
	uint64_t node = new_struct(m, ETP_STRUCT_ErtsILink);
	PUT(m, node, ErtsMonLnkNode, parent, parent | (*number & 1));
	PUT(m, node, ErtsMonLnkNode, other, make_pid((*number)++));
	PUT(m, node, ErtsMonLnkNode, type, 10);
	if (depth > 1) {
		PUT(m, node, ErtsMonLnkNode, left, new_tree(m, depth - 1, node, number));
		PUT(m, node, ErtsMonLnkNode, right, new_tree(m, depth - 1, node, number));
	}
	return node;
}

static uint64_t count_links(struct mock *m, uint64_t process, uint64_t *gaps_ret)
{
	struct etp_link_iter iter;
	struct etp_link link;
	uint64_t count = 0;
	etp_link_iter_init(&iter, &m->vm, &m->reader, process);
	while (etp_link_iter_next(&iter, &link)) {
		count++;
		assert_true(count < 100000);
	}
	*gaps_ret = iter.nodes.gaps;
	return count;
}

static void test_links(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m), number = 1, gaps;
	assert_int_equal(count_links(m, process, &gaps), 0);
	assert_int_equal(gaps, 0);
	PUT(m, process, Process, links, new_tree(m, 10, 0, &number));
	assert_int_equal(count_links(m, process, &gaps), 1023);
	assert_int_equal(gaps, 0);
}

static void test_order_of_links(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m), number = 1;
	PUT(m, process, Process, links, new_tree(m, 3, 0, &number));
	// Made root, left, its children, right, its children; visited children first.
	static const uint64_t expected[] = {3, 4, 2, 6, 7, 5, 1};
	struct etp_link_iter iter;
	struct etp_link link;
	etp_link_iter_init(&iter, &m->vm, &m->reader, process);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_true(etp_link_iter_next(&iter, &link));
		assert_int_equal(link.other, make_pid(expected[i]));
	}
	assert_false(etp_link_iter_next(&iter, &link));
	assert_false(etp_link_iter_next(&iter, &link));
}

// Each pointer of a tree is bent to each node, to itself, to nothing that is
// there: the walk always ends, never returns more than there is, and says so.
static void test_damaged_trees(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m), number = 1, gaps;
	uint64_t first = m->top;
	PUT(m, process, Process, links, new_tree(m, 4, 0, &number));
	uint64_t size = (m->top - first) / 15;
	const enum etp_member_id members[] = {ETP_MEMBER_ErtsMonLnkNode_left,
	                                      ETP_MEMBER_ErtsMonLnkNode_right,
	                                      ETP_MEMBER_ErtsMonLnkNode_parent};
	for (uint64_t node = 0; node < 15; node++)
		for (size_t i = 0; i < 3; i++)
			for (uint64_t target = 0; target < 16; target++) {
				uint64_t address = first + node * size;
				uint64_t old, new = target < 15 ? first + target *size
				                                : (uint64_t)MOCK_NOWHERE;
				assert_true(etp_vm_read_member(&m->vm, &m->reader, address,
				                               members[i], &old));
				mock_member(m, address, members[i], new);
				uint64_t count = count_links(m, process, &gaps);
				assert_true(count <= 15);
				if (count < 15 || (old & ~UINT64_C(7)) != new)
					assert_true(gaps || count == 15);
				mock_member(m, address, members[i], old);
			}
	assert_int_equal(count_links(m, process, &gaps), 15);
}

static uint64_t count_monitors(struct mock *m, uint64_t process, uint64_t *gaps_ret)
{
	struct etp_monitor_iter iter;
	struct etp_monitor monitor;
	uint64_t count = 0;
	etp_monitor_iter_init(&iter, &m->vm, &m->reader, process);
	while (etp_monitor_iter_next(&iter, &monitor)) {
		count++;
		assert_true(count < 1000);
	}
	*gaps_ret = iter.nodes.gaps;
	return count;
}

static void test_lists_of_monitors(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m), nodes[5], gaps;
	for (int i = 0; i < 5; i++) {
		uint64_t data = new_struct(m, ETP_STRUCT_ErtsMonitorDataHeap);
		nodes[i] = data + OFFSET(&m->vm, ErtsMonitorData, target);
		PUT(m, data, ErtsMonitorData, refc, 2);
		PUT(m, nodes[i], ErtsMonLnkNode, offset, nodes[i] - data);
		PUT(m, nodes[i], ErtsMonLnkNode, flags, 1);
		PUT(m, nodes[i], ErtsMonLnkNode, other, make_pid(100));
	}
	for (int i = 0; i < 5; i++) {
		PUT(m, nodes[i], ErtsMonLnkNode, next, nodes[(i + 1) % 5]);
		PUT(m, nodes[i], ErtsMonLnkNode, prev, nodes[(i + 4) % 5]);
	}
	PUT(m, process, Process, lt_monitors, nodes[0]);
	assert_int_equal(count_monitors(m, process, &gaps), 5);
	assert_int_equal(gaps, 0);
	// The last leads back into the middle instead of to the first.
	PUT(m, nodes[4], ErtsMonLnkNode, next, nodes[2]);
	assert_int_equal(count_monitors(m, process, &gaps), 5);
	assert_int_equal(gaps, 1);
	PUT(m, nodes[1], ErtsMonLnkNode, next, MOCK_NOWHERE);
	assert_int_equal(count_monitors(m, process, &gaps), 2);
	assert_int_equal(gaps, 1);
}

// A message whose term is a small, without data behind it.
static uint64_t new_message(struct mock *m, int64_t value, uint64_t next)
{
	uint64_t message = new_struct(m, ETP_STRUCT_ErtsMessage);
	uint64_t fields = message + OFFSET(&m->vm, ErtsMessage, m);
	PUT(m, message, ErtsMessage, next, next);
	mock_put(m, fields, term_make_small(value));
	mock_put(m, fields + 8, ETP_NIL);
	mock_put(m, fields + 16, make_pid(1));
	return message;
}

static uint64_t count_messages(struct mock *m, uint64_t process, uint64_t *gaps_ret)
{
	struct etp_signal_iter iter;
	struct etp_signal signal;
	uint64_t count = 0;
	etp_signal_iter_init(&iter, &m->vm, &m->reader, process);
	while (etp_signal_iter_next(&iter, &signal)) {
		count += signal.kind == ETP_SIGNAL_MESSAGE;
		assert_true(count < 10000);
	}
	*gaps_ret = iter.gaps;
	return count;
}

static void test_queues(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m), gaps, last, second, first;
	last = new_message(m, 3, 0);
	second = new_message(m, 2, last);
	first = new_message(m, 1, second);
	PUT(m, process, Process, sig_qs_first, first);
	PUT(m, process, Process, sig_qs_cont, new_message(m, 4, 0));
	PUT(m, process, Process, sig_inq_first, new_message(m, 5, new_message(m, 6, 0)));
	uint64_t buffers = new_struct(m, ETP_STRUCT_ErtsSignalInQueueBufferArray);
	PUT(m, process, Process, sig_inq_buffers, buffers);
	uint64_t slot = buffers + OFFSET(&m->vm, ErtsSignalInQueueBufferArray, slots) +
	                63 * SIZEOF(&m->vm, ErtsSignalInQueueBuffer);
	PUT(m, slot, ErtsSignalInQueueBuffer, queue_first, new_message(m, 7, 0));
	struct etp_signal_iter iter;
	struct etp_signal signal;
	static const enum etp_signal_queue queues[] = {
		ETP_SIGNAL_QUEUE_INNER,  ETP_SIGNAL_QUEUE_INNER, ETP_SIGNAL_QUEUE_INNER,
		ETP_SIGNAL_QUEUE_MIDDLE, ETP_SIGNAL_QUEUE_OUTER, ETP_SIGNAL_QUEUE_OUTER,
		ETP_SIGNAL_QUEUE_BUFFER};
	etp_signal_iter_init(&iter, &m->vm, &m->reader, process);
	for (int i = 0; i < 7; i++) {
		assert_true(etp_signal_iter_next(&iter, &signal));
		assert_int_equal(signal.term, term_make_small(i + 1));
		assert_int_equal(signal.from, make_pid(1));
		assert_int_equal(signal.queue, queues[i]);
		assert_true(signal.words_known);
	}
	assert_false(etp_signal_iter_next(&iter, &signal));
	assert_int_equal(iter.gaps, 0);

	// A loop in one queue leaves the others whole.
	PUT(m, last, ErtsMessage, next, second);
	uint64_t count = count_messages(m, process, &gaps);
	assert_int_equal(gaps, 1);
	assert_true(count >= 7 && count < 20);
	PUT(m, last, ErtsMessage, next, MOCK_NOWHERE);
	assert_int_equal(count_messages(m, process, &gaps), 7);
	assert_int_equal(gaps, 1);
}

// A signal that is no message: its tag is the header of an external pid, with operation and
// type as arity.
static uint64_t new_signal(struct mock *m, unsigned op, unsigned type, uint64_t next)
{
	uint64_t signal = new_message(m, 0, next);
	mock_put(m, signal + OFFSET(&m->vm, ErtsMessage, m),
	         mock_header(m, ETP_THING_EXTERNAL_PID, type << 8 | op));
	return signal;
}

// What a signal carries is lost, but not the signals behind it.
static void test_torn_signals(void **state)
{
	enum { EXIT = 0, ALIAS_MESSAGE = 15, GEN_EXIT = 15, TYPE_HEAP = 19 };
	struct mock *m = *state;
	uint64_t process = new_process(m), gaps;
	uint64_t alias = new_signal(m, ALIAS_MESSAGE, TYPE_HEAP, new_message(m, 1, 0));
	uint64_t exits = new_signal(m, EXIT, GEN_EXIT, alias);
	uint64_t fragment = exits + OFFSET(&m->vm, ErtsMessage, hfrag);
	uint64_t from = alias + OFFSET(&m->vm, ErtsMessage, m) + 16;
	mock_put(m, from, mock_tuple(m, make_pid(1), ETP_NIL, ETP_NIL));
	PUT(m, process, Process, sig_qs_first, exits);
	assert_int_equal(count_messages(m, process, &gaps), 1);
	assert_int_equal(gaps, 0);

	PUT(m, fragment, ErlHeapFragment, used_size, UINT64_C(1) << 50);
	assert_int_equal(count_messages(m, process, &gaps), 1);
	assert_int_equal(gaps, 1);
	mock_put(m, from, mock_boxed(MOCK_NOWHERE));
	assert_int_equal(count_messages(m, process, &gaps), 1);
	assert_int_equal(gaps, 2);
	struct etp_signal_iter iter;
	struct etp_signal signal;
	etp_signal_iter_init(&iter, &m->vm, &m->reader, process);
	for (int i = 0; i < 3; i++) {
		assert_true(etp_signal_iter_next(&iter, &signal));
		assert_int_equal(signal.is_torn, i < 2);
	}
}

static void test_fragments(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m);
	uint64_t message = new_message(m, 1, 0);
	uint64_t fragments[2];
	for (int i = 0; i < 2; i++) {
		fragments[i] = new_struct(m, ETP_STRUCT_ErlHeapFragment);
		PUT(m, fragments[i], ErlHeapFragment, used_size, 20);
	}
	PUT(m, fragments[0], ErlHeapFragment, next, fragments[1]);
	PUT(m, message, ErtsMessage, attached, fragments[0]);
	PUT(m, process, Process, sig_qs_first, message);
	struct etp_process_info info;
	assert_null(etp_process_info(&m->vm, &m->reader, process, &info));
	assert_int_equal(info.message_queue_len, 1);
	assert_int_equal(info.unknown, 0);
	uint64_t memory = info.memory;
	assert_int_equal(memory, SIZEOF(&m->vm, Process) + 80 + SIZEOF(&m->vm, ErtsMessage) + 320);

	PUT(m, fragments[1], ErlHeapFragment, next, fragments[0]);
	assert_null(etp_process_info(&m->vm, &m->reader, process, &info));
	assert_true(info.unknown & 1U << ETP_PROCESS_MEMORY);
	PUT(m, fragments[1], ErlHeapFragment, next, 0);
	PUT(m, fragments[1], ErlHeapFragment, used_size, UINT64_MAX - 10);
	assert_null(etp_process_info(&m->vm, &m->reader, process, &info));
	assert_true(info.unknown & 1U << ETP_PROCESS_MEMORY);
	assert_true(info.memory < memory);
}

static uint64_t new_pair(struct mock *m, int64_t key)
{
	uint64_t tuple = mock_alloc(m, 3);
	mock_put(m, tuple, 2 << HEADER_ARITY_SHIFT);
	mock_put(m, tuple + 8, term_make_small(key));
	mock_put(m, tuple + 16, term_make_small(key));
	return tuple | TAG_PRIMARY_BOXED;
}

static void test_dictionaries(void **state)
{
	struct mock *m = *state;
	uint64_t dictionary = mock_alloc(m, 20), cells[2];
	uint64_t slots = dictionary + OFFSET(&m->vm, ProcDict, data);
	PUT(m, dictionary, ProcDict, arraySize, 3);
	PUT(m, dictionary, ProcDict, usedSlots, 3);
	for (int i = 0; i < 2; i++)
		cells[i] = mock_alloc(m, 2);
	for (int i = 0; i < 2; i++) {
		mock_put(m, cells[i], new_pair(m, i));
		mock_put(m, cells[i] + 8, i ? ETP_NIL : cells[1] | TAG_PRIMARY_LIST);
	}
	mock_put(m, slots, ETP_NIL);
	mock_put(m, slots + 8, cells[0] | TAG_PRIMARY_LIST);
	mock_put(m, slots + 16, new_pair(m, 2));
	struct etp_dictionary_iter iter;
	etp_term key, value;
	etp_dictionary_iter_init(&iter, &m->vm, &m->reader, dictionary);
	for (int i = 0; i < 3; i++) {
		assert_true(etp_dictionary_iter_next(&iter, &key, &value));
		assert_int_equal(key, term_make_small(i));
	}
	assert_false(etp_dictionary_iter_next(&iter, &key, &value));
	assert_int_equal(iter.gaps, 0);

	mock_put(m, cells[1] + 8, cells[0] | TAG_PRIMARY_LIST);
	etp_dictionary_iter_init(&iter, &m->vm, &m->reader, dictionary);
	int count = 0;
	while (etp_dictionary_iter_next(&iter, &key, &value))
		assert_true(++count < 20);
	assert_true(iter.gaps == 1 && count >= 3);
	PUT(m, dictionary, ProcDict, usedSlots, 4);
	etp_dictionary_iter_init(&iter, &m->vm, &m->reader, dictionary);
	assert_false(etp_dictionary_iter_next(&iter, &key, &value));
	assert_int_equal(iter.gaps, 1);
}

// No size is made of pointers that cannot be those of one heap.
static void test_damaged_heaps(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_process(m);
	struct etp_process_info info;
	assert_null(etp_process_info(&m->vm, &m->reader, process, &info));
	assert_int_equal(info.unknown, 0);
	assert_int_equal(info.memory, SIZEOF(&m->vm, Process) + 80);
	const enum etp_member_id members[] = {ETP_MEMBER_Process_htop, ETP_MEMBER_Process_stop,
	                                      ETP_MEMBER_Process_hend, ETP_MEMBER_Process_heap_sz,
	                                      ETP_MEMBER_Process_mbuf_sz};
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		uint64_t old;
		assert_true(etp_vm_read_member(&m->vm, &m->reader, process, members[i], &old));
		mock_member(m, process, members[i], UINT64_MAX / 16);
		assert_null(etp_process_info(&m->vm, &m->reader, process, &info));
		assert_true(info.unknown & 1U << ETP_PROCESS_MEMORY);
		assert_true(info.unknown & 1U << ETP_PROCESS_TOTAL_HEAP_SIZE);
		assert_non_null(info.problem);
		mock_member(m, process, members[i], old);
	}
}

static void test_largest_things(void **state)
{
	(void)state;
	for (size_t most = 0; most < 12; most++) {
		struct etp_heap_largest largest;
		etp_heap_largest_init(&largest, most);
		for (uint64_t i = 0; i < 10; i++) {
			struct etp_heap_thing thing = {
				.address = 0x1000 + i * 8,
				.words = i * 7 % 10 / 2,
				.kind = i == 3 ? ETP_HEAP_INVALID : ETP_HEAP_TERM,
			};
			assert_true(etp_heap_largest_put(&largest, &thing));
		}
		etp_heap_largest_sort(&largest);
		assert_int_equal(largest.total, 10);
		assert_int_equal(largest.invalid, 1);
		assert_int_equal(largest.count, most < 10 ? most : 10);
		for (size_t i = 0; i < largest.count; i++) {
			assert_int_equal(largest.things[i].words, 4 - i / 2);
			assert_true(i % 2 == 0 ||
			            largest.things[i - 1].address < largest.things[i].address);
		}
		etp_heap_largest_deinit(&largest);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_order_of_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_trees, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lists_of_monitors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queues, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn_signals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fragments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dictionaries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_heaps, set_up, tear_down),
		cmocka_unit_test(test_largest_things),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
