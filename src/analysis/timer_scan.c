// SPDX-License-Identifier: Apache-2.0
#include <etp/timers.h>

#include "analysis/root_scan.h"

// The message of a BIF timer (erlang:send_after/3, erlang:start_timer/3) has heap fragments of
// its own.
bool timer_scan_run(struct root_scan *scan)
{
	struct etp_timer_iter iter;
	struct etp_timer timer;
	etp_timer_iter_init(&iter, scan->vm, &scan->reader);
	while (etp_timer_iter_next(&iter, &timer)) {
		// The whole of each binary counts as visible: the message is alive, and which
		// part of a binary it refers to is not looked at.
		if (timer.fragment &&
		    (!root_scan_add_fragments(scan, timer.fragment, &scan->timer_bytes) ||
		     !root_scan_finish(scan, ETP_HOLDER_TIMER, timer.address, timer.receiver)))
			return false;
	}
	scan->unreadable += iter.gaps;
	if (iter.problem)
		scan->problem = iter.problem;
	return true;
}
