// SPDX-License-Identifier: Apache-2.0
//
// Pids, ports, references and funs: what names things outside of the term.

#include "term/external_private.h"

enum {
	// ERTS_REF_NUMBERS and ERTS_MAX_REF_NUMBERS, erl_term.h.
	LOCAL_REF_NUMBERS = 3,
	REF_NUMBERS_MAX = 5,
	PID_SERIAL_MAX = ID_DATA_MASK >> PID_NUMBER_BITS,
};

static bool is_this_node(const struct decoder *d, uint64_t sysname, uint32_t creation)
{
	return sysname == d->external->local_sysname ||
	       (sysname == d->vm->info.node_name && creation == d->vm->info.node_creation);
}

// Address of the ErlNode, or of one that we make: a compressed row does not keep
// a node in the table.
static bool get_node(struct decoder *d, uint64_t sysname, uint32_t creation, uint64_t *ret)
{
	*ret = etp_external_node(d->external, d->reader, sysname, creation);
	if (*ret)
		return true;
	size_t node;
	if (!take_extra(d, WORDS_OF(d, ErlNode), &node))
		return false;
	set_member(d, node, ETP_MEMBER_ErlNode_sysname, term_make_atom(sysname));
	set_member(d, node, ETP_MEMBER_ErlNode_creation, creation);
	*ret = etp_words_address(node);
	return true;
}

// An ExternalThing with `size` bytes of data.
static bool make_external(struct decoder *d, size_t slot, enum etp_thing kind, uint64_t sysname,
                          uint32_t creation, const void *data, size_t size)
{
	size_t thing;
	uint64_t node;
	uint64_t data_offset = OFFSET(d->vm, ExternalThing, data);
	uint64_t words = data_offset / 8 + (size + 7) / 8;
	if (!get_node(d, sysname, creation, &node) || !take_heap(d, words, &thing))
		return false;
	set(d, thing, make_header(d, kind, words - 1));
	set_member(d, thing, ETP_MEMBER_ExternalThing_node, node);
	set_bytes(d, thing, data_offset, data, size);
	set(d, slot, boxed(thing));
	return true;
}

// erts_ptab_make_id(), erl_ptab.h: the slot in the upper half, the data below.
static etp_term make_id(const struct etp_external_ptab *ptab, uint32_t data, unsigned tag)
{
	uint32_t slot = ((data & ptab->cl_mask) << ptab->cl_shift) +
	                ((data >> ptab->cli_shift) & ptab->cli_mask);
	return (uint64_t)slot << 32 | (uint64_t)data << ID_DATA_SHIFT | tag;
}

bool etp_decode_pid(struct decoder *d, size_t slot, unsigned creation_bytes)
{
	uint64_t sysname, number, serial, creation;
	if (!etp_take_atom(d, &sysname) || !take_number(d, 4, &number) ||
	    !take_number(d, 4, &serial) || !take_number(d, creation_bytes, &creation))
		return false;
	if (!is_this_node(d, sysname, (uint32_t)creation)) {
		uint32_t data[2] = {(uint32_t)number, (uint32_t)serial};
		return make_external(d, slot, ETP_THING_EXTERNAL_PID, sysname, (uint32_t)creation,
		                     data, sizeof(data));
	}
	if (number >> PID_NUMBER_BITS || serial > PID_SERIAL_MAX)
		return fail(d, "pid of this node with numbers that no pid has");
	uint32_t data = (uint32_t)(serial << PID_NUMBER_BITS | number);
	set(d, slot, make_id(&d->external->processes, data, TAG_IMMED1_PID));
	return true;
}

bool etp_decode_port(struct decoder *d, size_t slot, unsigned number_bytes, unsigned creation_bytes)
{
	uint64_t sysname, number, creation;
	if (!etp_take_atom(d, &sysname) || !take_number(d, number_bytes, &number) ||
	    !take_number(d, creation_bytes, &creation))
		return false;
	if (!is_this_node(d, sysname, (uint32_t)creation))
		return make_external(d, slot, ETP_THING_EXTERNAL_PORT, sysname, (uint32_t)creation,
		                     &number, sizeof(number));
	if (number > ID_DATA_MASK)
		return fail(d, "port of this node with a number that no port has");
	set(d, slot, make_id(&d->external->ports, (uint32_t)number, TAG_IMMED1_PORT));
	return true;
}

// References of this node come out as plain ones. The VM makes magic ones again,
// which are written alike; the row itself does not keep their binary alive.
bool etp_decode_ref(struct decoder *d, size_t slot, unsigned creation_bytes)
{
	uint64_t count, sysname, creation;
	// The first counts those that follow.
	uint32_t numbers[1 + REF_NUMBERS_MAX] = {0};
	if (!take_number(d, 2, &count) || !etp_take_atom(d, &sysname) ||
	    !take_number(d, creation_bytes, &creation))
		return false;
	bool is_local = is_this_node(d, sysname, (uint32_t)creation);
	if (!count || count > (is_local ? LOCAL_REF_NUMBERS : REF_NUMBERS_MAX))
		return fail(d, "reference with too many numbers or none");
	numbers[0] = (uint32_t)count;
	for (uint64_t i = 1; i <= count; i++) {
		uint64_t number;
		if (!take_number(d, 4, &number))
			return false;
		numbers[i] = (uint32_t)number;
	}
	if (!is_local)
		return make_external(d, slot, ETP_THING_EXTERNAL_REF, sysname, (uint32_t)creation,
		                     numbers, (1 + count) * sizeof(numbers[0]));
	size_t thing;
	uint64_t words = WORDS_OF(d, ErtsORefThing);
	if (!take_heap(d, words, &thing))
		return false;
	set(d, thing, make_header(d, ETP_THING_REF, words - 1));
	set_member(d, thing, ETP_MEMBER_ErtsORefThing_marker, UINT32_MAX);
	set_bytes(d, thing, OFFSET(d->vm, ErtsORefThing, num), numbers + 1,
	          LOCAL_REF_NUMBERS * sizeof(numbers[0]));
	set(d, slot, boxed(thing));
	return true;
}

// Words of an ErlFunThing without its environment.
static uint64_t fun_words(const struct decoder *d)
{
	return OFFSET(d->vm, ErlFunThing, env) / 8;
}

static bool make_fun(struct decoder *d, size_t slot, size_t entry, uint64_t arity,
                     uint64_t num_free, size_t *ret)
{
	if (!take_heap(d, fun_words(d) + num_free, ret))
		return false;
	// HEADER_FUN counts neither the creator nor the environment.
	set(d, *ret, make_header(d, ETP_THING_FUN, fun_words(d) - 2));
	set_member(d, *ret, ETP_MEMBER_ErlFunThing_entry, etp_words_address(entry));
	set_member(d, *ret, ETP_MEMBER_ErlFunThing_arity, arity);
	set_member(d, *ret, ETP_MEMBER_ErlFunThing_num_free, num_free);
	set(d, slot, boxed(*ret));
	return true;
}

bool etp_decode_export(struct decoder *d, size_t slot)
{
	uint64_t module, function;
	int64_t arity;
	size_t entry, fun;
	if (!etp_take_atom(d, &module) || !etp_take_atom(d, &function) || !take_small(d, &arity))
		return false;
	if (arity < 0 || arity > UINT8_MAX)
		return fail(d, "external fun with an impossible arity");
	if (!take_extra(d, WORDS_OF(d, Export), &entry) ||
	    !make_fun(d, slot, entry, (uint64_t)arity, 0, &fun))
		return false;
	size_t mfa = entry + (OFFSET(d->vm, Export, info) + OFFSET(d->vm, ErtsCodeInfo, mfa)) / 8;
	set_member(d, mfa, ETP_MEMBER_ErtsCodeMFA_module, term_make_atom(module));
	set_member(d, mfa, ETP_MEMBER_ErtsCodeMFA_function, term_make_atom(function));
	set_member(d, mfa, ETP_MEMBER_ErtsCodeMFA_arity, (uint64_t)arity);
	set_member(d, fun, ETP_MEMBER_ErlFunThing_creator, d->vm->am[AM_EXTERNAL]);
	return true;
}

bool etp_decode_fun(struct decoder *d, size_t slot)
{
	uint64_t size, arity, index, num_free, module;
	int64_t old_index, old_uniq;
	const unsigned char *uniq;
	if (!take_number(d, 4, &size) || !take_number(d, 1, &arity) || !take_bytes(d, 16, &uniq) ||
	    !take_number(d, 4, &index) || !take_number(d, 4, &num_free) ||
	    !etp_take_atom(d, &module) || !take_small(d, &old_index) || !take_small(d, &old_uniq))
		return false;
	if (num_free > UINT8_MAX)
		return fail(d, "fun with an impossible number of free variables");
	size_t entry, fun;
	if (!enough_bytes(d, 1 + num_free) || !take_extra(d, WORDS_OF(d, ErlFunEntry), &entry) ||
	    !make_fun(d, slot, entry, arity, num_free, &fun))
		return false;
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_module, term_make_atom(module));
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_arity, arity);
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_index, index);
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_old_index, (uint64_t)old_index);
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_old_uniq, (uint64_t)old_uniq);
	set_bytes(d, entry, OFFSET(d->vm, ErlFunEntry, uniq), uniq, 16);
	push_slots(d, fun + fun_words(d), num_free, 1);
	push_slots(d, fun + OFFSET(d->vm, ErlFunThing, creator) / 8, 1, 1);
	return true;
}
