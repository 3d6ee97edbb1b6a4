// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_PTHREAD_SELF_H
#define ETP_TARGET_PTHREAD_SELF_H

#include <stdint.h>

struct etp_target;

// pthread_self() of a thread whose registers are not known but for the stack pointer: what
// a debugger tells of another debugger's thread, or lldb before version 20 of its own. 0 if
// it is not found, as that of the first thread, which has another kind of stack.
uint64_t etp_pthread_self(const struct etp_target *target, int tid, uint64_t sp);

#endif
