// SPDX-License-Identifier: Apache-2.0
#include <etp/locks.h>

#include <etp/dist_entry.h>
#include <etp/ets.h>

#include "vm/vm.h"

enum {
	// erl_process_lock.h: one bit for each lock, and above them one for each that somebody
	// waits for.
	PROC_LOCKS = 5,
	// Of a table (Linux cannot have more processors).
	FINE_LOCKS_MAX = 1 << 16,
	// Threads that wait for one lock.
	WAITERS_MAX = 1 << 16,
};

// ethr_mutex.h: ETHR_RWMTX_W_FLG__, the flags of those who wait, and the count of readers.
static const uint32_t WRITE_LOCKED = UINT32_C(1) << 31;
static const uint32_t WAITING = UINT32_C(1) << 30 | UINT32_C(1) << 29;
static const uint32_t READING = UINT32_C(1) << 28;
static const uint32_t READERS = (UINT32_C(1) << 27) - 1;

struct scan {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	bool (*see)(void *, const struct etp_lock *);
	void *context;
	uint64_t gaps;
};

const char *etp_lock_owner_name(enum etp_lock_owner owner)
{
	static const char *const names[ETP_LOCK_OWNER_COUNT] = {
		[ETP_LOCK_OF_PROCESS] = "process",
		[ETP_LOCK_OF_PORT] = "port",
		[ETP_LOCK_OF_TABLE] = "table",
		[ETP_LOCK_OF_NODE] = "node",
	};
	return owner < ETP_LOCK_OWNER_COUNT ? names[owner] : "unknown";
}

// Those that wait in the queue of a lock, whose first is at `where`: a circle of
// ethr_ts_events, in the order in which they came. Of one that is no circle, none.
static void read_waiters(struct scan *scan, uint64_t where, struct etp_lock *lock)
{
	uint64_t first, next;
	if (!HAS(scan->vm, ethr_ts_event, next) || !etp_read_u64(scan->reader, where, &first)) {
		scan->gaps++;
		return;
	}
	uint32_t count = 0;
	for (next = first; next && count < WAITERS_MAX; count++) {
		if (count < ETP_LOCK_WAITERS)
			lock->waiters[count] = next;
		if (!READ_WORD(scan->vm, scan->reader, next, ethr_ts_event, next, &next))
			break;
		if (next == first) {
			lock->waiter_count = count + 1;
			return;
		}
	}
	// Who is about to wait is not yet in it.
	scan->gaps += first != 0;
}

// An erts_rwmtx_t whose flags are a member of the struct at `at`. False when it is enough.
static bool see_rwmutex(struct scan *scan, struct etp_lock lock, uint64_t at, enum etp_member_id id,
                        enum etp_member_id queue)
{
	uint64_t flags;
	if (!etp_layout_has(scan->vm->layout, id) ||
	    !etp_vm_read_member(scan->vm, scan->reader, at, id, &flags)) {
		scan->gaps++;
		return true;
	}
	if (!flags)
		return true;
	lock.is_exclusive = flags & WRITE_LOCKED;
	lock.is_awaited = flags & WAITING;
	// Of one for frequent reads, the flag only says that somebody may read.
	if (!lock.is_exclusive && !(flags & READING))
		lock.readers = flags & READERS;
	if (!lock.is_exclusive && !lock.readers && lock.is_awaited)
		lock.readers = UINT32_MAX;
	if (!lock.is_exclusive && !lock.readers)
		return true;
	if (lock.is_awaited && etp_layout_has(scan->vm->layout, queue))
		read_waiters(scan, at + scan->vm->layout->members[queue].offset, &lock);
	return scan->see(scan->context, &lock);
}

static bool see_process(struct scan *scan, uint64_t address, etp_term pid)
{
	static const char *const names[PROC_LOCKS] = {"proc_main", "proc_msgq", "proc_btm",
	                                              "proc_status", "proc_trace"};
	uint32_t flags;
	if (!HAS(scan->vm, Process, lock_flags) ||
	    !READ_U32(scan->vm, scan->reader, address, Process, lock_flags, &flags)) {
		scan->gaps++;
		return true;
	}
	for (unsigned i = 0; flags && i < PROC_LOCKS; i++) {
		struct etp_lock lock = {
			.owner = ETP_LOCK_OF_PROCESS,
			.address = address,
			.term = pid,
			.name = names[i],
			.is_exclusive = flags & UINT32_C(1) << i,
			.is_awaited = flags & UINT32_C(1) << (i + PROC_LOCKS),
		};
		if (lock.is_awaited && HAS(scan->vm, Process, lock_queue))
			read_waiters(scan,
			             address + OFFSET(scan->vm, Process, lock_queue) +
			                     i * sizeof(uint64_t),
			             &lock);
		if ((lock.is_exclusive || lock.is_awaited) && !scan->see(scan->context, &lock))
			return false;
	}
	return true;
}

// An erts_mtx_t at `at`: futex of glibc's mutex, 2 if somebody may wait.
static bool see_mutex(struct scan *scan, struct etp_lock lock, uint64_t at)
{
	const struct etp_vm *vm = scan->vm;
	uint32_t futex;
	if (!HAS(vm, erts_mtx_t, lock) || !HAS(vm, erts_mtx_t, owner) ||
	    !READ_U32(vm, scan->reader, at, erts_mtx_t, lock, &futex) ||
	    !READ_U32(vm, scan->reader, at, erts_mtx_t, owner, &lock.thread)) {
		scan->gaps++;
		return true;
	}
	lock.is_exclusive = futex;
	lock.is_awaited = futex > 1;
	return !futex || scan->see(scan->context, &lock);
}

// Ports of a driver that is not reentrant share a lock.
static bool see_port(struct scan *scan, uint64_t address)
{
	const struct etp_vm *vm = scan->vm;
	struct etp_lock lock = {.owner = ETP_LOCK_OF_PORT, .address = address, .name = "port_lock"};
	uint64_t mutex;
	if (!HAS(vm, Port, lock) || !READ_WORD(vm, scan->reader, address, Port, id, &lock.term) ||
	    !READ_WORD(vm, scan->reader, address, Port, lock, &mutex)) {
		scan->gaps++;
		return true;
	}
	return !mutex || see_mutex(scan, lock, mutex);
}

static bool see_table(struct scan *scan, const struct etp_ets_table *table)
{
	const struct etp_vm *vm = scan->vm;
	struct etp_lock lock = {.owner = ETP_LOCK_OF_TABLE,
	                        .address = table->address,
	                        .term = table->name,
	                        .name = "db_tab"};
	if (!see_rwmutex(scan, lock, table->address, ETP_MEMBER_DbTable_lock_flags,
	                 ETP_MEMBER_DbTable_lock_queue))
		return false;
	uint64_t slots;
	if (!table->locks || !HAS(vm, DbTableHashFineLockSlot, lock_flags))
		return true;
	if (table->locks > FINE_LOCKS_MAX ||
	    !READ_WORD(vm, scan->reader, table->address, DbTableHash, locks, &slots)) {
		scan->gaps++;
		return true;
	}
	lock.name = "db_hash_slot";
	for (; slots && lock.index < table->locks; lock.index++)
		if (!see_rwmutex(scan, lock,
		                 slots + lock.index * SIZEOF(vm, DbTableHashFineLockSlot),
		                 ETP_MEMBER_DbTableHashFineLockSlot_lock_flags,
		                 ETP_MEMBER_DbTableHashFineLockSlot_lock_queue))
			return false;
	return true;
}

static bool see_connection(struct scan *scan, uint64_t address)
{
	const struct etp_vm *vm = scan->vm;
	struct etp_lock lock = {
		.owner = ETP_LOCK_OF_NODE, .address = address, .name = "dist_entry"};
	if (!HAS(vm, DistEntry, sysname) ||
	    !READ_WORD(vm, scan->reader, address, DistEntry, sysname, &lock.term)) {
		scan->gaps++;
		return true;
	}
	if (!see_rwmutex(scan, lock, address, ETP_MEMBER_DistEntry_lock_flags,
	                 ETP_MEMBER_DistEntry_lock_queue))
		return false;
	lock.name = "dist_entry_out_queue";
	if (!HAS(vm, DistEntry, qlock)) {
		scan->gaps++;
		return true;
	}
	return see_mutex(scan, lock, address + OFFSET(vm, DistEntry, qlock));
}

uint64_t etp_locks(const struct etp_vm *vm, struct etp_reader *reader,
                   const struct etp_ets_tables *tables,
                   bool (*see)(void *context, const struct etp_lock *lock), void *context)
{
	struct scan scan = {vm, reader, see, context, 0};
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(vm, &addresses, &pids);
	bool go_on = true;
	for (size_t i = 0; go_on && i < count; i++)
		go_on = see_process(&scan, addresses[i], pids[i]);
	for (size_t i = 0; go_on && i < vm->ports.count; i++)
		go_on = see_port(&scan, vm->ports.addresses[i]);
	for (size_t i = 0; go_on && i < tables->count; i++)
		go_on = see_table(&scan, &tables->tables[i]);
	struct etp_dist_entry_iter entries;
	uint64_t entry;
	etp_dist_entry_iter_init(&entries, vm, reader);
	while (go_on && etp_dist_entry_iter_next(&entries, &entry))
		go_on = see_connection(&scan, entry);
	return scan.gaps + entries.gaps;
}
