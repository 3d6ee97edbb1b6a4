// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_DIST_EXTERNAL_H
#define ETP_DIST_EXTERNAL_H

/**
 * @file
 * What came from another node and is not decoded yet: the bytes of a message or of an
 * exit reason, in the binaries that they were received in, and the table that says
 * which atoms they mean.
 *
 * ERTS: external.h, ErtsDistExternal. A large message comes in fragments of 64 KB. Until
 * the last has come they are in a tree of the DistEntry; then the receiver's signal queue has
 * them, and they are decoded when the receiver looks at the message.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stdint.h>

#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

struct etp_dist_external {
	/** Of the ErtsDistExternal. */
	uint64_t address;
	/** Name of the node that it came from, 0 when unknown. */
	etp_term node;
	/** Fragments that it has, with those that have not come yet. */
	uint64_t fragment_count;
	/** Bytes of those that have come. */
	uint64_t bytes;
	/** The connection has atom caches: no version byte before the term. */
	bool has_header;
	/** The atoms that ATOM_CACHE_REFs mean: `atom_count` words at `atoms`. */
	uint64_t atoms, atom_count;
	/** Array of ErtsDistExternalData. */
	uint64_t data;
};

struct etp_dist_fragment {
	/** The Binary that holds the bytes, which has a reference for this; 0 if the
	 *  fragment has not come. */
	uint64_t binary;
	/** Its part of the term. */
	uint64_t start, end;
};

/** False when the ErtsDistExternal at `address` cannot be read or makes no sense. */
ETP_EXPORT bool etp_dist_external_read(const struct etp_vm *vm, struct etp_reader *reader,
                                       uint64_t address, struct etp_dist_external *ret);

/** Fragment number `index`, in order of the bytes; false when it cannot be read. */
ETP_EXPORT bool etp_dist_external_fragment(const struct etp_vm *vm, struct etp_reader *reader,
                                           const struct etp_dist_external *external, uint64_t index,
                                           struct etp_dist_fragment *ret);

#endif
