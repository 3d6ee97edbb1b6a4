// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_OFF_HEAP_H
#define ETP_ANALYSIS_OFF_HEAP_H

// Off-heap chains: the things of a heap, a fragment or a literal area that refer to
// memory outside of it, linked by their second word (erl_message.h,
// struct erl_off_heap_header).

#include <stdbool.h>
#include <stdint.h>

#include "vm/vm.h"

struct off_heap_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// The next thing, 0 at the end.
	uint64_t address;
	// Brent's algorithm: the chain may run in a circle.
	uint64_t tortoise, power, steps, total;
	// Why the chain ended too early, a static string, or NULL.
	const char *problem;
};

static inline struct off_heap_iter off_heap_iter(const struct etp_vm *vm, struct etp_reader *reader,
                                                 uint64_t first)
{
	return (struct off_heap_iter){.vm = vm, .reader = reader, .address = first, .power = 1};
}

// The next thing of one of these kinds of the chain, and which it is; false at its end.
bool off_heap_next_of(struct off_heap_iter *iter, enum etp_thing one, enum etp_thing other,
                      enum etp_thing *kind_ret, uint64_t *thing_ret);

// The next thing of this kind; false at the end.
static inline bool off_heap_next(struct off_heap_iter *iter, enum etp_thing wanted,
                                 uint64_t *thing_ret)
{
	enum etp_thing kind;
	return off_heap_next_of(iter, wanted, wanted, &kind, thing_ret);
}

// ProcBin, or since OTP 27 BinRef.
static inline enum etp_thing off_heap_binary_thing(const struct etp_vm *vm)
{
	return HAS(vm, ProcBin, bytes) ? ETP_THING_PROC_BIN : ETP_THING_BIN_REF;
}

// The next of these.
static inline bool off_heap_next_proc_bin(struct off_heap_iter *iter, uint64_t *proc_bin_ret)
{
	return off_heap_next(iter, off_heap_binary_thing(iter->vm), proc_bin_ret);
}

// Binary.flags (erl_binary.h): bytes of a NIF's resource, which may be anywhere
// (enif_make_resource_binary()); allocated as the binaries of drivers are.
enum { BIN_FLAG_MAGIC = 1, BIN_FLAG_DRV = 2 };

// What the header of an off-heap binary says.
struct off_heap_binary {
	// Of the Binary; size in bytes.
	uint64_t address, size, refc, flags;
};

// Larger than any address space, and more references than it has room for: no header says that.
static const uint64_t BINARY_SIZE_MAX = (UINT64_C(1) << 56) - 1;
static const uint64_t BINARY_REFC_MAX = (UINT64_C(1) << 48) - 1;

// The header of the Binary at `address`. False on a fault, or if it is none.
bool off_heap_read_binary(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                          struct off_heap_binary *ret);

#endif
