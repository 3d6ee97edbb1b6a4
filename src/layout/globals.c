// SPDX-License-Identifier: Apache-2.0
//
// Globals of a beam.smp that exports none of them: a file with DWARF whose program is the same,
// byte for byte, knows where they are.

#include "layout/globals.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define ETP_GLOBAL(name) #name,
#include <etp/globals.def>
#undef ETP_GLOBAL
};

const char *etp_global_name(enum etp_global_id id)
{
	return (unsigned int)id < ETP_GLOBAL_COUNT ? names[id] : "?";
}

bool etp_globals_are_hidden(struct etp_elf_image *image)
{
	uint64_t address;
	// NIFs could not be loaded without the one.
	struct etp_error *nif = etp_elf_image_symbol(image, "enif_alloc", &address, NULL);
	struct etp_error *erts = etp_elf_image_symbol(image, "etp_otp_release", &address, NULL);
	bool hidden = !nif && erts && erts->kind == ETP_ERROR_NOT_FOUND;
	etp_error_destroy(nif);
	etp_error_destroy(erts);
	return hidden;
}

struct etp_error *etp_globals_read(struct etp_elf_image *with_symbols,
                                   struct etp_elf_image *stripped, struct etp_globals *ret)
{
	struct etp_error *err = etp_elf_image_same_program(with_symbols, stripped);
	if (err)
		return err;
	struct etp_globals globals = {0};
	etp_elf_image_build_id(stripped, &globals.build_id);
	for (unsigned i = 0; i < ETP_GLOBAL_COUNT; i++) {
		err = etp_elf_image_symbol(with_symbols, names[i], &globals.items[i].address,
		                           &globals.items[i].size);
		if (err && err->kind != ETP_ERROR_NOT_FOUND)
			return err;
		etp_error_destroy(err);
	}
	*ret = globals;
	return NULL;
}

struct etp_error *etp_globals_add_to(const struct etp_globals *globals, struct etp_target *target)
{
	uint64_t bias = etp_target_info(target)->executable_bias;
	struct etp_memory_symbol symbols[ETP_GLOBAL_COUNT];
	size_t count = 0;
	for (unsigned i = 0; i < ETP_GLOBAL_COUNT; i++)
		if (globals->items[i].address)
			symbols[count++] = (struct etp_memory_symbol){
				.name = names[i],
				.address = globals->items[i].address + bias,
				.size = globals->items[i].size,
			};
	return etp_target_add_symbols(target, symbols, count);
}
