// SPDX-License-Identifier: Apache-2.0
// A target's memory: its segments, and reading them.

#include "target/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "target/live.h"
#include "util/unmap.h"

enum {
	// Addresses that are equal but for so many of their lowest bits are mostly of one segment.
	RECENT_SHIFT = 22,
};

struct etp_string {
	struct etp_string *next;
	char text[];
};

struct etp_error *etp_target_alloc(struct etp_target **ret)
{
	struct etp_target *target = calloc(1, sizeof(*target));
	if (!target)
		return &etp_error_no_memory;
	target->stitches = etp_stitches_create();
	if (!target->stitches) {
		free(target);
		return &etp_error_no_memory;
	}
	target->info.command = "";
	*ret = target;
	return NULL;
}

void etp_target_destroy(struct etp_target *target)
{
	if (!target)
		return;
	etp_stitches_destroy(target->stitches);
	for (struct etp_map *map = target->maps; map;) {
		struct etp_map *next = map->next;
		unmap(map->bytes, map->size);
		free(map);
		map = next;
	}
	for (struct etp_string *string = target->strings; string;) {
		struct etp_string *next = string->next;
		free(string);
		string = next;
	}
	etp_live_destroy(target->live);
	free(target->threads);
	etp_source_destroy(target->source);
	free(target->segments);
	free(target->loads);
	free(target->symbols_by_name);
	free(target->symbols_by_address);
	free(target->symbol_names);
	free(target->files);
	free(target->warnings);
	free(target);
}

const char *etp_target_keep(struct etp_target *target, const char *text)
{
	size_t size = strlen(text) + 1;
	struct etp_string *string = malloc(sizeof(*string) + size);
	if (!string)
		return NULL;
	memcpy(string->text, text, size);
	string->next = target->strings;
	target->strings = string;
	return string->text;
}

struct etp_error *etp_target_warn(struct etp_target *target, const char *format, ...)
{
	struct etp_target_info *info = &target->info;
	if (info->warning_count == target->warning_capacity) {
		size_t capacity = target->warning_capacity ? 2 * target->warning_capacity : 8;
		const char **warnings =
			reallocarray(target->warnings, capacity, sizeof(warnings[0]));
		if (!warnings)
			return &etp_error_no_memory;
		target->warnings = warnings;
		target->warning_capacity = capacity;
		info->warnings = warnings;
	}
	va_list ap;
	va_start(ap, format);
	char *text = NULL;
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	const char *kept = text ? etp_target_keep(target, text) : NULL;
	free(text);
	if (!kept)
		return &etp_error_no_memory;
	target->warnings[info->warning_count++] = kept;
	return NULL;
}

struct etp_error *etp_target_add_segment(struct etp_target *target, uint64_t start, uint64_t size,
                                         const unsigned char *bytes)
{
	if (target->segment_count == target->segment_capacity) {
		size_t capacity = target->segment_capacity ? 2 * target->segment_capacity : 64;
		struct etp_segment *segments =
			reallocarray(target->segments, capacity, sizeof(segments[0]));
		if (!segments)
			return &etp_error_no_memory;
		target->segments = segments;
		target->segment_capacity = capacity;
	}
	target->segments[target->segment_count++] =
		(struct etp_segment){.start = start, .size = size, .bytes = bytes};
	return NULL;
}

static int compare_segments(const void *a, const void *b)
{
	const struct etp_segment *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	// The address in our map stands for the order in the file.
	if (x->bytes != y->bytes)
		return (uintptr_t)x->bytes < (uintptr_t)y->bytes ? -1 : 1;
	return 0;
}

void etp_target_sort_segments(struct etp_target *target)
{
	if (target->segment_count == 0)
		return;
	struct etp_segment *segments = target->segments;
	qsort(segments, target->segment_count, sizeof(segments[0]), compare_segments);
	size_t count = 0;
	// Last address that is covered: an end may not fit into 64 bits.
	uint64_t covered = 0;
	for (size_t i = 0; i < target->segment_count; i++) {
		struct etp_segment segment = segments[i];
		if (segment.size == 0)
			continue;
		if (count > 0 && segment.start <= covered) {
			if (covered - segment.start >= segment.size - 1)
				continue;
			uint64_t overlap = covered - segment.start + 1;
			segment.start += overlap;
			segment.bytes += overlap;
			segment.size -= overlap;
		}
		covered = segment.start + (segment.size - 1);
		if (count > 0) {
			struct etp_segment *last = &segments[count - 1];
			if (segment.start - last->start == last->size &&
			    segment.bytes == last->bytes + last->size) {
				last->size += segment.size;
				continue;
			}
		}
		segments[count++] = segment;
	}
	target->segment_count = count;
}

struct etp_error *etp_target_map_file(struct etp_target *target, int fd, uint64_t size,
                                      const char *what, struct etp_map **ret)
{
	struct etp_map *map = calloc(1, sizeof(*map));
	if (!map)
		return &etp_error_no_memory;
	// Mapping costs address space only: pages are read when they are looked
	// at, so that gigabytes of holes in a sparse core are never touched.
	void *bytes = size > SIZE_MAX ? MAP_FAILED
	                              : mmap(NULL, (size_t)size, PROT_READ,
	                                     MAP_PRIVATE | MAP_NORESERVE, fd, 0);
	if (bytes == MAP_FAILED) {
		int os_errno = errno;
		free(map);
		char *printable ETP_CLEANUP_FREE = etp_printable(what);
		return etp_error_os(os_errno, "Cannot map the %llu bytes of %s",
		                    (unsigned long long)size, printable ? printable : "?");
	}
	map->bytes = bytes;
	map->size = (size_t)size;
	map->next = target->maps;
	target->maps = map;
	*ret = map;
	return NULL;
}

// Index of the last segment that starts at or below `address`, or SIZE_MAX.
static size_t search(const struct etp_target *target, uint64_t address)
{
	size_t low = 0, high = target->segment_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (target->segments[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

bool etp_target_find_segment(const struct etp_target *target, uint64_t address,
                             struct etp_segment *ret)
{
	if (target->live)
		return etp_live_find(target->live, address, ret);
	size_t index = search(target, address);
	if (index == SIZE_MAX)
		return false;
	const struct etp_segment *segment = &target->segments[index];
	if (address - segment->start >= segment->size)
		return false;
	*ret = *segment;
	return true;
}

bool etp_target_next_segment(const struct etp_target *target, uint64_t address,
                             struct etp_segment *ret)
{
	if (target->live)
		return etp_live_next(target->live, address, ret);
	size_t index = search(target, address);
	if (index == SIZE_MAX ||
	    address - target->segments[index].start >= target->segments[index].size)
		index++;
	if (index >= target->segment_count)
		return false;
	*ret = target->segments[index];
	return true;
}

// Copy what is there from `address` on, at most `size` bytes; returns how many.
// With a NULL buffer only counts.
static uint64_t copy_out(const struct etp_target *target, uint64_t address, void *buffer,
                         uint64_t size)
{
	uint64_t done = 0;
	struct etp_segment segment;
	while (done < size && etp_target_find_segment(target, address + done, &segment)) {
		uint64_t offset = address + done - segment.start;
		uint64_t part = segment.size - offset;
		if (part > size - done)
			part = size - done;
		if (buffer)
			memcpy((char *)buffer + done, segment.bytes + offset, part);
		done += part;
	}
	return done;
}

struct etp_error *etp_target_read(const struct etp_target *target, uint64_t address, void *buffer,
                                  size_t size)
{
	if (size == 0)
		return NULL;
	// Nothing is written on failure.
	uint64_t present = copy_out(target, address, NULL, size);
	if (present < size) {
		char what[80];
		snprintf(what, sizeof(what), "Reading %zu bytes at 0x%llx", size,
		         (unsigned long long)address);
		return etp_error_fault(address + present, what);
	}
	copy_out(target, address, buffer, size);
	return NULL;
}

const void *etp_reader_at_slow(struct etp_reader *reader, uint64_t address, uint64_t size)
{
	uint64_t offset = address - reader->overlay.start;
	if (offset < reader->overlay.size && size <= reader->overlay.size - offset)
		return reader->overlay.bytes + offset;

	struct etp_segment *recent =
		&reader->recent[address >> RECENT_SHIFT & (ETP_READER_SEGMENTS - 1)];
	offset = address - recent->start;
	if (offset < recent->size && size <= recent->size - offset) {
		reader->segment = *recent;
		return recent->bytes + offset;
	}

	struct etp_segment segment;
	if (etp_target_find_segment(reader->target, address, &segment)) {
		offset = address - segment.start;
		if (size <= segment.size - offset) {
			reader->segment = *recent = segment;
			return segment.bytes + offset;
		}
		const void *bytes = etp_stitch(reader->target, address, size);
		if (bytes)
			return bytes;
	}
	reader->fault_address = address + copy_out(reader->target, address, NULL, size);
	reader->faults++;
	return NULL;
}

const struct etp_target_info *etp_target_info(const struct etp_target *target)
{
	return &target->info;
}

const char *etp_target_dwarf_path(const struct etp_target *target)
{
	return target->dwarf_path;
}

const char *etp_machine_name(enum etp_machine machine)
{
	switch (machine) {
	case ETP_MACHINE_X86_64:
		return "x86_64";
	case ETP_MACHINE_AARCH64:
		return "aarch64";
	}
	return "unknown";
}

const char *etp_build_id_format(const struct etp_build_id *id, char *buffer, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;
	if (size == 0)
		return "";
	for (size_t i = 0; i < id->size && i < sizeof(id->bytes) && used + 3 <= size; i++) {
		buffer[used++] = digits[id->bytes[i] >> 4];
		buffer[used++] = digits[id->bytes[i] & 15];
	}
	buffer[used] = '\0';
	return buffer;
}

// Length of the well-formed UTF-8 sequence at `p` that may be shown, or 0.
static size_t printable_length(const unsigned char *p)
{
	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	size_t length = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
	                : (p[0] & 0xf0) == 0xe0        ? 3
	                : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
	                                               : 0;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	// C1 controls, overlong forms, surrogates, beyond U+10FFFF.
	if ((p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xe0 && p[1] < 0xa0) ||
	    (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

char *etp_printable(const char *string)
{
	char *copy = strdup(string);
	if (!copy)
		return NULL;
	for (unsigned char *p = (unsigned char *)copy; *p;) {
		size_t length = printable_length(p);
		if (length == 0) {
			*p = '?';
			length = 1;
		}
		p += length;
	}
	return copy;
}
