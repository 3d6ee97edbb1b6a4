// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_PRINT_PRIVATE_H
#define ETP_TERM_PRINT_PRIVATE_H

// What the files of the printer share.
//
// Nothing here recurses on data: each syntax walks the term with a stack of its
// own on the heap. A print on lines of limited width has two passes: the first
// writes the whole text on one line into a scratch string and notes where its
// parts begin and end, the second copies parts to the output and decides about
// line breaks. Both are linear in the size of the text.

#include <etp/print.h>

#include "target/reader.h"
#include "util/string.h"

struct etp_printer {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	const struct etp_print_options *options;
	// Where text goes now: the result, or the scratch of a first pass.
	struct etp_string *out;
	// Size of `out` that must not be exceeded.
	size_t limit;
	// The limit was reached: nothing is appended any more.
	bool stopped;
	bool no_memory;
	// print_decode() found memory missing.
	bool unreadable;
};

// etp_term_decode(), and sets p->unreadable.
enum etp_term_kind print_decode(struct etp_printer *p, etp_term term, struct etp_term_view *view);

enum {
	// Levels that may be open at once; each costs a frame of some 50 bytes.
	// Deeper nesting is cut as by max_depth.
	PRINT_MAX_LEVELS = 8 << 20,
	// BIG_ARITY_MAX (erl_term.h): a longer bignum is a forgery.
	PRINT_BIG_MAX_WORDS = (1 << 19) - 1,
};

// ---- print_text.c: appending -------------------------------------------------------

// True when there is no use in going on.
static inline bool print_done(const struct etp_printer *p)
{
	return p->stopped || p->no_memory;
}

// Appends all of it or nothing.
void print_bytes(struct etp_printer *p, const void *bytes, size_t size);
// Appends as much of it, in whole characters, as the limit allows.
void print_slice(struct etp_printer *p, const char *text, size_t size);
void print_str(struct etp_printer *p, const char *text);
void print_char(struct etp_printer *p, char c);
void print_code_point(struct etp_printer *p, uint32_t code_point);
void print_spaces(struct etp_printer *p, uint64_t count);
void print_format(struct etp_printer *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

enum { UTF8_BAD = 0xffffffff };

// The code point that starts at text[*position], which is advanced; UTF8_BAD (and
// one byte of progress) if it is not well-formed UTF-8.
uint32_t utf8_next(const unsigned char *text, size_t size, size_t *position);

// Would this character, shown raw, do something to the terminal or to the order or
// visibility of the text around it? C0, C1, DEL, bidirectional controls, line and
// paragraph separators, tags, annotations.
bool code_point_is_unsafe(uint32_t code_point);

// Length of UTF-8 text in characters, as io_lib:chars_length/1 counts: code points,
// or grapheme clusters once there is a character beyond Latin-1.
size_t print_chars_length(const char *text, size_t size);

// Walks over the code points of a binary that need not be aligned to bytes.
struct bits_cursor {
	const struct etp_term_view *view;
	uint64_t position, size;
};
// As utf8_next().
uint32_t bits_next_utf8(struct bits_cursor *cursor);

// ---- print_float.c, print_big.c ----------------------------------------------------

// Digits and exponent of the shortest decimal that reads back as the same float:
// 0.DIGITS times 10 to the power of *exponent_ret. Returns the number of digits.
int float_shortest(double value, char digits[17], int *exponent_ret);
// As float_to_list(F, [short]).
void print_float(struct etp_printer *p, double value);
void print_big(struct etp_printer *p, const struct etp_term_view *view);

// ---- print_leaf.c: what Erlang's two syntaxes (and partly Elixir) print alike ------

void print_atom(struct etp_printer *p, uint64_t index);
// One character of a string or quoted atom in Erlang's syntax.
void print_erlang_char(struct etp_printer *p, uint32_t code_point, uint32_t quote, bool unicode);
// Everything but lists, tuples, maps and binaries.
void print_leaf(struct etp_printer *p, const struct etp_term_view *view);
// Numbers of a pid, port or reference: "1.2.3".
void print_id_numbers(struct etp_printer *p, const struct etp_term_view *view);
// What is not a term of the language: `#Name<...>`. False if it is.
bool print_oddity(struct etp_printer *p, const struct etp_term_view *view);
// A bitstring as <<1,2,3:4>>.
void print_bitstring(struct etp_printer *p, const struct etp_term_view *view);

// ---- print_redact.c ----------------------------------------------------------------

// Prints the shape of a leaf; false if it may be printed as it is.
bool print_redacted_leaf(struct etp_printer *p, const struct etp_term_view *view, bool is_tag);
void print_redacted_bitstring(struct etp_printer *p, const struct etp_term_view *view);
void print_redacted_string(struct etp_printer *p, uint64_t characters, char quote);

// ---- print_erlang.c, print_pretty.c ------------------------------------------------

// Part of a text that was printed on one line, for ~p.
struct pretty_node {
	// In characters, as io_lib counts them.
	uint32_t width;
	// Place in the scratch, in bytes.
	uint32_t offset, size;
	// Index of the next node outside of this one's parts.
	uint32_t next;
	enum pretty_kind {
		PRETTY_TEXT,
		// <<1,2,3>>, the one leaf that may be broken.
		PRETTY_BIN,
		PRETTY_LIST,
		// The first element is an atom, and there are more.
		PRETTY_TAGGED_TUPLE,
		PRETTY_TUPLE,
		PRETTY_MAP,
		PRETTY_PAIR,
		// The name, then fields; a field is its name and its value.
		PRETTY_RECORD,
		PRETTY_FIELD,
		// "..." for the rest of the elements.
		PRETTY_DOTS,
	} kind : 8;
	// What follows the | of an improper list.
	bool is_tail;
};

struct pretty_nodes {
	struct pretty_node *items;
	size_t count, capacity;
};

// ~w, and ~p on one line. Notes the parts in `nodes` unless that is NULL.
void print_erlang(struct etp_printer *p, etp_term term, struct pretty_nodes *nodes);
// Second pass of ~p.
void print_pretty(struct etp_printer *p, const char *text, const struct pretty_nodes *nodes);

// ---- print_elixir*.c ---------------------------------------------------------------

// Something about the text at `offset` of a print on one line, for the second pass.
struct elixir_mark {
	uint32_t offset;
	// Of the beginning of a group: offset where the last group in it ends (itself
	// included) that may be broken; 0 if none may.
	uint32_t fit_end;
	// Of the beginning of a group: index of the mark of its end.
	uint32_t end;
	enum elixir_mark_type {
		// A group that is broken at each of its breaks, or at none.
		MARK_STRICT,
		// Groups that are filled: each break decides for itself.
		MARK_FLEX,
		// ... the same, for <<1, 2>>, which is indented by 2 and not by 1.
		MARK_BITS,
		MARK_END,
		// A break, which is a space while it is not broken.
		MARK_BREAK,
		// Breaks without text behind the opening and before the closing
		// bracket, in strict groups only.
		MARK_OPEN,
		MARK_CLOSE,
	} type : 8;
};

struct elixir_marks {
	struct elixir_mark *items;
	size_t count, capacity;
};

// inspect/2 on one line. Notes in `marks` where lines may be broken, unless that is NULL.
void print_elixir(struct etp_printer *p, etp_term term, struct elixir_marks *marks);
// Second pass.
void print_elixir_lines(struct etp_printer *p, const struct etp_string *text,
                        const struct elixir_marks *marks);

// print_elixir_atom.c: Macro.inspect_atom/2.
enum elixir_atom_use {
	ELIXIR_LITERAL,
	ELIXIR_KEY,
	ELIXIR_REMOTE_CALL,
};
void print_elixir_atom(struct etp_printer *p, uint64_t index, enum elixir_atom_use use);
// One character as Code.Identifier.escape/2 escapes it. `is_regex`: the few letters
// that Inspect.Regex knows. `next` is the character behind it.
void print_elixir_char(struct etp_printer *p, uint32_t code_point, uint32_t next, char quote,
                       bool is_regex);
// A byte that is not part of any character.
void print_elixir_bad_byte(struct etp_printer *p, unsigned char byte);
// Are atoms with this name modules (Elixir.Foo), so that they are not keys of keywords?
bool is_elixir_module_name(const char *name, size_t size);

// As print_elixir_atom(), of a name that need not be an atom.
void print_elixir_name(struct etp_printer *p, const char *name, size_t size,
                       enum elixir_atom_use use);

// print_elixir_leaf.c
void print_elixir_leaf(struct etp_printer *p, const struct etp_term_view *view);
// Is this binary shown as a string? Gives the characters to show of it.
bool elixir_string_length(const struct etp_printer *p, const struct etp_term_view *view,
                          uint64_t *length_ret);
void print_elixir_string(struct etp_printer *p, const struct etp_term_view *view, uint64_t length);

// print_elixir_struct.c
struct elixir_pair {
	etp_term key, value;
};
struct elixir_struct {
	// Atom index of the module's name.
	uint64_t module;
	// What is printed of it, in order.
	struct elixir_pair *fields;
	size_t count;
};
// Is this map a struct? Owned by the caller: free(ret->fields).
bool elixir_struct_of(struct etp_printer *p, const struct etp_term_view *map,
                      struct elixir_struct *ret);
// print_elixir_definition.c: bring the fields of a struct into the order in which its
// module defines them. False if inspect/2 takes the map for no struct: there is no such
// module, or it defines a struct of other fields.
bool elixir_define(struct etp_printer *p, struct elixir_struct *s);
// Prints structs that have a form of their own and no parts: ranges, dates, ...
// False (and nothing is printed) if this is not one, or not a well-formed one.
bool print_elixir_special(struct etp_printer *p, const struct elixir_struct *s);
// The map that a MapSet is made of; false if `s` is something else.
bool elixir_map_set(struct etp_printer *p, const struct elixir_struct *s,
                    struct etp_term_view *map_ret);
bool elixir_module_is(struct etp_printer *p, const struct elixir_struct *s, const char *name);
// The value of a field; false if there is no such field.
bool elixir_field(struct etp_printer *p, const struct elixir_struct *s, const char *name,
                  etp_term *ret);

// ---- Growing arrays ----------------------------------------------------------------

// Room for one more item; false (and p->no_memory) when there is none.
bool print_grow(struct etp_printer *p, void *items, size_t *capacity, size_t count,
                size_t item_size);

#endif
