// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_MAILBOXES_H
#define ETP_MAILBOXES_H

/**
 * @file
 * The longest mailboxes, and how far a receive has looked through them.
 *
 * A receive looks at one message after the other, and keeps where it is
 * (Process.sig_qs.save, erl_message.h). One that takes none of them begins anew with the
 * next receive; so a process that makes calls behind a long mailbox looks through all of
 * it at each.
 *
 * Thread safety: belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;

struct etp_mailbox {
	uint64_t process;
	etp_term pid;
	/** Messages in the queue that a receive looks through, and on their way to it. */
	uint64_t messages, in_transit;
	/** Of the former, those that the receive has looked at and left where they are;
	 *  unknown if the layout does not say, or the place was not met. */
	uint64_t looked_at;
	bool is_looked_at_known;
};

struct etp_mailboxes {
	/** Longest first. */
	size_t count;
	struct etp_mailbox *boxes;
	/** Of all processes. */
	uint64_t messages;
	/** Chains that break off, and why the last did: a static string or NULL. */
	uint64_t gaps;
	const char *problem;
};

/** The `limit` longest. Release with etp_mailboxes_deinit(). Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_mailboxes_init(struct etp_mailboxes *boxes,
                                                const struct etp_vm *vm, size_t limit);
ETP_EXPORT void etp_mailboxes_deinit(struct etp_mailboxes *boxes);

#endif
