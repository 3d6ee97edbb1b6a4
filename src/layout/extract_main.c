// SPDX-License-Identifier: Apache-2.0
//
// etp-extract-layout: write the layout of a beam.smp, from its DWARF, to a file.
// scripts/extract-layout builds and runs it.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <etp/layout.h>

#include "layout/build_options.h"
#include "layout/globals.h"
#include "layout/identity.h"
#include "layout/layout_private.h"

static const char usage[] =
	"Usage: extract-layout BEAM [-o FILE] [--origin TEXT] [--also-for BEAM]...\n"
	"       extract-layout BEAM --check FILE\n"
	"\n"
	"Write the layout of ERTS's structs in BEAM, a beam.smp with DWARF (its own, or\n"
	"that of a debug package), to a layout file.\n"
	"\n"
	"  -o, --output FILE   the file to write; without it,\n"
	"                      otp-RELEASE-erts-VERSION-MACHINE-FLAVOR.json here\n"
	"      --origin TEXT   what BEAM was built from, e.g. a package and its version\n"
	"      --also-for BEAM a stripped beam.smp of the same source and options, whose\n"
	"                      build-id the file shall name too\n"
	"      --check FILE    write nothing; compare FILE with BEAM, member by member\n"
	"  -h, --help          show this\n"
	"\n"
	"To use the file, put it into ${XDG_CONFIG_HOME:-~/.config}/etp/layouts.\n";

struct arguments {
	const char *beam, *output, *origin, *check;
	const char **also_for;
	size_t also_for_count;
};

// A stripped file that says nothing of itself (since OTP 29) may be named only if it is the same
// program. Sets *is_hidden_ret if it is such a file.
static struct etp_error *add_hidden(struct etp_layout *layout, const char *beam, const char *path,
                                    bool *is_hidden_ret)
{
	struct etp_elf_image *with_symbols = NULL, *stripped = NULL;
	struct etp_error *err = etp_elf_image_open(path, &stripped);
	*is_hidden_ret = !err && etp_globals_are_hidden(stripped);
	struct etp_globals globals;
	if (*is_hidden_ret) {
		err = etp_elf_image_open(beam, &with_symbols);
		if (!err)
			err = etp_globals_read(with_symbols, stripped, &globals);
		if (err && err->kind == ETP_ERROR_ARGUMENT) {
			struct etp_error *why = err;
			err = etp_error_create(
				ETP_ERROR_ARGUMENT,
				"--also-for %s: it exports no globals of ERTS, and those of %s are "
				"no help, because it is another program: %s. Build the very source "
				"at the same path with the same compiler and flags, as "
				"scripts/build-beam does.",
				path, beam, why->message);
			etp_error_destroy(why);
		} else if (!err && !globals.build_id.size) {
			err = etp_error_create(ETP_ERROR_ARGUMENT,
			                       "--also-for %s: it has no build-id.", path);
		}
		if (!err)
			err = etp_layout_add_globals(etp_layout_private(layout), &globals);
		if (!err)
			err = etp_layout_add_build_id(etp_layout_private(layout),
			                              &globals.build_id);
	}
	etp_elf_image_close(with_symbols);
	etp_elf_image_close(stripped);
	return err;
}

// A stripped file may be named only if it says the same of itself.
static struct etp_error *add_also_for(struct etp_layout *layout, const char *beam, const char *path)
{
	bool is_hidden;
	struct etp_error *hidden = add_hidden(layout, beam, path, &is_hidden);
	if (hidden || is_hidden)
		return hidden;
	struct etp_identity identity;
	struct etp_error *err = etp_identity_from_elf(path, &identity);
	if (err)
		return err;
	char options[1024];
	if (strcmp(identity.otp_release, layout->otp_release) != 0 ||
	    strcmp(identity.erts_version, layout->erts_version) != 0 ||
	    strcmp(identity.machine, layout->machine) != 0 ||
	    strcmp(identity.flavor, layout->flavor) != 0)
		err = etp_error_create(
			ETP_ERROR_ARGUMENT,
			"--also-for %s: it is OTP %s, ERTS %s, %s, %s; the layout is of "
			"OTP %s, ERTS %s, %s, %s.",
			path, identity.otp_release, identity.erts_version, identity.machine,
			identity.flavor, layout->otp_release, layout->erts_version, layout->machine,
			layout->flavor);
	else if (etp_build_options_differ(identity.build_options, layout->build_options, options,
	                                  sizeof(options)))
		err = etp_error_create(
			ETP_ERROR_ARGUMENT,
			"--also-for %s: it was built with other options than the file "
			"with DWARF: %s.",
			path, options);
	else if (!identity.build_id.size)
		err = etp_error_create(ETP_ERROR_ARGUMENT, "--also-for %s: it has no build-id.",
		                       path);
	else
		err = etp_layout_add_build_id(etp_layout_private(layout), &identity.build_id);
	etp_identity_deinit(&identity);
	return err;
}

static bool identity_differs(const struct etp_layout *file, const struct etp_layout *beam,
                             char *difference, size_t size)
{
	const struct {
		const char *name, *file, *beam;
	} fields[] = {
		{"otp_release", file->otp_release, beam->otp_release},
		{"erts_version", file->erts_version, beam->erts_version},
		{"machine", file->machine, beam->machine},
		{"flavor", file->flavor, beam->flavor},
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (!strcmp(fields[i].file, fields[i].beam))
			continue;
		snprintf(difference, size, "%s is %s in the first and %s in the second",
		         fields[i].name, fields[i].file, fields[i].beam);
		return true;
	}
	return etp_build_options_differ(file->build_options, beam->build_options, difference, size);
}

static struct etp_error *check(const struct etp_layout *layout, const struct arguments *args)
{
	struct etp_layout *file;
	struct etp_error *err = etp_layout_from_file(args->check, &file);
	if (err)
		return err;
	char difference[1024];
	if (identity_differs(file, layout, difference, sizeof(difference)) ||
	    !etp_layout_equal(file, layout, difference, sizeof(difference)))
		err = etp_error_create(
			ETP_ERROR_LAYOUT,
			"%s is not the layout of %s: %s (first: the file, second: the "
			"beam.smp).",
			args->check, args->beam, difference);
	else
		printf("%s is the layout of %s: %d structs, %d members.\n", args->check, args->beam,
		       ETP_STRUCT_COUNT, ETP_MEMBER_COUNT);
	etp_layout_destroy(file);
	return err;
}

static struct etp_error *write_layout(struct etp_layout *layout, const struct arguments *args)
{
	struct etp_error *err = NULL;
	for (size_t i = 0; i < args->also_for_count && !err; i++)
		err = add_also_for(layout, args->beam, args->also_for[i]);
	if (err)
		return err;
	char *path = NULL;
	int length = args->output
	                     ? asprintf(&path, "%s", args->output)
	                     : asprintf(&path, "otp-%s-erts-%s-%s-%s.json", layout->otp_release,
	                                layout->erts_version, layout->machine, layout->flavor);
	if (length < 0)
		return &etp_error_no_memory;
	// Without an origin the file says nothing of the machine that wrote it.
	err = etp_layout_write(layout, args->origin ? args->origin : "", path);
	size_t members = 0;
	for (unsigned int i = 0; i < ETP_MEMBER_COUNT; i++)
		members += etp_layout_has(layout, i);
	if (!err)
		printf("Wrote %s: OTP %s, ERTS %s, %s, %s; %zu of %d members (the others are not "
		       "in "
		       "this build).\n",
		       path, layout->otp_release, layout->erts_version, layout->machine,
		       layout->flavor, members, ETP_MEMBER_COUNT);
	free(path);
	return err;
}

// Returns false when the arguments make no sense; exits for --help.
static bool parse_arguments(int argc, char **argv, struct arguments *args)
{
	enum { ORIGIN = 256, ALSO_FOR, CHECK };
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"origin", required_argument, NULL, ORIGIN},
		{"also-for", required_argument, NULL, ALSO_FOR},
		{"check", required_argument, NULL, CHECK},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
		switch (c) {
		case 'o':
			args->output = optarg;
			break;
		case ORIGIN:
			args->origin = optarg;
			break;
		case ALSO_FOR:
			args->also_for[args->also_for_count++] = optarg;
			break;
		case CHECK:
			args->check = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			return false;
		}
	}
	if (optind != argc - 1)
		return false;
	args->beam = argv[optind];
	return !args->check || !(args->output || args->origin || args->also_for_count);
}

int main(int argc, char **argv)
{
	struct arguments args = {.also_for = calloc((size_t)argc + 1, sizeof(char *))};
	if (!args.also_for || !parse_arguments(argc, argv, &args)) {
		fputs(usage, stderr);
		free(args.also_for);
		return 2;
	}
	struct etp_layout *layout;
	struct etp_error *err = etp_layout_from_dwarf(args.beam, &layout);
	if (!err) {
		err = args.check ? check(layout, &args) : write_layout(layout, &args);
		etp_layout_destroy(layout);
	}
	int status = EXIT_SUCCESS;
	if (err) {
		fprintf(stderr, "extract-layout: %s\n", err->message);
		etp_error_destroy(err);
		status = EXIT_FAILURE;
	}
	free(args.also_for);
	return status;
}
