// SPDX-License-Identifier: Apache-2.0
#include "term/compare.h"

#include <stdlib.h>

#include "util/array.h"
#include "vm/vm.h"

enum {
	// Pairs that are always compared: rows of compressed tables stand outside the core.
	COMPARE_MIN = 1 << 20,
	// Parts of a term, and bytes of a binary, that its hash depends on.
	HASH_PARTS = 128,
	HASH_BYTES = 32,
};

struct pair {
	etp_term a, b;
};

struct comparison {
	const struct etp_vm *vm;
	struct etp_reader *reader_a, *reader_b;
	struct pair *stack;
	size_t count, capacity;
	// Pairs that may still be pushed: this bounds time and memory alike.
	uint64_t budget;
	bool out_of_memory, out_of_budget;
};

static bool push(struct comparison *c, etp_term a, etp_term b)
{
	if (!c->budget) {
		c->out_of_budget = true;
		return false;
	}
	c->budget--;
	struct pair *pair = array_add(&c->stack, &c->count, &c->capacity, sizeof(*pair));
	if (pair)
		*pair = (struct pair){a, b};
	else
		c->out_of_memory = true;
	return pair;
}

static bool equal_ids(const struct etp_term_view *a, const struct etp_term_view *b)
{
	if (a->id.sysname != b->id.sysname || a->id.creation != b->id.creation)
		return false;
	if (a->kind != ETP_TERM_REF)
		return a->id.number == b->id.number && a->id.serial == b->id.serial;
	return a->id.count == b->id.count &&
	       !memcmp(a->id.numbers, b->id.numbers, a->id.count * sizeof(a->id.numbers[0]));
}

static bool equal_bits(const struct etp_term_view *a, const struct etp_term_view *b)
{
	if (a->bits.bit_size != b->bits.bit_size || !a->bits.bytes || !b->bits.bytes)
		return false;
	uint64_t whole = a->bits.bit_size / 8;
	unsigned rest = a->bits.bit_size % 8;
	if (!a->bits.bit_offset && !b->bits.bit_offset) {
		if (memcmp(a->bits.bytes, b->bits.bytes, whole) != 0)
			return false;
	} else {
		for (uint64_t i = 0; i < whole; i++)
			if (etp_bits_byte(a, i) != etp_bits_byte(b, i))
				return false;
	}
	return !rest || !((etp_bits_byte(a, whole) ^ etp_bits_byte(b, whole)) >> (8 - rest));
}

// Maps with the same keys are walked in the same order.
static bool push_maps(struct comparison *c, const struct etp_term_view *a,
                      const struct etp_term_view *b)
{
	struct etp_map_iter in_a, in_b;
	etp_term key_a, value_a, key_b, value_b;
	etp_map_iter_init(&in_a, c->vm, c->reader_a, a, ETP_MAP_ORDER_ITERATOR);
	etp_map_iter_init(&in_b, c->vm, c->reader_b, b, ETP_MAP_ORDER_ITERATOR);
	if (in_a.remaining != in_b.remaining)
		return false;
	while (etp_map_iter_next(&in_a, &key_a, &value_a)) {
		if (!etp_map_iter_next(&in_b, &key_b, &value_b) || !push(c, key_a, key_b) ||
		    !push(c, value_a, value_b))
			return false;
	}
	return !in_a.damaged && !in_b.damaged;
}

static bool push_words(struct comparison *c, const void *a, const void *b, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!push(c, etp_word_at(a, i), etp_word_at(b, i)))
			return false;
	return true;
}

static bool equal_things(struct comparison *c, const struct etp_term_view *a,
                         const struct etp_term_view *b)
{
	switch (a->kind) {
	case ETP_TERM_BIG:
		return a->big.negative == b->big.negative && a->big.count == b->big.count &&
		       !memcmp(a->big.digits, b->big.digits, a->big.count * 8);
	case ETP_TERM_FLOAT:
		// Bits, as a copy has: nothing else is the same as a NaN of a damaged core.
		// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
		return !memcmp(&a->float_value, &b->float_value, sizeof(a->float_value));
	case ETP_TERM_CONS:
		return push(c, a->cons.tail, b->cons.tail) && push(c, a->cons.head, b->cons.head);
	case ETP_TERM_TUPLE:
		return a->tuple.arity == b->tuple.arity &&
		       push_words(c, a->tuple.elements, b->tuple.elements, a->tuple.arity);
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP:
		return push_maps(c, a, b);
	case ETP_TERM_RECORD:
		return a->record.module == b->record.module && a->record.name == b->record.name &&
		       a->record.size == b->record.size &&
		       push_words(c, a->record.keys, b->record.keys, a->record.size) &&
		       push_words(c, a->record.values, b->record.values, a->record.size);
	case ETP_TERM_BITSTRING:
		return equal_bits(a, b);
	case ETP_TERM_PID:
	case ETP_TERM_PORT:
	case ETP_TERM_REF:
		return equal_ids(a, b);
	case ETP_TERM_FUN:
		return a->fun.module == b->fun.module && a->fun.old_index == b->fun.old_index &&
		       a->fun.old_uniq == b->fun.old_uniq && a->fun.num_free == b->fun.num_free &&
		       push_words(c, a->fun.env, b->fun.env, a->fun.num_free);
	case ETP_TERM_EXPORT:
		return a->export.module == b->export.module &&
		       a->export.function == b->export.function &&
		       a->export.arity == b->export.arity;
	default:
		// Immediates: equal only if their words are.
		return false;
	}
}

struct etp_error *etp_term_equal(const struct etp_vm *vm, struct etp_reader *reader_a, etp_term a,
                                 struct etp_reader *reader_b, etp_term b, bool *ret)
{
	// Words of two different overlays can be equal without meaning the same.
	bool same_space = reader_a->overlay.bytes == reader_b->overlay.bytes;
	struct comparison c = {.vm = vm, .reader_a = reader_a, .reader_b = reader_b};
	// Terms that run in a circle, or share so much that they are endless when they are
	// walked, cannot be told apart: no term of the core has more parts than words.
	c.budget = etp_target_info(vm->target)->bytes_saved / 8 + COMPARE_MIN;
	bool equal = push(&c, a, b);
	while (equal && c.count) {
		struct pair pair = c.stack[--c.count];
		if (pair.a == pair.b && (same_space || term_is_immediate(pair.a)))
			continue;
		struct etp_term_view view_a, view_b;
		equal = etp_term_decode(vm, reader_a, pair.a, &view_a) ==
		                etp_term_decode(vm, reader_b, pair.b, &view_b) &&
		        equal_things(&c, &view_a, &view_b);
	}
	free(c.stack);
	if (c.out_of_memory)
		return &etp_error_no_memory;
	if (c.out_of_budget)
		return etp_error_create(
			ETP_ERROR_BAD_DATA, "The terms at 0x%llx and 0x%llx run in circles.",
			(unsigned long long)term_pointer(a), (unsigned long long)term_pointer(b));
	*ret = equal;
	return NULL;
}

struct hashing {
	uint64_t hash;
	// Parts that are still to be looked at.
	etp_term stack[HASH_PARTS];
	unsigned depth;
};

static void mix(struct hashing *h, uint64_t word)
{
	h->hash = (h->hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	h->hash ^= h->hash >> 29;
}

static void add_parts(struct hashing *h, const void *words, uint64_t count)
{
	for (uint64_t i = 0; i < count && h->depth < HASH_PARTS; i++)
		h->stack[h->depth++] = etp_word_at(words, i);
}

static void mix_bits(struct hashing *h, const struct etp_term_view *view)
{
	mix(h, view->bits.bit_size);
	for (uint64_t i = 0; view->bits.bytes && i < view->bits.bit_size / 8 && i < HASH_BYTES; i++)
		mix(h, etp_bits_byte(view, i));
}

// Only what equal_things() compares may be looked at here.
static void mix_thing(struct hashing *h, const struct etp_term_view *view)
{
	switch (view->kind) {
	case ETP_TERM_BIG:
		mix(h, view->big.count);
		if (view->big.count)
			mix(h, etp_word_at(view->big.digits, 0));
		break;
	case ETP_TERM_FLOAT: {
		uint64_t bits;
		memcpy(&bits, &view->float_value, sizeof(bits));
		mix(h, bits);
		break;
	}
	case ETP_TERM_CONS:
		add_parts(h, &view->cons.tail, 1);
		add_parts(h, &view->cons.head, 1);
		break;
	case ETP_TERM_TUPLE:
		mix(h, view->tuple.arity);
		add_parts(h, view->tuple.elements, view->tuple.arity);
		break;
	case ETP_TERM_FLATMAP:
		mix(h, view->flatmap.size);
		add_parts(h, view->flatmap.values, view->flatmap.size);
		break;
	case ETP_TERM_HASHMAP:
		mix(h, view->hashmap.size);
		break;
	case ETP_TERM_RECORD:
		mix(h, view->record.name);
		add_parts(h, view->record.values, view->record.size);
		break;
	case ETP_TERM_BITSTRING:
		mix_bits(h, view);
		break;
	case ETP_TERM_PID:
	case ETP_TERM_PORT:
		mix(h, view->id.number);
		mix(h, view->id.serial);
		break;
	case ETP_TERM_REF:
		for (unsigned i = 0; i < view->id.count; i++)
			mix(h, view->id.numbers[i]);
		break;
	case ETP_TERM_FUN:
		mix(h, view->fun.module);
		mix(h, (uint32_t)view->fun.old_index);
		break;
	case ETP_TERM_EXPORT:
		mix(h, view->export.module);
		mix(h, view->export.function);
		break;
	default:
		break;
	}
}

uint64_t etp_term_hash(const struct etp_vm *vm, struct etp_reader *reader, etp_term term)
{
	struct hashing h = {.stack = {term}, .depth = 1};
	for (unsigned n = 0; h.depth && n < HASH_PARTS; n++) {
		etp_term part = h.stack[--h.depth];
		struct etp_term_view view;
		if (term_is_immediate(part)) {
			mix(&h, part);
			continue;
		}
		mix(&h, etp_term_decode(vm, reader, part, &view));
		mix_thing(&h, &view);
	}
	return h.hash;
}
