// SPDX-License-Identifier: Apache-2.0
#include <etp/process.h>

#include "vm/vm.h"

enum {
	// A dictionary of 8 GiB; more slots than this are damage.
	SLOTS_MAX = 1 << 30,
};

static void gap(struct etp_dictionary_iter *iter, const char *problem)
{
	iter->gaps++;
	iter->problem = problem;
}

void etp_dictionary_iter_init(struct etp_dictionary_iter *iter, const struct etp_vm *vm,
                              struct etp_reader *reader, uint64_t dictionary)
{
	*iter = (struct etp_dictionary_iter){
		.vm = vm, .reader = reader, .dictionary = dictionary, .list = ETP_NIL};
	uint32_t size;
	if (!dictionary)
		return;
	if (!READ_U32(vm, reader, dictionary, ProcDict, usedSlots, &iter->slots) ||
	    !READ_U32(vm, reader, dictionary, ProcDict, arraySize, &size)) {
		iter->slots = 0;
		gap(iter, "the process dictionary cannot be read");
	} else if (iter->slots > size || iter->slots > SLOTS_MAX) {
		iter->slots = 0;
		gap(iter, "the process dictionary uses more slots than it has");
	}
}

static bool pair_of(struct etp_dictionary_iter *iter, etp_term term, etp_term *key_ret,
                    etp_term *value_ret)
{
	struct etp_term_view pair;
	if (etp_term_decode(iter->vm, iter->reader, term, &pair) != ETP_TERM_TUPLE ||
	    pair.tuple.arity != 2) {
		gap(iter, "what stands in the process dictionary is not a pair");
		return false;
	}
	*key_ret = etp_word_at(pair.tuple.elements, 0);
	*value_ret = etp_word_at(pair.tuple.elements, 1);
	return true;
}

// The next pair of keys that share a slot.
static bool next_in_list(struct etp_dictionary_iter *iter, etp_term *key_ret, etp_term *value_ret)
{
	while (!term_is_nil(iter->list)) {
		struct etp_term_view cell;
		if (etp_term_decode(iter->vm, iter->reader, iter->list, &cell) != ETP_TERM_CONS ||
		    !etp_chain_step(&iter->chain, iter->list)) {
			gap(iter, "a chain of the process dictionary is damaged");
			iter->list = ETP_NIL;
			return false;
		}
		iter->list = cell.cons.tail;
		if (pair_of(iter, cell.cons.head, key_ret, value_ret))
			return true;
	}
	return false;
}

bool etp_dictionary_iter_next(struct etp_dictionary_iter *iter, etp_term *key_ret,
                              etp_term *value_ret)
{
	for (;;) {
		if (next_in_list(iter, key_ret, value_ret))
			return true;
		if (iter->slot >= iter->slots)
			return false;
		uint64_t term;
		uint64_t slot = iter->dictionary + OFFSET(iter->vm, ProcDict, data) +
		                iter->slot++ * UINT64_C(8);
		if (!etp_read_u64(iter->reader, slot, &term)) {
			gap(iter, "the process dictionary cannot be read");
			iter->slot = iter->slots;
		} else if (term_primary(term) == TAG_PRIMARY_LIST) {
			iter->list = term;
			iter->chain = (struct etp_chain){0};
		} else if (!term_is_nil(term) && pair_of(iter, term, key_ret, value_ret)) {
			return true;
		}
	}
}
