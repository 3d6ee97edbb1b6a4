// SPDX-License-Identifier: Apache-2.0
#include <etp/histogram.h>

#include "python/scan.h"

static bool progress(void *context, uint64_t done, uint64_t total, const char *what)
{
	return call_progress(context, done, total, what);
}

static PyObject *tag_term(VMObject *vm, etp_term tag)
{
	if (!tag)
		Py_RETURN_NONE;
	return Term_new(vm, NULL, tag);
}

static PyObject *keys_list(VMObject *vm, const struct etp_shape *shape)
{
	if (!shape->keys)
		Py_RETURN_NONE;
	PyObject *list = PyList_New(0);
	for (uint64_t i = 0; list && i < shape->arity; i++) {
		PyObject *key = Term_new(vm, NULL, shape->keys[i]);
		if (!key || PyList_Append(list, key))
			Py_CLEAR(list);
		Py_XDECREF(key);
	}
	return list;
}

static PyObject *shape_dict(VMObject *vm, const struct etp_shape *shape)
{
	PyObject *tag = tag_term(vm, shape->tag);
	PyObject *keys = tag ? keys_list(vm, shape) : NULL;
	if (!keys) {
		Py_XDECREF(tag);
		return NULL;
	}
	bool is_collection = shape->kind == ETP_SHAPE_COLLECTION;
	return Py_BuildValue("{s:s,s:K,s:N,s:N,s:O,s:K,s:K,s:K,s:K}", "kind",
	                     is_collection ? etp_collection_name(shape->collection)
	                                   : etp_shape_name(shape->kind),
	                     "arity", (unsigned long long)shape->arity, "tag", tag, "keys", keys,
	                     "is_collection", is_collection ? Py_True : Py_False, "count",
	                     (unsigned long long)shape->count, "words",
	                     (unsigned long long)shape->words, "binary_bytes",
	                     (unsigned long long)shape->binary_bytes, "elements",
	                     (unsigned long long)shape->elements);
}

PyObject *VM_histogram(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"process", "table", "progress", NULL};
	unsigned long long process = 0, table = 0;
	PyObject *callback = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|KKO:histogram", names, &process, &table,
	                                 &callback))
		return NULL;
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	struct etp_histogram_options options = {
		.process = process,
		.table = table,
		.max_things = self->max_things,
		.progress = progress,
		.context = callback == Py_None ? NULL : callback,
	};
	struct etp_histogram histogram;
	struct etp_error *err = etp_histogram_make(self->vm, &options, &histogram);
	if (err)
		return raise_error(err);
	PyObject *list = forgive_interrupt() ? PyList_New(0) : NULL;
	for (size_t i = 0; list && i < histogram.count; i++) {
		PyObject *shape = shape_dict(self, &histogram.shapes[i]);
		if (!shape || PyList_Append(list, shape))
			Py_CLEAR(list);
		Py_XDECREF(shape);
	}
	PyObject *dict = list ? Py_BuildValue("{s:N,s:K,s:K,s:K,s:N}", "shapes", list, "holders",
	                                      (unsigned long long)histogram.holders, "truncated",
	                                      (unsigned long long)histogram.truncated, "unreadable",
	                                      (unsigned long long)histogram.unreadable, "complete",
	                                      PyBool_FromLong(histogram.complete))
	                      : NULL;
	etp_histogram_deinit(&histogram);
	return dict;
}
