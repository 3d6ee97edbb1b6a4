// SPDX-License-Identifier: Apache-2.0
#include <etp/schedulers.h>

#include <string.h>

#include "vm/hash_table.h"
#include "vm/vm.h"

enum {
	// ERTS_MAX_NO_OF_SCHEDULERS, erl_process.h: of each kind.
	SCHEDULERS_MAX = 1024,
	// ERTS_SSI_FLG_*, erl_process.h.
	SSI_FLG_SLEEPING = 1 << 0,
	SSI_FLG_POLL_SLEEPING = 1 << 1,
	SSI_FLG_TSE_SLEEPING = 1 << 2,
	SSI_FLG_WAITING = 1 << 3,
	SSI_FLG_SUSPENDED = 1 << 4,
	// bif.h: what a process may use before it is scheduled out, and where its Process
	// has what it was given (REDS_IN).
	CONTEXT_REDS = 4000,
	REDS_IN_REGISTER = 5,
	// The VM has no longer names for these than this.
	NAME_MAX_BYTES = 256,
};

const char *etp_scheduler_kind_name(enum etp_scheduler_kind kind)
{
	static const char *const names[] = {"normal", "dirty_cpu", "dirty_io"};
	return kind <= ETP_SCHEDULER_DIRTY_IO ? names[kind] : "?";
}

const char *etp_scheduler_activity_name(enum etp_scheduler_activity activity)
{
	static const char *const names[] = {"process",  "port",      "sleeping",   "polling",
	                                    "spinning", "suspended", "scheduling", "unknown"};
	return activity <= ETP_SCHEDULER_UNKNOWN ? names[activity] : "?";
}

const char *etp_scheduler_sleep_flag_name(unsigned bit)
{
	static const char *const names[] = {"SLEEPING", "POLL_SLEEPING", "TSE_SLEEPING",
	                                    "WAITING",  "SUSPENDED",     "MSB_EXEC"};
	return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}

static uint64_t count_of(const struct etp_vm *vm, enum etp_scheduler_kind kind)
{
	uint64_t count = kind == ETP_SCHEDULER_NORMAL      ? vm->info.schedulers
	                 : kind == ETP_SCHEDULER_DIRTY_CPU ? vm->info.dirty_cpu_schedulers
	                                                   : vm->info.dirty_io_schedulers;
	return count < SCHEDULERS_MAX ? count : SCHEDULERS_MAX;
}

size_t etp_scheduler_count(const struct etp_vm *vm)
{
	size_t count = 0;
	for (int kind = ETP_SCHEDULER_NORMAL; kind <= ETP_SCHEDULER_DIRTY_IO; kind++)
		count += count_of(vm, (enum etp_scheduler_kind)kind);
	return count;
}

// ErtsSchedulerData of a scheduler; `number` begins with 1. 0 if it is not known.
static uint64_t data_of(const struct etp_vm *vm, enum etp_scheduler_kind kind, uint64_t number)
{
	static const char *const symbols[] = {NULL, "erts_aligned_dirty_cpu_scheduler_data",
	                                      "erts_aligned_dirty_io_scheduler_data"};
	uint64_t base = vm->scheduler_data;
	if (kind != ETP_SCHEDULER_NORMAL) {
		struct etp_error *err = etp_vm_symbol_word(vm, symbols[kind], &base);
		if (err) {
			etp_error_destroy(err);
			return 0;
		}
	}
	return base + (number - 1) * vm->scheduler_stride +
	       OFFSET(vm, ErtsAlignedSchedulerData, esd);
}

bool etp_process_scheduler(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                           enum etp_scheduler_kind *kind_ret, uint64_t *number_ret)
{
	for (int kind = ETP_SCHEDULER_NORMAL; kind <= ETP_SCHEDULER_DIRTY_IO; kind++) {
		uint64_t count = count_of(vm, (enum etp_scheduler_kind)kind);
		uint64_t first = data_of(vm, (enum etp_scheduler_kind)kind, 1);
		for (uint64_t i = 0; first && i < count; i++) {
			uint64_t current;
			if (READ_WORD(vm, reader, first + i * vm->scheduler_stride,
			              ErtsSchedulerData, current_process, &current) &&
			    current == address) {
				*kind_ret = (enum etp_scheduler_kind)kind;
				*number_ret = i + 1;
				return true;
			}
		}
	}
	return false;
}

// A member that tells a number; notes when it cannot be had.
static uint64_t member(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                       enum etp_member_id id, struct etp_scheduler *scheduler)
{
	uint64_t value;
	if (etp_layout_has(vm->layout, id) && etp_vm_read_member(vm, reader, address, id, &value))
		return value;
	scheduler->is_incomplete = true;
	return 0;
}

#define MEMBER(address, struct_, name)                                                             \
	member(vm, reader, address, ETP_MEMBER_##struct_##_##name, scheduler)

static void read_process(const struct etp_vm *vm, struct etp_reader *reader,
                         struct etp_scheduler *scheduler)
{
	uint64_t given;
	scheduler->pid = MEMBER(scheduler->process, Process, id);
	if (!HAS(vm, Process, fcalls) ||
	    !etp_read_u64(reader,
	                  scheduler->process + OFFSET(vm, Process, def_arg_reg) +
	                          REDS_IN_REGISTER * sizeof(given),
	                  &given))
		return;
	int64_t left = (int32_t)MEMBER(scheduler->process, Process, fcalls);
	// While calls are saved, it counts from 0 downwards.
	if (left < 0)
		left += CONTEXT_REDS;
	if (given <= CONTEXT_REDS && left <= (int64_t)given)
		scheduler->process_reductions = (int64_t)given - left;
}

static void read_nif(const struct etp_vm *vm, struct etp_reader *reader,
                     struct etp_scheduler *scheduler)
{
	uint64_t env = MEMBER(scheduler->address, ErtsSchedulerData, current_nif);
	scheduler->is_in_nif = env;
	if (!env)
		return;
	uint64_t library = MEMBER(env, ErlNifEnv, mod_nif);
	uint64_t name = library ? MEMBER(library, erl_module_nif, name) : 0;
	scheduler->nif_library =
		etp_vm_read_string(reader, name, NAME_MAX_BYTES, &scheduler->nif_library_size);
}

// How long ago it looked at the clock, compared with the last one that did.
static int64_t clock_age(const struct etp_vm *vm, struct etp_reader *reader,
                         const struct etp_scheduler *scheduler)
{
	uint64_t time;
	if (vm->info.uptime_ns < 0 || scheduler->kind != ETP_SCHEDULER_NORMAL ||
	    !READ_WORD(vm, reader, scheduler->address, ErtsSchedulerData, last_monotonic_time,
	               &time))
		return -1;
	int64_t age = vm->info.uptime_ns + etp_vm_monotonic_begin_ns - (int64_t)time;
	return age < 0 ? -1 : age;
}

static enum etp_scheduler_activity activity_of(const struct etp_scheduler *scheduler)
{
	if (scheduler->process)
		return ETP_SCHEDULER_RUNS_PROCESS;
	if (scheduler->port)
		return ETP_SCHEDULER_RUNS_PORT;
	uint32_t flags = scheduler->sleep_flags;
	if (flags & SSI_FLG_SUSPENDED)
		return ETP_SCHEDULER_IS_SUSPENDED;
	if (flags & SSI_FLG_TSE_SLEEPING)
		return ETP_SCHEDULER_SLEEPS;
	if (flags & SSI_FLG_POLL_SLEEPING)
		return ETP_SCHEDULER_POLLS;
	if (flags & SSI_FLG_SLEEPING)
		return ETP_SCHEDULER_SPINS;
	return ETP_SCHEDULER_SCHEDULES;
}

static void read_scheduler(const struct etp_vm *vm, struct etp_reader *reader,
                           struct etp_scheduler *scheduler)
{
	uint64_t address = scheduler->address;
	uint64_t faults = reader->faults;
	scheduler->thread = MEMBER(address, ErtsSchedulerData, tid);
	scheduler->process = MEMBER(address, ErtsSchedulerData, current_process);
	uint64_t port = MEMBER(address, ErtsSchedulerData, current_port);
	uint64_t ssi = MEMBER(address, ErtsSchedulerData, ssi);
	if (reader->faults != faults)
		return;
	scheduler->port = port ? MEMBER(port, Port, id) : 0;
	scheduler->sleep_flags = ssi ? (uint32_t)MEMBER(ssi, ErtsSchedulerSleepInfo, flags) : 0;
	scheduler->aux_work = ssi ? (uint32_t)MEMBER(ssi, ErtsSchedulerSleepInfo, aux_work) : 0;
	if (ssi && HAS(vm, ErtsSchedulerSleepInfo, event))
		scheduler->event = MEMBER(ssi, ErtsSchedulerSleepInfo, event);
	scheduler->run_queue = MEMBER(address, ErtsSchedulerData, run_queue);
	scheduler->reductions = MEMBER(address, ErtsSchedulerData, reductions);
	if (HAS(vm, ErtsSchedulerData, cpu_id))
		scheduler->cpu = (int32_t)MEMBER(address, ErtsSchedulerData, cpu_id);
	if (scheduler->process)
		read_process(vm, reader, scheduler);
	read_nif(vm, reader, scheduler);
	scheduler->clock_age_ns = clock_age(vm, reader, scheduler);
	scheduler->activity = activity_of(scheduler);
}

void etp_scheduler(const struct etp_vm *vm, struct etp_reader *reader, size_t index,
                   struct etp_scheduler *ret)
{
	struct etp_scheduler scheduler = {
		.id = index + 1,
		.activity = ETP_SCHEDULER_UNKNOWN,
		.process_reductions = -1,
		.clock_age_ns = -1,
		.cpu = -1,
	};
	while (scheduler.kind < ETP_SCHEDULER_DIRTY_IO && index >= count_of(vm, scheduler.kind))
		index -= count_of(vm, scheduler.kind++);
	scheduler.number = index + 1;
	scheduler.address = data_of(vm, scheduler.kind, scheduler.number);
	if (scheduler.address)
		read_scheduler(vm, reader, &scheduler);
	scheduler.is_incomplete |= scheduler.activity == ETP_SCHEDULER_UNKNOWN;
	*ret = scheduler;
}

bool etp_scheduler_outer_frame(const struct etp_vm *vm, struct etp_reader *reader,
                               const struct etp_scheduler *scheduler, uint64_t *pc_ret,
                               uint64_t *sp_ret, uint64_t *fp_ret)
{
	// emit_process_main() (jit/x86/process_main.cpp) makes room for the struct and for a line
	// of the cache, and aligns what is left. What stands above is where it was called from.
	enum { CACHE_LINE = 64, FRAME_MAX = 4096 };
	uint64_t registers, size = SIZEOF(vm, ErtsSchedulerRegisters);
	if (strcmp(vm->info.flavor, "jit") != 0 || !size || !scheduler->address ||
	    !HAS(vm, ErtsSchedulerData, registers) ||
	    !READ_WORD(vm, reader, scheduler->address, ErtsSchedulerData, registers, &registers))
		return false;
	uint64_t first = registers + size + CACHE_LINE;
	for (uint64_t at = (first + 7) & ~UINT64_C(7); at < first + CACHE_LINE; at += 8) {
		uint64_t word;
		const char *name = etp_read_u64(reader, at, &word)
		                           ? etp_target_symbol_at(vm->target, word, NULL)
		                           : NULL;
		// Where the call of the main loop is a jump, its caller's caller is next.
		if (name && (!strcmp(name, "process_main") || !strcmp(name, "sched_thread_func"))) {
			uint64_t frame;
			*pc_ret = word;
			*sp_ret = at + 8;
			// The JIT keeps no frame pointer. Whoever has one has saved it here.
			*fp_ret = etp_read_u64(reader, at - 8, &frame) && frame > at &&
			                          frame - at < FRAME_MAX
			                  ? frame
			                  : 0;
			return true;
		}
	}
	return false;
}

size_t etp_aux_work_names(const struct etp_vm *vm, const char *names[ETP_AUX_WORK_BITS])
{
	for (size_t i = 0; i < ETP_AUX_WORK_BITS; i++)
		names[i] = NULL;
	// erts_aux_work_flag_descr is static; its first strings have been these since OTP 17.
	struct etp_reader reader;
	etp_reader_init(&reader, etp_vm_target(vm));
	static const char first[] = "DELAYED_AW_WAKEUP";
	uint64_t tables[8], table = 0;
	size_t count = etp_string_pointers_find(vm, first, strlen(first), tables, 8);
	for (size_t i = 0; i < count && i < 8 && !table; i++) {
		uint64_t second;
		size_t size;
		const char *text =
			etp_read_u64(&reader, tables[i] + 8, &second)
				? etp_vm_read_string(&reader, second, NAME_MAX_BYTES, &size)
				: NULL;
		if (text && !strcmp(text, "DD"))
			table = tables[i];
	}
	size_t found = 0;
	for (size_t i = 0; table && i < ETP_AUX_WORK_BITS; i++) {
		uint64_t name;
		size_t size;
		if (!etp_read_u64(&reader, table + i * sizeof(name), &name))
			break;
		const char *text = etp_vm_read_string(&reader, name, NAME_MAX_BYTES, &size);
		// What stands behind the table is something else.
		if (!text || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != size || !size)
			break;
		names[i] = text;
		found++;
	}
	return found;
}
