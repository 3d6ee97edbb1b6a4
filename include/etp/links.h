// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LINKS_H
#define ETP_LINKS_H

/**
 * @file
 * Links and monitors of a process, a port, or a connection to another node.
 *
 * ERTS: erl_monitor_link.h. Links and the monitors that a process has set up
 * (origins) are in red-black trees, monitors of others on it (targets) in a
 * circular list; those that other nodes have on it are targets in the tree. Each
 * node of a tree names its parent, which is checked on the way, so that no forged
 * tree can send a walk round in circles. The other end of those that go to another
 * node is in circular lists of the connection (ErtsMonLnkDist).
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

/** Walks one tree or one list of ErtsMonLnkNode. */
struct etp_monlnk_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** Branches that break off, and why the last did: a static string or NULL. */
	uint64_t gaps;
	const char *problem;
	bool is_list, started;
	/** Root or first node, and the node to return next; 0 at the end. */
	uint64_t root, node;
};

struct etp_link {
	/** Of the ErtsMonLnkNode. */
	uint64_t address;
	/** Pid or port at the other end. */
	etp_term other;
	/** The other end is a process on another node. */
	bool is_remote;
	/** unlink/1 was called, and is not acknowledged yet: no link any more for
	 *  process_info/2. */
	bool is_unlinking;
	/** Bytes that process_info(P, memory) counts for it. */
	uint64_t bytes;
};

struct etp_link_iter {
	struct etp_monlnk_iter nodes;
};

/** Start on the links of the Process at `process`. */
ETP_EXPORT void etp_link_iter_init(struct etp_link_iter *iter, const struct etp_vm *vm,
                                   struct etp_reader *reader, uint64_t process);

/** Start on the links over the connection of the DistEntry at `dist_entry`
 *  (include/etp/dist_entry.h): the other end of each is a process of this node. */
ETP_EXPORT void etp_link_iter_init_dist(struct etp_link_iter *iter, const struct etp_vm *vm,
                                        struct etp_reader *reader, uint64_t dist_entry);

/** The next link, in the reverse order of process_info(P, links). */
ETP_EXPORT bool etp_link_iter_next(struct etp_link_iter *iter, struct etp_link *link);

/** ERTS_MON_TYPE_*, OTP 25. */
enum etp_monitor_type {
	ETP_MONITOR_PROC,
	ETP_MONITOR_PORT,
	ETP_MONITOR_TIME_OFFSET,
	ETP_MONITOR_DIST_PROC,
	ETP_MONITOR_DIST_PORT,
	ETP_MONITOR_RESOURCE,
	ETP_MONITOR_NODE,
	ETP_MONITOR_NODES,
	ETP_MONITOR_SUSPEND,
	ETP_MONITOR_ALIAS,
	ETP_MONITOR_TYPE_COUNT,
};

/** "process", "port", "time_offset", "dist_process" ... */
ETP_EXPORT const char *etp_monitor_type_name(enum etp_monitor_type type);

struct etp_monitor {
	/** Of the ErtsMonLnkNode. */
	uint64_t address;
	enum etp_monitor_type type;
	/** The process is watched (false: it watches). */
	bool is_target;
	/** Who is at the other end: pid, port or atom; 0 for a NIF resource. */
	etp_term other;
	/** The monitor's reference, or its key; NIL or 0 if it has none. */
	etp_term ref;
	/** Set up by name: the name, and its node. */
	bool is_named;
	etp_term name, node;
	/** ErtsMagicBinary of the NIF resource that watches, else 0. */
	uint64_t resource;
	/** Set up by spawn_request/5 and not active yet. */
	bool is_spawn_pending;
	/** ETP_MONITOR_SUSPEND: how often, and whether it took effect. */
	uint64_t suspend_count;
	bool is_suspend_active;
	/** Heap fragments with the tag of monitor/3 ({tag, Tag}) and with that of
	 *  spawn_request/5 ({reply_tag, Tag}), if they are no immediates; else 0. The term is
	 *  in the word behind those in use. Only the end that watches has them. */
	uint64_t tag_fragment, reply_tag_fragment;
	/** Bytes that process_info(P, memory) counts for it. */
	uint64_t bytes;
};

/** The monitor whose ErtsMonLnkNode is at `address`, wherever it is. False when it cannot be
 *  read. */
ETP_EXPORT bool etp_monitor_read(const struct etp_vm *vm, struct etp_reader *reader,
                                 uint64_t address, struct etp_monitor *monitor);

/** Does process_info(P, monitors) list it? And process_info(P, monitored_by)? */
ETP_EXPORT bool etp_monitor_is_origin_listed(const struct etp_monitor *monitor);
ETP_EXPORT bool etp_monitor_is_target_listed(const struct etp_monitor *monitor);

struct etp_monitor_iter {
	/** The list, then the tree. */
	struct etp_monlnk_iter nodes;
	uint64_t tree;
};

/** Start on the monitors of the Process at `process`, of both directions. */
ETP_EXPORT void etp_monitor_iter_init(struct etp_monitor_iter *iter, const struct etp_vm *vm,
                                      struct etp_reader *reader, uint64_t process);

/** Start on the monitors over the connection of the DistEntry at `dist_entry`, of both directions:
 *  the other end of each is a process of this node, which watches if `is_target` is set. */
ETP_EXPORT void etp_monitor_iter_init_dist(struct etp_monitor_iter *iter, const struct etp_vm *vm,
                                           struct etp_reader *reader, uint64_t dist_entry);

/** The next monitor; those listed come in the reverse order of process_info/2. */
ETP_EXPORT bool etp_monitor_iter_next(struct etp_monitor_iter *iter, struct etp_monitor *monitor);

#endif
