// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

enum { ELEMENTS_A_LOOK = 1 << 16 };

// Iterates over the elements of a tuple or list, or over a map.
typedef struct {
	PyObject_HEAD
	TermObject *term;
	struct etp_reader reader;
	enum { ITERATE_TUPLE, ITERATE_LIST, ITERATE_KEYS, ITERATE_VALUES, ITERATE_ITEMS } mode;
	const void *elements;
	uint64_t position, count;
	etp_term rest, tortoise;
	uint64_t steps, power;
	struct etp_map_iter pairs;
	// Elements that were asked for.
	uint64_t asked;
} TermIteratorObject;

static PyTypeObject *TermIterator_type;

static PyObject *iterate(TermObject *self, int mode)
{
	struct etp_reader reader;
	struct etp_term_view view;
	enum etp_term_kind kind = Term_decode(self, &reader, &view);
	bool is_map = kind == ETP_TERM_FLATMAP || kind == ETP_TERM_HASHMAP;
	if (mode != ITERATE_KEYS && !is_map) {
		PyErr_SetString(PyExc_TypeError, "this term is not a map");
		return NULL;
	}
	if (kind == ETP_TERM_TUPLE) {
		mode = ITERATE_TUPLE;
	} else if (kind == ETP_TERM_CONS || kind == ETP_TERM_NIL) {
		mode = ITERATE_LIST;
	} else if (!is_map) {
		PyErr_SetString(PyExc_TypeError, "this term is neither a sequence nor a map");
		return NULL;
	}
	allocfunc allocate = (allocfunc)PyType_GetSlot(TermIterator_type, Py_tp_alloc);
	TermIteratorObject *iterator = (TermIteratorObject *)allocate(TermIterator_type, 0);
	if (!iterator)
		return NULL;
	Py_INCREF(self);
	iterator->term = self;
	iterator->mode = mode;
	iterator->power = 1;
	Term_reader(self, &iterator->reader);
	if (kind == ETP_TERM_TUPLE) {
		iterator->elements = view.tuple.elements;
		iterator->count = view.tuple.arity;
	} else if (is_map) {
		etp_map_iter_init(&iterator->pairs, self->vm->vm, &iterator->reader, &view,
		                  ETP_MAP_ORDER_ITERATOR);
	} else {
		iterator->rest = self->word;
	}
	return (PyObject *)iterator;
}

static PyObject *next_of_list(TermIteratorObject *self)
{
	struct etp_term_view view;
	enum etp_term_kind kind =
		etp_term_decode(self->term->vm->vm, &self->reader, self->rest, &view);
	if (kind == ETP_TERM_INVALID)
		return raise_error(etp_error_create(ETP_ERROR_FAULT,
		                                    "A cell of the list at 0x%llx: %s.",
		                                    (unsigned long long)view.address, view.reason));
	// The tail of an improper list is not an element; see Term.tail().
	if (kind != ETP_TERM_CONS)
		return NULL;
	if (self->rest == self->tortoise)
		return raise_error(etp_error_create(ETP_ERROR_BAD_DATA,
		                                    "The list runs in a circle at 0x%llx.",
		                                    (unsigned long long)view.address));
	if (++self->steps == self->power) {
		self->tortoise = self->rest;
		self->power *= 2;
		self->steps = 0;
	}
	self->rest = view.cons.tail;
	return Term_sibling(self->term, view.cons.head);
}

static PyObject *next_of_map(TermIteratorObject *self)
{
	etp_term key, value;
	if (!etp_map_iter_next(&self->pairs, &key, &value)) {
		if (self->pairs.damaged)
			raise_error(etp_error_create(ETP_ERROR_BAD_DATA,
			                             "The map cannot be read whole."));
		return NULL;
	}
	if (self->mode == ITERATE_KEYS)
		return Term_sibling(self->term, key);
	if (self->mode == ITERATE_VALUES)
		return Term_sibling(self->term, value);
	PyObject *pair[2] = {Term_sibling(self->term, key), Term_sibling(self->term, value)};
	PyObject *item = pair[0] && pair[1] ? PyTuple_Pack(2, pair[0], pair[1]) : NULL;
	Py_XDECREF(pair[0]);
	Py_XDECREF(pair[1]);
	return item;
}

static PyObject *TermIterator_next(TermIteratorObject *self)
{
	// What is written in C takes all elements, millions perhaps, without hearing Ctrl-C.
	if (++self->asked % ELEMENTS_A_LOOK == 0 && PyErr_CheckSignals())
		return NULL;
	switch (self->mode) {
	case ITERATE_TUPLE:
		if (self->position == self->count)
			return NULL;
		return Term_sibling(self->term, etp_word_at(self->elements, self->position++));
	case ITERATE_LIST:
		return next_of_list(self);
	default:
		return next_of_map(self);
	}
}

static void TermIterator_dealloc(TermIteratorObject *self)
{
	Py_XDECREF(self->term);
	binding_free((PyObject *)self);
}

PyObject *Term_iter(TermObject *self)
{
	return iterate(self, ITERATE_KEYS);
}

static PyObject *require_map(TermObject *self, int mode)
{
	struct etp_reader reader;
	struct etp_term_view view;
	enum etp_term_kind kind = Term_decode(self, &reader, &view);
	if (kind == ETP_TERM_FLATMAP || kind == ETP_TERM_HASHMAP)
		return iterate(self, mode);
	PyErr_SetString(PyExc_TypeError, "this term is not a map");
	return NULL;
}

PyObject *Term_keys(TermObject *self, PyObject *ignored)
{
	return require_map(self, ITERATE_KEYS);
}

PyObject *Term_values(TermObject *self, PyObject *ignored)
{
	return require_map(self, ITERATE_VALUES);
}

PyObject *Term_items(TermObject *self, PyObject *ignored)
{
	return require_map(self, ITERATE_ITEMS);
}

static PyType_Slot TermIterator_slots[] = {
	{Py_tp_new, binding_no_new},
	{Py_tp_dealloc, TermIterator_dealloc},
	{Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, TermIterator_next},
	{0, NULL},
};

static PyType_Spec TermIterator_spec = {
	.name = "_etp.TermIterator",
	.basicsize = sizeof(TermIteratorObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = TermIterator_slots,
};

int binding_init_term_iterator(void)
{
	TermIterator_type = (PyTypeObject *)PyType_FromSpec(&TermIterator_spec);
	return TermIterator_type ? 0 : -1;
}
