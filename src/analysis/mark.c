// SPDX-License-Identifier: Apache-2.0
#include "analysis/mark.h"

#include <stdlib.h>

#include "analysis/off_heap.h"
#include "term/fun_shape.h"

enum {
	// Words of the bitmap in a block, as a power of 2.
	BLOCK_LOG = 9,
	BLOCK = 1 << BLOCK_LOG,
};

void marker_init(struct marker *marker, const struct etp_vm *vm, struct etp_reader *reader)
{
	*marker = (struct marker){.vm = vm, .reader = reader};
}

void marker_deinit(struct marker *marker)
{
	free(marker->bits);
	free(marker->touched);
	free(marker->stack);
}

static void give_up(struct marker *marker, const char *problem)
{
	marker->unreadable++;
	marker->problem = problem;
}

static bool push(struct marker *marker, const unsigned char *words, uint64_t count)
{
	if (!count)
		return true;
	if (marker->stack_count == marker->stack_capacity) {
		size_t capacity = marker->stack_capacity ? marker->stack_capacity * 2 : 256;
		struct mark_range *stack = realloc(marker->stack, capacity * sizeof(*stack));
		if (!stack)
			return false;
		marker->stack = stack;
		marker->stack_capacity = capacity;
	}
	marker->stack[marker->stack_count++] = (struct mark_range){words, count};
	return true;
}

static const struct heap_area *find_area(struct marker *marker, uint64_t address)
{
	const struct heap_area *area = marker->last_area;
	if (area && address - area->start < area->end - area->start)
		return area;
	area = process_heap_find(marker->heap, address);
	if (area)
		marker->last_area = area;
	return area;
}

enum mark_result {
	MARK_NEW,
	MARK_SEEN,
	MARK_FOREIGN,
};

// Note that a thing starts at `address`, which must lie in the process's memory.
static enum mark_result mark(struct marker *marker, uint64_t address)
{
	const struct heap_area *area = find_area(marker, address);
	if (!area)
		return MARK_FOREIGN;
	uint64_t bit = area->bit + (address - area->start) / 8;
	uint64_t mask = UINT64_C(1) << bit % 64;
	if (marker->bits[bit / 64] & mask)
		return MARK_SEEN;
	marker->bits[bit / 64] |= mask;
	if (marker->collect) {
		uint64_t block = bit / 64 >> BLOCK_LOG;
		marker->touched[block / 64] |= UINT64_C(1) << block % 64;
	}
	return MARK_NEW;
}

bool marker_is_live(const struct marker *marker, uint64_t address)
{
	const struct heap_area *area = process_heap_find(marker->heap, address);
	if (!area)
		return false;
	uint64_t bit = area->bit + (address - area->start) / 8;
	return marker->bits[bit / 64] >> bit % 64 & 1;
}

// Let the Binary at `address` join the map. False when memory ran out.
static bool collect_binary(struct marker *marker, uint64_t address)
{
	struct off_heap_binary binary;
	if (!off_heap_read_binary(marker->vm, marker->reader, address, &binary)) {
		give_up(marker, "an off-heap binary cannot be read");
		return true;
	}
	struct binary_entry *entry = binary_map_insert(marker->binaries, address);
	if (entry) {
		entry->size = binary.size;
		entry->flags = (uint32_t)binary.flags;
	}
	return entry;
}

// Live terms see these bits of an off-heap binary.
static bool see_bits(struct marker *marker, const struct etp_term_view *view)
{
	if (view->bits.binary && marker->collect && !collect_binary(marker, view->bits.binary))
		return false;
	struct binary_entry *entry =
		view->bits.binary ? binary_map_find(marker->binaries, view->bits.binary) : NULL;
	if (!entry)
		return true;
	if (entry->flags & BIN_FLAG_MAGIC)
		return binary_map_add_range(marker->binaries, entry, 0, entry->size);
	uint64_t data = entry->address + OFFSET(marker->vm, Binary, orig_bytes);
	uint64_t start = view->bits.data_address - data;
	uint64_t bytes = (view->bits.bit_offset + view->bits.bit_size + 7) / 8;
	if (view->bits.data_address < data || start > entry->size || bytes > entry->size - start) {
		give_up(marker, "a binary sees more than there is");
		return true;
	}
	return binary_map_add_range(marker->binaries, entry, start, start + bytes);
}

// A ProcBin that is referred to as a term shows all of its bytes, however often it
// was met as the original of sub-binaries before.
static bool visit_binary(struct marker *marker, uint64_t address, enum etp_thing thing,
                         enum mark_result result)
{
	if (result == MARK_SEEN && thing != ETP_THING_PROC_BIN)
		return true;
	struct etp_term_view view;
	enum etp_term_kind kind =
		etp_term_decode(marker->vm, marker->reader, address | TAG_PRIMARY_BOXED, &view);
	if (kind != ETP_TERM_BITSTRING && kind != ETP_TERM_MATCH_CONTEXT) {
		give_up(marker, view.reason ? view.reason : "a binary cannot be read");
		return true;
	}
	if (result == MARK_NEW)
		marker->live_words += view.words;
	// The original of a sub-binary lives with it.
	if (view.bits.proc_bin && view.bits.proc_bin != address &&
	    mark(marker, view.bits.proc_bin) == MARK_NEW)
		marker->live_words += SIZEOF(marker->vm, BinRef) / 8;
	return see_bits(marker, &view);
}

// A sub-binary of a heap binary, or since OTP 27 a match context of heap bits, keeps
// that alive.
static void visit_heap_original(struct marker *marker, uint64_t address, enum etp_thing thing)
{
	const struct etp_vm *vm = marker->vm;
	uint64_t member = thing == ETP_THING_SUB_BITS ? OFFSET(vm, ErlSubBits, orig)
	                                              : OFFSET(vm, ErlSubBin, orig);
	uint64_t original, header;
	if (etp_read_u64(marker->reader, address + member, &original) &&
	    etp_read_u64(marker->reader, term_pointer(original), &header) &&
	    !thing_refers_to_binary(header_thing(vm->scheme, header)) &&
	    mark(marker, term_pointer(original)) == MARK_NEW)
		marker->live_words += 1 + header_arity(header);
}

// Words of a thing that are terms: from `first` on, `count` of them. False if the
// thing makes no sense.
static bool term_words(const struct marker *marker, const unsigned char *thing, uint64_t header,
                       uint64_t *first, uint64_t *count)
{
	const struct etp_vm *vm = marker->vm;
	switch (header_thing(vm->scheme, header)) {
	case ETP_THING_TUPLE:
		*first = 1;
		*count = header_arity(header);
		return true;
	case ETP_THING_MAP:
		switch (header_map_type(header)) {
		case ETP_MAP_FLAT:
			// The tuple of keys stands before the values.
			*first = OFFSET(vm, flatmap, keys) / 8;
			*count = 1 + WORD_OF(vm, thing, flatmap, size);
			return *count < UINT64_C(1) << 32;
		case ETP_MAP_HEAD_ARRAY:
			*first = OFFSET(vm, hashmap_head, items) / 8;
			*count = 16;
			return true;
		case ETP_MAP_HEAD_BITMAP:
			*first = OFFSET(vm, hashmap_head, items) / 8;
			*count = (unsigned)__builtin_popcount(header_map_bitmap(header));
			return true;
		default:
			*first = 1;
			*count = (unsigned)__builtin_popcount(header_map_bitmap(header));
			return true;
		}
	case ETP_THING_FUN:
		fun_terms(vm, thing, header, first, count);
		return true;
	case ETP_THING_RECORD:
		*first = OFFSET(vm, ErtsRecordInstance, record_definition) / 8;
		*count = header_arity(header);
		return true;
	default:
		*first = 1 + header_arity(header);
		*count = 0;
		return true;
	}
}

static bool visit_boxed(struct marker *marker, uint64_t address)
{
	const struct etp_vm *vm = marker->vm;
	enum mark_result result = mark(marker, address);
	if (result == MARK_FOREIGN) {
		marker->foreign++;
		return true;
	}
	uint64_t header;
	if (!etp_read_u64(marker->reader, address, &header) ||
	    term_primary(header) != TAG_PRIMARY_HEADER) {
		give_up(marker, "a pointer into the heap leads to no thing");
		return true;
	}
	enum etp_thing thing = header_thing(vm->scheme, header);
	switch (thing) {
	case ETP_THING_NONE:
		give_up(marker, "a pointer into the heap leads to no thing");
		return true;
	case ETP_THING_SUB_BIN:
	case ETP_THING_SUB_BITS:
		visit_heap_original(marker, address, thing);
		return visit_binary(marker, address, thing, result);
	case ETP_THING_PROC_BIN:
	case ETP_THING_BIN_REF:
	case ETP_THING_MATCH_STATE:
		return visit_binary(marker, address, thing, result);
	default:
		break;
	}
	if (result == MARK_SEEN)
		return true;
	// Enough for every member that term_words() reads.
	const unsigned char *head =
		etp_reader_at(marker->reader, address,
	                      thing == ETP_THING_FUN   ? OFFSET(vm, ErlFunThing, env)
	                      : thing == ETP_THING_MAP ? 16
	                                               : 8);
	uint64_t first, count;
	if (!head || !term_words(marker, head, header, &first, &count) ||
	    first + count >= UINT64_C(1) << 44) {
		give_up(marker, "a thing on the heap makes no sense");
		return true;
	}
	const unsigned char *words =
		count ? etp_reader_at(marker->reader, address + first * 8, count * 8) : head;
	if (!words) {
		give_up(marker, "a thing on the heap reaches beyond its memory");
		return true;
	}
	marker->live_words += first + count;
	if (thing == ETP_THING_MAP && header_map_type(header) != ETP_MAP_FLAT) {
		marker->trie_words += first + count;
		if (header_map_type(header) != ETP_MAP_NODE_BITMAP)
			marker->trie_pairs += WORD_OF(vm, head, hashmap_head, size);
	}
	return push(marker, words, count);
}

// A list is followed along its tails, so that its length costs no stack.
static bool visit_list(struct marker *marker, uint64_t address)
{
	for (;;) {
		switch (mark(marker, address)) {
		case MARK_FOREIGN:
			marker->foreign++;
			return true;
		case MARK_SEEN:
			return true;
		case MARK_NEW:
			break;
		}
		const unsigned char *cell = etp_reader_at(marker->reader, address, 16);
		if (!cell) {
			give_up(marker, "a list on the heap cannot be read");
			return true;
		}
		marker->live_words += 2;
		marker->terms++;
		etp_term head = etp_word_at(cell, 0), tail = etp_word_at(cell, 1);
		if (!term_is_immediate(head) && !push(marker, cell, 1))
			return false;
		if (term_primary(tail) != TAG_PRIMARY_LIST)
			return term_is_immediate(tail) || push(marker, cell + 8, 1);
		address = term_pointer(tail);
	}
}

static bool visit(struct marker *marker, etp_term term)
{
	switch (term_primary(term)) {
	case TAG_PRIMARY_BOXED:
		marker->terms++;
		return visit_boxed(marker, term_pointer(term));
	case TAG_PRIMARY_LIST:
		return visit_list(marker, term_pointer(term));
	default:
		// An immediate, or a return address on the stack.
		return true;
	}
}

static bool drain(struct marker *marker)
{
	while (marker->stack_count) {
		struct mark_range *top = &marker->stack[marker->stack_count - 1];
		etp_term term = etp_word_at(top->words, 0);
		top->words += 8;
		if (!--top->count)
			marker->stack_count--;
		if (!visit(marker, term))
			return false;
	}
	return true;
}

static size_t touched_words(size_t bits)
{
	return (bits >> BLOCK_LOG) / 64 + 1;
}

// Have room for so many words of bits. False when memory ran out.
static bool grow_bits(struct marker *marker, size_t size)
{
	if (size <= marker->bits_capacity)
		return true;
	uint64_t *bits = realloc(marker->bits, size * sizeof(*bits));
	if (!bits)
		return false;
	marker->bits = bits;
	uint64_t *touched = realloc(marker->touched, touched_words(size) * sizeof(*touched));
	if (!touched)
		return false;
	marker->touched = touched;
	marker->bits_capacity = size;
	marker->tracked = 0;
	return true;
}

static void clear_touched(struct marker *marker)
{
	for (size_t i = 0; i < touched_words(marker->tracked); i++)
		for (; marker->touched[i]; marker->touched[i] &= marker->touched[i] - 1) {
			size_t at = (i * 64 + (size_t)__builtin_ctzll(marker->touched[i])) * BLOCK;
			size_t left = marker->tracked - at;
			memset(marker->bits + at, 0,
			       (left < BLOCK ? left : BLOCK) * sizeof(*marker->bits));
		}
}

// Forget what was marked, in a bitmap that fits `heap`; to mark what a collection would keep, or
// to measure. False when memory ran out.
static bool begin(struct marker *marker, const struct process_heap *heap,
                  struct binary_map *binaries, bool measure)
{
	size_t size = (size_t)(heap->words / 64 + 1);
	if (!grow_bits(marker, size))
		return false;
	if (measure && size <= marker->tracked) {
		clear_touched(marker);
	} else {
		memset(marker->bits, 0, size * sizeof(*marker->bits));
		memset(marker->touched, 0, touched_words(size) * sizeof(*marker->touched));
		marker->tracked = measure ? size : 0;
	}
	marker->collect = measure;
	marker->heap = heap;
	marker->binaries = binaries;
	marker->last_area = NULL;
	marker->stack_count = 0;
	marker->live_words = marker->terms = marker->foreign = marker->unreadable = 0;
	marker->trie_words = marker->trie_pairs = 0;
	marker->problem = NULL;
	return true;
}

bool marker_run(struct marker *marker, const struct process_heap *heap, struct binary_map *binaries,
                bool in_transit)
{
	if (!begin(marker, heap, binaries, false))
		return false;
	for (size_t i = 0; i < heap->root_count; i++) {
		const struct heap_root *root = &heap->roots[i];
		if (root->in_transit && !in_transit)
			continue;
		const unsigned char *words =
			etp_reader_at(marker->reader, root->address, root->count * 8);
		if (!words)
			give_up(marker, "a root cannot be read");
		else if (!push(marker, words, root->count) || !drain(marker))
			return false;
	}
	return true;
}

bool marker_measure(struct marker *marker, const struct process_heap *heap, etp_term term,
                    struct binary_map *binaries)
{
	return begin(marker, heap, binaries, true) && marker_measure_more(marker, term);
}

bool marker_measure_more(struct marker *marker, etp_term term)
{
	return visit(marker, term) && drain(marker);
}
