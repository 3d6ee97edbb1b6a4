// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ACCUMULATORS_H
#define ETP_ACCUMULATORS_H

/**
 * @file
 * Accumulators: the large collections inside of processes, rows and persistent terms, by
 * the path that leads to them. Whatever grows with traffic and is never emptied shows up
 * here, whichever library it is in.
 *
 * Memory: of one holder at a time 20 bytes a thing and 24 bytes a large collection, and
 * what is found at each path of one process, table or persistent term.
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

/** The collections of one kind at one path in a process, in all rows of a table or in a
 *  persistent term. */
struct etp_accumulator {
	/** Of rows, that of the largest collection. */
	struct etp_place place;
	/** Of a persistent term; else 0. */
	etp_term key;
	enum etp_collection_kind kind;
	/** Without what differs from one to the next: the index of steps LIST_ELEMENT and
	 *  TAIL is 0, and so is a key that is no atom. A key of a dictionary is a first step
	 *  VALUE. The target is the largest one; 0 for a dictionary, and in compressed rows,
	 *  which are expanded one at a time. */
	struct etp_path path;
	/** How many; the pairs, elements or bytes of all, and of the largest. */
	uint64_t collections, count, largest;
	/** Heap words that they and all in them occupy, and the sizes of the distinct
	 *  off-heap binaries that they refer to, in bytes: each once, however many of these
	 *  collections it is in. What a collection at another path refers to as well counts
	 *  in both. Of a compressed row: when it is expanded. Nodes of its large maps are
	 *  what remains of DbTerm.size, shared out by pairs: a few words too many if there
	 *  were sub-binaries in the row. */
	uint64_t words, binary_bytes;
};

struct etp_accumulators {
	/** What was looked at; rows that are too small to hold a large collection were not. */
	uint64_t processes, rows, small_rows, persistent_terms;
	/** Processes with so many messages that their mailbox is a large collection too, and
	 *  these messages: etp/message_shapes.h. */
	uint64_t mailboxes, messages;
	/** Holders of which a part was left out because they hold too much, and things that
	 *  could not be read. */
	uint64_t truncated, unreadable;
	/** What is wrong with the table of persistent terms, a static string, or NULL. */
	const char *problem;
	bool complete;
};

struct etp_accumulator_options {
	/** Smallest collection that counts: pairs or elements, and bytes of a binary.
	 *  0 means 1,000 and 1 MiB. */
	uint64_t min_count, min_bytes;
	/** Things of one holder to look at; 0 means ETP_SEARCH_THINGS_DEFAULT (etp/path.h). */
	size_t max_things;
	/** Called for what was found in a process, table or persistent term, in no order;
	 *  `item` is gone afterwards. False stops the search. */
	bool (*found)(void *context, const struct etp_accumulator *item);
	/** As in etp_census_options. */
	bool (*progress)(void *context, uint64_t done, uint64_t total, const char *what);
	void *context;
};

/** Look through all processes, rows and persistent terms. An interrupted search is a result:
 *  see `complete`. Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_accumulators_find(const struct etp_vm *vm,
                                                   const struct etp_accumulator_options *options,
                                                   struct etp_accumulators *ret);

#endif
