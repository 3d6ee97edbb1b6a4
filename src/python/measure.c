// SPDX-License-Identifier: Apache-2.0
#include <etp/heap.h>
#include <etp/measure.h>

#include "python/binding.h"

static PyObject *measure_dict(const struct etp_measure *measure)
{
	return Py_BuildValue("{s:K,s:K,s:K,s:K}", "words", (unsigned long long)measure->words,
	                     "binaries", (unsigned long long)measure->binaries, "binary_bytes",
	                     (unsigned long long)measure->binary_bytes, "unreadable",
	                     (unsigned long long)measure->unreadable);
}

static void init_reader(struct etp_reader *reader, const VMObject *vm, const RowWordsObject *row)
{
	etp_reader_init(reader, etp_vm_target(vm->vm));
	if (row)
		reader->overlay = row->overlay;
}

PyObject *VM_measure(VMObject *self, PyObject *args)
{
	unsigned long long process;
	TermObject *term;
	if (!VM_is_open(self) || !PyArg_ParseTuple(args, "KO!:measure", &process, Term_type, &term))
		return NULL;
	struct etp_reader reader;
	struct etp_measure measure;
	init_reader(&reader, self, term->row);
	struct etp_error *err =
		etp_measure_in_process(self->vm, &reader, process, term->word, &measure);
	return err ? raise_error(err) : measure_dict(&measure);
}

PyObject *VM_measure_each(VMObject *self, PyObject *args)
{
	unsigned long long process;
	PyObject *list;
	if (!VM_is_open(self) ||
	    !PyArg_ParseTuple(args, "KO!:measure_each", &process, &PyList_Type, &list))
		return NULL;
	size_t count = (size_t)PyList_Size(list);
	etp_term *terms = PyMem_Calloc(count + 1, sizeof(*terms));
	uint64_t *words = PyMem_Calloc(count + 1, sizeof(*words));
	PyObject *sizes = NULL;
	if (terms && words)
		sizes = PyList_New(0);
	else
		PyErr_NoMemory();
	for (size_t i = 0; sizes && i < count; i++) {
		PyObject *item = PyList_GetItem(list, (Py_ssize_t)i);
		if (!PyObject_TypeCheck(item, Term_type)) {
			PyErr_SetString(PyExc_TypeError, "measure_each() takes a list of terms");
			Py_CLEAR(sizes);
		} else if (!Term_is_of((TermObject *)item, self)) {
			Py_CLEAR(sizes);
		} else {
			terms[i] = ((TermObject *)item)->word;
		}
	}
	struct etp_reader reader;
	struct etp_error *err = NULL;
	init_reader(&reader, self, NULL);
	if (sizes)
		err = etp_measure_each(self->vm, &reader, process, terms, count, words);
	if (err) {
		Py_CLEAR(sizes);
		raise_error(err);
	}
	for (size_t i = 0; sizes && i < count; i++)
		if (!list_append(sizes, PyLong_FromUnsignedLongLong(words[i])))
			Py_CLEAR(sizes);
	PyMem_Free(terms);
	PyMem_Free(words);
	return sizes;
}

PyObject *VM_measure_slots(VMObject *self, PyObject *args)
{
	unsigned long long process, address, count;
	Py_ssize_t most;
	if (!PyArg_ParseTuple(args, "KKKn:measure_slots", &process, &address, &count, &most) ||
	    !VM_is_open(self))
		return NULL;
	struct etp_reader reader;
	struct etp_heap_largest largest;
	init_reader(&reader, self, NULL);
	etp_heap_largest_init(&largest, most < 0 ? SIZE_MAX : (size_t)most);
	struct etp_error *err =
		etp_measure_slots(self->vm, &reader, process, address, count, &largest);
	etp_heap_largest_sort(&largest);
	PyObject *list = err ? raise_error(err) : PyList_New(0);
	for (size_t i = 0; list && i < largest.count; i++)
		if (!list_append(list, Py_BuildValue("(KK)",
		                                     (unsigned long long)largest.things[i].address,
		                                     (unsigned long long)largest.things[i].words)))
			Py_CLEAR(list);
	etp_heap_largest_deinit(&largest);
	return list;
}

PyObject *row_measure(VMObject *vm, RowWordsObject *row, etp_term tuple, uint64_t words,
                      PyObject *args)
{
	TermObject *term;
	if (!PyArg_ParseTuple(args, "O!:measure", Term_type, &term))
		return NULL;
	struct etp_reader reader;
	struct etp_measure measure;
	init_reader(&reader, vm, row);
	struct etp_path_words areas[2] = {{term_pointer(tuple), words}};
	size_t count = 1;
	if (row) {
		areas[0] = (struct etp_path_words){row->overlay.start, row->overlay.size / 8};
		areas[1] = (struct etp_path_words){row->words.block, row->words.block_words};
		count = 2;
	}
	struct etp_error *err =
		etp_measure_in_words(vm->vm, &reader, areas, count, term->word, &measure);
	return err ? raise_error(err) : measure_dict(&measure);
}

static PyObject *kinds_list(VMObject *vm, RowWordsObject *row, const struct etp_tally *tally)
{
	PyObject *list = PyList_New(0);
	for (size_t i = 0; list && i < tally->kind_count; i++) {
		const struct etp_tally_kind *kind = &tally->kinds[i];
		PyObject *tag = Py_None, *sample = Term_new(vm, row, kind->sample);
		if (kind->tag)
			tag = Term_new(vm, NULL, kind->tag);
		else
			Py_INCREF(tag);
		PyObject *item =
			sample && tag
				? Py_BuildValue("(NKKN)", tag, (unsigned long long)kind->arity,
		                                (unsigned long long)kind->count, sample)
				: NULL;
		if (!item || PyList_Append(list, item))
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

PyObject *Term_tally(TermObject *self, PyObject *ignored)
{
	struct etp_reader reader;
	struct etp_tally tally;
	init_reader(&reader, self->vm, self->row);
	struct etp_error *err = etp_map_tally(self->vm->vm, &reader, self->word, &tally);
	if (err)
		return raise_error(err);
	PyObject *kinds = kinds_list(self->vm, self->row, &tally);
	return kinds ? Py_BuildValue("{s:K,s:K,s:N,s:K}", "size", (unsigned long long)tally.size,
	                             "found", (unsigned long long)tally.found, "kinds", kinds,
	                             "others", (unsigned long long)tally.others)
	             : NULL;
}
