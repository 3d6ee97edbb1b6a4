// SPDX-License-Identifier: Apache-2.0
#include "layout/elf_image.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <elfutils/libdwelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct etp_elf_image {
	int fd;
	Elf *elf;
	GElf_Ehdr ehdr;
};

struct etp_error *etp_elf_image_open(const char *path, struct etp_elf_image **ret)
{
	if (elf_version(EV_CURRENT) == EV_NONE)
		return etp_error_create(ETP_ERROR_UNSUPPORTED, "libelf is too old.");
	struct etp_elf_image *image = calloc(1, sizeof(*image));
	if (!image)
		return &etp_error_no_memory;
	struct etp_error *err = NULL;
	image->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (image->fd < 0) {
		err = etp_error_os(errno, "Cannot open %s", path);
		goto fail;
	}
	image->elf = elf_begin(image->fd, ELF_C_READ_MMAP, NULL);
	if (!image->elf || elf_kind(image->elf) != ELF_K_ELF ||
	    !gelf_getehdr(image->elf, &image->ehdr)) {
		err = etp_error_create(ETP_ERROR_UNSUPPORTED, "%s is not an ELF file.", path);
		goto fail;
	}
	if (image->ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    image->ehdr.e_ident[EI_DATA] != ELFDATA2LSB) {
		err = etp_error_create(ETP_ERROR_UNSUPPORTED,
		                       "%s is not a 64-bit little-endian ELF file; etp reads no "
		                       "others.",
		                       path);
		goto fail;
	}
	*ret = image;
	return NULL;

fail:
	etp_elf_image_close(image);
	return err;
}

void etp_elf_image_close(struct etp_elf_image *image)
{
	if (!image)
		return;
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
	free(image);
}

const char *etp_elf_image_machine(const struct etp_elf_image *image)
{
	switch (image->ehdr.e_machine) {
	case EM_X86_64:
		return "x86_64";
	case EM_AARCH64:
		return "aarch64";
	default:
		return NULL;
	}
}

void etp_elf_image_build_id(const struct etp_elf_image *image, struct etp_build_id *ret)
{
	*ret = (struct etp_build_id){0};
	const void *bytes;
	ssize_t size = dwelf_elf_gnu_build_id(image->elf, &bytes);
	if (size > 0 && (size_t)size <= sizeof(ret->bytes)) {
		memcpy(ret->bytes, bytes, (size_t)size);
		ret->size = (size_t)size;
	}
}

struct etp_error *etp_elf_image_symbol(struct etp_elf_image *image, const char *name,
                                       uint64_t *address_ret, uint64_t *size_ret)
{
	// Since OTP 29 what is global in ERTS is hidden, and so local in the linked file.
	GElf_Sym local = {0};
	unsigned locals = 0;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(image->elf, scn));) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr) ||
		    (shdr.sh_type != SHT_SYMTAB && shdr.sh_type != SHT_DYNSYM) || !shdr.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		if (!data)
			continue;
		size_t count = data->d_size / shdr.sh_entsize;
		for (size_t i = 0; i < count; i++) {
			GElf_Sym sym;
			if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
				continue;
			const char *found = elf_strptr(image->elf, shdr.sh_link, sym.st_name);
			if (!found || strcmp(found, name) != 0)
				continue;
			bool is_local = GELF_ST_BIND(sym.st_info) == STB_LOCAL;
			locals += is_local;
			local = sym;
			if (!is_local) {
				locals = 1;
				goto found;
			}
		}
	}
found:
	if (locals != 1)
		return etp_error_create(ETP_ERROR_NOT_FOUND, "There is no symbol %s.", name);
	*address_ret = local.st_value;
	if (size_ret)
		*size_ret = local.st_size;
	return NULL;
}

// Is this section part of what the program does?
static bool is_of_program(struct etp_elf_image *image, const GElf_Shdr *shdr)
{
	size_t strings;
	if (!(shdr->sh_flags & SHF_ALLOC) || elf_getshdrstrndx(image->elf, &strings) != 0)
		return false;
	const char *name = elf_strptr(image->elf, strings, shdr->sh_name);
	switch (shdr->sh_type) {
	case SHT_PROGBITS:
	case SHT_NOBITS:
	case SHT_INIT_ARRAY:
	case SHT_FINI_ARRAY:
		return !name || strncmp(name, ".eh_frame", strlen(".eh_frame")) != 0;
	default:
		return false;
	}
}

// Since 2.47.50, ld of binutils writes the addition of zero, that the address of something at the
// beginning of a page ends with, as a move, and as nop if the register stays the same.
static uint32_t without_addition_of_zero(uint32_t instruction)
{
	const uint32_t add = 0x91000000, mov = 0xaa0003e0, nop = 0xd503201f;
	uint32_t to = instruction & 31, from = instruction >> 5 & 31;
	// 31 is the stack pointer here, and would be zero there.
	if ((instruction & 0xfffffc00) != add || to == 31 || from == 31)
		return instruction;
	return to == from ? nop : mov | from << 16 | to;
}

static bool same_code(const unsigned char *p, const unsigned char *q, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof(uint32_t)) {
		uint32_t x = 0, y = 0;
		size_t left = size - at < sizeof(x) ? size - at : sizeof(x);
		memcpy(&x, p + at, left);
		memcpy(&y, q + at, left);
		if (x != y && without_addition_of_zero(x) != without_addition_of_zero(y))
			return false;
	}
	return true;
}

static bool same_section(Elf_Scn *a, Elf_Scn *b, const GElf_Shdr *x, const GElf_Shdr *y,
                         bool is_aarch64)
{
	if (x->sh_type != y->sh_type || x->sh_addr != y->sh_addr || x->sh_size != y->sh_size)
		return false;
	if (x->sh_type == SHT_NOBITS)
		return true;
	Elf_Data *p = elf_rawdata(a, NULL), *q = elf_rawdata(b, NULL);
	if (!p || !q || p->d_size != q->d_size || p->d_size != x->sh_size)
		return false;
	if (is_aarch64 && x->sh_flags & y->sh_flags & SHF_EXECINSTR)
		return same_code(p->d_buf, q->d_buf, p->d_size);
	return !memcmp(p->d_buf, q->d_buf, p->d_size);
}

// The next section of the program, or NULL.
static Elf_Scn *next_section(struct etp_elf_image *image, Elf_Scn *scn, GElf_Shdr *shdr)
{
	while ((scn = elf_nextscn(image->elf, scn)))
		if (gelf_getshdr(scn, shdr) && is_of_program(image, shdr))
			break;
	return scn;
}

struct etp_error *etp_elf_image_same_program(struct etp_elf_image *a, struct etp_elf_image *b)
{
	Elf_Scn *p = NULL, *q = NULL;
	GElf_Shdr x, y;
	unsigned count = 0;
	bool is_aarch64 = a->ehdr.e_machine == EM_AARCH64;
	if (a->ehdr.e_machine != b->ehdr.e_machine)
		return etp_error_create(ETP_ERROR_ARGUMENT, "they are for different machines");
	for (;; count++) {
		p = next_section(a, p, &x);
		q = next_section(b, q, &y);
		if (!p || !q)
			break;
		if (same_section(p, q, &x, &y, is_aarch64))
			continue;
		size_t strings;
		const char *name = elf_getshdrstrndx(a->elf, &strings) == 0
		                           ? elf_strptr(a->elf, strings, x.sh_name)
		                           : NULL;
		return etp_error_create(ETP_ERROR_ARGUMENT,
		                        "the section %s of the two is not the same",
		                        name ? name : "?");
	}
	if (p || q || !count)
		return etp_error_create(ETP_ERROR_ARGUMENT, "they have different sections");
	return NULL;
}

struct etp_error *etp_elf_image_read(struct etp_elf_image *image, uint64_t address, void *buffer,
                                     size_t size)
{
	// Not by program headers: those of a file of separate debug information are
	// those of the file that it was split from.
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(image->elf, scn));) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr) || !(shdr.sh_flags & SHF_ALLOC) ||
		    (shdr.sh_flags & SHF_TLS) || shdr.sh_type == SHT_NOBITS ||
		    address < shdr.sh_addr || address - shdr.sh_addr >= shdr.sh_size ||
		    size > shdr.sh_size - (address - shdr.sh_addr))
			continue;
		Elf_Data *data = elf_rawdata(scn, NULL);
		if (!data || !data->d_buf || data->d_size != shdr.sh_size)
			break;
		memcpy(buffer, (const char *)data->d_buf + (address - shdr.sh_addr), size);
		return NULL;
	}
	return etp_error_fault(address, "The file has no bytes for this address");
}

static bool is_relative(const struct etp_elf_image *image, uint64_t type)
{
	return image->ehdr.e_machine == EM_X86_64    ? type == R_X86_64_RELATIVE
	       : image->ehdr.e_machine == EM_AARCH64 ? type == R_AARCH64_RELATIVE
	                                             : false;
}

struct etp_error *etp_elf_image_read_pointer(struct etp_elf_image *image, uint64_t address,
                                             uint64_t *ret)
{
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(image->elf, scn));) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_RELA ||
		    !(shdr.sh_flags & SHF_ALLOC) || !shdr.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		if (!data)
			continue;
		size_t count = data->d_size / shdr.sh_entsize;
		for (size_t i = 0; i < count; i++) {
			GElf_Rela rela;
			if (gelf_getrela(data, (int)i, &rela) && rela.r_offset == address &&
			    is_relative(image, GELF_R_TYPE(rela.r_info))) {
				*ret = (uint64_t)rela.r_addend;
				return NULL;
			}
		}
	}
	// Not position independent, or RELR relocations, which keep it in place.
	return etp_elf_image_read(image, address, ret, sizeof(*ret));
}
