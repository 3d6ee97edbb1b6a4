// SPDX-License-Identifier: Apache-2.0
// All processes in one pass, a row each.
#include "python/records.h"

#include <etp/process.h>

// In the order of Row in plugin/etp/processes.py.
enum {
	ADDRESS,
	PID,
	NAME,
	INITIAL_CALL,
	STATUS,
	MESSAGE_QUEUE_LEN,
	IN_TRANSIT,
	MEMORY,
	REDUCTIONS,
	TOTAL_HEAP_SIZE,
	HEAP_SIZE,
	STACK_SIZE,
	LINKS,
	MONITORS,
	PROGRAM_COUNTER,
	GROUP_LEADER,
	UNKNOWN_BITS,
	UNCERTAIN_BITS,
	IS_HIBERNATED,
	CALL_TEXT,
	COLUMNS,
};

static const struct record_column columns[COLUMNS] = {
	[ADDRESS] = {"address", RECORD_NUMBER},
	[PID] = {"pid", RECORD_TERM},
	[NAME] = {"name", RECORD_SHARED},
	[INITIAL_CALL] = {"initial_call", RECORD_SHARED},
	[STATUS] = {"status", RECORD_SHARED},
	[MESSAGE_QUEUE_LEN] = {"message_queue_len", RECORD_NUMBER},
	[IN_TRANSIT] = {"in_transit", RECORD_NUMBER},
	[MEMORY] = {"memory", RECORD_NUMBER},
	[REDUCTIONS] = {"reductions", RECORD_NUMBER},
	[TOTAL_HEAP_SIZE] = {"total_heap_size", RECORD_NUMBER},
	[HEAP_SIZE] = {"heap_size", RECORD_NUMBER},
	[STACK_SIZE] = {"stack_size", RECORD_NUMBER},
	[LINKS] = {"links", RECORD_NUMBER},
	[MONITORS] = {"monitors", RECORD_NUMBER},
	[PROGRAM_COUNTER] = {"program_counter", RECORD_NUMBER},
	[GROUP_LEADER] = {"group_leader", RECORD_NUMBER},
	[UNKNOWN_BITS] = {"unknown_bits", RECORD_NUMBER},
	[UNCERTAIN_BITS] = {"uncertain_bits", RECORD_NUMBER},
	[IS_HIBERNATED] = {"is_hibernated", RECORD_FLAG},
	[CALL_TEXT] = {"call_text", RECORD_SHARED},
};

// What all lists begin their names with; and what comes behind the statuses that processes have.
enum { NO_NAME, UNREADABLE_NAME };
static const enum etp_process_status UNKNOWN_STATUS = ETP_PROCESS_STATUS_COUNT;

struct call {
	uint64_t module, function, arity;
	bool is_known, is_unreadable;
};

// Few initial calls are shared by many processes.
enum { CALL_CACHE = 256 };

struct process_list {
	VMObject *vm;
	RecordsObject *records;
	// Numbers of calls by what is in struct call; and of those that were asked for last.
	PyObject *numbers;
	struct call cached[CALL_CACHE];
	uint64_t cached_number[CALL_CACHE];
};

static bool start(struct process_list *list)
{
	PyObject *none = Py_None;
	Py_INCREF(none);
	bool ok = (list->numbers = PyDict_New()) &&
	          Records_share(list->records, NAME, none) == NO_NAME &&
	          Records_share(list->records, NAME,
	                        registered_name(list->vm->vm, false, true, 0)) == UNREADABLE_NAME;
	for (int i = 0; ok && i < ETP_PROCESS_STATUS_COUNT; i++) {
		const char *name = etp_process_status_name((enum etp_process_status)i);
		ok = Records_share(list->records, STATUS, PyUnicode_FromString(name)) == (size_t)i;
	}
	ok = ok && Records_share(list->records, STATUS, PyUnicode_FromString("unknown")) ==
	                   (uint64_t)UNKNOWN_STATUS;
	for (size_t i = 0; i < CALL_CACHE; i++)
		list->cached_number[i] = UINT64_MAX;
	return ok;
}

static bool is_unknown(const struct etp_process_info *info, enum etp_process_item item)
{
	return info->unknown >> item & 1;
}

static uint64_t number_of_name(struct process_list *list, const struct etp_process_info *info)
{
	if (is_unknown(info, ETP_PROCESS_REGISTERED_NAME))
		return UNREADABLE_NAME;
	if (!info->has_name)
		return NO_NAME;
	return Records_share(list->records, NAME,
	                     registered_name(list->vm->vm, true, false, info->name));
}

static uint64_t share_call(struct process_list *list, const struct call *call)
{
	PyObject *value = NULL, *text = NULL;
	if (!call->is_known) {
		value = Py_BuildValue("");
		text = PyUnicode_FromString("");
	} else {
		PyObject *module = atom_to_str(list->vm->vm, call->module);
		PyObject *function = module ? atom_to_str(list->vm->vm, call->function) : NULL;
		if (function) {
			text = PyUnicode_FromFormat("%U:%U/%llu%s", module, function,
			                            (unsigned long long)call->arity,
			                            call->is_unreadable ? " (#Unreadable)" : "");
			value = Py_BuildValue("(OOK)", module, function,
			                      (unsigned long long)call->arity);
		}
		Py_XDECREF(module);
		Py_XDECREF(function);
	}
	uint64_t number = Records_share(list->records, INITIAL_CALL, value);
	if (number == UINT64_MAX) {
		Py_XDECREF(text);
		return UINT64_MAX;
	}
	return Records_share(list->records, CALL_TEXT, text) == number ? number : UINT64_MAX;
}

static uint64_t find_call(struct process_list *list, const struct call *call)
{
	PyObject *key = Py_BuildValue(
		"(KKKii)", (unsigned long long)call->module, (unsigned long long)call->function,
		(unsigned long long)call->arity, call->is_known, call->is_unreadable);
	PyObject *known = key ? PyDict_GetItemWithError(list->numbers, key) : NULL;
	uint64_t number = UINT64_MAX;
	if (known) {
		number = PyLong_AsUnsignedLongLong(known);
	} else if (!PyErr_Occurred() && (number = share_call(list, call)) != UINT64_MAX) {
		PyObject *object = PyLong_FromUnsignedLongLong(number);
		if (!object || PyDict_SetItem(list->numbers, key, object))
			number = UINT64_MAX;
		Py_XDECREF(object);
	}
	Py_XDECREF(key);
	return number;
}

static bool is_same(const struct call *a, const struct call *b)
{
	return a->module == b->module && a->function == b->function && a->arity == b->arity &&
	       a->is_known == b->is_known && a->is_unreadable == b->is_unreadable;
}

static uint64_t number_of_call(struct process_list *list, const struct etp_process_info *info)
{
	struct call call = {.is_unreadable = is_unknown(info, ETP_PROCESS_INITIAL_CALL)};
	if (info->has_proc_lib_call)
		call = (struct call){info->proc_lib_module, info->proc_lib_function,
		                     info->proc_lib_arity, true, call.is_unreadable};
	else if (info->has_initial_call)
		call = (struct call){info->initial_module, info->initial_function,
		                     info->initial_arity, true, call.is_unreadable};
	size_t i = (call.module * 31 + call.function * 7 + call.arity) % CALL_CACHE;
	if (list->cached_number[i] == UINT64_MAX || !is_same(&list->cached[i], &call)) {
		list->cached[i] = call;
		list->cached_number[i] = find_call(list, &call);
	}
	return list->cached_number[i];
}

static bool add(struct process_list *list, size_t index, const struct etp_process_info *info)
{
	uint64_t *row = Records_row(list->records, index);
	row[ADDRESS] = info->address;
	row[PID] = info->pid;
	row[NAME] = number_of_name(list, info);
	row[INITIAL_CALL] = row[CALL_TEXT] = number_of_call(list, info);
	row[STATUS] = info->status;
	row[MESSAGE_QUEUE_LEN] = info->message_queue_len;
	row[IN_TRANSIT] = info->message_queue_len - info->messages[ETP_SIGNAL_QUEUE_INNER];
	row[MEMORY] = info->memory;
	row[REDUCTIONS] = info->reductions;
	row[TOTAL_HEAP_SIZE] = info->total_heap_size;
	row[HEAP_SIZE] = info->heap_size;
	row[STACK_SIZE] = info->stack_size;
	row[LINKS] = info->link_count;
	row[MONITORS] = info->monitor_count;
	row[PROGRAM_COUNTER] = info->program_counter;
	row[GROUP_LEADER] = info->group_leader;
	row[UNKNOWN_BITS] = info->unknown;
	row[UNCERTAIN_BITS] = info->uncertain;
	row[IS_HIBERNATED] = info->is_hibernated;
	return row[NAME] != UINT64_MAX && row[CALL_TEXT] != UINT64_MAX;
}

static bool fill(struct process_list *list, const uint64_t *addresses, const etp_term *pids,
                 size_t count)
{
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(list->vm->vm));
	bool ok = start(list);
	for (size_t i = 0; ok && i < count; i++) {
		struct etp_process_info info;
		struct etp_error *err =
			etp_process_info(list->vm->vm, &reader, addresses[i], &info);
		if (err && err->kind == ETP_ERROR_NO_MEMORY) {
			raise_error(err);
			ok = false;
			break;
		}
		if (err) {
			// Torn at its end: the pid could be read, the rest cannot.
			etp_error_destroy(err);
			info = (struct etp_process_info){.address = addresses[i],
			                                 .pid = pids[i],
			                                 .status = UNKNOWN_STATUS,
			                                 .unknown = UINT32_MAX};
		}
		ok = add(list, i, &info) && (i % 1024 || !PyErr_CheckSignals());
	}
	Py_CLEAR(list->numbers);
	return ok;
}

PyObject *VM_process_list(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(self->vm, &addresses, &pids);
	struct process_list list = {.vm = self};
	list.records = (RecordsObject *)Records_new(self, columns, COLUMNS, count);
	if (!list.records || fill(&list, addresses, pids, count))
		return (PyObject *)list.records;
	Py_DECREF(list.records);
	return NULL;
}
