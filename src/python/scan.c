// SPDX-License-Identifier: Apache-2.0
#include "python/scan.h"

static PyTypeObject *EtsScan_type;

typedef struct {
	PyObject_HEAD
	struct etp_ets_scan *scan;
} EtsScanObject;

bool call_progress(PyObject *callback, uint64_t done, uint64_t total, const char *what)
{
	if (PyErr_CheckSignals())
		return true;
	if (!callback)
		return false;
	PyObject *result = PyObject_CallFunction(callback, "KKs", (unsigned long long)done,
	                                         (unsigned long long)total, what);
	int stop = result ? PyObject_IsTrue(result) : 1;
	Py_XDECREF(result);
	return stop != 0;
}

bool forgive_interrupt(void)
{
	if (!PyErr_Occurred())
		return true;
	if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
		return false;
	PyErr_Clear();
	return true;
}

static bool scan_progress(void *context, uint64_t done, uint64_t total)
{
	return call_progress(context, done, total, "rows");
}

// Tables whose addresses are in `wanted`, in its order; all if it is NULL. False
// with an exception.
static bool choose_tables(struct etp_ets_tables *tables, PyObject *wanted)
{
	if (!wanted || wanted == Py_None)
		return true;
	PyObject *addresses = PySequence_List(wanted);
	if (!addresses)
		return false;
	size_t chosen = 0;
	bool ok = true;
	for (Py_ssize_t i = 0; ok && i < PyList_Size(addresses); i++) {
		uint64_t address = PyLong_AsUnsignedLongLong(PyList_GetItem(addresses, i));
		ok = !PyErr_Occurred();
		size_t at = chosen;
		while (at < tables->count && tables->tables[at].address != address)
			at++;
		if (!ok || at == tables->count)
			continue;
		struct etp_ets_table found = tables->tables[at];
		tables->tables[at] = tables->tables[chosen];
		tables->tables[chosen++] = found;
	}
	tables->count = chosen;
	Py_DECREF(addresses);
	return ok;
}

PyObject *VM_scan_ets(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"tables", "progress", "threads", "rows_a_part", NULL};
	PyObject *wanted = NULL, *callback = NULL;
	unsigned threads = 0;
	unsigned long long rows_a_part = 0;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOIK:scan_ets", names, &wanted, &callback,
	                                 &threads, &rows_a_part))
		return NULL;
	if (!self->vm) {
		PyErr_SetString(PyExc_RuntimeError, "VM.__init__ was not called");
		return NULL;
	}
	struct etp_ets_tables tables;
	struct etp_error *err = etp_ets_tables_init(&tables, self->vm);
	if (err)
		return raise_error(err);
	struct etp_ets_scan_options options = {
		.progress = scan_progress,
		.context = callback == Py_None ? NULL : callback,
		.threads = threads,
		.rows_a_part = rows_a_part,
	};
	struct etp_ets_scan *scan = NULL;
	bool ok = choose_tables(&tables, wanted);
	if (ok) {
		err = etp_ets_scan_run(self->vm, tables.tables, tables.count, &options, &scan);
		if (err)
			raise_error(err);
		ok = !err;
	}
	etp_ets_tables_deinit(&tables);
	ok = ok && forgive_interrupt();
	EtsScanObject *object = NULL;
	if (ok) {
		allocfunc allocate = (allocfunc)PyType_GetSlot(EtsScan_type, Py_tp_alloc);
		object = (EtsScanObject *)allocate(EtsScan_type, 0);
	}
	if (object)
		object->scan = scan;
	else
		etp_ets_scan_destroy(scan);
	return (PyObject *)object;
}

static void EtsScan_dealloc(EtsScanObject *self)
{
	etp_ets_scan_destroy(self->scan);
	binding_free((PyObject *)self);
}

static PyObject *EtsScan_get_complete(EtsScanObject *self, void *closure)
{
	return PyBool_FromLong(etp_ets_scan_is_complete(self->scan));
}

static PyObject *table_dict(const struct etp_ets_scan_table *table)
{
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"rows", table->rows},
		{"words", table->words},
		{"pseudo_deleted", table->pseudo_deleted},
		{"pseudo_deleted_words", table->pseudo_deleted_words},
		{"unreadable", table->unreadable},
		{"binary_refs", table->binary_refs},
		{"binaries", table->binaries},
		{"binary_bytes", table->binary_bytes},
		{"visible_bytes", table->visible_bytes},
		{"own_binaries", table->own_binaries},
		{"own_bytes", table->own_bytes},
		{"own_visible_bytes", table->own_visible_bytes},
		{"pinned_rows", table->pinned_rows},
		{"live_pid_rows", table->live_pid_rows},
		{"dead_pid_rows", table->dead_pid_rows},
		{"dead_pid_keys", table->dead_pid_keys},
		{"dead_ref_rows", table->dead_ref_rows},
		{"sample_pin", table->sample_pin},
		{"sample_pin_bytes", table->sample_pin_bytes},
		{"sample_pin_visible", table->sample_pin_visible},
		{"sample_dead", table->sample_dead},
		{"largest_row", table->largest_row},
		{"largest_row_words", table->largest_row_words},
	};
	PyObject *dict = PyDict_New();
	bool ok = dict != NULL;
	for (size_t i = 0; ok && i < sizeof(fields) / sizeof(fields[0]); i++)
		ok = dict_set(dict, fields[i].key, PyLong_FromUnsignedLongLong(fields[i].value));
	if (ok && dict_set(dict, "incomplete", PyBool_FromLong(table->incomplete)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(table->problem ? table->problem : "")))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *scan_tables_dict(const struct etp_ets_scan *scan)
{
	size_t count;
	const struct etp_ets_scan_table *tables = etp_ets_scan_tables(scan, &count);
	PyObject *result = PyDict_New();
	for (size_t i = 0; result && i < count; i++) {
		PyObject *address = PyLong_FromUnsignedLongLong(tables[i].address);
		PyObject *dict = table_dict(&tables[i]);
		if (!address || !dict || PyDict_SetItem(result, address, dict))
			Py_CLEAR(result);
		Py_XDECREF(address);
		Py_XDECREF(dict);
	}
	return result;
}

static PyObject *EtsScan_get_tables(EtsScanObject *self, void *closure)
{
	return scan_tables_dict(self->scan);
}

static PyObject *EtsScan_binary_count(EtsScanObject *self, PyObject *ignored)
{
	return PyLong_FromSize_t(etp_ets_scan_binary_count(self->scan));
}

// Each once, however many tables have it.
static PyObject *EtsScan_binary_bytes(EtsScanObject *self, PyObject *ignored)
{
	unsigned long long bytes = 0;
	for (size_t i = 0; i < etp_ets_scan_binary_count(self->scan); i++) {
		struct etp_ets_scan_binary binary;
		etp_ets_scan_binary(self->scan, i, &binary);
		bytes += binary.size;
	}
	return PyLong_FromUnsignedLongLong(bytes);
}

static PyObject *holders_list(const struct etp_ets_scan *scan, size_t index)
{
	enum { SHOWN = 16 };
	struct etp_ets_scan_holder holders[SHOWN];
	size_t count = etp_ets_scan_holder_count(scan, index);
	struct etp_error *err = etp_ets_scan_holders(scan, index, holders, SHOWN);
	PyObject *list = err ? raise_error(err) : PyList_New(0);
	for (size_t i = 0; list && i < count && i < SHOWN; i++) {
		PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)holders[i].table,
		                               (unsigned long long)holders[i].refs);
		if (!pair || PyList_Append(list, pair))
			Py_CLEAR(list);
		Py_XDECREF(pair);
	}
	return list;
}

PyObject *binary_dict(const struct etp_ets_scan_binary *binary, size_t holder_count,
                      PyObject *holders)
{
	PyObject *dict = PyDict_New();
	bool ok =
		dict && dict_set(dict, "holders", holders) &&
		dict_set(dict, "address", PyLong_FromUnsignedLongLong(binary->address)) &&
		dict_set(dict, "size", PyLong_FromUnsignedLongLong(binary->size)) &&
		dict_set(dict, "refc", PyLong_FromUnsignedLongLong(binary->refc)) &&
		dict_set(dict, "flags", PyLong_FromUnsignedLongLong(binary->flags)) &&
		dict_set(dict, "refs", PyLong_FromUnsignedLongLong(binary->refs)) &&
		dict_set(dict, "visible_bytes",
	                 PyLong_FromUnsignedLongLong(binary->visible_bytes)) &&
		dict_set(dict, "data_address", PyLong_FromUnsignedLongLong(binary->data_address)) &&
		dict_set(dict, "holder_count", PyLong_FromSize_t(holder_count));
	if (ok)
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *scan_binary_dict(const void *scan, size_t index)
{
	struct etp_ets_scan_binary binary;
	etp_ets_scan_binary(scan, index, &binary);
	return binary_dict(&binary, etp_ets_scan_holder_count(scan, index),
	                   holders_list(scan, index));
}

static bool order_of(const char *name, enum etp_binary_order *ret)
{
	static const char *const names[] = {
		[ETP_BINARY_BY_SIZE] = "size",       [ETP_BINARY_BY_WASTE] = "waste",
		[ETP_BINARY_BY_VISIBLE] = "visible", [ETP_BINARY_BY_REFC] = "refc",
		[ETP_BINARY_BY_REFS] = "refs",       [ETP_BINARY_BY_ADDRESS] = "address",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum etp_binary_order)i;
			return true;
		}
	PyErr_Format(PyExc_ValueError,
	             "sort is \"size\", \"waste\", \"visible\", \"refc\", \"refs\" or \"address\", "
	             "not \"%s\"",
	             name);
	return false;
}

PyObject *chosen_binaries(const struct etp_ets_scan *scan, PyObject *args, PyObject *kwargs,
                          const void *source,
                          PyObject *(*to_dict)(const void *source, size_t index))
{
	static char *names[] = {"sort", "limit", "unaccounted", "reverse", "after", NULL};
	const char *sort = "size";
	long long limit = -1;
	int unaccounted = false, reverse = false;
	unsigned long long after = 0;
	struct etp_binary_choice choice;
	size_t *indexes, count;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|sLppK:binaries", names, &sort, &limit,
	                                 &unaccounted, &reverse, &after) ||
	    !order_of(sort, &choice.order))
		return NULL;
	choice.reverse = reverse;
	choice.unaccounted = unaccounted;
	choice.after = after;
	choice.limit = limit < 0 ? SIZE_MAX : (size_t)limit;
	struct etp_error *err = etp_ets_scan_choose(scan, &choice, &indexes, &count);
	if (err)
		return raise_error(err);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *dict = to_dict(source, indexes[i]);
		if (!dict || PyList_Append(list, dict))
			Py_CLEAR(list);
		Py_XDECREF(dict);
	}
	free(indexes);
	return list;
}

static PyObject *EtsScan_binaries(EtsScanObject *self, PyObject *args, PyObject *kwargs)
{
	return chosen_binaries(self->scan, args, kwargs, self->scan, scan_binary_dict);
}

static PyObject *EtsScan_binary(EtsScanObject *self, PyObject *args)
{
	unsigned long long address;
	if (!PyArg_ParseTuple(args, "K:binary", &address))
		return NULL;
	size_t index = etp_ets_scan_find(self->scan, address);
	if (index == SIZE_MAX)
		Py_RETURN_NONE;
	return scan_binary_dict(self->scan, index);
}

static PyGetSetDef EtsScan_getset[] = {
	{"complete", (getter)EtsScan_get_complete, NULL, NULL, NULL},
	{"tables", (getter)EtsScan_get_tables, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef EtsScan_methods[] = {
	{"binary_count", (PyCFunction)EtsScan_binary_count, METH_NOARGS, NULL},
	{"binary_bytes", (PyCFunction)EtsScan_binary_bytes, METH_NOARGS, NULL},
	{"binaries", (PyCFunction)(void (*)(void))EtsScan_binaries, METH_VARARGS | METH_KEYWORDS,
         NULL},
	{"binary", (PyCFunction)EtsScan_binary, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot EtsScan_slots[] = {
	{Py_tp_new, binding_no_new},
	{Py_tp_doc, "What one pass over the rows of ETS tables found."},
	{Py_tp_dealloc, EtsScan_dealloc},
	{Py_tp_getset, EtsScan_getset},
	{Py_tp_methods, EtsScan_methods},
	{0, NULL},
};

static PyType_Spec EtsScan_spec = {
	.name = "_etp.EtsScan",
	.basicsize = sizeof(EtsScanObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = EtsScan_slots,
};

int binding_init_scan(PyObject *module)
{
	EtsScan_type = binding_add_type(module, &EtsScan_spec);
	return EtsScan_type ? 0 : -1;
}
