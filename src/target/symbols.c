// SPDX-License-Identifier: Apache-2.0
// Symbols of the executable. libdwfl finds them wherever they are: .symtab,
// .dynsym, .gnu_debuglink, the build-id directories, and debuginfod if the user
// configured it. They are copied into two sorted arrays.

#include "target/internal.h"

#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// How far symbol_at() looks back for a symbol that covers the address: aliases
// and symbols within symbols (labels in assembly) stand between.
enum { MAX_LOOK_BACK = 64 };

static int compare_names(const void *a, const void *b)
{
	const struct etp_symbol *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	if (order != 0)
		return order;
	if (x->is_global != y->is_global)
		return x->is_global ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

// The best name for an address comes last, where the search begins.
static int compare_addresses(const void *a, const void *b)
{
	const struct etp_symbol *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if ((x->size != 0) != (y->size != 0))
		return x->size != 0 ? 1 : -1;
	if (x->is_global != y->is_global)
		return x->is_global ? 1 : -1;
	return strcmp(y->name, x->name);
}

void etp_target_sort_symbols(struct etp_target *target)
{
	if (target->symbol_count == 0)
		return;
	size_t size = sizeof(target->symbols_by_name[0]);
	memcpy(target->symbols_by_address, target->symbols_by_name, target->symbol_count * size);
	qsort(target->symbols_by_name, target->symbol_count, size, compare_names);
	qsort(target->symbols_by_address, target->symbol_count, size, compare_addresses);
}

static bool is_wanted(const GElf_Sym *symbol, GElf_Word section, const char *name)
{
	if (!name || !*name || section == SHN_UNDEF || section == SHN_ABS)
		return false;
	switch (GELF_ST_TYPE(symbol->st_info)) {
	case STT_NOTYPE:
	case STT_OBJECT:
	case STT_FUNC:
	case STT_COMMON:
	case STT_GNU_IFUNC:
		return true;
	}
	return false;
}

// The names still belong to libdwfl.
static size_t collect(Dwfl_Module *module, int count, struct etp_symbol *symbols)
{
	size_t used = 0;
	// Number 0 is the null symbol of every table.
	for (int i = 1; i < count; i++) {
		GElf_Sym symbol;
		GElf_Addr address;
		GElf_Word section;
		const char *name =
			dwfl_module_getsym_info(module, i, &symbol, &address, &section, NULL, NULL);
		if (!is_wanted(&symbol, section, name))
			continue;
		symbols[used++] = (struct etp_symbol){
			.name = name,
			.address = address,
			.size = symbol.st_size,
			.is_global = GELF_ST_BIND(symbol.st_info) != STB_LOCAL,
		};
	}
	return used;
}

static bool copy_names(struct etp_target *target, size_t count)
{
	size_t size = 0;
	for (size_t i = 0; i < count; i++)
		size += strlen(target->symbols_by_name[i].name) + 1;
	target->symbol_names = malloc(size ? size : 1);
	if (!target->symbol_names)
		return false;
	char *to = target->symbol_names;
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(target->symbols_by_name[i].name) + 1;
		memcpy(to, target->symbols_by_name[i].name, length);
		target->symbols_by_name[i].name = to;
		to += length;
	}
	return true;
}

// Did libdwfl find DWARF, and where?
static const char *find_dwarf(Dwfl_Module *module, const struct etp_elf_file *file)
{
	const char *debug_path = NULL;
	if (file->has_debug_info)
		return file->path;
	// Looking for .symtab has made libdwfl look for separate debug information,
	// unless the executable has a .symtab of its own.
	dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, &debug_path);
	if (!debug_path && file->has_symtab) {
		Dwarf_Addr bias;
		if (dwfl_module_getdwarf(module, &bias))
			dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, &debug_path);
	}
	return debug_path;
}

static struct etp_error *load_module(struct etp_target *target, Dwfl_Module *module,
                                     const struct etp_elf_file *file)
{
	int count = dwfl_module_getsymtab(module);
	if (count <= 0) {
		char *path ETP_CLEANUP_FREE = etp_printable(file->path);
		return etp_target_warn(target, "The executable %s has no symbols at all (%s).",
		                       path ? path : "?",
		                       count < 0 ? dwfl_errmsg(-1) : "its tables are empty");
	}
	target->symbols_by_name = calloc((size_t)count, sizeof(target->symbols_by_name[0]));
	target->symbols_by_address = calloc((size_t)count, sizeof(target->symbols_by_address[0]));
	if (!target->symbols_by_name || !target->symbols_by_address)
		return &etp_error_no_memory;
	size_t used = collect(module, count, target->symbols_by_name);
	if (!copy_names(target, used))
		return &etp_error_no_memory;
	target->symbol_count = used;
	etp_target_sort_symbols(target);
	const char *dwarf_path = find_dwarf(module, file);
	if (dwarf_path) {
		target->dwarf_path = etp_target_keep(target, dwarf_path);
		if (!target->dwarf_path)
			return &etp_error_no_memory;
	}
	return NULL;
}

struct etp_error *etp_target_load_symbols(struct etp_target *target,
                                          const struct etp_elf_file *file, uint64_t bias,
                                          const char *sysroot)
{
	// The first ":" keeps libdwfl's own order: beside the file, .debug, /usr/lib/debug.
	char *directories ETP_CLEANUP_FREE = NULL;
	if (sysroot &&
	    asprintf(&directories, ":.debug:/usr/lib/debug:%s/usr/lib/debug", sysroot) < 0) {
		directories = NULL;
		return &etp_error_no_memory;
	}
	const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.debuginfo_path = directories ? &directories : NULL,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	if (!dwfl)
		return &etp_error_no_memory;
	dwfl_report_begin(dwfl);
	// Our descriptor, because it is the file whose build-id was compared.
	int fd = dup(file->fd);
	Dwfl_Module *module =
		dwfl_report_elf(dwfl, "executable", file->path, fd, (GElf_Addr)bias, true);
	if (!module && fd >= 0)
		close(fd);
	dwfl_report_end(dwfl, NULL, NULL);
	struct etp_error *err;
	if (module) {
		err = load_module(target, module, file);
	} else {
		char *path ETP_CLEANUP_FREE = etp_printable(file->path);
		err = etp_target_warn(target,
		                      "The symbols of the executable %s cannot be read: %s.",
		                      path ? path : "?", dwfl_errmsg(-1));
	}
	dwfl_end(dwfl);
	return err;
}

struct etp_error *etp_target_add_symbols(struct etp_target *target,
                                         const struct etp_memory_symbol *symbols, size_t count)
{
	size_t total = target->symbol_count + count;
	if (!count)
		return NULL;
	struct etp_symbol *by_name = reallocarray(target->symbols_by_name, total, sizeof(*by_name));
	if (!by_name)
		return &etp_error_no_memory;
	target->symbols_by_name = by_name;
	struct etp_symbol *by_address =
		reallocarray(target->symbols_by_address, total, sizeof(*by_address));
	if (!by_address)
		return &etp_error_no_memory;
	target->symbols_by_address = by_address;
	for (size_t i = 0; i < count; i++) {
		const char *name = etp_target_keep(target, symbols[i].name);
		if (!name)
			return &etp_error_no_memory;
		by_name[target->symbol_count + i] = (struct etp_symbol){
			.name = name,
			.address = symbols[i].address,
			.size = symbols[i].size,
			.is_global = true,
		};
	}
	target->symbol_count = total;
	etp_target_sort_symbols(target);
	return NULL;
}

struct etp_error *etp_target_symbol(const struct etp_target *target, const char *name,
                                    uint64_t *address_ret, uint64_t *size_ret)
{
	size_t low = 0, high = target->symbol_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(target->symbols_by_name[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct etp_symbol *symbol =
		low < target->symbol_count ? &target->symbols_by_name[low] : NULL;
	if (!symbol || strcmp(symbol->name, name) != 0) {
		if (target->symbol_count == 0 && target->no_symbols_reason)
			return etp_error_create(ETP_ERROR_NOT_FOUND, "No symbol %s: %s", name,
			                        target->no_symbols_reason);
		char *path ETP_CLEANUP_FREE = etp_printable(
			target->info.executable_path ? target->info.executable_path : "");
		return etp_error_create(ETP_ERROR_NOT_FOUND,
		                        "No symbol %s among the %zu symbols of %s.", name,
		                        target->symbol_count, path && *path ? path : "this target");
	}
	// Statics of the same name in different files: any choice would be a guess.
	const struct etp_symbol *next = symbol + 1;
	if (!symbol->is_global && low + 1 < target->symbol_count && strcmp(next->name, name) == 0 &&
	    next->address != symbol->address)
		return etp_error_create(ETP_ERROR_NOT_FOUND,
		                        "More than one static symbol is called %s.", name);
	*address_ret = symbol->address;
	if (size_ret)
		*size_ret = symbol->size;
	return NULL;
}

const char *etp_target_symbol_at(const struct etp_target *target, uint64_t address,
                                 uint64_t *offset_ret)
{
	size_t low = 0, high = target->symbol_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (target->symbols_by_address[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = 0; i < MAX_LOOK_BACK && i < low; i++) {
		const struct etp_symbol *symbol = &target->symbols_by_address[low - 1 - i];
		uint64_t offset = address - symbol->address;
		if (offset < symbol->size || offset == 0) {
			if (offset_ret)
				*offset_ret = offset;
			return symbol->name;
		}
	}
	return NULL;
}
