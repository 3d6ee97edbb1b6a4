// SPDX-License-Identifier: Apache-2.0
//
// Terms without parts, in Erlang's syntax (stdlib: io_lib.erl; ERTS:
// erl_printf_term.c for what the VM itself turns into text: pids, ports,
// references and funs).

#include "term/print_private.h"
#include "vm/vm.h"

#include <string.h>

enum etp_term_kind print_decode(struct etp_printer *p, etp_term term, struct etp_term_view *view)
{
	uint64_t faults = p->reader->faults;
	etp_term_decode(p->vm, p->reader, term, view);
	p->unreadable = view->kind == ETP_TERM_INVALID && p->reader->faults != faults;
	return view->kind;
}

// erl_scan:reserved_word/1, with the keywords of those features that are on unless a VM
// is started with -disable-feature.
static bool is_reserved_word(const struct etp_vm *vm, const char *name, size_t size)
{
	static const char words[] = " after begin case try cond catch andalso orelse end fun if "
				    "let of receive when bnot"
				    " not div rem band and bor bxor bsl bsr or xor ";
	if (size < 2 || size > 7)
		return false;
	char word[10] = " ";
	memcpy(word + 1, name, size);
	word[size + 1] = ' ';
	return (strstr(words, word) || strstr(vm->scheme->keywords, word)) &&
	       !memchr(name, ' ', size);
}

static bool is_latin1_lower(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7);
}

static bool is_latin1_alnum(uint32_t c)
{
	return is_latin1_lower(c) || (c >= 'A' && c <= 'Z') ||
	       (c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= '0' && c <= '9');
}

// A lower case letter of Latin-1, then letters, digits, _ and characters of `also`.
static bool is_plain_name(const char *name, size_t size, const char *also)
{
	const unsigned char *bytes = (const unsigned char *)name;
	size_t i = 0;
	if (!size || !is_latin1_lower(utf8_next(bytes, size, &i)))
		return false;
	while (i < size) {
		uint32_t c = utf8_next(bytes, size, &i);
		if (!is_latin1_alnum(c) && c != '_' && (c > 0x7f || !c || !strchr(also, (int)c)))
			return false;
	}
	return true;
}

void print_erlang_char(struct etp_printer *p, uint32_t c, uint32_t quote, bool unicode)
{
	static const char letters[] = {['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',   ['\v'] = 'v',
	                               ['\b'] = 'b', ['\f'] = 'f', ['\x1b'] = 'e', ['\x7f'] = 'd'};
	if (c == quote || c == '\\') {
		print_char(p, '\\');
		print_char(p, (char)c);
	} else if (c >= ' ' && c < 0x7f) {
		print_char(p, (char)c);
	} else if (c < sizeof(letters) && letters[c]) {
		print_char(p, '\\');
		print_char(p, letters[c]);
	} else if (c < 0xa0) {
		print_format(p, "\\%03o", c);
	} else if (c > 0xff && (!unicode || code_point_is_unsafe(c))) {
		print_format(p, "\\x{%X}", c);
	} else {
		print_code_point(p, c);
	}
}

static void print_quoted(struct etp_printer *p, const char *name, size_t size)
{
	print_char(p, '\'');
	for (size_t i = 0; i < size && !print_done(p);) {
		uint32_t c = utf8_next((const unsigned char *)name, size, &i);
		print_erlang_char(p, c == UTF8_BAD ? 0xfffd : c, '\'', p->options->unicode);
	}
	print_char(p, '\'');
}

void print_atom(struct etp_printer *p, uint64_t index)
{
	size_t size;
	const char *name = etp_vm_atom(p->vm, p->reader, index, &size);
	if (!name)
		print_format(p, "#Atom<%llu>", (unsigned long long)index);
	else if (is_plain_name(name, size, "@") && !is_reserved_word(p->vm, name, size))
		print_bytes(p, name, size);
	else
		print_quoted(p, name, size);
}

// In `fun m:f/a` the VM quotes by rules of its own (print_atom_name()): no reserved
// words, and @ needs quotes.
static void print_function_name(struct etp_printer *p, uint64_t index)
{
	size_t size;
	const char *name = etp_vm_atom(p->vm, p->reader, index, &size);
	if (!name) {
		print_format(p, "#Atom<%llu>", (unsigned long long)index);
		return;
	}
	if (is_plain_name(name, size, "")) {
		print_bytes(p, name, size);
		return;
	}
	print_char(p, '\'');
	for (size_t i = 0; i < size && !print_done(p);) {
		uint32_t c = utf8_next((const unsigned char *)name, size, &i);
		// It has no letters for these.
		if (c == 0x1b || c == 0x7f)
			print_format(p, "\\%03o", c);
		else
			print_erlang_char(p, c == UTF8_BAD ? 0xfffd : c, '\'', p->options->unicode);
	}
	print_char(p, '\'');
}

// The bare name, as in #Fun<...>, where the VM does not quote.
static void print_module_name(struct etp_printer *p, uint64_t index)
{
	size_t size;
	const char *name = etp_vm_atom(p->vm, p->reader, index, &size);
	if (!name) {
		print_format(p, "#Atom<%llu>", (unsigned long long)index);
		return;
	}
	for (size_t i = 0; i < size && !print_done(p);) {
		uint32_t c = utf8_next((const unsigned char *)name, size, &i);
		if (c == '\\')
			print_char(p, '\\');
		else
			print_erlang_char(p, c == UTF8_BAD ? 0xfffd : c, UTF8_BAD,
			                  p->options->unicode);
	}
}

void print_id_numbers(struct etp_printer *p, const struct etp_term_view *view)
{
	print_format(p, "%llu", (unsigned long long)view->id.channel);
	switch (view->kind) {
	case ETP_TERM_PID:
		print_format(p, ".%llu.%llu", (unsigned long long)view->id.number,
		             (unsigned long long)view->id.serial);
		break;
	case ETP_TERM_PORT:
		print_format(p, ".%llu", (unsigned long long)view->id.number);
		break;
	default:
		for (unsigned i = view->id.count; i-- > 0;)
			print_format(p, ".%u", view->id.numbers[i]);
	}
}

bool print_oddity(struct etp_printer *p, const struct etp_term_view *view)
{
	unsigned long long word = view->word;
	struct etp_segment segment;
	switch (view->kind) {
	case ETP_TERM_INVALID:
		if (p->unreadable)
			print_format(p, "#Unreadable<0x%llx>",
			             view->address ? (unsigned long long)view->address : word);
		else
			print_format(p, "#Invalid<0x%llx>", word);
		return true;
	case ETP_TERM_CATCH:
		print_format(p, "#Catch<%llu>", (unsigned long long)view->catch_index);
		return true;
	case ETP_TERM_HEADER:
		// Both have the same tag; code lies at addresses that exist.
		print_format(p,
		             etp_target_find_segment(p->reader->target, word, &segment)
		                     ? "#CP<0x%llx>"
		                     : "#Header<0x%llx>",
		             word);
		return true;
	case ETP_TERM_NON_VALUE:
		print_str(p, "<TNV>");
		return true;
	case ETP_TERM_MATCH_CONTEXT:
		print_format(p, "#MatchContext<%llu bits at 0x%llx>",
		             (unsigned long long)view->bits.bit_size,
		             (unsigned long long)view->bits.data_address);
		return true;
	default:
		return false;
	}
}

void print_leaf(struct etp_printer *p, const struct etp_term_view *view)
{
	switch (view->kind) {
	case ETP_TERM_SMALL:
		print_format(p, "%lld", (long long)view->small);
		break;
	case ETP_TERM_BIG:
		print_big(p, view);
		break;
	case ETP_TERM_FLOAT:
		print_float(p, view->float_value);
		break;
	case ETP_TERM_ATOM:
		print_atom(p, view->atom);
		break;
	case ETP_TERM_NIL:
		print_str(p, "[]");
		break;
	case ETP_TERM_PID:
		print_char(p, '<');
		print_id_numbers(p, view);
		print_char(p, '>');
		break;
	case ETP_TERM_PORT:
		print_str(p, "#Port<");
		print_id_numbers(p, view);
		print_char(p, '>');
		break;
	case ETP_TERM_REF:
		print_str(p, "#Ref<");
		print_id_numbers(p, view);
		print_char(p, '>');
		break;
	case ETP_TERM_FUN:
		print_str(p, "#Fun<");
		print_module_name(p, view->fun.module);
		print_format(p, ".%d.%d>", (int)view->fun.old_index, (int)view->fun.old_uniq);
		break;
	case ETP_TERM_EXPORT:
		print_str(p, "fun ");
		print_function_name(p, view->export.module);
		print_char(p, ':');
		print_function_name(p, view->export.function);
		print_format(p, "/%llu", (unsigned long long)view->export.arity);
		break;
	default:
		print_oddity(p, view);
	}
}

void print_bitstring(struct etp_printer *p, const struct etp_term_view *view)
{
	uint64_t bits = view->bits.bit_size;
	if (bits && !view->bits.bytes) {
		print_format(p, "#Unreadable<0x%llx>", (unsigned long long)view->bits.data_address);
		return;
	}
	uint64_t bytes = bits / 8, limit = p->options->max_length;
	unsigned rest = bits % 8;
	print_str(p, "<<");
	for (uint64_t i = 0; i < bytes + (rest != 0) && !print_done(p); i++) {
		if (i)
			print_char(p, ',');
		if (limit && i == limit) {
			print_str(p, "...");
			break;
		}
		unsigned byte = etp_bits_byte(view, i);
		if (i < bytes)
			print_format(p, "%u", byte);
		else
			print_format(p, "%u:%u", byte >> (8 - rest), rest);
	}
	print_str(p, ">>");
}
