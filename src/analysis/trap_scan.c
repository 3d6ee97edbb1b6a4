// SPDX-License-Identifier: Apache-2.0
#include "analysis/trap_scan.h"

#include "analysis/off_heap.h"

enum {
	// More words than any BIF keeps. Atomics and counters are magic binaries too, and may
	// have millions.
	WORDS_MAX = 256,
	// Others are on the heap (ERL_ONHEAP_BIN_LIMIT).
	ON_HEAP_MAX = 64,
	// Header of a block of an allocator, before the block (erl_alloc_util.h): in a carrier
	// of many the size is below MBC_ABLK_OFFSET, in one of its own it is all but the flags.
	BLOCK_FREE = 1 << 0,
	BLOCK_SINGLE = 7,
	BLOCK_FLAGS = 7,
	// More than an allocator rounds a size up to, in a carrier of many and in one of its own.
	BLOCK_SLACK = 1 << 12,
	SINGLE_SLACK = 1 << 21,
};

// Bit 63 is a flag too, the 23 below are the offset in the carrier.
#define BLOCK_TAG (UINT64_C(1) << 63)
#define BLOCK_SIZE_MASK ((UINT64_C(1) << 40) - 1)

// Does an allocator say that a block for `size` bytes is at `address`?
static bool is_block(struct etp_reader *reader, uint64_t address, uint64_t size)
{
	uint64_t header;
	if (!etp_read_u64(reader, address - sizeof(header), &header))
		return false;
	bool single = (header & BLOCK_SINGLE) == BLOCK_SINGLE;
	if (!single && header & BLOCK_FREE)
		return false;
	uint64_t block =
		(single ? header & ~BLOCK_TAG : header & BLOCK_SIZE_MASK) & ~(uint64_t)BLOCK_FLAGS;
	uint64_t needed = size + sizeof(header), slack = single ? SINGLE_SLACK : BLOCK_SLACK;
	return block >= needed && block - needed <= slack;
}

// Has what is at `address` all marks of a binary that one BIF holds and nothing else: no flags,
// one reference, and a block that is just large enough? Then `ret` gets it. To OTP 23
// erts_bin_nrml_alloc() made all binaries as drivers do.
static bool is_unfinished(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                          struct off_heap_binary *ret)
{
	uint64_t head = OFFSET(vm, Binary, orig_bytes);
	return address && address % 8 == 0 && off_heap_read_binary(vm, reader, address, ret) &&
	       !(ret->flags & ~(uint64_t)BIN_FLAG_DRV) && ret->refc == 1 &&
	       ret->size > ON_HEAP_MAX && ret->size < UINT64_C(1) << 47 &&
	       is_block(reader, address, head + ret->size) &&
	       etp_reader_at(reader, address + head + ret->size - 1, 1);
}

// The words of a magic binary's own data; NULL if it cannot be read.
static const void *data_words(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                              uint64_t *count_ret)
{
	struct off_heap_binary binary;
	uint64_t start = address + OFFSET(vm, ErtsMagicBinary, unaligned_data);
	uint64_t data = address + OFFSET(vm, Binary, orig_bytes);
	if (!off_heap_read_binary(vm, reader, address, &binary) || start < data ||
	    binary.size < start - data)
		return NULL;
	uint64_t count = (binary.size - (start - data)) / 8;
	*count_ret = count < WORDS_MAX ? count : WORDS_MAX;
	return *count_ret ? etp_reader_at(reader, start, *count_ret * 8) : NULL;
}

bool trap_holds_binaries(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address)
{
	uint64_t count;
	struct off_heap_binary binary;
	const void *words = data_words(vm, reader, address, &count);
	for (uint64_t i = 0; words && i < count; i++)
		if (is_unfinished(vm, reader, etp_word_at(words, i), &binary))
			return true;
	return false;
}

// Only binaries that nobody else has: a state that its BIF is done with stays as it was until
// the reference to it is collected, and what was built belongs to the process by then.
static bool add_state(struct root_scan *scan, uint64_t address)
{
	uint64_t count;
	struct off_heap_binary binary;
	const void *words = data_words(scan->vm, &scan->reader, address, &count);
	for (uint64_t i = 0; words && i < count; i++) {
		uint64_t word = etp_word_at(words, i);
		if (is_unfinished(scan->vm, &scan->reader, word, &binary) &&
		    !binary_map_find(&scan->store->map, word) &&
		    !binary_map_find(&scan->local, word) &&
		    !root_scan_add_binary(scan, word, 0, UINT64_MAX))
			return false;
	}
	return true;
}

bool trap_scan_run(struct root_scan *scan, trap_process_fn *process, const void *context)
{
	magic_store_sort_traps(scan->magic);
	for (size_t i = 0; i < scan->magic->trap_count; i++) {
		struct trap_state trap = scan->magic->traps[i];
		etp_term pid = process(context, trap.holder);
		if (pid && (!add_state(scan, trap.address) ||
		            !root_scan_finish(scan, ETP_HOLDER_TRAP, trap.address, pid)))
			return false;
	}
	return true;
}
