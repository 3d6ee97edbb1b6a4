// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_TRACING_H
#define ETP_VM_TRACING_H

// Who traces a process or port (erl_trace.h): one tracer, or since OTP 27 one for each session
// that traces it.

#include <etp/chain.h>

#include "vm/vm.h"

struct tracer_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// What is left: the only tracer, or the ErtsTracerRefs from here on.
	uint64_t only, ref;
	struct etp_chain chain;
	// Why it ended early, a static string, or NULL.
	const char *problem;
};

struct tracer {
	// [Module | State], a pid (since OTP 28) or [].
	etp_term term;
	// Where it stands.
	uint64_t where;
};

struct tracer_iter tracer_iter_of_process(const struct etp_vm *vm, struct etp_reader *reader,
                                          uint64_t process);
struct tracer_iter tracer_iter_of_port(const struct etp_vm *vm, struct etp_reader *reader,
                                       uint64_t port);
bool tracer_iter_next(struct tracer_iter *iter, struct tracer *ret);

// The ErlHeapFragment that the state of a tracer is in, 0 if it has none. False if the tracer
// cannot be read.
bool tracer_fragment(const struct etp_vm *vm, struct etp_reader *reader, etp_term tracer,
                     uint64_t *ret);

#endif
