// SPDX-License-Identifier: Apache-2.0
#include <etp/code.h>
#include <etp/stack.h>

#include "python/binding.h"

enum { FILE_NAME_SIZE = 4096 };

static PyObject *none(void)
{
	Py_RETURN_NONE;
}

static PyObject *atom_or_none(const struct etp_vm *vm, etp_term atom)
{
	return atom ? atom_to_str(vm, term_atom_index(atom)) : none();
}

static PyObject *file_or_none(const struct etp_vm *vm, struct etp_reader *reader,
                              const struct etp_code_location *location)
{
	char name[FILE_NAME_SIZE];
	if (!location->file)
		return none();
	etp_code_file_name(vm, reader, location, name, sizeof(name));
	return PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "replace");
}

static PyObject *location_dict(VMObject *self, struct etp_reader *reader,
                               const struct etp_code_location *location)
{
	const struct etp_vm *vm = self->vm;
	bool is_code = location->kind >= ETP_CODE_MODULE;
	bool has_offset = is_code && location->offset != ETP_CODE_NO_OFFSET;
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "pc", PyLong_FromUnsignedLongLong(location->pc)) &&
	    dict_set(dict, "kind", PyUnicode_FromString(etp_code_kind_name(location->kind))) &&
	    dict_set(dict, "module", atom_or_none(vm, location->module)) &&
	    dict_set(dict, "function", atom_or_none(vm, location->function)) &&
	    dict_set(dict, "arity",
	             location->function ? PyLong_FromUnsignedLongLong(location->arity) : none()) &&
	    dict_set(dict, "offset",
	             has_offset ? PyLong_FromUnsignedLongLong(location->offset) : none()) &&
	    dict_set(dict, "file", file_or_none(vm, reader, location)) &&
	    dict_set(dict, "line",
	             location->file ? PyLong_FromUnsignedLong(location->line) : none()) &&
	    dict_set(dict, "version",
	             is_code ? PyUnicode_FromString(etp_code_version_name(location->version))
	                     : none()) &&
	    dict_set(dict, "fragment",
	             location->fragment ? PyUnicode_FromString(location->fragment) : none()))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_location(VMObject *self, PyObject *args)
{
	unsigned long long pc;
	int is_return = 0;
	if (!PyArg_ParseTuple(args, "K|p:location", &pc, &is_return) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_code_location location;
	uint64_t address = is_return ? etp_code_call_of(self->vm, pc) : pc;
	if (etp_code_locate(self->vm, &reader, address, &location) == ETP_CODE_UNKNOWN)
		return none();
	return location_dict(self, &reader, &location);
}

PyObject *VM_fun_location(VMObject *self, PyObject *args)
{
	TermObject *fun;
	if (!PyArg_ParseTuple(args, "O!:fun_location", Term_type, &fun) || !VM_is_open(self) ||
	    !Term_is_of(fun, self))
		return NULL;
	struct etp_reader reader;
	Term_reader(fun, &reader);
	struct etp_term_view view;
	struct etp_code_location location;
	if (etp_term_decode(self->vm, &reader, fun->word, &view) != ETP_TERM_FUN ||
	    etp_code_fun(self->vm, &reader, view.fun.entry, &location) == ETP_CODE_UNKNOWN)
		return none();
	return location_dict(self, &reader, &location);
}

static PyObject *module_dict(VMObject *self, const struct etp_code_module *module)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "name", atom_to_str(self->vm, term_atom_index(module->name))) &&
	    dict_set(dict, "version",
	             PyUnicode_FromString(etp_code_version_name(module->version))) &&
	    dict_set(dict, "address", PyLong_FromUnsignedLongLong(module->start)) &&
	    dict_set(dict, "size", PyLong_FromUnsignedLongLong(module->size)) &&
	    dict_set(dict, "functions",
	             module->functions ? PyLong_FromUnsignedLongLong(module->functions) : none()) &&
	    dict_set(dict, "literal_area", PyLong_FromUnsignedLongLong(module->literal_area)) &&
	    dict_set(dict, "missing", PyBool_FromLong(module->is_missing)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(module->problem ? module->problem : "")))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_modules(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const struct etp_code_module *modules;
	size_t count = etp_code_modules(self->vm, &modules, NULL);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++)
		if (!list_append(list, module_dict(self, &modules[i])))
			Py_CLEAR(list);
	return list;
}

PyObject *VM_modules_problem(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const struct etp_code_module *modules;
	const char *problem;
	etp_code_modules(self->vm, &modules, &problem);
	return PyUnicode_FromString(problem ? problem : "");
}

// The stack of the process whose address is the only argument. False on an exception.
static bool find_stack(VMObject *self, unsigned long long process, struct etp_reader *reader,
                       struct etp_stack *ret)
{
	if (!VM_is_open(self))
		return false;
	etp_reader_init(reader, etp_vm_target(self->vm));
	struct etp_error *err = etp_stack_find(self->vm, reader, process, ret);
	if (err)
		raise_error(err);
	return !err;
}

static PyObject *current_location(VMObject *self, struct etp_reader *reader,
                                  const struct etp_stack *stack, bool with_line)
{
	struct etp_code_location location;
	if (etp_stack_current(self->vm, reader, stack, with_line, &location) == ETP_CODE_UNKNOWN)
		return none();
	return location_dict(self, reader, &location);
}

static PyObject *register_list(VMObject *self, struct etp_reader *reader,
                               const struct etp_stack *stack)
{
	PyObject *list = PyList_New(0);
	for (uint64_t i = 0; list && i < stack->register_count; i++) {
		uint64_t word;
		if (!etp_read_u64(reader, stack->registers + i * 8, &word))
			break;
		if (!list_append(list, Term_new(self, NULL, word)))
			Py_CLEAR(list);
	}
	return list;
}

PyObject *VM_execution(VMObject *self, PyObject *args)
{
	unsigned long long process;
	struct etp_reader reader;
	struct etp_stack stack;
	if (!PyArg_ParseTuple(args, "K:execution", &process) ||
	    !find_stack(self, process, &reader, &stack))
		return NULL;
	PyObject *dict = PyDict_New();
	if (dict &&
	    dict_set(dict, "current_function", current_location(self, &reader, &stack, false)) &&
	    dict_set(dict, "current_location", current_location(self, &reader, &stack, true)) &&
	    dict_set(dict, "stack_top", PyLong_FromUnsignedLongLong(stack.top)) &&
	    dict_set(dict, "stack_start", PyLong_FromUnsignedLongLong(stack.start)) &&
	    dict_set(dict, "stack_unreadable",
	             PyLong_FromUnsignedLongLong(etp_stack_unreadable(&reader, &stack))) &&
	    dict_set(dict, "registers", register_list(self, &reader, &stack)) &&
	    dict_set(dict, "running", PyBool_FromLong(stack.is_running)) &&
	    dict_set(dict, "in_gc", PyBool_FromLong(stack.is_in_gc)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(stack.problem ? stack.problem : "")))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// The pair of the places of a process, made once for all that are at the same place.
static PyObject *current_place(VMObject *self, struct etp_reader *reader, uint64_t process,
                               PyObject *known)
{
	struct etp_stack stack;
	struct etp_error *err = etp_stack_find(self->vm, reader, process, &stack);
	if (err) {
		// No stack, and no place.
		etp_error_destroy(err);
		stack = (struct etp_stack){.process = process};
	}
	PyObject *key = Py_BuildValue("(KK)", (unsigned long long)stack.pc,
	                              (unsigned long long)stack.current);
	PyObject *place = key ? PyDict_GetItemWithError(known, key) : NULL;
	Py_XINCREF(place);
	if (key && !place && !PyErr_Occurred()) {
		place = Py_BuildValue("(NN)", current_location(self, reader, &stack, false),
		                      current_location(self, reader, &stack, true));
		if (place && PyDict_SetItem(known, key, place))
			Py_CLEAR(place);
	}
	Py_XDECREF(key);
	return place;
}

PyObject *VM_current_places(VMObject *self, PyObject *args)
{
	PyObject *addresses;
	if (!PyArg_ParseTuple(args, "O!:current_places", &PyList_Type, &addresses) ||
	    !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	PyObject *known = PyDict_New();
	PyObject *list = known ? PyList_New(0) : NULL;
	for (Py_ssize_t i = 0; list && i < PyList_Size(addresses); i++) {
		uint64_t process = PyLong_AsUnsignedLongLong(PyList_GetItem(addresses, i));
		if (PyErr_Occurred() || (i % 1024 == 0 && PyErr_CheckSignals()) ||
		    !list_append(list, current_place(self, &reader, process, known)))
			Py_CLEAR(list);
	}
	Py_XDECREF(known);
	return list;
}

PyObject *VM_stacktrace(VMObject *self, PyObject *args)
{
	unsigned long long process;
	Py_ssize_t depth = 0;
	unsigned long long top = 0, pc = 0;
	struct etp_reader reader;
	struct etp_stack stack;
	if (!PyArg_ParseTuple(args, "K|nKK:stacktrace", &process, &depth, &top, &pc) ||
	    !find_stack(self, process, &reader, &stack))
		return NULL;
	// As a thread had them in its registers.
	if (top) {
		if (top % 8 || top > stack.start)
			return PyErr_Format(PyExc_ValueError, "no stack at 0x%llx", top);
		stack.top = top;
		stack.pc = pc;
		stack.current = 0;
	}
	if (depth < 0) {
		PyErr_SetString(PyExc_ValueError, "negative depth");
		return NULL;
	}
	// No more entries than words, whatever was asked for.
	uint64_t words = (stack.start - stack.top) / 8 + 1;
	size_t most = depth ? (size_t)depth : etp_stack_backtrace_depth(self->vm);
	if (most > words)
		most = words;
	struct etp_code_location *frames = PyMem_Calloc(most + 1, sizeof(*frames));
	if (!frames)
		return PyErr_NoMemory();
	size_t count = etp_stack_trace(self->vm, &reader, &stack, most, frames, NULL);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++)
		if (!list_append(list, location_dict(self, &reader, &frames[i])))
			Py_CLEAR(list);
	PyMem_Free(frames);
	return list;
}

static PyObject *slot_location(VMObject *self, struct etp_reader *reader,
                               const struct etp_stack_slot *slot)
{
	struct etp_code_location location = {.kind = ETP_CODE_UNKNOWN};
	if (slot->kind == ETP_STACK_RETURN) {
		// A fragment is not called from anywhere: it is returned into.
		if (etp_code_locate(self->vm, reader, slot->pc, &location) != ETP_CODE_FRAGMENT)
			etp_code_locate(self->vm, reader, etp_code_call_of(self->vm, slot->pc),
			                &location);
	} else if (slot->kind == ETP_STACK_CATCH && slot->pc) {
		etp_code_locate(self->vm, reader, slot->pc, &location);
	} else if (slot->kind == ETP_STACK_MFA) {
		etp_code_mfa(self->vm, reader, slot->pc, &location);
	}
	return location.kind == ETP_CODE_UNKNOWN ? none() : location_dict(self, reader, &location);
}

static PyObject *slot_dict(VMObject *self, struct etp_reader *reader,
                           const struct etp_stack_slot *slot)
{
	bool is_y = slot->kind == ETP_STACK_TERM || slot->kind == ETP_STACK_CATCH;
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "address", PyLong_FromUnsignedLongLong(slot->address)) &&
	    dict_set(dict, "word", PyLong_FromUnsignedLongLong(slot->word)) &&
	    dict_set(dict, "kind", PyUnicode_FromString(etp_stack_slot_kind_name(slot->kind))) &&
	    dict_set(dict, "frame", PyLong_FromUnsignedLongLong(slot->frame)) &&
	    dict_set(dict, "y", is_y ? PyLong_FromUnsignedLongLong(slot->y) : none()) &&
	    dict_set(dict, "term",
	             slot->kind == ETP_STACK_TERM ? Term_new(self, NULL, slot->word) : none()) &&
	    dict_set(dict, "location", slot_location(self, reader, slot)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// Stands for the rest of a stack, which is not in the core.
static PyObject *unreadable_dict(const struct etp_stack_iter *iter)
{
	return Py_BuildValue("{sKsKsssKsOsOsO}", "address",
	                     (unsigned long long)(iter->end - iter->unreadable * 8), "word",
	                     (unsigned long long)iter->unreadable, "kind", "unreadable", "frame",
	                     (unsigned long long)iter->frame, "y", Py_None, "term", Py_None,
	                     "location", Py_None);
}

// Addresses of words, ascending; all words if there is no list.
struct wanted {
	uint64_t *addresses;
	size_t count, next;
};

static bool wanted_init(struct wanted *wanted, PyObject *list)
{
	*wanted = (struct wanted){.count = list == Py_None ? 0 : (size_t)PyList_Size(list)};
	if (list == Py_None)
		return true;
	wanted->addresses = PyMem_Calloc(wanted->count + 1, sizeof(*wanted->addresses));
	if (!wanted->addresses) {
		PyErr_NoMemory();
		return false;
	}
	for (size_t i = 0; i < wanted->count; i++)
		wanted->addresses[i] =
			PyLong_AsUnsignedLongLong(PyList_GetItem(list, (Py_ssize_t)i));
	return !PyErr_Occurred();
}

static bool is_wanted(struct wanted *wanted, uint64_t address)
{
	if (!wanted->addresses)
		return true;
	while (wanted->next < wanted->count && wanted->addresses[wanted->next] < address)
		wanted->next++;
	return wanted->next < wanted->count && wanted->addresses[wanted->next] == address;
}

static PyObject *slot_list(VMObject *self, struct etp_stack_iter *iter, Py_ssize_t limit,
                           struct wanted *wanted)
{
	struct etp_stack_slot slot;
	PyObject *list = PyList_New(0);
	while (list && (limit < 0 || PyList_Size(list) < limit) &&
	       etp_stack_iter_next(iter, &slot)) {
		struct etp_reader terms;
		if (!is_wanted(wanted, slot.address))
			continue;
		etp_reader_init(&terms, etp_vm_target(self->vm));
		if (!list_append(list, slot_dict(self, &terms, &slot)) ||
		    (PyList_Size(list) % 4096 == 0 && PyErr_CheckSignals()))
			Py_CLEAR(list);
	}
	if (list && iter->unreadable && !list_append(list, unreadable_dict(iter)))
		Py_CLEAR(list);
	return list;
}

PyObject *VM_stack(VMObject *self, PyObject *args)
{
	unsigned long long process;
	Py_ssize_t limit = -1;
	unsigned long long skip = 0;
	PyObject *only = Py_None;
	struct etp_reader reader;
	struct etp_stack stack;
	struct wanted wanted;
	if (!PyArg_ParseTuple(args, "K|nKO:stack", &process, &limit, &skip, &only) ||
	    !find_stack(self, process, &reader, &stack))
		return NULL;
	if (only != Py_None && !PyList_Check(only)) {
		PyErr_SetString(PyExc_TypeError, "the addresses must be a list");
		return NULL;
	}
	struct etp_stack_iter iter;
	struct etp_stack_slot slot;
	etp_stack_iter_init(&iter, self->vm, &reader, &stack);
	while (skip && etp_stack_iter_next(&iter, &slot))
		skip--;
	PyObject *list = wanted_init(&wanted, only) ? slot_list(self, &iter, limit, &wanted) : NULL;
	PyMem_Free(wanted.addresses);
	return list;
}
