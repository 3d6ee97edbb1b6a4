// SPDX-License-Identifier: Apache-2.0
// Pages that the core lacks, taken from the files that were mapped there.

#include "target/internal.h"

#include <stdlib.h>

static struct etp_error *add_filled(struct etp_core *core, uint64_t start, uint64_t size,
                                    const unsigned char *bytes)
{
	if (core->filled_count == core->filled_capacity) {
		size_t capacity = core->filled_capacity ? 2 * core->filled_capacity : 64;
		struct etp_segment *filled =
			reallocarray(core->filled, capacity, sizeof(filled[0]));
		if (!filled)
			return &etp_error_no_memory;
		core->filled = filled;
		core->filled_capacity = capacity;
	}
	core->filled[core->filled_count++] =
		(struct etp_segment){.start = start, .size = size, .bytes = bytes};
	return NULL;
}

// Add what the core lacks of [start, end), which the file has at `offset`.
static struct etp_error *fill_gaps(struct etp_core *core, uint64_t start, uint64_t end,
                                   const unsigned char *bytes)
{
	struct etp_target *target = core->target;
	// Alternate between what is saved and the PT_LOADs, both in order.
	size_t low = 0, high = target->segment_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct etp_segment *segment = &target->segments[middle];
		if (segment->start + (segment->size - 1) < start)
			low = middle + 1;
		else
			high = middle;
	}
	size_t next_saved = low;
	low = 0, high = core->load_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (core->loads[middle].start + (core->loads[middle].size - 1) < start)
			low = middle + 1;
		else
			high = middle;
	}
	size_t next_load = low;

	for (uint64_t at = start; at < end;) {
		const struct etp_segment *segment =
			next_saved < target->segment_count ? &target->segments[next_saved] : NULL;
		if (segment && segment->start <= at) {
			at = segment->start + segment->size;
			next_saved++;
			if (at == 0)
				break;
			continue;
		}
		const struct etp_load *load =
			next_load < core->load_count ? &core->loads[next_load] : NULL;
		if (load && load->start + (load->size - 1) < at) {
			next_load++;
			continue;
		}
		uint64_t stop = segment && segment->start < end ? segment->start : end;
		bool usable = true;
		if (load && load->start <= at) {
			// Writable pages that were not saved may have been written to; pages
			// without access are none.
			usable = !(load->flags & PF_W) && (load->flags & (PF_R | PF_X));
			if (load->start + (load->size - 1) < stop - 1)
				stop = load->start + load->size;
		} else if (load && load->start < stop) {
			stop = load->start;
		}
		if (usable) {
			struct etp_error *err =
				add_filled(core, at, stop - at, bytes + (at - start));
			if (err)
				return err;
		}
		at = stop;
	}
	return NULL;
}

// Take the pages of one mapping that the core lacks from the file: those of its
// PT_LOADs that are never writable. (.data.rel.ro is mapped read-only, but was
// written to before; in the file it belongs to a writable PT_LOAD.)
static struct etp_error *fill_mapping(struct etp_core *core, const struct etp_elf_file *file,
                                      uint64_t bias, const struct etp_file_mapping *mapping)
{
	uint64_t mask = core->page_size - 1;
	for (size_t i = 0; i < file->load_count; i++) {
		const Elf64_Phdr *load = &file->loads[i];
		uint64_t from = load->p_vaddr + bias, to;
		if ((load->p_flags & PF_W) || load->p_filesz == 0 || load->p_filesz > UINT32_MAX ||
		    __builtin_add_overflow(from, load->p_filesz + mask, &to))
			continue;
		from &= ~mask;
		to &= ~mask;
		uint64_t start = from > mapping->start ? from : mapping->start;
		uint64_t end = to < mapping->end ? to : mapping->end;
		if (start >= end)
			continue;
		uint64_t offset = mapping->offset + (start - mapping->start);
		// Another file's idea of this address: not the mapping of this PT_LOAD.
		if (offset != load->p_offset + (start - bias - load->p_vaddr) ||
		    offset >= file->map->size)
			continue;
		if (end - start > file->map->size - offset)
			end = start + (file->map->size - offset);
		struct etp_error *err = fill_gaps(core, start, end, file->map->bytes + offset);
		if (err)
			return err;
	}
	return NULL;
}

struct etp_error *etp_core_fill(struct etp_core *core, const struct etp_elf_file *file,
                                uint64_t bias, const struct etp_file_mapping *mappings,
                                size_t mapping_count)
{
	if (mapping_count > 0) {
		for (size_t i = 0; i < mapping_count; i++) {
			struct etp_error *err = fill_mapping(core, file, bias, &mappings[i]);
			if (err)
				return err;
		}
		return NULL;
	}
	// No NT_FILE: the program headers tell what the kernel must have mapped.
	for (size_t i = 0; i < file->load_count; i++) {
		const Elf64_Phdr *load = &file->loads[i];
		uint64_t in_page = load->p_vaddr & (core->page_size - 1);
		struct etp_file_mapping mapping = {
			.start = bias + load->p_vaddr - in_page,
			.end = bias + load->p_vaddr + load->p_filesz,
			.offset = load->p_offset - in_page,
		};
		if (load->p_offset < in_page || mapping.end < mapping.start)
			continue;
		struct etp_error *err = fill_mapping(core, file, bias, &mapping);
		if (err)
			return err;
	}
	return NULL;
}
