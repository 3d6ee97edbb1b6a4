// SPDX-License-Identifier: Apache-2.0
#include "python/records.h"

#include "python/cells.h"
#include "util/string.h"

enum { SIGNALS_EVERY = 1024, WORD = 8 };

static PyTypeObject *Records_type;

PyObject *Records_new(VMObject *vm, const struct record_column *columns, size_t column_count,
                      size_t count)
{
	allocfunc allocate = (allocfunc)PyType_GetSlot(Records_type, Py_tp_alloc);
	RecordsObject *self = (RecordsObject *)allocate(Records_type, 0);
	if (!self)
		return NULL;
	Py_INCREF(vm);
	self->vm = vm;
	self->columns = columns;
	self->column_count = column_count;
	self->count = count;
	self->rows = PyMem_Calloc(count * column_count + 1, sizeof(*self->rows));
	self->shared = PyMem_Calloc(column_count, sizeof(PyObject *));
	bool ok = self->rows && self->shared;
	if (!ok)
		PyErr_NoMemory();
	for (size_t i = 0; ok && i < column_count; i++)
		ok = columns[i].kind != RECORD_SHARED || (self->shared[i] = PyList_New(0));
	if (ok)
		return (PyObject *)self;
	Py_DECREF(self);
	return NULL;
}

uint64_t *Records_row(RecordsObject *self, size_t index)
{
	return self->rows + index * self->column_count;
}

uint64_t Records_share(RecordsObject *self, size_t column, PyObject *value)
{
	Py_ssize_t number = PyList_Size(self->shared[column]);
	return list_append(self->shared[column], value) ? (uint64_t)number : UINT64_MAX;
}

static void Records_dealloc(RecordsObject *self)
{
	for (size_t i = 0; self->shared && i < self->column_count; i++)
		Py_XDECREF(self->shared[i]);
	PyMem_Free(self->shared);
	PyMem_Free(self->rows);
	Py_XDECREF(self->vm);
	binding_free((PyObject *)self);
}

static Py_ssize_t Records_length(RecordsObject *self)
{
	return (Py_ssize_t)self->count;
}

static PyObject *value(RecordsObject *self, size_t index, size_t column)
{
	uint64_t word = Records_row(self, index)[column];
	switch (self->columns[column].kind) {
	case RECORD_FLAG:
		return PyBool_FromLong(word != 0);
	case RECORD_TERM:
		return Term_new(self->vm, NULL, word);
	case RECORD_SHARED: {
		PyObject *shared = PyList_GetItem(self->shared[column], (Py_ssize_t)word);
		Py_XINCREF(shared);
		return shared;
	}
	case RECORD_NUMBER:
		break;
	}
	return PyLong_FromUnsignedLongLong(word);
}

static PyObject *Records_item(RecordsObject *self, Py_ssize_t index)
{
	if (index < 0 || (size_t)index >= self->count) {
		PyErr_SetString(PyExc_IndexError, "there are no more");
		return NULL;
	}
	PyObject *tuple = PyTuple_New((Py_ssize_t)self->column_count);
	for (size_t i = 0; tuple && i < self->column_count; i++) {
		PyObject *one = value(self, (size_t)index, i);
		if (!one || PyTuple_SetItem(tuple, (Py_ssize_t)i, one))
			Py_CLEAR(tuple);
	}
	return tuple;
}

// The number of a column. SIZE_MAX with an exception.
static size_t find_column(const RecordsObject *self, const char *name)
{
	for (size_t i = 0; i < self->column_count; i++)
		if (!strcmp(self->columns[i].name, name))
			return i;
	PyErr_Format(PyExc_KeyError, "no column %s", name);
	return SIZE_MAX;
}

static PyObject *Records_values(RecordsObject *self, PyObject *args)
{
	const char *name;
	size_t column;
	if (!PyArg_ParseTuple(args, "s:values", &name) ||
	    (column = find_column(self, name)) == SIZE_MAX)
		return NULL;
	PyObject *list = PyList_New((Py_ssize_t)self->count);
	for (size_t i = 0; list && i < self->count; i++) {
		PyObject *one = value(self, i, column);
		if (!one || PyList_SetItem(list, (Py_ssize_t)i, one))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *Records_shared(RecordsObject *self, PyObject *args)
{
	const char *name;
	size_t column;
	if (!PyArg_ParseTuple(args, "s:shared", &name) ||
	    (column = find_column(self, name)) == SIZE_MAX)
		return NULL;
	if (!self->shared[column])
		return PyErr_Format(PyExc_ValueError, "%s has no shared values", name);
	return PyList_GetSlice(self->shared[column], 0, PY_SSIZE_T_MAX);
}

static PyObject *Records_pick(RecordsObject *self, PyObject *args)
{
	PyObject *indexes;
	if (!PyArg_ParseTuple(args, "O!:pick", &PyList_Type, &indexes))
		return NULL;
	RecordsObject *picked = (RecordsObject *)Records_new(
		self->vm, self->columns, self->column_count, (size_t)PyList_Size(indexes));
	if (!picked)
		return NULL;
	for (size_t i = 0; i < self->column_count; i++) {
		Py_XINCREF(self->shared[i]);
		Py_XDECREF(picked->shared[i]);
		picked->shared[i] = self->shared[i];
	}
	for (size_t i = 0; i < picked->count; i++) {
		size_t index = PyLong_AsSize_t(PyList_GetItem(indexes, (Py_ssize_t)i));
		if (!PyErr_Occurred() && index < self->count) {
			memcpy(Records_row(picked, i), Records_row(self, index),
			       self->column_count * sizeof(*self->rows));
			continue;
		}
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_IndexError, "there are no more");
		Py_DECREF(picked);
		return NULL;
	}
	return (PyObject *)picked;
}

// How a column of a table is written.
struct cell {
	size_t width;
	// Of texts, which have been padded: their number in a row is in `column` of it, or in
	// `numbers`.
	PyObject *texts;
	const uint32_t *numbers;
	size_t column;
	// Of numbers and terms.
	enum cell_style style;
	// Of the number; 1, or bytes of a word.
	unsigned factor;
	int omits_zero;
};

static bool parse_style(const char *name, enum cell_style *ret)
{
	static const char *const names[] = {
		[CELL_COUNT] = "count",
		[CELL_BYTES] = "bytes",
		[CELL_WORDS] = "words",
		[CELL_ADDRESS] = "address",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name)) {
			*ret = (enum cell_style)i;
			return true;
		}
	PyErr_Format(PyExc_ValueError, "no style %s", name);
	return false;
}

// (column, style, factor, omits zero, width), of which `format` says how many there are.
static bool parse_number_cell(RecordsObject *self, PyObject *tuple, const char *format,
                              struct cell *ret)
{
	const char *name, *style;
	Py_ssize_t width = 0;
	if (!PyArg_ParseTuple(tuple, format, &name, &style, &ret->factor, &ret->omits_zero,
	                      &width) ||
	    (ret->column = find_column(self, name)) == SIZE_MAX || !parse_style(style, &ret->style))
		return false;
	if (self->shared[ret->column] || width < 0 || ret->factor > WORD)
		PyErr_Format(PyExc_ValueError, "%s has no numbers, or this is no factor or width",
		             name);
	ret->width = (size_t)width;
	return !PyErr_Occurred();
}

// (column, or a number of four bytes for each row; texts)
static bool parse_text_cell(RecordsObject *self, PyObject *tuple, struct cell *ret)
{
	PyObject *numbers;
	if (!PyArg_ParseTuple(tuple, "OO!", &numbers, &PyList_Type, &ret->texts))
		return false;
	if (PyBytes_Check(numbers)) {
		ret->numbers = (const uint32_t *)(const void *)PyBytes_AsString(numbers);
		if ((size_t)PyBytes_Size(numbers) / sizeof(*ret->numbers) != self->count)
			PyErr_SetString(PyExc_ValueError, "not a number for each row");
		return !PyErr_Occurred();
	}
	const char *name;
	return PyArg_ParseTuple(tuple, "sO", &name, &numbers) &&
	       (ret->column = find_column(self, name)) != SIZE_MAX;
}

static bool parse_cell(RecordsObject *self, PyObject *tuple, struct cell *ret)
{
	enum { OF_TEXT = 2 };
	if (!PyTuple_Check(tuple)) {
		PyErr_SetString(PyExc_TypeError, "a cell is a tuple");
		return false;
	}
	*ret = (struct cell){0};
	return PyTuple_Size(tuple) == OF_TEXT ? parse_text_cell(self, tuple, ret)
	                                      : parse_number_cell(self, tuple, "ssIpn", ret);
}

// The text of an immediate, which is ASCII. False with an exception.
static bool append_term(RecordsObject *self, struct etp_reader *reader, etp_term term,
                        struct etp_string *out)
{
	struct etp_print_options options;
	etp_print_options_init(&options, ETP_SYNTAX_ERLANG_WRITE);
	struct etp_error *err = etp_print_term(self->vm->vm, reader, term, &options, out);
	if (err)
		raise_error(err);
	return !err;
}

static bool reserve(struct etp_string *out, size_t more)
{
	if (!etp_string_reserve(out, more))
		PyErr_NoMemory();
	return !PyErr_Occurred();
}

static void pad(struct etp_string *out, size_t count)
{
	memset(out->data + out->size, ' ', count);
	out->size += count;
}

static bool append_number(const struct cell *cell, uint64_t number, struct etp_string *out)
{
	char text[CELL_SIZE];
	size_t size = 0;
	if (number || !cell->omits_zero)
		size = cell_write(cell->style, (unsigned __int128)number * cell->factor, text);
	size_t padding = cell->width > size ? cell->width - size : 0;
	if (!reserve(out, size + padding))
		return false;
	if (cell->style != CELL_ADDRESS)
		pad(out, padding);
	memcpy(out->data + out->size, text, size);
	out->size += size;
	if (cell->style == CELL_ADDRESS)
		pad(out, padding);
	return true;
}

static bool append_text(const struct cell *cell, uint64_t number, struct etp_string *out)
{
	PyObject *text = PyList_GetItem(cell->texts, (Py_ssize_t)number);
	char *bytes;
	Py_ssize_t size;
	if (!text || PyBytes_AsStringAndSize(text, &bytes, &size) || !reserve(out, (size_t)size))
		return false;
	memcpy(out->data + out->size, bytes, (size_t)size);
	out->size += (size_t)size;
	return true;
}

static bool append_cell(RecordsObject *self, struct etp_reader *reader, const struct cell *cell,
                        size_t index, struct etp_string *out)
{
	if (cell->numbers)
		return append_text(cell, cell->numbers[index], out);
	uint64_t word = Records_row(self, index)[cell->column];
	if (cell->texts)
		return append_text(cell, word, out);
	if (self->columns[cell->column].kind != RECORD_TERM)
		return append_number(cell, word, out);
	size_t start = out->size;
	if (!append_term(self, reader, word, out))
		return false;
	size_t size = out->size - start;
	size_t padding = cell->width > size ? cell->width - size : 0;
	if (!reserve(out, padding))
		return false;
	pad(out, padding);
	return true;
}

static PyObject *Records_width(RecordsObject *self, PyObject *args)
{
	struct cell cell = {0};
	if (!parse_number_cell(self, args, "ssIp:width", &cell))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm->vm));
	struct etp_string text = {0};
	size_t width = 0;
	bool ok = true;
	for (size_t i = 0; ok && i < self->count; i++) {
		text.size = 0;
		ok = append_cell(self, &reader, &cell, i, &text) &&
		     (i % SIGNALS_EVERY || !PyErr_CheckSignals());
		width = text.size > width ? text.size : width;
	}
	etp_string_deinit(&text);
	return ok ? PyLong_FromSize_t(width) : NULL;
}

static bool append_line(RecordsObject *self, struct etp_reader *reader, const struct cell *cells,
                        size_t count, size_t index, struct etp_string *out)
{
	size_t start = out->size;
	for (size_t i = 0; i < count; i++) {
		if (!reserve(out, 2))
			return false;
		pad(out, i ? 2 : 0);
		if (!append_cell(self, reader, &cells[i], index, out))
			return false;
	}
	while (out->size > start && out->data[out->size - 1] == ' ')
		out->size--;
	return etp_string_append(out, "\n", 1) || PyErr_NoMemory();
}

// NULL with an exception; PyMem_Free() frees them.
static struct cell *parse_cells(RecordsObject *self, PyObject *list, size_t *count_ret)
{
	size_t count = (size_t)PyList_Size(list);
	struct cell *cells = PyMem_Calloc(count + 1, sizeof(*cells));
	if (!cells)
		return (struct cell *)PyErr_NoMemory();
	*count_ret = count;
	for (size_t i = 0; i < count; i++)
		if (!parse_cell(self, PyList_GetItem(list, (Py_ssize_t)i), &cells[i])) {
			PyMem_Free(cells);
			return NULL;
		}
	return cells;
}

static PyObject *Records_lines(RecordsObject *self, PyObject *args)
{
	Py_ssize_t start, stop;
	PyObject *list;
	if (!PyArg_ParseTuple(args, "nnO!:lines", &start, &stop, &PyList_Type, &list))
		return NULL;
	if (start < 0 || stop < start) {
		PyErr_SetString(PyExc_ValueError, "no such rows");
		return NULL;
	}
	size_t end = (size_t)stop < self->count ? (size_t)stop : self->count;
	size_t count = 0;
	struct cell *cells = parse_cells(self, list, &count);
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm->vm));
	struct etp_string text = {0};
	bool ok = cells;
	for (size_t i = (size_t)start; ok && i < end; i++)
		ok = append_line(self, &reader, cells, count, i, &text);
	PyMem_Free(cells);
	PyObject *result = NULL;
	if (ok)
		result = PyUnicode_DecodeUTF8(text.data ? text.data : "", (Py_ssize_t)text.size,
		                              "strict");
	etp_string_deinit(&text);
	return result;
}

static PyMethodDef Records_methods[] = {
	{"values", (PyCFunction)Records_values, METH_VARARGS, NULL},
	{"shared", (PyCFunction)Records_shared, METH_VARARGS, NULL},
	{"pick", (PyCFunction)Records_pick, METH_VARARGS, NULL},
	{"width", (PyCFunction)Records_width, METH_VARARGS, NULL},
	{"lines", (PyCFunction)Records_lines, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot Records_slots[] = {
	{Py_tp_new, binding_no_new},        {Py_tp_dealloc, Records_dealloc},
	{Py_tp_methods, Records_methods},   {Py_sq_length, Records_length},
	{Py_sq_item, (void *)Records_item}, {0, NULL},
};

static PyType_Spec Records_spec = {
	.name = "_etp.Records",
	.basicsize = sizeof(RecordsObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = Records_slots,
};

int binding_init_records(PyObject *module)
{
	Records_type = binding_add_type(module, &Records_spec);
	return Records_type ? 0 : -1;
}
