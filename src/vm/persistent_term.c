// SPDX-License-Identifier: Apache-2.0
#include <etp/persistent_term.h>

#include <stdlib.h>

#include "vm/hash_table.h"
#include "vm/vm.h"

enum {
	// INITIAL_SIZE, erl_bif_persistent.c, and more slots than memory allows.
	SLOTS_MIN = 8,
	SLOTS_MAX = 1 << 28,
};

// Key and value, if `term` is what a slot holds: {Key, Value} at the start of a
// literal area.
static bool read_pair(const struct etp_vm *vm, struct etp_reader *reader, etp_term term,
                      struct etp_persistent_term *ret)
{
	struct etp_term_view view;
	if (etp_term_decode(vm, reader, term, &view) != ETP_TERM_TUPLE || view.tuple.arity != 2)
		return false;
	uint64_t area = view.address - OFFSET(vm, ErtsLiteralArea, start);
	uint64_t end;
	if (!READ_WORD(vm, reader, area, ErtsLiteralArea, end, &end) || end < view.address + 3 * 8)
		return false;
	*ret = (struct etp_persistent_term){
		.key = etp_word_at(view.tuple.elements, 0),
		.value = etp_word_at(view.tuple.elements, 1),
		.literal_area = area,
	};
	return true;
}

// Slots of a table at `address`; NULL if none is there.
static const void *table_slots(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                               uint64_t *slots_ret, uint64_t *entries_ret)
{
	uint64_t slots, entries, mask;
	if (address % 8 ||
	    !READ_WORD(vm, reader, address, PersistentTermTable, allocated, &slots) ||
	    slots < SLOTS_MIN || slots > SLOTS_MAX || slots & (slots - 1) ||
	    !READ_WORD(vm, reader, address, PersistentTermTable, mask, &mask) ||
	    mask != slots - 1 ||
	    !READ_WORD(vm, reader, address, PersistentTermTable, num_entries, &entries) ||
	    !entries || entries > slots)
		return NULL;
	*slots_ret = slots;
	*entries_ret = entries;
	return etp_reader_at(reader, address + OFFSET(vm, PersistentTermTable, term), slots * 8);
}

// Is it a table, in all of its slots? If so, `terms` gets its pairs.
static struct etp_error *read_table(struct etp_persistent_terms *terms, const struct etp_vm *vm,
                                    struct etp_reader *reader, uint64_t address, uint64_t *budget,
                                    bool *found)
{
	uint64_t slots, entries;
	const void *words = table_slots(vm, reader, address, &slots, &entries);
	*found = false;
	if (!words)
		return NULL;
	struct etp_persistent_term *pairs = calloc(entries, sizeof(*pairs));
	if (!pairs)
		return &etp_error_no_memory;
	uint64_t count = 0;
	bool fits = true;
	for (uint64_t i = 0; fits && i < slots; i++) {
		etp_term term = etp_word_at(words, i);
		fits = etp_search_go_on(budget);
		if (!fits || term_is_nil(term))
			continue;
		fits = count < entries && read_pair(vm, reader, term, &pairs[count]);
		count++;
	}
	if (!fits || count != entries) {
		free(pairs);
		return NULL;
	}
	terms->terms = pairs;
	terms->count = count;
	*found = true;
	return NULL;
}

struct etp_error *etp_persistent_terms_init(struct etp_persistent_terms *terms,
                                            const struct etp_vm *vm)
{
	*terms = (struct etp_persistent_terms){0};
	if (!HAS(vm, PersistentTermTable, term)) {
		terms->problem = "the layout does not have the table of persistent terms";
		return NULL;
	}
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	struct etp_segment segment;
	uint64_t position = 0, budget = etp_search_budget(vm->target);
	while (budget && etp_executable_memory(vm->target, &position, &segment)) {
		for (uint64_t offset = 0; budget && offset + 8 <= segment.size; offset += 8) {
			bool found;
			struct etp_error *err =
				read_table(terms, vm, &reader,
			                   etp_word_at(segment.bytes + offset, 0), &budget, &found);
			if (err || found)
				return err;
		}
	}
	terms->problem =
		budget ? "no table of persistent terms was recognised in the data of beam.smp"
		       : "too much in the data of beam.smp looks like a table of persistent terms";
	return NULL;
}

void etp_persistent_terms_deinit(struct etp_persistent_terms *terms)
{
	free(terms->terms);
	*terms = (struct etp_persistent_terms){0};
}
