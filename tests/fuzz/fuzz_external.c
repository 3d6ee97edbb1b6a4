// SPDX-License-Identifier: Apache-2.0
// The input is what another node sends: external terms, some atoms of which are references to
// a table.

#include "fuzz/image.h"
#include "term/external.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ATOMS = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	if (size < 2 || size > IMAGE_SCRATCH_MAX)
		return 0;
	static struct etp_external external;
	struct etp_words words = {.heap_limit = 1 << 20};
	struct etp_reader reader;
	uint64_t atoms[ATOMS], used;
	for (uint64_t i = 0; i < ATOMS; i++)
		atoms[i] = term_make_atom(i * 7);
	image_scratch(data + 1, size - 1);
	etp_reader_init(&reader, image->target);
	if (!external.vm && etp_external_init(&external, image->vm))
		return 0;
	const struct etp_external_bytes bytes = {
		.bytes = data + 1,
		.size = size - 1,
		// The dialect of compressed rows, too.
		.is_remote = data[0] & 1,
		.atoms = atoms,
		.atom_count = data[0] & 2 ? ATOMS : 0,
		.address = data[0] & 4 ? 0 : IMAGE_SCRATCH,
		.binary = data[0] & 4 ? 0 : IMAGE_SCRATCH,
	};
	size_t slot;
	if (!etp_words_take(&words, 1, &slot) &&
	    !etp_external_decode(&external, &reader, &bytes, &words, slot, &used)) {
		reader.overlay = (struct etp_segment){ETP_WORDS_BASE, words.used * 8,
		                                      (const unsigned char *)words.words};
		image_look_at(&reader, words.words[slot]);
	}
	__builtin_free(words.words);
	return 0;
}
