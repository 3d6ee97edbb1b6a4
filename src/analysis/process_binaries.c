// SPDX-License-Identifier: Apache-2.0
#include <etp/census.h>
#include <etp/chain.h>
#include <etp/heap.h>

#include <stdlib.h>

#include "analysis/off_heap.h"
#include "util/array.h"

// As erts_bld_bin_list() does (erl_bif_info.c): the process's own chain, and those of
// its heap fragments. Writable binaries have a chain of their own, which it leaves out to
// OTP 26.

struct collector {
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_process_binary *items;
	size_t count, capacity;
	const char *problem;
};

static bool add(struct collector *c, const struct off_heap_binary *binary)
{
	struct etp_process_binary *item =
		array_add(&c->items, &c->count, &c->capacity, sizeof(*item));
	if (item)
		*item = (struct etp_process_binary){
			.address = binary->address,
			.size = binary->size,
			.refc = binary->refc,
		};
	return item;
}

static bool add_chain(struct collector *c, uint64_t first)
{
	struct off_heap_iter iter = off_heap_iter(c->vm, &c->reader, first);
	uint64_t proc_bin, address;
	struct off_heap_binary binary;
	while (off_heap_next_proc_bin(&iter, &proc_bin)) {
		if (!READ_WORD(c->vm, &c->reader, proc_bin, BinRef, val, &address) ||
		    !off_heap_read_binary(c->vm, &c->reader, address, &binary))
			c->problem = "an off-heap binary cannot be read";
		else if (!add(c, &binary))
			return false;
	}
	if (iter.problem)
		c->problem = iter.problem;
	return true;
}

static bool collect(struct collector *c, uint64_t process)
{
	uint64_t first, fragment;
	if (!READ_WORD(c->vm, &c->reader, process, Process, off_heap, &first) ||
	    !READ_WORD(c->vm, &c->reader, process, Process, mbuf, &fragment)) {
		c->problem = "the process cannot be read";
		return true;
	}
	bool ok = add_chain(c, first);
	if (ok && c->vm->scheme->lists_writable)
		ok = add_chain(c, etp_heap_writable_binaries(c->vm, &c->reader, process));
	struct etp_chain chain = {0};
	while (ok && fragment) {
		uint64_t next;
		if (!etp_chain_step(&chain, fragment) ||
		    !READ_WORD(c->vm, &c->reader, fragment, ErlHeapFragment, off_heap, &first) ||
		    !READ_WORD(c->vm, &c->reader, fragment, ErlHeapFragment, next, &next)) {
			c->problem = "a heap fragment cannot be read";
			break;
		}
		ok = add_chain(c, first);
		fragment = next;
	}
	return ok;
}

struct etp_error *etp_process_binaries(const struct etp_vm *vm, uint64_t process,
                                       struct etp_process_binary **ret, size_t *count_ret,
                                       const char **problem_ret)
{
	struct collector c = {.vm = vm};
	etp_reader_init(&c.reader, vm->target);
	if (!collect(&c, process)) {
		free(c.items);
		return &etp_error_no_memory;
	}
	*ret = c.items;
	*count_ret = c.count;
	*problem_ret = c.problem;
	return NULL;
}
