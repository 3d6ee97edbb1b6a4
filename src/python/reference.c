// SPDX-License-Identifier: Apache-2.0
// References that the VM makes on demand, so that none may be in its memory: ours stand in
// words of our own.

#include "python/binding.h"

// A thing of this struct, whose header is filled in. `row_ret` gets where it stands, a new
// reference. NULL with an exception when memory ran out.
static uint64_t *new_thing(VMObject *self, enum etp_struct_id id, RowWordsObject **row_ret)
{
	allocfunc allocate = (allocfunc)PyType_GetSlot(RowWords_type, Py_tp_alloc);
	RowWordsObject *row = (RowWordsObject *)allocate(RowWords_type, 0);
	if (!row)
		return NULL;
	etp_row_words_init(&row->words);
	uint64_t words = self->vm->layout->struct_sizes[id] / 8;
	size_t index;
	if (etp_words_take(&row->words.words, words, &index)) {
		PyErr_NoMemory();
		Py_DECREF(row);
		return NULL;
	}
	row->overlay = (struct etp_segment){
		.start = etp_words_address(0),
		.size = row->words.words.used * 8,
		.bytes = (const unsigned char *)row->words.words.words,
	};
	uint64_t *thing = row->words.words.words + index;
	thing[0] = (words - 1) << HEADER_ARITY_SHIFT | 0x4 << HEADER_SUBTAG_SHIFT;
	*row_ret = row;
	return thing;
}

static PyObject *thing_term(VMObject *self, RowWordsObject *row)
{
	PyObject *term = Term_new(self, row, row->overlay.start | TAG_PRIMARY_BOXED);
	Py_DECREF(row);
	return term;
}

// erts_mk_magic_ref()
PyObject *Term_of_magic_binary(VMObject *self, uint64_t binary)
{
	RowWordsObject *row;
	uint64_t *thing = new_thing(self, ETP_STRUCT_ErtsMRefThing, &row);
	if (!thing)
		return NULL;
	thing[OFFSET(self->vm, ErtsMRefThing, mb) / 8] = binary;
	return thing_term(self, row);
}

// write_ref_thing() (erl_term.h)
PyObject *Term_of_ref_numbers(VMObject *self, const uint32_t numbers[3])
{
	RowWordsObject *row;
	unsigned char *thing = (unsigned char *)new_thing(self, ETP_STRUCT_ErtsORefThing, &row);
	if (!thing)
		return NULL;
	uint32_t marker = UINT32_MAX;
	if (HAS(self->vm, ErtsORefThing, marker))
		memcpy(thing + OFFSET(self->vm, ErtsORefThing, marker), &marker, sizeof(marker));
	memcpy(thing + OFFSET(self->vm, ErtsORefThing, num), numbers, 3 * sizeof(numbers[0]));
	return thing_term(self, row);
}
