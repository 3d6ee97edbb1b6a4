// SPDX-License-Identifier: Apache-2.0
// Targets that are processes of another machine, which a debugger reads for us.

#include "target/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/live.h"
#include "target/source.h"

static struct etp_error *copy_threads(const struct etp_remote_options *options,
                                      struct etp_source *source)
{
	source->threads = calloc(options->thread_count + 1, sizeof(source->threads[0]));
	if (!source->threads)
		return &etp_error_no_memory;
	for (size_t i = 0; i < options->thread_count; i++) {
		const struct etp_remote_thread *from = &options->threads[i];
		struct etp_thread *thread = &source->threads[i];
		if (from->registers_size > sizeof(thread->registers))
			return etp_error_create(ETP_ERROR_ARGUMENT,
			                        "Thread %d has %zu bytes of registers.", from->tid,
			                        from->registers_size);
		thread->tid = from->tid;
		thread->registers_size = from->registers_size;
		memcpy(thread->registers, from->registers, from->registers_size);
	}
	source->thread_count = options->thread_count;
	return NULL;
}

static struct etp_error *copy_auxv(const struct etp_remote_options *options,
                                   struct etp_source *source)
{
	source->auxv = malloc(options->auxv_size + 1);
	if (!source->auxv)
		return &etp_error_no_memory;
	memcpy(source->auxv, options->auxv, options->auxv_size);
	source->auxv_size = options->auxv_size;
	return NULL;
}

static struct etp_error *read_maps(const struct etp_remote_options *options,
                                   struct etp_source *source)
{
	char *text = strdup(options->maps);
	if (!text)
		return &etp_error_no_memory;
	return etp_proc_maps_parse(text, options->pid, options->executable, &source->maps);
}

static struct etp_error *describe(const struct etp_remote_options *options,
                                  struct etp_target *target)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct etp_target_info *info = &target->info;
	const struct etp_proc_maps *maps = &target->source->maps;
	info->kind = ETP_TARGET_PROCESS;
	info->machine = options->machine;
	info->pid = options->pid;
	info->taken_at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	info->thread_count = options->thread_count;
	info->segment_count = maps->count;
	for (size_t i = 0; i < maps->count; i++)
		info->bytes_saved += maps->mappings[i].is_wanted ? maps->mappings[i].size : 0;
	info->command = etp_target_keep(target, options->command);
	info->executable_path = etp_target_keep(target, options->executable);
	return info->command && info->executable_path ? NULL : &etp_error_no_memory;
}

struct etp_error *etp_target_open_remote(const struct etp_remote_options *options,
                                         struct etp_target **ret)
{
	struct etp_target *target;
	struct etp_error *err = etp_target_alloc(&target);
	if (err)
		return err;
	struct etp_source *source = target->source = calloc(1, sizeof(*source));
	if (source) {
		// No pid, so that nothing of this machine is taken for it.
		source->memory = source->pagemap = -1;
		err = copy_threads(options, source);
	} else {
		err = &etp_error_no_memory;
	}
	if (!err)
		err = copy_auxv(options, source);
	if (!err)
		err = read_maps(options, source);
	if (!err)
		err = describe(options, target);
	if (!err)
		err = etp_live_create(source->maps.mappings, source->maps.count, options->read,
		                      options->context, &target->live);
	if (err) {
		etp_target_destroy(target);
		return err;
	}
	*ret = target;
	return NULL;
}
