// SPDX-License-Identifier: Apache-2.0
//
// Which layout fits a target?
//
// A stripped beam.smp of OTP 29 has no symbols of ERTS: then the first step is to find where its
// globals are, in a layout file that names its build-id.
//
// Each step that finds nothing leaves a line in a protocol, which becomes the
// error message when no step finds anything.

#include "layout/layout_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/build_options.h"
#include "layout/files.h"
#include "layout/globals.h"

enum {
	// Bytes of musl's pthread_mutex_t on a 64-bit machine. glibc's has as many on x86_64, and
	// 48 on aarch64; it is the only type of the C library that structs of ERTS contain.
	MUSL_MUTEX_SIZE = 40,
	// Files of a directory that a message lists.
	MAX_LISTED = 12,
	MAX_DIFFERENCE = 256,
};

struct chooser {
	struct etp_target *target;
	const struct etp_layout_options *options;
	struct etp_identity identity;
	// What was looked at, and why it was not taken. One line each.
	char *protocol_text;
	size_t protocol_size;
	FILE *protocol;
	struct etp_layout_files files;
};

bool etp_layout_differs(const struct etp_identity *identity, const struct etp_layout *layout,
                        char *reason, size_t size)
{
	if (strcmp(layout->erts_version, identity->erts_version) != 0 ||
	    strcmp(layout->otp_release, identity->otp_release) != 0 ||
	    strcmp(layout->machine, identity->machine) != 0 ||
	    strcmp(layout->flavor, identity->flavor) != 0) {
		snprintf(reason, size, "is for OTP %s, ERTS %s, %s, %s", layout->otp_release,
		         layout->erts_version, layout->machine, layout->flavor);
		return true;
	}
	char options[MAX_DIFFERENCE];
	if (etp_build_options_differ(layout->build_options, identity->build_options, options,
	                             sizeof(options))) {
		snprintf(reason, size, "is for a build with other options: %s", options);
		return true;
	}
	return false;
}

bool etp_layout_is_of_other_libc(const struct etp_identity *identity,
                                 const struct etp_layout *layout)
{
	return strcmp(layout->otp_release, identity->otp_release) == 0 &&
	       strcmp(layout->machine, identity->machine) == 0 &&
	       strcmp(layout->flavor, identity->flavor) == 0 &&
	       layout->struct_sizes[ETP_STRUCT_erts_mtx_t] == MUSL_MUTEX_SIZE &&
	       etp_build_options_glibc_for_musl(layout->build_options, identity->build_options);
}

void etp_layout_forget_other_libc(const struct etp_identity *identity, struct etp_layout *layout)
{
	if (!etp_build_options_glibc_for_musl(layout->build_options, identity->build_options))
		return;
	layout->members[ETP_MEMBER_erts_mtx_t_lock].offset = ETP_LAYOUT_ABSENT;
	layout->members[ETP_MEMBER_erts_mtx_t_owner].offset = ETP_LAYOUT_ABSENT;
}

static void describe_file(struct chooser *c, const struct etp_layout_file *file)
{
	const struct etp_layout *layout = file->layout;
	char reason[MAX_DIFFERENCE + 64];
	if (!layout)
		fprintf(c->protocol, "    %s: %s\n", file->name, file->problem);
	else if (!c->identity.otp_release)
		fprintf(c->protocol, "    %s is for OTP %s, ERTS %s, %s, %s\n", file->name,
		        layout->otp_release, layout->erts_version, layout->machine, layout->flavor);
	else if (etp_layout_differs(&c->identity, layout, reason, sizeof(reason)))
		fprintf(c->protocol, "    %s %s\n", file->name, reason);
}

// What was looked at, into the protocol.
static void describe_files(struct chooser *c)
{
	for (size_t i = 0; i < c->files.directory_count; i++) {
		const struct etp_layout_directory *directory = &c->files.directories[i];
		size_t count = directory->end - directory->first;
		fprintf(c->protocol, "  %s:%s%s\n", directory->path, directory->problem ? " " : "",
		        directory->problem ? directory->problem : "");
		for (size_t j = 0; j < count && j < MAX_LISTED; j++)
			describe_file(c, &c->files.files[directory->first + j]);
		if (count > MAX_LISTED)
			fprintf(c->protocol, "    ... and %zu more\n",
			        count - MAX_LISTED + directory->left_out);
	}
}

// The ways in which a layout file may belong to a target, the surest first.
static bool same_build_id(const struct etp_identity *identity, const struct etp_layout *layout)
{
	// Two files with one build-id are one build; the machine is not asked again.
	return etp_layout_has_build_id(layout, &identity->build_id);
}

static bool same_build(const struct etp_identity *identity, const struct etp_layout *layout)
{
	char reason[MAX_DIFFERENCE + 64];
	return !etp_layout_differs(identity, layout, reason, sizeof(reason));
}

typedef bool (*match_fn)(const struct etp_identity *identity, const struct etp_layout *layout);

// A layout of the nearest patch release is the third way: only when every self-check holds in the
// core, which this layer knows nothing of (vm/trial.c).
static const match_fn matches[] = {same_build_id, same_build};

// Moves the layout out of the list of files.
static struct etp_layout *take_match(struct chooser *c)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(*matches); i++) {
		for (size_t j = 0; j < c->files.count; j++) {
			struct etp_layout *layout = c->files.files[j].layout;
			if (layout && matches[i](&c->identity, layout)) {
				c->files.files[j].layout = NULL;
				return layout;
			}
		}
	}
	return NULL;
}

static struct etp_error *nothing_found(struct chooser *c)
{
	char hex[129] = "";
	if (c->identity.build_id.size)
		etp_build_id_format(&c->identity.build_id, hex, sizeof(hex));
	if (fflush(c->protocol) != 0)
		return &etp_error_no_memory;
	return etp_error_create(
		ETP_ERROR_LAYOUT,
		"No layout fits this VM. Sought: one for OTP %s, ERTS %s, %s, %s%s%s. Looked at:\n"
		"%s"
		"To make one, build that very version with -g and the same options (for a package "
		"of Debian: scripts/build-beam), then run scripts/extract-layout BEAM and put the "
		"file that it writes into ${XDG_CONFIG_HOME:-~/.config}/etp/layouts. Or give a "
		"beam.smp with debug information.",
		c->identity.otp_release, c->identity.erts_version, c->identity.machine,
		c->identity.flavor, *hex ? ", build-id " : "", hex, c->protocol_text);
}

static struct etp_error *read_files(struct chooser *c)
{
	return c->files.directory_count ? NULL
	                                : etp_layout_files_init(&c->files, c->options->directories);
}

static struct etp_error *choose_file(struct chooser *c, struct etp_layout **ret)
{
	struct etp_error *err = read_files(c);
	if (err)
		return err;
	struct etp_layout *layout = take_match(c);
	if (!layout) {
		describe_files(c);
		return nothing_found(c);
	}
	*ret = layout;
	return NULL;
}

// Leaves *ret alone, and a line in the protocol, if there is no usable DWARF.
static struct etp_error *try_dwarf(struct chooser *c, struct etp_layout **ret)
{
	if (c->options->no_dwarf) {
		fprintf(c->protocol, "  DWARF: not looked at, as was asked for\n");
		return NULL;
	}
	const char *path = etp_target_dwarf_path(c->target);
	if (!path) {
		const char *executable = etp_target_info(c->target)->executable_path;
		fprintf(c->protocol, "  DWARF: %s has none, nor was a debug package found\n",
		        executable ? executable : "the target");
		return NULL;
	}
	struct etp_error *err = etp_layout_from_dwarf_as(path, &c->identity, ret);
	if (err && err->kind != ETP_ERROR_NO_MEMORY) {
		fprintf(c->protocol, "  DWARF: %s\n", err->message);
		etp_error_destroy(err);
		err = NULL;
	}
	return err;
}

static const struct etp_build_id *target_build_id(const struct etp_target *target)
{
	const struct etp_target_info *info = etp_target_info(target);
	return info->core_build_id.size ? &info->core_build_id : &info->executable_build_id;
}

static bool has_symbol(const struct etp_target *target, const char *name)
{
	uint64_t address;
	struct etp_error *err = etp_target_symbol(target, name, &address, NULL);
	etp_error_destroy(err);
	return !err;
}

// Since OTP 29 ERTS exports nothing but what NIFs and drivers may call.
static bool hides_globals(const struct etp_target *target)
{
	return !has_symbol(target, "etp_otp_release") && has_symbol(target, "enif_alloc");
}

static struct etp_error *no_globals(struct chooser *c)
{
	char hex[129] = "none";
	const struct etp_build_id *id = target_build_id(c->target);
	if (id->size)
		etp_build_id_format(id, hex, sizeof(hex));
	if (fflush(c->protocol) != 0)
		return &etp_error_no_memory;
	return etp_error_create(
		ETP_ERROR_LAYOUT,
		"This beam.smp (%s, build-id %s) is stripped and exports no globals of ERTS, as "
		"all "
		"since OTP 29, so that only a layout file that names this very build-id knows "
		"where "
		"they are. None does. Looked at:\n"
		"%s"
		"Give the beam.smp with its symbols (not stripped, or with its debug package "
		"installed). Or build the very same package anew, with scripts/build-beam, run "
		"scripts/extract-layout BEAM --also-for STRIPPED and put the file that it writes "
		"into "
		"${XDG_CONFIG_HOME:-~/.config}/etp/layouts.",
		etp_target_info(c->target)->executable_path, hex, c->protocol_text);
}

// Make the globals of the target symbols of it; `given` is the user's layout file or NULL.
static struct etp_error *find_globals(struct chooser *c, const struct etp_layout *given)
{
	const struct etp_build_id *id = target_build_id(c->target);
	const struct etp_globals *globals = given ? etp_layout_globals(given, id) : NULL;
	struct etp_error *err = globals ? NULL : read_files(c);
	for (size_t i = 0; !err && !globals && i < c->files.count; i++)
		if (c->files.files[i].layout)
			globals = etp_layout_globals(c->files.files[i].layout, id);
	if (err)
		return err;
	if (globals)
		return etp_globals_add_to(globals, c->target);
	describe_files(c);
	return no_globals(c);
}

// What the target says of itself may not be in the core; that is then told by who asks for it.
static struct etp_error *forget_other_libc(struct chooser *c, struct etp_layout *layout)
{
	struct etp_error *err = etp_identity_from_target(c->target, &c->identity);
	if (err && err->kind != ETP_ERROR_NO_MEMORY) {
		etp_error_destroy(err);
		return NULL;
	}
	if (!err)
		etp_layout_forget_other_libc(&c->identity, layout);
	return err;
}

static struct etp_error *choose_given_file(struct chooser *c, const char *path,
                                           struct etp_layout **ret)
{
	const struct etp_target *target = c->target;
	struct etp_layout *layout;
	struct etp_error *err = etp_layout_from_file(path, &layout);
	if (err)
		return err;
	// Everything else is the user's word against ours, and the self-checks'.
	const char *machine = etp_machine_name(etp_target_info(target)->machine);
	if (strcmp(layout->machine, machine) != 0) {
		err = etp_error_create(ETP_ERROR_LAYOUT,
		                       "The layout file %s is for %s, and this VM ran on %s.", path,
		                       layout->machine, machine);
		etp_layout_destroy(layout);
		return err;
	}
	if (hides_globals(target))
		err = find_globals(c, layout);
	if (!err)
		err = forget_other_libc(c, layout);
	if (err) {
		etp_layout_destroy(layout);
		return err;
	}
	*ret = layout;
	return NULL;
}

static void chooser_deinit(struct chooser *c)
{
	etp_layout_files_deinit(&c->files);
	if (c->protocol)
		fclose(c->protocol);
	free(c->protocol_text);
	etp_identity_deinit(&c->identity);
}

// DWARF, then layout files.
static struct etp_error *choose(struct chooser *c, struct etp_layout **ret)
{
	struct etp_error *err = hides_globals(c->target) ? find_globals(c, NULL) : NULL;
	if (!err)
		err = etp_identity_from_target(c->target, &c->identity);
	struct etp_layout *layout = NULL;
	if (!err)
		err = try_dwarf(c, &layout);
	if (!err && !layout)
		err = choose_file(c, &layout);
	if (!err)
		*ret = layout;
	return err;
}

struct etp_error *etp_layout_choose(struct etp_target *target,
                                    const struct etp_layout_options *options,
                                    struct etp_layout **ret)
{
	static const struct etp_layout_options defaults;
	struct chooser c = {.target = target, .options = options ? options : &defaults};
	c.protocol = open_memstream(&c.protocol_text, &c.protocol_size);
	struct etp_error *err = c.protocol ? NULL : &etp_error_no_memory;
	if (!err)
		err = c.options->file ? choose_given_file(&c, c.options->file, ret)
		                      : choose(&c, ret);
	chooser_deinit(&c);
	return err;
}

struct etp_error *etp_layout_candidates(struct etp_target *target,
                                        const struct etp_layout_options *options,
                                        struct etp_layout_files *files_ret,
                                        struct etp_identity *identity_ret, char **problem_ret)
{
	static const struct etp_layout_options defaults;
	struct chooser c = {.target = target, .options = options ? options : &defaults};
	c.protocol = open_memstream(&c.protocol_text, &c.protocol_size);
	struct etp_error *err = c.protocol ? read_files(&c) : &etp_error_no_memory;
	struct etp_error *problem = NULL;
	if (!err && hides_globals(target))
		problem = find_globals(&c, NULL);
	if (!err && !problem)
		problem = etp_identity_from_target(target, &c.identity);
	char *text = problem ? strdup(problem->message) : NULL;
	if (!err && problem && (!text || problem->kind == ETP_ERROR_NO_MEMORY))
		err = &etp_error_no_memory;
	etp_error_destroy(problem);
	if (err) {
		free(text);
	} else {
		*files_ret = c.files;
		*identity_ret = c.identity;
		*problem_ret = text;
		c.files = (struct etp_layout_files){0};
		c.identity = (struct etp_identity){0};
	}
	chooser_deinit(&c);
	return err;
}
