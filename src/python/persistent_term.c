// SPDX-License-Identifier: Apache-2.0
//
// VM.persistent_term().

#include "python/binding.h"

#include <etp/persistent_term.h>

#include "term/compare.h"

// The value of `key`, or an error, or neither: there is none.
static struct etp_error *find(VMObject *self, const struct etp_persistent_terms *terms,
                              TermObject *key, bool *found_ret, etp_term *ret)
{
	struct etp_reader reader, key_reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	Term_reader(key, &key_reader);
	*found_ret = false;
	for (size_t i = 0; i < terms->count && !*found_ret; i++) {
		struct etp_error *err = etp_term_equal(self->vm, &reader, terms->terms[i].key,
		                                       &key_reader, key->word, found_ret);
		if (err)
			return err;
		*ret = terms->terms[i].value;
	}
	if (!*found_ret && terms->problem)
		return etp_error_create(ETP_ERROR_NOT_FOUND, "Persistent terms: %s.",
		                        terms->problem);
	return NULL;
}

PyObject *VM_persistent_term(VMObject *self, PyObject *key)
{
	if (!VM_is_open(self))
		return NULL;
	if (!PyObject_TypeCheck(key, Term_type) || ((TermObject *)key)->vm != self) {
		PyErr_SetString(PyExc_TypeError, "a key is a term of this VM");
		return NULL;
	}
	struct etp_persistent_terms terms;
	struct etp_error *err = etp_persistent_terms_init(&terms, self->vm);
	if (err)
		return raise_error(err);
	bool found;
	etp_term value = 0;
	err = find(self, &terms, (TermObject *)key, &found, &value);
	etp_persistent_terms_deinit(&terms);
	if (err)
		return raise_error(err);
	if (!found)
		Py_RETURN_NONE;
	return Term_new(self, NULL, value);
}
