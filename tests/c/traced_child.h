// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TESTS_TRACED_CHILD_H
#define ETP_TESTS_TRACED_CHILD_H

// A child that does nothing but wait, and whether it may be traced: a sandbox may forbid that.

#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start_traced_child(bool *ret_allowed)
{
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	*ret_allowed = ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0;
	return child;
}

static void end_traced_child(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, __WALL);
}

#endif
