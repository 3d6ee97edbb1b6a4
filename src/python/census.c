// SPDX-License-Identifier: Apache-2.0
#include <etp/census.h>
#include <etp/allocators.h>

#include <stdlib.h>

#include "python/scan.h"

static PyTypeObject *Census_type;

typedef struct {
	PyObject_HEAD
	VMObject *vm;
	struct etp_census *census;
	// It is being taken further, and a callback may ask it meanwhile.
	bool is_busy;
} CensusObject;

// Can it be asked? Otherwise an exception is set.
static bool is_usable(const CensusObject *self)
{
	if (self->is_busy)
		PyErr_SetString(PyExc_RuntimeError, "the census is being taken");
	return !self->is_busy;
}

static bool census_progress(void *context, uint64_t done, uint64_t total, const char *what)
{
	return call_progress(context, done, total, what);
}

PyObject *VM_census(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"progress", "threads", "rows_a_part", "tables_only", NULL};
	unsigned threads = 0;
	unsigned long long rows_a_part = 0;
	int tables_only = 0;
	PyObject *callback = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OIKp:census", names, &callback, &threads,
	                                 &rows_a_part, &tables_only))
		return NULL;
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	struct etp_census_options options = {
		.progress = census_progress,
		.threads = threads,
		.rows_a_part = rows_a_part,
		.tables_only = tables_only,
		.context = callback == Py_None ? NULL : callback,
	};
	struct etp_census *census;
	struct etp_error *err = etp_census_take(self->vm, &options, &census);
	if (err)
		return raise_error(err);
	CensusObject *object = NULL;
	if (forgive_interrupt()) {
		allocfunc allocate = (allocfunc)PyType_GetSlot(Census_type, Py_tp_alloc);
		object = (CensusObject *)allocate(Census_type, 0);
	}
	if (!object) {
		etp_census_destroy(census);
		return NULL;
	}
	Py_INCREF(self);
	object->vm = self;
	object->census = census;
	return (PyObject *)object;
}

static PyObject *Census_take_others(CensusObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"progress", "threads", NULL};
	unsigned threads = 0;
	PyObject *callback = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OI:take_others", names, &callback,
	                                 &threads) ||
	    !is_usable(self))
		return NULL;
	struct etp_census_options options = {
		.progress = census_progress,
		.threads = threads,
		.context = callback == Py_None ? NULL : callback,
	};
	self->is_busy = true;
	struct etp_error *err = etp_census_take_others(self->census, &options);
	// After an error it stays so: it has only a part of what it says it has.
	self->is_busy = err;
	if (err)
		return raise_error(err);
	if (!forgive_interrupt())
		return NULL;
	Py_RETURN_NONE;
}

static void Census_dealloc(CensusObject *self)
{
	etp_census_destroy(self->census);
	Py_XDECREF(self->vm);
	binding_free((PyObject *)self);
}

static PyObject *process_dict(VMObject *vm, const struct etp_census_process *process)
{
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"address", process->address},
		{"young_words", process->young_words},
		{"old_words", process->old_words},
		{"fragment_words", process->fragment_words},
		{"message_words", process->message_words},
		{"transit_words", process->transit_words},
		{"aside_words", process->aside_words},
		{"stack_words", process->stack_words},
		{"free_words", process->free_words},
		{"live_words", process->live_words},
		{"messages", process->messages},
		{"messages_in_transit", process->messages_in_transit},
		{"binary_refs", process->binary_refs},
		{"binary_bytes", process->binary_bytes},
		{"released_refs", process->released_refs},
		{"released_bytes", process->released_bytes},
		{"added_refs", process->added_refs},
		{"added_bytes", process->added_bytes},
		{"writable_refs", process->writable_refs},
		{"writable_bytes", process->writable_bytes},
		{"binaries", process->binaries},
		{"distinct_bytes", process->distinct_bytes},
		{"visible_bytes", process->visible_bytes},
		{"terms", process->terms},
		{"unreadable", process->unreadable},
	};
	PyObject *dict = PyDict_New();
	bool ok = dict && dict_set(dict, "pid", Term_new(vm, NULL, process->pid)) &&
	          dict_set(dict, "running", PyBool_FromLong(process->running)) &&
	          dict_set(dict, "in_gc", PyBool_FromLong(process->in_gc)) &&
	          dict_set(dict, "gc_disabled", PyBool_FromLong(process->gc_disabled)) &&
	          dict_set(dict, "incomplete", PyBool_FromLong(process->incomplete)) &&
	          dict_set(dict, "problem",
	                   PyUnicode_FromString(process->problem ? process->problem : ""));
	for (size_t i = 0; ok && i < sizeof(fields) / sizeof(fields[0]); i++)
		ok = dict_set(dict, fields[i].key, PyLong_FromUnsignedLongLong(fields[i].value));
	if (ok)
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static bool is_any(const struct etp_census_process *process)
{
	return true;
}

static bool is_unreadable(const struct etp_census_process *process)
{
	return process->unreadable;
}

static bool changes_in_gc(const struct etp_census_process *process)
{
	return process->released_refs || process->added_refs;
}

// A dict for each of the first `limit` processes that are such: there may be very many others.
static PyObject *list_processes(CensusObject *self,
                                bool (*is_such)(const struct etp_census_process *), size_t limit)
{
	if (!is_usable(self))
		return NULL;
	PyObject *list = PyList_New(0);
	size_t count = etp_census_process_count(self->census), found = 0;
	for (size_t i = 0; list && i < count && found < limit; i++) {
		struct etp_census_process process;
		etp_census_process(self->census, i, &process);
		bool is_wanted = is_such(&process);
		found += is_wanted;
		if ((is_wanted && !list_append(list, process_dict(self->vm, &process))) ||
		    (i % 1024 == 0 && PyErr_CheckSignals()))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *Census_get_processes(CensusObject *self, void *closure)
{
	return list_processes(self, is_any, SIZE_MAX);
}

static PyObject *Census_unreadable_processes(CensusObject *self, PyObject *args)
{
	Py_ssize_t limit;
	if (!PyArg_ParseTuple(args, "n:unreadable_processes", &limit))
		return NULL;
	return list_processes(self, is_unreadable, limit < 0 ? 0 : (size_t)limit);
}

static PyObject *Census_get_changing_processes(CensusObject *self, void *closure)
{
	return list_processes(self, changes_in_gc, SIZE_MAX);
}

static PyObject *Census_ranked_processes(CensusObject *self, PyObject *args)
{
	// In the order of enum etp_census_process_order.
	static const char *const orders[] = {"delta", "bytes",       "released", "released-bytes",
	                                     "added", "added-bytes", "refs",     "refs-bytes"};
	const char *name;
	int changing, reverse;
	unsigned long long limit;
	if (!PyArg_ParseTuple(args, "sppK:ranked_processes", &name, &changing, &reverse, &limit) ||
	    !is_usable(self))
		return NULL;
	size_t order = 0;
	while (order < sizeof(orders) / sizeof(orders[0]) && strcmp(orders[order], name) != 0)
		order++;
	if (order == sizeof(orders) / sizeof(orders[0]))
		return PyErr_Format(PyExc_ValueError, "no order %s", name);
	const struct etp_process_choice choice = {
		.order = (enum etp_census_process_order)order,
		.changing = changing,
		.reverse = reverse,
		.limit = limit ? (size_t)limit : SIZE_MAX,
	};
	size_t *indexes, count, all;
	struct etp_error *err =
		etp_census_choose_processes(self->census, &choice, &indexes, &count, &all);
	if (err)
		return raise_error(err);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++)
		if (!list_append(list, PyLong_FromSize_t(indexes[i])))
			Py_CLEAR(list);
	free(indexes);
	return list ? Py_BuildValue("(nN)", (Py_ssize_t)all, list) : NULL;
}

static PyObject *Census_process(CensusObject *self, PyObject *args)
{
	Py_ssize_t index;
	if (!PyArg_ParseTuple(args, "n:process", &index) || !is_usable(self))
		return NULL;
	if (index < 0 || (size_t)index >= etp_census_process_count(self->census))
		return PyErr_Format(PyExc_IndexError, "no process %zd", index);
	struct etp_census_process process;
	etp_census_process(self->census, (size_t)index, &process);
	return process_dict(self->vm, &process);
}

static PyObject *Census_get_totals(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	struct etp_census_totals totals;
	etp_census_totals(self->census, &totals);
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"processes", totals.processes},
		{"used_words", totals.used_words},
		{"live_words", totals.live_words},
		{"garbage_words", totals.garbage_words},
		{"message_words", totals.message_words},
		{"stack_words", totals.stack_words},
		{"free_words", totals.free_words},
		{"timer_bytes", totals.timer_bytes},
		{"released_refs", totals.released_refs},
		{"released_bytes", totals.released_bytes},
		{"released_binaries", totals.released_binaries},
		{"freed_binaries", totals.freed_binaries},
		{"freed_bytes", totals.freed_bytes},
		{"terms", totals.terms},
		{"running", totals.running},
		{"unreadable", totals.unreadable},
	};
	PyObject *dict = PyDict_New();
	for (size_t i = 0; dict && i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!dict_set(dict, fields[i].key, PyLong_FromUnsignedLongLong(fields[i].value)))
			Py_CLEAR(dict);
	return dict;
}

static PyObject *Census_get_complete(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	return PyBool_FromLong(etp_census_is_complete(self->census));
}

static PyObject *Census_get_has_others(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	return PyBool_FromLong(etp_census_has_others(self->census));
}

static PyObject *Census_get_tables(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	return scan_tables_dict(etp_census_ets(self->census));
}

static PyObject *Census_binary_count(CensusObject *self, PyObject *ignored)
{
	if (!is_usable(self))
		return NULL;
	return PyLong_FromSize_t(etp_census_binary_count(self->census));
}

static PyObject *Census_coarse_binaries(CensusObject *self, PyObject *ignored)
{
	if (!is_usable(self))
		return NULL;
	return PyLong_FromSize_t(etp_census_coarse_binaries(self->census));
}

static PyObject *Census_ets_binaries(CensusObject *self, PyObject *ignored)
{
	if (!is_usable(self))
		return NULL;
	uint64_t count, bytes;
	etp_census_ets_binaries(self->census, &count, &bytes);
	return Py_BuildValue("(KK)", (unsigned long long)count, (unsigned long long)bytes);
}

static const char *kind_name(enum etp_holder_kind kind)
{
	switch (kind) {
	case ETP_HOLDER_ETS_TABLE:
		return "ets";
	case ETP_HOLDER_PROCESS:
		return "process";
	case ETP_HOLDER_PERSISTENT_TERM:
		return "persistent_term";
	case ETP_HOLDER_MODULE:
		return "module";
	case ETP_HOLDER_TIMER:
		return "timer";
	case ETP_HOLDER_PORT:
		return "port";
	case ETP_HOLDER_DIST_OUTPUT:
		return "dist_output";
	case ETP_HOLDER_DIST_INPUT:
		return "dist_input";
	case ETP_HOLDER_MAGIC:
		return "magic";
	case ETP_HOLDER_TRAP:
		return "trap";
	case ETP_HOLDER_TRACE_SESSION:
		return "trace_session";
	}
	return "unknown";
}

// The term that names a holder, or None.
static PyObject *holder_term(VMObject *vm, etp_term term)
{
	if (!term)
		Py_RETURN_NONE;
	return Term_new(vm, NULL, term);
}

enum { HOLDERS_SHOWN = 16 };

static PyObject *holders_list(CensusObject *self, size_t index, size_t most)
{
	size_t count = etp_census_holder_count(self->census, index);
	count = count < most ? count : most;
	struct etp_census_holder *holders = PyMem_Calloc(count + 1, sizeof(*holders));
	if (!holders)
		return PyErr_NoMemory();
	struct etp_error *err = etp_census_holders(self->census, index, holders, count);
	PyObject *list = err ? raise_error(err) : PyList_New(0);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *term = holder_term(self->vm, holders[i].term);
		PyObject *item = term ? Py_BuildValue("(sKKN)", kind_name(holders[i].kind),
		                                      (unsigned long long)holders[i].address,
		                                      (unsigned long long)holders[i].refs, term)
		                      : NULL;
		if (!item || PyList_Append(list, item))
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	PyMem_Free(holders);
	return list;
}

// A list of (kinds, binaries, bytes), for those kinds of holders that some binaries have.
static PyObject *by_kinds(const struct etp_census_sum *sums)
{
	PyObject *list = PyList_New(0);
	for (unsigned kinds = 0; list && kinds < 1U << ETP_HOLDER_KINDS; kinds++) {
		if (!sums[kinds].binaries)
			continue;
		PyObject *names = PyList_New(0);
		for (unsigned kind = 0; names && kind < ETP_HOLDER_KINDS; kind++) {
			PyObject *name =
				kinds >> kind & 1 ? PyUnicode_FromString(kind_name(kind)) : NULL;
			if (kinds >> kind & 1 && (!name || PyList_Append(names, name)))
				Py_CLEAR(names);
			Py_XDECREF(name);
		}
		PyObject *item = names ? Py_BuildValue("(NKK)", names,
		                                       (unsigned long long)sums[kinds].binaries,
		                                       (unsigned long long)sums[kinds].bytes)
		                       : NULL;
		if (!item || PyList_Append(list, item))
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

static PyObject *Census_get_binary_totals(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	struct etp_census_binaries *sums = PyMem_Malloc(sizeof(*sums));
	if (!sums)
		return PyErr_NoMemory();
	etp_census_sum_binaries(self->census, sums);
	PyObject *dict = Py_BuildValue(
		"{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:N,s:N}", "binaries",
		(unsigned long long)sums->all.binaries, "bytes",
		(unsigned long long)sums->all.bytes, "visible_bytes",
		(unsigned long long)sums->visible_bytes, "unaccounted",
		(unsigned long long)sums->unaccounted.binaries, "unaccounted_bytes",
		(unsigned long long)sums->unaccounted.bytes, "unaccounted_refs",
		(unsigned long long)sums->unaccounted_refs, "excess",
		(unsigned long long)sums->excess, "by_kinds", by_kinds(sums->by_kinds),
		"unaccounted_by_kinds", by_kinds(sums->unaccounted_by_kinds));
	PyMem_Free(sums);
	return dict;
}

static PyObject *Census_get_literals(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	size_t count;
	const struct etp_census_literals *areas = etp_census_literals(self->census, &count, NULL);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *term = holder_term(self->vm, areas[i].term);
		PyObject *value = term ? holder_term(self->vm, areas[i].value) : NULL;
		if (!value)
			Py_CLEAR(term);
		PyObject *dict =
			term ? Py_BuildValue(
				       "{s:s,s:K,s:N,s:N,s:K,s:K,s:K,s:K,s:s}", "kind",
				       kind_name(areas[i].kind), "address",
				       (unsigned long long)areas[i].address, "term", term, "value",
				       value, "words", (unsigned long long)areas[i].words,
				       "binary_refs", (unsigned long long)areas[i].binary_refs,
				       "binary_bytes", (unsigned long long)areas[i].binary_bytes,
				       "unreadable", (unsigned long long)areas[i].unreadable,
				       "problem", areas[i].problem ? areas[i].problem : "")
			     : NULL;
		if (!dict || PyList_Append(list, dict))
			Py_CLEAR(list);
		Py_XDECREF(dict);
	}
	return list;
}

static PyObject *Census_get_literals_problem(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	size_t count;
	const char *problem;
	etp_census_literals(self->census, &count, &problem);
	return PyUnicode_FromString(problem ? problem : "");
}

static PyObject *Census_get_roots(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	size_t count;
	uint64_t unreadable;
	const char *problem;
	const struct etp_census_root *roots =
		etp_census_roots(self->census, &count, &unreadable, &problem);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *term = holder_term(self->vm, roots[i].term);
		PyObject *dict = term ? Py_BuildValue("{s:s,s:K,s:N,s:K,s:K}", "kind",
		                                      kind_name(roots[i].kind), "address",
		                                      (unsigned long long)roots[i].address, "term",
		                                      term, "binary_refs",
		                                      (unsigned long long)roots[i].binary_refs,
		                                      "binary_bytes",
		                                      (unsigned long long)roots[i].binary_bytes)
		                      : NULL;
		if (!dict || PyList_Append(list, dict))
			Py_CLEAR(list);
		Py_XDECREF(dict);
	}
	return list;
}

static PyObject *Census_get_roots_unreadable(CensusObject *self, void *closure)
{
	if (!is_usable(self))
		return NULL;
	size_t count;
	uint64_t unreadable;
	const char *problem;
	etp_census_roots(self->census, &count, &unreadable, &problem);
	return Py_BuildValue("(Ks)", (unsigned long long)unreadable, problem ? problem : "");
}

PyObject *VM_process_binaries(VMObject *self, PyObject *args)
{
	unsigned long long address;
	if (!PyArg_ParseTuple(args, "K:process_binaries", &address) || !VM_is_open(self))
		return NULL;
	struct etp_process_binary *binaries;
	size_t count;
	const char *problem;
	struct etp_error *err =
		etp_process_binaries(self->vm, address, &binaries, &count, &problem);
	if (err)
		return raise_error(err);
	if (problem) {
		free(binaries);
		return raise_error(etp_error_create(ETP_ERROR_BAD_DATA,
		                                    "The binaries of the process at 0x%llx: %s.",
		                                    address, problem));
	}
	PyObject *list = PyList_New((Py_ssize_t)count);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *item = Py_BuildValue("(KKK)", (unsigned long long)binaries[i].address,
		                               (unsigned long long)binaries[i].size,
		                               (unsigned long long)binaries[i].refc);
		if (!item)
			Py_CLEAR(list);
		else
			PyList_SetItem(list, (Py_ssize_t)i, item);
	}
	free(binaries);
	return list;
}

static PyObject *fixed_types_dict(const struct etp_allocators *memory)
{
	PyObject *dict = PyDict_New();
	for (size_t i = 0; dict && i < memory->fixed_count; i++) {
		const struct etp_fixed_type *type = &memory->fixed[i];
		if (!dict_set(dict, type->name,
		              Py_BuildValue("{s:K,s:K}", "allocated",
		                            (unsigned long long)type->allocated, "used",
		                            (unsigned long long)type->used)))
			Py_CLEAR(dict);
	}
	return dict;
}

static PyObject *areas_dict(const struct etp_allocated_areas *areas)
{
	const struct {
		const char *key;
		uint64_t size;
	} sizes[] = {
		{"atom_space", areas->atom_space},
		{"atom_space_used", areas->atom_space_used},
		{"atoms", areas->atoms},
		{"atom_blocks", areas->atom_blocks},
		{"atom_table", areas->atom_table},
		{"module_table", areas->module_table},
		{"export_table", areas->export_table},
		{"export_list", areas->export_list},
		{"fun_table", areas->fun_table},
		{"fun_list", areas->fun_list},
		{"module_refs", areas->module_refs},
	};
	PyObject *dict = PyDict_New();
	for (size_t i = 0; dict && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (!dict_set(dict, sizes[i].key, PyLong_FromUnsignedLongLong(sizes[i].size)))
			Py_CLEAR(dict);
	return dict;
}

PyObject *VM_memory(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_allocators memory;
	etp_vm_allocators(self->vm, &memory);
	PyObject *allocators = PyDict_New();
	for (size_t i = 0; allocators && i < memory.count; i++) {
		const struct etp_allocator *a = &memory.allocators[i];
		PyObject *item =
			Py_BuildValue("{s:K,s:K,s:K}", "blocks", (unsigned long long)a->blocks,
		                      "carriers", (unsigned long long)a->carriers, "instances",
		                      (unsigned long long)a->instances);
		if (a->instances && a->name[0] ? !dict_set(allocators, a->name, item) : !item)
			Py_CLEAR(allocators);
		else if (!a->instances || !a->name[0])
			Py_DECREF(item);
	}
	PyObject *fixed = allocators ? fixed_types_dict(&memory) : NULL;
	PyObject *areas = fixed ? areas_dict(&memory.areas) : NULL;
	if (!areas) {
		Py_XDECREF(allocators);
		Py_XDECREF(fixed);
		return NULL;
	}
	return Py_BuildValue("{s:N,s:N,s:N,s:K,s:K,s:K,s:K,s:K,s:s}", "allocators", allocators,
	                     "fixed", fixed, "areas", areas, "code",
	                     (unsigned long long)memory.code, "process_table",
	                     (unsigned long long)memory.process_table, "port_table",
	                     (unsigned long long)memory.port_table, "ets_misc",
	                     (unsigned long long)memory.ets_misc, "unreadable",
	                     (unsigned long long)memory.unreadable, "problem",
	                     memory.problem ? memory.problem : "");
}

static PyObject *binary_with_holders(CensusObject *self, size_t index, size_t most)
{
	struct etp_ets_scan_binary binary;
	etp_census_binary(self->census, index, &binary);
	return binary_dict(&binary, etp_census_holder_count(self->census, index),
	                   holders_list(self, index, most));
}

static PyObject *census_binary_dict(const void *source, size_t index)
{
	return binary_with_holders((CensusObject *)source, index, HOLDERS_SHOWN);
}

static PyObject *Census_binaries(CensusObject *self, PyObject *args, PyObject *kwargs)
{
	if (!is_usable(self))
		return NULL;
	return chosen_binaries(etp_census_ets(self->census), args, kwargs, self,
	                       census_binary_dict);
}

static PyObject *binary_address(const void *source, size_t index)
{
	struct etp_ets_scan_binary binary;
	etp_census_binary(((const CensusObject *)source)->census, index, &binary);
	return PyLong_FromUnsignedLongLong(binary.address);
}

static PyObject *Census_binary_addresses(CensusObject *self, PyObject *args, PyObject *kwargs)
{
	if (!is_usable(self))
		return NULL;
	return chosen_binaries(etp_census_ets(self->census), args, kwargs, self, binary_address);
}

static PyObject *Census_binary(CensusObject *self, PyObject *args)
{
	unsigned long long address;
	Py_ssize_t holders = HOLDERS_SHOWN;
	if (!PyArg_ParseTuple(args, "K|n:binary", &address, &holders) || !is_usable(self))
		return NULL;
	size_t index = etp_census_find(self->census, address);
	if (index == SIZE_MAX)
		Py_RETURN_NONE;
	return binary_with_holders(self, index, holders < 0 ? SIZE_MAX : (size_t)holders);
}

static PyObject *Census_binary_page(CensusObject *self, PyObject *args)
{
	return is_usable(self) ? binary_page(self->vm, self->census, args) : NULL;
}

static PyGetSetDef Census_getset[] = {
	{"complete", (getter)Census_get_complete, NULL, NULL, NULL},
	{"has_others", (getter)Census_get_has_others, NULL, NULL, NULL},
	{"processes", (getter)Census_get_processes, NULL, NULL, NULL},
	{"changing_processes", (getter)Census_get_changing_processes, NULL, NULL, NULL},
	{"totals", (getter)Census_get_totals, NULL, NULL, NULL},
	{"binary_totals", (getter)Census_get_binary_totals, NULL, NULL, NULL},
	{"tables", (getter)Census_get_tables, NULL, NULL, NULL},
	{"literals", (getter)Census_get_literals, NULL, NULL, NULL},
	{"roots", (getter)Census_get_roots, NULL, NULL, NULL},
	{"roots_unreadable", (getter)Census_get_roots_unreadable, NULL, NULL, NULL},
	{"literals_problem", (getter)Census_get_literals_problem, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef Census_methods[] = {
	{"take_others", (PyCFunction)(void (*)(void))Census_take_others,
         METH_VARARGS | METH_KEYWORDS, NULL},
	{"binary_count", (PyCFunction)Census_binary_count, METH_NOARGS, NULL},
	{"binaries", (PyCFunction)(void (*)(void))Census_binaries, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{"binary", (PyCFunction)Census_binary, METH_VARARGS, NULL},
	{"binary_addresses", (PyCFunction)(void (*)(void))Census_binary_addresses,
         METH_VARARGS | METH_KEYWORDS, NULL},
	{"binary_page", (PyCFunction)Census_binary_page, METH_VARARGS, NULL},
	{"unreadable_processes", (PyCFunction)Census_unreadable_processes, METH_VARARGS, NULL},
	{"ranked_processes", (PyCFunction)Census_ranked_processes, METH_VARARGS, NULL},
	{"process", (PyCFunction)Census_process, METH_VARARGS, NULL},
	{"coarse_binaries", (PyCFunction)Census_coarse_binaries, METH_NOARGS, NULL},
	{"ets_binaries", (PyCFunction)Census_ets_binaries, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot Census_slots[] = {
	{Py_tp_new, binding_no_new},
	{Py_tp_doc, "What one pass over the memory of the VM found."},
	{Py_tp_dealloc, Census_dealloc},
	{Py_tp_getset, Census_getset},
	{Py_tp_methods, Census_methods},
	{0, NULL},
};

static PyType_Spec Census_spec = {
	.name = "_etp.Census",
	.basicsize = sizeof(CensusObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = Census_slots,
};

int binding_init_census(PyObject *module)
{
	Census_type = binding_add_type(module, &Census_spec);
	return Census_type ? 0 : -1;
}
