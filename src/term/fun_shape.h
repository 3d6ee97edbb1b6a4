// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_FUN_SHAPE_H
#define ETP_TERM_FUN_SHAPE_H

// Of what parts an ErlFunThing consists (erl_fun.h).

#include "vm/vm.h"

struct fun_shape {
	bool is_external;
	unsigned arity, num_free;
	// Words from ErlFunThing.env on: the free variables, and in OTP 27 and 28 the
	// FunRef that keeps the entry alive.
	unsigned env_size;
	// Pid of the process that made it; 0 since OTP 27.
	etp_term creator;
};

enum {
	// Since OTP 27: FUN_HEADER_ARITY_OFFS and FUN_HEADER_ENV_SIZE_OFFS, erl_term.h.
	FUN_HEADER_ARITY_SHIFT = 8,
	FUN_HEADER_ENV_SIZE_SHIFT = 16,
};

// Of the fun whose words up to its environment are at `thing`.
static inline void fun_shape(const struct etp_vm *vm, const unsigned char *thing, uint64_t header,
                             struct fun_shape *ret)
{
	*ret = (struct fun_shape){0};
	if (HAS(vm, ErlFunThing, creator)) {
		ret->creator = WORD_OF(vm, thing, ErlFunThing, creator);
		ret->is_external = ret->creator && ret->creator == vm->am[AM_EXTERNAL];
		ret->arity = thing[OFFSET(vm, ErlFunThing, arity)];
		if (!ret->is_external)
			ret->num_free = ret->env_size = thing[OFFSET(vm, ErlFunThing, num_free)];
		return;
	}
	ret->arity = header >> FUN_HEADER_ARITY_SHIFT & 0xff;
	if (vm->scheme->fun_kind_shift) {
		ret->is_external = header >> vm->scheme->fun_kind_shift;
		ret->num_free = ret->env_size = header >> FUN_HEADER_ENV_SIZE_SHIFT & 0xff;
		return;
	}
	// 255 variables and the FunRef need more than eight bits.
	ret->env_size = header >> FUN_HEADER_ENV_SIZE_SHIFT & 0x1ff;
	ret->is_external = !ret->env_size;
	ret->num_free = ret->env_size ? ret->env_size - 1 : 0;
}

// Words of the ErlFunThing that are terms: from which on, and how many.
static inline void fun_terms(const struct etp_vm *vm, const unsigned char *thing, uint64_t header,
                             uint64_t *first_ret, uint64_t *count_ret)
{
	struct fun_shape shape;
	fun_shape(vm, thing, header, &shape);
	bool has_creator = HAS(vm, ErlFunThing, creator);
	*first_ret =
		(has_creator ? OFFSET(vm, ErlFunThing, creator) : OFFSET(vm, ErlFunThing, env)) / 8;
	*count_ret = shape.env_size + has_creator;
}

#endif
