// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_PROC_LIST_H
#define ETP_VM_PROC_LIST_H

// Lists of processes that are to be resumed (ERTS: ErtsProcList, erl_process.h).

#include <stdbool.h>
#include <stdint.h>

#include <etp/chain.h>

#include "vm/vm.h"

struct etp_proc_list {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// The list is circular.
	uint64_t first, next;
	struct etp_chain chain;
	bool is_broken;
};

// The layout must have ErtsProcList.
void etp_proc_list_init(struct etp_proc_list *list, const struct etp_vm *vm,
                        struct etp_reader *reader, uint64_t first);

// The next process: its pid, and the address of one that has left the process table, else 0. False
// at the end, or where the list is broken.
bool etp_proc_list_next(struct etp_proc_list *list, etp_term *pid_ret, uint64_t *process_ret);

// Add to the processes of the VM those that have left the process table: who exits while a
// connection is busy is suspended until its last signals are sent, and only the connection knows
// it then.
struct etp_error *etp_vm_add_exiting(struct etp_vm *vm);

#endif
