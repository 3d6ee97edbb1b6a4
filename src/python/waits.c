// SPDX-License-Identifier: Apache-2.0
//
// VM.waits(): who waits for whom.

#include "python/binding.h"

#include <etp/waits.h>

static PyObject *waiter_dict(VMObject *self, const struct etp_waits *waits, uint32_t at)
{
	const struct etp_waiter *waiter = &waits->waiters[at];
	return Py_BuildValue("{s:s,s:K,s:N,s:s,s:I,s:I,s:I}", "kind",
	                     etp_waiter_kind_name(waiter->kind), "address",
	                     (unsigned long long)waiter->address, "term",
	                     Term_new(self, NULL, waiter->term), "wait",
	                     etp_wait_kind_name(waiter->wait), "direct", (unsigned)waiter->direct,
	                     "behind", (unsigned)waiter->behind, "depth", (unsigned)waiter->depth);
}

// The longest chain that ends at `at`, from its end.
static PyObject *chain_list(VMObject *self, const struct etp_waits *waits, uint32_t at,
                            unsigned limit)
{
	PyObject *list = PyList_New(0);
	for (uint32_t next = waits->waiters[at].deepest; list && limit && next != ETP_WAIT_NOBODY;
	     next = waits->waiters[next].deepest, limit--)
		if (!list_append(list, waiter_dict(self, waits, next)))
			Py_CLEAR(list);
	return list;
}

// How those wait that wait for it themselves.
static PyObject *direct_dict(const struct etp_waits *waits, uint32_t at)
{
	unsigned counts[ETP_WAIT_KIND_COUNT] = {0};
	for (size_t i = 0; i < waits->count; i++)
		if (waits->waiters[i].target == at)
			counts[waits->waiters[i].wait]++;
	PyObject *dict = PyDict_New();
	for (unsigned kind = 0; dict && kind < ETP_WAIT_KIND_COUNT; kind++)
		if (counts[kind] && !dict_set(dict, etp_wait_kind_name((enum etp_wait_kind)kind),
		                              PyLong_FromUnsignedLong(counts[kind])))
			Py_CLEAR(dict);
	return dict;
}

static PyObject *roots_list(VMObject *self, const struct etp_waits *waits, unsigned limit)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < waits->root_count && i < limit; i++) {
		uint32_t at = waits->roots[i];
		PyObject *dict = waiter_dict(self, waits, at);
		if (!dict || !dict_set(dict, "chain", chain_list(self, waits, at, limit)) ||
		    !dict_set(dict, "waits", direct_dict(waits, at))) {
			Py_XDECREF(dict);
			Py_CLEAR(list);
		} else if (!list_append(list, dict)) {
			Py_CLEAR(list);
		}
	}
	return list;
}

static PyObject *cycles_list(VMObject *self, const struct etp_waits *waits, unsigned limit)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < waits->cycle_count && i < limit; i++) {
		const struct etp_wait_cycle *cycle = &waits->cycles[i];
		PyObject *members = PyList_New(0);
		uint32_t at = cycle->first;
		for (unsigned n = 0; members && n < cycle->size && n < limit; n++) {
			if (!list_append(members, waiter_dict(self, waits, at)))
				Py_CLEAR(members);
			at = waits->waiters[at].target;
		}
		PyObject *dict = members ? Py_BuildValue("{s:N,s:I,s:I,s:O}", "members", members,
		                                         "size", (unsigned)cycle->size, "behind",
		                                         (unsigned)cycle->behind, "is_certain",
		                                         cycle->is_certain ? Py_True : Py_False)
		                         : NULL;
		if (!list_append(list, dict))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *statuses_dict(VMObject *self, const struct etp_waits *waits)
{
	PyObject *dict = PyDict_New();
	for (unsigned status = 0; dict && status < ETP_PROCESS_STATUS_COUNT; status++) {
		const struct etp_wait_status *entry = &waits->statuses[status];
		if (!entry->count)
			continue;
		PyObject *examples = PyList_New(0);
		for (uint64_t i = 0; examples && i < entry->count && i < ETP_WAIT_EXAMPLES; i++)
			if (!list_append(examples, waiter_dict(self, waits, entry->examples[i])))
				Py_CLEAR(examples);
		PyObject *pair =
			examples ? Py_BuildValue("(KN)", (unsigned long long)entry->count, examples)
				 : NULL;
		if (!dict_set(dict, etp_process_status_name((enum etp_process_status)status), pair))
			Py_CLEAR(dict);
	}
	return dict;
}

// How many wait in which way, altogether.
static PyObject *kinds_dict(const struct etp_waits *waits)
{
	unsigned counts[ETP_WAIT_KIND_COUNT] = {0};
	for (size_t i = 0; i < waits->count; i++)
		counts[waits->waiters[i].wait]++;
	PyObject *dict = PyDict_New();
	for (unsigned kind = ETP_WAIT_NONE + 1; dict && kind < ETP_WAIT_KIND_COUNT; kind++)
		if (!dict_set(dict, etp_wait_kind_name((enum etp_wait_kind)kind),
		              PyLong_FromUnsignedLong(counts[kind])))
			Py_CLEAR(dict);
	return dict;
}

static bool read_kind(const char *name, enum etp_wait_kind *kind)
{
	for (unsigned i = 0; i < ETP_WAIT_KIND_COUNT; i++) {
		*kind = (enum etp_wait_kind)i;
		if (!strcmp(name, etp_wait_kind_name(*kind)))
			return true;
	}
	PyErr_Format(PyExc_ValueError, "no kind of waiting: %s", name);
	return false;
}

static bool read_edge(PyObject *tuple, struct etp_wait_edge *edge)
{
	unsigned long long who, target, through;
	const char *kind;
	if (!PyTuple_Check(tuple)) {
		PyErr_SetString(PyExc_TypeError, "an edge is a tuple");
		return false;
	}
	if (!PyArg_ParseTuple(tuple, "KKKs:edge", &who, &target, &through, &kind) ||
	    !read_kind(kind, &edge->kind))
		return false;
	edge->who = who;
	edge->target = target;
	edge->through = through;
	return true;
}

// NULL with an exception set. Release with PyMem_Free().
static struct etp_wait_edge *read_edges(PyObject *list, size_t *count)
{
	*count = list ? (size_t)PyList_Size(list) : 0;
	struct etp_wait_edge *edges = PyMem_Calloc(*count + 1, sizeof(*edges));
	if (!edges)
		return (struct etp_wait_edge *)PyErr_NoMemory();
	for (size_t i = 0; i < *count; i++)
		if (!read_edge(PyList_GetItem(list, (Py_ssize_t)i), &edges[i])) {
			PyMem_Free(edges);
			return NULL;
		}
	return edges;
}

PyObject *VM_waits(VMObject *self, PyObject *args)
{
	unsigned limit = 64;
	PyObject *list = NULL;
	size_t count;
	if (!PyArg_ParseTuple(args, "|IO!:waits", &limit, &PyList_Type, &list) || !VM_is_open(self))
		return NULL;
	struct etp_wait_edge *edges = read_edges(list, &count);
	if (!edges)
		return NULL;
	struct etp_waits waits;
	struct etp_error *err = etp_waits_init(&waits, self->vm, edges, count);
	PyMem_Free(edges);
	if (err)
		return raise_error(err);
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "roots", roots_list(self, &waits, limit)) &&
	    dict_set(dict, "root_count", PyLong_FromSize_t(waits.root_count)) &&
	    dict_set(dict, "cycles", cycles_list(self, &waits, limit)) &&
	    dict_set(dict, "cycle_count", PyLong_FromSize_t(waits.cycle_count)) &&
	    dict_set(dict, "kinds", kinds_dict(&waits)) &&
	    dict_set(dict, "statuses", statuses_dict(self, &waits)) &&
	    dict_set(dict, "suspended_unknown",
	             PyLong_FromUnsignedLongLong(waits.suspended_unknown)) &&
	    dict_set(dict, "gaps", PyLong_FromUnsignedLongLong(waits.gaps)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(waits.problem ? waits.problem : "")))
		goto done;
	Py_CLEAR(dict);
done:
	etp_waits_deinit(&waits);
	return dict;
}
