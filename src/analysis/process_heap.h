// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_PROCESS_HEAP_H
#define ETP_ANALYSIS_PROCESS_HEAP_H

// The memory of one process: the areas that hold its terms, the roots that a
// garbage collection starts from, and the off-heap chains (ERTS: erl_process.h,
// erl_gc.c setup_rootset(), erl_message.h).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/path.h>

#include "vm/vm.h"

enum heap_area_kind {
	HEAP_AREA_YOUNG,
	HEAP_AREA_OLD,
	// Heap fragments of the process itself.
	HEAP_AREA_FRAGMENT,
	// Fragments of messages that were received and whose terms are still in use.
	HEAP_AREA_MESSAGE_FRAGMENT,
	// Fragments of messages and other signals in the private queues, and of those in
	// transit.
	HEAP_AREA_QUEUE,
	HEAP_AREA_TRANSIT,
	// What no collector moves: tags of monitors, state of the tracer, system tasks.
	HEAP_AREA_ASIDE,
	HEAP_AREA_KINDS
};

// Words in use, [start, end).
struct heap_area {
	uint64_t start, end;
	enum heap_area_kind kind;
	// Position of its first word in the mark bitmap.
	uint64_t bit;
};

enum heap_root_kind {
	HEAP_ROOT_STACK,
	HEAP_ROOT_REGISTERS,
	// Slots of the dictionary: {Key, Value}, or a list of such pairs.
	HEAP_ROOT_DICTIONARY,
	HEAP_ROOT_MESSAGE,
	// Another signal; `index` is its operation.
	HEAP_ROOT_SIGNAL,
	// Tag of a monitor or of a spawn request, for the message that they end with.
	HEAP_ROOT_MONITOR_TAG,
	HEAP_ROOT_TRACER,
	// Id of a request for something that the process does itself: garbage_collect/2,
	// check_process_code/3.
	HEAP_ROOT_SYSTEM_TASK,
	HEAP_ROOT_SAVED_ARGUMENTS,
	HEAP_ROOT_GROUP_LEADER,
	HEAP_ROOT_FVALUE,
	HEAP_ROOT_FTRACE,
	HEAP_ROOT_SEQ_TRACE_TOKEN,
	HEAP_ROOT_PARENT,
	// References that a `receive` waits for a message with.
	HEAP_ROOT_RECEIVE_MARKER,
};

// A root: `count` words at an address of the target.
struct heap_root {
	enum heap_root_kind kind;
	uint64_t address, count;
	// Position of a message in its queue, from 0.
	uint64_t index;
	// Part of a message in transit, which a collection does not look at.
	bool in_transit;
};

// An off-heap chain: its first thing.
struct heap_chain {
	uint64_t first;
	enum heap_area_kind kind;
	// The list of writable binaries, which process_info/2 leaves out to OTP 26.
	bool writable;
	// Of a message that a collection moves to the heap as a whole.
	bool moves;
};

// Part of a message or other signal that came from another node and is not decoded yet:
// bytes of a Binary that it has a reference to.
struct heap_external {
	uint64_t binary, start, end;
	// Of the HEAP_ROOT_MESSAGE or HEAP_ROOT_SIGNAL with these bytes.
	size_t root;
};

struct process_heap {
	struct heap_area *areas;
	size_t area_count, area_capacity;
	struct heap_root *roots;
	size_t root_count, root_capacity;
	struct heap_chain *chains;
	size_t chain_count, chain_capacity;
	struct heap_external *externals;
	size_t external_count, external_capacity;
	// Words of all areas together.
	uint64_t words;
	uint64_t words_by_kind[HEAP_AREA_KINDS];
	// Of the blocks of the young and the old heap: the stack, and what nothing is in yet. 0
	// where the bounds of a block contradict each other.
	uint64_t stack_words, free_words;
	// Messages in the private queues, and in transit.
	uint64_t messages, messages_in_transit;
	// A collection moves the messages of the private queues to the heap.
	bool on_heap_messages;
	// On a scheduler: registers are not in the struct, so that terms only they
	// hold look dead.
	bool running;
	// Inside a garbage collection, or with its heap put aside by a NIF or BIF.
	bool in_gc;
	// A BIF that was interrupted in the middle forbids collections until it has ended: it
	// has terms that no root leads to.
	bool gc_disabled;
	uint64_t unreadable;
	const char *problem;
};

void process_heap_init(struct process_heap *heap);
void process_heap_deinit(struct process_heap *heap);

// Find the areas, roots and chains of the Process at `address`; what cannot be read
// is counted. The areas are sorted by address. False when memory ran out.
bool process_heap_load(struct process_heap *heap, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t address);

// Make `heap` of these words, without roots. False when memory ran out.
bool process_heap_set_words(struct process_heap *heap, struct etp_reader *reader,
                            const struct etp_path_words *words, size_t count);

// Likewise of the words of the heap fragments from `fragment` on.
bool process_heap_set_fragments(struct process_heap *heap, const struct etp_vm *vm,
                                struct etp_reader *reader, uint64_t fragment);

// The area that holds `address`, or NULL.
const struct heap_area *process_heap_find(const struct process_heap *heap, uint64_t address);

#endif
