// SPDX-License-Identifier: Apache-2.0
// Targets that are processes of this machine.

#include "target/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "target/live.h"
#include "target/rest.h"
#include "target/source.h"

static size_t read_process(void *context, uint64_t address, void *buffer, size_t size)
{
	const struct etp_source *source = context;
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t got = process_vm_readv(source->pid, &local, 1, &remote, 1, 0);
	if (got < 0 && source->memory >= 0)
		got = pread(source->memory, buffer, size, (off_t)address);
	return got < 0 ? 0 : (size_t)got;
}

static struct etp_error *source_create(int pid, struct etp_source **ret)
{
	struct etp_source *source = calloc(1, sizeof(*source));
	if (!source)
		return &etp_error_no_memory;
	*source = (struct etp_source){
		.pid = pid,
		.memory = etp_proc_open(pid, "mem"),
		.pagemap = etp_proc_open(pid, "pagemap"),
	};
	*ret = source;
	return NULL;
}

void etp_source_destroy(struct etp_source *source)
{
	if (!source)
		return;
	etp_tracer_release(source->tracer);
	if (source->memory >= 0)
		close(source->memory);
	if (source->pagemap >= 0)
		close(source->pagemap);
	etp_proc_maps_deinit(&source->maps);
	free(source->threads);
	free(source->auxv);
	free(source);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// Another process of the same number would be a wrong answer.
static struct etp_error *check_machine(struct etp_target *target, int pid)
{
	Elf64_Ehdr header = {0};
	int fd = etp_proc_open(pid, "exe");
	if (fd < 0)
		return etp_error_append(
			etp_error_os(errno, "The executable of process %d cannot be read", pid),
			"%s", etp_proc_permission_hint());
	ssize_t got = pread(fd, &header, sizeof(header), 0);
	close(fd);
	if (got != (ssize_t)sizeof(header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (header.e_machine != EM_X86_64 && header.e_machine != EM_AARCH64))
		return etp_error_create(ETP_ERROR_UNSUPPORTED,
		                        "Process %d is none of 64-bit x86_64 or aarch64.", pid);
	target->info.machine =
		header.e_machine == EM_X86_64 ? ETP_MACHINE_X86_64 : ETP_MACHINE_AARCH64;
	return NULL;
}

// As much of the command line as the kernel puts into a core.
static struct etp_error *read_command(struct etp_target *target, int pid)
{
	enum { PSARGS_SIZE = 80 };
	char *text ETP_CLEANUP_FREE = NULL;
	size_t size;
	struct etp_error *err = etp_proc_read(pid, "cmdline", &text, &size);
	if (err)
		return err;
	if (size >= PSARGS_SIZE)
		size = PSARGS_SIZE - 1;
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[size] = '\0';
	while (size > 0 && text[size - 1] == ' ')
		text[--size] = '\0';
	target->info.command = etp_target_keep(target, text);
	return target->info.command ? NULL : &etp_error_no_memory;
}

static struct etp_error *read_auxv(struct etp_core *core, int pid)
{
	struct etp_source *source = core->target->source;
	struct etp_error *err = etp_proc_read(pid, "auxv", &source->auxv, &source->auxv_size);
	if (err)
		return err;
	const struct etp_note note = {.desc = (unsigned char *)source->auxv,
	                              .desc_size = source->auxv_size};
	etp_core_read_auxv(core, &note);
	return NULL;
}

static struct etp_error *no_room(struct etp_target *target, uint64_t wanted, uint64_t available)
{
	return etp_target_warn(target,
	                       "A copy of the VM would take %" PRIu64 " MiB, of which this machine "
	                       "or container has %" PRIu64 " MiB to spare. The VM therefore stands "
	                       "still until the command has ended.",
	                       wanted >> 20, available >> 20);
}

static struct etp_error *warn_stuck(struct etp_target *target, const struct etp_source *source)
{
	size_t stuck = etp_tracer_stuck(source->tracer);
	if (!stuck)
		return NULL;
	return etp_target_warn(target,
	                       "%zu of its threads wait in the kernel and could not be stopped; "
	                       "what they wait for may have changed while it was read.",
	                       stuck);
}

// Bytes of the process for which there is room where so many are available: a copy needs an
// eighth besides, and so does the VM.
static uint64_t room_of(uint64_t available)
{
	static const uint64_t spare = 64 << 20;
	return available > spare ? (available - spare) / 9 * 8 : 0;
}

static struct etp_error *read_registers(void *context)
{
	struct etp_target *target = context;
	struct etp_source *source = target->source;
	return etp_threads_read(source->pid, target->info.machine, &source->threads,
	                        &source->thread_count);
}

static struct etp_error *read_threads(struct etp_target *target, struct etp_source *source)
{
	struct etp_error *err = source->tracer
	                                ? etp_tracer_call(source->tracer, read_registers, target)
	                                : read_registers(target);
	target->info.thread_count = source->thread_count;
	return err;
}

// Take over what is mapped now; of its memory nothing is known then.
static struct etp_error *read_maps(struct etp_target *target, struct etp_source *source)
{
	struct etp_proc_maps maps;
	struct etp_error *err = etp_proc_maps_read(source->pid, &maps);
	if (err)
		return err;
	etp_proc_maps_deinit(&source->maps);
	source->maps = maps;
	return etp_live_remap(target->live, maps.mappings, maps.count);
}

static bool is_disturbed(void *context)
{
	const struct etp_rest *rest = context;
	return !etp_rest_held(rest);
}

// One that has a little to do now and then rests before long.
static struct etp_rest *wait_for_rest(int pid)
{
	static const int64_t patience_ns = 200000000;
	static const struct timespec pause = {.tv_nsec = 5000000};
	int64_t until = clock_ns(CLOCK_MONOTONIC) + patience_ns;
	struct etp_rest *rest;
	while (!(rest = etp_rest_begin(pid)) && clock_ns(CLOCK_MONOTONIC) < until)
		nanosleep(&pause, NULL);
	return rest;
}

// Copy while no thread of it executes, without stopping it. NULL if none of a few copies was
// left undisturbed.
static struct etp_error *copy_at_rest(struct etp_target *target, struct etp_source *source,
                                      struct etp_rest **ret)
{
	enum { ATTEMPTS = 4 };
	struct etp_rest *rest;
	for (int i = 0; i < ATTEMPTS && (rest = wait_for_rest(source->pid)); i++) {
		target->info.taken_at_ns = clock_ns(CLOCK_REALTIME);
		struct etp_live_copy copy = {
			.pagemap = source->pagemap, .is_disturbed = is_disturbed, .context = rest};
		struct etp_error *err = read_maps(target, source);
		if (!err)
			err = etp_live_copy(target->live, &copy);
		if (!err && !copy.was_disturbed && etp_rest_held(rest)) {
			*ret = rest;
			return NULL;
		}
		etp_rest_end(rest);
		if (err)
			return err;
	}
	*ret = NULL;
	return NULL;
}

// Copy what stands still, unless it was copied before, and nothing has changed since.
static struct etp_error *copy_stopped(struct etp_target *target, struct etp_source *source,
                                      const struct etp_rest *rest, bool has_room)
{
	struct etp_error *err = read_threads(target, source);
	if (err)
		return err;
	target->info.copied_at_rest = rest && etp_rest_has(rest, target->info.machine,
	                                                   source->threads, source->thread_count);
	if (target->info.copied_at_rest)
		return NULL;
	target->info.taken_at_ns = clock_ns(CLOCK_REALTIME);
	err = read_maps(target, source);
	struct etp_live_copy copy = {.pagemap = source->pagemap};
	return err || !has_room ? err : etp_live_copy(target->live, &copy);
}

// Copy all that the analyses need, stop it for what is missing yet (registers at least), and
// let it run. Where there is no room for that, it stands still for as long as the target
// lives.
static struct etp_error *stop_and_copy(struct etp_target *target, struct etp_source *source)
{
	uint64_t available = etp_proc_memory_available();
	uint64_t present = etp_live_present(target->live, source->pagemap);
	bool has_room = present <= room_of(available);
	struct etp_rest *rest = NULL;
	struct etp_error *err = NULL;
	if (has_room) {
		etp_live_prepare_copy(target->live, source->pagemap);
		err = copy_at_rest(target, source, &rest);
	}
	int64_t started = clock_ns(CLOCK_MONOTONIC);
	if (!err)
		err = etp_tracer_stop(source->pid, &source->tracer);
	if (!err)
		err = copy_stopped(target, source, rest, has_room);
	etp_rest_end(rest);
	if (!err)
		err = warn_stuck(target, source);
	if (!err && !has_room)
		return no_room(target, present, available);
	etp_tracer_release(source->tracer);
	source->tracer = NULL;
	etp_live_seal(target->live);
	target->info.pause_ns = clock_ns(CLOCK_MONOTONIC) - started;
	return err;
}

static struct etp_error *add_loads(struct etp_target *target)
{
	struct etp_target_info *info = &target->info;
	const struct etp_proc_maps *maps = &target->source->maps;
	target->loads = calloc(maps->count + 1, sizeof(target->loads[0]));
	if (!target->loads)
		return &etp_error_no_memory;
	for (size_t i = 0; i < maps->count; i++) {
		const struct etp_live_mapping *mapping = &maps->mappings[i];
		target->loads[i] = (struct etp_load){
			.start = mapping->start, .size = mapping->size, .flags = mapping->flags};
		info->bytes_total += mapping->size;
		if (!(mapping->flags & PF_R))
			info->bytes_reserved += mapping->size;
		else if (info->pause_ns && !mapping->is_wanted)
			info->bytes_missing += mapping->size;
		else
			info->bytes_saved += mapping->size;
	}
	target->load_count = info->segment_count = maps->count;
	return NULL;
}

static struct etp_error *open_process(struct etp_core *core,
                                      const struct etp_process_options *options)
{
	struct etp_target *target = core->target;
	struct etp_error *err = source_create(options->pid, &target->source);
	if (err)
		return err;
	struct etp_source *source = target->source;
	err = etp_proc_maps_read(options->pid, &source->maps);
	if (!err)
		err = check_machine(target, options->pid);
	if (!err)
		err = etp_live_create(source->maps.mappings, source->maps.count, read_process,
		                      source, &target->live);
	if (err)
		return err;
	target->info.pid = options->pid;
	target->info.kind = ETP_TARGET_PROCESS;
	target->info.taken_at_ns = clock_ns(CLOCK_REALTIME);
	if (options->rehearsal)
		err = etp_live_rehearse(target->live, source->pagemap,
		                        room_of(etp_proc_memory_available()));
	else
		err = etp_live_leave_out(target->live, options->without, options->without_count);
	if (!err)
		err = options->copy ? stop_and_copy(target, source) : read_threads(target, source);
	if (!err)
		err = add_loads(target);
	if (!err)
		err = read_command(target, options->pid);
	if (!err)
		err = read_auxv(core, options->pid);
	if (!err)
		err = etp_proc_executable(target, options->pid, &core->live_executable);
	if (err)
		return err;
	core->mappings = source->maps.files;
	core->mapping_count = source->maps.file_count;
	return etp_core_open_files(core);
}

// Whoever has these keeps them as bytes for a while.
static bool is_ascending(const struct etp_target_range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t end;
		if (__builtin_add_overflow(ranges[i].start, ranges[i].size, &end) ||
		    (i + 1 < count && ranges[i + 1].start < end))
			return false;
	}
	return true;
}

struct etp_error *etp_target_unused(const struct etp_target *target, struct etp_target_range **ret,
                                    size_t *count_ret)
{
	if (target->live)
		return etp_live_unused(target->live, ret, count_ret);
	return etp_error_create(ETP_ERROR_ARGUMENT, "This is no rehearsal.");
}

bool etp_target_has_missed(const struct etp_target *target)
{
	return target->live && etp_live_has_missed(target->live);
}

struct etp_error *etp_target_open_process(const struct etp_process_options *options,
                                          struct etp_target **ret)
{
	if (!is_ascending(options->without, options->without_count))
		return etp_error_create(ETP_ERROR_ARGUMENT,
		                        "What is to be left out is not in the order of addresses.");
	const struct etp_core_options core_options = {.executable = options->executable};
	struct etp_core core = {.options = &core_options, .page_size = 4096};
	struct etp_error *err = etp_target_alloc(&core.target);
	if (err)
		return err;
	err = open_process(&core, options);
	free(core.filled);
	if (err) {
		etp_target_destroy(core.target);
		return err;
	}
	*ret = core.target;
	return NULL;
}
