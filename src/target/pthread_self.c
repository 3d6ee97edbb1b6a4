// SPDX-License-Identifier: Apache-2.0
// The C library puts the stack of a thread below its struct pthread, into one mapping (glibc:
// allocate_stack(), musl: __pthread_create()). On x86-64 that struct begins with its own
// address, and has the number of the thread.

#include "target/pthread_self.h"

#include <string.h>

#include "target/reader.h"

enum {
	// A struct pthread is aligned to this at least.
	ALIGNMENT = 16,
	// Stacks in use are no higher.
	STACK_MAX = 8 << 20,
	// glibc: tcbhead_t.self, a second time its own address; the number stands in the
	// beginning of the struct, at a place that changes between its versions.
	GLIBC_SELF = 16,
	GLIBC_HEAD = 1024,
	// musl: struct pthread.tid.
	MUSL_TID = 48,
};

static bool has_number(struct etp_reader *reader, uint64_t address, size_t size, int tid)
{
	for (size_t i = 0; i < size; i += sizeof(int)) {
		const void *bytes = etp_reader_at(reader, address + i, sizeof(int));
		if (!bytes)
			return false;
		if (memcmp(bytes, &tid, sizeof(tid)) == 0)
			return true;
	}
	return false;
}

static bool is_self(struct etp_reader *reader, uint64_t address, int tid)
{
	uint64_t self;
	if (!etp_read_u64(reader, address + GLIBC_SELF, &self))
		return false;
	return self == address ? has_number(reader, address, GLIBC_HEAD, tid)
	                       : has_number(reader, address + MUSL_TID, sizeof(tid), tid);
}

uint64_t etp_pthread_self(const struct etp_target *target, int tid, uint64_t sp)
{
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	uint64_t start = sp & -(uint64_t)ALIGNMENT, word;
	for (uint64_t at = 0; at < STACK_MAX; at += ALIGNMENT) {
		if (!etp_read_u64(&reader, start + at, &word))
			break;
		if (word == start + at && is_self(&reader, word, tid))
			return word;
	}
	return 0;
}
