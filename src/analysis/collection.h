// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_COLLECTION_H
#define ETP_ANALYSIS_COLLECTION_H

// Tells the collections of OTP's and Elixir's modules by their form (stdlib: queue.erl,
// sets.erl, dict.erl, gb_trees.erl, gb_sets.erl, array.erl, orddict.erl).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/collection.h>
#include <etp/term.h>

struct collection {
	enum etp_collection_kind kind;
	// Elements, as queue:len/1, sets:size/1 ... tell.
	uint64_t size;
};

// A thing that a collection is built of; elements are none.
struct collection_part {
	// Words that it occupies; of a large map with its nodes and pairs.
	uint64_t address, words;
	// Pairs of a large map, else 0.
	uint64_t trie_pairs;
	// The tuple of a small map's keys, which maps share: not in `words`.
	uint64_t key_tuple_words;
};

typedef void collection_part_fn(void *context, const struct collection_part *part);

struct collection_finder {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// Of these, those that the VM does not have are 0.
	etp_term dict, set, array, nil, struct_key, map_set, map_key;
	etp_term *stack;
	size_t stack_count, stack_capacity;
	// Cells, nodes and pairs that may still be looked at.
	uint64_t budget;
	// The budget did not suffice, or memory did not.
	bool exhausted, out_of_memory;
};

void collection_finder_init(struct collection_finder *finder, const struct etp_vm *vm,
                            struct etp_reader *reader);
void collection_finder_deinit(struct collection_finder *finder);

// Is it one of the modules' collections, of at least `min_size` elements? `begins_list` says
// of a cons cell that no other cell leads to it.
bool collection_find(struct collection_finder *finder, const struct etp_term_view *view,
                     bool begins_list, uint64_t min_size, struct collection *ret);

// Call `part` for each thing that a collection is built of, which was found before.
void collection_parts(struct collection_finder *finder, const struct etp_term_view *view,
                      const struct collection *collection, collection_part_fn *part, void *context);

#endif
