// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_PROC_H
#define ETP_TARGET_PROC_H

// What Linux tells about a process in /proc/PID (proc(5)).

#include "target/internal.h"
#include "target/live.h"

// /proc/PID/maps. The three arrays go side by side where they say the same.
struct etp_proc_maps {
	// The text; paths in `files` point into it.
	char *text;
	struct etp_live_mapping *mappings;
	size_t count;
	// Mappings of files, as NT_FILE has them.
	struct etp_file_mapping *files;
	size_t file_count;
};

// Errors: OS, with what to do if it is a matter of permission.
struct etp_error *etp_proc_maps_read(int pid, struct etp_proc_maps *ret);
// The same of a text that was read elsewhere, which becomes `ret`'s, or is released;
// `executable` is the path behind /proc/PID/exe there. Errors: NOT_FOUND if nothing is mapped.
struct etp_error *etp_proc_maps_parse(char *text, int pid, const char *executable,
                                      struct etp_proc_maps *ret);
void etp_proc_maps_deinit(struct etp_proc_maps *maps);

// All of a file of /proc/PID, with a NUL behind it; released with free().
struct etp_error *etp_proc_read(int pid, const char *name, char **ret, size_t *size_ret);

// A number in /proc/PID/status, 0 if it is not there.
long etp_proc_status(int pid, const char *name);

// A file of /proc/PID; -1 and errno if it cannot be opened.
int etp_proc_open(int pid, const char *name);

// The path by which we can open the executable of a process: where it was started from,
// if the same file is still there, in our root directory or in that of its container;
// else the link in /proc, which leads to a deleted file too. Kept by `target`.
struct etp_error *etp_proc_executable(struct etp_target *target, int pid, const char **ret);

// Bytes of memory that can be had on this machine, or in this container, without
// pushing anybody out. UINT64_MAX if that is not known.
uint64_t etp_proc_memory_available(void);

// The sentence for who may not look at a process.
const char *etp_proc_permission_hint(void);

#endif
