// SPDX-License-Identifier: Apache-2.0
// Terms that the VM would have made of others if it had been asked, such as what
// sys:get_state/1 returns of a gen_event. They stand in words of our own.

#include "python/binding.h"

enum {
	// Levels of tuples and lists around terms of the VM.
	DEPTH_MAX = 8,
	// Elements of one of these.
	ELEMENTS_MAX = 1 << 20,
};

// The word of `value` to *ret, after the words of what is in it were taken.
static bool compose(VMObject *self, PyObject *value, unsigned depth, struct etp_words *words,
                    etp_term *ret);

static bool take(struct etp_words *words, uint64_t count, size_t *index_ret)
{
	const char *reason = etp_words_take(words, count, index_ret);
	if (reason)
		PyErr_SetString(PyExc_MemoryError, reason);
	return !reason;
}

static bool compose_element(VMObject *self, PyObject *sequence, Py_ssize_t i, unsigned depth,
                            struct etp_words *words, etp_term *ret)
{
	PyObject *element = PySequence_GetItem(sequence, i);
	bool ok = element && compose(self, element, depth, words, ret);
	Py_XDECREF(element);
	return ok;
}

static bool compose_tuple(VMObject *self, PyObject *tuple, Py_ssize_t size, unsigned depth,
                          struct etp_words *words, etp_term *ret)
{
	size_t index;
	// A word behind it, so that the nothing behind an empty tuple is not beyond the
	// overlay.
	if (!take(words, (uint64_t)size + 2, &index))
		return false;
	words->words[index] = (uint64_t)size << HEADER_ARITY_SHIFT;
	words->words[index + (size_t)size + 1] = ETP_NIL;
	for (Py_ssize_t i = 0; i < size; i++) {
		etp_term word;
		if (!compose_element(self, tuple, i, depth, words, &word))
			return false;
		words->words[index + 1 + (size_t)i] = word;
	}
	*ret = etp_words_address(index) | TAG_PRIMARY_BOXED;
	return true;
}

static bool compose_list(VMObject *self, PyObject *list, Py_ssize_t size, unsigned depth,
                         struct etp_words *words, etp_term *ret)
{
	etp_term tail = ETP_NIL;
	for (Py_ssize_t i = size - 1; i >= 0; i--) {
		etp_term head;
		size_t index;
		if (!compose_element(self, list, i, depth, words, &head) || !take(words, 2, &index))
			return false;
		words->words[index] = head;
		words->words[index + 1] = tail;
		tail = etp_words_address(index) | TAG_PRIMARY_LIST;
	}
	*ret = tail;
	return true;
}

static bool compose(VMObject *self, PyObject *value, unsigned depth, struct etp_words *words,
                    etp_term *ret)
{
	if (PyObject_TypeCheck(value, Term_type)) {
		TermObject *term = (TermObject *)value;
		if (term->row) {
			PyErr_SetString(PyExc_ValueError, "a term that is not in the VM's memory");
			return false;
		}
		*ret = term->word;
		return Term_is_of(term, self);
	}
	if (!PyTuple_Check(value) && !PyList_Check(value)) {
		PyErr_SetString(PyExc_TypeError,
		                "terms, and tuples and lists of them, are composed");
		return false;
	}
	Py_ssize_t size = PySequence_Size(value);
	if (size < 0)
		return false;
	if (!depth || size > ELEMENTS_MAX) {
		PyErr_SetString(PyExc_ValueError, "this is too deep or too large to be composed");
		return false;
	}
	return PyTuple_Check(value) ? compose_tuple(self, value, size, depth - 1, words, ret)
	                            : compose_list(self, value, size, depth - 1, words, ret);
}

PyObject *VM_compose(VMObject *self, PyObject *value)
{
	if (!VM_is_open(self))
		return NULL;
	allocfunc allocate = (allocfunc)PyType_GetSlot(RowWords_type, Py_tp_alloc);
	RowWordsObject *row = (RowWordsObject *)allocate(RowWords_type, 0);
	if (!row)
		return NULL;
	etp_row_words_init(&row->words);
	etp_term word;
	PyObject *term = NULL;
	if (compose(self, value, DEPTH_MAX, &row->words.words, &word)) {
		row->overlay = (struct etp_segment){
			.start = etp_words_address(0),
			.size = row->words.words.used * 8,
			.bytes = (const unsigned char *)row->words.words.words,
		};
		term = Term_new(self, row, word);
	}
	Py_DECREF(row);
	return term;
}
