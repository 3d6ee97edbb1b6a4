// SPDX-License-Identifier: Apache-2.0
// Paths below a sysroot: distributions link /lib64, and /etc/alternatives is absolute.

#include "target/below.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	// As the kernel's MAXSYMLINKS.
	MAX_LINKS = 40,
	// The kernel gives up on a path with `..` when anything is renamed or mounted meanwhile.
	MAX_TRIES = 100,
};

struct walk {
	int root, at;
	unsigned links;
	// What is still to go, behind `next`.
	char *next;
	char path[PATH_MAX];
};

static bool move(struct walk *walk, int fd)
{
	if (fd < 0)
		return false;
	close(walk->at);
	walk->at = fd;
	return true;
}

static bool is_root(const struct walk *walk)
{
	struct stat at, root;
	return fstat(walk->at, &at) == 0 && fstat(walk->root, &root) == 0 &&
	       at.st_dev == root.st_dev && at.st_ino == root.st_ino;
}

// Put what a link says in place of its name, which ended at `walk->next`.
static bool follow(struct walk *walk, int link)
{
	char path[PATH_MAX];
	ssize_t length = readlinkat(link, "", path, sizeof(path));
	if (length < 0)
		return false;
	size_t left = strlen(walk->next) + 1;
	if (++walk->links > MAX_LINKS || (size_t)length + left > sizeof(path)) {
		errno = walk->links > MAX_LINKS ? ELOOP : ENAMETOOLONG;
		return false;
	}
	memcpy(path + length, walk->next, left);
	memcpy(walk->path, path, (size_t)length + left);
	walk->next = walk->path;
	return path[0] != '/' || move(walk, fcntl(walk->root, F_DUPFD_CLOEXEC, 0));
}

// One name further. False at an error, and when `*found_ret` is what was sought.
static bool step(struct walk *walk, int flags, int *found_ret)
{
	char name[NAME_MAX + 1];
	walk->next += strspn(walk->next, "/");
	size_t length = strcspn(walk->next, "/");
	if (length == 0) {
		*found_ret = openat(walk->at, ".", flags);
		return false;
	}
	if (length > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(name, walk->next, length);
	name[length] = '\0';
	walk->next += length;
	if (strcmp(name, ".") == 0 || (strcmp(name, "..") == 0 && is_root(walk)))
		return true;
	int fd = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat) != 0)
		goto failed;
	if (S_ISLNK(stat.st_mode)) {
		bool followed = follow(walk, fd);
		if (!followed)
			goto failed;
		close(fd);
		return true;
	}
	if (*walk->next)
		return move(walk, fd);
	close(fd);
	*found_ret = openat(walk->at, name, flags | O_NOFOLLOW);
	return false;
failed:;
	int os_errno = errno;
	if (fd >= 0)
		close(fd);
	errno = os_errno;
	return false;
}

int etp_open_below_by_steps(int root, const char *path, int flags)
{
	struct walk walk = {.root = root};
	size_t size = strlen(path) + 1;
	if (size > sizeof(walk.path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(walk.path, path, size);
	walk.next = walk.path;
	walk.at = fcntl(root, F_DUPFD_CLOEXEC, 0);
	if (walk.at < 0)
		return -1;
	int found = -1;
	while (step(&walk, flags, &found))
		;
	int os_errno = errno;
	close(walk.at);
	errno = os_errno;
	return found;
}

int etp_open_below(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags,
		.resolve = RESOLVE_IN_ROOT,
	};
	for (unsigned i = 0; i < MAX_TRIES; i++) {
		int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != ENOSYS && errno != EPERM))
			return fd;
		// An emulator or a sandbox may not know the call either.
		if (errno != EAGAIN)
			break;
	}
	return etp_open_below_by_steps(root, path, flags);
}
