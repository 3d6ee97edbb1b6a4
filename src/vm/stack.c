// SPDX-License-Identifier: Apache-2.0
#include <etp/stack.h>

#include <string.h>

#include "vm/code.h"

enum {
	// State flags (ERTS_PSFLG_*, erl_process.h, OTP 21 to 27): bit N is 6 + N. A
	// dirty scheduler runs C code only: what the struct says then holds.
	PSFLG_RUNNING = 1 << 15,
	PSFLG_GC = 1 << 17,
	PSFLG_RUNNING_SYS = 1 << 21,
	// MAX_ARG, erl_vm.h.
	REGISTERS_MAX = 255,
};

static const uint64_t NOT_MFA = UINT64_MAX;

const char *etp_stack_slot_kind_name(enum etp_stack_slot_kind kind)
{
	static const char *const names[] = {
		[ETP_STACK_TERM] = "term",     [ETP_STACK_CATCH] = "catch",
		[ETP_STACK_RETURN] = "return", [ETP_STACK_FRAME_POINTER] = "frame_pointer",
		[ETP_STACK_MFA] = "mfa",       [ETP_STACK_RESERVED] = "reserved",
	};
	return names[kind];
}

// Bounds of the stack, as far as they make sense.
static void find_bounds(struct etp_stack *stack, uint64_t heap, uint64_t top, uint64_t start)
{
	if (heap > top || top > start || (start - top) % 8 || top % 8) {
		stack->problem = "its stack does not lie in its heap";
		return;
	}
	stack->top = top;
	stack->start = start;
}

struct etp_error *etp_stack_find(const struct etp_vm *vm, struct etp_reader *reader,
                                 uint64_t process, struct etp_stack *ret)
{
	struct etp_stack stack = {.process = process};
	uint64_t id, heap, top, start, arity, state;
	if (!READ_WORD(vm, reader, process, Process, id, &id) ||
	    !READ_WORD(vm, reader, process, Process, heap, &heap) ||
	    !READ_WORD(vm, reader, process, Process, stop, &top) ||
	    !READ_WORD(vm, reader, process, Process, hend, &start) ||
	    !READ_WORD(vm, reader, process, Process, i, &stack.pc) ||
	    !READ_WORD(vm, reader, process, Process, current, &stack.current) ||
	    !READ_WORD(vm, reader, process, Process, arg_reg, &stack.registers) ||
	    !etp_vm_read_member(vm, reader, process, ETP_MEMBER_Process_arity, &arity) ||
	    !etp_vm_read_member(vm, reader, process, ETP_MEMBER_Process_state, &state))
		return etp_error_fault(reader->fault_address, "Process");
	if (!term_is_internal_pid(id))
		return etp_error_create(ETP_ERROR_BAD_DATA,
		                        "0x%llx is not a process: no pid stands in it.",
		                        (unsigned long long)process);
	stack.is_running = state & (PSFLG_RUNNING | PSFLG_RUNNING_SYS);
	stack.is_in_gc = state & PSFLG_GC;
	find_bounds(&stack, heap, top, start);
	if (arity <= REGISTERS_MAX && etp_reader_at(reader, stack.registers, arity * 8))
		stack.register_count = arity;
	else if (!stack.problem)
		stack.problem = "its argument registers cannot be read";
	*ret = stack;
	return NULL;
}

uint64_t etp_stack_unreadable(struct etp_reader *reader, const struct etp_stack *stack)
{
	uint64_t at = stack->top, word;
	// Nearly always in one piece.
	if (etp_reader_at(reader, at, stack->start - at))
		return 0;
	while (at < stack->start && etp_read_u64(reader, at, &word))
		at += sizeof(word);
	return (stack->start - at) / sizeof(word);
}

void etp_stack_iter_init(struct etp_stack_iter *iter, const struct etp_vm *vm,
                         struct etp_reader *reader, const struct etp_stack *stack)
{
	*iter = (struct etp_stack_iter){
		.vm = vm,
		.reader = reader,
		.next = stack->top,
		.end = stack->start,
		.before_mfa = NOT_MFA,
		// The emulator keeps the first word of each frame for the address that
	        // a call from there returns to; the JIT pushes it when it calls.
		.may_be_reserved = strcmp(vm->info.flavor, "jit") != 0,
	};
}

// What tracing put behind its return address (beam_bp.c): a pointer to the
// ErtsCodeMFA, followed by the tracer, a term; or to the code that follows the
// ErtsCodeMFA of the caller, or [].
static uint64_t before_mfa(const struct etp_vm *vm, uint64_t pc)
{
	const struct etp_code *code = vm->code;
	if (!pc)
		return NOT_MFA;
	if (pc == code->return_trace || pc == code->exception_trace)
		return 0;
	return pc == code->return_time_trace ? SIZEOF(vm, ErtsCodeMFA) : NOT_MFA;
}

static void decode_word(struct etp_stack_iter *iter, struct etp_stack_slot *slot)
{
	uint64_t back = iter->before_mfa;
	iter->before_mfa = NOT_MFA;
	if (back != NOT_MFA && term_primary(slot->word) == TAG_PRIMARY_HEADER) {
		slot->kind = ETP_STACK_MFA;
		slot->pc = slot->word - back;
		return;
	}
	if (iter->return_words || term_primary(slot->word) == TAG_PRIMARY_HEADER) {
		if (!iter->return_words) {
			iter->return_words = iter->vm->code->cp_words;
			iter->frame++;
			iter->y = 0;
		}
		slot->frame = iter->frame;
		slot->pc = slot->word;
		slot->kind = --iter->return_words ? ETP_STACK_FRAME_POINTER : ETP_STACK_RETURN;
		if (!iter->return_words)
			iter->before_mfa = before_mfa(iter->vm, slot->pc);
		return;
	}
	if (iter->may_be_reserved && term_is_nil(slot->word)) {
		slot->kind = ETP_STACK_RESERVED;
		return;
	}
	slot->y = iter->y++;
	if ((slot->word & TAG_IMMED2_MASK) == TAG_IMMED2_CATCH) {
		slot->kind = ETP_STACK_CATCH;
		slot->pc = etp_code_catch(iter->vm, iter->reader, slot->word >> 6);
	} else {
		slot->kind = ETP_STACK_TERM;
	}
}

bool etp_stack_iter_next(struct etp_stack_iter *iter, struct etp_stack_slot *ret)
{
	if (iter->next == iter->end)
		return false;
	struct etp_stack_slot slot = {.address = iter->next, .frame = iter->frame};
	if (!etp_read_u64(iter->reader, iter->next, &slot.word)) {
		iter->unreadable = (iter->end - iter->next) / 8;
		iter->next = iter->end;
		return false;
	}
	decode_word(iter, &slot);
	iter->may_be_reserved = false;
	iter->next += 8;
	*ret = slot;
	return true;
}

enum etp_code_kind etp_stack_current(const struct etp_vm *vm, struct etp_reader *reader,
                                     const struct etp_stack *stack, bool with_line,
                                     struct etp_code_location *ret)
{
	struct etp_code_location location = {.pc = stack->pc};
	if (!stack->current || with_line)
		etp_code_locate(vm, reader, stack->pc, &location);
	if (stack->current && location.kind != ETP_CODE_FUNCTION) {
		struct etp_code_location current;
		if (etp_code_mfa(vm, reader, stack->current, &current) > location.kind) {
			// It names the function, and not the place in it; that is known if
			// the last exported function before the address is this one.
			current.pc = location.pc;
			if (location.function != current.function ||
			    location.module != current.module || location.arity != current.arity)
				current.offset = ETP_CODE_NO_OFFSET;
			else
				current.offset = location.offset;
			location = current;
		}
	}
	*ret = location;
	return location.kind;
}

size_t etp_stack_backtrace_depth(const struct etp_vm *vm)
{
	return vm->code->backtrace_depth;
}

// The VM shows only functions; where code is missing, less than that is the best
// there is.
static void add_frame(const struct etp_vm *vm, struct etp_reader *reader, uint64_t pc,
                      struct etp_code_location *frames, size_t *count)
{
	if (etp_code_locate(vm, reader, pc, &frames[*count]) >= ETP_CODE_MODULE)
		(*count)++;
}

size_t etp_stack_trace(const struct etp_vm *vm, struct etp_reader *reader,
                       const struct etp_stack *stack, size_t depth,
                       struct etp_code_location *frames, bool *more_ret)
{
	size_t count = 0;
	bool more = false;
	if (stack->pc && depth) {
		add_frame(vm, reader, stack->pc, frames, &count);
		depth--;
	}
	const struct etp_code *code = vm->code;
	uint64_t previous = stack->pc;
	struct etp_stack_iter iter;
	struct etp_stack_slot slot;
	etp_stack_iter_init(&iter, vm, reader, stack);
	while (etp_stack_iter_next(&iter, &slot)) {
		// Repetitions of one address, as deep recursion leaves them, are one
		// entry; frames of tracing are none (gather_stacktrace(), beam_common.c).
		if (slot.kind != ETP_STACK_RETURN || slot.pc == previous ||
		    slot.pc == code->return_trace || slot.pc == code->exception_trace ||
		    slot.pc == code->return_time_trace || slot.pc == code->return_to_trace)
			continue;
		if (!depth) {
			more = true;
			break;
		}
		previous = slot.pc;
		add_frame(vm, reader, etp_code_call_of(vm, slot.pc), frames, &count);
		depth--;
	}
	if (more_ret)
		*more_ret = more;
	return count;
}
