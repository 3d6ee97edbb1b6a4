// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PYTHON_RECORDS_H
#define ETP_PYTHON_RECORDS_H

// Things of which a VM may have very many, a row of words each: to Python a sequence of tuples,
// which are made when somebody looks. What a table of all of them shows is written without an
// object for each.

#include "python/binding.h"

enum record_kind {
	RECORD_NUMBER,
	RECORD_FLAG,
	// The word of a term.
	RECORD_TERM,
	// The number of a value that many rows share: Records_share().
	RECORD_SHARED,
};

struct record_column {
	const char *name;
	enum record_kind kind;
};

typedef struct {
	PyObject_HEAD
	VMObject *vm;
	const struct record_column *columns;
	size_t column_count;
	// A word for each column.
	uint64_t *rows;
	size_t count;
	// Of a column of RECORD_SHARED: a list of the values; of others NULL.
	PyObject **shared;
} RecordsObject;

// With room for `count` rows, all of them zero. `columns` are static.
PyObject *Records_new(VMObject *vm, const struct record_column *columns, size_t column_count,
                      size_t count);

// The words of a row.
uint64_t *Records_row(RecordsObject *self, size_t index);

// Adds a value to those of a column; a new reference, which is stolen, NULL passes an exception on.
// Its number, or UINT64_MAX with an exception.
uint64_t Records_share(RecordsObject *self, size_t column, PyObject *value);

#endif
