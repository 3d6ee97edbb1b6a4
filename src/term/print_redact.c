// SPDX-License-Identifier: Apache-2.0
//
// What may be seen of a customer's data, when contents are to be hidden.
//
// Shown, because it comes from code and not from users:
//   - the structure: lists, tuples and maps with all their elements, their sizes;
//   - atoms that are the first element of a tuple (tags, names of records) or a key
//     of a map (names of fields), and the names of Elixir's structs;
//   - pids, ports, references, and the modules and functions of funs: they identify
//     parts of the VM, and what leads to a leak is told by them.
//
// Hidden:
//   - every other atom, as programs do make atoms of what users type: #Atom;
//   - every number: #Int, #Float;
//   - every byte of a binary: <<24 bytes>>; a printable list: "12 chars".
//
// There are no special forms (dates, regular expressions, ...) then.

#include "term/print_private.h"

bool print_redacted_leaf(struct etp_printer *p, const struct etp_term_view *view, bool is_tag)
{
	switch (view->kind) {
	case ETP_TERM_SMALL:
	case ETP_TERM_BIG:
		print_str(p, "#Int");
		return true;
	case ETP_TERM_FLOAT:
		print_str(p, "#Float");
		return true;
	case ETP_TERM_ATOM:
		if (is_tag)
			return false;
		print_str(p, "#Atom");
		return true;
	default:
		return false;
	}
}

void print_redacted_bitstring(struct etp_printer *p, const struct etp_term_view *view)
{
	unsigned long long bits = view->bits.bit_size;
	if (bits % 8)
		print_format(p, "<<%llu bits>>", bits);
	else
		print_format(p, bits == 8 ? "<<%llu byte>>" : "<<%llu bytes>>", bits / 8);
}

void print_redacted_string(struct etp_printer *p, uint64_t characters, char quote)
{
	print_char(p, quote);
	print_format(p, characters == 1 ? "%llu char" : "%llu chars",
	             (unsigned long long)characters);
	print_char(p, quote);
}
