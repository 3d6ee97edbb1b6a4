// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_ROW_EXPAND_H
#define ETP_TERM_ROW_EXPAND_H

// Rows of compressed ETS tables (ERTS: erl_db_util.c, copy_to_comp): the key is a
// term as elsewhere, immediates are as they are, and every other element of the
// tuple is the distance to its external format, which follows in the same block.

#include <stdbool.h>
#include <stdint.h>

#include <etp/term.h>

#include "target/reader.h"
#include "term/external.h"

struct etp_vm;

// The words of one expanded row. Made to be used for row after row: they are
// allocated once, and so is what was looked up for the VM. Belongs to one thread.
struct etp_row_words {
	struct etp_words words;
	struct etp_external external;
	// Words of the row in the target, from its tuple on: what its key is made of lies
	// there, and not in the overlay.
	uint64_t block, block_words;
};

void etp_row_words_init(struct etp_row_words *row);
// A reader whose overlay are these words must not be used for them any more.
void etp_row_words_deinit(struct etp_row_words *row);

// Expand the row whose DbTerm is at `dbterm`, of a compressed table with keys at
// `keypos` (from 1). On success *tuple_ret is the row, and reader->overlay holds
// its words until `row` is used again. Pairs of a large map are in the VM's order,
// though its trie has another shape, because no keys are hashed here. Entries of
// funs and exports, and nodes that the VM has forgotten, are stand-ins in the
// overlay that know names and numbers but no code.
//
// False if the row cannot be decoded; `reason_ret` gets a static string, and the
// reader has no overlay.
bool etp_row_expand(const struct etp_vm *vm, struct etp_reader *reader, uint64_t dbterm,
                    unsigned keypos, struct etp_row_words *row, etp_term *tuple_ret,
                    const char **reason_ret);

// Words that the row occupies in the target, from its tuple on. 0 if it cannot be
// read.
uint64_t etp_row_block_words(const struct etp_vm *vm, struct etp_reader *reader, uint64_t dbterm,
                             unsigned keypos);

#endif
