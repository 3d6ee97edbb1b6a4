// SPDX-License-Identifier: Apache-2.0
#include "vm/proc_list.h"

#include <etp/dist_entry.h>

void etp_proc_list_init(struct etp_proc_list *list, const struct etp_vm *vm,
                        struct etp_reader *reader, uint64_t first)
{
	*list = (struct etp_proc_list){.vm = vm, .reader = reader, .first = first, .next = first};
}

// An element has a pid or, of a process that is free, the process itself (proclist_create(),
// erl_process.c).
static bool read_word(struct etp_proc_list *list, uint64_t word, etp_term *pid_ret,
                      uint64_t *process_ret)
{
	*pid_ret = word;
	*process_ret = 0;
	if (term_is_internal_pid(word))
		return true;
	*process_ret = word;
	return READ_WORD(list->vm, list->reader, word, Process, id, pid_ret) &&
	       term_is_internal_pid(*pid_ret) && etp_process_is_free(list->vm, list->reader, word);
}

bool etp_proc_list_next(struct etp_proc_list *list, etp_term *pid_ret, uint64_t *process_ret)
{
	uint64_t element = list->next, word;
	if (!element)
		return false;
	if (!etp_chain_step(&list->chain, element) ||
	    !READ_WORD(list->vm, list->reader, element, ErtsProcList, pid, &word) ||
	    !READ_WORD(list->vm, list->reader, element, ErtsProcList, next, &list->next) ||
	    !read_word(list, word, pid_ret, process_ret)) {
		list->is_broken = true;
		list->next = 0;
		return false;
	}
	if (list->next == list->first)
		list->next = 0;
	return true;
}

static struct etp_error *add_list(struct etp_vm *vm, struct etp_reader *reader, uint64_t first)
{
	struct etp_proc_list list;
	struct etp_error *err = NULL;
	etp_term pid;
	uint64_t process;
	etp_proc_list_init(&list, vm, reader, first);
	while (!err && etp_proc_list_next(&list, &pid, &process))
		if (process)
			err = etp_ptab_add(&vm->processes, process, pid);
	vm->processes.unreadable += list.is_broken;
	return err;
}

struct etp_error *etp_vm_add_exiting(struct etp_vm *vm)
{
	if (!HAS(vm, DistEntry, suspended) || !HAS(vm, ErtsProcList, pid) || !HAS(vm, Hash, shift))
		return NULL;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	struct etp_dist_entry_iter entries;
	etp_dist_entry_iter_init(&entries, vm, &reader);
	struct etp_error *err = NULL;
	uint64_t entry, first;
	while (!err && etp_dist_entry_iter_next(&entries, &entry)) {
		if (!READ_WORD(vm, &reader, entry, DistEntry, suspended, &first))
			vm->processes.unreadable++;
		else
			err = add_list(vm, &reader, first);
	}
	return err ? err : etp_ptab_index(&vm->processes);
}
