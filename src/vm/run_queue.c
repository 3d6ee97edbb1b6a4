// SPDX-License-Identifier: Apache-2.0
#include <etp/run_queues.h>

#include <etp/vm.h>

#include <stdio.h>

#include "vm/vm.h"

enum {
	// ERTS_MAX_NO_OF_SCHEDULERS, and ERTS_NUM_DIRTY_RUNQS, erl_process.h.
	SCHEDULERS_MAX = 1024,
	DIRTY_RUN_QUEUES = 2,
	LEVEL_NORMAL = 2,
	LEVEL_LOW = 3,
	LEVEL_PORT = 4,
	// ERTS_RUNQ_FLGS_*: for each level, whether its queue is not empty, and where what
	// is in it goes.
	EMIGRATE_SHIFT = ETP_RUN_QUEUE_LEVELS,
	IMMIGRATE_SHIFT = 2 * ETP_RUN_QUEUE_LEVELS,
	EVACUATE_SHIFT = 3 * ETP_RUN_QUEUE_LEVELS,
	FLAGS_SHIFT = 4 * ETP_RUN_QUEUE_LEVELS,
	// Operations that wait: a chain of the VM's own, which nothing counts.
	MISC_MAX = 1 << 20,
};

// ERTS_RUNQ_FLG_*, erl_process.h, from ERTS_RUNQ_FLG_BASE2 on.
static const char *const flag_names[] = {
	"OUT_OF_WORK", "HALFTIME_OUT_OF_WORK",
	"SUSPENDED",   "CHK_CPU_BIND",
	"INACTIVE",    "NONEMPTY",
	"PROTECTED",   "EXEC",
	"MSB_EXEC",    "MISC_OP",
	"HALTING",
};
enum { FLAG_COUNT = sizeof(flag_names) / sizeof(flag_names[0]) };

enum flag {
	FLAG_SUSPENDED = 2,
	FLAG_INACTIVE = 4,
	FLAG_NONEMPTY = 5,
	FLAG_PROTECTED = 6,
	FLAG_EXEC = 7,
	FLAG_HALTING = 10,
};

const char *etp_run_queue_level_name(unsigned level)
{
	static const char *const names[ETP_RUN_QUEUE_LEVELS] = {"max", "high", "normal", "low",
	                                                        "port"};
	return level < ETP_RUN_QUEUE_LEVELS ? names[level] : "?";
}

// When queues were arranged anew for stealing (their lengths and flags came first),
// PROTECTED went, and the flags behind it took its place.
static bool has_protected(const struct etp_vm *vm)
{
	return OFFSET(vm, ErtsRunQueue, ix) < OFFSET(vm, ErtsRunQueue, flags);
}

static const char *flag_name(const struct etp_vm *vm, unsigned flag)
{
	if (flag >= FLAG_PROTECTED && !has_protected(vm))
		flag++;
	return flag < FLAG_COUNT ? flag_names[flag] : NULL;
}

static bool is_set(const struct etp_vm *vm, uint32_t flags, enum flag flag)
{
	unsigned bit = FLAGS_SHIFT + (unsigned)flag;
	if (flag > FLAG_PROTECTED && !has_protected(vm))
		bit--;
	return flags >> bit & 1;
}

const char *etp_run_queue_flag_name(const struct etp_vm *vm, unsigned bit, char buffer[static 32])
{
	static const char *const groups[] = {"QUEUE", "EMIGRATE", "IMMIGRATE", "EVACUATE"};
	if (!HAS(vm, ErtsRunQueue, ix) || !HAS(vm, ErtsRunQueue, flags))
		return NULL;
	if (bit >= FLAGS_SHIFT)
		return flag_name(vm, bit - FLAGS_SHIFT);
	snprintf(buffer, 32, "%s_%s", groups[bit / ETP_RUN_QUEUE_LEVELS],
	         etp_run_queue_level_name(bit % ETP_RUN_QUEUE_LEVELS));
	return buffer;
}

// What every version of the struct has; a layout file of another version of etp lacks it.
static bool has_members(const struct etp_vm *vm)
{
	return HAS(vm, ErtsAlignedRunQueue, runq) && HAS(vm, ErtsRunQueue, ix) &&
	       HAS(vm, ErtsRunQueue, flags) && HAS(vm, ErtsRunQueue, len) &&
	       HAS(vm, ErtsRunQueue, max_len) && HAS(vm, ErtsRunQueue, prio_info) &&
	       HAS(vm, ErtsRunQueue, prio) && HAS(vm, ErtsRunQueue, ports_info) &&
	       HAS(vm, ErtsRunQueue, ports_start) && HAS(vm, ErtsRunQueueInfo, len) &&
	       HAS(vm, ErtsRunQueueInfo, max_len) && HAS(vm, ErtsRunPrioQueue, first);
}

// Address of the first, 0 if it is not known; and how many are there.
static uint64_t find_queues(const struct etp_vm *vm, uint64_t *count_ret)
{
	uint64_t base = 0, count = 0;
	struct etp_error *err = etp_vm_symbol_word(vm, "erts_aligned_run_queues", &base);
	if (!err)
		err = etp_vm_symbol_word(vm, "erts_no_run_queues", &count);
	if (err) {
		etp_error_destroy(err);
		return 0;
	}
	if (!count || count > SCHEDULERS_MAX || !has_members(vm))
		return 0;
	*count_ret = count + DIRTY_RUN_QUEUES;
	return base + OFFSET(vm, ErtsAlignedRunQueue, runq);
}

size_t etp_run_queue_count(const struct etp_vm *vm)
{
	uint64_t count = 0;
	return find_queues(vm, &count) ? count : 0;
}

// Where ERTS wants the processes of each level to go: erts_check_emigration_need().
static void read_migration(const struct etp_vm *vm, struct etp_reader *reader, uint64_t base,
                           uint64_t count, struct etp_run_queue *queue)
{
	for (unsigned i = 0; i < ETP_RUN_QUEUE_LEVELS; i++)
		queue->emigrates_to[i] = -1;
	if (queue->kind != ETP_SCHEDULER_NORMAL)
		return;
	uint64_t paths, flags;
	struct etp_error *err = etp_vm_symbol_word(vm, "erts_migration_paths", &paths);
	if (err || !HAS(vm, ErtsMigrationPaths, mpath) || !HAS(vm, ErtsMigrationPath, prio_runq)) {
		etp_error_destroy(err);
		queue->is_incomplete = true;
		return;
	}
	const struct etp_layout_member *prio =
		&vm->layout->members[ETP_MEMBER_ErtsMigrationPath_prio];
	uint64_t path = paths + OFFSET(vm, ErtsMigrationPaths, mpath) +
	                queue->index * SIZEOF(vm, ErtsMigrationPath);
	// There are none before the first time that schedulers balance.
	if (!paths)
		return;
	if (!etp_vm_read_member(vm, reader, path, ETP_MEMBER_ErtsMigrationPath_flags, &flags)) {
		queue->is_incomplete = true;
		return;
	}
	for (unsigned i = 0; i < ETP_RUN_QUEUE_LEVELS; i++) {
		uint64_t to;
		if (!(flags >> (EMIGRATE_SHIFT + i) & 1))
			continue;
		if (!READ_WORD(vm, reader, path + i * prio->size, ErtsMigrationPath, prio_runq,
		               &to) ||
		    to < base || (to - base) % SIZEOF(vm, ErtsAlignedRunQueue) ||
		    (to - base) / SIZEOF(vm, ErtsAlignedRunQueue) >= count) {
			queue->is_incomplete = true;
			continue;
		}
		queue->emigrates_to[i] = (int64_t)((to - base) / SIZEOF(vm, ErtsAlignedRunQueue));
		queue->is_evacuated[i] = flags >> (EVACUATE_SHIFT + i) & 1;
	}
}

static bool read_info(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                      int64_t *length_ret, int64_t *max_ret)
{
	uint64_t length, max;
	if (!etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsRunQueueInfo_len, &length) ||
	    !etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsRunQueueInfo_max_len, &max))
		return false;
	*length_ret = (int32_t)length;
	*max_ret = (int32_t)max;
	return true;
}

// Returns false if not all could be read.
static bool count_misc(const struct etp_vm *vm, struct etp_reader *reader, uint64_t queue,
                       uint64_t *ret)
{
	uint64_t next, count = 0;
	if (!HAS(vm, ErtsRunQueue, misc_start) || !HAS(vm, ErtsMiscOpList, next) ||
	    !READ_WORD(vm, reader, queue, ErtsRunQueue, misc_start, &next))
		return false;
	for (; next && count < MISC_MAX; count++) {
		if (!READ_WORD(vm, reader, next, ErtsMiscOpList, next, &next))
			return false;
		*ret = count + 1;
	}
	return !next;
}

struct etp_error *etp_run_queue(const struct etp_vm *vm, struct etp_reader *reader, size_t index,
                                struct etp_run_queue *ret)
{
	uint64_t count = 0, base = find_queues(vm, &count);
	if (!base || index >= count)
		return etp_error_create(ETP_ERROR_LAYOUT,
		                        "Where the run queues are is not known: a symbol of "
		                        "beam.smp, or a member in the layout (%s), is missing.",
		                        vm->layout->source);
	struct etp_run_queue queue = {
		.address = base + index * SIZEOF(vm, ErtsAlignedRunQueue),
		.index = index,
		.kind = index + 2 < count    ? ETP_SCHEDULER_NORMAL
	                : index + 2 == count ? ETP_SCHEDULER_DIRTY_CPU
	                                     : ETP_SCHEDULER_DIRTY_IO,
	};
	const void *bytes = etp_reader_at(reader, queue.address, SIZEOF(vm, ErtsRunQueue));
	if (!bytes)
		return etp_error_fault(reader->fault_address, "A run queue");
	queue.flags = (uint32_t)SMALL_OF(vm, bytes, ErtsRunQueue, flags);
	queue.is_suspended = is_set(vm, queue.flags, FLAG_SUSPENDED);
	queue.is_executing = is_set(vm, queue.flags, FLAG_EXEC);
	queue.is_nonempty = is_set(vm, queue.flags, FLAG_NONEMPTY);
	queue.is_inactive = is_set(vm, queue.flags, FLAG_INACTIVE);
	queue.is_halting = is_set(vm, queue.flags, FLAG_HALTING);
	queue.length = (int32_t)SMALL_OF(vm, bytes, ErtsRunQueue, len);
	queue.max_length = (int32_t)SMALL_OF(vm, bytes, ErtsRunQueue, max_len);
	if (HAS(vm, ErtsRunQueue, context_switches) && HAS(vm, ErtsRunQueue, reductions)) {
		queue.context_switches = SMALL_OF(vm, bytes, ErtsRunQueue, context_switches);
		queue.reductions = SMALL_OF(vm, bytes, ErtsRunQueue, reductions);
	}
	for (unsigned i = 0; i < ETP_RUN_QUEUE_LEVELS; i++) {
		uint64_t info = queue.address +
		                (i == LEVEL_PORT ? OFFSET(vm, ErtsRunQueue, ports_info)
		                                 : OFFSET(vm, ErtsRunQueue, prio_info) +
		                                           i * SIZEOF(vm, ErtsRunQueueInfo));
		queue.is_incomplete |=
			!read_info(vm, reader, info, &queue.lengths[i], &queue.max_lengths[i]);
	}
	queue.is_incomplete |= !count_misc(vm, reader, queue.address, &queue.misc);
	read_migration(vm, reader, base, count, &queue);
	*ret = queue;
	return NULL;
}

void etp_run_queue_iter_init(struct etp_run_queue_iter *iter, const struct etp_vm *vm,
                             struct etp_reader *reader, uint64_t run_queue, unsigned level)
{
	*iter = (struct etp_run_queue_iter){
		.vm = vm, .reader = reader, .is_of_ports = level == LEVEL_PORT};
	iter->limit = iter->is_of_ports ? vm->ports.limit : vm->processes.limit;
	unsigned index = level == LEVEL_LOW ? LEVEL_NORMAL : level;
	uint64_t first = iter->is_of_ports ? run_queue + OFFSET(vm, ErtsRunQueue, ports_start)
	                                   : run_queue + OFFSET(vm, ErtsRunQueue, prio) +
	                                             index * SIZEOF(vm, ErtsRunPrioQueue) +
	                                             OFFSET(vm, ErtsRunPrioQueue, first);
	iter->is_broken = !has_members(vm) || !HAS(vm, Process, next) ||
	                  !HAS(vm, Port, sched_next) || !etp_read_u64(reader, first, &iter->next);
}

bool etp_run_queue_iter_next(struct etp_run_queue_iter *iter, uint64_t *address_ret,
                             etp_term *id_ret)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t address = iter->next;
	if (!address || iter->is_broken)
		return false;
	uint64_t id_offset = iter->is_of_ports ? OFFSET(vm, Port, id) : OFFSET(vm, Process, id);
	uint64_t next_offset =
		iter->is_of_ports ? OFFSET(vm, Port, sched_next) : OFFSET(vm, Process, next);
	if (iter->count++ >= iter->limit ||
	    !etp_read_u64(iter->reader, address + id_offset, id_ret) ||
	    !etp_read_u64(iter->reader, address + next_offset, &iter->next)) {
		iter->is_broken = true;
		return false;
	}
	*address_ret = address;
	return true;
}
