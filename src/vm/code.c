// SPDX-License-Identifier: Apache-2.0
//
// The modules of the VM, from the module table (ERTS: module.h), checked against
// what their code headers say.

#include "vm/code.h"

#include <stdlib.h>
#include <string.h>

#include "vm/hash_table.h"

enum {
	// MODULE_LIMIT, module.c.
	MODULES_MAX = 1 << 16,
	// DEFAULT_BACKTRACE_SIZE, error.h, and the most that is believed.
	BACKTRACE_DEPTH_DEFAULT = 8,
	BACKTRACE_DEPTH_MAX = 1 << 16,
	// ERTS_FRAME_LAYOUT_FP_RA, erl_vm.h.
	FRAME_LAYOUT_FP_RA = 1,
};

const char *etp_code_version_name(enum etp_code_version version)
{
	static const char *const names[] = {
		[ETP_CODE_CURRENT] = "current",
		[ETP_CODE_OLD] = "old",
		[ETP_CODE_ON_LOAD] = "on_load",
	};
	return names[version];
}

size_t etp_code_modules(const struct etp_vm *vm, const struct etp_code_module **ret,
                        const char **problem_ret)
{
	*ret = vm->code->modules;
	if (problem_ret)
		*problem_ret = vm->code->problem;
	return vm->code->count;
}

// Functions begin behind one another, inside of the code; each begins with an
// ErtsCodeInfo, the first of which names this module.
static const char *check_functions(const struct etp_vm *vm, struct etp_reader *reader,
                                   const struct etp_code_module *module, uint64_t count)
{
	uint64_t array = OFFSET(vm, BeamCodeHeader, functions);
	if (module->size < array || !count ||
	    count > (module->size - array) / (8 + SIZEOF(vm, ErtsCodeInfo)))
		return "its header has a number of functions that do not fit into its code";
	const void *functions = etp_reader_at(reader, module->start + array, (count + 1) * 8);
	if (!functions)
		return "its list of functions is not in the core";
	uint64_t last = module->start + array + count * 8;
	for (uint64_t i = 0; i <= count; i++) {
		uint64_t function = etp_word_at(functions, i);
		if (function <= last || function > module->start + module->size)
			return "its functions do not lie one behind the other in its code";
		last = function;
	}
	uint64_t name;
	if (!READ_WORD(vm, reader, etp_word_at(functions, 0) + OFFSET(vm, ErtsCodeInfo, mfa),
	               ErtsCodeMFA, module, &name))
		return "its first function is not in the core";
	return name == module->name ? NULL : "its first function says that it is of another module";
}

static void read_header(const struct etp_vm *vm, struct etp_reader *reader,
                        struct etp_code_module *module)
{
	uint64_t count;
	if (!READ_WORD(vm, reader, module->start, BeamCodeHeader, num_functions, &count)) {
		module->is_missing = true;
		module->problem = "its code is not in the core";
		return;
	}
	module->problem = check_functions(vm, reader, module, count);
	if (module->problem)
		return;
	module->functions = count;
	if (!READ_WORD(vm, reader, module->start, BeamCodeHeader, literal_area,
	               &module->literal_area))
		module->problem = "its literals are not in the core";
}

// Room for three instances of each module was made.
static void add_instance(struct etp_vm *vm, struct etp_code *code, struct etp_reader *reader,
                         uint64_t instance, uint32_t name, enum etp_code_version version)
{
	struct etp_code_module module = {.name = term_make_atom(name), .version = version};
	uint32_t size;
	if (!READ_WORD(vm, reader, instance, ModuleInstance, code_hdr, &module.start) ||
	    !READ_U32(vm, reader, instance, ModuleInstance, code_length, &size) ||
	    !READ_U32(vm, reader, instance, ModuleInstance, catches, &module.catches)) {
		code->problem =
			"Some modules are not in the core; functions of theirs have no name.";
		return;
	}
	// A module that something refers to, but which is not loaded.
	if (!module.start)
		return;
	module.size = size;
	if (module.start % 8 || size > INT32_MAX || module.start > UINT64_MAX - size) {
		code->problem =
			"Some modules have no plausible code; functions of theirs have no name.";
		return;
	}
	read_header(vm, reader, &module);
	code->modules[code->count++] = module;
}

static void add_module(struct etp_vm *vm, struct etp_code *code, struct etp_reader *reader,
                       uint64_t module)
{
	uint32_t name;
	uint64_t on_load = 0;
	if (!module || !READ_U32(vm, reader, module, Module, module, &name)) {
		code->problem =
			"Some modules are not in the core; functions of theirs have no name.";
		return;
	}
	if (name >= vm->atoms.count) {
		code->problem = "Some modules have no name that is an atom.";
		return;
	}
	add_instance(vm, code, reader, module + OFFSET(vm, Module, curr), name, ETP_CODE_CURRENT);
	add_instance(vm, code, reader, module + OFFSET(vm, Module, old), name, ETP_CODE_OLD);
	if (HAS(vm, Module, on_load) && READ_WORD(vm, reader, module, Module, on_load, &on_load) &&
	    on_load)
		add_instance(vm, code, reader, on_load, name, ETP_CODE_ON_LOAD);
}

static int compare_modules(const void *a, const void *b)
{
	const struct etp_code_module *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

// Two modules in the same place: only one of them can be looked up.
static void check_overlaps(struct etp_code *code)
{
	for (size_t i = 1; i < code->count; i++) {
		struct etp_code_module *before = &code->modules[i - 1];
		if (before->start + before->size > code->modules[i].start)
			before->problem = "its code and that of another module overlap";
	}
}

static struct etp_error *init_modules(struct etp_vm *vm, struct etp_code *code)
{
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t address;
	struct etp_error *err =
		etp_target_symbol(vm->target, "the_active_code_index", &address, NULL);
	if (err || !etp_read_u32(&reader, address, &code->active_index)) {
		etp_error_destroy(err);
		code->problem = "The active code index (the_active_code_index) is not in the core; "
				"functions have no name.";
		return NULL;
	}
	struct etp_index_table table;
	if (etp_index_table_find(vm, &reader, "module_code", code->active_index, MODULES_MAX,
	                         &table)) {
		code->problem = "The table of modules (module_tables[] of module.c) was not "
				"recognised in the memory of beam.smp; functions have no name.";
		return NULL;
	}
	code->modules = calloc((size_t)table.entries * 3 + 1, sizeof(*code->modules));
	if (!code->modules)
		return &etp_error_no_memory;
	for (uint32_t i = 0; i < table.entries; i++)
		add_module(vm, code, &reader, etp_index_table_entry(&table, &reader, i));
	qsort(code->modules, code->count, sizeof(*code->modules), compare_modules);
	check_overlaps(code);
	return NULL;
}

// Value of a global of `size` bytes; `absent` when there is none of this name.
static uint64_t global(const struct etp_vm *vm, const char *name, uint64_t size, uint64_t absent)
{
	uint64_t address, value = 0;
	struct etp_error *err = etp_target_symbol(vm->target, name, &address, NULL);
	if (!err)
		err = etp_target_read(vm->target, address, &value, size);
	if (err) {
		etp_error_destroy(err);
		return absent;
	}
	return value;
}

// Address of a symbol; 0 when there is none of this name.
static uint64_t symbol(const struct etp_vm *vm, const char *name)
{
	uint64_t address = 0;
	etp_error_destroy(etp_target_symbol(vm->target, name, &address, NULL));
	return address;
}

// Of the VM's own code. The symbols are pointers to it; to OTP 23 they are the
// instructions themselves (beam_emu.c), and normal_exit is the second of beam_apply.
static uint64_t fragment(const struct etp_vm *vm, const char *name)
{
	uint64_t apply = symbol(vm, "beam_apply");
	if (symbol(vm, "beam_normal_exit") || !apply)
		return global(vm, name, 8, 0);
	return strcmp(name, "beam_normal_exit") ? symbol(vm, name) : apply + 8;
}

static void init_globals(const struct etp_vm *vm, struct etp_code *code)
{
	// Words as in erl_process_dump.c, where it has them.
	static const struct {
		const char *symbol, *name;
	} fragments[ETP_CODE_FRAGMENTS] = {
		{"beam_normal_exit", "terminate process normally"},
		{"beam_exit", "terminate process"},
		{"beam_continue_exit", "continue terminate process"},
		{"beam_run_process", "run process"},
		{"beam_return_trace", "return trace"},
		{"beam_exception_trace", "exception trace"},
		{"beam_return_to_trace", "return to trace"},
		{"beam_return_time_trace", "return time trace"},
		{"beam_unloaded_fun", "unloaded fun"},
		{"beam_export_trampoline", "export trampoline"},
	};
	for (size_t i = 0; i < ETP_CODE_FRAGMENTS; i++) {
		code->fragments[i].address = fragment(vm, fragments[i].symbol);
		code->fragments[i].name = fragments[i].name;
	}
	code->return_trace = fragment(vm, "beam_return_trace");
	code->exception_trace = fragment(vm, "beam_exception_trace");
	code->return_to_trace = fragment(vm, "beam_return_to_trace");
	code->return_time_trace = fragment(vm, "beam_return_time_trace");
	bool is_jit = !strcmp(vm->info.flavor, "jit");
	code->call_size = is_jit ? 1 : 8;
	// Only a JIT that was built with frame pointers has the variable.
	code->cp_words =
		is_jit && global(vm, "erts_frame_layout", 4, 0) == FRAME_LAYOUT_FP_RA ? 2 : 1;
	uint64_t depth = global(vm, "erts_backtrace_depth", 4, BACKTRACE_DEPTH_DEFAULT);
	code->backtrace_depth =
		(uint32_t)(depth > BACKTRACE_DEPTH_MAX ? BACKTRACE_DEPTH_DEFAULT : depth);
}

struct etp_error *etp_code_init(struct etp_vm *vm)
{
	struct etp_code *code = calloc(1, sizeof(*code));
	if (!code)
		return &etp_error_no_memory;
	vm->code = code;
	struct etp_error *err = init_modules(vm, code);
	if (err)
		return err;
	init_globals(vm, code);
	etp_code_init_catches(vm, code);
	return etp_code_init_exports(vm, code);
}

void etp_code_deinit(struct etp_vm *vm)
{
	if (!vm->code)
		return;
	free(vm->code->modules);
	free(vm->code->exports);
	free(vm->code);
	vm->code = NULL;
}

const struct etp_code_module *etp_code_module_at(const struct etp_code *code, uint64_t pc)
{
	size_t low = 0, high = code->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct etp_code_module *module = &code->modules[middle];
		if (pc < module->start)
			high = middle;
		else if (pc - module->start >= module->size)
			low = middle + 1;
		else
			return module;
	}
	return NULL;
}
