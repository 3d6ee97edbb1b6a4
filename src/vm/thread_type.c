// SPDX-License-Identifier: Apache-2.0
#include <etp/thread_types.h>

#include <stdlib.h>
#include <string.h>

#include <etp/threads.h>

#include "term/scheme.h"
#include "vm/hash_table.h"
#include "vm/vm.h"

enum {
	// The VM has no longer names for its threads than this.
	TYPE_MAX_BYTES = 64,
	// Threads of one list.
	LIST_MAX = 1 << 16,
};

// The threads of the target, ascending.
struct threads {
	uint64_t *of;
	size_t count;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static struct etp_error *read_threads(const struct etp_target *target, struct threads *ret)
{
	ret->count = etp_target_thread_count(target);
	ret->of = calloc(ret->count + 1, sizeof(ret->of[0]));
	if (!ret->of)
		return &etp_error_no_memory;
	for (size_t i = 0; i < ret->count; i++) {
		struct etp_thread_state state;
		etp_target_thread(target, i, &state);
		ret->of[i] = state.thread;
	}
	qsort(ret->of, ret->count, sizeof(ret->of[0]), compare);
	return NULL;
}

static bool is_type(const char *text, size_t size)
{
	return text && size && strspn(text, "abcdefghijklmnopqrstuvwxyz_") == size;
}

// An ErtsMsAcc of one of the threads at `address`?
static bool read_type(const struct etp_vm *vm, struct etp_reader *reader,
                      const struct threads *threads, uint64_t address, struct etp_thread_type *ret)
{
	uint64_t thread, id, name;
	if (!READ_WORD(vm, reader, address, ErtsMsAcc, tid, &thread) || !thread ||
	    !bsearch(&thread, threads->of, threads->count, sizeof(thread), compare) ||
	    !READ_WORD(vm, reader, address, ErtsMsAcc, id, &id) || !term_is_small(id) ||
	    !READ_WORD(vm, reader, address, ErtsMsAcc, type, &name))
		return false;
	*ret = (struct etp_thread_type){.thread = thread, .id = term_small(id)};
	ret->type = etp_vm_read_string(reader, name, TYPE_MAX_BYTES, &ret->type_size);
	return is_type(ret->type, ret->type_size);
}

static bool see_list(const struct etp_vm *vm, struct etp_reader *reader,
                     const struct threads *threads, uint64_t address, uint64_t *budget,
                     bool (*see)(void *, const struct etp_thread_type *), void *context,
                     bool *breaks_off_ret)
{
	struct etp_thread_type type;
	for (size_t i = 0; address && i < LIST_MAX; i++) {
		if (!read_type(vm, reader, threads, address, &type)) {
			// The first is a guess.
			if (i && !etp_reader_at(reader, address, SIZEOF(vm, ErtsMsAcc)))
				*breaks_off_ret = true;
			return true;
		}
		if (!etp_search_go_on(budget) || !see(context, &type))
			return false;
		if (!READ_WORD(vm, reader, address, ErtsMsAcc, next, &address))
			return true;
	}
	return true;
}

struct etp_error *etp_thread_types(const struct etp_vm *vm, struct etp_reader *reader,
                                   bool (*see)(void *context, const struct etp_thread_type *type),
                                   void *context, bool *breaks_off_ret)
{
	*breaks_off_ret = false;
	if (!HAS(vm, ErtsMsAcc, next) || !HAS(vm, ErtsMsAcc, tid) || !HAS(vm, ErtsMsAcc, id) ||
	    !HAS(vm, ErtsMsAcc, type))
		return NULL;
	struct threads threads;
	struct etp_error *err = read_threads(vm->target, &threads);
	if (err)
		return err;
	uint64_t position = 0, budget = etp_search_budget(vm->target);
	struct etp_segment segment;
	bool go_on = threads.count > 0;
	while (go_on && etp_executable_memory(vm->target, &position, &segment)) {
		uint64_t skip = -segment.start & 7;
		for (uint64_t i = skip; go_on && i + 8 <= segment.size; i += 8) {
			uint64_t word = etp_word_at(segment.bytes + i, 0);
			if (word && word % sizeof(word) == 0)
				go_on = see_list(vm, reader, &threads, word, &budget, see, context,
				                 breaks_off_ret);
		}
	}
	free(threads.of);
	return NULL;
}
