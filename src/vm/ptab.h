// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_PTAB_H
#define ETP_VM_PTAB_H

// A process table: slots of pointers to processes or ports (ERTS: erl_ptab.h).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

// How ids are made of numbers, and in which slot their element stands.
struct etp_id_format {
	// Since OTP 26 an id has 60 bits of data, and the slot takes the place of the
	// lowest; before, it had 28 bits, and the slot in its upper half.
	bool holds_slot;
	uint64_t mask, cl_mask, cli_mask;
	unsigned cl_shift, cli_shift;
};

// Of the table at `address`. False if it cannot be read or makes no sense.
bool etp_id_format_read(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        struct etp_id_format *ret);

// The number behind an id: of a port as it is printed, of a pid its serial and its
// number, the latter in the low bits.
uint64_t etp_id_data(const struct etp_id_format *format, etp_term id);
uint64_t etp_id_data_max(const struct etp_id_format *format);
unsigned etp_pid_number_bits(const struct etp_id_format *format);
etp_term etp_id_make(const struct etp_id_format *format, uint64_t data, unsigned tag);
// The slot that an element with this id stands in.
uint64_t etp_id_slot(const struct etp_id_format *format, etp_term id);

struct etp_ptab {
	struct etp_id_format format;
	// Live elements in order of their slot, and behind them those that were added.
	size_t count, capacity;
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

// Add an element that has left the table, and then index what was added.
struct etp_error *etp_ptab_add(struct etp_ptab *ptab, uint64_t address, etp_term id);
struct etp_error *etp_ptab_index(struct etp_ptab *ptab);

// Position in the arrays of the element with this id, SIZE_MAX if there is none.
size_t etp_ptab_position(const struct etp_ptab *ptab, etp_term id);

// Address of the element with this id, 0 if there is none.
uint64_t etp_ptab_find(const struct etp_ptab *ptab, etp_term id);

#endif
