// SPDX-License-Identifier: Apache-2.0
#include <etp/timers.h>

#include "vm/vm.h"

enum {
	// ERTS_TMR_ROFLG_*, ERTS_TMR_STATE_ACTIVE (erl_hl_timer.c).
	ROFLG_SID_MASK = (1 << 11) - 1,
	ROFLG_HLT = 1 << 11,
	ROFLG_BIF_TMR = 1 << 12,
	ROFLG_REG_NAME = 1 << 14,
	ROFLG_PROC = 1 << 15,
	ROFLG_PORT = 1 << 16,
	ROFLG_CALLBACK = 1 << 17,
	ROFLG_PAUSED = 1 << 18,
	ROFLG_RECEIVERS = ROFLG_REG_NAME | ROFLG_PROC | ROFLG_PORT | ROFLG_CALLBACK,
	STATE_ACTIVE = 0,
	// ERTS_PTMR_TIMEDOUT (erl_hl_timer.h), which Process.timer may be beside an address.
	PTMR_TIMEDOUT = 1,
	// Without ErtsTimeSupData.clktck_resolution: SYS_CLOCK_RESOLUTION is a millisecond.
	TICKS_PER_SECOND = 1000,
};

// What `node` is in.
enum phase {
	// The circular lists of the slots of a wheel, and of the one that is being worked off.
	PHASE_SLOTS,
	PHASE_SENTINEL,
	// A tree, each node of which may lead a circular list of those due at the same time.
	PHASE_TREE,
	PHASE_TREE_LIST,
	// A node that was taken out of the tree because it is due, and its list.
	PHASE_YIELD,
	PHASE_YIELD_LIST,
	// Of the process at hand, if it is suspended.
	PHASE_PAUSED_RECEIVE,
	PHASE_PAUSED_BIF,
	PHASE_END,
};

static const char unreadable[] = "a timer cannot be read";
static const char broken_list[] = "a list of timers breaks off";
static const char broken_process[] = "the timers of a process cannot be read";

const char *etp_timer_kind_name(enum etp_timer_kind kind)
{
	static const char *const names[] = {
		[ETP_TIMER_SEND_AFTER] = "send_after", [ETP_TIMER_START_TIMER] = "start_timer",
		[ETP_TIMER_RECEIVE] = "receive",       [ETP_TIMER_PORT] = "port",
		[ETP_TIMER_CALLBACK] = "callback",
	};
	return names[kind];
}

static void gap(struct etp_timer_iter *iter, const char *problem)
{
	iter->gaps++;
	iter->problem = problem;
}

// ERTS_CLKTCK_RESOLUTION (erl_time.h).
static int64_t ticks_per_second(const struct etp_vm *vm, struct etp_reader *reader)
{
	uint64_t time_sup, ticks = TICKS_PER_SECOND;
	if (!HAS(vm, ErtsTimeSupData, clktck_resolution))
		return TICKS_PER_SECOND;
	struct etp_error *err = etp_target_symbol(vm->target, "erts_time_sup__", &time_sup, NULL);
	bool is_read =
		!err && READ_WORD(vm, reader, time_sup, ErtsTimeSupData, clktck_resolution, &ticks);
	etp_error_destroy(err);
	bool is_sound = is_read && ticks >= 1000 && ticks <= 1000000;
	return is_sound ? (int64_t)ticks : TICKS_PER_SECOND;
}

// Scheduler number `i`, from 0: its wheel and its timer service.
static bool read_scheduler(struct etp_timer_iter *iter, uint64_t i)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t esd = vm->scheduler_data + i * vm->scheduler_stride +
	               OFFSET(vm, ErtsAlignedSchedulerData, esd);
	return READ_WORD(vm, iter->reader, esd, ErtsSchedulerData, timer_wheel, &iter->wheel) &&
	       READ_WORD(vm, iter->reader, esd, ErtsSchedulerData, timer_service, &iter->service);
}

// Clock ticks of Erlang's monotonic time, as get_time_left() takes it: at the last look that
// any scheduler had at the clock.
static void find_now(struct etp_timer_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	int64_t now = 0;
	iter->ticks_per_second = ticks_per_second(vm, iter->reader);
	if (vm->info.uptime_ns >= 0) {
		int64_t tick = 1000000000 / iter->ticks_per_second;
		now = (vm->info.uptime_ns + etp_vm_monotonic_begin_ns - 1) / tick + 1;
	}
	for (uint64_t i = 0; i < vm->info.schedulers; i++) {
		uint64_t pos;
		if (read_scheduler(iter, i) &&
		    READ_WORD(vm, iter->reader, iter->wheel, ErtsTimerWheel, pos, &pos) &&
		    (int64_t)pos > now)
			now = (int64_t)pos;
	}
	iter->now = now;
}

static void enter(struct etp_timer_iter *iter, enum phase phase, uint64_t first)
{
	iter->phase = phase;
	iter->first = iter->node = first;
	iter->chain = (struct etp_chain){0};
}

static bool layout_has_timers(const struct etp_vm *vm)
{
	return HAS(vm, ErtsSchedulerData, timer_wheel) &&
	       HAS(vm, ErtsSchedulerData, timer_service) && HAS(vm, ErtsTimerWheel, slots) &&
	       HAS(vm, ErtsTWheelTimer, arg) && HAS(vm, ErtsTWTimer, tw_tmr) &&
	       HAS(vm, ErtsTmrHead, receiver) && HAS(vm, ErtsHLTimer, same_time) &&
	       HAS(vm, ErtsHLTimerService, time_tree) && HAS(vm, ErtsBifTimer, bp) &&
	       HAS(vm, Process, timer) && HAS(vm, Port, timer);
}

// ---- the way from one to the next ---------------------------------------------------------

// To the next of a list that ends at `end`.
static void follow(struct etp_timer_iter *iter, uint64_t node, enum etp_member_id next,
                   uint64_t end)
{
	if (!etp_vm_read_member(iter->vm, iter->reader, node, next, &iter->node)) {
		gap(iter, broken_list);
		iter->node = 0;
	} else if (iter->node == end) {
		iter->node = 0;
	}
}

// The last node of the wheel was seen.
static void leave_wheel(struct etp_timer_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t count, root = 0;
	// One may just be on its way in or out.
	if (!READ_WORD(vm, iter->reader, iter->wheel, ErtsTimerWheel, nto, &count) ||
	    count > iter->seen + 1)
		gap(iter, "a timer wheel has fewer timers than it counts");
	if (!READ_WORD(vm, iter->reader, iter->service, ErtsHLTimerService, time_tree, &root))
		gap(iter, "a tree of timers cannot be read");
	if (root)
		iter->stack[iter->depth++] = root;
	enter(iter, PHASE_TREE, 0);
}

static void enter_next_slot(struct etp_timer_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	const struct etp_layout_member *slots =
		&vm->layout->members[ETP_MEMBER_ErtsTimerWheel_slots];
	const void *words = etp_reader_at(iter->reader, iter->wheel + slots->offset,
	                                  (uint64_t)slots->count * sizeof(uint64_t));
	while (words && iter->slot < slots->count) {
		uint64_t first = etp_word_at(words, iter->slot++);
		if (first) {
			enter(iter, PHASE_SLOTS, first);
			return;
		}
	}
	if (!words)
		gap(iter, "a timer wheel cannot be read");
	uint64_t sentinel = iter->wheel + OFFSET(vm, ErtsTimerWheel, sentinel);
	enter(iter, PHASE_SENTINEL, sentinel);
	follow(iter, sentinel, ETP_MEMBER_ErtsTWheelTimer_next, sentinel);
}

static void enter_next_in_tree(struct etp_timer_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	while (iter->depth) {
		uint64_t node = iter->stack[--iter->depth], left, right;
		if (iter->depth + 2 > ETP_TIMER_TREE_DEPTH) {
			gap(iter, "a tree of timers runs in a circle");
			iter->depth = 0;
		} else if (!READ_WORD(vm, iter->reader, node, ErtsHLTimer, tree_left, &left) ||
		           !READ_WORD(vm, iter->reader, node, ErtsHLTimer, tree_right, &right)) {
			gap(iter, "a tree of timers cannot be read");
		} else {
			if (right)
				iter->stack[iter->depth++] = right;
			if (left)
				iter->stack[iter->depth++] = left;
			enter(iter, PHASE_TREE, node);
			return;
		}
	}
	uint64_t root = 0;
	if (HAS(vm, ErtsHLTimerService, yield_root) &&
	    !READ_WORD(vm, iter->reader, iter->service, ErtsHLTimerService, yield_root, &root))
		gap(iter, "the timers that are due cannot be read");
	enter(iter, PHASE_YIELD, root);
}

// The timer of the process at hand that stands still while it waits in `receive ... after`: it
// is where the others are, in Process.timer.
static void enter_paused_receive(struct etp_timer_iter *iter, uint64_t process)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t timer = 0;
	uint32_t flags = 0;
	if (HAS(vm, ErtsPausedProcTimer, time_left_in_msec) &&
	    (!READ_WORD(vm, iter->reader, process, Process, timer, &timer) ||
	     (timer > PTMR_TIMEDOUT &&
	      !READ_U32(vm, iter->reader, timer, ErtsTmrHead, roflgs, &flags))))
		gap(iter, broken_process);
	enter(iter, PHASE_PAUSED_RECEIVE, flags & ROFLG_PAUSED ? timer : 0);
}

static void enter_paused_bif(struct etp_timer_iter *iter, uint64_t process)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t timers = 0, first = 0;
	if (!READ_WORD(vm, iter->reader, process, Process, paused_bif_timers, &timers) ||
	    (timers && !READ_WORD(vm, iter->reader, timers, ErtsPausedBifTimers, list, &first)))
		gap(iter, broken_process);
	enter(iter, PHASE_PAUSED_BIF, first);
}

static void enter_process(struct etp_timer_iter *iter, size_t process)
{
	const struct etp_vm *vm = iter->vm;
	bool has_paused = HAS(vm, Process, paused_bif_timers) &&
	                  HAS(vm, ErtsPausedBifTimers, list) && HAS(vm, ErtsPausedBifTimer, next);
	iter->process = process;
	if (has_paused && process < vm->processes.count)
		enter_paused_receive(iter, vm->processes.addresses[process]);
	else
		enter(iter, PHASE_END, 0);
}

static void enter_scheduler(struct etp_timer_iter *iter, uint64_t scheduler)
{
	iter->scheduler = scheduler;
	iter->slot = iter->seen = 0;
	iter->depth = 0;
	if (scheduler > iter->vm->info.schedulers) {
		iter->scheduler = 0;
		enter_process(iter, 0);
	} else if (read_scheduler(iter, scheduler - 1)) {
		enter(iter, PHASE_SLOTS, 0);
	} else {
		gap(iter, "the timers of a scheduler cannot be read");
		enter(iter, PHASE_YIELD_LIST, 0);
	}
}

// There is none left in the list or tree at hand.
static void enter_next(struct etp_timer_iter *iter)
{
	switch ((enum phase)iter->phase) {
	case PHASE_SLOTS:
		enter_next_slot(iter);
		break;
	case PHASE_SENTINEL:
		leave_wheel(iter);
		break;
	case PHASE_TREE:
	case PHASE_TREE_LIST:
		enter_next_in_tree(iter);
		break;
	case PHASE_YIELD:
	case PHASE_YIELD_LIST:
		enter_scheduler(iter, iter->scheduler + 1);
		break;
	case PHASE_PAUSED_RECEIVE:
		enter_paused_bif(iter, iter->vm->processes.addresses[iter->process]);
		break;
	case PHASE_PAUSED_BIF:
		enter_process(iter, iter->process + 1);
		break;
	case PHASE_END:
		break;
	}
}

// Those that are due at the same time as a node of the tree.
static void enter_same_time(struct etp_timer_iter *iter, uint64_t node, enum phase phase)
{
	uint64_t first = 0;
	if (!READ_WORD(iter->vm, iter->reader, node, ErtsHLTimer, same_time, &first))
		gap(iter, broken_list);
	enter(iter, phase, first);
}

// From `node` to what comes after it; iter->node is 0 if nothing does.
static void go_on(struct etp_timer_iter *iter, uint64_t node)
{
	switch ((enum phase)iter->phase) {
	case PHASE_SLOTS:
	case PHASE_SENTINEL:
		follow(iter, node, ETP_MEMBER_ErtsTWheelTimer_next, iter->first);
		break;
	case PHASE_TREE:
		enter_same_time(iter, node, PHASE_TREE_LIST);
		break;
	case PHASE_YIELD:
		enter_same_time(iter, node, PHASE_YIELD_LIST);
		break;
	case PHASE_TREE_LIST:
	case PHASE_YIELD_LIST:
		follow(iter, node, ETP_MEMBER_ErtsHLTimer_list_next, iter->first);
		break;
	case PHASE_PAUSED_BIF:
		follow(iter, node, ETP_MEMBER_ErtsPausedBifTimer_next, 0);
		break;
	case PHASE_PAUSED_RECEIVE:
	case PHASE_END:
		iter->node = 0;
	}
}

// ---- what a timer is ------------------------------------------------------------------------

static void set_remaining(struct etp_timer_iter *iter, uint64_t timeout_pos,
                          struct etp_timer *timer)
{
	int64_t ticks;
	if (__builtin_sub_overflow((int64_t)timeout_pos, iter->now, &ticks)) {
		gap(iter, unreadable);
		return;
	}
	timer->remaining_ms = ticks / (iter->ticks_per_second / 1000);
}

// {timeout, Ref, Message} with the timer's own reference, or any if that is not known.
static bool is_start_timer(struct etp_timer_iter *iter, const struct etp_timer *timer)
{
	struct etp_term_view message, ref;
	if (etp_term_decode(iter->vm, iter->reader, timer->message, &message) != ETP_TERM_TUPLE ||
	    message.tuple.arity != 3 ||
	    etp_word_at(message.tuple.elements, 0) != iter->vm->am[AM_TIMEOUT] ||
	    etp_term_decode(iter->vm, iter->reader, etp_word_at(message.tuple.elements, 1), &ref) !=
	            ETP_TERM_REF)
		return false;
	return !timer->has_ref || (!ref.id.is_external && ref.id.count == 3 &&
	                           !memcmp(ref.id.numbers, timer->ref, sizeof(timer->ref)));
}

static bool read_message(struct etp_timer_iter *iter, uint64_t address, struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	if (!READ_WORD(vm, iter->reader, address, ErtsBifTimer, message, &timer->message) ||
	    !READ_WORD(vm, iter->reader, address, ErtsBifTimer, bp, &timer->fragment))
		return false;
	timer->kind = is_start_timer(iter, timer) ? ETP_TIMER_START_TIMER : ETP_TIMER_SEND_AFTER;
	return true;
}

// Nobody has cancelled it: `member` of its Process or Port still leads to it.
static bool is_current(struct etp_timer_iter *iter, uint64_t address, uint64_t owner,
                       enum etp_member_id member)
{
	uint64_t current;
	if (!etp_vm_read_member(iter->vm, iter->reader, owner, member, &current)) {
		gap(iter, unreadable);
		return false;
	}
	if (current == address)
		return true;
	iter->cancelled++;
	return false;
}

static bool read_receiver(struct etp_timer_iter *iter, uint32_t flags, uint64_t word,
                          struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t id;
	if (flags & ROFLG_REG_NAME)
		id = word;
	else if (flags & ROFLG_PROC ? !READ_WORD(vm, iter->reader, word, Process, id, &id)
	                            : !READ_WORD(vm, iter->reader, word, Port, id, &id))
		return false;
	bool is_sound = flags & ROFLG_REG_NAME ? term_is_atom(id)
	                : flags & ROFLG_PROC   ? term_is_internal_pid(id)
	                                       : term_is_internal_port(id);
	timer->receiver = is_sound ? id : 0;
	return is_sound;
}

static bool read_bif(struct etp_timer_iter *iter, uint64_t address, struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t refn = address + OFFSET(vm, ErtsBifTimer, refn);
	for (unsigned i = 0; i < 3; i++)
		if (!etp_read_u32(iter->reader, refn + i * sizeof(uint32_t), &timer->ref[i]))
			return false;
	timer->has_ref = true;
	return read_message(iter, address, timer);
}

// The ErtsTmrHead, and what follows it, at `address`. False if it is no timer any more, or was
// not read: then that is counted.
static bool read_timer(struct etp_timer_iter *iter, uint64_t address, uint32_t place,
                       struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	uint32_t flags, state;
	uint64_t receiver;
	timer->address = address;
	if (!READ_U32(vm, iter->reader, address, ErtsTmrHead, roflgs, &flags) ||
	    !READ_WORD(vm, iter->reader, address, ErtsTmrHead, receiver, &receiver) ||
	    __builtin_popcount(flags & ROFLG_RECEIVERS) != 1 ||
	    (flags & (ROFLG_HLT | ROFLG_SID_MASK)) != (place | iter->scheduler)) {
		gap(iter, unreadable);
		return false;
	}
	if (flags & ROFLG_BIF_TMR) {
		if (!READ_U32(vm, iter->reader, address, ErtsBifTimer, state, &state)) {
			gap(iter, unreadable);
			return false;
		}
		if (state != STATE_ACTIVE) {
			iter->cancelled++;
			return false;
		}
		if (!read_bif(iter, address, timer) || !read_receiver(iter, flags, receiver, timer))
			gap(iter, unreadable);
		return true;
	}
	if (flags & ROFLG_CALLBACK) {
		timer->kind = ETP_TIMER_CALLBACK;
		timer->callback = receiver;
		if (!READ_WORD(vm, iter->reader, address, ErtsTmrHead, arg, &timer->arg))
			gap(iter, unreadable);
		return true;
	}
	bool is_process = flags & ROFLG_PROC;
	timer->kind = is_process ? ETP_TIMER_RECEIVE : ETP_TIMER_PORT;
	if (!is_current(iter, address, receiver,
	                is_process ? ETP_MEMBER_Process_timer : ETP_MEMBER_Port_timer))
		return false;
	if (!read_receiver(iter, flags, receiver, timer))
		gap(iter, unreadable);
	return true;
}

// The ErtsTWheelTimer at `node`: part of an ErtsTWTimer, which is its argument, or of something
// else that ERTS sets a timer for.
static bool read_wheel_timer(struct etp_timer_iter *iter, uint64_t node, struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t timeout_pos, timeout, arg, outer = node - OFFSET(vm, ErtsTWTimer, tw_tmr);
	// It stands for the first of the tree, which comes by itself.
	if (HAS(vm, ErtsHLTimerService, service_timer) &&
	    node == iter->service + OFFSET(vm, ErtsHLTimerService, service_timer))
		return false;
	if (!READ_WORD(vm, iter->reader, node, ErtsTWheelTimer, timeout_pos, &timeout_pos) ||
	    !READ_WORD(vm, iter->reader, node, ErtsTWheelTimer, timeout, &timeout) ||
	    !READ_WORD(vm, iter->reader, node, ErtsTWheelTimer, arg, &arg)) {
		gap(iter, unreadable);
		return false;
	}
	set_remaining(iter, timeout_pos, timer);
	if (arg == outer)
		return read_timer(iter, outer, 0, timer);
	timer->kind = ETP_TIMER_CALLBACK;
	timer->address = node;
	timer->callback = timeout;
	timer->arg = arg;
	return true;
}

static bool read_tree_timer(struct etp_timer_iter *iter, uint64_t node, struct etp_timer *timer)
{
	uint64_t timeout_pos;
	if (!READ_WORD(iter->vm, iter->reader, node, ErtsHLTimer, timeout, &timeout_pos)) {
		gap(iter, unreadable);
		return false;
	}
	set_remaining(iter, timeout_pos, timer);
	return read_timer(iter, node, ROFLG_HLT, timer);
}

// create_paused_proc_timer(), create_paused_bif_timer(): a copy of the head and the message.
static bool read_paused(struct etp_timer_iter *iter, uint64_t node, enum etp_member_id time_left,
                        uint64_t head, struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t left, receiver;
	uint32_t flags;
	timer->is_paused = true;
	timer->address = node;
	timer->kind = ETP_TIMER_RECEIVE;
	if (!etp_vm_read_member(vm, iter->reader, node, time_left, &left) ||
	    !READ_U32(vm, iter->reader, head, ErtsTmrHead, roflgs, &flags) ||
	    !READ_WORD(vm, iter->reader, head, ErtsTmrHead, receiver, &receiver) ||
	    (flags & ROFLG_BIF_TMR && !read_message(iter, head, timer)) ||
	    !read_receiver(iter, ROFLG_PROC, receiver, timer)) {
		gap(iter, unreadable);
		return false;
	}
	timer->remaining_ms = (int64_t)left;
	return true;
}

static bool read_node(struct etp_timer_iter *iter, uint64_t node, struct etp_timer *timer)
{
	const struct etp_vm *vm = iter->vm;
	*timer = (struct etp_timer){.scheduler = iter->scheduler};
	switch ((enum phase)iter->phase) {
	case PHASE_SLOTS:
	case PHASE_SENTINEL:
		iter->seen++;
		return read_wheel_timer(iter, node, timer);
	case PHASE_TREE:
	case PHASE_TREE_LIST:
	case PHASE_YIELD:
	case PHASE_YIELD_LIST:
		return read_tree_timer(iter, node, timer);
	case PHASE_PAUSED_RECEIVE:
		return read_paused(iter, node, ETP_MEMBER_ErtsPausedProcTimer_time_left_in_msec,
		                   node, timer);
	case PHASE_PAUSED_BIF:
		return read_paused(iter, node, ETP_MEMBER_ErtsPausedBifTimer_time_left_in_msec,
		                   node + OFFSET(vm, ErtsPausedBifTimer, tmr), timer);
	case PHASE_END:
		break;
	}
	return false;
}

void etp_timer_iter_init(struct etp_timer_iter *iter, const struct etp_vm *vm,
                         struct etp_reader *reader)
{
	*iter = (struct etp_timer_iter){.vm = vm, .reader = reader, .phase = PHASE_END};
	if (!layout_has_timers(vm)) {
		gap(iter, "the layout does not have the timers of this release");
		return;
	}
	// More timers than fit into the core are a list or tree that runs in a circle.
	iter->budget = etp_target_info(vm->target)->bytes_saved / SIZEOF(vm, ErtsTWheelTimer) + 1;
	find_now(iter);
	enter_scheduler(iter, 1);
}

bool etp_timer_iter_next(struct etp_timer_iter *iter, struct etp_timer *timer)
{
	while (iter->phase != PHASE_END) {
		uint64_t node = iter->node;
		if (!node) {
			enter_next(iter);
			continue;
		}
		if (!iter->budget) {
			gap(iter, "timers lead round in a circle");
			enter(iter, PHASE_END, 0);
			break;
		}
		iter->budget--;
		if (!etp_chain_step(&iter->chain, node)) {
			gap(iter, "a list of timers runs in a circle");
			iter->node = 0;
			continue;
		}
		bool is_timer = read_node(iter, node, timer);
		go_on(iter, node);
		if (is_timer)
			return true;
	}
	return false;
}
