// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <etp/chain.h>
#include <etp/path.h>

#include "analysis/root_scan.h"
#include "vm/tracing.h"

// What a port holds: output that it has not written yet, commands that wait for it because it
// is busy, the term of erlang:port_set_data/2, the state of its tracer; and of inet_drv, the
// only driver whose structs are known, the buffer that input is read into.

enum {
	// Entries of a queue that make sense.
	QUEUE_MAX = 1 << 24,
	// Low bits of Port.data: none in an address, some in a term.
	DATA_TERM_MASK = 0x3,
	// erl_port_task.h, erl_port_task.c.
	PORT_TASK_PROC_SIG = 4,
	PT_STATE_ABORTED = 1,
	// erl_port.h: what a process asks of a port.
	P2P_SIG_TYPE_MASK = 0xf,
	P2P_SIG_TYPE_OUTPUTV = 2,
	P2P_SIG_TYPE_EXIT = 4,
	P2P_SIG_TYPE_CONTROL = 5,
};

static uint64_t binary_of(const struct etp_vm *vm, uint64_t drv_binary)
{
	return drv_binary - OFFSET(vm, Binary, orig_size);
}

// ErtsIOQueue (erl_io_queue.h): an array of pointers to driver binaries, each of which is
// a reference, beside one of the bytes in them.
static bool add_queue(struct root_scan *scan, uint64_t port)
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
	return true;
}

// As cleanup_scheduled_outputv() and its like free it (io.c).
static bool add_command(struct root_scan *scan, uint64_t task)
{
	const struct etp_vm *vm = scan->vm;
	uint32_t flags;
	uint64_t vector, binary;
	if (!READ_U32(vm, &scan->reader, task, ErtsPortTask, flags, &flags)) {
		root_scan_give_up(scan, "a task of a port cannot be read");
		return true;
	}
	bool readable = true;
	switch (flags & P2P_SIG_TYPE_MASK) {
	case P2P_SIG_TYPE_OUTPUTV:
		readable = READ_WORD(vm, &scan->reader, task, ErtsPortTask, outputv_evp, &vector) &&
		           READ_WORD(vm, &scan->reader, task, ErtsPortTask, outputv_cbinp, &binary);
		if (readable && binary)
			binary = binary_of(vm, binary);
		if (readable && !root_scan_add_io_vector(scan, vector))
			return false;
		break;
	case P2P_SIG_TYPE_CONTROL:
		readable = READ_WORD(vm, &scan->reader, task, ErtsPortTask, control_binp, &binary);
		break;
	case P2P_SIG_TYPE_EXIT:
		readable = READ_WORD(vm, &scan->reader, task, ErtsPortTask, exit_bp, &vector);
		return !readable || root_scan_add_fragments(scan, vector, NULL);
	default:
		return true;
	}
	if (!readable)
		root_scan_give_up(scan, "a task of a port cannot be read");
	return !readable || !binary || root_scan_add_binary(scan, binary, 0, UINT64_MAX);
}

static bool add_tasks(struct root_scan *scan, uint64_t port, enum etp_member_id first)
{
	const struct etp_vm *vm = scan->vm;
	struct etp_chain chain = {0};
	uint64_t task;
	if (!etp_vm_read_member(vm, &scan->reader, port, first, &task)) {
		root_scan_give_up(scan, "the tasks of a port cannot be read");
		return true;
	}
	while (task) {
		uint32_t type, state;
		uint64_t next;
		if (!etp_chain_step(&chain, task) ||
		    !READ_U32(vm, &scan->reader, task, ErtsPortTask, type, &type) ||
		    !READ_U32(vm, &scan->reader, task, ErtsPortTask, state, &state) ||
		    !READ_WORD(vm, &scan->reader, task, ErtsPortTask, next, &next)) {
			root_scan_give_up(scan, "the tasks of a port cannot be read");
			break;
		}
		if (type == PORT_TASK_PROC_SIG && state != PT_STATE_ABORTED &&
		    !add_command(scan, task))
			return false;
		task = next;
	}
	return true;
}

static bool add_commands(struct root_scan *scan, uint64_t port)
{
	const struct etp_vm *vm = scan->vm;
	if (!HAS(vm, Port, task_busy) || !HAS(vm, ErtsPortTask, state))
		return true;
	return add_tasks(scan, port, ETP_MEMBER_Port_task_busy) &&
	       add_tasks(scan, port, ETP_MEMBER_Port_task_local) &&
	       add_tasks(scan, port, ETP_MEMBER_Port_task_in);
}

// The ErtsPortDataHeap of the port; 0 if what it was given needs none. False when it cannot be
// read.
static bool read_data_heap(const struct etp_vm *vm, struct etp_reader *reader, uint64_t port,
                           uint64_t *ret)
{
	*ret = 0;
	if (!HAS(vm, Port, data) || !HAS(vm, ErtsPortDataHeap, off_heap))
		return true;
	if (!READ_WORD(vm, reader, port, Port, data, ret))
		return false;
	if (*ret & DATA_TERM_MASK)
		*ret = 0;
	return true;
}

static bool add_data(struct root_scan *scan, uint64_t port)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t data, first;
	if (!read_data_heap(vm, &scan->reader, port, &data)) {
		root_scan_give_up(scan, "the data of a port cannot be read");
		return true;
	}
	if (!data)
		return true;
	if (!READ_WORD(vm, &scan->reader, data, ErtsPortDataHeap, off_heap, &first)) {
		root_scan_give_up(scan, "the data of a port cannot be read");
		return true;
	}
	return root_scan_add_off_heap(scan, first);
}

static bool add_tracers(struct root_scan *scan, uint64_t port)
{
	struct tracer_iter iter = tracer_iter_of_port(scan->vm, &scan->reader, port);
	struct tracer tracer;
	while (tracer_iter_next(&iter, &tracer))
		if (!root_scan_add_tracer(scan, tracer.term))
			return false;
	if (iter.problem)
		root_scan_give_up(scan, "the tracer of a port cannot be read");
	return true;
}

static bool is_driver(struct root_scan *scan, uint64_t port, const char *wanted)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t driver, name;
	if (!READ_WORD(vm, &scan->reader, port, Port, drv_ptr, &driver) || !driver ||
	    !READ_WORD(vm, &scan->reader, driver, erts_driver_t, name, &name))
		return false;
	const char *text = etp_reader_at(&scan->reader, name, strlen(wanted) + 1);
	return text && !memcmp(text, wanted, strlen(wanted) + 1);
}

// inet_drv.c: tcp_descriptor and udp_descriptor, i_buf. That the descriptor names its port
// shows that it is one.
static bool add_input(struct root_scan *scan, uint64_t port)
{
	static const struct {
		const char *driver;
		enum etp_member_id port, buffer;
	} descriptors[] = {
		{"tcp_inet", ETP_MEMBER_tcp_descriptor_port, ETP_MEMBER_tcp_descriptor_i_buf},
		{"udp_inet", ETP_MEMBER_udp_descriptor_port, ETP_MEMBER_udp_descriptor_i_buf},
		{"sctp_inet", ETP_MEMBER_udp_descriptor_port, ETP_MEMBER_udp_descriptor_i_buf},
	};
	const struct etp_vm *vm = scan->vm;
	if (!HAS(vm, Port, drv_data) || !HAS(vm, Port, drv_ptr) || !HAS(vm, erts_driver_t, name))
		return true;
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
		uint64_t descriptor, owner, buffer;
		if (!etp_layout_has(vm->layout, descriptors[i].port) ||
		    !etp_layout_has(vm->layout, descriptors[i].buffer) ||
		    !is_driver(scan, port, descriptors[i].driver))
			continue;
		if (READ_WORD(vm, &scan->reader, port, Port, drv_data, &descriptor) &&
		    etp_vm_read_member(vm, &scan->reader, descriptor, descriptors[i].port,
		                       &owner) &&
		    owner == port &&
		    etp_vm_read_member(vm, &scan->reader, descriptor, descriptors[i].buffer,
		                       &buffer))
			return !buffer ||
			       root_scan_add_binary(scan, binary_of(vm, buffer), 0, UINT64_MAX);
		root_scan_give_up(scan, "the descriptor of a socket cannot be read");
	}
	return true;
}

static const struct {
	enum etp_path_root root;
	bool (*add)(struct root_scan *scan, uint64_t port);
} places[] = {
	{ETP_PATH_OUTPUT_QUEUE, add_queue}, {ETP_PATH_WAITING_COMMAND, add_commands},
	{ETP_PATH_PORT_DATA, add_data},     {ETP_PATH_TRACER, add_tracers},
	{ETP_PATH_INPUT_BUFFER, add_input},
};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

static bool has_queues(const struct etp_vm *vm)
{
	return HAS(vm, Port, ioq) && HAS(vm, ErtsIOQueue, b_head);
}

static bool add_port(struct root_scan *scan, uint64_t port, etp_term id)
{
	for (size_t i = 0; i < PLACES; i++)
		if (!places[i].add(scan, port))
			return false;
	return root_scan_finish(scan, ETP_HOLDER_PORT, port, id);
}

bool port_scan_run(struct root_scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	if (!has_queues(vm)) {
		root_scan_give_up(scan,
		                  "the layout does not have the queues of this release's ports");
		return true;
	}
	for (size_t i = 0; i < vm->ports.count; i++)
		if (!add_port(scan, vm->ports.addresses[i], vm->ports.ids[i]))
			return false;
	return true;
}

// Paths through the term that port_set_data/2 was given.
static struct etp_error *add_data_paths(const struct etp_vm *vm, struct etp_reader *reader,
                                        uint64_t port, const struct etp_path_options *options,
                                        struct etp_paths *paths)
{
	uint64_t data, term, words;
	struct etp_paths found;
	if (!read_data_heap(vm, reader, port, &data) || !data ||
	    !READ_WORD(vm, reader, data, ErtsPortDataHeap, data, &term) ||
	    !READ_WORD(vm, reader, data, ErtsPortDataHeap, hsize, &words)) {
		paths->unreadable++;
		return NULL;
	}
	struct etp_path_words heap = {data + OFFSET(vm, ErtsPortDataHeap, heap), words};
	struct etp_path_options wanted = *options;
	wanted.max_paths = options->max_paths - paths->count;
	struct etp_error *err = etp_paths_in_words(vm, reader, term, &heap, 1, &wanted, &found);
	if (err)
		return err;
	for (size_t i = 0; i < found.count; i++) {
		found.paths[i].root = ETP_PATH_PORT_DATA;
		paths->paths[paths->count++] = found.paths[i];
	}
	paths->truncated = found.truncated;
	paths->unreadable += found.unreadable;
	found.count = 0;
	etp_paths_deinit(&found);
	return NULL;
}

struct etp_error *etp_paths_in_port(const struct etp_vm *vm, uint64_t address,
                                    const struct etp_path_options *options, struct etp_paths *ret)
{
	struct etp_path_options wanted = *options;
	if (!wanted.max_paths)
		wanted.max_paths = 1;
	struct etp_paths paths = {.paths = calloc(wanted.max_paths, sizeof(*paths.paths))};
	if (!paths.paths)
		return &etp_error_no_memory;
	struct root_scan scan;
	root_scan_init(&scan, vm);
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && has_queues(vm) && i < PLACES; i++) {
		if (paths.count == wanted.max_paths)
			break;
		if (!places[i].add(&scan, address))
			err = &etp_error_no_memory;
		else if (!root_scan_refers_to(&scan, wanted.target))
			continue;
		else if (places[i].root == ETP_PATH_PORT_DATA)
			err = add_data_paths(vm, &scan.reader, address, &wanted, &paths);
		else
			paths.paths[paths.count++] = (struct etp_path){.root = places[i].root};
	}
	paths.unreadable += scan.unreadable;
	root_scan_deinit(&scan);
	if (err)
		etp_paths_deinit(&paths);
	else
		*ret = paths;
	return err;
}
