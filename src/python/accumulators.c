// SPDX-License-Identifier: Apache-2.0
#include <etp/accumulators.h>

#include "python/scan.h"

static bool progress(void *context, uint64_t done, uint64_t total, const char *what)
{
	return call_progress(context, done, total, what);
}

static PyObject *item_dict(VMObject *vm, const struct etp_accumulator *item)
{
	PyObject *path = path_dict(vm, NULL, &item->path);
	if (!path)
		return NULL;
	return Py_BuildValue(
		"{s:s,s:K,s:K,s:s,s:K,s:K,s:K,s:N}", "place",
		item->place.kind == ETP_PLACE_PROCESS ? "process" : "ets", "holder",
		(unsigned long long)item->place.holder, "row", (unsigned long long)item->place.row,
		"kind", etp_collection_name(item->kind), "count", (unsigned long long)item->count,
		"words", (unsigned long long)item->words, "binary_bytes",
		(unsigned long long)item->binary_bytes, "path", path);
}

PyObject *VM_accumulators(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"min_count", "min_bytes", "limit", "progress", NULL};
	unsigned long long min_count = 0, min_bytes = 0, limit = 0;
	PyObject *callback = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|KKKO:accumulators", names, &min_count,
	                                 &min_bytes, &limit, &callback))
		return NULL;
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	enum { LIMIT_MAX = 1000000 };
	struct etp_accumulator_options options = {
		.min_count = min_count,
		.min_bytes = min_bytes,
		.max_items = limit < LIMIT_MAX ? (size_t)limit : LIMIT_MAX,
		.max_things = self->max_things,
		.progress = progress,
		.context = callback == Py_None ? NULL : callback,
	};
	struct etp_accumulators found;
	struct etp_error *err = etp_accumulators_find(self->vm, &options, &found);
	if (err)
		return raise_error(err);
	PyObject *list = forgive_interrupt() ? PyList_New(0) : NULL;
	for (size_t i = 0; list && i < found.count; i++) {
		PyObject *item = item_dict(self, &found.items[i]);
		if (!item || PyList_Append(list, item))
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	PyObject *dict = list ? Py_BuildValue("{s:N,s:K,s:K,s:K,s:K,s:N}", "items", list, "more",
	                                      (unsigned long long)found.more, "holders",
	                                      (unsigned long long)found.holders, "truncated",
	                                      (unsigned long long)found.truncated, "unreadable",
	                                      (unsigned long long)found.unreadable, "complete",
	                                      PyBool_FromLong(found.complete))
	                      : NULL;
	etp_accumulators_deinit(&found);
	return dict;
}
