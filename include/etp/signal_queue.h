// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_SIGNAL_QUEUE_H
#define ETP_SIGNAL_QUEUE_H

/**
 * @file
 * The signal queues of a process: messages that it has received, and messages
 * and other signals that are on their way.
 *
 * ERTS: erl_message.h, erl_proc_sig_queue.h. A signal enters the outer queue (or,
 * when many processes send at once, one of its buffers), is fetched into the
 * middle queue if it is not a message or stands behind one that is not, and what
 * is a message ends in the inner queue, where `receive` looks. process_info/2
 * counts all messages that were sent before it asked, so all that are here.
 *
 * Thread safety: as etp_vm; an iterator belongs to one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <etp/chain.h>
#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

/** In the order in which their signals will be handled. */
enum etp_signal_queue {
	/** The message queue proper. */
	ETP_SIGNAL_QUEUE_INNER,
	ETP_SIGNAL_QUEUE_MIDDLE,
	ETP_SIGNAL_QUEUE_OUTER,
	/** Parallel buffers of the outer queue ({message_queue_data, off_heap}, since
	 *  OTP 25); the order between two buffers is unknown. */
	ETP_SIGNAL_QUEUE_BUFFER,
	ETP_SIGNAL_QUEUE_COUNT,
};

/** "inner", "middle", "outer", "buffer". */
ETP_EXPORT const char *etp_signal_queue_name(enum etp_signal_queue queue);

enum etp_signal_kind {
	/** A message whose term is in memory. */
	ETP_SIGNAL_MESSAGE,
	/** A message from another node, still in external format. */
	ETP_SIGNAL_EXTERNAL_MESSAGE,
	/** A message to an alias: it is one when it is handled, if the alias is
	 *  active then. Not counted as a message by process_info/2. */
	ETP_SIGNAL_ALIAS_MESSAGE,
	/** A mark that a `receive` for a reference left: no signal at all. */
	ETP_SIGNAL_RECV_MARKER,
	/** Exit, monitor, link, process_info and so on; see etp_signal_name(). */
	ETP_SIGNAL_OTHER,
};

enum etp_message_storage {
	/** The term is on the heap of the process, or is an immediate. */
	ETP_MESSAGE_HEAP,
	/** In one block with the message. */
	ETP_MESSAGE_COMBINED,
	/** In heap fragments behind the message. */
	ETP_MESSAGE_FRAGMENT,
	/** Bytes in external format. */
	ETP_MESSAGE_EXTERNAL,
};

/** "heap", "combined", "fragment", "external". */
ETP_EXPORT const char *etp_message_storage_name(enum etp_message_storage storage);

struct etp_signal {
	enum etp_signal_queue queue;
	enum etp_signal_kind kind;
	/** Of the ErtsMessage or other signal. */
	uint64_t address;
	/** ERTS_SIG_Q_OP_* and type of a signal that is not a message, the type as OTP 27
	 *  numbers it; flags of the tag beside them (ERTS_PROC_SIG_XTRA). */
	unsigned op, type, xtra;
	/** The message, 0 if there is none or it is in external format. Of other signals:
	 *  the message that they may become ({'EXIT', From, Reason}, {'DOWN', ...}), the
	 *  exit reason alone, or the new group leader; 0 if they have none. */
	etp_term term;
	/** Who sent it (pid, port or atom), NIL when unknown; 0 if not a message. Of other
	 *  signals: who exits, links, monitors or asks; 0 when unknown. */
	etp_term from;
	/** Sequential trace token, NIL mostly. */
	etp_term token;
	enum etp_message_storage storage;
	/** The first ErlHeapFragment, 0 if there is none. */
	uint64_t fragment;
	/** Words in the fragments, as process_info/2 counts them; false: unknown. */
	uint64_t words;
	bool words_known;
	/** ErtsDistExternal of a message, or of an exit reason, from another node that is
	 *  not decoded yet; 0 if there is none (etp/dist_external.h). */
	uint64_t external;
	/** Bytes of a message in external format, 0 when unknown. */
	uint64_t external_bytes;
	/** Words of the target that are terms in the fragments, as a collector's roots. */
	uint64_t roots, root_count;
	/** Monitor (its ErtsMonLnkNode) that only this signal has any more: demonitor. */
	uint64_t monitor;
	/** Tracer of a signal that changes it: a list cell, or 0. */
	etp_term tracer;
	/** Some of what it carries could not be read; it is one of the gaps of the walk. */
	bool is_torn;
};

/** What a signal that is not a message is: "exit", "monitor_down" ... */
ETP_EXPORT const char *etp_signal_name(const struct etp_signal *signal);
/** The same of its operation alone. */
ETP_EXPORT const char *etp_signal_op_name(unsigned op);

struct etp_signal_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	uint64_t process;
	/** Chains that break off and signals that are torn, and what the last of them was: a
	 *  static string or NULL. */
	uint64_t gaps;
	const char *problem;
	enum etp_signal_queue queue;
	uint64_t node, buffers, slot;
	/** Signals that may still come before the walk is given up. */
	uint64_t budget;
	struct etp_chain chain;
};

/** Start on the Process at `process`. */
ETP_EXPORT void etp_signal_iter_init(struct etp_signal_iter *iter, const struct etp_vm *vm,
                                     struct etp_reader *reader, uint64_t process);

/** The next signal, inner queue first; false at the end. */
ETP_EXPORT bool etp_signal_iter_next(struct etp_signal_iter *iter, struct etp_signal *signal);

#endif
