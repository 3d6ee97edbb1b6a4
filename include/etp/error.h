// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ERROR_H
#define ETP_ERROR_H

/**
 * @file
 * Errors.
 *
 * Every function of the library that can fail returns `struct etp_error *`:
 * NULL on success, otherwise an error that the caller owns and must release
 * with etp_error_destroy(). Results go to the last parameters, which are
 * written on success only.
 *
 * Thread safety: errors are plain values; one error belongs to one thread.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/export.h>

enum etp_error_kind {
	/** Memory at `address` is not in the core (not saved, or not mapped). */
	ETP_ERROR_FAULT,
	/** Bytes were readable, but are not what must stand there. */
	ETP_ERROR_BAD_DATA,
	/** No layout for this beam.smp, or one that does not fit the core. */
	ETP_ERROR_LAYOUT,
	/** A file or VM of a kind that this library does not read. */
	ETP_ERROR_UNSUPPORTED,
	/** A name, address or option that denotes nothing. */
	ETP_ERROR_NOT_FOUND,
	/** An argument that the caller got wrong. */
	ETP_ERROR_ARGUMENT,
	/** The operating system refused; see `os_errno`. */
	ETP_ERROR_OS,
	ETP_ERROR_NO_MEMORY,
	/** The user pressed Ctrl-C, or a callback asked to stop. */
	ETP_ERROR_INTERRUPTED,
};

struct etp_error {
	enum etp_error_kind kind;
	/** errno for ETP_ERROR_OS, otherwise 0. */
	int os_errno;
	/** Faulting address for ETP_ERROR_FAULT, otherwise 0. */
	uint64_t address;
	/** One or more sentences in UTF-8, without a final newline: what was
	 *  sought, where, what was found, what to do. Never NULL. */
	const char *message;
};

/** Shared by all callers; etp_error_destroy() ignores them. */
extern ETP_EXPORT struct etp_error etp_error_no_memory;
extern ETP_EXPORT struct etp_error etp_error_interrupted;

/** Create an error of any kind. Returns &etp_error_no_memory when out of it. */
ETP_EXPORT struct etp_error *etp_error_create(enum etp_error_kind kind, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** As etp_error_create(), for a failed system call: appends strerror(os_errno). */
ETP_EXPORT struct etp_error *etp_error_os(int os_errno, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** An ETP_ERROR_FAULT for `address`; `what` says what was being read. */
ETP_EXPORT struct etp_error *etp_error_fault(uint64_t address, const char *what);

/** Put "`prefix`: " before the message of `err` and return it. */
ETP_EXPORT struct etp_error *etp_error_prefix(struct etp_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** Put a space and more sentences behind the message of `err` and return it. */
ETP_EXPORT struct etp_error *etp_error_append(struct etp_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** Release an error. NULL and the static errors are ignored. */
ETP_EXPORT void etp_error_destroy(struct etp_error *err);

#endif
