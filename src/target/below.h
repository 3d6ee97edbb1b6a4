// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_BELOW_H
#define ETP_TARGET_BELOW_H

/** Open a path below the open directory `root`, as chroot would: links and ".." in it stay below.
 *  `flags` are those of open(2), none that creates. Returns a file descriptor, or -1 with errno. */
int etp_open_below(int root, const char *path, int flags);

/** The same without openat2(2), which Linux before 5.6 and emulators lack. What is renamed
 * meanwhile may lead out. */
int etp_open_below_by_steps(int root, const char *path, int flags);

#endif
