// SPDX-License-Identifier: Apache-2.0
#include <etp/term.h>

#include "term/fun_shape.h"
#include "vm/vm.h"

enum {
	// erl_term.h to OTP 23: 28 bits of data of an external pid are number and serial.
	PID_NUMBER_BITS_TO_23 = 15,
	// ERL_SUB_BITS_FLAG_*, erl_bits.h.
	SUB_BITS_FLAG_MASK = 3,
	SUB_BITS_MATCH_CONTEXT = 1,
	SUB_BITS_VOLATILE = 2,
};

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
		const struct etp_id_format *format = &vm->processes.format;
		uint64_t data = etp_id_data(format, term);
		unsigned number_bits = etp_pid_number_bits(format);
		fill_this_node(vm, view);
		view->id.number = data & ((UINT64_C(1) << number_bits) - 1);
		view->id.serial = data >> number_bits;
		return view->kind = ETP_TERM_PID;
	}
	case TAG_IMMED1_PORT:
		fill_this_node(vm, view);
		view->id.number = etp_id_data(&vm->ports.format, term);
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
		if (term_is_nil(term))
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
	if (view->words < 2 || view->words * 8 < OFFSET(vm, ErtsORefThing, num) + 12 ||
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
		// An alias (ErtsPRefThing, since OTP 24) has its process behind them.
		if (arity >= 3) {
			memcpy(&view->id.alias, numbers + 12, sizeof(view->id.alias));
			view->id.count = vm->scheme->alias_numbers;
		}
		memcpy(view->id.numbers, numbers, view->id.count * sizeof(uint32_t));
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
		// To OTP 23 the data was that of an internal pid.
		view->id.number = HAS(vm, ExternalThing, pid_num)
		                          ? halves[0]
		                          : halves[0] & ((1 << PID_NUMBER_BITS_TO_23) - 1);
		view->id.serial = HAS(vm, ExternalThing, pid_num)
		                          ? halves[1]
		                          : halves[0] >> PID_NUMBER_BITS_TO_23;
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

// The module, function and arity of an external fun.
static enum etp_term_kind decode_export(const struct etp_vm *vm, struct etp_reader *reader,
                                        uint64_t export, struct etp_term_view *view)
{
	uint64_t mfa = export + OFFSET(vm, Export, info) + OFFSET(vm, ErtsCodeInfo, mfa);
	uint64_t module, function;
	if (!READ_WORD(vm, reader, mfa, ErtsCodeMFA, module, &module) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, function, &function) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, arity, &view->export.arity) ||
	    !term_is_atom(module) || !term_is_atom(function))
		return invalid(view, "external fun whose export entry cannot be read");
	view->export.module = term_atom_index(module);
	view->export.function = term_atom_index(function);
	return view->kind = ETP_TERM_EXPORT;
}

static enum etp_term_kind decode_fun(const struct etp_vm *vm, struct etp_reader *reader,
                                     uint64_t header, struct etp_term_view *view)
{
	uint64_t env_offset = OFFSET(vm, ErlFunThing, env);
	const unsigned char *thing = etp_reader_at(reader, view->address, env_offset);
	if (!thing)
		return unreadable(view);
	uint64_t entry = WORD_OF(vm, thing, ErlFunThing, entry);
	struct fun_shape shape;
	fun_shape(vm, thing, header, &shape);
	view->words = env_offset / 8 + shape.env_size;
	if (shape.is_external)
		return decode_export(vm, reader, entry, view);
	view->fun.arity = shape.arity;
	view->fun.num_free = shape.num_free;
	view->fun.creator = shape.creator;
	view->fun.entry = entry;
	view->fun.env = words_at(reader, view->address + env_offset, shape.env_size);
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
	enum etp_thing thing = header_thing(vm->scheme, header);
	switch (thing) {
	case ETP_THING_PROC_BIN:
		if (!READ_WORD(vm, reader, address, ProcBin, size, &size) ||
		    !READ_WORD(vm, reader, address, BinRef, val, &view->bits.binary) ||
		    !READ_WORD(vm, reader, address, ProcBin, bytes, &view->bits.data_address))
			return false;
		view->bits.storage = ETP_BITSTRING_REFC;
		view->bits.proc_bin = address;
		break;
	case ETP_THING_HEAP_BIN:
	case ETP_THING_HEAP_BITS:
		if (!READ_WORD(vm, reader, address, ErlHeapBin, size, &size) ||
		    size > header_arity(header) * (thing == ETP_THING_HEAP_BIN ? 8 : 64))
			return false;
		view->bits.storage = ETP_BITSTRING_HEAP;
		view->bits.data_address = address + OFFSET(vm, ErlHeapBin, data);
		break;
	case ETP_THING_BIN_REF:
		if (!READ_WORD(vm, reader, address, BinRef, val, &view->bits.binary) ||
		    !READ_WORD(vm, reader, view->bits.binary, Binary, orig_size, &size))
			return false;
		view->bits.storage = ETP_BITSTRING_REFC;
		view->bits.data_address = view->bits.binary + OFFSET(vm, Binary, orig_bytes);
		view->bits.proc_bin = address;
		break;
	default:
		return false;
	}
	if (size > UINT64_MAX / 16)
		return false;
	view->bits.bit_size = thing == ETP_THING_HEAP_BITS ? size : size * 8;
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

// Since OTP 27: a part of an off-heap binary, which may be all of it, or a match context
// (ErlSubBits, erl_bits.h). The low bits of the base are flags; start and end make up
// for them.
static enum etp_term_kind decode_sub_bits(const struct etp_vm *vm, struct etp_reader *reader,
                                          struct etp_term_view *view)
{
	const unsigned char *sub = etp_reader_at(reader, view->address, SIZEOF(vm, ErlSubBits));
	if (!sub)
		return unreadable(view);
	uint64_t base_flags = WORD_OF(vm, sub, ErlSubBits, base_flags);
	uint64_t start = WORD_OF(vm, sub, ErlSubBits, start);
	uint64_t end = WORD_OF(vm, sub, ErlSubBits, end);
	if (!decode_original(vm, reader, WORD_OF(vm, sub, ErlSubBits, orig), view))
		return invalid(view, "sub-bits whose original cannot be read");
	uint64_t whole = view->bits.bit_size, data = view->bits.data_address;
	// A binary that was appended to may have been moved since (erts_pin_writable_binary()).
	uint64_t base = base_flags & SUB_BITS_VOLATILE && view->bits.binary
	                        ? data
	                        : base_flags & ~(uint64_t)SUB_BITS_FLAG_MASK;
	uint64_t address = base + start / 8, skipped = (address - data) * 8 + start % 8;
	// Bytes of a resource lie elsewhere (enif_make_resource_binary(), erl_nif.c).
	bool is_inside = address - data <= whole / 8;
	if (start > end || end - start > UINT64_MAX / 16 ||
	    (is_inside && (skipped > whole || end - start > whole - skipped)))
		return invalid(view, "sub-bits that reach beyond their original");
	view->bits.storage = view->bits.binary && is_inside && end - start == whole
	                             ? ETP_BITSTRING_REFC
	                             : ETP_BITSTRING_SUB;
	view->bits.data_address = address;
	view->bits.bit_offset = start % 8;
	view->bits.bit_size = end - start;
	locate_bytes(reader, view);
	return view->kind = (base_flags & SUB_BITS_FLAG_MASK) == SUB_BITS_MATCH_CONTEXT
	                            ? ETP_TERM_MATCH_CONTEXT
	                            : ETP_TERM_BITSTRING;
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

// Since OTP 29 (ErtsRecordInstance, erl_record.h). The definition is a tuple, so that
// collections treat it as one.
static enum etp_term_kind decode_record(const struct etp_vm *vm, struct etp_reader *reader,
                                        uint64_t arity, struct etp_term_view *view)
{
	uint64_t values = OFFSET(vm, ErtsRecordInstance, values);
	uint64_t keys = OFFSET(vm, ErtsRecordDefinition, keys);
	uint64_t definition, header;
	if (!READ_WORD(vm, reader, view->address, ErtsRecordInstance, record_definition,
	               &definition) ||
	    view->words * 8 < values)
		return unreadable(view);
	uint64_t address = term_pointer(definition);
	view->record.definition = definition;
	view->record.size = arity + 1 - values / 8;
	if (!etp_read_u64(reader, address, &header) ||
	    header_thing(vm->scheme, header) != ETP_THING_TUPLE ||
	    header_arity(header) + 1 != keys / 8 + view->record.size)
		return invalid(view, "native record whose definition has other fields");
	uint64_t module, name;
	if (!READ_WORD(vm, reader, address, ErtsRecordDefinition, module, &module) ||
	    !READ_WORD(vm, reader, address, ErtsRecordDefinition, name, &name) ||
	    !READ_WORD(vm, reader, address, ErtsRecordDefinition, field_order,
	               &view->record.field_order) ||
	    !READ_WORD(vm, reader, address, ErtsRecordDefinition, is_exported,
	               &view->record.is_exported) ||
	    !term_is_atom(module) || !term_is_atom(name))
		return invalid(view, "native record whose definition cannot be read");
	view->record.module = term_atom_index(module);
	view->record.name = term_atom_index(name);
	view->record.keys = words_at(reader, address + keys, view->record.size);
	view->record.values = words_at(reader, view->address + values, view->record.size);
	if (!view->record.keys || !view->record.values)
		return unreadable(view);
	return view->kind = ETP_TERM_RECORD;
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
		return decode_fun(vm, reader, header, view);
	case ETP_THING_EXPORT: {
		uint64_t export;
		if (!etp_read_u64(reader, view->address + 8, &export))
			return unreadable(view);
		return decode_export(vm, reader, export, view);
	}
	case ETP_THING_PROC_BIN:
	case ETP_THING_HEAP_BIN:
	case ETP_THING_HEAP_BITS:
	case ETP_THING_BIN_REF:
		if (!decode_whole_binary(vm, reader, view->address, header, view))
			return invalid(view, "binary whose size or bytes make no sense");
		locate_bytes(reader, view);
		return view->kind = ETP_TERM_BITSTRING;
	case ETP_THING_SUB_BIN:
		return decode_sub_binary(vm, reader, view);
	case ETP_THING_SUB_BITS:
		return decode_sub_bits(vm, reader, view);
	case ETP_THING_MATCH_STATE:
		return decode_match_context(vm, reader, view);
	case ETP_THING_EXTERNAL_PID:
	case ETP_THING_EXTERNAL_PORT:
	case ETP_THING_EXTERNAL_REF:
		return decode_external(vm, reader, thing, view);
	case ETP_THING_MAP:
		return decode_map(vm, reader, header, view);
	case ETP_THING_RECORD:
		return decode_record(vm, reader, arity, view);
	case ETP_THING_FUN_REF:
		return invalid(view, "entry of a fun where a term was expected");
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
