// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_EXTERNAL_PRIVATE_H
#define ETP_TERM_EXTERNAL_PRIVATE_H

// Between the files that decode the external format: bytes in, words out.

#include <string.h>

#include "term/external.h"
#include "vm/vm.h"

// Tags of the external term format (external.h of ERTS). In rows there are no atoms
// by name: enc_atom() writes their index.
enum {
	NEW_FLOAT_EXT = 'F',
	ATOM_CACHE_REF = 'R',
	ATOM_EXT = 'd',
	SMALL_ATOM_EXT = 's',
	ATOM_UTF8_EXT = 'v',
	SMALL_ATOM_UTF8_EXT = 'w',
	ATOM_INTERNAL_REF2 = 'I',
	BINARY_INTERNAL_REF = 'J',
	ATOM_INTERNAL_REF3 = 'K',
	BIT_BINARY_INTERNAL_REF = 'L',
	BIT_BINARY_EXT = 'M',
	// Since OTP 27.
	MAGIC_REF_INTERNAL_REF = 'N',
	PID_EXT = 'g',
	NEW_PID_EXT = 'X',
	PORT_EXT = 'f',
	NEW_PORT_EXT = 'Y',
	NEW_REFERENCE_EXT = 'r',
	NEWER_REFERENCE_EXT = 'Z',
	SMALL_INTEGER_EXT = 'a',
	INTEGER_EXT = 'b',
	SMALL_TUPLE_EXT = 'h',
	LARGE_TUPLE_EXT = 'i',
	NIL_EXT = 'j',
	STRING_EXT = 'k',
	LIST_EXT = 'l',
	BINARY_EXT = 'm',
	SMALL_BIG_EXT = 'n',
	LARGE_BIG_EXT = 'o',
	NEW_FUN_EXT = 'p',
	EXPORT_EXT = 'q',
	MAP_EXT = 't',
	V4_PORT_EXT = 'x',
	// Since OTP 29.
	RECORD_EXT = 'C',
};

// Terms are decoded without recursion. The words that wait for a term form a
// list: each holds the index of the next one, in the order in which their
// terms come. There are never more of them than bytes left.
struct decoder {
	struct etp_external *external;
	const struct etp_vm *vm;
	struct etp_reader *reader;
	struct etp_words *words;
	const struct etp_external_bytes *source;
	const unsigned char *p, *end;
	size_t pending;
	uint64_t pending_count;
	const char *reason;
};

static inline bool fail(struct decoder *d, const char *reason)
{
	d->reason = reason;
	return false;
}

//
// Words
//

// Words that the VM's decoder does not need.
static inline bool take_extra(struct decoder *d, uint64_t count, size_t *index_ret)
{
	d->reason = etp_words_take(d->words, count, index_ret);
	return !d->reason;
}

static inline bool take_heap(struct decoder *d, uint64_t count, size_t *index_ret)
{
	if (count > d->words->heap_limit - d->words->heap_used)
		return fail(d, d->source->is_remote
		                       ? "term of more than 1 GiB"
		                       : "term with more words than its row says it has");
	d->words->heap_used += count;
	return take_extra(d, count, index_ret);
}

static inline void set(struct decoder *d, size_t index, uint64_t word)
{
	d->words->words[index] = word;
}

// Set a member of the struct that starts at word `thing`, of any integer size;
// etp_external_init() has seen that it is in the struct.
static inline void set_member(struct decoder *d, size_t thing, enum etp_member_id id,
                              uint64_t value)
{
	const struct etp_layout_member *member = &d->vm->layout->members[id];
	memcpy((unsigned char *)(d->words->words + thing) + member->offset, &value, member->size);
}

static inline void set_bytes(struct decoder *d, size_t thing, uint64_t offset, const void *bytes,
                             size_t size)
{
	if (size)
		memcpy((unsigned char *)(d->words->words + thing) + offset, bytes, size);
}

static inline etp_term boxed(size_t index)
{
	return etp_words_address(index) | TAG_PRIMARY_BOXED;
}

static inline etp_term list(size_t index)
{
	return etp_words_address(index) | TAG_PRIMARY_LIST;
}

static inline uint64_t make_header(const struct decoder *d, enum etp_thing thing, uint64_t arity)
{
	uint64_t subtag = 0;
	while (subtag < HEADER_SUBTAG_MASK && d->vm->scheme->things[subtag] != thing)
		subtag++;
	return arity << HEADER_ARITY_SHIFT | subtag << HEADER_SUBTAG_SHIFT | TAG_PRIMARY_HEADER;
}

static inline uint64_t words_of(const struct decoder *d, enum etp_struct_id id)
{
	return d->vm->layout->struct_sizes[id] / 8;
}
#define WORDS_OF(d, struct_) words_of(d, ETP_STRUCT_##struct_)

// `count` words from `first` on, `stride` apart, are what the next terms go to.
// The caller has checked that there is a byte for each (see enough_bytes()).
static inline void push_slots(struct decoder *d, size_t first, uint64_t count, unsigned stride)
{
	for (uint64_t i = count; i-- > 0;) {
		size_t slot = first + (size_t)i * stride;
		set(d, slot, d->pending);
		d->pending = slot;
	}
	d->pending_count += count;
}

//
// Bytes
//

static inline bool take_bytes(struct decoder *d, uint64_t size, const unsigned char **ret)
{
	if (size > (uint64_t)(d->end - d->p))
		return fail(d, d->source->is_remote
		                       ? "external format that ends in the middle of a term"
		                       : "external format that reaches beyond its row");
	*ret = d->p;
	d->p += size;
	return true;
}

// A big-endian number of `size` bytes.
static inline bool take_number(struct decoder *d, unsigned size, uint64_t *ret)
{
	const unsigned char *bytes;
	if (!take_bytes(d, size, &bytes))
		return false;
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	*ret = value;
	return true;
}

// Each term has a byte at least. As those that are pending are counted too,
// nested containers cannot promise more than there is, and memory stays
// proportional to the bytes.
static inline bool enough_bytes(struct decoder *d, uint64_t terms)
{
	uint64_t left = (uint64_t)(d->end - d->p);
	if (terms > left || d->pending_count > left - terms)
		return fail(d, "list, tuple, map or fun with more elements than there are bytes");
	return true;
}

// A small that fits into 32 bits.
static inline bool take_small(struct decoder *d, int64_t *ret)
{
	uint64_t tag, value;
	if (!take_number(d, 1, &tag))
		return false;
	if (tag != SMALL_INTEGER_EXT && tag != INTEGER_EXT)
		return fail(d, "external format with something else where a small must be");
	if (!take_number(d, tag == SMALL_INTEGER_EXT ? 1 : 4, &value))
		return false;
	*ret = tag == INTEGER_EXT ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
	return true;
}

// Index of an atom, with its tag (external_atom.c).
bool etp_take_atom(struct decoder *d, uint64_t *index_ret);

//
// What external_id.c decodes; the tag is behind us
//

// The old forms have creations of one byte.
bool etp_decode_pid(struct decoder *d, size_t slot, unsigned creation_bytes);
bool etp_decode_port(struct decoder *d, size_t slot, unsigned number_bytes,
                     unsigned creation_bytes);
bool etp_decode_ref(struct decoder *d, size_t slot, unsigned creation_bytes);
bool etp_decode_magic_ref(struct decoder *d, size_t slot);
bool etp_decode_export(struct decoder *d, size_t slot);
bool etp_decode_fun(struct decoder *d, size_t slot);

//
// What external_bits.c decodes
//

bool etp_decode_binary(struct decoder *d, size_t slot);
bool etp_decode_bit_binary(struct decoder *d, size_t slot);
bool etp_decode_off_heap_binary(struct decoder *d, size_t slot);
bool etp_decode_off_heap_bits(struct decoder *d, size_t slot);

// external_record.c
bool etp_decode_record(struct decoder *d, size_t slot);

#endif
