// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_DIST_ENTRY_H
#define ETP_DIST_ENTRY_H

/**
 * @file
 * Other nodes that this one knows, and the connections to them.
 *
 * ERTS: a DistEntry for each node (erl_node_tables.h, dist.c), all of which are in the hash
 * table `erts_dist_table`, whether they are connected or not; this node has one itself.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/chain.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

/** Walks all DistEntry structs. */
struct etp_dist_entry_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** Places that could not be read, and why the last could not: a static string or
	 *  NULL. */
	uint64_t gaps;
	const char *problem;
	/** Of the hash table: its buckets, the next one, and what is left of this one. */
	uint64_t buckets, bucket_count, bucket, next, nobjs, seen;
};

ETP_EXPORT void etp_dist_entry_iter_init(struct etp_dist_entry_iter *iter, const struct etp_vm *vm,
                                         struct etp_reader *reader);

/** Address of the next DistEntry. False at the end. */
ETP_EXPORT bool etp_dist_entry_iter_next(struct etp_dist_entry_iter *iter, uint64_t *address_ret);

/** enum dist_entry_state, erl_node_tables.h. */
enum etp_dist_state {
	/** Not connected. */
	ETP_DIST_IDLE,
	/** net_kernel is setting the connection up. */
	ETP_DIST_PENDING,
	ETP_DIST_CONNECTED,
	/** The connection is being taken down. */
	ETP_DIST_EXITING,
	ETP_DIST_STATE_COUNT,
};

/** "not_connected", "pending", "connected", "exiting". */
ETP_EXPORT const char *etp_dist_state_name(enum etp_dist_state state);

/** What ties a process of this node to another node. */
enum etp_dist_tie {
	/** To a process there. */
	ETP_DIST_LINK,
	/** Of a process there: monitor/2,3, or spawn_request/5 with one. */
	ETP_DIST_MONITOR,
	/** A process there watches this one. */
	ETP_DIST_MONITORED_BY,
	/** monitor_node/2. */
	ETP_DIST_MONITOR_NODE,
	/** It is suspended until the connection is not busy any more. */
	ETP_DIST_SUSPENDED,
	ETP_DIST_TIE_COUNT,
};

/** "link", "monitor", "monitored_by", "monitor_node", "suspended". */
ETP_EXPORT const char *etp_dist_tie_name(enum etp_dist_tie tie);

struct etp_dist_entry {
	uint64_t address;
	/** Name of the node, an atom. */
	etp_term node;
	/** It is this node's own. */
	bool is_this;
	enum etp_dist_state state;
	/** Of a node that is connected: nodes() lists it. */
	bool is_visible;
	/** Of the node that is, or was last, connected; 0 when it never was. */
	uint32_t creation;
	/** Port or process that carries the bytes; 0 when there is none. */
	etp_term controller;
	/** Bytes that wait to be taken by the controller, as erlang:dist_get_stat/1 counts them,
	 *  and what of them is compared with the limit (less, since OTP 25.3, by what signals
	 *  of processes with the flag async_dist have). */
	uint64_t queue_size, queue_size_respected;
	/** Packets received and sent since it was connected. */
	uint64_t received, sent;
	/** Whoever sends to it is suspended, as the queue has reached the limit of
	 *  erlang:system_info(dist_buf_busy_limit). */
	bool is_busy;
	/** Processes of this node that are tied to the other one: how many ties of each kind. */
	uint64_t ties[ETP_DIST_TIE_COUNT];
	/** Something of the above could not be read, or is not in the layout. */
	bool is_incomplete;
};

/** What is known of the DistEntry at `address`. Error: FAULT if it cannot be read. */
ETP_EXPORT struct etp_error *etp_dist_entry_read(const struct etp_vm *vm, struct etp_reader *reader,
                                                 uint64_t address, struct etp_dist_entry *ret);

/** Calls `see` for each tie that the DistEntry at `address` knows of, with the pid of the process
 *  (or the atom by which it is monitored), until it returns false. Returns how many places could
 *  not be read. */
ETP_EXPORT uint64_t etp_dist_entry_ties(
	const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
	bool (*see)(void *context, enum etp_dist_tie tie, etp_term process), void *context);

#endif
