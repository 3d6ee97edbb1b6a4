// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PROCESS_H
#define ETP_PROCESS_H

/**
 * @file
 * What process_info/2 says of a process, read from its struct.
 *
 * Names and units are those of process_info/2 (ERTS: erl_bif_info.c): heap sizes
 * are words, memory is bytes. Messages that were on their way count as they would
 * have counted if somebody had asked.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stdint.h>

#include <etp/chain.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/signal_queue.h>
#include <etp/term.h>
#include <etp/vm.h>

/** erts_process_state2status(), erl_process.c. */
enum etp_process_status {
	ETP_PROCESS_FREE,
	ETP_PROCESS_EXITING,
	ETP_PROCESS_GARBAGE_COLLECTING,
	ETP_PROCESS_SUSPENDED,
	ETP_PROCESS_RUNNING,
	ETP_PROCESS_RUNNABLE,
	ETP_PROCESS_WAITING,
	ETP_PROCESS_STATUS_COUNT,
};

/** "waiting", "running" ... as process_info(P, status). */
ETP_EXPORT const char *etp_process_status_name(enum etp_process_status status);

/** process_info(P, status) alone. False when it cannot be read. */
ETP_EXPORT bool etp_process_status(const struct etp_vm *vm, struct etp_reader *reader,
                                   uint64_t address, enum etp_process_status *ret);

/** Items that may be unknown or uncertain. */
enum etp_process_item {
	ETP_PROCESS_MEMORY,
	ETP_PROCESS_TOTAL_HEAP_SIZE,
	ETP_PROCESS_HEAP_SIZE,
	ETP_PROCESS_STACK_SIZE,
	ETP_PROCESS_GARBAGE_COLLECTION_INFO,
	ETP_PROCESS_REDUCTIONS,
	ETP_PROCESS_MESSAGE_QUEUE_LEN,
	ETP_PROCESS_LINKS,
	ETP_PROCESS_MONITORS,
	ETP_PROCESS_INITIAL_CALL,
	ETP_PROCESS_REGISTERED_NAME,
	ETP_PROCESS_ERROR_HANDLER,
	ETP_PROCESS_DICTIONARY,
	ETP_PROCESS_ITEM_COUNT,
};

/** The item's name in process_info/2. */
ETP_EXPORT const char *etp_process_item_name(enum etp_process_item item);

/** process_info(P, garbage_collection_info): words, and bytes behind binaries in
 *  words for the vheaps. */
struct etp_process_gc_info {
	uint64_t old_heap_block_size, heap_block_size, mbuf_size, recent_size, stack_size;
	uint64_t old_heap_size, heap_size;
	uint64_t bin_vheap_size, bin_vheap_block_size;
	uint64_t bin_old_vheap_size, bin_old_vheap_block_size;
};

struct etp_process_info {
	uint64_t address;
	etp_term pid;
	/** Bits (1 << enum etp_process_item). Unknown: could not be read, the value
	 *  here is what could. Uncertain: the process was running or collecting
	 *  garbage, and part of its state was in registers or in transition. */
	uint32_t unknown, uncertain;
	/** Pieces that could not be read, and the last reason: static, or NULL. */
	uint64_t gaps;
	const char *problem;

	bool has_name;
	uint64_t name;
	/** process_info(P, initial_call): what spawn was given (atom indexes). */
	bool has_initial_call;
	uint64_t initial_module, initial_function, initial_arity;
	/** `$initial_call` that proc_lib left in the dictionary. */
	bool has_proc_lib_call;
	uint64_t proc_lib_module, proc_lib_function, proc_lib_arity;

	enum etp_process_status status;
	/** Raw: Process.state, .flags, .sig_qs.flags and .common.trace_flags. */
	uint32_t state, flags, sig_qs_flags;
	uint64_t trace_flags;
	bool is_exiting, is_collecting_garbage, is_hibernated, is_sensitive, trap_exit;
	/** Executes (Erlang code, a BIF, a NIF, or signals and system tasks). */
	bool is_running;
	/** On a dirty scheduler; of these, or to be scheduled on one. */
	bool is_dirty_running, is_dirty_cpu, is_dirty_io;
	/** Messages are kept off the heap. */
	bool is_off_heap_message_queue;
	/** 0 max, 1 high, 2 normal, 3 low. */
	unsigned priority;

	/** Messages in each queue; message_queue_len is their sum. */
	uint64_t messages[ETP_SIGNAL_QUEUE_COUNT];
	uint64_t message_queue_len;
	/** Of these: undecoded, from other nodes. */
	uint64_t external_messages;
	/** Signals in transit that are not messages. */
	uint64_t signals;

	uint64_t link_count, monitor_count, monitored_by_count;
	uint64_t dictionary_size;

	/** Bytes. */
	uint64_t memory;
	/** Words. */
	uint64_t total_heap_size, heap_size, stack_size, min_heap_size, min_bin_vheap_size;
	uint64_t max_heap_size;
	bool max_heap_size_kill, max_heap_size_error_logger;
	/** Whether binaries off the heap count; OTP 26 and older do not know it. */
	bool has_include_shared_binaries, max_heap_size_include_shared_binaries;
	uint64_t minor_gcs, fullsweep_after;
	struct etp_process_gc_info gc;

	/** Up to the last time that it was scheduled out. */
	uint64_t reductions;
	uint64_t catchlevel;

	/** parent: 0 if this release does not keep it; error_handler: an atom, 0 for
	 *  the default one; seq_trace_token: NIL mostly. */
	etp_term group_leader, parent, error_handler, seq_trace_token;
	/** Program counter, and the address of the current ErtsCodeMFA or 0. */
	uint64_t program_counter, current;
	/** Address of the ProcDict, 0 if there is none. */
	uint64_t dictionary;
};

/** Read everything but the lists. Parts that cannot be read are marked in `ret`.
 *  Errors: FAULT and BAD_DATA when there is no process at `address`. */
ETP_EXPORT struct etp_error *etp_process_info(const struct etp_vm *vm, struct etp_reader *reader,
                                              uint64_t address, struct etp_process_info *ret);

enum etp_scheduler_kind {
	ETP_SCHEDULER_NORMAL,
	ETP_SCHEDULER_DIRTY_CPU,
	ETP_SCHEDULER_DIRTY_IO,
};

/** "normal", "dirty_cpu", "dirty_io". */
ETP_EXPORT const char *etp_scheduler_kind_name(enum etp_scheduler_kind kind);

/** Which scheduler runs the Process at `address`; false if none does. */
ETP_EXPORT bool etp_process_scheduler(const struct etp_vm *vm, struct etp_reader *reader,
                                      uint64_t address, enum etp_scheduler_kind *kind_ret,
                                      uint64_t *number_ret);

/** Walks the pairs of a process dictionary (ProcDict, erl_process_dict.c). */
struct etp_dictionary_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** Slots and chains that could not be read; a static string or NULL. */
	uint64_t gaps;
	const char *problem;
	uint64_t dictionary;
	uint32_t slot, slots;
	/** List of pairs whose keys share a slot. */
	etp_term list;
	struct etp_chain chain;
};

/** Start on the ProcDict at `dictionary`; 0 is an empty one. */
ETP_EXPORT void etp_dictionary_iter_init(struct etp_dictionary_iter *iter, const struct etp_vm *vm,
                                         struct etp_reader *reader, uint64_t dictionary);

/** The next pair, in the reverse order of process_info(P, dictionary). */
ETP_EXPORT bool etp_dictionary_iter_next(struct etp_dictionary_iter *iter, etp_term *key_ret,
                                         etp_term *value_ret);

#endif
