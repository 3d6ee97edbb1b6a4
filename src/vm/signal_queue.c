// SPDX-License-Identifier: Apache-2.0
#include <etp/dist_external.h>

#include "vm/signal_private.h"

enum {
	// ERTS_MSG_COMBINED_HFRAG
	COMBINED = 1,
};

const char *etp_signal_queue_name(enum etp_signal_queue queue)
{
	static const char *const names[ETP_SIGNAL_QUEUE_COUNT] = {"inner", "middle", "outer",
	                                                          "buffer"};
	return queue < ETP_SIGNAL_QUEUE_COUNT ? names[queue] : "?";
}

const char *etp_message_storage_name(enum etp_message_storage storage)
{
	static const char *const names[] = {"heap", "combined", "fragment", "external"};
	return storage <= ETP_MESSAGE_EXTERNAL ? names[storage] : "?";
}

const char *etp_signal_op_name(unsigned op)
{
	static const char *const names[] = {
		[SIG_OP_EXIT] = "exit",
		[SIG_OP_EXIT_LINKED] = "exit_linked",
		[SIG_OP_MONITOR_DOWN] = "monitor_down",
		[SIG_OP_MONITOR] = "monitor",
		[SIG_OP_DEMONITOR] = "demonitor",
		[SIG_OP_LINK] = "link",
		[SIG_OP_UNLINK] = "unlink",
		[SIG_OP_GROUP_LEADER] = "group_leader",
		[SIG_OP_TRACE_CHANGE_STATE] = "trace_change_state",
		[SIG_OP_PERSISTENT_MON_MSG] = "persistent_mon",
		[SIG_OP_IS_ALIVE] = "is_alive",
		[SIG_OP_PROCESS_INFO] = "process_info",
		[SIG_OP_SYNC_SUSPEND] = "sync_suspend",
		[SIG_OP_RPC] = "rpc",
		[SIG_OP_DIST_SPAWN_REPLY] = "dist_spawn_reply",
		[SIG_OP_ALIAS_MSG] = "alias_message",
		[SIG_OP_RECV_MARK] = "recv_marker",
		[SIG_OP_UNLINK_ACK] = "unlink_ack",
		[SIG_OP_ADJ_MSGQ] = "adjust_messages",
		[SIG_OP_FLUSH] = "flush",
		[SIG_OP_NIF_SELECT] = "nif_select",
	};
	if (op < sizeof(names) / sizeof(names[0]))
		return names[op];
	return op == SIG_OP_MSGQ_LEN_OFFS_MARK ? "length_offset_marker" : "unknown";
}

const char *etp_signal_name(const struct etp_signal *signal)
{
	if (signal->kind == ETP_SIGNAL_MESSAGE || signal->kind == ETP_SIGNAL_EXTERNAL_MESSAGE)
		return "message";
	return etp_signal_op_name(signal->op);
}

static void gap(struct etp_signal_iter *iter, const char *problem)
{
	iter->gaps++;
	iter->problem = problem;
	iter->node = 0;
}

void etp_signal_iter_init(struct etp_signal_iter *iter, const struct etp_vm *vm,
                          struct etp_reader *reader, uint64_t process)
{
	*iter = (struct etp_signal_iter){
		.vm = vm,
		.reader = reader,
		.process = process,
		.queue = ETP_SIGNAL_QUEUE_INNER,
		// Every signal has at least its next pointer, attachment and tag.
		.budget = etp_target_info(vm->target)->bytes_total / 24 + 1,
	};
	if (!READ_WORD(vm, reader, process, Process, sig_qs_first, &iter->node))
		gap(iter, "the message queue cannot be read");
}

// First signal of the next buffer that has one.
static bool next_buffer(struct etp_signal_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	if (!iter->buffers)
		return false;
	uint64_t slots = vm->layout->members[ETP_MEMBER_ErtsSignalInQueueBufferArray_slots].count;
	uint64_t size = SIZEOF(vm, ErtsSignalInQueueBuffer);
	while (iter->slot < slots) {
		uint64_t buffer = iter->buffers + OFFSET(vm, ErtsSignalInQueueBufferArray, slots) +
		                  iter->slot++ * size;
		if (!READ_WORD(vm, iter->reader, buffer, ErtsSignalInQueueBuffer, queue_first,
		               &iter->node))
			gap(iter, "a buffer of the signal queue cannot be read");
		else if (iter->node)
			return true;
	}
	return false;
}

// Go to the next queue that has a signal. False when there is none.
static bool next_queue(struct etp_signal_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	iter->chain = (struct etp_chain){0};
	while (iter->queue < ETP_SIGNAL_QUEUE_BUFFER) {
		iter->queue++;
		bool readable = true;
		if (iter->queue == ETP_SIGNAL_QUEUE_MIDDLE)
			readable = READ_WORD(vm, iter->reader, iter->process, Process, sig_qs_cont,
			                     &iter->node);
		else if (iter->queue == ETP_SIGNAL_QUEUE_OUTER)
			readable = READ_WORD(vm, iter->reader, iter->process, Process,
			                     sig_inq_first, &iter->node);
		else if (HAS(vm, Process, sig_inq_buffers) &&
		         HAS(vm, ErtsSignalInQueueBuffer, queue_first))
			readable = READ_WORD(vm, iter->reader, iter->process, Process,
			                     sig_inq_buffers, &iter->buffers);
		if (!readable)
			gap(iter, "the signal queue cannot be read");
		if (iter->node)
			return true;
	}
	return next_buffer(iter);
}

// erts_used_frag_sz(), erl_message.h.
static bool fragment_words(const struct etp_vm *vm, struct etp_reader *reader, uint64_t fragment,
                           uint64_t *ret)
{
	struct etp_chain chain = {0};
	uint64_t words = 0, most = etp_target_info(vm->target)->bytes_total / sizeof(uint64_t);
	while (fragment) {
		uint64_t used, next;
		if (!etp_chain_step(&chain, fragment) ||
		    !READ_WORD(vm, reader, fragment, ErlHeapFragment, used_size, &used) ||
		    !READ_WORD(vm, reader, fragment, ErlHeapFragment, next, &next))
			return false;
		if (used > most - words)
			return false;
		words += used;
		fragment = next;
	}
	*ret = words;
	return true;
}

// The ErtsDistExternal stands behind the used words of the fragment
// (erts_get_dist_ext(), external.h).
static void read_external(const struct etp_vm *vm, struct etp_reader *reader,
                          struct etp_signal *signal)
{
	struct etp_dist_external external;
	signal->storage = ETP_MESSAGE_EXTERNAL;
	if (!signal_words_behind(vm, reader, signal->fragment, &signal->external))
		signal->is_torn = true;
	else if (etp_dist_external_read(vm, reader, signal->external, &external))
		signal->external_bytes = external.bytes;
}

static void read_external_message(const struct etp_vm *vm, struct etp_reader *reader,
                                  uint64_t attached, struct etp_signal *signal)
{
	uint64_t used, heap_size;
	signal->kind = ETP_SIGNAL_EXTERNAL_MESSAGE;
	signal->fragment =
		attached == COMBINED ? signal->address + OFFSET(vm, ErtsMessage, hfrag) : attached;
	read_external(vm, reader, signal);
	if (READ_WORD(vm, reader, signal->fragment, ErlHeapFragment, used_size, &used) &&
	    READ_WORD(vm, reader, signal->external, ErtsDistExternal, heap_size, &heap_size) &&
	    (int64_t)heap_size >= 0) {
		signal->words = heap_size + (term_is_nil(signal->token) ? 0 : used);
		signal->words_known = true;
	}
}

// The receiver tells a message that came in pieces, with a fragment of its own, by the
// size of the one that is part of the signal (get_external_non_msg_signal()).
static void read_external_alias(const struct etp_vm *vm, struct etp_reader *reader,
                                struct etp_signal *signal)
{
	uint64_t size, next;
	signal->fragment = signal->address + OFFSET(vm, ErtsMessage, hfrag);
	if (!READ_WORD(vm, reader, signal->fragment, ErlHeapFragment, alloc_size, &size) ||
	    !READ_WORD(vm, reader, signal->fragment, ErlHeapFragment, next, &next)) {
		signal->is_torn = true;
		return;
	}
	if (size == 1)
		signal->fragment = next;
	read_external(vm, reader, signal);
}

static void read_pointer_to_fragment(struct etp_signal *signal, const void *halves)
{
	uint64_t low = (uint64_t)term_small(etp_word_at(halves, 0));
	uint64_t high = (uint64_t)term_small(etp_word_at(halves, 1));
	signal->storage = ETP_MESSAGE_FRAGMENT;
	signal->fragment = high << 32 | low;
}

// Since OTP 28 priority messages go this way too. The tuple is {From, Message}, then the
// alias and the trace token if there are any, then the fragment (get_altact_msg_data()).
static void read_altact(const struct etp_vm *vm, struct etp_reader *reader,
                        struct etp_signal *signal)
{
	bool has_alias = signal->xtra & SIG_XTRA_ALIAS, has_token = signal->xtra & SIG_XTRA_TOKEN;
	if (signal->type == SIG_TYPE_DIST || signal->type == SIG_TYPE_DIST_FRAG) {
		bool is_prio = signal->xtra & SIG_XTRA_PRIO;
		signal->fragment = signal->address + OFFSET(vm, ErtsMessage, hfrag);
		uint64_t words = signal->fragment + OFFSET(vm, ErlHeapFragment, mem);
		uint64_t token = words + (is_prio + has_alias) * 8u;
		signal->is_torn = (has_token && !etp_read_u64(reader, token, &signal->token)) ||
		                  (is_prio && !etp_read_u64(reader, words, &signal->from)) ||
		                  (signal->type == SIG_TYPE_DIST_FRAG &&
		                   !READ_WORD(vm, reader, signal->fragment, ErlHeapFragment, next,
		                              &signal->fragment));
		if (!signal->is_torn)
			read_external(vm, reader, signal);
		return;
	}
	struct etp_term_view tuple;
	uint64_t arity = 2u + has_alias + has_token;
	bool is_apart = signal->type != SIG_TYPE_HEAP && signal->type != SIG_TYPE_OFF_HEAP;
	if (etp_term_decode(vm, reader, signal->from, &tuple) != ETP_TERM_TUPLE ||
	    tuple.tuple.arity != arity + (is_apart ? 2 : 0)) {
		signal->is_torn = true;
		signal->from = ETP_NIL;
		return;
	}
	const unsigned char *elements = tuple.tuple.elements;
	signal->from = etp_word_at(elements, 0);
	signal->term = etp_word_at(elements, 1);
	if (has_token)
		signal->token = etp_word_at(elements, arity - 1);
	if (is_apart) {
		read_pointer_to_fragment(signal, elements + arity * 8);
	} else if (signal->type == SIG_TYPE_OFF_HEAP) {
		signal->storage = ETP_MESSAGE_COMBINED;
		signal->fragment = signal->address + OFFSET(vm, ErtsMessage, hfrag);
	}
	signal->words_known = fragment_words(vm, reader, signal->fragment, &signal->words);
}

// An alias message keeps {From, Alias, Message} (and its fragment in two more
// elements) where others keep the sender (get_alias_msg_data()).
static void read_alias(const struct etp_vm *vm, struct etp_reader *reader,
                       struct etp_signal *signal)
{
	signal->kind = ETP_SIGNAL_ALIAS_MESSAGE;
	if (signal_has_xtra(vm)) {
		read_altact(vm, reader, signal);
		return;
	}
	if (signal->type == SIG_TYPE_DIST) {
		read_external_alias(vm, reader, signal);
		return;
	}
	struct etp_term_view tuple;
	if (etp_term_decode(vm, reader, signal->from, &tuple) != ETP_TERM_TUPLE ||
	    (tuple.tuple.arity != 3 && tuple.tuple.arity != 5)) {
		signal->is_torn = true;
		signal->from = ETP_NIL;
		return;
	}
	signal->from = etp_word_at(tuple.tuple.elements, 0);
	signal->term = etp_word_at(tuple.tuple.elements, 2);
	if (tuple.tuple.arity == 5) {
		read_pointer_to_fragment(signal,
		                         (const unsigned char *)tuple.tuple.elements + 3 * 8);
	} else if (signal->type != SIG_TYPE_HEAP) {
		signal->storage = ETP_MESSAGE_COMBINED;
		signal->fragment = signal->address + OFFSET(vm, ErtsMessage, hfrag);
	}
	signal->words_known = fragment_words(vm, reader, signal->fragment, &signal->words);
}

static void read_message(const struct etp_vm *vm, struct etp_reader *reader, uint64_t attached,
                         struct etp_signal *signal)
{
	signal->kind = ETP_SIGNAL_MESSAGE;
	if (attached == COMBINED) {
		signal->storage = ETP_MESSAGE_COMBINED;
		signal->fragment = signal->address + OFFSET(vm, ErtsMessage, hfrag);
	} else if (attached) {
		signal->storage = ETP_MESSAGE_FRAGMENT;
		signal->fragment = attached;
	}
	signal->words_known = fragment_words(vm, reader, signal->fragment, &signal->words);
}

static bool is_other_signal(const struct etp_vm *vm, uint64_t tag)
{
	return term_primary(tag) == TAG_PRIMARY_HEADER && tag &&
	       header_thing(vm->scheme, tag) == ETP_THING_EXTERNAL_PID;
}

// As OTP 24 to 27 number it: types that only signals have follow those of links, of
// which there are fewer to OTP 23, and one more since OTP 28.
static unsigned signal_type(const struct etp_vm *vm, unsigned type)
{
	unsigned dist_proc = scheme_link_dist_proc(vm->scheme);
	if (type <= dist_proc)
		return type;
	type += MON_LNK_TYPE_MAX - dist_proc;
	if (!signal_has_xtra(vm))
		return type;
	type -= SIG_TYPES_INSERTED_28;
	return type < SIG_TYPE_HEAP    ? type
	       : type == SIG_TYPE_HEAP ? (unsigned)SIG_TYPE_DIST_FRAG
	                               : type - 1;
}

// What of an alias message are terms of a collector: the trace token, if it is in the
// message itself, and what stands for the sender.
static void set_alias_roots(const struct etp_vm *vm, uint64_t m, struct etp_signal *signal)
{
	unsigned first = signal_has_xtra(vm) ? MESSAGE_FROM : MESSAGE_TOKEN;
	signal->roots = m + first * sizeof(uint64_t);
	signal->root_count = MESSAGE_TERMS - first;
}

// False, and the chain is cut, when the signal cannot be read. Signals other than
// messages may be shorter than an ErtsMessage, but not than its next, attachment
// and tag.
static bool read_signal(struct etp_signal_iter *iter, struct etp_signal *signal)
{
	const struct etp_vm *vm = iter->vm;
	struct etp_reader *reader = iter->reader;
	*signal = (struct etp_signal){.queue = iter->queue, .address = iter->node};
	uint64_t m = iter->node + OFFSET(vm, ErtsMessage, m);
	uint64_t next, attached, tag;
	if (!READ_WORD(vm, reader, iter->node, ErtsMessage, next, &next) ||
	    !READ_WORD(vm, reader, iter->node, ErtsMessage, attached, &attached) ||
	    !etp_read_u64(reader, m + MESSAGE_TERM * sizeof(uint64_t), &tag)) {
		gap(iter, "a message cannot be read");
		return false;
	}
	bool is_other = is_other_signal(vm, tag);
	if (is_other) {
		signal->kind = ETP_SIGNAL_OTHER;
		signal->op = header_arity(tag) & SIG_OP_MASK;
		signal->type = signal_type(vm, header_arity(tag) >> SIG_OP_BITS & SIG_TYPE_MASK);
		signal->xtra = header_arity(tag) >> (SIG_OP_BITS + SIG_TYPE_BITS) & SIG_XTRA_MASK;
	}
	if (is_other && signal->op == SIG_OP_RECV_MARK) {
		signal->kind = ETP_SIGNAL_RECV_MARKER;
	} else if (!is_other || signal->op == SIG_OP_ALIAS_MSG) {
		if (!etp_read_u64(reader, m + MESSAGE_TOKEN * sizeof(uint64_t), &signal->token) ||
		    !etp_read_u64(reader, m + MESSAGE_FROM * sizeof(uint64_t), &signal->from)) {
			gap(iter, "a message cannot be read");
			return false;
		}
		signal->roots = m + MESSAGE_TERM * sizeof(uint64_t);
		signal->root_count = MESSAGE_TERMS;
		if (is_other) {
			set_alias_roots(vm, m, signal);
			if (signal_has_xtra(vm))
				signal->token = ETP_NIL;
			read_alias(vm, reader, signal);
		} else if (!tag) {
			read_external_message(vm, reader, attached, signal);
		} else {
			signal->term = tag;
			read_message(vm, reader, attached, signal);
		}
	} else {
		signal_read_data(vm, reader, signal);
	}
	if (signal->is_torn)
		gap(iter, "what a signal carries cannot be read");
	iter->node = next;
	return true;
}

bool etp_signal_iter_next(struct etp_signal_iter *iter, struct etp_signal *signal)
{
	while (iter->node || next_queue(iter)) {
		if (!etp_chain_step(&iter->chain, iter->node)) {
			gap(iter, "a signal queue loops");
			continue;
		}
		if (!iter->budget) {
			gap(iter, "the signal queues have more signals than fit into memory");
			iter->queue = ETP_SIGNAL_QUEUE_BUFFER;
			iter->buffers = 0;
			return false;
		}
		iter->budget--;
		if (read_signal(iter, signal))
			return true;
	}
	return false;
}
