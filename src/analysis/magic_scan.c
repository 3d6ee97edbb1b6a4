// SPDX-License-Identifier: Apache-2.0
#include <etp/magic.h>

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
	return root_scan_add_fragments(scan, constants) && root_scan_add_fragments(scan, program) &&
	       root_scan_finish(scan, ETP_HOLDER_MAGIC, address, 0);
}

bool magic_scan_run(struct root_scan *scan)
{
	magic_store_sort(scan->magic);
	// Those that others of them refer to join at the end.
	for (size_t i = 0; i < scan->magic->known.count; i++) {
		uint64_t address = scan->magic->known.entries[i].address;
		struct etp_magic magic;
		bool ok = true;
		etp_magic_read(scan->vm, &scan->reader, &scan->magic_kinds, address, &magic);
		if (magic.kind == ETP_MAGIC_DIST_SEND)
			ok = dist_scan_send(scan, &magic, address);
		else if (magic.kind == ETP_MAGIC_MATCH_SPEC)
			ok = add_match_spec(scan, address, &magic);
		if (!ok)
			return false;
	}
	return true;
}
