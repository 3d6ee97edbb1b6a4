// SPDX-License-Identifier: Apache-2.0
#include <etp/allocators.h>

#include "vm/allocated_areas.h"
#include "vm/vm.h"

enum {
	// Instances of one type of allocator: one a scheduler and one for the others.
	INSTANCES_MAX = 1 << 16,
	// A slot of a process table is a pointer (erts_atomic_t), and a number of 32 bits if
	// the table keeps free ids (erts_ptab_mem_size(), erl_ptab.c).
	SLOT_SIZE = 8,
	FREE_ID_SIZE = 4,
};

struct collector {
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_allocators *out;
	// Numbers of types by their index, and names of types: erts_alc_n2t[] and
	// erts_alc_n2td[] (erl_alloc_types.h, which is generated).
	uint64_t types, type_count, type_names;
};

static void give_up(struct collector *c, const char *problem)
{
	c->out->unreadable++;
	c->out->problem = problem;
}

// Address and size of a global; false if there is none.
static bool find_symbol(struct collector *c, const char *name, uint64_t *address, uint64_t *size)
{
	struct etp_error *err = etp_target_symbol(c->vm->target, name, address, size);
	etp_error_destroy(err);
	return !err;
}

static uint64_t global_word(struct collector *c, const char *name)
{
	uint64_t address, word;
	if (find_symbol(c, name, &address, NULL) && etp_read_u64(&c->reader, address, &word))
		return word;
	give_up(c, "a counter of the VM cannot be read");
	return 0;
}

// "eheap_" of an instance becomes "eheap".
static void read_name(struct collector *c, uint64_t instance, struct etp_allocator *out)
{
	uint64_t prefix;
	if (!READ_WORD(c->vm, &c->reader, instance, Allctr, name_prefix, &prefix))
		return;
	char name[ETP_ALLOCATOR_NAME_MAX] = "";
	for (size_t i = 0; i + 1 < sizeof(name); i++) {
		const char *byte = etp_reader_at(&c->reader, prefix + i, 1);
		if (!byte || !*byte)
			break;
		if (*byte != '_' && (*byte < 'a' || *byte > 'z'))
			return;
		name[i] = *byte;
	}
	for (size_t i = 0; i < sizeof(name); i++)
		if (name[i] == '_' && (i + 1 == sizeof(name) || !name[i + 1]))
			name[i] = 0;
	memcpy(out->name, name, sizeof(name));
}

// Blocks in use of an instance, by the type that they were allocated for: carriers
// migrate, with what is in them, between instances of different types.
static bool add_blocks(struct collector *c, uint64_t instance)
{
	const struct etp_vm *vm = c->vm;
	const struct etp_layout_member *members = vm->layout->members;
	uint32_t types = members[ETP_MEMBER_Allctr_mbcs_blocks].count;
	for (uint32_t i = 0; i < types && i + 1 < ETP_ALLOCATORS_MAX; i++) {
		uint64_t at = i * SIZEOF(vm, BlockStats);
		uint64_t single, multi, pooled;
		if (!READ_WORD(vm, &c->reader, instance + OFFSET(vm, Allctr, sbcs_blocks) + at,
		               BlockStats, curr_size, &single) ||
		    !READ_WORD(vm, &c->reader, instance + OFFSET(vm, Allctr, mbcs_blocks) + at,
		               BlockStats, curr_size, &multi) ||
		    !etp_read_u64(&c->reader,
		                  instance + OFFSET(vm, Allctr, cpool_blocks_size) + i * 8,
		                  &pooled))
			return false;
		// Types are counted from 1 (ERTS_ALC_A_MIN).
		c->out->allocators[i + 1].blocks += single + multi + pooled;
	}
	return true;
}

static bool add_carriers(struct collector *c, uint64_t instance, struct etp_allocator *out)
{
	const struct etp_vm *vm = c->vm;
	uint32_t kinds = vm->layout->members[ETP_MEMBER_Allctr_mbcs_carriers].count;
	uint64_t pooled;
	if (!READ_WORD(vm, &c->reader, instance, Allctr, cpool_carriers_size, &pooled))
		return false;
	out->carriers += pooled;
	for (uint32_t i = 0; i < kinds && i < 4; i++) {
		uint64_t at = i * SIZEOF(vm, StatValues);
		uint64_t single, multi;
		if (!READ_WORD(vm, &c->reader, instance + OFFSET(vm, Allctr, sbcs_carriers) + at,
		               StatValues, size, &single) ||
		    !READ_WORD(vm, &c->reader, instance + OFFSET(vm, Allctr, mbcs_carriers) + at,
		               StatValues, size, &multi))
			return false;
		out->carriers += single + multi;
	}
	return true;
}

static bool find_types(struct collector *c)
{
	const struct etp_vm *vm = c->vm;
	if (!HAS(vm, ErtsAlcFixList, type) || !HAS(vm, ErtsAlcFixList, cpool_used) ||
	    !HAS(vm, ErtsAlcFixList, nocpool_used) || !HAS(vm, Allctr, cpool_util_limit) ||
	    !find_symbol(c, "erts_alc_n2t", &c->types, &c->type_count) ||
	    !find_symbol(c, "erts_alc_n2td", &c->type_names, NULL))
		return false;
	c->type_count /= MEMBER_SIZE(vm, ErtsAlcFixList, type);
	return true;
}

static bool read_type(struct collector *c, uint64_t index, uint64_t *ret)
{
	uint32_t type;
	if (index >= c->type_count || !etp_read_u32(&c->reader, c->types + index * 4, &type))
		return false;
	*ret = type;
	return true;
}

// Position of the type in c->types; UINT64_MAX if there is none such.
static uint64_t index_of_type(struct collector *c, uint64_t wanted)
{
	uint64_t type;
	for (uint64_t i = 0; i < c->type_count; i++)
		if (read_type(c, i, &type) && type == wanted)
			return i;
	return UINT64_MAX;
}

static void read_type_name(struct collector *c, uint64_t index, char *name)
{
	uint64_t text;
	if (!etp_read_u64(&c->reader, c->type_names + index * 8, &text))
		return;
	for (size_t i = 0; i + 1 < ETP_FIXED_NAME_MAX; i++) {
		const char *byte = etp_reader_at(&c->reader, text + i, 1);
		if (!byte || (*byte != '_' && (*byte < 'a' || *byte > 'z')))
			break;
		name[i] = *byte;
	}
}

// Free lists of fix_alloc, one for each of its types, whose numbers follow each other.
static bool add_fixed_types(struct collector *c, uint64_t instance, uint64_t list)
{
	const struct etp_vm *vm = c->vm;
	uint64_t limit, first = UINT64_MAX;
	if (!etp_vm_read_member(vm, &c->reader, instance, ETP_MEMBER_Allctr_cpool_util_limit,
	                        &limit))
		return false;
	enum etp_member_id allocated = limit ? ETP_MEMBER_ErtsAlcFixList_cpool_allocated
	                                     : ETP_MEMBER_ErtsAlcFixList_nocpool_allocated;
	enum etp_member_id used = limit ? ETP_MEMBER_ErtsAlcFixList_cpool_used
	                                : ETP_MEMBER_ErtsAlcFixList_nocpool_used;
	for (size_t i = 0; i < ETP_FIXED_TYPES_MAX; i++, list += SIZEOF(vm, ErtsAlcFixList)) {
		uint64_t type, expected, size, allocated_count, used_count;
		if (!etp_vm_read_member(vm, &c->reader, list, ETP_MEMBER_ErtsAlcFixList_type,
		                        &type))
			return i > 0;
		if (!i)
			first = index_of_type(c, type);
		if (first == UINT64_MAX || !read_type(c, first + i, &expected) || type != expected)
			return i > 0;
		if (!READ_WORD(vm, &c->reader, list, ErtsAlcFixList, type_size, &size) ||
		    !etp_vm_read_member(vm, &c->reader, list, allocated, &allocated_count) ||
		    !etp_vm_read_member(vm, &c->reader, list, used, &used_count))
			return false;
		struct etp_fixed_type *out = &c->out->fixed[i];
		if (i == c->out->fixed_count) {
			read_type_name(c, first + i, out->name);
			c->out->fixed_count++;
		}
		out->allocated += size * allocated_count;
		out->used += size * used_count;
	}
	return true;
}

static void add_fixed(struct collector *c, uint64_t instance)
{
	uint64_t list;
	if (!c->type_names || !READ_WORD(c->vm, &c->reader, instance, Allctr, fix, &list) || !list)
		return;
	if (!add_fixed_types(c, instance, list))
		give_up(c, "the types of fix_alloc cannot be read");
}

static void add_instance(struct collector *c, uint64_t instance, struct etp_allocator *out)
{
	if (!instance)
		return;
	if (!out->name[0])
		read_name(c, instance, out);
	out->instances++;
	if (!add_blocks(c, instance) || !add_carriers(c, instance, out))
		give_up(c, "an allocator cannot be read");
	add_fixed(c, instance);
}

// An array of pointers to instances, some of them NULL.
static void add_instances(struct collector *c, uint64_t spec, struct etp_allocator *out)
{
	const struct etp_vm *vm = c->vm;
	uint32_t size;
	uint64_t array, instance;
	if (!READ_U32(vm, &c->reader, spec, ErtsAllocatorThrSpec, size, &size) ||
	    !READ_WORD(vm, &c->reader, spec, ErtsAllocatorThrSpec, allctr, &array) ||
	    size > INSTANCES_MAX) {
		give_up(c, "the instances of an allocator cannot be read");
		return;
	}
	for (uint32_t i = 0; i < size; i++)
		if (etp_read_u64(&c->reader, array + i * UINT64_C(8), &instance))
			add_instance(c, instance, out);
		else
			give_up(c, "the instances of an allocator cannot be read");
}

static void add_allocators(struct collector *c)
{
	const struct etp_vm *vm = c->vm;
	uint64_t infos, specs, size = 0;
	if (!HAS(vm, Allctr, mbcs_blocks) || !HAS(vm, BlockStats, curr_size) ||
	    !HAS(vm, StatValues, size) || !HAS(vm, ErtsAllocatorInfo, extra) ||
	    !HAS(vm, ErtsAllocatorThrSpec, allctr) ||
	    !find_symbol(c, "erts_allctrs_info", &infos, &size) ||
	    !find_symbol(c, "erts_allctr_thr_spec", &specs, NULL)) {
		give_up(c, "the layout does not have the allocators of this release");
		return;
	}
	if (!find_types(c))
		give_up(c, "the types of fix_alloc cannot be told");
	size_t count = size / SIZEOF(vm, ErtsAllocatorInfo);
	c->out->count = count < ETP_ALLOCATORS_MAX ? count : ETP_ALLOCATORS_MAX;
	for (size_t i = 1; i < c->out->count; i++) {
		uint64_t info = infos + i * SIZEOF(vm, ErtsAllocatorInfo);
		struct etp_allocator *out = &c->out->allocators[i];
		uint32_t is_util, is_specific;
		uint64_t instance;
		if (!READ_U32(vm, &c->reader, info, ErtsAllocatorInfo, alloc_util, &is_util) ||
		    !READ_U32(vm, &c->reader, info, ErtsAllocatorInfo, thr_spec, &is_specific) ||
		    !READ_WORD(vm, &c->reader, info, ErtsAllocatorInfo, extra, &instance))
			give_up(c, "an allocator cannot be read");
		else if (is_util && is_specific)
			add_instances(c, specs + i * SIZEOF(vm, ErtsAllocatorThrSpec), out);
		else if (is_util)
			add_instance(c, instance, out);
	}
}

static uint64_t table_size(struct collector *c, const char *name, uint64_t slots)
{
	const struct etp_vm *vm = c->vm;
	uint64_t table, free_ids = 0;
	if (!find_symbol(c, name, &table, NULL) ||
	    (HAS(vm, ErtsPTab, free_id_data) &&
	     !READ_WORD(vm, &c->reader, table, ErtsPTab, free_id_data, &free_ids)))
		give_up(c, "a table of processes or ports cannot be read");
	return slots * (SLOT_SIZE + (free_ids ? FREE_ID_SIZE : 0));
}

void etp_vm_allocators(const struct etp_vm *vm, struct etp_allocators *ret)
{
	*ret = (struct etp_allocators){0};
	struct collector c = {.vm = vm, .out = ret};
	etp_reader_init(&c.reader, vm->target);
	add_allocators(&c);
	etp_allocated_areas(vm, ret);
	ret->code = global_word(&c, "erts_total_code_size");
	ret->ets_misc = global_word(&c, "erts_ets_misc_mem_size");
	ret->process_table = table_size(&c, "erts_proc", vm->info.process_limit);
	ret->port_table = table_size(&c, "erts_port", vm->info.port_limit);
}
