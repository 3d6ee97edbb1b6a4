// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_TRACER_H
#define ETP_TARGET_TRACER_H

// Stops a process with ptrace(2), as a debugger does, and lets it run again. Nothing of
// the process is changed. If we die, the kernel lets it run.
//
// Thread safety: one call at a time.

#include <stdbool.h>
#include <stddef.h>

#include <etp/error.h>

struct etp_tracer;

// Stop all threads of `pid`. Errors: NOT_FOUND; OS (no permission, or somebody else
// traces it), with all threads running as before.
struct etp_error *etp_tracer_stop(int pid, struct etp_tracer **ret);

// Threads that did not stop because they wait in the kernel, for a disk for example,
// where they change nothing of their memory but what they wait for.
size_t etp_tracer_stuck(const struct etp_tracer *tracer);

// What `call` returns in the thread that traces: only that may read registers.
struct etp_error *etp_tracer_call(struct etp_tracer *tracer,
                                  struct etp_error *(*call)(void *context), void *context);

// Let it run, and forget it. NULL is ignored.
void etp_tracer_release(struct etp_tracer *tracer);

#endif
