// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_LIVE_H
#define ETP_TARGET_LIVE_H

// Memory of a process, pulled into ours when it is looked at, or all at once.
//
// Each mapping of the process has a range of our address space of the same size, in
// which extents of 256 KiB are filled by the first read of any of their bytes. What
// was filled never changes: a reader's pointers are valid as long as the target, as
// they are in a core.
//
// Thread safety: etp_live_find() and etp_live_next() may be called by any thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/reader.h>
#include <etp/target.h>

struct etp_live;

enum { ETP_LIVE_EXTENT = 1 << 18 };

// One mapping, as /proc/PID/maps has it.
struct etp_live_mapping {
	uint64_t start, size;
	// PF_R and so on.
	uint32_t flags;
	// Private and of no file: a page that was never touched is zero.
	bool is_anonymous;
	// Worth a copy when all is copied: anything that ERTS may have written to.
	bool is_wanted;
};

// Fills `buffer`; returns how many bytes from `address` on could be read.
typedef size_t etp_live_read(void *context, uint64_t address, void *buffer, size_t size);

// `mappings` are ascending and without overlap; they are copied.
struct etp_error *etp_live_create(const struct etp_live_mapping *mappings, size_t count,
                                  etp_live_read *read, void *context, struct etp_live **ret);
void etp_live_destroy(struct etp_live *live);

// The readable bytes around `address`, as many as are known to be contiguous. False if
// it cannot be read.
bool etp_live_find(struct etp_live *live, uint64_t address, struct etp_segment *ret);

// The same for the first readable address from `address` on. False at the end.
bool etp_live_next(struct etp_live *live, uint64_t address, struct etp_segment *ret);

// `size` bytes at `address`, all of one extent of a readable mapping: those that we have,
// or else what `buffer` is filled with now, and nothing is kept. Pages that cannot be
// read are zeros; returns how many bytes these are.
uint64_t etp_live_peek(struct etp_live *live, uint64_t address, size_t size, unsigned char *buffer,
                       const unsigned char **ret);

// Take over what the mappings of `live` became: called once the process stands still,
// for a `live` that was made while it ran. Nothing is known of its memory then; room
// that is mapped already stays.
struct etp_error *etp_live_remap(struct etp_live *live, const struct etp_live_mapping *mappings,
                                 size_t count);

// Copies of all that is_wanted.
struct etp_live_copy {
	// Descriptor of /proc/PID/pagemap, or -1: then every page is read.
	int pagemap;
	// Called now and then, by any thread, unless NULL: has the process executed? Then
	// the copy is worthless and breaks off.
	bool (*is_disturbed)(void *context);
	void *context;
	// Result: it broke off.
	bool was_disturbed;
};

// Bytes that a copy would take now.
uint64_t etp_live_present(struct etp_live *live, int pagemap);

// Get our memory ready for a copy, so that the copy itself meets no page faults. The
// process may run.
void etp_live_prepare_copy(struct etp_live *live, int pagemap);
// Copy with several threads. The process must stand still. After a copy that was
// disturbed, etp_live_remap() makes all unknown again.
struct etp_error *etp_live_copy(struct etp_live *live, struct etp_live_copy *copy);

// From now on nothing is read: what was not, is missing.
void etp_live_seal(struct etp_live *live);

// Make copies without the extents that are in these ranges, which are ascending and
// without overlap.
struct etp_error *etp_live_leave_out(struct etp_live *live, const struct etp_target_range *ranges,
                                     size_t count);

// Begin to note what is looked at, for etp_live_unused(); read no more than `room` bytes.
struct etp_error *etp_live_rehearse(struct etp_live *live, int pagemap, uint64_t room);
// As etp_target_unused(), etp_target_has_missed().
struct etp_error *etp_live_unused(const struct etp_live *live, struct etp_target_range **ret,
                                  size_t *count_ret);
bool etp_live_has_missed(const struct etp_live *live);

#endif
