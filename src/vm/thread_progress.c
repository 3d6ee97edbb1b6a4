// SPDX-License-Identifier: Apache-2.0
#include <etp/thread_progress.h>

#include "vm/hash_table.h"
#include "vm/vm.h"

// ERTS_THR_PRGR_VAL_WAITING, erl_thr_progress.h.
static const uint64_t VALUE_WAITING = UINT64_MAX;

enum {
	// erl_thr_progress.c. ERTS_THR_PRGR_LFLG_BLOCK, and where block_count says that
	// nobody blocks.
	LFLG_BLOCK_SHIFT = 31,
	NOT_BLOCKING_SHIFT = 31,
	// There are a few more than schedulers: aux thread, pollers, dispatcher of messages.
	OTHERS_MAX = 1024 + 16,
};

// erts_alloc_permanent_cache_aligned(), erl_alloc.c.
static const uint64_t CACHE_LINE = 64;

static bool has_internal(const struct etp_vm *vm)
{
	return HAS(vm, ErtsThrPrgrInternalData, managed_no) &&
	       HAS(vm, ErtsThrPrgrInternalData, managed_callbacks) &&
	       HAS(vm, ErtsThrPrgrInternalData, thr) && HAS(vm, ErtsThrPrgrInternalData, umrefc) &&
	       HAS(vm, ErtsThrPrgrInternalData, lflgs) &&
	       HAS(vm, ErtsThrPrgrInternalData, block_count) &&
	       HAS(vm, ErtsThrPrgrCallbacks, arg) && HAS(vm, ErtsSchedulerData, ssi);
}

static uint64_t scheduler_data(const struct etp_vm *vm, uint64_t number)
{
	return vm->scheduler_data + (number - 1) * vm->scheduler_stride +
	       OFFSET(vm, ErtsAlignedSchedulerData, esd);
}

// `intrnl` is static. What it points to knows how many threads there are, and has in its
// callbacks for each scheduler the ErtsSchedulerSleepInfo that this one has too.
static bool is_internal(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        uint64_t *budget)
{
	uint64_t count, callbacks;
	if (!etp_vm_read_member(vm, reader, address, ETP_MEMBER_ErtsThrPrgrInternalData_managed_no,
	                        &count) ||
	    count <= vm->info.schedulers || count > vm->info.schedulers + OTHERS_MAX ||
	    !READ_WORD(vm, reader, address, ErtsThrPrgrInternalData, managed_callbacks, &callbacks))
		return false;
	for (uint64_t i = 1; i <= vm->info.schedulers; i++) {
		uint64_t ssi, argument;
		if (!etp_search_go_on(budget) ||
		    !READ_WORD(vm, reader, scheduler_data(vm, i), ErtsSchedulerData, ssi, &ssi) ||
		    !READ_WORD(vm, reader, callbacks + i * SIZEOF(vm, ErtsThrPrgrCallbacks),
		               ErtsThrPrgrCallbacks, arg, &argument) ||
		    ssi != argument || !ssi)
			return false;
	}
	return true;
}

static uint64_t find_internal(const struct etp_vm *vm)
{
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t position = 0, budget = has_internal(vm) ? etp_search_budget(vm->target) : 0;
	struct etp_segment segment;
	while (budget && etp_executable_memory(vm->target, &position, &segment)) {
		uint64_t skip = -segment.start & 7;
		for (uint64_t i = skip; budget && i + 8 <= segment.size; i += 8) {
			uint64_t word = etp_word_at(segment.bytes + i, 0);
			if (word && word % CACHE_LINE == 0 &&
			    is_internal(vm, &reader, word, &budget))
				return word;
		}
	}
	return 0;
}

static bool read_internal(const struct etp_vm *vm, struct etp_reader *reader,
                          struct etp_thread_progress *progress)
{
	uint64_t lflgs, block_count, count;
	if (!etp_vm_read_member(vm, reader, progress->address,
	                        ETP_MEMBER_ErtsThrPrgrInternalData_lflgs, &lflgs) ||
	    !etp_vm_read_member(vm, reader, progress->address,
	                        ETP_MEMBER_ErtsThrPrgrInternalData_block_count, &block_count) ||
	    !etp_vm_read_member(vm, reader, progress->address,
	                        ETP_MEMBER_ErtsThrPrgrInternalData_managed_no, &count))
		return false;
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t refc;
		if (!etp_read_u64(reader,
		                  progress->address + OFFSET(vm, ErtsThrPrgrInternalData, umrefc) +
		                          i * SIZEOF(vm, ErtsThrPrgrUnmanagedRefc),
		                  &refc))
			return false;
		progress->unmanaged[i] = (int64_t)refc;
	}
	progress->managed_count = count;
	progress->is_blocking = lflgs >> LFLG_BLOCK_SHIFT & 1;
	if (!(block_count >> NOT_BLOCKING_SHIFT & 1))
		progress->unblocked = block_count & ((UINT64_C(1) << NOT_BLOCKING_SHIFT) - 1);
	return true;
}

struct etp_error *etp_thread_progress(const struct etp_vm *vm, struct etp_reader *reader,
                                      struct etp_thread_progress *ret)
{
	struct etp_thread_progress progress = {0};
	struct etp_error *err = etp_vm_symbol_word(vm, "erts_thr_prgr__", &progress.current);
	if (err)
		return err;
	if (!HAS(vm, ErtsSchedulerData, thr_prgr_confirmed) ||
	    !HAS(vm, ErtsSchedulerData, thr_prgr_leader))
		return etp_error_create(ETP_ERROR_LAYOUT,
		                        "The layout (%s) does not say where schedulers keep their "
		                        "thread progress; make it again with "
		                        "scripts/extract-layout.",
		                        vm->layout->source);
	progress.address = find_internal(vm);
	if (!progress.address || !read_internal(vm, reader, &progress)) {
		progress.address = 0;
		progress.managed_count = vm->info.schedulers;
		progress.is_incomplete = true;
	}
	progress.all_confirmed = true;
	for (size_t i = 0; i < progress.managed_count; i++) {
		struct etp_managed_thread thread;
		progress.all_confirmed &=
			etp_managed_thread(vm, reader, &progress, i, &thread) &&
			(thread.is_waiting || thread.confirmed == progress.current + 1);
	}
	*ret = progress;
	return NULL;
}

bool etp_managed_thread(const struct etp_vm *vm, struct etp_reader *reader,
                        const struct etp_thread_progress *progress, size_t index,
                        struct etp_managed_thread *ret)
{
	// ERTS keeps the first number for the aux thread.
	struct etp_managed_thread thread = {.id = progress->address ? index : index + 1};
	if (thread.id && thread.id <= vm->info.schedulers)
		thread.scheduler = thread.id;
	uint64_t value, leader = 0, array;
	uint64_t esdp = thread.scheduler ? scheduler_data(vm, thread.scheduler) : 0;
	if (esdp && !etp_vm_read_member(vm, reader, esdp,
	                                ETP_MEMBER_ErtsSchedulerData_thr_prgr_leader, &leader))
		return false;
	if (!progress->address) {
		if (!READ_WORD(vm, reader, esdp, ErtsSchedulerData, thr_prgr_confirmed, &value))
			return false;
	} else if (!READ_WORD(vm, reader, progress->address, ErtsThrPrgrInternalData, thr,
	                      &array) ||
	           !etp_read_u64(reader, array + index * SIZEOF(vm, ErtsThrPrgrArray), &value)) {
		return false;
	}
	thread.is_leader = leader;
	thread.is_waiting = value == VALUE_WAITING;
	thread.confirmed = thread.is_waiting ? 0 : value;
	if (!thread.is_waiting)
		thread.is_awaited = value != progress->current + 1 ||
		                    (leader && progress->all_confirmed && !progress->unmanaged[0] &&
		                     !progress->unmanaged[1]);
	*ret = thread;
	return true;
}
