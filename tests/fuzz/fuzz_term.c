// SPDX-License-Identifier: Apache-2.0
// The input is memory with terms in it, of which the first words are looked at. Pointers that
// lead nowhere are made to lead into it.

#include <stdlib.h>
#include <string.h>

#include <etp/heap.h>
#include <etp/measure.h>
#include <etp/path.h>

#include "fuzz/image.h"
#include "term/compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOTS = 3 };

static void lead_inside(struct etp_reader *reader, uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t tag = words[i] & 7, address = words[i] & ~UINT64_C(7);
		bool is_pointer = (tag & 3) == 1 || (tag & 3) == 2;
		if (is_pointer && !etp_reader_at(reader, address, 8))
			words[i] = IMAGE_SCRATCH + address / 8 % count * 8 + tag;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	size_t count = size / 8;
	if (count < ROOTS || count > IMAGE_SCRATCH_MAX / 8)
		return 0;
	uint64_t *words = malloc(count * 8);
	memcpy(words, data, count * 8);
	struct etp_reader reader;
	image_scratch(words, 0);
	etp_reader_init(&reader, image->target);
	lead_inside(&reader, words, count);
	image_scratch(words, count * 8);
	const struct etp_path_words area = {IMAGE_SCRATCH, count};
	for (size_t i = 0; i < ROOTS; i++) {
		bool equal;
		struct etp_measure measure;
		struct etp_paths paths;
		const struct etp_path_options options = {.target = IMAGE_SCRATCH + count / 2 * 8,
		                                         .max_paths = 5,
		                                         .max_things = 100000};
		etp_reader_init(&reader, image->target);
		image_look_at(&reader, words[i]);
		image_forgive(etp_term_equal(image->vm, &reader, words[i], &reader,
		                             words[(i + 1) % ROOTS], &equal));
		image_forgive(
			etp_measure_in_words(image->vm, &reader, &area, 1, words[i], &measure));
		struct etp_error *err = etp_paths_in_words(image->vm, &reader, words[i], &area, 1,
		                                           &options, &paths);
		if (!err)
			etp_paths_deinit(&paths);
		image_forgive(err);
	}
	struct etp_heap_iter iter;
	struct etp_heap_thing thing;
	etp_heap_iter_init(&iter, image->vm, &reader, IMAGE_SCRATCH, IMAGE_SCRATCH + count * 8);
	while (etp_heap_iter_next(&iter, &thing))
		;
	free(words);
	return 0;
}
