// SPDX-License-Identifier: Apache-2.0
#include <etp/heap.h>

#include "vm/vm.h"

const char *etp_heap_area_kind_name(enum etp_heap_area_kind kind)
{
	static const char *const names[] = {
		[ETP_HEAP_YOUNG] = "heap",
		[ETP_HEAP_OLD] = "old_heap",
		[ETP_HEAP_FRAGMENT] = "fragment",
	};
	return names[kind];
}

const char *etp_heap_thing_kind_name(enum etp_heap_thing_kind kind)
{
	static const char *const names[] = {
		[ETP_HEAP_TERM] = "term",
		[ETP_HEAP_MAP_NODE] = "map_node",
		[ETP_HEAP_FUN_REF] = "fun_ref",
		[ETP_HEAP_INVALID] = "invalid",
	};
	return names[kind];
}

struct areas {
	struct etp_heap_area *areas;
	size_t capacity, count;
	const char *problem;
};

static void add_area(struct areas *areas, const struct etp_heap_area *area)
{
	if (area->start > area->top || area->top > area->end || area->start % 8 || area->top % 8) {
		areas->problem = "an area of its heap does not end behind its start";
		return;
	}
	if (areas->count < areas->capacity)
		areas->areas[areas->count] = *area;
	areas->count++;
}

static void add_fragments(const struct etp_vm *vm, struct etp_reader *reader, uint64_t fragment,
                          struct areas *areas)
{
	struct etp_chain chain = {0};
	while (fragment) {
		struct etp_heap_area area = {.kind = ETP_HEAP_FRAGMENT};
		uint64_t words, next;
		if (!etp_chain_step(&chain, fragment)) {
			areas->problem = "its heap fragments come round in a circle";
			return;
		}
		if (!etp_vm_read_member(vm, reader, fragment, ETP_MEMBER_ErlHeapFragment_used_size,
		                        &words) ||
		    !READ_WORD(vm, reader, fragment, ErlHeapFragment, off_heap, &area.off_heap) ||
		    !READ_WORD(vm, reader, fragment, ErlHeapFragment, next, &next)) {
			areas->problem = "a heap fragment is not in the core";
			return;
		}
		area.start = fragment + OFFSET(vm, ErlHeapFragment, mem);
		// A wrong size shows as an end before the start.
		area.top = words < UINT64_C(1) << 44 ? area.start + words * 8 : 0;
		area.end = area.top;
		add_area(areas, &area);
		fragment = next;
	}
}

size_t etp_heap_areas(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                      struct etp_heap_area *found, size_t capacity, const char **problem_ret)
{
	struct areas areas = {.areas = found, .capacity = capacity};
	struct etp_heap_area young = {.kind = ETP_HEAP_YOUNG}, old = {.kind = ETP_HEAP_OLD};
	uint64_t fragments;
	if (READ_WORD(vm, reader, address, Process, heap, &young.start) &&
	    READ_WORD(vm, reader, address, Process, htop, &young.top) &&
	    READ_WORD(vm, reader, address, Process, hend, &young.end) &&
	    READ_WORD(vm, reader, address, Process, off_heap, &young.off_heap) &&
	    READ_WORD(vm, reader, address, Process, old_heap, &old.start) &&
	    READ_WORD(vm, reader, address, Process, old_htop, &old.top) &&
	    READ_WORD(vm, reader, address, Process, old_hend, &old.end) &&
	    READ_WORD(vm, reader, address, Process, mbuf, &fragments)) {
		add_area(&areas, &young);
		if (old.start)
			add_area(&areas, &old);
		add_fragments(vm, reader, fragments, &areas);
	} else {
		areas.problem = "its Process is not in the core";
	}
	*problem_ret = areas.problem;
	return areas.count;
}

void etp_heap_iter_init(struct etp_heap_iter *iter, const struct etp_vm *vm,
                        struct etp_reader *reader, uint64_t start, uint64_t end)
{
	*iter = (struct etp_heap_iter){.vm = vm, .reader = reader, .next = start, .end = end};
}

static void decode_thing(struct etp_heap_iter *iter, uint64_t first, struct etp_heap_thing *thing)
{
	struct etp_term_view view;
	if (term_primary(first) != TAG_PRIMARY_HEADER) {
		thing->words = 2;
		thing->term = thing->address | TAG_PRIMARY_LIST;
		return;
	}
	thing->term = thing->address | TAG_PRIMARY_BOXED;
	if (header_thing(iter->vm->scheme, first) == ETP_THING_MAP &&
	    header_map_type(first) == ETP_MAP_NODE_BITMAP) {
		thing->kind = ETP_HEAP_MAP_NODE;
		thing->words = 1 + (unsigned)__builtin_popcount(header_map_bitmap(first));
		return;
	}
	if (header_thing(iter->vm->scheme, first) == ETP_THING_FUN_REF) {
		thing->kind = ETP_HEAP_FUN_REF;
		thing->words = 1 + header_arity(first);
		return;
	}
	if (etp_term_decode(iter->vm, iter->reader, thing->term, &view) == ETP_TERM_INVALID)
		thing->kind = ETP_HEAP_INVALID;
	thing->words = view.words;
}

bool etp_heap_iter_next(struct etp_heap_iter *iter, struct etp_heap_thing *ret)
{
	if (iter->next >= iter->end)
		return false;
	struct etp_heap_thing thing = {.address = iter->next};
	uint64_t first, left = (iter->end - iter->next) / 8;
	if (!etp_read_u64(iter->reader, iter->next, &first)) {
		iter->unreadable = left;
		iter->next = iter->end;
		return false;
	}
	decode_thing(iter, first, &thing);
	// What follows something that makes no sense is looked at word by word.
	if (!thing.words || thing.words > left) {
		thing.kind = ETP_HEAP_INVALID;
		thing.words = 1;
	}
	iter->next += thing.words * 8;
	*ret = thing;
	return true;
}

void etp_off_heap_iter_init(struct etp_off_heap_iter *iter, const struct etp_vm *vm,
                            struct etp_reader *reader, uint64_t first)
{
	*iter = (struct etp_off_heap_iter){.vm = vm, .reader = reader, .next = first};
}

bool etp_off_heap_iter_next(struct etp_off_heap_iter *iter, etp_term *ret)
{
	uint64_t thing = iter->next, next;
	if (!thing)
		return false;
	iter->next = 0;
	if (thing % 8 || !etp_chain_step(&iter->chain, thing)) {
		iter->problem = thing % 8 ? "the chain leads to something that is no address"
		                          : "the chain comes round in a circle";
		return false;
	}
	if (!READ_WORD(iter->vm, iter->reader, thing, ErlOffHeapHeader, next, &next)) {
		iter->problem = "the chain leads out of the core";
		return false;
	}
	iter->next = next;
	*ret = thing | TAG_PRIMARY_BOXED;
	return true;
}

uint64_t etp_heap_writable_binaries(const struct etp_vm *vm, struct etp_reader *reader,
                                    uint64_t process)
{
	uint64_t first;
	if (!HAS(vm, Process, wrt_bins) ||
	    !READ_WORD(vm, reader, process, Process, wrt_bins, &first))
		return 0;
	return first;
}
