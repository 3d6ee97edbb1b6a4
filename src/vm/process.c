// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "vm/vm.h"

uint64_t etp_vm_process(const struct etp_vm *vm, etp_term pid)
{
	return term_is_internal_pid(pid) ? etp_ptab_find(&vm->processes, pid) : 0;
}

uint64_t etp_vm_port(const struct etp_vm *vm, etp_term port)
{
	return term_is_internal_port(port) ? etp_ptab_find(&vm->ports, port) : 0;
}

size_t etp_vm_processes(const struct etp_vm *vm, const uint64_t **addresses_ret,
                        const etp_term **pids_ret)
{
	*addresses_ret = vm->processes.addresses;
	*pids_ret = vm->processes.ids;
	return vm->processes.count;
}

// The pair of a dictionary's slot: a tuple of two, or a list of such tuples when
// keys collide (erl_process_dict.c). True when the key is `$initial_call`.
static bool is_initial_call_pair(const struct etp_vm *vm, const struct etp_term_view *pair)
{
	return pair->kind == ETP_TERM_TUPLE && pair->tuple.arity == 2 &&
	       etp_word_at(pair->tuple.elements, 0) == term_make_atom(vm->atom_initial_call);
}

static bool find_in_slot(const struct etp_vm *vm, struct etp_reader *reader, etp_term slot,
                         struct etp_term_view *pair, bool *is_damaged)
{
	enum { CHAIN_MAX = 1000 };
	for (unsigned i = 0; i < CHAIN_MAX; i++) {
		switch (etp_term_decode(vm, reader, slot, pair)) {
		case ETP_TERM_TUPLE:
			return is_initial_call_pair(vm, pair);
		case ETP_TERM_CONS:
			slot = pair->cons.tail;
			*is_damaged |= etp_term_decode(vm, reader, pair->cons.head, pair) !=
			               ETP_TERM_TUPLE;
			if (is_initial_call_pair(vm, pair))
				return true;
			break;
		case ETP_TERM_NIL:
			return false;
		default:
			*is_damaged = true;
			return false;
		}
	}
	*is_damaged = true;
	return false;
}

// `$initial_call` of proc_lib: {Module, Function, Arity}.
static bool proc_lib_initial_call(const struct etp_vm *vm, struct etp_reader *reader,
                                  uint64_t dictionary, struct etp_process_summary *ret,
                                  bool *is_damaged)
{
	enum { SLOTS_MAX = 1 << 20 };
	uint32_t used;
	if (!dictionary)
		return false;
	if (vm->atom_initial_call == UINT64_MAX ||
	    !READ_U32(vm, reader, dictionary, ProcDict, usedSlots, &used) || used > SLOTS_MAX) {
		*is_damaged = true;
		return false;
	}
	for (uint32_t i = 0; i < used; i++) {
		uint64_t slot;
		struct etp_term_view pair, mfa;
		if (!etp_read_u64(reader, dictionary + OFFSET(vm, ProcDict, data) + i * 8, &slot)) {
			*is_damaged = true;
			return false;
		}
		if (term_is_nil(slot) || !find_in_slot(vm, reader, slot, &pair, is_damaged))
			continue;
		enum etp_term_kind kind =
			etp_term_decode(vm, reader, etp_word_at(pair.tuple.elements, 1), &mfa);
		*is_damaged = kind == ETP_TERM_INVALID;
		if (kind != ETP_TERM_TUPLE || mfa.tuple.arity != 3)
			return false;
		etp_term module = etp_word_at(mfa.tuple.elements, 0);
		etp_term function = etp_word_at(mfa.tuple.elements, 1);
		etp_term arity = etp_word_at(mfa.tuple.elements, 2);
		if (!term_is_atom(module) || !term_is_atom(function) || !term_is_small(arity))
			return false;
		ret->initial_module = term_atom_index(module);
		ret->initial_function = term_atom_index(function);
		ret->initial_arity = (uint64_t)term_small(arity);
		return true;
	}
	return false;
}

static bool spawn_initial_call(const struct etp_vm *vm, struct etp_reader *reader, uint64_t process,
                               struct etp_process_summary *ret)
{
	uint64_t mfa = process + OFFSET(vm, Process, initial);
	uint64_t module, function;
	if (!READ_WORD(vm, reader, mfa, ErtsCodeMFA, module, &module) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, function, &function) ||
	    !READ_WORD(vm, reader, mfa, ErtsCodeMFA, arity, &ret->initial_arity) ||
	    !term_is_atom(module) || !term_is_atom(function))
		return false;
	ret->initial_module = term_atom_index(module);
	ret->initial_function = term_atom_index(function);
	return true;
}

static bool may_be_proc_lib(const struct etp_vm *vm, struct etp_reader *reader, uint64_t module)
{
	static const char name[] = "proc_lib";
	size_t size;
	const char *text = etp_vm_atom(vm, reader, module, &size);
	return !text || (size == sizeof(name) - 1 && !memcmp(text, name, size));
}

struct etp_error *etp_vm_process_summary(const struct etp_vm *vm, struct etp_reader *reader,
                                         uint64_t address, struct etp_process_summary *ret)
{
	struct etp_process_summary summary = {.address = address};
	uint64_t reg, name, dictionary;
	if (!READ_WORD(vm, reader, address, Process, id, &summary.pid) ||
	    !READ_WORD(vm, reader, address, Process, reg, &reg) ||
	    !READ_WORD(vm, reader, address, Process, dictionary, &dictionary))
		return etp_error_fault(reader->fault_address, "Process");
	if (!term_is_internal_pid(summary.pid))
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "0x%llx is not a process: no pid stands in it.",
		                        (unsigned long long)address);
	if (reg && !etp_process_is_free(vm, reader, address)) {
		summary.has_name =
			READ_WORD(vm, reader, reg, RegProc, name, &name) && term_is_atom(name);
		summary.is_name_unreadable = !summary.has_name;
		summary.name = summary.has_name ? term_atom_index(name) : 0;
	}
	bool is_damaged = false;
	if (proc_lib_initial_call(vm, reader, dictionary, &summary, &is_damaged))
		summary.initial_call_source = ETP_INITIAL_CALL_PROC_LIB;
	else if (spawn_initial_call(vm, reader, address, &summary))
		summary.initial_call_source =
			is_damaged && may_be_proc_lib(vm, reader, summary.initial_module)
				? ETP_INITIAL_CALL_UNREADABLE
				: ETP_INITIAL_CALL_SPAWN;
	*ret = summary;
	return NULL;
}
