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
                                       uint64_t *address_ret)
{
	// Since OTP 29 what is global in ERTS is hidden, and so local in the linked file.
	uint64_t local = 0;
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
			if (GELF_ST_BIND(sym.st_info) != STB_LOCAL) {
				*address_ret = sym.st_value;
				return NULL;
			}
			local = sym.st_value;
			locals++;
		}
	}
	if (locals == 1) {
		*address_ret = local;
		return NULL;
	}
	return etp_error_create(ETP_ERROR_NOT_FOUND, "There is no symbol %s.", name);
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
