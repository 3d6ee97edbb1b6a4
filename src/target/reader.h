// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_READER_H
#define ETP_TARGET_READER_H

// The hot path of the library: from an address of the VM to its bytes in our
// map. A reader remembers the segment of its last hit, so that the usual read
// costs one compare. It lives on the stack of whoever walks; it is not shared.

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <etp/target.h>

// A piece of target memory that is contiguous in our address space too.
struct etp_segment {
	uint64_t start;
	uint64_t size;
	const unsigned char *bytes;
};

struct etp_reader {
	const struct etp_target *target;
	// Last hit; size 0 matches nothing.
	struct etp_segment segment;
	// Words that were decoded from a compact form (compressed ETS rows) and
	// live at addresses of our own choosing. Size 0 if there are none.
	struct etp_segment overlay;
	// First missing address of the last read that failed.
	uint64_t fault_address;
	// Reads that failed since etp_reader_init().
	uint64_t faults;
};

static inline void etp_reader_init(struct etp_reader *reader, const struct etp_target *target)
{
	memset(reader, 0, sizeof(*reader));
	reader->target = target;
}

const void *etp_reader_at_slow(struct etp_reader *reader, uint64_t address, uint64_t size);

// `size` contiguous bytes at `address`, or NULL (and the fault is noted). The
// bytes are valid as long as the target is, or, in the overlay, as long as its
// owner keeps it. They are aligned as the address is.
static inline const void *etp_reader_at(struct etp_reader *reader, uint64_t address, uint64_t size)
{
	uint64_t offset = address - reader->segment.start;
	if (__builtin_expect(offset < reader->segment.size && size <= reader->segment.size - offset,
	                     1))
		return reader->segment.bytes + offset;
	return etp_reader_at_slow(reader, address, size);
}

static inline bool etp_read_u64(struct etp_reader *reader, uint64_t address, uint64_t *ret)
{
	const void *p = etp_reader_at(reader, address, sizeof(*ret));
	if (!p)
		return false;
	memcpy(ret, p, sizeof(*ret));
	return true;
}

static inline bool etp_read_u32(struct etp_reader *reader, uint64_t address, uint32_t *ret)
{
	const void *p = etp_reader_at(reader, address, sizeof(*ret));
	if (!p)
		return false;
	memcpy(ret, p, sizeof(*ret));
	return true;
}

// The segment that holds `address`, without noting a fault. False if none does.
bool etp_target_find_segment(const struct etp_target *target, uint64_t address,
                             struct etp_segment *ret);

// Is `address` in memory that the process had, and that the core lacks? A pointer to
// elsewhere is no pointer.
bool etp_target_is_missing(const struct etp_target *target, uint64_t address);

// All segments in ascending order of address; they do not overlap.
const struct etp_segment *etp_target_segments(const struct etp_target *target, size_t *count_ret);

#endif
