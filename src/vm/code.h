// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_CODE_H
#define ETP_VM_CODE_H

// What is looked up once of the loaded code.

#include <etp/code.h>

#include "vm/vm.h"

enum { ETP_CODE_FRAGMENTS = 10 };

// An exported function whose code is not in the core.
struct etp_code_export {
	uint64_t address;
	etp_term module, function;
	uint64_t arity;
};

struct etp_code {
	// code_ix.h
	uint32_t active_index;
	size_t count;
	// In ascending order of their start.
	struct etp_code_module *modules;
	const char *problem;
	// Only of modules whose code is missing, in ascending order of address.
	size_t export_count;
	struct etp_code_export *exports;
	struct {
		uint64_t address;
		const char *name;
	} fragments[ETP_CODE_FRAGMENTS];
	// From a return address back into the call (beam_common.c, gather_stacktrace()).
	uint64_t call_size;
	// Words of a continuation pointer on a stack: 2 where the frame pointer is
	// saved before the return address (ERTS_FRAME_LAYOUT_FP_RA, erl_vm.h).
	unsigned cp_words;
	// erts_backtrace_depth
	uint32_t backtrace_depth;
	// Return addresses of trace frames; 0 where they do not exist.
	uint64_t return_trace, exception_trace, return_to_trace, return_time_trace;
	// beam_catch_t[]; 0 if it was not found.
	uint64_t beam_catches, catch_count;
};

// Never fails on what is in the core: see code->problem. Errors: NO_MEMORY.
struct etp_error *etp_code_init(struct etp_vm *vm);
void etp_code_deinit(struct etp_vm *vm);

// The instance whose code `pc` is in, or NULL.
const struct etp_code_module *etp_code_module_at(const struct etp_code *code, uint64_t pc);

// Parts of etp_code_init().
struct etp_error *etp_code_init_exports(struct etp_vm *vm, struct etp_code *code);
void etp_code_init_catches(const struct etp_vm *vm, struct etp_code *code);

// An exported function of missing code: the one at `address`, or else the last that
// begins before it in the module `start` belongs to. NULL if there is none.
const struct etp_code_export *etp_code_export_before(const struct etp_code *code, uint64_t address,
                                                     uint64_t start);

#endif
