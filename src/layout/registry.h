// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_REGISTRY_H
#define ETP_LAYOUT_REGISTRY_H

// The registry (etp/members.def) as tables. Code that resolves or stores
// layouts takes a registry, so that tests can hand it a small one of their own.

#include <stdbool.h>
#include <stddef.h>

struct etp_registry_struct {
	// As messages and layout files spell it.
	const char *name;
	// Tag or typedef in ERTS, alternatives by '|'.
	const char *c_names;
};

struct etp_registry_member {
	unsigned int struct_index;
	const char *name;
	// "Struct.member"
	const char *full_name;
	// C path below the struct, alternatives by '|'.
	const char *path;
	bool required;
};

struct etp_registry {
	const struct etp_registry_struct *structs;
	size_t struct_count;
	// Members of one struct stand next to each other.
	const struct etp_registry_member *members;
	size_t member_count;
};

/** What etp/members.def says. */
extern const struct etp_registry etp_registry;

#endif
