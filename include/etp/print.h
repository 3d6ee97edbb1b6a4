// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PRINT_H
#define ETP_PRINT_H

/**
 * @file
 * Terms as text, exactly as the VM itself would print them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

enum etp_syntax {
	/** io_lib:format("~w"): one line, no strings. */
	ETP_SYNTAX_ERLANG_WRITE,
	/** io_lib:format("~p"): printable lists and binaries as strings, broken
	 *  into lines of `width` columns. */
	ETP_SYNTAX_ERLANG_PRETTY,
	/** Elixir's inspect/2. */
	ETP_SYNTAX_ELIXIR,
};

struct etp_print_options {
	enum etp_syntax syntax;
	/** Columns for PRETTY and ELIXIR; 0 prints on one line. */
	unsigned width;
	/** Column where the text starts. */
	unsigned column;
	/** Nesting that is shown; what lies deeper becomes "...". 0: no limit. */
	uint64_t max_depth;
	/** Elements of one list, tuple or map, bytes of one non-text binary, that
	 *  are shown before "...". 0: no limit. */
	uint64_t max_length;
	/** Characters of one string or text binary before "...". 0: no limit. */
	uint64_t max_string;
	/** Bytes of output altogether; 0 means ETP_PRINT_DEFAULT_LIMIT. */
	uint64_t max_bytes;
	/** As the `t` modifier of ~tw and ~tp: characters beyond Latin-1 as they
	 *  are, in UTF-8. Otherwise \x{...}. inspect/2 always does so. */
	bool unicode;
	/** With `unicode`: lists and binaries of characters beyond Latin-1 are text too,
	 *  as in a VM that was started with `+pc unicode`. */
	bool printable_unicode;
	/** Shapes and sizes instead of contents: no byte of a binary, string, number
	 *  or (except for tags: see print_redact.c) atom of the customer is shown. */
	bool redact;
	/** Minor version of Elixir 1.x, as charlists are 'abc' to 1.14 and ~c"abc"
	 *  from 1.15. */
	unsigned elixir_minor;
};

/** 64 MiB: no print is endless. */
enum { ETP_PRINT_DEFAULT_LIMIT = 64 * 1024 * 1024 };

/** Options that print all of a term as ~w does, or as ~p, or inspect at 80 columns. */
ETP_EXPORT void etp_print_options_init(struct etp_print_options *options, enum etp_syntax syntax);

/** A growing buffer of bytes. */
struct etp_string {
	/** Terminated by a 0 that `size` does not count; NULL while empty. */
	char *data;
	size_t size, capacity;
};

ETP_EXPORT void etp_string_deinit(struct etp_string *string);

/** Append the text of `term` to `out`, in UTF-8. Control characters are always
 *  escaped. What cannot be read is printed as `#Unreadable<0xADDRESS>` and is
 *  counted in reader->faults; that is not an error. Terms of any depth print
 *  within bounded stack.
 *
 *  This differs from what the VM prints where that could deceive the reader:
 *  characters that act on the terminal or on the direction of text (C1, U+202E
 *  and the like) are escaped as others are; names of modules and functions in
 *  #Fun<...> and `fun m:f/a` are text, where the VM shows bytes of UTF-8 as
 *  Latin-1. Structs whose module implements Elixir's Inspect are shown as those
 *  that do not, with all fields. Errors: NO_MEMORY; INTERRUPTED. */
ETP_EXPORT struct etp_error *etp_print_term(const struct etp_vm *vm, struct etp_reader *reader,
                                            etp_term term, const struct etp_print_options *options,
                                            struct etp_string *out);

#endif
