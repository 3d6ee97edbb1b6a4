// SPDX-License-Identifier: Apache-2.0
//
// VM.threads(), VM.thread_types(), VM.unwind(), VM.scheduler_outer_frame().

#include "python/binding.h"

#include <etp/schedulers.h>
#include <etp/thread_types.h>
#include <etp/threads.h>

enum { FRAMES_MAX = 1024 };

static PyObject *thread_tuple(const struct etp_thread_state *state)
{
	PyObject *registers = PyList_New(0);
	for (size_t i = 0; registers && i < ETP_DWARF_REGISTERS; i++)
		if (!list_append(registers, PyLong_FromUnsignedLongLong(state->registers[i])))
			Py_CLEAR(registers);
	if (!registers)
		return NULL;
	return Py_BuildValue("(iKNN)", state->tid, (unsigned long long)state->thread, registers,
	                     PyBool_FromLong(state->is_partial));
}

PyObject *VM_threads(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const struct etp_target *target = etp_vm_target(self->vm);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < etp_target_thread_count(target); i++) {
		struct etp_thread_state state;
		etp_target_thread(target, i, &state);
		if (!list_append(list, thread_tuple(&state)))
			Py_CLEAR(list);
	}
	return list;
}

static bool add_type(void *context, const struct etp_thread_type *type)
{
	PyObject *dict = context;
	PyObject *key = PyLong_FromUnsignedLongLong(type->thread);
	PyObject *value = Py_BuildValue(
		"(NL)", PyUnicode_DecodeASCII(type->type, (Py_ssize_t)type->type_size, NULL),
		(long long)type->id);
	bool good = key && value && PyDict_SetItem(dict, key, value) == 0;
	Py_XDECREF(key);
	Py_XDECREF(value);
	return good;
}

PyObject *VM_thread_types(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	PyObject *dict = PyDict_New();
	if (!dict)
		return NULL;
	bool breaks_off;
	struct etp_error *err = etp_thread_types(self->vm, &reader, add_type, dict, &breaks_off);
	if (err || PyErr_Occurred())
		Py_CLEAR(dict);
	if (err)
		return raise_error(err);
	return dict ? Py_BuildValue("(NN)", dict, PyBool_FromLong(breaks_off)) : NULL;
}

static bool read_registers(PyObject *sequence, struct etp_thread_state *state)
{
	if (PySequence_Size(sequence) != ETP_DWARF_REGISTERS) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError, "17 registers are needed");
		return false;
	}
	for (Py_ssize_t i = 0; i < ETP_DWARF_REGISTERS; i++) {
		PyObject *item = PySequence_GetItem(sequence, i);
		state->registers[i] = item ? PyLong_AsUnsignedLongLong(item) : 0;
		Py_XDECREF(item);
		if (PyErr_Occurred())
			return false;
	}
	return true;
}

static PyObject *text_or_none(const char *string)
{
	if (!string)
		Py_RETURN_NONE;
	return PyUnicode_DecodeUTF8(string, (Py_ssize_t)strlen(string), "replace");
}

PyObject *VM_unwind(VMObject *self, PyObject *args)
{
	PyObject *registers;
	Py_ssize_t limit;
	struct etp_thread_state state = {0};
	if (!PyArg_ParseTuple(args, "On:unwind", &registers, &limit) || !VM_is_open(self) ||
	    !read_registers(registers, &state))
		return NULL;
	if (!self->unwinder) {
		struct etp_error *err =
			etp_unwinder_create(etp_vm_target(self->vm), &self->unwinder);
		if (err)
			return raise_error(err);
	}
	struct etp_c_frame frames[FRAMES_MAX];
	size_t capacity = limit < 0 || limit > FRAMES_MAX ? FRAMES_MAX : (size_t)limit;
	size_t count = etp_unwind(self->unwinder, &state, frames, capacity);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++)
		if (!list_append(list, Py_BuildValue("(KNKNi)", (unsigned long long)frames[i].pc,
		                                     text_or_none(frames[i].function),
		                                     (unsigned long long)frames[i].offset,
		                                     text_or_none(frames[i].file),
		                                     (int)frames[i].is_missing)))
			Py_CLEAR(list);
	return list;
}

PyObject *VM_scheduler_outer_frame(VMObject *self, PyObject *args)
{
	Py_ssize_t index;
	if (!PyArg_ParseTuple(args, "n:scheduler_outer_frame", &index) || !VM_is_open(self))
		return NULL;
	if (index < 0 || (size_t)index >= etp_scheduler_count(self->vm)) {
		PyErr_SetString(PyExc_IndexError, "no such scheduler");
		return NULL;
	}
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_scheduler scheduler;
	uint64_t pc, sp, fp;
	etp_scheduler(self->vm, &reader, (size_t)index, &scheduler);
	if (!etp_scheduler_outer_frame(self->vm, &reader, &scheduler, &pc, &sp, &fp))
		Py_RETURN_NONE;
	return Py_BuildValue("(KKK)", (unsigned long long)pc, (unsigned long long)sp,
	                     (unsigned long long)fp);
}
