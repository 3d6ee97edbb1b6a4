// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_INTERNAL_H
#define ETP_TARGET_INTERNAL_H

// What the files of src/target share. Nothing here is for the layers above.

#include <elf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/target.h>

#include "target/reader.h"
#include "target/warn.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "cores of little-endian machines are read as they are");

// A file that is mapped as a whole for as long as the target lives.
struct etp_map {
	struct etp_map *next;
	unsigned char *bytes;
	size_t size;
};

// A symbol of the executable; `name` points into target->symbol_names.
struct etp_symbol {
	const char *name;
	uint64_t address;
	uint64_t size;
	bool is_global;
};

struct etp_stitches;
struct etp_thread;
struct etp_load;
struct etp_live;
struct etp_source;

struct etp_target {
	struct etp_target_info info;
	// Ascending, without overlap, merged where they continue each other.
	struct etp_segment *segments;
	size_t segment_count, segment_capacity;
	// The same symbols twice: by name, and by address.
	struct etp_symbol *symbols_by_name, *symbols_by_address;
	size_t symbol_count;
	char *symbol_names;
	struct etp_mapped_file *files;
	const char **warnings;
	size_t warning_capacity;
	const char *dwarf_path;
	// Why there are no symbols, for the error that says one is missing.
	const char *no_symbols_reason;
	struct etp_map *maps;
	struct etp_string *strings;
	struct etp_stitches *stitches;
	// All memory of the process that the core's program headers describe,
	// ascending, without overlap; none for other targets.
	struct etp_load *loads;
	size_t load_count;
	// Of a core; those of a process are with its source.
	struct etp_thread *threads;
	size_t thread_count, thread_capacity;
	// The memory of a process; then there are no `segments`.
	struct etp_live *live;
	struct etp_source *source;
};

// live_target.c
void etp_source_destroy(struct etp_source *source);

// target.c
struct etp_error *etp_target_alloc(struct etp_target **ret);
// Keep a copy of a string until the target is destroyed. NULL when out of memory.
const char *etp_target_keep(struct etp_target *target, const char *string);
struct etp_error *etp_target_add_segment(struct etp_target *target, uint64_t start, uint64_t size,
                                         const unsigned char *bytes);
// Sort, cut overlaps off the later of two, merge what is contiguous.
void etp_target_sort_segments(struct etp_target *target);
// Map all of the regular file `fd`, of which `what` is said in errors.
struct etp_error *etp_target_map_file(struct etp_target *target, int fd, uint64_t size,
                                      const char *what, struct etp_map **ret);

// Text from a core or a command line, made fit for a message: what is not
// printable UTF-8 becomes '?'. Released with free(); NULL when out of memory.
char *etp_printable(const char *string);

// seam.c: reads across the border of two segments.
const void *etp_stitch(const struct etp_target *target, uint64_t address, uint64_t size);
struct etp_stitches *etp_stitches_create(void);
void etp_stitches_destroy(struct etp_stitches *stitches);

// One note of a PT_NOTE segment.
struct etp_note {
	uint32_t type;
	const char *name;
	size_t name_size;
	const unsigned char *desc;
	size_t desc_size;
};

// struct elf_prstatus and elf_prpsinfo of a 64-bit Linux, x86_64 and aarch64
// alike up to the members used here. They are not taken from <sys/procfs.h>,
// which has those of the machine that this runs on.
enum {
	ETP_PRSTATUS_CURSIG = 12,
	ETP_PRSTATUS_PID = 32,
	ETP_PRSTATUS_USED = 36,
	ETP_PRSTATUS_REGISTERS = 112,
	ETP_PRPSINFO_PID = 24,
	ETP_PRPSINFO_FNAME = 40,
	ETP_PRPSINFO_FNAME_SIZE = 16,
	ETP_PRPSINFO_PSARGS = 56,
	ETP_PRPSINFO_PSARGS_SIZE = 80,
	ETP_PRPSINFO_SIZE = 136,
};

// A note of our own, in snapshots: when it was taken (nanoseconds since the epoch), and
// the pause (nanoseconds), 8 bytes each.
#define ETP_NOTE_NAME "etp"
enum { ETP_NOTE_SNAPSHOT = 1 };

// notes.c
// Step through notes; `*position` starts as 0. False at the end, or when the
// next note does not fit into `size` bytes.
bool etp_note_next(const unsigned char *notes, size_t size, uint64_t align, size_t *position,
                   struct etp_note *ret);
// The build-id among these notes, or size 0.
void etp_notes_build_id(const unsigned char *notes, size_t size, uint64_t align,
                        struct etp_build_id *ret);

// One line of NT_FILE.
struct etp_file_mapping {
	uint64_t start, end;
	// Bytes.
	uint64_t offset;
	const char *path;
};

// A PT_LOAD of the core after its numbers were checked.
struct etp_load {
	uint64_t start, size;
	// Bytes of it that the file really has, at `offset`.
	uint64_t saved, offset;
	uint32_t flags;
};

// A core file while it is being opened.
struct etp_core {
	struct etp_target *target;
	const struct etp_core_options *options;
	const unsigned char *bytes;
	uint64_t size;
	// Ascending, without overlap.
	struct etp_load *loads;
	size_t load_count;
	// From NT_FILE; the paths point into the map.
	struct etp_file_mapping *mappings;
	size_t mapping_count;
	// From NT_AUXV; 0 if not told.
	uint64_t at_phdr, at_entry;
	uint64_t page_size;
	// Of a process that runs, not of a core: where its executable can be opened.
	// Such a target needs no pages of files.
	const char *live_executable;
	// Images that NT_FILE names beyond the limit.
	size_t images_left_out;
	// Pages of files; they join the saved segments when all files are done, so
	// that what is compared with a file are the core's own bytes.
	struct etp_segment *filled;
	size_t filled_count, filled_capacity;
};

// Take what the program needs from one PT_NOTE.
struct etp_error *etp_core_read_notes(struct etp_core *core, const unsigned char *notes,
                                      size_t size, uint64_t align);
void etp_core_read_auxv(struct etp_core *core, const struct etp_note *note);

// image.c: ELF images, in memory and on disk.

// Where an ELF image that was loaded into the core's memory stands.
struct etp_image {
	uint64_t bias;
	// [start, end) of its PT_LOADs, .bss included.
	uint64_t start, end;
	struct etp_build_id build_id;
};

// Read the headers of the image whose first page is at `start`, out of the bytes
// that the core saved. False if they are not there, or are not those of an ELF image.
bool etp_image_read(const struct etp_target *target, uint64_t start, uint64_t page_size,
                    struct etp_image *ret);

// An executable, library or file of debug information on disk.
struct etp_elf_file {
	int fd;
	// Where it really is; kept by the target.
	const char *path;
	const struct etp_map *map;
	Elf64_Ehdr header;
	Elf64_Phdr *loads;
	size_t load_count;
	uint64_t phdr_vaddr;
	struct etp_build_id build_id;
	// Separate debug information: has no bytes for the sections it describes.
	bool debug_only;
	bool has_symtab, has_debug_info;
};

// Errors: OS; UNSUPPORTED if it is not an executable or library for 64 bits.
struct etp_error *etp_elf_file_open(struct etp_target *target, const char *path,
                                    const char *sysroot, struct etp_elf_file *ret);
void etp_elf_file_close(struct etp_elf_file *file);
// Where the image of this file stands if its first page is at `base`. False if it
// has no PT_LOAD with the beginning of the file, or an absurd size.
bool etp_elf_file_image(const struct etp_elf_file *file, uint64_t base, uint64_t page_size,
                        struct etp_image *ret);
bool etp_build_id_equal(const struct etp_build_id *a, const struct etp_build_id *b);

// files.c: find the files that NT_FILE names, take missing pages from them, and
// load the executable's symbols.
struct etp_error *etp_core_open_files(struct etp_core *core);

// fill.c: take the pages of a file's mappings that the core lacks from that file, loaded
// at `bias`. Without mappings (no NT_FILE) its program headers tell what was mapped.
struct etp_error *etp_core_fill(struct etp_core *core, const struct etp_elf_file *file,
                                uint64_t bias, const struct etp_file_mapping *mappings,
                                size_t mapping_count);

// symbols.c
struct etp_error *etp_target_load_symbols(struct etp_target *target,
                                          const struct etp_elf_file *file, uint64_t bias,
                                          const char *sysroot);
// Sort both arrays; symbols_by_name is filled, symbols_by_address has room.
void etp_target_sort_symbols(struct etp_target *target);

// For __attribute__((cleanup)).
static inline void etp_free_ptr(void *pointer)
{
	void **p = pointer;
	__builtin_free(*p);
}
#define ETP_CLEANUP_FREE __attribute__((cleanup(etp_free_ptr)))

#endif
