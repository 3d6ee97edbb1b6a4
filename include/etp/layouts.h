// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUTS_H
#define ETP_LAYOUTS_H

/**
 * @file
 * All layout files that there are, each tried on a target.
 *
 * Thread safety: as long as trials are made, no other thread may use the target.
 */

#include <stdbool.h>
#include <stddef.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/layout.h>
#include <etp/target.h>
#include <etp/vm.h>

/** For whom a layout file was made, as far as that can be told without the memory. */
enum etp_layout_match {
	/** Another release, machine, flavor or build option. */
	ETP_LAYOUT_OTHER,
	/** Another ERTS version of the same release, or glibc in place of musl, all else being
	 *  equal. */
	ETP_LAYOUT_NEAR,
	/** The same ERTS version, machine, flavor and build options. */
	ETP_LAYOUT_SAME_BUILD,
	/** It names the build-id of the executable. */
	ETP_LAYOUT_SAME_BUILD_ID,
};

/** "other", "near", "same build", "build-id". */
ETP_EXPORT const char *etp_layout_match_name(enum etp_layout_match match);

/** One layout file, and what came of it. */
struct etp_layout_trial {
	const char *path;
	/** From the user's own directory. */
	bool is_users;
	/** NULL if the file cannot be read. */
	const struct etp_layout *layout;
	enum etp_layout_match match;
	/** What it is made for, if that is something else; or NULL. */
	char *difference;
	/** Why it is not used: what is wrong with the file, or the self-check that failed first;
	 *  NULL if every check holds. */
	char *refusal;
};

struct etp_layout_trials {
	struct etp_layout_trial *items;
	size_t count;
	/** Why nothing could be tried, or NULL. */
	char *problem;
	/** What `items` point into. */
	void *files;
};

/** Try each file on the target. Owned by the caller: etp_layout_trials_deinit(). Errors:
 *  NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_layout_trials_init(struct etp_layout_trials *trials,
                                                    struct etp_target *target,
                                                    const struct etp_layout_options *options);
/** The same on the target of an opened VM. */
ETP_EXPORT struct etp_error *etp_vm_layouts(const struct etp_vm *vm,
                                            const struct etp_layout_options *options,
                                            struct etp_layout_trials *trials);
ETP_EXPORT void etp_layout_trials_deinit(struct etp_layout_trials *trials);

#endif
