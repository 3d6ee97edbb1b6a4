// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_IDENTITY_H
#define ETP_LAYOUT_IDENTITY_H

// What a beam.smp says about itself, by constants that it exports for gdb
// macros (etp_* in erl_init.c) and for erlang:system_info (erts_build_flags_*).

#include <stdint.h>

#include <etp/error.h>
#include <etp/target.h>

struct etp_identity {
	char *otp_release;
	char *erts_version;
	// "jit" or "emu"; a string constant
	const char *flavor;
	// A string constant
	const char *machine;
	// See build_options.h
	char *build_options;
	struct etp_build_id build_id;
};

/** Errors: UNSUPPORTED (not a beam.smp, or only separate debug information), OS. */
struct etp_error *etp_identity_from_elf(const char *path, struct etp_identity *ret);

/** Errors: UNSUPPORTED (not a beam.smp), LAYOUT (its constants are not in the
 *  core, and the executable that holds them is not at hand). */
struct etp_error *etp_identity_from_target(const struct etp_target *target,
                                           struct etp_identity *ret);

void etp_identity_deinit(struct etp_identity *identity);

#endif
