// SPDX-License-Identifier: Apache-2.0
// PT_NOTE: what the kernel (or gcore) says about the process that it dumped.

#include "target/internal.h"
#include "target/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool etp_note_next(const unsigned char *notes, size_t size, uint64_t align, size_t *position,
                   struct etp_note *ret)
{
	// Only the properties of x86 use 8; anything else means 4.
	uint64_t mask = align == 8 ? 7 : 3;
	size_t at = *position;
	Elf64_Nhdr header;
	if (at > size || size - at < sizeof(header))
		return false;
	memcpy(&header, notes + at, sizeof(header));
	at += sizeof(header);
	// 32-bit sizes: these sums cannot wrap in 64 bits.
	uint64_t desc_at = (at + (uint64_t)header.n_namesz + mask) & ~mask;
	uint64_t end = desc_at + header.n_descsz;
	if (end > size)
		return false;
	ret->type = header.n_type;
	ret->name = (const char *)notes + at;
	ret->name_size = header.n_namesz;
	ret->desc = notes + desc_at;
	ret->desc_size = header.n_descsz;
	end = (end + mask) & ~mask;
	*position = end > size ? size : (size_t)end;
	return true;
}

static bool has_name(const struct etp_note *note, const char *name)
{
	size_t size = strlen(name) + 1;
	return note->name_size == size && memcmp(note->name, name, size) == 0;
}

void etp_notes_build_id(const unsigned char *notes, size_t size, uint64_t align,
                        struct etp_build_id *ret)
{
	struct etp_note note;
	for (size_t position = 0; etp_note_next(notes, size, align, &position, &note);) {
		if (note.type != NT_GNU_BUILD_ID || !has_name(&note, "GNU"))
			continue;
		if (note.desc_size == 0 || note.desc_size > sizeof(ret->bytes))
			continue;
		memcpy(ret->bytes, note.desc, note.desc_size);
		ret->size = note.desc_size;
		return;
	}
}

static uint64_t word(const unsigned char *p)
{
	uint64_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

void etp_core_read_auxv(struct etp_core *core, const struct etp_note *note)
{
	for (size_t at = 0; note->desc_size - at >= 16; at += 16) {
		uint64_t value = word(note->desc + at + 8);
		switch (word(note->desc + at)) {
		case AT_PHDR:
			core->at_phdr = value;
			break;
		case AT_ENTRY:
			core->at_entry = value;
			break;
		case AT_PAGESZ:
			// 4 KiB, and up to 64 KiB on aarch64.
			if (value >= 4096 && value <= 65536 && (value & (value - 1)) == 0)
				core->page_size = value;
			break;
		}
	}
}

// long count; long page_size; count * {start, end, offset in pages}; the paths,
// each with its NUL (linux/fs/binfmt_elf.c, fill_files_note). gdb's gcore writes
// the same with a page size of 1.
static struct etp_error *read_file_note(struct etp_core *core, const struct etp_note *note)
{
	enum { HEADER_SIZE = 16, ENTRY_SIZE = 24 };
	if (note->desc_size < HEADER_SIZE)
		return NULL;
	uint64_t count = word(note->desc);
	uint64_t unit = word(note->desc + 8);
	if (count == 0 || count > (note->desc_size - HEADER_SIZE) / ENTRY_SIZE)
		return NULL;
	struct etp_file_mapping *mappings =
		reallocarray(core->mappings, core->mapping_count + count, sizeof(mappings[0]));
	if (!mappings)
		return &etp_error_no_memory;
	core->mappings = mappings;

	const unsigned char *entry = note->desc + HEADER_SIZE;
	const char *path = (const char *)entry + count * ENTRY_SIZE;
	const char *end = (const char *)note->desc + note->desc_size;
	for (uint64_t i = 0; i < count; i++, entry += ENTRY_SIZE) {
		size_t length = strnlen(path, (size_t)(end - path));
		if (path + length == end)
			break;
		struct etp_file_mapping mapping = {
			.start = word(entry),
			.end = word(entry + 8),
			.path = path,
		};
		path += length + 1;
		if (mapping.start >= mapping.end ||
		    __builtin_mul_overflow(word(entry + 16), unit, &mapping.offset))
			continue;
		mappings[core->mapping_count++] = mapping;
	}
	return NULL;
}

// Keep what the thread had in its registers.
static struct etp_error *add_thread(struct etp_target *target, const struct etp_note *note)
{
	if (target->thread_count == target->thread_capacity) {
		size_t capacity = target->thread_capacity ? 2 * target->thread_capacity : 64;
		struct etp_thread *threads =
			reallocarray(target->threads, capacity, sizeof(threads[0]));
		if (!threads)
			return &etp_error_no_memory;
		target->threads = threads;
		target->thread_capacity = capacity;
	}
	struct etp_thread *thread = &target->threads[target->thread_count++];
	*thread = (struct etp_thread){0};
	memcpy(&thread->tid, note->desc + ETP_PRSTATUS_PID, sizeof(thread->tid));
	// Behind the registers it says whether floating point is valid.
	if (note->desc_size < ETP_PRSTATUS_REGISTERS + 8)
		return NULL;
	size_t size = note->desc_size - ETP_PRSTATUS_REGISTERS - 8;
	thread->registers_size =
		size < sizeof(thread->registers) ? size : sizeof(thread->registers);
	memcpy(thread->registers, note->desc + ETP_PRSTATUS_REGISTERS, thread->registers_size);
	return NULL;
}

static struct etp_error *read_prstatus(struct etp_core *core, const struct etp_note *note)
{
	struct etp_target_info *info = &core->target->info;
	if (note->desc_size < ETP_PRSTATUS_USED)
		return NULL;
	// The thread that took the signal comes first.
	if (info->thread_count++ == 0) {
		int16_t signal;
		memcpy(&signal, note->desc + ETP_PRSTATUS_CURSIG, sizeof(signal));
		info->signal = signal;
		if (info->pid == 0)
			memcpy(&info->pid, note->desc + ETP_PRSTATUS_PID, sizeof(info->pid));
	}
	return add_thread(core->target, note);
}

static struct etp_error *read_prpsinfo(struct etp_core *core, const struct etp_note *note)
{
	struct etp_target_info *info = &core->target->info;
	if (note->desc_size < ETP_PRPSINFO_SIZE)
		return NULL;
	int pid;
	memcpy(&pid, note->desc + ETP_PRPSINFO_PID, sizeof(pid));
	if (pid != 0)
		info->pid = pid;
	char text[ETP_PRPSINFO_PSARGS_SIZE + 1];
	snprintf(text, sizeof(text), "%.*s", ETP_PRPSINFO_PSARGS_SIZE,
	         (const char *)note->desc + ETP_PRPSINFO_PSARGS);
	if (text[0] == '\0')
		snprintf(text, sizeof(text), "%.*s", ETP_PRPSINFO_FNAME_SIZE,
		         (const char *)note->desc + ETP_PRPSINFO_FNAME);
	for (size_t length = strlen(text); length > 0 && text[length - 1] == ' '; length--)
		text[length - 1] = '\0';
	const char *command = etp_target_keep(core->target, text);
	if (!command)
		return &etp_error_no_memory;
	info->command = command;
	return NULL;
}

// When a snapshot was taken, and for how long the process was stopped for it.
static void read_snapshot(struct etp_core *core, const struct etp_note *note)
{
	struct etp_target_info *info = &core->target->info;
	if (note->desc_size < 16)
		return;
	info->is_snapshot = true;
	info->taken_at_ns = (int64_t)word(note->desc);
	info->pause_ns = (int64_t)word(note->desc + 8);
}

struct etp_error *etp_core_read_notes(struct etp_core *core, const unsigned char *notes,
                                      size_t size, uint64_t align)
{
	struct etp_note note;
	size_t position = 0;
	while (etp_note_next(notes, size, align, &position, &note)) {
		struct etp_error *err = NULL;
		if (has_name(&note, ETP_NOTE_NAME) && note.type == ETP_NOTE_SNAPSHOT)
			read_snapshot(core, &note);
		if (!has_name(&note, "CORE"))
			continue;
		switch (note.type) {
		case NT_PRSTATUS:
			err = read_prstatus(core, &note);
			break;
		case NT_PRPSINFO:
			err = read_prpsinfo(core, &note);
			break;
		case NT_AUXV:
			etp_core_read_auxv(core, &note);
			break;
		case NT_FILE:
			err = read_file_note(core, &note);
			break;
		}
		if (err)
			return err;
	}
	return NULL;
}
