// SPDX-License-Identifier: Apache-2.0
//
// Tags of terms that the VM publishes since OTP 27, for OTP's own macros of gdb
// (erl_etp.c). They say whether the scheme that was chosen by the number of the
// release is that of this very build.

#include <stdlib.h>

#include "term/scheme.h"
#include "vm/vm.h"

// What is the same in every scheme.
static const struct {
	const char *name;
	uint64_t value;
} constants[] = {
	{"etp_header_arity_offs", HEADER_ARITY_SHIFT},
	{"etp_header_subtag_mask", HEADER_SUBTAG_MASK << HEADER_SUBTAG_SHIFT},
	{"etp_tag_immed1_immed2", TAG_IMMED1_IMMED2},
	{"etp_tag_immed1_mask", TAG_IMMED1_MASK},
	{"etp_tag_immed1_pid", TAG_IMMED1_PID},
	{"etp_tag_immed1_port", TAG_IMMED1_PORT},
	{"etp_tag_immed1_small", TAG_IMMED1_SMALL},
	{"etp_tag_immed2_atom", TAG_IMMED2_ATOM},
	{"etp_tag_immed2_catch", TAG_IMMED2_CATCH},
	{"etp_tag_immed2_mask", TAG_IMMED2_MASK},
	{"etp_tag_immed2_nil", TAG_IMMED2_NIL},
	{"etp_tag_primary_boxed", TAG_PRIMARY_BOXED},
	{"etp_tag_primary_header", TAG_PRIMARY_HEADER},
	{"etp_tag_primary_immed1", TAG_PRIMARY_IMMED1},
	{"etp_tag_primary_list", TAG_PRIMARY_LIST},
	{"etp_tag_primary_mask", TAG_PRIMARY_MASK},
};

// Subtags of headers, in their place in the header.
static const struct {
	const char *name;
	enum etp_thing thing;
} subtags[] = {
	{"etp_arityval_subtag", ETP_THING_TUPLE},
	{"etp_bin_ref_subtag", ETP_THING_BIN_REF},
	{"etp_external_pid_subtag", ETP_THING_EXTERNAL_PID},
	{"etp_external_port_subtag", ETP_THING_EXTERNAL_PORT},
	{"etp_external_ref_subtag", ETP_THING_EXTERNAL_REF},
	{"etp_float_subtag", ETP_THING_FLOAT},
	{"etp_fun_ref_subtag", ETP_THING_FUN_REF},
	{"etp_fun_subtag", ETP_THING_FUN},
	{"etp_heap_bits_subtag", ETP_THING_HEAP_BITS},
	{"etp_map_subtag", ETP_THING_MAP},
	{"etp_neg_big_subtag", ETP_THING_NEG_BIG},
	{"etp_pos_big_subtag", ETP_THING_POS_BIG},
	{"etp_ref_subtag", ETP_THING_REF},
	{"etp_sub_bits_subtag", ETP_THING_SUB_BITS},
};

// Those of maps have the type above the subtag (HAMT_SUBTAG_*, erl_map.h).
static const struct {
	const char *name;
	enum etp_map_type type;
} map_types[] = {
	{"etp_map_subtag_head_array", ETP_MAP_HEAD_ARRAY},
	{"etp_map_subtag_head_bitmap", ETP_MAP_HEAD_BITMAP},
	{"etp_map_subtag_head_flatmap", ETP_MAP_FLAT},
	{"etp_map_subtag_node_bitmap", ETP_MAP_NODE_BITMAP},
};

// A constant of the VM; false if it publishes none of that name, or the core lacks it.
static bool read_constant(const struct etp_vm *vm, const char *name, uint64_t *ret)
{
	struct etp_error *err = etp_vm_symbol_word(vm, name, ret);
	etp_error_destroy(err);
	return !err;
}

// Of a header's low bits.
static enum etp_thing thing_of(const struct etp_vm *vm, uint64_t header)
{
	return vm->scheme->things[header >> HEADER_SUBTAG_SHIFT & HEADER_SUBTAG_MASK];
}

static struct etp_error *refuse(const struct etp_vm *vm, const char *name, uint64_t found)
{
	return etp_error_create(
		ETP_ERROR_UNSUPPORTED,
		"This beam.smp says that it is of OTP %s, but its %s is %#llx: it does not have "
		"the "
		"tags of terms of OTP %s, so that none of its terms can be read. A newer etp "
		"may know them.",
		vm->otp_release, name, (unsigned long long)found, vm->scheme->releases);
}

struct etp_error *etp_vm_check_tags(const struct etp_vm *vm)
{
	uint64_t found;
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (read_constant(vm, constants[i].name, &found) && found != constants[i].value)
			return refuse(vm, constants[i].name, found);
	for (size_t i = 0; i < sizeof(subtags) / sizeof(subtags[0]); i++)
		if (read_constant(vm, subtags[i].name, &found) &&
		    (found & ~((uint64_t)HEADER_SUBTAG_MASK << HEADER_SUBTAG_SHIFT) ||
		     thing_of(vm, found) != subtags[i].thing))
			return refuse(vm, subtags[i].name, found);
	for (size_t i = 0; i < sizeof(map_types) / sizeof(map_types[0]); i++)
		if (read_constant(vm, map_types[i].name, &found) &&
		    (found >> HEADER_ARITY_SHIFT != map_types[i].type ||
		     thing_of(vm, found) != ETP_THING_MAP))
			return refuse(vm, map_types[i].name, found);
	if (read_constant(vm, "etp_header_fun_kind_offs", &found) &&
	    found != vm->scheme->fun_kind_shift)
		return refuse(vm, "etp_header_fun_kind_offs", found);
	return NULL;
}
