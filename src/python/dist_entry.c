// SPDX-License-Identifier: Apache-2.0
//
// VM.dist_entries() and VM.dist_entry_ties().

#include "python/binding.h"

#include <etp/dist_entry.h>

static PyObject *ties_dict(const struct etp_dist_entry *entry)
{
	PyObject *dict = PyDict_New();
	for (unsigned tie = 0; dict && tie < ETP_DIST_TIE_COUNT; tie++)
		if (!dict_set(dict, etp_dist_tie_name((enum etp_dist_tie)tie),
		              PyLong_FromUnsignedLongLong(entry->ties[tie])))
			Py_CLEAR(dict);
	return dict;
}

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	if (!term)
		Py_RETURN_NONE;
	return Term_new(self, NULL, term);
}

static PyObject *entry_dict(VMObject *self, const struct etp_dist_entry *entry)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "address", PyLong_FromUnsignedLongLong(entry->address)) &&
	    dict_set(dict, "node", Term_new(self, NULL, entry->node)) &&
	    dict_set(dict, "is_this", PyBool_FromLong(entry->is_this)) &&
	    dict_set(dict, "state", PyUnicode_FromString(etp_dist_state_name(entry->state))) &&
	    dict_set(dict, "is_visible", PyBool_FromLong(entry->is_visible)) &&
	    dict_set(dict, "creation", PyLong_FromUnsignedLong(entry->creation)) &&
	    dict_set(dict, "controller", term_or_none(self, entry->controller)) &&
	    dict_set(dict, "queue_size", PyLong_FromUnsignedLongLong(entry->queue_size)) &&
	    dict_set(dict, "queue_size_respected",
	             PyLong_FromUnsignedLongLong(entry->queue_size_respected)) &&
	    dict_set(dict, "received", PyLong_FromUnsignedLongLong(entry->received)) &&
	    dict_set(dict, "sent", PyLong_FromUnsignedLongLong(entry->sent)) &&
	    dict_set(dict, "is_busy", PyBool_FromLong(entry->is_busy)) &&
	    dict_set(dict, "ties", ties_dict(entry)) &&
	    dict_set(dict, "is_incomplete", PyBool_FromLong(entry->is_incomplete)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_dist_entries(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_dist_entry_iter iter;
	uint64_t address;
	etp_dist_entry_iter_init(&iter, self->vm, &reader);
	PyObject *list = PyList_New(0);
	while (list && etp_dist_entry_iter_next(&iter, &address)) {
		struct etp_dist_entry entry;
		struct etp_error *err = etp_dist_entry_read(self->vm, &reader, address, &entry);
		if (err) {
			etp_error_destroy(err);
			iter.gaps++;
			iter.problem = "a distribution entry cannot be read";
		} else if (!list_append(list, entry_dict(self, &entry)) || PyErr_CheckSignals()) {
			Py_CLEAR(list);
		}
	}
	return list ? Py_BuildValue("(NKs)", list, (unsigned long long)iter.gaps,
	                            iter.problem ? iter.problem : "")
	            : NULL;
}

struct listing {
	VMObject *vm;
	PyObject *list;
	unsigned long left;
};

static bool list_tie(void *context, enum etp_dist_tie tie, etp_term process)
{
	struct listing *listing = context;
	if (!listing->left)
		return false;
	listing->left--;
	return list_append(listing->list, Py_BuildValue("(sN)", etp_dist_tie_name(tie),
	                                                Term_new(listing->vm, NULL, process)));
}

PyObject *VM_dist_entry_ties(VMObject *self, PyObject *args)
{
	unsigned long long address;
	unsigned long limit;
	if (!PyArg_ParseTuple(args, "Kk:dist_entry_ties", &address, &limit) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct listing listing = {self, PyList_New(0), limit ? limit : ULONG_MAX};
	uint64_t gaps = 0;
	if (listing.list)
		gaps = etp_dist_entry_ties(self->vm, &reader, address, list_tie, &listing);
	if (PyErr_Occurred())
		Py_CLEAR(listing.list);
	return listing.list ? Py_BuildValue("(NK)", listing.list, (unsigned long long)gaps) : NULL;
}
