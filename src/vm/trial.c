// SPDX-License-Identifier: Apache-2.0
//
// Layouts on trial: does every self-check hold with them? That is how a layout of the nearest
// ERTS version can be used, when there is none of this one.

#include "vm/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <etp/layouts.h>

#include "layout/files.h"
#include "layout/layout_private.h"
#include "target/warn.h"

enum {
	// Components of a version, and what a component counts more than the next one.
	VERSION_PARTS = 4,
	VERSION_WEIGHT = 1000,
	// Layouts of other versions that are tried before giving up.
	NEAREST_TRIED = 4,
	MAX_DIFFERENCE = 512,
};

const char *etp_layout_match_name(enum etp_layout_match match)
{
	static const char *const names[] = {
		[ETP_LAYOUT_OTHER] = "other",
		[ETP_LAYOUT_NEAR] = "near",
		[ETP_LAYOUT_SAME_BUILD] = "same build",
		[ETP_LAYOUT_SAME_BUILD_ID] = "build-id",
	};
	return (unsigned)match < sizeof(names) / sizeof(names[0]) ? names[match] : "?";
}

static enum etp_layout_match match_of(const struct etp_identity *identity,
                                      const struct etp_layout *layout, char *difference,
                                      size_t size)
{
	*difference = 0;
	if (etp_layout_has_build_id(layout, &identity->build_id))
		return ETP_LAYOUT_SAME_BUILD_ID;
	if (!etp_layout_differs(identity, layout, difference, size))
		return ETP_LAYOUT_SAME_BUILD;
	if (etp_layout_is_of_other_libc(identity, layout))
		return ETP_LAYOUT_NEAR;
	// All but the version.
	struct etp_identity near = *identity;
	near.erts_version = (char *)layout->erts_version;
	char rest[MAX_DIFFERENCE];
	return etp_layout_differs(&near, layout, rest, sizeof(rest)) ? ETP_LAYOUT_OTHER
	                                                             : ETP_LAYOUT_NEAR;
}

// What the layout lacks, or the first check that failed, in words. NULL if all is well.
static char *failed_check(const struct etp_vm *vm)
{
	const char *lacking = vm->scheme ? etp_vm_lacking_member(vm) : NULL;
	char *missing;
	if (lacking)
		return asprintf(&missing,
		                "it does not say where %s is, which every VM of OTP %s has",
		                lacking, vm->scheme->releases) < 0
		               ? NULL
		               : missing;
	for (size_t i = 0; vm->checks && i < vm->info.check_count; i++) {
		const struct etp_check *check = &vm->checks[i];
		char *text;
		if (!check->failed)
			continue;
		if (asprintf(&text, "\"%s\" failed %llu of %llu times; first: %s", check->claim,
		             (unsigned long long)check->failed, (unsigned long long)check->tried,
		             check->failure ? check->failure : "(no words for it)") < 0)
			return NULL;
		return text;
	}
	return NULL;
}

struct etp_error *etp_layout_try(struct etp_target *target, const struct etp_layout *layout,
                                 char **refusal_ret)
{
	struct etp_vm vm = {
		.target = target,
		// Nothing changes a layout that was made.
		.layout = (struct etp_layout *)layout,
		.is_trial = true,
	};
	struct etp_error *err = etp_vm_make_sense(&vm);
	char *refusal = failed_check(&vm);
	if (err && err->kind != ETP_ERROR_NO_MEMORY) {
		if (!refusal)
			refusal = strdup(err->message);
		etp_error_destroy(err);
		err = refusal ? NULL : &etp_error_no_memory;
	}
	etp_vm_forget(&vm);
	if (err) {
		free(refusal);
		return err;
	}
	*refusal_ret = refusal;
	return NULL;
}

//
// All files
//

static struct etp_error *try_file(const struct etp_layout_file *file, bool is_users,
                                  struct etp_target *target, const struct etp_identity *identity,
                                  struct etp_layout_trial *trial)
{
	*trial = (struct etp_layout_trial){
		.path = file->path,
		.is_users = is_users,
		.layout = file->layout,
	};
	if (!file->layout) {
		trial->refusal = strdup(file->problem);
		return trial->refusal ? NULL : &etp_error_no_memory;
	}
	if (!identity->otp_release)
		return NULL;
	char difference[MAX_DIFFERENCE];
	trial->match = match_of(identity, file->layout, difference, sizeof(difference));
	if (*difference && !(trial->difference = strdup(difference)))
		return &etp_error_no_memory;
	if (strcmp(file->layout->machine, identity->machine) != 0) {
		trial->refusal = strdup("it is for another machine");
		return trial->refusal ? NULL : &etp_error_no_memory;
	}
	return etp_layout_try(target, file->layout, &trial->refusal);
}

struct etp_error *etp_layout_trials_init(struct etp_layout_trials *trials,
                                         struct etp_target *target,
                                         const struct etp_layout_options *options)
{
	*trials = (struct etp_layout_trials){0};
	struct etp_identity identity = {0};
	struct etp_layout_files *files = calloc(1, sizeof(*files));
	trials->files = files;
	if (!files)
		return &etp_error_no_memory;
	struct etp_error *err =
		etp_layout_candidates(target, options, files, &identity, &trials->problem);
	if (!err && files->count) {
		trials->items = calloc(files->count, sizeof(*trials->items));
		err = trials->items ? NULL : &etp_error_no_memory;
	}
	for (size_t d = 0; !err && d < files->directory_count; d++) {
		const struct etp_layout_directory *directory = &files->directories[d];
		for (size_t i = directory->first; !err && i < directory->end; i++)
			err = try_file(&files->files[i], directory->is_users, target, &identity,
			               &trials->items[trials->count++]);
	}
	etp_identity_deinit(&identity);
	if (err)
		etp_layout_trials_deinit(trials);
	return err;
}

struct etp_error *etp_vm_layouts(const struct etp_vm *vm, const struct etp_layout_options *options,
                                 struct etp_layout_trials *trials)
{
	return etp_layout_trials_init(trials, vm->target, options);
}

void etp_layout_trials_deinit(struct etp_layout_trials *trials)
{
	for (size_t i = 0; i < trials->count; i++) {
		free(trials->items[i].difference);
		free(trials->items[i].refusal);
	}
	free(trials->items);
	free(trials->problem);
	if (trials->files)
		etp_layout_files_deinit(trials->files);
	free(trials->files);
	*trials = (struct etp_layout_trials){0};
}

//
// The nearest
//

static uint64_t distance(const char *a, const char *b)
{
	uint64_t sum = 0;
	for (int i = 0; i < VERSION_PARTS; i++) {
		char *p, *q;
		long x = strtol(a, &p, 10), y = strtol(b, &q, 10);
		long apart = x < y ? y - x : x - y;
		sum = sum * VERSION_WEIGHT +
		      (uint64_t)(apart < VERSION_WEIGHT ? apart : VERSION_WEIGHT - 1);
		a = *p == '.' ? p + 1 : "";
		b = *q == '.' ? q + 1 : "";
	}
	return sum;
}

// The file of the nearest version that is farther away than `than`; NULL if there is none.
static struct etp_layout_file *next_nearest(struct etp_layout_files *files,
                                            const struct etp_identity *identity, uint64_t than,
                                            uint64_t *distance_ret)
{
	struct etp_layout_file *found = NULL;
	for (size_t i = 0; i < files->count; i++) {
		const struct etp_layout *layout = files->files[i].layout;
		char difference[MAX_DIFFERENCE];
		if (!layout ||
		    match_of(identity, layout, difference, sizeof(difference)) != ETP_LAYOUT_NEAR)
			continue;
		// Of one version, that of the same C library.
		uint64_t d = 2 * distance(layout->erts_version, identity->erts_version) +
		             etp_layout_is_of_other_libc(identity, layout);
		if (d > than && (!found || d < *distance_ret)) {
			found = &files->files[i];
			*distance_ret = d;
		}
	}
	return found;
}

static struct etp_error *warn_nearest(struct etp_target *target, const struct etp_layout *layout,
                                      const struct etp_identity *identity)
{
	if (etp_layout_is_of_other_libc(identity, layout))
		return etp_target_warn(
			target,
			"There is no layout of ERTS %s for musl. That of ERTS %s for glibc is "
			"used: every self-check holds with it, but a member that no check looks "
			"at may have moved, and who holds a mutex is not known. "
			"scripts/extract-layout makes the layout of exactly this beam.smp.",
			identity->erts_version, layout->erts_version);
	return etp_target_warn(
		target,
		"There is no layout of ERTS %s. The nearest one is used, of ERTS %s: every "
		"self-check holds with it, but a member that no check looks at may have "
		"moved. scripts/extract-layout makes the layout of exactly this beam.smp.",
		identity->erts_version, layout->erts_version);
}

struct etp_error *etp_layout_nearest(struct etp_target *target,
                                     const struct etp_layout_options *options,
                                     struct etp_error *none, struct etp_layout **ret)
{
	struct etp_layout_files files;
	struct etp_identity identity = {0};
	char *problem = NULL;
	struct etp_error *err = etp_layout_candidates(target, options, &files, &identity, &problem);
	if (err) {
		etp_error_destroy(none);
		return err;
	}
	uint64_t far = 0, next = 0;
	struct etp_layout_file *file;
	*ret = NULL;
	for (int i = 0; !err && !*ret && identity.otp_release && i < NEAREST_TRIED &&
	                (file = next_nearest(&files, &identity, far, &next));
	     i++) {
		char *refusal = NULL;
		far = next;
		err = etp_layout_try(target, file->layout, &refusal);
		if (!err && !refusal) {
			err = warn_nearest(target, file->layout, &identity);
			*ret = file->layout;
			file->layout = NULL;
			etp_layout_forget_other_libc(&identity, *ret);
		} else if (!err) {
			none = etp_error_append(none,
			                        "The nearest, %s, was tried and does not fit: %s.",
			                        file->name, refusal);
		}
		free(refusal);
	}
	etp_layout_files_deinit(&files);
	etp_identity_deinit(&identity);
	free(problem);
	if (err || *ret)
		etp_error_destroy(none);
	if (err) {
		etp_layout_destroy(*ret);
		*ret = NULL;
	}
	return err ? err : *ret ? NULL : none;
}
