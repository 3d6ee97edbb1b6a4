// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_MAGIC_H
#define ETP_MAGIC_H

/**
 * @file
 * Magic binaries: blocks of ERTS or of a NIF that a reference stands for in terms, with a
 * destructor that is called when the last reference is gone.
 *
 * ERTS: erl_binary.h (ErtsMagicBinary), erl_nif.c (ErtsResource). What kind one is follows from its
 * destructor, if that has a symbol, or from the list of resource types. What a NIF keeps in a
 * resource only the NIF knows.
 *
 * Thread safety: as etp_vm.
 */

#include <stdint.h>

#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum etp_magic_kind {
	ETP_MAGIC_OTHER,
	/** ErtsDSigSendContext: a process is in the middle of sending to another node. */
	ETP_MAGIC_DIST_SEND,
	/** MatchProg: a compiled match specification. */
	ETP_MAGIC_MATCH_SPEC,
	/** ErtsResource: what a NIF made with enif_alloc_resource(). */
	ETP_MAGIC_RESOURCE,
};

/** "other", "dist_send", "match_spec", "resource". */
ETP_EXPORT const char *etp_magic_kind_name(enum etp_magic_kind kind);

/** What tells the kinds apart, looked up once. */
struct etp_magic_kinds {
	/** Destructors, 0 when unknown. */
	uint64_t dist_send, match_spec;
	/** Head of the circular list of ErlNifResourceTypes, 0 when unknown. */
	uint64_t resource_types;
};

ETP_EXPORT void etp_magic_kinds_init(struct etp_magic_kinds *kinds, const struct etp_vm *vm);

struct etp_magic {
	enum etp_magic_kind kind;
	/** Of what the binary is for, in its data. */
	uint64_t data;
	/** RESOURCE: module and name of its type. */
	etp_term module, name;
	/** DIST_SEND: pid of the sender, 0 when unknown. */
	etp_term sender;
};

/** What the magic binary at `address` is: OTHER if it cannot be read. */
ETP_EXPORT void etp_magic_read(const struct etp_vm *vm, struct etp_reader *reader,
                               const struct etp_magic_kinds *kinds, uint64_t address,
                               struct etp_magic *ret);

#endif
