// SPDX-License-Identifier: Apache-2.0
//
// VM.locks().

#include "python/binding.h"

#include <etp/ets.h>
#include <etp/locks.h>

struct listing {
	VMObject *vm;
	PyObject *list;
};

static PyObject *waiters(const struct etp_lock *lock)
{
	PyObject *list = PyList_New(0);
	for (uint32_t i = 0; list && i < lock->waiter_count && i < ETP_LOCK_WAITERS; i++)
		if (!list_append(list, PyLong_FromUnsignedLongLong(lock->waiters[i])))
			Py_CLEAR(list);
	return list;
}

static bool list_lock(void *context, const struct etp_lock *lock)
{
	struct listing *listing = context;
	PyObject *dict = Py_BuildValue(
		"{s:s,s:K,s:N,s:s,s:K,s:O,s:L,s:O,s:I,s:I,s:N}", "owner",
		etp_lock_owner_name(lock->owner), "address", (unsigned long long)lock->address,
		"term", Term_new(listing->vm, NULL, lock->term), "name", lock->name, "index",
		(unsigned long long)lock->index, "is_exclusive",
		lock->is_exclusive ? Py_True : Py_False, "readers",
		lock->readers == UINT32_MAX ? -1LL : (long long)lock->readers, "is_awaited",
		lock->is_awaited ? Py_True : Py_False, "thread", (unsigned)lock->thread,
		"waiter_count", (unsigned)lock->waiter_count, "waiters", waiters(lock));
	return list_append(listing->list, dict) && !PyErr_CheckSignals();
}

PyObject *VM_locks(VMObject *self, PyObject *ignored)
{
	const struct etp_ets_tables *tables = VM_tables(self);
	struct listing listing = {self, tables ? PyList_New(0) : NULL};
	if (!listing.list)
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(self->vm));
	uint64_t gaps = etp_locks(self->vm, &reader, tables, list_lock, &listing);
	if (PyErr_Occurred())
		Py_CLEAR(listing.list);
	return listing.list ? Py_BuildValue("(NK)", listing.list, (unsigned long long)gaps) : NULL;
}
