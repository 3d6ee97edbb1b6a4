// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_H
#define ETP_LAYOUT_H

/**
 * @file
 * A layout: where the members of ERTS's structs are in one build of beam.smp.
 *
 * No offset of a struct of the VM stands in the code. The registry
 * (etp/members.def) names every `Struct.member` that the library uses; a layout
 * gives offset and size of each. It is taken from the DWARF of a beam.smp when
 * there is one, otherwise from a layout file (see plugin/etp/layouts/README) that was
 * once written from DWARF by the same code.
 *
 * Thread safety: a layout is read-only once created.
 */

#include <stdbool.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/target.h>

/** One id a struct of the registry: ETP_STRUCT_process ... */
enum etp_struct_id {
#define ETP_STRUCT(id, names) ETP_STRUCT_##id,
#define ETP_MEMBER(id, member, path, need)
#include <etp/members.def>
#undef ETP_STRUCT
#undef ETP_MEMBER
	ETP_STRUCT_COUNT
};

/** One id a member of the registry: ETP_MEMBER_process_htop ... */
enum etp_member_id {
#define ETP_STRUCT(id, names)
#define ETP_MEMBER(id, member, path, need) ETP_MEMBER_##id##_##member,
#include <etp/members.def>
#undef ETP_STRUCT
#undef ETP_MEMBER
	ETP_MEMBER_COUNT
};

/** Offset of a member (or size of a struct) that this build does not have. */
#define ETP_LAYOUT_ABSENT UINT32_MAX

struct etp_layout_member {
	/** Bytes from the start of the struct, or ETP_LAYOUT_ABSENT. */
	uint32_t offset;
	/** Size of the member in bytes (of one element, if it is an array). */
	uint32_t size;
	/** Number of elements of an array, 1 for a plain member, 0 for `[]`. */
	uint32_t count;
};

struct etp_layout {
	struct etp_layout_member members[ETP_MEMBER_COUNT];
	/** Bytes, or ETP_LAYOUT_ABSENT. */
	uint32_t struct_sizes[ETP_STRUCT_COUNT];
	/** "25"; "13.1.5"; "jit" or "emu"; "x86_64". Never NULL. */
	const char *otp_release, *erts_version, *flavor, *machine;
	/** What the layout was made from, e.g. a Debian package and version. */
	const char *origin;
	/** Where it came from in this session: a path and "DWARF of" or "layout file". */
	const char *source;
	/** Build options that change structs, as sorted "NAME=VALUE" lines: macros
	 *  of ERTS's config.h, and what the compiler's command line decided
	 *  (etp_lock_count=0, libc=gnu). */
	const char *build_options;
	struct etp_build_id build_id;
};

/** Is this member part of this build? */
static inline bool etp_layout_has(const struct etp_layout *layout, enum etp_member_id id)
{
	return layout->members[id].offset != ETP_LAYOUT_ABSENT;
}

/** "Struct.member" as the registry spells it, for messages. */
ETP_EXPORT const char *etp_member_name(enum etp_member_id id);
/** Name of the struct in ERTS. */
ETP_EXPORT const char *etp_struct_name(enum etp_struct_id id);

/** Take a layout from the DWARF in an ELF file (or in separate debug information
 *  that libdwfl finds for it). Errors: LAYOUT (no DWARF; a required member is
 *  missing, named), UNSUPPORTED (not a beam.smp), OS. */
ETP_EXPORT struct etp_error *etp_layout_from_dwarf(const char *path, struct etp_layout **ret);

/** Read a layout file. Errors: OS, BAD_DATA with line or key. */
ETP_EXPORT struct etp_error *etp_layout_from_file(const char *path, struct etp_layout **ret);

/** Write a layout file, atomically. `origin` is free text or NULL. */
ETP_EXPORT struct etp_error *etp_layout_write(const struct etp_layout *layout, const char *origin,
                                              const char *path);

ETP_EXPORT void etp_layout_destroy(struct etp_layout *layout);

struct etp_layout_options {
	/** Use this layout file and no other, or NULL. */
	const char *file;
	/** Directories of layout files, searched in order; NULL-terminated. The
	 *  user's own ($XDG_CONFIG_HOME/etp/layouts) are searched before them. */
	const char *const *directories;
	/** Never look at DWARF, even where it is to be had (for tests). */
	bool no_dwarf;
};

/** Choose the layout for a target: DWARF of its executable, else a layout file of
 *  the same build-id, else of the same ERTS version, machine, flavor and build
 *  options. Globals that the executable has no symbols for become symbols of the
 *  target, if a layout file knows where they are. Error: LAYOUT, with what was sought, every place
 * looked at, and how to make a layout file. */
ETP_EXPORT struct etp_error *etp_layout_choose(struct etp_target *target,
                                               const struct etp_layout_options *options,
                                               struct etp_layout **ret);

/** Do the layouts agree in every member and struct size of the registry? On a
 *  difference returns false and names the first in `difference` (may be NULL). */
ETP_EXPORT bool etp_layout_equal(const struct etp_layout *a, const struct etp_layout *b,
                                 char *difference, size_t difference_size);

#endif
