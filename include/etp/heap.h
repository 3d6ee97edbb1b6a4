// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_HEAP_H
#define ETP_HEAP_H

/**
 * @file
 * Heaps word by word: what stands in the areas of a process's heap, in use or not,
 * and the off-heap things that hang on it.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/chain.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum etp_heap_area_kind {
	/** Process.heap: where terms are made. */
	ETP_HEAP_YOUNG,
	/** Process.old_heap: what survived two collections. */
	ETP_HEAP_OLD,
	/** A heap fragment (Process.mbuf). */
	ETP_HEAP_FRAGMENT,
};

/** "heap", "old_heap" or "fragment". */
ETP_EXPORT const char *etp_heap_area_kind_name(enum etp_heap_area_kind kind);

struct etp_heap_area {
	enum etp_heap_area_kind kind;
	/** Words in use, and the end of the block: of the young heap, the stack. */
	uint64_t start, top, end;
	/** First thing of its off-heap chain, 0 if there is none. The chain of the old
	 *  heap is part of the young one's. */
	uint64_t off_heap;
};

/** The areas of the Process at `address`: at most `capacity` are written; returns how
 *  many there are. `problem_ret` gets a static string if an area is left out. */
ETP_EXPORT size_t etp_heap_areas(const struct etp_vm *vm, struct etp_reader *reader,
                                 uint64_t address, struct etp_heap_area *areas, size_t capacity,
                                 const char **problem_ret);

enum etp_heap_thing_kind {
	/** A boxed term or a cons cell. */
	ETP_HEAP_TERM,
	/** An inner node of a hash map: no term of its own. */
	ETP_HEAP_MAP_NODE,
	/** What keeps the entry of a local fun alive (FunRef, OTP 27 and 28). */
	ETP_HEAP_FUN_REF,
	/** A header that makes no sense, or parts of which cannot be read. */
	ETP_HEAP_INVALID,
};

/** "term", "map_node", "fun_ref" or "invalid". */
ETP_EXPORT const char *etp_heap_thing_kind_name(enum etp_heap_thing_kind kind);

struct etp_heap_thing {
	uint64_t address;
	uint64_t words;
	enum etp_heap_thing_kind kind;
	/** A tagged pointer to it. */
	etp_term term;
};

/** Walks the things of an area, in the order in which they were made. */
struct etp_heap_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	uint64_t next, end;
	/** Words that cannot be read: the rest of the area. */
	uint64_t unreadable;
};

ETP_EXPORT void etp_heap_iter_init(struct etp_heap_iter *iter, const struct etp_vm *vm,
                                   struct etp_reader *reader, uint64_t start, uint64_t end);

/** The next thing; false at the end. */
ETP_EXPORT bool etp_heap_iter_next(struct etp_heap_iter *iter, struct etp_heap_thing *ret);

/** The largest things of one or more areas. */
struct etp_heap_largest {
	/** In no order until etp_heap_largest_sort(). */
	struct etp_heap_thing *things;
	size_t count, capacity, most;
	/** Things of all areas that were added, and what made no sense or could not be read in
	 *  them, as in etp_heap_iter. */
	uint64_t total, invalid, unreadable;
};

/** Keep at most `most` things, SIZE_MAX for all. */
ETP_EXPORT void etp_heap_largest_init(struct etp_heap_largest *largest, size_t most);
ETP_EXPORT void etp_heap_largest_deinit(struct etp_heap_largest *largest);

/** Add one thing. False when memory ran out. */
ETP_EXPORT bool etp_heap_largest_put(struct etp_heap_largest *largest,
                                     const struct etp_heap_thing *thing);

/** Add what `iter` leads to, up to `things` things. False when memory ran out. */
ETP_EXPORT bool etp_heap_largest_add(struct etp_heap_largest *largest, struct etp_heap_iter *iter,
                                     uint64_t things);

/** Largest first, by address where they are equal. */
ETP_EXPORT void etp_heap_largest_sort(struct etp_heap_largest *largest);

/** Walks an off-heap chain (ErlOffHeapHeader, erl_gc.h). */
struct etp_off_heap_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	struct etp_chain chain;
	/** Address of the next thing, 0 at the end. */
	uint64_t next;
	/** Why the walk ended early, a static string, or NULL. */
	const char *problem;
};

ETP_EXPORT void etp_off_heap_iter_init(struct etp_off_heap_iter *iter, const struct etp_vm *vm,
                                       struct etp_reader *reader, uint64_t first);

/** The next thing of the chain: a boxed term. False at the end. */
ETP_EXPORT bool etp_off_heap_iter_next(struct etp_off_heap_iter *iter, etp_term *ret);

/** First of the writable binaries of a process, which have a chain of their own to
 *  OTP 26 (Process.wrt_bins); 0 if there is none. */
ETP_EXPORT uint64_t etp_heap_writable_binaries(const struct etp_vm *vm, struct etp_reader *reader,
                                               uint64_t process);

#endif
