// SPDX-License-Identifier: Apache-2.0
// Targets of memory blocks: reads, readers, seams and symbols.

#include "elf_builder.h"

#include <pthread.h>

#include <etp/threads.h>

#include "target/internal.h"
#include "target/reader.h"
#include "target/threads.h"

static void fill(unsigned char *bytes, size_t size, unsigned char seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 13 + seed);
}

// [0x1000, 0x1100) and, after it without a gap but elsewhere in our memory,
// [0x1100, 0x1200); then a gap; then [0x2000, 0x2100).
struct fixture {
	unsigned char first[0x100], gap[64], second[0x100], third[0x100];
	struct etp_target *target;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	fill(fixture->first, sizeof(fixture->first), 1);
	fill(fixture->second, sizeof(fixture->second), 2);
	fill(fixture->third, sizeof(fixture->third), 3);
	const struct etp_memory blocks[] = {
		{0x2000, 0x100, fixture->third},
		{0x1000, 0x100, fixture->first},
		{0x1100, 0x100, fixture->second},
	};
	const struct etp_memory_symbol symbols[] = {
		{"etp_otp_release", 0x1010, 4},
		{"erts_proc", 0x1020, 0x40},
		{"inner", 0x1030, 0},
	};
	struct etp_error *err = etp_target_create_memory(blocks, 3, symbols, 3, &fixture->target);
	assert_null(err);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	etp_target_destroy(fixture->target);
	free(fixture);
	return 0;
}

static void test_read(void **state)
{
	struct fixture *f = *state;
	unsigned char buffer[0x200];
	assert_null(etp_target_read(f->target, 0x1000, buffer, 0x200));
	assert_memory_equal(buffer, f->first, 0x100);
	assert_memory_equal(buffer + 0x100, f->second, 0x100);
	assert_null(etp_target_read(f->target, 0x20ff, buffer, 1));
	assert_int_equal(buffer[0], f->third[0xff]);
	assert_null(etp_target_read(f->target, 0x9999, buffer, 0));
}

static void expect_fault(struct etp_target *target, uint64_t address, size_t size, uint64_t missing)
{
	unsigned char buffer[0x400];
	memset(buffer, 0xee, sizeof(buffer));
	struct etp_error *err = etp_target_read(target, address, buffer, size);
	assert_non_null(err);
	assert_int_equal(err->kind, ETP_ERROR_FAULT);
	assert_int_equal(err->address, missing);
	char hex[32];
	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)missing);
	assert_non_null(strstr(err->message, hex));
	// Nothing is written on failure.
	for (size_t i = 0; i < sizeof(buffer); i++)
		assert_int_equal(buffer[i], 0xee);
	etp_error_destroy(err);
}

static void test_faults_name_the_first_missing_address(void **state)
{
	struct fixture *f = *state;
	expect_fault(f->target, 0xfff, 2, 0xfff);
	expect_fault(f->target, 0x11ff, 2, 0x1200);
	expect_fault(f->target, 0x1080, 0x200, 0x1200);
	expect_fault(f->target, 0x2100, 1, 0x2100);
	expect_fault(f->target, 0, 8, 0);
	expect_fault(f->target, UINT64_MAX, 8, UINT64_MAX);

	struct etp_reader reader;
	etp_reader_init(&reader, f->target);
	assert_null(etp_reader_at(&reader, 0x11fc, 8));
	assert_int_equal(reader.fault_address, 0x1200);
	assert_int_equal(reader.faults, 1);
	assert_null(etp_reader_at(&reader, 0x3000, 8));
	assert_int_equal(reader.fault_address, 0x3000);
	assert_int_equal(reader.faults, 2);
	assert_null(etp_reader_at(&reader, 0x1000, UINT64_MAX));
	assert_int_equal(reader.fault_address, 0x1200);
	assert_int_equal(reader.faults, 3);
}

static void test_reader_points_into_the_memory(void **state)
{
	struct fixture *f = *state;
	struct etp_reader reader;
	etp_reader_init(&reader, f->target);
	assert_ptr_equal(etp_reader_at(&reader, 0x1000, 0x100), f->first);
	assert_ptr_equal(etp_reader_at(&reader, 0x10f8, 8), f->first + 0xf8);
	assert_ptr_equal(etp_reader_at(&reader, 0x2001, 1), f->third + 1);
	assert_ptr_equal(etp_reader_at(&reader, 0x1100, 0x100), f->second);
	assert_int_equal(reader.faults, 0);
	uint64_t word, expected;
	memcpy(&expected, f->first + 3, 8);
	assert_true(etp_read_u64(&reader, 0x1003, &word));
	assert_int_equal(word, expected);
}

static void test_stitch(void **state)
{
	struct fixture *f = *state;
	struct etp_reader reader;
	etp_reader_init(&reader, f->target);
	for (uint64_t before = 1; before < 8; before++) {
		unsigned char expected[8];
		memcpy(expected, f->first + 0x100 - before, before);
		memcpy(expected + before, f->second, 8 - before);
		const void *bytes = etp_reader_at(&reader, 0x1100 - before, 8);
		assert_non_null(bytes);
		assert_memory_equal(bytes, expected, 8);
		// Asked again, the same copy is given.
		assert_ptr_equal(etp_reader_at(&reader, 0x1100 - before, 8), bytes);
	}
	const unsigned char *all = etp_reader_at(&reader, 0x1000, 0x200);
	assert_non_null(all);
	assert_memory_equal(all, f->first, 0x100);
	assert_memory_equal(all + 0x100, f->second, 0x100);
	assert_int_equal(reader.faults, 0);
}

static void test_stitch_is_bounded(void **state)
{
	(void)state;
	size_t half = 1 << 20;
	unsigned char *low = calloc(1, half), *gap = calloc(1, 64), *high = calloc(1, half);
	const struct etp_memory blocks[] = {{0x100000, half, low}, {0x100000 + half, half, high}};
	struct etp_target *target;
	assert_null(etp_target_create_memory(blocks, 2, NULL, 0, &target));
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	assert_non_null(etp_reader_at(&reader, 0x100000 + half - 8, 1 << 20));
	assert_null(etp_reader_at(&reader, 0x100000 + half - 8, (1 << 20) + 1));
	assert_int_equal(reader.faults, 1);
	etp_target_destroy(target);
	free(low);
	free(gap);
	free(high);
}

static void *stitch_many(void *context)
{
	struct fixture *f = context;
	struct etp_reader reader;
	etp_reader_init(&reader, f->target);
	for (int i = 0; i < 20000; i++) {
		uint64_t before = 1 + (uint64_t)i % 7;
		const unsigned char *bytes = etp_reader_at(&reader, 0x1100 - before, 8);
		if (!bytes || bytes[before] != f->second[0] || bytes[0] != f->first[0x100 - before])
			return (void *)1;
	}
	return NULL;
}

static void test_readers_in_threads(void **state)
{
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stitch_many, *state), 0);
	for (size_t i = 0; i < 4; i++) {
		void *failed;
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

static void test_overlay(void **state)
{
	struct fixture *f = *state;
	static const unsigned char words[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct etp_reader reader;
	etp_reader_init(&reader, f->target);
	reader.overlay = (struct etp_segment){0x7000000000000000, sizeof(words), words};
	assert_ptr_equal(etp_reader_at(&reader, 0x7000000000000008, 8), words + 8);
	assert_null(etp_reader_at(&reader, 0x7000000000000009, 8));
	assert_ptr_equal(etp_reader_at(&reader, 0x1000, 8), f->first);
	assert_int_equal(reader.faults, 1);
}

static void test_segments(void **state)
{
	struct fixture *f = *state;
	struct etp_segment segment;
	assert_true(etp_target_next_segment(f->target, 0, &segment));
	assert_int_equal(segment.start, 0x1000);
	assert_true(etp_target_next_segment(f->target, 0x1100, &segment));
	assert_int_equal(segment.start, 0x1100);
	assert_true(etp_target_next_segment(f->target, 0x1200, &segment));
	assert_int_equal(segment.start, 0x2000);
	assert_false(etp_target_next_segment(f->target, 0x2100, &segment));
	assert_true(etp_target_find_segment(f->target, 0x11ff, &segment));
	assert_int_equal(segment.start, 0x1100);
	assert_false(etp_target_find_segment(f->target, 0x1200, &segment));
	assert_false(etp_target_find_segment(f->target, 0xfff, &segment));
	assert_int_equal(etp_target_info(f->target)->bytes_total, 0x300);
	assert_int_equal(etp_target_info(f->target)->bytes_saved, 0x300);
}

static void test_contiguous_blocks_merge(void **state)
{
	(void)state;
	unsigned char bytes[0x30];
	fill(bytes, sizeof(bytes), 0);
	const struct etp_memory blocks[] = {
		{0x10, 0x10, bytes}, {0x20, 0x10, bytes + 0x10}, {0x40, 0x10, bytes + 0x20}};
	struct etp_target *target;
	assert_null(etp_target_create_memory(blocks, 3, NULL, 0, &target));
	struct etp_segment segment;
	assert_true(etp_target_next_segment(target, 0, &segment));
	assert_int_equal(segment.size, 0x20);
	assert_true(etp_target_next_segment(target, 0x30, &segment));
	assert_int_equal(segment.start, 0x40);
	etp_target_destroy(target);
}

static void test_end_of_address_space(void **state)
{
	(void)state;
	static const unsigned char page[PAGE] = {[0] = 7, [PAGE - 1] = 9};
	const struct etp_memory block = {UINT64_MAX - PAGE + 1, PAGE, page};
	struct etp_target *target;
	assert_null(etp_target_create_memory(&block, 1, NULL, 0, &target));
	unsigned char byte;
	assert_null(etp_target_read(target, UINT64_MAX, &byte, 1));
	assert_int_equal(byte, 9);
	// Does not go on at address 0.
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	assert_null(etp_reader_at(&reader, UINT64_MAX - 3, 8));
	assert_int_equal(reader.fault_address, 0);
	expect_fault(target, UINT64_MAX - 3, 8, 0);
	etp_target_destroy(target);
}

static void test_bad_arguments(void **state)
{
	(void)state;
	unsigned char bytes[0x20] = {0};
	struct etp_target *target;
	const struct etp_memory overlap[] = {{0x10, 0x10, bytes}, {0x18, 0x10, bytes}};
	expect_error(etp_target_create_memory(overlap, 2, NULL, 0, &target), ETP_ERROR_ARGUMENT,
	             "overlap", NULL);
	const struct etp_memory wrap = {UINT64_MAX - 4, 0x10, bytes};
	expect_error(etp_target_create_memory(&wrap, 1, NULL, 0, &target), ETP_ERROR_ARGUMENT,
	             "address space", NULL);
	const struct etp_memory nothing = {0x10, 0x10, NULL};
	expect_error(etp_target_create_memory(&nothing, 1, NULL, 0, &target), ETP_ERROR_ARGUMENT,
	             "no bytes", NULL);
	assert_null(etp_target_create_memory(NULL, 0, NULL, 0, &target));
	expect_fault(target, 0, 1, 0);
	etp_target_destroy(target);
	etp_target_destroy(NULL);
}

static void test_symbols(void **state)
{
	struct fixture *f = *state;
	uint64_t address = 0, size = 0, offset = 0;
	assert_null(etp_target_symbol(f->target, "erts_proc", &address, &size));
	assert_int_equal(address, 0x1020);
	assert_int_equal(size, 0x40);
	assert_null(etp_target_symbol(f->target, "inner", &address, NULL));
	assert_int_equal(address, 0x1030);
	expect_error(etp_target_symbol(f->target, "erts_pro", &address, &size), ETP_ERROR_NOT_FOUND,
	             "erts_pro", NULL);
	expect_error(etp_target_symbol(f->target, "zzz", &address, &size), ETP_ERROR_NOT_FOUND,
	             "zzz", NULL);
	assert_int_equal(address, 0x1030);

	assert_string_equal(etp_target_symbol_at(f->target, 0x1020, &offset), "erts_proc");
	assert_int_equal(offset, 0);
	assert_string_equal(etp_target_symbol_at(f->target, 0x1030, &offset), "inner");
	assert_int_equal(offset, 0);
	// Not the label, which has no size.
	assert_string_equal(etp_target_symbol_at(f->target, 0x105f, &offset), "erts_proc");
	assert_int_equal(offset, 0x3f);
	assert_null(etp_target_symbol_at(f->target, 0x1060, &offset));
	assert_null(etp_target_symbol_at(f->target, 0x100f, NULL));
}

static void test_symbols_that_are_added(void **state)
{
	struct fixture *f = *state;
	char name[] = "erts_new";
	const struct etp_memory_symbol more[] = {{name, 0x2000, 0x10},
	                                         {"etp_erts_version", 0x2020, 8}};
	uint64_t address, size;
	struct etp_error *err = etp_target_symbol(f->target, "erts_new", &address, &size);
	assert_int_equal(err->kind, ETP_ERROR_NOT_FOUND);
	etp_error_destroy(err);
	assert_null(etp_target_add_symbols(f->target, more, 2));
	// It was copied.
	name[0] = 'x';
	assert_null(etp_target_symbol(f->target, "erts_new", &address, &size));
	assert_int_equal(address, 0x2000);
	assert_int_equal(size, 0x10);
	uint64_t offset;
	assert_string_equal(etp_target_symbol_at(f->target, 0x2022, &offset), "etp_erts_version");
	assert_int_equal(offset, 2);
	// Those that there were are still found.
	assert_null(etp_target_symbol(f->target, "erts_proc", &address, NULL));
	assert_int_equal(address, 0x1020);
}

static void test_build_id_format(void **state)
{
	(void)state;
	struct etp_build_id id = {.bytes = {0xab, 0x01, 0xff}, .size = 3};
	char buffer[129];
	assert_string_equal(etp_build_id_format(&id, buffer, sizeof(buffer)), "ab01ff");
	assert_string_equal(etp_build_id_format(&id, buffer, 6), "ab01");
	assert_string_equal(etp_build_id_format(&id, buffer, 1), "");
	id.size = sizeof(id.bytes);
	assert_int_equal(strlen(etp_build_id_format(&id, buffer, sizeof(buffer))), 128);
}

enum { PLACE_SP = 19 };

// A thread of which only the stack pointer is known.
static void put_thread(struct etp_thread *thread, int tid, uint64_t sp)
{
	thread->tid = tid;
	thread->registers_size = sizeof(thread->registers);
	memcpy(thread->registers + PLACE_SP * sizeof(sp), &sp, sizeof(sp));
}

// Who a thread is stands above its stack (glibc), which is searched for no more than some of them.
static void test_stacks_of_many_threads(void **state)
{
	enum { BASE = 0x10000, SELF = 0x100, SEARCHED = 4096 };
	unsigned char stack[0x1000] = {0};
	const uint64_t self = BASE + SELF;
	const int tids[] = {1001, 1002, 1003};
	memcpy(stack + SELF, &self, sizeof(self));
	memcpy(stack + SELF + 16, &self, sizeof(self));
	memcpy(stack + SELF + 64, tids, sizeof(tids));
	const struct etp_memory block = {BASE, sizeof(stack), stack};
	struct etp_target *target;
	assert_null(etp_target_create_memory(&block, 1, NULL, 0, &target));
	target->threads = calloc(SEARCHED + 1, sizeof(*target->threads));
	target->thread_count = SEARCHED + 1;
	put_thread(&target->threads[0], tids[0], BASE);
	put_thread(&target->threads[SEARCHED - 1], tids[1], BASE);
	put_thread(&target->threads[SEARCHED], tids[2], BASE);
	struct etp_thread_state thread;
	etp_target_thread(target, 0, &thread);
	assert_int_equal(thread.thread, self);
	etp_target_thread(target, SEARCHED - 1, &thread);
	assert_int_equal(thread.thread, self);
	etp_target_thread(target, SEARCHED, &thread);
	assert_int_equal(thread.tid, tids[2]);
	assert_int_equal(thread.thread, 0);
	etp_target_destroy(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults_name_the_first_missing_address, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(test_reader_points_into_the_memory, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(test_stitch, setup, teardown),
		cmocka_unit_test(test_stitch_is_bounded),
		cmocka_unit_test_setup_teardown(test_readers_in_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
		cmocka_unit_test(test_contiguous_blocks_merge),
		cmocka_unit_test(test_end_of_address_space),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test_setup_teardown(test_symbols, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symbols_that_are_added, setup, teardown),
		cmocka_unit_test(test_build_id_format),
		cmocka_unit_test(test_stacks_of_many_threads),
	};
	return cmocka_run_group_tests_name("target: memory", tests, NULL, NULL);
}
