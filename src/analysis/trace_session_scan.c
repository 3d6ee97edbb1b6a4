// SPDX-License-Identifier: Apache-2.0
#include <etp/chain.h>

#include "analysis/root_scan.h"

static const char *const problem = "a trace session cannot be read";

// The tracer of trace:session_create/3, and those of processes and ports that are yet to come.
static bool add_session(struct root_scan *scan, uint64_t session)
{
	static const enum etp_member_id members[] = {
		ETP_MEMBER_ErtsTraceSession_tracer,
		ETP_MEMBER_ErtsTraceSession_on_load_meta_tracer,
		ETP_MEMBER_ErtsTraceSession_new_procs_tracer,
		ETP_MEMBER_ErtsTraceSession_new_ports_tracer,
	};
	uint64_t name, tracer;
	if (!READ_WORD(scan->vm, &scan->reader, session, ErtsTraceSession, name_atom, &name)) {
		root_scan_give_up(scan, problem);
		return true;
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!etp_vm_read_member(scan->vm, &scan->reader, session, members[i], &tracer))
			root_scan_give_up(scan, problem);
		else if (!root_scan_add_tracer(scan, tracer))
			return false;
	}
	return root_scan_finish(scan, ETP_HOLDER_TRACE_SESSION, session, name);
}

// Sessions came with OTP 27; the first is that of erlang:trace/3.
bool trace_session_scan_run(struct root_scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t session;
	if (!HAS(vm, ErtsTraceSession, tracer))
		return true;
	struct etp_error *err =
		etp_target_symbol(vm->target, "erts_trace_session_0", &session, NULL);
	if (err) {
		etp_error_destroy(err);
		root_scan_give_up(scan, "the trace sessions cannot be found");
		return true;
	}
	struct etp_chain chain = {0};
	while (session) {
		if (!add_session(scan, session))
			return false;
		if (!etp_chain_step(&chain, session) ||
		    !READ_WORD(vm, &scan->reader, session, ErtsTraceSession, next, &session)) {
			root_scan_give_up(scan, problem);
			break;
		}
	}
	return true;
}
