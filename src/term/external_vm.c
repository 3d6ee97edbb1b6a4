// SPDX-License-Identifier: Apache-2.0
//
// What decoding the external format needs to know of a VM.

#include <string.h>

#include "term/external.h"
#include "vm/vm.h"

enum {
	// MAX_SHIFT, hash.c: a Hash has 1 << (MAX_SHIFT - shift) buckets.
	HASH_MAX_SHIFT = 64,
	NODE_BUCKETS_LOG_MAX = 24,
	// Larger than any struct that is written here; keeps a broken layout from
	// asking for more.
	STRUCT_SIZE_MAX = 4096,
};

// `count` elements of a member that gets written to a struct of this size.
static bool member_fits(const struct etp_vm *vm, uint64_t before, enum etp_member_id id,
                        uint64_t count, uint64_t size)
{
	const struct etp_layout_member *member = &vm->layout->members[id];
	return member->offset != ETP_LAYOUT_ABSENT && member->size <= 8 &&
	       before + member->offset + count * member->size <= size;
}

static bool struct_fits(const struct etp_vm *vm, enum etp_struct_id id)
{
	uint32_t size = vm->layout->struct_sizes[id];
	return size >= 8 && size <= STRUCT_SIZE_MAX && size % 8 == 0;
}

static bool is_word_offset(const struct etp_vm *vm, enum etp_member_id id)
{
	uint32_t offset = vm->layout->members[id].offset;
	return offset >= 8 && offset <= STRUCT_SIZE_MAX && offset % 8 == 0;
}

// What the terms of a release need was asked for when the VM was opened
// (etp_term_scheme.members): what is missing belongs to other releases.
static bool is_of_other_release(const struct etp_vm *vm, enum etp_member_id id)
{
	return !etp_layout_has(vm->layout, id);
}

// Does every member that external.c writes lie where its struct is?
static bool layout_fits(const struct etp_vm *vm)
{
	static const struct {
		enum etp_struct_id struct_;
		enum etp_member_id member;
		unsigned count;
	} plain[] = {
		{ETP_STRUCT_BinRef, ETP_MEMBER_BinRef_val, 1},
		{ETP_STRUCT_ProcBin, ETP_MEMBER_ProcBin_size, 1},
		{ETP_STRUCT_ProcBin, ETP_MEMBER_ProcBin_bytes, 1},
		{ETP_STRUCT_ErlSubBin, ETP_MEMBER_ErlSubBin_size, 1},
		{ETP_STRUCT_ErlSubBin, ETP_MEMBER_ErlSubBin_bitsize, 1},
		{ETP_STRUCT_ErlSubBin, ETP_MEMBER_ErlSubBin_bitoffs, 1},
		{ETP_STRUCT_ErlSubBin, ETP_MEMBER_ErlSubBin_orig, 1},
		{ETP_STRUCT_ErlSubBits, ETP_MEMBER_ErlSubBits_base_flags, 1},
		{ETP_STRUCT_ErlSubBits, ETP_MEMBER_ErlSubBits_start, 1},
		{ETP_STRUCT_ErlSubBits, ETP_MEMBER_ErlSubBits_end, 1},
		{ETP_STRUCT_ErlSubBits, ETP_MEMBER_ErlSubBits_orig, 1},
		{ETP_STRUCT_FunRef, ETP_MEMBER_FunRef_entry, 1},
		{ETP_STRUCT_ErtsMRefThing, ETP_MEMBER_ErtsMRefThing_mb, 1},
		{ETP_STRUCT_ErtsORefThing, ETP_MEMBER_ErtsORefThing_marker, 1},
		{ETP_STRUCT_ErtsORefThing, ETP_MEMBER_ErtsORefThing_num, 3},
		{ETP_STRUCT_ErlNode, ETP_MEMBER_ErlNode_sysname, 1},
		{ETP_STRUCT_ErlNode, ETP_MEMBER_ErlNode_creation, 1},
		{ETP_STRUCT_ErlFunEntry, ETP_MEMBER_ErlFunEntry_module, 1},
		{ETP_STRUCT_ErlFunEntry, ETP_MEMBER_ErlFunEntry_arity, 1},
		{ETP_STRUCT_ErlFunEntry, ETP_MEMBER_ErlFunEntry_index, 1},
		{ETP_STRUCT_ErlFunEntry, ETP_MEMBER_ErlFunEntry_old_index, 1},
		{ETP_STRUCT_ErlFunEntry, ETP_MEMBER_ErlFunEntry_old_uniq, 1},
		{ETP_STRUCT_ErlFunEntry, ETP_MEMBER_ErlFunEntry_uniq, 16},
		{ETP_STRUCT_flatmap, ETP_MEMBER_flatmap_size, 1},
		{ETP_STRUCT_flatmap, ETP_MEMBER_flatmap_keys, 1},
	};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (is_of_other_release(vm, plain[i].member))
			continue;
		if (!struct_fits(vm, plain[i].struct_) ||
		    !member_fits(vm, 0, plain[i].member, plain[i].count,
		                 vm->layout->struct_sizes[plain[i].struct_]))
			return false;
	}
	// Structs with an array at their end: everything else lies before it.
	static const struct {
		enum etp_member_id array, member;
	} with_array[] = {
		{ETP_MEMBER_ErlHeapBin_data, ETP_MEMBER_ErlHeapBin_size},
		{ETP_MEMBER_ExternalThing_data, ETP_MEMBER_ExternalThing_node},
		{ETP_MEMBER_hashmap_head_items, ETP_MEMBER_hashmap_head_size},
		{ETP_MEMBER_ErlFunThing_env, ETP_MEMBER_ErlFunThing_entry},
		{ETP_MEMBER_ErlFunThing_env, ETP_MEMBER_ErlFunThing_arity},
		{ETP_MEMBER_ErlFunThing_env, ETP_MEMBER_ErlFunThing_num_free},
		{ETP_MEMBER_ErlFunThing_env, ETP_MEMBER_ErlFunThing_creator},
	};
	for (size_t i = 0; i < sizeof(with_array) / sizeof(with_array[0]); i++) {
		if (is_of_other_release(vm, with_array[i].member))
			continue;
		if (!is_word_offset(vm, with_array[i].array) ||
		    !member_fits(vm, 0, with_array[i].member, 1,
		                 vm->layout->members[with_array[i].array].offset))
			return false;
	}
	uint64_t mfa = OFFSET(vm, Export, info) + OFFSET(vm, ErtsCodeInfo, mfa);
	return (!HAS(vm, ErlFunThing, creator) ||
	        is_word_offset(vm, ETP_MEMBER_ErlFunThing_creator)) &&
	       mfa % 8 == 0 && struct_fits(vm, ETP_STRUCT_Export) &&
	       member_fits(vm, mfa, ETP_MEMBER_ErtsCodeMFA_module, 1, SIZEOF(vm, Export)) &&
	       member_fits(vm, mfa, ETP_MEMBER_ErtsCodeMFA_function, 1, SIZEOF(vm, Export)) &&
	       member_fits(vm, mfa, ETP_MEMBER_ErtsCodeMFA_arity, 1, SIZEOF(vm, Export));
}

static bool find_symbol(const struct etp_vm *vm, const char *name, uint64_t *ret)
{
	struct etp_error *err = etp_target_symbol(vm->target, name, ret, NULL);
	if (!err)
		return true;
	etp_error_destroy(err);
	return false;
}

static void read_node_table(const struct etp_vm *vm, struct etp_reader *reader,
                            struct etp_external *external)
{
	uint64_t table, buckets;
	uint32_t shift, count;
	if (!HAS(vm, Hash, shift) || !find_symbol(vm, "erts_node_table", &table) ||
	    !READ_U32(vm, reader, table, Hash, shift, &shift) ||
	    !READ_U32(vm, reader, table, Hash, nobjs, &count) ||
	    !READ_WORD(vm, reader, table, Hash, bucket, &buckets) || shift >= HASH_MAX_SHIFT ||
	    HASH_MAX_SHIFT - shift > NODE_BUCKETS_LOG_MAX)
		return;
	external->node_buckets = buckets;
	external->node_bucket_count = UINT64_C(1) << (HASH_MAX_SHIFT - shift);
	external->node_count = count;
}

const char *etp_external_init(struct etp_external *external, const struct etp_vm *vm)
{
	memset(external, 0, sizeof(*external));
	if (!layout_fits(vm))
		return "the layout does not have what the external format expands to";
	// atom.names: ErtsSecretAtom. It is one of the VM's first.
	struct etp_error *err = etp_vm_find_atom(vm, "3RT$", 4, &external->local_sysname);
	if (err) {
		etp_error_destroy(err);
		external->local_sysname = UINT64_MAX;
	}
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	read_node_table(vm, &reader, external);
	external->vm = vm;
	return NULL;
}

// 0 if the table does not have the node.
static uint64_t find_node(const struct etp_external *external, struct etp_reader *reader,
                          uint64_t sysname, uint32_t creation)
{
	const struct etp_vm *vm = external->vm;
	if (!external->node_bucket_count)
		return 0;
	const void *buckets =
		etp_reader_at(reader, external->node_buckets, external->node_bucket_count * 8);
	if (!buckets)
		return 0;
	uint64_t seen = 0;
	for (uint64_t i = 0; i < external->node_bucket_count; i++) {
		// The bucket is the first member of an ErlNode.
		uint64_t node = etp_word_at(buckets, i);
		while (node && seen++ < external->node_count) {
			uint64_t name, next;
			uint32_t its_creation;
			if (!READ_WORD(vm, reader, node, ErlNode, sysname, &name) ||
			    !READ_U32(vm, reader, node, ErlNode, creation, &its_creation) ||
			    !READ_WORD(vm, reader, node, HashBucket, next, &next))
				return 0;
			if (name == term_make_atom(sysname) && its_creation == creation)
				return node;
			node = next;
		}
	}
	return 0;
}

uint64_t etp_external_node(struct etp_external *external, struct etp_reader *reader,
                           uint64_t sysname, uint32_t creation)
{
	struct etp_external_node *known =
		&external->nodes[(sysname ^ creation) % ETP_EXTERNAL_NODES];
	if (!known->known || known->sysname != sysname || known->creation != creation)
		*known = (struct etp_external_node){
			.known = true,
			.creation = creation,
			.sysname = sysname,
			.node = find_node(external, reader, sysname, creation),
		};
	return known->node;
}
