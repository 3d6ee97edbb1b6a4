// SPDX-License-Identifier: Apache-2.0
// The input is a layout file. If it is well-formed, the VM is opened with it: the self-checks
// must refuse what is wrong, and what passes them must not lead astray.

#include <stdlib.h>

#include <etp/ets.h>
#include <etp/layout.h>

#include "fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct etp_vm *vm)
{
	struct etp_reader reader;
	struct etp_ets_tables tables;
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	struct etp_error *err = etp_ets_tables_init(&tables, vm);
	image_forgive(err);
	if (err)
		return;
	for (size_t i = 0; i < tables.count && i < 20; i++) {
		etp_reader_init(&reader, etp_vm_target(vm));
		etp_ets_iter_init(&iter, vm, &reader, &tables.tables[i]);
		for (unsigned j = 0; j < 100 && etp_ets_iter_next(&iter, &row); j++)
			;
	}
	etp_ets_tables_deinit(&tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32], difference[200];
	struct etp_layout *layout;
	image_get();
	image_file(data, size, path);
	struct etp_error *err = etp_layout_from_file(path, &layout);
	if (err) {
		image_forgive(err);
		return 0;
	}
	if (!etp_layout_equal(layout, layout, difference, sizeof(difference)))
		abort();
	etp_layout_destroy(layout);
	const struct etp_layout_options options = {.file = path, .no_dwarf = true};
	struct etp_target *target = image_target();
	struct etp_vm *vm;
	err = etp_vm_open(target, &options, &vm);
	if (err) {
		image_forgive(err);
		etp_target_destroy(target);
		return 0;
	}
	use(vm);
	etp_vm_close(vm);
	return 0;
}
