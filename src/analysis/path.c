// SPDX-License-Identifier: Apache-2.0
#include <etp/path.h>

#include <stdlib.h>

#include "analysis/path_walk.h"

const char *etp_path_root_name(enum etp_path_root root)
{
	static const char *const names[] = {
		[ETP_PATH_STACK] = "stack",
		[ETP_PATH_REGISTER] = "register",
		[ETP_PATH_DICTIONARY] = "dictionary",
		[ETP_PATH_MESSAGE] = "message",
		[ETP_PATH_MESSAGE_IN_TRANSIT] = "message_in_transit",
		[ETP_PATH_SIGNAL] = "signal",
		[ETP_PATH_MONITOR_TAG] = "monitor_tag",
		[ETP_PATH_TRACER] = "tracer",
		[ETP_PATH_SYSTEM_TASK] = "system_task",
		[ETP_PATH_SAVED_ARGUMENT] = "saved_argument",
		[ETP_PATH_GROUP_LEADER] = "group_leader",
		[ETP_PATH_FVALUE] = "fvalue",
		[ETP_PATH_FTRACE] = "ftrace",
		[ETP_PATH_SEQ_TRACE_TOKEN] = "seq_trace_token",
		[ETP_PATH_PARENT] = "parent",
		[ETP_PATH_RECEIVE_MARKER] = "receive_marker",
		[ETP_PATH_OUTPUT_QUEUE] = "output_queue",
		[ETP_PATH_WAITING_COMMAND] = "waiting_command",
		[ETP_PATH_PORT_DATA] = "port_data",
		[ETP_PATH_INPUT_BUFFER] = "input_buffer",
		[ETP_PATH_TERM] = "term",
	};
	return names[root];
}

const char *etp_path_step_name(enum etp_path_step_kind kind)
{
	static const char *const names[] = {
		[ETP_PATH_ELEMENT] = "element",   [ETP_PATH_LIST_ELEMENT] = "list",
		[ETP_PATH_TAIL] = "tail",         [ETP_PATH_VALUE] = "value",
		[ETP_PATH_KEY] = "key",           [ETP_PATH_ENVIRONMENT] = "environment",
		[ETP_PATH_ORIGINAL] = "original", [ETP_PATH_EXTERNAL_FORMAT] = "external_format",
		[ETP_PATH_FURTHER] = "further",
	};
	return names[kind];
}

void etp_paths_deinit(struct etp_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		free(paths->paths[i].steps);
	free(paths->paths);
	*paths = (struct etp_paths){0};
}

struct search {
	uint64_t target;
	size_t max_paths;
	uint32_t *nodes;
	size_t count;
};

// Is it the target, or a ProcBin or magic reference that refers to it?
static bool visit(void *context, struct path_walk *walk, uint32_t node,
                  const struct etp_term_view *view)
{
	struct search *search = context;
	bool refers = view->kind == ETP_TERM_BITSTRING && view->bits.binary == search->target &&
	              view->bits.proc_bin == view->address;
	if (view->kind == ETP_TERM_REF && view->id.magic_binary == search->target)
		refers = true;
	if (view->address == search->target || refers)
		search->nodes[search->count++] = node;
	return search->count < search->max_paths;
}

// Binaries that no term refers to: what they hold is not decoded yet.
static struct etp_error *add_externals(const struct process_heap *heap, const struct search *search,
                                       struct etp_paths *paths)
{
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && i < heap->external_count; i++) {
		const struct heap_external *external = &heap->externals[i];
		if (paths->count == search->max_paths)
			break;
		if (external->binary != search->target)
			continue;
		err = path_to_external(heap, external, &paths->paths[paths->count]);
		paths->count += !err;
	}
	return err;
}

static struct etp_error *search_heap(const struct process_heap *heap, const struct etp_vm *vm,
                                     struct etp_reader *reader, etp_term start,
                                     const struct etp_path_options *options, struct etp_paths *ret)
{
	struct search search = {
		.target = options->target,
		.max_paths = options->max_paths ? options->max_paths : 1,
	};
	struct path_walk walk;
	path_walk_init(&walk, vm, reader);
	walk.node_limit = options->max_things ? options->max_things : ETP_SEARCH_THINGS_DEFAULT;
	search.nodes = calloc(search.max_paths, sizeof(*search.nodes));
	struct etp_paths paths = {.paths = calloc(search.max_paths, sizeof(*paths.paths))};
	struct etp_error *err = NULL;
	if (!search.nodes || !paths.paths || !path_walk_run(&walk, heap, start, visit, &search))
		err = &etp_error_no_memory;
	if (!err)
		err = add_externals(heap, &search, &paths);
	for (size_t i = 0; !err && i < search.count && paths.count < search.max_paths; i++) {
		err = path_walk_path(&walk, search.nodes[i], &paths.paths[paths.count]);
		paths.count += !err;
	}
	paths.running = heap->running;
	paths.in_gc = heap->in_gc;
	paths.gc_disabled = heap->gc_disabled;
	paths.truncated = walk.truncated;
	paths.unreadable = walk.unreadable + heap->unreadable;
	path_walk_deinit(&walk);
	free(search.nodes);
	if (err)
		etp_paths_deinit(&paths);
	else
		*ret = paths;
	return err;
}

struct etp_error *etp_paths_in_process(const struct etp_vm *vm, uint64_t address,
                                       const struct etp_path_options *options,
                                       struct etp_paths *ret)
{
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	struct process_heap heap;
	process_heap_init(&heap);
	struct etp_error *err = process_heap_load(&heap, vm, &reader, address)
	                                ? search_heap(&heap, vm, &reader, 0, options, ret)
	                                : &etp_error_no_memory;
	process_heap_deinit(&heap);
	return err;
}

struct etp_error *etp_paths_in_words(const struct etp_vm *vm, struct etp_reader *reader,
                                     etp_term term, const struct etp_path_words *words,
                                     size_t count, const struct etp_path_options *options,
                                     struct etp_paths *ret)
{
	struct process_heap heap;
	process_heap_init(&heap);
	struct etp_error *err = process_heap_set_words(&heap, reader, words, count)
	                                ? search_heap(&heap, vm, reader, term, options, ret)
	                                : &etp_error_no_memory;
	process_heap_deinit(&heap);
	return err;
}

struct etp_error *etp_paths_in_fragments(const struct etp_vm *vm, etp_term term, uint64_t fragment,
                                         const struct etp_path_options *options,
                                         struct etp_paths *ret)
{
	struct etp_reader reader;
	struct process_heap heap;
	etp_reader_init(&reader, vm->target);
	process_heap_init(&heap);
	struct etp_error *err = process_heap_set_fragments(&heap, vm, &reader, fragment)
	                                ? search_heap(&heap, vm, &reader, term, options, ret)
	                                : &etp_error_no_memory;
	process_heap_deinit(&heap);
	return err;
}
