// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PYTHON_TERM_VALUE_H
#define ETP_PYTHON_TERM_VALUE_H

#include "python/binding.h"

// Python's own object for a small or big integer, a float, an atom (str) or a
// binary of whole bytes (bytes): a new reference. NULL without an exception for
// every other term.
PyObject *view_to_python(const struct etp_vm *vm, struct etp_reader *reader,
                         const struct etp_term_view *view);

// The whole bytes of a bitstring, at most `limit` of them if that is not negative.
PyObject *view_to_bytes(const struct etp_term_view *view, long long limit);

#endif
