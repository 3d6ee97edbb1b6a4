// SPDX-License-Identifier: Apache-2.0
#include <etp/process.h>

#include <etp/links.h>

#include "vm/vm.h"

enum {
	// erl_process.h (OTP 25): Process.state.
	PSFLG_PRIO_BITS = 2,
	PSFLG_PRIO_MASK = 0x3,
	PSFLG_FREE = 1 << 10,
	PSFLG_EXITING = 1 << 11,
	PSFLG_ACTIVE = 1 << 13,
	PSFLG_RUNNING = 1 << 15,
	PSFLG_SUSPENDED = 1 << 16,
	PSFLG_GC = 1 << 17,
	PSFLG_ACTIVE_SYS = 1 << 20,
	PSFLG_RUNNING_SYS = 1 << 21,
	PSFLG_DIRTY_CPU_PROC = 1 << 26,
	PSFLG_DIRTY_IO_PROC = 1 << 27,
	PSFLG_DIRTY_ACTIVE_SYS = 1 << 28,
	PSFLG_DIRTY_RUNNING = 1 << 29,
	PSFLG_DIRTY_RUNNING_SYS = 1 << 30,
	// Process.flags
	F_ABANDONED_HEAP_USE = 1 << 12,
	// after HiPE's flag
	F_HIBERNATED = 1 << 5,
	F_TRAP_EXIT = 1 << 6,
	// Process.sig_qs.flags
	FS_OFF_HEAP_MSGQ = 1 << 0,
	FS_ON_HEAP_MSGQ = 1 << 1,
	// Process.max_heap_size
	MAX_HEAP_SIZE_KILL = 1 << 0,
	MAX_HEAP_SIZE_LOG = 1 << 1,
	MAX_HEAP_SIZE_INCLUDE_OH_BINS = 1 << 2,
	MAX_HEAP_SIZE_FLAGS_TO_26 = 2,
	// Process specific data (ERTS_PSD_*).
	PSD_ERROR_HANDLER = 0,
	PSD_SAVED_CALLS_BUF = 1,
	// What process_flag(save_calls, N) takes, and more than MAX_REG (beam_opcodes.h).
	SAVED_CALLS_MAX = 10000,
	REGISTERS_MAX = 1100,
	// F_SENSITIVE stands behind the bits of the time stamp's type (erl_trace.h).
	TRACE_SENSITIVE = 1 << 3,
	WORD = 8,
};

static const char *const status_names[ETP_PROCESS_STATUS_COUNT] = {
	[ETP_PROCESS_FREE] = "free",
	[ETP_PROCESS_EXITING] = "exiting",
	[ETP_PROCESS_GARBAGE_COLLECTING] = "garbage_collecting",
	[ETP_PROCESS_SUSPENDED] = "suspended",
	[ETP_PROCESS_RUNNING] = "running",
	[ETP_PROCESS_RUNNABLE] = "runnable",
	[ETP_PROCESS_WAITING] = "waiting",
};

const char *etp_process_status_name(enum etp_process_status status)
{
	return status < ETP_PROCESS_STATUS_COUNT ? status_names[status] : "?";
}

static const char *const item_names[ETP_PROCESS_ITEM_COUNT] = {
	[ETP_PROCESS_MEMORY] = "memory",
	[ETP_PROCESS_TOTAL_HEAP_SIZE] = "total_heap_size",
	[ETP_PROCESS_HEAP_SIZE] = "heap_size",
	[ETP_PROCESS_STACK_SIZE] = "stack_size",
	[ETP_PROCESS_GARBAGE_COLLECTION_INFO] = "garbage_collection_info",
	[ETP_PROCESS_REDUCTIONS] = "reductions",
	[ETP_PROCESS_MESSAGE_QUEUE_LEN] = "message_queue_len",
	[ETP_PROCESS_LINKS] = "links",
	[ETP_PROCESS_MONITORS] = "monitors",
	[ETP_PROCESS_INITIAL_CALL] = "initial_call",
	[ETP_PROCESS_REGISTERED_NAME] = "registered_name",
	[ETP_PROCESS_ERROR_HANDLER] = "error_handler",
	[ETP_PROCESS_DICTIONARY] = "dictionary",
};

const char *etp_process_item_name(enum etp_process_item item)
{
	return item < ETP_PROCESS_ITEM_COUNT ? item_names[item] : "?";
}

static void unknown(struct etp_process_info *info, enum etp_process_item item, const char *problem)
{
	info->unknown |= UINT32_C(1) << item;
	info->gaps++;
	info->problem = problem;
}

static void uncertain(struct etp_process_info *info, enum etp_process_item item)
{
	info->uncertain |= UINT32_C(1) << item;
}

static enum etp_process_status status_of(uint32_t state)
{
	if (state & PSFLG_FREE)
		return ETP_PROCESS_FREE;
	if (state & PSFLG_EXITING)
		return ETP_PROCESS_EXITING;
	if (state & PSFLG_GC)
		return ETP_PROCESS_GARBAGE_COLLECTING;
	if (state & PSFLG_SUSPENDED)
		return ETP_PROCESS_SUSPENDED;
	if (state &
	    (PSFLG_RUNNING | PSFLG_RUNNING_SYS | PSFLG_DIRTY_RUNNING | PSFLG_DIRTY_RUNNING_SYS))
		return ETP_PROCESS_RUNNING;
	if (state & (PSFLG_ACTIVE | PSFLG_ACTIVE_SYS | PSFLG_DIRTY_ACTIVE_SYS))
		return ETP_PROCESS_RUNNABLE;
	return ETP_PROCESS_WAITING;
}

bool etp_process_status(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        enum etp_process_status *ret)
{
	uint64_t state;
	if (!etp_vm_read_member(vm, reader, address, ETP_MEMBER_Process_state, &state))
		return false;
	*ret = status_of((uint32_t)state);
	return true;
}

bool etp_process_is_free(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address)
{
	enum etp_process_status status;
	return etp_process_status(vm, reader, address, &status) && status == ETP_PROCESS_FREE;
}

static void read_state(const struct etp_vm *vm, const void *process, struct etp_process_info *info)
{
	uint32_t state = (uint32_t)SMALL_OF(vm, process, Process, state);
	uint32_t flags = (uint32_t)SMALL_OF(vm, process, Process, flags);
	uint32_t sig_qs_flags = (uint32_t)SMALL_OF(vm, process, Process, sig_qs_flags);
	info->state = state;
	info->flags = flags;
	info->sig_qs_flags = sig_qs_flags;
	info->trace_flags = SMALL_OF(vm, process, Process, trace_flags);
	info->status = status_of(state);
	info->is_exiting = state & PSFLG_EXITING;
	info->is_collecting_garbage = state & PSFLG_GC;
	info->is_dirty_running = state & (PSFLG_DIRTY_RUNNING | PSFLG_DIRTY_RUNNING_SYS);
	info->is_running = info->is_dirty_running || state & (PSFLG_RUNNING | PSFLG_RUNNING_SYS);
	info->is_dirty_cpu = state & PSFLG_DIRTY_CPU_PROC;
	info->is_dirty_io = state & PSFLG_DIRTY_IO_PROC;
	info->priority = state >> PSFLG_PRIO_BITS & PSFLG_PRIO_MASK;
	uint32_t flags_after_hipe = flags >> vm->scheme->first_flag_after_hipe;
	info->is_hibernated = flags_after_hipe & F_HIBERNATED;
	info->trap_exit = flags_after_hipe & F_TRAP_EXIT;
	info->is_off_heap_message_queue = sig_qs_flags & FS_OFF_HEAP_MSGQ;
	info->is_sensitive = info->trace_flags & TRACE_SENSITIVE;
	if (info->is_running) {
		// Heap and stack pointers and the reductions left are in registers.
		uncertain(info, ETP_PROCESS_STACK_SIZE);
		uncertain(info, ETP_PROCESS_GARBAGE_COLLECTION_INFO);
		uncertain(info, ETP_PROCESS_REDUCTIONS);
	}
	if (info->is_collecting_garbage || info->is_exiting) {
		uncertain(info, ETP_PROCESS_MEMORY);
		uncertain(info, ETP_PROCESS_TOTAL_HEAP_SIZE);
		uncertain(info, ETP_PROCESS_HEAP_SIZE);
		uncertain(info, ETP_PROCESS_STACK_SIZE);
		uncertain(info, ETP_PROCESS_GARBAGE_COLLECTION_INFO);
	}
	if (info->is_exiting) {
		uncertain(info, ETP_PROCESS_LINKS);
		uncertain(info, ETP_PROCESS_MONITORS);
		uncertain(info, ETP_PROCESS_DICTIONARY);
	}
}

static void read_names(const struct etp_vm *vm, struct etp_reader *reader, const void *process,
                       struct etp_process_info *info)
{
	const unsigned char *initial =
		(const unsigned char *)process + OFFSET(vm, Process, initial);
	etp_term module = WORD_OF(vm, initial, ErtsCodeMFA, module);
	etp_term function = WORD_OF(vm, initial, ErtsCodeMFA, function);
	info->has_initial_call = term_is_atom(module) && term_is_atom(function);
	info->initial_module = term_atom_index(module);
	info->initial_function = term_atom_index(function);
	info->initial_arity = WORD_OF(vm, initial, ErtsCodeMFA, arity);
	// A process that exits keeps other things in this place.
	if (!info->has_initial_call && info->is_exiting)
		info->unknown |= UINT32_C(1) << ETP_PROCESS_INITIAL_CALL;
	else if (!info->has_initial_call)
		unknown(info, ETP_PROCESS_INITIAL_CALL, "the initial call is damaged");

	struct etp_process_summary summary;
	struct etp_error *err = etp_vm_process_summary(vm, reader, info->address, &summary);
	if (err) {
		etp_error_destroy(err);
		unknown(info, ETP_PROCESS_REGISTERED_NAME, "the registered name cannot be read");
		return;
	}
	info->has_name = summary.has_name;
	info->name = summary.name;
	if (summary.is_name_unreadable)
		unknown(info, ETP_PROCESS_REGISTERED_NAME, "the registered name cannot be read");
	if (summary.initial_call_source == ETP_INITIAL_CALL_UNREADABLE)
		unknown(info, ETP_PROCESS_INITIAL_CALL,
		        "what proc_lib was given may be in a part of its dictionary that cannot be "
		        "read");
	if (summary.initial_call_source == ETP_INITIAL_CALL_PROC_LIB) {
		info->has_proc_lib_call = true;
		info->proc_lib_module = summary.initial_module;
		info->proc_lib_function = summary.initial_function;
		info->proc_lib_arity = summary.initial_arity;
	}
}

// Used words of a heap that was put aside while garbage collection was not
// allowed (ERTS_GET_ORIG_HEAP(), erl_gc.c): the last word says how many.
static void abandoned_heap(const struct etp_vm *vm, struct etp_reader *reader, const void *process,
                           uint64_t heap, struct etp_process_info *info)
{
	uint64_t size = WORD_OF(vm, process, Process, heap_sz), used = size;
	if (info->flags & F_ABANDONED_HEAP_USE && size &&
	    !etp_read_u64(reader, heap + (size - 1) * WORD, &used))
		unknown(info, ETP_PROCESS_GARBAGE_COLLECTION_INFO,
		        "the abandoned heap cannot be read");
	info->gc.recent_size = (WORD_OF(vm, process, Process, high_water) - heap) / WORD;
	info->gc.heap_size = used;
}

// Pointers that do not stand in their order, or are further apart than the heap is
// large, are damage: no size can be made of them.
static bool is_ordered(uint64_t start, uint64_t top, uint64_t end)
{
	return start <= top && top <= end && (end - start) % WORD == 0;
}

static void check_heaps(const struct etp_vm *vm, const void *process, struct etp_process_info *info)
{
	uint64_t heap = WORD_OF(vm, process, Process, heap);
	uint64_t htop = WORD_OF(vm, process, Process, htop);
	uint64_t stop = WORD_OF(vm, process, Process, stop);
	uint64_t hend = WORD_OF(vm, process, Process, hend);
	uint64_t old_heap = WORD_OF(vm, process, Process, old_heap);
	uint64_t old_hend = WORD_OF(vm, process, Process, old_hend);
	uint64_t words = etp_target_info(vm->target)->bytes_total / WORD;
	bool is_abandoned = WORD_OF(vm, process, Process, abandoned_heap);
	bool is_sound = is_ordered(heap, htop, stop) && is_ordered(heap, stop, hend) &&
	                (is_abandoned || info->heap_size == (hend - heap) / WORD) &&
	                (!old_heap || !old_hend ||
	                 is_ordered(old_heap, WORD_OF(vm, process, Process, old_htop), old_hend)) &&
	                info->total_heap_size <= words;
	if (is_sound)
		return;
	static const char problem[] = "the pointers to its heap do not go together";
	unknown(info, ETP_PROCESS_HEAP_SIZE, problem);
	unknown(info, ETP_PROCESS_TOTAL_HEAP_SIZE, problem);
	unknown(info, ETP_PROCESS_STACK_SIZE, problem);
	unknown(info, ETP_PROCESS_GARBAGE_COLLECTION_INFO, problem);
	unknown(info, ETP_PROCESS_MEMORY, problem);
}

// Everything in the struct that needs no more than a subtraction; `memory` gets
// the heaps.
static void read_heaps(const struct etp_vm *vm, struct etp_reader *reader, const void *process,
                       struct etp_process_info *info)
{
	uint64_t heap = WORD_OF(vm, process, Process, heap);
	uint64_t hend = WORD_OF(vm, process, Process, hend);
	uint64_t heap_sz = WORD_OF(vm, process, Process, heap_sz);
	uint64_t mbuf_sz = WORD_OF(vm, process, Process, mbuf_sz);
	uint64_t old_heap = WORD_OF(vm, process, Process, old_heap);
	uint64_t old_hend = WORD_OF(vm, process, Process, old_hend);
	uint64_t abandoned = WORD_OF(vm, process, Process, abandoned_heap);
	uint64_t old_size = old_heap && old_hend ? (old_hend - old_heap) / WORD : 0;
	info->heap_size = heap_sz;
	info->stack_size = (hend - WORD_OF(vm, process, Process, stop)) / WORD;
	info->total_heap_size = heap_sz + old_size + mbuf_sz;
	info->memory += (heap_sz + mbuf_sz + old_size) * WORD;
	if (abandoned)
		info->memory += hend - heap;

	info->gc = (struct etp_process_gc_info){
		.old_heap_block_size = old_size,
		.heap_block_size = heap_sz,
		.mbuf_size = mbuf_sz,
		.recent_size = (WORD_OF(vm, process, Process, high_water) - heap) / WORD,
		.stack_size = info->stack_size,
		.old_heap_size =
			old_heap ? (WORD_OF(vm, process, Process, old_htop) - old_heap) / WORD : 0,
		.heap_size = (WORD_OF(vm, process, Process, htop) - heap) / WORD,
		.bin_vheap_size = WORD_OF(vm, process, Process, off_heap_overhead),
		.bin_vheap_block_size = WORD_OF(vm, process, Process, bin_vheap_sz),
		.bin_old_vheap_size = WORD_OF(vm, process, Process, bin_old_vheap),
		.bin_old_vheap_block_size = WORD_OF(vm, process, Process, bin_old_vheap_sz),
	};
	if (abandoned)
		abandoned_heap(vm, reader, process, abandoned, info);
	// A collector moves them one after the other.
	if (!info->is_collecting_garbage)
		check_heaps(vm, process, info);

	uint64_t max = WORD_OF(vm, process, Process, max_heap_size);
	info->max_heap_size = max >> vm->scheme->max_heap_size_flags;
	info->has_include_shared_binaries =
		vm->scheme->max_heap_size_flags > MAX_HEAP_SIZE_FLAGS_TO_26;
	info->max_heap_size_include_shared_binaries =
		info->has_include_shared_binaries && max & MAX_HEAP_SIZE_INCLUDE_OH_BINS;
	info->max_heap_size_kill = max & MAX_HEAP_SIZE_KILL;
	info->max_heap_size_error_logger = max & MAX_HEAP_SIZE_LOG;
	info->min_heap_size = WORD_OF(vm, process, Process, min_heap_size);
	info->min_bin_vheap_size = WORD_OF(vm, process, Process, min_vheap_size);
	info->minor_gcs = SMALL_OF(vm, process, Process, gen_gcs);
	info->fullsweep_after = SMALL_OF(vm, process, Process, max_gen_gcs);
}

static void read_signals(const struct etp_vm *vm, struct etp_reader *reader,
                         struct etp_process_info *info)
{
	struct etp_signal_iter iter;
	struct etp_signal signal;
	bool on_heap = info->sig_qs_flags & FS_ON_HEAP_MSGQ;
	etp_signal_iter_init(&iter, vm, reader, info->address);
	while (etp_signal_iter_next(&iter, &signal)) {
		if (signal.kind == ETP_SIGNAL_RECV_MARKER) {
			info->memory += SIZEOF(vm, ErtsRecvMarker);
			continue;
		}
		if (signal.kind != ETP_SIGNAL_MESSAGE &&
		    signal.kind != ETP_SIGNAL_EXTERNAL_MESSAGE) {
			info->signals++;
			continue;
		}
		info->messages[signal.queue]++;
		info->message_queue_len++;
		info->external_messages += signal.kind == ETP_SIGNAL_EXTERNAL_MESSAGE;
		info->memory += SIZEOF(vm, ErtsMessage) + signal.words * WORD;
		if (on_heap) {
			info->total_heap_size += signal.words;
			if (signal.storage != ETP_MESSAGE_COMBINED)
				info->gc.mbuf_size += signal.words;
		}
		if (!signal.words_known) {
			unknown(info, ETP_PROCESS_MEMORY, "the size of a message is unknown");
			unknown(info, ETP_PROCESS_TOTAL_HEAP_SIZE,
			        "the size of a message is unknown");
		}
	}
	if (iter.gaps) {
		unknown(info, ETP_PROCESS_MESSAGE_QUEUE_LEN, iter.problem);
		unknown(info, ETP_PROCESS_MEMORY, iter.problem);
	}
}

// The VM does not count these for a process that exits (erts_process_memory()).
static void read_links(const struct etp_vm *vm, struct etp_reader *reader,
                       struct etp_process_info *info)
{
	struct etp_link_iter links;
	struct etp_link link;
	etp_link_iter_init(&links, vm, reader, info->address);
	while (etp_link_iter_next(&links, &link)) {
		info->link_count += !link.is_unlinking;
		info->memory += info->is_exiting ? 0 : link.bytes;
	}
	if (links.nodes.gaps)
		unknown(info, ETP_PROCESS_LINKS, links.nodes.problem);

	struct etp_monitor_iter monitors;
	struct etp_monitor monitor;
	etp_monitor_iter_init(&monitors, vm, reader, info->address);
	while (etp_monitor_iter_next(&monitors, &monitor)) {
		info->monitor_count += etp_monitor_is_origin_listed(&monitor);
		info->monitored_by_count += etp_monitor_is_target_listed(&monitor);
		info->memory += info->is_exiting ? 0 : monitor.bytes;
	}
	if (monitors.nodes.gaps)
		unknown(info, ETP_PROCESS_MONITORS, monitors.nodes.problem);
	if (links.nodes.gaps || monitors.nodes.gaps)
		unknown(info, ETP_PROCESS_MEMORY, info->problem);
}

static void read_specific_data(const struct etp_vm *vm, struct etp_reader *reader,
                               const void *process, struct etp_process_info *info)
{
	uint64_t psd = WORD_OF(vm, process, Process, psd);
	if (!psd)
		return;
	info->memory += SIZEOF(vm, ErtsPSD);
	uint64_t data = psd + OFFSET(vm, ErtsPSD, data), calls, handler;
	uint32_t length;
	if (!etp_read_u64(reader, data + PSD_ERROR_HANDLER * WORD, &handler))
		unknown(info, ETP_PROCESS_ERROR_HANDLER, "the error handler cannot be read");
	else if (term_is_atom(handler))
		info->error_handler = handler;
	if (!HAS(vm, saved_calls, len))
		return;
	if (!etp_read_u64(reader, data + PSD_SAVED_CALLS_BUF * WORD, &calls) ||
	    (calls && (!READ_U32(vm, reader, calls, saved_calls, len, &length) ||
	               length - 1 >= SAVED_CALLS_MAX)))
		unknown(info, ETP_PROCESS_MEMORY, "the saved calls cannot be read");
	else if (calls)
		info->memory += SIZEOF(vm, saved_calls) + (length - UINT64_C(1)) * WORD;
}

static void read_dictionary(const struct etp_vm *vm, struct etp_reader *reader, const void *process,
                            struct etp_process_info *info)
{
	info->dictionary = WORD_OF(vm, process, Process, dictionary);
	uint32_t slots;
	uint64_t last;
	if (!info->dictionary)
		return;
	if (!READ_U32(vm, reader, info->dictionary, ProcDict, arraySize, &slots) || !slots ||
	    !etp_read_u64(reader,
	                  info->dictionary + OFFSET(vm, ProcDict, data) +
	                          (slots - UINT64_C(1)) * WORD,
	                  &last) ||
	    !READ_WORD(vm, reader, info->dictionary, ProcDict, numElements,
	               &info->dictionary_size)) {
		unknown(info, ETP_PROCESS_DICTIONARY, "the process dictionary cannot be read");
		unknown(info, ETP_PROCESS_MEMORY, "the process dictionary cannot be read");
		return;
	}
	info->memory += SIZEOF(vm, ProcDict) + (slots - UINT64_C(1)) * WORD;
}

static void read_registers(uint64_t arity, struct etp_process_info *info)
{
	if (arity > REGISTERS_MAX)
		unknown(info, ETP_PROCESS_MEMORY, "it has more argument registers than there are");
	else
		info->memory += arity * WORD;
}

struct etp_error *etp_process_info(const struct etp_vm *vm, struct etp_reader *reader,
                                   uint64_t address, struct etp_process_info *ret)
{
	const void *process = etp_reader_at(reader, address, SIZEOF(vm, Process));
	if (!process)
		return etp_error_fault(reader->fault_address, "Process");
	struct etp_process_info info = {
		.address = address,
		.pid = WORD_OF(vm, process, Process, id),
		.memory = SIZEOF(vm, Process),
		.reductions = WORD_OF(vm, process, Process, reds),
		.catchlevel = WORD_OF(vm, process, Process, catches),
		.group_leader = WORD_OF(vm, process, Process, group_leader),
		.seq_trace_token = WORD_OF(vm, process, Process, seq_trace_token),
		.program_counter = WORD_OF(vm, process, Process, i),
		.current = WORD_OF(vm, process, Process, current),
	};
	if (!term_is_internal_pid(info.pid))
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "0x%llx is not a process: no pid stands in it.",
		                        (unsigned long long)address);
	if (HAS(vm, Process, parent))
		info.parent = WORD_OF(vm, process, Process, parent);
	read_state(vm, process, &info);
	read_names(vm, reader, process, &info);
	read_heaps(vm, reader, process, &info);
	read_signals(vm, reader, &info);
	read_links(vm, reader, &info);
	// Argument registers beyond those in the struct.
	if (WORD_OF(vm, process, Process, arg_reg) != address + OFFSET(vm, Process, def_arg_reg))
		read_registers(SMALL_OF(vm, process, Process, arity), &info);
	read_specific_data(vm, reader, process, &info);
	read_dictionary(vm, reader, process, &info);
	*ret = info;
	return NULL;
}
