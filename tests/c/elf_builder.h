// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TESTS_ELF_BUILDER_H
#define ETP_TESTS_ELF_BUILDER_H

// Core files and executables of a few pages, built byte by byte for tests. What
// they look like follows the ELF specification and linux/fs/binfmt_elf.c.

#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <etp/target.h>

enum { PAGE = 4096 };

// Bytes that grow.
struct buffer {
	unsigned char *bytes;
	size_t size;
};

static inline void buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
	buffer->bytes = realloc(buffer->bytes, buffer->size + size + 1);
	assert_non_null(buffer->bytes);
	if (bytes)
		memcpy(buffer->bytes + buffer->size, bytes, size);
	else
		memset(buffer->bytes + buffer->size, 0, size);
	buffer->size += size;
}

static inline void buffer_u64(struct buffer *buffer, uint64_t value)
{
	buffer_add(buffer, &value, sizeof(value));
}

static inline void buffer_align(struct buffer *buffer, size_t alignment)
{
	if (buffer->size % alignment != 0)
		buffer_add(buffer, NULL, alignment - buffer->size % alignment);
}

static inline void buffer_note(struct buffer *buffer, const char *name, uint32_t type,
                               const void *desc, size_t size)
{
	Elf64_Nhdr header = {
		.n_namesz = (uint32_t)strlen(name) + 1,
		.n_descsz = (uint32_t)size,
		.n_type = type,
	};
	buffer_add(buffer, &header, sizeof(header));
	buffer_add(buffer, name, header.n_namesz);
	buffer_align(buffer, 4);
	buffer_add(buffer, desc, size);
	buffer_align(buffer, 4);
}

// A directory for one test, removed at its end.
static char test_dir[64];

static inline const char *in_dir(const char *name)
{
	static char paths[8][256];
	static int next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", test_dir, name);
	return path;
}

static inline int setup_dir(void **state)
{
	(void)state;
	snprintf(test_dir, sizeof(test_dir), "/tmp/etp-test-XXXXXX");
	return mkdtemp(test_dir) ? 0 : -1;
}

static inline int teardown_dir(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", test_dir);
	return system(command);
}

static inline void write_file(const char *path, const struct buffer *buffer)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	for (size_t done = 0; done < buffer->size;) {
		ssize_t n = write(fd, buffer->bytes + done, buffer->size - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_int_equal(close(fd), 0);
}

// A core file in the making.
struct core_builder {
	uint16_t machine;
	// p_offset is relative to `data` until core_finish().
	Elf64_Phdr *loads;
	size_t load_count;
	struct buffer notes, data;
	// NT_FILE.
	struct buffer file_entries, file_paths;
	uint64_t file_count;
	// Unit of its offsets: pages as the kernel writes, or bytes as gdb's gcore does.
	bool offsets_in_bytes;
	// Put this many bytes before the data, so that it is not aligned.
	size_t skew;
};

static inline void core_load(struct core_builder *core, uint64_t address, uint64_t memsz,
                             uint32_t flags, const void *bytes, uint64_t filesz)
{
	if (core->load_count % 1024 == 0) {
		core->loads =
			realloc(core->loads, (core->load_count + 1024) * sizeof(core->loads[0]));
		assert_non_null(core->loads);
	}
	core->loads[core->load_count++] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = flags,
		.p_offset = core->data.size,
		.p_vaddr = address,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = PAGE,
	};
	if (filesz > 0)
		buffer_add(&core->data, bytes, filesz);
}

static inline void core_map_file(struct core_builder *core, const char *path, uint64_t start,
                                 uint64_t end, uint64_t offset)
{
	buffer_u64(&core->file_entries, start);
	buffer_u64(&core->file_entries, end);
	buffer_u64(&core->file_entries, core->offsets_in_bytes ? offset : offset / PAGE);
	buffer_add(&core->file_paths, path, strlen(path) + 1);
	core->file_count++;
}

static inline void core_thread(struct core_builder *core, int pid, int16_t signal)
{
	unsigned char status[336] = {0};
	memcpy(status + 12, &signal, sizeof(signal));
	memcpy(status + 32, &pid, sizeof(pid));
	buffer_note(&core->notes, "CORE", NT_PRSTATUS, status, sizeof(status));
}

static inline void core_process(struct core_builder *core, int pid, const char *command)
{
	unsigned char info[136] = {0};
	memcpy(info + 24, &pid, sizeof(pid));
	memcpy(info + 40, "beam.smp", 8);
	memcpy(info + 56, command, strlen(command) < 80 ? strlen(command) : 80);
	buffer_note(&core->notes, "CORE", NT_PRPSINFO, info, sizeof(info));
}

static inline void core_auxv(struct core_builder *core, uint64_t phdr, uint64_t entry)
{
	uint64_t auxv[] = {AT_PAGESZ, PAGE, AT_PHDR, phdr, AT_ENTRY, entry, AT_NULL, 0};
	buffer_note(&core->notes, "CORE", NT_AUXV, auxv, sizeof(auxv));
}

// Lay the file out as the kernel does: header, program headers (notes first),
// notes, data, and the section header that PN_XNUM needs at the very end.
static inline struct buffer core_finish(struct core_builder *core)
{
	if (core->file_count > 0) {
		struct buffer desc = {0};
		buffer_u64(&desc, core->file_count);
		buffer_u64(&desc, core->offsets_in_bytes ? 1 : PAGE);
		buffer_add(&desc, core->file_entries.bytes, core->file_entries.size);
		buffer_add(&desc, core->file_paths.bytes, core->file_paths.size);
		buffer_note(&core->notes, "CORE", NT_FILE, desc.bytes, desc.size);
		free(desc.bytes);
	}
	size_t count = core->load_count + 1;
	uint64_t notes_at = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
	uint64_t data_at = (notes_at + core->notes.size + PAGE - 1) / PAGE * PAGE + core->skew;
	Elf64_Ehdr header = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = core->machine ? core->machine : EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = count < PN_XNUM ? (uint16_t)count : PN_XNUM,
	};
	if (count >= PN_XNUM) {
		header.e_shoff = data_at + core->data.size;
		header.e_shentsize = sizeof(Elf64_Shdr);
		header.e_shnum = 1;
	}
	Elf64_Phdr notes = {
		.p_type = PT_NOTE,
		.p_offset = notes_at,
		.p_filesz = core->notes.size,
		.p_align = 4,
	};
	struct buffer file = {0};
	buffer_add(&file, &header, sizeof(header));
	buffer_add(&file, &notes, sizeof(notes));
	for (size_t i = 0; i < core->load_count; i++)
		core->loads[i].p_offset += data_at;
	buffer_add(&file, core->loads, core->load_count * sizeof(core->loads[0]));
	buffer_add(&file, core->notes.bytes, core->notes.size);
	buffer_add(&file, NULL, data_at - file.size);
	buffer_add(&file, core->data.bytes, core->data.size);
	if (count >= PN_XNUM) {
		Elf64_Shdr section = {.sh_size = 1, .sh_info = (uint32_t)count};
		buffer_add(&file, &section, sizeof(section));
	}
	free(core->loads);
	free(core->notes.bytes);
	free(core->data.bytes);
	free(core->file_entries.bytes);
	free(core->file_paths.bytes);
	memset(core, 0, sizeof(*core));
	return file;
}

static inline void core_write(struct core_builder *core, const char *path)
{
	struct buffer file = core_finish(core);
	write_file(path, &file);
	free(file.bytes);
}

// An executable of three pages: headers and build-id, read-only data, and data
// that is followed by a page of .bss. Linked at 0; `seed` makes its build-id and
// contents.
enum {
	IMAGE_NOTE = 0x200,
	IMAGE_RODATA = 0x1000,
	IMAGE_DATA = 0x2000,
	IMAGE_BSS = 0x3000,
	IMAGE_END = 0x4000,
	IMAGE_ENTRY = 0x1040,
	IMAGE_RELEASE = 0x1100,
	IMAGE_TABLE = 0x2010,
};

struct image_options {
	unsigned char seed;
	bool no_build_id;
	bool no_symbols;
	// Separate debug information, as objcopy --only-keep-debug makes it.
	bool debug_only;
};

static inline void image_phdr(Elf64_Phdr *phdr, uint32_t type, uint32_t flags, uint64_t address,
                              uint64_t filesz, uint64_t memsz)
{
	*phdr = (Elf64_Phdr){
		.p_type = type,
		.p_flags = flags,
		.p_offset = address,
		.p_vaddr = address,
		.p_paddr = address,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = type == PT_NOTE ? 4 : PAGE,
	};
}

static inline void image_symbols(struct buffer *file, Elf64_Ehdr *header, bool debug_only)
{
	static const char names[] = "\0etp_otp_release\0erts_table\0hidden\0hidden_too\0alias";
	static const char section_names[] = "\0.rodata\0.data\0.symtab\0.strtab\0.shstrtab";
	const Elf64_Sym symbols[] = {
		{0},
		// Two statics of one name, one that is alone.
		{28, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), 0, 2, IMAGE_DATA + 0x100, 8},
		{28, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), 0, 2, IMAGE_DATA + 0x200, 8},
		{35, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT), 0, 2, IMAGE_DATA + 0x300, 8},
		{1, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, 1, IMAGE_RELEASE, 3},
		{17, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, 2, IMAGE_TABLE, 64},
		// A label within erts_table.
		{46, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), 0, 2, IMAGE_TABLE + 16, 0},
		// Undefined: must not be found.
		{1, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, SHN_UNDEF, 0, 0},
	};
	buffer_align(file, 8);
	uint64_t names_at = file->size;
	buffer_add(file, names, sizeof(names));
	uint64_t section_names_at = file->size;
	buffer_add(file, section_names, sizeof(section_names));
	buffer_align(file, 8);
	uint64_t symbols_at = file->size;
	buffer_add(file, symbols, sizeof(symbols));
	const Elf64_Shdr sections[] = {
		{0},
		{.sh_name = 1,
	         .sh_type = debug_only ? SHT_NOBITS : SHT_PROGBITS,
	         .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
	         .sh_addr = IMAGE_RODATA,
	         .sh_offset = IMAGE_RODATA,
	         .sh_size = PAGE,
	         .sh_addralign = 16},
		{.sh_name = 9,
	         .sh_type = SHT_PROGBITS,
	         .sh_flags = SHF_ALLOC | SHF_WRITE,
	         .sh_addr = IMAGE_DATA,
	         .sh_offset = IMAGE_DATA,
	         .sh_size = PAGE,
	         .sh_addralign = 16},
		{.sh_name = 15,
	         .sh_type = SHT_SYMTAB,
	         .sh_offset = symbols_at,
	         .sh_size = sizeof(symbols),
	         .sh_link = 4,
	         .sh_info = 4,
	         .sh_addralign = 8,
	         .sh_entsize = sizeof(Elf64_Sym)},
		{.sh_name = 23,
	         .sh_type = SHT_STRTAB,
	         .sh_offset = names_at,
	         .sh_size = sizeof(names),
	         .sh_addralign = 1},
		{.sh_name = 31,
	         .sh_type = SHT_STRTAB,
	         .sh_offset = section_names_at,
	         .sh_size = sizeof(section_names),
	         .sh_addralign = 1},
	};
	buffer_align(file, 8);
	header->e_shoff = file->size;
	header->e_shentsize = sizeof(Elf64_Shdr);
	header->e_shnum = 6;
	header->e_shstrndx = 5;
	buffer_add(file, sections, sizeof(sections));
}

static inline struct buffer build_image(struct image_options options)
{
	struct buffer file = {0};
	buffer_add(&file, NULL, IMAGE_BSS);
	for (size_t i = IMAGE_RODATA; i < IMAGE_BSS; i++)
		file.bytes[i] = (unsigned char)(i * 7 + (i >> 8) + options.seed);
	memcpy(file.bytes + IMAGE_RELEASE, "25", 3);
	if (options.debug_only)
		memset(file.bytes + IMAGE_RODATA, 0, IMAGE_BSS - IMAGE_RODATA);

	struct buffer note = {0};
	unsigned char id[20];
	memset(id, options.seed, sizeof(id));
	buffer_note(&note, "GNU", options.no_build_id ? NT_GNU_ABI_TAG : NT_GNU_BUILD_ID, id,
	            sizeof(id));
	memcpy(file.bytes + IMAGE_NOTE, note.bytes, note.size);

	Elf64_Phdr phdrs[4];
	image_phdr(&phdrs[0], PT_LOAD, PF_R, 0, PAGE, PAGE);
	image_phdr(&phdrs[1], PT_LOAD, PF_R | PF_X, IMAGE_RODATA, PAGE, PAGE);
	image_phdr(&phdrs[2], PT_LOAD, PF_R | PF_W, IMAGE_DATA, PAGE, 2 * PAGE);
	image_phdr(&phdrs[3], PT_NOTE, PF_R, IMAGE_NOTE, note.size, note.size);
	free(note.bytes);
	Elf64_Ehdr header = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = IMAGE_ENTRY,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 4,
	};
	if (!options.no_symbols)
		image_symbols(&file, &header, options.debug_only);
	memcpy(file.bytes, &header, sizeof(header));
	memcpy(file.bytes + sizeof(header), phdrs, sizeof(phdrs));
	return file;
}

// Open without an error, or fail the test with its message.
static inline struct etp_target *open_core(const char *core, const char *executable,
                                           const char *sysroot)
{
	struct etp_core_options options = {
		.core = core, .executable = executable, .sysroot = sysroot};
	struct etp_target *target = NULL;
	struct etp_error *err = etp_target_open_core(&options, &target);
	if (err)
		fail_msg("%s", err->message);
	return target;
}

// Expect an error of this kind whose message has all of these words.
static inline void expect_error(struct etp_error *err, enum etp_error_kind kind, ...)
{
	assert_non_null(err);
	if (err->kind != kind)
		fail_msg("kind %d, not %d: %s", err->kind, kind, err->message);
	va_list ap;
	va_start(ap, kind);
	for (const char *word; (word = va_arg(ap, const char *));) {
		if (!strstr(err->message, word))
			fail_msg("\"%s\" does not mention \"%s\"", err->message, word);
	}
	va_end(ap);
	etp_error_destroy(err);
}

static inline bool has_warning(const struct etp_target *target, const char *word)
{
	const struct etp_target_info *info = etp_target_info(target);
	for (size_t i = 0; i < info->warning_count; i++) {
		if (strstr(info->warnings[i], word))
			return true;
	}
	return false;
}

#endif
