// SPDX-License-Identifier: Apache-2.0
// Paths below a sysroot, by openat2(2) and without it: both lead to the same file, and none out of
// there.

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "elf_builder.h"

#include "target/below.h"

struct place {
	int os_errno;
	ino_t inode;
};

static struct place place_of(int fd)
{
	if (fd < 0)
		return (struct place){.os_errno = errno};
	struct stat stat;
	assert_int_equal(fstat(fd, &stat), 0);
	close(fd);
	return (struct place){.inode = stat.st_ino};
}

static int make_tree(void)
{
	const char *const directories[] = {"out", "root", "root/dir", "root/dir/sub", NULL};
	const char *const files[] = {"file", "out/file", "root/file", "root/dir/file", NULL};
	static const struct {
		const char *to, *at;
	} links[] = {
		{"/dir", "root/absolute"},
		{"..", "root/dir/up"},
		{"../../../../out", "root/dir/out"},
		{"absolute/sub", "root/chain"},
		{"/loop", "root/loop"},
		{"/dir/file", "root/dir/sub/link"},
		{NULL, NULL},
	};
	for (const char *const *name = directories; *name; name++)
		assert_int_equal(mkdir(in_dir(*name), 0700), 0);
	for (const char *const *name = files; *name; name++)
		write_file(in_dir(*name), &(struct buffer){0});
	for (size_t i = 0; links[i].to; i++)
		assert_int_equal(symlink(links[i].to, in_dir(links[i].at)), 0);
	int root = open(in_dir("root"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	return root;
}

static void check(int root, const char *path, const char *expected, int os_errno)
{
	struct place want = {.os_errno = os_errno};
	if (expected)
		want = place_of(open(in_dir(expected), O_PATH | O_CLOEXEC));
	struct place by_steps = place_of(etp_open_below_by_steps(root, path, O_PATH | O_CLOEXEC));
	assert_int_equal(by_steps.os_errno, want.os_errno);
	assert_int_equal(by_steps.inode, want.inode);
}

static void test_links_stay_below(void **state)
{
	(void)state;
	int root = make_tree();
	check(root, "/dir/file", "root/dir/file", 0);
	check(root, "dir//./sub/../file", "root/dir/file", 0);
	check(root, "/absolute/file", "root/dir/file", 0);
	check(root, "/dir/up/file", "root/file", 0);
	check(root, "../../file", "root/file", 0);
	check(root, "/dir/sub/link", "root/dir/file", 0);
	check(root, "/chain/link", "root/dir/file", 0);
	check(root, "/", "root", 0);
	check(root, "/absolute/", "root/dir", 0);
	check(root, "/dir/out/file", NULL, ENOENT);
	check(root, "/loop", NULL, ELOOP);
	check(root, "/none", NULL, ENOENT);
	check(root, "/file/", NULL, ENOTDIR);
	check(root, "/file/..", NULL, ENOTDIR);
	close(root);
}

static void test_long_paths(void **state)
{
	(void)state;
	int root = make_tree();
	char path[8192];
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	check(root, path, NULL, ENAMETOOLONG);
	path[256] = '\0';
	check(root, path, NULL, ENAMETOOLONG);
	path[255] = '\0';
	check(root, path, NULL, ENOENT);
	close(root);
}

// What the kernel says of each path of four names; where it lacks the call, of itself.
static void test_as_the_kernel_does(void **state)
{
	(void)state;
	static const char *const names[] = {"",         ".",  "..",  "dir",   "sub",  "file",
	                                    "absolute", "up", "out", "chain", "loop", "link"};
	enum { COUNT = sizeof(names) / sizeof(names[0]) };
	int root = make_tree();
	for (unsigned i = 0; i < COUNT * COUNT * COUNT * COUNT; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s/%s/%s", names[i % COUNT],
		         names[i / COUNT % COUNT], names[i / COUNT / COUNT % COUNT],
		         names[i / COUNT / COUNT / COUNT]);
		struct place kernel = place_of(etp_open_below(root, path, O_PATH | O_CLOEXEC));
		struct place steps =
			place_of(etp_open_below_by_steps(root, path, O_PATH | O_CLOEXEC));
		if (kernel.os_errno != steps.os_errno || kernel.inode != steps.inode)
			fail_msg("%s: %d %lu, by steps %d %lu", path, kernel.os_errno,
			         (unsigned long)kernel.inode, steps.os_errno,
			         (unsigned long)steps.inode);
	}
	close(root);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_dir, teardown_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_links_stay_below),
		TEST(test_long_paths),
		TEST(test_as_the_kernel_does),
	};
	return cmocka_run_group_tests_name("target: paths below a sysroot", tests, NULL, NULL);
}
