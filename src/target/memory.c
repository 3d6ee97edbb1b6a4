// SPDX-License-Identifier: Apache-2.0
// Targets made of blocks of memory that the caller has.

#include "target/internal.h"

#include <stdlib.h>
#include <string.h>

static struct etp_error *check_blocks(const struct etp_memory *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct etp_memory *block = &blocks[i];
		if (block->size > 0 && block->address + (block->size - 1) < block->address)
			return etp_error_create(ETP_ERROR_ARGUMENT,
			                        "The memory block at 0x%llx of %llu bytes does not "
			                        "fit into the address space.",
			                        (unsigned long long)block->address,
			                        (unsigned long long)block->size);
		if (block->size > 0 && !block->bytes)
			return etp_error_create(ETP_ERROR_ARGUMENT,
			                        "The memory block at 0x%llx has no bytes.",
			                        (unsigned long long)block->address);
	}
	return NULL;
}

static struct etp_error *add_blocks(struct etp_target *target, const struct etp_memory *blocks,
                                    size_t count)
{
	uint64_t total = 0;
	for (size_t i = 0; i < count; i++) {
		struct etp_error *err = etp_target_add_segment(target, blocks[i].address,
		                                               blocks[i].size, blocks[i].bytes);
		if (err)
			return err;
		total += blocks[i].size;
	}
	etp_target_sort_segments(target);
	uint64_t kept = 0;
	for (size_t i = 0; i < target->segment_count; i++)
		kept += target->segments[i].size;
	if (kept != total)
		return etp_error_create(ETP_ERROR_ARGUMENT, "Memory blocks overlap.");
	target->info.kind = ETP_TARGET_MEMORY;
	target->info.segment_count = count;
	target->info.bytes_total = target->info.bytes_saved = total;
	return NULL;
}

struct etp_error *etp_target_create_memory(const struct etp_memory *blocks, size_t block_count,
                                           const struct etp_memory_symbol *symbols,
                                           size_t symbol_count, struct etp_target **ret)
{
	struct etp_error *err = check_blocks(blocks, block_count);
	if (err)
		return err;
	struct etp_target *target;
	err = etp_target_alloc(&target);
	if (err)
		return err;
	err = add_blocks(target, blocks, block_count);
	if (!err)
		err = etp_target_add_symbols(target, symbols, symbol_count);
	if (err) {
		etp_target_destroy(target);
		return err;
	}
	*ret = target;
	return NULL;
}
