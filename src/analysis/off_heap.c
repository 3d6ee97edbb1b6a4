// SPDX-License-Identifier: Apache-2.0
#include "analysis/off_heap.h"

enum {
	// Things of one chain; beyond it, the chain is damaged.
	CHAIN_MAX = 1 << 28,
};

static bool end(struct off_heap_iter *iter, const char *problem)
{
	iter->problem = problem;
	iter->address = 0;
	return false;
}

bool off_heap_next_of(struct off_heap_iter *iter, enum etp_thing one, enum etp_thing other,
                      enum etp_thing *kind_ret, uint64_t *thing_ret)
{
	const struct etp_vm *vm = iter->vm;
	while (iter->address) {
		uint64_t thing = iter->address, header, next;
		if (thing == iter->tortoise || ++iter->total > CHAIN_MAX)
			return end(iter, "an off-heap chain runs in a circle");
		if (++iter->steps == iter->power) {
			iter->tortoise = thing;
			iter->power *= 2;
			iter->steps = 0;
		}
		if (!READ_WORD(vm, iter->reader, thing, ErlOffHeapHeader, thing_word, &header) ||
		    !READ_WORD(vm, iter->reader, thing, ErlOffHeapHeader, next, &next))
			return end(iter, "an off-heap chain cannot be read");
		// In the middle of a collection a moved thing has the address of its copy
		// for a header; the words behind it are as they were.
		if (term_primary(header) == TAG_PRIMARY_BOXED &&
		    !etp_read_u64(iter->reader, term_pointer(header), &header))
			return end(iter, "an off-heap chain cannot be read");
		enum etp_thing kind = term_primary(header) == TAG_PRIMARY_HEADER
		                              ? header_thing(vm->scheme, header)
		                              : ETP_THING_NONE;
		iter->address = next;
		switch (kind) {
		case ETP_THING_PROC_BIN:
		case ETP_THING_BIN_REF:
		case ETP_THING_FUN:
		case ETP_THING_FUN_REF:
		case ETP_THING_REF:
		case ETP_THING_EXTERNAL_PID:
		case ETP_THING_EXTERNAL_PORT:
		case ETP_THING_EXTERNAL_REF:
			if (kind != one && kind != other)
				break;
			*kind_ret = kind;
			*thing_ret = thing;
			return true;
		default:
			return end(iter, "an off-heap chain leads to something that is none");
		}
	}
	return false;
}

bool off_heap_read_binary(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                          struct off_heap_binary *ret)
{
	ret->address = address;
	return READ_WORD(vm, reader, address, Binary, orig_size, &ret->size) &&
	       READ_WORD(vm, reader, address, Binary, refc, &ret->refc) &&
	       READ_WORD(vm, reader, address, Binary, flags, &ret->flags) &&
	       ret->size <= BINARY_SIZE_MAX && ret->refc <= BINARY_REFC_MAX;
}
