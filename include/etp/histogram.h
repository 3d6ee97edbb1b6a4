// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_HISTOGRAM_H
#define ETP_HISTOGRAM_H

/**
 * @file
 * Histogram: the live terms of processes and rows by their shape, with counts and
 * bytes: which records, structs and maps fill the memory.
 *
 * Thread safety: as etp_census.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/collection.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;

enum etp_shape_kind {
	/** By arity and, if the first element is one, its atom. */
	ETP_SHAPE_TUPLE,
	/** By the atom under `__struct__`. */
	ETP_SHAPE_STRUCT,
	/** A flatmap by its keys, when these are all atoms; otherwise all in one. */
	ETP_SHAPE_MAP,
	/** Maps of more than 32 keys, all in one, with their nodes and pairs. Tuples of keys,
	 *  which small maps share, are not counted. */
	ETP_SHAPE_LARGE_MAP,
	/** Cons cells, all in one: `count` are cells. */
	ETP_SHAPE_LIST,
	/** Collections of OTP's and Elixir's modules, by kind, with all that they are built of:
	 *  cells, nodes, buckets, pairs. Their elements are counted as what they are. */
	ETP_SHAPE_COLLECTION,
	ETP_SHAPE_HEAP_BINARY,
	ETP_SHAPE_REFC_BINARY,
	ETP_SHAPE_SUB_BINARY,
	/** By module. */
	ETP_SHAPE_FUN,
	ETP_SHAPE_FLOAT,
	ETP_SHAPE_BIG,
	ETP_SHAPE_REF,
	/** External pids and ports, match contexts, and what else there is. */
	ETP_SHAPE_OTHER,
};

/** "tuple", "struct", "map", "large_map", "list", "collection", "heap_binary", ... */
ETP_EXPORT const char *etp_shape_name(enum etp_shape_kind kind);

struct etp_shape {
	enum etp_shape_kind kind;
	/** Tuple: its arity. Map: number of keys. Otherwise 0. */
	uint64_t arity;
	/** Tuple: the atom; struct: its name; fun: its module. Otherwise 0. */
	etp_term tag;
	/** Map: `arity` atoms, or NULL where keys are not all atoms. */
	etp_term *keys;
	enum etp_collection_kind collection;
	/** Things, the heap words that they themselves occupy, and, for REFC_BINARY, the
	 *  sizes of the binaries they refer to (one that is referred to twice counts
	 *  twice). In rows of compressed tables, nodes of large maps are what DbTerm.size
	 *  leaves over: a few words too many if there were sub-binaries in the row. */
	uint64_t count, words, binary_bytes;
	/** COLLECTION: elements of all of them. */
	uint64_t elements;
};

struct etp_histogram {
	size_t count;
	/** Most words first. */
	struct etp_shape *shapes;
	uint64_t holders, truncated, unreadable;
	bool complete;
};

struct etp_histogram_options {
	/** Look at this Process only, or at this DbTable only; 0 is all of them. */
	uint64_t process, table;
	/** Things of one holder to look at; 0 means ETP_SEARCH_THINGS_DEFAULT (etp/path.h). */
	size_t max_things;
	/** As in etp_census_options. */
	bool (*progress)(void *context, uint64_t done, uint64_t total, const char *what);
	void *context;
};

/** Release with etp_histogram_deinit(). An interrupted one is a result: see `complete`.
 *  Errors: NO_MEMORY; NOT_FOUND for a table that does not exist. */
ETP_EXPORT struct etp_error *etp_histogram_make(const struct etp_vm *vm,
                                                const struct etp_histogram_options *options,
                                                struct etp_histogram *ret);
ETP_EXPORT void etp_histogram_deinit(struct etp_histogram *histogram);

#endif
