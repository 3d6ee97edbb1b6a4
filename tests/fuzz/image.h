// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TESTS_IMAGE_H
#define ETP_TESTS_IMAGE_H

// A real core, whose memory is damaged as a fuzzer's input says, and made whole again.
// scripts/fuzz names the core by environment variables.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/vm.h"

struct image {
	struct etp_target *target;
	struct etp_vm *vm;
	struct etp_layout_options layout_options;
};

// The core, opened on first use. Ends the program if there is none.
struct image *image_get(void);

enum {
	// Where words of the input stand; no process has memory there.
	IMAGE_SCRATCH = 0x10000,
	IMAGE_SCRATCH_MAX = 1 << 16,
};

// Bytes of the input become memory at IMAGE_SCRATCH, exactly as many as there are, until
// the next call.
void image_scratch(const void *bytes, size_t size);

// Change words of the memory, and take parts of it away, as `data` says.
void image_damage(const uint8_t *data, size_t size);
void image_repair(void);

// A target of the same memory and symbols, for the caller to destroy.
struct etp_target *image_target(void);

// Everything that can be done with a term: nothing of it may fail but by an error.
void image_look_at(struct etp_reader *reader, etp_term term);

// A file in memory with these bytes; `path` gets room for 32 characters. The same one at
// each call.
void image_file(const void *bytes, size_t size, char *path);

// Release an error, after a look at its message.
void image_forgive(struct etp_error *err);

#endif
