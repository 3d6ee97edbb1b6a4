// SPDX-License-Identifier: Apache-2.0
#include "python/term_value.h"

// Through hexadecimal text: the limited API has no way for bytes before 3.13.
static PyObject *big_to_python(const struct etp_term_view *view)
{
	static const char digits[] = "0123456789abcdef";
	// 1 GiB of digits; more cannot be a number that anybody stored.
	if (!view->big.count || view->big.count > UINT64_C(1) << 24)
		return NULL;
	size_t size = (size_t)view->big.count * 16 + 2;
	char *text = PyMem_Malloc(size);
	if (!text)
		return PyErr_NoMemory();
	char *p = text;
	if (view->big.negative)
		*p++ = '-';
	for (uint64_t i = view->big.count; i--;) {
		uint64_t digit = etp_word_at(view->big.digits, i);
		for (int shift = 60; shift >= 0; shift -= 4)
			*p++ = digits[digit >> shift & 0xf];
	}
	*p = '\0';
	PyObject *value = PyLong_FromString(text, NULL, 16);
	PyMem_Free(text);
	return value;
}

PyObject *view_to_bytes(const struct etp_term_view *view, long long limit)
{
	if (!view->bits.bytes)
		return raise_error(etp_error_fault(view->bits.data_address, "Bytes of a binary"));
	uint64_t size = view->bits.bit_size / 8;
	if (limit >= 0 && (uint64_t)limit < size)
		size = (uint64_t)limit;
	if (!view->bits.bit_offset)
		return PyBytes_FromStringAndSize((const char *)view->bits.bytes, (Py_ssize_t)size);
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	char *to = bytes ? PyBytes_AsString(bytes) : NULL;
	for (uint64_t i = 0; to && i < size; i++)
		to[i] = (char)etp_bits_byte(view, i);
	return bytes;
}

PyObject *view_to_python(const struct etp_vm *vm, struct etp_reader *reader,
                         const struct etp_term_view *view)
{
	switch (view->kind) {
	case ETP_TERM_SMALL:
		return PyLong_FromLongLong(view->small);
	case ETP_TERM_BIG:
		return big_to_python(view);
	case ETP_TERM_FLOAT:
		return PyFloat_FromDouble(view->float_value);
	case ETP_TERM_ATOM:
		return atom_to_str(vm, view->atom);
	case ETP_TERM_BITSTRING:
		return view->bits.bit_size % 8 || !view->bits.bytes ? NULL
		                                                    : view_to_bytes(view, -1);
	default:
		return NULL;
	}
}
