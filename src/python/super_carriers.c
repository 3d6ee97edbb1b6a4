// SPDX-License-Identifier: Apache-2.0
//
// VM.super_carriers().

#include "python/binding.h"

#include <etp/allocators.h>

PyObject *VM_super_carriers(VMObject *self, PyObject *ignored)
{
	static const char *const names[] = {"default_mmap", "literal_mmap"};
	if (!VM_is_open(self))
		return NULL;
	PyObject *dict = PyDict_New();
	for (int i = ETP_MAPPER_DEFAULT; dict && i <= ETP_MAPPER_LITERALS; i++) {
		struct etp_super_carrier carrier;
		if (!etp_vm_super_carrier(self->vm, (enum etp_memory_mapper)i, &carrier))
			continue;
		if (!dict_set(dict, names[i],
		              Py_BuildValue("{s:K,s:K,s:O}", "total",
		                            (unsigned long long)carrier.total, "used",
		                            (unsigned long long)carrier.used, "only",
		                            carrier.is_only ? Py_True : Py_False)))
			Py_CLEAR(dict);
	}
	return dict;
}
