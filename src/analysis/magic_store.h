// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_MAGIC_STORE_H
#define ETP_ANALYSIS_MAGIC_STORE_H

// Magic binaries that holders of terms refer to, by the references in their off-heap chains.
// As with binaries, what one holder refers to is collected by itself and then merged.

#include <etp/magic.h>

#include "analysis/binary_store.h"
#include "vm/vm.h"

// Of one holder.
struct magic_finder {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	const struct etp_magic_kinds *kinds;
	// Resources of NIFs, with the references to them.
	struct binary_map resources;
	// Those whose structs ERTS has, and those that may be the state of a BIF which is to go
	// on: each once.
	struct binary_map known, traps;
};

// `kinds` must stay.
void magic_finder_init(struct magic_finder *finder, const struct etp_vm *vm,
                       struct etp_reader *reader, const struct etp_magic_kinds *kinds);
void magic_finder_deinit(struct magic_finder *finder);
void magic_finder_clear(struct magic_finder *finder);

// One more reference, to the magic binary at `address`. False when memory ran out.
bool magic_finder_add(struct magic_finder *finder, uint64_t address);
// The same, of the magic reference at `ref`. False when memory ran out.
bool magic_finder_add_ref(struct magic_finder *finder, uint64_t ref);
// All references in the off-heap chain at `first`. False when memory ran out.
bool magic_finder_add_chain(struct magic_finder *finder, uint64_t first);

// Put all of `from` into `finder`. False when memory ran out.
bool magic_finder_take(struct magic_finder *finder, struct magic_finder *from);

// A magic binary that may be a trap state, and the holder that refers to it.
struct trap_state {
	uint64_t address;
	uint32_t holder;
};

// Of all holders.
struct magic_store {
	// Only those that have a binary as well are of interest in the end.
	struct binary_store resources;
	struct binary_map known;
	struct trap_state *traps;
	size_t trap_count, trap_capacity;
};

void magic_store_init(struct magic_store *store);
void magic_store_deinit(struct magic_store *store);
// Put all of `finder` to the account of `holder`. False when memory ran out.
bool magic_store_merge(struct magic_store *store, const struct magic_finder *finder,
                       uint32_t holder);
// In an order that tells nothing of who found them.
void magic_store_sort_traps(struct magic_store *store);

#endif
