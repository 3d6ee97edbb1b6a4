// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_READER_H
#define ETP_READER_H

/**
 * @file
 * A reader: from an address of the VM to its bytes in our map.
 *
 * This is the hot path of the library. A reader remembers the segment of its last
 * hit, so that the usual read costs one compare, and some others. It lives on the stack of whoever
 * walks.
 *
 * Thread safety: a reader belongs to one thread; its target may be shared.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <etp/export.h>
#include <etp/target.h>

/** A piece of target memory that is contiguous in our address space too. */
struct etp_segment {
	uint64_t start;
	uint64_t size;
	const unsigned char *bytes;
};

enum {
	/** Segments that a reader remembers besides the last one; a power of two. */
	ETP_READER_SEGMENTS = 16,
};

struct etp_reader {
	const struct etp_target *target;
	/** Last hit; size 0 matches nothing. */
	struct etp_segment segment;
	/** Earlier hits, by some bits of the address that was read: a heap is in many
	 *  segments, and neighbours in a table are not neighbours in memory. */
	struct etp_segment recent[ETP_READER_SEGMENTS];
	/** Words that were decoded from a compact form (compressed ETS rows) and
	 *  live at addresses of our own choosing. Size 0 if there are none. */
	struct etp_segment overlay;
	/** First missing address of the last read that failed. */
	uint64_t fault_address;
	/** Reads that failed since etp_reader_init(). */
	uint64_t faults;
};

static inline void etp_reader_init(struct etp_reader *reader, const struct etp_target *target)
{
	memset(reader, 0, sizeof(*reader));
	reader->target = target;
}

/** What etp_reader_at() does when the last segment does not serve. */
ETP_EXPORT const void *etp_reader_at_slow(struct etp_reader *reader, uint64_t address,
                                          uint64_t size);

/** `size` contiguous bytes at `address`, or NULL (and the fault is noted). The
 *  bytes are valid as long as the target is, or, in the overlay, as long as its
 *  owner keeps it. They are aligned as the address is. */
static inline const void *etp_reader_at(struct etp_reader *reader, uint64_t address, uint64_t size)
{
	uint64_t offset = address - reader->segment.start;
	if (__builtin_expect(offset < reader->segment.size && size <= reader->segment.size - offset,
	                     1))
		return reader->segment.bytes + offset;
	return etp_reader_at_slow(reader, address, size);
}

/** Have what is at `address` fetched into the processor's cache: it will be read soon. Pays with a
 *  reader of its own, which looks at other segments than the one that reads meanwhile. */
static inline void etp_reader_prefetch(struct etp_reader *reader, uint64_t address)
{
	const void *p = address ? etp_reader_at(reader, address, 1) : NULL;
	if (p)
		__builtin_prefetch(p);
}

/** A word at `address`, which need not be aligned. False on a fault. */
static inline bool etp_read_u64(struct etp_reader *reader, uint64_t address, uint64_t *ret)
{
	const void *p = etp_reader_at(reader, address, sizeof(*ret));
	if (!p)
		return false;
	memcpy(ret, p, sizeof(*ret));
	return true;
}

/** Half a word at `address`. False on a fault. */
static inline bool etp_read_u32(struct etp_reader *reader, uint64_t address, uint32_t *ret)
{
	const void *p = etp_reader_at(reader, address, sizeof(*ret));
	if (!p)
		return false;
	memcpy(ret, p, sizeof(*ret));
	return true;
}

#endif
