// SPDX-License-Identifier: Apache-2.0
//
// Which layout fits a target?
//
// Each step that finds nothing leaves a line in a protocol, which becomes the
// error message when no step finds anything.

#include "layout/layout_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/build_options.h"

enum {
	// Layout files read from one directory; one per build, so some dozens.
	MAX_FILES = 1000,
	// Files of a directory that a message lists.
	MAX_LISTED = 12,
	MAX_DIFFERENCE = 256,
};

struct chooser {
	const struct etp_target *target;
	const struct etp_layout_options *options;
	struct etp_identity identity;
	// What was looked at, and why it was not taken. One line each.
	char *protocol_text;
	size_t protocol_size;
	FILE *protocol;
	// Layout files that were read.
	struct etp_layout **candidates;
	size_t candidate_count;
};

static int is_layout_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 &&
	       !strcmp(entry->d_name + length - 5, ".json");
}

static struct etp_error *add_candidate(struct chooser *c, struct etp_layout *layout)
{
	struct etp_layout **grown =
		reallocarray(c->candidates, c->candidate_count + 1, sizeof(*grown));
	if (!grown)
		return &etp_error_no_memory;
	c->candidates = grown;
	c->candidates[c->candidate_count++] = layout;
	return NULL;
}

// Why this layout is not that of the target, or false if it is.
static bool differs(const struct etp_identity *identity, const struct etp_layout *layout,
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

static struct etp_error *read_candidate(struct chooser *c, const char *directory, const char *name,
                                        bool list)
{
	char *path;
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return &etp_error_no_memory;
	struct etp_layout *layout;
	struct etp_error *err = etp_layout_from_file(path, &layout);
	free(path);
	if (err && err->kind == ETP_ERROR_NO_MEMORY)
		return err;
	if (err) {
		// A damaged file must not hide the good one beside it.
		fprintf(c->protocol, "    %s: %s\n", name, err->message);
		etp_error_destroy(err);
		return NULL;
	}
	char reason[MAX_DIFFERENCE + 64];
	if (list && differs(&c->identity, layout, reason, sizeof(reason)))
		fprintf(c->protocol, "    %s %s\n", name, reason);
	err = add_candidate(c, layout);
	if (err)
		etp_layout_destroy(layout);
	return err;
}

static struct etp_error *read_directory(struct chooser *c, const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_layout_file, alphasort);
	if (count < 0) {
		fprintf(c->protocol, "  %s: %s\n", directory,
		        errno == ENOENT ? "there is no such directory" : strerror(errno));
		return NULL;
	}
	fprintf(c->protocol, "  %s:%s\n", directory, count ? "" : " no layout files (*.json)");
	struct etp_error *err = NULL;
	for (int i = 0; i < count; i++) {
		if (!err && i < MAX_FILES)
			err = read_candidate(c, directory, entries[i]->d_name, i < MAX_LISTED);
		free(entries[i]);
	}
	free(entries);
	if (count > MAX_LISTED)
		fprintf(c->protocol, "    ... and %d more\n", count - MAX_LISTED);
	return err;
}

// The user's own directory, or NULL if there is no home.
static struct etp_error *user_directory(char **ret)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int length = 0;
	*ret = NULL;
	// The XDG specification says to ignore relative paths.
	if (config && *config == '/')
		length = asprintf(ret, "%s/etp/layouts", config);
	else if (home && *home)
		length = asprintf(ret, "%s/.config/etp/layouts", home);
	if (length < 0) {
		*ret = NULL;
		return &etp_error_no_memory;
	}
	return NULL;
}

static struct etp_error *read_directories(struct chooser *c)
{
	char *user;
	struct etp_error *err = user_directory(&user);
	if (!err && user)
		err = read_directory(c, user);
	free(user);
	const char *const *directory = c->options->directories;
	for (; !err && directory && *directory; directory++)
		err = read_directory(c, *directory);
	return err;
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
	return !differs(identity, layout, reason, sizeof(reason));
}

typedef bool (*match_fn)(const struct etp_identity *identity, const struct etp_layout *layout);

// A layout of the nearest patch release would be the third way. It may be taken
// only when every self-check holds in the core, which this layer knows nothing of.
static const match_fn matches[] = {same_build_id, same_build};

// Moves the layout out of the list of candidates.
static struct etp_layout *take_match(struct chooser *c)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(*matches); i++) {
		for (size_t j = 0; j < c->candidate_count; j++) {
			struct etp_layout *layout = c->candidates[j];
			if (matches[i](&c->identity, layout)) {
				c->candidates[j] = NULL;
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

static struct etp_error *choose_file(struct chooser *c, struct etp_layout **ret)
{
	struct etp_error *err = read_directories(c);
	if (err)
		return err;
	struct etp_layout *layout = take_match(c);
	if (!layout)
		return nothing_found(c);
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

static struct etp_error *choose_given_file(const struct etp_target *target, const char *path,
                                           struct etp_layout **ret)
{
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
	*ret = layout;
	return NULL;
}

static void chooser_deinit(struct chooser *c)
{
	for (size_t i = 0; i < c->candidate_count; i++)
		etp_layout_destroy(c->candidates[i]);
	free(c->candidates);
	if (c->protocol)
		fclose(c->protocol);
	free(c->protocol_text);
	etp_identity_deinit(&c->identity);
}

struct etp_error *etp_layout_choose(const struct etp_target *target,
                                    const struct etp_layout_options *options,
                                    struct etp_layout **ret)
{
	static const struct etp_layout_options defaults;
	if (!options)
		options = &defaults;
	if (options->file)
		return choose_given_file(target, options->file, ret);

	struct chooser c = {.target = target, .options = options};
	struct etp_error *err = etp_identity_from_target(target, &c.identity);
	if (err)
		return err;
	c.protocol = open_memstream(&c.protocol_text, &c.protocol_size);
	if (!c.protocol)
		err = &etp_error_no_memory;
	struct etp_layout *layout = NULL;
	if (!err)
		err = try_dwarf(&c, &layout);
	if (!err && !layout)
		err = choose_file(&c, &layout);
	if (!err)
		*ret = layout;
	chooser_deinit(&c);
	return err;
}
