// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_H
#define ETP_VM_H

/**
 * @file
 * The VM: a target together with the layout of its beam.smp.
 *
 * Thread safety: a VM is read-only once opened; any number of threads may use
 * it, each with a reader of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/layout.h>
#include <etp/target.h>
#include <etp/term.h>

struct etp_vm;

/** Make sense of a target: choose the layout, check it against the memory.
 *  @param target Ownership passes to the VM on success; on error it stays with
 *  the caller. Errors: LAYOUT (none found, or a self-check failed), UNSUPPORTED
 *  (not an Erlang VM). */
ETP_EXPORT struct etp_error *etp_vm_open(struct etp_target *target,
                                         const struct etp_layout_options *options,
                                         struct etp_vm **ret);

ETP_EXPORT void etp_vm_close(struct etp_vm *vm);

ETP_EXPORT const struct etp_target *etp_vm_target(const struct etp_vm *vm);
ETP_EXPORT const struct etp_layout *etp_vm_layout(const struct etp_vm *vm);

/** One self-check of the layout against the memory (src/layout/check.c). */
struct etp_check {
	/** What must hold, one line. */
	const char *claim;
	/** How many cases were looked at, failed, and could not be read. */
	uint64_t tried, failed, unreadable;
	/** The first failure in words, or NULL. */
	const char *failure;
};

struct etp_vm_info {
	/** "25", "13.1.5", "jit" or "emu": from the target itself. */
	const char *otp_release, *erts_version, *flavor;
	uint64_t schedulers, dirty_cpu_schedulers, dirty_io_schedulers;
	uint64_t processes, process_limit, ports, port_limit;
	uint64_t atoms, atom_limit, ets_tables;
	/** Atom index of this node's name, and its creation. */
	uint64_t node_name;
	uint32_t node_creation;
	/** Nanoseconds from the VM's start to the last time that any scheduler
	 *  looked at the clock; -1 when unknown. */
	int64_t uptime_ns;
	size_t check_count;
	const struct etp_check *checks;
};

ETP_EXPORT const struct etp_vm_info *etp_vm_info(const struct etp_vm *vm);

/** Name of an atom: UTF-8, not terminated. NULL when it cannot be read. */
ETP_EXPORT const char *etp_vm_atom(const struct etp_vm *vm, struct etp_reader *reader,
                                   uint64_t index, size_t *size_ret);

/** Index of the atom with this UTF-8 name. Linear in the number of atoms.
 *  Error: NOT_FOUND. */
ETP_EXPORT struct etp_error *etp_vm_find_atom(const struct etp_vm *vm, const char *name,
                                              size_t size, uint64_t *index_ret);

/** Is `term` the atom `name`? `name` is plain ASCII. */
ETP_EXPORT bool etp_vm_is_atom(const struct etp_vm *vm, struct etp_reader *reader, etp_term term,
                               const char *name);

/** Address of the Process that the internal pid `pid` denotes, 0 if it is dead. */
ETP_EXPORT uint64_t etp_vm_process(const struct etp_vm *vm, etp_term pid);

/** Address of the Port that the internal port `port` denotes, 0 if it is closed. */
ETP_EXPORT uint64_t etp_vm_port(const struct etp_vm *vm, etp_term port);

/** All live processes in order of their slot: addresses of Process and their pids.
 *  The arrays belong to the VM. */
ETP_EXPORT size_t etp_vm_processes(const struct etp_vm *vm, const uint64_t **addresses_ret,
                                   const etp_term **pids_ret);

enum etp_initial_call_source {
	ETP_INITIAL_CALL_NONE,
	/** `$initial_call` in the dictionary, as proc_lib leaves it. */
	ETP_INITIAL_CALL_PROC_LIB,
	/** What spawn was given. */
	ETP_INITIAL_CALL_SPAWN,
	/** The same, proc_lib; what that was given may be in a part of the dictionary that
	 *  cannot be read. */
	ETP_INITIAL_CALL_UNREADABLE,
};

struct etp_process_summary {
	uint64_t address;
	etp_term pid;
	/** Registered name (atom index), if has_name; it has one that cannot be read, if
	 *  is_name_unreadable. */
	bool has_name, is_name_unreadable;
	uint64_t name;
	enum etp_initial_call_source initial_call_source;
	uint64_t initial_module, initial_function;
	uint64_t initial_arity;
};

/** Who a process is, in the few words that fit into a table. */
ETP_EXPORT struct etp_error *etp_vm_process_summary(const struct etp_vm *vm,
                                                    struct etp_reader *reader, uint64_t address,
                                                    struct etp_process_summary *ret);

/** Argument `index` of the command line that the emulator was started with (saved_emu_args,
 *  utils.c); the first is its path. Not terminated, and a stranger's bytes; valid as long as
 *  the target. NULL behind the last one, or when it cannot be read. */
ETP_EXPORT const char *etp_vm_argument(const struct etp_vm *vm, struct etp_reader *reader,
                                       size_t index, size_t *size_ret);

/** The number of these; 0 when unknown. */
ETP_EXPORT size_t etp_vm_argument_count(const struct etp_vm *vm, struct etp_reader *reader);

#endif
