// SPDX-License-Identifier: Apache-2.0
// A VM whose memory was damaged before it is opened.

#include <etp/allocators.h>
#include <etp/code.h>
#include <etp/dist_entry.h>
#include <etp/fds.h>
#include <etp/magic.h>
#include <etp/persistent_term.h>
#include <etp/ports.h>

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
		etp_vm_close(vm);
	} else {
		image_forgive(err);
		etp_target_destroy(target);
	}
	image_repair();
	return 0;
}
