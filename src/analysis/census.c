// SPDX-License-Identifier: Apache-2.0
#include <etp/census.h>

#include <stdlib.h>

#include "analysis/binary_store.h"
#include "analysis/ets_scan.h"
#include "analysis/literal_scan.h"
#include "analysis/mark.h"
#include "analysis/off_heap.h"
#include "analysis/process_heap.h"
#include "analysis/process_store.h"
#include "analysis/root_scan.h"
#include "analysis/trap_scan.h"
#include "util/array.h"
#include "util/crew.h"

enum {
	// Processes that a thread takes at a time; then it looks whether to stop.
	PROCESSES_A_TURN = 64,
	// Threads pay from some processes on.
	PROCESSES_A_THREAD = 512,
	// Words of a heap that is taken by itself, and before all others.
	LARGE_HEAP = 1 << 18,
};

struct etp_census {
	const struct etp_vm *vm;
	struct etp_ets_tables tables;
	struct etp_ets_scan *ets;
	// In the order of the process table.
	const uint64_t *addresses;
	const etp_term *pids;
	struct process_store processes;
	// In which order processes are taken: large heaps first, each by itself.
	uint32_t *order;
	size_t large_count;
	struct literal_scan literals;
	// Timers and ports.
	struct root_scan roots;
	// Holders are numbered: tables first, then processes, then areas of literals,
	// then timers and ports.
	struct binary_store store;
	struct magic_store magic;
	// Binaries to which only garbage of some process refers, with these references.
	struct binary_map released;
	// Whether what is no table was looked at too, and whether nothing interrupted it.
	bool has_others, complete;
};

// One thread's share.
struct taker {
	const struct etp_vm *vm;
	struct etp_reader reader;
	const struct etp_census_options *options;
	struct etp_census *census;
	// Its lock guards what of the census all write to.
	struct crew *crew;
	struct process_heap heap;
	struct marker marker;
	// Binaries of the process at hand.
	struct binary_map local;
	// Those to which its garbage refers.
	struct binary_map released;
	// Magic ones that it refers to.
	struct magic_finder magic;
	struct etp_magic_kinds magic_kinds;
};

static void taker_init(struct taker *t, const struct etp_vm *vm, struct etp_census *census,
                       const struct etp_census_options *options, struct crew *crew)
{
	*t = (struct taker){.vm = vm, .options = options, .census = census, .crew = crew};
	etp_reader_init(&t->reader, vm->target);
	process_heap_init(&t->heap);
	marker_init(&t->marker, vm, &t->reader);
	etp_magic_kinds_init(&t->magic_kinds, vm);
	binary_map_init(&t->local);
	binary_map_init(&t->released);
	magic_finder_init(&t->magic, vm, &t->reader, &t->magic_kinds);
}

static void taker_deinit(struct taker *t)
{
	magic_finder_deinit(&t->magic);
	binary_map_deinit(&t->released);
	binary_map_deinit(&t->local);
	marker_deinit(&t->marker);
	process_heap_deinit(&t->heap);
}

static void give_up(struct etp_census_process *out, const char *problem)
{
	out->unreadable++;
	out->problem = problem;
}

// Does process_info(P, binary) list what is in this chain? Messages are not
// looked at, nor before OTP 27 are binaries that are being appended to.
static bool is_listed(const struct taker *t, const struct heap_chain *chain)
{
	return (!chain->writable || t->vm->scheme->lists_writable) &&
	       (chain->kind == HEAP_AREA_YOUNG || chain->kind == HEAP_AREA_FRAGMENT);
}

static bool note_proc_bin(struct taker *t, struct etp_census_process *out,
                          const struct heap_chain *chain, uint64_t proc_bin)
{
	uint64_t address;
	struct off_heap_binary binary;
	if (!READ_WORD(t->vm, &t->reader, proc_bin, BinRef, val, &address) ||
	    !off_heap_read_binary(t->vm, &t->reader, address, &binary)) {
		give_up(out, "an off-heap binary cannot be read");
		return true;
	}
	struct binary_entry *entry = binary_map_add_reference(&t->local, address, binary.size,
	                                                      binary.refc, (uint32_t)binary.flags);
	if (!entry)
		return false;
	if (chain->writable) {
		out->writable_refs++;
		out->writable_bytes += binary.size;
	}
	if (is_listed(t, chain)) {
		out->binary_refs++;
		out->binary_bytes += binary.size;
	}
	return true;
}

// A binary that was appended to once and is writable no more is listed after the
// next collection (sweep_off_heap(), erl_gc.c).
static bool joins_the_list(struct taker *t, uint64_t proc_bin)
{
	uint64_t flags;
	return HAS(t->vm, ProcBin, flags) &&
	       etp_vm_read_member(t->vm, &t->reader, proc_bin, ETP_MEMBER_ProcBin_flags, &flags) &&
	       !flags;
}

// After marking: what would a major collection do with this entry? False when out of memory.
static bool judge_proc_bin(struct taker *t, struct etp_census_process *out,
                           const struct heap_chain *chain, uint64_t proc_bin)
{
	uint64_t binary;
	if (!READ_WORD(t->vm, &t->reader, proc_bin, BinRef, val, &binary))
		return true;
	const struct binary_entry *entry = binary_map_find(&t->local, binary);
	uint64_t size = entry ? entry->size : 0;
	bool live = marker_is_live(&t->marker, proc_bin);
	if (is_listed(t, chain) && !live) {
		out->released_refs++;
		out->released_bytes += size;
		struct binary_entry *released = binary_map_insert(&t->released, binary);
		if (!released)
			return false;
		binary_entry_add_refs(released, 1);
	}
	// Messages are moved as a whole, with what is dead in them.
	bool moves = chain->moves ||
	             (live && (chain->writable ? joins_the_list(t, proc_bin)
	                                       : chain->kind == HEAP_AREA_MESSAGE_FRAGMENT));
	if (moves) {
		out->added_refs++;
		out->added_bytes += size;
	}
	return true;
}

// Binaries that bytes in external format are in: no term refers to them.
static bool note_externals(struct taker *t, struct etp_census_process *out)
{
	for (size_t i = 0; i < t->heap.external_count; i++) {
		const struct heap_external *part = &t->heap.externals[i];
		struct off_heap_binary binary;
		if (!off_heap_read_binary(t->vm, &t->reader, part->binary, &binary)) {
			give_up(out, "an off-heap binary cannot be read");
			continue;
		}
		struct binary_entry *entry = binary_map_add_reference(
			&t->local, part->binary, binary.size, binary.refc, (uint32_t)binary.flags);
		if (!entry)
			return false;
		uint64_t data = part->binary + OFFSET(t->vm, Binary, orig_bytes);
		uint64_t end = part->end - data;
		if (part->start < data || end > binary.size)
			give_up(out, "a signal from another node is not in its binary");
		else if (!binary_map_add_range(&t->local, entry, part->start - data, end))
			return false;
	}
	return true;
}

// Binaries, and magic references. False when out of memory.
static bool note_chain(struct taker *t, struct etp_census_process *out,
                       const struct heap_chain *chain)
{
	struct off_heap_iter iter = off_heap_iter(t->vm, &t->reader, chain->first);
	enum etp_thing binary = off_heap_binary_thing(t->vm), kind;
	uint64_t thing;
	while (off_heap_next_of(&iter, binary, ETP_THING_REF, &kind, &thing))
		if (kind == binary ? !note_proc_bin(t, out, chain, thing)
		                   : !magic_finder_add_ref(&t->magic, thing))
			return false;
	if (iter.problem)
		give_up(out, iter.problem);
	return true;
}

static bool note_chains(struct taker *t, struct etp_census_process *out)
{
	for (size_t i = 0; i < t->heap.chain_count; i++)
		if (!note_chain(t, out, &t->heap.chains[i]))
			return false;
	return true;
}

// What goes wrong here was counted before. False when out of memory.
static bool judge_chains(struct taker *t, struct etp_census_process *out)
{
	for (size_t i = 0; i < t->heap.chain_count; i++) {
		const struct heap_chain *chain = &t->heap.chains[i];
		struct off_heap_iter iter = off_heap_iter(t->vm, &t->reader, chain->first);
		uint64_t proc_bin;
		while (off_heap_next_proc_bin(&iter, &proc_bin))
			if (!judge_proc_bin(t, out, chain, proc_bin))
				return false;
	}
	return true;
}

static bool merge_released(struct binary_map *all, const struct binary_map *released)
{
	for (size_t i = 0; i < released->count; i++) {
		const struct binary_entry *from = binary_map_at(released, i);
		struct binary_entry *entry = binary_map_insert(all, from->address);
		if (!entry)
			return false;
		binary_entry_add_refs(entry, binary_entry_refs(from));
	}
	return true;
}

static void sum_up(struct taker *t, struct etp_census_process *out)
{
	const struct process_heap *heap = &t->heap;
	out->young_words = heap->words_by_kind[HEAP_AREA_YOUNG];
	out->old_words = heap->words_by_kind[HEAP_AREA_OLD];
	out->fragment_words = heap->words_by_kind[HEAP_AREA_FRAGMENT] +
	                      heap->words_by_kind[HEAP_AREA_MESSAGE_FRAGMENT];
	out->message_words = heap->words_by_kind[HEAP_AREA_QUEUE];
	out->transit_words = heap->words_by_kind[HEAP_AREA_TRANSIT];
	out->aside_words = heap->words_by_kind[HEAP_AREA_ASIDE];
	out->stack_words = heap->stack_words;
	out->free_words = heap->free_words;
	out->messages = heap->messages;
	out->messages_in_transit = heap->messages_in_transit;
	out->running = heap->running;
	out->in_gc = heap->in_gc;
	out->gc_disabled = heap->gc_disabled;
	out->live_words = t->marker.live_words;
	out->terms = t->marker.terms;
	out->unreadable += heap->unreadable + t->marker.unreadable;
	if (heap->problem)
		out->problem = heap->problem;
	else if (t->marker.problem)
		out->problem = t->marker.problem;
	for (size_t i = 0; i < t->local.count; i++) {
		const struct binary_entry *entry = binary_map_at(&t->local, i);
		out->binaries++;
		out->distinct_bytes += entry->size;
		out->visible_bytes += binary_map_visible_bytes(&t->local, entry);
	}
}

static bool take_process(struct taker *t, size_t index)
{
	struct etp_census *census = t->census;
	struct etp_census_process out = {0};
	if (atomic_load(&t->crew->stopped))
		return true;
	binary_map_clear(&t->local);
	if (t->released.count)
		binary_map_clear(&t->released);
	magic_finder_clear(&t->magic);
	if (!process_heap_load(&t->heap, t->vm, &t->reader, census->addresses[index]) ||
	    !note_chains(t, &out) || !note_externals(t, &out) ||
	    !marker_run(&t->marker, &t->heap, &t->local, true) || !judge_chains(t, &out))
		return false;
	sum_up(t, &out);
	pthread_mutex_lock(&t->crew->lock);
	uint32_t holder = (uint32_t)(census->tables.count + index);
	bool ok = binary_store_merge(&census->store, &t->local, holder) &&
	          merge_released(&census->released, &t->released) &&
	          magic_store_merge(&census->magic, &t->magic, holder) &&
	          process_store_add(&census->processes, index, &out);
	pthread_mutex_unlock(&t->crew->lock);
	return ok;
}

// Where in the order the processes of a turn begin.
static size_t turn_start(const struct etp_census *census, size_t turn)
{
	size_t large = census->large_count;
	size_t start = turn < large ? turn : large + (turn - large) * PROCESSES_A_TURN;
	return start < census->processes.count ? start : census->processes.count;
}

static bool take_turn(void *worker, size_t turn)
{
	struct taker *t = worker;
	size_t end = turn_start(t->census, turn + 1);
	for (size_t i = turn_start(t->census, turn); i < end; i++)
		if (!take_process(t, t->census->order[i]))
			return false;
	return true;
}

static bool report_processes(void *worker)
{
	const struct taker *t = worker;
	size_t done = turn_start(t->census, atomic_load(&t->crew->next));
	return t->options && t->options->progress &&
	       t->options->progress(t->options->context, done, t->census->processes.count,
	                            "processes");
}

// Words of its heap as its head tells, for the order only.
static uint64_t heap_words(const struct etp_vm *vm, struct etp_reader *reader, uint64_t process)
{
	uint64_t young, fragments, old = 0, old_end = 0;
	if (!READ_WORD(vm, reader, process, Process, heap_sz, &young) ||
	    !READ_WORD(vm, reader, process, Process, mbuf_sz, &fragments) ||
	    !READ_WORD(vm, reader, process, Process, old_heap, &old) ||
	    !READ_WORD(vm, reader, process, Process, old_htop, &old_end))
		return 0;
	return young + fragments + (old_end > old ? (old_end - old) / 8 : 0);
}

struct large_heap {
	uint64_t words;
	uint32_t process;
};

static int compare_heaps(const void *a, const void *b)
{
	const struct large_heap *x = a, *y = b;
	if (x->words != y->words)
		return x->words > y->words ? -1 : 1;
	return x->process < y->process ? -1 : x->process > y->process;
}

// A heap cannot be divided: whoever gets a large one last would keep the others waiting. Fills
// census->order, whose end has what is not large, in the order of the process table.
static bool order_processes(struct etp_census *census, size_t count)
{
	struct etp_reader reader;
	struct large_heap *large = NULL;
	size_t capacity = 0;
	etp_reader_init(&reader, census->vm->target);
	for (size_t i = count, end = count; i--;) {
		uint64_t words = heap_words(census->vm, &reader, census->addresses[i]);
		if (words < LARGE_HEAP) {
			census->order[--end] = (uint32_t)i;
			continue;
		}
		struct large_heap *slot =
			array_add(&large, &census->large_count, &capacity, sizeof(*slot));
		if (!slot) {
			free(large);
			return false;
		}
		*slot = (struct large_heap){words, (uint32_t)i};
	}
	if (large)
		qsort(large, census->large_count, sizeof(*large), compare_heaps);
	for (size_t i = 0; large && i < census->large_count; i++)
		census->order[i] = large[i].process;
	free(large);
	return true;
}

static bool list_processes(struct etp_census *census)
{
	size_t count = etp_vm_processes(census->vm, &census->addresses, &census->pids);
	census->order = calloc(count + 1, sizeof(*census->order));
	return census->order && process_store_init(&census->processes, count) &&
	       order_processes(census, count);
}

// Share the processes out. Sets *stopped when told to.
static bool take_processes(struct etp_census *census, const struct etp_census_options *options,
                           bool *stopped)
{
	if (!list_processes(census))
		return false;
	struct crew crew;
	crew_init(&crew);
	size_t small = census->processes.count - census->large_count;
	crew.items = census->large_count + (small + PROCESSES_A_TURN - 1) / PROCESSES_A_TURN;
	crew.work = take_turn;
	crew.report = report_processes;
	atomic_store(&crew.stopped, *stopped);
	struct taker takers[CREW_THREADS_MAX];
	void *workers[CREW_THREADS_MAX];
	size_t count = crew_size(census->large_count + small / PROCESSES_A_THREAD + 1,
	                         options ? options->threads : 0);
	for (size_t i = 0; i < count; i++) {
		taker_init(&takers[i], census->vm, census, options, &crew);
		workers[i] = &takers[i];
	}
	bool ok = crew_run(&crew, workers, count);
	for (size_t i = 0; i < count; i++)
		taker_deinit(&takers[i]);
	*stopped = atomic_load(&crew.stopped);
	crew_deinit(&crew);
	return ok;
}

static bool ets_progress(void *context, uint64_t done, uint64_t total)
{
	const struct etp_census_options *const *options = context;
	return *options && (*options)->progress &&
	       (*options)->progress((*options)->context, done, total, "rows");
}

static struct etp_error *take_tables(struct etp_census *census,
                                     const struct etp_census_options *census_options,
                                     bool sums_only, bool *stopped)
{
	struct etp_error *err = etp_ets_tables_init(&census->tables, census->vm);
	if (err)
		return err;
	struct etp_ets_scan_options options = {
		.progress = ets_progress,
		.context = &census_options,
		.threads = census_options ? census_options->threads : 0,
		.rows_a_part = census_options ? census_options->rows_a_part : 0,
		.sums_only = sums_only,
	};
	err = ets_scan_run_into(census->vm, census->tables.tables, census->tables.count, &options,
	                        &census->store, &census->magic, &census->ets);
	*stopped = !err && !etp_ets_scan_is_complete(census->ets);
	return err;
}

// What enif_make_resource_binary() made refers to a resource, as do terms of
// enif_make_resource(): the count in the binary's header is of both.
static bool add_resource_refs(struct etp_census *census)
{
	const struct binary_store *resources = &census->magic.resources;
	for (size_t i = 0; i < resources->map.count; i++) {
		const struct binary_entry *resource = binary_map_at(&resources->map, i);
		struct binary_entry *entry = binary_map_find(&census->store.map, resource->address);
		if (entry &&
		    !binary_store_add_holders_of(&census->store, entry, resources, resource))
			return false;
	}
	return true;
}

// The pid of holder number `holder`, if that is a process.
static etp_term pid_of_holder(const void *context, uint32_t holder)
{
	const struct etp_census *census = context;
	size_t first = census->tables.count;
	bool is_process = holder >= first && holder - first < census->processes.count;
	return is_process ? census->pids[holder - first] : 0;
}

static uint32_t first_root(const struct etp_census *census)
{
	return (uint32_t)(census->tables.count + census->processes.count + census->literals.count);
}

// Of the binaries, too, which were not kept.
static struct etp_error *retake_tables(struct etp_census *census,
                                       const struct etp_census_options *options, bool *stopped)
{
	etp_ets_scan_destroy(census->ets);
	census->ets = NULL;
	etp_ets_tables_deinit(&census->tables);
	binary_store_deinit(&census->store);
	binary_store_init(&census->store);
	magic_store_deinit(&census->magic);
	magic_store_init(&census->magic);
	return take_tables(census, options, false, stopped);
}

struct etp_error *etp_census_take_others(struct etp_census *census,
                                         const struct etp_census_options *options)
{
	if (census->has_others)
		return NULL;
	census->has_others = true;
	bool stopped = !census->complete;
	struct etp_error *err = NULL;
	if (ets_scan_has_forgotten(census->ets) && !stopped)
		err = retake_tables(census, options, &stopped);
	if (!err && !take_processes(census, options, &stopped))
		err = &etp_error_no_memory;
	if (!err && !stopped)
		err = literal_scan_run(&census->literals, census->vm, &census->store,
		                       &census->magic,
		                       (uint32_t)(census->tables.count + census->processes.count));
	if (!err && !stopped &&
	    !root_scan_run(&census->roots, census->vm, &census->store, first_root(census),
	                   &census->magic))
		err = &etp_error_no_memory;
	if (!err && !add_resource_refs(census))
		err = &etp_error_no_memory;
	if (!err && !stopped && !trap_scan_run(&census->roots, pid_of_holder, census))
		err = &etp_error_no_memory;
	census->complete = !stopped;
	return err;
}

struct etp_error *etp_census_take(const struct etp_vm *vm, const struct etp_census_options *options,
                                  struct etp_census **ret)
{
	struct etp_census *census = calloc(1, sizeof(*census));
	if (!census)
		return &etp_error_no_memory;
	census->vm = vm;
	binary_store_init(&census->store);
	binary_map_init(&census->released);
	magic_store_init(&census->magic);
	bool stopped = false;
	bool tables_only = options && options->tables_only;
	struct etp_error *err = take_tables(census, options, tables_only, &stopped);
	census->complete = !stopped;
	if (!err && !tables_only)
		err = etp_census_take_others(census, options);
	if (err) {
		etp_census_destroy(census);
		return err;
	}
	*ret = census;
	return NULL;
}

void etp_census_destroy(struct etp_census *census)
{
	if (!census)
		return;
	etp_ets_scan_destroy(census->ets);
	etp_ets_tables_deinit(&census->tables);
	literal_scan_deinit(&census->literals);
	root_scan_deinit(&census->roots);
	binary_map_deinit(&census->released);
	binary_store_deinit(&census->store);
	magic_store_deinit(&census->magic);
	process_store_deinit(&census->processes);
	free(census->order);
	free(census);
}

bool etp_census_is_complete(const struct etp_census *census)
{
	return census->complete;
}

bool etp_census_has_others(const struct etp_census *census)
{
	return census->has_others;
}

size_t etp_census_process_count(const struct etp_census *census)
{
	return census->processes.count;
}

void etp_census_process(const struct etp_census *census, size_t index,
                        struct etp_census_process *ret)
{
	process_store_get(&census->processes, index, ret);
	ret->address = census->addresses[index];
	ret->pid = census->pids[index];
}

void etp_census_totals(const struct etp_census *census, struct etp_census_totals *ret)
{
	*ret = (struct etp_census_totals){.processes = census->processes.count,
	                                  .timer_bytes = census->roots.timer_bytes};
	for (size_t i = 0; i < census->processes.count; i++) {
		struct etp_census_process process;
		etp_census_process(census, i, &process);
		uint64_t used = process.young_words + process.old_words + process.fragment_words +
		                process.message_words + process.transit_words + process.aside_words;
		ret->used_words += used;
		ret->live_words += process.live_words;
		ret->garbage_words += used > process.live_words ? used - process.live_words : 0;
		ret->message_words += process.message_words + process.transit_words;
		ret->stack_words += process.stack_words;
		ret->free_words += process.free_words;
		ret->released_refs += process.released_refs;
		ret->released_bytes += process.released_bytes;
		ret->terms += process.terms;
		ret->running += process.running;
		ret->unreadable += process.unreadable != 0;
	}
	for (size_t i = 0; i < census->released.count; i++) {
		const struct binary_entry *released = binary_map_at(&census->released, i);
		const struct binary_entry *entry =
			binary_map_find(&census->store.map, released->address);
		if (!entry)
			continue;
		ret->released_binaries++;
		if (binary_entry_refs(released) < entry->refc)
			continue;
		ret->freed_binaries++;
		ret->freed_bytes += entry->size;
	}
}

const struct etp_ets_scan *etp_census_ets(const struct etp_census *census)
{
	return census->ets;
}

void etp_census_ets_binaries(const struct etp_census *census, uint64_t *count_ret,
                             uint64_t *bytes_ret)
{
	ets_scan_sum_binaries(census->ets, count_ret, bytes_ret);
}

size_t etp_census_binary_count(const struct etp_census *census)
{
	return census->store.map.count;
}

// The scan of the tables reads the same store.
void etp_census_binary(const struct etp_census *census, size_t index,
                       struct etp_ets_scan_binary *ret)
{
	etp_ets_scan_binary(census->ets, index, ret);
}

size_t etp_census_find(const struct etp_census *census, uint64_t address)
{
	return etp_ets_scan_find(census->ets, address);
}

const struct etp_census_literals *etp_census_literals(const struct etp_census *census,
                                                      size_t *count_ret, const char **problem_ret)
{
	*count_ret = census->literals.count;
	if (problem_ret)
		*problem_ret = census->literals.problem;
	return census->literals.areas;
}

const struct etp_census_root *etp_census_roots(const struct etp_census *census, size_t *count_ret,
                                               uint64_t *unreadable_ret, const char **problem_ret)
{
	*count_ret = census->roots.count;
	*unreadable_ret = census->roots.unreadable;
	*problem_ret = census->roots.problem;
	return census->roots.roots;
}

static struct etp_census_holder describe(const struct etp_census *census,
                                         const struct binary_holder *found)
{
	struct etp_census_holder holder = {.refs = found->refs};
	size_t number = found->holder;
	if (number < census->tables.count) {
		holder.kind = ETP_HOLDER_ETS_TABLE;
		holder.address = census->tables.tables[number].address;
		return holder;
	}
	number -= census->tables.count;
	if (number < census->processes.count) {
		holder.kind = ETP_HOLDER_PROCESS;
		holder.address = census->addresses[number];
		return holder;
	}
	number -= census->processes.count;
	if (number < census->literals.count) {
		const struct etp_census_literals *area = &census->literals.areas[number];
		holder.kind = area->kind;
		holder.address = area->address;
		holder.term = area->term;
		return holder;
	}
	const struct etp_census_root *root = &census->roots.roots[number - census->literals.count];
	holder.kind = root->kind;
	holder.address = root->address;
	holder.term = root->term;
	return holder;
}

static void add_to_sum(struct etp_census_sum *sum, const struct binary_entry *entry)
{
	sum->binaries++;
	sum->bytes += entry->size;
}

void etp_census_sum_binaries(const struct etp_census *census, struct etp_census_binaries *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < census->store.map.count; i++) {
		const struct binary_entry *entry = binary_map_at(&census->store.map, i);
		unsigned kinds = 0;
		uint32_t link = entry->holders;
		struct binary_holder holder;
		while (binary_store_next_holder(&census->store, entry, &link, &holder))
			kinds |= 1U << describe(census, &holder).kind;
		add_to_sum(&ret->all, entry);
		add_to_sum(&ret->by_kinds[kinds], entry);
		ret->visible_bytes += binary_map_visible_bytes(&census->store.map, entry);
		uint64_t refs = binary_entry_refs(entry);
		ret->excess += refs > entry->refc;
		if (refs >= entry->refc)
			continue;
		add_to_sum(&ret->unaccounted, entry);
		add_to_sum(&ret->unaccounted_by_kinds[kinds], entry);
		ret->unaccounted_refs += entry->refc - refs;
	}
}

size_t etp_census_coarse_binaries(const struct etp_census *census)
{
	size_t count = 0;
	for (size_t i = 0; i < census->store.map.count; i++)
		count += binary_map_at(&census->store.map, i)->coarse;
	return count;
}

size_t etp_census_holder_count(const struct etp_census *census, size_t index)
{
	return etp_ets_scan_holder_count(census->ets, index);
}

struct etp_error *etp_census_holders(const struct etp_census *census, size_t index,
                                     struct etp_census_holder *holders, size_t capacity)
{
	const struct binary_entry *entry = binary_map_at(&census->store.map, index);
	struct binary_holder *found = calloc(capacity + 1, sizeof(*found));
	if (!found)
		return &etp_error_no_memory;
	size_t count = binary_store_holders(&census->store, entry, found, capacity);
	for (size_t i = 0; i < count && i < capacity; i++)
		holders[i] = describe(census, &found[i]);
	free(found);
	return NULL;
}
