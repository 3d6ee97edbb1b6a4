// SPDX-License-Identifier: Apache-2.0
// Errors as callers make and extend them.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <etp/error.h>

static void test_kinds(void **state)
{
	(void)state;
	struct etp_error *err = etp_error_create(ETP_ERROR_BAD_DATA, "%d of %s", 3, "them");
	assert_int_equal(err->kind, ETP_ERROR_BAD_DATA);
	assert_int_equal(err->address, 0);
	assert_int_equal(err->os_errno, 0);
	assert_string_equal(err->message, "3 of them");
	etp_error_destroy(err);

	err = etp_error_os(EACCES, "Cannot open %s", "/nowhere");
	assert_int_equal(err->kind, ETP_ERROR_OS);
	assert_int_equal(err->os_errno, EACCES);
	assert_string_equal(err->message, "Cannot open /nowhere: Permission denied.");
	etp_error_destroy(err);

	err = etp_error_fault(0xabc0, "An atom");
	assert_int_equal(err->kind, ETP_ERROR_FAULT);
	assert_int_equal(err->address, 0xabc0);
	assert_string_equal(err->message, "An atom: no memory at 0xabc0 in this target.");
	etp_error_destroy(err);
}

static void test_text_before_and_behind(void **state)
{
	(void)state;
	struct etp_error *err = etp_error_fault(16, "A word");
	struct etp_error *same = etp_error_prefix(err, "scheduler %d", 7);
	assert_ptr_equal(same, err);
	assert_ptr_equal(etp_error_append(err, "Is %s torn?", "it"), err);
	assert_string_equal(err->message,
	                    "scheduler 7: A word: no memory at 0x10 in this target. Is it torn?");
	assert_int_equal(err->kind, ETP_ERROR_FAULT);
	assert_int_equal(err->address, 16);
	etp_error_destroy(err);
}

// What all callers share is neither extended nor released; no error stays none.
static void test_static_errors(void **state)
{
	(void)state;
	struct etp_error *const shared[] = {&etp_error_no_memory, &etp_error_interrupted, NULL};
	const enum etp_error_kind kinds[] = {ETP_ERROR_NO_MEMORY, ETP_ERROR_INTERRUPTED};
	for (size_t i = 0; i < 3; i++) {
		const char *before = shared[i] ? shared[i]->message : NULL;
		assert_ptr_equal(etp_error_prefix(shared[i], "x"), shared[i]);
		assert_ptr_equal(etp_error_append(shared[i], "x"), shared[i]);
		etp_error_destroy(shared[i]);
		etp_error_destroy(shared[i]);
		if (shared[i]) {
			assert_ptr_equal(shared[i]->message, before);
			assert_int_equal(shared[i]->kind, kinds[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_text_before_and_behind),
		cmocka_unit_test(test_static_errors),
	};
	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
