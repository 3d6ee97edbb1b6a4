// SPDX-License-Identifier: Apache-2.0
// What looks at all processes and tables, in damaged memory: the census, large collections, the
// histogram, paths, who waits for whom, the longest mailboxes.

#include <etp/accumulators.h>
#include <etp/census.h>
#include <etp/histogram.h>
#include <etp/mailboxes.h>
#include <etp/path.h>
#include <etp/waits.h>

#include "fuzz/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_holders(const struct etp_vm *vm, const struct etp_census *census)
{
	size_t count = etp_census_binary_count(census);
	for (size_t i = 0; i < count; i += 1 + count / 20) {
		struct etp_ets_scan_binary binary;
		struct etp_census_holder holders[4];
		etp_census_binary(census, i, &binary);
		struct etp_error *err = etp_census_holders(census, i, holders, 4);
		image_forgive(err);
		if (err || !etp_census_holder_count(census, i) ||
		    holders[0].kind != ETP_HOLDER_PROCESS)
			continue;
		const struct etp_path_options options = {.target = binary.address,
		                                         .max_things = 10000};
		struct etp_paths paths;
		err = etp_paths_in_process(vm, holders[0].address, &options, &paths);
		if (!err)
			etp_paths_deinit(&paths);
		image_forgive(err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	image_damage(data, size);
	const struct etp_census_options options = {.threads = 1};
	struct etp_census *census;
	struct etp_error *err = etp_census_take(image->vm, &options, &census);
	if (!err) {
		look_at_holders(image->vm, census);
		etp_census_destroy(census);
	}
	image_forgive(err);
	const struct etp_accumulator_options large = {.min_count = 20, .min_bytes = 100};
	struct etp_accumulators accumulators;
	err = etp_accumulators_find(image->vm, &large, &accumulators);
	image_forgive(err);
	const struct etp_histogram_options all = {0};
	struct etp_histogram histogram;
	err = etp_histogram_make(image->vm, &all, &histogram);
	if (!err)
		etp_histogram_deinit(&histogram);
	image_forgive(err);
	struct etp_waits waits;
	err = etp_waits_init(&waits, image->vm, NULL, 0);
	if (!err)
		etp_waits_deinit(&waits);
	image_forgive(err);
	struct etp_mailboxes boxes;
	err = etp_mailboxes_init(&boxes, image->vm, 5);
	if (!err)
		etp_mailboxes_deinit(&boxes);
	image_forgive(err);
	image_repair();
	return 0;
}
