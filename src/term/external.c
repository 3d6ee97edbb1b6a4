// SPDX-License-Identifier: Apache-2.0
#include "term/external_private.h"

#include <stdlib.h>

enum {
	// MAP_SMALL_MAP_LIMIT, erl_map.h.
	FLATMAP_MAX = 32,
	HAMT_FAN_OUT = 16,
	// ERL_ONHEAP_BIN_LIMIT, erl_binary.h.
};

// No slot is pending. (Word 0 is the header of the row's tuple.)
static const size_t NO_SLOT = SIZE_MAX;

const char *etp_words_take(struct etp_words *words, uint64_t count, size_t *index_ret)
{
	if (count > ETP_WORDS_MAX - words->used)
		return "term of more than 1 GiB";
	size_t needed = words->used + (size_t)count;
	if (needed > words->capacity) {
		size_t capacity = words->capacity ? words->capacity : 64;
		while (capacity < needed)
			capacity *= 2;
		uint64_t *grown = realloc(words->words, capacity * sizeof(*grown));
		if (!grown)
			return "out of memory";
		words->words = grown;
		words->capacity = capacity;
	}
	if (count)
		memset(words->words + words->used, 0, (size_t)count * sizeof(*words->words));
	*index_ret = words->used;
	words->used = needed;
	return NULL;
}

//
// Numbers
//

// Digits, least significant byte first. Smalls that need more than 32 bits are
// written so too.
static bool decode_big(struct decoder *d, size_t slot, unsigned size_bytes)
{
	uint64_t size, negative;
	const unsigned char *digits;
	if (!take_number(d, size_bytes, &size) || !take_number(d, 1, &negative) ||
	    !take_bytes(d, size, &digits))
		return false;
	while (size && !digits[size - 1])
		size--;
	if (size <= 8) {
		uint64_t magnitude = 0;
		if (size)
			memcpy(&magnitude, digits, size);
		uint64_t limit = UINT64_C(1) << 59;
		if (magnitude < limit + (negative ? 1 : 0)) {
			int64_t value = (int64_t)magnitude;
			set(d, slot, term_make_small(negative ? -value : value));
			return true;
		}
	}
	size_t big;
	uint64_t digit_count = (size + 7) / 8;
	if (!take_heap(d, 1 + digit_count, &big))
		return false;
	set(d, big, make_header(d, negative ? ETP_THING_NEG_BIG : ETP_THING_POS_BIG, digit_count));
	set_bytes(d, big, 8, digits, size);
	set(d, slot, boxed(big));
	return true;
}

static bool decode_float(struct decoder *d, size_t slot)
{
	uint64_t bits;
	size_t thing;
	if (!take_number(d, 8, &bits) || !take_heap(d, 2, &thing))
		return false;
	set(d, thing, make_header(d, ETP_THING_FLOAT, 1));
	set(d, thing + 1, bits);
	set(d, slot, boxed(thing));
	return true;
}

//
// Containers
//

// MAKE_MAP_HEADER, erl_map.h: the type, an arity of the head, and for tries the
// bitmap of the `count` slots that are in use (here always the lowest ones).
static uint64_t make_map_header(const struct decoder *d, enum etp_map_type type, unsigned count)
{
	uint64_t arity = type == ETP_MAP_NODE_BITMAP ? 0 : 1;
	uint64_t bitmap = (UINT64_C(1) << count) - 1;
	return make_header(d, ETP_THING_MAP, bitmap << 10 | arity << 2 | type);
}

static bool decode_string(struct decoder *d, size_t slot)
{
	uint64_t size;
	const unsigned char *bytes;
	size_t cells;
	if (!take_number(d, 2, &size) || !take_bytes(d, size, &bytes) ||
	    !take_heap(d, 2 * size, &cells))
		return false;
	for (uint64_t i = 0; i < size; i++) {
		set(d, cells + 2 * i, term_make_small(bytes[i]));
		set(d, cells + 2 * i + 1, i + 1 < size ? list(cells + 2 * (i + 1)) : ETP_NIL);
	}
	set(d, slot, size ? list(cells) : ETP_NIL);
	return true;
}

static bool decode_list(struct decoder *d, size_t slot)
{
	uint64_t size;
	size_t cells;
	// The elements and the tail of the last cell.
	if (!take_number(d, 4, &size) || !enough_bytes(d, size + 1))
		return false;
	if (!size)
		return fail(d, "list without elements");
	if (!take_heap(d, 2 * size, &cells))
		return false;
	for (uint64_t i = 0; i + 1 < size; i++)
		set(d, cells + 2 * i + 1, list(cells + 2 * (i + 1)));
	push_slots(d, cells + 2 * size - 1, 1, 1);
	push_slots(d, cells, size, 2);
	set(d, slot, list(cells));
	return true;
}

static bool decode_tuple(struct decoder *d, size_t slot, unsigned arity_bytes)
{
	uint64_t arity;
	size_t tuple;
	if (!take_number(d, arity_bytes, &arity) || !enough_bytes(d, arity))
		return false;
	// The empty tuple is a literal in some releases.
	if (!(arity ? take_heap(d, 1 + arity, &tuple) : take_extra(d, 1, &tuple)))
		return false;
	set(d, tuple, make_header(d, ETP_THING_TUPLE, arity));
	push_slots(d, tuple + 1, arity, 1);
	set(d, slot, boxed(tuple));
	return true;
}

// The keys of a flatmap were sorted when it was written.
static bool decode_flatmap(struct decoder *d, size_t slot, uint64_t size)
{
	size_t keys, map;
	// The empty tuple of keys is a literal in some releases.
	if (!(size ? take_heap(d, 1 + size, &keys) : take_extra(d, 1, &keys)) ||
	    !take_heap(d, WORDS_OF(d, flatmap) + size, &map))
		return false;
	set(d, keys, make_header(d, ETP_THING_TUPLE, size));
	set(d, map, make_map_header(d, ETP_MAP_FLAT, 0));
	set_member(d, map, ETP_MEMBER_flatmap_size, size);
	set_member(d, map, ETP_MEMBER_flatmap_keys, boxed(keys));
	size_t values = map + WORDS_OF(d, flatmap);
	for (uint64_t i = size; i-- > 0;) {
		push_slots(d, values + i, 1, 1);
		push_slots(d, keys + 1 + i, 1, 1);
	}
	set(d, slot, boxed(map));
	return true;
}

// Nodes of a trie that lie one after the other, all of them full but the last,
// or its leaves.
struct trie_level {
	bool is_leaves;
	size_t start;
	uint64_t count;
};

// Leaves are found from the last to the first, see decode_hashmap().
static etp_term trie_child(const struct trie_level *level, uint64_t i)
{
	if (level->is_leaves)
		return list(level->start + 2 * (level->count - 1 - i));
	return boxed(level->start + (1 + HAMT_FAN_OUT) * i);
}

// A trie that has the pairs in the order of the one that was written. That one
// was walked from the last slot of each node to the first (external.c,
// ENC_HASHMAP_NODE; maps:to_list/1 does so too, and maps:iterator/1 the other way
// round). The VM hashes the keys anew when it decodes, and as the hash of a key
// does not change, it gets the same trie again. So it is enough to fill ours from
// the last slot to the first: whoever walks it either way sees what he would see
// in the VM. Only the depth of its nodes is not the VM's.
static bool decode_hashmap(struct decoder *d, size_t slot, uint64_t size)
{
	struct trie_level level = {.is_leaves = true, .count = size};
	if (!take_heap(d, 2 * size, &level.start))
		return false;
	push_slots(d, level.start, 2 * size, 1);
	while (level.count > HAMT_FAN_OUT) {
		struct trie_level above = {
			.count = (level.count + HAMT_FAN_OUT - 1) / HAMT_FAN_OUT,
		};
		if (!take_extra(d, above.count + level.count, &above.start))
			return false;
		size_t word = above.start;
		for (uint64_t i = 0; i < level.count; i++) {
			uint64_t left = level.count - i;
			if (i % HAMT_FAN_OUT == 0)
				set(d, word++,
				    make_map_header(d, ETP_MAP_NODE_BITMAP,
				                    left < HAMT_FAN_OUT ? (unsigned)left
				                                        : HAMT_FAN_OUT));
			set(d, word++, trie_child(&level, i));
		}
		level = above;
	}
	size_t head;
	uint64_t items = OFFSET(d->vm, hashmap_head, items) / 8;
	if (!take_extra(d, items + level.count, &head))
		return false;
	set(d, head,
	    make_map_header(d,
	                    level.count == HAMT_FAN_OUT ? ETP_MAP_HEAD_ARRAY : ETP_MAP_HEAD_BITMAP,
	                    (unsigned)level.count));
	set_member(d, head, ETP_MEMBER_hashmap_head_size, size);
	for (uint64_t i = 0; i < level.count; i++)
		set(d, head + items + i, trie_child(&level, i));
	set(d, slot, boxed(head));
	return true;
}

static bool decode_map(struct decoder *d, size_t slot)
{
	uint64_t size;
	if (!take_number(d, 4, &size) || !enough_bytes(d, 2 * size))
		return false;
	return size <= FLATMAP_MAX ? decode_flatmap(d, slot, size) : decode_hashmap(d, slot, size);
}

static bool decode_integer(struct decoder *d, size_t slot)
{
	int64_t value;
	d->p--;
	if (!take_small(d, &value))
		return false;
	set(d, slot, term_make_small(value));
	return true;
}

static bool decode_atom(struct decoder *d, size_t slot)
{
	uint64_t index;
	d->p--;
	if (!etp_take_atom(d, &index))
		return false;
	set(d, slot, term_make_atom(index));
	return true;
}

// Tags that only one of the dialects has.
static bool decode_of_dialect(struct decoder *d, size_t slot, uint64_t tag)
{
	if (!d->source->is_remote) {
		switch (tag) {
		case ATOM_INTERNAL_REF2:
		case ATOM_INTERNAL_REF3:
			return decode_atom(d, slot);
		case BINARY_INTERNAL_REF:
			return etp_decode_off_heap_binary(d, slot);
		case BIT_BINARY_INTERNAL_REF:
			return etp_decode_off_heap_bits(d, slot);
		case MAGIC_REF_INTERNAL_REF:
			return etp_decode_magic_ref(d, slot);
		default:
			return fail(d,
			            "external format with a tag that compressed rows do not use");
		}
	}
	switch (tag) {
	case ATOM_CACHE_REF:
	case ATOM_EXT:
	case SMALL_ATOM_EXT:
	case ATOM_UTF8_EXT:
	case SMALL_ATOM_UTF8_EXT:
		return decode_atom(d, slot);
	case PID_EXT:
		return etp_decode_pid(d, slot, 1);
	case PORT_EXT:
		return etp_decode_port(d, slot, 4, 1);
	case NEW_REFERENCE_EXT:
		return etp_decode_ref(d, slot, 1);
	default:
		return fail(d, "external format with a tag that nodes of today do not send");
	}
}

static bool decode_term(struct decoder *d, size_t slot)
{
	uint64_t tag;
	if (!take_number(d, 1, &tag))
		return false;
	switch (tag) {
	case NIL_EXT:
		set(d, slot, ETP_NIL);
		return true;
	case SMALL_INTEGER_EXT:
	case INTEGER_EXT:
		return decode_integer(d, slot);
	case SMALL_BIG_EXT:
		return decode_big(d, slot, 1);
	case LARGE_BIG_EXT:
		return decode_big(d, slot, 4);
	case NEW_FLOAT_EXT:
		return decode_float(d, slot);
	case STRING_EXT:
		return decode_string(d, slot);
	case LIST_EXT:
		return decode_list(d, slot);
	case SMALL_TUPLE_EXT:
		return decode_tuple(d, slot, 1);
	case LARGE_TUPLE_EXT:
		return decode_tuple(d, slot, 4);
	case MAP_EXT:
		return decode_map(d, slot);
	case BINARY_EXT:
		return etp_decode_binary(d, slot);
	case BIT_BINARY_EXT:
		return etp_decode_bit_binary(d, slot);
	case NEW_PID_EXT:
		return etp_decode_pid(d, slot, 4);
	case NEW_PORT_EXT:
		return etp_decode_port(d, slot, 4, 4);
	case V4_PORT_EXT:
		return etp_decode_port(d, slot, 8, 4);
	case NEWER_REFERENCE_EXT:
		return etp_decode_ref(d, slot, 4);
	case NEW_FUN_EXT:
		return etp_decode_fun(d, slot);
	case EXPORT_EXT:
		return etp_decode_export(d, slot);
	case RECORD_EXT:
		return etp_decode_record(d, slot);
	default:
		return decode_of_dialect(d, slot, tag);
	}
}

const char *etp_external_decode(struct etp_external *external, struct etp_reader *reader,
                                const struct etp_external_bytes *source, struct etp_words *words,
                                size_t slot, uint64_t *size_ret)
{
	struct decoder d = {
		.external = external,
		.vm = external->vm,
		.reader = reader,
		.words = words,
		.source = source,
		.p = source->bytes,
		.end = source->bytes + source->size,
		.pending = NO_SLOT,
	};
	push_slots(&d, slot, 1, 1);
	while (d.pending != NO_SLOT) {
		size_t next = d.pending;
		d.pending = (size_t)words->words[next];
		d.pending_count--;
		if (!decode_term(&d, next))
			return d.reason;
	}
	*size_ret = (uint64_t)(d.p - source->bytes);
	return NULL;
}
