// SPDX-License-Identifier: Apache-2.0
#include <etp/accumulators.h>

#include "python/scan.h"

struct listeners {
	VMObject *vm;
	PyObject *found, *progress;
};

static bool progress(void *context, uint64_t done, uint64_t total, const char *what)
{
	const struct listeners *listeners = context;
	return call_progress(listeners->progress, done, total, what);
}

static PyObject *item_dict(VMObject *vm, const struct etp_accumulator *item)
{
	static const char *const places[] = {
		[ETP_PLACE_PROCESS] = "process",
		[ETP_PLACE_ETS_ROW] = "ets",
		[ETP_PLACE_PERSISTENT_TERM] = "persistent_term",
	};
	PyObject *path = path_dict(vm, NULL, &item->path);
	PyObject *key = item->key ? Term_new(vm, NULL, item->key) : Py_BuildValue("");
	if (!path || !key) {
		Py_XDECREF(path);
		Py_XDECREF(key);
		return NULL;
	}
	return Py_BuildValue(
		"{s:s,s:N,s:K,s:K,s:s,s:K,s:K,s:K,s:K,s:K,s:N}", "place", places[item->place.kind],
		"key", key, "holder", (unsigned long long)item->place.holder, "row",
		(unsigned long long)item->place.row, "kind", etp_collection_name(item->kind),
		"collections", (unsigned long long)item->collections, "count",
		(unsigned long long)item->count, "largest", (unsigned long long)item->largest,
		"words", (unsigned long long)item->words, "binary_bytes",
		(unsigned long long)item->binary_bytes, "path", path);
}

// What was found before Ctrl-C is told, too.
static bool found(void *context, const struct etp_accumulator *item)
{
	const struct listeners *listeners = context;
	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	PyObject *dict = item_dict(listeners->vm, item);
	PyObject *result = dict ? PyObject_CallFunctionObjArgs(listeners->found, dict, NULL) : NULL;
	bool ok = result;
	Py_XDECREF(result);
	Py_XDECREF(dict);
	if (ok)
		PyErr_Restore(type, value, traceback);
	else {
		Py_XDECREF(type);
		Py_XDECREF(value);
		Py_XDECREF(traceback);
	}
	return ok;
}

PyObject *VM_accumulators(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"found", "min_count", "min_bytes", "progress", NULL};
	unsigned long long min_count = 0, min_bytes = 0;
	struct listeners listeners = {.vm = self};
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|KKO:accumulators", names,
	                                 &listeners.found, &min_count, &min_bytes,
	                                 &listeners.progress))
		return NULL;
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	if (listeners.progress == Py_None)
		listeners.progress = NULL;
	struct etp_accumulator_options options = {
		.min_count = min_count,
		.min_bytes = min_bytes,
		.max_things = self->max_things,
		.found = found,
		.progress = progress,
		.context = &listeners,
	};
	struct etp_accumulators sums;
	struct etp_error *err = etp_accumulators_find(self->vm, &options, &sums);
	if (err)
		return raise_error(err);
	if (!forgive_interrupt())
		return NULL;
	return Py_BuildValue(
		"{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:s,s:N}", "processes",
		(unsigned long long)sums.processes, "rows", (unsigned long long)sums.rows,
		"small_rows", (unsigned long long)sums.small_rows, "persistent_terms",
		(unsigned long long)sums.persistent_terms, "mailboxes",
		(unsigned long long)sums.mailboxes, "messages", (unsigned long long)sums.messages,
		"truncated", (unsigned long long)sums.truncated, "unreadable",
		(unsigned long long)sums.unreadable, "problem", sums.problem ? sums.problem : "",
		"complete", PyBool_FromLong(sums.complete));
}
