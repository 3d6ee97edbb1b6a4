// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_H
#define ETP_TARGET_H

/**
 * @file
 * A target: the memory and the symbols of one beam.smp.
 *
 * A target made of a core file maps the file; nothing is read until it is
 * looked at. Pages that the kernel did not save are faults, never zeros; pages
 * of files (the text and read-only data of beam.smp) are taken from the
 * executable and the libraries that NT_FILE names once their build-id matched.
 *
 * A target made of a process has its memory as it was when the process was
 * stopped; etp never writes to a process.
 *
 * Thread safety: after creation a target is read-only, and any number of
 * threads may read it, each with a reader of its own (see etp_reader).
 * Creation and destruction belong to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>

struct etp_target;

struct etp_core_options {
	/** Path of the core file. Required. */
	const char *core;
	/** Path of the beam.smp that dumped it, or NULL to take the path that the
	 *  core itself names (under `sysroot`, if given). */
	const char *executable;
	/** Directory below which the paths in NT_FILE are looked up, or NULL. */
	const char *sysroot;
	/** Directories, separated by colons, for files that are not there, or are another
	 *  build's: below each by path, then by name alone (gdb's solib-search-path). Or NULL. */
	const char *search_path;
	/** How many of the libraries that the core names files are sought for, in the order of
	 *  their paths; 0 for 1000. There is a warning if there are more. */
	size_t max_libraries;
};

/** Open a core file. Errors: OS (no such file, no permission), UNSUPPORTED (not
 *  ELF, not a core, 32 bits, big endian, unknown machine, empty), BAD_DATA
 *  (headers that contradict each other). A truncated core opens with a warning.
 *  @param ret Owned by the caller; release with etp_target_destroy(). */
ETP_EXPORT struct etp_error *etp_target_open_core(const struct etp_core_options *options,
                                                  struct etp_target **ret);

/** A part of the address space. */
struct etp_target_range {
	uint64_t start, size;
};

struct etp_process_options {
	/** A process of this machine. */
	int pid;
	/** Path of a beam.smp with more symbols than that of the process, or NULL. */
	const char *executable;
	/** Copy what analyses need of its memory, at a moment when no thread of the
	 *  process executes, for which it is stopped if need be, and let it run; it
	 *  is stopped for as long as the target lives if there is no room for a copy
	 *  (then there is a warning). False: the caller has stopped it (a debugger), and
	 *  destroys the target before it runs; memory is read when it is needed. */
	bool copy;
	/** Of a copy: what is not needed (etp_target_unused()), ascending and without overlap;
	 *  borrowed for the call. Extents of 256 KiB that are in it are not copied. If they
	 *  are looked at all the same, etp_target_has_missed() says so. */
	const struct etp_target_range *without;
	size_t without_count;
	/** Instead of a copy: the process runs, and what is read of it is of many moments, so
	 *  that answers are worth nothing. But they need about the memory that the right
	 *  ones need. No more is read than this machine has room for. */
	bool rehearsal;
};

/** Open a process. Nothing of it is written to or changed. Errors: NOT_FOUND
 *  (no such process), OS (no permission; traced by another process), UNSUPPORTED.
 *  @param ret Owned by the caller; release with etp_target_destroy(). */
ETP_EXPORT struct etp_error *etp_target_open_process(const struct etp_process_options *options,
                                                     struct etp_target **ret);

/** Of a rehearsal: the extents of 256 KiB of private memory that nobody has looked at, although
 *  every page of them was in use when it began.
 *  @param ret Owned by the caller; release with free(). */
ETP_EXPORT struct etp_error *etp_target_unused(const struct etp_target *target,
                                               struct etp_target_range **ret, size_t *count_ret);

/** Has anything been looked at that a copy was made without, or for which a rehearsal had
 *  no room? Then answers may lack it. */
ETP_EXPORT bool etp_target_has_missed(const struct etp_target *target);

/** A block of memory that the caller vouches for; used by tests and by front
 *  ends that have bytes from elsewhere. */
struct etp_memory {
	uint64_t address;
	uint64_t size;
	/** Borrowed: must outlive the target. */
	const void *bytes;
};

struct etp_memory_symbol {
	const char *name;
	uint64_t address;
	uint64_t size;
};

/** A target of blocks of memory and symbols; copies both arrays, borrows the bytes. */
ETP_EXPORT struct etp_error *etp_target_create_memory(const struct etp_memory *blocks,
                                                      size_t block_count,
                                                      const struct etp_memory_symbol *symbols,
                                                      size_t symbol_count, struct etp_target **ret);

/** Add symbols that the target's files do not have (copied). Not while other threads use
 *  the target. */
ETP_EXPORT struct etp_error *etp_target_add_symbols(struct etp_target *target,
                                                    const struct etp_memory_symbol *symbols,
                                                    size_t count);

ETP_EXPORT void etp_target_destroy(struct etp_target *target);

/** Copy `size` bytes at `address`. Error: FAULT with the first address that is missing. */
ETP_EXPORT struct etp_error *etp_target_read(const struct etp_target *target, uint64_t address,
                                             void *buffer, size_t size);

/** Look a global symbol up by its exact name (`.symtab`, `.dynsym` or separate
 *  debug information). `size_ret` may be NULL. Error: NOT_FOUND. */
ETP_EXPORT struct etp_error *etp_target_symbol(const struct etp_target *target, const char *name,
                                               uint64_t *address_ret, uint64_t *size_ret);

/** The symbol that covers `address`, or NULL; `offset_ret` gets the distance
 *  from its start. The string belongs to the target. */
ETP_EXPORT const char *etp_target_symbol_at(const struct etp_target *target, uint64_t address,
                                            uint64_t *offset_ret);

enum etp_machine {
	ETP_MACHINE_X86_64,
	ETP_MACHINE_AARCH64,
};

/** "x86_64" or "aarch64". */
ETP_EXPORT const char *etp_machine_name(enum etp_machine machine);

struct etp_remote_thread {
	int tid;
	/** As NT_PRSTATUS has them on its machine (struct user_regs_struct). Borrowed. */
	const void *registers;
	size_t registers_size;
};

/** What a debugger knows of a process of another machine, which it has stopped. All is
 *  borrowed for the call but `context`, which is for as long as the target. */
struct etp_remote_options {
	int pid;
	enum etp_machine machine;
	/** The texts of /proc/PID/maps and of its command line there, the bytes of
	 *  /proc/PID/auxv, and the path of its executable. */
	const char *maps, *command, *executable;
	const void *auxv;
	size_t auxv_size;
	const struct etp_remote_thread *threads;
	size_t thread_count;
	/** Reads `size` bytes at `address`; returns how many from there on it could.
	 *  Called by the thread that uses the target. */
	size_t (*read)(void *context, uint64_t address, void *buffer, size_t size);
	void *context;
};

/** A target of which snapshots can be written; it has no symbols. Errors: NOT_FOUND (nothing is
 *  mapped), ARGUMENT.
 *  @param ret Owned by the caller; release with etp_target_destroy(). */
ETP_EXPORT struct etp_error *etp_target_open_remote(const struct etp_remote_options *options,
                                                    struct etp_target **ret);

/** Up to 64 bytes of a GNU build-id; size 0 when there is none. */
struct etp_build_id {
	unsigned char bytes[64];
	size_t size;
};

/** A mapped ELF file as NT_FILE tells it, and what became of it. */
struct etp_mapped_file {
	/** As the core names it: a stranger's bytes, not fit for a terminal. */
	const char *path;
	/** The file that serves its missing pages, or NULL if none does. */
	const char *used_path;
	uint64_t start, end;
	/** Build-id in the core's memory, and in the file that was tried. */
	struct etp_build_id core_build_id, file_build_id;
	bool is_executable;
	/** The file was found and its build-id is the core's. */
	bool matched;
};

enum etp_target_kind {
	ETP_TARGET_CORE,
	ETP_TARGET_MEMORY,
	ETP_TARGET_PROCESS,
};

struct etp_target_info {
	enum etp_target_kind kind;
	enum etp_machine machine;
	/** Path of the core, NULL for other targets. */
	const char *core_path;
	/** Path of the executable whose symbols are in use, NULL if none. */
	const char *executable_path;
	struct etp_build_id core_build_id, executable_build_id;
	/** Load bias of the executable: added to its link-time addresses. */
	uint64_t executable_bias;
	/** [start, end) of the executable, from its first page to the end of .bss. */
	uint64_t executable_start, executable_end;
	/** pid and signal of the dump, 0 if the core does not say. */
	int pid, signal;
	/** Command line as the kernel cut it (80 bytes), or "". Not fit for a
	 *  terminal as it is, and the cut may have split a character. */
	const char *command;
	/** Modification time of the core file, seconds since the epoch, 0 if unknown. */
	int64_t core_mtime;
	/** The core is a snapshot (etp/snapshot.h). */
	bool is_snapshot;
	/** Of a process or a snapshot: since when its bytes are what they are, in
	 *  nanoseconds since the epoch, and for how many it was stopped by us. 0 if
	 *  we did not stop it, or it stands still yet. */
	int64_t taken_at_ns, pause_ns;
	/** Of a process that was copied: none of its threads executed meanwhile, so that
	 *  it was stopped for its registers only. */
	bool copied_at_rest;
	/** PT_LOAD headers of the core (blocks, mappings of other targets); threads. */
	size_t segment_count, thread_count;
	/** Bytes of address space; of these present in the core file; supplied from
	 *  matched files; absent altogether; and merely reserved, without any
	 *  access (PROT_NONE), which hold nothing. The four add up to the total. */
	uint64_t bytes_total, bytes_saved, bytes_from_files, bytes_missing, bytes_reserved;
	/** The file is shorter than its program headers say, by this many bytes. */
	uint64_t bytes_truncated;
	size_t file_count;
	const struct etp_mapped_file *files;
	/** What the user must know before any answer: one plain sentence each. */
	size_t warning_count;
	const char *const *warnings;
};

/** Facts about the target; all pointers belong to it. */
ETP_EXPORT const struct etp_target_info *etp_target_info(const struct etp_target *target);

/** Render a build-id as lower-case hex into `buffer` (129 bytes suffice). */
ETP_EXPORT const char *etp_build_id_format(const struct etp_build_id *id, char *buffer,
                                           size_t size);

/** Path of an ELF file with the executable's DWARF (itself or separate debug
 *  information that libdwfl found), or NULL. */
ETP_EXPORT const char *etp_target_dwarf_path(const struct etp_target *target);

#endif
