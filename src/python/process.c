// SPDX-License-Identifier: Apache-2.0
#include "python/binding.h"

#include <etp/links.h>
#include <etp/process.h>

enum {
	WITH_LINKS = 1,
	WITH_MONITORS = 2,
	WITH_DICTIONARY = 4,
};

static PyObject *number(uint64_t value)
{
	return PyLong_FromUnsignedLongLong(value);
}

static PyObject *none(void)
{
	Py_RETURN_NONE;
}

static PyObject *name_of(VMObject *self, const struct etp_process_info *info)
{
	return registered_name(self->vm, info->has_name,
	                       info->unknown >> ETP_PROCESS_REGISTERED_NAME & 1, info->name);
}

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	return term ? Term_new(self, NULL, term) : none();
}

static PyObject *mfa(VMObject *self, bool has, uint64_t module, uint64_t function, uint64_t arity)
{
	if (!has)
		return none();
	PyObject *m = atom_to_str(self->vm, module);
	PyObject *f = m ? atom_to_str(self->vm, function) : NULL;
	if (!f) {
		Py_XDECREF(m);
		return NULL;
	}
	return Py_BuildValue("(NNK)", m, f, (unsigned long long)arity);
}

// Append a new reference, which is stolen. False on an exception.
static bool append(PyObject *list, PyObject *item)
{
	bool ok = item && !PyList_Append(list, item);
	Py_XDECREF(item);
	return ok;
}

static bool is_open(VMObject *self)
{
	if (!self->vm)
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
	return self->vm;
}

uint64_t VM_process_address(VMObject *self, PyObject *which)
{
	if (!is_open(self))
		return 0;
	if (PyObject_TypeCheck(which, Term_type)) {
		if (!Term_is_of((TermObject *)which, self))
			return 0;
		uint64_t address = etp_vm_process(self->vm, ((TermObject *)which)->word);
		if (!address)
			raise_error(etp_error_create(ETP_ERROR_NOT_FOUND,
			                             "This is not the pid of a live process."));
		return address;
	}
	uint64_t address = PyLong_AsUnsignedLongLong(which);
	if (!address && !PyErr_Occurred())
		PyErr_SetString(PyExc_ValueError, "0 is not the address of a process");
	return PyErr_Occurred() ? 0 : address;
}

static PyObject *item_names(uint32_t bits)
{
	PyObject *list = PyList_New(0);
	for (int i = 0; list && i < ETP_PROCESS_ITEM_COUNT; i++)
		if (bits >> i & 1 && !append(list, PyUnicode_FromString(etp_process_item_name(
							   (enum etp_process_item)i))))
			Py_CLEAR(list);
	return list;
}

static PyObject *scheduler(VMObject *self, struct etp_reader *reader,
                           const struct etp_process_info *info)
{
	enum etp_scheduler_kind kind;
	uint64_t no;
	if (!etp_process_scheduler(self->vm, reader, info->address, &kind, &no))
		return none();
	return Py_BuildValue("(sK)", etp_scheduler_kind_name(kind), (unsigned long long)no);
}

static const char *priority_name(unsigned priority)
{
	static const char *const names[] = {"max", "high", "normal", "low"};
	return names[priority & 3];
}

static PyObject *links_list(VMObject *self, struct etp_reader *reader, uint64_t address)
{
	struct etp_link_iter iter;
	struct etp_link link;
	etp_link_iter_init(&iter, self->vm, reader, address);
	PyObject *list = PyList_New(0);
	while (list && etp_link_iter_next(&iter, &link))
		if (!link.is_unlinking && !append(list, Term_new(self, NULL, link.other)))
			Py_CLEAR(list);
	if (list && PyList_Reverse(list))
		Py_CLEAR(list);
	return list;
}

static PyObject *monitor_dict(VMObject *self, const struct etp_monitor *monitor)
{
	PyObject *dict = PyDict_New();
	PyObject *other = monitor->resource ? Term_of_magic_binary(self, monitor->resource)
	                                    : term_or_none(self, monitor->other);
	if (dict && dict_set(dict, "other", other) &&
	    dict_set(dict, "type", PyUnicode_FromString(etp_monitor_type_name(monitor->type))) &&
	    dict_set(dict, "is_target", PyBool_FromLong(monitor->is_target)) &&
	    dict_set(dict, "ref", term_or_none(self, monitor->ref)) &&
	    dict_set(dict, "name", term_or_none(self, monitor->name)) &&
	    dict_set(dict, "node", term_or_none(self, monitor->node)) &&
	    dict_set(dict, "spawn_pending", PyBool_FromLong(monitor->is_spawn_pending)) &&
	    dict_set(dict, "suspend_count", number(monitor->suspend_count)) &&
	    dict_set(dict, "suspend_active", PyBool_FromLong(monitor->is_suspend_active)) &&
	    dict_set(dict, "listed",
	             PyBool_FromLong(etp_monitor_is_origin_listed(monitor) ||
	                             etp_monitor_is_target_listed(monitor))))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *monitors_list(VMObject *self, struct etp_reader *reader, uint64_t address)
{
	struct etp_monitor_iter iter;
	struct etp_monitor monitor;
	etp_monitor_iter_init(&iter, self->vm, reader, address);
	PyObject *list = PyList_New(0);
	while (list && etp_monitor_iter_next(&iter, &monitor))
		if (!append(list, monitor_dict(self, &monitor)))
			Py_CLEAR(list);
	if (list && PyList_Reverse(list))
		Py_CLEAR(list);
	return list;
}

// Adds what of it cannot be read to the gaps of `info`.
static PyObject *pairs_list(VMObject *self, struct etp_reader *reader,
                            struct etp_process_info *info)
{
	struct etp_dictionary_iter iter;
	etp_term key, value;
	etp_dictionary_iter_init(&iter, self->vm, reader, info->dictionary);
	PyObject *list = PyList_New(0);
	while (list && etp_dictionary_iter_next(&iter, &key, &value)) {
		PyObject *k = Term_new(self, NULL, key);
		PyObject *v = k ? Term_new(self, NULL, value) : NULL;
		if (!v) {
			Py_XDECREF(k);
			Py_CLEAR(list);
		} else if (!append(list, Py_BuildValue("(NN)", k, v))) {
			Py_CLEAR(list);
		}
	}
	if (iter.gaps) {
		info->unknown |= UINT32_C(1) << ETP_PROCESS_DICTIONARY;
		info->gaps += iter.gaps;
		info->problem = iter.problem;
	}
	if (list && PyList_Reverse(list))
		Py_CLEAR(list);
	return list;
}

static PyObject *gc_info_dict(const struct etp_process_gc_info *gc)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "old_heap_block_size", number(gc->old_heap_block_size)) &&
	    dict_set(dict, "heap_block_size", number(gc->heap_block_size)) &&
	    dict_set(dict, "mbuf_size", number(gc->mbuf_size)) &&
	    dict_set(dict, "recent_size", number(gc->recent_size)) &&
	    dict_set(dict, "stack_size", number(gc->stack_size)) &&
	    dict_set(dict, "old_heap_size", number(gc->old_heap_size)) &&
	    dict_set(dict, "heap_size", number(gc->heap_size)) &&
	    dict_set(dict, "bin_vheap_size", number(gc->bin_vheap_size)) &&
	    dict_set(dict, "bin_vheap_block_size", number(gc->bin_vheap_block_size)) &&
	    dict_set(dict, "bin_old_vheap_size", number(gc->bin_old_vheap_size)) &&
	    dict_set(dict, "bin_old_vheap_block_size", number(gc->bin_old_vheap_block_size)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *gc_dict(const struct etp_process_info *info)
{
	PyObject *dict = PyDict_New();
	PyObject *max = PyDict_New();
	if (dict && max && dict_set(max, "size", number(info->max_heap_size)) &&
	    dict_set(max, "kill", PyBool_FromLong(info->max_heap_size_kill)) &&
	    dict_set(max, "error_logger", PyBool_FromLong(info->max_heap_size_error_logger)) &&
	    (!info->has_include_shared_binaries ||
	     dict_set(max, "include_shared_binaries",
	              PyBool_FromLong(info->max_heap_size_include_shared_binaries))) &&
	    !PyDict_SetItemString(dict, "max_heap_size", max) &&
	    dict_set(dict, "min_bin_vheap_size", number(info->min_bin_vheap_size)) &&
	    dict_set(dict, "min_heap_size", number(info->min_heap_size)) &&
	    dict_set(dict, "fullsweep_after", number(info->fullsweep_after)) &&
	    dict_set(dict, "minor_gcs", number(info->minor_gcs))) {
		Py_DECREF(max);
		return dict;
	}
	Py_XDECREF(max);
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *queue_lengths(const struct etp_process_info *info)
{
	PyObject *dict = PyDict_New();
	for (int i = 0; dict && i < ETP_SIGNAL_QUEUE_COUNT; i++)
		if (!dict_set(dict, etp_signal_queue_name((enum etp_signal_queue)i),
		              number(info->messages[i])))
			Py_CLEAR(dict);
	return dict;
}

static bool add_sizes(const struct etp_process_info *info, PyObject *dict)
{
	return dict_set(dict, "memory", number(info->memory)) &&
	       dict_set(dict, "total_heap_size", number(info->total_heap_size)) &&
	       dict_set(dict, "heap_size", number(info->heap_size)) &&
	       dict_set(dict, "stack_size", number(info->stack_size)) &&
	       dict_set(dict, "min_heap_size", number(info->min_heap_size)) &&
	       dict_set(dict, "fullsweep_after", number(info->fullsweep_after)) &&
	       dict_set(dict, "reductions", number(info->reductions)) &&
	       dict_set(dict, "catchlevel", number(info->catchlevel)) &&
	       dict_set(dict, "garbage_collection", gc_dict(info)) &&
	       dict_set(dict, "garbage_collection_info", gc_info_dict(&info->gc)) &&
	       dict_set(dict, "message_queue_len", number(info->message_queue_len)) &&
	       dict_set(dict, "queues", queue_lengths(info)) &&
	       dict_set(dict, "external_messages", number(info->external_messages)) &&
	       dict_set(dict, "signals", number(info->signals)) &&
	       dict_set(dict, "link_count", number(info->link_count)) &&
	       dict_set(dict, "monitor_count", number(info->monitor_count)) &&
	       dict_set(dict, "monitored_by_count", number(info->monitored_by_count)) &&
	       dict_set(dict, "dictionary_size", number(info->dictionary_size));
}

static bool add_state(VMObject *self, struct etp_reader *reader,
                      const struct etp_process_info *info, PyObject *dict)
{
	return dict_set(dict, "status",
	                PyUnicode_FromString(etp_process_status_name(info->status))) &&
	       dict_set(dict, "state", PyLong_FromUnsignedLong(info->state)) &&
	       dict_set(dict, "flags", PyLong_FromUnsignedLong(info->flags)) &&
	       dict_set(dict, "is_running", PyBool_FromLong(info->is_running)) &&
	       dict_set(dict, "is_dirty_running", PyBool_FromLong(info->is_dirty_running)) &&
	       dict_set(dict, "is_exiting", PyBool_FromLong(info->is_exiting)) &&
	       dict_set(dict, "is_collecting_garbage",
	                PyBool_FromLong(info->is_collecting_garbage)) &&
	       dict_set(dict, "is_hibernated", PyBool_FromLong(info->is_hibernated)) &&
	       dict_set(dict, "is_sensitive", PyBool_FromLong(info->is_sensitive)) &&
	       dict_set(dict, "trap_exit", PyBool_FromLong(info->trap_exit)) &&
	       dict_set(dict, "priority", PyUnicode_FromString(priority_name(info->priority))) &&
	       dict_set(dict, "message_queue_data",
	                PyUnicode_FromString(info->is_off_heap_message_queue ? "off_heap"
	                                                                     : "on_heap")) &&
	       dict_set(dict, "scheduler",
	                info->is_running ? scheduler(self, reader, info) : none());
}

static bool add_identity(VMObject *self, const struct etp_process_info *info, PyObject *dict)
{
	return dict_set(dict, "address", number(info->address)) &&
	       dict_set(dict, "pid", Term_new(self, NULL, info->pid)) &&
	       dict_set(dict, "registered_name", name_of(self, info)) &&
	       dict_set(dict, "initial_call",
	                mfa(self, info->has_initial_call, info->initial_module,
	                    info->initial_function, info->initial_arity)) &&
	       dict_set(dict, "proc_lib_initial_call",
	                mfa(self, info->has_proc_lib_call, info->proc_lib_module,
	                    info->proc_lib_function, info->proc_lib_arity)) &&
	       dict_set(dict, "group_leader", Term_new(self, NULL, info->group_leader)) &&
	       dict_set(dict, "parent", term_or_none(self, info->parent)) &&
	       dict_set(dict, "error_handler",
	                info->error_handler
	                        ? atom_to_str(self->vm, term_atom_index(info->error_handler))
	                        : PyUnicode_FromString("error_handler")) &&
	       dict_set(dict, "sequential_trace_token",
	                Term_new(self, NULL, info->seq_trace_token)) &&
	       dict_set(dict, "program_counter", number(info->program_counter)) &&
	       dict_set(dict, "current_mfa", number(info->current));
}

// What there may be millions of. The dictionary adds what of it cannot be read to `info`.
static bool add_lists(VMObject *self, struct etp_reader *reader, struct etp_process_info *info,
                      unsigned wanted, PyObject *dict)
{
	return (!(wanted & WITH_LINKS) ||
	        dict_set(dict, "links", links_list(self, reader, info->address))) &&
	       (!(wanted & WITH_MONITORS) ||
	        dict_set(dict, "all_monitors", monitors_list(self, reader, info->address))) &&
	       (!(wanted & WITH_DICTIONARY) ||
	        dict_set(dict, "dictionary", pairs_list(self, reader, info)));
}

// Which lists, by their names; NULL: all.
static bool read_wanted(PyObject *names, unsigned *wanted)
{
	const char *given[3] = {0};
	*wanted = names ? 0 : WITH_LINKS | WITH_MONITORS | WITH_DICTIONARY;
	if (names && !PyArg_ParseTuple(names, "|sss:lists", &given[0], &given[1], &given[2]))
		return false;
	for (unsigned i = 0; i < 3 && given[i]; i++) {
		if (!strcmp(given[i], "links")) {
			*wanted |= WITH_LINKS;
		} else if (!strcmp(given[i], "all_monitors")) {
			*wanted |= WITH_MONITORS;
		} else if (!strcmp(given[i], "dictionary")) {
			*wanted |= WITH_DICTIONARY;
		} else {
			PyErr_Format(PyExc_ValueError, "no list of a process: %s", given[i]);
			return false;
		}
	}
	return true;
}

PyObject *VM_process_info(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"which", "lists", NULL};
	PyObject *which, *lists = NULL;
	unsigned wanted;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O!:process_info", names, &which,
	                                 &PyTuple_Type, &lists))
		return NULL;
	uint64_t address = VM_process_address(self, which);
	if (!address || !read_wanted(lists, &wanted))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_process_info info;
	struct etp_error *err = etp_process_info(self->vm, &reader, address, &info);
	if (err)
		return raise_error(err);
	PyObject *dict = PyDict_New();
	if (dict && add_identity(self, &info, dict) && add_state(self, &reader, &info, dict) &&
	    add_sizes(&info, dict) && add_lists(self, &reader, &info, wanted, dict) &&
	    dict_set(dict, "unknown", item_names(info.unknown)) &&
	    dict_set(dict, "uncertain", item_names(info.uncertain)) &&
	    dict_set(dict, "gaps", number(info.gaps)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(info.problem ? info.problem : "")))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}
