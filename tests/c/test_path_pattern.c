// SPDX-License-Identifier: Apache-2.0
//
// Ways to things, as they are told apart one holder after the other.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/path_pattern.h"

enum { MANY = 100000, FEW = 10, SLOTS_OF_FEW = 1 << 12 };

// As many different ones, numbered in turn; each is found again.
static void add_patterns(struct path_patterns *patterns, uint32_t count)
{
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(path_patterns_root(patterns, (enum etp_path_root)i), i);
	assert_int_equal(patterns->count, count);
}

static void test_what_was_large_once_is_small_again(void **state)
{
	struct path_patterns patterns;
	path_patterns_init(&patterns, NULL, NULL);
	path_patterns_clear(&patterns);
	add_patterns(&patterns, MANY);
	assert_true(patterns.slot_count >= MANY);
	path_patterns_clear(&patterns);
	for (unsigned holder = 0; holder < 3; holder++) {
		add_patterns(&patterns, FEW);
		assert_true(patterns.slot_count <= SLOTS_OF_FEW);
		path_patterns_clear(&patterns);
	}
	path_patterns_deinit(&patterns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_large_once_is_small_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
