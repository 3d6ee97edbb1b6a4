// SPDX-License-Identifier: Apache-2.0
#include "analysis/row_scan.h"

#include <stdlib.h>

#include "analysis/off_heap.h"

#include "util/array.h"
#include "util/reason.h"

enum {
	// Off-heap things of one row that we follow; beyond it, the chain is damaged.
	CHAIN_MAX = 1 << 24,
	// Terms of a key that are looked at for pids.
	KEY_TERMS_MAX = 64,
};

void row_scan_init(struct row_scan *scan, const struct etp_vm *vm, struct etp_reader *reader)
{
	*scan = (struct row_scan){.vm = vm, .reader = reader};
	etp_reader_init(&scan->binary_reader, reader->target);
}

void row_scan_deinit(struct row_scan *scan)
{
	free(scan->binaries);
	free(scan->ranges);
	free(scan->magics);
	free(scan->stack);
}

static void give_up(struct row_scan *scan, const char *problem)
{
	scan->unreadable++;
	reason_add(&scan->problem, problem);
}

// What of its Binary a ProcBin refers to; a BinRef (since OTP 27) refers to all of it.
static bool read_extent(const struct row_scan *scan, uint64_t address,
                        const struct off_heap_binary *binary, uint64_t *bytes_ret,
                        uint64_t *length_ret)
{
	const struct etp_vm *vm = scan->vm;
	if (HAS(vm, ProcBin, bytes))
		return READ_WORD(vm, scan->reader, address, ProcBin, bytes, bytes_ret) &&
		       READ_WORD(vm, scan->reader, address, ProcBin, size, length_ret);
	*bytes_ret = binary->address + OFFSET(vm, Binary, orig_bytes);
	*length_ret = binary->size;
	return true;
}

// One ProcBin or BinRef of the chain. False when memory ran out.
static bool add_proc_bin(struct row_scan *scan, uint64_t address)
{
	const struct etp_vm *vm = scan->vm;
	struct off_heap_binary binary;
	uint64_t value, bytes, length;
	if (!READ_WORD(vm, scan->reader, address, BinRef, val, &value) ||
	    !off_heap_read_binary(vm, &scan->binary_reader, value, &binary) ||
	    !read_extent(scan, address, &binary, &bytes, &length)) {
		give_up(scan, "an off-heap binary of an object cannot be read");
		return true;
	}
	struct row_binary bin = {
		.proc_bin = address,
		.binary = value,
		.size = binary.size,
		.refc = binary.refc,
		.flags = (uint32_t)binary.flags,
		.length = length,
	};
	uint64_t data = bin.binary + OFFSET(vm, Binary, orig_bytes);
	bin.offset = bytes - data;
	// All of a resource counts as seen, wherever the bytes are.
	if (bin.flags & BIN_FLAG_MAGIC) {
		bytes = data;
		bin.offset = 0;
		bin.length = bin.size;
	}
	if (bytes < data || bin.offset > bin.size || bin.length > bin.size - bin.offset) {
		give_up(scan, "an off-heap binary of an object contradicts its size");
		return true;
	}
	struct row_binary *slot = array_add(&scan->binaries, &scan->binary_count,
	                                    &scan->binary_capacity, sizeof(*slot));
	if (!slot)
		return false;
	*slot = bin;
	return true;
}

// References in a chain are magic ones.
static bool add_magic_ref(struct row_scan *scan, uint64_t address)
{
	uint64_t magic;
	if (!READ_WORD(scan->vm, scan->reader, address, ErtsMRefThing, mb, &magic)) {
		give_up(scan, "a magic reference of an object cannot be read");
		return true;
	}
	uint64_t *slot =
		array_add(&scan->magics, &scan->magic_count, &scan->magic_capacity, sizeof(*slot));
	if (slot)
		*slot = magic;
	return slot;
}

// The off-heap chain: binaries, funs, external identifiers and magic references
// (erl_message.h, struct erl_off_heap_header). In compressed objects its members
// may be unaligned.
static bool read_chain(struct row_scan *scan, uint64_t address)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t tortoise = 0, power = 1, steps = 0;
	for (uint64_t n = 0; address; n++) {
		uint64_t header, next;
		if (address == tortoise || n > CHAIN_MAX) {
			give_up(scan, "the off-heap chain of an object runs in a circle");
			return true;
		}
		if (++steps == power) {
			tortoise = address;
			power *= 2;
			steps = 0;
		}
		if (!READ_WORD(vm, scan->reader, address, ErlOffHeapHeader, thing_word, &header) ||
		    !READ_WORD(vm, scan->reader, address, ErlOffHeapHeader, next, &next)) {
			give_up(scan, "the off-heap chain of an object cannot be read");
			return true;
		}
		enum etp_thing thing = header_thing(vm->scheme, header);
		if ((thing_refers_to_binary(thing) && !add_proc_bin(scan, address)) ||
		    (thing == ETP_THING_REF && !add_magic_ref(scan, address)))
			return false;
		address = next;
	}
	return true;
}

// Binaries are found by the address of their ProcBin in objects that are swept,
// and by that of their Binary in those that are walked, whose ProcBins are copies.
static int compare_by_proc_bin(const void *a, const void *b)
{
	const struct row_binary *x = a, *y = b;
	return x->proc_bin < y->proc_bin ? -1 : x->proc_bin > y->proc_bin;
}

static int compare_by_binary(const void *a, const void *b)
{
	const struct row_binary *x = a, *y = b;
	return x->binary < y->binary ? -1 : x->binary > y->binary;
}

static const struct row_binary *find_proc_bin(const struct row_scan *scan, uint64_t address)
{
	struct row_binary key = {.proc_bin = address};
	// Most rows have one at most; and bsearch() may not be given NULL for an empty array.
	if (scan->binary_count <= 1)
		return scan->binary_count && scan->binaries->proc_bin == address ? scan->binaries
		                                                                 : NULL;
	return bsearch(&key, scan->binaries, scan->binary_count, sizeof(key), compare_by_proc_bin);
}

static const struct row_binary *find_binary(const struct row_scan *scan, uint64_t address)
{
	struct row_binary key = {.binary = address};
	// bsearch() may not be given NULL, not even for an empty array.
	if (!scan->binary_count)
		return NULL;
	return bsearch(&key, scan->binaries, scan->binary_count, sizeof(key), compare_by_binary);
}

// The row sees `length` bytes from `offset` on of what a ProcBin refers to.
static bool add_range(struct row_scan *scan, const struct row_binary *bin, uint64_t offset,
                      uint64_t length)
{
	if (offset > bin->length || length > bin->length - offset) {
		give_up(scan, "a sub-binary of an object reaches beyond its binary");
		return true;
	}
	struct row_range *range =
		array_add(&scan->ranges, &scan->range_count, &scan->range_capacity, sizeof(*range));
	if (!range)
		return false;
	range->binary = (uint32_t)(bin - scan->binaries);
	range->start = bin->offset + offset;
	range->end = range->start + length;
	return true;
}

// The row sees the bytes of `view`, which belong to `bin`.
static bool see_bits(struct row_scan *scan, const struct row_binary *bin,
                     const struct etp_term_view *view)
{
	if (bin->flags & BIN_FLAG_MAGIC)
		return add_range(scan, bin, 0, bin->length);
	uint64_t data = bin->binary + OFFSET(scan->vm, Binary, orig_bytes) + bin->offset;
	uint64_t bytes = (view->bits.bit_offset + view->bits.bit_size + 7) / 8;
	return add_range(scan, bin, view->bits.data_address - data, bytes);
}

static bool see_sub_binary(struct row_scan *scan, uint64_t address)
{
	struct etp_term_view view;
	if (etp_term_decode(scan->vm, scan->reader, address | TAG_PRIMARY_BOXED, &view) !=
	    ETP_TERM_BITSTRING) {
		give_up(scan, "a sub-binary of an object cannot be read");
		return true;
	}
	const struct row_binary *bin =
		view.bits.proc_bin ? find_proc_bin(scan, view.bits.proc_bin) : NULL;
	return !bin || see_bits(scan, bin, &view);
}

static void see_pid(struct row_scan *scan, etp_term pid)
{
	if (etp_vm_process(scan->vm, pid))
		scan->has_live_pid = true;
	else
		scan->has_dead_pid = true;
}

// An alias reference carries the pid of its process (ErtsPRefThing, erl_term.h).
static void see_ref(struct row_scan *scan, const struct etp_term_view *view)
{
	if (term_is_internal_pid(view->id.alias) && !etp_vm_process(scan->vm, view->id.alias))
		scan->has_dead_ref = true;
}

// Words that the header at `header` covers and that are no terms, itself included.
static uint64_t opaque_words(const struct etp_vm *vm, uint64_t header)
{
	switch (header_thing(vm->scheme, header)) {
	case ETP_THING_TUPLE:
		return 1;
	case ETP_THING_MAP:
		return header_map_type(header) == ETP_MAP_NODE_BITMAP ? 1 : 2;
	case ETP_THING_SUB_BIN:
		// The original behind it is no reference of its own.
		return SIZEOF(vm, ErlSubBin) / 8;
	case ETP_THING_FUN:
		return (HAS(vm, ErlFunThing, creator) ? OFFSET(vm, ErlFunThing, creator)
		                                      : OFFSET(vm, ErlFunThing, env)) /
		       8;
	case ETP_THING_RECORD:
		return OFFSET(vm, ErtsRecordInstance, record_definition) / 8;
	default:
		return 1 + header_arity(header);
	}
}

static bool sweep(struct row_scan *scan, const void *words, uint64_t address, uint64_t count)
{
	const struct etp_vm *vm = scan->vm;
	for (uint64_t i = 0; i < count;) {
		uint64_t word = etp_word_at(words, i);
		switch (term_primary(word)) {
		case TAG_PRIMARY_HEADER: {
			enum etp_thing thing = header_thing(vm->scheme, word);
			if ((thing == ETP_THING_SUB_BIN || thing == ETP_THING_SUB_BITS) &&
			    scan->binary_count && !see_sub_binary(scan, address + i * 8))
				return false;
			struct etp_term_view view;
			if (thing == ETP_THING_REF &&
			    etp_term_decode(vm, scan->reader, (address + i * 8) | TAG_PRIMARY_BOXED,
			                    &view) == ETP_TERM_REF)
				see_ref(scan, &view);
			i += opaque_words(vm, word);
			continue;
		}
		case TAG_PRIMARY_IMMED1:
			if (term_is_internal_pid(word))
				see_pid(scan, word);
			break;
		case TAG_PRIMARY_BOXED:
			if (scan->binary_count) {
				const struct row_binary *bin =
					find_proc_bin(scan, term_pointer(word));
				if (bin && !add_range(scan, bin, 0, bin->length))
					return false;
			}
			break;
		default:
			break;
		}
		i++;
	}
	return true;
}

void row_scan_reset(struct row_scan *scan)
{
	scan->binary_count = scan->range_count = scan->magic_count = 0;
	scan->has_live_pid = scan->has_dead_pid = scan->has_dead_ref = false;
}

// Forget the last row, and read the off-heap chain of this one.
static bool begin(struct row_scan *scan, uint64_t first_oh,
                  int (*compare)(const void *, const void *))
{
	row_scan_reset(scan);
	if (first_oh && !read_chain(scan, first_oh))
		return false;
	if (scan->binary_count > 1)
		qsort(scan->binaries, scan->binary_count, sizeof(*scan->binaries), compare);
	return true;
}

bool row_scan_sweep(struct row_scan *scan, uint64_t first_oh, uint64_t address, uint64_t count)
{
	if (!begin(scan, first_oh, compare_by_proc_bin))
		return false;
	const void *words =
		count < UINT64_C(1) << 40 ? etp_reader_at(scan->reader, address, count * 8) : NULL;
	if (!words) {
		give_up(scan, "the words of an object cannot be read");
		return true;
	}
	return sweep(scan, words, address, count);
}

bool row_scan_chain(struct row_scan *scan, uint64_t first_oh)
{
	return begin(scan, first_oh, compare_by_proc_bin);
}

static bool push(struct row_scan *scan, etp_term term)
{
	// Of immediates, only pids matter here.
	if (term_is_immediate(term) && !term_is_internal_pid(term))
		return true;
	etp_term *slot =
		array_add(&scan->stack, &scan->stack_count, &scan->stack_capacity, sizeof(*slot));
	if (slot)
		*slot = term;
	return slot;
}

static bool push_words(struct row_scan *scan, const void *words, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!push(scan, etp_word_at(words, i)))
			return false;
	return true;
}

static bool push_pairs(struct row_scan *scan, const struct etp_term_view *map)
{
	struct etp_map_iter iter;
	etp_term key, value;
	etp_map_iter_init(&iter, scan->vm, scan->reader, map, ETP_MAP_ORDER_ITERATOR);
	while (etp_map_iter_next(&iter, &key, &value))
		if (!push(scan, key) || !push(scan, value))
			return false;
	if (iter.damaged)
		give_up(scan, "a map of an object cannot be read");
	return true;
}

static bool visit(struct row_scan *scan, etp_term term)
{
	struct etp_term_view view;
	switch (etp_term_decode(scan->vm, scan->reader, term, &view)) {
	case ETP_TERM_PID:
		if (!view.id.is_external)
			see_pid(scan, term);
		return true;
	case ETP_TERM_REF:
		see_ref(scan, &view);
		return true;
	case ETP_TERM_BITSTRING: {
		const struct row_binary *bin =
			view.bits.binary ? find_binary(scan, view.bits.binary) : NULL;
		return !bin || see_bits(scan, bin, &view);
	}
	case ETP_TERM_CONS:
		return push(scan, view.cons.tail) && push(scan, view.cons.head);
	case ETP_TERM_TUPLE:
		return push_words(scan, view.tuple.elements, view.tuple.arity);
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP:
		return push_pairs(scan, &view);
	case ETP_TERM_RECORD:
		return push_words(scan, view.record.values, view.record.size);
	case ETP_TERM_FUN:
		return (!view.fun.creator || push(scan, view.fun.creator)) &&
		       push_words(scan, view.fun.env, view.fun.num_free);
	case ETP_TERM_INVALID:
		give_up(scan, view.reason);
		return true;
	default:
		return true;
	}
}

bool row_scan_walk(struct row_scan *scan, uint64_t first_oh, etp_term tuple, uint64_t limit)
{
	if (!begin(scan, first_oh, compare_by_binary))
		return false;
	scan->stack_count = 0;
	if (!push(scan, tuple))
		return false;
	for (uint64_t n = 0; scan->stack_count; n++) {
		if (n > limit) {
			give_up(scan, "the terms of an object run in a circle");
			return true;
		}
		if (!visit(scan, scan->stack[--scan->stack_count]))
			return false;
	}
	return true;
}

// As sighted by one of the row's references, or by none.
static struct binary_sight sight_of(const struct row_binary *bin, uint32_t refs)
{
	return (struct binary_sight){
		.address = bin->binary,
		.size = bin->size,
		.refc = bin->refc,
		.flags = bin->flags,
		.refs = refs,
	};
}

bool row_scan_collect(const struct row_scan *scan, struct binary_feed *feed)
{
	const struct row_range *range = scan->ranges;
	// The usual row sees one range of its only binary.
	bool single = scan->binary_count == 1 && scan->range_count == 1;
	for (size_t i = 0; i < scan->binary_count; i++) {
		struct binary_sight sight = sight_of(&scan->binaries[i], 1);
		if (single) {
			sight.start = range->start;
			sight.end = range->end;
		}
		if (!binary_feed_add(feed, &sight))
			return false;
	}
	for (size_t i = 0; !single && i < scan->range_count; i++, range++) {
		struct binary_sight sight = sight_of(&scan->binaries[range->binary], 0);
		sight.start = range->start;
		sight.end = range->end;
		if (!binary_feed_add(feed, &sight))
			return false;
	}
	return true;
}

bool row_scan_key_is_dead(struct row_scan *scan, etp_term key)
{
	etp_term stack[KEY_TERMS_MAX];
	unsigned depth = 0;
	stack[depth++] = key;
	for (unsigned n = 0; depth && n < KEY_TERMS_MAX; n++) {
		etp_term term = stack[--depth];
		struct etp_term_view view;
		if (term_is_internal_pid(term)) {
			if (!etp_vm_process(scan->vm, term))
				return true;
			continue;
		}
		if (term_is_immediate(term))
			continue;
		switch (etp_term_decode(scan->vm, scan->reader, term, &view)) {
		case ETP_TERM_TUPLE:
			for (uint64_t i = 0; i < view.tuple.arity && depth < KEY_TERMS_MAX; i++)
				stack[depth++] = etp_word_at(view.tuple.elements, i);
			break;
		case ETP_TERM_CONS:
			if (depth + 2 <= KEY_TERMS_MAX) {
				stack[depth++] = view.cons.tail;
				stack[depth++] = view.cons.head;
			}
			break;
		default:
			break;
		}
	}
	return false;
}
