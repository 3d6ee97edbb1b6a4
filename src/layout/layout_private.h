// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_PRIVATE_H
#define ETP_LAYOUT_PRIVATE_H

#include <etp/layout.h>

#include "layout/identity.h"

/** One id a global of the registry (etp/globals.def). */
enum etp_global_id {
#define ETP_GLOBAL(name) ETP_GLOBAL_##name,
#include <etp/globals.def>
#undef ETP_GLOBAL
	ETP_GLOBAL_COUNT
};

/** Its name. */
const char *etp_global_name(enum etp_global_id id);

struct etp_global {
	// At link time; 0 for one that the build does not have.
	uint64_t address;
	uint64_t size;
};

/** Where the globals are in a stripped file that has no symbols for them. */
struct etp_globals {
	struct etp_build_id build_id;
	struct etp_global items[ETP_GLOBAL_COUNT];
};

/** What stands behind a `struct etp_layout` that the library made. */
struct etp_layout_private {
	struct etp_layout layout;
	// Build-ids of other files that were built from the same source with the
	// same options, such as the stripped one that a distribution ships.
	struct etp_build_id *also;
	size_t also_count;
	// Of those among them that need it.
	struct etp_globals *globals;
	size_t globals_count;
};

static inline struct etp_layout_private *etp_layout_private(const struct etp_layout *layout)
{
	return (struct etp_layout_private *)layout;
}

/** A layout in which everything is absent and every string is "". */
struct etp_error *etp_layout_create(struct etp_layout_private **ret);

/** Replace a string of the layout by a copy. */
struct etp_error *etp_layout_set_string(const char **field, const char *value);

/** Take over what `identity` says (copies). */
struct etp_error *etp_layout_set_identity(struct etp_layout_private *layout,
                                          const struct etp_identity *identity);

/** Remember another build-id, unless it is known already. */
struct etp_error *etp_layout_add_build_id(struct etp_layout_private *layout,
                                          const struct etp_build_id *id);

/** Remember where globals are in the file with that build-id. */
struct etp_error *etp_layout_add_globals(struct etp_layout_private *layout,
                                         const struct etp_globals *globals);

/** Where globals are in the file with this build-id, or NULL. */
const struct etp_globals *etp_layout_globals(const struct etp_layout *layout,
                                             const struct etp_build_id *id);

/** Is this one of the build-ids of the layout? Never for an empty one. */
bool etp_layout_has_build_id(const struct etp_layout *layout, const struct etp_build_id *id);

/** Why this layout is not that of the target; false if it is. */
bool etp_layout_differs(const struct etp_identity *identity, const struct etp_layout *layout,
                        char *reason, size_t size);

/** Is the layout that of the target but for the C library, glibc's for musl, and are the types of
 *  both equal in size? The ERTS version is not asked. */
bool etp_layout_is_of_other_libc(const struct etp_identity *identity,
                                 const struct etp_layout *layout);

/** Take away what the C library keeps in a type of its own, if it is another one than the target's.
 */
void etp_layout_forget_other_libc(const struct etp_identity *identity, struct etp_layout *layout);

struct etp_layout_files;

/** All layout files, and what the target says of itself, its globals being found. If it does not
 *  say it, the identity is empty and *problem_ret says why; else that is NULL. The caller owns all
 *  three. Error: NO_MEMORY. */
struct etp_error *etp_layout_candidates(struct etp_target *target,
                                        const struct etp_layout_options *options,
                                        struct etp_layout_files *files_ret,
                                        struct etp_identity *identity_ret, char **problem_ret);

/** As etp_layout_from_dwarf(), for an executable that is described by `identity`
 *  while `path` may be a file of separate debug information. */
struct etp_error *etp_layout_from_dwarf_as(const char *path, const struct etp_identity *identity,
                                           struct etp_layout **ret);

#endif
