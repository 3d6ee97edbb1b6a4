// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_BUILD_OPTIONS_H
#define ETP_LAYOUT_BUILD_OPTIONS_H

// Build options that can change the structs of ERTS.
//
// `configure` writes erts/<triple>/config.h, and beam.smp carries the text of
// that file (erts_build_flags_CONFIG_H, shown by erlang:system_info(build_info)
// and its kin). Most of it says what the C library offers, which differs
// from one distribution to the next and moves no member.

#include <stddef.h>

#include <etp/error.h>

/** The "#define NAME VALUE" lines of `config_h` that can change structs, as
 *  sorted "NAME=VALUE" lines, each with a newline.
 *  @param extra More such lines (unsorted, may be ""), from elsewhere.
 *  @param ret Release with free(). */
struct etp_error *etp_build_options_normalize(const char *config_h, const char *extra, char **ret);

/** Write what differs between two normalized texts, as "NAME=1 (not NAME=2), ...",
 *  cut to `size`. Returns false if nothing does. */
bool etp_build_options_differ(const char *is, const char *wanted, char *buffer, size_t size);

/** Is the C library all that differs between two normalized texts: that of glibc, and of musl? */
bool etp_build_options_glibc_for_musl(const char *is, const char *wanted);

#endif
