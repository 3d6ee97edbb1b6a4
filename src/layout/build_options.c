// SPDX-License-Identifier: Apache-2.0
#include "layout/build_options.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Macros of config.h that stand in an #if of the headers (erts/emulator/beam,
// erts/include/internal) or beside a struct of a .c file, other than those that
// choose headers, functions of libc, instructions or drivers: these change code,
// not structs. ERTS_EMU_CMDLINE_FLAGS names the build directory.
static const char *const patterns[] = {
	"ASSUMED_CACHE_LINE_SIZE", // ERTS_CACHE_LINE_SIZE, padding of everything aligned
	"ERLANG_FRAME_POINTERS", // Process.frame_pointer
	"ERTS_DB_*", // locks of an ETS hash table
	"ERTS_ENABLE_*", // lock checker, lock counter, microstate accounting
	"ERTS_ENDIANNESS",
	"ERTS_HAVE_*OS_MONOTONIC_TIME*", // erl_time_sup.c
	"ERTS_STRUCTURE_ALIGNED_ALLOC",
	"ETHR_DISABLE_NATIVE_IMPLS", // atomics and mutexes: words, or pthread types
	"ETHR_FORCE_PTHREAD_RWLOCK",
	"ETHR_GCC_HAVE_DW_CMPXCHG_ASM_SUPPORT",
	"ETHR_HAVE_GCC___ATOMIC_BUILTINS",
	"ETHR_HAVE_LIBATOMIC_OPS",
	"ETHR_HAVE_LINUX_FUTEX",
	"ETHR_PREFER_*",
	"ETHR_PTHREADS",
	"ETHR_SIZEOF_INT",
	"ETHR_SIZEOF_LONG",
	"ETHR_SIZEOF_LONG_LONG",
	"ETHR_SIZEOF_PTR",
	"ETHR_SMP_REQUIRE_NATIVE_IMPLS",
	"NATIVE_ERLANG_STACK", // fields of Process for the C stack's registers
	"OS_MONOTONIC_TIME_*", // erl_time_sup.c
	"OS_SYSTEM_TIME_*",
	"SHCOPY", // sharing-preserving copy: erl_process.h, global.h
	"SIZEOF_CHAR",
	"SIZEOF_INT",
	"SIZEOF_LONG",
	"SIZEOF_LONG_LONG",
	"SIZEOF_OFF_T",
	"SIZEOF_SHORT",
	"SIZEOF_SIZE_T",
	"SIZEOF_TIME_T",
	"SIZEOF_VOID_P",
	"USE_DTRACE", // tokens in Process and in messages
	"USE_DYNAMIC_TRACE",
	"USE_LTTNG",
	"USE_SYSTEMTAP",
	"USE_VM_PROBES",
	"WORDS_BIGENDIAN",
};

enum {
	MAX_LINES = 512,
	MAX_NAME = 128,
};

static bool is_relevant(const char *name)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	return false;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

// Length of [p, end) without comments that follow it and blanks at its end.
static size_t value_length(const char *p, const char *end)
{
	size_t length = 0;
	for (; p + length < end; length++)
		if (p[length] == '/' && p + length + 1 < end && p[length + 1] == '*')
			break;
	while (length && strchr(" \t\r", p[length - 1]))
		length--;
	return length;
}

// "NAME=VALUE" for a line of config.h, or NULL if it does not matter.
static struct etp_error *normalize_line(const char *p, const char *end, char **ret)
{
	static const char keyword[] = "define";
	*ret = NULL;
	p = skip_blanks(p, end);
	if (p == end || *p != '#')
		return NULL;
	p = skip_blanks(p + 1, end);
	if ((size_t)(end - p) < strlen(keyword) || memcmp(p, keyword, strlen(keyword)) != 0)
		return NULL;
	const char *start = skip_blanks(p + strlen(keyword), end);
	p = start;
	while (p < end && *p != ' ' && *p != '\t')
		p++;
	char name[MAX_NAME];
	if (p == start || (size_t)(p - start) >= sizeof(name))
		return NULL;
	memcpy(name, start, (size_t)(p - start));
	name[p - start] = 0;
	if (!is_relevant(name))
		return NULL;
	p = skip_blanks(p, end);
	if (asprintf(ret, "%s=%.*s\n", name, (int)value_length(p, end), p) < 0) {
		*ret = NULL;
		return &etp_error_no_memory;
	}
	return NULL;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

// +1 for a line that opens a conditional, -1 for one that closes it.
static int nesting(const char *p, const char *end)
{
	p = skip_blanks(p, end);
	if (p == end || *p != '#')
		return 0;
	p = skip_blanks(p + 1, end);
	size_t left = (size_t)(end - p);
	return left >= 5 && !memcmp(p, "endif", 5) ? -1 : left >= 2 && !memcmp(p, "if", 2) ? 1 : 0;
}

static struct etp_error *join_lines(char **lines, size_t count, char **ret)
{
	size_t size = 1;
	for (size_t i = 0; i < count; i++)
		size += strlen(lines[i]);
	char *text = malloc(size);
	if (!text)
		return &etp_error_no_memory;
	char *p = text;
	for (size_t i = 0; i < count; i++)
		p = stpcpy(p, lines[i]);
	*p = 0;
	*ret = text;
	return NULL;
}

struct etp_error *etp_build_options_normalize(const char *config_h, const char *extra, char **ret)
{
	char *lines[MAX_LINES];
	size_t count = 0;
	struct etp_error *err = NULL;
	// Depth 1 is the include guard. What is defined deeper depends on
	// conditions that cannot be evaluated here.
	int depth = 0;
	for (const char *p = config_h; *p && !err && count < MAX_LINES;) {
		const char *end = p + strcspn(p, "\n");
		depth += nesting(p, end);
		char *line = NULL;
		if (depth <= 1)
			err = normalize_line(p, end, &line);
		if (line)
			lines[count++] = line;
		p = *end ? end + 1 : end;
	}
	for (const char *p = extra; *p && !err && count < MAX_LINES;) {
		size_t length = strcspn(p, "\n");
		lines[count] = NULL;
		if (asprintf(&lines[count], "%.*s\n", (int)length, p) < 0)
			err = &etp_error_no_memory;
		else
			count++;
		p += length + (p[length] != 0);
	}
	if (!err) {
		qsort(lines, count, sizeof(*lines), compare_lines);
		err = join_lines(lines, count, ret);
	}
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	return err;
}

// The line of `text` for the name that `line` begins with, or NULL.
static const char *find_line(const char *text, const char *line, size_t name_length)
{
	while (*text) {
		if (!strncmp(text, line, name_length + 1))
			return text;
		text += strcspn(text, "\n");
		text += *text != 0;
	}
	return NULL;
}

bool etp_build_options_differ(const char *is, const char *wanted, char *buffer, size_t size)
{
	if (size)
		*buffer = 0;
	FILE *out = fmemopen(buffer, size, "w");
	size_t count = 0;
	for (int pass = 0; pass < 2; pass++) {
		const char *a = pass ? wanted : is, *b = pass ? is : wanted;
		for (const char *line = a; *line;) {
			size_t length = strcspn(line, "\n"), name = strcspn(line, "=\n");
			const char *other = find_line(b, line, name);
			size_t other_length = other ? strcspn(other, "\n") : 0;
			bool equal =
				other && other_length == length && !memcmp(line, other, length);
			// A line that both have is reported once.
			if (!equal && !(pass && other)) {
				if (out)
					fprintf(out, "%s", count ? ", " : "");
				if (out && pass)
					fprintf(out, "no %.*s", (int)length, line);
				else if (out && other)
					fprintf(out, "%.*s instead of %.*s", (int)length, line,
					        (int)(other_length - name - 1), other + name + 1);
				else if (out)
					fprintf(out, "%.*s", (int)length, line);
				count++;
			}
			line += length + (line[length] != 0);
		}
	}
	if (out)
		fclose(out);
	if (size)
		buffer[size - 1] = 0;
	return count != 0;
}

bool etp_build_options_glibc_for_musl(const char *is, const char *wanted)
{
	static const char expected[] = "libc=gnu instead of musl";
	// Of anything longer there is more than fits.
	char difference[sizeof(expected) + 1];
	return etp_build_options_differ(is, wanted, difference, sizeof(difference)) &&
	       strcmp(difference, expected) == 0;
}
