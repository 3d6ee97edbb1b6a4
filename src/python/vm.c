// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

#include <etp/layouts.h>

PyTypeObject *VM_type;

// What a VM is opened from, as Python gives it.
struct opening {
	struct etp_target *target;
	struct etp_layout_options layout;
	// Own the strings of the options.
	PyObject *directories;
	const char **paths;
};

static void opening_deinit(struct opening *opening)
{
	etp_target_destroy(opening->target);
	PyMem_Free(opening->paths);
	Py_XDECREF(opening->directories);
}

// The paths of a sequence of str, for the options.
static bool opening_set_directories(struct opening *opening, PyObject *directories)
{
	// The strings belong to the items, which the list keeps alive.
	opening->directories = directories ? PySequence_List(directories) : PyList_New(0);
	if (!opening->directories)
		return false;
	Py_ssize_t count = PyList_Size(opening->directories);
	opening->paths = PyMem_Calloc((size_t)count + 1, sizeof(*opening->paths));
	bool ok = opening->paths || PyErr_NoMemory();
	for (Py_ssize_t i = 0; ok && i < count; i++)
		ok = PyArg_Parse(PyList_GetItem(opening->directories, i), "s", &opening->paths[i]);
	opening->layout.directories = opening->paths;
	return ok;
}

// False, and a Python error is set, if there is no such target; opening_deinit() in any case.
static bool opening_init(struct opening *opening, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {
		"core",      "executable",    "sysroot", "layout",      "layout_directories",
		"use_dwarf", "pid",           "copy",    "search_path", "without",
		"rehearsal", "max_libraries", NULL};
	const char *core = NULL, *executable = NULL, *sysroot = NULL, *layout = NULL;
	const char *search_path = NULL;
	PyObject *directories = NULL;
	const char *without = NULL;
	Py_ssize_t without_size = 0;
	int use_dwarf = 1, pid = 0, copy = 1, rehearsal = 0;
	unsigned long long max_libraries = 0;
	*opening = (struct opening){0};
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|z$zzzOpipzy#pK", names, &core, &executable,
	                                 &sysroot, &layout, &directories, &use_dwarf, &pid, &copy,
	                                 &search_path, &without, &without_size, &rehearsal,
	                                 &max_libraries))
		return false;
	if (!core == !pid) {
		PyErr_SetString(PyExc_TypeError, "either a core or a pid must be given");
		return false;
	}
	opening->layout.file = layout;
	opening->layout.no_dwarf = !use_dwarf;
	if (!opening_set_directories(opening, directories))
		return false;
	struct etp_core_options core_options = {.core = core,
	                                        .executable = executable,
	                                        .sysroot = sysroot,
	                                        .search_path = search_path,
	                                        .max_libraries = max_libraries};
	struct etp_target_range *ranges = PyMem_Malloc((size_t)without_size + 1);
	if (!ranges) {
		PyErr_NoMemory();
		return false;
	}
	// As VM.unused_memory() gave them; in memory of our own they are aligned.
	if (without_size)
		memcpy(ranges, without, (size_t)without_size);
	struct etp_process_options process_options = {
		.pid = pid,
		.executable = executable,
		.copy = copy && !rehearsal,
		.without = ranges,
		.without_count = (size_t)without_size / sizeof(ranges[0]),
		.rehearsal = rehearsal,
	};
	struct etp_error *err = core ? etp_target_open_core(&core_options, &opening->target)
	                             : etp_target_open_process(&process_options, &opening->target);
	PyMem_Free(ranges);
	if (err)
		raise_error(err);
	return !err;
}

static int VM_init(VMObject *self, PyObject *args, PyObject *kwargs)
{
	if (self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ called twice");
		return -1;
	}
	struct opening opening;
	bool ok = opening_init(&opening, args, kwargs);
	if (ok) {
		struct etp_error *err = etp_vm_open(opening.target, &opening.layout, &self->vm);
		ok = !err;
		if (err)
			raise_error(err);
		else
			opening.target = NULL;
	}
	opening_deinit(&opening);
	return ok ? 0 : -1;
}

static void VM_dealloc(VMObject *self)
{
	VM_tables_free(self);
	etp_unwinder_destroy(self->unwinder);
	etp_vm_close(self->vm);
	binding_free((PyObject *)self);
}

// Every method but __init__ needs an opened VM.
bool VM_is_open(VMObject *self)
{
	if (!self->vm)
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
	return self->vm;
}

static PyObject *VM_unused_memory(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_target_range *ranges;
	size_t count;
	struct etp_error *err = etp_target_unused(etp_vm_target(self->vm), &ranges, &count);
	if (err)
		return raise_error(err);
	PyObject *bytes = PyBytes_FromStringAndSize((const char *)ranges,
	                                            (Py_ssize_t)(count * sizeof(ranges[0])));
	free(ranges);
	return bytes;
}

static PyObject *VM_has_missed(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	return PyBool_FromLong(etp_target_has_missed(etp_vm_target(self->vm)));
}

PyObject *atom_to_str(const struct etp_vm *vm, uint64_t index)
{
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(vm));
	size_t size;
	const char *name = etp_vm_atom(vm, &reader, index, &size);
	if (!name)
		return PyUnicode_FromFormat("#UnreadableAtom<%llu>", (unsigned long long)index);
	return PyUnicode_DecodeUTF8(name, (Py_ssize_t)size, "replace");
}

PyObject *registered_name(const struct etp_vm *vm, bool has_name, bool is_unreadable, uint64_t name)
{
	if (is_unreadable)
		return PyUnicode_FromString("#UnreadableName");
	return has_name ? atom_to_str(vm, name) : Py_BuildValue("");
}

static PyObject *VM_atom(VMObject *self, PyObject *args)
{
	unsigned long long index;
	if (!PyArg_ParseTuple(args, "K:atom", &index) || !VM_is_open(self))
		return NULL;
	if (index >= etp_vm_info(self->vm)->atoms) {
		PyErr_Format(PyExc_IndexError, "atom %llu of %llu", index,
		             (unsigned long long)etp_vm_info(self->vm)->atoms);
		return NULL;
	}
	return atom_to_str(self->vm, index);
}

static PyObject *VM_atom_count(VMObject *self, PyObject *ignored)
{
	return VM_is_open(self) ? PyLong_FromUnsignedLongLong(etp_vm_info(self->vm)->atoms) : NULL;
}

static PyObject *VM_find_atom(VMObject *self, PyObject *args)
{
	const char *name;
	Py_ssize_t size;
	if (!PyArg_ParseTuple(args, "s#:find_atom", &name, &size) || !VM_is_open(self))
		return NULL;
	uint64_t index;
	struct etp_error *err = etp_vm_find_atom(self->vm, name, (size_t)size, &index);
	return err ? raise_error(err) : Term_new(self, NULL, term_make_atom(index));
}

static PyObject *VM_term(VMObject *self, PyObject *args)
{
	unsigned long long word;
	if (!PyArg_ParseTuple(args, "K:term", &word) || !VM_is_open(self))
		return NULL;
	return Term_new(self, NULL, word);
}

static PyObject *VM_read(VMObject *self, PyObject *args)
{
	unsigned long long address;
	Py_ssize_t size;
	if (!PyArg_ParseTuple(args, "Kn:read", &address, &size) || !VM_is_open(self))
		return NULL;
	if (size < 0) {
		PyErr_SetString(PyExc_ValueError, "negative size");
		return NULL;
	}
	// Look before allocating: the size may come from a damaged core.
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	if (size && !etp_reader_at(&reader, address, 1))
		return raise_error(etp_error_fault(address, "Memory"));
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
	if (!bytes)
		return NULL;
	struct etp_error *err = etp_target_read(etp_vm_target(self->vm), address,
	                                        PyBytes_AsString(bytes), (size_t)size);
	if (!err)
		return bytes;
	Py_DECREF(bytes);
	return raise_error(err);
}

static PyObject *VM_symbol(VMObject *self, PyObject *args)
{
	const char *name;
	uint64_t address, size;
	if (!PyArg_ParseTuple(args, "s:symbol", &name) || !VM_is_open(self))
		return NULL;
	struct etp_error *err = etp_target_symbol(etp_vm_target(self->vm), name, &address, &size);
	if (err)
		return raise_error(err);
	return Py_BuildValue("(KK)", (unsigned long long)address, (unsigned long long)size);
}

static PyObject *VM_symbol_at(VMObject *self, PyObject *args)
{
	unsigned long long address;
	uint64_t offset;
	if (!PyArg_ParseTuple(args, "K:symbol_at", &address) || !VM_is_open(self))
		return NULL;
	const char *name = etp_target_symbol_at(etp_vm_target(self->vm), address, &offset);
	if (!name)
		Py_RETURN_NONE;
	return Py_BuildValue("(sK)", name, (unsigned long long)offset);
}

static PyObject *initial_call(VMObject *self, const struct etp_process_summary *summary)
{
	if (summary->initial_call_source == ETP_INITIAL_CALL_NONE)
		Py_RETURN_NONE;
	PyObject *module = atom_to_str(self->vm, summary->initial_module);
	PyObject *function = atom_to_str(self->vm, summary->initial_function);
	if (!module || !function) {
		Py_XDECREF(module);
		Py_XDECREF(function);
		return NULL;
	}
	return Py_BuildValue("(NNK)", module, function, (unsigned long long)summary->initial_arity);
}

static const char *initial_call_source_name(enum etp_initial_call_source source)
{
	switch (source) {
	case ETP_INITIAL_CALL_PROC_LIB:
		return "proc_lib";
	case ETP_INITIAL_CALL_SPAWN:
		return "spawn";
	case ETP_INITIAL_CALL_UNREADABLE:
		return "unreadable";
	default:
		return "none";
	}
}

static PyObject *process_summary(VMObject *self, uint64_t address)
{
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_process_summary summary;
	struct etp_error *err = etp_vm_process_summary(self->vm, &reader, address, &summary);
	if (err)
		return raise_error(err);
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "address", PyLong_FromUnsignedLongLong(summary.address)) &&
	    dict_set(dict, "pid", Term_new(self, NULL, summary.pid)) &&
	    dict_set(dict, "name",
	             registered_name(self->vm, summary.has_name, summary.is_name_unreadable,
	                             summary.name)) &&
	    dict_set(dict, "initial_call", initial_call(self, &summary)) &&
	    dict_set(dict, "initial_call_source",
	             PyUnicode_FromString(initial_call_source_name(summary.initial_call_source))))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *VM_process(VMObject *self, PyObject *args)
{
	PyObject *which;
	if (!PyArg_ParseTuple(args, "O:process", &which) || !VM_is_open(self))
		return NULL;
	uint64_t address;
	if (PyObject_TypeCheck(which, Term_type)) {
		if (!Term_is_of((TermObject *)which, self))
			return NULL;
		address = etp_vm_process(self->vm, ((TermObject *)which)->word);
	} else {
		address = PyLong_AsUnsignedLongLong(which);
		if (PyErr_Occurred())
			return NULL;
	}
	if (!address)
		Py_RETURN_NONE;
	return process_summary(self, address);
}

static PyObject *VM_processes(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(self->vm, &addresses, &pids);
	PyObject *list = PyList_New((Py_ssize_t)count);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *pid = Term_new(self, NULL, pids[i]);
		PyObject *pair =
			pid ? Py_BuildValue("(KN)", (unsigned long long)addresses[i], pid) : NULL;
		if (!pair)
			Py_CLEAR(list);
		else
			PyList_SetItem(list, (Py_ssize_t)i, pair);
	}
	return list;
}

static PyObject *VM_port_is_open(VMObject *self, PyObject *args)
{
	TermObject *port;
	if (!PyArg_ParseTuple(args, "O!:port_is_open", Term_type, &port) || !VM_is_open(self) ||
	    !Term_is_of(port, self))
		return NULL;
	return PyBool_FromLong(etp_vm_port(self->vm, port->word) != 0);
}

static PyObject *trial_dict(const struct etp_layout_trial *trial)
{
	const struct etp_layout *layout = trial->layout;
	const struct {
		const char *key, *text;
	} texts[] = {
		{"path", trial->path},
		{"otp_release", layout ? layout->otp_release : NULL},
		{"erts_version", layout ? layout->erts_version : NULL},
		{"machine", layout ? layout->machine : NULL},
		{"flavor", layout ? layout->flavor : NULL},
		{"origin", layout ? layout->origin : NULL},
		{"match", etp_layout_match_name(trial->match)},
		{"difference", trial->difference},
		{"refusal", trial->refusal},
	};
	PyObject *dict = PyDict_New();
	for (size_t i = 0; dict && i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = texts[i].text;
		PyObject *value =
			text ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace")
			     : Py_None;
		if (!text)
			Py_INCREF(value);
		if (!dict_set(dict, texts[i].key, value))
			Py_CLEAR(dict);
	}
	if (dict && !dict_set(dict, "is_users", PyBool_FromLong(trial->is_users)))
		Py_CLEAR(dict);
	return dict;
}

// (trials, problem or None); takes over the trials.
static PyObject *trials_tuple(struct etp_layout_trials *trials)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < trials->count; i++)
		if (!list_append(list, trial_dict(&trials->items[i])))
			Py_CLEAR(list);
	PyObject *result = list ? Py_BuildValue("(Oz)", list, trials->problem) : NULL;
	Py_XDECREF(list);
	etp_layout_trials_deinit(trials);
	return result;
}

PyObject *binding_layouts(PyObject *module, PyObject *args, PyObject *kwargs)
{
	struct opening opening;
	struct etp_layout_trials trials;
	PyObject *result = NULL;
	if (opening_init(&opening, args, kwargs)) {
		struct etp_error *err =
			etp_layout_trials_init(&trials, opening.target, &opening.layout);
		result = err ? raise_error(err) : trials_tuple(&trials);
	}
	opening_deinit(&opening);
	return result;
}

static PyObject *VM_layouts(VMObject *self, PyObject *args)
{
	PyObject *directories;
	if (!PyArg_ParseTuple(args, "O:layouts", &directories) || !VM_is_open(self))
		return NULL;
	struct opening opening = {0};
	struct etp_layout_trials trials;
	PyObject *result = NULL;
	if (opening_set_directories(&opening, directories)) {
		struct etp_error *err = etp_vm_layouts(self->vm, &opening.layout, &trials);
		result = err ? raise_error(err) : trials_tuple(&trials);
	}
	opening_deinit(&opening);
	return result;
}

static PyMethodDef VM_methods[] = {
	{"info", (PyCFunction)VM_info, METH_NOARGS, NULL},
	{"arguments", (PyCFunction)VM_arguments, METH_NOARGS, NULL},
	{"layouts", (PyCFunction)VM_layouts, METH_VARARGS, NULL},
	{"atom", (PyCFunction)VM_atom, METH_VARARGS, NULL},
	{"atom_count", (PyCFunction)VM_atom_count, METH_NOARGS, NULL},
	{"find_atom", (PyCFunction)VM_find_atom, METH_VARARGS, NULL},
	{"term", (PyCFunction)VM_term, METH_VARARGS, NULL},
	{"compose", (PyCFunction)VM_compose, METH_O, NULL},
	{"read", (PyCFunction)VM_read, METH_VARARGS, NULL},
	{"symbol", (PyCFunction)VM_symbol, METH_VARARGS, NULL},
	{"symbol_at", (PyCFunction)VM_symbol_at, METH_VARARGS, NULL},
	{"process", (PyCFunction)VM_process, METH_VARARGS, NULL},
	{"processes", (PyCFunction)VM_processes, METH_NOARGS, NULL},
	{"process_info", (PyCFunction)(void (*)(void))VM_process_info, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{"process_list", (PyCFunction)VM_process_list, METH_NOARGS, NULL},
	{"messages", (PyCFunction)VM_messages, METH_VARARGS, NULL},
	{"message_shapes", (PyCFunction)(void (*)(void))VM_message_shapes,
         METH_VARARGS | METH_KEYWORDS, NULL},
	{"port_is_open", (PyCFunction)VM_port_is_open, METH_VARARGS, NULL},
	{"mailboxes", (PyCFunction)VM_mailboxes, METH_VARARGS, NULL},
	{"waits", (PyCFunction)VM_waits, METH_VARARGS, NULL},
	{"ports", (PyCFunction)VM_ports, METH_NOARGS, NULL},
	{"port_links", (PyCFunction)VM_port_links, METH_VARARGS, NULL},
	{"dist_entries", (PyCFunction)VM_dist_entries, METH_NOARGS, NULL},
	{"locks", (PyCFunction)VM_locks, METH_NOARGS, NULL},
	{"persistent_term", (PyCFunction)VM_persistent_term, METH_O, NULL},
	{"unused_memory", (PyCFunction)VM_unused_memory, METH_NOARGS, NULL},
	{"has_missed", (PyCFunction)VM_has_missed, METH_NOARGS, NULL},
	{"super_carriers", (PyCFunction)VM_super_carriers, METH_NOARGS, NULL},
	{"tracers", (PyCFunction)VM_tracers, METH_NOARGS, NULL},
	{"thread_types", (PyCFunction)VM_thread_types, METH_NOARGS, NULL},
	{"fds", (PyCFunction)VM_fds, METH_NOARGS, NULL},
	{"dist_entry_ties", (PyCFunction)VM_dist_entry_ties, METH_VARARGS, NULL},
	{"timers", (PyCFunction)(void (*)(void))VM_timers, METH_VARARGS | METH_KEYWORDS, NULL},
	{"schedulers", (PyCFunction)VM_schedulers, METH_NOARGS, NULL},
	{"run_queues", (PyCFunction)VM_run_queues, METH_NOARGS, NULL},
	{"run_queue", (PyCFunction)VM_run_queue, METH_VARARGS, NULL},
	{"threads", (PyCFunction)VM_threads, METH_NOARGS, NULL},
	{"unwind", (PyCFunction)VM_unwind, METH_VARARGS, NULL},
	{"scheduler_outer_frame", (PyCFunction)VM_scheduler_outer_frame, METH_VARARGS, NULL},
	{"thread_progress", (PyCFunction)VM_thread_progress, METH_NOARGS, NULL},
	{"location", (PyCFunction)VM_location, METH_VARARGS, NULL},
	{"fun_location", (PyCFunction)VM_fun_location, METH_VARARGS, NULL},
	{"modules", (PyCFunction)VM_modules, METH_NOARGS, NULL},
	{"modules_problem", (PyCFunction)VM_modules_problem, METH_NOARGS, NULL},
	{"execution", (PyCFunction)VM_execution, METH_VARARGS, NULL},
	{"current_places", (PyCFunction)VM_current_places, METH_VARARGS, NULL},
	{"stacktrace", (PyCFunction)VM_stacktrace, METH_VARARGS, NULL},
	{"stack", (PyCFunction)VM_stack, METH_VARARGS, NULL},
	{"heap_areas", (PyCFunction)VM_heap_areas, METH_VARARGS, NULL},
	{"heap_things", (PyCFunction)VM_heap_things, METH_VARARGS, NULL},
	{"heap_largest", (PyCFunction)VM_heap_largest, METH_VARARGS, NULL},
	{"off_heap", (PyCFunction)VM_off_heap, METH_VARARGS, NULL},
	{"writable_binaries", (PyCFunction)VM_writable_binaries, METH_VARARGS, NULL},
	{"binary_header", (PyCFunction)VM_binary_header, METH_VARARGS, NULL},
	{"ets_tables", (PyCFunction)VM_ets_tables, METH_NOARGS, NULL},
	{"ets_tables_gaps", (PyCFunction)VM_ets_tables_gaps, METH_NOARGS, NULL},
	{"ets_rows", (PyCFunction)VM_ets_rows, METH_VARARGS, NULL},
	{"ets_row", (PyCFunction)VM_ets_row, METH_VARARGS, NULL},
	{"accumulators", (PyCFunction)(void (*)(void))VM_accumulators, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{"histogram", (PyCFunction)(void (*)(void))VM_histogram, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{"magic_binary", (PyCFunction)VM_magic_binary, METH_VARARGS, NULL},
	{"place_of", (PyCFunction)VM_place_of, METH_VARARGS, NULL},
	{"paths_in_process", (PyCFunction)VM_paths_in_process, METH_VARARGS, NULL},
	{"paths_in_literals", (PyCFunction)VM_paths_in_literals, METH_VARARGS, NULL},
	{"paths_in_timer", (PyCFunction)VM_paths_in_timer, METH_VARARGS, NULL},
	{"paths_in_port", (PyCFunction)VM_paths_in_port, METH_VARARGS, NULL},
	{"measure", (PyCFunction)VM_measure, METH_VARARGS, NULL},
	{"measure_each", (PyCFunction)VM_measure_each, METH_VARARGS, NULL},
	{"measure_slots", (PyCFunction)VM_measure_slots, METH_VARARGS, NULL},
	{"census", (PyCFunction)(void (*)(void))VM_census, METH_VARARGS | METH_KEYWORDS, NULL},
	{"memory", (PyCFunction)VM_memory, METH_NOARGS, NULL},
	{"process_binaries", (PyCFunction)VM_process_binaries, METH_VARARGS, NULL},
	{"scan_ets", (PyCFunction)(void (*)(void))VM_scan_ets, METH_VARARGS | METH_KEYWORDS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyObject *VM_get_max_things(VMObject *self, void *closure)
{
	return PyLong_FromSize_t(self->max_things);
}

static int VM_set_max_things(VMObject *self, PyObject *value, void *closure)
{
	size_t things = value ? PyLong_AsSize_t(value) : 0;
	if (PyErr_Occurred())
		return -1;
	self->max_things = things;
	return 0;
}

static PyGetSetDef VM_getset[] = {
	{"max_things", (getter)VM_get_max_things, (setter)VM_set_max_things, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot VM_slots[] = {
	{Py_tp_doc, "A target together with the layout of its beam.smp."},
	{Py_tp_init, VM_init},
	{Py_tp_dealloc, VM_dealloc},
	{Py_tp_methods, VM_methods},
	{Py_tp_getset, VM_getset},
	{0, NULL},
};

static PyType_Spec VM_spec = {
	.name = "_etp.VM",
	.basicsize = sizeof(VMObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = VM_slots,
};

int binding_init_vm(PyObject *module)
{
	VM_type = binding_add_type(module, &VM_spec);
	return VM_type ? 0 : -1;
}
