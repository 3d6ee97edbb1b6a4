// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_GLOBALS_H
#define ETP_LAYOUT_GLOBALS_H

#include "layout/elf_image.h"
#include "layout/layout_private.h"

/** Is this a beam.smp that exports the functions for NIFs, and nothing of ERTS? */
bool etp_globals_are_hidden(struct etp_elf_image *image);

/** Globals of `stripped`, from the symbols of a file with the same program. Error:
 *  ARGUMENT (it is another program, and how). */
struct etp_error *etp_globals_read(struct etp_elf_image *with_symbols,
                                   struct etp_elf_image *stripped, struct etp_globals *ret);

/** Make them symbols of a target that has that file as its executable. */
struct etp_error *etp_globals_add_to(const struct etp_globals *globals, struct etp_target *target);

#endif
