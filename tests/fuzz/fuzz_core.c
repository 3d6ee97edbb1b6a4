// SPDX-License-Identifier: Apache-2.0
// The input is a core file.

#include <stdlib.h>

#include <etp/target.h>

#include "fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_around(const struct etp_target *target, uint64_t address)
{
	static const uint64_t sizes[] = {0, 1, 8, 4096, 1 << 20};
	static unsigned char buffer[1 << 20];
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const unsigned char *bytes = etp_reader_at(&reader, address - 4, sizes[i]);
		if (bytes && sizes[i])
			buffer[0] = bytes[0] ^ bytes[sizes[i] - 1];
		image_forgive(etp_target_read(target, address - 4, buffer, sizes[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32], build_id[129];
	image_file(data, size, path);
	// No file that the core names is looked for outside of a directory that has none.
	const struct etp_core_options options = {.core = path, .sysroot = "/proc/self/fdinfo"};
	struct etp_target *target;
	struct etp_error *err = etp_target_open_core(&options, &target);
	if (err) {
		image_forgive(err);
		return 0;
	}
	const struct etp_target_info *info = etp_target_info(target);
	uint64_t sum = info->bytes_saved + info->bytes_from_files + info->bytes_missing +
	               info->bytes_reserved;
	if (sum != info->bytes_total)
		abort();
	for (size_t i = 0; i < info->file_count; i++) {
		const struct etp_mapped_file *file = &info->files[i];
		etp_build_id_format(&file->core_build_id, build_id, sizeof(build_id));
		read_around(target, file->start);
		read_around(target, file->end);
		etp_target_symbol_at(target, file->start, NULL);
	}
	struct etp_segment segment = {0};
	for (unsigned i = 0; i < 100; i++) {
		uint64_t end = segment.start + segment.size;
		if (!etp_target_next_segment(target, end, &segment))
			break;
		// In order, and without overlap.
		if (segment.start < end || segment.start + (segment.size - 1) < segment.start)
			abort();
		read_around(target, segment.start);
		read_around(target, segment.start + segment.size);
	}
	etp_target_destroy(target);
	return 0;
}
