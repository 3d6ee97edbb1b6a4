// SPDX-License-Identifier: Apache-2.0
//
// Native records of the external format (erl_record.h), since OTP 29.

#include <stdlib.h>

#include "term/external_private.h"

struct field {
	etp_term key;
	uint64_t declared;
};

static int compare_fields(const void *left, const void *right)
{
	const struct field *a = left, *b = right;
	return a->key < b->key ? -1 : a->key > b->key;
}

// Keys come in the order of the declaration. The definition has them in that of their
// atoms, and a tuple `order` with the place of each.
static bool decode_keys(struct decoder *d, uint64_t size, size_t keys, size_t order)
{
	size_t scratch;
	uint64_t index;
	if (!take_extra(d, size * sizeof(struct field) / sizeof(uint64_t), &scratch))
		return false;
	struct field *fields = (struct field *)(d->words->words + scratch);
	for (uint64_t i = 0; i < size; i++) {
		if (!etp_take_atom(d, &index))
			return false;
		fields[i] = (struct field){.key = term_make_atom(index), .declared = i};
	}
	if (size)
		qsort(fields, size, sizeof(*fields), compare_fields);
	set(d, order, make_header(d, ETP_THING_TUPLE, size));
	for (uint64_t i = 0; i < size; i++) {
		if (i && fields[i].key == fields[i - 1].key)
			return fail(d, "native record with two fields of one name");
		set(d, keys + i, fields[i].key);
		set(d, order + 1 + fields[i].declared, term_make_small((int64_t)i));
	}
	return true;
}

// The VM has one definition for all records of a kind, but sizes are told as if each had its own.
static bool decode_definition(struct decoder *d, uint64_t size, size_t *definition_ret,
                              size_t *order_ret)
{
	uint64_t is_exported, module, name;
	size_t definition, order;
	uint64_t keys = OFFSET(d->vm, ErtsRecordDefinition, keys) / 8;
	if (!take_number(d, 1, &is_exported) || !etp_take_atom(d, &module) ||
	    !etp_take_atom(d, &name) || !enough_bytes(d, size) ||
	    !take_heap(d, keys + size, &definition) ||
	    // The empty tuple is a literal.
	    !(size ? take_heap(d, 1 + size, &order) : take_extra(d, 1, &order)) ||
	    !decode_keys(d, size, definition + keys, order))
		return false;
	const char *exported = is_exported ? "true" : "false";
	uint64_t atom = etp_external_atom(d->external, d->reader, exported, is_exported ? 4 : 5);
	set(d, definition, make_header(d, ETP_THING_TUPLE, keys + size - 1));
	set_member(d, definition, ETP_MEMBER_ErtsRecordDefinition_field_order, boxed(order));
	set_member(d, definition, ETP_MEMBER_ErtsRecordDefinition_module, term_make_atom(module));
	set_member(d, definition, ETP_MEMBER_ErtsRecordDefinition_name, term_make_atom(name));
	set_member(d, definition, ETP_MEMBER_ErtsRecordDefinition_is_exported,
	           atom == UINT64_MAX ? ETP_NIL : term_make_atom(atom));
	*definition_ret = definition;
	*order_ret = order;
	return true;
}

bool etp_decode_record(struct decoder *d, size_t slot)
{
	uint64_t size;
	size_t definition, order, record;
	if (!HAS(d->vm, ErtsRecordInstance, values))
		return fail(d, "external format with a native record, which this release has not");
	uint64_t values = OFFSET(d->vm, ErtsRecordInstance, values) / 8;
	if (!take_number(d, 4, &size) || !decode_definition(d, size, &definition, &order) ||
	    !enough_bytes(d, size) || !take_heap(d, values + size, &record))
		return false;
	set(d, record, make_header(d, ETP_THING_RECORD, values + size - 1));
	set_member(d, record, ETP_MEMBER_ErtsRecordInstance_record_definition, boxed(definition));
	for (uint64_t i = size; i-- > 0;) {
		int64_t place = term_small(d->words->words[order + 1 + i]);
		push_slots(d, record + values + (size_t)place, 1, 1);
	}
	set(d, slot, boxed(record));
	return true;
}
