// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PYTHON_SCAN_H
#define ETP_PYTHON_SCAN_H

// What the bindings of the ETS scan and of the census share.

#include "python/binding.h"

// Call `callback(done, total, what)`, if it is not NULL; true to stop. Looks after
// Ctrl-C even without a callback. What the callback or a signal handler raises
// stops the work.
bool call_progress(PyObject *callback, uint64_t done, uint64_t total, const char *what);

// Ctrl-C asks for what was found up to then: forget a KeyboardInterrupt. False if
// another exception is set.
bool forgive_interrupt(void);

// {address: {...}} of all tables of a scan.
PyObject *scan_tables_dict(const struct etp_ets_scan *scan);

// The dict of a binary; `holders` is a new reference that is stolen.
PyObject *binary_dict(const struct etp_ets_scan_binary *binary, size_t holder_count,
                      PyObject *holders);

// The binaries of a scan that the arguments of Python's binaries(sort, limit, unaccounted, reverse)
// ask for, as dicts that `to_dict(source, index)` makes.
PyObject *chosen_binaries(const struct etp_ets_scan *scan, PyObject *args, PyObject *kwargs,
                          const void *source,
                          PyObject *(*to_dict)(const void *source, size_t index));

struct etp_census;

// binary_page() of a census (plugin/_etp.pyi).
PyObject *binary_page(VMObject *vm, const struct etp_census *census, PyObject *args);

#endif
