// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_COLLECTION_H
#define ETP_COLLECTION_H

/**
 * @file
 * The collections that etp tells apart: Erlang's own, and those that OTP's and Elixir's
 * modules make of them.
 *
 * The latter are told by their form alone, all of it: a tree that has as many nodes as it
 * says, a dict whose buckets hold as many pairs. What does not fit whole is the tuple, list
 * or map that it is. Some forms are not theirs only: a queue is a pair of lists, neither of
 * them empty, a set a map whose values are all `[]`, an orddict a list of pairs in order of
 * their keys (only atoms, small integers and binaries are compared).
 */

#include <etp/export.h>

enum etp_collection_kind {
	ETP_COLLECTION_MAP,
	ETP_COLLECTION_LIST,
	ETP_COLLECTION_TUPLE,
	/** An off-heap binary: its size is in bytes. */
	ETP_COLLECTION_BINARY,
	/** queue: `{Rear, Front}` of at least two elements. */
	ETP_COLLECTION_QUEUE,
	/** sets, of version 1 (a `set` record) or 2 (a map). */
	ETP_COLLECTION_SET,
	ETP_COLLECTION_DICT,
	ETP_COLLECTION_GB_TREE,
	ETP_COLLECTION_GB_SET,
	ETP_COLLECTION_ARRAY,
	ETP_COLLECTION_ORDDICT,
	/** Elixir's MapSet. */
	ETP_COLLECTION_MAP_SET,
	/** The dictionary of a process, of etp/accumulators.h only. */
	ETP_COLLECTION_DICTIONARY,
};

/** "map", "list", "tuple", "binary", "queue", "set", "dict", "gb_tree", "gb_set", "array",
 *  "orddict", "map_set" or "dictionary". */
ETP_EXPORT const char *etp_collection_name(enum etp_collection_kind kind);

#endif
