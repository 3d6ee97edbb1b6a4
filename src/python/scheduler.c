// SPDX-License-Identifier: Apache-2.0
//
// VM.schedulers(), VM.run_queues(), VM.run_queue(), VM.thread_progress().

#include "python/binding.h"

#include <etp/run_queues.h>
#include <etp/schedulers.h>
#include <etp/thread_progress.h>

static PyObject *none(void)
{
	Py_RETURN_NONE;
}

static PyObject *number(uint64_t value)
{
	return PyLong_FromUnsignedLongLong(value);
}

static PyObject *number_or_none(int64_t value)
{
	return value < 0 ? none() : PyLong_FromLongLong(value);
}

static PyObject *term_or_none(VMObject *self, etp_term term)
{
	return term ? Term_new(self, NULL, term) : none();
}

static PyObject *text(const char *string, size_t size)
{
	return string ? PyUnicode_DecodeUTF8(string, (Py_ssize_t)size, "replace") : none();
}

// The names of the bits that are set; a bit without a name is `1<<N`, as in crash dumps.
static PyObject *flag_names(uint32_t flags, const char *(*name_of)(const void *, unsigned, char *),
                            const void *context)
{
	PyObject *list = PyList_New(0);
	for (unsigned bit = 0; list && bit < 32; bit++) {
		char buffer[32];
		if (!(flags >> bit & 1))
			continue;
		const char *name = name_of(context, bit, buffer);
		if (!list_append(list, name ? PyUnicode_FromString(name)
		                            : PyUnicode_FromFormat("1<<%u", bit)))
			Py_CLEAR(list);
	}
	return list;
}

static const char *sleep_flag(const void *context, unsigned bit, char *buffer)
{
	return etp_scheduler_sleep_flag_name(bit);
}

static const char *aux_work(const void *context, unsigned bit, char *buffer)
{
	const char *const *names = context;
	return names[bit];
}

static const char *run_queue_flag(const void *context, unsigned bit, char *buffer)
{
	return etp_run_queue_flag_name(context, bit, buffer);
}

static PyObject *scheduler_dict(VMObject *self, const struct etp_scheduler *s,
                                const char *const *aux_work_names)
{
	PyObject *dict = PyDict_New();
	if (dict &&
	    dict_set(dict, "kind", PyUnicode_FromString(etp_scheduler_kind_name(s->kind))) &&
	    dict_set(dict, "number", number(s->number)) && dict_set(dict, "id", number(s->id)) &&
	    dict_set(dict, "address", number(s->address)) &&
	    dict_set(dict, "activity",
	             PyUnicode_FromString(etp_scheduler_activity_name(s->activity))) &&
	    dict_set(dict, "thread", number(s->thread)) &&
	    dict_set(dict, "sleep_flags", flag_names(s->sleep_flags, sleep_flag, NULL)) &&
	    dict_set(dict, "aux_work", flag_names(s->aux_work, aux_work, aux_work_names)) &&
	    dict_set(dict, "process", number(s->process)) &&
	    dict_set(dict, "pid", term_or_none(self, s->pid)) &&
	    dict_set(dict, "port", term_or_none(self, s->port)) &&
	    dict_set(dict, "is_in_nif", PyBool_FromLong(s->is_in_nif)) &&
	    dict_set(dict, "nif_library", text(s->nif_library, s->nif_library_size)) &&
	    dict_set(dict, "run_queue", number(s->run_queue)) &&
	    dict_set(dict, "reductions", number(s->reductions)) &&
	    dict_set(dict, "process_reductions", number_or_none(s->process_reductions)) &&
	    dict_set(dict, "clock_age_ns", number_or_none(s->clock_age_ns)) &&
	    dict_set(dict, "event", number(s->event)) &&
	    dict_set(dict, "cpu", number_or_none(s->cpu)) &&
	    dict_set(dict, "is_incomplete", PyBool_FromLong(s->is_incomplete)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_schedulers(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	const char *names[ETP_AUX_WORK_BITS];
	etp_aux_work_names(self->vm, names);
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < etp_scheduler_count(self->vm); i++) {
		struct etp_scheduler scheduler;
		etp_scheduler(self->vm, &reader, i, &scheduler);
		if (!list_append(list, scheduler_dict(self, &scheduler, names)))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *lengths(const int64_t values[ETP_RUN_QUEUE_LEVELS])
{
	PyObject *dict = PyDict_New();
	for (unsigned i = 0; dict && i < ETP_RUN_QUEUE_LEVELS; i++)
		if (!dict_set(dict, etp_run_queue_level_name(i), PyLong_FromLongLong(values[i])))
			Py_CLEAR(dict);
	return dict;
}

static PyObject *migration(const struct etp_run_queue *queue)
{
	PyObject *dict = PyDict_New();
	for (unsigned i = 0; dict && i < ETP_RUN_QUEUE_LEVELS; i++)
		if (queue->emigrates_to[i] >= 0 &&
		    !dict_set(dict, etp_run_queue_level_name(i),
		              PyLong_FromLongLong(queue->emigrates_to[i])))
			Py_CLEAR(dict);
	return dict;
}

static bool is_evacuated(const struct etp_run_queue *queue)
{
	for (unsigned i = 0; i < ETP_RUN_QUEUE_LEVELS; i++)
		if (queue->is_evacuated[i])
			return true;
	return false;
}

static PyObject *run_queue_dict(VMObject *self, const struct etp_run_queue *q)
{
	PyObject *dict = PyDict_New();
	if (dict && dict_set(dict, "address", number(q->address)) &&
	    dict_set(dict, "index", number(q->index)) &&
	    dict_set(dict, "kind", PyUnicode_FromString(etp_scheduler_kind_name(q->kind))) &&
	    dict_set(dict, "length", PyLong_FromLongLong(q->length)) &&
	    dict_set(dict, "max_length", PyLong_FromLongLong(q->max_length)) &&
	    dict_set(dict, "lengths", lengths(q->lengths)) &&
	    dict_set(dict, "max_lengths", lengths(q->max_lengths)) &&
	    dict_set(dict, "misc", number(q->misc)) &&
	    dict_set(dict, "flags", flag_names(q->flags, run_queue_flag, self->vm)) &&
	    dict_set(dict, "is_suspended", PyBool_FromLong(q->is_suspended)) &&
	    dict_set(dict, "is_executing", PyBool_FromLong(q->is_executing)) &&
	    dict_set(dict, "is_nonempty", PyBool_FromLong(q->is_nonempty)) &&
	    dict_set(dict, "is_inactive", PyBool_FromLong(q->is_inactive)) &&
	    dict_set(dict, "is_halting", PyBool_FromLong(q->is_halting)) &&
	    dict_set(dict, "is_evacuated", PyBool_FromLong(is_evacuated(q))) &&
	    dict_set(dict, "context_switches", number(q->context_switches)) &&
	    dict_set(dict, "reductions", number(q->reductions)) &&
	    dict_set(dict, "emigrates_to", migration(q)) &&
	    dict_set(dict, "is_incomplete", PyBool_FromLong(q->is_incomplete)))
		return dict;
	Py_XDECREF(dict);
	return NULL;
}

PyObject *VM_run_queues(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	PyObject *list = PyList_New(0);
	unsigned long long unreadable = 0;
	for (size_t i = 0; list && i < etp_run_queue_count(self->vm); i++) {
		struct etp_run_queue queue;
		struct etp_error *err = etp_run_queue(self->vm, &reader, i, &queue);
		if (err) {
			etp_error_destroy(err);
			unreadable++;
		} else if (!list_append(list, run_queue_dict(self, &queue))) {
			Py_CLEAR(list);
		}
	}
	return list ? Py_BuildValue("(NK)", list, unreadable) : NULL;
}

PyObject *VM_run_queue(VMObject *self, PyObject *args)
{
	unsigned long long address, limit;
	unsigned level;
	if (!PyArg_ParseTuple(args, "KIK:run_queue", &address, &level, &limit) || !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_run_queue_iter iter;
	etp_run_queue_iter_init(&iter, self->vm, &reader, address, level);
	PyObject *list = PyList_New(0);
	uint64_t found;
	etp_term id;
	while (list && iter.count < limit && etp_run_queue_iter_next(&iter, &found, &id))
		if (!list_append(list, Term_new(self, NULL, id)) ||
		    (iter.count % 1024 == 0 && PyErr_CheckSignals()))
			Py_CLEAR(list);
	return list ? Py_BuildValue("(Ni)", list, (int)iter.is_broken) : NULL;
}

static PyObject *managed_dict(const struct etp_managed_thread *thread)
{
	return Py_BuildValue("{sK sN sN sN sN sN}", "id", (unsigned long long)thread->id,
	                     "scheduler", thread->scheduler ? number(thread->scheduler) : none(),
	                     "confirmed", thread->is_waiting ? none() : number(thread->confirmed),
	                     "is_waiting", PyBool_FromLong(thread->is_waiting), "is_awaited",
	                     PyBool_FromLong(thread->is_awaited), "is_leader",
	                     PyBool_FromLong(thread->is_leader));
}

PyObject *VM_thread_progress(VMObject *self, PyObject *ignored)
{
	if (!VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	struct etp_thread_progress progress;
	struct etp_error *err = etp_thread_progress(self->vm, &reader, &progress);
	if (err)
		return raise_error(err);
	PyObject *threads = PyList_New(0);
	unsigned long long unreadable = 0;
	for (size_t i = 0; threads && i < progress.managed_count; i++) {
		struct etp_managed_thread thread;
		if (!etp_managed_thread(self->vm, &reader, &progress, i, &thread))
			unreadable++;
		else if (!list_append(threads, managed_dict(&thread)))
			Py_CLEAR(threads);
	}
	if (!threads)
		return NULL;
	return Py_BuildValue("{sK sN s(LL) sN sK sN sK}", "current",
	                     (unsigned long long)progress.current, "threads", threads, "unmanaged",
	                     (long long)progress.unmanaged[0], (long long)progress.unmanaged[1],
	                     "is_blocking", PyBool_FromLong(progress.is_blocking), "unblocked",
	                     (unsigned long long)progress.unblocked, "is_incomplete",
	                     PyBool_FromLong(progress.is_incomplete), "unreadable", unreadable);
}
