// SPDX-License-Identifier: Apache-2.0
#include "target/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

const char *etp_proc_permission_hint(void)
{
	return "Only root, or the user whose VM it is, may look at it, and in a container only "
	       "with the capability SYS_PTRACE; kernel.yama.ptrace_scope must not forbid it.";
}

int etp_proc_open(int pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

struct etp_error *etp_proc_read(int pid, const char *name, char **ret, size_t *size_ret)
{
	int fd = etp_proc_open(pid, name);
	if (fd < 0 && errno == ENOENT)
		return etp_error_create(ETP_ERROR_NOT_FOUND, "There is no process %d.", pid);
	if (fd < 0)
		return etp_error_append(etp_error_os(errno, "Cannot open /proc/%d/%s", pid, name),
		                        "%s", etp_proc_permission_hint());
	size_t size = 0, capacity = 1 << 16;
	char *text = malloc(capacity);
	ssize_t got = 1;
	while (text && (got = read(fd, text + size, capacity - size - 1)) > 0) {
		size += (size_t)got;
		if (capacity - size > 1)
			continue;
		char *larger = realloc(text, capacity * 2);
		if (!larger)
			free(text);
		text = larger;
		capacity *= 2;
	}
	int os_errno = errno;
	close(fd);
	if (!text)
		return &etp_error_no_memory;
	if (got < 0) {
		free(text);
		return etp_error_append(
			etp_error_os(os_errno, "Cannot read /proc/%d/%s", pid, name), "%s",
			etp_proc_permission_hint());
	}
	text[size] = '\0';
	*ret = text;
	*size_ret = size;
	return NULL;
}

long etp_proc_status(int pid, const char *name)
{
	char *text, label[64];
	size_t size;
	struct etp_error *err = etp_proc_read(pid, "status", &text, &size);
	if (err) {
		etp_error_destroy(err);
		return 0;
	}
	snprintf(label, sizeof(label), "\n%s:", name);
	const char *line = strstr(text, label);
	long value = line ? strtol(line + strlen(label), NULL, 10) : 0;
	free(text);
	return value;
}

// Private memory that is zero until it is touched. What else stands in brackets is the
// kernel's: code in [vdso], and pages that nobody may read.
static bool is_anonymous(const char *path)
{
	return *path == '\0' || strcmp(path, "[heap]") == 0 || strncmp(path, "[stack", 6) == 0 ||
	       strncmp(path, "[anon:", 6) == 0;
}

static bool is_unreadable(const char *path)
{
	return strcmp(path, "[vvar]") == 0 || strcmp(path, "[vvar_vclock]") == 0 ||
	       strcmp(path, "[vsyscall]") == 0;
}

// ERTS writes to private memory, and the JIT to a memfd that it maps twice, of which the
// executable mapping is what addresses lead to. Other files that are shared may be
// somebody's database. The beginnings of libraries have their build-ids, and what is only
// read in them the names of drivers and of libraries of NIFs.
static bool is_wanted(const struct etp_live_mapping *mapping, bool is_private,
                      const struct etp_file_mapping *file, const char *executable)
{
	enum { LIBRARY_MAX = 4 << 20 };
	if (!(mapping->flags & PF_R))
		return false;
	if (mapping->is_anonymous || *file->path != '/' || strcmp(file->path, executable) == 0)
		return true;
	if (!is_private)
		return (mapping->flags & PF_X) && strncmp(file->path, "/memfd:", 7) == 0;
	if ((mapping->flags & PF_W) || strncmp(file->path, "/memfd:", 7) == 0)
		return true;
	return (file->offset == 0 || !(mapping->flags & PF_X)) && mapping->size <= LIBRARY_MAX;
}

static void add_line(struct etp_proc_maps *maps, char *line, const char *executable)
{
	uint64_t start, end, offset;
	char access[5];
	int path_at = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &start, &end, access,
	           &offset, &path_at) < 4 ||
	    path_at == 0 || start >= end)
		return;
	// The kernel writes no others, but the text may come from elsewhere.
	uint64_t last_end = 0;
	if (maps->count) {
		const struct etp_live_mapping *last = &maps->mappings[maps->count - 1];
		last_end = last->start + last->size;
	}
	if ((start | end) % PAGE || start < last_end)
		return;
	const char *path = line + path_at;
	if (is_unreadable(path))
		return;
	uint32_t flags = (access[0] == 'r' ? PF_R : 0) | (access[1] == 'w' ? PF_W : 0) |
	                 (access[2] == 'x' ? PF_X : 0);
	bool is_private = access[3] == 'p';
	const struct etp_file_mapping file = {
		.start = start, .end = end, .offset = offset, .path = path};
	struct etp_live_mapping mapping = {
		.start = start,
		.size = end - start,
		.flags = flags,
		.is_anonymous = is_private && is_anonymous(path),
	};
	mapping.is_wanted = is_wanted(&mapping, is_private, &file, executable);
	maps->mappings[maps->count++] = mapping;
	if (*path == '/')
		maps->files[maps->file_count++] = file;
}

struct etp_error *etp_proc_maps_parse(char *text, int pid, const char *executable,
                                      struct etp_proc_maps *ret)
{
	struct etp_proc_maps maps = {.text = text};
	size_t lines = 0;
	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	maps.mappings = calloc(lines + 1, sizeof(maps.mappings[0]));
	maps.files = calloc(lines + 1, sizeof(maps.files[0]));
	if (!maps.mappings || !maps.files) {
		etp_proc_maps_deinit(&maps);
		return &etp_error_no_memory;
	}
	char *rest;
	for (char *line = strtok_r(maps.text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		add_line(&maps, line, executable);
	if (maps.count == 0) {
		etp_proc_maps_deinit(&maps);
		return etp_error_create(ETP_ERROR_NOT_FOUND,
		                        "Process %d has no memory: it has ended and waits for its "
		                        "parent, or is a thread of the kernel.",
		                        pid);
	}
	*ret = maps;
	return NULL;
}

struct etp_error *etp_proc_maps_read(int pid, struct etp_proc_maps *ret)
{
	char name[32], executable[4096], *text;
	snprintf(name, sizeof(name), "/proc/%d/exe", pid);
	ssize_t length = readlink(name, executable, sizeof(executable) - 1);
	executable[length < 0 ? 0 : length] = '\0';
	size_t size;
	struct etp_error *err = etp_proc_read(pid, "maps", &text, &size);
	return err ? err : etp_proc_maps_parse(text, pid, executable, ret);
}

void etp_proc_maps_deinit(struct etp_proc_maps *maps)
{
	free(maps->text);
	free(maps->mappings);
	free(maps->files);
	*maps = (struct etp_proc_maps){0};
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

struct etp_error *etp_proc_executable(struct etp_target *target, int pid, const char **ret)
{
	char link[32], path[4096], in_root[sizeof(path) + sizeof(link)];
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	ssize_t length = readlink(link, path, sizeof(path) - 1);
	const char *found = link;
	if (length > 0) {
		path[length] = '\0';
		snprintf(in_root, sizeof(in_root), "/proc/%d/root%s", pid, path);
		if (is_same_file(link, path))
			found = path;
		else if (is_same_file(link, in_root))
			found = in_root;
	}
	*ret = etp_target_keep(target, found);
	return *ret ? NULL : &etp_error_no_memory;
}

// A number in a file of one line; UINT64_MAX if there is none ("max").
static uint64_t read_number(const char *path)
{
	uint64_t value = UINT64_MAX;
	FILE *file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%" SCNu64, &value) != 1)
			value = UINT64_MAX;
		fclose(file);
	}
	return value;
}

static uint64_t machine_available(void)
{
	uint64_t kilobytes, available = UINT64_MAX;
	char line[256];
	FILE *file = fopen("/proc/meminfo", "re");
	if (!file)
		return available;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kilobytes) == 1)
			available = kilobytes << 10;
	fclose(file);
	return available;
}

uint64_t etp_proc_memory_available(void)
{
	uint64_t available = machine_available();
	// In a container its own control group is the root of what it sees (version 2, 1).
	static const char *const limits[][2] = {
		{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes",
	         "/sys/fs/cgroup/memory/memory.usage_in_bytes"},
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint64_t limit = read_number(limits[i][0]), used = read_number(limits[i][1]);
		if (limit == UINT64_MAX || used == UINT64_MAX)
			continue;
		uint64_t left = used < limit ? limit - used : 0;
		if (left < available)
			available = left;
	}
	return available;
}
