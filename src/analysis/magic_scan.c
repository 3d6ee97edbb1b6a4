// SPDX-License-Identifier: Apache-2.0
#include <etp/magic.h>

#include <stdlib.h>

#include "analysis/root_scan.h"

// What magic binaries hold, of the kinds whose structs ERTS has. Terms share them, so
// each is looked at once.

// The constants of a match specification (erl_db_util.h, MatchProg).
static bool add_match_spec(struct root_scan *scan, uint64_t address, const struct etp_magic *magic)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t constants, program;
	if (!READ_WORD(vm, &scan->reader, magic->data, MatchProg, term_save, &constants) ||
	    !READ_WORD(vm, &scan->reader, magic->data, MatchProg, saved_program_buf, &program)) {
		root_scan_give_up(scan, "a match specification cannot be read");
		return true;
	}
	return root_scan_add_fragments(scan, constants, NULL) &&
	       root_scan_add_fragments(scan, program, NULL) &&
	       root_scan_finish(scan, ETP_HOLDER_MAGIC, address, 0);
}

static bool scan_one(struct root_scan *scan, uint64_t address)
{
	struct etp_magic magic;
	etp_magic_read(scan->vm, &scan->reader, &scan->magic_kinds, address, &magic);
	if (magic.kind == ETP_MAGIC_DIST_SEND)
		return dist_scan_send(scan, &magic, address);
	return magic.kind != ETP_MAGIC_MATCH_SPEC || add_match_spec(scan, address, &magic);
}

static int compare_addresses(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

bool magic_scan_run(struct root_scan *scan)
{
	const struct binary_map *known = &scan->magic->known;
	// By address, so that the order tells nothing of who found them.
	size_t count = known->count;
	uint64_t *addresses = calloc(count + 1, sizeof(*addresses));
	bool ok = addresses;
	for (size_t i = 0; ok && i < count; i++)
		addresses[i] = binary_map_at(known, i)->address;
	if (ok)
		qsort(addresses, count, sizeof(*addresses), compare_addresses);
	// Those that others of them refer to join at the end.
	for (size_t i = 0; ok && i < known->count; i++)
		ok = scan_one(scan, i < count ? addresses[i] : binary_map_at(known, i)->address);
	free(addresses);
	return ok;
}
