// SPDX-License-Identifier: Apache-2.0
//
// Pids, ports, references and funs: what names things outside of the term.

#include "term/external_private.h"
#include "term/fun_shape.h"

enum {
	// ERTS_REF_NUMBERS, ERTS_PID_REF_NUMBERS and ERTS_MAX_REF_NUMBERS, erl_term.h.
	REF_NUMBERS = 3,
	ALIAS_NUMBERS = 5,
	REF_NUMBERS_MAX = 5,
};

static bool is_this_node(const struct decoder *d, uint64_t sysname, uint32_t creation)
{
	return sysname == d->external->local_sysname ||
	       (sysname == d->vm->info.node_name && creation == d->vm->info.node_creation);
}

// The name of a node. What stands for this one is an atom of its own, and since OTP 26
// no atom at all (INTERNAL_LOCAL_SYSNAME, external.c).
static bool take_sysname(struct decoder *d, uint64_t *ret)
{
	if (d->p == d->end || *d->p != NIL_EXT)
		return etp_take_atom(d, ret);
	d->p++;
	*ret = d->external->local_sysname;
	return true;
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

bool etp_decode_pid(struct decoder *d, size_t slot, unsigned creation_bytes)
{
	uint64_t sysname, number, serial, creation;
	if (!take_sysname(d, &sysname) || !take_number(d, 4, &number) ||
	    !take_number(d, 4, &serial) || !take_number(d, creation_bytes, &creation))
		return false;
	if (!is_this_node(d, sysname, (uint32_t)creation)) {
		uint32_t data[2] = {(uint32_t)number, (uint32_t)serial};
		return make_external(d, slot, ETP_THING_EXTERNAL_PID, sysname, (uint32_t)creation,
		                     data, sizeof(data));
	}
	const struct etp_id_format *format = &d->vm->processes.format;
	unsigned number_bits = etp_pid_number_bits(format);
	if (number >> number_bits || serial > etp_id_data_max(format) >> number_bits)
		return fail(d, "pid of this node with numbers that no pid has");
	set(d, slot, etp_id_make(format, serial << number_bits | number, TAG_IMMED1_PID));
	return true;
}

bool etp_decode_port(struct decoder *d, size_t slot, unsigned number_bytes, unsigned creation_bytes)
{
	uint64_t sysname, number, creation;
	if (!take_sysname(d, &sysname) || !take_number(d, number_bytes, &number) ||
	    !take_number(d, creation_bytes, &creation))
		return false;
	if (!is_this_node(d, sysname, (uint32_t)creation))
		return make_external(d, slot, ETP_THING_EXTERNAL_PORT, sysname, (uint32_t)creation,
		                     &number, sizeof(number));
	const struct etp_id_format *format = &d->vm->ports.format;
	if (number > etp_id_data_max(format))
		return fail(d, "port of this node with a number that no port has");
	set(d, slot, etp_id_make(format, number, TAG_IMMED1_PORT));
	return true;
}

// References of this node come out as plain ones. The VM makes magic ones again,
// which are written alike; the row itself does not keep their binary alive.
bool etp_decode_ref(struct decoder *d, size_t slot, unsigned creation_bytes)
{
	uint64_t count, sysname, creation;
	// The first counts those that follow.
	uint32_t numbers[1 + REF_NUMBERS_MAX] = {0};
	if (!take_number(d, 2, &count) || !take_sysname(d, &sysname) ||
	    !take_number(d, creation_bytes, &creation))
		return false;
	bool is_local = is_this_node(d, sysname, (uint32_t)creation);
	// Since OTP 27 an alias of this node comes with the pid in it.
	if (!count || count > (is_local ? d->vm->scheme->alias_numbers : REF_NUMBERS_MAX))
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
	size_t thing,
		size = (count > REF_NUMBERS ? ALIAS_NUMBERS : REF_NUMBERS) * sizeof(numbers[0]);
	uint64_t words = (OFFSET(d->vm, ErtsORefThing, num) + size) / 8;
	if (!take_heap(d, words, &thing))
		return false;
	set(d, thing, make_header(d, ETP_THING_REF, words - 1));
	set_member(d, thing, ETP_MEMBER_ErtsORefThing_marker, UINT32_MAX);
	set_bytes(d, thing, OFFSET(d->vm, ErtsORefThing, num), numbers + 1, size);
	set(d, slot, boxed(thing));
	return true;
}

// Since OTP 27, of this node: the thing as it was, which keeps its binary alive.
bool etp_decode_magic_ref(struct decoder *d, size_t slot)
{
	const unsigned char *bytes;
	size_t thing;
	uint64_t words = WORDS_OF(d, ErtsMRefThing);
	if (!take_bytes(d, words * 8, &bytes) || !take_heap(d, words, &thing))
		return false;
	uint64_t header = etp_word_at(bytes, 0);
	if (term_primary(header) != TAG_PRIMARY_HEADER ||
	    header_thing(d->vm->scheme, header) != ETP_THING_REF)
		return fail(d, "magic reference of a compressed row that is none");
	set_bytes(d, thing, 0, bytes, words * 8);
	set(d, slot, boxed(thing));
	return true;
}

// Words of an ErlFunThing without its environment.
static uint64_t fun_words(const struct decoder *d)
{
	return OFFSET(d->vm, ErlFunThing, env) / 8;
}

// Since OTP 27 the header says what else there is, and in 27 and 28 a FunRef follows
// the environment of a local fun.
static uint64_t make_fun_header(const struct decoder *d, bool is_external, uint64_t arity,
                                uint64_t env_size)
{
	uint64_t header = make_header(d, ETP_THING_FUN, 0);
	return header | arity << FUN_HEADER_ARITY_SHIFT | env_size << FUN_HEADER_ENV_SIZE_SHIFT |
	       (is_external && d->vm->scheme->fun_kind_shift
	                ? UINT64_C(1) << d->vm->scheme->fun_kind_shift
	                : 0);
}

static bool make_fun_ref(struct decoder *d, size_t entry, size_t *ret)
{
	uint64_t words = WORDS_OF(d, FunRef);
	if (!take_heap(d, words, ret))
		return false;
	set(d, *ret, make_header(d, ETP_THING_FUN_REF, words - 1));
	set_member(d, *ret, ETP_MEMBER_FunRef_entry, etp_words_address(entry));
	return true;
}

static bool make_fun(struct decoder *d, size_t slot, size_t entry, bool is_external, uint64_t arity,
                     uint64_t num_free, size_t *ret)
{
	bool has_creator = HAS(d->vm, ErlFunThing, creator);
	bool has_ref = HAS(d->vm, FunRef, entry) && !is_external;
	uint64_t env_size = num_free + has_ref;
	if (!take_heap(d, fun_words(d) + env_size, ret))
		return false;
	// HEADER_FUN counts neither the creator nor the environment.
	set(d, *ret,
	    has_creator ? make_header(d, ETP_THING_FUN, fun_words(d) - 2)
	                : make_fun_header(d, is_external, arity, env_size));
	set_member(d, *ret, ETP_MEMBER_ErlFunThing_entry, etp_words_address(entry));
	if (has_creator) {
		set_member(d, *ret, ETP_MEMBER_ErlFunThing_arity, arity);
		set_member(d, *ret, ETP_MEMBER_ErlFunThing_num_free, num_free);
	}
	size_t fun_ref;
	if (has_ref) {
		if (!make_fun_ref(d, entry, &fun_ref))
			return false;
		set(d, *ret + fun_words(d) + num_free, boxed(fun_ref));
	}
	set(d, slot, boxed(*ret));
	return true;
}

// To OTP 23 an external fun is a thing of its own (HEADER_EXPORT, export.h).
static bool make_export_thing(struct decoder *d, size_t slot, size_t entry)
{
	size_t thing;
	if (!take_heap(d, 2, &thing))
		return false;
	set(d, thing, make_header(d, ETP_THING_EXPORT, 1));
	set(d, thing + 1, etp_words_address(entry));
	set(d, slot, boxed(thing));
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
	if (!take_extra(d, WORDS_OF(d, Export), &entry))
		return false;
	size_t mfa = entry + (OFFSET(d->vm, Export, info) + OFFSET(d->vm, ErtsCodeInfo, mfa)) / 8;
	set_member(d, mfa, ETP_MEMBER_ErtsCodeMFA_module, term_make_atom(module));
	set_member(d, mfa, ETP_MEMBER_ErtsCodeMFA_function, term_make_atom(function));
	set_member(d, mfa, ETP_MEMBER_ErtsCodeMFA_arity, (uint64_t)arity);
	if (scheme_has(d->vm->scheme, ETP_THING_EXPORT))
		return make_export_thing(d, slot, entry);
	if (!make_fun(d, slot, entry, true, (uint64_t)arity, 0, &fun))
		return false;
	if (HAS(d->vm, ErlFunThing, creator))
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
	size_t entry, fun, creator;
	if (!enough_bytes(d, 1 + num_free) || !take_extra(d, WORDS_OF(d, ErlFunEntry), &entry) ||
	    !make_fun(d, slot, entry, false, arity, num_free, &fun))
		return false;
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_module, term_make_atom(module));
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_arity, arity);
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_index, index);
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_old_index, (uint64_t)old_index);
	set_member(d, entry, ETP_MEMBER_ErlFunEntry_old_uniq, (uint64_t)old_uniq);
	set_bytes(d, entry, OFFSET(d->vm, ErlFunEntry, uniq), uniq, 16);
	push_slots(d, fun + fun_words(d), num_free, 1);
	// The creator is still written when funs do not keep it any more.
	if (HAS(d->vm, ErlFunThing, creator))
		creator = fun + OFFSET(d->vm, ErlFunThing, creator) / 8;
	else if (!take_extra(d, 1, &creator))
		return false;
	push_slots(d, creator, 1, 1);
	return true;
}
