// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ETS_SCAN_H
#define ETP_ETS_SCAN_H

/**
 * @file
 * One pass over the objects of ETS tables: which off-heap binaries they keep
 * alive, how much of these they can see, and what refers to processes that are
 * dead.
 *
 * ets:info(T, memory) does not count off-heap bytes, so a table whose rows each
 * hold a small sub-binary of a large payload looks small. Every stored object has
 * a chain of its off-heap things (DbTerm.first_oh, erl_db_util.h), so references
 * are counted without following terms; what is visible of a binary is the union
 * of the ranges that sub-binaries and direct references of the rows cover.
 *
 * Memory: 64 bytes a distinct binary and 16 a (binary, table) pair; binaries of
 * which several separate ranges are visible take 16 bytes more for each range.
 *
 * Threads: tables, and parts of large tables, are shared out; the progress callback is
 * called by the caller's thread only.
 *
 * Thread safety: a scan belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/ets.h>
#include <etp/export.h>

struct etp_vm;
struct etp_ets_scan;

/** What was found in one table. Sizes in bytes unless they say words. */
struct etp_ets_scan_table {
	/** Of the DbTable. */
	uint64_t address;
	/** Objects, and their heap words (DbTerm.size). */
	uint64_t rows, words;
	/** Of these: deleted while the table was fixed, not freed yet. */
	uint64_t pseudo_deleted, pseudo_deleted_words;
	/** Objects, chains or off-heap things that could not be read. */
	uint64_t unreadable;
	/** The last thing that went wrong, a static string, or NULL. */
	const char *problem;
	/** ProcBins; distinct Binaries behind them; their sizes; the union of what
	 *  the rows can see of them. */
	uint64_t binary_refs, binaries, binary_bytes, visible_bytes;
	/** Binaries whose reference count equals the references found in this table:
	 *  nobody else holds them, so copying the visible part frees the rest. */
	uint64_t own_binaries, own_bytes, own_visible_bytes;
	/** Rows that hold a binary of which they see less than half. */
	uint64_t pinned_rows;
	/** Rows that hold a pid of this node, of a live process and of a dead one;
	 *  rows whose key holds a dead one; rows that hold an alias reference whose
	 *  process is dead. Other references do not tell whose they are. */
	uint64_t live_pid_rows, dead_pid_rows, dead_pid_keys, dead_ref_rows;
	/** DbTerm of the row that wastes most, with size and visible bytes of the
	 *  binary in question; DbTerm of a row with a dead pid. 0 for none. */
	uint64_t sample_pin, sample_pin_bytes, sample_pin_visible, sample_dead;
	/** DbTerm of the row with most words, of those that are not deleted, and its words; 0 if
	 *  there is none. */
	uint64_t largest_row, largest_row_words;
	/** The scan was interrupted before or inside this table. */
	bool incomplete;
};

struct etp_ets_scan_binary {
	/** Of the Binary, as in process_info(P, binary). */
	uint64_t address;
	/** Binary.orig_size, .intern.refc and .intern.flags. */
	uint64_t size, refc, flags;
	/** References found, and the union of what these can see. */
	uint64_t refs, visible_bytes;
	/** First byte of data. */
	uint64_t data_address;
};

/** What comes first; where that is equal, the lower address. */
enum etp_binary_order {
	/** Largest first: size; bytes that are not visible; bytes that are; Binary.intern.refc;
	 *  references found. */
	ETP_BINARY_BY_SIZE,
	ETP_BINARY_BY_WASTE,
	ETP_BINARY_BY_VISIBLE,
	ETP_BINARY_BY_REFC,
	ETP_BINARY_BY_REFS,
	/** Lowest first. */
	ETP_BINARY_BY_ADDRESS,
};

struct etp_binary_choice {
	enum etp_binary_order order;
	/** From the other end. */
	bool reverse;
	/** Only those of which refc and refs differ. */
	bool unaccounted;
	/** Only those that come behind the one at this address; 0: all. */
	uint64_t after;
	/** At most so many: the time it takes does not grow with it, the memory does. */
	size_t limit;
};

struct etp_ets_scan_holder {
	/** Of the DbTable. */
	uint64_t table;
	uint64_t refs;
};

struct etp_ets_scan_options {
	/** Called now and then with the number of rows done and the number expected;
	 *  true stops the scan, which then holds what it has so far. May be NULL. */
	bool (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
	/** Threads to use, the caller's included: 0 for as many as there are processors, up
	 *  to 8, if there are rows enough. What is found does not depend on it. */
	unsigned threads;
	/** A table is shared out in parts of about so many rows; 0 means 16,384. */
	uint64_t rows_a_part;
	/** Only sums are wanted: most of the binaries to which there is a single reference, that of
	 *  a row, are counted and then forgotten, so that none of what is below lists them. */
	bool sums_only;
};

/** Scan `count` tables. An interrupted scan is a result, not an error: see
 *  etp_ets_scan_is_complete(). Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_ets_scan_run(const struct etp_vm *vm,
                                              const struct etp_ets_table *tables, size_t count,
                                              const struct etp_ets_scan_options *options,
                                              struct etp_ets_scan **ret);

ETP_EXPORT void etp_ets_scan_destroy(struct etp_ets_scan *scan);

ETP_EXPORT bool etp_ets_scan_is_complete(const struct etp_ets_scan *scan);

/** One entry a table, in the order given. */
ETP_EXPORT const struct etp_ets_scan_table *etp_ets_scan_tables(const struct etp_ets_scan *scan,
                                                                size_t *count_ret);

ETP_EXPORT size_t etp_ets_scan_binary_count(const struct etp_ets_scan *scan);

/** Binary number `index`, in no particular order. */
ETP_EXPORT void etp_ets_scan_binary(const struct etp_ets_scan *scan, size_t index,
                                    struct etp_ets_scan_binary *ret);

/** Index of the binary at `address`, SIZE_MAX if no row refers to it. */
ETP_EXPORT size_t etp_ets_scan_find(const struct etp_ets_scan *scan, uint64_t address);

/** The first binaries of a choice, by their index. The caller frees `*ret` with free(). Errors:
 *  NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_ets_scan_choose(const struct etp_ets_scan *scan,
                                                 const struct etp_binary_choice *choice,
                                                 size_t **ret, size_t *count_ret);

/** How many tables hold binary `index`. */
ETP_EXPORT size_t etp_ets_scan_holder_count(const struct etp_ets_scan *scan, size_t index);

/** Tables that hold binary `index`, most references first: as many as there are, but at most
 *  `capacity`, are written. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_ets_scan_holders(const struct etp_ets_scan *scan, size_t index,
                                                  struct etp_ets_scan_holder *holders,
                                                  size_t capacity);

#endif
