// SPDX-License-Identifier: Apache-2.0
#include <etp/tracers.h>

#include <etp/vm.h>

#include "term/scheme.h"
#include "vm/tracing.h"
#include "vm/vm.h"

static void count(struct etp_tracers *found, etp_term module, etp_term state, bool is_port)
{
	struct etp_tracer_use *use = found->tracers;
	while (use < found->tracers + found->count &&
	       (use->module != module || use->state != state))
		use++;
	if (use == found->tracers + ETP_TRACERS_MAX) {
		found->others++;
		return;
	}
	if (use == found->tracers + found->count) {
		*use = (struct etp_tracer_use){.module = module, .state = state};
		found->count++;
	}
	*(is_port ? &use->ports : &use->processes) += 1;
}

// What is traced; `flags` are its trace flags.
static void see(struct etp_tracers *found, struct tracer_iter iter, uint64_t flags, bool is_port)
{
	struct tracer tracer;
	while (flags && tracer_iter_next(&iter, &tracer)) {
		etp_term module = 0, state = tracer.term;
		if (term_primary(tracer.term) == TAG_PRIMARY_LIST) {
			uint64_t cell = term_pointer(tracer.term);
			if (!etp_read_u64(iter.reader, cell, &module) ||
			    !etp_read_u64(iter.reader, cell + sizeof(module), &state)) {
				found->gaps++;
				return;
			}
		} else if (tracer.term == ETP_NIL) {
			continue;
		}
		count(found, module, state, is_port);
	}
	found->gaps += iter.problem != NULL;
}

static void see_process(struct etp_tracers *found, const struct etp_vm *vm,
                        struct etp_reader *reader, uint64_t process)
{
	uint64_t flags;
	if (READ_ANY(vm, reader, process, Process, trace_flags, &flags))
		see(found, tracer_iter_of_process(vm, reader, process), flags, false);
	else
		found->gaps++;
}

static void see_port(struct etp_tracers *found, const struct etp_vm *vm, struct etp_reader *reader,
                     uint64_t port)
{
	uint64_t flags;
	if (HAS(vm, Port, trace_flags) && READ_ANY(vm, reader, port, Port, trace_flags, &flags))
		see(found, tracer_iter_of_port(vm, reader, port), flags, true);
	else
		found->gaps++;
}

void etp_tracers(const struct etp_vm *vm, struct etp_reader *reader, struct etp_tracers *ret)
{
	struct etp_tracers found = {0};
	const uint64_t *addresses;
	const etp_term *pids;
	size_t processes = etp_vm_processes(vm, &addresses, &pids);
	for (size_t i = 0; i < processes; i++)
		see_process(&found, vm, reader, addresses[i]);
	for (size_t i = 0; i < vm->ports.count; i++)
		see_port(&found, vm, reader, vm->ports.addresses[i]);
	*ret = found;
}
