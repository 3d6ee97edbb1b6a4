// SPDX-License-Identifier: Apache-2.0
#include "layout/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/build_options.h"
#include "layout/elf_image.h"

enum {
	MAX_VERSION = 64,
	// The text of config.h is some 45 kB.
	MAX_CONFIG_H = 1 << 20,
};

// Where constants are read from: a file, or the memory of a target.
struct source {
	struct etp_elf_image *image;
	const struct etp_target *target;
};

static struct etp_error *find_symbol(const struct source *source, const char *name,
                                     uint64_t *address_ret)
{
	return source->image ? etp_elf_image_symbol(source->image, name, address_ret, NULL)
	                     : etp_target_symbol(source->target, name, address_ret, NULL);
}

static struct etp_error *read_bytes(const struct source *source, uint64_t address, void *buffer,
                                    size_t size)
{
	return source->image ? etp_elf_image_read(source->image, address, buffer, size)
	                     : etp_target_read(source->target, address, buffer, size);
}

// Read a string of at most `max` bytes. It may end anywhere before the end of
// what is readable, so chunks shrink to single bytes on a fault.
static struct etp_error *read_string(const struct source *source, uint64_t address, size_t max,
                                     char **ret)
{
	static const size_t largest = 4096;
	char *text = NULL;
	size_t length = 0;
	for (size_t chunk = largest; length < max;) {
		char *grown = realloc(text, length + chunk + 1);
		if (!grown) {
			free(text);
			return &etp_error_no_memory;
		}
		text = grown;
		struct etp_error *err = read_bytes(source, address + length, text + length, chunk);
		if (err && err->kind == ETP_ERROR_FAULT && chunk > 1) {
			etp_error_destroy(err);
			chunk /= 2;
			continue;
		}
		if (err) {
			free(text);
			return err;
		}
		if (memchr(text + length, 0, chunk)) {
			*ret = text;
			return NULL;
		}
		length += chunk;
	}
	free(text);
	return etp_error_create(ETP_ERROR_BAD_DATA,
	                        "The string at 0x%llx does not end within %zu bytes.",
	                        (unsigned long long)address, max);
}

static struct etp_error *read_named_string(const struct source *source, const char *name,
                                           char **ret)
{
	uint64_t address;
	struct etp_error *err = find_symbol(source, name, &address);
	if (!err)
		err = read_string(source, address, MAX_VERSION, ret);
	return etp_error_prefix(err, "%s", name);
}

static struct etp_error *read_named_int(const struct source *source, const char *name, int *ret)
{
	uint64_t address;
	struct etp_error *err = find_symbol(source, name, &address);
	int32_t value = 0;
	if (!err)
		err = read_bytes(source, address, &value, sizeof(value));
	if (!err)
		*ret = value;
	return etp_error_prefix(err, "%s", name);
}

// A version goes into messages and is compared with file names.
static bool is_version(const char *text)
{
	return *text && text[strspn(text, "0123456789.-rcabcdefghijklmnopqstuvwxyzRB_+")] == 0;
}

static struct etp_error *read_config_h(const struct source *source, char **ret)
{
	static const char name[] = "erts_build_flags_CONFIG_H";
	uint64_t variable;
	struct etp_error *err = find_symbol(source, name, &variable);
	if (err && err->kind == ETP_ERROR_NOT_FOUND) {
		// Before OTP 17; compare without it.
		etp_error_destroy(err);
		*ret = strdup("");
		return *ret ? NULL : &etp_error_no_memory;
	}
	uint64_t text;
	if (!err)
		err = source->image
		              ? etp_elf_image_read_pointer(source->image, variable, &text)
		              : etp_target_read(source->target, variable, &text, sizeof(text));
	if (!err)
		err = read_string(source, text, MAX_CONFIG_H, ret);
	return etp_error_prefix(err, "%s", name);
}

// What is decided by the compiler's command line rather than by config.h.
static struct etp_error *read_compiled_options(const struct source *source, char **ret)
{
	static const char *const ints[] = {"etp_arch_bits", "etp_debug_compiled", "etp_lock_check",
	                                   "etp_lock_count"};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return &etp_error_no_memory;
	struct etp_error *err = NULL;
	for (size_t i = 0; i < sizeof(ints) / sizeof(*ints) && !err; i++) {
		int value = 0;
		err = read_named_int(source, ints[i], &value);
		if (!err) {
			fprintf(out, "%s=%d\n", ints[i], value);
		} else if (err->kind == ETP_ERROR_NOT_FOUND) {
			etp_error_destroy(err);
			err = NULL;
		}
	}
	if (!err) {
		// The C library decides the sizes of its types: "...-gnu", "...-musl".
		char *arch = NULL;
		err = read_named_string(source, "etp_arch", &arch);
		if (!err) {
			const char *dash = strrchr(arch, '-');
			if (dash && is_version(dash + 1))
				fprintf(out, "libc=%s\n", dash + 1);
			free(arch);
		} else if (err->kind == ETP_ERROR_NOT_FOUND) {
			etp_error_destroy(err);
			err = NULL;
		}
	}
	if (fclose(out) != 0 && !err)
		err = &etp_error_no_memory;
	if (err) {
		free(text);
		return err;
	}
	*ret = text;
	return NULL;
}

static struct etp_error *read_constants(const struct source *source, struct etp_identity *ret)
{
	struct etp_error *err = read_named_string(source, "etp_otp_release", &ret->otp_release);
	if (!err)
		err = read_named_string(source, "etp_erts_version", &ret->erts_version);
	if (!err && (!is_version(ret->otp_release) || !is_version(ret->erts_version)))
		err = etp_error_create(
			ETP_ERROR_BAD_DATA,
			"etp_otp_release and etp_erts_version do not hold versions.");
	if (err)
		return err;

	int jit = 0;
	err = read_named_int(source, "etp_beamasm", &jit);
	if (err && err->kind == ETP_ERROR_NOT_FOUND) {
		// OTP 23 and older have no JIT, and do not say so.
		etp_error_destroy(err);
		err = NULL;
	}
	ret->flavor = jit ? "jit" : "emu";

	char *config_h = NULL, *compiled = NULL;
	if (!err)
		err = read_config_h(source, &config_h);
	if (!err)
		err = read_compiled_options(source, &compiled);
	if (!err)
		err = etp_build_options_normalize(config_h, compiled, &ret->build_options);
	free(config_h);
	free(compiled);
	return err;
}

static struct etp_error *finish(struct etp_error *err, const struct etp_identity *identity,
                                struct etp_identity *ret)
{
	if (err) {
		struct etp_identity partial = *identity;
		etp_identity_deinit(&partial);
		return err;
	}
	*ret = *identity;
	return NULL;
}

struct etp_error *etp_identity_from_elf(const char *path, struct etp_identity *ret)
{
	struct etp_elf_image *image;
	struct etp_error *err = etp_elf_image_open(path, &image);
	if (err)
		return err;
	struct etp_identity identity = {.machine = etp_elf_image_machine(image)};
	etp_elf_image_build_id(image, &identity.build_id);
	if (!identity.machine)
		err = etp_error_create(
			ETP_ERROR_UNSUPPORTED,
			"%s is neither for x86_64 nor for aarch64; etp knows no other "
			"machine.",
			path);
	else
		err = read_constants(&(struct source){.image = image}, &identity);
	if (err && err->kind == ETP_ERROR_NOT_FOUND) {
		etp_error_destroy(err);
		err = etp_error_create(
			ETP_ERROR_UNSUPPORTED,
			"%s is not a beam.smp: it has no symbol etp_otp_release or "
			"etp_erts_version, which every Erlang emulator exports. (erl and "
			"erlexec are launchers; the emulator is "
			"lib/erlang/erts-VERSION/bin/beam.smp.)",
			path);
	} else if (err && err->kind == ETP_ERROR_FAULT) {
		etp_error_destroy(err);
		err = etp_error_create(
			ETP_ERROR_UNSUPPORTED,
			"%s holds the symbols of a beam.smp but not its bytes: it is a "
			"file of separate debug information. Give the beam.smp that it "
			"belongs to; the debug information is then found by itself.",
			path);
	} else {
		err = etp_error_prefix(err, "%s", path);
	}
	etp_elf_image_close(image);
	return finish(err, &identity, ret);
}

static void describe_executable(FILE *out, const struct etp_target_info *info)
{
	char hex[129];
	for (size_t i = 0; i < info->file_count; i++) {
		const struct etp_mapped_file *file = &info->files[i];
		if (!file->is_executable)
			continue;
		fprintf(out, " The core names %s", file->path);
		if (file->core_build_id.size)
			fprintf(out, " with build-id %s",
			        etp_build_id_format(&file->core_build_id, hex, sizeof(hex)));
		if (!file->used_path)
			fprintf(out, "; there is no such file here");
		fprintf(out, ".");
		return;
	}
}

// Is the executable that is in use the one that dumped core, as far as that can be told?
static bool has_its_executable(const struct etp_target_info *info)
{
	const struct etp_build_id *core = &info->core_build_id, *used = &info->executable_build_id;
	return info->executable_path &&
	       (!core->size ||
	        (core->size == used->size && !memcmp(core->bytes, used->bytes, core->size)));
}

// Why the constants of a target could not be read, for people.
static struct etp_error *explain(struct etp_error *err, const struct etp_target *target)
{
	const struct etp_target_info *info = etp_target_info(target);
	bool missing_symbol = err->kind == ETP_ERROR_NOT_FOUND;
	if (!missing_symbol && err->kind != ETP_ERROR_FAULT)
		return err;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return err;
	enum etp_error_kind kind;
	if (missing_symbol && info->executable_path) {
		kind = ETP_ERROR_UNSUPPORTED;
		fprintf(out,
		        "%s is not a beam.smp: it has no symbol etp_otp_release or "
		        "etp_erts_version, which every Erlang emulator exports.",
		        info->executable_path);
		if (info->command && *info->command)
			fprintf(out, " Its command line is \"%s\".", info->command);
	} else if (has_its_executable(info)) {
		kind = ETP_ERROR_LAYOUT;
		fprintf(out,
		        "The release of this VM cannot be told, because the core lacks the memory "
		        "that "
		        "it stands in: %s The executable in use is %s, which cannot stand in for "
		        "memory that the VM had written to. Of %llu MiB of memory %llu MiB are in "
		        "the "
		        "core. Was it taken with bit 0 (private memory) of "
		        "/proc/PID/coredump_filter "
		        "off, or cut off? 33 is that file's default.",
		        err->message, info->executable_path,
		        (unsigned long long)(info->bytes_total >> 20),
		        (unsigned long long)(info->bytes_saved >> 20));
	} else {
		kind = ETP_ERROR_LAYOUT;
		bool warned = !info->executable_path && info->warning_count;
		fprintf(out, "The release of this VM cannot be told without its beam.smp%s",
		        warned ? "." : ": ");
		// Otherwise warnings say which one it is, and what to do.
		if (!warned) {
			fprintf(out, "%s", err->message);
			describe_executable(out, info);
		}
		if (info->executable_path)
			fprintf(out, " The executable in use is %s.", info->executable_path);
		if (info->command && *info->command)
			fprintf(out, " Its command line is \"%s\".", info->command);
		if (!warned)
			fprintf(out, " Give the beam.smp of the machine that dumped the core "
			             "(lib/erlang/erts-VERSION/bin/beam.smp), or a sysroot that "
			             "holds it.");
	}
	if (fclose(out) == 0) {
		etp_error_destroy(err);
		err = etp_error_create(kind, "%s", text);
	}
	free(text);
	return err;
}

struct etp_error *etp_identity_from_target(const struct etp_target *target,
                                           struct etp_identity *ret)
{
	const struct etp_target_info *info = etp_target_info(target);
	struct etp_identity identity = {.machine = etp_machine_name(info->machine)};
	identity.build_id =
		info->core_build_id.size ? info->core_build_id : info->executable_build_id;
	struct etp_error *err = read_constants(&(struct source){.target = target}, &identity);
	if (err)
		err = explain(err, target);
	return finish(err, &identity, ret);
}

void etp_identity_deinit(struct etp_identity *identity)
{
	free(identity->otp_release);
	free(identity->erts_version);
	free(identity->build_options);
	*identity = (struct etp_identity){0};
}
