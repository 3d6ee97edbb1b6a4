// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_FILES_H
#define ETP_LAYOUT_FILES_H

// The layout files that there are: the user's own, and those of the directories that the caller
// names.

#include <etp/layout.h>

struct etp_layout_file {
	char *path;
	/** Name within its directory; part of `path`. */
	const char *name;
	/** NULL if it cannot be read; then `problem` says why. */
	struct etp_layout *layout;
	char *problem;
};

struct etp_layout_directory {
	char *path;
	/** NULL, or why there are no files in it. */
	const char *problem;
	/** Its files: [first, end) of those of struct etp_layout_files. */
	size_t first, end;
	/** Files in it that were left out, because there are too many. */
	size_t left_out;
	/** $XDG_CONFIG_HOME/etp/layouts. */
	bool is_users;
};

struct etp_layout_files {
	struct etp_layout_file *files;
	size_t count;
	struct etp_layout_directory *directories;
	size_t directory_count;
};

/** Read them all, in the order in which they are considered. A file that cannot be read is no
 *  error. Owned by the caller: etp_layout_files_deinit(). */
struct etp_error *etp_layout_files_init(struct etp_layout_files *files,
                                        const char *const *directories);
void etp_layout_files_deinit(struct etp_layout_files *files);

#endif
