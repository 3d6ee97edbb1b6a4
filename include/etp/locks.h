// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LOCKS_H
#define ETP_LOCKS_H

/**
 * @file
 * Locks that are held, as far as the VM keeps track of it: those of processes, ports, ETS
 * tables and connections.
 *
 * ERTS: erts_proc_lock_t (erl_process_lock.h), one word of flags for all locks of a process;
 * erts_rwmtx_t (ethr_mutex.h), whose flags count the readers; neither says which thread has
 * it, but both have a queue of those who wait. An erts_mtx_t is a mutex of glibc, which knows
 * who has it, and has no such queue. Of an erts_rwmtx_t for frequent reads
 * (tables with read_concurrency) the readers are counted elsewhere: it is not listed while
 * there are only readers, and nobody waits.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;
struct etp_ets_tables;

enum etp_lock_owner {
	ETP_LOCK_OF_PROCESS,
	ETP_LOCK_OF_PORT,
	ETP_LOCK_OF_TABLE,
	ETP_LOCK_OF_NODE,
	ETP_LOCK_OWNER_COUNT,
};

/** "process", "port", "table", "node". */
ETP_EXPORT const char *etp_lock_owner_name(enum etp_lock_owner owner);

enum {
	/** Waiters that are told one by one. */
	ETP_LOCK_WAITERS = 16,
};

struct etp_lock {
	/** What it protects: address of the Process, Port, DbTable or DistEntry, and its pid, port
	 *  or name. */
	enum etp_lock_owner owner;
	uint64_t address;
	etp_term term;
	/** As ERTS calls it (erl_lock_check.c): "proc_main", "db_hash_slot" ... */
	const char *name;
	/** Which one of several: the slot of a "db_hash_slot"; else 0. */
	uint64_t index;
	/** Held by one thread alone; or by so many that read (UINT32_MAX: some, which are
	 *  not counted). */
	bool is_exclusive;
	uint32_t readers;
	/** Somebody waits for it; of a mutex of glibc: may. */
	bool is_awaited;
	/** Thread id of the thread that has it, as the VM's kernel counts them; 0: not recorded. */
	uint32_t thread;
	/** Threads that wait for it, of processes and whole tables: how many, and the first of
	 * them, each by its ethr_ts_event (struct etp_scheduler.event), first first; 0 if that is
	 * not known. */
	uint32_t waiter_count;
	uint64_t waiters[ETP_LOCK_WAITERS];
};

/** Calls `see` for each lock that is held or awaited, of all processes, ports, connections and of
 *  these tables, until it returns false. Returns how many places could not be read, or are not in
 *  the layout. */
ETP_EXPORT uint64_t etp_locks(const struct etp_vm *vm, struct etp_reader *reader,
                              const struct etp_ets_tables *tables,
                              bool (*see)(void *context, const struct etp_lock *lock),
                              void *context);

#endif
