// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_LITERAL_SCAN_H
#define ETP_ANALYSIS_LITERAL_SCAN_H

// Areas of literals (ErtsLiteralArea, global.h): persistent terms, and the literals
// of loaded modules. No collector looks at them; what they hold stays.

#include <etp/census.h>

#include "analysis/magic_store.h"

struct literal_scan {
	struct etp_census_literals *areas;
	size_t count, capacity;
	// What kept us from finding all areas, a static string, or NULL.
	const char *problem;
};

// Find all areas; what area number i holds goes to `store` and `magic` as holder
// `first_holder` + i. Error: NO_MEMORY.
struct etp_error *literal_scan_run(struct literal_scan *scan, const struct etp_vm *vm,
                                   struct binary_store *store, struct magic_store *magic,
                                   uint32_t first_holder);
void literal_scan_deinit(struct literal_scan *scan);

#endif
