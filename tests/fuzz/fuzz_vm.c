// SPDX-License-Identifier: Apache-2.0
// A VM whose memory was damaged before it is opened.

#include <etp/allocators.h>
#include <etp/code.h>
#include <etp/dist_entry.h>
#include <etp/ets.h>
#include <etp/fds.h>
#include <etp/locks.h>
#include <etp/magic.h>
#include <etp/persistent_term.h>
#include <etp/ports.h>
#include <etp/run_queues.h>
#include <etp/schedulers.h>
#include <etp/thread_progress.h>
#include <etp/timers.h>

#include "fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_globals(const struct etp_vm *vm, struct etp_reader *reader)
{
	struct etp_allocators allocators;
	struct etp_persistent_terms terms;
	etp_vm_allocators(vm, &allocators);
	struct etp_error *err = etp_persistent_terms_init(&terms, vm);
	if (!err)
		etp_persistent_terms_deinit(&terms);
	image_forgive(err);
	const struct etp_code_module *modules;
	struct etp_code_location location;
	size_t count = etp_code_modules(vm, &modules, NULL);
	for (size_t i = 0; i < count; i += 1 + count / 20)
		etp_code_locate(vm, reader, modules[i].start + 100, &location);
	for (uint64_t i = 0; i < 50; i++)
		etp_code_catch(vm, reader, i);
	uint64_t index;
	image_forgive(etp_vm_find_atom(vm, "kernel", 6, &index));
	for (uint64_t i = 0; i < etp_vm_info(vm)->atoms; i += 101) {
		size_t size;
		etp_vm_atom(vm, reader, i, &size);
	}
}

static void look_at_ports(const struct etp_vm *vm, struct etp_reader *reader)
{
	const uint64_t *ports;
	size_t count = etp_vm_ports(vm, &ports);
	for (size_t i = 0; i < count && i < 50; i++) {
		struct etp_port_info info;
		struct etp_link_iter links;
		struct etp_link link;
		image_forgive(etp_port_info(vm, reader, ports[i], &info));
		etp_link_iter_init_port(&links, vm, reader, ports[i]);
		while (etp_link_iter_next(&links, &link))
			;
	}
}

static void look_at_connections(const struct etp_vm *vm, struct etp_reader *reader)
{
	struct etp_dist_entry_iter entries;
	struct etp_dist_entry entry;
	uint64_t address;
	etp_dist_entry_iter_init(&entries, vm, reader);
	while (etp_dist_entry_iter_next(&entries, &address))
		image_forgive(etp_dist_entry_read(vm, reader, address, &entry));
}

static void look_at_fds(const struct etp_vm *vm, struct etp_reader *reader)
{
	struct etp_fd_iter fds;
	struct etp_fd fd;
	etp_fd_iter_init(&fds, vm, reader);
	for (int i = 0; i < 1000 && etp_fd_iter_next(&fds, &fd); i++)
		;
}

static void look_at_schedulers(const struct etp_vm *vm, struct etp_reader *reader)
{
	size_t count = etp_scheduler_count(vm);
	for (size_t i = 0; i < count; i++) {
		struct etp_scheduler scheduler;
		uint64_t pc, sp, fp;
		etp_scheduler(vm, reader, i, &scheduler);
		etp_scheduler_outer_frame(vm, reader, &scheduler, &pc, &sp, &fp);
	}
	count = etp_run_queue_count(vm);
	for (size_t i = 0; i < count; i++) {
		struct etp_run_queue queue;
		struct etp_error *err = etp_run_queue(vm, reader, i, &queue);
		image_forgive(err);
		for (unsigned level = 0; !err && level < ETP_RUN_QUEUE_LEVELS; level++) {
			struct etp_run_queue_iter iter;
			uint64_t address;
			etp_term id;
			etp_run_queue_iter_init(&iter, vm, reader, queue.address, level);
			while (etp_run_queue_iter_next(&iter, &address, &id))
				;
		}
	}
	struct etp_thread_progress progress;
	struct etp_error *err = etp_thread_progress(vm, reader, &progress);
	image_forgive(err);
	for (size_t i = 0; !err && i < progress.managed_count && i < 50; i++) {
		struct etp_managed_thread thread;
		etp_managed_thread(vm, reader, &progress, i, &thread);
	}
}

static bool see_lock(void *context, const struct etp_lock *lock)
{
	return ++*(size_t *)context < 1000;
}

static void look_at_timers_and_locks(const struct etp_vm *vm, struct etp_reader *reader)
{
	struct etp_timers timers;
	struct etp_error *err = etp_timers_take(vm, NULL, 0, &timers);
	image_forgive(err);
	if (!err)
		etp_timers_deinit(&timers);
	struct etp_ets_tables tables;
	size_t seen = 0;
	err = etp_ets_tables_init(&tables, vm);
	image_forgive(err);
	if (err)
		return;
	etp_locks(vm, reader, &tables, see_lock, &seen);
	etp_ets_tables_deinit(&tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	struct etp_vm *vm;
	struct etp_reader reader;
	image_damage(data, size);
	struct etp_target *target = image_target();
	struct etp_error *err = etp_vm_open(target, &image->layout_options, &vm);
	if (!err) {
		etp_reader_init(&reader, target);
		look_at_globals(vm, &reader);
		look_at_ports(vm, &reader);
		look_at_connections(vm, &reader);
		look_at_fds(vm, &reader);
		look_at_schedulers(vm, &reader);
		look_at_timers_and_locks(vm, &reader);
		etp_vm_close(vm);
	} else {
		image_forgive(err);
		etp_target_destroy(target);
	}
	image_repair();
	return 0;
}
