// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_ELF_IMAGE_H
#define ETP_LAYOUT_ELF_IMAGE_H

// An ELF file on disk, read as the loader would place it at its link-time
// addresses: just enough to read the constants that a beam.smp holds.

#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/target.h>

struct etp_elf_image;

/** Open `path`. Errors: OS, UNSUPPORTED (not a 64-bit little-endian ELF file). */
struct etp_error *etp_elf_image_open(const char *path, struct etp_elf_image **ret);
void etp_elf_image_close(struct etp_elf_image *image);

/** "x86_64", "aarch64", or NULL for a machine that etp does not know. */
const char *etp_elf_image_machine(const struct etp_elf_image *image);
void etp_elf_image_build_id(const struct etp_elf_image *image, struct etp_build_id *ret);

/** `size_ret` may be NULL. Error: NOT_FOUND. */
struct etp_error *etp_elf_image_symbol(struct etp_elf_image *image, const char *name,
                                       uint64_t *address_ret, uint64_t *size_ret);

/** Would the loader place the same code and data at the same addresses for both? Tables for
 *  unwinding and notes may differ, and on aarch64 the instruction that a linker takes for adding
 *  zero. Error: ARGUMENT, with the first section that differs. */
struct etp_error *etp_elf_image_same_program(struct etp_elf_image *a, struct etp_elf_image *b);

/** Error: FAULT, also for sections whose contents are in another file. */
struct etp_error *etp_elf_image_read(struct etp_elf_image *image, uint64_t address, void *buffer,
                                     size_t size);

/** Read a pointer as the dynamic linker would relocate it. Error: FAULT. */
struct etp_error *etp_elf_image_read_pointer(struct etp_elf_image *image, uint64_t address,
                                             uint64_t *ret);

#endif
