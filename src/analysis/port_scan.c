// SPDX-License-Identifier: Apache-2.0
#include "analysis/root_scan.h"

// What a port has not written yet: ErtsIOQueue (erl_io_queue.h), an array of pointers
// to driver binaries, each of which is a reference, beside one of the bytes in them.

enum {
	// Entries of a queue that make sense.
	QUEUE_MAX = 1 << 24,
};

static bool add_port(struct root_scan *scan, uint64_t port, etp_term id)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t queue = port + OFFSET(vm, Port, ioq);
	uint64_t head, tail, iovec;
	uint32_t driver;
	if (!READ_U32(vm, &scan->reader, queue, ErtsIOQueue, driver, &driver) ||
	    !READ_WORD(vm, &scan->reader, queue, ErtsIOQueue, b_head, &head) ||
	    !READ_WORD(vm, &scan->reader, queue, ErtsIOQueue, b_tail, &tail) ||
	    !READ_WORD(vm, &scan->reader, queue, ErtsIOQueue, v_head, &iovec) || tail < head ||
	    (tail - head) / 8 > QUEUE_MAX) {
		root_scan_give_up(scan, "the output queue of a port cannot be read");
		return true;
	}
	for (; head < tail; head += 8, iovec += ROOT_IOVEC_SIZE) {
		uint64_t binary;
		if (!etp_read_u64(&scan->reader, head, &binary)) {
			root_scan_give_up(scan, "the output queue of a port cannot be read");
			break;
		}
		if (binary && driver && !root_scan_add_iovec(scan, binary, iovec))
			return false;
	}
	return root_scan_finish(scan, ETP_HOLDER_PORT, port, id);
}

bool port_scan_run(struct root_scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	if (!HAS(vm, Port, ioq) || !HAS(vm, ErtsIOQueue, b_head)) {
		root_scan_give_up(scan,
		                  "the layout does not have the queues of this release's ports");
		return true;
	}
	for (size_t i = 0; i < vm->ports.count; i++)
		if (!add_port(scan, vm->ports.addresses[i], vm->ports.ids[i]))
			return false;
	return true;
}
