// SPDX-License-Identifier: Apache-2.0
#include "vm/signal_private.h"

// What signals other than messages carry. Those that may become messages, or whose
// terms may be large, are ErtsMessages whose terms are in the heap fragment that is
// part of them, with a struct behind the words in use; links, monitors and what goes
// with them are their own structs (erl_proc_sig_queue.c, OTP 25).

struct signal_reader {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	struct etp_signal *signal;
};

// Notes a part that cannot be read.
static bool whole(const struct signal_reader *r, bool is_read)
{
	r->signal->is_torn |= !is_read;
	return is_read;
}

// A member of a struct that the layout may lack.
static bool read_word(const struct signal_reader *r, uint64_t base, enum etp_member_id id,
                      uint64_t *ret)
{
	return etp_layout_has(r->vm->layout, id) &&
	       whole(r, etp_vm_read_member(r->vm, r->reader, base, id, ret));
}
#define READ(r, base, struct_, member, ret) read_word(r, base, ETP_MEMBER_##struct_##_##member, ret)

// The struct behind the terms of the fragment that is part of the signal. 0 when it
// cannot be read.
static uint64_t data_of_message(const struct signal_reader *r)
{
	uint64_t data;
	r->signal->fragment = r->signal->address + OFFSET(r->vm, ErtsMessage, hfrag);
	r->signal->storage = ETP_MESSAGE_COMBINED;
	bool is_read = signal_words_behind(r->vm, r->reader, r->signal->fragment, &data);
	return whole(r, is_read) ? data : 0;
}

static void set_roots(const struct signal_reader *r, uint64_t address, uint64_t count)
{
	r->signal->roots = address;
	r->signal->root_count = count;
}

static void read_message_word(const struct signal_reader *r, unsigned index, uint64_t *ret)
{
	uint64_t m = r->signal->address + OFFSET(r->vm, ErtsMessage, m);
	whole(r, etp_read_u64(r->reader, m + index * sizeof(uint64_t), ret));
}

// Who is at the other end of a link or monitor, or why it broke.
static etp_term other_of(const struct signal_reader *r, uint64_t node)
{
	uint64_t other = 0;
	READ(r, node, ErtsMonLnkNode, other, &other);
	return other;
}

// The struct that both ends of a monitor are part of.
static uint64_t monitor_data(const struct signal_reader *r)
{
	uint64_t offset;
	if (!READ(r, r->signal->address, ErtsMonLnkNode, offset, &offset))
		return 0;
	return r->signal->address - offset;
}

// The reason of an exit on another node stays in external format: in a fragment of its
// own if it came in pieces, or behind the other data (get_external_non_msg_signal()).
static void read_external_reason(const struct signal_reader *r, uint64_t data)
{
	uint64_t next;
	if (!READ(r, r->signal->fragment, ErlHeapFragment, next, &next))
		return;
	// ErtsSeqTokenExitSignalData is a word longer.
	uint64_t token = signal_has_xtra(r->vm) && r->signal->xtra & SIG_XTRA_TOKEN ? 8 : 0;
	if (!next)
		r->signal->external = data + SIZEOF(r->vm, ErtsExitSignalData) + token;
	else
		whole(r, signal_words_behind(r->vm, r->reader, next, &r->signal->external));
}

// send_gen_exit_signal(). {'EXIT', From, Reason} or {'DOWN', ...} is made already.
static void read_exit(const struct signal_reader *r)
{
	uint64_t data = data_of_message(r);
	uint64_t reason;
	if (!data || !READ(r, data, ErtsExitSignalData, reason, &reason))
		return;
	READ(r, data, ErtsExitSignalData, message, &r->signal->term);
	READ(r, data, ErtsExitSignalData, from, &r->signal->from);
	if (!signal_has_xtra(r->vm))
		read_message_word(r, MESSAGE_TOKEN, &r->signal->token);
	else if (r->signal->xtra & SIG_XTRA_TOKEN)
		whole(r, etp_read_u64(r->reader, data + SIZEOF(r->vm, ErtsExitSignalData),
		                      &r->signal->token));
	set_roots(r, data + OFFSET(r->vm, ErtsExitSignalData, message), 1);
	if (!reason)
		read_external_reason(r, data);
}

// A reason that is a word travels in the end of the link or monitor that breaks
// (erts_proc_sig_send_link_exit(), erts_proc_sig_send_monitor_down()).
static void read_broken(const struct signal_reader *r)
{
	r->signal->term = other_of(r, r->signal->address);
	uint64_t data = monitor_data(r);
	if (r->signal->op == SIG_OP_MONITOR_DOWN && data)
		r->signal->from = other_of(r, data + OFFSET(r->vm, ErtsMonitorData, origin));
}

// A message that is ready in the fragment, with the requester behind it.
static void read_request(const struct signal_reader *r, enum etp_member_id message,
                         enum etp_member_id requester)
{
	uint64_t data = data_of_message(r);
	if (!data || !read_word(r, data, message, &r->signal->term))
		return;
	read_word(r, data, requester, &r->signal->from);
	set_roots(r, data + r->vm->layout->members[message].offset, 1);
}

static void read_persistent_message(const struct signal_reader *r, enum etp_member_id message)
{
	uint64_t data = data_of_message(r);
	if (!data || !read_word(r, data, message, &r->signal->term))
		return;
	read_message_word(r, MESSAGE_FROM, &r->signal->from);
	read_message_word(r, MESSAGE_TOKEN, &r->signal->token);
	set_roots(r, data + r->vm->layout->members[message].offset, 1);
}

static void read_demonitor(const struct signal_reader *r)
{
	uint64_t data = monitor_data(r);
	// Otherwise it names the monitor by reference.
	if (r->signal->type == SIG_TYPE_DIST_PROC_DEMONITOR || !data)
		return;
	r->signal->monitor = r->signal->address;
	r->signal->from = other_of(r, data + OFFSET(r->vm, ErtsMonitorData, target));
}

void signal_read_data(const struct etp_vm *vm, struct etp_reader *reader, struct etp_signal *signal)
{
	const struct signal_reader r = {vm, reader, signal};
	uint64_t address = signal->address;
	switch (signal->op) {
	case SIG_OP_EXIT:
	case SIG_OP_EXIT_LINKED:
	case SIG_OP_MONITOR_DOWN:
		if (signal->type == SIG_TYPE_GEN_EXIT)
			read_exit(&r);
		else
			read_broken(&r);
		break;
	case SIG_OP_MONITOR:
	case SIG_OP_LINK:
		signal->from = other_of(&r, address);
		break;
	case SIG_OP_DEMONITOR:
		read_demonitor(&r);
		break;
	case SIG_OP_UNLINK:
	case SIG_OP_UNLINK_ACK:
		if (signal->type == SIG_TYPE_DIST_LINK)
			READ(&r, address, ErtsSigDistUnlinkOp, remote, &signal->from);
		else
			READ(&r, address, ErtsSigUnlinkOp, from, &signal->from);
		break;
	case SIG_OP_GROUP_LEADER:
		READ(&r, address, ErtsSigGroupLeader, group_leader, &signal->term);
		READ(&r, address, ErtsSigGroupLeader, reply_to, &signal->from);
		break;
	case SIG_OP_TRACE_CHANGE_STATE:
		READ(&r, address, ErtsSigTraceInfo, tracer, &signal->tracer);
		break;
	case SIG_OP_PERSISTENT_MON_MSG:
		read_persistent_message(&r, ETP_MEMBER_ErtsPersistMonMsg_message);
		break;
	case SIG_OP_DIST_SPAWN_REPLY:
		read_persistent_message(&r, ETP_MEMBER_ErtsDistSpawnReplySigData_message);
		break;
	case SIG_OP_IS_ALIVE:
		read_request(&r, ETP_MEMBER_ErtsIsAliveRequest_message,
		             ETP_MEMBER_ErtsIsAliveRequest_requester);
		break;
	case SIG_OP_SYNC_SUSPEND:
		read_request(&r, ETP_MEMBER_ErtsSyncSuspendRequest_message,
		             ETP_MEMBER_ErtsSyncSuspendRequest_requester);
		break;
	case SIG_OP_ADJ_MSGQ:
		if (signal->type == SIG_TYPE_CLA)
			read_request(&r, ETP_MEMBER_ErtsCLAData_request_id,
			             ETP_MEMBER_ErtsCLAData_requester);
		break;
	case SIG_OP_PROCESS_INFO:
		READ(&r, address, ErtsProcessInfoSig, requester, &signal->from);
		break;
	case SIG_OP_RPC:
		READ(&r, address, ErtsProcSigRPC, requester, &signal->from);
		break;
	default:
		break;
	}
}
