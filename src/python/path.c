// SPDX-License-Identifier: Apache-2.0
#include <etp/magic.h>
#include <etp/path.h>
#include <etp/signal_queue.h>

#include "python/binding.h"

// None for what is not known.
static PyObject *known_term(VMObject *vm, RowWordsObject *row, etp_term term)
{
	if (!term)
		Py_RETURN_NONE;
	return Term_new(vm, row, term);
}

static PyObject *steps_list(VMObject *vm, RowWordsObject *row, const struct etp_path *path)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < path->step_count; i++) {
		const struct etp_path_step *step = &path->steps[i];
		PyObject *key = known_term(vm, row, step->key);
		PyObject *item = key ? Py_BuildValue("(sKN)", etp_path_step_name(step->kind),
		                                     (unsigned long long)step->index, key)
		                     : NULL;
		if (!item || PyList_Append(list, item))
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

PyObject *path_dict(VMObject *vm, RowWordsObject *row, const struct etp_path *path)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "root", PyUnicode_FromString(etp_path_root_name(path->root))) &&
	    dict_set(dict, "root_index", PyLong_FromUnsignedLongLong(path->root_index)) &&
	    dict_set(dict, "root_key", known_term(vm, row, path->root_key)) &&
	    dict_set(dict, "root_signal",
	             PyUnicode_FromString(path->root == ETP_PATH_SIGNAL
	                                          ? etp_signal_op_name((unsigned)path->root_index)
	                                          : "")) &&
	    dict_set(dict, "target", known_term(vm, row, path->target)) &&
	    dict_set(dict, "steps", steps_list(vm, row, path)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// {"paths": [...], "running", "in_gc", "gc_disabled", "truncated": bool, "unreadable": int};
// `paths` is released.
static PyObject *paths_dict(VMObject *vm, RowWordsObject *row, struct etp_paths *paths)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < paths->count; i++) {
		PyObject *item = path_dict(vm, row, &paths->paths[i]);
		if (!item || PyList_Append(list, item))
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	PyObject *dict = list ? Py_BuildValue("{s:N,s:N,s:N,s:N,s:N,s:K}", "paths", list, "running",
	                                      PyBool_FromLong(paths->running), "in_gc",
	                                      PyBool_FromLong(paths->in_gc), "gc_disabled",
	                                      PyBool_FromLong(paths->gc_disabled), "truncated",
	                                      PyBool_FromLong(paths->truncated), "unreadable",
	                                      (unsigned long long)paths->unreadable)
	                      : NULL;
	etp_paths_deinit(paths);
	return dict;
}

// The arguments of the functions below: the address of a holder, that of the target, and how many
// paths are wanted. `format` is PyArg_ParseTuple()'s. False with an exception set.
static bool parse_search(VMObject *self, PyObject *args, const char *format,
                         unsigned long long *holder_ret, struct etp_path_options *ret)
{
	unsigned long long target;
	Py_ssize_t max_paths = 1;
	if (!PyArg_ParseTuple(args, format, holder_ret, &target, &max_paths) || !VM_is_open(self))
		return false;
	*ret = (struct etp_path_options){
		.target = target,
		.max_paths = max_paths > 0 ? (size_t)max_paths : 1,
		.max_things = self->max_things,
	};
	return true;
}

typedef struct etp_error *search_from(const struct etp_vm *vm, uint64_t address,
                                      const struct etp_path_options *options,
                                      struct etp_paths *ret);

// What a search from the holder itself finds.
static PyObject *paths_from(VMObject *self, PyObject *args, const char *format, search_from *search)
{
	unsigned long long holder;
	struct etp_path_options options;
	if (!parse_search(self, args, format, &holder, &options))
		return NULL;
	struct etp_paths paths;
	struct etp_error *err = search(self->vm, holder, &options, &paths);
	return err ? raise_error(err) : paths_dict(self, NULL, &paths);
}

PyObject *VM_paths_in_process(VMObject *self, PyObject *args)
{
	return paths_from(self, args, "KK|n:paths_in_process", etp_paths_in_process);
}

PyObject *VM_paths_in_port(VMObject *self, PyObject *args)
{
	return paths_from(self, args, "KK|n:paths_in_port", etp_paths_in_port);
}

// From the thing at the start of the area: the {Key, Value} of a persistent term.
PyObject *VM_paths_in_literals(VMObject *self, PyObject *args)
{
	unsigned long long area;
	struct etp_path_options options;
	if (!parse_search(self, args, "KK|n:paths_in_literals", &area, &options))
		return NULL;
	const struct etp_vm *vm = self->vm;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(vm));
	uint64_t first = area + OFFSET(vm, ErtsLiteralArea, start), end;
	if (!READ_WORD(vm, &reader, area, ErtsLiteralArea, end, &end) || end < first)
		return raise_error(etp_error_fault(area, "Literal area"));
	struct etp_paths paths;
	struct etp_path_words words = {first, (end - first) / 8};
	struct etp_error *err = etp_paths_in_words(vm, &reader, first | TAG_PRIMARY_BOXED, &words,
	                                           1, &options, &paths);
	return err ? raise_error(err) : paths_dict(self, NULL, &paths);
}

PyObject *VM_paths_in_timer(VMObject *self, PyObject *args)
{
	unsigned long long timer;
	struct etp_path_options options;
	if (!parse_search(self, args, "KK|n:paths_in_timer", &timer, &options))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	uint64_t message, fragment;
	if (!HAS(self->vm, ErtsBifTimer, message) || !HAS(self->vm, ErtsBifTimer, bp) ||
	    !READ_WORD(self->vm, &reader, timer, ErtsBifTimer, message, &message) ||
	    !READ_WORD(self->vm, &reader, timer, ErtsBifTimer, bp, &fragment))
		return raise_error(etp_error_fault(timer, "ErtsBifTimer"));
	struct etp_paths paths;
	struct etp_error *err =
		etp_paths_in_fragments(self->vm, message, fragment, &options, &paths);
	return err ? raise_error(err) : paths_dict(self, NULL, &paths);
}

PyObject *VM_magic_binary(VMObject *self, PyObject *args)
{
	unsigned long long address;
	if (!PyArg_ParseTuple(args, "K:magic_binary", &address) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	struct etp_magic_kinds kinds;
	struct etp_magic magic;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	etp_magic_kinds_init(&kinds, self->vm);
	etp_magic_read(self->vm, &reader, &kinds, address, &magic);
	PyObject *module = known_term(self, NULL, magic.module);
	PyObject *name = module ? known_term(self, NULL, magic.name) : NULL;
	if (name)
		return Py_BuildValue("(sNN)", etp_magic_kind_name(magic.kind), module, name);
	Py_XDECREF(module);
	return NULL;
}

PyObject *VM_place_of(VMObject *self, PyObject *args)
{
	unsigned long long address;
	if (!PyArg_ParseTuple(args, "K:place_of", &address))
		return NULL;
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	struct etp_place place;
	struct etp_error *err = etp_find_place(self->vm, address, &place);
	if (err)
		return raise_error(err);
	if (place.kind == ETP_PLACE_UNKNOWN)
		Py_RETURN_NONE;
	return Py_BuildValue("(sKK)", place.kind == ETP_PLACE_PROCESS ? "process" : "ets",
	                     (unsigned long long)place.holder, (unsigned long long)place.row);
}

PyObject *row_paths(VMObject *vm, RowWordsObject *row, etp_term tuple, uint64_t words,
                    PyObject *args)
{
	unsigned long long target;
	Py_ssize_t max_paths = 1;
	if (!PyArg_ParseTuple(args, "K|n:paths", &target, &max_paths))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(vm->vm));
	struct etp_path_words areas[2] = {{term_pointer(tuple), words}};
	size_t count = 1;
	if (row) {
		reader.overlay = row->overlay;
		areas[0] = (struct etp_path_words){row->overlay.start, row->overlay.size / 8};
		areas[1] = (struct etp_path_words){row->words.block, row->words.block_words};
		count = 2;
	}
	struct etp_path_options options = {
		.target = target,
		.max_paths = max_paths > 0 ? (size_t)max_paths : 1,
		.max_things = vm->max_things,
	};
	struct etp_paths paths;
	struct etp_error *err =
		etp_paths_in_words(vm->vm, &reader, tuple, areas, count, &options, &paths);
	return err ? raise_error(err) : paths_dict(vm, row, &paths);
}
