// SPDX-License-Identifier: Apache-2.0
//
// Atoms of the external format: an index, a reference to a table, or a name.

#include "term/external_private.h"

enum {
	// MAX_ATOM_CHARACTERS, atom.h; each is at most four bytes of UTF-8.
	ATOM_CHARACTERS_MAX = 255,
	ATOM_BYTES_MAX = 4 * ATOM_CHARACTERS_MAX,
};

static size_t name_slot(const char *name, size_t size)
{
	uint32_t hash = 2166136261U;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	return hash % ETP_EXTERNAL_NAMES;
}

uint64_t etp_external_atom(struct etp_external *external, struct etp_reader *reader,
                           const char *name, size_t size)
{
	uint64_t *known = &external->names[name_slot(name, size)];
	size_t known_size;
	const char *text =
		*known ? etp_vm_atom(external->vm, reader, *known - 1, &known_size) : NULL;
	if (text && known_size == size && !memcmp(text, name, size))
		return *known - 1;
	uint64_t index;
	struct etp_error *err = etp_vm_find_atom(external->vm, name, size, &index);
	if (err) {
		etp_error_destroy(err);
		return UINT64_MAX;
	}
	*known = index + 1;
	return index;
}

static bool take_index(struct decoder *d, unsigned size, uint64_t *index_ret)
{
	if (!take_number(d, size, index_ret))
		return false;
	if (*index_ret >= d->vm->atoms.count)
		return fail(d, "external format with an atom beyond the atom table");
	return true;
}

static bool take_cached(struct decoder *d, uint64_t *index_ret)
{
	uint64_t number;
	if (!take_number(d, 1, &number))
		return false;
	if (number >= d->source->atom_count)
		return fail(d, "external format with an atom that its table does not have");
	etp_term atom = etp_word_at(d->source->atoms, number);
	if (!term_is_atom(atom) || term_atom_index(atom) >= d->vm->atoms.count)
		return fail(d, "external format whose table of atoms has something else in it");
	*index_ret = term_atom_index(atom);
	return true;
}

// The VM makes an atom of a name that it has not; here there is none to show.
static bool take_name(struct decoder *d, unsigned size_bytes, bool is_latin1, uint64_t *index_ret)
{
	uint64_t size;
	const unsigned char *bytes;
	if (!take_number(d, size_bytes, &size) || !take_bytes(d, size, &bytes))
		return false;
	if (size > (is_latin1 ? ATOM_CHARACTERS_MAX : ATOM_BYTES_MAX))
		return fail(d, "external format with an atom that is too long");
	char name[ATOM_BYTES_MAX];
	size_t used = 0;
	for (uint64_t i = 0; i < size; i++) {
		if (is_latin1 && bytes[i] >= 0x80) {
			name[used++] = (char)(0xc0 | bytes[i] >> 6);
			name[used++] = (char)(0x80 | (bytes[i] & 0x3f));
		} else {
			name[used++] = (char)bytes[i];
		}
	}
	*index_ret = etp_external_atom(d->external, d->reader, name, used);
	if (*index_ret == UINT64_MAX)
		return fail(d, "external format with an atom that this VM does not have yet");
	return true;
}

bool etp_take_atom(struct decoder *d, uint64_t *index_ret)
{
	static const char *const no_atom =
		"external format with something else where an atom must be";
	uint64_t tag;
	if (!take_number(d, 1, &tag))
		return false;
	if (!d->source->is_remote) {
		if (tag != ATOM_INTERNAL_REF2 && tag != ATOM_INTERNAL_REF3)
			return fail(d, no_atom);
		return take_index(d, tag == ATOM_INTERNAL_REF2 ? 2 : 3, index_ret);
	}
	switch (tag) {
	case ATOM_CACHE_REF:
		return take_cached(d, index_ret);
	case ATOM_EXT:
		return take_name(d, 2, true, index_ret);
	case SMALL_ATOM_EXT:
		return take_name(d, 1, true, index_ret);
	case ATOM_UTF8_EXT:
		return take_name(d, 2, false, index_ret);
	case SMALL_ATOM_UTF8_EXT:
		return take_name(d, 1, false, index_ret);
	default:
		return fail(d, no_atom);
	}
}
