// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_SNAPSHOT_H
#define ETP_SNAPSHOT_H

/**
 * @file
 * Snapshots: a process in a file that is opened later like a core.
 *
 * A snapshot is an ELF core: gdb, lldb and etp_target_open_core() read it. It has
 * all memory that ERTS can have written to, and the registers of all threads;
 * it lacks the text of libraries, what was only reserved, and pages of zeros
 * take no room on the disk.
 *
 * Thread safety: as for the target.
 */

#include <stdbool.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/target.h>

struct etp_snapshot_options {
	/** Where to; readable for its owner only, because a VM's memory is secret. */
	const char *path;
	/** Replace a file that is there. */
	bool force;
	/** Called now and then with bytes; true stops the work. May be NULL. */
	bool (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

struct etp_snapshot_result {
	/** Length of the file, and of that what is no hole, in bytes. */
	uint64_t file_bytes, disk_bytes;
	/** Bytes of memory that could not be read. */
	uint64_t unreadable_bytes;
};

/** Write a snapshot of a target that is a process. The file appears under its name
 *  when it is whole. Errors: ARGUMENT (not a process; there is such a file), OS (no
 *  permission, no room), INTERRUPTED; then there is no file. */
ETP_EXPORT struct etp_error *etp_snapshot_write(const struct etp_target *target,
                                                const struct etp_snapshot_options *options,
                                                struct etp_snapshot_result *ret);

#endif
