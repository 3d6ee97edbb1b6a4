// SPDX-License-Identifier: Apache-2.0
// Where binaries, their holders and what is seen of them are kept: that everything is found
// again, and how much memory it takes.

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/binary_feed.h"
#include "analysis/binary_store.h"

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
// gcc says it with a macro, clang with a feature.
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum {
	// include/etp/census.h promises no more.
	BYTES_A_BINARY = 56,
	BYTES_A_PAIR = 24,
	// A chunk of each kind that is not full, directories, and what malloc() keeps for threads.
	SLACK = 24 << 10,
};

// Bytes that the program has from malloc(), with what malloc() adds; from a sanitizer's malloc(),
// which mallinfo() does not know, without.
static size_t allocated(void)
{
#if SANITIZED
	return __sanitizer_get_current_allocated_bytes();
#elif __GLIBC_PREREQ(2, 33)
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
#else
	struct mallinfo info = mallinfo();
	return (size_t)info.uordblks + (size_t)info.hblkhd;
#endif
}

static uint64_t address_of(size_t number)
{
	return UINT64_C(0x7f0000000000) + number * 88;
}

// `holders` holders, each with the same `count` binaries.
static void fill(struct binary_store *store, size_t count, uint32_t holders)
{
	struct binary_map local;
	binary_map_init(&local);
	for (uint32_t holder = 0; holder < holders; holder++) {
		for (size_t i = 0; i < count; i++) {
			struct binary_entry *entry =
				binary_map_add_reference(&local, address_of(i), 100 + i, 7, 0x102);
			assert_non_null(entry);
			assert_true(binary_map_add_range(&local, entry, 10, 20 + holder));
			if (local.count == 1000 || i + 1 == count) {
				assert_true(binary_store_merge(store, &local, holder));
				binary_map_clear(&local);
			}
		}
	}
	binary_map_deinit(&local);
}

static void check(struct binary_store *store, size_t count, uint32_t holders)
{
	assert_int_equal(store->map.count, count);
	assert_null(binary_map_find(&store->map, address_of(count)));
	assert_int_equal(binary_map_index(&store->map, address_of(0) + 8), SIZE_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t index = binary_map_index(&store->map, address_of(i));
		struct binary_entry *entry = binary_map_find(&store->map, address_of(i));
		assert_ptr_equal(entry, binary_map_at(&store->map, index));
		assert_int_equal(entry->size, 100 + i);
		assert_int_equal(entry->refc, 7);
		assert_int_equal(binary_entry_refs(entry), holders);
		// Of the flags, those that ERTS has.
		assert_int_equal(entry->flags, 2);
		assert_int_equal(binary_map_visible_bytes(&store->map, entry), 9 + holders);
		struct binary_holder found[8];
		assert_int_equal(binary_store_holders(store, entry, found, 8), holders);
		for (uint32_t holder = 0; holder < holders; holder++) {
			assert_int_equal(found[holder].holder, holder);
			assert_int_equal(found[holder].refs, 1);
		}
	}
}

static void test_memory(void **state)
{
	static const size_t counts[] = {1, 10, 1000, 1024, 1025, 1000000};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (uint32_t holders = 1; holders <= 3; holders += 2) {
			struct binary_store store;
			size_t before = allocated(), count = counts[i];
			binary_store_init(&store);
			fill(&store, count, holders);
			// The slots of a large map are not malloc()'s.
			size_t slots = store.map.slot_count * sizeof(*store.map.slots);
			size_t bytes = allocated() - before + (slots > 1 << 20 ? slots : 0);
			size_t bound = count * (BYTES_A_BINARY + BYTES_A_PAIR * holders) + SLACK;
			print_message("%zu binaries, %u holders: %zu bytes, %.1f a binary without "
			              "16 a pair\n",
			              count, holders, bytes,
			              (double)bytes / (double)count - 16.0 * holders);
			assert_in_range(bytes, 1, bound);
			check(&store, count, holders);
			binary_store_deinit(&store);
			assert_in_range(allocated(), 0, before + SLACK);
		}
	}
}

// Whatever waits in a feed is found in the end, each reference once, and a store that takes maps
// has what one has that they are merged into.
static void test_feed_and_take(void **state)
{
	enum { BINARIES = 5000, REFS = 3, HOLDERS = 3 };
	struct binary_store store;
	struct binary_map local;
	struct binary_feed feed;
	binary_store_init(&store);
	binary_map_init(&local);
	for (uint32_t holder = 0; holder < HOLDERS; holder++) {
		binary_feed_init(&feed, &local, NULL);
		for (size_t i = 0; i < (size_t)BINARIES * REFS; i++) {
			size_t number = i * 7919 % BINARIES;
			struct binary_sight sight = {
				.address = address_of(number),
				.size = 100 + number,
				.refc = HOLDERS * REFS,
				.refs = 1,
				.start = i / BINARIES * 10,
				.end = i / BINARIES * 10 + 5,
			};
			assert_true(binary_feed_add(&feed, &sight));
		}
		assert_true(binary_feed_finish(&feed));
		assert_int_equal(local.count, BINARIES);
		assert_true(binary_store_take(&store, &local, holder));
		assert_int_equal(local.count, 0);
		assert_null(binary_map_find(&local, address_of(0)));
		for (size_t i = 0; i < BINARIES; i++) {
			struct binary_entry *entry = binary_map_find(&store.map, address_of(i));
			struct binary_holder found[HOLDERS];
			assert_non_null(entry);
			assert_int_equal(entry->size, 100 + i);
			assert_int_equal(binary_entry_refs(entry), REFS * (holder + 1));
			assert_int_equal(binary_map_visible_bytes(&store.map, entry), 5 * REFS);
			assert_int_equal(binary_store_holders(&store, entry, found, HOLDERS),
			                 holder + 1);
			assert_int_equal(found[holder].refs, REFS);
		}
	}
	binary_map_deinit(&local);
	binary_store_deinit(&store);
}

// The smaller of two maps is put into the larger, whichever came first.
static void test_take_by_size(void **state)
{
	static const size_t sizes[] = {100, 4000, 1000, 3999, 6000};
	enum { HOLDERS = sizeof(sizes) / sizeof(sizes[0]) };
	struct binary_store store;
	struct binary_map local;
	binary_store_init(&store);
	binary_map_init(&local);
	for (uint32_t holder = 0; holder < HOLDERS; holder++) {
		for (size_t i = 0; i < sizes[holder]; i++)
			for (uint32_t refs = 0; refs <= holder; refs++)
				assert_non_null(binary_map_add_reference(&local, address_of(i),
				                                         100 + i, 7, 0));
		assert_true(binary_store_take(&store, &local, holder));
		assert_int_equal(local.count, 0);
	}
	assert_int_equal(store.map.count, 6000);
	for (size_t i = 0; i < 6000; i++) {
		const struct binary_entry *entry = binary_map_find(&store.map, address_of(i));
		struct binary_holder found[HOLDERS];
		uint64_t refs = 0;
		size_t count = 0;
		assert_non_null(entry);
		assert_int_equal(entry->size, 100 + i);
		size_t holders = binary_store_holders(&store, entry, found, HOLDERS);
		// Those with most references first.
		for (uint32_t holder = HOLDERS; holder--;) {
			if (i >= sizes[holder])
				continue;
			assert_true(count < holders);
			assert_int_equal(found[count].holder, holder);
			assert_int_equal(found[count++].refs, holder + 1);
			refs += holder + 1;
		}
		assert_int_equal(holders, count);
		assert_int_equal(binary_entry_refs(entry), refs);
	}
	binary_map_deinit(&local);
	binary_store_deinit(&store);
}

// A map that was large serves for small things without being large for ever.
static void test_clear(void **state)
{
	struct binary_map map;
	size_t before = allocated();
	binary_map_init(&map);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 200000; i++)
			assert_non_null(binary_map_insert(&map, address_of(i)));
		binary_map_clear(&map);
		assert_in_range(allocated() - before, 0, 2 << 20);
		for (size_t few = 1; few < 200; few++) {
			for (size_t i = 0; i < few; i++)
				assert_non_null(binary_map_insert(&map, address_of(i * 31)));
			assert_int_equal(map.count, few);
			assert_null(binary_map_find(&map, address_of(few * 31)));
			binary_map_clear(&map);
			assert_null(binary_map_find(&map, address_of(0)));
		}
	}
	binary_map_deinit(&map);
}

enum { SIZE = 4096 };

// What is seen is as many bytes as a map of bits has, in whatever order the parts come.
static void test_ranges(void **state)
{
	static bool seen[SIZE];
	srandom(1);
	for (size_t round = 0; round < 500; round++) {
		struct binary_map map, other;
		binary_map_init(&map);
		binary_map_init(&other);
		memset(seen, 0, sizeof(seen));
		for (size_t i = 0; i < round; i++) {
			uint64_t start = (uint64_t)random() % SIZE, end = start + random() % 20;
			end = end < SIZE ? end : SIZE;
			memset(seen + start, 1, end - start);
			struct binary_map *into = i % 3 ? &map : &other;
			struct binary_entry *entry =
				binary_map_add_reference(into, 0x1000, SIZE, 1, 0);
			assert_true(binary_map_add_range(into, entry, start, end));
		}
		assert_true(binary_map_take(&map, &other, NULL, NULL));
		uint64_t bytes = 0;
		for (size_t i = 0; i < SIZE; i++)
			bytes += seen[i];
		struct binary_entry *entry = binary_map_find(&map, 0x1000);
		assert_int_equal(entry ? binary_map_visible_bytes(&map, entry) : 0, bytes);
		assert_int_equal(entry ? entry->coarse : 0, 0);
		binary_map_deinit(&other);
		binary_map_deinit(&map);
	}
}

// With too many parts, what is said to be seen is too much, never too little, and it is said so.
static void test_too_many_ranges(void **state)
{
	enum { BINARIES = 100, PARTS = 2000, ROOM = 1000 };
	struct binary_map map;
	size_t before = allocated();
	binary_map_init(&map);
	map.range_room = ROOM;
	for (uint64_t part = 0; part < PARTS; part++) {
		for (size_t i = 0; i < BINARIES; i++) {
			uint64_t size = (UINT64_C(1) * (PARTS - 1) << (i % 50)) + 1;
			struct binary_entry *entry =
				binary_map_add_reference(&map, address_of(i), size, 1, 0);
			// Far from each other, too.
			uint64_t start = (part * 7919 % PARTS) << (i % 50);
			assert_true(binary_map_add_range(&map, entry, start, start + 1));
		}
	}
	size_t coarse = 0;
	for (size_t i = 0; i < BINARIES; i++) {
		struct binary_entry *entry = binary_map_at(&map, i);
		uint64_t visible = binary_map_visible_bytes(&map, entry);
		uint64_t hull = (UINT64_C(1) * (PARTS - 1) << (i % 50)) + 1;
		assert_in_range(visible, PARTS, hull);
		assert_true(entry->coarse || visible == PARTS);
		coarse += entry->coarse;
	}
	assert_in_range(coarse, 1, BINARIES);
	assert_in_range(allocated() - before, 1, ROOM * sizeof(struct range) + (64 << 10));
	binary_map_deinit(&map);
	assert_in_range(allocated(), 0, before + SLACK);
}

static void test_feed_waits_while_another_has_the_map(void **state)
{
	(void)state;
	struct binary_map map;
	binary_map_init(&map);
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct binary_feed feed;
	binary_feed_init(&feed, &map, &lock);
	pthread_mutex_lock(&lock);
	struct binary_sight sight = {
		.address = 0x1000, .size = 100, .refc = 2, .refs = 1, .end = 10};
	for (int i = 0; i < BINARY_FEED_ROOM - 1; i++, sight.address += 64)
		assert_true(binary_feed_add(&feed, &sight));
	assert_int_equal(map.count, 0);
	pthread_mutex_unlock(&lock);
	// The last that there is room for lets all in.
	assert_true(binary_feed_add(&feed, &sight));
	assert_int_equal(map.count, BINARY_FEED_ROOM);
	// As a whole turn does.
	for (int i = 0; i < BINARY_FEED_TURN; i++) {
		assert_int_equal(feed.count, i);
		assert_true(binary_feed_add(&feed, &sight));
	}
	assert_int_equal(feed.count, 0);
	assert_true(binary_feed_add(&feed, &sight));
	assert_true(binary_feed_finish(&feed));
	assert_int_equal(map.count, BINARY_FEED_ROOM);
	const struct binary_entry *entry = binary_map_find(&map, sight.address);
	assert_int_equal(binary_entry_refs(entry), BINARY_FEED_TURN + 2);
	assert_int_equal(pthread_mutex_trylock(&lock), 0);
	pthread_mutex_unlock(&lock);
	binary_map_deinit(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_feed_and_take),
		cmocka_unit_test(test_take_by_size),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_too_many_ranges),
		cmocka_unit_test(test_feed_waits_while_another_has_the_map),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
