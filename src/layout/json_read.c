// SPDX-License-Identifier: Apache-2.0
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

enum {
	// A layout file has some 20 kB.
	MAX_FILE = 4 << 20,
	// The largest struct of ERTS is some 50 kB (ErtsTimerWheel has more, and is
	// not in the registry). More than this is nonsense.
	MAX_STRUCT = 64 << 20,
};

struct reader {
	const char *path;
	struct etp_layout_private *layout;
	// Required members that the file does not have.
	FILE *missing;
	size_t missing_count;
};

static struct etp_error *bad(const struct reader *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static struct etp_error *bad(const struct reader *r, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	char *what = NULL;
	if (vasprintf(&what, format, ap) < 0)
		what = NULL;
	va_end(ap);
	if (!what)
		return &etp_error_no_memory;
	struct etp_error *err =
		etp_error_create(ETP_ERROR_BAD_DATA,
	                         "The layout file %s is damaged: %s. Write it anew with "
	                         "scripts/extract-layout.",
	                         r->path, what);
	free(what);
	return err;
}

static struct etp_error *read_file(const char *path, char **ret, size_t *size_ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return etp_error_os(errno, "Cannot open the layout file %s", path);
	struct etp_error *err = NULL;
	char *text = NULL;
	size_t size = 0;
	struct stat st;
	if (fstat(fd, &st) != 0)
		err = etp_error_os(errno, "Cannot read the layout file %s", path);
	else if (!S_ISREG(st.st_mode))
		err = etp_error_create(ETP_ERROR_BAD_DATA,
		                       "The layout file %s is not a regular file.", path);
	else if (st.st_size > MAX_FILE)
		err = etp_error_create(ETP_ERROR_BAD_DATA,
		                       "%s is no layout file: it has more than %d bytes.", path,
		                       MAX_FILE);
	else if (!(text = malloc((size_t)st.st_size + 1)))
		err = &etp_error_no_memory;
	while (text && size < (size_t)st.st_size) {
		ssize_t n = read(fd, text + size, (size_t)st.st_size - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = etp_error_os(errno, "Cannot read the layout file %s", path);
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	close(fd);
	if (err || !text) {
		free(text);
		return err;
	}
	text[size] = 0;
	*ret = text;
	*size_ret = size;
	return NULL;
}

static unsigned int line_of(const char *text, size_t offset)
{
	unsigned int line = 1;
	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static struct etp_error *parse(const struct reader *r, const char *text, size_t size,
                               struct json_object **ret)
{
	struct json_tokener *tokener = json_tokener_new();
	if (!tokener)
		return &etp_error_no_memory;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	// The final NUL tells json-c that nothing follows.
	struct json_object *root = json_tokener_parse_ex(tokener, text, (int)size + 1);
	enum json_tokener_error status = json_tokener_get_error(tokener);
	size_t end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	struct etp_error *err = NULL;
	if (status == json_tokener_continue)
		err = bad(r, "it ends in the middle, in line %u", line_of(text, size));
	else if (status != json_tokener_success)
		err = bad(r, "line %u is not JSON (%s)", line_of(text, end < size ? end : size),
		          json_tokener_error_desc(status));
	else if (!json_object_is_type(root, json_type_object))
		err = bad(r, "it does not hold a JSON object");
	if (err) {
		json_object_put(root);
		return err;
	}
	*ret = root;
	return NULL;
}

static size_t count_keys(struct json_object *object, int depth)
{
	size_t count = 0;
	if (depth > JSON_TOKENER_DEFAULT_DEPTH)
		return 0;
	if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, key, value)
		{
			(void)key;
			count += 1 + count_keys(value, depth + 1);
		}
	} else if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++)
			count += count_keys(json_object_array_get_idx(object, i), depth + 1);
	}
	return count;
}

// json-c keeps the last of two equal keys and does not say so. Each key is
// followed by the only kind of colon that stands outside of a string.
static struct etp_error *check_duplicates(const struct reader *r, const char *text, size_t size,
                                          struct json_object *root)
{
	size_t colons = 0;
	bool in_string = false;
	for (size_t i = 0; i < size; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else
			colons += !in_string && text[i] == ':';
	}
	size_t keys = count_keys(root, 0);
	if (colons != keys)
		return bad(r, "%zu keys stand twice in the same object", colons - keys);
	return NULL;
}

static struct etp_error *read_string_field(struct reader *r, struct json_object *root,
                                           const char *key, bool may_be_empty, const char **field)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return bad(r, "the key \"%s\" is missing or not a string", key);
	const char *text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return bad(r, "the value of \"%s\" contains a NUL character", key);
	if (!*text && !may_be_empty)
		return bad(r, "the value of \"%s\" is empty", key);
	return etp_layout_set_string(field, text);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_build_id(struct json_object *value, struct etp_build_id *ret)
{
	*ret = (struct etp_build_id){0};
	if (!json_object_is_type(value, json_type_string))
		return false;
	const char *text = json_object_get_string(value);
	size_t length = strlen(text);
	if (length % 2 || length / 2 > sizeof(ret->bytes))
		return false;
	for (size_t i = 0; i < length / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret->bytes[i] = (unsigned char)(high << 4 | low);
	}
	ret->size = length / 2;
	return true;
}

static struct etp_error *read_build_ids(struct reader *r, struct json_object *root)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, "build_id", &value) ||
	    !parse_build_id(value, &r->layout->layout.build_id))
		return bad(r, "the key \"build_id\" is missing or not lower-case hex");
	if (!json_object_object_get_ex(root, "also_build_ids", &value))
		return NULL;
	if (!json_object_is_type(value, json_type_array))
		return bad(r, "the value of \"also_build_ids\" is not an array");
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct etp_build_id id;
		if (!parse_build_id(json_object_array_get_idx(value, i), &id) || !id.size)
			return bad(r, "item %zu of \"also_build_ids\" is not lower-case hex",
			           i + 1);
		struct etp_error *err = etp_layout_add_build_id(r->layout, &id);
		if (err)
			return err;
	}
	return NULL;
}

static bool read_global(struct json_object *value, struct etp_global *ret)
{
	if (!value)
		return true;
	if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) != 2)
		return false;
	struct json_object *address = json_object_array_get_idx(value, 0);
	struct json_object *size = json_object_array_get_idx(value, 1);
	if (!json_object_is_type(address, json_type_int) ||
	    !json_object_is_type(size, json_type_int) || json_object_get_int64(address) <= 0 ||
	    json_object_get_int64(size) < 0)
		return false;
	ret->address = (uint64_t)json_object_get_int64(address);
	ret->size = (uint64_t)json_object_get_int64(size);
	return true;
}

static struct etp_error *read_globals(struct reader *r, struct json_object *root)
{
	struct json_object *all;
	if (!json_object_object_get_ex(root, "globals", &all))
		return NULL;
	if (!json_object_is_type(all, json_type_object))
		return bad(r, "the value of \"globals\" is not an object");
	json_object_object_foreach(all, hex, object)
	{
		struct etp_globals globals = {0};
		struct json_object *text = json_object_new_string(hex);
		bool is_id = text && parse_build_id(text, &globals.build_id);
		json_object_put(text);
		if (!is_id || !globals.build_id.size ||
		    !json_object_is_type(object, json_type_object))
			return bad(r,
			           "a key of \"globals\" is not a build-id, or it has no object");
		for (unsigned g = 0; g < ETP_GLOBAL_COUNT; g++) {
			struct json_object *value = NULL;
			json_object_object_get_ex(object, etp_global_name(g), &value);
			if (!read_global(value, &globals.items[g]))
				return bad(r, "the global %s is neither null nor [address, size]",
				           etp_global_name(g));
		}
		struct etp_error *err = etp_layout_add_globals(r->layout, &globals);
		if (err)
			return err;
	}
	return NULL;
}

static struct etp_error *read_build_options(struct reader *r, struct json_object *root)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, "build_options", &value) ||
	    !json_object_is_type(value, json_type_array))
		return bad(r, "the key \"build_options\" is missing or not an array");
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return &etp_error_no_memory;
	struct etp_error *err = NULL;
	for (size_t i = 0; i < json_object_array_length(value) && !err; i++) {
		struct json_object *line = json_object_array_get_idx(value, i);
		const char *s = json_object_is_type(line, json_type_string)
		                        ? json_object_get_string(line)
		                        : "";
		if (!strchr(s, '=') || strchr(s, '\n'))
			err = bad(r, "item %zu of \"build_options\" is not \"NAME=VALUE\"", i + 1);
		else
			fprintf(out, "%s\n", s);
	}
	if (fclose(out) != 0 && !err)
		err = &etp_error_no_memory;
	if (!err)
		err = etp_layout_set_string(&r->layout->layout.build_options, text);
	free(text);
	return err;
}

static bool get_number(struct json_object *value, uint32_t max, uint32_t *ret)
{
	if (!json_object_is_type(value, json_type_int))
		return false;
	int64_t n = json_object_get_int64(value);
	if (n < 0 || n > max)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static struct etp_error *read_member(struct reader *r, struct json_object *value,
                                     const struct etp_registry_member *name, uint32_t struct_size,
                                     struct etp_layout_member *ret)
{
	struct etp_layout_member member;
	if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) != 3 ||
	    !get_number(json_object_array_get_idx(value, 0), MAX_STRUCT, &member.offset) ||
	    !get_number(json_object_array_get_idx(value, 1), MAX_STRUCT, &member.size) ||
	    !get_number(json_object_array_get_idx(value, 2), MAX_STRUCT, &member.count))
		return bad(r, "%s is neither null nor [offset, size, count] with plausible numbers",
		           name->full_name);
	uint64_t bytes = (uint64_t)member.size * member.count;
	if (member.offset + bytes > struct_size)
		return bad(r, "%s ends at byte %llu, but its struct has only %u bytes",
		           name->full_name, (unsigned long long)(member.offset + bytes),
		           struct_size);
	*ret = member;
	return NULL;
}

static void note_missing(struct reader *r, const char *name)
{
	fprintf(r->missing, "%s%s", r->missing_count++ ? ", " : "", name);
}

static struct etp_error *read_struct(struct reader *r, struct json_object *structs, size_t index,
                                     size_t first, size_t end)
{
	const struct etp_registry_struct *name = &etp_registry.structs[index];
	struct etp_layout *layout = &r->layout->layout;
	struct json_object *object = NULL;
	struct json_object *members = NULL;
	if (json_object_object_get_ex(structs, name->name, &object) && object) {
		struct json_object *size;
		if (!json_object_is_type(object, json_type_object) ||
		    !json_object_object_get_ex(object, "size", &size) ||
		    !get_number(size, MAX_STRUCT, &layout->struct_sizes[index]) ||
		    !json_object_object_get_ex(object, "members", &members) ||
		    !json_object_is_type(members, json_type_object))
			return bad(r,
			           "the struct %s is neither null nor an object with a plausible "
			           "\"size\" and with \"members\"",
			           name->name);
	}
	for (size_t m = first; m < end; m++) {
		const struct etp_registry_member *member = &etp_registry.members[m];
		struct json_object *value = NULL;
		if (members)
			json_object_object_get_ex(members, member->name, &value);
		if (value) {
			struct etp_error *err = read_member(
				r, value, member, layout->struct_sizes[index], &layout->members[m]);
			if (err)
				return err;
		} else if (member->required) {
			note_missing(r, member->full_name);
		}
	}
	return NULL;
}

static struct etp_error *read_structs(struct reader *r, struct json_object *root)
{
	struct json_object *structs;
	if (!json_object_object_get_ex(root, "structs", &structs) ||
	    !json_object_is_type(structs, json_type_object))
		return bad(r, "the key \"structs\" is missing or not an object");
	char *missing = NULL;
	size_t missing_size = 0;
	r->missing = open_memstream(&missing, &missing_size);
	if (!r->missing)
		return &etp_error_no_memory;
	struct etp_error *err = NULL;
	size_t m = 0;
	for (size_t i = 0; i < etp_registry.struct_count && !err; i++) {
		size_t first = m;
		while (m < etp_registry.member_count && etp_registry.members[m].struct_index == i)
			m++;
		err = read_struct(r, structs, i, first, m);
	}
	if (fclose(r->missing) != 0 && !err)
		err = &etp_error_no_memory;
	if (!err && r->missing_count)
		err = etp_error_create(
			ETP_ERROR_LAYOUT,
			"The layout file %s lacks what this version of etp needs: %s. An older "
			"etp wrote it. Write it anew with scripts/extract-layout from the "
			"beam.smp that it describes (ERTS %s, %s, %s; origin: %s).",
			r->path, missing, r->layout->layout.erts_version, r->layout->layout.machine,
			r->layout->layout.flavor, r->layout->layout.origin);
	free(missing);
	return err;
}

static struct etp_error *check_format(const struct reader *r, struct json_object *root)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, "format", &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    strcmp(json_object_get_string(value), ETP_LAYOUT_FORMAT) != 0)
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "%s is not a layout file: its key \"format\" is not "
		                        "\"" ETP_LAYOUT_FORMAT "\".",
		                        r->path);
	uint32_t version;
	if (!json_object_object_get_ex(root, "format_version", &value) ||
	    !get_number(value, INT32_MAX, &version) || version == 0)
		return bad(r, "the key \"format_version\" is missing or not a positive number");
	if (version > ETP_LAYOUT_FORMAT_VERSION)
		return etp_error_create(
			ETP_ERROR_LAYOUT,
			"The layout file %s has format version %u, and this etp reads "
			"versions up to %d: a newer etp wrote it. Update etp, or write "
			"the file anew with scripts/extract-layout.",
			r->path, version, ETP_LAYOUT_FORMAT_VERSION);
	return NULL;
}

static struct etp_error *read_layout(struct reader *r, struct json_object *root)
{
	struct etp_layout *layout = &r->layout->layout;
	struct etp_error *err = check_format(r, root);
	if (!err)
		err = read_string_field(r, root, "otp_release", false, &layout->otp_release);
	if (!err)
		err = read_string_field(r, root, "erts_version", false, &layout->erts_version);
	if (!err)
		err = read_string_field(r, root, "machine", false, &layout->machine);
	if (!err)
		err = read_string_field(r, root, "flavor", false, &layout->flavor);
	if (!err)
		err = read_string_field(r, root, "origin", true, &layout->origin);
	if (!err)
		err = read_build_ids(r, root);
	if (!err)
		err = read_globals(r, root);
	if (!err)
		err = read_build_options(r, root);
	if (!err)
		err = read_structs(r, root);
	return err;
}

struct etp_error *etp_layout_from_file(const char *path, struct etp_layout **ret)
{
	char *text = NULL;
	size_t size = 0;
	struct etp_error *err = read_file(path, &text, &size);
	if (err)
		return err;
	struct reader r = {.path = path};
	struct json_object *root = NULL;
	char *source = NULL;
	err = etp_layout_create(&r.layout);
	if (!err)
		err = parse(&r, text, size, &root);
	if (!err)
		err = check_duplicates(&r, text, size, root);
	if (!err)
		err = read_layout(&r, root);
	if (!err && asprintf(&source, "layout file %s", path) < 0) {
		source = NULL;
		err = &etp_error_no_memory;
	}
	if (!err)
		err = etp_layout_set_string(&r.layout->layout.source, source);
	free(source);
	json_object_put(root);
	free(text);
	if (err) {
		if (r.layout)
			etp_layout_destroy(&r.layout->layout);
		return err;
	}
	*ret = &r.layout->layout;
	return NULL;
}
