// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_VM_H
#define ETP_VM_VM_H

// What an opened VM knows: everything that is looked up once and used often.

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <etp/vm.h>

#include "target/reader.h"
#include "term/scheme.h"
#include "vm/ptab.h"

// Atoms that this library compares with. All are in ERTS's static table
// (atom.names), so that each VM has them.
enum etp_am { AM_EXTERNAL, AM_TRUE, AM_UNDEFINED, AM_NONE, AM_TIMEOUT, AM_COUNT };

struct etp_code;

struct etp_atom_table {
	uint64_t seg_table;
	uint64_t count, limit;
};

// Where internal monotonic time begins (ERTS_MONOTONIC_BEGIN, erl_time.h), when its
// unit is the nanosecond.
static const int64_t etp_vm_monotonic_begin_ns = 1000000000;

struct etp_vm {
	struct etp_target *target;
	struct etp_layout *layout;
	const struct etp_term_scheme *scheme;
	struct etp_vm_info info;
	struct etp_check *checks;
	char *otp_release, *erts_version;
	// Whether its layout fits is not known yet: nothing is worth a warning.
	bool is_trial;

	struct etp_atom_table atoms;
	// As terms; 0 (THE_NON_VALUE) for one that this VM does not have.
	etp_term am[AM_COUNT];
	struct etp_ptab processes, ports;
	// Loaded code (vm/code.h).
	struct etp_code *code;
	// ErlNode of this node, and the distribution entry's atom.
	uint64_t this_node;
	// ErtsSchedulerData of each normal scheduler: base address and stride.
	uint64_t scheduler_data, scheduler_stride;
	// Atom index of `$initial_call`, or UINT64_MAX.
	uint64_t atom_initial_call;
};

// Offset of a member, which must be part of the layout: REQUIRED ones always are,
// for OPTIONAL ones ask HAS first.
#define OFFSET(vm, struct_, member)                                                                \
	((uint64_t)(vm)->layout->members[ETP_MEMBER_##struct_##_##member].offset)
#define HAS(vm, struct_, member) etp_layout_has((vm)->layout, ETP_MEMBER_##struct_##_##member)
#define SIZEOF(vm, struct_) ((uint64_t)(vm)->layout->struct_sizes[ETP_STRUCT_##struct_])
#define MEMBER_SIZE(vm, struct_, member)                                                           \
	((vm)->layout->members[ETP_MEMBER_##struct_##_##member].size)

// Member of a struct at `address`, of 8 or 4 bytes. False on a fault.
#define READ_WORD(vm, reader, address, struct_, member, ret)                                       \
	etp_read_u64(reader, (address) + OFFSET(vm, struct_, member), ret)
#define READ_U32(vm, reader, address, struct_, member, ret)                                        \
	etp_read_u32(reader, (address) + OFFSET(vm, struct_, member), ret)

// A member of any integer size (1, 2, 4 or 8 bytes), zero-extended, of a struct that
// starts at host pointer `base`.
static inline uint64_t etp_vm_member_of(const struct etp_vm *vm, const void *base,
                                        enum etp_member_id id)
{
	const struct etp_layout_member *member = &vm->layout->members[id];
	uint64_t value = 0;
	memcpy(&value, (const unsigned char *)base + member->offset,
	       member->size < sizeof(value) ? member->size : sizeof(value));
	return value;
}

#define SMALL_OF(vm, base, struct_, member)                                                        \
	etp_vm_member_of(vm, base, ETP_MEMBER_##struct_##_##member)

// One that has a word in every release. A layout that says otherwise may have no more bytes there.
static inline uint64_t etp_vm_word_of(const struct etp_vm *vm, const void *base,
                                      enum etp_member_id id)
{
	const struct etp_layout_member *member = &vm->layout->members[id];
	return member->size == sizeof(uint64_t)
	               ? etp_word_at((const unsigned char *)base + member->offset, 0)
	               : etp_vm_member_of(vm, base, id);
}

#define WORD_OF(vm, base, struct_, member) etp_vm_word_of(vm, base, ETP_MEMBER_##struct_##_##member)

// As above, of a struct in the target's memory.
bool etp_vm_read_member(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        enum etp_member_id id, uint64_t *ret);

// Of one whose size differs by release.
#define READ_ANY(vm, reader, address, struct_, member, ret)                                        \
	etp_vm_read_member(vm, reader, address, ETP_MEMBER_##struct_##_##member, ret)

// A string of C, not terminated here, which ends within `max` bytes; NULL if it does not, or
// cannot be read. Valid as long as the target.
const char *etp_vm_read_string(struct etp_reader *reader, uint64_t address, uint64_t max,
                               size_t *size_ret);

struct etp_error *etp_vm_symbol_word(const struct etp_vm *vm, const char *name, uint64_t *ret);

// Are the tags of terms that the VM publishes those of its scheme? An error names one that is not.
struct etp_error *etp_vm_check_tags(const struct etp_vm *vm);
// A member that every VM of the release has and the layout lacks, or NULL.
const char *etp_vm_lacking_member(const struct etp_vm *vm);
// Find everything that is looked up once, by the layout that `vm` has, and run the self-checks.
struct etp_error *etp_vm_make_sense(struct etp_vm *vm);
// Release what that has made, whether it succeeded or not; target and layout stay.
void etp_vm_forget(struct etp_vm *vm);

struct etp_error *etp_atoms_init(struct etp_vm *vm);
// Address of the Atom with this index, 0 on a fault.
uint64_t etp_vm_atom_address(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index);
// Where the name of an atom is, and its bytes. False if that cannot be read.
bool etp_vm_atom_text(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index,
                      uint64_t *address_ret, uint64_t *size_ret);
// Has a process left the process table? What it kept for its links, monitors and name is
// overwritten then (erts_ptab_delete_element(), erl_ptab.c).
bool etp_process_is_free(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address);
// Runs all self-checks, fills vm->checks; an error if one failed.
struct etp_error *etp_vm_check(struct etp_vm *vm);
void etp_checks_deinit(struct etp_vm *vm);

#endif
