// SPDX-License-Identifier: Apache-2.0
// The files that were mapped into the VM: which of them is the executable, are
// the files on disk the same ones, and what they can give that the core lacks.

#include "target/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	// An ELF file is mapped in some five pieces; a forged NT_FILE may say other.
	MAX_MAPPINGS_PER_FILE = 1024,
	// Where to look for the executable when the core has no notes.
	MAX_IMAGES_TRIED = 4096,
	// Each is a file that is mapped. A VM has a few dozen, with all NIFs a few hundred.
	LIBRARIES_MAX = 1000,
};

// All mappings of one path.
struct file_group {
	const char *path;
	const struct etp_file_mapping *mappings;
	size_t mapping_count;
	// Address at which the file's first page is mapped.
	uint64_t base;
	bool has_base;
	// What the core's memory has at `base`.
	bool has_image;
	struct etp_image image;
};

// How sure it is that a file on disk is the one that was mapped.
enum verdict {
	MATCHES,
	// The core does not have the bytes to tell.
	UNVERIFIED,
	DIFFERS,
	// There is no such file.
	ABSENT,
};

static int compare_mappings(const void *a, const void *b)
{
	const struct etp_file_mapping *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	if (order != 0)
		return order;
	return x->start < y->start ? -1 : x->start > y->start;
}

static bool begins_as_elf(const struct etp_core *core, uint64_t address)
{
	struct etp_segment segment;
	return etp_target_find_segment(core->target, address, &segment) &&
	       segment.size - (address - segment.start) >= SELFMAG &&
	       !memcmp(segment.bytes + (address - segment.start), ELFMAG, SELFMAG);
}

static bool read_image(const struct etp_core *core, struct file_group *group)
{
	group->has_image = group->has_base && etp_image_read(core->target, group->base,
	                                                     core->page_size, &group->image);
	return group->has_image;
}

static struct etp_error *make_groups(struct etp_core *core, struct file_group **ret,
                                     size_t *count_ret)
{
	if (core->mapping_count == 0) {
		*ret = NULL;
		*count_ret = 0;
		return NULL;
	}
	struct etp_file_mapping *mappings = core->mappings;
	qsort(mappings, core->mapping_count, sizeof(mappings[0]), compare_mappings);
	struct file_group *groups = calloc(core->mapping_count, sizeof(groups[0]));
	if (!groups)
		return &etp_error_no_memory;
	size_t count = 0;
	for (size_t i = 0; i < core->mapping_count; i++) {
		if (count == 0 || strcmp(groups[count - 1].path, mappings[i].path) != 0)
			groups[count++] = (struct file_group){.path = mappings[i].path,
			                                      .mappings = &mappings[i]};
		struct file_group *group = &groups[count - 1];
		if (group->mapping_count == MAX_MAPPINGS_PER_FILE)
			continue;
		group->mapping_count++;
		if (mappings[i].offset == 0 && !group->has_base) {
			group->base = mappings[i].start;
			group->has_base = true;
		}
	}
	size_t left = core->options->max_libraries ? core->options->max_libraries : LIBRARIES_MAX;
	for (size_t i = 0; i < count; i++) {
		if (left)
			left -= read_image(core, &groups[i]);
		else
			core->images_left_out +=
				groups[i].has_base && begins_as_elf(core, groups[i].base);
	}
	*ret = groups;
	*count_ret = count;
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool is_beam_name(const char *path)
{
	return strncmp(base_name(path), "beam", 4) == 0;
}

static struct file_group *group_at(struct file_group *groups, size_t count, uint64_t address)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < groups[i].mapping_count; j++) {
			const struct etp_file_mapping *mapping = &groups[i].mappings[j];
			if (address >= mapping->start && address < mapping->end)
				return &groups[i];
		}
	}
	return NULL;
}

static struct file_group *find_executable(const struct etp_core *core, struct file_group *groups,
                                          size_t count)
{
	struct file_group *found = NULL;
	if (core->at_phdr)
		found = group_at(groups, count, core->at_phdr);
	if (!found && core->at_entry)
		found = group_at(groups, count, core->at_entry);
	// AT_PHDR is the dynamic linker's when that was started by name.
	if (found && strncmp(base_name(found->path), "ld", 2) != 0)
		return found;
	for (size_t i = 0; i < count; i++) {
		if (groups[i].has_base && is_beam_name(groups[i].path) &&
		    (groups[i].has_image || !found))
			return &groups[i];
	}
	return found;
}

// Do the first pages agree? The section headers may differ, because the file may
// have been stripped after it was started, or have got its symbols back.
static bool same_first_page(const struct etp_core *core, uint64_t base,
                            const struct etp_elf_file *file)
{
	struct etp_segment segment;
	if (!etp_target_find_segment(core->target, base, &segment))
		return false;
	uint64_t size = segment.size - (base - segment.start);
	if (size > core->page_size)
		size = core->page_size;
	if (size > file->map->size)
		size = file->map->size;
	const unsigned char *saved = segment.bytes + (base - segment.start);
	Elf64_Ehdr header;
	if (size < sizeof(header))
		return false;
	memcpy(&header, saved, sizeof(header));
	if (file->debug_only)
		return header.e_entry == file->header.e_entry &&
		       header.e_phnum == file->header.e_phnum;
	header.e_shoff = file->header.e_shoff;
	header.e_shentsize = file->header.e_shentsize;
	header.e_shnum = file->header.e_shnum;
	header.e_shstrndx = file->header.e_shstrndx;
	return memcmp(&header, &file->header, sizeof(header)) == 0 &&
	       memcmp(saved + sizeof(header), file->map->bytes + sizeof(header),
	              size - sizeof(header)) == 0;
}

static enum verdict judge(const struct etp_core *core, const struct file_group *group,
                          const struct etp_elf_file *file)
{
	if (group->has_image) {
		if (group->image.build_id.size > 0)
			return etp_build_id_equal(&group->image.build_id, &file->build_id)
			               ? MATCHES
			               : DIFFERS;
		return same_first_page(core, group->base, file) ? UNVERIFIED : DIFFERS;
	}
	if (core->at_entry && core->at_phdr && group->has_base &&
	    core->at_entry - core->at_phdr != file->header.e_entry - file->phdr_vaddr)
		return DIFFERS;
	return UNVERIFIED;
}

// Where the executable was loaded: its headers in the core's memory tell, or else
// the file's own, put where NT_FILE or AT_PHDR say.
static bool find_image(const struct etp_core *core, struct file_group *group,
                       const struct etp_elf_file *file)
{
	if (group->has_image)
		return true;
	uint64_t base = group->base;
	if (!group->has_base) {
		struct etp_image unmoved;
		if (!core->at_phdr || !file->phdr_vaddr ||
		    !etp_elf_file_image(file, 0, core->page_size, &unmoved))
			return false;
		base = core->at_phdr - (file->phdr_vaddr + unmoved.bias);
	}
	return etp_elf_file_image(file, base, core->page_size, &group->image);
}

static struct etp_error *fill_from(struct etp_core *core, const struct etp_elf_file *file,
                                   const struct file_group *group)
{
	return etp_core_fill(core, file, group->image.bias, group->mappings, group->mapping_count);
}

// The path in NT_FILE, without what the kernel puts behind that of a file which
// was deleted (an upgrade does that) before the dump.
static char *path_on_disk(const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t length = strlen(path), tail = sizeof(deleted) - 1;
	if (length > tail && strcmp(path + length - tail, deleted) == 0)
		length -= tail;
	return strndup(path, length);
}

// "path (build-id ab12...)", for messages. NULL when out of memory.
static char *describe(const char *path, const struct etp_build_id *id)
{
	char hex[2 * sizeof(id->bytes) + 1];
	char *printable ETP_CLEANUP_FREE = etp_printable(path);
	char *text = NULL;
	int length = -1;
	if (printable && id->size > 0)
		length = asprintf(&text, "%s (build-id %s)", printable,
		                  etp_build_id_format(id, hex, sizeof(hex)));
	else if (printable)
		length = asprintf(&text, "%s (which has no build-id)", printable);
	return length < 0 ? NULL : text;
}

static struct etp_error *set_no_symbols(struct etp_core *core, const char *reason)
{
	core->target->no_symbols_reason = etp_target_keep(core->target, reason);
	return core->target->no_symbols_reason ? NULL : &etp_error_no_memory;
}

// Keep whichever of two files is more surely the one that was mapped.
static void keep_better(struct etp_elf_file *best, enum verdict *verdict,
                        struct etp_elf_file *other, enum verdict other_verdict)
{
	if (other_verdict < *verdict) {
		struct etp_elf_file worse = *best;
		*best = *other;
		*other = worse;
		*verdict = other_verdict;
	}
	etp_elf_file_close(other);
}

// Open the file that a core names: at its path below the sysroot, or else, as gdb does,
// below a directory of the search path, or there by its name alone. The error is that of
// the first.
static struct etp_error *open_named_file(struct etp_core *core, const struct file_group *group,
                                         const char *path, struct etp_elf_file *ret,
                                         enum verdict *verdict_ret)
{
	const struct etp_core_options *options = core->options;
	struct etp_elf_file best = {.fd = -1};
	enum verdict verdict = ABSENT;
	struct etp_error *first = etp_elf_file_open(core->target, path, options->sysroot, &best);
	if (first && first->kind == ETP_ERROR_NO_MEMORY)
		return first;
	if (!first)
		verdict = judge(core, group, &best);
	char *directories ETP_CLEANUP_FREE =
		options->search_path ? strdup(options->search_path) : NULL;
	if (options->search_path && !directories) {
		etp_elf_file_close(&best);
		etp_error_destroy(first);
		return &etp_error_no_memory;
	}
	char *rest = directories;
	for (char *directory; verdict != MATCHES && (directory = strsep(&rest, ":"));) {
		const char *const names[] = {path, base_name(path)};
		for (size_t i = 0; i < 2 && verdict != MATCHES && *directory; i++) {
			struct etp_elf_file file;
			struct etp_error *err =
				etp_elf_file_open(core->target, names[i], directory, &file);
			if (!err)
				keep_better(&best, &verdict, &file, judge(core, group, &file));
			etp_error_destroy(err);
		}
	}
	if (verdict == ABSENT)
		return first;
	etp_error_destroy(first);
	*ret = best;
	*verdict_ret = verdict;
	return NULL;
}

// The executable on its way from paths to symbols.
struct executable {
	struct file_group *group;
	struct etp_mapped_file *entry;
	// The path that the core names, for the disk; NULL if it names none.
	char *core_path;
	struct etp_elf_file file;
	bool is_open;
};

// Try the file that the core itself names. Is it the one?
static struct etp_error *try_core_path(struct etp_core *core, const struct executable *executable,
                                       struct etp_elf_file *file, bool *found_ret,
                                       enum verdict *verdict_ret)
{
	*found_ret = false;
	if (!executable->core_path)
		return NULL;
	struct etp_error *err =
		open_named_file(core, executable->group, executable->core_path, file, verdict_ret);
	if (err) {
		if (err->kind == ETP_ERROR_NO_MEMORY)
			return err;
		etp_error_destroy(err);
		return NULL;
	}
	*found_ret = true;
	return NULL;
}

// The user's file is not the one that dumped core: say so, and try the file that
// the core names instead.
static struct etp_error *replace_mismatch(struct etp_core *core, struct executable *executable)
{
	const struct file_group *group = executable->group;
	char *given ETP_CLEANUP_FREE = describe(executable->file.path, &executable->file.build_id);
	char *wanted ETP_CLEANUP_FREE =
		describe(group->path ? group->path : "the executable", &group->image.build_id);
	if (!given || !wanted)
		return &etp_error_no_memory;
	executable->entry->file_build_id = executable->file.build_id;
	etp_elf_file_close(&executable->file);
	executable->is_open = false;

	struct etp_elf_file file;
	bool found;
	enum verdict verdict;
	struct etp_error *err = try_core_path(core, executable, &file, &found, &verdict);
	if (err)
		return err;
	if (found && verdict == MATCHES) {
		executable->file = file;
		executable->is_open = true;
		char *used ETP_CLEANUP_FREE = etp_printable(file.path);
		return etp_target_warn(core->target,
		                       "The executable %s is not the one that %s, which "
		                       "was %s. %s has %s build-id and is used instead.",
		                       given,
		                       core->live_executable ? "the process runs" : "dumped core",
		                       wanted, used ? used : "The file at that path",
		                       core->live_executable ? "its" : "the core's");
	}
	if (found)
		etp_elf_file_close(&file);
	err = set_no_symbols(core, "the executable that was given is not the one that dumped core, "
	                           "so that its symbols would be wrong. Pass the executable that "
	                           "has the core's build-id.");
	if (err)
		return err;
	return etp_target_warn(core->target,
	                       "The executable %s is not the one that dumped core, which was %s. "
	                       "Neither its symbols nor its pages are used. Pass the executable "
	                       "that dumped core, or the directory with the files of the machine "
	                       "or container it ran on (sysroot).",
	                       given, wanted);
}

static struct etp_error *warn_unverified(struct etp_core *core, const char *path)
{
	char *printable ETP_CLEANUP_FREE = etp_printable(path);
	return etp_target_warn(core->target,
	                       "It could not be verified that %s is the executable that dumped "
	                       "core, because the core has no build-id of it. It is used as it is: "
	                       "if it is another build, answers will be wrong.",
	                       printable ? printable : "the executable");
}

static struct etp_error *open_given(struct etp_core *core, struct executable *executable)
{
	struct etp_error *err =
		etp_elf_file_open(core->target, core->options->executable, NULL, &executable->file);
	if (err) {
		char *named ETP_CLEANUP_FREE =
			etp_printable(executable->core_path ? executable->core_path : "");
		if (named && *named)
			return etp_error_prefix(err,
			                        "The core was dumped by %s; the executable must "
			                        "be that file or a copy of it",
			                        named);
		return etp_error_prefix(err,
		                        "The executable must be the beam.smp that dumped core");
	}
	executable->is_open = true;
	switch (judge(core, executable->group, &executable->file)) {
	case MATCHES:
		return NULL;
	case UNVERIFIED:
		return find_image(core, executable->group, &executable->file)
		               ? warn_unverified(core, executable->file.path)
		               : NULL;
	case DIFFERS:
	case ABSENT:
		return replace_mismatch(core, executable);
	}
	return NULL;
}

static struct etp_error *open_named(struct etp_core *core, struct executable *executable)
{
	struct etp_target *target = core->target;
	struct etp_error *err;
	if (!executable->core_path) {
		err = set_no_symbols(core, "the core does not name the executable that dumped it. "
		                           "Pass the path of its beam.smp.");
		return err ? err
		           : etp_target_warn(target, "The core does not say which executable "
		                                     "dumped it, so that there are no symbols. "
		                                     "Pass the path of its beam.smp.");
	}
	char *wanted ETP_CLEANUP_FREE =
		describe(executable->core_path, &executable->group->image.build_id);
	if (!wanted)
		return &etp_error_no_memory;
	enum verdict verdict;
	err = open_named_file(core, executable->group, executable->core_path, &executable->file,
	                      &verdict);
	if (err) {
		if (err->kind == ETP_ERROR_NO_MEMORY)
			return err;
		struct etp_error *warned =
			etp_target_warn(target,
		                        "The core was dumped by %s, which cannot be used here, so "
		                        "that there are no symbols. %s Pass the path of a copy of "
		                        "it, or the directory with the files of the machine or "
		                        "container it ran on (sysroot).",
		                        wanted, err->message);
		if (!warned)
			warned = set_no_symbols(core, err->message);
		etp_error_destroy(err);
		return warned;
	}
	executable->is_open = true;
	switch (verdict) {
	case MATCHES:
		return NULL;
	case UNVERIFIED:
		return warn_unverified(core, executable->file.path);
	case DIFFERS:
	case ABSENT:
		break;
	}
	char *found ETP_CLEANUP_FREE = describe(executable->file.path, &executable->file.build_id);
	executable->entry->file_build_id = executable->file.build_id;
	etp_elf_file_close(&executable->file);
	executable->is_open = false;
	err = set_no_symbols(core, "the executable at the path that the core names is another one. "
	                           "Pass the path of the one that dumped core.");
	if (err)
		return err;
	return etp_target_warn(target,
	                       "The core was dumped by %s, but the file that was found for it is "
	                       "another one, %s. Neither its symbols nor its pages are used. Pass "
	                       "the path of the executable that dumped core.",
	                       wanted, found ? found : "?");
}

// Use the open executable: its pages, its symbols, where it is.
static struct etp_error *use_executable(struct etp_core *core, struct executable *executable)
{
	struct etp_target *target = core->target;
	struct etp_target_info *info = &target->info;
	struct file_group *group = executable->group;
	const struct etp_elf_file *file = &executable->file;
	if (!find_image(core, group, file)) {
		char *printable ETP_CLEANUP_FREE = etp_printable(file->path);
		struct etp_error *err = set_no_symbols(
			core, "the core does not say where its executable was loaded.");
		return err ? err
		           : etp_target_warn(target,
		                             "The core does not say where %s was loaded (it has "
		                             "no auxiliary vector and no list of mapped files), so "
		                             "that there are no symbols.",
		                             printable ? printable : "its executable");
	}
	info->executable_path = file->path;
	info->executable_build_id = file->build_id;
	struct etp_mapped_file *entry = executable->entry;
	entry->file_build_id = file->build_id;
	entry->matched = judge(core, group, file) == MATCHES;

	// Separate debug information has symbols, but no pages.
	struct etp_elf_file pages = *file;
	struct etp_error *err = NULL;
	bool have_pages = !file->debug_only || core->live_executable;
	if (!have_pages) {
		enum verdict verdict = DIFFERS;
		err = try_core_path(core, executable, &pages, &have_pages, &verdict);
		if (!err && have_pages && (verdict != MATCHES || pages.debug_only)) {
			etp_elf_file_close(&pages);
			have_pages = false;
		}
	}
	if (!err && !have_pages) {
		char *printable ETP_CLEANUP_FREE = etp_printable(file->path);
		err = etp_target_warn(
			target,
			"%s is separate debug information: it has symbols, but not the "
			"read-only data that the core lacks. Pass the executable itself, "
			"stripped or not; this file is then found beside it or in the "
			"usual directories.",
			printable ? printable : "The executable");
	}
	// A process has its pages itself.
	if (!err && have_pages && !core->live_executable) {
		entry->used_path = pages.path;
		err = fill_from(core, &pages, group);
	}
	if (have_pages && file->debug_only && !core->live_executable)
		etp_elf_file_close(&pages);
	if (!err)
		err = etp_target_load_symbols(target, file, group->image.bias,
		                              core->options->sysroot);
	return err;
}

// A core without (usable) notes: look for the given executable at the start of
// each segment, by its build-id.
static void find_by_build_id(const struct etp_core *core, const struct etp_elf_file *file,
                             struct file_group *group)
{
	if (file->build_id.size == 0)
		return;
	size_t tried = 0;
	for (size_t i = 0; i < core->load_count && tried < MAX_IMAGES_TRIED; i++) {
		const struct etp_load *load = &core->loads[i];
		struct etp_image image;
		if (load->saved == 0 || (load->flags & PF_W))
			continue;
		tried++;
		if (etp_image_read(core->target, load->start, core->page_size, &image) &&
		    etp_build_id_equal(&image.build_id, &file->build_id)) {
			group->image = image;
			group->has_image = true;
			group->base = load->start;
			group->has_base = true;
			return;
		}
	}
}

static struct etp_error *open_executable(struct etp_core *core, struct executable *executable)
{
	const char *given = core->options->executable;
	struct file_group *group = executable->group;
	if (!group->path && given) {
		// NT_FILE did not name it: only its own headers can tell where it is.
		struct etp_elf_file file;
		struct etp_error *err = etp_elf_file_open(core->target, given, NULL, &file);
		if (!err) {
			if (find_image(core, group, &file))
				group->has_image = etp_image_read(core->target, group->image.start,
				                                  core->page_size, &group->image);
			if (!group->has_image)
				find_by_build_id(core, &file, group);
			else
				group->base = group->image.start, group->has_base = true;
			etp_elf_file_close(&file);
		}
		etp_error_destroy(err);
	}
	struct etp_error *err = given ? open_given(core, executable) : open_named(core, executable);
	if (!err && executable->is_open)
		err = use_executable(core, executable);
	if (executable->is_open)
		etp_elf_file_close(&executable->file);
	if (err)
		return err;
	struct etp_target_info *info = &core->target->info;
	info->core_build_id = group->image.build_id;
	info->executable_bias = group->image.bias;
	info->executable_start = group->image.start;
	info->executable_end = group->image.end;
	return NULL;
}

static struct etp_error *open_library(struct etp_core *core, const struct file_group *group,
                                      struct etp_mapped_file *entry)
{
	// Without a build-id there is nothing to tell whether it is the same file,
	// and a library is not worth a guess.
	if (group->image.build_id.size == 0)
		return NULL;
	char *path ETP_CLEANUP_FREE = path_on_disk(group->path);
	if (!path)
		return &etp_error_no_memory;
	struct etp_elf_file file;
	enum verdict verdict;
	struct etp_error *err = open_named_file(core, group, path, &file, &verdict);
	if (err) {
		if (err->kind == ETP_ERROR_NO_MEMORY)
			return err;
		etp_error_destroy(err);
		return NULL;
	}
	entry->file_build_id = file.build_id;
	if (verdict == MATCHES && !file.debug_only) {
		entry->matched = true;
		entry->used_path = file.path;
		err = fill_from(core, &file, group);
	}
	etp_elf_file_close(&file);
	return err;
}

static struct etp_error *warn_left_out(struct etp_core *core)
{
	if (!core->images_left_out)
		return NULL;
	size_t most = core->options->max_libraries ? core->options->max_libraries : LIBRARIES_MAX;
	return etp_target_warn(
		core->target,
		"The core names %zu libraries beyond the limit of %zu: files that have "
		"what it lacks of them were not looked for. `set etp max-libraries` "
		"raises that limit.",
		core->images_left_out, most);
}

static int compare_files(const void *a, const void *b)
{
	const struct etp_mapped_file *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static struct etp_error *add_entry(struct etp_core *core, const struct file_group *group,
                                   struct etp_mapped_file *entry)
{
	*entry = (struct etp_mapped_file){.core_build_id = group->image.build_id};
	entry->path = etp_target_keep(core->target, group->path ? group->path : "");
	if (!entry->path)
		return &etp_error_no_memory;
	entry->start = UINT64_MAX;
	for (size_t i = 0; i < group->mapping_count; i++) {
		if (group->mappings[i].start < entry->start)
			entry->start = group->mappings[i].start;
		if (group->mappings[i].end > entry->end)
			entry->end = group->mappings[i].end;
	}
	return NULL;
}

static struct etp_error *open_files(struct etp_core *core, struct file_group *groups,
                                    size_t group_count)
{
	struct etp_target *target = core->target;
	struct file_group unnamed = {0};
	struct executable executable = {
		.group = find_executable(core, groups, group_count),
		.file = {.fd = -1},
	};
	if (!executable.group)
		executable.group = &unnamed;
	else if (!executable.group->has_image && read_image(core, executable.group))
		core->images_left_out -= core->images_left_out > 0;
	target->files = calloc(group_count + 1, sizeof(target->files[0]));
	if (!target->files)
		return &etp_error_no_memory;

	size_t count = 0;
	struct etp_error *err;
	if (executable.group->path || core->options->executable) {
		executable.entry = &target->files[count++];
		err = add_entry(core, executable.group, executable.entry);
		if (err)
			return err;
		executable.entry->is_executable = true;
	}
	if (executable.group->path) {
		executable.core_path = core->live_executable ? strdup(core->live_executable)
		                                             : path_on_disk(executable.group->path);
		if (!executable.core_path)
			return &etp_error_no_memory;
	}
	err = open_executable(core, &executable);
	free(executable.core_path);
	if (err)
		return err;
	if (executable.entry) {
		executable.entry->core_build_id = executable.group->image.build_id;
		if (!executable.group->path) {
			executable.entry->start = executable.group->image.start;
			executable.entry->end = executable.group->image.end;
		}
	}
	if (!core->live_executable) {
		err = warn_left_out(core);
		if (err)
			return err;
	}
	for (size_t i = 0; i < group_count && !core->live_executable; i++) {
		if (&groups[i] == executable.group || !groups[i].has_image)
			continue;
		struct etp_mapped_file *entry = &target->files[count++];
		err = add_entry(core, &groups[i], entry);
		if (!err)
			err = open_library(core, &groups[i], entry);
		if (err)
			return err;
	}
	qsort(target->files, count, sizeof(target->files[0]), compare_files);
	target->info.files = target->files;
	target->info.file_count = count;
	for (size_t i = 0; i < core->filled_count; i++) {
		err = etp_target_add_segment(target, core->filled[i].start, core->filled[i].size,
		                             core->filled[i].bytes);
		if (err)
			return err;
	}
	etp_target_sort_segments(target);
	return NULL;
}

struct etp_error *etp_core_open_files(struct etp_core *core)
{
	struct file_group *groups;
	size_t count;
	struct etp_error *err = make_groups(core, &groups, &count);
	if (err)
		return err;
	err = open_files(core, groups, count);
	free(groups);
	return err;
}
