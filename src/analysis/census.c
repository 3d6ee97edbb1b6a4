// SPDX-License-Identifier: Apache-2.0
#include <etp/census.h>
#include <etp/magic.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "analysis/binary_store.h"
#include "analysis/ets_scan.h"
#include "analysis/literal_scan.h"
#include "analysis/mark.h"
#include "analysis/off_heap.h"
#include "analysis/process_heap.h"
#include "analysis/root_scan.h"

enum {
	// Processes that a thread takes at a time; then it looks whether to stop.
	PROCESSES_A_TURN = 64,
	// Threads pay from some processes on, and share the memory's bandwidth.
	PROCESSES_A_THREAD = 512,
	THREADS_MAX = 8,
	// Milliseconds between two calls of the progress callback while we only wait.
	WAIT_MS = 50,
};

struct etp_census {
	const struct etp_vm *vm;
	struct etp_ets_tables tables;
	struct etp_ets_scan *ets;
	struct etp_census_process *processes;
	size_t process_count;
	struct literal_scan literals;
	// Timers and ports.
	struct root_scan roots;
	// Holders are numbered: tables first, then processes, then areas of literals,
	// then timers and ports.
	struct binary_store store;
	// Magic binaries that may hold others.
	struct binary_map magic;
	bool complete;
};

// What the threads of a census share.
struct crew {
	// Guards census->store, and `running`.
	pthread_mutex_t lock;
	pthread_cond_t finished;
	unsigned running;
	// The next process that nobody has taken.
	atomic_size_t next;
	atomic_bool stopped, out_of_memory;
};

// One thread's share.
struct taker {
	const struct etp_vm *vm;
	struct etp_reader reader;
	const struct etp_census_options *options;
	struct etp_census *census;
	struct crew *crew;
	struct process_heap heap;
	struct marker marker;
	// Binaries of the process at hand.
	struct binary_map local;
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
}

static void taker_deinit(struct taker *t)
{
	binary_map_deinit(&t->local);
	marker_deinit(&t->marker);
	process_heap_deinit(&t->heap);
}

static void give_up(struct etp_census_process *out, const char *problem)
{
	out->unreadable++;
	out->problem = problem;
}

// What is done with each ProcBin of the off-heap chains. False when out of memory.
typedef bool proc_bin_fn(struct taker *t, struct etp_census_process *out,
                         const struct heap_chain *chain, uint64_t proc_bin);

// Does process_info(P, binary) list what is in this chain? Messages are not
// looked at, nor are binaries that are being appended to.
static bool is_listed(const struct heap_chain *chain)
{
	return !chain->writable &&
	       (chain->kind == HEAP_AREA_YOUNG || chain->kind == HEAP_AREA_FRAGMENT);
}

static bool note_proc_bin(struct taker *t, struct etp_census_process *out,
                          const struct heap_chain *chain, uint64_t proc_bin)
{
	uint64_t address;
	struct off_heap_binary binary;
	if (!READ_WORD(t->vm, &t->reader, proc_bin, ProcBin, val, &address) ||
	    !off_heap_read_binary(t->vm, &t->reader, address, &binary)) {
		give_up(out, "an off-heap binary cannot be read");
		return true;
	}
	struct binary_entry *entry = binary_map_insert(&t->local, address);
	if (!entry)
		return false;
	entry->size = binary.size;
	entry->refc = binary.refc;
	entry->flags = (uint32_t)binary.flags;
	entry->refs++;
	if (chain->writable) {
		out->writable_refs++;
		out->writable_bytes += binary.size;
	} else if (is_listed(chain)) {
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

// After marking: what would a major collection do with this entry?
static bool judge_proc_bin(struct taker *t, struct etp_census_process *out,
                           const struct heap_chain *chain, uint64_t proc_bin)
{
	uint64_t binary;
	if (!READ_WORD(t->vm, &t->reader, proc_bin, ProcBin, val, &binary))
		return true;
	const struct binary_entry *entry = binary_map_find(&t->local, binary);
	uint64_t size = entry ? entry->size : 0;
	bool live = marker_is_live(&t->marker, proc_bin);
	if (is_listed(chain) && !live) {
		out->released_refs++;
		out->released_bytes += size;
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

// Magic binaries that ERTS lets us look into; resources are the NIFs' own.
static bool note_magic(struct taker *t, uint64_t ref)
{
	uint64_t address;
	struct etp_magic magic;
	if (!READ_WORD(t->vm, &t->reader, ref, ErtsMRefThing, mb, &address))
		return true;
	etp_magic_read(t->vm, &t->reader, &t->magic_kinds, address, &magic);
	if (magic.kind != ETP_MAGIC_DIST_SEND && magic.kind != ETP_MAGIC_MATCH_SPEC)
		return true;
	pthread_mutex_lock(&t->crew->lock);
	bool ok = binary_map_insert(&t->census->magic, address);
	pthread_mutex_unlock(&t->crew->lock);
	return ok;
}

static bool note_magic_refs(struct taker *t)
{
	for (size_t i = 0; i < t->heap.chain_count; i++) {
		struct off_heap_iter iter =
			off_heap_iter(t->vm, &t->reader, t->heap.chains[i].first);
		uint64_t ref;
		while (off_heap_next(&iter, ETP_THING_REF, &ref))
			if (!note_magic(t, ref))
				return false;
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
		struct binary_entry *entry = binary_map_insert(&t->local, part->binary);
		if (!entry)
			return false;
		entry->size = binary.size;
		entry->refc = binary.refc;
		entry->flags = (uint32_t)binary.flags;
		entry->refs++;
		uint64_t data = part->binary + OFFSET(t->vm, Binary, orig_bytes);
		uint64_t end = part->end - data;
		if (part->start < data || end > binary.size)
			give_up(out, "a signal from another node is not in its binary");
		else if (!binary_map_add_range(&t->local, entry, part->start - data, end))
			return false;
	}
	return true;
}

static bool walk_chain(struct taker *t, struct etp_census_process *out,
                       const struct heap_chain *chain, proc_bin_fn *each)
{
	struct off_heap_iter iter = off_heap_iter(t->vm, &t->reader, chain->first);
	uint64_t proc_bin;
	while (off_heap_next_proc_bin(&iter, &proc_bin))
		if (!each(t, out, chain, proc_bin))
			return false;
	// Both walks meet it; it is one gap.
	if (iter.problem && each == note_proc_bin)
		give_up(out, iter.problem);
	return true;
}

static bool walk_chains(struct taker *t, struct etp_census_process *out, proc_bin_fn *each)
{
	for (size_t i = 0; i < t->heap.chain_count; i++)
		if (!walk_chain(t, out, &t->heap.chains[i], each))
			return false;
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
	out->messages = heap->messages;
	out->messages_in_transit = heap->messages_in_transit;
	out->running = heap->running;
	out->in_gc = heap->in_gc;
	out->live_words = t->marker.live_words;
	out->terms = t->marker.terms;
	out->unreadable += heap->unreadable + t->marker.unreadable;
	if (heap->problem)
		out->problem = heap->problem;
	else if (t->marker.problem)
		out->problem = t->marker.problem;
	for (size_t i = 0; i < t->local.count; i++) {
		const struct binary_entry *entry = &t->local.entries[i];
		out->binaries++;
		out->distinct_bytes += entry->size;
		out->visible_bytes += binary_map_visible_bytes(&t->local, entry);
	}
}

static bool take_process(struct taker *t, size_t index)
{
	struct etp_census_process *out = &t->census->processes[index];
	binary_map_clear(&t->local);
	if (!process_heap_load(&t->heap, t->vm, &t->reader, out->address) ||
	    !walk_chains(t, out, note_proc_bin) || !note_externals(t, out) || !note_magic_refs(t) ||
	    !marker_run(&t->marker, &t->heap, &t->local, true) ||
	    !walk_chains(t, out, judge_proc_bin))
		return false;
	sum_up(t, out);
	pthread_mutex_lock(&t->crew->lock);
	bool ok = binary_store_merge(&t->census->store, &t->local,
	                             (uint32_t)(t->census->tables.count + index));
	pthread_mutex_unlock(&t->crew->lock);
	return ok;
}

// Only the thread that was asked for the census calls back.
static void report_progress(struct taker *t)
{
	struct crew *crew = t->crew;
	size_t done = atomic_load(&crew->next);
	size_t total = t->census->process_count;
	if (!atomic_load(&crew->stopped) && t->options && t->options->progress &&
	    t->options->progress(t->options->context, done < total ? done : total, total,
	                         "processes"))
		atomic_store(&crew->stopped, true);
}

static void take_turns(struct taker *t, bool reports)
{
	struct etp_census *census = t->census;
	struct crew *crew = t->crew;
	for (;;) {
		if (reports)
			report_progress(t);
		size_t i = atomic_fetch_add(&crew->next, PROCESSES_A_TURN);
		size_t end = i + PROCESSES_A_TURN;
		if (i >= census->process_count)
			return;
		for (; i < end && i < census->process_count; i++) {
			census->processes[i].incomplete = atomic_load(&crew->stopped);
			if (atomic_load(&crew->out_of_memory))
				return;
			if (!census->processes[i].incomplete && !take_process(t, i))
				atomic_store(&crew->out_of_memory, true);
		}
	}
}

static void *run_thread(void *context)
{
	struct taker *t = context;
	take_turns(t, false);
	pthread_mutex_lock(&t->crew->lock);
	t->crew->running--;
	pthread_cond_signal(&t->crew->finished);
	pthread_mutex_unlock(&t->crew->lock);
	return NULL;
}

static void wait_for_threads(struct taker *t)
{
	struct crew *crew = t->crew;
	pthread_mutex_lock(&crew->lock);
	while (crew->running) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&crew->finished, &crew->lock, &until);
		pthread_mutex_unlock(&crew->lock);
		report_progress(t);
		pthread_mutex_lock(&crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
}

static size_t thread_count(size_t processes)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = processes / PROCESSES_A_THREAD + 1;
	size_t most = cpus > THREADS_MAX ? THREADS_MAX : cpus > 0 ? (size_t)cpus : 1;
	return wanted < most ? wanted : most;
}

// Share the processes out. A thread that cannot be started is done without.
static bool take_processes(struct taker *t)
{
	struct etp_census *census = t->census;
	struct crew *crew = t->crew;
	const uint64_t *addresses;
	const etp_term *pids;
	census->process_count = etp_vm_processes(t->vm, &addresses, &pids);
	census->processes = calloc(census->process_count + 1, sizeof(*census->processes));
	if (!census->processes)
		return false;
	for (size_t i = 0; i < census->process_count; i++) {
		census->processes[i].address = addresses[i];
		census->processes[i].pid = pids[i];
	}
	struct taker others[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	size_t started = 0, count = thread_count(census->process_count);
	// Threads inherit the mask. Signals are for those of the debugger that we run in,
	// which expects them in its own thread.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; started + 1 < count; started++) {
		taker_init(&others[started], t->vm, census, t->options, crew);
		pthread_mutex_lock(&crew->lock);
		crew->running++;
		pthread_mutex_unlock(&crew->lock);
		if (!pthread_create(&threads[started], NULL, run_thread, &others[started]))
			continue;
		pthread_mutex_lock(&crew->lock);
		crew->running--;
		pthread_mutex_unlock(&crew->lock);
		taker_deinit(&others[started]);
		break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	take_turns(t, true);
	wait_for_threads(t);
	for (size_t i = 0; i < started; i++) {
		pthread_join(threads[i], NULL);
		taker_deinit(&others[i]);
	}
	return !atomic_load(&crew->out_of_memory);
}

static bool ets_progress(void *context, uint64_t done, uint64_t total)
{
	const struct taker *t = context;
	return t->options && t->options->progress &&
	       t->options->progress(t->options->context, done, total, "rows");
}

static struct etp_error *take_tables(struct taker *t)
{
	struct etp_census *census = t->census;
	struct etp_error *err = etp_ets_tables_init(&census->tables, t->vm);
	if (err)
		return err;
	struct etp_ets_scan_options options = {.progress = ets_progress, .context = t};
	err = ets_scan_run_into(t->vm, census->tables.tables, census->tables.count, &options,
	                        &census->store, &census->ets);
	if (!err && !etp_ets_scan_is_complete(census->ets))
		atomic_store(&t->crew->stopped, true);
	return err;
}

static uint32_t first_root(const struct etp_census *census)
{
	return (uint32_t)(census->tables.count + census->process_count + census->literals.count);
}

struct etp_error *etp_census_take(const struct etp_vm *vm, const struct etp_census_options *options,
                                  struct etp_census **ret)
{
	struct etp_census *census = calloc(1, sizeof(*census));
	if (!census)
		return &etp_error_no_memory;
	census->vm = vm;
	binary_store_init(&census->store);
	binary_map_init(&census->magic);
	struct crew crew = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.finished = PTHREAD_COND_INITIALIZER,
	};
	struct taker t;
	taker_init(&t, vm, census, options, &crew);
	struct etp_error *err = take_tables(&t);
	if (!err && !take_processes(&t))
		err = &etp_error_no_memory;
	if (!err && !crew.stopped)
		err = literal_scan_run(&census->literals, vm, &census->store,
		                       (uint32_t)(census->tables.count + census->process_count));
	if (!err && !crew.stopped &&
	    !root_scan_run(&census->roots, vm, &census->store, first_root(census), &census->magic))
		err = &etp_error_no_memory;
	census->complete = !crew.stopped;
	taker_deinit(&t);
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
	binary_store_deinit(&census->store);
	binary_map_deinit(&census->magic);
	free(census->processes);
	free(census);
}

bool etp_census_is_complete(const struct etp_census *census)
{
	return census->complete;
}

const struct etp_census_process *etp_census_processes(const struct etp_census *census,
                                                      size_t *count_ret)
{
	*count_ret = census->process_count;
	return census->processes;
}

const struct etp_ets_scan *etp_census_ets(const struct etp_census *census)
{
	return census->ets;
}

static bool is_in_table(const struct etp_census *census, const struct binary_entry *entry)
{
	const struct binary_holder *holders = census->store.holders;
	for (uint32_t i = entry->holders; i != BINARY_MAP_NONE; i = holders[i].next)
		if (holders[i].holder < census->tables.count)
			return true;
	return false;
}

void etp_census_ets_binaries(const struct etp_census *census, uint64_t *count_ret,
                             uint64_t *bytes_ret)
{
	uint64_t count = 0, bytes = 0;
	for (size_t i = 0; i < census->store.map.count; i++) {
		const struct binary_entry *entry = &census->store.map.entries[i];
		if (!is_in_table(census, entry))
			continue;
		count++;
		bytes += entry->size;
	}
	*count_ret = count;
	*bytes_ret = bytes;
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
	if (number < census->process_count) {
		holder.kind = ETP_HOLDER_PROCESS;
		holder.address = census->processes[number].address;
		return holder;
	}
	number -= census->process_count;
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

size_t etp_census_holders(const struct etp_census *census, size_t index,
                          struct etp_census_holder *holders, size_t capacity)
{
	enum { HOLDERS_MAX = 256 };
	struct binary_holder found[HOLDERS_MAX];
	const struct binary_entry *entry = &census->store.map.entries[index];
	if (capacity > HOLDERS_MAX)
		capacity = HOLDERS_MAX;
	size_t count = binary_store_holders(&census->store, entry, found, capacity);
	for (size_t i = 0; i < count && i < capacity; i++)
		holders[i] = describe(census, &found[i]);
	return count;
}
