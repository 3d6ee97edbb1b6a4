// SPDX-License-Identifier: Apache-2.0
//
// Locks on hand-laid memory: what their words say, and that what cannot be read is counted.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <etp/ets.h>
#include <etp/locks.h>

#include "mock_test.h"

struct seen {
	size_t count;
	struct etp_lock locks[16];
};

static bool note(void *context, const struct etp_lock *lock)
{
	struct seen *seen = context;
	assert_true(seen->count < 16);
	seen->locks[seen->count++] = *lock;
	return true;
}

// Those of one process, one port and one table; there is no table of connections.
static struct seen look(struct mock *m, uint64_t process, uint64_t port,
                        struct etp_ets_table *table, uint64_t *gaps_ret)
{
	etp_term pid = 7 << 4 | TAG_IMMED1_PID;
	struct etp_ets_tables tables = {.count = 1, .tables = table};
	struct seen seen = {0};
	struct etp_ptab processes = m->vm.processes, ports = m->vm.ports;
	m->vm.processes.addresses = &process;
	m->vm.processes.ids = &pid;
	m->vm.ports.addresses = &port;
	m->vm.processes.count = m->vm.ports.count = 1;
	*gaps_ret = etp_locks(&m->vm, &m->reader, &tables, note, &seen);
	m->vm.processes = processes;
	m->vm.ports = ports;
	return seen;
}

static void test_words(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_struct(m, ETP_STRUCT_Process);
	uint64_t port = new_struct(m, ETP_STRUCT_Port);
	uint64_t mutex = new_struct(m, ETP_STRUCT_erts_mtx_t);
	struct etp_ets_table table = {.address = new_struct(m, ETP_STRUCT_DbTableHash)};
	uint64_t gaps, before;
	PUT(m, port, Port, lock, mutex);
	assert_int_equal(look(m, process, port, &table, &before).count, 0);

	// Main and status lock; somebody waits for the latter.
	PUT(m, process, Process, lock_flags, 1 << 0 | 1 << 3 | 1 << (3 + 5));
	PUT(m, mutex, erts_mtx_t, lock, 2);
	PUT(m, mutex, erts_mtx_t, owner, 4711);
	PUT(m, table.address, DbTable, lock_flags, UINT32_C(1) << 30 | 3);
	struct seen seen = look(m, process, port, &table, &gaps);
	assert_int_equal(gaps, before);
	assert_int_equal(seen.count, 4);
	assert_string_equal(seen.locks[0].name, "proc_main");
	assert_true(seen.locks[0].is_exclusive && !seen.locks[0].is_awaited);
	assert_string_equal(seen.locks[1].name, "proc_status");
	assert_true(seen.locks[1].is_exclusive && seen.locks[1].is_awaited);
	assert_string_equal(seen.locks[2].name, "port_lock");
	assert_true(seen.locks[2].is_exclusive && seen.locks[2].is_awaited);
	assert_int_equal(seen.locks[2].thread, 4711);
	assert_string_equal(seen.locks[3].name, "db_tab");
	assert_true(!seen.locks[3].is_exclusive && seen.locks[3].is_awaited);
	assert_int_equal(seen.locks[3].readers, 3);

	// Of a table for frequent reads, which says that somebody may read; and waits.
	PUT(m, table.address, DbTable, lock_flags, UINT32_C(1) << 28 | 1);
	assert_int_equal(look(m, process, port, &table, &gaps).count, 3);
	PUT(m, table.address, DbTable, lock_flags, UINT32_C(1) << 30 | UINT32_C(1) << 28);
	seen = look(m, process, port, &table, &gaps);
	assert_int_equal(seen.count, 4);
	assert_int_equal(seen.locks[3].readers, UINT32_MAX);
}

// Threads that wait stand in a circle of their events; of one that is none, nobody is told.
static void test_waiters(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_struct(m, ETP_STRUCT_Process);
	uint64_t port = new_struct(m, ETP_STRUCT_Port);
	struct etp_ets_table table = {.address = new_struct(m, ETP_STRUCT_DbTableHash)};
	uint64_t gaps, before, events[20];
	for (size_t i = 0; i < 20; i++)
		events[i] = new_struct(m, ETP_STRUCT_ethr_ts_event);
	for (size_t i = 0; i < 20; i++)
		PUT(m, events[i], ethr_ts_event, next, events[(i + 1) % 20]);
	// Of the status lock; nobody waits for the main lock.
	PUT(m, process, Process, lock_flags, 1 << 0 | 1 << 3 | 1 << (3 + 5));
	mock_put(m, process + OFFSET(&m->vm, Process, lock_queue) + 3 * 8, events[0]);
	PUT(m, table.address, DbTable, lock_flags, UINT32_C(1) << 31 | UINT32_C(1) << 30);
	PUT(m, table.address, DbTable, lock_queue, events[7]);
	struct seen seen = look(m, process, port, &table, &before);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.locks[0].waiter_count, 0);
	assert_int_equal(seen.locks[1].waiter_count, 20);
	assert_int_equal(seen.locks[1].waiters[0], events[0]);
	assert_int_equal(seen.locks[1].waiters[ETP_LOCK_WAITERS - 1], events[15]);
	assert_int_equal(seen.locks[2].waiter_count, 20);
	assert_int_equal(seen.locks[2].waiters[0], events[7]);

	// A circle that does not come back to its first, and a link that leads nowhere.
	PUT(m, events[5], ethr_ts_event, next, events[4]);
	seen = look(m, process, port, &table, &gaps);
	assert_int_equal(gaps, before + 2);
	assert_int_equal(seen.locks[1].waiter_count, 0);
	PUT(m, events[5], ethr_ts_event, next, MOCK_NOWHERE);
	seen = look(m, process, port, &table, &gaps);
	assert_int_equal(gaps, before + 2);
	assert_int_equal(seen.locks[1].waiter_count, 0);
}

static void test_slots(void **state)
{
	struct mock *m = *state;
	uint64_t process = new_struct(m, ETP_STRUCT_Process);
	uint64_t port = new_struct(m, ETP_STRUCT_Port);
	struct etp_ets_table table = {.address = new_struct(m, ETP_STRUCT_DbTableHash), .locks = 4};
	uint64_t size = m->vm.layout->struct_sizes[ETP_STRUCT_DbTableHashFineLockSlot];
	uint64_t slots = mock_alloc(m, 4 * size / 8);
	uint64_t gaps, before;
	PUT(m, table.address, DbTableHash, locks, slots);
	PUT(m, slots + 2 * size, DbTableHashFineLockSlot, lock_flags, UINT32_C(1) << 31);
	struct seen seen = look(m, process, port, &table, &before);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.locks[0].name, "db_hash_slot");
	assert_int_equal(seen.locks[0].index, 2);
	assert_true(seen.locks[0].is_exclusive);

	// More than a table can have; a port's lock that is nowhere.
	table.locks = 1 << 30;
	PUT(m, port, Port, lock, MOCK_NOWHERE);
	assert_int_equal(look(m, process, port, &table, &gaps).count, 0);
	assert_int_equal(gaps, before + 2);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waiters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slots, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
