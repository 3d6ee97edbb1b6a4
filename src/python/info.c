// SPDX-License-Identifier: Apache-2.0
//
// VM.info(): facts about target, layout and VM in one dict.

#include "python/binding.h"

static PyObject *text(const char *string)
{
	return PyUnicode_DecodeUTF8(string ? string : "", string ? (Py_ssize_t)strlen(string) : 0,
	                            "replace");
}

static PyObject *path_or_none(const char *path)
{
	if (!path)
		Py_RETURN_NONE;
	return PyUnicode_DecodeFSDefault(path);
}

static PyObject *number(uint64_t value)
{
	return PyLong_FromUnsignedLongLong(value);
}

static PyObject *build_id(const struct etp_build_id *id)
{
	char buffer[2 * sizeof(id->bytes) + 1];
	return text(id->size ? etp_build_id_format(id, buffer, sizeof(buffer)) : "");
}

static bool add_vm(VMObject *self, PyObject *dict)
{
	const struct etp_vm_info *info = etp_vm_info(self->vm);
	return dict_set(dict, "otp_release", text(info->otp_release)) &&
	       dict_set(dict, "erts_version", text(info->erts_version)) &&
	       dict_set(dict, "flavor", text(info->flavor)) &&
	       dict_set(dict, "schedulers", number(info->schedulers)) &&
	       dict_set(dict, "dirty_cpu_schedulers", number(info->dirty_cpu_schedulers)) &&
	       dict_set(dict, "dirty_io_schedulers", number(info->dirty_io_schedulers)) &&
	       dict_set(dict, "processes", number(info->processes)) &&
	       dict_set(dict, "process_limit", number(info->process_limit)) &&
	       dict_set(dict, "ports", number(info->ports)) &&
	       dict_set(dict, "port_limit", number(info->port_limit)) &&
	       dict_set(dict, "atoms", number(info->atoms)) &&
	       dict_set(dict, "atom_limit", number(info->atom_limit)) &&
	       dict_set(dict, "ets_tables", number(info->ets_tables)) &&
	       dict_set(dict, "node", atom_to_str(self->vm, info->node_name)) &&
	       dict_set(dict, "creation", number(info->node_creation)) &&
	       dict_set(dict, "uptime_ns", PyLong_FromLongLong(info->uptime_ns));
}

static bool add_layout(const struct etp_layout *layout, PyObject *dict)
{
	return dict_set(dict, "layout_source", text(layout->source)) &&
	       dict_set(dict, "layout_origin", text(layout->origin)) &&
	       dict_set(dict, "layout_otp_release", text(layout->otp_release)) &&
	       dict_set(dict, "layout_erts_version", text(layout->erts_version)) &&
	       dict_set(dict, "layout_flavor", text(layout->flavor));
}

static PyObject *check_dict(const struct etp_check *check)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "claim", text(check->claim)) &&
	    dict_set(dict, "tried", number(check->tried)) &&
	    dict_set(dict, "failed", number(check->failed)) &&
	    dict_set(dict, "unreadable", number(check->unreadable)) &&
	    dict_set(dict, "failure", text(check->failure)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *file_dict(const struct etp_mapped_file *file)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "path", path_or_none(file->path)) &&
	    dict_set(dict, "used_path", path_or_none(file->used_path)) &&
	    dict_set(dict, "start", number(file->start)) &&
	    dict_set(dict, "end", number(file->end)) &&
	    dict_set(dict, "core_build_id", build_id(&file->core_build_id)) &&
	    dict_set(dict, "file_build_id", build_id(&file->file_build_id)) &&
	    dict_set(dict, "is_executable", PyBool_FromLong(file->is_executable)) &&
	    dict_set(dict, "matched", PyBool_FromLong(file->matched)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// Append a new reference, which is stolen.
static bool append(PyObject *list, PyObject *item)
{
	bool ok = item && !PyList_Append(list, item);
	Py_XDECREF(item);
	return ok;
}

static PyObject *list_of_checks(const struct etp_vm_info *info)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < info->check_count; i++)
		if (!append(list, check_dict(&info->checks[i])))
			Py_CLEAR(list);
	return list;
}

static PyObject *list_of_files(const struct etp_target_info *info)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < info->file_count; i++)
		if (!append(list, file_dict(&info->files[i])))
			Py_CLEAR(list);
	return list;
}

static PyObject *list_of_warnings(const struct etp_target_info *info)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < info->warning_count; i++)
		if (!append(list, text(info->warnings[i])))
			Py_CLEAR(list);
	return list;
}

static bool add_target(const struct etp_target_info *info, PyObject *dict)
{
	return dict_set(dict, "machine", text(etp_machine_name(info->machine))) &&
	       dict_set(dict, "is_process", PyBool_FromLong(info->kind == ETP_TARGET_PROCESS)) &&
	       dict_set(dict, "is_snapshot", PyBool_FromLong(info->is_snapshot)) &&
	       dict_set(dict, "taken_at_ns", PyLong_FromLongLong(info->taken_at_ns)) &&
	       dict_set(dict, "pause_ns", PyLong_FromLongLong(info->pause_ns)) &&
	       dict_set(dict, "copied_at_rest", PyBool_FromLong(info->copied_at_rest)) &&
	       dict_set(dict, "core_path", path_or_none(info->core_path)) &&
	       dict_set(dict, "executable_path", path_or_none(info->executable_path)) &&
	       dict_set(dict, "core_build_id", build_id(&info->core_build_id)) &&
	       dict_set(dict, "executable_build_id", build_id(&info->executable_build_id)) &&
	       dict_set(dict, "pid", PyLong_FromLong(info->pid)) &&
	       dict_set(dict, "signal", PyLong_FromLong(info->signal)) &&
	       dict_set(dict, "command", text(info->command)) &&
	       dict_set(dict, "core_mtime", PyLong_FromLongLong(info->core_mtime)) &&
	       dict_set(dict, "threads", number(info->thread_count)) &&
	       dict_set(dict, "segments", number(info->segment_count)) &&
	       dict_set(dict, "bytes_total", number(info->bytes_total)) &&
	       dict_set(dict, "bytes_saved", number(info->bytes_saved)) &&
	       dict_set(dict, "bytes_from_files", number(info->bytes_from_files)) &&
	       dict_set(dict, "bytes_missing", number(info->bytes_missing)) &&
	       dict_set(dict, "bytes_truncated", number(info->bytes_truncated)) &&
	       dict_set(dict, "warnings", list_of_warnings(info)) &&
	       dict_set(dict, "files", list_of_files(info));
}

PyObject *VM_info(VMObject *self, PyObject *ignored)
{
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	PyObject *dict = PyDict_New();
	if (dict && add_vm(self, dict) && add_layout(etp_vm_layout(self->vm), dict) &&
	    add_target(etp_target_info(etp_vm_target(self->vm)), dict) &&
	    dict_set(dict, "checks", list_of_checks(etp_vm_info(self->vm))))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_arguments(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < etp_vm_argument_count(self->vm, &reader); i++) {
		size_t size;
		const char *bytes = etp_vm_argument(self->vm, &reader, i, &size);
		PyObject *argument =
			bytes ? PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)size, "replace")
			      : Py_BuildValue("");
		if (!append(list, argument))
			Py_CLEAR(list);
	}
	return list;
}
