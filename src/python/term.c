// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

#include "python/term_value.h"
#include "term/dist_expand.h"
#include "term/compare.h"

PyTypeObject *Term_type, *RowWords_type;

enum {
	// Cells of a list that we are willing to count: 16 GiB of them.
	LIST_MAX = 1 << 30,
};

PyObject *Term_new(VMObject *vm, RowWordsObject *row, etp_term word)
{
	allocfunc allocate = (allocfunc)PyType_GetSlot(Term_type, Py_tp_alloc);
	TermObject *self = (TermObject *)allocate(Term_type, 0);
	if (!self)
		return NULL;
	Py_INCREF(vm);
	self->vm = vm;
	Py_XINCREF(row);
	self->row = row;
	self->word = word;
	return (PyObject *)self;
}

static void Term_dealloc(TermObject *self)
{
	Py_XDECREF(self->vm);
	Py_XDECREF(self->row);
	binding_free((PyObject *)self);
}

bool Term_is_of(const TermObject *self, const VMObject *vm)
{
	if (self->vm == vm)
		return true;
	PyErr_SetString(PyExc_ValueError, "this term is of another VM");
	return false;
}

void Term_reader(const TermObject *self, struct etp_reader *reader)
{
	etp_reader_init(reader, etp_vm_target(self->vm->vm));
	if (self->row)
		reader->overlay = self->row->overlay;
}

enum etp_term_kind Term_decode(const TermObject *self, struct etp_reader *reader,
                               struct etp_term_view *view)
{
	Term_reader(self, reader);
	return etp_term_decode(self->vm->vm, reader, self->word, view);
}

PyObject *Term_sibling(const TermObject *self, etp_term word)
{
	return Term_new(self->vm, self->row, word);
}

static PyObject *Term_get_word(TermObject *self, void *closure)
{
	return PyLong_FromUnsignedLongLong(self->word);
}

static PyObject *Term_get_address(TermObject *self, void *closure)
{
	struct etp_reader reader;
	struct etp_term_view view;
	Term_decode(self, &reader, &view);
	return PyLong_FromUnsignedLongLong(view.address);
}

static PyObject *Term_get_kind(TermObject *self, void *closure)
{
	static const char *const names[] = {
		[ETP_TERM_INVALID] = "invalid",
		[ETP_TERM_SMALL] = "small",
		[ETP_TERM_BIG] = "big",
		[ETP_TERM_FLOAT] = "float",
		[ETP_TERM_ATOM] = "atom",
		[ETP_TERM_NIL] = "nil",
		[ETP_TERM_CONS] = "cons",
		[ETP_TERM_TUPLE] = "tuple",
		[ETP_TERM_FLATMAP] = "map",
		[ETP_TERM_HASHMAP] = "map",
		[ETP_TERM_BITSTRING] = "bitstring",
		[ETP_TERM_MATCH_CONTEXT] = "match_context",
		[ETP_TERM_PID] = "pid",
		[ETP_TERM_PORT] = "port",
		[ETP_TERM_REF] = "ref",
		[ETP_TERM_FUN] = "fun",
		[ETP_TERM_EXPORT] = "export",
		[ETP_TERM_RECORD] = "record",
		[ETP_TERM_CATCH] = "catch",
		[ETP_TERM_HEADER] = "header",
		[ETP_TERM_NON_VALUE] = "non_value",
	};
	struct etp_reader reader;
	struct etp_term_view view;
	return PyUnicode_FromString(names[Term_decode(self, &reader, &view)]);
}

static PyObject *Term_get_is_literal(TermObject *self, void *closure)
{
	struct etp_reader reader;
	struct etp_term_view view;
	Term_decode(self, &reader, &view);
	return PyBool_FromLong(view.is_literal);
}

static PyObject *Term_get_vm(TermObject *self, void *closure)
{
	Py_INCREF(self->vm);
	return (PyObject *)self->vm;
}

static PyObject *format(const TermObject *self, const struct etp_print_options *options)
{
	struct etp_reader reader;
	Term_reader(self, &reader);
	struct etp_string text = {0};
	struct etp_error *err = etp_print_term(self->vm->vm, &reader, self->word, options, &text);
	PyObject *result = NULL;
	if (err)
		raise_error(err);
	else
		result = PyUnicode_DecodeUTF8(text.data ? text.data : "", (Py_ssize_t)text.size,
		                              "replace");
	etp_string_deinit(&text);
	return result;
}

static PyObject *Term_str(TermObject *self)
{
	struct etp_print_options options;
	etp_print_options_init(&options, ETP_SYNTAX_ERLANG_WRITE);
	options.unicode = true;
	return format(self, &options);
}

static PyObject *Term_repr(TermObject *self)
{
	struct etp_print_options options;
	etp_print_options_init(&options, ETP_SYNTAX_ERLANG_WRITE);
	options.unicode = true;
	options.max_depth = 5;
	options.max_length = 10;
	options.max_string = 100;
	PyObject *text = format(self, &options);
	PyObject *result = text ? PyUnicode_FromFormat("<etp term %U>", text) : NULL;
	Py_XDECREF(text);
	return result;
}

static PyObject *Term_format(TermObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"syntax",     "width",        "column",    "max_depth",
	                        "max_length", "max_string",   "max_bytes", "unicode",
	                        "redact",     "elixir_minor", NULL};
	const char *syntax = "w";
	unsigned long long max_depth = 0, max_length = 0, max_string = 0, max_bytes = 0;
	int width = -1, unicode = 1, redact = 0;
	unsigned column = 0, elixir_minor = 0;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$siIKKKKppI:format", names, &syntax,
	                                 &width, &column, &max_depth, &max_length, &max_string,
	                                 &max_bytes, &unicode, &redact, &elixir_minor))
		return NULL;
	struct etp_print_options options;
	if (!strcmp(syntax, "w")) {
		etp_print_options_init(&options, ETP_SYNTAX_ERLANG_WRITE);
	} else if (!strcmp(syntax, "p")) {
		etp_print_options_init(&options, ETP_SYNTAX_ERLANG_PRETTY);
	} else if (!strcmp(syntax, "elixir")) {
		etp_print_options_init(&options, ETP_SYNTAX_ELIXIR);
	} else {
		PyErr_Format(PyExc_ValueError, "syntax is \"w\", \"p\" or \"elixir\", not \"%s\"",
		             syntax);
		return NULL;
	}
	if (width >= 0)
		options.width = (unsigned)width;
	options.column = column;
	options.max_depth = max_depth;
	options.max_length = max_length;
	options.max_string = max_string;
	options.max_bytes = max_bytes;
	options.unicode = unicode;
	options.redact = redact;
	if (elixir_minor)
		options.elixir_minor = elixir_minor;
	return format(self, &options);
}

static PyObject *Term_raw_words(TermObject *self, PyObject *ignored)
{
	struct etp_reader reader;
	struct etp_term_view view;
	Term_decode(self, &reader, &view);
	PyObject *list = PyList_New(0);
	if (!list || !view.address)
		return list;
	const void *words = etp_reader_at(&reader, view.address, view.words * 8);
	if (!words) {
		Py_DECREF(list);
		return raise_error(etp_error_fault(reader.fault_address, "Words of a term"));
	}
	for (uint64_t i = 0; i < view.words; i++) {
		PyObject *word = PyLong_FromUnsignedLongLong(etp_word_at(words, i));
		if (!word || PyList_Append(list, word)) {
			Py_XDECREF(word);
			Py_DECREF(list);
			return NULL;
		}
		Py_DECREF(word);
	}
	return list;
}

static PyObject *Term_value(TermObject *self, PyObject *ignored)
{
	struct etp_reader reader;
	struct etp_term_view view;
	Term_decode(self, &reader, &view);
	PyObject *value = view_to_python(self->vm->vm, &reader, &view);
	if (value || PyErr_Occurred())
		return value;
	Py_INCREF(self);
	return (PyObject *)self;
}

static PyObject *Term_bytes(TermObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"limit", NULL};
	long long limit = -1;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|L:bytes", names, &limit))
		return NULL;
	struct etp_reader reader;
	struct etp_term_view view;
	if (Term_decode(self, &reader, &view) != ETP_TERM_BITSTRING) {
		PyErr_SetString(PyExc_TypeError, "not a binary");
		return NULL;
	}
	return view_to_bytes(&view, limit);
}

static PyObject *Term_binary(TermObject *self, PyObject *ignored)
{
	struct etp_reader reader;
	struct etp_term_view view;
	if (Term_decode(self, &reader, &view) != ETP_TERM_BITSTRING)
		Py_RETURN_NONE;
	return Py_BuildValue("{s:K,s:K,s:I,s:K}", "address", (unsigned long long)view.bits.binary,
	                     "bit_size", (unsigned long long)view.bits.bit_size, "bit_offset",
	                     view.bits.bit_offset, "data_address",
	                     (unsigned long long)view.bits.data_address);
}

// Number of cells up to the end of a list, and whether that end is []. -1 with an
// exception when the list runs in a circle or cannot be read.
static int64_t list_length(const TermObject *self, bool *proper)
{
	struct etp_reader reader;
	struct etp_term_view view;
	Term_reader(self, &reader);
	etp_term term = self->word, tortoise = 0;
	uint64_t power = 1, steps = 0;
	for (int64_t count = 0; count < LIST_MAX; count++) {
		enum etp_term_kind kind = etp_term_decode(self->vm->vm, &reader, term, &view);
		if (kind == ETP_TERM_INVALID) {
			raise_error(etp_error_create(
				ETP_ERROR_FAULT, "Cell %lld of the list at 0x%llx: %s.",
				(long long)count, (unsigned long long)term_pointer(self->word),
				view.reason));
			return -1;
		}
		*proper = kind == ETP_TERM_NIL;
		if (kind != ETP_TERM_CONS)
			return count;
		if (term == tortoise)
			break;
		if (++steps == power) {
			tortoise = term;
			power *= 2;
			steps = 0;
		}
		term = view.cons.tail;
	}
	raise_error(etp_error_create(ETP_ERROR_BAD_DATA, "The list at 0x%llx runs in a circle.",
	                             (unsigned long long)term_pointer(self->word)));
	return -1;
}

static PyObject *Term_is_proper_list(TermObject *self, PyObject *ignored)
{
	bool proper;
	int64_t length = list_length(self, &proper);
	return length < 0 ? NULL : PyBool_FromLong(proper);
}

static Py_ssize_t Term_length(TermObject *self)
{
	struct etp_reader reader;
	struct etp_term_view view;
	bool proper;
	switch (Term_decode(self, &reader, &view)) {
	case ETP_TERM_TUPLE:
		return (Py_ssize_t)view.tuple.arity;
	case ETP_TERM_FLATMAP:
		return (Py_ssize_t)view.flatmap.size;
	case ETP_TERM_HASHMAP:
		if (view.hashmap.size > PTRDIFF_MAX)
			break;
		return (Py_ssize_t)view.hashmap.size;
	case ETP_TERM_BITSTRING:
		return (Py_ssize_t)(view.bits.bit_size / 8);
	case ETP_TERM_NIL:
	case ETP_TERM_CONS: {
		int64_t length = list_length(self, &proper);
		if (length >= 0 && !proper)
			break;
		return (Py_ssize_t)length;
	}
	default:
		break;
	}
	PyErr_SetString(PyExc_TypeError, "this term has no length");
	return -1;
}

// A term that is neither empty nor false is true, also where it has no length.
static int Term_bool(TermObject *self)
{
	return 1;
}

static PyObject *element(const TermObject *self, const struct etp_term_view *view, Py_ssize_t index)
{
	if (view->kind == ETP_TERM_TUPLE) {
		Py_ssize_t arity = (Py_ssize_t)view->tuple.arity;
		if (index < 0)
			index += arity;
		if (index >= 0 && index < arity)
			return Term_sibling(self,
			                    etp_word_at(view->tuple.elements, (uint64_t)index));
		PyErr_Format(PyExc_IndexError, "element %zd of a tuple of %zd", index, arity);
		return NULL;
	}
	bool proper;
	int64_t length = list_length(self, &proper);
	if (length < 0)
		return NULL;
	if (index < 0)
		index += length;
	if (index < 0 || index >= length) {
		PyErr_Format(PyExc_IndexError, "element %zd of a list of %lld", index,
		             (long long)length);
		return NULL;
	}
	struct etp_reader reader;
	struct etp_term_view cell;
	Term_reader(self, &reader);
	etp_term_decode(self->vm->vm, &reader, self->word, &cell);
	for (; index && cell.kind == ETP_TERM_CONS; index--)
		etp_term_decode(self->vm->vm, &reader, cell.cons.tail, &cell);
	return Term_sibling(self, cell.cons.head);
}

// Is `key` what the user asked for? -1 with an exception.
static int key_matches(TermObject *self, struct etp_reader *reader, etp_term key, PyObject *wanted)
{
	if (PyObject_TypeCheck(wanted, Term_type)) {
		TermObject *other = (TermObject *)wanted;
		// Words of two cores say nothing about each other.
		if (other->vm != self->vm)
			return 0;
		struct etp_reader other_reader;
		Term_reader(other, &other_reader);
		bool equal;
		struct etp_error *err = etp_term_equal(self->vm->vm, reader, key, &other_reader,
		                                       other->word, &equal);
		if (err) {
			raise_error(err);
			return -1;
		}
		return equal;
	}
	struct etp_term_view view;
	etp_term_decode(self->vm->vm, reader, key, &view);
	// A str means an atom: binaries and charlists have types of their own.
	if (PyUnicode_Check(wanted) != (view.kind == ETP_TERM_ATOM))
		return 0;
	PyObject *value = view_to_python(self->vm->vm, reader, &view);
	if (!value)
		return PyErr_Occurred() ? -1 : 0;
	int equal = PyObject_RichCompareBool(value, wanted, Py_EQ);
	if (equal == 1 && PyFloat_Check(value) != PyFloat_Check(wanted))
		equal = 0;
	Py_DECREF(value);
	return equal;
}

// 1 and the value, 0 if the map has no such key, -1 with an exception.
static int look_up(TermObject *self, struct etp_reader *reader, const struct etp_term_view *map,
                   PyObject *wanted, etp_term *value_ret)
{
	struct etp_map_iter iter;
	etp_term key;
	etp_map_iter_init(&iter, self->vm->vm, reader, map, ETP_MAP_ORDER_ITERATOR);
	while (etp_map_iter_next(&iter, &key, value_ret)) {
		int matches = key_matches(self, reader, key, wanted);
		if (matches)
			return matches;
	}
	if (iter.damaged) {
		raise_error(etp_error_create(ETP_ERROR_BAD_DATA,
		                             "The map at 0x%llx cannot be read whole.",
		                             (unsigned long long)map->address));
		return -1;
	}
	return 0;
}

static PyObject *slice_of(TermObject *self, PyObject *slice)
{
	PyObject *all = PySequence_List((PyObject *)self);
	PyObject *part = all ? PyObject_GetItem(all, slice) : NULL;
	Py_XDECREF(all);
	return part;
}

static PyObject *Term_subscript(TermObject *self, PyObject *key)
{
	struct etp_reader reader;
	struct etp_term_view view;
	switch (Term_decode(self, &reader, &view)) {
	case ETP_TERM_TUPLE:
	case ETP_TERM_CONS:
	case ETP_TERM_NIL: {
		if (PySlice_Check(key))
			return slice_of(self, key);
		Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
		if (index == -1 && PyErr_Occurred())
			return NULL;
		return element(self, &view, index);
	}
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP: {
		etp_term value;
		int found = look_up(self, &reader, &view, key, &value);
		if (found > 0)
			return Term_sibling(self, value);
		if (!found)
			PyErr_SetObject(PyExc_KeyError, key);
		return NULL;
	}
	default:
		PyErr_SetString(PyExc_TypeError, "this term is neither a sequence nor a map");
		return NULL;
	}
}

static int Term_contains(TermObject *self, PyObject *wanted)
{
	struct etp_reader reader;
	struct etp_term_view view;
	etp_term value;
	Term_decode(self, &reader, &view);
	if (view.kind == ETP_TERM_FLATMAP || view.kind == ETP_TERM_HASHMAP)
		return look_up(self, &reader, &view, wanted, &value);
	PyObject *items = PySequence_List((PyObject *)self);
	if (!items)
		return -1;
	int found = 0;
	for (Py_ssize_t i = 0; !found && i < PyList_Size(items); i++) {
		TermObject *item = (TermObject *)PyList_GetItem(items, i);
		found = key_matches(self, &reader, item->word, wanted);
	}
	Py_DECREF(items);
	return found;
}

static PyObject *Term_tail(TermObject *self, PyObject *ignored)
{
	struct etp_reader reader;
	struct etp_term_view view;
	if (Term_decode(self, &reader, &view) != ETP_TERM_CONS) {
		PyErr_SetString(PyExc_TypeError, "only a cons cell has a tail");
		return NULL;
	}
	return Term_sibling(self, view.cons.tail);
}

static PyObject *Term_environment(TermObject *self, PyObject *ignored)
{
	struct etp_reader reader;
	struct etp_term_view view;
	if (Term_decode(self, &reader, &view) != ETP_TERM_FUN) {
		PyErr_SetString(PyExc_TypeError, "only a fun has an environment");
		return NULL;
	}
	PyObject *list = PyList_New(0);
	for (unsigned i = 0; list && i < view.fun.num_free; i++)
		if (!list_append(list, Term_sibling(self, etp_word_at(view.fun.env, i))))
			Py_CLEAR(list);
	return list;
}

static PyObject *Term_richcompare(TermObject *self, PyObject *other, int op)
{
	if ((op != Py_EQ && op != Py_NE) || !PyObject_TypeCheck(other, Term_type))
		Py_RETURN_NOTIMPLEMENTED;
	struct etp_reader reader;
	Term_reader(self, &reader);
	int equal = key_matches(self, &reader, self->word, other);
	return equal < 0 ? NULL : PyBool_FromLong(equal == (op == Py_EQ));
}

static Py_hash_t Term_hash(TermObject *self)
{
	struct etp_reader reader;
	Term_reader(self, &reader);
	// Not negative: -1 would mean an exception.
	return (Py_hash_t)(etp_term_hash(self->vm->vm, &reader, self->word) >> 1);
}

PyObject *Term_of_external(VMObject *vm, uint64_t address, const char **reason_ret)
{
	allocfunc allocate = (allocfunc)PyType_GetSlot(RowWords_type, Py_tp_alloc);
	RowWordsObject *words = (RowWordsObject *)allocate(RowWords_type, 0);
	if (!words)
		return NULL;
	etp_row_words_init(&words->words);
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(vm->vm));
	etp_term word;
	PyObject *term = Py_None;
	if (etp_dist_expand(vm->vm, &reader, address, &words->words, &word, reason_ret)) {
		words->overlay = reader.overlay;
		term = Term_new(vm, words, word);
	} else {
		Py_INCREF(term);
	}
	Py_DECREF(words);
	return term;
}

static void RowWords_dealloc(RowWordsObject *self)
{
	etp_row_words_deinit(&self->words);
	binding_free((PyObject *)self);
}

static PyGetSetDef Term_getset[] = {
	{"word", (getter)Term_get_word, NULL, NULL, NULL},
	{"address", (getter)Term_get_address, NULL, NULL, NULL},
	{"kind", (getter)Term_get_kind, NULL, NULL, NULL},
	{"is_literal", (getter)Term_get_is_literal, NULL, NULL, NULL},
	{"vm", (getter)Term_get_vm, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef Term_methods[] = {
	{"format", (PyCFunction)(void (*)(void))Term_format, METH_VARARGS | METH_KEYWORDS, NULL},
	{"raw_words", (PyCFunction)Term_raw_words, METH_NOARGS, NULL},
	{"value", (PyCFunction)Term_value, METH_NOARGS, NULL},
	{"bytes", (PyCFunction)(void (*)(void))Term_bytes, METH_VARARGS | METH_KEYWORDS, NULL},
	{"binary", (PyCFunction)Term_binary, METH_NOARGS, NULL},
	{"is_proper_list", (PyCFunction)Term_is_proper_list, METH_NOARGS, NULL},
	{"tail", (PyCFunction)Term_tail, METH_NOARGS, NULL},
	{"tally", (PyCFunction)Term_tally, METH_NOARGS, NULL},
	{"environment", (PyCFunction)Term_environment, METH_NOARGS, NULL},
	{"keys", (PyCFunction)Term_keys, METH_NOARGS, NULL},
	{"values", (PyCFunction)Term_values, METH_NOARGS, NULL},
	{"items", (PyCFunction)Term_items, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot Term_slots[] = {
	{Py_tp_new, binding_no_new},
	{Py_tp_doc, "A term of the VM."},
	{Py_tp_dealloc, Term_dealloc},
	{Py_tp_repr, Term_repr},
	{Py_tp_str, Term_str},
	{Py_tp_hash, Term_hash},
	{Py_tp_richcompare, Term_richcompare},
	{Py_tp_iter, Term_iter},
	{Py_tp_methods, Term_methods},
	{Py_tp_getset, Term_getset},
	{Py_nb_bool, Term_bool},
	{Py_mp_length, Term_length},
	{Py_mp_subscript, Term_subscript},
	{Py_sq_contains, Term_contains},
	{0, NULL},
};

static PyType_Spec Term_spec = {
	.name = "_etp.Term",
	.basicsize = sizeof(TermObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = Term_slots,
};

static PyType_Slot RowWords_slots[] = {
	{Py_tp_new, binding_no_new},
	{Py_tp_dealloc, RowWords_dealloc},
	{0, NULL},
};

static PyType_Spec RowWords_spec = {
	.name = "_etp.RowWords",
	.basicsize = sizeof(RowWordsObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = RowWords_slots,
};

int binding_init_terms(PyObject *module)
{
	Term_type = binding_add_type(module, &Term_spec);
	RowWords_type = (PyTypeObject *)PyType_FromSpec(&RowWords_spec);
	return Term_type && RowWords_type && !binding_init_term_iterator() ? 0 : -1;
}
