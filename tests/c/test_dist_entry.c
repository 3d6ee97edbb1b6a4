// SPDX-License-Identifier: Apache-2.0
//
// Connections to other nodes on hand-laid memory, sound and damaged: a walk of what ties
// processes to a node ends, and counts what is missing.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <etp/dist_entry.h>

#include "mock_test.h"

// A connected node with a circular list of `count` links, and one of as many suspended
// processes.
static uint64_t new_entry(struct mock *m, unsigned count, uint64_t *links, uint64_t *suspended)
{
	uint64_t entry = new_struct(m, ETP_STRUCT_DistEntry);
	uint64_t dist = new_struct(m, ETP_STRUCT_ErtsMonLnkDist);
	for (unsigned i = 0; i < count; i++) {
		links[i] = new_struct(m, ETP_STRUCT_ErtsMonLnkNode);
		suspended[i] = new_struct(m, ETP_STRUCT_ErtsProcList);
		PUT(m, links[i], ErtsMonLnkNode, other, (i + 1) << 4 | TAG_IMMED1_PID);
		PUT(m, suspended[i], ErtsProcList, pid, (i + 1) << 4 | TAG_IMMED1_PID);
	}
	for (unsigned i = 0; i < count; i++) {
		PUT(m, links[i], ErtsMonLnkNode, next, links[(i + 1) % count]);
		PUT(m, links[(i + 1) % count], ErtsMonLnkNode, prev, links[i]);
		PUT(m, suspended[i], ErtsProcList, next, suspended[(i + 1) % count]);
	}
	PUT(m, dist, ErtsMonLnkDist, links, links[0]);
	PUT(m, entry, DistEntry, mld, dist);
	PUT(m, entry, DistEntry, suspended, suspended[0]);
	PUT(m, entry, DistEntry, sysname, term_make_atom(1));
	PUT(m, entry, DistEntry, state, ETP_DIST_CONNECTED);
	PUT(m, entry, DistEntry, cid, 5 << 4 | TAG_IMMED1_PID);
	PUT(m, entry, DistEntry, dflags, 1);
	PUT(m, entry, DistEntry, qflgs, 1);
	return entry;
}

static struct etp_dist_entry read_entry(struct mock *m, uint64_t address)
{
	struct etp_dist_entry entry;
	struct etp_error *err = etp_dist_entry_read(&m->vm, &m->reader, address, &entry);
	assert_null(err);
	return entry;
}

static void test_entry(void **state)
{
	struct mock *m = *state;
	uint64_t links[5], suspended[5];
	uint64_t address = new_entry(m, 5, links, suspended);
	struct etp_dist_entry entry = read_entry(m, address);
	assert_int_equal(entry.node, term_make_atom(1));
	assert_int_equal(entry.state, ETP_DIST_CONNECTED);
	assert_true(entry.is_visible && entry.is_busy && !entry.is_incomplete);
	assert_int_equal(entry.controller, 5 << 4 | TAG_IMMED1_PID);
	assert_int_equal(entry.ties[ETP_DIST_LINK], 5);
	assert_int_equal(entry.ties[ETP_DIST_SUSPENDED], 5);
	assert_int_equal(entry.ties[ETP_DIST_MONITOR], 0);
}

static void test_damaged_entries(void **state)
{
	struct mock *m = *state;
	uint64_t links[5], suspended[5];
	uint64_t address = new_entry(m, 5, links, suspended);

	// A list that does not come back to where it began.
	PUT(m, suspended[4], ErtsProcList, next, suspended[2]);
	assert_true(read_entry(m, address).is_incomplete);
	PUT(m, suspended[4], ErtsProcList, next, MOCK_NOWHERE);
	struct etp_dist_entry entry = read_entry(m, address);
	assert_true(entry.is_incomplete);
	assert_int_equal(entry.ties[ETP_DIST_SUSPENDED], 5);
	PUT(m, suspended[4], ErtsProcList, next, suspended[0]);
	assert_false(read_entry(m, address).is_incomplete);

	PUT(m, links[3], ErtsMonLnkNode, next, links[1]);
	entry = read_entry(m, address);
	assert_true(entry.is_incomplete);
	assert_int_equal(entry.ties[ETP_DIST_LINK], 4);

	PUT(m, address, DistEntry, mld, MOCK_NOWHERE);
	assert_true(read_entry(m, address).is_incomplete);

	// Neither a state nor an atom that there is.
	PUT(m, address, DistEntry, mld, 0);
	PUT(m, address, DistEntry, state, 77);
	entry = read_entry(m, address);
	assert_true(entry.is_incomplete);
	assert_string_equal(etp_dist_state_name(entry.state), "unknown");
	PUT(m, address, DistEntry, sysname, 5 << 4 | TAG_IMMED1_PID);
	struct etp_error *err = etp_dist_entry_read(&m->vm, &m->reader, address, &entry);
	assert_non_null(err);
	etp_error_destroy(err);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_entry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_entries, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
