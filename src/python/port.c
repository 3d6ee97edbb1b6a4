// SPDX-License-Identifier: Apache-2.0
//
// VM.ports() and VM.port_links().

#include "python/binding.h"

#include <etp/ports.h>

static PyObject *text(const char *string, size_t size)
{
	if (!string)
		Py_RETURN_NONE;
	return PyUnicode_DecodeUTF8(string, (Py_ssize_t)size, "replace");
}

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	if (!term)
		Py_RETURN_NONE;
	return Term_new(self, NULL, term);
}

static PyObject *port_dict(VMObject *self, const struct etp_port_info *info)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "address", PyLong_FromUnsignedLongLong(info->address)) &&
	    dict_set(dict, "port", Term_new(self, NULL, info->port)) &&
	    dict_set(dict, "name", text(info->name, info->name_size)) &&
	    dict_set(dict, "driver", text(info->driver, info->driver_size)) &&
	    dict_set(dict, "connected", term_or_none(self, info->connected)) &&
	    dict_set(dict, "registered_name", term_or_none(self, info->registered_name)) &&
	    dict_set(dict, "input", PyLong_FromUnsignedLongLong(info->input)) &&
	    dict_set(dict, "output", PyLong_FromUnsignedLongLong(info->output)) &&
	    dict_set(dict, "queue_size", PyLong_FromUnsignedLongLong(info->queue_size)) &&
	    dict_set(dict, "os_pid", PyLong_FromLongLong(info->os_pid)) &&
	    dict_set(dict, "is_busy", PyBool_FromLong(info->is_busy)) &&
	    dict_set(dict, "is_queue_full", PyBool_FromLong(info->is_queue_full)) &&
	    dict_set(dict, "is_closing", PyBool_FromLong(info->is_closing)) &&
	    dict_set(dict, "is_distribution", PyBool_FromLong(info->is_distribution)) &&
	    dict_set(dict, "has_suspended", PyBool_FromLong(info->has_suspended)) &&
	    dict_set(dict, "is_incomplete", PyBool_FromLong(info->is_incomplete)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_ports(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const uint64_t *addresses;
	size_t count = etp_vm_ports(self->vm, &addresses);
	PyObject *list = PyList_New(0);
	unsigned long long unreadable = 0;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	for (size_t i = 0; list && i < count; i++) {
		struct etp_port_info info;
		struct etp_error *err = etp_port_info(self->vm, &reader, addresses[i], &info);
		if (err) {
			etp_error_destroy(err);
			unreadable++;
			continue;
		}
		if (!list_append(list, port_dict(self, &info)) ||
		    (i % 1024 == 0 && PyErr_CheckSignals()))
			Py_CLEAR(list);
	}
	return list ? Py_BuildValue("(NK)", list, unreadable) : NULL;
}

PyObject *VM_port_links(VMObject *self, PyObject *args)
{
	TermObject *port;
	if (!PyArg_ParseTuple(args, "O!:port_links", Term_type, &port) || !VM_is_open(self) ||
	    !Term_is_of(port, self))
		return NULL;
	uint64_t address = etp_vm_port(self->vm, port->word);
	if (!address) {
		PyErr_SetString(PyExc_ValueError, "no open port");
		return NULL;
	}
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_link_iter iter;
	struct etp_link link;
	etp_link_iter_init_port(&iter, self->vm, &reader, address);
	PyObject *list = PyList_New(0);
	while (list && etp_link_iter_next(&iter, &link))
		if (!link.is_unlinking && !list_append(list, Term_new(self, NULL, link.other)))
			Py_CLEAR(list);
	return list ? Py_BuildValue("(NK)", list, (unsigned long long)iter.nodes.gaps) : NULL;
}
