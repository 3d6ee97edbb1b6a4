// SPDX-License-Identifier: Apache-2.0
//
// Terms without parts, and strings, as Elixir shows them.

#include "term/print_private.h"
#include "term/scheme.h"

#include <string.h>

#include <etp/code.h>
#include <etp/vm.h>

static void put_float(struct etp_printer *p, double value)
{
	if ((value >= 1.0 || value <= -1.0) && value < 1.0e16 && value > -1.0e16 &&
	    value == (double)(int64_t)value)
		print_format(p, "%lld.0", (long long)(int64_t)value);
	else
		print_float(p, value);
}

// Function.info/1 leaves out what is `undefined`, even a module of that name.
static void put_mfa_atom(struct etp_printer *p, uint64_t index, enum elixir_atom_use use)
{
	size_t size;
	const char *name = etp_vm_atom(p->vm, p->reader, index, &size);
	if (name && size == 9 && !memcmp(name, "undefined", 9))
		print_str(p, "nil");
	else
		print_elixir_atom(p, index, use);
}

// The function that a fun was made in: "-start/2-fun-0-" says start/2
// (Code.Identifier.extract_anonymous_fun_parent/1).
static void put_fun_parent(struct etp_printer *p, etp_term function)
{
	size_t size;
	const char *name = etp_vm_atom(p->vm, p->reader, term_atom_index(function), &size);
	if (!name)
		return;
	print_char(p, '.');
	const char *slash = memrchr(name, '/', size), *end = name + size;
	const char *dash = slash ? memchr(slash, '-', (size_t)(end - slash)) : NULL;
	unsigned dashes = 0;
	for (const char *c = dash; c && c < end; c++)
		dashes += *c == '-';
	if (size && name[0] == '-' && slash && dashes == 3 && end[-1] == '-') {
		print_elixir_name(p, name + 1, (size_t)(slash - name - 1), ELIXIR_REMOTE_CALL);
		print_slice(p, slash, (size_t)(dash - slash));
	} else {
		print_elixir_name(p, name, size, ELIXIR_REMOTE_CALL);
	}
}

static void put_function(struct etp_printer *p, const struct etp_term_view *view)
{
	if (view->kind == ETP_TERM_EXPORT) {
		print_char(p, '&');
		put_mfa_atom(p, view->export.module, ELIXIR_LITERAL);
		print_char(p, '.');
		put_mfa_atom(p, view->export.function, ELIXIR_REMOTE_CALL);
		print_format(p, "/%llu", (unsigned long long)view->export.arity);
		return;
	}
	print_format(p, "#Function<%u.%d/%u in ", view->fun.index, (int)view->fun.old_uniq,
	             view->fun.arity);
	put_mfa_atom(p, view->fun.module, ELIXIR_LITERAL);
	struct etp_code_location code;
	if (etp_code_fun(p->vm, p->reader, view->fun.entry, &code) == ETP_CODE_FUNCTION)
		put_fun_parent(p, code.function);
	print_char(p, '>');
}

void print_elixir_leaf(struct etp_printer *p, const struct etp_term_view *view)
{
	switch (view->kind) {
	case ETP_TERM_FLOAT:
		put_float(p, view->float_value);
		break;
	case ETP_TERM_ATOM:
		print_elixir_atom(p, view->atom, ELIXIR_LITERAL);
		break;
	case ETP_TERM_PID:
		print_str(p, "#PID<");
		print_id_numbers(p, view);
		print_char(p, '>');
		break;
	case ETP_TERM_REF:
		print_str(p, "#Reference<");
		print_id_numbers(p, view);
		print_char(p, '>');
		break;
	case ETP_TERM_FUN:
	case ETP_TERM_EXPORT:
		put_function(p, view);
		break;
	default:
		print_leaf(p, view);
	}
}

// String.printable?/2
static bool is_printable(uint32_t c)
{
	return (c >= '\a' && c <= '\r') || c == 0x1b || (c >= ' ' && c <= 0x7f) ||
	       (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) ||
	       (c >= 0x10000 && c <= 0x10ffff);
}

bool elixir_string_length(const struct etp_printer *p, const struct etp_term_view *view,
                          uint64_t *length_ret)
{
	if (view->bits.bit_size % 8 || (view->bits.bit_size && !view->bits.bytes))
		return false;
	struct bits_cursor cursor = {.view = view, .size = view->bits.bit_size / 8};
	uint64_t length = 0, limit = p->options->max_string ? p->options->max_string : UINT64_MAX;
	for (; cursor.position < cursor.size && length < limit; length++)
		if (!is_printable(bits_next_utf8(&cursor)))
			return false;
	*length_ret = length;
	return true;
}

void print_elixir_string(struct etp_printer *p, const struct etp_term_view *view, uint64_t length)
{
	struct bits_cursor cursor = {.view = view, .size = view->bits.bit_size / 8};
	print_char(p, '"');
	for (uint64_t i = 0; i < length && !print_done(p); i++) {
		uint32_t c = bits_next_utf8(&cursor);
		uint32_t next =
			cursor.position < cursor.size ? etp_bits_byte(view, cursor.position) : 0;
		print_elixir_char(p, c, next, '"', false);
	}
	print_str(p, cursor.position < cursor.size ? "\" <> ..." : "\"");
}
