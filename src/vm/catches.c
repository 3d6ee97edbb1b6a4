// SPDX-License-Identifier: Apache-2.0
//
// Handlers of catches (ERTS: beam_catches.c). The pools, one for each code index,
// are static and have no name; they are recognised by their form and by what they
// lead to: each module's chain of catches stays in the module's code.

#include "vm/code.h"
#include "vm/hash_table.h"

enum {
	// code_ix.h
	NUM_CODE_IX = 3,
	// DEFAULT_TABSIZE, beam_catches.c; doubled whenever it is full.
	TABLE_MIN = 1024,
	TABLE_MAX = 1 << 27,
	// Modules whose chains are followed to believe in a candidate.
	MODULES_SAMPLE = 64,
};

static const uint32_t CATCHES_NIL = UINT32_MAX;

struct pool {
	uint32_t free_list, high_mark, size;
	uint64_t catches;
};

static bool read_pool(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                      struct pool *ret)
{
	return READ_U32(vm, reader, address, bc_pool, tabsize, &ret->size) &&
	       ret->size >= TABLE_MIN && ret->size <= TABLE_MAX && !(ret->size & (ret->size - 1)) &&
	       READ_U32(vm, reader, address, bc_pool, high_mark, &ret->high_mark) &&
	       ret->high_mark <= ret->size &&
	       READ_U32(vm, reader, address, bc_pool, free_list, &ret->free_list) &&
	       (ret->free_list == CATCHES_NIL || ret->free_list < ret->high_mark) &&
	       READ_WORD(vm, reader, address, bc_pool, beam_catches, &ret->catches) &&
	       ret->catches && ret->catches % 8 == 0;
}

static bool read_catch(const struct etp_vm *vm, struct etp_reader *reader, const struct pool *pool,
                       uint32_t index, uint64_t *cp_ret, uint32_t *next_ret)
{
	uint64_t address = pool->catches + index * SIZEOF(vm, beam_catch);
	return index < pool->high_mark && READ_WORD(vm, reader, address, beam_catch, cp, cp_ret) &&
	       READ_U32(vm, reader, address, beam_catch, cdr, next_ret);
}

static bool chain_is_right(const struct etp_vm *vm, struct etp_reader *reader,
                           const struct pool *pool, const struct etp_code_module *module,
                           uint64_t *budget)
{
	uint32_t index = module->catches;
	for (uint32_t steps = 0; index != CATCHES_NIL; steps++) {
		uint64_t cp;
		if (steps == pool->high_mark || !etp_search_go_on(budget) ||
		    !read_catch(vm, reader, pool, index, &cp, &index) ||
		    cp - module->start >= module->size)
			return false;
	}
	return true;
}

static bool pool_is_right(const struct etp_vm *vm, struct etp_reader *reader,
                          const struct etp_code *code, const struct pool *pool, uint64_t *budget)
{
	size_t tried = 0;
	for (size_t i = 0; i < code->count && tried < MODULES_SAMPLE; i++) {
		if (code->modules[i].catches == CATCHES_NIL)
			continue;
		tried++;
		if (!chain_is_right(vm, reader, pool, &code->modules[i], budget))
			return false;
	}
	return tried > 0;
}

void etp_code_init_catches(const struct etp_vm *vm, struct etp_code *code)
{
	if (!code->count)
		return;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t size = SIZEOF(vm, bc_pool);
	uint64_t position = 0, budget = etp_search_budget(vm->target);
	struct etp_segment segment;
	while (budget && etp_executable_memory(vm->target, &position, &segment)) {
		uint64_t skip = -segment.start & 7;
		for (uint64_t i = skip; budget && i + NUM_CODE_IX * size <= segment.size; i += 8) {
			struct pool pools[NUM_CODE_IX];
			unsigned n = 0;
			while (n < NUM_CODE_IX &&
			       read_pool(vm, &reader, segment.start + i + n * size, &pools[n]))
				n++;
			const struct pool *pool = &pools[code->active_index];
			if (n < NUM_CODE_IX || !pool_is_right(vm, &reader, code, pool, &budget))
				continue;
			code->beam_catches = pool->catches;
			code->catch_count = pool->high_mark;
			return;
		}
	}
}

uint64_t etp_code_catch(const struct etp_vm *vm, struct etp_reader *reader, uint64_t index)
{
	uint64_t cp;
	if (index >= vm->code->catch_count ||
	    !READ_WORD(vm, reader, vm->code->beam_catches + index * SIZEOF(vm, beam_catch),
	               beam_catch, cp, &cp))
		return 0;
	return cp;
}
