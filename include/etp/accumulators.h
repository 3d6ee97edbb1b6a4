// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ACCUMULATORS_H
#define ETP_ACCUMULATORS_H

/**
 * @file
 * Accumulators: the large collections inside of processes and rows, by the path that
 * leads to them. Whatever grows with traffic and is never emptied shows up here,
 * whichever library it is in.
 *
 * Memory: 16 bytes a thing of one holder at a time, and the collections found.
 *
 * Thread safety: as etp_census.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/collection.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/path.h>

struct etp_vm;

struct etp_accumulator {
	/** A process or a row (place.row). */
	struct etp_place place;
	enum etp_collection_kind kind;
	/** Rows of compressed tables are expanded one at a time: of their terms only
	 *  those remain that are words of their own, such as atoms. The target and other
	 *  keys are 0. */
	struct etp_path path;
	/** Pairs, elements or bytes. */
	uint64_t count;
	/** Heap words that the collection and all in it occupy, and the sizes of the
	 *  distinct off-heap binaries that it refers to, in bytes. What another
	 *  collection refers to as well counts in both. Of a compressed row: when it is
	 *  expanded. Nodes of its large maps are what remains of DbTerm.size, shared out
	 *  by pairs: a few words too many if there were sub-binaries in the row. */
	uint64_t words, binary_bytes;
};

struct etp_accumulators {
	size_t count;
	/** Largest first, by bytes of words and binaries together. */
	struct etp_accumulator *items;
	/** Collections that were large enough, but not among the `max_items` largest. */
	uint64_t more;
	/** Holders looked at, those of which a part was left out because they hold too
	 *  much, and things that could not be read. */
	uint64_t holders, truncated, unreadable;
	bool complete;
};

struct etp_accumulator_options {
	/** Smallest collection that counts: pairs or elements, and bytes of a binary.
	 *  0 means 1,000 and 1 MiB. */
	uint64_t min_count, min_bytes;
	/** Collections to return; 0 means 200. */
	size_t max_items;
	/** Things of one holder to look at; 0 means ETP_SEARCH_THINGS_DEFAULT (etp/path.h). */
	size_t max_things;
	/** As in etp_census_options. */
	bool (*progress)(void *context, uint64_t done, uint64_t total, const char *what);
	void *context;
};

/** Look through all processes and rows. Release with etp_accumulators_deinit(). An
 *  interrupted search is a result: see `complete`. Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_accumulators_find(const struct etp_vm *vm,
                                                   const struct etp_accumulator_options *options,
                                                   struct etp_accumulators *ret);
ETP_EXPORT void etp_accumulators_deinit(struct etp_accumulators *accumulators);

#endif
