// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_SIGNAL_PRIVATE_H
#define ETP_VM_SIGNAL_PRIVATE_H

// Between the files that read signals: signal_queue.c walks the queues and reads
// messages, signal_data.c what other signals carry.

#include <etp/signal_queue.h>

#include "vm/vm.h"

enum {
	// erl_message.h: m[] of an ErtsMessage.
	MESSAGE_TERM = 0,
	MESSAGE_TOKEN = 1,
	MESSAGE_FROM = 2,
	MESSAGE_TERMS = 3,

	// erl_proc_sig_queue.h (OTP 25): the tag of a signal that is not a message is
	// the header of an external pid with operation and type as its arity.
	SIG_OP_BITS = 8,
	SIG_OP_MASK = (1 << SIG_OP_BITS) - 1,
	SIG_TYPE_BITS = 8,
	SIG_TYPE_MASK = (1 << SIG_TYPE_BITS) - 1,
	SIG_XTRA_MASK = 0xff,

	SIG_OP_EXIT = 0,
	SIG_OP_EXIT_LINKED = 1,
	SIG_OP_MONITOR_DOWN = 2,
	SIG_OP_MONITOR = 3,
	SIG_OP_DEMONITOR = 4,
	SIG_OP_LINK = 5,
	SIG_OP_UNLINK = 6,
	SIG_OP_GROUP_LEADER = 7,
	SIG_OP_TRACE_CHANGE_STATE = 8,
	SIG_OP_PERSISTENT_MON_MSG = 9,
	SIG_OP_IS_ALIVE = 10,
	SIG_OP_PROCESS_INFO = 11,
	SIG_OP_SYNC_SUSPEND = 12,
	SIG_OP_RPC = 13,
	SIG_OP_DIST_SPAWN_REPLY = 14,
	SIG_OP_ALIAS_MSG = 15,
	SIG_OP_RECV_MARK = 16,
	SIG_OP_UNLINK_ACK = 17,
	SIG_OP_ADJ_MSGQ = 18,
	SIG_OP_FLUSH = 19,
	SIG_OP_NIF_SELECT = 20,
	SIG_OP_MSGQ_LEN_OFFS_MARK = SIG_OP_MASK,

	// Types are those of links and monitors, up to ERTS_MON_LNK_TYPE_MAX, and some
	// more, here as of OTP 24 and later.
	MON_LNK_TYPE_MAX = 12,
	SIG_TYPE_DIST_LINK = MON_LNK_TYPE_MAX + 2,
	SIG_TYPE_GEN_EXIT = MON_LNK_TYPE_MAX + 3,
	SIG_TYPE_DIST_PROC_DEMONITOR = MON_LNK_TYPE_MAX + 4,
	SIG_TYPE_DIST = MON_LNK_TYPE_MAX + 6,
	SIG_TYPE_HEAP = MON_LNK_TYPE_MAX + 7,
	SIG_TYPE_OFF_HEAP = MON_LNK_TYPE_MAX + 8,
	SIG_TYPE_CLA = MON_LNK_TYPE_MAX + 10,

	// OTP 28 put ERTS_LNK_TYPE_DIST_PORT before all of these, and another one before
	// SIG_TYPE_HEAP: a number of our own for it.
	SIG_TYPES_INSERTED_28 = 1,
	SIG_TYPE_DIST_FRAG = SIG_TYPE_MASK + 1,

	// Since OTP 28: what else an alias message or an exit signal has
	// (ERTS_SIG_ALTACT_SIG_X_*).
	SIG_XTRA_PRIO = 1 << 0,
	SIG_XTRA_TOKEN = 1 << 1,
	SIG_XTRA_ALIAS = 1 << 2,
};

// Since OTP 28, signals carry a trace token only if their tag says so; their second word
// is a count (ErtsNonMsgSignal.mlenoffs).
static inline bool signal_has_xtra(const struct etp_vm *vm)
{
	return !HAS(vm, ErtsMonLnkNode, type);
}

// The words behind those in use of a heap fragment, where ERTS keeps what belongs to
// it but is no term: erts_get_dist_ext(), get_exit_signal_data() and others. False when
// the fragment cannot be read.
static inline bool signal_words_behind(const struct etp_vm *vm, struct etp_reader *reader,
                                       uint64_t fragment, uint64_t *ret)
{
	uint64_t used;
	if (!READ_WORD(vm, reader, fragment, ErlHeapFragment, used_size, &used))
		return false;
	*ret = fragment + OFFSET(vm, ErlHeapFragment, mem) + used * sizeof(uint64_t);
	return true;
}

// What a signal that is no message carries, as far as the layout says how; it keeps
// what signal_queue.c has filled in. A field that cannot be read stays 0, and the signal
// is torn.
void signal_read_data(const struct etp_vm *vm, struct etp_reader *reader,
                      struct etp_signal *signal);

#endif
