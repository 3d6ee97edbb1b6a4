// SPDX-License-Identifier: Apache-2.0
// Stacks of C by libdwfl: it knows .eh_frame, and we have memory and registers.
#include <etp/threads.h>

#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/internal.h"
#include "target/pthread_self.h"
#include "target/source.h"

// struct user_regs_struct of x86-64: where the registers of each DWARF number stand, in words.
static const unsigned char places[ETP_DWARF_REGISTERS] = {10, 12, 11, 5, 13, 14, 4, 19, 9,
                                                          8,  7,  6,  3, 2,  1,  0, 16};
enum {
	PLACE_FS_BASE = 21,
	PAGE = 4096,
	// Threads whose stacks are searched for who they are: a forged core has millions.
	STACKS_SEARCHED_MAX = 4096,
};

static const struct etp_thread *threads_of(const struct etp_target *target, size_t *count_ret)
{
	if (target->source) {
		*count_ret = target->source->thread_count;
		return target->source->threads;
	}
	*count_ret = target->thread_count;
	return target->threads;
}

size_t etp_target_thread_count(const struct etp_target *target)
{
	size_t count;
	threads_of(target, &count);
	return target->info.machine == ETP_MACHINE_X86_64 ? count : 0;
}

static uint64_t register_of(const struct etp_thread *thread, size_t place)
{
	uint64_t value;
	memcpy(&value, thread->registers + place * sizeof(value), sizeof(value));
	return value;
}

void etp_target_thread(const struct etp_target *target, size_t index, struct etp_thread_state *ret)
{
	size_t count;
	const struct etp_thread *thread = &threads_of(target, &count)[index];
	*ret = (struct etp_thread_state){
		.tid = thread->tid,
		.thread = register_of(thread, PLACE_FS_BASE),
		.is_partial = true,
	};
	for (size_t i = 0; i < ETP_DWARF_REGISTERS; i++) {
		ret->registers[i] = register_of(thread, places[i]);
		if (i != ETP_DWARF_SP && i != ETP_DWARF_PC && ret->registers[i])
			ret->is_partial = false;
	}
	if (!ret->thread && ret->is_partial && index < STACKS_SEARCHED_MAX)
		ret->thread = etp_pthread_self(target, ret->tid, ret->registers[ETP_DWARF_SP]);
}

struct etp_unwinder {
	const struct etp_target *target;
	struct etp_reader reader;
	Dwfl *dwfl;
	bool is_attached;
	// While it unwinds.
	const struct etp_thread_state *state;
	struct etp_c_frame *frames;
	size_t count, capacity;
};

// .eh_frame is in the files themselves: nothing is looked for elsewhere.
static int find_no_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                             const char *file, const char *link, GElf_Word crc, char **path)
{
	(void)module;
	(void)data;
	(void)name;
	(void)base;
	(void)file;
	(void)link;
	(void)crc;
	(void)path;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = find_no_debuginfo,
};

static void report_file(struct etp_unwinder *unwinder, const char *path, uint64_t bias)
{
	// A file that does not open is one that frames have no names in.
	dwfl_report_elf(unwinder->dwfl, path, path, -1, bias, true);
}

static bool has_build_id(int fd, const struct etp_build_id *wanted)
{
	struct etp_build_id id;
	const void *bytes;
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	ssize_t size = elf ? dwelf_elf_gnu_build_id(elf, &bytes) : -1;
	id.size = size > 0 && (size_t)size <= sizeof(id.bytes) ? (size_t)size : 0;
	if (id.size)
		memcpy(id.bytes, bytes, id.size);
	elf_end(elf);
	return etp_build_id_equal(&id, wanted);
}

// Of a process no library was opened yet. Its own root has the files of a container, and
// ours those of a VM that changed its root; which of the two paths are seen from depends on
// name spaces, so their build-ids decide.
static void report_library(struct etp_unwinder *unwinder, const struct etp_file_mapping *mapping)
{
	char in_root[32];
	struct etp_image image;
	if (!etp_image_read(unwinder->target, mapping->start, PAGE, &image) || !image.build_id.size)
		return;
	snprintf(in_root, sizeof(in_root), "/proc/%d/root", unwinder->target->source->pid);
	const char *const roots[] = {in_root, ""};
	for (size_t i = 0; i < 2; i++) {
		char *path ETP_CLEANUP_FREE = NULL;
		if (asprintf(&path, "%s%s", roots[i], mapping->path) < 0) {
			path = NULL;
			return;
		}
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		bool is_it = fd >= 0 && has_build_id(fd, &image.build_id);
		// libdwfl takes the descriptor over, unless it fails.
		if (is_it && dwfl_report_elf(unwinder->dwfl, path, path, fd, image.bias, true))
			return;
		if (fd >= 0)
			close(fd);
	}
}

static void report_files(struct etp_unwinder *unwinder)
{
	const struct etp_target_info *info = &unwinder->target->info;
	if (info->executable_path)
		report_file(unwinder, info->executable_path, info->executable_bias);
	for (size_t i = 0; i < info->file_count; i++) {
		const struct etp_mapped_file *file = &info->files[i];
		if (file->is_executable)
			continue;
		// Libraries are linked to address 0.
		if (file->used_path && file->matched)
			report_file(unwinder, file->used_path, file->start);
	}
	if (!unwinder->target->source)
		return;
	const struct etp_proc_maps *maps = &unwinder->target->source->maps;
	for (size_t i = 0; i < maps->file_count; i++) {
		const struct etp_file_mapping *file = &maps->files[i];
		if (file->offset == 0 && strstr(file->path, ".so"))
			report_library(unwinder, file);
	}
}

struct etp_error *etp_unwinder_create(const struct etp_target *target, struct etp_unwinder **ret)
{
	struct etp_unwinder *unwinder = calloc(1, sizeof(*unwinder));
	if (!unwinder)
		return &etp_error_no_memory;
	unwinder->target = target;
	etp_reader_init(&unwinder->reader, target);
	unwinder->dwfl = dwfl_begin(&callbacks);
	if (!unwinder->dwfl) {
		free(unwinder);
		return &etp_error_no_memory;
	}
	dwfl_report_begin(unwinder->dwfl);
	report_files(unwinder);
	dwfl_report_end(unwinder->dwfl, NULL, NULL);
	*ret = unwinder;
	return NULL;
}

void etp_unwinder_destroy(struct etp_unwinder *unwinder)
{
	if (!unwinder)
		return;
	dwfl_end(unwinder->dwfl);
	free(unwinder);
}

static pid_t next_thread(Dwfl *dwfl, void *argument, void **thread_argument)
{
	struct etp_unwinder *unwinder = argument;
	(void)dwfl;
	// There is one, with the registers that are at hand.
	if (*thread_argument)
		return 0;
	*thread_argument = unwinder;
	return 1;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *ret, void *argument)
{
	struct etp_unwinder *unwinder = argument;
	uint64_t word;
	(void)dwfl;
	if (!etp_read_u64(&unwinder->reader, address, &word))
		return false;
	*ret = word;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *argument)
{
	const struct etp_unwinder *unwinder = argument;
	Dwarf_Word registers[ETP_DWARF_REGISTERS];
	for (size_t i = 0; i < ETP_DWARF_REGISTERS; i++)
		registers[i] = unwinder->state->registers[i];
	return dwfl_thread_state_registers(thread, 0, ETP_DWARF_REGISTERS, registers);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static void name_file(struct etp_c_frame *frame, const char *path, uint64_t start)
{
	const char *slash = strrchr(path, '/');
	frame->file = slash ? slash + 1 : path;
	frame->offset = frame->pc - start;
}

// A library of the target that was not found here, or was another build's.
static void name_missing(const struct etp_unwinder *unwinder, struct etp_c_frame *frame)
{
	const struct etp_target_info *info = &unwinder->target->info;
	frame->is_missing = true;
	for (size_t i = 0; i < info->file_count; i++) {
		const struct etp_mapped_file *file = &info->files[i];
		if (frame->pc >= file->start && frame->pc < file->end)
			return name_file(frame, file->path, file->start);
	}
	if (!unwinder->target->source)
		return;
	const struct etp_proc_maps *maps = &unwinder->target->source->maps;
	for (size_t i = 0; i < maps->file_count; i++) {
		const struct etp_file_mapping *file = &maps->files[i];
		if (frame->pc >= file->start && frame->pc < file->end && strstr(file->path, ".so"))
			return name_file(frame, file->path, file->start - file->offset);
	}
}

static int add_frame(Dwfl_Frame *frame, void *argument)
{
	struct etp_unwinder *unwinder = argument;
	Dwarf_Addr pc;
	bool is_activation;
	if (unwinder->count == unwinder->capacity || !dwfl_frame_pc(frame, &pc, &is_activation))
		return DWARF_CB_ABORT;
	struct etp_c_frame *found = &unwinder->frames[unwinder->count++];
	*found = (struct etp_c_frame){.pc = pc};
	// A return address may be behind the end of the function that calls.
	Dwarf_Addr inside = is_activation ? pc : pc - 1;
	Dwfl_Module *module = dwfl_addrmodule(unwinder->dwfl, inside);
	if (!module) {
		name_missing(unwinder, found);
		return DWARF_CB_ABORT;
	}
	Dwarf_Addr start = 0;
	const char *path = dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
	const char *slash = path ? strrchr(path, '/') : NULL;
	found->file = slash ? slash + 1 : path;
	GElf_Sym symbol;
	GElf_Off offset;
	found->function = dwfl_module_addrinfo(module, inside, &offset, &symbol, NULL, NULL, NULL);
	// What has no size only stands before.
	if (found->function && offset >= symbol.st_size && symbol.st_size)
		found->function = NULL;
	found->offset = (found->function ? offset : inside - start) + (pc - inside);
	return DWARF_CB_OK;
}

size_t etp_unwind(struct etp_unwinder *unwinder, const struct etp_thread_state *state,
                  struct etp_c_frame *frames, size_t capacity)
{
	unwinder->state = state;
	unwinder->frames = frames;
	unwinder->count = 0;
	unwinder->capacity = capacity;
	if (!unwinder->is_attached)
		unwinder->is_attached =
			dwfl_attach_state(unwinder->dwfl, NULL, 1, &thread_callbacks, unwinder);
	// Its errors are that the stack ends: there are no others that frames do not show.
	if (unwinder->is_attached)
		dwfl_getthread_frames(unwinder->dwfl, 1, add_frame, unwinder);
	if (!unwinder->count && capacity) {
		frames[unwinder->count] =
			(struct etp_c_frame){.pc = state->registers[ETP_DWARF_PC]};
		name_missing(unwinder, &frames[unwinder->count++]);
	}
	return unwinder->count;
}
