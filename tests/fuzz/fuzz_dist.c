// SPDX-License-Identifier: Apache-2.0
// The input is memory with signals from another node that were not decoded yet: the first
// ErtsMessage of a queue, and whatever its words lead to.

#include <etp/dist_external.h>
#include <etp/process.h>
#include <etp/signal_queue.h>

#include "fuzz/image.h"
#include "term/dist_expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	// Of those in the input; those of a real process follow.
	SIGNALS_MAX = 16,
	// Of one signal, which may all have the same bytes.
	FRAGMENTS_LOOKED_AT = 64,
};

static void look_at_fragments(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address)
{
	struct etp_dist_external external;
	struct etp_dist_fragment fragment;
	if (!etp_dist_external_read(vm, reader, address, &external))
		return;
	uint64_t sum = 0, i = 0;
	for (; i < external.fragment_count && i < FRAGMENTS_LOOKED_AT; i++) {
		if (!etp_dist_external_fragment(vm, reader, &external, i, &fragment) ||
		    fragment.end < fragment.start)
			__builtin_trap();
		sum += fragment.end - fragment.start;
	}
	if (sum > external.bytes || (i == external.fragment_count && sum != external.bytes))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	if (size > IMAGE_SCRATCH_MAX)
		return 0;
	const struct etp_vm *vm = image->vm;
	const uint64_t *processes;
	const etp_term *pids;
	if (!etp_vm_processes(vm, &processes, &pids))
		return 0;
	struct etp_reader reader, own;
	struct etp_row_words words;
	struct etp_signal_iter iter;
	struct etp_signal signal;
	image_scratch(data, size);
	etp_row_words_init(&words);
	etp_reader_init(&reader, image->target);
	etp_signal_iter_init(&iter, vm, &reader, processes[0]);
	iter.node = IMAGE_SCRATCH;
	for (unsigned i = 0; i < SIGNALS_MAX && etp_signal_iter_next(&iter, &signal); i++) {
		etp_term term;
		const char *reason;
		etp_signal_name(&signal);
		image_look_at(&reader, signal.term);
		image_look_at(&reader, signal.from);
		if (!signal.external)
			continue;
		look_at_fragments(vm, &reader, signal.external);
		etp_reader_init(&own, image->target);
		if (etp_dist_expand(vm, &own, signal.external, &words, &term, &reason))
			image_look_at(&own, term);
	}
	etp_row_words_deinit(&words);
	return 0;
}
