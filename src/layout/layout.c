// SPDX-License-Identifier: Apache-2.0
#include "layout/layout_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/dwarf_structs.h"
#include "layout/registry.h"

static const char **string_fields(struct etp_layout *layout, size_t i)
{
	const char **fields[] = {&layout->otp_release,  &layout->erts_version, &layout->flavor,
	                         &layout->machine,      &layout->origin,       &layout->source,
	                         &layout->build_options};
	return i < sizeof(fields) / sizeof(*fields) ? fields[i] : NULL;
}

struct etp_error *etp_layout_create(struct etp_layout_private **ret)
{
	struct etp_layout_private *layout = calloc(1, sizeof(*layout));
	if (!layout)
		return &etp_error_no_memory;
	for (size_t i = 0; i < ETP_MEMBER_COUNT; i++)
		layout->layout.members[i].offset = ETP_LAYOUT_ABSENT;
	for (size_t i = 0; i < ETP_STRUCT_COUNT; i++)
		layout->layout.struct_sizes[i] = ETP_LAYOUT_ABSENT;
	const char **field;
	for (size_t i = 0; (field = string_fields(&layout->layout, i)); i++) {
		struct etp_error *err = etp_layout_set_string(field, "");
		if (err) {
			etp_layout_destroy(&layout->layout);
			return err;
		}
	}
	*ret = layout;
	return NULL;
}

void etp_layout_destroy(struct etp_layout *layout)
{
	if (!layout)
		return;
	const char **field;
	for (size_t i = 0; (field = string_fields(layout, i)); i++)
		free((char *)*field);
	free(etp_layout_private(layout)->also);
	free(etp_layout_private(layout)->globals);
	free(layout);
}

struct etp_error *etp_layout_set_string(const char **field, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return &etp_error_no_memory;
	free((char *)*field);
	*field = copy;
	return NULL;
}

struct etp_error *etp_layout_set_identity(struct etp_layout_private *layout,
                                          const struct etp_identity *identity)
{
	struct etp_layout *l = &layout->layout;
	struct etp_error *err = etp_layout_set_string(&l->otp_release, identity->otp_release);
	if (!err)
		err = etp_layout_set_string(&l->erts_version, identity->erts_version);
	if (!err)
		err = etp_layout_set_string(&l->flavor, identity->flavor);
	if (!err)
		err = etp_layout_set_string(&l->machine, identity->machine);
	if (!err)
		err = etp_layout_set_string(&l->build_options, identity->build_options);
	l->build_id = identity->build_id;
	return err;
}

static bool build_id_equal(const struct etp_build_id *a, const struct etp_build_id *b)
{
	return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

bool etp_layout_has_build_id(const struct etp_layout *layout, const struct etp_build_id *id)
{
	if (!id->size)
		return false;
	if (build_id_equal(&layout->build_id, id))
		return true;
	const struct etp_layout_private *private = etp_layout_private(layout);
	for (size_t i = 0; i < private->also_count; i++)
		if (build_id_equal(&private->also[i], id))
			return true;
	return false;
}

struct etp_error *etp_layout_add_build_id(struct etp_layout_private *layout,
                                          const struct etp_build_id *id)
{
	if (!id->size || etp_layout_has_build_id(&layout->layout, id))
		return NULL;
	struct etp_build_id *grown =
		reallocarray(layout->also, layout->also_count + 1, sizeof(*grown));
	if (!grown)
		return &etp_error_no_memory;
	layout->also = grown;
	layout->also[layout->also_count++] = *id;
	return NULL;
}

struct etp_error *etp_layout_add_globals(struct etp_layout_private *layout,
                                         const struct etp_globals *globals)
{
	struct etp_globals *grown =
		reallocarray(layout->globals, layout->globals_count + 1, sizeof(*grown));
	if (!grown)
		return &etp_error_no_memory;
	layout->globals = grown;
	layout->globals[layout->globals_count++] = *globals;
	return NULL;
}

const struct etp_globals *etp_layout_globals(const struct etp_layout *layout,
                                             const struct etp_build_id *id)
{
	const struct etp_layout_private *private = etp_layout_private(layout);
	for (size_t i = 0; id->size && i < private->globals_count; i++)
		if (build_id_equal(&private->globals[i].build_id, id))
			return &private->globals[i];
	return NULL;
}

struct etp_error *etp_layout_from_dwarf_as(const char *path, const struct etp_identity *identity,
                                           struct etp_layout **ret)
{
	struct etp_layout_private *layout;
	struct etp_error *err = etp_layout_create(&layout);
	if (err)
		return err;
	err = etp_layout_set_identity(layout, identity);
	if (!err)
		err = etp_dwarf_structs(path, &etp_registry, layout->layout.members,
		                        layout->layout.struct_sizes);
	char *source = NULL;
	if (!err && asprintf(&source, "DWARF of %s", path) < 0) {
		source = NULL;
		err = &etp_error_no_memory;
	}
	if (!err)
		err = etp_layout_set_string(&layout->layout.source, source);
	if (!err)
		err = etp_layout_set_string(&layout->layout.origin, path);
	free(source);
	if (err) {
		etp_layout_destroy(&layout->layout);
		return err;
	}
	*ret = &layout->layout;
	return NULL;
}

struct etp_error *etp_layout_from_dwarf(const char *path, struct etp_layout **ret)
{
	struct etp_identity identity;
	struct etp_error *err = etp_identity_from_elf(path, &identity);
	if (err)
		return err;
	err = etp_layout_from_dwarf_as(path, &identity, ret);
	etp_identity_deinit(&identity);
	return err;
}

bool etp_layout_equal(const struct etp_layout *a, const struct etp_layout *b, char *difference,
                      size_t difference_size)
{
	char none[1];
	if (!difference) {
		difference = none;
		difference_size = sizeof(none);
	}
	for (unsigned int i = 0; i < ETP_STRUCT_COUNT; i++) {
		if (a->struct_sizes[i] == b->struct_sizes[i])
			continue;
		if (a->struct_sizes[i] == ETP_LAYOUT_ABSENT ||
		    b->struct_sizes[i] == ETP_LAYOUT_ABSENT)
			snprintf(difference, difference_size, "%s is only in the %s of the two",
			         etp_struct_name(i),
			         a->struct_sizes[i] == ETP_LAYOUT_ABSENT ? "second" : "first");
		else
			snprintf(difference, difference_size,
			         "%s has %u bytes in the first and %u in the second",
			         etp_struct_name(i), a->struct_sizes[i], b->struct_sizes[i]);
		return false;
	}
	for (unsigned int i = 0; i < ETP_MEMBER_COUNT; i++) {
		const struct etp_layout_member *x = &a->members[i], *y = &b->members[i];
		if (x->offset == y->offset && (x->offset == ETP_LAYOUT_ABSENT ||
		                               (x->size == y->size && x->count == y->count)))
			continue;
		if (x->offset == ETP_LAYOUT_ABSENT || y->offset == ETP_LAYOUT_ABSENT)
			snprintf(difference, difference_size, "%s is only in the %s of the two",
			         etp_member_name(i),
			         x->offset == ETP_LAYOUT_ABSENT ? "second" : "first");
		else
			snprintf(difference, difference_size,
			         "%s is [offset %u, size %u, count %u] in the first and "
			         "[offset %u, size %u, count %u] in the second",
			         etp_member_name(i), x->offset, x->size, x->count, y->offset,
			         y->size, y->count);
		return false;
	}
	return true;
}
