// SPDX-License-Identifier: Apache-2.0
#include "analysis/process_store.h"

#include <stdlib.h>
#include <string.h>

#include "util/array.h"

// A record is a word of bits, first those of the numbers that are not 0, then those below; then
// these numbers, seven bits a byte, the lowest first, of which all but the last have the top bit;
// and the problem, if there is one.

#define NUMBER(member) offsetof(struct etp_census_process, member)

static const size_t numbers[] = {
	NUMBER(young_words),
	NUMBER(old_words),
	NUMBER(fragment_words),
	NUMBER(message_words),
	NUMBER(transit_words),
	NUMBER(aside_words),
	NUMBER(stack_words),
	NUMBER(free_words),
	NUMBER(live_words),
	NUMBER(messages),
	NUMBER(messages_in_transit),
	NUMBER(binary_refs),
	NUMBER(binary_bytes),
	NUMBER(released_refs),
	NUMBER(released_bytes),
	NUMBER(added_refs),
	NUMBER(added_bytes),
	NUMBER(writable_refs),
	NUMBER(writable_bytes),
	NUMBER(binaries),
	NUMBER(distinct_bytes),
	NUMBER(visible_bytes),
	NUMBER(terms),
	NUMBER(unreadable),
};

enum {
	NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
	RUNNING = 1 << NUMBERS,
	IN_GC = RUNNING << 1,
	GC_DISABLED = RUNNING << 2,
	PROBLEM = RUNNING << 3,
	// Of the longest number, and of the longest record.
	NUMBER_BYTES = 10,
	RECORD_BYTES = sizeof(uint32_t) + NUMBERS * NUMBER_BYTES + sizeof(const char *),
	BLOCK_BYTES = 1 << 16,
};

bool process_store_init(struct process_store *store, size_t count)
{
	// An array of pointers. NOLINTNEXTLINE(bugprone-sizeof-expression)
	*store = (struct process_store){.records = calloc(count + 1, sizeof(*store->records))};
	store->count = store->records ? count : 0;
	return store->records;
}

void process_store_deinit(struct process_store *store)
{
	for (size_t i = 0; i < store->block_count; i++)
		free(store->blocks[i]);
	free(store->blocks);
	free(store->records);
	*store = (struct process_store){0};
}

static uint64_t *number_of(struct etp_census_process *process, size_t i)
{
	return (uint64_t *)((unsigned char *)process + numbers[i]);
}

static unsigned char *put_number(unsigned char *at, uint64_t number)
{
	for (; number > 0x7f; number >>= 7)
		*at++ = (unsigned char)(number | 0x80);
	*at++ = (unsigned char)number;
	return at;
}

static const unsigned char *get_number(const unsigned char *at, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0;; shift += 7) {
		*ret |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80))
			return at;
	}
}

// Where the next record goes, of whatever length. NULL when memory ran out.
static unsigned char *room(struct process_store *store)
{
	if (!store->block_count || store->used > BLOCK_BYTES - RECORD_BYTES) {
		unsigned char *block = malloc(BLOCK_BYTES);
		unsigned char **slot = block ? array_add(&store->blocks, &store->block_count,
		                                         &store->block_capacity, sizeof(*slot))
		                             : NULL;
		if (!slot) {
			free(block);
			return NULL;
		}
		*slot = block;
		store->used = 0;
	}
	return store->blocks[store->block_count - 1] + store->used;
}

bool process_store_add(struct process_store *store, size_t index,
                       const struct etp_census_process *process)
{
	unsigned char *record = room(store);
	if (!record)
		return false;
	struct etp_census_process from = *process;
	uint32_t bits = (from.running ? RUNNING : 0) | (from.in_gc ? IN_GC : 0) |
	                (from.gc_disabled ? GC_DISABLED : 0) | (from.problem ? PROBLEM : 0);
	unsigned char *at = record + sizeof(bits);
	for (size_t i = 0; i < NUMBERS; i++) {
		if (!*number_of(&from, i))
			continue;
		bits |= UINT32_C(1) << i;
		at = put_number(at, *number_of(&from, i));
	}
	memcpy(record, &bits, sizeof(bits));
	if (from.problem) {
		memcpy(at, &from.problem, sizeof(from.problem));
		at += sizeof(from.problem);
	}
	store->used += (size_t)(at - record);
	store->records[index] = record;
	return true;
}

void process_store_get(const struct process_store *store, size_t index,
                       struct etp_census_process *ret)
{
	const unsigned char *at = store->records[index];
	*ret = (struct etp_census_process){.incomplete = !at};
	if (!at)
		return;
	uint32_t bits;
	memcpy(&bits, at, sizeof(bits));
	at += sizeof(bits);
	for (size_t i = 0; i < NUMBERS; i++)
		if (bits >> i & 1)
			at = get_number(at, number_of(ret, i));
	ret->running = bits & RUNNING;
	ret->in_gc = bits & IN_GC;
	ret->gc_disabled = bits & GC_DISABLED;
	if (bits & PROBLEM)
		memcpy(&ret->problem, at, sizeof(ret->problem));
}
