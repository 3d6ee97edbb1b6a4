// SPDX-License-Identifier: Apache-2.0
//
// _etp.snapshot(): a process into a file. It needs no layout, so it is no method of VM.

#include <etp/snapshot.h>

#include "python/scan.h"

static bool progress(void *context, uint64_t done, uint64_t total)
{
	return call_progress(context, done, total, "bytes");
}

static PyObject *result_dict(const struct etp_target_info *info,
                             const struct etp_snapshot_result *result)
{
	PyObject *dict = PyDict_New();
	PyObject *warnings = PyList_New(0);
	bool ok = dict && warnings;
	for (size_t i = 0; ok && i < info->warning_count; i++)
		ok = list_append(warnings,
		                 PyUnicode_DecodeUTF8(info->warnings[i],
		                                      (Py_ssize_t)strlen(info->warnings[i]),
		                                      "replace"));
	Py_XINCREF(warnings);
	ok = ok && dict_set(dict, "warnings", warnings) &&
	     dict_set(dict, "taken_at_ns", PyLong_FromLongLong(info->taken_at_ns)) &&
	     dict_set(dict, "pause_ns", PyLong_FromLongLong(info->pause_ns)) &&
	     dict_set(dict, "memory_bytes", PyLong_FromUnsignedLongLong(info->bytes_saved)) &&
	     dict_set(dict, "file_bytes", PyLong_FromUnsignedLongLong(result->file_bytes)) &&
	     dict_set(dict, "disk_bytes", PyLong_FromUnsignedLongLong(result->disk_bytes)) &&
	     dict_set(dict, "unreadable_bytes",
	              PyLong_FromUnsignedLongLong(result->unreadable_bytes));
	Py_XDECREF(warnings);
	if (!ok)
		Py_CLEAR(dict);
	return dict;
}

PyObject *binding_snapshot(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"pid", "path", "copy", "force", "progress", NULL};
	int pid, copy, force;
	PyObject *path, *callback = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iO&pp|O:snapshot", names, &pid,
	                                 PyUnicode_FSConverter, &path, &copy, &force, &callback))
		return NULL;
	const struct etp_process_options process = {.pid = pid, .copy = copy};
	const struct etp_snapshot_options options = {
		.path = PyBytes_AsString(path),
		.force = force,
		.progress = progress,
		.context = callback == Py_None ? NULL : callback,
	};
	struct etp_target *target = NULL;
	struct etp_snapshot_result result;
	struct etp_error *err = etp_target_open_process(&process, &target);
	if (!err)
		err = etp_snapshot_write(target, &options, &result);
	PyObject *dict = err ? NULL : result_dict(etp_target_info(target), &result);
	etp_target_destroy(target);
	Py_DECREF(path);
	if (!err)
		return dict;
	// What the callback or a signal handler raised says more.
	if (!PyErr_Occurred())
		return raise_error(err);
	etp_error_destroy(err);
	return NULL;
}
