// SPDX-License-Identifier: Apache-2.0
// Reads across a seam: addresses that continue each other, while the bytes are
// in different places of our map (one page from the core, the next from the
// executable). The bytes are copied once and kept, because a reader hands out
// pointers that are valid as long as the target.

#include "target/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKET_COUNT = 1024,
	WINDOW_SHIFT = 12,
};

// Neither a forged size nor a core that is all seams may eat the memory.
static const uint64_t max_read = 1 << 20;
static const uint64_t max_total = 256 << 20;

struct stitch {
	struct stitch *next;
	uint64_t start, size;
	unsigned char bytes[];
};

struct etp_stitches {
	pthread_mutex_t mutex;
	uint64_t total;
	struct stitch *buckets[BUCKET_COUNT];
};

struct etp_stitches *etp_stitches_create(void)
{
	struct etp_stitches *stitches = calloc(1, sizeof(*stitches));
	if (stitches && pthread_mutex_init(&stitches->mutex, NULL) != 0) {
		free(stitches);
		return NULL;
	}
	return stitches;
}

void etp_stitches_destroy(struct etp_stitches *stitches)
{
	if (!stitches)
		return;
	for (size_t i = 0; i < BUCKET_COUNT; i++) {
		for (struct stitch *stitch = stitches->buckets[i]; stitch;) {
			struct stitch *next = stitch->next;
			free(stitch);
			stitch = next;
		}
	}
	pthread_mutex_destroy(&stitches->mutex);
	free(stitches);
}

static const void *find(const struct stitch *stitch, uint64_t address, uint64_t size)
{
	for (; stitch; stitch = stitch->next) {
		uint64_t offset = address - stitch->start;
		if (offset < stitch->size && size <= stitch->size - offset)
			return stitch->bytes + offset;
	}
	return NULL;
}

const void *etp_stitch(const struct etp_target *target, uint64_t address, uint64_t size)
{
	if (size > max_read)
		return NULL;
	struct etp_stitches *stitches = target->stitches;
	// A stitch begins with the page of the address (or with the segment), so
	// that all words of that page find it again.
	struct etp_segment segment;
	if (!etp_target_find_segment(target, address, &segment))
		return NULL;
	uint64_t start = address >> WINDOW_SHIFT << WINDOW_SHIFT;
	if (start < segment.start)
		start = segment.start;
	struct stitch **bucket = &stitches->buckets[(address >> WINDOW_SHIFT) % BUCKET_COUNT];

	pthread_mutex_lock(&stitches->mutex);
	const void *bytes = find(*bucket, address, size);
	uint64_t total = address - start + size;
	if (!bytes && total <= max_total - stitches->total) {
		struct stitch *stitch = malloc(sizeof(*stitch) + total);
		struct etp_error *err =
			stitch ? etp_target_read(target, start, stitch->bytes, total) : NULL;
		if (!stitch || err) {
			etp_error_destroy(err);
			free(stitch);
		} else {
			stitch->start = start;
			stitch->size = total;
			stitch->next = *bucket;
			*bucket = stitch;
			stitches->total += total;
			bytes = stitch->bytes + (address - start);
		}
	}
	pthread_mutex_unlock(&stitches->mutex);
	return bytes;
}
