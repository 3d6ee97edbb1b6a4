// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ETS_H
#define ETP_ETS_H

/**
 * @file
 * ETS: every table of the VM, and the objects in it.
 *
 * Each scheduler keeps a circular list of the tables that were created on it
 * (ERTS: erl_db.c, ErtsSchedulerData.ets_tables); together they are all tables that
 * ets:all/0 knows. Tables that are being deleted have left these lists; they are
 * found through the process that frees them.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/reader.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

/** The kinds of erl_db_util.h, by what implements them. */
enum etp_ets_type {
	ETP_ETS_SET,
	ETP_ETS_BAG,
	ETP_ETS_DUPLICATE_BAG,
	/** An AVL tree. */
	ETP_ETS_ORDERED_SET,
	/** A contention adapting tree: ordered_set with write_concurrency. */
	ETP_ETS_CA_ORDERED_SET,
};

/** "set", "bag", "duplicate_bag" or "ordered_set", as ets:info(T, type). */
ETP_EXPORT const char *etp_ets_type_name(enum etp_ets_type type);

enum etp_ets_protection {
	ETP_ETS_PRIVATE,
	ETP_ETS_PROTECTED,
	ETP_ETS_PUBLIC,
};

ETP_EXPORT const char *etp_ets_protection_name(enum etp_ets_protection protection);

enum etp_ets_write_concurrency {
	ETP_ETS_WRITE_CONCURRENCY_FALSE,
	ETP_ETS_WRITE_CONCURRENCY_TRUE,
	ETP_ETS_WRITE_CONCURRENCY_AUTO,
	/** {debug_hash_fixed_number_of_locks, `locks`}. */
	ETP_ETS_WRITE_CONCURRENCY_FIXED_LOCKS,
};

struct etp_ets_table {
	/** Of the DbTable. */
	uint64_t address;
	enum etp_ets_type type;
	enum etp_ets_protection protection;
	/** ets:info(T, name), (T, owner), (T, heir: the atom `none` or a pid). */
	etp_term name, owner, heir;
	/** Magic binary behind the table's reference, and the reference's numbers. */
	uint64_t btid;
	uint32_t ref_numbers[3];
	/** A named table: its id is its name. */
	bool is_named;
	bool is_compressed, read_concurrency, decentralized_counters;
	enum etp_ets_write_concurrency write_concurrency;
	/** Hash tables: number of locks. */
	unsigned locks;
	unsigned keypos;
	/** Objects, and memory in bytes, as the table's counters say. Memory is
	 *  without off-heap binaries, as ets:info(T, memory) is (that in words). */
	int64_t size, memory;
	/** The counters were being moved (erl_flxctr.c): they may be too low. */
	bool counters_uncertain;
	/** Status bits, raw (DB_* in erl_db_util.h). */
	uint32_t status;
	/** Deleted: unknown to ets:all/0, its objects are being freed. */
	bool is_deleting;
	/** Hash tables: a grow or shrink was under way. */
	bool is_resizing;
	/** The table's lock: a process writes, or some read, and others wait for it. Who reads
	 *  a table with read_concurrency is seen only if somebody waits; locks of the parts of
	 *  a table with write_concurrency are not looked at. */
	bool is_write_locked, is_read_locked, is_lock_awaited;
	/** Number of fixations, and since when in nanoseconds of Erlang system time
	 *  (0 if it is not fixed with safe_fixtable). */
	uint64_t fix_count;
	int64_t fixed_since_ns;
	/** For how long it had been fixed when a scheduler last looked at the clock
	 *  (etp_vm_info.uptime_ns), in nanoseconds; -1 if unknown or not fixed so. */
	int64_t fixed_for_ns;
	/** Root of the processes that fixed it (see etp_ets_fixations()). */
	uint64_t fixing_procs;
	/** Something about the table that makes its numbers doubtful, or NULL. */
	const char *problem;
};

struct etp_ets_tables {
	size_t count;
	struct etp_ets_table *tables;
	/** Lists that break off, one sentence each; tables behind the break are
	 *  unknown, unless their owner still has them in its own list. Owned. */
	size_t gap_count;
	char **gaps;
	/** Of the gaps, those that are no missing memory: what stands there is not
	 *  what must stand there. The first of them, or NULL. */
	size_t contradiction_count;
	const char *contradiction;
	/** Lists of more than two tables, whose links can contradict each other. */
	size_t list_count;
};

/** All tables, scheduler by scheduler in the order of their creation.
 *  Release with etp_ets_tables_deinit(). Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_ets_tables_init(struct etp_ets_tables *tables,
                                                 const struct etp_vm *vm);
ETP_EXPORT void etp_ets_tables_deinit(struct etp_ets_tables *tables);

struct etp_ets_fixation {
	etp_term pid;
	uint64_t count;
};

/** Processes that have the table fixed: at most `capacity` of them are written to
 *  `fixations`; returns how many there are. */
ETP_EXPORT size_t etp_ets_fixations(const struct etp_vm *vm, struct etp_reader *reader,
                                    const struct etp_ets_table *table,
                                    struct etp_ets_fixation *fixations, size_t capacity);

/** An object of a table, as stored. */
struct etp_ets_row {
	/** Address of the DbTerm. */
	uint64_t dbterm;
	/** DbTerm.size: words of heap that the object takes when not compressed. */
	uint64_t words;
	/** DbTerm.first_oh: head of the off-heap chain, 0 if it is empty. */
	uint64_t first_oh;
	/** Deleted while the table was fixed. */
	bool pseudo_deleted;
};

enum { ETP_ETS_STACK_DEPTH = 128 };

struct ets_order;

/** Walks the objects of one table: hash tables by slot, trees in order of key. */
struct etp_ets_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	const struct etp_ets_table *table;
	/** Objects returned, and objects or chains that could not be read. */
	uint64_t rows, unreadable;
	/** Of the objects returned, those that were not pseudo-deleted. */
	uint64_t live;
	/** The last thing that went wrong, a static string, or NULL. */
	const char *problem;
	/** Objects that may still come before the walk is given up. */
	uint64_t budget;
	/* A part of the table only (vm/ets_parts.h); in trees: a node that comes first, by
	 * itself, and how many nodes above the part the walk would have put aside. */
	bool is_part;
	uint64_t lone_node;
	unsigned depth_above;
	/* Hash tables. */
	uint64_t slot, slots, segtab, node;
	const void *buckets;
	uint64_t bucket_first, bucket_end;
	/* In which order their chains are visited (vm/ets_order.h); NULL for that of the slots. */
	struct ets_order *order;
	/** Brent's algorithm: node to meet again, and steps since. */
	uint64_t tortoise, steps, power;
	/* Trees. */
	uint64_t stack[ETP_ETS_STACK_DEPTH];
	unsigned depth;
	uint64_t route_stack[ETP_ETS_STACK_DEPTH];
	unsigned route_depth;
	/** Fetches what comes next. */
	struct etp_reader ahead;
};

ETP_EXPORT void etp_ets_iter_init(struct etp_ets_iter *iter, const struct etp_vm *vm,
                                  struct etp_reader *reader, const struct etp_ets_table *table);

/** The next object; false at the end. See iter->unreadable for what is missing. */
ETP_EXPORT bool etp_ets_iter_next(struct etp_ets_iter *iter, struct etp_ets_row *row);

#endif
