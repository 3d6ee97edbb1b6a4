// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

static PyMethodDef module_methods[] = {
	{"snapshot", (PyCFunction)(void (*)(void))binding_snapshot, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{"snapshot_remote", (PyCFunction)(void (*)(void))binding_snapshot_remote,
         METH_VARARGS | METH_KEYWORDS, NULL},
	{"layouts", (PyCFunction)(void (*)(void))binding_layouts, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{NULL, NULL, 0, NULL},
};

static PyModuleDef module_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_etp",
	.m_doc = "The memory of an Erlang VM. Use the package `etp` instead.",
	.m_size = -1,
	.m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__etp(void);

PyMODINIT_FUNC PyInit__etp(void)
{
	PyObject *module = PyModule_Create(&module_def);
	if (!module)
		return NULL;
	if (binding_init_errors(module) || binding_init_terms(module) || binding_init_vm(module) ||
	    binding_init_ets(module) || binding_init_scan(module) ||
	    binding_init_messages(module) || binding_init_census(module) ||
	    binding_init_records(module) ||
	    PyModule_AddStringConstant(module, "__version__", ETP_VERSION)) {
		Py_DECREF(module);
		return NULL;
	}
	return module;
}
