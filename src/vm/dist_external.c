// SPDX-License-Identifier: Apache-2.0
#include <etp/dist_external.h>

#include "vm/vm.h"

enum {
	// ErtsDistExternal.flags (external.h).
	DFLAG_HDR = 0x1,
	ATOM_TRANS_TAB = 0x2,
	// ERTS_ATOM_CACHE_SIZE
	ATOMS_MAX = 2048,
	// Fragments are 64 KB: 256 GiB of one message.
	FRAGMENTS_MAX = 1 << 22,
};

static bool layout_has_it(const struct etp_vm *vm)
{
	return HAS(vm, ErtsDistExternal, data) && HAS(vm, ErtsDistExternal, flags) &&
	       HAS(vm, ErtsDistExternal, dep) && HAS(vm, ErtsDistExternal, attab_size) &&
	       HAS(vm, ErtsDistExternal, attab_atom) && HAS(vm, ErtsDistExternalData, frag_id) &&
	       HAS(vm, ErtsDistExternalData, extp) && HAS(vm, ErtsDistExternalData, ext_endp) &&
	       HAS(vm, ErtsDistExternalData, binp) && HAS(vm, DistEntry, sysname);
}

bool etp_dist_external_read(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                            struct etp_dist_external *ret)
{
	struct etp_dist_external external = {.address = address};
	uint64_t dep;
	uint32_t flags, atoms;
	if (!layout_has_it(vm) || !READ_WORD(vm, reader, address, ErtsDistExternal, dep, &dep) ||
	    !READ_WORD(vm, reader, address, ErtsDistExternal, data, &external.data) ||
	    !READ_U32(vm, reader, address, ErtsDistExternal, flags, &flags) ||
	    !READ_WORD(vm, reader, external.data, ErtsDistExternalData, frag_id,
	               &external.fragment_count) ||
	    !READ_WORD(vm, reader, dep, DistEntry, sysname, &external.node) ||
	    !term_is_atom(external.node))
		return false;
	uint64_t size = SIZEOF(vm, ErtsDistExternalData);
	// The first of the array says how many there are.
	if (!external.fragment_count || external.fragment_count > FRAGMENTS_MAX ||
	    !etp_reader_at(reader, external.data, external.fragment_count * size))
		return false;
	external.has_header = flags & DFLAG_HDR;
	if (flags & ATOM_TRANS_TAB) {
		if (!READ_U32(vm, reader, address, ErtsDistExternal, attab_size, &atoms) ||
		    atoms > ATOMS_MAX)
			return false;
		external.atoms = address + OFFSET(vm, ErtsDistExternal, attab_atom);
		external.atom_count = atoms;
	}
	for (uint64_t i = 0; i < external.fragment_count; i++) {
		struct etp_dist_fragment fragment;
		if (!etp_dist_external_fragment(vm, reader, &external, i, &fragment) ||
		    __builtin_add_overflow(external.bytes, fragment.end - fragment.start,
		                           &external.bytes))
			return false;
	}
	*ret = external;
	return true;
}

bool etp_dist_external_fragment(const struct etp_vm *vm, struct etp_reader *reader,
                                const struct etp_dist_external *external, uint64_t index,
                                struct etp_dist_fragment *ret)
{
	uint64_t data = external->data + index * SIZEOF(vm, ErtsDistExternalData);
	struct etp_dist_fragment fragment;
	if (!READ_WORD(vm, reader, data, ErtsDistExternalData, binp, &fragment.binary) ||
	    !READ_WORD(vm, reader, data, ErtsDistExternalData, extp, &fragment.start) ||
	    !READ_WORD(vm, reader, data, ErtsDistExternalData, ext_endp, &fragment.end) ||
	    fragment.end < fragment.start)
		return false;
	*ret = fragment;
	return true;
}
