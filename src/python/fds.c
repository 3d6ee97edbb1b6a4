// SPDX-License-Identifier: Apache-2.0
//
// VM.fds().

#include "python/binding.h"

#include <etp/fds.h>

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	if (!term)
		Py_RETURN_NONE;
	return Term_new(self, NULL, term);
}

static PyObject *event_names(unsigned events)
{
	PyObject *list = PyList_New(0);
	if (list && ((events & ETP_FD_IN && !list_append(list, PyUnicode_FromString("in"))) ||
	             (events & ETP_FD_OUT && !list_append(list, PyUnicode_FromString("out"))) ||
	             (events & ETP_FD_ERROR && !list_append(list, PyUnicode_FromString("error")))))
		Py_CLEAR(list);
	return list;
}

static PyObject *fd_dict(VMObject *self, const struct etp_fd *fd)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "fd", PyLong_FromLong(fd->fd)) &&
	    dict_set(dict, "type", PyUnicode_FromString(etp_fd_type_name(fd->type))) &&
	    dict_set(dict, "events", event_names(fd->events)) &&
	    dict_set(dict, "active_events", event_names(fd->active_events)) &&
	    dict_set(dict, "in", term_or_none(self, fd->in)) &&
	    dict_set(dict, "out", term_or_none(self, fd->out)) &&
	    dict_set(dict, "error", term_or_none(self, fd->error)) &&
	    dict_set(dict, "resource", PyLong_FromUnsignedLongLong(fd->resource)) &&
	    dict_set(dict, "resource_module", term_or_none(self, fd->resource_module)) &&
	    dict_set(dict, "resource_name", term_or_none(self, fd->resource_name)) &&
	    dict_set(dict, "is_incomplete", PyBool_FromLong(fd->is_incomplete)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_fds(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_fd_iter iter;
	struct etp_fd fd;
	etp_fd_iter_init(&iter, self->vm, &reader);
	PyObject *list = PyList_New(0);
	while (list && etp_fd_iter_next(&iter, &fd))
		if (!list_append(list, fd_dict(self, &fd)) || PyErr_CheckSignals())
			Py_CLEAR(list);
	return list ? Py_BuildValue("(NKs)", list, (unsigned long long)iter.gaps,
	                            iter.problem ? iter.problem : "")
	            : NULL;
}
