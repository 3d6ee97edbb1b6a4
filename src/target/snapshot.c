// SPDX-License-Identifier: Apache-2.0
#include <etp/snapshot.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/internal.h"
#include "target/live.h"
#include "target/proc.h"
#include "target/source.h"
#include "target/threads.h"

enum { PAGE = 4096 };

// A file while it is written.
struct writer {
	const struct etp_target *target;
	const struct etp_snapshot_options *options;
	char *printable;
	int fd;
	// Bytes written, of how many, and not readable.
	uint64_t done, total, unreadable;
	// A page of zeros, and room for an extent.
	unsigned char zeros[PAGE];
	unsigned char buffer[ETP_LIVE_EXTENT];
};

// Bytes that grow at their end.
struct bytes {
	unsigned char *at;
	size_t size, capacity;
	bool failed;
};

static void append(struct bytes *bytes, const void *from, size_t size)
{
	if (!size)
		return;
	if (bytes->size + size > bytes->capacity) {
		size_t capacity = 2 * (bytes->size + size);
		unsigned char *larger = bytes->failed ? NULL : realloc(bytes->at, capacity);
		if (!larger) {
			bytes->failed = true;
			return;
		}
		bytes->at = larger;
		bytes->capacity = capacity;
	}
	memcpy(bytes->at + bytes->size, from, size);
	bytes->size += size;
}

static void append_note(struct bytes *notes, const char *name, uint32_t type, const void *desc,
                        size_t size)
{
	static const char padding[4];
	size_t name_size = strlen(name) + 1;
	const Elf64_Nhdr header = {
		.n_namesz = (uint32_t)name_size, .n_descsz = (uint32_t)size, .n_type = type};
	append(notes, &header, sizeof(header));
	append(notes, name, name_size);
	append(notes, padding, -name_size & 3);
	append(notes, desc, size);
	append(notes, padding, -size & 3);
}

// struct elf_prstatus: 112 bytes, the registers, and whether floating point is valid.
static void append_threads(struct bytes *notes, const struct etp_source *source)
{
	for (size_t i = 0; i < source->thread_count; i++) {
		const struct etp_thread *thread = &source->threads[i];
		unsigned char status[ETP_PRSTATUS_REGISTERS + sizeof(thread->registers) + 8] = {0};
		memcpy(status + ETP_PRSTATUS_PID, &thread->tid, sizeof(thread->tid));
		memcpy(status + ETP_PRSTATUS_REGISTERS, thread->registers, thread->registers_size);
		append_note(notes, "CORE", NT_PRSTATUS, status,
		            ETP_PRSTATUS_REGISTERS + thread->registers_size + 8);
	}
}

static void append_process(struct bytes *notes, const struct etp_target_info *info)
{
	unsigned char process[ETP_PRPSINFO_SIZE] = {0};
	memcpy(process + ETP_PRPSINFO_PID, &info->pid, sizeof(info->pid));
	const char *path = info->executable_path ? info->executable_path : "";
	const char *slash = strrchr(path, '/');
	snprintf((char *)process + ETP_PRPSINFO_FNAME, ETP_PRPSINFO_FNAME_SIZE, "%s",
	         slash ? slash + 1 : path);
	snprintf((char *)process + ETP_PRPSINFO_PSARGS, ETP_PRPSINFO_PSARGS_SIZE, "%s",
	         info->command);
	append_note(notes, "CORE", NT_PRPSINFO, process, sizeof(process));
}

static int compare_files(const void *a, const void *b)
{
	const struct etp_file_mapping *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

// In the order of addresses, as the kernel writes it.
static void append_files(struct bytes *notes, const struct etp_proc_maps *maps)
{
	struct bytes note = {0};
	struct etp_file_mapping *files = calloc(maps->file_count + 1, sizeof(files[0]));
	if (!files) {
		notes->failed = true;
		return;
	}
	memcpy(files, maps->files, maps->file_count * sizeof(files[0]));
	qsort(files, maps->file_count, sizeof(files[0]), compare_files);
	const uint64_t head[2] = {maps->file_count, PAGE};
	append(&note, head, sizeof(head));
	for (size_t i = 0; i < maps->file_count; i++) {
		const uint64_t entry[3] = {files[i].start, files[i].end, files[i].offset / PAGE};
		append(&note, entry, sizeof(entry));
	}
	for (size_t i = 0; i < maps->file_count; i++)
		append(&note, files[i].path, strlen(files[i].path) + 1);
	append_note(notes, "CORE", NT_FILE, note.at, note.size);
	notes->failed |= note.failed;
	free(note.at);
	free(files);
}

static struct bytes make_notes(const struct etp_target *target)
{
	const struct etp_source *source = target->source;
	const struct etp_target_info *info = &target->info;
	struct bytes notes = {0};
	append_threads(&notes, source);
	append_process(&notes, info);
	append_note(&notes, "CORE", NT_AUXV, source->auxv, source->auxv_size);
	append_files(&notes, &source->maps);
	const int64_t when[2] = {info->taken_at_ns, info->pause_ns};
	append_note(&notes, ETP_NOTE_NAME, ETP_NOTE_SNAPSHOT, when, sizeof(when));
	return notes;
}

static struct etp_error *write_at(const struct writer *writer, uint64_t offset, const void *bytes,
                                  size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t wrote = pwrite(writer->fd, (const char *)bytes + done, size - done,
		                       (off_t)(offset + done));
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return etp_error_os(wrote < 0 ? errno : ENOSPC, "Cannot write %s",
			                    writer->printable);
		done += (size_t)wrote;
	}
	return NULL;
}

// Pages of zeros become holes.
static struct etp_error *write_pages(const struct writer *writer, uint64_t offset,
                                     const unsigned char *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		size_t end = at;
		while (end < size && memcmp(bytes + end, writer->zeros, PAGE) != 0)
			end += PAGE;
		struct etp_error *err =
			end > at ? write_at(writer, offset + at, bytes + at, end - at) : NULL;
		if (err)
			return err;
		at = end > at ? end : at + PAGE;
	}
	return NULL;
}

static struct etp_error *write_mapping(struct writer *writer,
                                       const struct etp_live_mapping *mapping, uint64_t offset)
{
	uint64_t end = mapping->start + mapping->size;
	for (uint64_t at = mapping->start; at < end;) {
		uint64_t next = (at / ETP_LIVE_EXTENT + 1) * ETP_LIVE_EXTENT;
		size_t size = (size_t)((next < end ? next : end) - at);
		const unsigned char *bytes;
		writer->unreadable +=
			etp_live_peek(writer->target->live, at, size, writer->buffer, &bytes);
		struct etp_error *err =
			write_pages(writer, offset + (at - mapping->start), bytes, size);
		if (err)
			return err;
		at += size;
		writer->done += size;
		const struct etp_snapshot_options *options = writer->options;
		if (options->progress &&
		    options->progress(options->context, writer->done, writer->total))
			return &etp_error_interrupted;
	}
	return NULL;
}

// From 65,535 program headers on, their number stands in a section header.
static struct etp_error *write_header(const struct writer *writer, size_t count, uint64_t sections)
{
	Elf64_Ehdr header = {
		.e_type = ET_CORE,
		.e_machine =
			writer->target->info.machine == ETP_MACHINE_X86_64 ? EM_X86_64 : EM_AARCH64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = count < PN_XNUM ? (uint16_t)count : PN_XNUM,
	};
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	if (count >= PN_XNUM) {
		const Elf64_Shdr section = {.sh_info = (uint32_t)count};
		header.e_shoff = sections;
		header.e_shentsize = sizeof(section);
		header.e_shnum = 1;
		struct etp_error *err = write_at(writer, sections, &section, sizeof(section));
		if (err)
			return err;
	}
	return write_at(writer, 0, &header, sizeof(header));
}

static uint64_t page_up(uint64_t offset)
{
	return (offset + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static struct etp_error *write_all(struct writer *writer, const struct bytes *notes,
                                   Elf64_Phdr *headers)
{
	const struct etp_proc_maps *maps = &writer->target->source->maps;
	size_t count = maps->count + 1;
	uint64_t offset = sizeof(Elf64_Ehdr) + count * sizeof(headers[0]);
	headers[0] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = offset, .p_filesz = notes->size, .p_align = 4};
	struct etp_error *err = write_at(writer, offset, notes->at, notes->size);
	offset = page_up(offset + notes->size);
	for (size_t i = 0; i < maps->count; i++)
		writer->total += maps->mappings[i].is_wanted ? maps->mappings[i].size : 0;
	for (size_t i = 0; !err && i < maps->count; i++) {
		const struct etp_live_mapping *mapping = &maps->mappings[i];
		uint64_t size = mapping->is_wanted ? mapping->size : 0;
		headers[i + 1] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = mapping->flags,
			.p_offset = offset,
			.p_vaddr = mapping->start,
			.p_filesz = size,
			.p_memsz = mapping->size,
			.p_align = PAGE,
		};
		if (size)
			err = write_mapping(writer, mapping, offset);
		offset += size;
	}
	if (!err)
		err = write_at(writer, sizeof(Elf64_Ehdr), headers, count * sizeof(headers[0]));
	if (!err && ftruncate(writer->fd, (off_t)offset) != 0)
		err = etp_error_os(errno, "Cannot write %s", writer->printable);
	if (!err)
		err = write_header(writer, count, offset);
	if (!err && fsync(writer->fd) != 0)
		err = etp_error_os(errno, "Cannot write %s", writer->printable);
	return err;
}

static struct etp_error *write_contents(struct writer *writer)
{
	size_t count = writer->target->source->maps.count + 1;
	struct bytes notes = make_notes(writer->target);
	Elf64_Phdr *headers = calloc(count, sizeof(headers[0]));
	struct etp_error *err = !headers || notes.failed ? &etp_error_no_memory
	                                                 : write_all(writer, &notes, headers);
	free(notes.at);
	free(headers);
	return err;
}

static struct etp_error *there_is(const struct writer *writer)
{
	return etp_error_create(ETP_ERROR_ARGUMENT,
	                        "There is a file %s already; --force would replace it.",
	                        writer->printable);
}

// Put the finished file in its place, at once.
static struct etp_error *publish(const struct writer *writer, const char *from)
{
	const struct etp_snapshot_options *options = writer->options;
	int flags = options->force ? 0 : RENAME_NOREPLACE;
	if (renameat2(AT_FDCWD, from, AT_FDCWD, options->path, flags) == 0)
		return NULL;
	// A file system that does not know the flag knows links.
	if (errno == EINVAL && !options->force && link(from, options->path) == 0) {
		unlink(from);
		return NULL;
	}
	if (errno == EEXIST)
		return there_is(writer);
	return etp_error_os(errno, "Cannot name the snapshot %s", writer->printable);
}

static struct etp_error *write_file(struct writer *writer, struct etp_snapshot_result *ret)
{
	const char *path = writer->options->path;
	if (!writer->options->force && access(path, F_OK) == 0)
		return there_is(writer);
	// Beside its place, so that it can be renamed.
	char *temporary ETP_CLEANUP_FREE = NULL;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return &etp_error_no_memory;
	}
	writer->fd = mkostemp(temporary, O_CLOEXEC);
	if (writer->fd < 0)
		return etp_error_os(errno, "Cannot create a file beside %s", writer->printable);
	struct etp_error *err = write_contents(writer);
	struct stat stat = {0};
	if (!err && fstat(writer->fd, &stat) != 0)
		err = etp_error_os(errno, "Cannot inspect %s", writer->printable);
	close(writer->fd);
	if (!err)
		err = publish(writer, temporary);
	if (err) {
		unlink(temporary);
		return err;
	}
	*ret = (struct etp_snapshot_result){
		.file_bytes = (uint64_t)stat.st_size,
		.disk_bytes = (uint64_t)stat.st_blocks * 512,
		.unreadable_bytes = writer->unreadable,
	};
	return NULL;
}

struct etp_error *etp_snapshot_write(const struct etp_target *target,
                                     const struct etp_snapshot_options *options,
                                     struct etp_snapshot_result *ret)
{
	if (!target->live || !target->source)
		return etp_error_create(ETP_ERROR_ARGUMENT,
		                        "A snapshot is taken of a process; this is none.");
	struct writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return &etp_error_no_memory;
	writer->target = target;
	writer->options = options;
	writer->printable = etp_printable(options->path);
	struct etp_error *err = writer->printable ? write_file(writer, ret) : &etp_error_no_memory;
	free(writer->printable);
	free(writer);
	return err;
}
