// SPDX-License-Identifier: Apache-2.0
//
// Layout files are written by hand, not by json-c, so that each member stands
// on a line of its own and `diff` of two releases reads like a change log.

#include "layout/layout_private.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout/json_format.h"
#include "layout/registry.h"

static void put_string(FILE *out, const char *text, size_t length)
{
	struct json_object *string = json_object_new_string_len(text, (int)length);
	fputs(string ? json_object_to_json_string_ext(string, JSON_C_TO_STRING_NOSLASHESCAPE)
	             : "\"\"",
	      out);
	json_object_put(string);
}

static void put_field(FILE *out, const char *key, const char *value)
{
	fprintf(out, "  \"%s\": ", key);
	put_string(out, value, strlen(value));
	fputs(",\n", out);
}

static void put_build_ids(FILE *out, const struct etp_layout *layout)
{
	char hex[129];
	put_field(out, "build_id", etp_build_id_format(&layout->build_id, hex, sizeof(hex)));
	const struct etp_layout_private *private = etp_layout_private(layout);
	fputs("  \"also_build_ids\": [", out);
	for (size_t i = 0; i < private->also_count; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "",
		        etp_build_id_format(&private->also[i], hex, sizeof(hex)));
	fputs("],\n", out);
}

// For files without symbols of their own: [address at link time, size].
static void put_globals(FILE *out, const struct etp_layout *layout)
{
	const struct etp_layout_private *private = etp_layout_private(layout);
	if (!private->globals_count)
		return;
	char hex[129];
	fputs("  \"globals\": {", out);
	for (size_t i = 0; i < private->globals_count; i++) {
		const struct etp_globals *globals = &private->globals[i];
		fprintf(out, "%s\n    \"%s\": {", i ? "," : "",
		        etp_build_id_format(&globals->build_id, hex, sizeof(hex)));
		for (unsigned g = 0; g < ETP_GLOBAL_COUNT; g++) {
			fprintf(out, "%s\n      \"%s\": ", g ? "," : "", etp_global_name(g));
			if (globals->items[g].address)
				fprintf(out, "[%llu, %llu]",
				        (unsigned long long)globals->items[g].address,
				        (unsigned long long)globals->items[g].size);
			else
				fputs("null", out);
		}
		fputs("\n    }", out);
	}
	fputs("\n  },\n", out);
}

static void put_build_options(FILE *out, const char *options)
{
	fputs("  \"build_options\": [", out);
	const char *separator = "\n    ";
	for (const char *line = options; *line;) {
		size_t length = strcspn(line, "\n");
		fputs(separator, out);
		put_string(out, line, length);
		separator = ",\n    ";
		line += length + (line[length] != 0);
	}
	fputs(*options ? "\n  ],\n" : "],\n", out);
}

static void put_structs(FILE *out, const struct etp_layout *layout)
{
	fputs("  \"structs\": {", out);
	size_t m = 0;
	for (size_t i = 0; i < etp_registry.struct_count; i++) {
		fprintf(out, "%s\n    \"%s\": ", i ? "," : "", etp_registry.structs[i].name);
		bool absent = layout->struct_sizes[i] == ETP_LAYOUT_ABSENT;
		if (absent)
			fputs("null", out);
		else
			fprintf(out, "{\n      \"size\": %u,\n      \"members\": {",
			        layout->struct_sizes[i]);
		const char *separator = "\n        ";
		for (; m < etp_registry.member_count && etp_registry.members[m].struct_index == i;
		     m++) {
			if (absent)
				continue;
			const struct etp_layout_member *member = &layout->members[m];
			fprintf(out, "%s\"%s\": ", separator, etp_registry.members[m].name);
			if (member->offset == ETP_LAYOUT_ABSENT)
				fputs("null", out);
			else
				fprintf(out, "[%u, %u, %u]", member->offset, member->size,
				        member->count);
			separator = ",\n        ";
		}
		if (!absent)
			fputs("\n      }\n    }", out);
	}
	fputs("\n  }\n", out);
}

static void put_layout(FILE *out, const struct etp_layout *layout, const char *origin)
{
	fprintf(out,
	        "{\n"
	        "  \"format\": \"%s\",\n"
	        "  \"format_version\": %d,\n"
	        "  \"about\": \"Where the members of ERTS's structs are in one build of beam.smp: "
	        "[offset, size of one element, number of elements], in bytes; null is what this "
	        "build does not have. Written by scripts/extract-layout.\",\n",
	        ETP_LAYOUT_FORMAT, ETP_LAYOUT_FORMAT_VERSION);
	put_field(out, "otp_release", layout->otp_release);
	put_field(out, "erts_version", layout->erts_version);
	put_field(out, "machine", layout->machine);
	put_field(out, "flavor", layout->flavor);
	put_field(out, "origin", origin);
	put_build_ids(out, layout);
	put_globals(out, layout);
	put_build_options(out, layout->build_options);
	put_structs(out, layout);
	fputs("}\n", out);
}

struct etp_error *etp_layout_write(const struct etp_layout *layout, const char *origin,
                                   const char *path)
{
	char *temporary;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return &etp_error_no_memory;
	struct etp_error *err = NULL;
	int fd = mkostemp(temporary, O_CLOEXEC);
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!out) {
		err = etp_error_os(errno, "Cannot create a file beside %s", path);
		if (fd >= 0) {
			close(fd);
			unlink(temporary);
		}
		free(temporary);
		return err;
	}
	put_layout(out, layout, origin ? origin : layout->origin);
	// mkstemp makes files that only their owner can read.
	mode_t mask = umask(0);
	umask(mask);
	bool failed = fchmod(fd, 0666 & ~mask) != 0;
	failed |= fflush(out) != 0 || ferror(out) || fsync(fd) != 0;
	int saved_errno = errno;
	if (fclose(out) != 0 && !failed) {
		failed = true;
		saved_errno = errno;
	}
	if (!failed && rename(temporary, path) != 0) {
		failed = true;
		saved_errno = errno;
	}
	if (failed) {
		err = etp_error_os(saved_errno, "Cannot write %s", path);
		unlink(temporary);
	}
	free(temporary);
	return err;
}
