// SPDX-License-Identifier: Apache-2.0
//
// From an address in code to its function, file and line (ERTS: beam_ranges.c).

#include <stdio.h>
#include <string.h>

#include "vm/code.h"

enum {
	// MAX_ARITY, erl_vm.h.
	ARITY_MAX = 255,
	// LOC_FILE and LOC_LINE, beam_code.h.
	LOC_LINE_BITS = 24,
	LOC_LINE_MASK = (1 << LOC_LINE_BITS) - 1,
};

const char *etp_code_kind_name(enum etp_code_kind kind)
{
	static const char *const names[] = {
		[ETP_CODE_UNKNOWN] = "unknown",   [ETP_CODE_FRAGMENT] = "fragment",
		[ETP_CODE_MODULE] = "module",     [ETP_CODE_NEAR_EXPORT] = "near_export",
		[ETP_CODE_FUNCTION] = "function",
	};
	return names[kind];
}

uint64_t etp_code_call_of(const struct etp_vm *vm, uint64_t return_address)
{
	return return_address - vm->code->call_size;
}

// An ErtsCodeMFA whose words are of the right kind.
static bool read_mfa(const struct etp_vm *vm, struct etp_reader *reader, uint64_t mfa,
                     struct etp_code_location *ret)
{
	uint64_t module, function, arity;
	if (!READ_WORD(vm, reader, mfa, ErtsCodeMFA, module, &module) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, function, &function) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, arity, &arity) || !term_is_atom(module) ||
	    !term_is_atom(function) || arity > ARITY_MAX)
		return false;
	ret->module = module;
	ret->function = function;
	ret->arity = arity;
	return true;
}

// Index of the function that `pc` is in, by bisection of BeamCodeHeader.functions.
static bool find_function(const void *functions, uint64_t count, uint64_t pc, uint64_t *ret)
{
	uint64_t low = 0, high = count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (pc < etp_word_at(functions, middle)) {
			high = middle;
		} else if (pc < etp_word_at(functions, middle + 1)) {
			*ret = middle;
			return true;
		} else {
			low = middle + 1;
		}
	}
	return false;
}

// The first name is that of the module's own file, which to OTP 23 is not there.
static bool find_file(const struct etp_vm *vm, struct etp_reader *reader,
                      const struct etp_code_module *module, uint64_t names, uint64_t index,
                      struct etp_code_location *location)
{
	if (vm->scheme->own_file_has_name)
		return etp_read_u64(reader, names + index * 8, &location->file);
	if (index)
		return etp_read_u64(reader, names + (index - 1) * 8, &location->file);
	location->file = module->name;
	location->is_own_file = true;
	return true;
}

// The line table lists, for each function, the addresses where another line
// begins; lines stand at the same index in a table of their own.
static void find_line(const struct etp_vm *vm, struct etp_reader *reader,
                      const struct etp_code_module *module, uint64_t function,
                      struct etp_code_location *location)
{
	uint64_t table, names, lines, first, low, high;
	uint32_t line_size;
	if (!READ_WORD(vm, reader, module->start, BeamCodeHeader, line_table, &table) || !table)
		return;
	uint64_t by_function = table + OFFSET(vm, BeamCodeLineTab, func_tab);
	if (!READ_WORD(vm, reader, table, BeamCodeLineTab, fname_ptr, &names) ||
	    !READ_U32(vm, reader, table, BeamCodeLineTab, loc_size, &line_size) ||
	    !READ_WORD(vm, reader, table, BeamCodeLineTab, loc_tab, &lines) ||
	    !etp_read_u64(reader, by_function, &first) ||
	    !etp_read_u64(reader, by_function + function * 8, &low) ||
	    !etp_read_u64(reader, by_function + (function + 1) * 8, &high) ||
	    (line_size != 2 && line_size != 4) || first > low || low > high || (low - first) % 8 ||
	    (high - low) % 8)
		return;
	while (low < high) {
		uint64_t middle = low + (high - low) / 16 * 8;
		uint64_t start, end;
		if (!etp_read_u64(reader, middle, &start) ||
		    !etp_read_u64(reader, middle + 8, &end))
			return;
		if (location->pc < start) {
			high = middle;
			continue;
		}
		if (location->pc >= end) {
			low = middle + 8;
			continue;
		}
		uint32_t line = 0;
		const void *bytes =
			etp_reader_at(reader, lines + (middle - first) / 8 * line_size, line_size);
		if (!bytes)
			return;
		memcpy(&line, bytes, line_size);
		// 0 is LINE_INVALID_LOCATION.
		if (line && find_file(vm, reader, module, names, line >> LOC_LINE_BITS, location))
			location->line = line & LOC_LINE_MASK;
		return;
	}
}

// The names of missing code that are known from elsewhere.
static void locate_missing(const struct etp_vm *vm, const struct etp_code_module *module,
                           struct etp_code_location *location)
{
	const struct etp_code_export *export =
		etp_code_export_before(vm->code, location->pc, module->start);
	if (!export)
		return;
	location->kind = ETP_CODE_NEAR_EXPORT;
	location->function = export->function;
	location->arity = export->arity;
	location->offset = location->pc - (export->address - SIZEOF(vm, ErtsCodeMFA));
}

static void locate_in_module(const struct etp_vm *vm, struct etp_reader *reader,
                             const struct etp_code_module *module,
                             struct etp_code_location *location)
{
	location->kind = ETP_CODE_MODULE;
	location->version = module->version;
	location->module = module->name;
	location->offset = location->pc - module->start;
	if (module->is_missing) {
		locate_missing(vm, module, location);
		return;
	}
	const void *functions =
		module->functions
			? etp_reader_at(reader,
	                                module->start + OFFSET(vm, BeamCodeHeader, functions),
	                                (module->functions + 1) * 8)
			: NULL;
	if (!functions)
		return;
	uint64_t index;
	if (!find_function(functions, module->functions, location->pc, &index)) {
		// Behind the last function, or in the header.
		location->kind = ETP_CODE_UNKNOWN;
		return;
	}
	uint64_t mfa = etp_word_at(functions, index) + OFFSET(vm, ErtsCodeInfo, mfa);
	struct etp_code_location found = *location;
	if (!read_mfa(vm, reader, mfa, &found) || found.module != module->name)
		return;
	*location = found;
	location->kind = ETP_CODE_FUNCTION;
	location->offset = location->pc - mfa;
	find_line(vm, reader, module, index, location);
}

enum etp_code_kind etp_code_locate(const struct etp_vm *vm, struct etp_reader *reader, uint64_t pc,
                                   struct etp_code_location *ret)
{
	struct etp_code_location location = {.pc = pc};
	const struct etp_code *code = vm->code;
	const struct etp_code_module *module = etp_code_module_at(code, pc);
	if (module) {
		locate_in_module(vm, reader, module, &location);
	} else {
		for (size_t i = 0; i < ETP_CODE_FRAGMENTS; i++) {
			if (pc && pc == code->fragments[i].address) {
				location.kind = ETP_CODE_FRAGMENT;
				location.fragment = code->fragments[i].name;
				break;
			}
		}
	}
	*ret = location;
	return location.kind;
}

enum etp_code_kind etp_code_mfa(const struct etp_vm *vm, struct etp_reader *reader, uint64_t mfa,
                                struct etp_code_location *ret)
{
	struct etp_code_location location = {.pc = mfa};
	if (read_mfa(vm, reader, mfa, &location)) {
		location.kind = ETP_CODE_FUNCTION;
	} else {
		// The function's code begins behind its ErtsCodeMFA.
		uint64_t address = mfa + SIZEOF(vm, ErtsCodeMFA);
		const struct etp_code_module *module = etp_code_module_at(vm->code, address);
		if (module && module->is_missing) {
			location.kind = ETP_CODE_MODULE;
			location.version = module->version;
			location.module = module->name;
			location.offset = mfa - module->start;
			const struct etp_code_export *export =
				etp_code_export_before(vm->code, address, module->start);
			if (export && export->address == address) {
				location.kind = ETP_CODE_FUNCTION;
				location.function = export->function;
				location.arity = export->arity;
				location.offset = 0;
			}
		}
	}
	*ret = location;
	return location.kind;
}

enum etp_code_kind etp_code_fun(const struct etp_vm *vm, struct etp_reader *reader,
                                uint64_t fun_entry, struct etp_code_location *ret)
{
	uint64_t address;
	if (!READ_WORD(vm, reader, fun_entry, ErlFunEntry, dispatch, &address)) {
		*ret = (struct etp_code_location){.kind = ETP_CODE_UNKNOWN};
		return ret->kind;
	}
	etp_code_locate(vm, reader, address, ret);
	// To OTP 23 what stands for code that is gone has no symbol, but an ErtsCodeMFA
	// that no function has (unloaded_fun, erl_fun.c).
	uint64_t module, arity;
	uint64_t mfa = address - SIZEOF(vm, ErtsCodeMFA);
	if (ret->kind == ETP_CODE_UNKNOWN &&
	    READ_WORD(vm, reader, mfa, ErtsCodeMFA, module, &module) && term_is_nil(module) &&
	    READ_WORD(vm, reader, mfa, ErtsCodeMFA, arity, &arity) && arity == UINT64_MAX) {
		ret->kind = ETP_CODE_FRAGMENT;
		ret->fragment = "unloaded fun";
	}
	return ret->kind;
}

static size_t put_utf8(char *buffer, size_t size, uint32_t c)
{
	char bytes[4];
	size_t n = 1;
	if (c < 0x80) {
		bytes[0] = (char)c;
	} else if (c < 0x800) {
		n = 2;
	} else {
		n = c < 0x10000 ? 3 : 4;
	}
	for (size_t i = n; n > 1 && i-- > 1; c >>= 6)
		bytes[i] = (char)(0x80 | (c & 0x3f));
	if (n > 1)
		bytes[0] = (char)(0xf00 >> n | c);
	if (n >= size)
		return 0;
	memcpy(buffer, bytes, n);
	return n;
}

const char *etp_code_file_name(const struct etp_vm *vm, struct etp_reader *reader,
                               const struct etp_code_location *location, char *buffer, size_t size)
{
	size_t used = 0;
	struct etp_term_view view;
	etp_term file = location->file;
	if (term_is_atom(file)) {
		size_t length = 0;
		const char *name = etp_vm_atom(vm, reader, term_atom_index(file), &length);
		snprintf(buffer, size, "%.*s%s", (int)length, name ? name : "",
		         location->is_own_file ? ".erl" : "");
		return buffer;
	}
	while (!term_is_nil(file)) {
		if (etp_term_decode(vm, reader, file, &view) != ETP_TERM_CONS ||
		    !term_is_small(view.cons.head)) {
			used = 0;
			break;
		}
		int64_t c = term_small(view.cons.head);
		if (c <= 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
			used = 0;
			break;
		}
		// Also what ends a list that comes round.
		size_t n = put_utf8(buffer + used, size - used, (uint32_t)c);
		if (!n)
			break;
		used += n;
		file = view.cons.tail;
	}
	buffer[used] = 0;
	return buffer;
}
