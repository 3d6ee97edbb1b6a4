// SPDX-License-Identifier: Apache-2.0
//
// _etp.snapshot() and _etp.snapshot_remote(): a process into a file. They need no layout, so they
// are no methods of VM.

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

// Takes `err` and `target`; what was raised by a callback or a signal handler says more than an
// error.
static PyObject *write_target(struct etp_error *err, struct etp_target *target,
                              const struct etp_snapshot_options *options)
{
	struct etp_snapshot_result result;
	if (!err)
		err = etp_snapshot_write(target, options, &result);
	PyObject *dict = err ? NULL : result_dict(etp_target_info(target), &result);
	etp_target_destroy(target);
	if (PyErr_Occurred())
		Py_CLEAR(dict);
	else if (err)
		return raise_error(err);
	etp_error_destroy(err);
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
	struct etp_error *err = etp_target_open_process(&process, &target);
	PyObject *dict = write_target(err, target, &options);
	Py_DECREF(path);
	return dict;
}

// What Python gives of a process of another machine.
struct remote {
	struct etp_remote_options options;
	struct etp_remote_thread *threads;
	PyObject *read, *progress;
};

// Fewer bytes for what cannot be read. An exception ends the work.
static size_t read_remote(void *context, uint64_t address, void *buffer, size_t size)
{
	struct remote *remote = context;
	if (PyErr_Occurred())
		return 0;
	PyObject *found = PyObject_CallFunction(remote->read, "KK", (unsigned long long)address,
	                                        (unsigned long long)size);
	char *bytes;
	Py_ssize_t got = 0;
	if (found && PyBytes_AsStringAndSize(found, &bytes, &got) == 0) {
		got = (size_t)got > size ? (Py_ssize_t)size : got;
		memcpy(buffer, bytes, (size_t)got);
	}
	Py_XDECREF(found);
	return PyErr_Occurred() ? 0 : (size_t)got;
}

static bool remote_progress(void *context, uint64_t done, uint64_t total)
{
	const struct remote *remote = context;
	return PyErr_Occurred() || call_progress(remote->progress, done, total, "bytes");
}

// (tid, bytes of its registers) of each thread.
static bool set_threads(struct remote *remote, PyObject *threads)
{
	Py_ssize_t count = PyList_Size(threads);
	remote->threads = PyMem_Calloc((size_t)count + 1, sizeof(remote->threads[0]));
	if (!remote->threads)
		return PyErr_NoMemory();
	for (Py_ssize_t i = 0; i < count; i++) {
		struct etp_remote_thread *thread = &remote->threads[i];
		Py_ssize_t size;
		const char *registers;
		if (!PyArg_ParseTuple(PyList_GetItem(threads, i), "iy#", &thread->tid, &registers,
		                      &size))
			return false;
		thread->registers = registers;
		thread->registers_size = (size_t)size;
	}
	remote->options.threads = remote->threads;
	remote->options.thread_count = (size_t)count;
	return true;
}

static bool set_machine(struct remote *remote, const char *name)
{
	static const enum etp_machine machines[] = {ETP_MACHINE_X86_64, ETP_MACHINE_AARCH64};
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		remote->options.machine = machines[i];
		if (strcmp(name, etp_machine_name(machines[i])) == 0)
			return true;
	}
	PyErr_Format(PyExc_ValueError, "machine %s", name);
	return false;
}

PyObject *binding_snapshot_remote(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"path", "force",   "pid",  "machine",  "maps",       "command",
	                        "auxv", "threads", "read", "progress", "executable", NULL};
	struct remote remote = {0};
	struct etp_remote_options *from = &remote.options;
	struct etp_snapshot_options options = {.progress = remote_progress, .context = &remote};
	PyObject *path, *threads, *dict = NULL;
	const char *machine, *auxv;
	Py_ssize_t auxv_size;
	int force;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&pisyyy#O!OOy:snapshot_remote", names,
	                                 PyUnicode_FSConverter, &path, &force, &from->pid, &machine,
	                                 &from->maps, &from->command, &auxv, &auxv_size,
	                                 &PyList_Type, &threads, &remote.read, &remote.progress,
	                                 &from->executable))
		return NULL;
	if (set_machine(&remote, machine) && set_threads(&remote, threads)) {
		if (remote.progress == Py_None)
			remote.progress = NULL;
		from->auxv = auxv;
		from->auxv_size = (size_t)auxv_size;
		from->read = read_remote;
		from->context = &remote;
		options.path = PyBytes_AsString(path);
		options.force = force;
		struct etp_target *target = NULL;
		struct etp_error *err = etp_target_open_remote(from, &target);
		dict = write_target(err, target, &options);
	}
	PyMem_Free(remote.threads);
	Py_DECREF(path);
	return dict;
}
