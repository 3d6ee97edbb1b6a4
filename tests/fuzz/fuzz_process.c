// SPDX-License-Identifier: Apache-2.0
// Processes whose memory was damaged: all walks but the census.

#include <stdlib.h>

#include <etp/census.h>
#include <etp/heap.h>
#include <etp/links.h>
#include <etp/message_shapes.h>
#include <etp/process.h>
#include <etp/signal_queue.h>
#include <etp/stack.h>

#include "fuzz/image.h"
#include "term/dist_expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	// What is looked at of each process; the walks themselves go to their ends.
	TERMS = 2,
	PROCESSES = 30,
	// Larger heaps take too long to walk for each input.
	HEAP_BYTES = 1 << 16,
};

struct walk {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	uint64_t process;
	struct etp_row_words *words;
};

static void walk_messages(const struct walk *w)
{
	struct etp_signal_iter iter;
	struct etp_signal signal;
	etp_signal_iter_init(&iter, w->vm, w->reader, w->process);
	for (unsigned i = 0; etp_signal_iter_next(&iter, &signal); i++) {
		etp_signal_name(&signal);
		if (i >= TERMS)
			continue;
		image_look_at(w->reader, signal.term);
		image_look_at(w->reader, signal.from);
		struct etp_reader own;
		etp_term term;
		const char *reason;
		etp_reader_init(&own, etp_vm_target(w->vm));
		if (signal.external &&
		    etp_dist_expand(w->vm, &own, signal.external, w->words, &term, &reason))
			image_look_at(&own, term);
	}
	struct etp_message_shapes shapes;
	struct etp_error *err = etp_message_shapes_init(&shapes, w->vm, w->reader, w->process);
	image_forgive(err);
	if (err)
		return;
	for (size_t i = 0; i < shapes.count; i++) {
		struct etp_print_options options;
		struct etp_string text = {0};
		etp_print_options_init(&options, ETP_SYNTAX_ELIXIR);
		image_forgive(etp_message_shape_print(w->vm, w->reader, &shapes.shapes[i], &options,
		                                      &text));
		etp_string_deinit(&text);
	}
	etp_message_shapes_deinit(&shapes);
}

static void walk_stack(const struct walk *w)
{
	struct etp_stack stack;
	struct etp_error *err = etp_stack_find(w->vm, w->reader, w->process, &stack);
	image_forgive(err);
	if (err)
		return;
	struct etp_stack_iter iter;
	struct etp_stack_slot slot;
	struct etp_code_location frames[20];
	bool more;
	etp_stack_iter_init(&iter, w->vm, w->reader, &stack);
	for (unsigned i = 0; etp_stack_iter_next(&iter, &slot); i++) {
		if (i < TERMS)
			image_look_at(w->reader, slot.word);
	}
	etp_stack_current(w->vm, w->reader, &stack, true, &frames[0]);
	etp_stack_trace(w->vm, w->reader, &stack, 20, frames, &more);
}

static void walk_heap(const struct walk *w)
{
	struct etp_heap_area areas[8];
	const char *problem;
	size_t count = etp_heap_areas(w->vm, w->reader, w->process, areas, 8, &problem);
	for (size_t i = 0; i < count && i < 8; i++) {
		struct etp_heap_iter iter;
		struct etp_heap_thing thing;
		uint64_t end = areas[i].top;
		if (end - areas[i].start > HEAP_BYTES)
			end = areas[i].start + HEAP_BYTES;
		etp_heap_iter_init(&iter, w->vm, w->reader, areas[i].start, end);
		for (unsigned j = 0; etp_heap_iter_next(&iter, &thing); j++) {
			if (j < TERMS)
				image_look_at(w->reader, thing.term);
		}
		struct etp_off_heap_iter chain;
		etp_term term;
		etp_off_heap_iter_init(&chain, w->vm, w->reader, areas[i].off_heap);
		while (etp_off_heap_iter_next(&chain, &term))
			;
	}
	struct etp_process_binary *binaries;
	struct etp_error *err =
		etp_process_binaries(w->vm, w->process, &binaries, &count, &problem);
	if (!err)
		free(binaries);
	image_forgive(err);
}

static void walk_links(const struct walk *w)
{
	struct etp_link_iter links;
	struct etp_link link;
	etp_link_iter_init(&links, w->vm, w->reader, w->process);
	while (etp_link_iter_next(&links, &link))
		;
	struct etp_monitor_iter monitors;
	struct etp_monitor monitor;
	etp_monitor_iter_init(&monitors, w->vm, w->reader, w->process);
	while (etp_monitor_iter_next(&monitors, &monitor))
		;
}

static void walk_process(const struct walk *w)
{
	struct etp_process_info info;
	struct etp_process_summary summary;
	enum etp_scheduler_kind kind;
	uint64_t number;
	struct etp_error *err = etp_process_info(w->vm, w->reader, w->process, &info);
	image_forgive(err);
	if (!err) {
		struct etp_dictionary_iter iter;
		etp_term key, value;
		etp_dictionary_iter_init(&iter, w->vm, w->reader, info.dictionary);
		for (unsigned i = 0; etp_dictionary_iter_next(&iter, &key, &value); i++) {
			if (i < TERMS)
				image_look_at(w->reader, value);
		}
	}
	image_forgive(etp_vm_process_summary(w->vm, w->reader, w->process, &summary));
	etp_process_scheduler(w->vm, w->reader, w->process, &kind, &number);
	walk_messages(w);
	walk_stack(w);
	walk_heap(w);
	walk_links(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image *image = image_get();
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(image->vm, &addresses, &pids);
	struct etp_row_words words;
	etp_row_words_init(&words);
	image_damage(data, size);
	for (size_t i = 0; i < count; i += 1 + count / PROCESSES) {
		struct etp_reader reader;
		etp_reader_init(&reader, image->target);
		walk_process(&(struct walk){image->vm, &reader, addresses[i], &words});
	}
	image_repair();
	etp_row_words_deinit(&words);
	return 0;
}
