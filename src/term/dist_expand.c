// SPDX-License-Identifier: Apache-2.0
#include "term/dist_expand.h"

#include <stdlib.h>
#include <string.h>

#include <etp/dist_external.h>

#include "vm/vm.h"

enum {
	// external.h: what a term starts with where no header has said so already.
	VERSION_MAGIC = 131,
	BYTES_MAX = 1 << 30,
};

// The bytes of all fragments in a row: a pointer into the target if there is one only,
// else a buffer that is the caller's.
static const char *gather(const struct etp_vm *vm, struct etp_reader *reader,
                          const struct etp_dist_external *external,
                          struct etp_external_bytes *bytes, unsigned char **buffer_ret)
{
	static const char *const missing =
		"fragments of it have not come, or are not in the target";
	struct etp_dist_fragment fragment;
	if (external->bytes > BYTES_MAX)
		return "more than 1 GiB";
	bytes->size = external->bytes;
	if (external->fragment_count == 1) {
		if (!etp_dist_external_fragment(vm, reader, external, 0, &fragment))
			return missing;
		bytes->bytes = etp_reader_at(reader, fragment.start, bytes->size);
		bytes->address = fragment.start;
		bytes->binary = fragment.binary;
		return bytes->bytes ? NULL : missing;
	}
	unsigned char *buffer = malloc(bytes->size + 1);
	if (!buffer)
		return "out of memory";
	*buffer_ret = buffer;
	bytes->bytes = buffer;
	for (uint64_t i = 0; i < external->fragment_count; i++) {
		if (!etp_dist_external_fragment(vm, reader, external, i, &fragment))
			return missing;
		uint64_t size = fragment.end - fragment.start;
		const void *part = etp_reader_at(reader, fragment.start, size);
		if (!size || !part)
			return missing;
		memcpy(buffer, part, size);
		buffer += size;
	}
	return NULL;
}

static const char *skip_version(struct etp_external_bytes *bytes)
{
	if (!bytes->size || *bytes->bytes != VERSION_MAGIC)
		return "external format without a version";
	bytes->bytes++;
	bytes->size--;
	if (bytes->address)
		bytes->address++;
	return NULL;
}

static const char *expand(struct etp_reader *reader, const struct etp_vm *vm, uint64_t address,
                          struct etp_row_words *row, unsigned char **buffer_ret)
{
	struct etp_dist_external external;
	struct etp_external_bytes bytes = {.is_remote = true};
	if (!etp_dist_external_read(vm, reader, address, &external))
		return "its ErtsDistExternal cannot be read";
	bytes.atom_count = external.atom_count;
	bytes.atoms = etp_reader_at(reader, external.atoms, external.atom_count * sizeof(uint64_t));
	if (external.atom_count && !bytes.atoms)
		return "its table of atoms cannot be read";
	const char *reason = gather(vm, reader, &external, &bytes, buffer_ret);
	if (!reason && !external.has_header)
		reason = skip_version(&bytes);
	size_t slot, last;
	uint64_t size;
	if (!reason)
		reason = etp_words_take(&row->words, 1, &slot);
	row->words.heap_used = 0;
	row->words.heap_limit = ETP_WORDS_MAX;
	if (!reason)
		reason = etp_external_decode(&row->external, reader, &bytes, &row->words, slot,
		                             &size);
	// As for rows: a word behind all things.
	return reason ? reason : etp_words_take(&row->words, 1, &last);
}

bool etp_dist_expand(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                     struct etp_row_words *row, etp_term *term_ret, const char **reason_ret)
{
	memset(&reader->overlay, 0, sizeof(reader->overlay));
	row->words.used = 0;
	const char *reason = NULL;
	unsigned char *buffer = NULL;
	if (row->external.vm != vm)
		reason = etp_external_init(&row->external, vm);
	if (!reason)
		reason = expand(reader, vm, address, row, &buffer);
	free(buffer);
	if (reason) {
		*reason_ret = reason;
		return false;
	}
	reader->overlay = (struct etp_segment){
		.start = ETP_WORDS_BASE,
		.size = row->words.used * UINT64_C(8),
		.bytes = (const unsigned char *)row->words.words,
	};
	*term_ret = row->words.words[0];
	return true;
}
