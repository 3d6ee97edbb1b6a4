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

// ---- roots ------------------------------------------------------------------------------

// What is known of roots, and which of them are listed.
struct roots {
	const struct etp_waits *waits;
	// By position of a waiter: number of the root from 1 on, or 0.
	uint32_t *numbers;
	// By number: how those wait that wait for it themselves.
	unsigned (*kinds)[ETP_WAIT_KIND_COUNT];
	bool *is_listed;
};

static void roots_deinit(struct roots *roots)
{
	PyMem_Free(roots->numbers);
	PyMem_Free(roots->kinds);
	PyMem_Free(roots->is_listed);
}

// One pass over all waiters. False with an exception set.
static bool roots_init(struct roots *roots, const struct etp_waits *waits)
{
	size_t count = waits->root_count;
	roots->waits = waits;
	roots->numbers = PyMem_Calloc(waits->count + 1, sizeof(*roots->numbers));
	roots->kinds = PyMem_Calloc(count + 1, sizeof(*roots->kinds));
	roots->is_listed = PyMem_Calloc(count + 1, sizeof(*roots->is_listed));
	if (!roots->numbers || !roots->kinds || !roots->is_listed) {
		roots_deinit(roots);
		PyErr_NoMemory();
		return false;
	}
	for (size_t i = 0; i < count; i++)
		roots->numbers[waits->roots[i]] = (uint32_t)i + 1;
	for (size_t i = 0; i < waits->count; i++) {
		const struct etp_waiter *waiter = &waits->waiters[i];
		if (waiter->target != ETP_WAIT_NOBODY)
			roots->kinds[roots->numbers[waiter->target]][waiter->wait]++;
	}
	return true;
}

// Is there something to tell of it, however few are behind it?
static bool is_urgent(const struct roots *roots, size_t number)
{
	const unsigned *kinds = roots->kinds[number];
	const struct etp_waiter *waiter = &roots->waits->waiters[roots->waits->roots[number - 1]];
	return kinds[ETP_WAIT_EXIT] || kinds[ETP_WAIT_START] || kinds[ETP_WAIT_SUSPENDED] ||
	       kinds[ETP_WAIT_PORT] || (kinds[ETP_WAIT_NODE] && waiter->address) ||
	       (kinds[ETP_WAIT_SEND] && waiter->behind > waiter->direct);
}

static PyObject *kinds_of_root(const unsigned *counts)
{
	PyObject *dict = PyDict_New();
	for (unsigned kind = 0; dict && kind < ETP_WAIT_KIND_COUNT; kind++)
		if (counts[kind] && !dict_set(dict, etp_wait_kind_name((enum etp_wait_kind)kind),
		                              PyLong_FromUnsignedLong(counts[kind])))
			Py_CLEAR(dict);
	return dict;
}

static PyObject *root_dict(VMObject *self, const struct roots *roots, size_t number, unsigned limit)
{
	uint32_t at = roots->waits->roots[number - 1];
	PyObject *dict = waiter_dict(self, roots->waits, at);
	if (dict && dict_set(dict, "chain", chain_list(self, roots->waits, at, limit)) &&
	    dict_set(dict, "waits", kinds_of_root(roots->kinds[number])))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// The first `limit`, as many urgent ones, and those that are listed already.
static PyObject *roots_list(VMObject *self, struct roots *roots, unsigned limit)
{
	PyObject *list = PyList_New(0);
	unsigned urgent = 0;
	for (size_t number = 1; list && number <= roots->waits->root_count; number++) {
		bool *is_listed = &roots->is_listed[number];
		if (number <= limit) {
			*is_listed = true;
		} else if (!*is_listed && urgent < limit && is_urgent(roots, number)) {
			*is_listed = true;
			urgent++;
		}
		if (*is_listed && !list_append(list, root_dict(self, roots, number, limit)))
			Py_CLEAR(list);
	}
	return list;
}

// Of the roots that are not listed: how many, how many of these are urgent, and how many are behind
// the first.
static PyObject *unlisted(const struct roots *roots)
{
	size_t count = 0, urgent = 0;
	unsigned behind = 0;
	for (size_t number = 1; number <= roots->waits->root_count; number++) {
		if (roots->is_listed[number])
			continue;
		if (!count++)
			behind = roots->waits->waiters[roots->waits->roots[number - 1]].behind;
		urgent += is_urgent(roots, number);
	}
	return Py_BuildValue("(nnI)", (Py_ssize_t)count, (Py_ssize_t)urgent, behind);
}

// ---- ways -------------------------------------------------------------------------------

// Where one gets from there; ETP_WAIT_NOBODY if that is a cycle.
static uint32_t end_of(const struct etp_waits *waits, uint32_t at)
{
	// One that goes twice as fast meets the other in a cycle.
	uint32_t slow = at;
	for (bool is_slow = false; waits->waiters[at].target != ETP_WAIT_NOBODY;
	     is_slow = !is_slow) {
		at = waits->waiters[at].target;
		if (is_slow)
			slow = waits->waiters[slow].target;
		if (is_slow && at == slow)
			return ETP_WAIT_NOBODY;
	}
	return at;
}

static bool is_among_first(const struct etp_waits *waits, uint32_t first, unsigned count,
                           uint32_t sought)
{
	for (; count && first != sought; count--)
		first = waits->waiters[first].target;
	return count;
}

// From one to the next, until nobody follows or somebody does again.
static PyObject *path_list(VMObject *self, const struct etp_waits *waits, uint32_t at,
                           unsigned limit)
{
	PyObject *list = PyList_New(0);
	uint32_t first = at;
	for (unsigned n = 0;
	     list && at != ETP_WAIT_NOBODY && n < limit && !is_among_first(waits, first, n, at);
	     n++) {
		if (!list_append(list, waiter_dict(self, waits, at)))
			Py_CLEAR(list);
		at = waits->waiters[at].target;
	}
	return list;
}

// Pids and names whose ways are asked for, in order.
struct followed {
	uint64_t *words;
	size_t count;
};

static int compare_words(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

// False with an exception set. Release with PyMem_Free().
static bool read_followed(PyObject *list, struct followed *followed)
{
	followed->count = list ? (size_t)PyList_Size(list) : 0;
	followed->words = PyMem_Calloc(followed->count + 1, sizeof(*followed->words));
	if (!followed->words) {
		PyErr_NoMemory();
		return false;
	}
	for (size_t i = 0; i < followed->count; i++)
		followed->words[i] = PyLong_AsUnsignedLongLong(PyList_GetItem(list, (Py_ssize_t)i));
	if (PyErr_Occurred()) {
		PyMem_Free(followed->words);
		return false;
	}
	qsort(followed->words, followed->count, sizeof(*followed->words), compare_words);
	return true;
}

static bool is_followed(const struct followed *followed, etp_term word)
{
	return word && bsearch(&word, followed->words, followed->count, sizeof(*followed->words),
	                       compare_words);
}

// The ways of all that are followed and wait, or are waited for. The roots where these end are
// listed.
static PyObject *paths_list(VMObject *self, struct roots *roots, const struct followed *followed,
                            unsigned limit)
{
	const struct etp_waits *waits = roots->waits;
	PyObject *list = PyList_New(0);
	for (uint32_t at = 0; list && at < waits->process_count; at++) {
		const struct etp_waiter *waiter = &waits->waiters[at];
		if ((waiter->target == ETP_WAIT_NOBODY && !waiter->direct) ||
		    (!is_followed(followed, waiter->term) && !is_followed(followed, waiter->name)))
			continue;
		uint32_t end = end_of(waits, at);
		if (end != ETP_WAIT_NOBODY)
			roots->is_listed[roots->numbers[end]] = true;
		if (!list_append(list, path_list(self, waits, at, limit)))
			Py_CLEAR(list);
	}
	return list;
}

// ---- the rest ---------------------------------------------------------------------------

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

static PyObject *facts_dict(VMObject *self, const struct etp_waits *waits, struct roots *roots,
                            const struct followed *followed, unsigned limit)
{
	PyObject *dict = PyDict_New();
	// The ways first, because they have roots listed.
	if (dict && dict_set(dict, "paths", paths_list(self, roots, followed, limit)) &&
	    dict_set(dict, "roots", roots_list(self, roots, limit)) &&
	    dict_set(dict, "root_count", PyLong_FromSize_t(waits->root_count)) &&
	    dict_set(dict, "unlisted", unlisted(roots)) &&
	    dict_set(dict, "cycles", cycles_list(self, waits, limit)) &&
	    dict_set(dict, "cycle_count", PyLong_FromSize_t(waits->cycle_count)) &&
	    dict_set(dict, "kinds", kinds_dict(waits)) &&
	    dict_set(dict, "statuses", statuses_dict(self, waits)) &&
	    dict_set(dict, "suspended_unknown",
	             PyLong_FromUnsignedLongLong(waits->suspended_unknown)) &&
	    dict_set(dict, "gaps", PyLong_FromUnsignedLongLong(waits->gaps)) &&
	    dict_set(dict, "problem", PyUnicode_FromString(waits->problem ? waits->problem : "")))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

static PyObject *waits_dict(VMObject *self, const struct etp_wait_edge *edges, size_t edge_count,
                            const struct followed *followed, unsigned limit)
{
	struct etp_waits waits;
	struct roots roots;
	struct etp_error *err = etp_waits_init(&waits, self->vm, edges, edge_count);
	if (err)
		return raise_error(err);
	PyObject *dict = NULL;
	if (roots_init(&roots, &waits)) {
		dict = facts_dict(self, &waits, &roots, followed, limit);
		roots_deinit(&roots);
	}
	etp_waits_deinit(&waits);
	return dict;
}

PyObject *VM_waits(VMObject *self, PyObject *args)
{
	unsigned limit = 64;
	PyObject *edge_list = NULL, *followed_list = NULL;
	struct followed followed;
	size_t count;
	if (!PyArg_ParseTuple(args, "|IO!O!:waits", &limit, &PyList_Type, &edge_list, &PyList_Type,
	                      &followed_list) ||
	    !VM_is_open(self))
		return NULL;
	struct etp_wait_edge *edges = read_edges(edge_list, &count);
	if (!edges)
		return NULL;
	PyObject *dict = NULL;
	if (read_followed(followed_list, &followed)) {
		dict = waits_dict(self, edges, count, &followed, limit);
		PyMem_Free(followed.words);
	}
	PyMem_Free(edges);
	return dict;
}
