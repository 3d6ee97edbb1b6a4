// SPDX-License-Identifier: Apache-2.0
// The input is the position of the key and a DbTerm of a compressed table.

#include "fuzz/image.h"
#include "term/row_expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	if (size < 1 || size > IMAGE_SCRATCH_MAX)
		return 0;
	struct etp_row_words row;
	struct etp_reader reader;
	etp_term tuple;
	const char *reason;
	image_scratch(data + 1, size - 1);
	etp_reader_init(&reader, image->target);
	etp_row_words_init(&row);
	if (etp_row_expand(image->vm, &reader, IMAGE_SCRATCH, data[0], &row, &tuple, &reason))
		image_look_at(&reader, tuple);
	etp_row_words_deinit(&row);
	return 0;
}
