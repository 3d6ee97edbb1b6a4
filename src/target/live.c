// SPDX-License-Identifier: Apache-2.0
#include "target/live.h"

#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE_SHIFT = 12,
	EXTENT_SHIFT = 18,
	// 64: the pages of an extent fit into one word.
	PAGES_PER_EXTENT = 1 << (EXTENT_SHIFT - PAGE_SHIFT),
	// How far etp_live_find() looks for more of what is known, in each direction.
	RUN_EXTENTS = 64,
	LOCKS = 64,
	COPY_THREADS_MAX = 8,
	// Extents that are copied between two looks whether the copy is still worth it.
	CHECK_EXTENTS = 256,
	// Entries of /proc/PID/pagemap that are read at once.
	PAGEMAP_CHUNK = 8 * PAGES_PER_EXTENT,
};

static const uint64_t page_size = UINT64_C(1) << PAGE_SHIFT;
_Static_assert(ETP_LIVE_EXTENT == 1 << EXTENT_SHIFT, "one size of extents");

enum extent_state {
	UNKNOWN,
	// All bytes are here.
	COMPLETE,
	// Some pages cannot be read: those of `missing`.
	PARTIAL,
};

// What we have of one mapping. Extents lie at multiples of their size, so that the
// first and the last may be short.
struct range {
	struct etp_live_mapping mapping;
	unsigned char *bytes;
	size_t extent_count;
	_Atomic unsigned char *states;
	uint64_t *missing;
	// Pages of `bytes` that a copy has written to, perhaps in vain.
	uint64_t *written;
	// Extents of which every page was in use when a copy was prepared. Then all of them are
	// read: pages that were given back meanwhile are zeros.
	bool *was_full;
};

// Parts of the address space, ascending.
struct range_list {
	struct etp_target_range *items;
	size_t count, capacity;
};

struct etp_live {
	struct range *ranges;
	size_t count;
	etp_live_read *read;
	void *context;
	_Atomic bool sealed;
	// Of what a copy leaves out, or for which there was no room.
	_Atomic bool has_missed;
	// Bytes that may still be read.
	_Atomic uint64_t room;
	// What copies leave out, or what was in use when a rehearsal began: whole extents.
	struct range_list chosen;
	// One extent is pulled by one thread.
	pthread_mutex_t locks[LOCKS];
};

static uint64_t extent_start(const struct range *range, size_t index)
{
	uint64_t start = ((range->mapping.start >> EXTENT_SHIFT) + index) << EXTENT_SHIFT;
	return start > range->mapping.start ? start : range->mapping.start;
}

static uint64_t extent_end(const struct range *range, size_t index)
{
	uint64_t end = ((range->mapping.start >> EXTENT_SHIFT) + index + 1) << EXTENT_SHIFT;
	uint64_t range_end = range->mapping.start + range->mapping.size;
	return end < range_end ? end : range_end;
}

static size_t extent_index(const struct range *range, uint64_t address)
{
	return (size_t)((address >> EXTENT_SHIFT) - (range->mapping.start >> EXTENT_SHIFT));
}

static unsigned char *host(const struct range *range, uint64_t address)
{
	return range->bytes + (address - range->mapping.start);
}

static uint64_t page_bit(uint64_t address)
{
	return UINT64_C(1) << (address >> PAGE_SHIFT) % PAGES_PER_EXTENT;
}

static void range_deinit(struct range *range)
{
	if (range->bytes)
		munmap(range->bytes, (size_t)range->mapping.size);
	free((void *)range->states);
	free(range->missing);
	free(range->written);
	free(range->was_full);
}

// Only what can be read gets room.
static struct etp_error *range_init(struct range *range, const struct etp_live_mapping *mapping)
{
	*range = (struct range){.mapping = *mapping};
	if (!(mapping->flags & PF_R))
		return NULL;
	uint64_t last = mapping->start + (mapping->size - 1);
	range->extent_count = extent_index(range, last) + 1;
	range->states = calloc(range->extent_count, sizeof(range->states[0]));
	range->missing = calloc(range->extent_count, sizeof(range->missing[0]));
	range->written = calloc(range->extent_count, sizeof(range->written[0]));
	range->was_full = calloc(range->extent_count, sizeof(range->was_full[0]));
	if (!range->states || !range->missing || !range->written || !range->was_full)
		return &etp_error_no_memory;
	void *bytes = mmap(NULL, (size_t)mapping->size, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return etp_error_os(
			errno, "There is no room for the %llu bytes of the mapping at 0x%llx",
			(unsigned long long)mapping->size, (unsigned long long)mapping->start);
	range->bytes = bytes;
	return NULL;
}

static struct etp_error *ranges_create(const struct etp_live_mapping *mappings, size_t count,
                                       struct range **ret)
{
	struct range *ranges = calloc(count + 1, sizeof(ranges[0]));
	if (!ranges)
		return &etp_error_no_memory;
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = range_init(&ranges[i], &mappings[i]);
	if (!err) {
		*ret = ranges;
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		range_deinit(&ranges[i]);
	free(ranges);
	return err;
}

struct etp_error *etp_live_create(const struct etp_live_mapping *mappings, size_t count,
                                  etp_live_read *read, void *context, struct etp_live **ret)
{
	struct etp_live *live = calloc(1, sizeof(*live));
	if (!live)
		return &etp_error_no_memory;
	struct etp_error *err = ranges_create(mappings, count, &live->ranges);
	if (err) {
		free(live);
		return err;
	}
	live->count = count;
	live->room = UINT64_MAX;
	live->read = read;
	live->context = context;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&live->locks[i], NULL);
	*ret = live;
	return NULL;
}

void etp_live_destroy(struct etp_live *live)
{
	if (!live)
		return;
	for (size_t i = 0; i < live->count; i++)
		range_deinit(&live->ranges[i]);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&live->locks[i]);
	free(live->chosen.items);
	free(live->ranges);
	free(live);
}

// Add to the last one what follows it.
static bool add_range(struct range_list *list, uint64_t start, uint64_t size)
{
	if (list->count > 0) {
		struct etp_target_range *last = &list->items[list->count - 1];
		if (last->start + last->size == start) {
			last->size += size;
			return true;
		}
	}
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 256;
		struct etp_target_range *items =
			reallocarray(list->items, capacity, sizeof(items[0]));
		if (!items)
			return false;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = (struct etp_target_range){start, size};
	return true;
}

static bool is_chosen(const struct etp_live *live, const struct range *range, size_t index)
{
	uint64_t start = extent_start(range, index);
	size_t low = 0, high = live->chosen.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct etp_target_range *chosen = &live->chosen.items[middle];
		if (start < chosen->start)
			high = middle;
		else if (start - chosen->start >= chosen->size)
			low = middle + 1;
		else
			return extent_end(range, index) - chosen->start <= chosen->size;
	}
	return false;
}

// Index of the range that holds `address`, or of the next one.
static size_t search(const struct etp_live *live, uint64_t address)
{
	size_t low = 0, high = live->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct etp_live_mapping *mapping = &live->ranges[middle].mapping;
		if (mapping->start + (mapping->size - 1) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

// Read what a short read left out page by page, and note which pages cannot be read.
static void pull_pages(struct etp_live *live, struct range *range, size_t index, uint64_t from)
{
	uint64_t missing = 0, end = extent_end(range, index);
	for (uint64_t page = from & ~(page_size - 1); page < end; page += page_size) {
		size_t size = (size_t)(end - page < page_size ? end - page : page_size);
		if (live->read(live->context, page, host(range, page), size) != size)
			missing |= page_bit(page);
	}
	range->missing[index] = missing;
	atomic_store_explicit(&range->states[index], missing ? PARTIAL : COMPLETE,
	                      memory_order_release);
}

static bool take_room(struct etp_live *live, uint64_t size)
{
	uint64_t room = atomic_load(&live->room);
	do {
		if (room < size) {
			atomic_store(&live->has_missed, true);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&live->room, &room, room - size));
	return true;
}

static enum extent_state pull(struct etp_live *live, struct range *range, size_t index)
{
	enum extent_state state = atomic_load_explicit(&range->states[index], memory_order_acquire);
	if (state != UNKNOWN)
		return state;
	if (atomic_load(&live->sealed)) {
		if (is_chosen(live, range, index))
			atomic_store(&live->has_missed, true);
		return state;
	}
	pthread_mutex_t *lock = &live->locks[(range->mapping.start / page_size + index) % LOCKS];
	pthread_mutex_lock(lock);
	uint64_t start = extent_start(range, index);
	size_t size = (size_t)(extent_end(range, index) - start);
	if (atomic_load(&range->states[index]) == UNKNOWN && take_room(live, size)) {
		size_t done = live->read(live->context, start, host(range, start), size);
		if (done == size)
			atomic_store_explicit(&range->states[index], COMPLETE,
			                      memory_order_release);
		else
			pull_pages(live, range, index, start + done);
	}
	pthread_mutex_unlock(lock);
	return atomic_load(&range->states[index]);
}

static bool is_complete(const struct range *range, size_t index)
{
	return atomic_load_explicit(&range->states[index], memory_order_acquire) == COMPLETE;
}

static bool find_in(struct etp_live *live, struct range *range, uint64_t address,
                    struct etp_segment *ret)
{
	if (!range->bytes)
		return false;
	size_t index = extent_index(range, address);
	uint64_t start, end;
	switch (pull(live, range, index)) {
	case UNKNOWN:
		return false;
	case PARTIAL:
		if (range->missing[index] & page_bit(address))
			return false;
		start = address & ~(page_size - 1);
		end = start + page_size;
		while (start > extent_start(range, index) &&
		       !(range->missing[index] & page_bit(start - page_size)))
			start -= page_size;
		while (end < extent_end(range, index) && !(range->missing[index] & page_bit(end)))
			end += page_size;
		break;
	case COMPLETE: {
		size_t first = index, last = index;
		while (first > 0 && index - first < RUN_EXTENTS && is_complete(range, first - 1))
			first--;
		while (last + 1 < range->extent_count && last - index < RUN_EXTENTS &&
		       is_complete(range, last + 1))
			last++;
		start = extent_start(range, first);
		end = extent_end(range, last);
		break;
	}
	default:
		return false;
	}
	*ret = (struct etp_segment){
		.start = start, .size = end - start, .bytes = host(range, start)};
	return true;
}

bool etp_live_find(struct etp_live *live, uint64_t address, struct etp_segment *ret)
{
	size_t i = search(live, address);
	return i < live->count && live->ranges[i].mapping.start <= address &&
	       find_in(live, &live->ranges[i], address, ret);
}

bool etp_live_next(struct etp_live *live, uint64_t address, struct etp_segment *ret)
{
	for (size_t i = search(live, address); i < live->count; i++) {
		struct range *range = &live->ranges[i];
		uint64_t end = range->mapping.start + range->mapping.size;
		if (address < range->mapping.start)
			address = range->mapping.start;
		for (; range->bytes && address < end; address = (address | (page_size - 1)) + 1)
			if (find_in(live, range, address, ret))
				return true;
	}
	return false;
}

// Room that a range already has stays with the range that starts at the same address,
// for that is where a copy was prepared.
static void adopt_room(struct range *old, struct range *range)
{
	if (!old->bytes || !range->bytes)
		return;
	void *bytes = old->bytes;
	if (old->mapping.size != range->mapping.size)
		bytes = mremap(old->bytes, (size_t)old->mapping.size, (size_t)range->mapping.size,
		               MREMAP_MAYMOVE);
	if (bytes == MAP_FAILED)
		return;
	munmap(range->bytes, (size_t)range->mapping.size);
	range->bytes = bytes;
	old->bytes = NULL;
	size_t count =
		old->extent_count < range->extent_count ? old->extent_count : range->extent_count;
	memcpy(range->written, old->written, count * sizeof(range->written[0]));
	memcpy(range->was_full, old->was_full, count * sizeof(range->was_full[0]));
}

uint64_t etp_live_peek(struct etp_live *live, uint64_t address, size_t size, unsigned char *buffer,
                       const unsigned char **ret)
{
	struct range *range = &live->ranges[search(live, address)];
	size_t index = extent_index(range, address);
	uint64_t unreadable = 0;
	enum extent_state state = atomic_load_explicit(&range->states[index], memory_order_acquire);
	if (state != UNKNOWN) {
		*ret = host(range, address);
		for (uint64_t page = 0; state == PARTIAL && page < size; page += page_size)
			if (range->missing[index] & page_bit(address + page))
				unreadable += page_size;
		return unreadable;
	}
	*ret = buffer;
	size_t done =
		atomic_load(&live->sealed) ? 0 : live->read(live->context, address, buffer, size);
	for (uint64_t page = done & ~(page_size - 1); page < size; page += page_size) {
		if (!atomic_load(&live->sealed) &&
		    live->read(live->context, address + page, buffer + page, page_size) ==
		            page_size)
			continue;
		memset(buffer + page, 0, page_size);
		unreadable += page_size;
	}
	return unreadable;
}

struct etp_error *etp_live_remap(struct etp_live *live, const struct etp_live_mapping *mappings,
                                 size_t count)
{
	struct range *ranges;
	struct etp_error *err = ranges_create(mappings, count, &ranges);
	if (err)
		return err;
	for (size_t i = 0, j = 0; i < count && j < live->count;) {
		struct range *old = &live->ranges[j];
		if (old->mapping.start == ranges[i].mapping.start)
			adopt_room(old, &ranges[i]);
		if (old->mapping.start <= ranges[i].mapping.start)
			j++;
		else
			i++;
	}
	for (size_t i = 0; i < live->count; i++)
		range_deinit(&live->ranges[i]);
	free(live->ranges);
	live->ranges = ranges;
	live->count = count;
	return NULL;
}

void etp_live_seal(struct etp_live *live)
{
	atomic_store(&live->sealed, true);
}

// Pages of extent `index` that hold anything but zeros, which our own memory has already.
struct work {
	struct range *range;
	size_t index;
	uint64_t pages;
};

struct work_list {
	const struct etp_live *live;
	struct work *items;
	size_t count, capacity;
};

static bool add_work(struct work_list *list, struct range *range, size_t index, uint64_t pages)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 1024;
		struct work *items = reallocarray(list->items, capacity, sizeof(items[0]));
		if (!items)
			return false;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = (struct work){range, index, pages};
	return true;
}

// The pages of one extent, from entries of pagemap (Linux: Documentation/admin-guide/mm/
// pagemap.rst) of which the first is for `address`.
static uint64_t pages_present(const struct range *range, size_t index, const uint64_t *entries,
                              uint64_t address)
{
	const uint64_t swapped = UINT64_C(1) << 62, present = UINT64_C(1) << 63;
	uint64_t pages = 0;
	for (uint64_t page = extent_start(range, index); page < extent_end(range, index);
	     page += page_size)
		if (entries[(page - address) >> PAGE_SHIFT] & (present | swapped))
			pages |= page_bit(page);
	return pages;
}

static uint64_t all_pages(const struct range *range, size_t index)
{
	uint64_t pages = 0;
	for (uint64_t page = extent_start(range, index); page < extent_end(range, index);
	     page += page_size)
		pages |= page_bit(page);
	return pages;
}

// The next run of pages from `*at` on: its address and size.
static bool next_run(const struct work *work, uint64_t *at, uint64_t *size_ret)
{
	uint64_t end = extent_end(work->range, work->index), start = *at;
	while (start < end && !(work->pages & page_bit(start)))
		start += page_size;
	if (start >= end)
		return false;
	uint64_t stop = start;
	while (stop < end && work->pages & page_bit(stop))
		stop += page_size;
	*at = start;
	*size_ret = stop - start;
	return true;
}

// What a copy in vain has left on pages of which nothing is to be read now.
static void clear_leftovers(struct range *range, size_t index, uint64_t pages)
{
	const struct work leftovers = {range, index, range->written[index] & ~pages};
	uint64_t at = extent_start(range, index), size;
	for (; next_run(&leftovers, &at, &size); at += size)
		memset(host(range, at), 0, (size_t)size);
	range->written[index] &= pages;
}

// What is done with the extents of a range: `pages` of it hold anything but zeros. False
// breaks off.
typedef bool visit_extent(void *context, struct range *range, size_t index, uint64_t pages);

// How to learn which pages are in use.
struct pages_source {
	// Descriptor of /proc/PID/pagemap, or -1: then every page may be.
	int pagemap;
	// Extents that are left out, or that were full, are not asked for again.
	bool knows_more;
};

static bool is_asked_for(const struct etp_live *live, const struct range *range, size_t index,
                         const struct pages_source *source)
{
	return !source->knows_more || !(range->was_full[index] || is_chosen(live, range, index));
}

static bool visit_range(const struct etp_live *live, struct range *range,
                        const struct pages_source *source, visit_extent *visit, void *context)
{
	static const size_t chunk_extents = PAGEMAP_CHUNK / PAGES_PER_EXTENT;
	uint64_t entries[PAGEMAP_CHUNK];
	// Of a page that is shared, or of a file, pagemap does not tell what is in it.
	int pagemap = range->mapping.is_anonymous ? source->pagemap : -1;
	for (size_t first = 0; first < range->extent_count; first += chunk_extents) {
		size_t last = first + chunk_extents - 1;
		if (last >= range->extent_count)
			last = range->extent_count - 1;
		bool is_asked = false;
		for (size_t i = first; i <= last && !is_asked; i++)
			is_asked = is_asked_for(live, range, i, source);
		uint64_t start = extent_start(range, first);
		size_t wanted = (size_t)((extent_end(range, last) - start) >> PAGE_SHIFT) *
		                sizeof(entries[0]);
		bool known = pagemap >= 0 && is_asked &&
		             pread(pagemap, entries, wanted, (off_t)(start >> PAGE_SHIFT << 3)) ==
		                     (ssize_t)wanted;
		for (size_t i = first; i <= last; i++) {
			uint64_t pages = known ? pages_present(range, i, entries, start)
			                       : all_pages(range, i);
			if (!visit(context, range, i, pages))
				return false;
		}
	}
	return true;
}

// All extents of what is_wanted.
static bool visit_wanted(const struct etp_live *live, const struct pages_source *source,
                         visit_extent *visit, void *context)
{
	for (size_t i = 0; i < live->count; i++)
		if (live->ranges[i].bytes && live->ranges[i].mapping.is_wanted &&
		    !visit_range(live, &live->ranges[i], source, visit, context))
			return false;
	return true;
}

static bool list_extent(void *context, struct range *range, size_t index, uint64_t pages)
{
	struct work_list *list = context;
	if (is_chosen(list->live, range, index)) {
		clear_leftovers(range, index, 0);
		return true;
	}
	clear_leftovers(range, index, pages);
	if (pages)
		return add_work(list, range, index, pages);
	atomic_store(&range->states[index], COMPLETE);
	return true;
}

static bool list_work(const struct etp_live *live, const struct pages_source *source,
                      struct work_list *ret)
{
	*ret = (struct work_list){.live = live};
	return visit_wanted(live, source, list_extent, ret);
}

struct etp_error *etp_live_leave_out(struct etp_live *live, const struct etp_target_range *ranges,
                                     size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!add_range(&live->chosen, ranges[i].start, ranges[i].size))
			return &etp_error_no_memory;
	return NULL;
}

static bool choose_full(void *context, struct range *range, size_t index, uint64_t pages)
{
	uint64_t start = extent_start(range, index), size = extent_end(range, index) - start;
	// What is only read here does not change, but for code that the JIT adds.
	bool is_constant = !range->mapping.is_anonymous && !(range->mapping.flags & PF_W);
	bool is_full = range->mapping.is_anonymous && size == ETP_LIVE_EXTENT &&
	               pages == all_pages(range, index);
	if (!is_constant && !is_full)
		return true;
	return add_range(context, start, size);
}

struct etp_error *etp_live_rehearse(struct etp_live *live, int pagemap, uint64_t room)
{
	live->room = room;
	// Without pagemap, all pages seem to be in use, and nothing is known.
	if (pagemap < 0)
		return NULL;
	const struct pages_source source = {.pagemap = pagemap};
	return visit_wanted(live, &source, choose_full, &live->chosen) ? NULL
	                                                               : &etp_error_no_memory;
}

struct etp_error *etp_live_unused(const struct etp_live *live, struct etp_target_range **ret,
                                  size_t *count_ret)
{
	struct range_list unused = {0};
	for (size_t i = 0; i < live->count; i++) {
		const struct range *range = &live->ranges[i];
		for (size_t j = 0; j < range->extent_count; j++) {
			uint64_t start = extent_start(range, j);
			if (atomic_load(&range->states[j]) == UNKNOWN &&
			    is_chosen(live, range, j) &&
			    !add_range(&unused, start, extent_end(range, j) - start)) {
				free(unused.items);
				return &etp_error_no_memory;
			}
		}
	}
	*ret = unused.items;
	*count_ret = unused.count;
	return NULL;
}

bool etp_live_has_missed(const struct etp_live *live)
{
	return atomic_load(&live->has_missed);
}

uint64_t etp_live_present(struct etp_live *live, int pagemap)
{
	const struct pages_source source = {.pagemap = pagemap};
	struct work_list list;
	uint64_t bytes = 0;
	list_work(live, &source, &list);
	for (size_t i = 0; i < list.count; i++)
		bytes += (uint64_t)__builtin_popcountll(list.items[i].pages) << PAGE_SHIFT;
	free(list.items);
	return bytes;
}

void etp_live_prepare_copy(struct etp_live *live, int pagemap)
{
	const struct pages_source source = {.pagemap = pagemap};
	struct work_list list;
	list_work(live, &source, &list);
	for (size_t i = 0; i < list.count; i++) {
		const struct work *work = &list.items[i];
		uint64_t at = extent_start(work->range, work->index), size;
		work->range->was_full[work->index] =
			work->pages == all_pages(work->range, work->index);
		// What an old kernel does not know costs page faults later.
		for (; next_run(work, &at, &size); at += size)
			madvise(host(work->range, at), size, MADV_POPULATE_WRITE);
	}
	free(list.items);
}

struct copier {
	struct etp_live *live;
	const struct etp_live_copy *copy;
	struct work_list list;
	_Atomic size_t next;
	_Atomic bool was_disturbed;
};

static void copy_extent(struct copier *copier, const struct work *work)
{
	struct etp_live *live = copier->live;
	uint64_t at = extent_start(work->range, work->index), size;
	for (; next_run(work, &at, &size); at += size) {
		size_t done = live->read(live->context, at, host(work->range, at), size);
		work->range->written[work->index] |= work->pages;
		if (done != size) {
			work->range->written[work->index] = all_pages(work->range, work->index);
			pull_pages(live, work->range, work->index, at + done);
			return;
		}
	}
	atomic_store_explicit(&work->range->states[work->index], COMPLETE, memory_order_release);
}

static void *run_copier(void *context)
{
	struct copier *copier = context;
	for (;;) {
		size_t i = atomic_fetch_add(&copier->next, 1);
		if (i >= copier->list.count || atomic_load(&copier->was_disturbed))
			return NULL;
		copy_extent(copier, &copier->list.items[i]);
		const struct etp_live_copy *copy = copier->copy;
		if (copy->is_disturbed && i % CHECK_EXTENTS == 0 &&
		    copy->is_disturbed(copy->context))
			atomic_store(&copier->was_disturbed, true);
	}
}

struct etp_error *etp_live_copy(struct etp_live *live, struct etp_live_copy *copy)
{
	struct copier copier = {.live = live, .copy = copy};
	const struct pages_source source = {.pagemap = copy->pagemap, .knows_more = true};
	if (!list_work(live, &source, &copier.list)) {
		free(copier.list.items);
		return &etp_error_no_memory;
	}
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[COPY_THREADS_MAX];
	size_t started = 0;
	// Signals are for the thread that called us.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started < COPY_THREADS_MAX && (long)started + 1 < cpus &&
	       !pthread_create(&threads[started], NULL, run_copier, &copier))
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	run_copier(&copier);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(copier.list.items);
	copy->was_disturbed = copier.was_disturbed;
	return NULL;
}
