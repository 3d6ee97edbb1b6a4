// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_WAITS_H
#define ETP_WAITS_H

/**
 * @file
 * Who waits for whom: processes, and the processes, ports and nodes that they cannot go
 * on without.
 *
 * A process waits for at most one other, so that following it from one to the next ends
 * at a *root*, which waits for nobody, or in a *cycle*, a deadlock. How many processes
 * are behind a root or a cycle is counted along all ways that lead there.
 *
 * What a process waits for is told by what the VM has for it:
 * - in a receive, with the reference of a monitor of its own in the frame on top of its
 *   stack: for the process at the other end. That is how gen:call/4 and all that is built
 *   on it wait for a reply (gen.erl, code_server.erl, io.erl, erpc.erl);
 * - in one of the functions of OTP that ask a process of the VM without a monitor: for that;
 * - in one of the functions of OTP that start a process and wait until it is ready, or tell one to
 *   end and wait until it has: for the process whose pid is in the frame on top (proc_lib.erl,
 *   supervisor.erl, application_master.erl, application_controller.erl, init.erl);
 * - in the function in which a supervisor waits for dynamic children that it told to end: for one
 *   of those that it monitors;
 * - in gen_tcp:send/2, after the driver has taken what it sends into a full queue: for that port;
 * - suspended: for who called erlang:suspend_process/1 (erl_monitor_link.h), or for the
 *   port or connection that has it in its list (erl_port.h, erl_node_tables.h).
 * A server that has others do what it is asked for knows in its state alone whom its callers wait
 * for: these edges are given by whoever has read that (struct etp_wait_edge).
 *
 * Thread safety: belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/process.h>
#include <etp/term.h>

struct etp_vm;

enum {
	/** Waits for nobody. */
	ETP_WAIT_NOBODY = UINT32_MAX,
	/** Processes of each status that are listed. */
	ETP_WAIT_EXAMPLES = 64,
};

enum etp_wait_kind {
	ETP_WAIT_NONE,
	/** For a reply (or that the other dies), and for nothing else: in a function of OTP or
	 *  Elixir that does that, or in a receive all clauses of which have the reference, which
	 *  leaves a mark (ErtsRecvMarker, erl_message.h). */
	ETP_WAIT_CALL,
	/** In any other function that has the monitor's reference at hand: for a message with
	 *  it, but perhaps for other messages as well. Only with OTP 23, which keeps no such
	 *  marks. */
	ETP_WAIT_MONITOR,
	/** For erl_prim_loader, init, erts_code_purger or mnesia_locker. */
	ETP_WAIT_REQUEST,
	/** Until a process that it starts is ready: proc_lib:init_ack/1. */
	ETP_WAIT_START,
	/** Until a process ends that it has told to. */
	ETP_WAIT_EXIT,
	/** Suspended by a process. */
	ETP_WAIT_SUSPENDED,
	/** Suspended until a port is not busy any more. */
	ETP_WAIT_PORT,
	/** Until a port has room for what it was sent. */
	ETP_WAIT_SEND,
	/** For a process of another node; or suspended until the connection to it is not
	 *  busy any more. */
	ETP_WAIT_NODE,
	ETP_WAIT_KIND_COUNT,
};

/** "call", "monitor", "request", "start", "exit", "suspended", "port", "send", "node"; "none". */
ETP_EXPORT const char *etp_wait_kind_name(enum etp_wait_kind kind);

enum etp_waiter_kind {
	ETP_WAITER_PROCESS,
	ETP_WAITER_PORT,
	/** Another node. */
	ETP_WAITER_NODE,
};

/** "process", "port" or "node". */
ETP_EXPORT const char *etp_waiter_kind_name(enum etp_waiter_kind kind);

/** Who waits, or is waited for. */
struct etp_waiter {
	enum etp_waiter_kind kind;
	/** Of the Process, Port or (if known) DistEntry. */
	uint64_t address;
	/** Pid, port, or name of the node; and as what a process is registered: an atom, or 0. */
	etp_term term, name;
	/** How it waits, and for whom: position in the array, or ETP_WAIT_NOBODY. */
	enum etp_wait_kind wait;
	uint32_t target;
	/** How many wait for it, and how many wait for it or for one of those, and so on. In a
	 *  cycle: without the other members and those behind these. */
	uint32_t direct, behind;
	/** The longest chain that ends here, and the one before this in it. */
	uint32_t depth, deepest;
};

/** Whom a process waits for in truth, when it waits for one that has somebody else do it. */
struct etp_wait_edge {
	/** Pids. `who` may be `target` itself. */
	etp_term who, target;
	/** `who` must be found to wait for it. 0: `who` waits for nobody, but some call it, and
	 * wait for `target`, to which it passes on what it is asked. */
	etp_term through;
	enum etp_wait_kind kind;
};

struct etp_wait_cycle {
	/** A member, and how many there are; the others follow by `target`. */
	uint32_t first, size;
	/** How many wait for one of them, without being one. */
	uint32_t behind;
	/** All of them wait for nothing else: ETP_WAIT_CALL, REQUEST, START or EXIT. */
	bool is_certain;
};

struct etp_wait_status {
	uint64_t count;
	/** Positions of the first of them. */
	uint32_t examples[ETP_WAIT_EXAMPLES];
};

struct etp_waits {
	/** All processes in order of their slot, then all ports, then nodes. */
	size_t count, process_count;
	struct etp_waiter *waiters;
	/** Positions of those whom others wait for, and who wait for nobody; most `behind`
	 *  first. */
	size_t root_count;
	uint32_t *roots;
	/** Largest first. */
	size_t cycle_count;
	struct etp_wait_cycle *cycles;
	struct etp_wait_status statuses[ETP_PROCESS_STATUS_COUNT];
	/** Suspended processes of which nothing tells by what. */
	uint64_t suspended_unknown;
	/** Processes, lists and trees that could not be read, and why the last could not: a
	 *  static string or NULL. */
	uint64_t gaps;
	const char *problem;
};

/** Look at all processes once, and then follow the edges. Release with etp_waits_deinit().
 *  Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_waits_init(struct etp_waits *waits, const struct etp_vm *vm,
                                            const struct etp_wait_edge *edges, size_t edge_count);
ETP_EXPORT void etp_waits_deinit(struct etp_waits *waits);

#endif
