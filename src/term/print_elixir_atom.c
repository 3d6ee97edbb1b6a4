// SPDX-License-Identifier: Apache-2.0
//
// Atoms as Elixir writes them (Macro.inspect_atom/2, String.Tokenizer), and the
// escapes of strings (Code.Identifier.escape/4).

#include "term/elixir_identifiers.h"
#include "term/print_private.h"

#include <stdlib.h>
#include <string.h>
#include <uninorm.h>

#include <etp/vm.h>

enum atom_class {
	CLASS_ALIAS,
	CLASS_IDENTIFIER,
	// Needs no quotes, but cannot be called behind a dot.
	CLASS_NOT_CALLABLE,
	CLASS_OPERATOR,
	// Can be called as it is, but is quoted as an atom.
	CLASS_QUOTED_OPERATOR,
	CLASS_OTHER,
};

// Is `name` one of the words, which are separated by spaces?
static bool is_one_of(const char *name, size_t size, const char *words)
{
	while (*words) {
		size_t length = strcspn(words, " ");
		if (length == size && !memcmp(words, name, size))
			return true;
		words += length;
		words += *words == ' ';
	}
	return false;
}

static bool is_ascii_letter(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

bool is_elixir_module_name(const char *name, size_t size)
{
	return size >= 7 && !memcmp(name, "Elixir.", 7);
}

// "Elixir", then ".Part"s that begin with a capital letter.
static bool is_alias(const char *name, size_t size)
{
	if (size < 6 || memcmp(name, "Elixir", 6) != 0)
		return false;
	size_t i = 6;
	while (i < size) {
		if (name[i] != '.' || i + 1 == size || name[i + 1] < 'A' || name[i + 1] > 'Z')
			return false;
		i += 2;
		while (i < size && (is_ascii_letter((unsigned char)name[i]) ||
		                    is_digit((unsigned char)name[i]) || name[i] == '_'))
			i++;
	}
	return true;
}

// Atoms have at most 255 characters; normalization makes at most three of one.
enum { MAX_CHARACTERS = 255 };

struct identifier {
	uint32_t characters[MAX_CHARACTERS];
	size_t count;
	uint64_t scripts;
	bool is_ascii, has_at, is_changed_by_nfkc;
};

static uint64_t scripts_of(uint32_t c)
{
	uint64_t scripts;
	if (is_ascii_letter(c))
		return ELIXIR_SCRIPT_LATIN;
	return elixir_identifier_kind(c, &scripts) == IDENTIFIER_NONE ? elixir_scripts_all
	                                                              : scripts;
}

static bool may_mix(const uint32_t *characters, size_t count)
{
	for (size_t set = 0; set < ELIXIR_MIXED_COUNT; set++) {
		size_t i = 0;
		while (i < count && scripts_of(characters[i]) & elixir_scripts_mixed[set])
			i++;
		if (i == count)
			return true;
	}
	return false;
}

// Elixir takes the micro sign for a Greek mu (and then has a reason to quote).
static const uint32_t MICRO_SIGN = 0xb5, GREEK_MU = 0x3bc;

static bool add_character(struct identifier *id, uint32_t c, enum identifier_kind *kind_ret)
{
	uint64_t scripts = elixir_scripts_all;
	bool is_first = !id->count;
	*kind_ret = IDENTIFIER_START;
	if (c == MICRO_SIGN) {
		id->is_changed_by_nfkc = true;
		c = GREEK_MU;
	}
	if (is_ascii_letter(c)) {
		scripts = ELIXIR_SCRIPT_LATIN;
	} else if (c > 0x7f) {
		id->is_ascii = false;
		*kind_ret = elixir_identifier_kind(c, &scripts);
		if (*kind_ret == IDENTIFIER_NONE || (is_first && *kind_ret == IDENTIFIER_CONTINUE))
			return false;
	} else if (c == '@' && !is_first) {
		id->has_at = true;
	} else if (c != '_' && (is_first || !is_digit(c))) {
		return false;
	}
	id->scripts = is_first ? scripts : id->scripts & scripts;
	id->characters[id->count++] = c;
	return true;
}

// String.Tokenizer.tokenize/1 of a whole name.
static enum atom_class tokenize(const char *name, size_t size)
{
	struct identifier id = {.is_ascii = true};
	const unsigned char *bytes = (const unsigned char *)name;
	bool is_identifier = true;
	size_t i = 0;
	while (i < size) {
		uint32_t c = utf8_next(bytes, size, &i);
		enum identifier_kind kind;
		if ((c == '!' || c == '?') && id.count && i == size)
			break;
		if (c == UTF8_BAD || id.count == MAX_CHARACTERS || !add_character(&id, c, &kind))
			return CLASS_OTHER;
		if (id.count == 1)
			is_identifier = c <= 0x7f ? c < 'A' || c > 'Z' : kind != IDENTIFIER_UPPER;
	}
	if (!id.count)
		return CLASS_OTHER;
	if (!id.is_ascii) {
		uint32_t normal[3 * MAX_CHARACTERS];
		size_t count = sizeof(normal) / sizeof(*normal);
		// Fits `normal`, or is returned elsewhere.
		uint32_t *result =
			u32_normalize(UNINORM_NFC, id.characters, id.count, normal, &count);
		bool mixes = !id.scripts && !(result && may_mix(result, count));
		if (!result || count != id.count ||
		    memcmp(result, id.characters, count * sizeof(*result)) != 0)
			id.is_changed_by_nfkc = true;
		if (result != normal)
			free(result);
		if (mixes)
			return CLASS_OTHER;
	}
	if (!is_identifier || id.has_at)
		return CLASS_NOT_CALLABLE;
	return id.is_changed_by_nfkc ? CLASS_OTHER : CLASS_IDENTIFIER;
}

static enum atom_class classify(const char *name, size_t size)
{
	static const char not_callable[] = "% %{} {} <<>> ... .. . ..// ->";
	static const char quoted[] = ":: ^^^ ~~~ <|>";
	static const char operators[] =
		"& ! ^ not + - @ <- \\\\ when | = || ||| or && &&& and == != =~ === !== < <= >= > "
		"|> <<< >>> <~ ~> <<~ ~>> <~> in ++ -- <> +++ --- * / **";
	if (is_one_of(name, size, not_callable))
		return CLASS_NOT_CALLABLE;
	if (is_one_of(name, size, quoted))
		return CLASS_QUOTED_OPERATOR;
	if (is_one_of(name, size, operators))
		return CLASS_OPERATOR;
	return is_alias(name, size) ? CLASS_ALIAS : tokenize(name, size);
}

void print_elixir_bad_byte(struct etp_printer *p, unsigned char byte)
{
	print_format(p, "\\x%02X", byte);
}

void print_elixir_char(struct etp_printer *p, uint32_t c, uint32_t next, char quote, bool is_regex)
{
	static const char letters[] = {
		['\a'] = 'a', ['\b'] = 'b', ['\x7f'] = 'd', ['\x1b'] = 'e', ['\f'] = 'f',
		['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',   ['\v'] = 'v',   ['\\'] = '\\'};
	bool has_letter = c < sizeof(letters) && letters[c];
	if (is_regex && (c == '\b' || c == 0x7f || c == 0x1b || c == '\\'))
		has_letter = false;
	if (quote && c == (unsigned char)quote) {
		print_char(p, '\\');
		print_char(p, quote);
	} else if (c == '#' && next == '{') {
		print_str(p, "\\#");
	} else if (has_letter) {
		print_char(p, '\\');
		print_char(p, letters[c]);
	} else if (c == 0) {
		print_str(p, "\\0");
	} else if (c == 0xfeff) {
		print_str(p, "\\uFEFF");
	} else if ((c > 0xff && !p->options->unicode) || code_point_is_unsafe(c) || c == 0xfffe ||
	           c == 0xffff) {
		print_format(p, c < 0x100 ? "\\x%02X" : c < 0x10000 ? "\\x{%04X}" : "\\x{%06X}", c);
	} else {
		print_code_point(p, c);
	}
}

static void print_escaped(struct etp_printer *p, const char *name, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)name;
	for (size_t i = 0; i < size && !print_done(p);) {
		size_t start = i;
		uint32_t c = utf8_next(bytes, size, &i);
		if (c == UTF8_BAD)
			print_elixir_bad_byte(p, bytes[start]);
		else
			print_elixir_char(p, c, i < size ? bytes[i] : 0, '"', false);
	}
}

static bool is_beyond_latin1(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)name[i] >= 0xc4)
			return true;
	return false;
}

static void print_literal(struct etp_printer *p, const char *name, size_t size,
                          enum atom_class class)
{
	if (is_one_of(name, size, "nil true false")) {
		print_bytes(p, name, size);
	} else if (class == CLASS_ALIAS) {
		// Elixir.Elixir.Foo would be taken for Elixir.Foo.
		size_t prefix = 7;
		if (size == 6 || (size >= 13 && !memcmp(name, "Elixir.Elixir", 13) &&
		                  (size == 13 || name[13] == '.')))
			prefix = 0;
		print_bytes(p, name + prefix, size - prefix);
	} else if (class == CLASS_OTHER || class == CLASS_QUOTED_OPERATOR) {
		print_str(p, ":\"");
		print_escaped(p, name, size);
		print_char(p, '"');
	} else {
		print_char(p, ':');
		print_bytes(p, name, size);
	}
}

void print_elixir_name(struct etp_printer *p, const char *name, size_t size,
                       enum elixir_atom_use use)
{
	enum atom_class class = classify(name, size);
	if (!p->options->unicode && is_beyond_latin1(name, size))
		class = CLASS_OTHER;
	bool quotes = class == CLASS_OTHER || class == CLASS_ALIAS;
	switch (use) {
	case ELIXIR_LITERAL:
		print_literal(p, name, size, class);
		return;
	case ELIXIR_KEY:
		quotes |= class == CLASS_QUOTED_OPERATOR;
		break;
	case ELIXIR_REMOTE_CALL:
		quotes |= class == CLASS_NOT_CALLABLE;
		break;
	}
	if (quotes)
		print_char(p, '"');
	if (class == CLASS_OTHER || class == CLASS_QUOTED_OPERATOR)
		print_escaped(p, name, size);
	else
		print_bytes(p, name, size);
	if (quotes)
		print_char(p, '"');
	if (use == ELIXIR_KEY)
		print_char(p, ':');
}

void print_elixir_atom(struct etp_printer *p, uint64_t index, enum elixir_atom_use use)
{
	size_t size;
	const char *name = etp_vm_atom(p->vm, p->reader, index, &size);
	if (name)
		print_elixir_name(p, name, size, use);
	else
		print_format(p, "#Atom<%llu>", (unsigned long long)index);
}
