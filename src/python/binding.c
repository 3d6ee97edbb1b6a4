// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

static PyObject *Error_type;

static const char *kind_name(enum etp_error_kind kind)
{
	switch (kind) {
	case ETP_ERROR_FAULT:
		return "fault";
	case ETP_ERROR_BAD_DATA:
		return "bad_data";
	case ETP_ERROR_LAYOUT:
		return "layout";
	case ETP_ERROR_UNSUPPORTED:
		return "unsupported";
	case ETP_ERROR_NOT_FOUND:
		return "not_found";
	case ETP_ERROR_ARGUMENT:
		return "argument";
	case ETP_ERROR_OS:
		return "os";
	case ETP_ERROR_NO_MEMORY:
		return "no_memory";
	case ETP_ERROR_INTERRUPTED:
		return "interrupted";
	}
	return "bad_data";
}

static bool set_attribute(PyObject *object, const char *name, PyObject *value)
{
	bool ok = value && !PyObject_SetAttrString(object, name, value);
	Py_XDECREF(value);
	return ok;
}

PyObject *raise_error(struct etp_error *err)
{
	PyObject *message =
		PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "replace");
	PyObject *exception =
		message ? PyObject_CallFunctionObjArgs(Error_type, message, NULL) : NULL;
	Py_XDECREF(message);
	if (exception &&
	    set_attribute(exception, "kind", PyUnicode_FromString(kind_name(err->kind))) &&
	    set_attribute(exception, "address", PyLong_FromUnsignedLongLong(err->address)) &&
	    set_attribute(exception, "errno", PyLong_FromLong(err->os_errno)))
		PyErr_SetObject(Error_type, exception);
	Py_XDECREF(exception);
	etp_error_destroy(err);
	return NULL;
}

bool dict_set(PyObject *dict, const char *key, PyObject *value)
{
	bool ok = value && !PyDict_SetItemString(dict, key, value);
	Py_XDECREF(value);
	return ok;
}

bool list_append(PyObject *list, PyObject *item)
{
	bool ok = item && !PyList_Append(list, item);
	Py_XDECREF(item);
	return ok;
}

void binding_free(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
	release(self);
	Py_DECREF(type);
}

PyObject *binding_no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyErr_SetString(PyExc_TypeError, "only methods of a VM and of what it returns make these");
	return NULL;
}

PyTypeObject *binding_add_type(PyObject *module, PyType_Spec *spec)
{
	PyObject *type = PyType_FromSpec(spec);
	if (!type)
		return NULL;
	const char *name = strrchr(spec->name, '.') + 1;
	Py_INCREF(type);
	if (PyModule_AddObject(module, name, type)) {
		Py_DECREF(type);
		Py_DECREF(type);
		return NULL;
	}
	return (PyTypeObject *)type;
}

int binding_init_errors(PyObject *module)
{
	Error_type = PyErr_NewExceptionWithDoc(
		"_etp.Error", "str() is one or more plain sentences for the user.", NULL, NULL);
	if (!Error_type)
		return -1;
	Py_INCREF(Error_type);
	if (PyModule_AddObject(module, "Error", Error_type)) {
		Py_DECREF(Error_type);
		return -1;
	}
	return 0;
}
