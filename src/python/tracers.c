// SPDX-License-Identifier: Apache-2.0
//
// VM.tracers().

#include "python/binding.h"

#include <etp/tracers.h>

static PyObject *none(void)
{
	Py_RETURN_NONE;
}

PyObject *VM_tracers(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_tracers found;
	etp_tracers(self->vm, &reader, &found);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < found.count; i++) {
		const struct etp_tracer_use *use = &found.tracers[i];
		if (!list_append(list, Py_BuildValue("(NNKK)",
		                                     use->module ? Term_new(self, NULL, use->module)
		                                                 : none(),
		                                     Term_new(self, NULL, use->state),
		                                     (unsigned long long)use->processes,
		                                     (unsigned long long)use->ports)))
			Py_CLEAR(list);
	}
	return list ? Py_BuildValue("(NKK)", list, (unsigned long long)found.others,
	                            (unsigned long long)found.gaps)
	            : NULL;
}
