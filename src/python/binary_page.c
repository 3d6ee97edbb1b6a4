// SPDX-License-Identifier: Apache-2.0
// Some binaries of a census as a table shows them, a row each.
#include "python/records.h"

#include <stdio.h>

#include <etp/census.h>

#include "python/scan.h"

enum { ADDRESS, SIZE, VISIBLE_BYTES, UNSEEN_BYTES, REFC, REFS, HOLDERS, PREVIEW, COLUMNS };

static const struct record_column columns[COLUMNS] = {
	[ADDRESS] = {"address", RECORD_NUMBER},
	[SIZE] = {"size", RECORD_NUMBER},
	[VISIBLE_BYTES] = {"visible_bytes", RECORD_NUMBER},
	[UNSEEN_BYTES] = {"unseen_bytes", RECORD_NUMBER},
	[REFC] = {"refc", RECORD_NUMBER},
	[REFS] = {"refs", RECORD_NUMBER},
	[HOLDERS] = {"holders", RECORD_SHARED},
	[PREVIEW] = {"preview", RECORD_SHARED},
};

enum {
	// Binary.flags: the resource of a NIF.
	FLAG_MAGIC = 1,
	// Bytes of text, or if that is none, numbers, as preview() in plugin/etp/text.py has them.
	PREVIEW_BYTES = 24,
	PREVIEW_NUMBERS = PREVIEW_BYTES / 3,
	PREVIEW_SIZE = 4 * PREVIEW_BYTES + 16,
};

struct page {
	VMObject *vm;
	const struct etp_census *census;
	struct etp_reader reader;
	RecordsObject *records;
	// Called with an address for what is not told here; the latter may be None.
	PyObject *holders_of, *preview_of;
	// Numbers of the texts of holders, each of which is the only one, with one reference.
	PyObject *numbers;
};

static size_t write_character(unsigned char byte, char *text)
{
	switch (byte) {
	case '"':
	case '\\':
		return (size_t)sprintf(text, "\\%c", byte);
	case '\t':
		return (size_t)sprintf(text, "\\t");
	case '\n':
		return (size_t)sprintf(text, "\\n");
	case '\r':
		return (size_t)sprintf(text, "\\r");
	default:
		if (byte >= 0x20 && byte < 0x7f) {
			*text = (char)byte;
			return 1;
		}
		return (size_t)sprintf(text, "\\x%02X", byte);
	}
}

static size_t write_preview(const unsigned char *head, uint64_t size, char text[PREVIEW_SIZE])
{
	size_t count = size < PREVIEW_BYTES ? (size_t)size : PREVIEW_BYTES, printable = 0;
	if (!size)
		return (size_t)sprintf(text, "<<>>");
	for (size_t i = 0; i < count; i++)
		printable += head[i] >= 0x20 && head[i] < 0x7f;
	size_t length = (size_t)sprintf(text, "<<");
	if (printable * 4 >= count * 3) {
		text[length++] = '"';
		for (size_t i = 0; i < count; i++)
			length += write_character(head[i], text + length);
		return length + (size_t)sprintf(text + length, "%s\">>", size > count ? "..." : "");
	}
	for (size_t i = 0; i < count && i < PREVIEW_NUMBERS; i++)
		length += (size_t)sprintf(text + length, "%s%u", i ? "," : "", head[i]);
	return length +
	       (size_t)sprintf(text + length, "%s>>", size > PREVIEW_NUMBERS ? ",..." : "");
}

static PyObject *ask(PyObject *callable, uint64_t address)
{
	return PyObject_CallFunction(callable, "K", (unsigned long long)address);
}

static PyObject *preview(struct page *page, const struct etp_ets_scan_binary *binary)
{
	char text[PREVIEW_SIZE];
	uint64_t count = binary->size < PREVIEW_BYTES ? binary->size : PREVIEW_BYTES;
	if (page->preview_of == Py_None)
		return Py_BuildValue("");
	const void *head = count ? etp_reader_at(&page->reader, binary->data_address, count) : text;
	if (!head || binary->flags & FLAG_MAGIC)
		return ask(page->preview_of, binary->address);
	return PyUnicode_FromStringAndSize(text,
	                                   (Py_ssize_t)write_preview(head, binary->size, text));
}

// The number of the text of all holders of a binary; UINT64_MAX with an exception.
static uint64_t number_of_holders(struct page *page, uint64_t address,
                                  const struct etp_census_holder *only)
{
	if (!only)
		return Records_share(page->records, HOLDERS, ask(page->holders_of, address));
	PyObject *key = Py_BuildValue("(Ki)", (unsigned long long)only->address, (int)only->kind);
	PyObject *known = key ? PyDict_GetItemWithError(page->numbers, key) : NULL;
	uint64_t number = UINT64_MAX;
	if (known) {
		number = PyLong_AsUnsignedLongLong(known);
	} else if (!PyErr_Occurred()) {
		number = Records_share(page->records, HOLDERS, ask(page->holders_of, address));
		PyObject *value = number == UINT64_MAX ? NULL : PyLong_FromUnsignedLongLong(number);
		if (!value || PyDict_SetItem(page->numbers, key, value))
			number = UINT64_MAX;
		Py_XDECREF(value);
	}
	Py_XDECREF(key);
	return number;
}

static bool add(struct page *page, size_t row_number, size_t index)
{
	struct etp_ets_scan_binary binary;
	struct etp_census_holder holder;
	etp_census_binary(page->census, index, &binary);
	bool is_only = etp_census_holder_count(page->census, index) == 1;
	if (is_only) {
		struct etp_error *err = etp_census_holders(page->census, index, &holder, 1);
		if (err) {
			raise_error(err);
			return false;
		}
	}
	uint64_t *row = Records_row(page->records, row_number);
	row[ADDRESS] = binary.address;
	row[SIZE] = binary.size;
	row[VISIBLE_BYTES] = binary.visible_bytes;
	row[UNSEEN_BYTES] =
		binary.size > binary.visible_bytes ? binary.size - binary.visible_bytes : 0;
	row[REFC] = binary.refc;
	row[REFS] = binary.refs;
	row[HOLDERS] = number_of_holders(page, binary.address,
	                                 is_only && holder.refs == 1 ? &holder : NULL);
	if (row[HOLDERS] == UINT64_MAX)
		return false;
	row[PREVIEW] = Records_share(page->records, PREVIEW, preview(page, &binary));
	return row[PREVIEW] != UINT64_MAX;
}

static bool fill(struct page *page, PyObject *addresses)
{
	for (size_t i = 0; i < page->records->count; i++) {
		unsigned long long address =
			PyLong_AsUnsignedLongLong(PyList_GetItem(addresses, (Py_ssize_t)i));
		if (PyErr_Occurred())
			return false;
		size_t index = etp_census_find(page->census, address);
		if (index == SIZE_MAX) {
			PyErr_Format(PyExc_KeyError, "no binary at 0x%llx", address);
			return false;
		}
		if (!add(page, i, index))
			return false;
	}
	return !PyErr_CheckSignals();
}

PyObject *binary_page(VMObject *vm, const struct etp_census *census, PyObject *args)
{
	struct page page = {.vm = vm, .census = census};
	PyObject *addresses;
	if (!PyArg_ParseTuple(args, "O!OO:binary_page", &PyList_Type, &addresses, &page.holders_of,
	                      &page.preview_of))
		return NULL;
	etp_reader_init(&page.reader, etp_vm_target(vm->vm));
	page.numbers = PyDict_New();
	page.records =
		(RecordsObject *)Records_new(vm, columns, COLUMNS, (size_t)PyList_Size(addresses));
	if (!page.numbers || !page.records || !fill(&page, addresses))
		Py_CLEAR(page.records);
	Py_XDECREF(page.numbers);
	return (PyObject *)page.records;
}
