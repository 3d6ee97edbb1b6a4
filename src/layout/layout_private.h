// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_PRIVATE_H
#define ETP_LAYOUT_PRIVATE_H

#include <etp/layout.h>

#include "layout/identity.h"

/** What stands behind a `struct etp_layout` that the library made. */
struct etp_layout_private {
	struct etp_layout layout;
	// Build-ids of other files that were built from the same source with the
	// same options, such as the stripped one that a distribution ships.
	struct etp_build_id *also;
	size_t also_count;
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

/** Is this one of the build-ids of the layout? Never for an empty one. */
bool etp_layout_has_build_id(const struct etp_layout *layout, const struct etp_build_id *id);

/** As etp_layout_from_dwarf(), for an executable that is described by `identity`
 *  while `path` may be a file of separate debug information. */
struct etp_error *etp_layout_from_dwarf_as(const char *path, const struct etp_identity *identity,
                                           struct etp_layout **ret);

#endif
