// SPDX-License-Identifier: Apache-2.0
#include "analysis/row_scan.h"
#include "python/binding.h"

static PyTypeObject *EtsRow_type, *EtsRowIterator_type;

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	if (!term_is_internal_pid(term))
		Py_RETURN_NONE;
	return Term_new(self, NULL, term);
}

static PyObject *write_concurrency(const struct etp_ets_table *table)
{
	if (table->write_concurrency == ETP_ETS_WRITE_CONCURRENCY_AUTO)
		return PyUnicode_FromString("auto");
	if (table->write_concurrency == ETP_ETS_WRITE_CONCURRENCY_FIXED_LOCKS)
		return Py_BuildValue("(sI)", "debug_hash_fixed_number_of_locks", table->locks);
	return PyBool_FromLong(table->write_concurrency == ETP_ETS_WRITE_CONCURRENCY_TRUE);
}

static PyObject *fixations(VMObject *self, const struct etp_ets_table *table)
{
	enum { SHOWN = 100 };
	struct etp_ets_fixation found[SHOWN];
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	size_t count = etp_ets_fixations(self->vm, &reader, table, found, SHOWN);
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < count && i < SHOWN; i++) {
		PyObject *pid = Term_new(self, NULL, found[i].pid);
		PyObject *pair =
			pid ? Py_BuildValue("(NK)", pid, (unsigned long long)found[i].count) : NULL;
		if (!pair || PyList_Append(list, pair))
			Py_CLEAR(list);
		Py_XDECREF(pair);
	}
	return list;
}

static PyObject *table_dict(VMObject *self, const struct etp_ets_table *table)
{
	PyObject *dict = PyDict_New();
	PyObject *ref = Term_of_magic_binary(self, table->btid);
	PyObject *id = ref;
	if (table->is_named)
		id = Term_new(self, NULL, table->name);
	else
		Py_XINCREF(id);
	uint64_t memory = table->memory > 0 ? (uint64_t)table->memory : 0;
	if (dict && dict_set(dict, "ref", ref) && dict_set(dict, "id", id) &&
	    dict_set(dict, "address", PyLong_FromUnsignedLongLong(table->address)) &&
	    dict_set(dict, "name", atom_to_str(self->vm, term_atom_index(table->name))) &&
	    dict_set(dict, "type", PyUnicode_FromString(etp_ets_type_name(table->type))) &&
	    dict_set(dict, "is_catree", PyBool_FromLong(table->type == ETP_ETS_CA_ORDERED_SET)) &&
	    dict_set(dict, "protection",
	             PyUnicode_FromString(etp_ets_protection_name(table->protection))) &&
	    dict_set(dict, "named", PyBool_FromLong(table->is_named)) &&
	    dict_set(dict, "owner", Term_new(self, NULL, table->owner)) &&
	    dict_set(dict, "owner_alive",
	             PyBool_FromLong(etp_vm_process(self->vm, table->owner) != 0)) &&
	    dict_set(dict, "heir", term_or_none(self, table->heir)) &&
	    dict_set(dict, "size", PyLong_FromLongLong(table->size)) &&
	    dict_set(dict, "memory_words", PyLong_FromUnsignedLongLong((memory + 7) / 8)) &&
	    dict_set(dict, "keypos", PyLong_FromLong((long)table->keypos)) &&
	    dict_set(dict, "compressed", PyBool_FromLong(table->is_compressed)) &&
	    dict_set(dict, "read_concurrency", PyBool_FromLong(table->read_concurrency)) &&
	    dict_set(dict, "write_concurrency", write_concurrency(table)) &&
	    dict_set(dict, "decentralized_counters",
	             PyBool_FromLong(table->decentralized_counters)) &&
	    dict_set(dict, "counters_uncertain", PyBool_FromLong(table->counters_uncertain)) &&
	    dict_set(dict, "fixed", PyBool_FromLong(table->fix_count != 0)) &&
	    dict_set(dict, "fix_count", PyLong_FromUnsignedLongLong(table->fix_count)) &&
	    dict_set(dict, "fixed_since_ns", PyLong_FromLongLong(table->fixed_since_ns)) &&
	    dict_set(dict, "fixed_for_ns", PyLong_FromLongLong(table->fixed_for_ns)) &&
	    dict_set(dict, "fixing", fixations(self, table)) &&
	    dict_set(dict, "is_write_locked", PyBool_FromLong(table->is_write_locked)) &&
	    dict_set(dict, "is_read_locked", PyBool_FromLong(table->is_read_locked)) &&
	    dict_set(dict, "is_lock_awaited", PyBool_FromLong(table->is_lock_awaited)) &&
	    dict_set(dict, "is_deleting", PyBool_FromLong(table->is_deleting)) &&
	    dict_set(dict, "is_resizing", PyBool_FromLong(table->is_resizing)) &&
	    dict_set(dict, "status", PyLong_FromUnsignedLong(table->status)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(table->problem ? table->problem : "")))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// A script that asks for the rows of thousands of tables must not find them all anew each time.
const struct etp_ets_tables *VM_tables(VMObject *self)
{
	if (!VM_is_open(self) || self->tables)
		return self->tables;
	struct etp_ets_tables *tables = PyMem_Calloc(1, sizeof(*tables));
	if (!tables) {
		PyErr_NoMemory();
		return NULL;
	}
	struct etp_error *err = etp_ets_tables_init(tables, self->vm);
	if (err) {
		PyMem_Free(tables);
		raise_error(err);
		return NULL;
	}
	return self->tables = tables;
}

void VM_tables_free(VMObject *self)
{
	if (self->tables)
		etp_ets_tables_deinit(self->tables);
	PyMem_Free(self->tables);
}

PyObject *VM_ets_tables(VMObject *self, PyObject *ignored)
{
	const struct etp_ets_tables *tables = VM_tables(self);
	PyObject *list = tables ? PyList_New(0) : NULL;
	for (size_t i = 0; list && i < tables->count; i++)
		if (!list_append(list, table_dict(self, &tables->tables[i])))
			Py_CLEAR(list);
	return list;
}

PyObject *VM_ets_tables_gaps(VMObject *self, PyObject *ignored)
{
	const struct etp_ets_tables *tables = VM_tables(self);
	PyObject *list = tables ? PyList_New(0) : NULL;
	for (size_t i = 0; list && i < tables->gap_count; i++)
		if (!list_append(list, PyUnicode_FromString(tables->gaps[i])))
			Py_CLEAR(list);
	return list;
}

typedef struct {
	PyObject_HEAD
	VMObject *vm;
	RowWordsObject *words;
	struct etp_ets_row row;
	etp_term tuple;
	unsigned keypos;
} EtsRowObject;

typedef struct {
	PyObject_HEAD
	VMObject *vm;
	struct etp_reader reader;
	struct etp_ets_table table;
	struct etp_ets_iter iter;
	// Rows of a compressed table that could not be expanded.
	uint64_t unexpanded;
	const char *reason;
} EtsRowIteratorObject;

static EtsRowIteratorObject *iterator_of(VMObject *self, uint64_t address)
{
	const struct etp_ets_tables *tables = VM_tables(self);
	if (!tables)
		return NULL;
	size_t i = 0;
	while (i < tables->count && tables->tables[i].address != address)
		i++;
	if (i == tables->count) {
		raise_error(etp_error_create(ETP_ERROR_NOT_FOUND,
		                             "None of the %zu ETS tables is at 0x%llx.",
		                             tables->count, (unsigned long long)address));
		return NULL;
	}
	allocfunc allocate = (allocfunc)PyType_GetSlot(EtsRowIterator_type, Py_tp_alloc);
	EtsRowIteratorObject *iterator = (EtsRowIteratorObject *)allocate(EtsRowIterator_type, 0);
	if (!iterator)
		return NULL;
	Py_INCREF(self);
	iterator->vm = self;
	iterator->table = tables->tables[i];
	etp_reader_init(&iterator->reader, etp_vm_target(self->vm));
	etp_ets_iter_init(&iterator->iter, self->vm, &iterator->reader, &iterator->table);
	return iterator;
}

PyObject *VM_ets_rows(VMObject *self, PyObject *args)
{
	unsigned long long address;
	if (!PyArg_ParseTuple(args, "K:ets_rows", &address))
		return NULL;
	return (PyObject *)iterator_of(self, address);
}

// The words of a compressed row, which the terms in it share. NULL if it cannot
// be expanded (then without an exception) or memory ran out (then with one).
static RowWordsObject *expand(EtsRowIteratorObject *self, uint64_t dbterm, etp_term *tuple_ret)
{
	allocfunc allocate = (allocfunc)PyType_GetSlot(RowWords_type, Py_tp_alloc);
	RowWordsObject *words = (RowWordsObject *)allocate(RowWords_type, 0);
	if (!words)
		return NULL;
	etp_row_words_init(&words->words);
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm->vm));
	if (etp_row_expand(self->vm->vm, &reader, dbterm, self->table.keypos, &words->words,
	                   tuple_ret, &self->reason)) {
		words->overlay = reader.overlay;
		return words;
	}
	self->unexpanded++;
	Py_DECREF(words);
	return NULL;
}

// NULL without an exception if the row is compressed and cannot be expanded.
static PyObject *row_object(EtsRowIteratorObject *self, const struct etp_ets_row *row)
{
	etp_term tuple = (row->dbterm + OFFSET(self->vm->vm, DbTerm, tpl)) | TAG_PRIMARY_BOXED;
	RowWordsObject *words = NULL;
	if (self->table.is_compressed) {
		words = expand(self, row->dbterm, &tuple);
		if (!words)
			return NULL;
	}
	allocfunc allocate = (allocfunc)PyType_GetSlot(EtsRow_type, Py_tp_alloc);
	EtsRowObject *object = (EtsRowObject *)allocate(EtsRow_type, 0);
	if (!object) {
		Py_XDECREF(words);
		return NULL;
	}
	Py_INCREF(self->vm);
	object->vm = self->vm;
	object->words = words;
	object->row = *row;
	object->tuple = tuple;
	object->keypos = self->table.keypos;
	return (PyObject *)object;
}

static PyObject *EtsRowIterator_next(EtsRowIteratorObject *self)
{
	struct etp_ets_row row;
	while (etp_ets_iter_next(&self->iter, &row)) {
		PyObject *object = row_object(self, &row);
		if (object || PyErr_Occurred())
			return object;
	}
	return NULL;
}

PyObject *VM_ets_row(VMObject *self, PyObject *args)
{
	enum { SIGNALS_EVERY = 1 << 16 };
	unsigned long long table, address = 0;
	if (!PyArg_ParseTuple(args, "K|K:ets_row", &table, &address))
		return NULL;
	EtsRowIteratorObject *rows = iterator_of(self, table);
	if (!rows)
		return NULL;
	PyObject *found = NULL;
	struct etp_ets_row row;
	for (uint64_t i = 1; !found && etp_ets_iter_next(&rows->iter, &row); i++) {
		if (i % SIGNALS_EVERY == 0 && PyErr_CheckSignals())
			break;
		if (address && row.dbterm != address)
			continue;
		found = row_object(rows, &row);
		if (address || PyErr_Occurred())
			break;
	}
	Py_DECREF(rows);
	if (found || PyErr_Occurred())
		return found;
	Py_RETURN_NONE;
}

static PyObject *EtsRowIterator_get_gaps(EtsRowIteratorObject *self, void *closure)
{
	return PyLong_FromUnsignedLongLong(self->iter.unreadable + self->unexpanded);
}

static PyObject *EtsRowIterator_get_problem(EtsRowIteratorObject *self, void *closure)
{
	const char *problem = self->iter.problem ? self->iter.problem : self->reason;
	return PyUnicode_FromString(problem ? problem : "");
}

static void EtsRowIterator_dealloc(EtsRowIteratorObject *self)
{
	Py_XDECREF(self->vm);
	binding_free((PyObject *)self);
}

static PyObject *EtsRow_get_address(EtsRowObject *self, void *closure)
{
	return PyLong_FromUnsignedLongLong(self->row.dbterm);
}

static PyObject *EtsRow_get_term(EtsRowObject *self, void *closure)
{
	return Term_new(self->vm, self->words, self->tuple);
}

static PyObject *EtsRow_get_key(EtsRowObject *self, void *closure)
{
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm->vm));
	if (self->words)
		reader.overlay = self->words->overlay;
	struct etp_term_view view;
	if (etp_term_decode(self->vm->vm, &reader, self->tuple, &view) != ETP_TERM_TUPLE ||
	    !self->keypos || view.tuple.arity < self->keypos)
		return raise_error(etp_error_create(
			ETP_ERROR_BAD_DATA, "The object at 0x%llx has no element %u.",
			(unsigned long long)self->row.dbterm, self->keypos));
	return Term_new(self->vm, self->words, etp_word_at(view.tuple.elements, self->keypos - 1));
}

static PyObject *EtsRow_get_words(EtsRowObject *self, void *closure)
{
	return PyLong_FromUnsignedLongLong(self->row.words);
}

static PyObject *EtsRow_get_pseudo_deleted(EtsRowObject *self, void *closure)
{
	return PyBool_FromLong(self->row.pseudo_deleted);
}

static void EtsRow_dealloc(EtsRowObject *self)
{
	Py_XDECREF(self->vm);
	Py_XDECREF(self->words);
	binding_free((PyObject *)self);
}

static PyObject *EtsRow_paths(EtsRowObject *self, PyObject *args)
{
	return row_paths(self->vm, self->words, self->tuple, self->row.words, args);
}

static PyObject *EtsRow_measure(EtsRowObject *self, PyObject *args)
{
	return row_measure(self->vm, self->words, self->tuple, self->row.words, args);
}

// Addresses of the Binaries in the row's off-heap chain, one for each reference.
static PyObject *EtsRow_binaries(EtsRowObject *self, PyObject *ignored)
{
	const struct etp_vm *vm = self->vm->vm;
	struct etp_reader reader;
	struct row_scan scan;
	etp_reader_init(&reader, etp_vm_target(vm));
	row_scan_init(&scan, vm, &reader);
	PyObject *list = NULL;
	if (!row_scan_chain(&scan, self->row.first_oh))
		PyErr_NoMemory();
	else
		list = PyList_New(0);
	for (size_t i = 0; list && i < scan.binary_count; i++) {
		PyObject *address = PyLong_FromUnsignedLongLong(scan.binaries[i].binary);
		if (!address || PyList_Append(list, address))
			Py_CLEAR(list);
		Py_XDECREF(address);
	}
	row_scan_deinit(&scan);
	return list;
}

static PyMethodDef EtsRow_methods[] = {
	{"paths", (PyCFunction)EtsRow_paths, METH_VARARGS, NULL},
	{"measure", (PyCFunction)EtsRow_measure, METH_VARARGS, NULL},
	{"binaries", (PyCFunction)EtsRow_binaries, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef EtsRow_getset[] = {
	{"address", (getter)EtsRow_get_address, NULL, NULL, NULL},
	{"term", (getter)EtsRow_get_term, NULL, NULL, NULL},
	{"key", (getter)EtsRow_get_key, NULL, NULL, NULL},
	{"words", (getter)EtsRow_get_words, NULL, NULL, NULL},
	{"pseudo_deleted", (getter)EtsRow_get_pseudo_deleted, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot EtsRow_slots[] = {
	{Py_tp_new, binding_no_new},     {Py_tp_doc, "One object stored in a table."},
	{Py_tp_dealloc, EtsRow_dealloc}, {Py_tp_getset, EtsRow_getset},
	{Py_tp_methods, EtsRow_methods}, {0, NULL},
};

static PyType_Spec EtsRow_spec = {
	.name = "_etp.EtsRow",
	.basicsize = sizeof(EtsRowObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = EtsRow_slots,
};

static PyGetSetDef EtsRowIterator_getset[] = {
	{"gaps", (getter)EtsRowIterator_get_gaps, NULL, NULL, NULL},
	{"problem", (getter)EtsRowIterator_get_problem, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot EtsRowIterator_slots[] = {
	{Py_tp_new, binding_no_new},           {Py_tp_dealloc, EtsRowIterator_dealloc},
	{Py_tp_iter, PyObject_SelfIter},       {Py_tp_iternext, EtsRowIterator_next},
	{Py_tp_getset, EtsRowIterator_getset}, {0, NULL},
};

static PyType_Spec EtsRowIterator_spec = {
	.name = "_etp.EtsRowIterator",
	.basicsize = sizeof(EtsRowIteratorObject),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = EtsRowIterator_slots,
};

int binding_init_ets(PyObject *module)
{
	EtsRow_type = binding_add_type(module, &EtsRow_spec);
	EtsRowIterator_type = (PyTypeObject *)PyType_FromSpec(&EtsRowIterator_spec);
	return EtsRow_type && EtsRowIterator_type ? 0 : -1;
}
