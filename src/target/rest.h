// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_REST_H
#define ETP_TARGET_REST_H

// Whether a process rests: none of its threads executes. What is read meanwhile is of
// one moment, without the process having been stopped.
//
// A VM that hangs, or has nothing to do, rests nearly always.

#include <stdbool.h>
#include <stddef.h>

#include "target/threads.h"

struct etp_rest;

// NULL if a thread executes, if the kernel does not tell, or when out of memory.
// Released with etp_rest_end().
struct etp_rest *etp_rest_begin(int pid);

// Has no thread executed between the return of etp_rest_begin() and this call?
bool etp_rest_held(const struct etp_rest *rest);

// Are these threads, which have been stopped since, where they were?
bool etp_rest_has(const struct etp_rest *rest, enum etp_machine machine,
                  const struct etp_thread *threads, size_t count);

// NULL is ignored.
void etp_rest_end(struct etp_rest *rest);

#endif
