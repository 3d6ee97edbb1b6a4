// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ALLOCATORS_H
#define ETP_ALLOCATORS_H

/**
 * @file
 * What the allocators of the VM say of themselves: the numbers that erlang:memory/0
 * is made of (erts_memory(), erl_alloc.c). Sizes are in bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/export.h>

struct etp_vm;

enum {
	ETP_ALLOCATORS_MAX = 16,
	ETP_ALLOCATOR_NAME_MAX = 16,
	ETP_FIXED_TYPES_MAX = 32,
	ETP_FIXED_NAME_MAX = 40,
};

/** One type of allocator, all its instances together. */
struct etp_allocator {
	/** "eheap", "binary", "ets" ...: as in erlang:system_info({allocator, eheap_alloc}). */
	char name[ETP_ALLOCATOR_NAME_MAX];
	/** Blocks in use, and the carriers that its instances got from the system. */
	uint64_t blocks, carriers;
	uint64_t instances;
};

/** Blocks of one type in fix_alloc, which keeps freed ones for later. */
struct etp_fixed_type {
	/** "proc", "monitor" ...: as in erl_alloc.types. */
	char name[ETP_FIXED_NAME_MAX];
	uint64_t allocated, used;
};

/** Tables of the VM, as erlang:system_info(allocated_areas) names them; 0 if unknown. */
struct etp_allocated_areas {
	/** Names of atoms, and what of that room is in use. */
	uint64_t atom_space, atom_space_used;
	uint64_t atom_table;
	/** The Atoms themselves, which the VM adds to none of its sums; and the blocks that they
	 *  are in, with the allocator's header and what it rounds up. */
	uint64_t atoms, atom_blocks;
	uint64_t module_table, export_table, export_list, fun_table, fun_list, module_refs;
};

struct etp_allocators {
	struct etp_allocator allocators[ETP_ALLOCATORS_MAX];
	size_t count;
	struct etp_fixed_type fixed[ETP_FIXED_TYPES_MAX];
	size_t fixed_count;
	struct etp_allocated_areas areas;
	/** Of loaded code; the JIT allocates it apart from all allocators. */
	uint64_t code;
	/** Tables of processes and of ports. */
	uint64_t process_table, port_table;
	/** Of ETS, outside of its allocator. */
	uint64_t ets_misc;
	/** Things that could not be read, and the last reason, a static string, or NULL. */
	uint64_t unreadable;
	const char *problem;
};

/** Who gets memory from the system: for allocators in general, and for literals. */
enum etp_memory_mapper { ETP_MAPPER_DEFAULT, ETP_MAPPER_LITERALS };

/** Memory that such a one took at the start of the VM, to give it out (erl_mmap.c): sizes
 *  of erlang:system_info({allocator, erts_mmap}); 0 if there is none (no +MMscs). */
struct etp_super_carrier {
	uint64_t total, used;
	/** Nothing is asked of the system beyond it (+MMsco true). */
	bool is_only;
};

/** False if it is not known. */
ETP_EXPORT bool etp_vm_super_carrier(const struct etp_vm *vm, enum etp_memory_mapper mapper,
                                     struct etp_super_carrier *ret);

/** Cannot fail: what is not known is 0 and counted. */
ETP_EXPORT void etp_vm_allocators(const struct etp_vm *vm, struct etp_allocators *ret);

#endif
