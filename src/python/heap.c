// SPDX-License-Identifier: Apache-2.0
#include <etp/heap.h>

#include "python/binding.h"

static PyObject *area_dict(const struct etp_heap_area *area)
{
	return Py_BuildValue("{sssKsKsKsK}", "kind", etp_heap_area_kind_name(area->kind), "start",
	                     (unsigned long long)area->start, "top", (unsigned long long)area->top,
	                     "end", (unsigned long long)area->end, "off_heap",
	                     (unsigned long long)area->off_heap);
}

PyObject *VM_heap_areas(VMObject *self, PyObject *args)
{
	unsigned long long process;
	if (!PyArg_ParseTuple(args, "K:heap_areas", &process) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	const char *problem;
	size_t count = etp_heap_areas(self->vm, &reader, process, NULL, 0, &problem);
	struct etp_heap_area *areas = PyMem_Calloc(count + 1, sizeof(*areas));
	if (!areas)
		return PyErr_NoMemory();
	etp_heap_areas(self->vm, &reader, process, areas, count, &problem);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++)
		if (!list_append(list, area_dict(&areas[i])))
			Py_CLEAR(list);
	PyMem_Free(areas);
	return list ? Py_BuildValue("(Ns)", list, problem ? problem : "") : NULL;
}

static PyObject *thing_tuple(VMObject *self, const struct etp_heap_thing *thing)
{
	PyObject *term = Term_new(self, NULL, thing->term);
	if (!term)
		return NULL;
	return Py_BuildValue("(KKsN)", (unsigned long long)thing->address,
	                     (unsigned long long)thing->words,
	                     etp_heap_thing_kind_name(thing->kind), term);
}

PyObject *VM_heap_things(VMObject *self, PyObject *args)
{
	unsigned long long start, end;
	Py_ssize_t limit = 1024;
	if (!PyArg_ParseTuple(args, "KK|n:heap_things", &start, &end, &limit) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_heap_iter iter;
	struct etp_heap_thing thing;
	etp_heap_iter_init(&iter, self->vm, &reader, start, end);
	PyObject *list = PyList_New(0);
	while (list && PyList_Size(list) < limit && etp_heap_iter_next(&iter, &thing))
		if (!list_append(list, thing_tuple(self, &thing)))
			Py_CLEAR(list);
	return list ? Py_BuildValue("(NKK)", list, (unsigned long long)iter.next,
	                            (unsigned long long)iter.unreadable)
	            : NULL;
}

// Add an area, with a look at Ctrl-C now and then.
static bool add_area(VMObject *self, struct etp_reader *reader, struct etp_heap_largest *largest,
                     uint64_t start, uint64_t end)
{
	enum { THINGS_A_TURN = 1 << 16 };
	struct etp_heap_iter iter;
	etp_heap_iter_init(&iter, self->vm, reader, start, end);
	do {
		if (!etp_heap_largest_add(largest, &iter, THINGS_A_TURN)) {
			PyErr_NoMemory();
			return false;
		}
		if (PyErr_CheckSignals())
			return false;
	} while (iter.next < iter.end);
	return true;
}

PyObject *VM_heap_largest(VMObject *self, PyObject *args)
{
	PyObject *areas;
	Py_ssize_t most;
	if (!PyArg_ParseTuple(args, "O!n:heap_largest", &PyList_Type, &areas, &most) ||
	    !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	struct etp_heap_largest largest;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	etp_heap_largest_init(&largest, most < 0 ? SIZE_MAX : (size_t)most);
	bool ok = true;
	for (Py_ssize_t i = 0; ok && i < PyList_Size(areas); i++) {
		unsigned long long start, end;
		ok = PyArg_ParseTuple(PyList_GetItem(areas, i), "KK:heap_largest", &start, &end) &&
		     add_area(self, &reader, &largest, start, end);
	}
	etp_heap_largest_sort(&largest);
	PyObject *list = ok ? PyList_New(0) : NULL;
	for (size_t i = 0; list && i < largest.count; i++)
		if (!list_append(list, thing_tuple(self, &largest.things[i])))
			Py_CLEAR(list);
	PyObject *found = list ? Py_BuildValue("(NKKK)", list, (unsigned long long)largest.total,
	                                       (unsigned long long)largest.invalid,
	                                       (unsigned long long)largest.unreadable)
	                       : NULL;
	etp_heap_largest_deinit(&largest);
	return found;
}

PyObject *VM_off_heap(VMObject *self, PyObject *args)
{
	unsigned long long first;
	Py_ssize_t limit = -1;
	if (!PyArg_ParseTuple(args, "K|n:off_heap", &first, &limit) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_off_heap_iter iter;
	etp_term term;
	etp_off_heap_iter_init(&iter, self->vm, &reader, first);
	PyObject *list = PyList_New(0);
	while (list && PyList_Size(list) != limit && etp_off_heap_iter_next(&iter, &term))
		if (!list_append(list, Term_new(self, NULL, term)) ||
		    (PyList_Size(list) % 4096 == 0 && PyErr_CheckSignals()))
			Py_CLEAR(list);
	return list ? Py_BuildValue("(NKs)", list, (unsigned long long)iter.next,
	                            iter.problem ? iter.problem : "")
	            : NULL;
}

PyObject *VM_writable_binaries(VMObject *self, PyObject *args)
{
	unsigned long long process;
	if (!PyArg_ParseTuple(args, "K:writable_binaries", &process) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	return PyLong_FromUnsignedLongLong(etp_heap_writable_binaries(self->vm, &reader, process));
}

PyObject *VM_binary_header(VMObject *self, PyObject *args)
{
	unsigned long long address;
	if (!PyArg_ParseTuple(args, "K:binary_header", &address) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	uint64_t size, refc, flags;
	if (!READ_WORD(self->vm, &reader, address, Binary, orig_size, &size) ||
	    !READ_WORD(self->vm, &reader, address, Binary, refc, &refc) ||
	    !READ_WORD(self->vm, &reader, address, Binary, flags, &flags))
		return raise_error(etp_error_fault(reader.fault_address, "Binary"));
	return Py_BuildValue("{sKsKsK}", "size", (unsigned long long)size, "refc",
	                     (unsigned long long)refc, "flags", (unsigned long long)flags);
}
