// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_SOURCE_H
#define ETP_TARGET_SOURCE_H

// A process as a source of memory, and what was known of it when it stood still.

#include <stddef.h>

#include "target/proc.h"
#include "target/threads.h"
#include "target/tracer.h"

struct etp_source {
	int pid;
	// /proc/PID/mem: for where a filter of system calls forbids the other way.
	int memory;
	// /proc/PID/pagemap, or -1.
	int pagemap;
	// While we have stopped it.
	struct etp_tracer *tracer;
	struct etp_proc_maps maps;
	struct etp_thread *threads;
	size_t thread_count;
	char *auxv;
	size_t auxv_size;
};

#endif
