// SPDX-License-Identifier: Apache-2.0
#include "analysis/process_heap.h"

#include <stdlib.h>

#include <etp/dist_external.h>
#include <etp/links.h>
#include <etp/signal_queue.h>

#include "util/array.h"
#include "vm/tracing.h"

enum {
	// State flags (ERTS_PSFLG_*, erl_process.h, OTP 21 to 27): bit N is 6 + N.
	PSFLG_RUNNING = 1 << 15,
	PSFLG_GC = 1 << 17,
	PSFLG_RUNNING_SYS = 1 << 21,
	PSFLG_DIRTY_RUNNING = 1 << 29,
	PSFLG_DIRTY_RUNNING_SYS = 1 << 30,
	// Flags of the signal queues (FS_*, erl_process.h).
	FS_ON_HEAP_MSGQ = 1 << 1,
	// Where a message's data is part of the message (ERTS_MSG_COMBINED_HFRAG).
	MSG_COMBINED_HFRAG = 1,
	// Process.flags (erl_process.h): F_DISABLE_GC.
	FLAG_DISABLE_GC = 1 << 11,
	// ERTS_PSD_DELAYED_GC_TASK_QS and ERTS_PSD_NFUNC_TRAP_WRAPPER, erl_process.h.
	PSD_DELAYED_GC_TASK_QS = 4,
	PSD_NFUNC_TRAP_WRAPPER = 5,
	// More links of one list than any process has.
	CHAIN_MAX = 1 << 28,
};

void process_heap_init(struct process_heap *heap)
{
	*heap = (struct process_heap){0};
}

void process_heap_deinit(struct process_heap *heap)
{
	free(heap->areas);
	free(heap->roots);
	free(heap->chains);
	free(heap->externals);
}

static void give_up(struct process_heap *heap, const char *problem)
{
	heap->unreadable++;
	heap->problem = problem;
}

static bool add_area(struct process_heap *heap, struct etp_reader *reader, enum heap_area_kind kind,
                     uint64_t start, uint64_t end)
{
	if (start > end || (end - start) % 8) {
		give_up(heap, "an area of its heap ends before it starts");
		return true;
	}
	if (start == end)
		return true;
	// Sizes come from the core, and a bitmap will be made for them: an area that
	// is not all there is none.
	if (!etp_reader_at(reader, start, end - start)) {
		give_up(heap, "an area of its heap is not in the target");
		return true;
	}
	struct heap_area *area =
		array_add(&heap->areas, &heap->area_count, &heap->area_capacity, sizeof(*area));
	if (area)
		*area = (struct heap_area){.start = start, .end = end, .kind = kind};
	return area;
}

static bool add_root(struct process_heap *heap, struct heap_root root)
{
	if (!root.count)
		return true;
	struct heap_root *slot =
		array_add(&heap->roots, &heap->root_count, &heap->root_capacity, sizeof(*slot));
	if (slot)
		*slot = root;
	return slot;
}

static bool add_chain(struct process_heap *heap, struct heap_chain added)
{
	if (!added.first)
		return true;
	struct heap_chain *chain =
		array_add(&heap->chains, &heap->chain_count, &heap->chain_capacity, sizeof(*chain));
	if (chain)
		*chain = added;
	return chain;
}

// Brent's algorithm, for the linked lists of a process.
struct cycle_guard {
	uint64_t tortoise, power, steps, total;
};

static bool runs_in_circle(struct cycle_guard *guard, uint64_t node)
{
	if (!guard->power)
		guard->power = 1;
	if (node == guard->tortoise || ++guard->total > CHAIN_MAX)
		return true;
	if (++guard->steps == guard->power) {
		guard->tortoise = node;
		guard->power *= 2;
		guard->steps = 0;
	}
	return false;
}

// A list of heap fragments; `moves` as in struct heap_chain.
static bool load_fragments(struct process_heap *heap, const struct etp_vm *vm,
                           struct etp_reader *reader, uint64_t fragment, enum heap_area_kind kind,
                           bool moves)
{
	struct cycle_guard guard = {0};
	while (fragment) {
		uint64_t next, used, chain;
		if (runs_in_circle(&guard, fragment)) {
			give_up(heap, "its heap fragments run in a circle");
			return true;
		}
		if (!READ_WORD(vm, reader, fragment, ErlHeapFragment, next, &next) ||
		    !READ_WORD(vm, reader, fragment, ErlHeapFragment, used_size, &used) ||
		    !READ_WORD(vm, reader, fragment, ErlHeapFragment, off_heap, &chain) ||
		    used > UINT64_C(1) << 40) {
			give_up(heap, "a heap fragment cannot be read");
			return true;
		}
		uint64_t start = fragment + OFFSET(vm, ErlHeapFragment, mem);
		if (!add_area(heap, reader, kind, start, start + used * 8) ||
		    !add_chain(heap,
		               (struct heap_chain){.first = chain, .kind = kind, .moves = moves}))
			return false;
		fragment = next;
	}
	return true;
}

// Messages that were received and whose terms are still in use: their fragments. The
// terms have been overwritten.
static bool load_received(struct process_heap *heap, const struct etp_vm *vm,
                          struct etp_reader *reader, uint64_t message)
{
	struct cycle_guard guard = {0};
	while (message) {
		uint64_t attached, next;
		if (runs_in_circle(&guard, message)) {
			give_up(heap, "the messages that it received run in a circle");
			return true;
		}
		if (!READ_WORD(vm, reader, message, ErtsMessage, attached, &attached) ||
		    !READ_WORD(vm, reader, message, ErtsMessage, next, &next)) {
			give_up(heap, "a message that it received cannot be read");
			return true;
		}
		uint64_t fragment = attached == MSG_COMBINED_HFRAG
		                            ? message + OFFSET(vm, ErtsMessage, hfrag)
		                            : attached;
		if (!load_fragments(heap, vm, reader, fragment, HEAP_AREA_MESSAGE_FRAGMENT, false))
			return false;
		message = next;
	}
	return true;
}

// The binaries that the bytes of an undecoded signal are in.
static bool load_external(struct process_heap *heap, const struct etp_vm *vm,
                          struct etp_reader *reader, uint64_t address)
{
	struct etp_dist_external external;
	if (!etp_dist_external_read(vm, reader, address, &external)) {
		give_up(heap, "a signal from another node cannot be read");
		return true;
	}
	for (uint64_t i = 0; i < external.fragment_count; i++) {
		struct etp_dist_fragment fragment;
		if (!etp_dist_external_fragment(vm, reader, &external, i, &fragment)) {
			give_up(heap, "a signal from another node cannot be read");
			return true;
		}
		if (!fragment.binary)
			continue;
		struct heap_external *part = array_add(&heap->externals, &heap->external_count,
		                                       &heap->external_capacity, sizeof(*part));
		if (!part)
			return false;
		*part = (struct heap_external){
			.binary = fragment.binary,
			.start = fragment.start,
			.end = fragment.end,
			.root = heap->root_count ? heap->root_count - 1 : 0,
		};
	}
	return true;
}

// A heap fragment that holds one term, which is in the word behind those in use
// (save_heap_frag_eterm(), erl_proc_sig_queue.c).
static bool load_hidden_fragment(struct process_heap *heap, const struct etp_vm *vm,
                                 struct etp_reader *reader, uint64_t fragment)
{
	uint64_t used;
	if (!fragment)
		return true;
	if (!READ_WORD(vm, reader, fragment, ErlHeapFragment, used_size, &used)) {
		give_up(heap, "the tag of a monitor cannot be read");
		return true;
	}
	struct heap_root root = {
		.kind = HEAP_ROOT_MONITOR_TAG,
		.address = fragment + OFFSET(vm, ErlHeapFragment, mem) + used * sizeof(uint64_t),
		.count = 1,
	};
	return add_root(heap, root) &&
	       load_fragments(heap, vm, reader, fragment, HEAP_AREA_ASIDE, false);
}

static bool load_monitor(struct process_heap *heap, const struct etp_vm *vm,
                         struct etp_reader *reader, const struct etp_monitor *monitor)
{
	return load_hidden_fragment(heap, vm, reader, monitor->tag_fragment) &&
	       load_hidden_fragment(heap, vm, reader, monitor->reply_tag_fragment);
}

static bool load_monitors(struct process_heap *heap, const struct etp_vm *vm,
                          struct etp_reader *reader, uint64_t process)
{
	struct etp_monitor_iter iter;
	struct etp_monitor monitor;
	etp_monitor_iter_init(&iter, vm, reader, process);
	while (etp_monitor_iter_next(&iter, &monitor))
		if (!load_monitor(heap, vm, reader, &monitor))
			return false;
	if (iter.nodes.gaps)
		give_up(heap, iter.nodes.problem);
	return true;
}

// `where` holds the tracer.
static bool load_tracer(struct process_heap *heap, const struct etp_vm *vm,
                        struct etp_reader *reader, etp_term tracer, uint64_t where)
{
	uint64_t fragment = 0;
	if (!tracer_fragment(vm, reader, tracer, &fragment))
		give_up(heap, "its tracer cannot be read");
	if (!fragment)
		return true;
	struct heap_root root = {.kind = HEAP_ROOT_TRACER, .address = where, .count = 1};
	return add_root(heap, root) &&
	       load_fragments(heap, vm, reader, fragment, HEAP_AREA_ASIDE, false);
}

// Tasks are in circles, one a priority; each has its terms behind it
// (schedule_process_sys_task(), erl_process.c).
static bool load_task(struct process_heap *heap, const struct etp_vm *vm, struct etp_reader *reader,
                      uint64_t task)
{
	uint64_t words, chain;
	if (!READ_WORD(vm, reader, task, ErtsProcSysTask, req_id_sz, &words) ||
	    !READ_WORD(vm, reader, task, ErtsProcSysTask, off_heap, &chain) ||
	    words > UINT64_C(1) << 40) {
		give_up(heap, "a system task cannot be read");
		return true;
	}
	struct heap_root root = {
		.kind = HEAP_ROOT_SYSTEM_TASK,
		.address = task + OFFSET(vm, ErtsProcSysTask, req_id),
		.count = 1,
	};
	uint64_t start = task + OFFSET(vm, ErtsProcSysTask, heap);
	return add_root(heap, root) &&
	       add_area(heap, reader, HEAP_AREA_ASIDE, start, start + words * 8) &&
	       add_chain(heap, (struct heap_chain){.first = chain, .kind = HEAP_AREA_ASIDE});
}

// The circles of an ErtsProcSysTaskQs.
static bool load_task_queues(struct process_heap *heap, const struct etp_vm *vm,
                             struct etp_reader *reader, uint64_t queues)
{
	uint64_t first = 0;
	uint64_t count = queues ? vm->layout->members[ETP_MEMBER_ErtsProcSysTaskQs_q].count : 0;
	for (uint64_t i = 0; i < count; i++) {
		struct cycle_guard guard = {0};
		if (!etp_read_u64(reader, queues + OFFSET(vm, ErtsProcSysTaskQs, q) + i * 8,
		                  &first))
			give_up(heap, "its system tasks cannot be read");
		for (uint64_t task = first; task;) {
			if (!load_task(heap, vm, reader, task))
				return false;
			if (!READ_WORD(vm, reader, task, ErtsProcSysTask, next, &task) ||
			    (task != first && runs_in_circle(&guard, task))) {
				give_up(heap, "its system tasks cannot be read");
				break;
			}
			if (task == first)
				break;
		}
	}
	return true;
}

// Requests for a collection that came while a BIF forbade them are put aside, with others for
// the process (save_gc_task(), erl_process.c).
static bool load_tasks(struct process_heap *heap, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t process)
{
	uint64_t queues = 0, psd = 0, delayed = 0;
	if (!HAS(vm, Process, sys_task_qs) || !HAS(vm, ErtsProcSysTaskQs, q) ||
	    !HAS(vm, ErtsProcSysTask, req_id_sz))
		return true;
	if (!READ_WORD(vm, reader, process, Process, sys_task_qs, &queues) ||
	    !READ_WORD(vm, reader, process, Process, psd, &psd) ||
	    (psd &&
	     !etp_read_u64(reader, psd + OFFSET(vm, ErtsPSD, data) + PSD_DELAYED_GC_TASK_QS * 8,
	                   &delayed)))
		give_up(heap, "its system tasks cannot be read");
	return load_task_queues(heap, vm, reader, queues) &&
	       load_task_queues(heap, vm, reader, delayed);
}

static bool load_tracers(struct process_heap *heap, const struct etp_vm *vm,
                         struct etp_reader *reader, uint64_t process)
{
	struct tracer_iter iter = tracer_iter_of_process(vm, reader, process);
	struct tracer tracer;
	while (tracer_iter_next(&iter, &tracer))
		if (!load_tracer(heap, vm, reader, tracer.term, tracer.where))
			return false;
	if (iter.problem)
		give_up(heap, iter.problem);
	return true;
}

// What a signal that is no message keeps beside its fragments.
static bool load_signal_data(struct process_heap *heap, const struct etp_vm *vm,
                             struct etp_reader *reader, const struct etp_signal *signal)
{
	struct etp_monitor monitor;
	if (signal->monitor && etp_monitor_read(vm, reader, signal->monitor, &monitor) &&
	    !load_monitor(heap, vm, reader, &monitor))
		return false;
	return !signal->tracer ||
	       load_tracer(heap, vm, reader, signal->tracer,
	                   signal->address + OFFSET(vm, ErtsSigTraceInfo, tracer));
}

// The terms of a message or other signal as roots, the fragments that they are in, and
// the binaries of what is not decoded yet.
static bool load_signal(struct process_heap *heap, const struct etp_vm *vm,
                        struct etp_reader *reader, const struct etp_signal *signal)
{
	bool in_transit = signal->queue >= ETP_SIGNAL_QUEUE_OUTER;
	bool is_message =
		signal->kind == ETP_SIGNAL_MESSAGE || signal->kind == ETP_SIGNAL_EXTERNAL_MESSAGE;
	uint64_t *count = in_transit ? &heap->messages_in_transit : &heap->messages;
	struct heap_root root = {
		.kind = HEAP_ROOT_MESSAGE,
		.address = signal->roots,
		.count = signal->root_count,
		.index = is_message ? (*count)++ : *count,
		.in_transit = in_transit,
	};
	if (signal->kind == ETP_SIGNAL_OTHER) {
		root.kind = HEAP_ROOT_SIGNAL;
		root.index = signal->op;
		if (!load_signal_data(heap, vm, reader, signal))
			return false;
	}
	// move_msg_to_heap(), erl_proc_sig_queue.c; before it runs, messages in transit
	// are fetched.
	bool moves =
		heap->on_heap_messages && is_message && signal->storage == ETP_MESSAGE_FRAGMENT;
	return add_root(heap, root) &&
	       load_fragments(heap, vm, reader, signal->fragment,
	                      in_transit ? HEAP_AREA_TRANSIT : HEAP_AREA_QUEUE, moves) &&
	       (!signal->external || load_external(heap, vm, reader, signal->external));
}

static bool load_queues(struct process_heap *heap, const struct etp_vm *vm,
                        struct etp_reader *reader, uint64_t process)
{
	uint64_t received;
	if (!READ_WORD(vm, reader, process, Process, msg_frag, &received)) {
		give_up(heap, "its message queues cannot be read");
		return true;
	}
	if (!load_received(heap, vm, reader, received))
		return false;
	struct etp_signal_iter iter;
	struct etp_signal signal;
	etp_signal_iter_init(&iter, vm, reader, process);
	while (etp_signal_iter_next(&iter, &signal))
		if (!load_signal(heap, vm, reader, &signal))
			return false;
	if (iter.gaps)
		give_up(heap, iter.problem);
	return true;
}

static bool load_dictionary(struct process_heap *heap, const struct etp_vm *vm,
                            struct etp_reader *reader, uint64_t process)
{
	uint64_t dictionary;
	uint32_t used;
	if (!READ_WORD(vm, reader, process, Process, dictionary, &dictionary) ||
	    (dictionary && !READ_U32(vm, reader, dictionary, ProcDict, usedSlots, &used)) ||
	    (dictionary && used > INT32_MAX)) {
		give_up(heap, "its dictionary cannot be read");
		return true;
	}
	if (!dictionary)
		return true;
	return add_root(heap, (struct heap_root){
				      .kind = HEAP_ROOT_DICTIONARY,
				      .address = dictionary + OFFSET(vm, ProcDict, data),
				      .count = used,
			      });
}

// Arguments that a NIF or BIF saved while it yields (erl_nfunc_sched.h).
static bool load_saved_arguments(struct process_heap *heap, const struct etp_vm *vm,
                                 struct etp_reader *reader, uint64_t process)
{
	uint64_t psd, wrapper;
	uint32_t count;
	if (!HAS(vm, ErtsNativeFunc, argc) || !HAS(vm, ErtsNativeFunc, argv))
		return true;
	if (!READ_WORD(vm, reader, process, Process, psd, &psd) ||
	    (psd &&
	     !etp_read_u64(reader, psd + OFFSET(vm, ErtsPSD, data) + PSD_NFUNC_TRAP_WRAPPER * 8,
	                   &wrapper)) ||
	    (psd && wrapper && !READ_U32(vm, reader, wrapper, ErtsNativeFunc, argc, &count))) {
		give_up(heap, "the arguments that a native function saved cannot be read");
		return true;
	}
	if (!psd || !wrapper)
		return true;
	// Negative when nothing is saved; MAX_ARG is 255.
	if ((int32_t)count <= 0 || count > 255)
		return true;
	return add_root(heap, (struct heap_root){
				      .kind = HEAP_ROOT_SAVED_ARGUMENTS,
				      .address = wrapper + OFFSET(vm, ErtsNativeFunc, argv),
				      .count = count,
			      });
}

static bool load_receive_markers(struct process_heap *heap, const struct etp_vm *vm,
                                 struct etp_reader *reader, uint64_t process)
{
	uint64_t block;
	if (!HAS(vm, Process, recv_mrk_blk) || !HAS(vm, ErtsRecvMarkerBlock, ref))
		return true;
	if (!READ_WORD(vm, reader, process, Process, recv_mrk_blk, &block)) {
		give_up(heap, "its receive markers cannot be read");
		return true;
	}
	if (!block)
		return true;
	return add_root(
		heap,
		(struct heap_root){
			.kind = HEAP_ROOT_RECEIVE_MARKER,
			.address = block + OFFSET(vm, ErtsRecvMarkerBlock, ref),
			.count = vm->layout->members[ETP_MEMBER_ErtsRecvMarkerBlock_ref].count,
		});
}

static bool load_roots(struct process_heap *heap, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t process)
{
	uint64_t stop, hend, registers, arity;
	if (!READ_WORD(vm, reader, process, Process, stop, &stop) ||
	    !READ_WORD(vm, reader, process, Process, hend, &hend) ||
	    !READ_WORD(vm, reader, process, Process, arg_reg, &registers) ||
	    !etp_vm_read_member(vm, reader, process, ETP_MEMBER_Process_arity, &arity)) {
		give_up(heap, "its roots cannot be read");
		return true;
	}
	if (stop > hend) {
		give_up(heap, "its stack ends before it starts");
		return true;
	}
	static const struct {
		enum etp_member_id member;
		enum heap_root_kind kind;
	} single[] = {
		{ETP_MEMBER_Process_group_leader, HEAP_ROOT_GROUP_LEADER},
		{ETP_MEMBER_Process_fvalue, HEAP_ROOT_FVALUE},
		{ETP_MEMBER_Process_ftrace, HEAP_ROOT_FTRACE},
		{ETP_MEMBER_Process_seq_trace_token, HEAP_ROOT_SEQ_TRACE_TOKEN},
		{ETP_MEMBER_Process_parent, HEAP_ROOT_PARENT},
	};
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		uint64_t offset = vm->layout->members[single[i].member].offset;
		if (etp_layout_has(vm->layout, single[i].member) &&
		    !add_root(heap,
		              (struct heap_root){single[i].kind, process + offset, 1, 0, false}))
			return false;
	}
	// The registers are valid only while the process is not running; MAX_REG is 1024.
	if (!heap->running && arity > 1024)
		give_up(heap, "it has more registers than there are");
	else if (!heap->running && !add_root(heap, (struct heap_root){HEAP_ROOT_REGISTERS,
	                                                              registers, arity, 0, false}))
		return false;
	uint64_t words = (hend - stop) / 8;
	return add_root(heap, (struct heap_root){HEAP_ROOT_STACK, stop, words, 0, false}) &&
	       load_dictionary(heap, vm, reader, process) &&
	       load_receive_markers(heap, vm, reader, process) &&
	       load_saved_arguments(heap, vm, reader, process);
}

// Bounds of a block: in order, and not farther apart than any block is large.
static bool is_block(uint64_t start, uint64_t top, uint64_t end)
{
	return start <= top && top <= end && end - start < UINT64_C(1) << 44;
}

static bool load_areas(struct process_heap *heap, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t process)
{
	uint64_t young, htop, stop, hend, old, old_htop, old_hend, fragments, chain, writable = 0;
	if (!READ_WORD(vm, reader, process, Process, heap, &young) ||
	    !READ_WORD(vm, reader, process, Process, htop, &htop) ||
	    !READ_WORD(vm, reader, process, Process, stop, &stop) ||
	    !READ_WORD(vm, reader, process, Process, hend, &hend) ||
	    !READ_WORD(vm, reader, process, Process, old_heap, &old) ||
	    !READ_WORD(vm, reader, process, Process, old_htop, &old_htop) ||
	    !READ_WORD(vm, reader, process, Process, old_hend, &old_hend) ||
	    !READ_WORD(vm, reader, process, Process, mbuf, &fragments) ||
	    !READ_WORD(vm, reader, process, Process, off_heap, &chain)) {
		give_up(heap, "its heap cannot be read");
		return true;
	}
	if (HAS(vm, Process, wrt_bins) &&
	    !READ_WORD(vm, reader, process, Process, wrt_bins, &writable))
		give_up(heap, "the chain of its writable binaries cannot be read");
	if (is_block(young, htop, stop) && is_block(young, stop, hend)) {
		heap->stack_words = (hend - stop) / 8;
		heap->free_words = (stop - htop) / 8;
	}
	if (old && is_block(old, old_htop, old_hend))
		heap->free_words += (old_hend - old_htop) / 8;
	return add_area(heap, reader, HEAP_AREA_YOUNG, young, htop) &&
	       (!old || add_area(heap, reader, HEAP_AREA_OLD, old, old_htop)) &&
	       add_chain(heap, (struct heap_chain){.first = chain, .kind = HEAP_AREA_YOUNG}) &&
	       add_chain(heap, (struct heap_chain){.first = writable,
	                                           .kind = HEAP_AREA_YOUNG,
	                                           .writable = true}) &&
	       load_fragments(heap, vm, reader, fragments, HEAP_AREA_FRAGMENT, false);
}

static void load_state(struct process_heap *heap, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t process)
{
	uint32_t state, flags;
	uint64_t abandoned, process_flags;
	if (!READ_U32(vm, reader, process, Process, state, &state) ||
	    !etp_vm_read_member(vm, reader, process, ETP_MEMBER_Process_flags, &process_flags) ||
	    !READ_U32(vm, reader, process, Process, sig_qs_flags, &flags) ||
	    !READ_WORD(vm, reader, process, Process, abandoned_heap, &abandoned)) {
		give_up(heap, "its state cannot be read");
		return;
	}
	heap->running = state & (PSFLG_RUNNING | PSFLG_RUNNING_SYS | PSFLG_DIRTY_RUNNING |
	                         PSFLG_DIRTY_RUNNING_SYS);
	heap->in_gc = state & PSFLG_GC || abandoned;
	heap->gc_disabled = process_flags & FLAG_DISABLE_GC;
	heap->on_heap_messages = flags & FS_ON_HEAP_MSGQ;
}

static int compare_areas(const void *a, const void *b)
{
	const struct heap_area *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

// Sort the areas, and give each its place in the bitmap. Areas that overlap are
// damaged; the later one loses what they share.
static void place_areas(struct process_heap *heap)
{
	if (heap->area_count)
		qsort(heap->areas, heap->area_count, sizeof(*heap->areas), compare_areas);
	uint64_t end = 0;
	for (size_t i = 0; i < heap->area_count; i++) {
		struct heap_area *area = &heap->areas[i];
		if (area->start < end) {
			give_up(heap, "areas of its heap overlap");
			area->start = area->end < end ? area->end : end;
		}
		if (area->end > end)
			end = area->end;
		area->bit = heap->words;
		heap->words += (area->end - area->start) / 8;
		heap->words_by_kind[area->kind] += (area->end - area->start) / 8;
	}
}

// Forget everything, keep the memory.
static void reset(struct process_heap *heap)
{
	struct process_heap kept = *heap;
	*heap = (struct process_heap){
		.areas = kept.areas,
		.area_capacity = kept.area_capacity,
		.roots = kept.roots,
		.root_capacity = kept.root_capacity,
		.chains = kept.chains,
		.chain_capacity = kept.chain_capacity,
		.externals = kept.externals,
		.external_capacity = kept.external_capacity,
	};
}

bool process_heap_set_words(struct process_heap *heap, struct etp_reader *reader,
                            const struct etp_path_words *words, size_t count)
{
	reset(heap);
	for (size_t i = 0; i < count; i++)
		if (!add_area(heap, reader, HEAP_AREA_YOUNG, words[i].address,
		              words[i].address + words[i].count * 8))
			return false;
	place_areas(heap);
	return true;
}

bool process_heap_set_fragments(struct process_heap *heap, const struct etp_vm *vm,
                                struct etp_reader *reader, uint64_t fragment)
{
	reset(heap);
	if (!load_fragments(heap, vm, reader, fragment, HEAP_AREA_FRAGMENT, false))
		return false;
	place_areas(heap);
	return true;
}

bool process_heap_load(struct process_heap *heap, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t address)
{
	reset(heap);
	load_state(heap, vm, reader, address);
	if (!load_areas(heap, vm, reader, address) || !load_roots(heap, vm, reader, address) ||
	    !load_queues(heap, vm, reader, address) || !load_monitors(heap, vm, reader, address) ||
	    !load_tracers(heap, vm, reader, address) || !load_tasks(heap, vm, reader, address))
		return false;
	place_areas(heap);
	return true;
}

const struct heap_area *process_heap_find(const struct process_heap *heap, uint64_t address)
{
	size_t low = 0, high = heap->area_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (heap->areas[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == heap->area_count || heap->areas[low].start > address)
		return NULL;
	return &heap->areas[low];
}
