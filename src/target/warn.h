// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_WARN_H
#define ETP_TARGET_WARN_H

#include <etp/target.h>

// Add a sentence to the target's warnings, which are shown before any answer.
// Errors: NO_MEMORY.
struct etp_error *etp_target_warn(struct etp_target *target, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
