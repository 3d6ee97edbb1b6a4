// SPDX-License-Identifier: Apache-2.0
#include "term/row_expand.h"

#include <stdlib.h>
#include <string.h>

#include "vm/vm.h"

enum {
	// ERTS_MAX_TUPLE_SIZE, global.h.
	TUPLE_MAX = (1 << 24) - 1,
	// An element that is not stored as a term: distance << 2 | header tag.
	DISTANCE_SHIFT = 2,
};

void etp_row_words_init(struct etp_row_words *row)
{
	memset(row, 0, sizeof(*row));
}

void etp_row_words_deinit(struct etp_row_words *row)
{
	free(row->words.words);
	memset(row, 0, sizeof(*row));
}

// A row in the target: from its tuple to the end of its block.
struct compressed_row {
	const unsigned char *tpl;
	uint64_t size;
	uint64_t arity;
	// Words of the row when it was a tuple on a heap.
	uint64_t heap_size;
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static const char *find_row(const struct etp_vm *vm, struct etp_reader *reader, uint64_t dbterm,
                            unsigned keypos, struct compressed_row *ret)
{
	uint64_t tpl = dbterm + OFFSET(vm, DbTerm, tpl);
	uint64_t header, alloc_size;
	if (!etp_read_u64(reader, tpl, &header) ||
	    !etp_vm_read_member(vm, reader, dbterm, ETP_MEMBER_DbTerm_size, &ret->heap_size))
		return "compressed row that is not in the target";
	ret->arity = header_arity(header);
	if (term_primary(header) != TAG_PRIMARY_HEADER ||
	    header_thing(vm->scheme, header) != ETP_THING_TUPLE || ret->arity > TUPLE_MAX ||
	    !keypos || keypos > ret->arity)
		return "compressed row that is not a tuple with a key";
	if (!etp_read_u64(reader, tpl + (ret->arity + 1) * 8, &alloc_size))
		return "compressed row that is not in the target";
	// The size is that of the block, which begins with the links of a hash table
	// or of a tree. Which of them is not known here: a row of a tree seems to be
	// one word longer than it is.
	uint64_t before = smaller(OFFSET(vm, HashDbTerm, dbterm), OFFSET(vm, TreeDbTerm, dbterm)) +
	                  OFFSET(vm, DbTerm, tpl);
	if (alloc_size < before + (ret->arity + 2) * 8 || ret->heap_size < ret->arity + 1)
		return "compressed row with a size that is too small";
	ret->size = alloc_size - before;
	ret->tpl = etp_reader_at(reader, tpl, ret->size);
	return ret->tpl ? NULL : "compressed row that reaches beyond the target's memory";
}

static const char *expand(struct etp_reader *reader, const struct compressed_row *row,
                          unsigned keypos, struct etp_row_words *ret)
{
	size_t tuple;
	const char *reason = etp_words_take(&ret->words, row->arity + 1, &tuple);
	if (reason)
		return reason;
	ret->words.heap_used = row->arity + 1;
	ret->words.heap_limit = row->heap_size;
	ret->words.words[tuple] = etp_word_at(row->tpl, 0);
	// The elements are stored one after the other. To insist on it bounds the work.
	uint64_t stored_to = (row->arity + 2) * 8;
	for (uint64_t i = 1; i <= row->arity; i++) {
		etp_term element = etp_word_at(row->tpl, i);
		if (term_is_immediate(element) ||
		    (i == keypos && term_primary(element) != TAG_PRIMARY_HEADER)) {
			ret->words.words[tuple + i] = element;
			continue;
		}
		uint64_t distance = element >> DISTANCE_SHIFT;
		if (i == keypos || term_primary(element) != TAG_PRIMARY_HEADER ||
		    distance < stored_to || distance >= row->size)
			return "compressed row with an element that is not in it";
		uint64_t size;
		const struct etp_external_bytes bytes = {
			.bytes = row->tpl + distance,
			.size = row->size - distance,
		};
		reason = etp_external_decode(&ret->external, reader, &bytes, &ret->words, tuple + i,
		                             &size);
		if (reason)
			return reason;
		stored_to = distance + size;
	}
	// A word behind all things, so that the nothing behind an empty tuple is not
	// beyond the overlay.
	size_t last;
	return etp_words_take(&ret->words, 1, &last);
}

bool etp_row_expand(const struct etp_vm *vm, struct etp_reader *reader, uint64_t dbterm,
                    unsigned keypos, struct etp_row_words *row, etp_term *tuple_ret,
                    const char **reason_ret)
{
	memset(&reader->overlay, 0, sizeof(reader->overlay));
	row->words.used = 0;
	const char *reason = NULL;
	if (row->external.vm != vm)
		reason = etp_external_init(&row->external, vm);
	struct compressed_row compressed;
	if (!reason)
		reason = find_row(vm, reader, dbterm, keypos, &compressed);
	if (!reason)
		reason = expand(reader, &compressed, keypos, row);
	if (reason) {
		*reason_ret = reason;
		return false;
	}
	reader->overlay = (struct etp_segment){
		.start = ETP_WORDS_BASE,
		.size = row->words.used * UINT64_C(8),
		.bytes = (const unsigned char *)row->words.words,
	};
	row->block = dbterm + OFFSET(vm, DbTerm, tpl);
	row->block_words = compressed.size / 8;
	*tuple_ret = ETP_WORDS_BASE | TAG_PRIMARY_BOXED;
	return true;
}

uint64_t etp_row_block_words(const struct etp_vm *vm, struct etp_reader *reader, uint64_t dbterm,
                             unsigned keypos)
{
	struct compressed_row row;
	return find_row(vm, reader, dbterm, keypos, &row) ? 0 : row.size / 8;
}
