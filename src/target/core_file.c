// SPDX-License-Identifier: Apache-2.0
// Core files: the ELF header, the program headers, and the memory they describe.
//
// The headers are read by hand, because a core can be cut off anywhere and each
// number in it can be forged: nothing is used before it was compared with the
// size of the file, and nothing is allocated that the file has no bytes for.
// Limits: 64 bits, little endian, Linux on x86_64 and aarch64. A core that is
// overwritten or shortened while it is open kills the reader with SIGBUS, as it
// does every program that maps files.

#include "target/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct etp_error *open_regular(const char *path, const char *printable, int *fd_ret,
                                      struct stat *stat_ret)
{
	// O_NONBLOCK so that a FIFO is refused, not waited for.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return etp_error_os(errno, "Cannot open the core file %s", printable);
	if (fstat(fd, stat_ret) != 0) {
		int os_errno = errno;
		close(fd);
		return etp_error_os(os_errno, "Cannot inspect the core file %s", printable);
	}
	if (!S_ISREG(stat_ret->st_mode)) {
		const char *kind = S_ISDIR(stat_ret->st_mode)    ? "a directory"
		                   : S_ISFIFO(stat_ret->st_mode) ? "a FIFO"
		                   : S_ISBLK(stat_ret->st_mode)  ? "a block device"
		                                                 : "a special file";
		close(fd);
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is %s, not a core file. Pass the path of the core "
		                        "file itself.",
		                        printable, kind);
	}
	*fd_ret = fd;
	return NULL;
}

// What a file that is not ELF may be instead; NULL if there is nothing to say.
static const char *guess_format(const unsigned char *bytes, uint64_t size)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *hint;
	} formats[] = {
		{"\x28\xb5\x2f\xfd", 4,
	         "It is compressed with zstd: decompress it first (zstd -d)."},
		{"\x1f\x8b", 2, "It is compressed with gzip: decompress it first (gzip -d)."},
		{"\xfd"
	         "7zXZ",
	         5, "It is compressed with xz: decompress it first (xz -d)."},
		{"\x04\x22\x4d\x18", 4, "It is compressed with lz4: decompress it first (lz4 -d)."},
		{"BZh", 3, "It is compressed with bzip2: decompress it first (bzip2 -d)."},
		{"=erl_crash_dump", 15,
	         "It is an Erlang crash dump, which is text: open it with crashdump_viewer."},
	};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (size >= formats[i].size &&
		    memcmp(bytes, formats[i].magic, formats[i].size) == 0)
			return formats[i].hint;
	}
	return NULL;
}

static bool is_core_file(const char *path)
{
	Elf64_Ehdr header;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	bool is_core = pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	               memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_CORE;
	close(fd);
	return is_core;
}

static struct etp_error *check_type(const Elf64_Ehdr *header, const char *path,
                                    const char *executable)
{
	if (header->e_type == ET_CORE)
		return NULL;
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is an ELF file of type %u, not a core file.", path,
		                        header->e_type);
	if (executable && is_core_file(executable)) {
		char *printable ETP_CLEANUP_FREE = etp_printable(executable);
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is an executable and %s is a core file: the two paths "
		                        "are swapped.",
		                        path, printable ? printable : "the other");
	}
	return etp_error_create(ETP_ERROR_UNSUPPORTED,
	                        "%s is an executable or a library, not a core file. Pass the path "
	                        "of the core that it dumped.",
	                        path);
}

static struct etp_error *check_header(struct etp_core *core, Elf64_Ehdr *header, const char *path)
{
	if (core->size == 0)
		return etp_error_create(
			ETP_ERROR_UNSUPPORTED,
			"%s is empty: the VM dumped no memory into it. Where it ran, check the "
			"space on the disk and the limit on core files (ulimit -c).",
			path);
	size_t magic_size = core->size < SELFMAG ? (size_t)core->size : SELFMAG;
	if (memcmp(core->bytes, ELFMAG, magic_size) != 0) {
		const char *hint = guess_format(core->bytes, core->size);
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s is not an ELF file, so it is not a core file. %s", path,
		                        hint ? hint : "Is this the right path?");
	}
	if (core->size < sizeof(*header))
		return etp_error_create(
			ETP_ERROR_BAD_DATA,
			"%s is cut off after %llu bytes, within the ELF header: "
			"nothing of the VM's memory is in it. Copy it again, or take "
			"another core.",
			path, (unsigned long long)core->size);
	memcpy(header, core->bytes, sizeof(*header));
	if (header->e_ident[EI_DATA] == ELFDATA2MSB)
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s comes from a big-endian machine. Only little-endian "
		                        "x86_64 and aarch64 are supported.",
		                        path);
	if (header->e_ident[EI_CLASS] == ELFCLASS32)
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "%s comes from a 32-bit program. Only 64-bit x86_64 and "
		                        "aarch64 are supported.",
		                        path);
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "The ELF header of %s is damaged: class %u and byte order "
		                        "%u do not exist.",
		                        path, header->e_ident[EI_CLASS], header->e_ident[EI_DATA]);
	struct etp_error *err = check_type(header, path, core->options->executable);
	if (err)
		return err;
	switch (header->e_machine) {
	case EM_X86_64:
		core->target->info.machine = ETP_MACHINE_X86_64;
		return NULL;
	case EM_AARCH64:
		core->target->info.machine = ETP_MACHINE_AARCH64;
		return NULL;
	}
	return etp_error_create(ETP_ERROR_UNSUPPORTED,
	                        "%s comes from a machine with ELF number %u. Only x86_64 (62) and "
	                        "aarch64 (183) are supported.",
	                        path, header->e_machine);
}

// The number of program headers. From 65,535 on it stands in the first section
// header, which the kernel puts at the very end: a truncated core has lost it.
// Then the notes tell, because the kernel writes them right after the table.
static uint64_t program_header_count(const struct etp_core *core, const Elf64_Ehdr *header,
                                     bool *lost_ret)
{
	*lost_ret = false;
	if (header->e_phnum != PN_XNUM)
		return header->e_phnum;
	Elf64_Shdr section;
	if (header->e_shoff != 0 && core->size >= sizeof(section) &&
	    header->e_shoff <= core->size - sizeof(section)) {
		memcpy(&section, core->bytes + header->e_shoff, sizeof(section));
		if (section.sh_info >= PN_XNUM)
			return section.sh_info;
	}
	*lost_ret = true;
	Elf64_Phdr first;
	if (core->size < sizeof(first) || header->e_phoff > core->size - sizeof(first))
		return 0;
	memcpy(&first, core->bytes + header->e_phoff, sizeof(first));
	if (first.p_type == PT_NOTE && first.p_offset > header->e_phoff) {
		uint64_t count = (first.p_offset - header->e_phoff) / sizeof(first);
		if (count >= PN_XNUM)
			return count;
	}
	return PN_XNUM;
}

static int compare_loads(const void *a, const void *b)
{
	const struct etp_load *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	// Of two for the same place, the one with more bytes.
	if (x->saved != y->saved)
		return x->saved > y->saved ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return 0;
}

// Sort by address; where two overlap, the beginning of the later one is cut off.
// Returns how many were cut.
static size_t sort_loads(struct etp_core *core)
{
	struct etp_load *loads = core->loads;
	if (core->load_count == 0)
		return 0;
	qsort(loads, core->load_count, sizeof(loads[0]), compare_loads);
	size_t count = 0, cut = 0;
	// Last address that is covered: an end may not fit into 64 bits.
	uint64_t covered = 0;
	for (size_t i = 0; i < core->load_count; i++) {
		struct etp_load load = loads[i];
		if (count > 0 && load.start <= covered) {
			cut++;
			if (covered - load.start >= load.size - 1)
				continue;
			uint64_t overlap = covered - load.start + 1;
			load.start += overlap;
			load.size -= overlap;
			load.offset += overlap;
			load.saved -= overlap < load.saved ? overlap : load.saved;
		}
		covered = load.start + (load.size - 1);
		loads[count++] = load;
	}
	core->load_count = count;
	return cut;
}

// What went wrong with the program headers, to be said once for all of them.
struct header_trouble {
	uint64_t wanted_end;
	size_t headers_lost;
	size_t impossible;
	// Notes that the file has no room for: they are in others, which were read.
	size_t notes_left_out;
};

static void want_bytes(struct header_trouble *trouble, uint64_t offset, uint64_t size)
{
	uint64_t end;
	if (__builtin_add_overflow(offset, size, &end))
		end = UINT64_MAX;
	if (end > trouble->wanted_end)
		trouble->wanted_end = end;
}

// How many of `size` bytes at `offset` the file has.
static uint64_t bytes_present(const struct etp_core *core, uint64_t offset, uint64_t size)
{
	if (offset >= core->size)
		return 0;
	return size < core->size - offset ? size : core->size - offset;
}

static void add_load(struct etp_core *core, const Elf64_Phdr *phdr, struct header_trouble *trouble)
{
	if (phdr->p_memsz == 0 && phdr->p_filesz == 0)
		return;
	uint64_t size = phdr->p_memsz;
	// Beyond the address space, or more bytes than addresses.
	if (size == 0 || phdr->p_vaddr + (size - 1) < phdr->p_vaddr || phdr->p_filesz > size) {
		trouble->impossible++;
		if (size == 0 || phdr->p_vaddr + (size - 1) < phdr->p_vaddr)
			return;
	}
	uint64_t in_file = phdr->p_filesz < size ? phdr->p_filesz : size;
	if (in_file > 0)
		want_bytes(trouble, phdr->p_offset, in_file);
	core->loads[core->load_count++] = (struct etp_load){
		.start = phdr->p_vaddr,
		.size = size,
		.saved = bytes_present(core, phdr->p_offset, in_file),
		.offset = phdr->p_offset,
		.flags = phdr->p_flags,
	};
}

static struct etp_error *read_program_headers(struct etp_core *core, const Elf64_Ehdr *header,
                                              const char *path, struct header_trouble *trouble)
{
	if (header->e_phentsize != sizeof(Elf64_Phdr) && header->e_phnum != 0)
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "The ELF header of %s is damaged: its program headers have "
		                        "%u bytes each, not %zu.",
		                        path, header->e_phentsize, sizeof(Elf64_Phdr));
	bool count_lost;
	uint64_t count = program_header_count(core, header, &count_lost);
	uint64_t room = header->e_phoff < core->size
	                        ? (core->size - header->e_phoff) / sizeof(Elf64_Phdr)
	                        : 0;
	if (count == 0 || room == 0)
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "%s has no program headers (%llu bytes in all): nothing of "
		                        "the VM's memory is in it. Was it cut off while it was "
		                        "written or copied?",
		                        path, (unsigned long long)core->size);
	want_bytes(trouble, header->e_phoff, count * sizeof(Elf64_Phdr));
	if (count > room) {
		trouble->headers_lost = (size_t)(count - room);
		count = room;
	}
	core->loads = calloc(count, sizeof(core->loads[0]));
	if (!core->loads)
		return &etp_error_no_memory;
	uint64_t notes_room = core->size;
	for (uint64_t i = 0; i < count; i++) {
		Elf64_Phdr phdr;
		memcpy(&phdr, core->bytes + header->e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_LOAD) {
			core->target->info.segment_count++;
			add_load(core, &phdr, trouble);
		} else if (phdr.p_type == PT_NOTE) {
			want_bytes(trouble, phdr.p_offset, phdr.p_filesz);
			uint64_t size = bytes_present(core, phdr.p_offset, phdr.p_filesz);
			if (size == 0)
				continue;
			if (size > notes_room) {
				trouble->notes_left_out++;
				continue;
			}
			notes_room -= size;
			struct etp_error *err = etp_core_read_notes(
				core, core->bytes + phdr.p_offset, size, phdr.p_align);
			if (err)
				return err;
		}
	}
	if (count_lost)
		return etp_target_warn(core->target,
		                       "%s has more than 65,534 segments, but lost their exact "
		                       "number, which stands at its end; what could be read of "
		                       "them is used.",
		                       path);
	return NULL;
}

static struct etp_error *warn_trouble(struct etp_core *core, const struct header_trouble *trouble,
                                      size_t overlaps, const char *path)
{
	struct etp_target *target = core->target;
	struct etp_error *err = NULL;
	if (trouble->wanted_end > core->size) {
		uint64_t lost = trouble->wanted_end - core->size;
		target->info.bytes_truncated = lost;
		err = etp_target_warn(
			target,
			"%s is truncated: it has %llu bytes, its headers promise "
			"%llu more. What was in these is missing from all answers. Copy "
			"the core again if the original is longer; otherwise raise "
			"the limit on core files or free disk space before the next.",
			path, (unsigned long long)core->size, (unsigned long long)lost);
	}
	if (!err && trouble->headers_lost > 0)
		err = etp_target_warn(target, "%s has lost %zu of its program headers.", path,
		                      trouble->headers_lost);
	if (!err && trouble->impossible > 0)
		err = etp_target_warn(target,
		                      "%s is damaged: %zu of its program headers describe "
		                      "impossible ranges of memory, which were left out or cut.",
		                      path, trouble->impossible);
	if (!err && trouble->notes_left_out > 0)
		err = etp_target_warn(target,
		                      "%s is damaged: its notes overlap; %zu program headers of "
		                      "notes were left out.",
		                      path, trouble->notes_left_out);
	if (!err && overlaps > 0)
		err = etp_target_warn(target,
		                      "%s is damaged: %zu of its segments overlap another at a "
		                      "lower address, which was preferred.",
		                      path, overlaps);
	return err;
}

static struct etp_error *add_saved_segments(struct etp_core *core)
{
	for (size_t i = 0; i < core->load_count; i++) {
		const struct etp_load *load = &core->loads[i];
		if (load->saved == 0)
			continue;
		struct etp_error *err = etp_target_add_segment(
			core->target, load->start, load->saved, core->bytes + load->offset);
		if (err)
			return err;
	}
	etp_target_sort_segments(core->target);
	return NULL;
}

static uint64_t segment_bytes(const struct etp_target *target)
{
	uint64_t total = 0;
	for (size_t i = 0; i < target->segment_count; i++)
		total += target->segments[i].size;
	return total;
}

// Bytes of [start, start + size) that a segment holds.
static uint64_t bytes_held(const struct etp_target *target, size_t *next, uint64_t start,
                           uint64_t size)
{
	uint64_t last = start + (size - 1), held = 0;
	while (*next < target->segment_count) {
		const struct etp_segment *segment = &target->segments[*next];
		uint64_t segment_last = segment->start + (segment->size - 1);
		if (segment->start > last)
			break;
		if (segment_last >= start) {
			uint64_t from = segment->start > start ? segment->start : start;
			uint64_t to = segment_last < last ? segment_last : last;
			held += to - from + 1;
		}
		if (segment_last > last)
			break;
		(*next)++;
	}
	return held;
}

static void count_bytes(struct etp_core *core, uint64_t saved)
{
	struct etp_target_info *info = &core->target->info;
	size_t next = 0;
	info->bytes_saved = saved;
	info->bytes_from_files = segment_bytes(core->target) - saved;
	uint64_t in_loads = 0;
	for (size_t i = 0; i < core->load_count; i++) {
		const struct etp_load *load = &core->loads[i];
		uint64_t held = bytes_held(core->target, &next, load->start, load->size);
		in_loads += held;
		// Without any access there is nothing to save: address space that
		// was reserved for later, and the guard pages of stacks.
		if ((load->flags & (PF_R | PF_W | PF_X)) == 0)
			info->bytes_reserved += load->size - held;
		else
			info->bytes_missing += load->size - held;
		info->bytes_total += load->size;
	}
	// gcore leaves unmodified mappings of files out of the program headers.
	info->bytes_total += saved + info->bytes_from_files - in_loads;
}

static struct etp_error *read_core(struct etp_core *core)
{
	struct etp_target_info *info = &core->target->info;
	char *printable ETP_CLEANUP_FREE = etp_printable(core->options->core);
	info->core_path = etp_target_keep(core->target, core->options->core);
	if (!printable || !info->core_path)
		return &etp_error_no_memory;

	int fd = -1;
	struct stat stat;
	struct etp_error *err = open_regular(core->options->core, printable, &fd, &stat);
	if (err)
		return err;
	info->core_mtime = stat.st_mtime;
	core->size = (uint64_t)stat.st_size;
	if (core->size > 0) {
		struct etp_map *map;
		err = etp_target_map_file(core->target, fd, core->size, core->options->core, &map);
		if (!err)
			core->bytes = map->bytes;
	}
	close(fd);
	if (err)
		return err;

	Elf64_Ehdr header;
	err = check_header(core, &header, printable);
	if (err)
		return err;
	struct header_trouble trouble = {0};
	err = read_program_headers(core, &header, printable, &trouble);
	if (err)
		return err;
	size_t overlaps = sort_loads(core);
	err = warn_trouble(core, &trouble, overlaps, printable);
	if (!err)
		err = add_saved_segments(core);
	if (err)
		return err;
	uint64_t saved = segment_bytes(core->target);
	err = etp_core_open_files(core);
	if (err)
		return err;
	count_bytes(core, saved);
	core->target->loads = core->loads;
	core->target->load_count = core->load_count;
	core->loads = NULL;
	return NULL;
}

bool etp_target_is_missing(const struct etp_target *target, uint64_t address)
{
	struct etp_segment segment;
	size_t low = 0, high = target->load_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (target->loads[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	const struct etp_load *load = &target->loads[low - 1];
	// What is merely reserved, without any access, holds nothing.
	return address - load->start < load->size && (load->flags & (PF_R | PF_W | PF_X)) != 0 &&
	       !etp_target_find_segment(target, address, &segment);
}

struct etp_error *etp_target_open_core(const struct etp_core_options *options,
                                       struct etp_target **ret)
{
	if (!options->core)
		return etp_error_create(ETP_ERROR_ARGUMENT, "No core file was named.");
	struct etp_core core = {.options = options, .page_size = 4096};
	struct etp_error *err = etp_target_alloc(&core.target);
	if (err)
		return err;
	err = read_core(&core);
	free(core.loads);
	free(core.mappings);
	free(core.filled);
	if (err) {
		etp_target_destroy(core.target);
		return err;
	}
	*ret = core.target;
	return NULL;
}
