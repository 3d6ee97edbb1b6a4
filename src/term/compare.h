// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_COMPARE_H
#define ETP_TERM_COMPARE_H

#include <stdbool.h>

#include <etp/error.h>
#include <etp/term.h>

struct etp_reader;

// Erlang's =:=, for terms of any depth. What cannot be read equals nothing. The
// readers may be the same, and differ where the terms come from different rows of
// compressed tables. Errors: NO_MEMORY, BAD_DATA when they run in circles.
struct etp_error *etp_term_equal(const struct etp_vm *vm, struct etp_reader *reader_a, etp_term a,
                                 struct etp_reader *reader_b, etp_term b, bool *ret);

// A number that is the same for all terms that etp_term_equal() finds equal. It depends on
// the first few parts of a term only, so that it takes the same time for any term.
uint64_t etp_term_hash(const struct etp_vm *vm, struct etp_reader *reader, etp_term term);

#endif
