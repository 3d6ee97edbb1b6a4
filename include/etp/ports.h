// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PORTS_H
#define ETP_PORTS_H

/**
 * @file
 * Ports: what erlang:port_info/1,2 says of each.
 *
 * ERTS: erl_port.h, erl_port_task.h.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/links.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum {
	/** Bytes of a port's name that are looked at. */
	ETP_PORT_NAME_MAX = 4096,
};

struct etp_port_info {
	uint64_t address;
	etp_term port;
	/** What it was opened with: a program's command line, or a driver's name. Not
	 *  terminated; NULL when it cannot be read. Valid as long as the target. */
	const char *name;
	size_t name_size;
	/** Name of its driver, likewise. */
	const char *driver;
	size_t driver_size;
	/** Who gets its data; 0 when unknown. */
	etp_term connected;
	/** Registered name, an atom; 0 if it has none. */
	etp_term registered_name;
	/** Bytes read from it, written to it, and waiting in its driver's queue. */
	uint64_t input, output, queue_size;
	/** Pid of its program, 0 if it has none. */
	int64_t os_pid;
	/** Whoever sends to it is suspended: its driver says so, or its queue of commands
	 *  is full. */
	bool is_busy, is_queue_full;
	/** Its owner or the driver closes it. */
	bool is_closing;
	/** It is a connection to another node. */
	bool is_distribution;
	/** A process is suspended until it is not busy any more. */
	bool has_suspended;
	/** Something of the above could not be read, or is not in the layout. */
	bool is_incomplete;
};

/** All open ports in order of their slot: addresses of Port. The array belongs to the VM. */
ETP_EXPORT size_t etp_vm_ports(const struct etp_vm *vm, const uint64_t **addresses_ret);

/** What is known of the Port at `address`. Error: FAULT if nothing can be read. */
ETP_EXPORT struct etp_error *etp_port_info(const struct etp_vm *vm, struct etp_reader *reader,
                                           uint64_t address, struct etp_port_info *ret);

/** Start on the links of the Port at `port`, for etp_link_iter_next(). */
ETP_EXPORT void etp_link_iter_init_port(struct etp_link_iter *iter, const struct etp_vm *vm,
                                        struct etp_reader *reader, uint64_t port);

#endif
