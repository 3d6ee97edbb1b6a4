// SPDX-License-Identifier: Apache-2.0
#include "vm/tracing.h"

#include "term/scheme.h"

static const char *const problem = "its tracer cannot be read";

static struct tracer_iter iter_of(const struct etp_vm *vm, struct etp_reader *reader,
                                  uint64_t element, enum etp_member_id tracer,
                                  enum etp_member_id first_ref)
{
	struct tracer_iter iter = {.vm = vm, .reader = reader};
	if (etp_layout_has(vm->layout, tracer))
		iter.only = element + vm->layout->members[tracer].offset;
	else if (etp_layout_has(vm->layout, first_ref) && HAS(vm, ErtsTracerRef, tracer) &&
	         !etp_vm_read_member(vm, reader, element, first_ref, &iter.ref))
		iter.problem = problem;
	return iter;
}

struct tracer_iter tracer_iter_of_process(const struct etp_vm *vm, struct etp_reader *reader,
                                          uint64_t process)
{
	return iter_of(vm, reader, process, ETP_MEMBER_Process_tracer,
	               ETP_MEMBER_Process_first_tracer_ref);
}

struct tracer_iter tracer_iter_of_port(const struct etp_vm *vm, struct etp_reader *reader,
                                       uint64_t port)
{
	return iter_of(vm, reader, port, ETP_MEMBER_Port_tracer, ETP_MEMBER_Port_first_tracer_ref);
}

bool tracer_iter_next(struct tracer_iter *iter, struct tracer *ret)
{
	struct tracer tracer = {.where = iter->only};
	uint64_t next = 0;
	if (iter->ref) {
		tracer.where = iter->ref + OFFSET(iter->vm, ErtsTracerRef, tracer);
		if (!etp_chain_step(&iter->chain, iter->ref) ||
		    !READ_WORD(iter->vm, iter->reader, iter->ref, ErtsTracerRef, next, &next))
			iter->problem = problem;
	}
	iter->only = 0;
	iter->ref = iter->problem ? 0 : next;
	if (!tracer.where || iter->problem)
		return false;
	if (!etp_read_u64(iter->reader, tracer.where, &tracer.term)) {
		iter->problem = problem;
		return false;
	}
	*ret = tracer;
	return true;
}

// The cell is the first thing of a fragment of its own, unless the state is an immediate
// (erts_tracer_update(), erl_trace.c).
bool tracer_fragment(const struct etp_vm *vm, struct etp_reader *reader, etp_term tracer,
                     uint64_t *ret)
{
	uint64_t state;
	if (term_primary(tracer) != TAG_PRIMARY_LIST) {
		*ret = 0;
		return true;
	}
	uint64_t cell = term_pointer(tracer);
	if (!etp_read_u64(reader, cell + sizeof(uint64_t), &state))
		return false;
	*ret = term_is_immediate(state) ? 0 : cell - OFFSET(vm, ErlHeapFragment, mem);
	return true;
}
