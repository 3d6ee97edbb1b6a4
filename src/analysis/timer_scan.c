// SPDX-License-Identifier: Apache-2.0
#include "analysis/root_scan.h"

// BIF timers (erlang:send_after/3, erlang:start_timer/3): each scheduler keeps those
// that it manages in a red-black tree by their reference, ErtsHLTimerService.btm_tree
// (erl_hl_timer.c). The message of a timer has a heap fragment of its own, `bp`.

enum {
	// ERTS_TMR_ROFLG_*, ERTS_TMR_STATE_ACTIVE (erl_hl_timer.c).
	ROFLG_REG_NAME = 1 << 14,
	ROFLG_PROC = 1 << 15,
	STATE_ACTIVE = 0,
};

static etp_term receiver(struct root_scan *scan, uint64_t timer, uint32_t flags)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t word, pid;
	if (!READ_WORD(vm, &scan->reader, timer, ErtsBifTimer, receiver, &word))
		return 0;
	if (flags & ROFLG_REG_NAME)
		return term_is_atom(word) ? word : 0;
	if (flags & ROFLG_PROC && READ_WORD(vm, &scan->reader, word, Process, id, &pid) &&
	    term_is_internal_pid(pid))
		return pid;
	return 0;
}

static bool add_timer(struct root_scan *scan, uint64_t timer)
{
	const struct etp_vm *vm = scan->vm;
	uint32_t state, flags;
	uint64_t fragment;
	if (!READ_U32(vm, &scan->reader, timer, ErtsBifTimer, state, &state) ||
	    !READ_U32(vm, &scan->reader, timer, ErtsBifTimer, roflgs, &flags) ||
	    !READ_WORD(vm, &scan->reader, timer, ErtsBifTimer, bp, &fragment)) {
		root_scan_give_up(scan, "a timer cannot be read");
		return true;
	}
	// Otherwise the message has been sent or freed already.
	if (state != STATE_ACTIVE || !fragment)
		return true;
	// The whole of each binary counts as visible: the message is alive, and which part of
	// a binary it refers to is not looked at.
	return root_scan_add_fragments(scan, fragment) &&
	       root_scan_finish(scan, ETP_HOLDER_TIMER, timer, receiver(scan, timer, flags));
}

static const struct root_tree timer_tree = {
	.left = ETP_MEMBER_ErtsBifTimer_tree_left,
	.right = ETP_MEMBER_ErtsBifTimer_tree_right,
	.add_node = add_timer,
	.circular = "a tree of timers runs in a circle",
	.unreadable = "a tree of timers cannot be read",
};

bool timer_scan_run(struct root_scan *scan)
{
	const struct etp_vm *vm = scan->vm;
	if (!HAS(vm, ErtsSchedulerData, timer_service) || !HAS(vm, ErtsHLTimerService, btm_tree) ||
	    !HAS(vm, ErtsBifTimer, bp)) {
		root_scan_give_up(scan, "the layout does not have the timers of this release");
		return true;
	}
	// More timers than fit into the core are a tree that runs in a circle.
	uint64_t left_to_see =
		etp_target_info(vm->target)->bytes_saved / SIZEOF(vm, ErtsBifTimer) + 1;
	for (uint64_t i = 0; i < vm->info.schedulers; i++) {
		uint64_t esd = vm->scheduler_data + i * vm->scheduler_stride +
		               OFFSET(vm, ErtsAlignedSchedulerData, esd);
		uint64_t service, root;
		if (!READ_WORD(vm, &scan->reader, esd, ErtsSchedulerData, timer_service,
		               &service) ||
		    !READ_WORD(vm, &scan->reader, service, ErtsHLTimerService, btm_tree, &root))
			root_scan_give_up(scan, "the timers of a scheduler cannot be read");
		else if (!root_scan_add_tree(scan, &timer_tree, root, &left_to_see))
			return false;
	}
	return true;
}
