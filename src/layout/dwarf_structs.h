// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_DWARF_STRUCTS_H
#define ETP_LAYOUT_DWARF_STRUCTS_H

#include <stdint.h>

#include <etp/error.h>
#include <etp/layout.h>

#include "layout/registry.h"

/** Resolve a registry against the DWARF of the ELF file `path`, or of the
 *  separate debug information that libdwfl finds for it.
 *
 *  @param members Array of registry->member_count; what is not there gets
 *  ETP_LAYOUT_ABSENT.
 *  @param sizes Array of registry->struct_count.
 *  Errors: LAYOUT (no DWARF; required members missing, all named; two different
 *  structs of one name), UNSUPPORTED (not ELF), OS. */
struct etp_error *etp_dwarf_structs(const char *path, const struct etp_registry *registry,
                                    struct etp_layout_member *members, uint32_t *sizes);

#endif
