// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TESTS_MOCK_TEST_H
#define ETP_TESTS_MOCK_TEST_H

// Tests each of which has a VM of hand-laid words (mock_vm.h) of its own as its state. To be
// included behind cmocka.h.

#include <stdlib.h>

#include "mock_vm.h"

// Whose structs are laid: the argument of the program.
static const char *layout_path;

#define PUT(m, address, struct_, member, value)                                                    \
	mock_member(m, address, ETP_MEMBER_##struct_##_##member, value)

static int set_up(void **state)
{
	struct mock *m = malloc(sizeof(*m));
	struct etp_error *err = mock_init(m, layout_path);
	assert_null(err);
	*state = m;
	return 0;
}

static int tear_down(void **state)
{
	mock_deinit(*state);
	free(*state);
	return 0;
}

static uint64_t new_struct(struct mock *m, enum etp_struct_id id)
{
	return mock_alloc(m, (m->vm.layout->struct_sizes[id] + 7) / 8);
}

#endif
