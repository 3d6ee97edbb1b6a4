// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

#include <etp/mailboxes.h>
#include <etp/message_shapes.h>
#include <etp/signal_queue.h>

static PyObject *number(uint64_t value)
{
	return PyLong_FromUnsignedLongLong(value);
}

static PyObject *none(void)
{
	Py_RETURN_NONE;
}

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	return term ? Term_new(self, NULL, term) : none();
}

typedef struct {
	PyObject_HEAD
	VMObject *vm;
	struct etp_reader reader;
	struct etp_signal_iter iter;
} MessageIteratorObject;

static PyTypeObject *MessageIterator_type;

PyObject *VM_messages(VMObject *self, PyObject *args)
{
	PyObject *which;
	if (!PyArg_ParseTuple(args, "O:messages", &which))
		return NULL;
	uint64_t address = VM_process_address(self, which);
	if (!address)
		return NULL;
	allocfunc allocate = (allocfunc)PyType_GetSlot(MessageIterator_type, Py_tp_alloc);
	MessageIteratorObject *iterator =
		(MessageIteratorObject *)allocate(MessageIterator_type, 0);
	if (!iterator)
		return NULL;
	Py_INCREF(self);
	iterator->vm = self;
	etp_reader_init(&iterator->reader, etp_vm_target(self->vm));
	etp_signal_iter_init(&iterator->iter, self->vm, &iterator->reader, address);
	return (PyObject *)iterator;
}

static const char *kind_name(const struct etp_signal *signal)
{
	switch (signal->kind) {
	case ETP_SIGNAL_MESSAGE:
		return "message";
	case ETP_SIGNAL_EXTERNAL_MESSAGE:
		return "external";
	case ETP_SIGNAL_ALIAS_MESSAGE:
		return "alias";
	default:
		return "signal";
	}
}

static PyObject *MessageIterator_next(MessageIteratorObject *self)
{
	struct etp_signal signal;
	do {
		if (!etp_signal_iter_next(&self->iter, &signal))
			return NULL;
	} while (signal.kind == ETP_SIGNAL_RECV_MARKER);
	const char *undecoded = "";
	PyObject *term = signal.external ? Term_of_external(self->vm, signal.external, &undecoded)
	                                 : term_or_none(self->vm, signal.term);
	PyObject *from = term_or_none(self->vm, term_is_nil(signal.from) ? 0 : signal.from);
	PyObject *words = signal.words_known ? number(signal.words) : none();
	if (!term || !from || !words) {
		Py_XDECREF(term);
		Py_XDECREF(from);
		Py_XDECREF(words);
		return NULL;
	}
	return Py_BuildValue("(ssNNssNKKs)", etp_signal_queue_name(signal.queue),
	                     kind_name(&signal), term, from, etp_signal_name(&signal),
	                     etp_message_storage_name(signal.storage), words,
	                     (unsigned long long)signal.external_bytes,
	                     (unsigned long long)signal.address, undecoded);
}

static PyObject *MessageIterator_get_gaps(MessageIteratorObject *self, void *closure)
{
	return number(self->iter.gaps);
}

static PyObject *MessageIterator_get_problem(MessageIteratorObject *self, void *closure)
{
	return PyUnicode_FromString(self->iter.problem ? self->iter.problem : "");
}

static void MessageIterator_dealloc(MessageIteratorObject *self)
{
	Py_XDECREF(self->vm);
	binding_free((PyObject *)self);
}

static PyGetSetDef MessageIterator_getset[] = {
	{"gaps", (getter)MessageIterator_get_gaps, NULL, NULL, NULL},
	{"problem", (getter)MessageIterator_get_problem, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot MessageIterator_slots[] = {
	{Py_tp_new, binding_no_new},
	{Py_tp_dealloc, MessageIterator_dealloc},
	{Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, MessageIterator_next},
	{Py_tp_getset, MessageIterator_getset},
	{0, NULL},
};

static PyType_Spec MessageIterator_spec = {
	.name = "_etp.MessageIterator",
	.basicsize = sizeof(MessageIteratorObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = MessageIterator_slots,
};

static PyObject *sample(VMObject *self, const struct etp_message_sample *sample)
{
	const char *ignored;
	return sample->external ? Term_of_external(self, sample->external, &ignored)
	                        : term_or_none(self, sample->term);
}

static PyObject *shape_tuple(VMObject *self, struct etp_reader *reader,
                             const struct etp_message_shape *shape,
                             const struct etp_print_options *options)
{
	struct etp_string text = {0};
	struct etp_error *err = etp_message_shape_print(self->vm, reader, shape, options, &text);
	PyObject *name = err ? raise_error(err)
	                     : PyUnicode_DecodeUTF8(text.data ? text.data : "",
	                                            (Py_ssize_t)text.size, "replace");
	etp_string_deinit(&text);
	PyObject *first = name ? sample(self, &shape->first) : NULL;
	PyObject *last = first ? sample(self, &shape->last) : NULL;
	if (!last) {
		Py_XDECREF(name);
		Py_XDECREF(first);
		return NULL;
	}
	return Py_BuildValue("(NKKNN)", name, (unsigned long long)shape->count,
	                     (unsigned long long)shape->words, first, last);
}

PyObject *VM_message_shapes(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"which", "elixir", "redact", NULL};
	PyObject *which;
	int elixir = 0, redact = 0;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$pp:message_shapes", names, &which,
	                                 &elixir, &redact))
		return NULL;
	uint64_t address = VM_process_address(self, which);
	if (!address)
		return NULL;
	struct etp_print_options options;
	etp_print_options_init(&options, elixir ? ETP_SYNTAX_ELIXIR : ETP_SYNTAX_ERLANG_WRITE);
	options.unicode = true;
	options.redact = redact;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_message_shapes shapes;
	struct etp_error *err = etp_message_shapes_init(&shapes, self->vm, &reader, address);
	if (err)
		return raise_error(err);
	PyObject *dict = PyDict_New();
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < shapes.count; i++) {
		PyObject *tuple = shape_tuple(self, &reader, &shapes.shapes[i], &options);
		if (!tuple || PyList_Append(list, tuple))
			Py_CLEAR(list);
		Py_XDECREF(tuple);
	}
	if (!dict || !dict_set(dict, "shapes", list) ||
	    !dict_set(dict, "messages", number(shapes.messages)) ||
	    !dict_set(dict, "others", number(shapes.others)) ||
	    !dict_set(dict, "gaps", number(shapes.gaps)) ||
	    !dict_set(dict, "problem", PyUnicode_FromString(shapes.problem ? shapes.problem : "")))
		Py_CLEAR(dict);
	etp_message_shapes_deinit(&shapes);
	return dict;
}

static PyObject *mailbox_tuple(VMObject *self, const struct etp_mailbox *box)
{
	PyObject *looked_at = Py_None;
	if (box->is_looked_at_known)
		looked_at = PyLong_FromUnsignedLongLong(box->looked_at);
	else
		Py_INCREF(looked_at);
	return Py_BuildValue("(KNKKN)", (unsigned long long)box->process,
	                     Term_new(self, NULL, box->pid), (unsigned long long)box->messages,
	                     (unsigned long long)box->in_transit, looked_at);
}

PyObject *VM_mailboxes(VMObject *self, PyObject *args)
{
	unsigned limit;
	if (!PyArg_ParseTuple(args, "I:mailboxes", &limit) || !VM_is_open(self))
		return NULL;
	struct etp_mailboxes boxes;
	struct etp_error *err = etp_mailboxes_init(&boxes, self->vm, limit);
	if (err)
		return raise_error(err);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < boxes.count; i++)
		if (!list_append(list, mailbox_tuple(self, &boxes.boxes[i])))
			Py_CLEAR(list);
	PyObject *dict = list ? Py_BuildValue("{s:N,s:K,s:K,s:s}", "boxes", list, "messages",
	                                      (unsigned long long)boxes.messages, "gaps",
	                                      (unsigned long long)boxes.gaps, "problem",
	                                      boxes.problem ? boxes.problem : "")
	                      : NULL;
	etp_mailboxes_deinit(&boxes);
	return dict;
}

int binding_init_messages(PyObject *module)
{
	MessageIterator_type = (PyTypeObject *)PyType_FromSpec(&MessageIterator_spec);
	return MessageIterator_type ? 0 : -1;
}
