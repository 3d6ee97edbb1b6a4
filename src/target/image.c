// SPDX-License-Identifier: Apache-2.0
// ELF images: as they stand in the memory of the core, and as files on disk.

#include "target/below.h"
#include "target/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	// Real images have about a dozen program headers and notes of 100 bytes.
	MAX_PROGRAM_HEADERS = 256,
	MAX_NOTES_SIZE = 65536,
	MAX_SECTIONS = 4096,
};
static const uint64_t max_image_size = UINT64_C(4) << 30;

bool etp_build_id_equal(const struct etp_build_id *a, const struct etp_build_id *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static bool is_image(const Elf64_Ehdr *header)
{
	return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       (header->e_type == ET_EXEC || header->e_type == ET_DYN) &&
	       header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum > 0 &&
	       header->e_phnum <= MAX_PROGRAM_HEADERS;
}

// For reads of what may well be absent: the error is not of interest.
static bool try_read(const struct etp_target *target, uint64_t address, void *buffer, size_t size)
{
	struct etp_error *err = etp_target_read(target, address, buffer, size);
	etp_error_destroy(err);
	return !err;
}

// `room`: bytes of notes of this image that may yet be read.
static void read_notes_in_memory(const struct etp_target *target, uint64_t address,
                                 const Elf64_Phdr *phdr, uint64_t *room, struct etp_build_id *ret)
{
	if (phdr->p_filesz == 0 || phdr->p_filesz > *room)
		return;
	*room -= phdr->p_filesz;
	unsigned char *notes ETP_CLEANUP_FREE = malloc(phdr->p_filesz);
	if (notes && try_read(target, address, notes, phdr->p_filesz))
		etp_notes_build_id(notes, phdr->p_filesz, phdr->p_align, ret);
}

// Notes of a file, of which only the beginning is looked at.
static void read_notes_in_file(struct etp_elf_file *file, uint64_t offset, uint64_t size,
                               uint64_t align)
{
	const struct etp_map *map = file->map;
	if (file->build_id.size == 0 && offset < map->size && size <= map->size - offset)
		etp_notes_build_id(map->bytes + offset,
		                   size < MAX_NOTES_SIZE ? size : MAX_NOTES_SIZE, align,
		                   &file->build_id);
}

// Derive bias and extent from program headers of an image whose first page is at
// `base`. The PT_LOAD with the beginning of the file tells by how much its
// addresses were moved.
static bool place_image(const Elf64_Phdr *phdrs, size_t count, uint64_t base, uint64_t page_size,
                        struct etp_image *ret)
{
	struct etp_image image = {.start = UINT64_MAX};
	bool found = false;
	for (size_t i = 0; i < count && !found; i++) {
		if (phdrs[i].p_type == PT_LOAD && phdrs[i].p_offset < page_size) {
			image.bias = base - (phdrs[i].p_vaddr - phdrs[i].p_offset);
			found = true;
		}
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t from = phdrs[i].p_vaddr + image.bias, to;
		if (phdrs[i].p_type != PT_LOAD)
			continue;
		if (phdrs[i].p_memsz > max_image_size ||
		    __builtin_add_overflow(from, phdrs[i].p_memsz, &to))
			return false;
		from &= ~(page_size - 1);
		if (from < image.start)
			image.start = from;
		if (to > image.end)
			image.end = to;
	}
	if (!found || image.end - image.start > max_image_size)
		return false;
	*ret = image;
	return true;
}

bool etp_image_read(const struct etp_target *target, uint64_t start, uint64_t page_size,
                    struct etp_image *ret)
{
	Elf64_Ehdr header;
	Elf64_Phdr phdrs[MAX_PROGRAM_HEADERS];
	if (!try_read(target, start, &header, sizeof(header)) || !is_image(&header) ||
	    !try_read(target, start + header.e_phoff, phdrs, header.e_phnum * sizeof(phdrs[0])))
		return false;
	struct etp_image image;
	if (!place_image(phdrs, header.e_phnum, start, page_size, &image))
		return false;
	uint64_t room = MAX_NOTES_SIZE;
	for (size_t i = 0; i < header.e_phnum && image.build_id.size == 0; i++) {
		if (phdrs[i].p_type == PT_NOTE)
			read_notes_in_memory(target, image.bias + phdrs[i].p_vaddr, &phdrs[i],
			                     &room, &image.build_id);
	}
	*ret = image;
	return true;
}

static int open_in_sysroot(const char *sysroot, const char *path, int flags)
{
	int root = open(sysroot, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	int fd = etp_open_below(root, path, flags);
	int os_errno = errno;
	close(root);
	errno = os_errno;
	return fd;
}

static struct etp_error *open_path(const char *path, const char *sysroot, int flags, int *ret)
{
	int fd = sysroot ? open_in_sysroot(sysroot, path, flags) : open(path, flags);
	if (fd >= 0) {
		*ret = fd;
		return NULL;
	}
	int os_errno = errno;
	char *printable ETP_CLEANUP_FREE = etp_printable(path);
	char *printable_root ETP_CLEANUP_FREE = etp_printable(sysroot ? sysroot : "");
	if (!printable || !printable_root)
		return &etp_error_no_memory;
	return sysroot ? etp_error_os(os_errno, "Cannot open %s below %s", printable,
	                              printable_root)
	               : etp_error_os(os_errno, "Cannot open %s", printable);
}

// Opening a device or a FIFO does something to it, and the path may be one that a core names. So
// the file is looked at before it is opened.
static struct etp_error *open_regular(const char *path, const char *sysroot, const char *printable,
                                      int *ret)
{
	int fd = -1;
	struct etp_error *err = open_path(path, sysroot, O_PATH | O_CLOEXEC, &fd);
	if (err)
		return err;
	struct stat stat;
	if (fstat(fd, &stat) != 0)
		err = etp_error_os(errno, "Cannot inspect %s", printable);
	else if (!S_ISREG(stat.st_mode))
		err = etp_error_create(ETP_ERROR_UNSUPPORTED,
		                       "%s is not a regular file, so it is no executable.",
		                       printable);
	close(fd);
	return err ? err
	           : open_path(path, sysroot, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, ret);
}

// Where the open file is, so that it can be opened again from anywhere.
static const char *real_path(struct etp_target *target, int fd, const char *path,
                             const char *sysroot)
{
	if (!sysroot && path[0] == '/')
		return etp_target_keep(target, path);
	char link[64], found[4096];
	struct stat by_path, by_fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, found, sizeof(found) - 1);
	if (length > 0) {
		found[length] = '\0';
		if (stat(found, &by_path) == 0 && fstat(fd, &by_fd) == 0 &&
		    by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino)
			return etp_target_keep(target, found);
	}
	char *joined ETP_CLEANUP_FREE = NULL;
	if (asprintf(&joined, "%s%s", sysroot ? sysroot : "", path) < 0) {
		joined = NULL;
		return NULL;
	}
	return etp_target_keep(target, joined);
}

static struct etp_error *read_headers(struct etp_elf_file *file, const char *printable)
{
	const struct etp_map *map = file->map;
	if (map->size >= sizeof(file->header))
		memcpy(&file->header, map->bytes, sizeof(file->header));
	const Elf64_Ehdr *header = &file->header;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_type == ET_CORE)
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is a core file, not an executable.", printable);
	if (!is_image(header))
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is not a 64-bit little-endian ELF executable or "
		                        "library.",
		                        printable);
	if (header->e_phoff > map->size ||
	    header->e_phnum * sizeof(Elf64_Phdr) > map->size - header->e_phoff)
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is truncated: its program headers are not in it.",
		                        printable);
	file->loads = calloc(header->e_phnum, sizeof(file->loads[0]));
	if (!file->loads)
		return &etp_error_no_memory;
	for (size_t i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr phdr;
		memcpy(&phdr, map->bytes + header->e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_LOAD) {
			file->loads[file->load_count++] = phdr;
			if (header->e_phoff - phdr.p_offset < phdr.p_filesz)
				file->phdr_vaddr = phdr.p_vaddr + (header->e_phoff - phdr.p_offset);
		} else if (phdr.p_type == PT_NOTE) {
			read_notes_in_file(file, phdr.p_offset, phdr.p_filesz, phdr.p_align);
		}
	}
	return NULL;
}

// Sections are optional for us: they tell where symbols and DWARF are, and that
// a file is separate debug information, whose pages must not be used.
static void read_sections(struct etp_elf_file *file)
{
	const struct etp_map *map = file->map;
	const Elf64_Ehdr *header = &file->header;
	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shnum > MAX_SECTIONS ||
	    header->e_shstrndx >= header->e_shnum || header->e_shoff > map->size ||
	    header->e_shnum * sizeof(Elf64_Shdr) > map->size - header->e_shoff)
		return;
	Elf64_Shdr names;
	memcpy(&names, map->bytes + header->e_shoff + header->e_shstrndx * sizeof(names),
	       sizeof(names));
	bool has_names = names.sh_type == SHT_STRTAB && names.sh_offset < map->size &&
	                 names.sh_size <= map->size - names.sh_offset;
	for (size_t i = 0; i < header->e_shnum; i++) {
		Elf64_Shdr section;
		memcpy(&section, map->bytes + header->e_shoff + i * sizeof(section),
		       sizeof(section));
		if (section.sh_type == SHT_SYMTAB)
			file->has_symtab = true;
		if (section.sh_type == SHT_NOBITS && (section.sh_flags & SHF_EXECINSTR))
			file->debug_only = true;
		// objcopy --only-keep-debug keeps notes, so that the build-id is here
		// even if the program headers point nowhere.
		if (section.sh_type == SHT_NOTE)
			read_notes_in_file(file, section.sh_offset, section.sh_size,
			                   section.sh_addralign);
		if (section.sh_type == SHT_PROGBITS && has_names &&
		    section.sh_name < names.sh_size) {
			const char *name =
				(const char *)map->bytes + names.sh_offset + section.sh_name;
			size_t room = names.sh_size - section.sh_name;
			if (strncmp(name, ".debug_info", room) == 0 ||
			    strncmp(name, ".zdebug_info", room) == 0)
				file->has_debug_info = true;
		}
	}
}

struct etp_error *etp_elf_file_open(struct etp_target *target, const char *path,
                                    const char *sysroot, struct etp_elf_file *ret)
{
	char *printable ETP_CLEANUP_FREE = etp_printable(path);
	if (!printable)
		return &etp_error_no_memory;
	int fd;
	struct etp_error *err = open_regular(path, sysroot, printable, &fd);
	if (err)
		return err;

	struct etp_elf_file file = {.fd = fd};
	struct stat stat;
	struct etp_map *map;
	if (fstat(fd, &stat) != 0)
		err = etp_error_os(errno, "Cannot inspect %s", printable);
	else if (stat.st_size == 0)
		err = etp_error_create(ETP_ERROR_UNSUPPORTED,
		                       "%s is empty, so it is no executable.", printable);
	if (!err)
		err = etp_target_map_file(target, fd, (uint64_t)stat.st_size, path, &map);
	if (!err) {
		file.map = map;
		err = read_headers(&file, printable);
	}
	if (!err) {
		read_sections(&file);
		file.path = real_path(target, fd, path, sysroot);
		if (!file.path)
			err = &etp_error_no_memory;
	}
	if (err) {
		etp_elf_file_close(&file);
		return err;
	}
	*ret = file;
	return NULL;
}

void etp_elf_file_close(struct etp_elf_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->loads);
	file->fd = -1;
	file->loads = NULL;
}

bool etp_elf_file_image(const struct etp_elf_file *file, uint64_t base, uint64_t page_size,
                        struct etp_image *ret)
{
	return place_image(file->loads, file->load_count, base, page_size, ret);
}
