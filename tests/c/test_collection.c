// SPDX-License-Identifier: Apache-2.0
//
// Collections on hand-laid memory: what queue.erl, gb_trees.erl, dict.erl and the like build is
// told by its form, and what only looks like it is not; forged ones end.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/collection.h"
#include "mock_vm.h"

enum { BUDGET = 100000 };

static const char *layout_path;
static struct mock mock;
static struct collection_finder finder;
static etp_term a_nil, a_dict, a_set, a_array, a_struct, a_map_set, a_map;

static int set_up(void **state)
{
	assert_null(mock_init(&mock, layout_path));
	a_nil = mock_atom(&mock, "nil");
	a_dict = mock_atom(&mock, "dict");
	a_set = mock_atom(&mock, "set");
	a_array = mock_atom(&mock, "array");
	a_struct = mock_atom(&mock, "__struct__");
	a_map_set = mock_atom(&mock, "Elixir.MapSet");
	a_map = mock_atom(&mock, "map");
	collection_finder_init(&finder, &mock.vm, &mock.reader);
	finder.budget = BUDGET;
	return 0;
}

static int tear_down(void **state)
{
	collection_finder_deinit(&finder);
	mock_deinit(&mock);
	return 0;
}

static etp_term small(int64_t value)
{
	return term_make_small(value);
}

// What it is and how many elements it has; -1 for none.
static int64_t find(etp_term term, enum etp_collection_kind kind)
{
	struct etp_term_view view;
	struct collection found = {0};
	etp_term_decode(&mock.vm, &mock.reader, term, &view);
	if (!collection_find(&finder, &view, true, 0, &found))
		return -1;
	assert_string_equal(etp_collection_name(found.kind), etp_collection_name(kind));
	return (int64_t)found.size;
}

static void add_part(void *context, const struct collection_part *part)
{
	uint64_t *words = context;
	*words += part->words + part->key_tuple_words;
}

// Words of what it is built of, without its elements.
static uint64_t words_of(etp_term term)
{
	struct etp_term_view view;
	struct collection found = {0};
	uint64_t words = 0, budget = finder.budget;
	etp_term_decode(&mock.vm, &mock.reader, term, &view);
	assert_true(collection_find(&finder, &view, true, 0, &found));
	uint64_t left = finder.budget;
	collection_parts(&finder, &view, &found, add_part, &words);
	// To go through it again costs nothing of the budget.
	assert_int_equal(finder.budget, left);
	assert_true(left < budget);
	return words;
}

static etp_term list_from(int64_t first, int64_t last)
{
	etp_term list = ETP_NIL;
	while (last >= first)
		list = mock_cons(&mock, small(last--), list);
	return list;
}

static void test_queues(void **state)
{
	etp_term queue = mock_tuple(&mock, list_from(1, 7), list_from(8, 20));
	assert_int_equal(find(queue, ETP_COLLECTION_QUEUE), 20);
	// A tuple of two, and 20 cells.
	assert_int_equal(words_of(queue), 3 + 40);
	// queue.erl keeps both lists full when there is more than one element.
	assert_int_equal(find(mock_tuple(&mock, ETP_NIL, list_from(1, 5)), 0), -1);
	assert_int_equal(find(mock_tuple(&mock, list_from(1, 5), small(1)), 0), -1);
	etp_term improper = mock_list_of(&mock, 2, (etp_term[]){small(1), small(2)}, small(3));
	assert_int_equal(find(mock_tuple(&mock, improper, list_from(1, 2)), 0), -1);
}

static void test_lists_in_a_circle(void **state)
{
	etp_term last = mock_cons(&mock, small(1), ETP_NIL);
	etp_term first = mock_cons(&mock, small(2), mock_cons(&mock, small(3), last));
	mock_put(&mock, term_pointer(last) + 8, first);
	assert_int_equal(find(mock_tuple(&mock, first, list_from(1, 2)), 0), -1);
	assert_int_equal(find(mock_tuple(&mock, list_from(1, 2), first), 0), -1);
	assert_true(finder.budget > BUDGET / 2);
	assert_false(finder.exhausted);
}

// A tree of keys from `first` to `last`, balanced.
static etp_term gb_nodes(int64_t first, int64_t last, bool values)
{
	if (first > last)
		return a_nil;
	int64_t middle = (first + last) / 2;
	etp_term left = gb_nodes(first, middle - 1, values);
	etp_term right = gb_nodes(middle + 1, last, values);
	return values ? mock_tuple(&mock, small(middle), a_map, left, right)
	              : mock_tuple(&mock, small(middle), left, right);
}

static void test_general_balanced_trees(void **state)
{
	etp_term tree = mock_tuple(&mock, small(100), gb_nodes(1, 100, true));
	etp_term set = mock_tuple(&mock, small(33), gb_nodes(1, 33, false));
	assert_int_equal(find(tree, ETP_COLLECTION_GB_TREE), 100);
	assert_int_equal(words_of(tree), 3 + 100 * 5);
	assert_int_equal(find(set, ETP_COLLECTION_GB_SET), 33);
	assert_int_equal(words_of(set), 3 + 33 * 4);
	// As many nodes as it says, no more and no less; nodes of one kind.
	assert_int_equal(find(mock_tuple(&mock, small(99), gb_nodes(1, 100, true)), 0), -1);
	assert_int_equal(find(mock_tuple(&mock, small(101), gb_nodes(1, 100, true)), 0), -1);
	assert_int_equal(find(mock_tuple(&mock, small(-3), gb_nodes(1, 3, true)), 0), -1);
	etp_term mixed = mock_tuple(&mock, small(0), a_map, gb_nodes(1, 1, false), a_nil);
	assert_int_equal(find(mock_tuple(&mock, small(2), mixed), 0), -1);
}

static void test_a_tree_that_leads_back_to_itself(void **state)
{
	etp_term node = mock_tuple(&mock, small(1), a_map, a_nil, a_nil);
	mock_put(&mock, term_pointer(node) + 3 * 8, node);
	mock_put(&mock, term_pointer(node) + 4 * 8, node);
	// It says that it has more than there is memory.
	etp_term tree = mock_tuple(&mock, small(INT64_C(1) << 47), node);
	assert_int_equal(find(tree, 0), -1);
	assert_true(finder.exhausted);
	assert_int_equal(finder.budget, 0);
	assert_false(finder.out_of_memory);
	// Sizes that no memory holds are none.
	assert_int_equal(find(mock_tuple(&mock, small(INT64_C(1) << 48), node), 0), -1);
}

// The record of dict.erl and sets.erl with two segments of 16 buckets, of which element I is in
// bucket I rem 32.
static etp_term hash(etp_term tag, int64_t size, int64_t said, int64_t slots_max)
{
	etp_term segments[2], buckets[16];
	for (int64_t s = 0; s < 2; s++) {
		for (int64_t b = 0; b < 16; b++) {
			buckets[b] = ETP_NIL;
			for (int64_t i = s * 16 + b; i < size; i += 32)
				buckets[b] = mock_cons(&mock, small(i), buckets[b]);
		}
		segments[s] = mock_tuple_of(&mock, 16, buckets);
	}
	etp_term empty = mock_tuple(&mock, ETP_NIL);
	return mock_tuple(&mock, tag, small(said), small(20), small(slots_max), small(10),
	                  small(80), small(48), empty, mock_tuple_of(&mock, 2, segments));
}

static void test_records_with_segments(void **state)
{
	etp_term dict = hash(a_dict, 50, 50, 32);
	assert_int_equal(find(dict, ETP_COLLECTION_DICT), 50);
	assert_int_equal(words_of(dict), 10 + 3 + 2 * 17 + 50 * 2);
	assert_int_equal(find(hash(a_set, 50, 50, 32), ETP_COLLECTION_SET), 50);
	assert_int_equal(find(hash(a_map, 50, 50, 32), 0), -1);
	assert_int_equal(find(hash(a_dict, 50, 49, 32), 0), -1);
	assert_int_equal(find(hash(a_dict, 50, 51, 32), 0), -1);
	// As many slots as segments have buckets.
	assert_int_equal(find(hash(a_dict, 50, 50, 64), 0), -1);
	assert_int_equal(find(hash(a_dict, 50, 50, 16), 0), -1);
}

static etp_term leaf(int64_t first)
{
	etp_term elements[10];
	for (int64_t i = 0; i < 10; i++)
		elements[i] = small(first + i);
	return mock_tuple_of(&mock, 10, elements);
}

// Ten leaves, the last of which was never set: a number instead.
static etp_term array(int64_t size, int64_t max, int64_t below)
{
	etp_term elements[11];
	for (int64_t i = 0; i < 9; i++)
		elements[i] = leaf(i * 10);
	elements[9] = small(10);
	elements[10] = small(below);
	return mock_tuple(&mock, a_array, small(size), small(max), a_nil,
	                  mock_tuple_of(&mock, 11, elements));
}

static void test_arrays(void **state)
{
	assert_int_equal(find(array(95, 100, 10), ETP_COLLECTION_ARRAY), 95);
	assert_int_equal(words_of(array(95, 100, 10)), 6 + 12 + 9 * 11);
	// One of a fixed size.
	assert_int_equal(find(array(95, 0, 10), ETP_COLLECTION_ARRAY), 95);
	// More than its tree spans, another span than it says, subtrees of another span.
	assert_int_equal(find(array(101, 100, 10), 0), -1);
	assert_int_equal(find(array(95, 1000, 10), 0), -1);
	assert_int_equal(find(array(95, 200, 20), 0), -1);
	// An array of which nothing was set is a number.
	etp_term empty = mock_tuple(&mock, a_array, small(7), small(10), a_nil, small(10));
	assert_int_equal(find(empty, ETP_COLLECTION_ARRAY), 7);
}

static void test_a_deep_array(void **state)
{
	etp_term node = small(10);
	int64_t span = 10;
	// Spans that multiply beyond all sizes.
	for (int i = 0; i < 30; i++) {
		etp_term elements[11];
		for (int j = 0; j < 10; j++)
			elements[j] = node;
		elements[10] = small(span);
		node = mock_tuple_of(&mock, 11, elements);
		span = span < INT64_C(1) << 50 ? span * 10 : span;
	}
	assert_int_equal(find(mock_tuple(&mock, a_array, small(5), small(0), a_nil, node), 0), -1);
}

static etp_term cached_leaf(int64_t first)
{
	etp_term elements[16];
	for (int64_t i = 0; i < 16; i++)
		elements[i] = small(first + i);
	return mock_tuple_of(&mock, 16, elements);
}

// As since OTP 29: three leaves of a node, and a fourth that is only in the cache.
static etp_term cached_array(int64_t size, int64_t zero, int64_t cached, int64_t bits)
{
	etp_term elements[16];
	for (int64_t i = 0; i < 16; i++)
		elements[i] = i < 3 ? cached_leaf(i * 16) : ETP_NIL;
	return mock_tuple(&mock, a_array, small(size), small(zero), a_map, a_nil, cached_leaf(48),
	                  small(cached), mock_tuple_of(&mock, 16, elements), small(bits));
}

static void test_arrays_with_a_cache(void **state)
{
	assert_int_equal(find(cached_array(60, 0, 48, 4), ETP_COLLECTION_ARRAY), 60);
	assert_int_equal(words_of(cached_array(60, 0, 48, 4)), 10 + 17 + 17 + 3 * 17);
	assert_int_equal(find(cached_array(250, 6, 240, 4), ETP_COLLECTION_ARRAY), 250);
	// More than its tree spans, because of where it begins, too; a cache of what is beyond, or
	// not where a leaf begins; a tree of another depth, or of none.
	assert_int_equal(find(cached_array(257, 0, 48, 4), 0), -1);
	assert_int_equal(find(cached_array(250, 7, 48, 4), 0), -1);
	assert_int_equal(find(cached_array(60, 0, 256, 4), 0), -1);
	assert_int_equal(find(cached_array(60, 0, 47, 4), 0), -1);
	assert_int_equal(find(cached_array(60, 0, 48, 8), 0), -1);
	assert_int_equal(find(cached_array(60, 0, 48, 5), 0), -1);
	assert_int_equal(find(cached_array(60, 0, 48, 60), 0), -1);
	assert_int_equal(find(cached_array(60, -1, 48, 4), 0), -1);
	// Nothing was set.
	etp_term empty = mock_tuple(&mock, a_array, small(7), small(0), a_map, a_nil,
	                            cached_leaf(0), small(0), ETP_NIL, small(0));
	assert_int_equal(find(empty, ETP_COLLECTION_ARRAY), 7);
	assert_int_equal(words_of(empty), 10 + 17);
	etp_term no_cache = mock_tuple(&mock, a_array, small(7), small(0), a_map, a_nil, leaf(0),
	                               small(0), ETP_NIL, small(0));
	assert_int_equal(find(no_cache, 0), -1);
}

static void test_sets_that_are_maps(void **state)
{
	etp_term set = mock_map(&mock, small(1), ETP_NIL, small(2), ETP_NIL, small(3), ETP_NIL);
	assert_int_equal(find(set, ETP_COLLECTION_SET), 3);
	// Header, size and keys, and the values; the keys in a tuple of their own.
	assert_int_equal(words_of(set), 3 + 3 + 4);
	assert_int_equal(find(mock_map(&mock, small(1), ETP_NIL, small(2), small(0)), 0), -1);
	assert_int_equal(find(mock_map_of(&mock, 0, NULL), 0), -1);
	etp_term elixir = mock_map(&mock, a_struct, a_map_set, a_map, set);
	assert_int_equal(find(elixir, ETP_COLLECTION_MAP_SET), 3);
	assert_int_equal(find(mock_map(&mock, a_struct, a_set, a_map, set), 0), -1);
	assert_int_equal(find(mock_map(&mock, a_struct, a_map_set, a_map, small(1)), 0), -1);
}

static etp_term pair(etp_term key)
{
	return mock_tuple(&mock, key, a_map);
}

static void test_ordered_dictionaries(void **state)
{
	etp_term atom = mock_atom(&mock, "ab"), longer = mock_atom(&mock, "abc");
	etp_term text = mock_binary(&mock, "ab", 2), more = mock_binary(&mock, "b", 1);
	etp_term dict = mock_list(&mock, pair(small(-5)), pair(small(3)), pair(atom), pair(longer),
	                          pair(text), pair(more));
	assert_int_equal(find(dict, ETP_COLLECTION_ORDDICT), 6);
	assert_int_equal(words_of(dict), 6 * (2 + 3));
	assert_int_equal(find(mock_list(&mock, pair(small(3)), pair(small(3))), 0), -1);
	assert_int_equal(find(mock_list(&mock, pair(small(3)), pair(small(-5))), 0), -1);
	assert_int_equal(find(mock_list(&mock, pair(text), pair(atom)), 0), -1);
	assert_int_equal(find(mock_list(&mock, pair(longer), pair(atom)), 0), -1);
	assert_int_equal(find(mock_list(&mock, pair(small(1)), small(2)), 0), -1);
	// One pair is in order whatever it is.
	assert_int_equal(find(mock_list(&mock, pair(small(1))), 0), -1);
	// Keys whose order is not looked into.
	etp_term odd = mock_list(&mock, pair(mock_float(&mock, 1.0)), pair(mock_float(&mock, 2.0)));
	assert_int_equal(find(odd, 0), -1);
	etp_term tail = mock_list_of(&mock, 2, (etp_term[]){pair(small(1)), pair(small(2))}, atom);
	assert_int_equal(find(tail, 0), -1);
}

static void test_in_the_middle_of_a_list(void **state)
{
	struct etp_term_view view;
	struct collection found;
	etp_term dict = mock_list(&mock, pair(small(1)), pair(small(2)));
	etp_term_decode(&mock.vm, &mock.reader, dict, &view);
	assert_true(collection_find(&finder, &view, true, 2, &found));
	assert_false(collection_find(&finder, &view, true, 3, &found));
	assert_false(collection_find(&finder, &view, false, 2, &found));
}

static void test_a_small_budget(void **state)
{
	etp_term queue = mock_tuple(&mock, list_from(1, 50), list_from(1, 50));
	finder.budget = 99;
	assert_int_equal(find(queue, ETP_COLLECTION_QUEUE), -1);
	assert_true(finder.exhausted);
	finder.budget = 100;
	assert_int_equal(find(queue, ETP_COLLECTION_QUEUE), 100);
}

static void test_parts_that_are_not_there(void **state)
{
	etp_term nowhere = MOCK_NOWHERE | TAG_PRIMARY_LIST;
	etp_term boxed = mock_boxed(MOCK_NOWHERE);
	assert_int_equal(find(mock_tuple(&mock, list_from(1, 2), nowhere), 0), -1);
	assert_int_equal(find(mock_tuple(&mock, small(2), boxed), 0), -1);
	etp_term node = mock_tuple(&mock, small(1), a_map, boxed, a_nil);
	assert_int_equal(find(mock_tuple(&mock, small(2), node), 0), -1);
	assert_int_equal(find(mock_list(&mock, boxed, boxed), 0), -1);
	assert_int_equal(find(mock_tuple(&mock, a_array, small(1), small(10), a_nil, boxed), 0),
	                 -1);
	assert_int_equal(find(mock_tuple(&mock, a_dict, small(1), small(16), small(16), small(1),
	                                 small(1), small(1), boxed, boxed),
	                      0),
	                 -1);
	assert_false(finder.exhausted);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_queues),
		TEST(test_lists_in_a_circle),
		TEST(test_general_balanced_trees),
		TEST(test_a_tree_that_leads_back_to_itself),
		TEST(test_records_with_segments),
		TEST(test_arrays),
		TEST(test_a_deep_array),
		TEST(test_arrays_with_a_cache),
		TEST(test_sets_that_are_maps),
		TEST(test_ordered_dictionaries),
		TEST(test_in_the_middle_of_a_list),
		TEST(test_a_small_budget),
		TEST(test_parts_that_are_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
