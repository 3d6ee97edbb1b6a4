// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TRACERS_H
#define ETP_TRACERS_H

/**
 * @file
 * Who traces processes and ports (erlang:trace/3, trace:process/4, dbg).
 *
 * ERTS: ErtsTracer, a cell of a module and its state (erl_trace.h), of which a traced process or
 * port has one, or since OTP 27 a list with one for each trace session (ErtsTracerRef, erl_ptab.h).
 * Tracers that are processes or ports are states of the module erl_tracer; since OTP 28 some are
 * pids.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum {
	/** Tracers that are told apart; those of further ones are counted together. */
	ETP_TRACERS_MAX = 64,
};

struct etp_tracer_use {
	/** Module and its state: of erl_tracer, the pid or port that gets the messages; 0 and a
	 * pid. */
	etp_term module, state;
	/** How many it traces. */
	uint64_t processes, ports;
};

struct etp_tracers {
	/** In the order in which they were met. */
	struct etp_tracer_use tracers[ETP_TRACERS_MAX];
	size_t count;
	/** Processes and ports that further tracers trace. */
	uint64_t others;
	/** Those whose tracer could not be read, or is not in the layout. */
	uint64_t gaps;
};

/** One pass over all processes and ports. */
ETP_EXPORT void etp_tracers(const struct etp_vm *vm, struct etp_reader *reader,
                            struct etp_tracers *ret);

#endif
