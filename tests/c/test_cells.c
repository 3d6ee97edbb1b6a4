// SPDX-License-Identifier: Apache-2.0
// Numbers in tables: the same text as plugin/etp/units.py makes of them, where rounding is closest.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "python/cells.h"

static void assert_text(enum cell_style style, unsigned __int128 number, const char *expected)
{
	char text[CELL_SIZE + 1];
	size_t size = cell_write(style, number, text);
	assert_true(size <= CELL_SIZE);
	text[size] = '\0';
	assert_string_equal(text, expected);
}

static void test_counts(void **state)
{
	assert_text(CELL_COUNT, 0, "0");
	assert_text(CELL_COUNT, 999, "999");
	assert_text(CELL_COUNT, 1000, "1,000");
	assert_text(CELL_COUNT, 1234567, "1,234,567");
	assert_text(CELL_COUNT, UINT64_MAX, "18,446,744,073,709,551,615");
	assert_text(CELL_COUNT, (unsigned __int128)UINT64_MAX * 8, "147,573,952,589,676,412,920");
}

static void test_words(void **state)
{
	assert_text(CELL_WORDS, 7, "0");
	assert_text(CELL_WORDS, 8007, "1,000");
	assert_text(CELL_WORDS, (unsigned __int128)UINT64_MAX * 8, "18,446,744,073,709,551,615");
}

static void test_addresses(void **state)
{
	assert_text(CELL_ADDRESS, 0, "0x0");
	assert_text(CELL_ADDRESS, 0x7f0123456789, "0x7f0123456789");
	assert_text(CELL_ADDRESS, UINT64_MAX, "0xffffffffffffffff");
}

static void test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		// 1.05 is between two doubles; 1.25 and 1.75 are in the middle.
		{1075, "1.0 KiB"},
		{1076, "1.1 KiB"},
		{1280, "1.2 KiB"},
		{1792, "1.8 KiB"},
		{1048524, "1023.9 KiB"},
		{1048525, "1.0 MiB"},
		{1073689395, "1023.9 MiB"},
		{1073689396, "1.0 GiB"},
		{1099457000000, "1023.9 GiB"},
		{UINT64_C(1) << 40, "1.0 TiB"},
		{UINT64_C(1) << 53, "8192.0 TiB"},
		{UINT64_MAX, "16777216.0 TiB"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_text(CELL_BYTES, cases[i].bytes, cases[i].text);
	assert_text(CELL_BYTES, (unsigned __int128)UINT64_MAX * 8, "134217728.0 TiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
