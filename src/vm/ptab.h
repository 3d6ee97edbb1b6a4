// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_PTAB_H
#define ETP_VM_PTAB_H

// A process table: slots of pointers to processes or ports (ERTS: erl_ptab.h).

#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/term.h>

struct etp_vm;

struct etp_ptab {
	// Live elements in order of their slot.
	size_t count;
	uint64_t *addresses;
	etp_term *ids;
	uint32_t *slots;
	uint64_t limit;
	// Slots whose element could not be read.
	uint64_t unreadable;
	// Of these, elements that have something else where their id must be.
	size_t no_id;
	// Open addressing from id to position in the arrays, plus 1; 0 is empty.
	uint32_t *index;
	size_t index_mask;
};

// Read the table at symbol `name`; `tag` is the immediate tag of its ids.
struct etp_error *etp_ptab_init(struct etp_ptab *ptab, const struct etp_vm *vm, const char *name,
                                unsigned tag);
void etp_ptab_deinit(struct etp_ptab *ptab);

// Address of the element with this id, 0 if there is none.
uint64_t etp_ptab_find(const struct etp_ptab *ptab, etp_term id);

#endif
