// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_DIST_EXPAND_H
#define ETP_TERM_DIST_EXPAND_H

// Messages and exit reasons from other nodes that the VM has not decoded yet
// (etp/dist_external.h).

#include "term/row_expand.h"

// Decode what the ErtsDistExternal at `address` holds. On success *term_ret is the term, and
// reader->overlay holds its words until `row` is used again. Binaries of more than 64 bytes are
// left where they are. Pairs of a map are in the order of the node that sent them. Otherwise as
// etp_row_expand().
//
// False if it cannot be decoded: bytes that have not come or are not in the target, or an
// atom that this VM has not met. `reason_ret` gets a static string, and the reader has no overlay.
bool etp_dist_expand(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                     struct etp_row_words *row, etp_term *term_ret, const char **reason_ret);

#endif
