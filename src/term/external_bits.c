// SPDX-License-Identifier: Apache-2.0
//
// Binaries and bitstrings. OTP 27 made them all alike: what was a heap binary, a ProcBin
// or a sub-binary of either is heap bits, or sub-bits of a BinRef.

#include "term/external_private.h"

// Is it a release of before that?
static bool has_proc_bins(const struct decoder *d)
{
	return HAS(d->vm, ProcBin, bytes);
}

enum {
	// ERL_ONHEAP_BIN_LIMIT, erl_binary.h.
	HEAP_BINARY_MAX = 64,
};

// Heap binary of so many bytes, or heap bits; of the last byte only `last_bits` count.
static bool make_heap_bits(struct decoder *d, uint64_t size, unsigned last_bits, etp_term *ret)
{
	const unsigned char *bytes;
	size_t thing;
	uint64_t data_offset = OFFSET(d->vm, ErlHeapBin, data);
	uint64_t words = data_offset / 8 + (size + 7) / 8;
	if (!take_bytes(d, size, &bytes) || !take_heap(d, words, &thing))
		return false;
	bool in_bytes = has_proc_bins(d);
	set(d, thing,
	    make_header(d, in_bytes ? ETP_THING_HEAP_BIN : ETP_THING_HEAP_BITS, words - 1));
	set_member(d, thing, ETP_MEMBER_ErlHeapBin_size,
	           in_bytes ? size : size * 8 - (8 - last_bits));
	set_bytes(d, thing, data_offset, bytes, size);
	*ret = boxed(thing);
	return true;
}

// Since OTP 27: sub-bits of a BinRef, which see so many bits from `address` on.
static bool make_sub_bits(struct decoder *d, size_t bin_ref, uint64_t address, uint64_t bits,
                          etp_term *ret)
{
	size_t thing;
	uint64_t words = WORDS_OF(d, ErlSubBits), start = address % 4 * 8;
	if (!take_heap(d, words, &thing))
		return false;
	set(d, thing, make_header(d, ETP_THING_SUB_BITS, words - 1));
	// The low bits of the base are flags; the start makes up for them.
	set_member(d, thing, ETP_MEMBER_ErlSubBits_base_flags, address - address % 4);
	set_member(d, thing, ETP_MEMBER_ErlSubBits_start, start);
	set_member(d, thing, ETP_MEMBER_ErlSubBits_end, start + bits);
	set_member(d, thing, ETP_MEMBER_ErlSubBits_orig, boxed(bin_ref));
	*ret = boxed(thing);
	return true;
}

// A ProcBin or BinRef over bytes that stand where they came from, as the VM would make a
// binary of its own of them. Only for what has its bytes in one place of the target.
static bool make_remote_bits(struct decoder *d, uint64_t size, unsigned last_bits, etp_term *ret)
{
	const unsigned char *bytes;
	size_t thing;
	uint64_t words = WORDS_OF(d, BinRef);
	uint64_t address = d->source->address + (uint64_t)(d->p - d->source->bytes);
	if (!take_bytes(d, size, &bytes) || !take_heap(d, words, &thing))
		return false;
	bool has_size = has_proc_bins(d);
	set(d, thing, make_header(d, has_size ? ETP_THING_PROC_BIN : ETP_THING_BIN_REF, words - 1));
	set_member(d, thing, ETP_MEMBER_BinRef_val, d->source->binary);
	if (!has_size)
		return make_sub_bits(d, thing, address, size * 8 - (8 - last_bits), ret);
	set_member(d, thing, ETP_MEMBER_ProcBin_size, size);
	set_member(d, thing, ETP_MEMBER_ProcBin_bytes, address);
	*ret = boxed(thing);
	return true;
}

static bool make_bits(struct decoder *d, uint64_t size, unsigned last_bits, etp_term *ret)
{
	if (size > HEAP_BINARY_MAX && d->source->address)
		return make_remote_bits(d, size, last_bits, ret);
	return make_heap_bits(d, size, last_bits, ret);
}

// The ProcBin or BinRef as it stands in the row, though there it is hardly ever aligned.
// `thing_ret` gets where it went.
static bool take_bin_ref(struct decoder *d, size_t *thing_ret)
{
	const unsigned char *bytes;
	uint64_t words = WORDS_OF(d, BinRef);
	if (!take_bytes(d, words * 8, &bytes) || !take_heap(d, words, thing_ret))
		return false;
	uint64_t header = etp_word_at(bytes, 0);
	if (term_primary(header) != TAG_PRIMARY_HEADER ||
	    !thing_refers_to_binary(header_thing(d->vm->scheme, header)))
		return fail(d, "off-heap binary of a compressed row that is not one");
	set_bytes(d, *thing_ret, 0, bytes, words * 8);
	return true;
}

static bool make_sub_binary(struct decoder *d, size_t slot, etp_term original, uint64_t size,
                            unsigned bit_offset, unsigned bit_size)
{
	size_t thing;
	uint64_t words = WORDS_OF(d, ErlSubBin);
	if (!take_heap(d, words, &thing))
		return false;
	// HEADER_SUB_BIN does not count the word of `orig`.
	set(d, thing, make_header(d, ETP_THING_SUB_BIN, words - 2));
	set_member(d, thing, ETP_MEMBER_ErlSubBin_size, size);
	set_member(d, thing, ETP_MEMBER_ErlSubBin_bitsize, bit_size);
	set_member(d, thing, ETP_MEMBER_ErlSubBin_bitoffs, bit_offset);
	set_member(d, thing, ETP_MEMBER_ErlSubBin_orig, original);
	set(d, slot, boxed(thing));
	return true;
}

bool etp_decode_binary(struct decoder *d, size_t slot)
{
	uint64_t size;
	etp_term binary;
	if (!take_number(d, 4, &size) || !make_bits(d, size, 8, &binary))
		return false;
	set(d, slot, binary);
	return true;
}

bool etp_decode_bit_binary(struct decoder *d, size_t slot)
{
	uint64_t size, last_bits;
	etp_term binary;
	if (!take_number(d, 4, &size) || !take_number(d, 1, &last_bits))
		return false;
	if (!size || !last_bits || last_bits > 8)
		return fail(d, "bitstring with an impossible number of bits in its last byte");
	if (!make_bits(d, size, (unsigned)last_bits, &binary))
		return false;
	if (has_proc_bins(d) && last_bits < 8)
		return make_sub_binary(d, slot, binary, size - 1, 0, (unsigned)last_bits);
	set(d, slot, binary);
	return true;
}

// Since OTP 27: sub-bits of all that the BinRef behind us refers to.
static bool make_whole_bits(struct decoder *d, size_t slot, size_t bin_ref)
{
	uint64_t binary = WORD_OF(d->vm, &d->words->words[bin_ref], BinRef, val), size;
	etp_term bits;
	if (!READ_WORD(d->vm, d->reader, binary, Binary, orig_size, &size))
		return fail(d, "off-heap binary of a compressed row that is not in the target");
	if (!make_sub_bits(d, bin_ref, binary + OFFSET(d->vm, Binary, orig_bytes), size * 8, &bits))
		return false;
	set(d, slot, bits);
	return true;
}

bool etp_decode_off_heap_binary(struct decoder *d, size_t slot)
{
	size_t bin_ref;
	if (!take_bin_ref(d, &bin_ref))
		return false;
	if (!has_proc_bins(d))
		return make_whole_bits(d, slot, bin_ref);
	set(d, slot, boxed(bin_ref));
	return true;
}

// Since OTP 27: an ErlSubBits and its BinRef.
static bool decode_sub_bits(struct decoder *d, size_t slot)
{
	const unsigned char *bytes;
	size_t thing, bin_ref;
	uint64_t words = WORDS_OF(d, ErlSubBits);
	if (!take_bytes(d, words * 8, &bytes) || !take_heap(d, words, &thing))
		return false;
	set_bytes(d, thing, 0, bytes, words * 8);
	uint64_t header = etp_word_at(bytes, 0);
	if (term_primary(header) != TAG_PRIMARY_HEADER ||
	    header_thing(d->vm->scheme, header) != ETP_THING_SUB_BITS)
		return fail(d, "sub-bits of a compressed row that are none");
	if (!take_bin_ref(d, &bin_ref))
		return false;
	set_member(d, thing, ETP_MEMBER_ErlSubBits_orig, boxed(bin_ref));
	set(d, slot, boxed(thing));
	return true;
}

// To OTP 26, the size of the ProcBin includes the bytes of the odd bits at either end.
bool etp_decode_off_heap_bits(struct decoder *d, size_t slot)
{
	if (!has_proc_bins(d))
		return decode_sub_bits(d, slot);
	uint64_t bit_offset, bit_size;
	size_t bin_ref;
	if (!take_number(d, 1, &bit_offset) || !take_number(d, 1, &bit_size) ||
	    !take_bin_ref(d, &bin_ref))
		return false;
	uint64_t size = WORD_OF(d->vm, &d->words->words[bin_ref], ProcBin, size);
	uint64_t odd = (bit_offset + bit_size + 7) / 8;
	if (bit_offset > 7 || bit_size > 7 || size < odd)
		return fail(d, "bitstring with an impossible number of odd bits");
	return make_sub_binary(d, slot, boxed(bin_ref), size - odd, (unsigned)bit_offset,
	                       (unsigned)bit_size);
}
