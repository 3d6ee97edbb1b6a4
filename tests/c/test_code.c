// SPDX-License-Identifier: Apache-2.0
// Code, stacks and heaps laid by hand: what is found in them, and that nothing that
// is wrong with them gets further than a word about it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <etp/heap.h>
#include <etp/persistent_term.h>
#include <etp/stack.h>

#include "mock_vm.h"
#include "vm/allocated_areas.h"

static const char *layout_path;

enum {
	// Looked through for tables, so that it should not be all of the memory.
	IMAGE_SIZE = 1 << 20,
	CODE_SIZE = 0x1000,
	FUNCTIONS = 3,
	FUNCTION_SIZE = 0x100,
};

struct fixture {
	struct mock m;
	// Globals that have symbols.
	uint64_t active_index, frame_layout, depth, normal_exit, return_trace, time_trace;
	uint64_t tables, module, code, line_table, lines, catches;
	etp_term name, functions[FUNCTIONS];
};

#define PUT(f, address, struct_, member, value)                                                    \
	mock_member(&(f)->m, address, ETP_MEMBER_##struct_##_##member, value)

static uint64_t function_at(const struct fixture *f, unsigned index)
{
	return f->code + 0x200 + index * FUNCTION_SIZE;
}

// An address in the code of a function, behind its ErtsCodeInfo.
static uint64_t pc_at(const struct fixture *f, unsigned index, unsigned offset)
{
	return function_at(f, index) + SIZEOF(&f->m.vm, ErtsCodeInfo) + offset;
}

static void put_u32(struct fixture *f, uint64_t address, uint32_t value)
{
	memcpy(f->m.memory + (address - MOCK_BASE), &value, sizeof(value));
}

static uint64_t global(struct fixture *f, uint64_t value)
{
	uint64_t address = mock_alloc(&f->m, 1);
	mock_put(&f->m, address, value);
	return address;
}

// A module of three functions; each has two lines, 10 * index + 1 and + 2, the
// second from 0x40 bytes on.
static void put_code(struct fixture *f)
{
	struct etp_vm *vm = &f->m.vm;
	f->code = mock_alloc(&f->m, CODE_SIZE / 8);
	PUT(f, f->code, BeamCodeHeader, num_functions, FUNCTIONS);
	f->line_table = mock_alloc(&f->m, 64);
	f->lines = mock_alloc(&f->m, 2 * FUNCTIONS + 1);
	uint64_t numbers = mock_alloc(&f->m, 2 * FUNCTIONS), files = mock_alloc(&f->m, 1);
	PUT(f, f->code, BeamCodeHeader, line_table, f->line_table);
	PUT(f, f->line_table, BeamCodeLineTab, fname_ptr, files);
	PUT(f, f->line_table, BeamCodeLineTab, loc_size, 2);
	PUT(f, f->line_table, BeamCodeLineTab, loc_tab, numbers);
	mock_put(&f->m, files, mock_string(&f->m, "m.erl"));
	uint64_t array = f->code + OFFSET(vm, BeamCodeHeader, functions);
	for (unsigned i = 0; i <= FUNCTIONS; i++) {
		mock_put(&f->m, array + i * 8, function_at(f, i));
		mock_put(&f->m, f->line_table + OFFSET(vm, BeamCodeLineTab, func_tab) + i * 8,
		         f->lines + 2 * i * 8);
		if (i == FUNCTIONS)
			break;
		uint64_t mfa = function_at(f, i) + OFFSET(vm, ErtsCodeInfo, mfa);
		char name[] = {(char)('a' + i), 0};
		f->functions[i] = mock_atom(&f->m, name);
		PUT(f, mfa, ErtsCodeMFA, module, f->name);
		PUT(f, mfa, ErtsCodeMFA, function, f->functions[i]);
		PUT(f, mfa, ErtsCodeMFA, arity, i);
		mock_put(&f->m, f->lines + 2 * i * 8, pc_at(f, i, 0));
		mock_put(&f->m, f->lines + (2 * i + 1) * 8, pc_at(f, i, 0x40));
		uint16_t pair[2] = {(uint16_t)(10 * i + 1), (uint16_t)(10 * i + 2)};
		memcpy(f->m.memory + (numbers + 4 * i - MOCK_BASE), pair, sizeof(pair));
	}
	mock_put(&f->m, f->lines + 2 * FUNCTIONS * 8, function_at(f, FUNCTIONS));
}

static void put_module_table(struct fixture *f)
{
	struct etp_vm *vm = &f->m.vm;
	uint64_t name = mock_alloc(&f->m, 2);
	memcpy(f->m.memory + (name - MOCK_BASE), "module_code", 12);
	f->tables = mock_alloc(&f->m, 3 * SIZEOF(vm, IndexTable) / 8);
	f->module = mock_alloc(&f->m, SIZEOF(vm, Module) / 8);
	uint64_t page = global(f, f->module), pages = global(f, page);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t table = f->tables + i * SIZEOF(vm, IndexTable);
		uint64_t hash = table + OFFSET(vm, IndexTable, htable);
		PUT(f, hash, Hash, name, name);
		PUT(f, table, IndexTable, size, 1024);
		PUT(f, table, IndexTable, limit, 65536);
		PUT(f, table, IndexTable, entries, i == 1);
		PUT(f, table, IndexTable, seg_table, pages);
	}
	uint64_t current = f->module + OFFSET(vm, Module, curr);
	PUT(f, f->module, Module, module, term_atom_index(f->name));
	PUT(f, current, ModuleInstance, code_hdr, f->code);
	PUT(f, current, ModuleInstance, code_length, CODE_SIZE);
	PUT(f, current, ModuleInstance, catches, 1);
	PUT(f, f->module + OFFSET(vm, Module, old), ModuleInstance, catches, UINT32_MAX);
}

// Catches 1 and 0 are the module's.
static void put_catches(struct fixture *f)
{
	struct etp_vm *vm = &f->m.vm;
	f->catches = mock_alloc(&f->m, 1024 * SIZEOF(vm, beam_catch) / 8);
	PUT(f, f->catches, beam_catch, cp, pc_at(f, 0, 8));
	PUT(f, f->catches, beam_catch, cdr, UINT32_MAX);
	PUT(f, f->catches + SIZEOF(vm, beam_catch), beam_catch, cp, pc_at(f, 2, 8));
	PUT(f, f->catches + SIZEOF(vm, beam_catch), beam_catch, cdr, 0);
	uint64_t pools = mock_alloc(&f->m, 3 * SIZEOF(vm, bc_pool) / 8);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t pool = pools + i * SIZEOF(vm, bc_pool);
		PUT(f, pool, bc_pool, free_list, UINT32_MAX);
		PUT(f, pool, bc_pool, high_mark, 2);
		PUT(f, pool, bc_pool, tabsize, 1024);
		PUT(f, pool, bc_pool, beam_catches, f->catches);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	*state = f;
	if (mock_init(&f->m, layout_path))
		return -1;
	f->m.vm.info.flavor = "jit";
	f->name = mock_atom(&f->m, "m");
	put_code(f);
	put_module_table(f);
	put_catches(f);
	f->active_index = global(f, 1);
	f->frame_layout = global(f, 0);
	f->depth = global(f, 8);
	f->normal_exit = global(f, 0x9000);
	f->return_trace = global(f, 0x9010);
	f->time_trace = global(f, 0x9020);
	return 0;
}

// What load() found; the mock's own code is part of it.
static void forget_code(struct fixture *f)
{
	if (f->m.vm.code != &f->m.code)
		etp_code_deinit(&f->m.vm);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	forget_code(f);
	mock_deinit(&f->m);
	free(f);
	return 0;
}

// Make the target anew, with symbols, and look for the code in it.
static void load(struct fixture *f)
{
	const struct etp_memory block = {MOCK_BASE, IMAGE_SIZE, f->m.memory};
	const struct etp_memory_symbol symbols[] = {
		{"the_active_code_index", f->active_index, 4},
		{"erts_frame_layout", f->frame_layout, 4},
		{"erts_backtrace_depth", f->depth, 4},
		{"beam_normal_exit", f->normal_exit, 8},
		{"beam_return_trace", f->return_trace, 8},
		{"beam_return_time_trace", f->time_trace, 8},
	};
	etp_target_destroy(f->m.vm.target);
	assert_null(etp_target_create_memory(
		&block, 1, symbols, sizeof(symbols) / sizeof(symbols[0]), &f->m.vm.target));
	etp_reader_init(&f->m.reader, f->m.vm.target);
	forget_code(f);
	assert_null(etp_code_init(&f->m.vm));
}

static const struct etp_code_module *only_module(struct fixture *f)
{
	const struct etp_code_module *modules;
	assert_int_equal(etp_code_modules(&f->m.vm, &modules, NULL), 1);
	return modules;
}

static struct etp_code_location locate(struct fixture *f, uint64_t pc)
{
	struct etp_code_location location;
	etp_code_locate(&f->m.vm, &f->m.reader, pc, &location);
	return location;
}

static void test_functions_and_lines(void **state)
{
	struct fixture *f = *state;
	load(f);
	assert_null(only_module(f)->problem);
	assert_int_equal(only_module(f)->functions, FUNCTIONS);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		for (unsigned offset = 0; offset < 0x80; offset += 0x3f) {
			struct etp_code_location found = locate(f, pc_at(f, i, offset));
			assert_int_equal(found.kind, ETP_CODE_FUNCTION);
			assert_int_equal(found.function, f->functions[i]);
			assert_int_equal(found.arity, i);
			assert_int_equal(found.line, 10 * i + 1 + (offset >= 0x40));
			char file[32];
			etp_code_file_name(&f->m.vm, &f->m.reader, &found, file, sizeof(file));
			assert_string_equal(file, "m.erl");
		}
	assert_int_equal(locate(f, f->code).kind, ETP_CODE_UNKNOWN);
	assert_int_equal(locate(f, function_at(f, FUNCTIONS)).kind, ETP_CODE_UNKNOWN);
	assert_int_equal(locate(f, f->code + CODE_SIZE).kind, ETP_CODE_UNKNOWN);
	assert_int_equal(locate(f, 0).kind, ETP_CODE_UNKNOWN);
	assert_int_equal(locate(f, UINT64_MAX).kind, ETP_CODE_UNKNOWN);
	assert_string_equal(locate(f, 0x9000).fragment, "terminate process normally");
}

static void test_catches(void **state)
{
	struct fixture *f = *state;
	load(f);
	assert_int_equal(etp_code_catch(&f->m.vm, &f->m.reader, 0), pc_at(f, 0, 8));
	assert_int_equal(etp_code_catch(&f->m.vm, &f->m.reader, 1), pc_at(f, 2, 8));
	assert_int_equal(etp_code_catch(&f->m.vm, &f->m.reader, 2), 0);
	assert_int_equal(etp_code_catch(&f->m.vm, &f->m.reader, UINT64_MAX), 0);
	// A chain that goes round is not believed, nor one that leaves the code.
	PUT(f, f->catches, beam_catch, cdr, 1);
	load(f);
	assert_int_equal(etp_code_catch(&f->m.vm, &f->m.reader, 0), 0);
	PUT(f, f->catches, beam_catch, cdr, UINT32_MAX);
	PUT(f, f->catches, beam_catch, cp, f->code + CODE_SIZE);
	load(f);
	assert_int_equal(etp_code_catch(&f->m.vm, &f->m.reader, 0), 0);
}

// Only the module is known of code whose header makes no sense.
static void expect_bad_module(struct fixture *f)
{
	load(f);
	assert_non_null(only_module(f)->problem);
	assert_int_equal(only_module(f)->functions, 0);
	struct etp_code_location found = locate(f, pc_at(f, 1, 0));
	assert_int_equal(found.kind, ETP_CODE_MODULE);
	assert_int_equal(found.module, f->name);
	assert_int_equal(found.function, 0);
}

static void test_bad_headers(void **state)
{
	struct fixture *f = *state;
	static const uint64_t counts[] = {0, 100, UINT32_MAX, UINT64_MAX, UINT64_MAX / 8};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		PUT(f, f->code, BeamCodeHeader, num_functions, counts[i]);
		expect_bad_module(f);
	}
	PUT(f, f->code, BeamCodeHeader, num_functions, FUNCTIONS);
	uint64_t second = f->code + OFFSET(&f->m.vm, BeamCodeHeader, functions) + 8;
	static const uint64_t wrong[] = {0, MOCK_NOWHERE, UINT64_MAX};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		mock_put(&f->m, second, wrong[i]);
		expect_bad_module(f);
	}
	mock_put(&f->m, second, function_at(f, 1));
	uint64_t mfa = function_at(f, 0) + OFFSET(&f->m.vm, ErtsCodeInfo, mfa);
	PUT(f, mfa, ErtsCodeMFA, module, f->functions[0]);
	expect_bad_module(f);
}

static void test_bad_functions(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t mfa = function_at(f, 1) + OFFSET(&f->m.vm, ErtsCodeInfo, mfa);
	PUT(f, mfa, ErtsCodeMFA, arity, 256);
	assert_int_equal(locate(f, pc_at(f, 1, 0)).kind, ETP_CODE_MODULE);
	PUT(f, mfa, ErtsCodeMFA, arity, 1);
	PUT(f, mfa, ErtsCodeMFA, function, MOCK_NOWHERE);
	assert_int_equal(locate(f, pc_at(f, 1, 0)).kind, ETP_CODE_MODULE);
	struct etp_code_location found;
	assert_int_equal(etp_code_mfa(&f->m.vm, &f->m.reader, MOCK_NOWHERE, &found),
	                 ETP_CODE_UNKNOWN);
	assert_int_equal(etp_code_fun(&f->m.vm, &f->m.reader, MOCK_NOWHERE, &found),
	                 ETP_CODE_UNKNOWN);
}

static void test_missing_code(void **state)
{
	struct fixture *f = *state;
	uint64_t current = f->module + OFFSET(&f->m.vm, Module, curr);
	PUT(f, current, ModuleInstance, code_hdr, 0x700000000000);
	load(f);
	assert_true(only_module(f)->is_missing);
	assert_int_equal(locate(f, 0x700000000100).kind, ETP_CODE_MODULE);
	assert_int_equal(locate(f, 0x700000000100).offset, 0x100);
}

static void test_bad_tables(void **state)
{
	struct fixture *f = *state;
	const struct etp_code_module *modules;
	const char *problem;
	uint64_t current = f->module + OFFSET(&f->m.vm, Module, curr);
	PUT(f, current, ModuleInstance, code_length, 0xffffffff);
	load(f);
	assert_int_equal(etp_code_modules(&f->m.vm, &modules, &problem), 0);
	assert_non_null(problem);
	PUT(f, current, ModuleInstance, code_length, CODE_SIZE);
	PUT(f, f->module, Module, module, 12345);
	load(f);
	assert_int_equal(etp_code_modules(&f->m.vm, &modules, &problem), 0);
	assert_non_null(problem);
	PUT(f, f->module, Module, module, term_atom_index(f->name));
	uint64_t table = f->tables + SIZEOF(&f->m.vm, IndexTable);
	PUT(f, table, IndexTable, entries, 2000000000);
	load(f);
	assert_int_equal(etp_code_modules(&f->m.vm, &modules, &problem), 0);
	assert_non_null(problem);
	// Entries behind the last are not there.
	PUT(f, table, IndexTable, entries, 5);
	load(f);
	assert_int_equal(etp_code_modules(&f->m.vm, &modules, &problem), 1);
	assert_non_null(problem);
	put_u32(f, f->active_index, 7);
	load(f);
	assert_int_equal(etp_code_modules(&f->m.vm, &modules, &problem), 0);
	assert_non_null(problem);
	assert_int_equal(locate(f, pc_at(f, 1, 0)).kind, ETP_CODE_UNKNOWN);
}

static void test_bad_line_tables(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t second = f->line_table + OFFSET(&f->m.vm, BeamCodeLineTab, func_tab) + 8;
	static const uint64_t wrong[] = {0, MOCK_NOWHERE, MOCK_BASE + 1, UINT64_MAX,
	                                 UINT64_MAX - 7};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		mock_put(&f->m, second, wrong[i]);
		for (unsigned function = 0; function < 2; function++) {
			struct etp_code_location found = locate(f, pc_at(f, function, 0));
			assert_int_equal(found.kind, ETP_CODE_FUNCTION);
			assert_true(found.line == 0 || found.line == 1);
		}
	}
	mock_put(&f->m, second, f->lines + 16);
	PUT(f, f->line_table, BeamCodeLineTab, loc_size, 3);
	assert_int_equal(locate(f, pc_at(f, 1, 0)).line, 0);
	PUT(f, f->line_table, BeamCodeLineTab, loc_size, 2);
	PUT(f, f->line_table, BeamCodeLineTab, loc_tab, MOCK_NOWHERE);
	assert_int_equal(locate(f, pc_at(f, 1, 0)).line, 0);
	PUT(f, f->code, BeamCodeHeader, line_table, MOCK_NOWHERE);
	assert_int_equal(locate(f, pc_at(f, 1, 0)).kind, ETP_CODE_FUNCTION);
}

static void test_file_names(void **state)
{
	struct fixture *f = *state;
	char name[8];
	etp_term loop = mock_cons(&f->m, term_make_small('x'), ETP_NIL);
	mock_put(&f->m, term_pointer(loop) + 8, loop);
	const struct {
		etp_term term;
		const char *expected;
	} cases[] = {
		{ETP_NIL, ""},
		{mock_string(&f->m, "a.erl"), "a.erl"},
		{mock_string(&f->m, "longer.erl"), "longer."},
		{mock_list(&f->m, term_make_small(0xe9), term_make_small(0x20ac)),
	         "\xc3\xa9\xe2\x82\xac"},
		{mock_list(&f->m, term_make_small(0x1f600)), "\xf0\x9f\x98\x80"},
		{mock_list(&f->m, term_make_small('a'), term_make_small(-1)), ""},
		{mock_list(&f->m, term_make_small('a'), term_make_small(0xd800)), ""},
		{mock_list(&f->m, term_make_small('a'), f->name), ""},
		{mock_cons(&f->m, term_make_small('a'), MOCK_NOWHERE | TAG_PRIMARY_LIST), ""},
		{f->name, "m"},
		{term_make_atom(0xffffff), ""},
		{0, ""},
		{loop, "xxxxxxx"},
	};
	struct etp_code_location location = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		location.file = cases[i].term;
		assert_string_equal(
			etp_code_file_name(&f->m.vm, &f->m.reader, &location, name, sizeof(name)),
			cases[i].expected);
	}
	location.file = f->name;
	location.is_own_file = true;
	assert_string_equal(
		etp_code_file_name(&f->m.vm, &f->m.reader, &location, name, sizeof(name)), "m.erl");
}

// A process whose stack holds these words.
static uint64_t process_with(struct fixture *f, size_t count, const uint64_t *words)
{
	uint64_t process = mock_alloc(&f->m, 200);
	uint64_t heap = mock_alloc(&f->m, 16 + count);
	for (size_t i = 0; i < count; i++)
		mock_put(&f->m, heap + (16 + i) * 8, words[i]);
	PUT(f, process, Process, id, 0x13);
	PUT(f, process, Process, heap, heap);
	PUT(f, process, Process, htop, heap + 32);
	PUT(f, process, Process, stop, heap + 128);
	PUT(f, process, Process, hend, heap + 128 + count * 8);
	PUT(f, process, Process, i, pc_at(f, 0, 4));
	PUT(f, process, Process, arg_reg, heap);
	return process;
}
#define PROCESS(f, ...)                                                                            \
	process_with(f, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (const uint64_t[]){__VA_ARGS__})

static struct etp_stack find_stack(struct fixture *f, uint64_t process)
{
	struct etp_stack stack;
	assert_null(etp_stack_find(&f->m.vm, &f->m.reader, process, &stack));
	return stack;
}

static void expect_kinds(struct fixture *f, uint64_t process, const char *expected)
{
	static const char letters[] = {
		[ETP_STACK_TERM] = 't',   [ETP_STACK_CATCH] = 'c',
		[ETP_STACK_RETURN] = 'r', [ETP_STACK_FRAME_POINTER] = 'f',
		[ETP_STACK_MFA] = 'm',    [ETP_STACK_RESERVED] = 'R',
	};
	struct etp_stack stack = find_stack(f, process);
	struct etp_stack_iter iter;
	struct etp_stack_slot slot;
	char found[64] = "";
	size_t n = 0;
	etp_stack_iter_init(&iter, &f->m.vm, &f->m.reader, &stack);
	while (etp_stack_iter_next(&iter, &slot) && n < sizeof(found) - 1)
		found[n++] = letters[slot.kind];
	assert_string_equal(found, expected);
}

static void test_stack_words(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t catch = 1 << 6 | TAG_IMMED2_CATCH;
	uint64_t mfa = function_at(f, 1) + OFFSET(&f->m.vm, ErtsCodeInfo, mfa);
	uint64_t process = PROCESS(f, ETP_NIL, pc_at(f, 1, 8), catch, 0x9010, mfa, f->name, 0x9020,
	                           pc_at(f, 2, 0), 0x9020, ETP_NIL, 0x9000);
	expect_kinds(f, process, "trcrmtrmrtr");
	f->m.vm.info.flavor = "emu";
	load(f);
	expect_kinds(f, process, "Rrcrmtrmrtr");
	// Each return address behind a frame pointer.
	f->m.vm.info.flavor = "jit";
	put_u32(f, f->frame_layout, 1);
	load(f);
	process = PROCESS(f, f->name, MOCK_BASE, pc_at(f, 1, 8), ETP_NIL, 0, 0x9000);
	expect_kinds(f, process, "tfrtfr");
	// Cut off within one.
	process = PROCESS(f, f->name, MOCK_BASE);
	expect_kinds(f, process, "tf");
}

static void test_stacktrace(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t again = pc_at(f, 1, 8);
	uint64_t process = PROCESS(f, again, again, ETP_NIL, again, pc_at(f, 2, 0x44), again,
	                           0xdead0000, 0x9000);
	struct etp_stack stack = find_stack(f, process);
	struct etp_code_location frames[8];
	bool more;
	assert_int_equal(etp_stack_trace(&f->m.vm, &f->m.reader, &stack, 8, frames, &more), 4);
	assert_false(more);
	assert_int_equal(frames[0].function, f->functions[0]);
	assert_int_equal(frames[1].function, f->functions[1]);
	assert_int_equal(frames[2].line, 22);
	assert_int_equal(frames[3].function, f->functions[1]);
	// The unknown addresses count, but are left out.
	assert_int_equal(etp_stack_trace(&f->m.vm, &f->m.reader, &stack, 5, frames, &more), 4);
	assert_true(more);
	assert_int_equal(etp_stack_trace(&f->m.vm, &f->m.reader, &stack, 1, frames, &more), 1);
	assert_int_equal(etp_stack_trace(&f->m.vm, &f->m.reader, &stack, 0, frames, &more), 0);
	assert_true(more);
}

// Process.current has the name of a function whose code is missing, and says nothing
// of the place in it.
static void test_current_without_code(void **state)
{
	struct fixture *f = *state;
	uint64_t current = f->module + OFFSET(&f->m.vm, Module, curr);
	uint64_t process = PROCESS(f, ETP_NIL, 0x9000);
	uint64_t mfa = function_at(f, 1) + OFFSET(&f->m.vm, ErtsCodeInfo, mfa);
	PUT(f, process, Process, i, 0x700000000100);
	PUT(f, process, Process, current, mfa);
	PUT(f, current, ModuleInstance, code_hdr, 0x700000000000);
	load(f);
	struct etp_stack stack = find_stack(f, process);
	for (int with_line = 0; with_line < 2; with_line++) {
		struct etp_code_location found;
		assert_int_equal(
			etp_stack_current(&f->m.vm, &f->m.reader, &stack, with_line, &found),
			ETP_CODE_FUNCTION);
		assert_int_equal(found.function, f->functions[1]);
		assert_int_equal(found.pc, 0x700000000100);
		assert_true(found.offset == ETP_CODE_NO_OFFSET);
	}
}

static void test_bad_stacks(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t process = PROCESS(f, ETP_NIL, 0x9000);
	struct etp_stack stack;
	struct etp_error *err = etp_stack_find(&f->m.vm, &f->m.reader, MOCK_NOWHERE, &stack);
	assert_non_null(err);
	assert_int_equal(err->kind, ETP_ERROR_FAULT);
	etp_error_destroy(err);
	PUT(f, process, Process, id, 0x1b);
	err = etp_stack_find(&f->m.vm, &f->m.reader, process, &stack);
	assert_int_equal(err->kind, ETP_ERROR_BAD_DATA);
	etp_error_destroy(err);
	PUT(f, process, Process, id, 0x13);
	PUT(f, process, Process, arity, 255);
	PUT(f, process, Process, arg_reg, MOCK_NOWHERE);
	stack = find_stack(f, process);
	assert_int_equal(stack.register_count, 0);
	assert_non_null(stack.problem);
	static const uint64_t tops[] = {0, 1, UINT64_MAX, MOCK_BASE + 1};
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		PUT(f, process, Process, stop, tops[i]);
		expect_kinds(f, process, "");
		assert_non_null(find_stack(f, process).problem);
	}
	// A stack that ends outside of memory is read as far as it goes.
	PUT(f, process, Process, stop, MOCK_BASE + IMAGE_SIZE - 16);
	PUT(f, process, Process, hend, UINT64_MAX - 7);
	expect_kinds(f, process, "rr");
	stack = find_stack(f, process);
	struct etp_stack_iter iter;
	struct etp_stack_slot slot;
	etp_stack_iter_init(&iter, &f->m.vm, &f->m.reader, &stack);
	while (etp_stack_iter_next(&iter, &slot))
		;
	assert_int_equal(iter.unreadable, (UINT64_MAX - 7 - MOCK_BASE - IMAGE_SIZE) / 8);
}

static size_t count_things(struct fixture *f, uint64_t start, uint64_t end, size_t *invalid)
{
	struct etp_heap_iter iter;
	struct etp_heap_thing thing;
	size_t count = 0;
	*invalid = 0;
	etp_heap_iter_init(&iter, &f->m.vm, &f->m.reader, start, end);
	for (uint64_t next = start; etp_heap_iter_next(&iter, &thing); count++) {
		assert_int_equal(thing.address, next);
		next += thing.words * 8;
		*invalid += thing.kind == ETP_HEAP_INVALID;
	}
	return count;
}

static void test_heap(void **state)
{
	struct fixture *f = *state;
	load(f);
	struct mock *m = &f->m;
	size_t invalid;
	uint64_t start = m->top;
	mock_tuple(m, term_make_small(1), term_make_small(2));
	mock_cons(m, term_make_small(1), ETP_NIL);
	mock_float(m, 1.5);
	mock_binary(m, "0123456789", 10);
	uint64_t node = mock_alloc(m, 3);
	mock_put(m, node, mock_header(m, ETP_THING_MAP, (UINT64_C(0x11) << 10) | 1));
	assert_int_equal(count_things(f, start, m->top, &invalid), 5);
	assert_int_equal(invalid, 0);
	// Headers of absurd sizes are one word each.
	uint64_t bad = mock_alloc(m, 2);
	mock_put(m, bad, mock_header(m, ETP_THING_TUPLE, UINT64_C(1) << 57));
	mock_put(m, bad + 8, mock_header(m, ETP_THING_TUPLE, 100));
	mock_cons(m, term_make_small(1), ETP_NIL);
	assert_int_equal(count_things(f, start, m->top, &invalid), 8);
	assert_int_equal(invalid, 2);
	// A cons cell of which only half is there.
	assert_int_equal(count_things(f, m->top - 8, m->top, &invalid), 1);
	assert_int_equal(invalid, 1);
	assert_int_equal(count_things(f, MOCK_NOWHERE, MOCK_NOWHERE + 80, &invalid), 0);
}

static void expect_chain(struct fixture *f, uint64_t first, size_t least, size_t most,
                         bool has_problem)
{
	struct etp_off_heap_iter iter;
	etp_term term;
	size_t count = 0;
	etp_off_heap_iter_init(&iter, &f->m.vm, &f->m.reader, first);
	while (etp_off_heap_iter_next(&iter, &term))
		count++;
	assert_in_range(count, least, most);
	assert_int_equal(iter.problem != NULL, has_problem);
}

static void test_off_heap(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t things[3];
	for (unsigned i = 0; i < 3; i++)
		things[i] = mock_alloc(&f->m, 4);
	PUT(f, things[0], ErlOffHeapHeader, next, things[1]);
	PUT(f, things[1], ErlOffHeapHeader, next, things[2]);
	expect_chain(f, things[0], 3, 3, false);
	expect_chain(f, 0, 0, 0, false);
	PUT(f, things[2], ErlOffHeapHeader, next, things[1]);
	expect_chain(f, things[0], 3, 12, true);
	PUT(f, things[2], ErlOffHeapHeader, next, MOCK_NOWHERE);
	expect_chain(f, things[0], 3, 3, true);
	PUT(f, things[2], ErlOffHeapHeader, next, 0x1001);
	expect_chain(f, things[0], 3, 3, true);
}

static void test_heap_areas(void **state)
{
	struct fixture *f = *state;
	load(f);
	uint64_t process = PROCESS(f, ETP_NIL, 0x9000);
	const char *problem;
	struct etp_heap_area areas[4];
	assert_int_equal(etp_heap_areas(&f->m.vm, &f->m.reader, process, areas, 4, &problem), 1);
	assert_null(problem);
	uint64_t fragment = mock_alloc(&f->m, 32);
	PUT(f, process, Process, mbuf, fragment);
	PUT(f, fragment, ErlHeapFragment, used_size, 4);
	assert_int_equal(etp_heap_areas(&f->m.vm, &f->m.reader, process, areas, 4, &problem), 2);
	assert_null(problem);
	assert_int_equal(areas[1].top - areas[1].start, 32);
	PUT(f, fragment, ErlHeapFragment, next, fragment);
	etp_heap_areas(&f->m.vm, &f->m.reader, process, areas, 4, &problem);
	assert_non_null(problem);
	PUT(f, fragment, ErlHeapFragment, next, 0);
	PUT(f, fragment, ErlHeapFragment, used_size, UINT64_MAX);
	assert_int_equal(etp_heap_areas(&f->m.vm, &f->m.reader, process, areas, 4, &problem), 1);
	assert_non_null(problem);
	PUT(f, process, Process, htop, 0);
	PUT(f, process, Process, mbuf, MOCK_NOWHERE);
	assert_int_equal(etp_heap_areas(&f->m.vm, &f->m.reader, process, areas, 4, &problem), 0);
	assert_non_null(problem);
	etp_heap_areas(&f->m.vm, &f->m.reader, MOCK_NOWHERE, areas, 4, &problem);
	assert_non_null(problem);
}

// Three struct ranges, one for each code index, of `room` ranges each, of which `count` are
// in use.
static void put_ranges(struct fixture *f, uint64_t ranges, uint64_t structs, uint64_t count)
{
	for (uint64_t i = 0; i < structs; i++) {
		uint64_t address = mock_alloc(&f->m, 4);
		mock_put(&f->m, address, ranges);
		mock_put(&f->m, address + 8, count);
		mock_put(&f->m, address + 16, count);
		mock_put(&f->m, address + 24, ranges);
	}
}

// The first in the module, each behind the one before.
static uint64_t new_ranges(struct fixture *f, uint64_t count)
{
	uint64_t ranges = mock_alloc(&f->m, 2 * count);
	for (uint64_t i = 0; i < count; i++)
		mock_put(&f->m, ranges + i * 16, f->code + i);
	return ranges;
}

static struct etp_allocators areas_of(struct fixture *f)
{
	struct etp_allocators allocators = {0};
	load(f);
	etp_allocated_areas(&f->m.vm, &allocators);
	return allocators;
}

static void test_ranges(void **state)
{
	struct fixture *f = *state;
	put_ranges(f, new_ranges(f, 100), 3, 100);
	assert_int_equal(areas_of(f).areas.module_refs, 3 * 100 * 16);
}

// What a forged executable makes look like a static struct, so often that to look at all of
// it would take the product of both: it ends when as much was looked at as there is memory.
static void test_forged_ranges(void **state)
{
	enum { RANGES = 4096, STRUCTS = 2 * IMAGE_SIZE / 8 / RANGES };
	struct fixture *f = *state;
	uint64_t ranges = new_ranges(f, RANGES);
	mock_put(&f->m, ranges + (RANGES - 1) * 16, 1);
	put_ranges(f, ranges, STRUCTS, RANGES);
	struct etp_allocators found = areas_of(f);
	assert_string_equal(found.problem, "too much looks like the ranges of code");
	assert_int_equal(found.areas.module_refs, 0);

	// Half as many are all looked at.
	memset(f->m.memory + (f->m.top - STRUCTS / 2 * 32 - MOCK_BASE), 0, STRUCTS / 2 * 32);
	mock_put(&f->m, f->m.top - STRUCTS / 2 * 32 - 32, 0);
	assert_string_equal(areas_of(f).problem, "the ranges of code cannot be found");
}

static void test_forged_persistent_terms(void **state)
{
	enum { SLOTS = 4096, POINTERS = 2 * IMAGE_SIZE / 8 / SLOTS };
	struct fixture *f = *state;
	struct etp_vm *vm = &f->m.vm;
	uint64_t term = OFFSET(vm, PersistentTermTable, term);
	uint64_t table = mock_alloc(&f->m, term / 8 + SLOTS), pointers[POINTERS];
	PUT(f, table, PersistentTermTable, allocated, SLOTS);
	PUT(f, table, PersistentTermTable, mask, SLOTS - 1);
	PUT(f, table, PersistentTermTable, num_entries, 1);
	for (uint64_t i = 0; i + 1 < SLOTS; i++)
		mock_put(&f->m, table + term + i * 8, ETP_NIL);
	for (unsigned i = 0; i < POINTERS; i++)
		pointers[i] = global(f, table);
	load(f);
	struct etp_persistent_terms terms;
	assert_null(etp_persistent_terms_init(&terms, vm));
	assert_non_null(strstr(terms.problem, "too much"));
	etp_persistent_terms_deinit(&terms);

	for (unsigned i = 0; i <= POINTERS / 2; i++)
		mock_put(&f->m, pointers[i], 0);
	assert_null(etp_persistent_terms_init(&terms, vm));
	assert_non_null(strstr(terms.problem, "was recognised"));
	etp_persistent_terms_deinit(&terms);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "Usage: %s LAYOUT\n", argv[0]);
		return 2;
	}
	layout_path = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_functions_and_lines),
		TEST(test_catches),
		TEST(test_bad_headers),
		TEST(test_bad_functions),
		TEST(test_missing_code),
		TEST(test_bad_tables),
		TEST(test_bad_line_tables),
		TEST(test_file_names),
		TEST(test_stack_words),
		TEST(test_stacktrace),
		TEST(test_current_without_code),
		TEST(test_bad_stacks),
		TEST(test_heap),
		TEST(test_off_heap),
		TEST(test_heap_areas),
		TEST(test_ranges),
		TEST(test_forged_ranges),
		TEST(test_forged_persistent_terms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
