// SPDX-License-Identifier: Apache-2.0
// The input is the executable that is given with a core: its headers, build-id and symbols,
// and what the layout's DWARF is taken from.

#include <etp/layout.h>
#include <etp/target.h>

#include "fuzz/image.h"
#include "target/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_as_executable(const char *path)
{
	struct etp_target *target;
	struct etp_elf_file file;
	struct etp_image image;
	struct etp_error *err = etp_target_alloc(&target);
	if (!err)
		err = etp_elf_file_open(target, path, NULL, &file);
	if (!err) {
		etp_elf_file_image(&file, 0x400000, 4096, &image);
		image_forgive(etp_target_load_symbols(target, &file, 0x400000, NULL));
		uint64_t address, offset;
		if (target->symbol_count) {
			const struct etp_symbol *symbol = &target->symbols_by_address[0];
			image_forgive(etp_target_symbol(target, symbol->name, &address, NULL));
			etp_target_symbol_at(target, symbol->address + 1, &offset);
		}
		etp_elf_file_close(&file);
	}
	image_forgive(err);
	etp_target_destroy(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32];
	struct etp_layout *layout = NULL;
	image_file(data, size, path);
	open_as_executable(path);
	struct etp_error *err = etp_layout_from_dwarf(path, &layout);
	image_forgive(err);
	if (!err)
		etp_layout_destroy(layout);
	return 0;
}
