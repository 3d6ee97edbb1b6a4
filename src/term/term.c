// SPDX-License-Identifier: Apache-2.0
#include <etp/term.h>

#include "vm/vm.h"

static enum etp_term_kind invalid(struct etp_term_view *view, const char *reason)
{
	view->kind = ETP_TERM_INVALID;
	view->reason = reason;
	return ETP_TERM_INVALID;
}

static enum etp_term_kind unreadable(struct etp_term_view *view)
{
	return invalid(view, "memory not in the target");
}

// `count` words at `address`, or NULL. No words are no fault, wherever they are:
// an empty tuple may end where its segment does.
static const void *words_at(struct etp_reader *reader, uint64_t address, uint64_t count)
{
	static const uint64_t no_words;
	return count ? etp_reader_at(reader, address, count * 8) : &no_words;
}

// Name and creation of the node behind an ErlNode, and the number that the VM
// prints before the first dot: the atom index of its name, or 0 for this node
// and its former lives (erl_node_container_utils.h).
static bool decode_node(const struct etp_vm *vm, struct etp_reader *reader, uint64_t node,
                        struct etp_term_view *view)
{
	uint64_t sysname;
	uint32_t creation;
	if (!READ_WORD(vm, reader, node, ErlNode, sysname, &sysname) ||
	    !READ_U32(vm, reader, node, ErlNode, creation, &creation) || !term_is_atom(sysname))
		return false;
	view->id.sysname = term_atom_index(sysname);
	view->id.creation = creation;
	view->id.channel = view->id.sysname == vm->info.node_name ? 0 : view->id.sysname;
	return true;
}

static void fill_this_node(const struct etp_vm *vm, struct etp_term_view *view)
{
	view->id.is_external = false;
	view->id.channel = 0;
	view->id.sysname = vm->info.node_name;
	view->id.creation = vm->info.node_creation;
}

static enum etp_term_kind decode_immediate(const struct etp_vm *vm, etp_term term,
                                           struct etp_term_view *view)
{
	switch (term & TAG_IMMED1_MASK) {
	case TAG_IMMED1_SMALL:
		view->small = term_small(term);
		return view->kind = ETP_TERM_SMALL;
	case TAG_IMMED1_PID: {
		uint64_t data = term >> ID_DATA_SHIFT & ID_DATA_MASK;
		fill_this_node(vm, view);
		view->id.number = data & ((1 << PID_NUMBER_BITS) - 1);
		view->id.serial = data >> PID_NUMBER_BITS;
		return view->kind = ETP_TERM_PID;
	}
	case TAG_IMMED1_PORT:
		fill_this_node(vm, view);
		view->id.number = term >> ID_DATA_SHIFT & ID_DATA_MASK;
		return view->kind = ETP_TERM_PORT;
	default:
		break;
	}
	switch (term & TAG_IMMED2_MASK) {
	case TAG_IMMED2_ATOM:
		view->atom = term_atom_index(term);
		if (view->atom >= vm->atoms.count)
			return invalid(view, "atom index beyond the atom table");
		return view->kind = ETP_TERM_ATOM;
	case TAG_IMMED2_CATCH:
		view->catch_index = term >> 6;
		return view->kind = ETP_TERM_CATCH;
	case TAG_IMMED2_NIL:
		if (term == ETP_NIL)
			return view->kind = ETP_TERM_NIL;
		break;
	default:
		break;
	}
	return invalid(view, "no immediate has this tag");
}

static enum etp_term_kind decode_ref(const struct etp_vm *vm, struct etp_reader *reader,
                                     uint64_t arity, struct etp_term_view *view)
{
	const unsigned char *thing = etp_reader_at(reader, view->address, view->words * 8);
	if (!thing)
		return unreadable(view);
	if (view->words * 8 < OFFSET(vm, ErtsORefThing, num) + 12 ||
	    view->words * 8 < OFFSET(vm, ErtsMRefThing, mb) + 8)
		return invalid(view, "reference without numbers");
	fill_this_node(vm, view);
	// Ordinary refs have a marker of all ones where a magic ref has the low half
	// of a pointer (erl_term.h).
	uint32_t marker;
	memcpy(&marker, thing + 8, sizeof(marker));
	if (marker == UINT32_MAX) {
		const unsigned char *numbers = thing + OFFSET(vm, ErtsORefThing, num);
		view->id.count = 3;
		memcpy(view->id.numbers, numbers, 12);
		// An alias (ErtsPRefThing, since OTP 24) has its process behind them.
		if (arity >= 3)
			memcpy(&view->id.alias, numbers + 12, sizeof(view->id.alias));
		return view->kind = ETP_TERM_REF;
	}
	view->id.magic_binary = WORD_OF(vm, thing, ErtsMRefThing, mb);
	const void *numbers = etp_reader_at(
		reader, view->id.magic_binary + OFFSET(vm, ErtsMagicBinary, refn), 12);
	if (!numbers)
		return invalid(view, "magic reference whose binary is not in the target");
	view->id.count = 3;
	memcpy(view->id.numbers, numbers, 12);
	return view->kind = ETP_TERM_REF;
}

static enum etp_term_kind decode_external(const struct etp_vm *vm, struct etp_reader *reader,
                                          enum etp_thing thing_kind, struct etp_term_view *view)
{
	const unsigned char *thing = etp_reader_at(reader, view->address, view->words * 8);
	uint64_t data_offset = OFFSET(vm, ExternalThing, data);
	if (!thing)
		return unreadable(view);
	if (view->words * 8 < data_offset + 8)
		return invalid(view, "external identifier without data");
	if (!decode_node(vm, reader, WORD_OF(vm, thing, ExternalThing, node), view))
		return invalid(view, "external identifier whose node cannot be read");
	view->id.is_external = true;
	const unsigned char *data = thing + data_offset;
	uint32_t halves[2];
	memcpy(halves, data, sizeof(halves));
	switch (thing_kind) {
	case ETP_THING_EXTERNAL_PID:
		view->id.number = halves[0];
		view->id.serial = halves[1];
		return view->kind = ETP_TERM_PID;
	case ETP_THING_EXTERNAL_PORT:
		view->id.number = etp_word_at(data, 0);
		return view->kind = ETP_TERM_PORT;
	default:
		break;
	}
	// The first of the 32-bit numbers counts those that follow.
	uint64_t available = (view->words * 8 - data_offset) / 4 - 1;
	if (halves[0] > 5 || halves[0] > available)
		return invalid(view, "external reference with too many numbers");
	view->id.count = halves[0];
	memcpy(view->id.numbers, data + 4, halves[0] * sizeof(uint32_t));
	return view->kind = ETP_TERM_REF;
}

static enum etp_term_kind decode_fun(const struct etp_vm *vm, struct etp_reader *reader,
                                     struct etp_term_view *view)
{
	uint64_t env_offset = OFFSET(vm, ErlFunThing, env);
	const unsigned char *thing = etp_reader_at(reader, view->address, env_offset);
	if (!thing)
		return unreadable(view);
	uint64_t entry = WORD_OF(vm, thing, ErlFunThing, entry);
	etp_term creator = WORD_OF(vm, thing, ErlFunThing, creator);
	if (creator == vm->am[AM_EXTERNAL] && creator) {
		uint64_t mfa = entry + OFFSET(vm, Export, info) + OFFSET(vm, ErtsCodeInfo, mfa);
		uint64_t module, function;
		view->words = env_offset / 8;
		if (!READ_WORD(vm, reader, mfa, ErtsCodeMFA, module, &module) ||
		    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, function, &function) ||
		    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, arity, &view->export.arity) ||
		    !term_is_atom(module) || !term_is_atom(function))
			return invalid(view, "external fun whose export entry cannot be read");
		view->export.module = term_atom_index(module);
		view->export.function = term_atom_index(function);
		return view->kind = ETP_TERM_EXPORT;
	}
	view->fun.arity = thing[OFFSET(vm, ErlFunThing, arity)];
	view->fun.num_free = thing[OFFSET(vm, ErlFunThing, num_free)];
	view->fun.creator = creator;
	view->fun.entry = entry;
	view->words = env_offset / 8 + view->fun.num_free;
	view->fun.env = words_at(reader, view->address + env_offset, view->fun.num_free);
	uint64_t module;
	uint32_t old_index, old_uniq, index;
	const void *uniq = etp_reader_at(reader, entry + OFFSET(vm, ErlFunEntry, uniq), 16);
	if (!uniq || !view->fun.env ||
	    !READ_WORD(vm, reader, entry, ErlFunEntry, module, &module) ||
	    !READ_U32(vm, reader, entry, ErlFunEntry, old_index, &old_index) ||
	    !READ_U32(vm, reader, entry, ErlFunEntry, old_uniq, &old_uniq) ||
	    !READ_U32(vm, reader, entry, ErlFunEntry, index, &index) || !term_is_atom(module))
		return invalid(view, "fun whose entry cannot be read");
	view->fun.module = term_atom_index(module);
	view->fun.old_index = (int32_t)old_index;
	view->fun.old_uniq = (int32_t)old_uniq;
	view->fun.index = index;
	memcpy(view->fun.uniq, uniq, sizeof(view->fun.uniq));
	return view->kind = ETP_TERM_FUN;
}

static void locate_bytes(struct etp_reader *reader, struct etp_term_view *view)
{
	uint64_t size = (view->bits.bit_offset + view->bits.bit_size + 7) / 8;
	if (!size) {
		static const unsigned char nothing;
		view->bits.bytes = &nothing;
		return;
	}
	view->bits.bytes = etp_reader_at(reader, view->bits.data_address, size);
}

// The bytes of a whole binary, on the heap or off it, at `address`. On success
// sets storage, data_address, bit_size, binary and proc_bin.
static bool decode_whole_binary(const struct etp_vm *vm, struct etp_reader *reader,
                                uint64_t address, uint64_t header, struct etp_term_view *view)
{
	uint64_t size;
	switch (header_thing(vm->scheme, header)) {
	case ETP_THING_PROC_BIN:
		if (!READ_WORD(vm, reader, address, ProcBin, size, &size) ||
		    !READ_WORD(vm, reader, address, ProcBin, val, &view->bits.binary) ||
		    !READ_WORD(vm, reader, address, ProcBin, bytes, &view->bits.data_address))
			return false;
		view->bits.storage = ETP_BITSTRING_REFC;
		view->bits.proc_bin = address;
		break;
	case ETP_THING_HEAP_BIN:
		if (!READ_WORD(vm, reader, address, ErlHeapBin, size, &size) ||
		    size > header_arity(header) * 8)
			return false;
		view->bits.storage = ETP_BITSTRING_HEAP;
		view->bits.data_address = address + OFFSET(vm, ErlHeapBin, data);
		break;
	default:
		return false;
	}
	if (size > UINT64_MAX / 16)
		return false;
	view->bits.bit_size = size * 8;
	return true;
}

static bool decode_original(const struct etp_vm *vm, struct etp_reader *reader, etp_term original,
                            struct etp_term_view *view)
{
	uint64_t header;
	return term_primary(original) == TAG_PRIMARY_BOXED &&
	       etp_read_u64(reader, term_pointer(original), &header) &&
	       decode_whole_binary(vm, reader, term_pointer(original), header, view);
}

static enum etp_term_kind decode_sub_binary(const struct etp_vm *vm, struct etp_reader *reader,
                                            struct etp_term_view *view)
{
	view->words = SIZEOF(vm, ErlSubBin) / 8;
	const unsigned char *sub = etp_reader_at(reader, view->address, SIZEOF(vm, ErlSubBin));
	if (!sub)
		return unreadable(view);
	uint64_t size = WORD_OF(vm, sub, ErlSubBin, size);
	uint64_t offset = WORD_OF(vm, sub, ErlSubBin, offs);
	unsigned bit_size = sub[OFFSET(vm, ErlSubBin, bitsize)];
	unsigned bit_offset = sub[OFFSET(vm, ErlSubBin, bitoffs)];
	if (!decode_original(vm, reader, WORD_OF(vm, sub, ErlSubBin, orig), view))
		return invalid(view, "sub-binary whose original cannot be read");
	uint64_t whole = view->bits.bit_size;
	if (bit_size > 7 || bit_offset > 7 || size > whole / 8 || offset > whole / 8 ||
	    offset * 8 + bit_offset + size * 8 + bit_size > whole)
		return invalid(view, "sub-binary that reaches beyond its original");
	view->bits.storage = ETP_BITSTRING_SUB;
	view->bits.data_address += offset;
	view->bits.bit_offset = bit_offset;
	view->bits.bit_size = size * 8 + bit_size;
	locate_bytes(reader, view);
	return view->kind = ETP_TERM_BITSTRING;
}

static enum etp_term_kind decode_match_context(const struct etp_vm *vm, struct etp_reader *reader,
                                               struct etp_term_view *view)
{
	uint64_t original;
	if (!READ_WORD(vm, reader, view->address, ErlBinMatchState, orig, &original))
		return unreadable(view);
	if (!decode_original(vm, reader, original, view))
		return invalid(view, "match context whose binary cannot be read");
	locate_bytes(reader, view);
	return view->kind = ETP_TERM_MATCH_CONTEXT;
}

static enum etp_term_kind decode_map(const struct etp_vm *vm, struct etp_reader *reader,
                                     uint64_t header, struct etp_term_view *view)
{
	uint64_t size;
	switch (header_map_type(header)) {
	case ETP_MAP_FLAT: {
		uint64_t values = view->address + SIZEOF(vm, flatmap);
		uint64_t key_header;
		if (!READ_WORD(vm, reader, view->address, flatmap, size, &size) ||
		    !READ_WORD(vm, reader, view->address, flatmap, keys, &view->flatmap.key_tuple))
			return unreadable(view);
		uint64_t keys = term_pointer(view->flatmap.key_tuple);
		if (!etp_read_u64(reader, keys, &key_header) ||
		    header_thing(vm->scheme, key_header) != ETP_THING_TUPLE ||
		    header_arity(key_header) != size)
			return invalid(view, "flatmap whose size is not that of its keys");
		view->words = SIZEOF(vm, flatmap) / 8 + size;
		view->flatmap.size = size;
		view->flatmap.keys = words_at(reader, keys + 8, size);
		view->flatmap.values = words_at(reader, values, size);
		if (!view->flatmap.keys || !view->flatmap.values)
			return unreadable(view);
		return view->kind = ETP_TERM_FLATMAP;
	}
	case ETP_MAP_HEAD_ARRAY:
	case ETP_MAP_HEAD_BITMAP:
		if (!READ_WORD(vm, reader, view->address, hashmap_head, size, &size))
			return unreadable(view);
		view->hashmap.size = size;
		view->words = OFFSET(vm, hashmap_head, items) / 8 +
		              (header_map_type(header) == ETP_MAP_HEAD_ARRAY
		                       ? 16
		                       : (unsigned)__builtin_popcount(header_map_bitmap(header)));
		return view->kind = ETP_TERM_HASHMAP;
	default:
		return invalid(view, "inner node of a map where a map was expected");
	}
}

static enum etp_term_kind decode_big(struct etp_reader *reader, bool negative, uint64_t arity,
                                     struct etp_term_view *view)
{
	view->big.negative = negative;
	view->big.count = arity;
	view->big.digits = words_at(reader, view->address + 8, arity);
	return view->big.digits ? (view->kind = ETP_TERM_BIG) : unreadable(view);
}

static enum etp_term_kind decode_boxed(const struct etp_vm *vm, struct etp_reader *reader,
                                       struct etp_term_view *view)
{
	uint64_t header;
	if (!etp_read_u64(reader, view->address, &header))
		return unreadable(view);
	if (term_primary(header) != TAG_PRIMARY_HEADER)
		return invalid(view, "boxed pointer to something without a header");
	uint64_t arity = header_arity(header);
	// A heap cannot be larger than the address space; this also keeps every
	// product below from overflowing.
	if (arity >= UINT64_C(1) << 44)
		return invalid(view, "header of an impossible size");
	view->words = 1 + arity;
	enum etp_thing thing = header_thing(vm->scheme, header);
	switch (thing) {
	case ETP_THING_TUPLE:
		view->tuple.arity = arity;
		view->tuple.elements = words_at(reader, view->address + 8, arity);
		if (!view->tuple.elements)
			return unreadable(view);
		return view->kind = ETP_TERM_TUPLE;
	case ETP_THING_POS_BIG:
	case ETP_THING_NEG_BIG:
		return decode_big(reader, thing == ETP_THING_NEG_BIG, arity, view);
	case ETP_THING_FLOAT: {
		uint64_t bits;
		if (!etp_read_u64(reader, view->address + 8, &bits))
			return unreadable(view);
		memcpy(&view->float_value, &bits, sizeof(bits));
		return view->kind = ETP_TERM_FLOAT;
	}
	case ETP_THING_REF:
		return decode_ref(vm, reader, arity, view);
	case ETP_THING_FUN:
		return decode_fun(vm, reader, view);
	case ETP_THING_PROC_BIN:
	case ETP_THING_HEAP_BIN:
		if (!decode_whole_binary(vm, reader, view->address, header, view))
			return invalid(view, "binary whose size or bytes make no sense");
		locate_bytes(reader, view);
		return view->kind = ETP_TERM_BITSTRING;
	case ETP_THING_SUB_BIN:
		return decode_sub_binary(vm, reader, view);
	case ETP_THING_MATCH_STATE:
		return decode_match_context(vm, reader, view);
	case ETP_THING_EXTERNAL_PID:
	case ETP_THING_EXTERNAL_PORT:
	case ETP_THING_EXTERNAL_REF:
		return decode_external(vm, reader, thing, view);
	case ETP_THING_MAP:
		return decode_map(vm, reader, header, view);
	case ETP_THING_NONE:
		break;
	}
	return invalid(view, "header with a tag that this release does not use");
}

enum etp_term_kind etp_term_decode(const struct etp_vm *vm, struct etp_reader *reader,
                                   etp_term term, struct etp_term_view *view)
{
	memset(view, 0, sizeof(*view));
	view->word = term;
	switch (term_primary(term)) {
	case TAG_PRIMARY_IMMED1:
		return decode_immediate(vm, term, view);
	case TAG_PRIMARY_LIST: {
		view->address = term_pointer(term);
		view->is_literal = term & TAG_LITERAL_PTR;
		view->words = 2;
		const void *cons = etp_reader_at(reader, view->address, 16);
		if (!cons)
			return unreadable(view);
		view->cons.head = etp_word_at(cons, 0);
		view->cons.tail = etp_word_at(cons, 1);
		return view->kind = ETP_TERM_CONS;
	}
	case TAG_PRIMARY_BOXED:
		view->address = term_pointer(term);
		view->is_literal = term & TAG_LITERAL_PTR;
		return decode_boxed(vm, reader, view);
	default:
		return view->kind = term ? ETP_TERM_HEADER : ETP_TERM_NON_VALUE;
	}
}
