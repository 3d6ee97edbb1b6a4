// SPDX-License-Identifier: Apache-2.0
#include <etp/waits.h>

#include <stdlib.h>
#include <string.h>

#include <etp/code.h>
#include <etp/dist_entry.h>
#include <etp/links.h>
#include <etp/stack.h>

#include "analysis/wait_order.h"
#include "vm/proc_list.h"
#include "vm/vm.h"

enum {
	// Words of the frame on top that are looked at, and references found there.
	FRAME_WORDS_MAX = 128,
	REFERENCES_MAX = 16,
	// Places in code that are remembered.
	PLACES = 1024,
	// Names of other nodes that are told apart.
	NODES_MAX = 1024,
};

// What a process that waits in a function waits for.
enum place_kind {
	PLACE_UNSEEN,
	// Whatever the monitors say.
	PLACE_ANY,
	// A reply.
	PLACE_CALL,
	// The next message: what is on the stack is state.
	PLACE_LOOP,
	// A process whose pid is on top of the stack, until it is ready, or has ended.
	PLACE_START,
	PLACE_EXIT,
	// The same, if it was told to end itself; otherwise the next message.
	PLACE_EXIT_IF_TOLD,
	// All that it monitors were told to end, and it waits for each.
	PLACE_EXIT_ALL,
	// A port that is on top of the stack.
	PLACE_SEND,
	// The last of the servers, if it is that of this node.
	PLACE_LOCKER,
	// PLACE_SERVER + i: the i-th of the servers.
	PLACE_SERVER,
};

// Processes of the VM that are asked without a monitor.
static const char *const servers[] = {"erl_prim_loader", "init", "erts_code_purger",
                                      "mnesia_locker"};
enum { SERVERS = sizeof(servers) / sizeof(servers[0]), MNESIA_LOCKER = SERVERS - 1 };

// Functions by module; NULL for all of a module's.
static const struct {
	const char *module, *function;
	int kind;
} known_places[] = {
	{"gen_server", "loop", PLACE_LOOP},
	{"gen_statem", "loop_receive", PLACE_LOOP},
	// OTP 29.
	{"gen_statem", "loop", PLACE_LOOP},
	{"gen_event", "fetch_msg", PLACE_LOOP},
	{"gen_fsm", "loop", PLACE_LOOP},
	{"gen", NULL, PLACE_CALL},
	{"code_server", "call", PLACE_CALL},
	// A reply to these two has a pid, the monitor is for the end only: there is no mark.
	{"disk_log", "monitor_request", PLACE_CALL},
	{"dets", "req", PLACE_CALL},
	{"io", NULL, PLACE_CALL},
	{"erpc", NULL, PLACE_CALL},
	{"rpc", NULL, PLACE_CALL},
	{"Elixir.Task", NULL, PLACE_CALL},
	{"Elixir.DBConnection.Holder", NULL, PLACE_CALL},
	{"proc_lib", "sync_start", PLACE_START},
	{"proc_lib", "sync_start_link", PLACE_START},
	{"proc_lib", "sync_start_monitor", PLACE_START},
	{"proc_lib", "stop", PLACE_CALL},
	{"proc_lib", "do_stop", PLACE_CALL},
	{"supervisor", "shutdown", PLACE_EXIT},
	{"supervisor", "wait_dynamic_children", PLACE_EXIT_ALL},
	{"Elixir.DynamicSupervisor", "wait_children", PLACE_EXIT_ALL},
	{"application_master", "terminate_loop", PLACE_EXIT},
	{"application_master", "loop_it", PLACE_EXIT_IF_TOLD},
	{"application_controller", "-terminate/2-fun-0-", PLACE_EXIT},
	// Since OTP 26.
	{"application_controller", "-terminate/2-F/0-0-", PLACE_EXIT},
	{"init", "shutdown_loop", PLACE_EXIT},
	{"prim_inet", "send_recv_reply", PLACE_SEND},
	// Since OTP 26.
	{"prim_inet", "send", PLACE_SEND},
	{"erl_prim_loader", "request", PLACE_SERVER + 0},
	{"init", "request", PLACE_SERVER + 1},
	{"erts_code_purger", "purge", PLACE_SERVER + 2},
	{"erts_code_purger", "soft_purge", PLACE_SERVER + 2},
	{"erts_code_purger", "finish_after_on_load", PLACE_SERVER + 2},
	{"mnesia_locker", "l_req_rec", PLACE_LOCKER},
	{"mnesia_locker", "receive_wlocks", PLACE_LOCKER},
};

struct scan {
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_waits *waits;
	size_t node_count;
	// Kind of the place at a program counter.
	struct {
		uint64_t pc;
		int kind;
	} places[PLACES];
	// Positions of the servers' processes.
	uint32_t servers[SERVERS];
	// By position: somebody waits for an answer of it.
	bool *is_called;
};

const char *etp_wait_kind_name(enum etp_wait_kind kind)
{
	static const char *const names[ETP_WAIT_KIND_COUNT] = {
		[ETP_WAIT_NONE] = "none",           [ETP_WAIT_CALL] = "call",
		[ETP_WAIT_MONITOR] = "monitor",     [ETP_WAIT_REQUEST] = "request",
		[ETP_WAIT_START] = "start",         [ETP_WAIT_EXIT] = "exit",
		[ETP_WAIT_SUSPENDED] = "suspended", [ETP_WAIT_PORT] = "port",
		[ETP_WAIT_SEND] = "send",           [ETP_WAIT_NODE] = "node",
	};
	return kind < ETP_WAIT_KIND_COUNT ? names[kind] : "?";
}

const char *etp_waiter_kind_name(enum etp_waiter_kind kind)
{
	static const char *const names[] = {"process", "port", "node"};
	return kind <= ETP_WAITER_NODE ? names[kind] : "?";
}

static void gap(struct scan *scan, const char *problem)
{
	scan->waits->gaps++;
	scan->waits->problem = problem;
}

static void set_wait(struct scan *scan, uint32_t who, enum etp_wait_kind kind, uint32_t target)
{
	if (who == target || target == ETP_WAIT_NOBODY)
		return;
	scan->waits->waiters[who].wait = kind;
	scan->waits->waiters[who].target = target;
}

// Position of a process or port; ETP_WAIT_NOBODY if it is dead.
static uint32_t find(const struct scan *scan, etp_term term)
{
	const struct etp_vm *vm = scan->vm;
	size_t at = SIZE_MAX;
	size_t before = 0;
	if (term_is_internal_pid(term)) {
		at = etp_ptab_position(&vm->processes, term);
	} else if (term_is_internal_port(term)) {
		at = etp_ptab_position(&vm->ports, term);
		before = vm->processes.count;
	}
	return at == SIZE_MAX ? ETP_WAIT_NOBODY : (uint32_t)(before + at);
}

// Position of another node, which is added.
static uint32_t find_node(struct scan *scan, etp_term name, uint64_t entry)
{
	size_t first = scan->vm->processes.count + scan->vm->ports.count;
	struct etp_waiter *nodes = scan->waits->waiters + first;
	size_t at = 0;
	while (at < scan->node_count && nodes[at].term != name)
		at++;
	if (at == NODES_MAX) {
		gap(scan, "processes wait for more nodes than are told apart");
		return ETP_WAIT_NOBODY;
	}
	if (at == scan->node_count) {
		scan->node_count++;
		nodes[at] = (struct etp_waiter){
			.kind = ETP_WAITER_NODE, .term = name, .target = ETP_WAIT_NOBODY};
	}
	if (entry)
		nodes[at].address = entry;
	return (uint32_t)(first + at);
}

// ---- lists of suspended processes -------------------------------------------------------

static void read_suspended(struct scan *scan, uint64_t first, enum etp_wait_kind kind,
                           uint32_t target)
{
	struct etp_proc_list list;
	etp_term pid;
	uint64_t ignored;
	etp_proc_list_init(&list, scan->vm, &scan->reader, first);
	while (etp_proc_list_next(&list, &pid, &ignored)) {
		uint32_t who = find(scan, pid);
		if (who != ETP_WAIT_NOBODY)
			set_wait(scan, who, kind, target);
	}
	if (list.is_broken)
		gap(scan, "a list of suspended processes breaks off");
}

static void read_ports(struct scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	size_t before = vm->processes.count;
	for (size_t i = 0; i < vm->ports.count; i++) {
		uint64_t first;
		if (!READ_WORD(vm, &scan->reader, vm->ports.addresses[i], Port, suspended, &first))
			gap(scan, "who is suspended on a port cannot be read");
		else
			read_suspended(scan, first, ETP_WAIT_PORT, (uint32_t)(before + i));
	}
}

static void read_connection(struct scan *scan, uint64_t entry)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t name, first;
	if (!READ_WORD(vm, &scan->reader, entry, DistEntry, sysname, &name) ||
	    !READ_WORD(vm, &scan->reader, entry, DistEntry, suspended, &first) ||
	    !term_is_atom(name))
		gap(scan, "a connection to another node cannot be read");
	else if (first)
		read_suspended(scan, first, ETP_WAIT_NODE, find_node(scan, name, entry));
}

static void read_connections(struct scan *scan)
{
	struct etp_dist_entry_iter entries;
	uint64_t entry;
	etp_dist_entry_iter_init(&entries, scan->vm, &scan->reader);
	while (etp_dist_entry_iter_next(&entries, &entry))
		read_connection(scan, entry);
	if (entries.gaps)
		gap(scan, entries.problem);
}

// ---- processes --------------------------------------------------------------------------

static int classify(struct scan *scan, const struct etp_code_location *location)
{
	if (location->kind < ETP_CODE_MODULE)
		return PLACE_ANY;
	for (size_t i = 0; i < sizeof(known_places) / sizeof(known_places[0]); i++) {
		if (!etp_vm_is_atom(scan->vm, &scan->reader, location->module,
		                    known_places[i].module))
			continue;
		if (!known_places[i].function ||
		    (location->function &&
		     etp_vm_is_atom(scan->vm, &scan->reader, location->function,
		                    known_places[i].function)))
			return known_places[i].kind;
	}
	return PLACE_ANY;
}

// Many processes wait in few places.
static int place_of(struct scan *scan, const struct etp_stack *stack)
{
	size_t at = (stack->pc >> 2) % PLACES;
	if (scan->places[at].pc != stack->pc || scan->places[at].kind == PLACE_UNSEEN) {
		struct etp_code_location location;
		etp_stack_current(scan->vm, &scan->reader, stack, false, &location);
		scan->places[at].pc = stack->pc;
		scan->places[at].kind = classify(scan, &location);
	}
	return scan->places[at].kind;
}

// The terms of the frame on top, one after the other.
struct top_terms {
	struct etp_stack_iter iter;
	size_t words_left;
};

static void top_terms_init(struct top_terms *terms, struct scan *scan,
                           const struct etp_stack *stack)
{
	etp_stack_iter_init(&terms->iter, scan->vm, &scan->reader, stack);
	terms->words_left = FRAME_WORDS_MAX;
}

static bool top_terms_next(struct top_terms *terms, etp_term *ret)
{
	struct etp_stack_slot slot;
	while (terms->words_left) {
		terms->words_left--;
		if (!etp_stack_iter_next(&terms->iter, &slot) || slot.frame)
			break;
		if (slot.kind != ETP_STACK_TERM)
			continue;
		*ret = slot.word;
		return true;
	}
	terms->words_left = 0;
	return false;
}

// References of this node in the frame on top.
static size_t references_on_top(struct scan *scan, const struct etp_stack *stack,
                                struct etp_term_view *found)
{
	struct top_terms terms;
	etp_term term;
	size_t count = 0;
	top_terms_init(&terms, scan, stack);
	while (count < REFERENCES_MAX && top_terms_next(&terms, &term))
		if (etp_term_decode(scan->vm, &scan->reader, term, &found[count]) == ETP_TERM_REF &&
		    !found[count].id.is_external)
			count++;
	return count;
}

// Position of the first process of this VM, other than these, whose pid is in the frame on top.
static uint32_t process_on_top(struct scan *scan, const struct etp_stack *stack, uint32_t who,
                               uint32_t neither)
{
	struct top_terms terms;
	etp_term term;
	top_terms_init(&terms, scan, stack);
	while (top_terms_next(&terms, &term)) {
		if (!term_is_internal_pid(term))
			continue;
		uint32_t found = find(scan, term);
		if (found != ETP_WAIT_NOBODY && found != who && found != neither)
			return found;
	}
	return ETP_WAIT_NOBODY;
}

// Is this node on the frame on top, or a list of this node, and no list of others?
static bool is_this_node_on_top(struct scan *scan, const struct etp_stack *stack)
{
	struct top_terms terms;
	struct etp_term_view view;
	etp_term term, here = term_make_atom(scan->vm->info.node_name);
	bool found = false;
	top_terms_init(&terms, scan, stack);
	while (top_terms_next(&terms, &term)) {
		found |= term == here;
		if (etp_term_decode(scan->vm, &scan->reader, term, &view) != ETP_TERM_CONS)
			continue;
		if (view.cons.head != here || !term_is_nil(view.cons.tail))
			return false;
		found = true;
	}
	return found;
}

// Position of the first port in the frame on top.
static uint32_t port_on_top(struct scan *scan, const struct etp_stack *stack)
{
	struct top_terms terms;
	etp_term term;
	top_terms_init(&terms, scan, stack);
	while (top_terms_next(&terms, &term))
		if (term_is_internal_port(term))
			return find(scan, term);
	return ETP_WAIT_NOBODY;
}

// Position of a reference among those found, or `count`.
static size_t find_reference(struct scan *scan, etp_term ref, const struct etp_term_view *found,
                             size_t count)
{
	struct etp_term_view view;
	if (etp_term_decode(scan->vm, &scan->reader, ref, &view) != ETP_TERM_REF)
		return count;
	for (size_t i = 0; i < count; i++)
		if (view.id.count == found[i].id.count &&
		    !memcmp(view.id.numbers, found[i].id.numbers,
		            view.id.count * sizeof(view.id.numbers[0])))
			return i;
	return count;
}

// Keep those for which a receive has set a mark, as only one does whose clauses all have the
// reference. Returns how many.
static size_t keep_marked(struct scan *scan, uint64_t process, struct etp_term_view *found,
                          size_t count)
{
	const struct etp_vm *vm = scan->vm;
	bool is_marked[REFERENCES_MAX] = {false};
	uint64_t block;
	etp_term ref;
	if (!READ_WORD(vm, &scan->reader, process, Process, recv_mrk_blk, &block)) {
		gap(scan, "the marks of a receive cannot be read");
		return 0;
	}
	if (!block)
		return 0;
	uint64_t marks = vm->layout->members[ETP_MEMBER_ErtsRecvMarkerBlock_ref].count;
	for (uint64_t i = 0; i < marks; i++) {
		uint64_t at = block + OFFSET(vm, ErtsRecvMarkerBlock, ref) + i * 8;
		if (!etp_read_u64(&scan->reader, at, &ref)) {
			gap(scan, "the marks of a receive cannot be read");
			break;
		}
		size_t position = find_reference(scan, ref, found, count);
		if (position < count)
			is_marked[position] = true;
	}
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (is_marked[i])
			found[kept++] = found[i];
	return kept;
}

// The node of a process that is monitored there: by name, or by pid.
static void wait_for_node(struct scan *scan, uint32_t who, const struct etp_monitor *monitor)
{
	struct etp_term_view view;
	if (monitor->is_named && term_is_atom(monitor->node))
		set_wait(scan, who, ETP_WAIT_NODE, find_node(scan, monitor->node, 0));
	else if (etp_term_decode(scan->vm, &scan->reader, monitor->other, &view) == ETP_TERM_PID &&
	         view.id.is_external)
		set_wait(scan, who, ETP_WAIT_NODE,
		         find_node(scan, term_make_atom(view.id.sysname), 0));
}

static void read_monitors(struct scan *scan, uint32_t who, bool is_suspended,
                          enum etp_wait_kind kind, const struct etp_term_view *refs, size_t count)
{
	struct etp_monitor_iter iter;
	struct etp_monitor monitor;
	etp_monitor_iter_init(&iter, scan->vm, &scan->reader, scan->waits->waiters[who].address);
	while (etp_monitor_iter_next(&iter, &monitor)) {
		if (is_suspended) {
			if (monitor.type != ETP_MONITOR_SUSPEND || !monitor.is_target)
				continue;
			set_wait(scan, who, ETP_WAIT_SUSPENDED, find(scan, monitor.other));
			break;
		}
		if (monitor.is_target || find_reference(scan, monitor.ref, refs, count) == count)
			continue;
		if (monitor.type == ETP_MONITOR_PROC || monitor.type == ETP_MONITOR_PORT)
			set_wait(scan, who, kind, find(scan, monitor.other));
		else if (monitor.type == ETP_MONITOR_DIST_PROC ||
		         monitor.type == ETP_MONITOR_DIST_PORT)
			wait_for_node(scan, who, &monitor);
		break;
	}
	if (iter.nodes.gaps)
		gap(scan, iter.nodes.problem);
}

// Position of the first process of this VM that a process monitors and that is still there.
static uint32_t process_monitored(struct scan *scan, uint32_t who)
{
	struct etp_monitor_iter iter;
	struct etp_monitor monitor;
	uint32_t found = ETP_WAIT_NOBODY;
	etp_monitor_iter_init(&iter, scan->vm, &scan->reader, scan->waits->waiters[who].address);
	while (found == ETP_WAIT_NOBODY && etp_monitor_iter_next(&iter, &monitor))
		if (!monitor.is_target && monitor.type == ETP_MONITOR_PROC)
			found = find(scan, monitor.other);
	if (iter.nodes.gaps)
		gap(scan, iter.nodes.problem);
	return found;
}

static void read_waiting(struct scan *scan, uint32_t who)
{
	struct etp_stack stack;
	struct etp_term_view refs[REFERENCES_MAX];
	struct etp_error *err =
		etp_stack_find(scan->vm, &scan->reader, scan->waits->waiters[who].address, &stack);
	if (err) {
		etp_error_destroy(err);
		gap(scan, "a process cannot be read");
		return;
	}
	int place = place_of(scan, &stack);
	if (place == PLACE_LOCKER && is_this_node_on_top(scan, &stack))
		set_wait(scan, who, ETP_WAIT_REQUEST, scan->servers[MNESIA_LOCKER]);
	else if (place >= PLACE_SERVER)
		set_wait(scan, who, ETP_WAIT_REQUEST, scan->servers[place - PLACE_SERVER]);
	else if (place == PLACE_START || place == PLACE_EXIT)
		set_wait(scan, who, place == PLACE_START ? ETP_WAIT_START : ETP_WAIT_EXIT,
		         process_on_top(scan, &stack, who, ETP_WAIT_NOBODY));
	else if (place == PLACE_EXIT_ALL)
		set_wait(scan, who, ETP_WAIT_EXIT, process_monitored(scan, who));
	else if (place == PLACE_SEND)
		set_wait(scan, who, ETP_WAIT_SEND, port_on_top(scan, &stack));
	if (place != PLACE_ANY && place != PLACE_CALL)
		return;
	size_t count = references_on_top(scan, &stack, refs);
	enum etp_wait_kind kind = ETP_WAIT_CALL;
	if (count && place != PLACE_CALL) {
		if (HAS(scan->vm, Process, recv_mrk_blk) && HAS(scan->vm, ErtsRecvMarkerBlock, ref))
			count = keep_marked(scan, stack.process, refs, count);
		else
			kind = ETP_WAIT_MONITOR;
	}
	if (count)
		read_monitors(scan, who, false, kind, refs, count);
}

// `who` waits until its target ends: so does that, perhaps, for another one.
static void follow_exit(struct scan *scan, uint32_t who)
{
	uint32_t told = scan->waits->waiters[who].target;
	const struct etp_waiter *waiter = &scan->waits->waiters[told];
	struct etp_stack stack;
	if (waiter->target != ETP_WAIT_NOBODY || waiter->kind != ETP_WAITER_PROCESS)
		return;
	struct etp_error *err = etp_stack_find(scan->vm, &scan->reader, waiter->address, &stack);
	if (!err && place_of(scan, &stack) == PLACE_EXIT_IF_TOLD)
		set_wait(scan, told, ETP_WAIT_EXIT, process_on_top(scan, &stack, told, who));
	// That it cannot be read was counted.
	etp_error_destroy(err);
}

static void follow_edge(struct scan *scan, const struct etp_wait_edge *edge)
{
	uint32_t who = find(scan, edge->who), target = find(scan, edge->target);
	if (who == ETP_WAIT_NOBODY || target == ETP_WAIT_NOBODY)
		return;
	struct etp_waiter *waiter = &scan->waits->waiters[who];
	bool applies = waiter->target == ETP_WAIT_NOBODY && scan->is_called[who];
	if (edge->through)
		applies = waiter->target != ETP_WAIT_NOBODY &&
		          waiter->target == find(scan, edge->through);
	if (!applies)
		return;
	waiter->wait = edge->kind;
	waiter->target = target;
}

static struct etp_error *follow_edges(struct scan *scan, const struct etp_wait_edge *edges,
                                      size_t count)
{
	const struct etp_waits *waits = scan->waits;
	if (!count)
		return NULL;
	scan->is_called = calloc(waits->process_count + scan->vm->ports.count + NODES_MAX,
	                         sizeof(*scan->is_called));
	if (!scan->is_called)
		return &etp_error_no_memory;
	for (uint32_t who = 0; who < waits->process_count; who++)
		if (waits->waiters[who].wait == ETP_WAIT_CALL)
			scan->is_called[waits->waiters[who].target] = true;
	for (size_t i = 0; i < count; i++)
		follow_edge(scan, &edges[i]);
	free(scan->is_called);
	return NULL;
}

static void note_status(struct scan *scan, uint32_t who, enum etp_process_status status)
{
	struct etp_wait_status *entry = &scan->waits->statuses[status];
	if (entry->count < ETP_WAIT_EXAMPLES)
		entry->examples[entry->count] = who;
	entry->count++;
}

static void read_process(struct scan *scan, uint32_t who)
{
	struct etp_waiter *waiter = &scan->waits->waiters[who];
	enum etp_process_status status;
	bool is_on_list = waiter->target != ETP_WAIT_NOBODY;
	if (!etp_process_status(scan->vm, &scan->reader, waiter->address, &status)) {
		gap(scan, "a process cannot be read");
		return;
	}
	note_status(scan, who, status);
	// Whoever exits until its last signals are sent: its status does not say that it is
	// suspended.
	if (status == ETP_PROCESS_FREE && is_on_list)
		return;
	if (status == ETP_PROCESS_WAITING && !is_on_list) {
		read_waiting(scan, who);
	} else if (status != ETP_PROCESS_SUSPENDED) {
		// It was resumed, and the list is about to go.
		waiter->wait = ETP_WAIT_NONE;
		waiter->target = ETP_WAIT_NOBODY;
	} else if (!is_on_list) {
		read_monitors(scan, who, true, ETP_WAIT_SUSPENDED, NULL, 0);
		scan->waits->suspended_unknown += waiter->target == ETP_WAIT_NOBODY;
	}
}

// Registered names, and who of those has one that is asked without a monitor.
static void find_names(struct scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t reg;
	etp_term name;
	for (size_t i = 0; i < SERVERS; i++)
		scan->servers[i] = ETP_WAIT_NOBODY;
	for (uint32_t who = 0; who < vm->processes.count; who++) {
		uint64_t process = vm->processes.addresses[who];
		if (etp_process_is_free(vm, &scan->reader, process))
			continue;
		if (!READ_WORD(vm, &scan->reader, process, Process, reg, &reg) ||
		    (reg && !READ_WORD(vm, &scan->reader, reg, RegProc, name, &name))) {
			gap(scan, "the name of a process cannot be read");
			continue;
		}
		if (!reg)
			continue;
		scan->waits->waiters[who].name = name;
		for (size_t i = 0; i < SERVERS; i++)
			if (etp_vm_is_atom(vm, &scan->reader, name, servers[i]))
				scan->servers[i] = who;
	}
}

static struct etp_error *make_waiters(struct etp_waits *waits, const struct etp_vm *vm)
{
	size_t processes = vm->processes.count, ports = vm->ports.count;
	waits->process_count = processes;
	waits->waiters = calloc(processes + ports + NODES_MAX, sizeof(*waits->waiters));
	if (!waits->waiters)
		return &etp_error_no_memory;
	for (size_t i = 0; i < processes + ports; i++) {
		bool is_port = i >= processes;
		const struct etp_ptab *table = is_port ? &vm->ports : &vm->processes;
		size_t at = is_port ? i - processes : i;
		waits->waiters[i] = (struct etp_waiter){
			.kind = is_port ? ETP_WAITER_PORT : ETP_WAITER_PROCESS,
			.address = table->addresses[at],
			.term = table->ids[at],
			.target = ETP_WAIT_NOBODY,
		};
	}
	return NULL;
}

struct etp_error *etp_waits_init(struct etp_waits *waits, const struct etp_vm *vm,
                                 const struct etp_wait_edge *edges, size_t edge_count)
{
	*waits = (struct etp_waits){0};
	struct etp_error *err = make_waiters(waits, vm);
	struct scan *scan = err ? NULL : calloc(1, sizeof(*scan));
	if (!scan) {
		etp_waits_deinit(waits);
		return &etp_error_no_memory;
	}
	scan->vm = vm;
	scan->waits = waits;
	etp_reader_init(&scan->reader, vm->target);
	find_names(scan);
	if (HAS(vm, Port, suspended) && HAS(vm, ErtsProcList, pid))
		read_ports(scan);
	else
		gap(scan, "the layout does not say who is suspended on a port");
	if (HAS(vm, DistEntry, suspended) && HAS(vm, ErtsProcList, pid) && HAS(vm, Hash, shift))
		read_connections(scan);
	for (uint32_t who = 0; who < waits->process_count; who++)
		read_process(scan, who);
	for (uint32_t who = 0; who < waits->process_count; who++)
		if (waits->waiters[who].wait == ETP_WAIT_EXIT)
			follow_exit(scan, who);
	err = follow_edges(scan, edges, edge_count);
	waits->count = waits->process_count + vm->ports.count + scan->node_count;
	free(scan);
	if (!err)
		err = wait_order_find(waits);
	if (err)
		etp_waits_deinit(waits);
	return err;
}

void etp_waits_deinit(struct etp_waits *waits)
{
	free(waits->waiters);
	free(waits->roots);
	free(waits->cycles);
	*waits = (struct etp_waits){0};
}
