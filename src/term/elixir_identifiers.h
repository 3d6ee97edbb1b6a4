// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_ELIXIR_IDENTIFIERS_H
#define ETP_TERM_ELIXIR_IDENTIFIERS_H

// Characters beyond ASCII that Elixir takes in identifiers (String.Tokenizer).

#include <stddef.h>
#include <stdint.h>

enum identifier_kind {
	IDENTIFIER_NONE,
	// May stand at the beginning: capital letters, other letters.
	IDENTIFIER_UPPER,
	IDENTIFIER_START,
	IDENTIFIER_CONTINUE,
};

enum {
	ELIXIR_MIXED_COUNT = 3,
	// Bit of Latin in a set of scripts.
	ELIXIR_SCRIPT_LATIN = 1,
};

// Sets of scripts as bits: of characters that go with any script, and the sets whose
// scripts may be mixed in one identifier.
extern const uint64_t elixir_scripts_all;
extern const uint64_t elixir_scripts_mixed[ELIXIR_MIXED_COUNT];

// IDENTIFIER_NONE, and *scripts_ret unset, for what cannot stand in an identifier.
enum identifier_kind elixir_identifier_kind(uint32_t code_point, uint64_t *scripts_ret);

#endif
