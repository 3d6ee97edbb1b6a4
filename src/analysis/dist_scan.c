// SPDX-License-Identifier: Apache-2.0
#include <etp/chain.h>
#include <etp/dist_entry.h>
#include <etp/dist_external.h>
#include <etp/magic.h>

#include "analysis/root_scan.h"

// What is on its way from and to other nodes (erl_node_tables.h, dist.h, OTP 25). For each
// connection, a DistEntry: output buffers that the port has not taken yet, in three queues, and
// messages of which some fragments have come, in a tree. Processes that the channel was too busy
// for have the rest of their message in a context of their own.

enum {
	// enum erts_dsig_send_phase
	PHASE_ALLOC = 2,
	PHASE_MAX = 5,
	// Fragments are 64 KB.
	FRAGMENTS_MAX = 1 << 22,
};

// An output buffer is part of the driver binary that holds its bytes, to which each buffer has a
// reference; others are those of its vector, of which the first is a reference to the same one.
static bool add_buffer(struct root_scan *scan, uint64_t buffer, uint64_t *next_ret)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t binary, vector;
	*next_ret = 0;
	if (!READ_WORD(vm, &scan->reader, buffer, ErtsDistOutputBuf, bin, &binary) ||
	    !READ_WORD(vm, &scan->reader, buffer, ErtsDistOutputBuf, eiov, &vector) ||
	    !READ_WORD(vm, &scan->reader, buffer, ErtsDistOutputBuf, next, next_ret)) {
		root_scan_give_up(scan, "output to another node cannot be read");
		return true;
	}
	return root_scan_add_binary(scan, binary, 0, UINT64_MAX) &&
	       root_scan_add_io_vector(scan, vector);
}

static bool add_queue(struct root_scan *scan, uint64_t entry, enum etp_member_id first)
{
	struct etp_chain chain = {0};
	uint64_t buffer;
	if (!etp_vm_read_member(scan->vm, &scan->reader, entry, first, &buffer)) {
		root_scan_give_up(scan, "output to another node cannot be read");
		return true;
	}
	while (buffer) {
		if (!etp_chain_step(&chain, buffer)) {
			root_scan_give_up(scan, "output to another node runs in a circle");
			break;
		}
		if (!add_buffer(scan, buffer, &buffer))
			return false;
	}
	return true;
}

static bool add_sequence(struct root_scan *scan, uint64_t sequence)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t fragment = sequence + OFFSET(vm, DistSeqNode, hfrag), used;
	struct etp_dist_external external;
	if (!READ_WORD(vm, &scan->reader, fragment, ErlHeapFragment, used_size, &used) ||
	    !etp_dist_external_read(vm, &scan->reader,
	                            fragment + OFFSET(vm, ErlHeapFragment, mem) + used * 8,
	                            &external)) {
		root_scan_give_up(scan, "fragments from another node cannot be read");
		return true;
	}
	for (uint64_t i = 0; i < external.fragment_count; i++) {
		struct etp_dist_fragment part;
		if (!etp_dist_external_fragment(vm, &scan->reader, &external, i, &part) ||
		    !part.binary)
			continue;
		uint64_t data = part.binary + OFFSET(vm, Binary, orig_bytes);
		if (part.start < data)
			root_scan_give_up(scan, "fragments from another node cannot be read");
		else if (!root_scan_add_binary(scan, part.binary, part.start - data,
		                               part.end - data))
			return false;
	}
	return true;
}

static const struct root_tree sequence_tree = {
	.left = ETP_MEMBER_DistSeqNode_left,
	.right = ETP_MEMBER_DistSeqNode_right,
	.add_node = add_sequence,
	.circular = "a tree of fragments runs in a circle",
	.unreadable = "fragments from another node cannot be read",
};

static bool add_sequences(struct root_scan *scan, uint64_t root)
{
	uint64_t left_to_see =
		etp_target_info(scan->vm->target)->bytes_saved / SIZEOF(scan->vm, DistSeqNode) + 1;
	return root_scan_add_tree(scan, &sequence_tree, root, &left_to_see);
}

static bool add_entry(struct root_scan *scan, uint64_t entry)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t name, sequences;
	if (!READ_WORD(vm, &scan->reader, entry, DistEntry, sysname, &name) ||
	    !READ_WORD(vm, &scan->reader, entry, DistEntry, sequences, &sequences) ||
	    !term_is_atom(name)) {
		root_scan_give_up(scan, "a connection to another node cannot be read");
		return true;
	}
	return add_queue(scan, entry, ETP_MEMBER_DistEntry_finalized_out_queue) &&
	       add_queue(scan, entry, ETP_MEMBER_DistEntry_tmp_out_queue) &&
	       add_queue(scan, entry, ETP_MEMBER_DistEntry_out_queue) &&
	       root_scan_finish(scan, ETP_HOLDER_DIST_OUTPUT, entry, name) &&
	       add_sequences(scan, sequences) &&
	       root_scan_finish(scan, ETP_HOLDER_DIST_INPUT, entry, name);
}

bool dist_scan_run(struct root_scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	if (!HAS(vm, DistEntry, finalized_out_queue) || !HAS(vm, DistSeqNode, hfrag) ||
	    !HAS(vm, ErtsDistOutputBuf, eiov) || !HAS(vm, ErlIOVec, binv)) {
		root_scan_give_up(scan,
		                  "the layout does not have the distribution of this release");
		return true;
	}
	struct etp_dist_entry_iter entries;
	uint64_t entry;
	etp_dist_entry_iter_init(&entries, vm, &scan->reader);
	while (etp_dist_entry_iter_next(&entries, &entry))
		if (!add_entry(scan, entry))
			return false;
	if (entries.gaps)
		root_scan_give_up(scan, entries.problem);
	return true;
}

// As erts_dsend_context_dtor() frees it: its buffers are one array.
bool dist_scan_send(struct root_scan *scan, const struct etp_magic *magic, uint64_t address)
{
	const struct etp_vm *vm = scan->vm;
	uint32_t phase;
	uint64_t context = magic->data, buffers, count, ignored;
	if (!READ_U32(vm, &scan->reader, context, ErtsDSigSendContext, phase, &phase) ||
	    !READ_WORD(vm, &scan->reader, context, ErtsDSigSendContext, obuf, &buffers) ||
	    !READ_WORD(vm, &scan->reader, context, ErtsDSigSendContext, fragments, &count) ||
	    phase > PHASE_MAX) {
		root_scan_give_up(scan, "what a process sends to another node cannot be read");
		return true;
	}
	if (phase < PHASE_ALLOC || !buffers)
		return true;
	if (count > FRAGMENTS_MAX) {
		root_scan_give_up(scan, "what a process sends to another node cannot be read");
		return true;
	}
	for (uint64_t i = 0; i < count; i++)
		if (!add_buffer(scan, buffers + i * SIZEOF(vm, ErtsDistOutputBuf), &ignored))
			return false;
	return root_scan_finish(scan, ETP_HOLDER_MAGIC, address, magic->sender);
}
