// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PERSISTENT_TERM_H
#define ETP_PERSISTENT_TERM_H

/**
 * @file
 * Persistent terms: the pairs of persistent_term:get/0.
 *
 * No symbol names their table (the_hash_table, erl_bif_persistent.c). It is found
 * by its shape: a pointer in the data of beam.smp to a table of a power of two
 * slots, of which as many hold a pair as the table says it has entries.
 *
 * Thread safety: as etp_vm.
 */

#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;

struct etp_persistent_term {
	etp_term key, value;
	/** The ErtsLiteralArea that holds both. */
	uint64_t literal_area;
};

struct etp_persistent_terms {
	size_t count;
	struct etp_persistent_term *terms;
	/** What is wrong, a static string, or NULL: then these are all. */
	const char *problem;
};

/** All persistent terms, in the order of their slots. Release with
 *  etp_persistent_terms_deinit(). Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_persistent_terms_init(struct etp_persistent_terms *terms,
                                                       const struct etp_vm *vm);
ETP_EXPORT void etp_persistent_terms_deinit(struct etp_persistent_terms *terms);

#endif
