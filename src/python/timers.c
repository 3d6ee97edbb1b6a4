// SPDX-License-Identifier: Apache-2.0
#include <etp/timers.h>

#include "python/binding.h"

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	if (!term)
		Py_RETURN_NONE;
	return Term_new(self, NULL, term);
}

static PyObject *timer_dict(VMObject *self, const struct etp_timer *timer)
{
	PyObject *dict = PyDict_New();
	if (dict &&
	    dict_set(dict, "kind", PyUnicode_FromString(etp_timer_kind_name(timer->kind))) &&
	    dict_set(dict, "address", PyLong_FromUnsignedLongLong(timer->address)) &&
	    dict_set(dict, "scheduler", PyLong_FromUnsignedLongLong(timer->scheduler)) &&
	    dict_set(dict, "remaining_ms", PyLong_FromLongLong(timer->remaining_ms)) &&
	    dict_set(dict, "receiver", term_or_none(self, timer->receiver)) &&
	    dict_set(dict, "message", term_or_none(self, timer->message)) &&
	    dict_set(dict, "ref",
	             timer->has_ref ? Term_of_ref_numbers(self, timer->ref)
	                            : term_or_none(self, 0)) &&
	    dict_set(dict, "callback", PyLong_FromUnsignedLongLong(timer->callback)) &&
	    dict_set(dict, "arg", PyLong_FromUnsignedLongLong(timer->arg)) &&
	    dict_set(dict, "is_paused", PyBool_FromLong(timer->is_paused)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// The first `limit` timers (0: all), or the last ones backwards.
static PyObject *timer_list(VMObject *self, const struct etp_timers *timers, uint64_t limit,
                            bool reverse)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < timers->count && (!limit || i < limit); i++) {
		size_t index = reverse ? timers->count - 1 - i : i;
		if (!list_append(list, timer_dict(self, &timers->timers[index])) ||
		    (i % 1024 == 0 && PyErr_CheckSignals()))
			Py_CLEAR(list);
	}
	return list;
}

// [(receiver, count, remaining_ms of the first)], without what has none.
static PyObject *receiver_list(VMObject *self, const struct etp_timers *timers)
{
	enum { SHOWN = 20 };
	PyObject *list = PyList_New(0);
	Py_ssize_t count = 0;
	for (size_t i = 0; list && i < timers->receiver_count && count < SHOWN; i++) {
		const struct etp_timer_receiver *receiver = &timers->receivers[i];
		if (!receiver->receiver)
			continue;
		count++;
		PyObject *term = Term_new(self, NULL, receiver->receiver);
		if (!term || !list_append(list, Py_BuildValue("(NKL)", term,
		                                              (unsigned long long)receiver->count,
		                                              (long long)receiver->remaining_ms)))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *kind_dict(const struct etp_timers *timers)
{
	unsigned long long counts[ETP_TIMER_KIND_COUNT] = {0};
	for (size_t i = 0; i < timers->count; i++)
		counts[timers->timers[i].kind]++;
	PyObject *dict = PyDict_New();
	for (unsigned i = 0; dict && i < ETP_TIMER_KIND_COUNT; i++)
		if (counts[i] &&
		    !dict_set(dict, etp_timer_kind_name(i), PyLong_FromUnsignedLongLong(counts[i])))
			Py_CLEAR(dict);
	return dict;
}

// For "due_soon".
enum { SOON_MS = 1000 };

static PyObject *timers_dict(VMObject *self, const struct etp_timers *timers, uint64_t limit,
                             bool reverse)
{
	size_t overdue = 0;
	while (overdue < timers->count && timers->timers[overdue].remaining_ms < 0)
		overdue++;
	size_t soon = overdue;
	while (soon < timers->count && timers->timers[soon].remaining_ms <= SOON_MS)
		soon++;
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "due_soon", PyLong_FromSize_t(soon)) &&
	    dict_set(dict, "count", PyLong_FromSize_t(timers->count)) &&
	    dict_set(dict, "overdue", PyLong_FromSize_t(overdue)) &&
	    dict_set(dict, "soonest_ms",
	             PyLong_FromLongLong(timers->count ? timers->timers[0].remaining_ms : 0)) &&
	    dict_set(dict, "longest_ms",
	             PyLong_FromLongLong(
			     timers->count ? timers->timers[timers->count - 1].remaining_ms : 0)) &&
	    dict_set(dict, "kinds", kind_dict(timers)) &&
	    dict_set(dict, "receiver_count", PyLong_FromSize_t(timers->receiver_count)) &&
	    dict_set(dict, "receivers", receiver_list(self, timers)) &&
	    dict_set(dict, "cancelled", PyLong_FromUnsignedLongLong(timers->cancelled)) &&
	    dict_set(dict, "gaps", PyLong_FromUnsignedLongLong(timers->gaps)) &&
	    dict_set(dict, "problem",
	             PyUnicode_FromString(timers->problem ? timers->problem : "")) &&
	    dict_set(dict, "timers", timer_list(self, timers, limit, reverse)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

// Words of the terms of a sequence, to be freed; NULL with an exception.
static etp_term *words_of(VMObject *self, PyObject *sequence, size_t *count_ret)
{
	Py_ssize_t count = PySequence_Size(sequence);
	if (count < 0)
		return NULL;
	etp_term *words = PyMem_Calloc((size_t)count + 1, sizeof(*words));
	if (!words)
		PyErr_NoMemory();
	for (Py_ssize_t i = 0; words && i < count; i++) {
		PyObject *item = PySequence_GetItem(sequence, i);
		bool ok = item && PyObject_TypeCheck(item, Term_type) &&
		          Term_is_of((TermObject *)item, self);
		if (ok) {
			words[i] = ((TermObject *)item)->word;
		} else {
			if (!PyErr_Occurred())
				PyErr_SetString(PyExc_TypeError, "receivers are terms");
			PyMem_Free(words);
			words = NULL;
		}
		Py_XDECREF(item);
	}
	*count_ret = (size_t)count;
	return words;
}

PyObject *VM_timers(VMObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"receivers", "limit", "reverse", NULL};
	PyObject *receivers = Py_None;
	unsigned long long limit = 0;
	int reverse = 0;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OKp:timers", names, &receivers, &limit,
	                                 &reverse) ||
	    !VM_is_open(self))
		return NULL;
	etp_term *wanted = NULL;
	size_t count = 0;
	if (receivers != Py_None) {
		wanted = words_of(self, receivers, &count);
		if (!wanted)
			return NULL;
		// Of nobody: no timer has this receiver.
		if (!count)
			wanted[count++] = ETP_NIL;
	}
	struct etp_timers timers;
	struct etp_error *err = etp_timers_take(self->vm, wanted, count, &timers);
	PyMem_Free(wanted);
	if (err)
		return raise_error(err);
	PyObject *dict = timers_dict(self, &timers, limit, reverse);
	etp_timers_deinit(&timers);
	return dict;
}
