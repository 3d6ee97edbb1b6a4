// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_FDS_H
#define ETP_FDS_H

/**
 * @file
 * File descriptors that the VM waits for events on, and for whom.
 *
 * ERTS: drv_ev_state (erl_check_io.c), an array with an ErtsDrvEventState for each file
 * descriptor up to the largest that a driver or NIF has ever selected. Those that nobody
 * selects, such as files, are not in it.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

struct etp_fd_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** Entries that could not be read, and why the last could not: a static string or
	 *  NULL. */
	uint64_t gaps;
	const char *problem;
	/** Address of the array, how many it has, and the next one. */
	uint64_t states, count, next;
};

/** EventStateType, erl_check_io.c. */
enum etp_fd_type {
	/** Nobody selects it any more, but it is still in the poll set. */
	ETP_FD_NONE,
	/** A driver, by driver_select(). */
	ETP_FD_DRIVER,
	/** A driver that is to be told that it may close it. */
	ETP_FD_STOP_DRIVER,
	/** A NIF, by enif_select(). */
	ETP_FD_NIF,
	/** A NIF that is to be told that it may close it. */
	ETP_FD_STOP_NIF,
	ETP_FD_TYPE_COUNT,
};

/** "none", "driver", "stop_driver", "nif", "stop_nif". */
ETP_EXPORT const char *etp_fd_type_name(enum etp_fd_type type);

enum etp_fd_event {
	ETP_FD_IN = 1 << 0,
	ETP_FD_OUT = 1 << 1,
	ETP_FD_ERROR = 1 << 2,
};

struct etp_fd {
	int32_t fd;
	enum etp_fd_type type;
	/** Events that were asked for, and those that the poll set waits for at the moment: of
	 *  one that has happened it does not, until it was handled. Of enum etp_fd_event. */
	unsigned events, active_events;
	/** Ports (driver) or processes (NIF) that are told; 0: nobody. */
	etp_term in, out, error;
	/** Of the NIF: address of the ErtsResource, its type's module and name, atoms; 0: not
	 *  known. */
	uint64_t resource;
	etp_term resource_module, resource_name;
	/** Something of the above could not be read. */
	bool is_incomplete;
};

ETP_EXPORT void etp_fd_iter_init(struct etp_fd_iter *iter, const struct etp_vm *vm,
                                 struct etp_reader *reader);

/** The next one that is in use, in order of their number. */
ETP_EXPORT bool etp_fd_iter_next(struct etp_fd_iter *iter, struct etp_fd *ret);

#endif
