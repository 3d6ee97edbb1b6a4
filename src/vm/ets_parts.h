// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_ETS_PARTS_H
#define ETP_VM_ETS_PARTS_H

// Parts of a large table that can be walked apart from each other. One after the other, in
// order, they are the walk over the whole table.

#include <etp/ets.h>

enum {
	// Slots of the first segment of a hash table and of those after it
	// (FIRST_SEGSZ and EXT_SEGSZ, erl_db_hash.c, since OTP 21).
	FIRST_SEGMENT_SLOTS = 256,
	SEGMENT_SHIFT = 11,
	SEGMENT_SLOTS = 1 << SEGMENT_SHIFT,
};

struct ets_part {
	// Hash tables: slots [slot, slots), of whole segments.
	uint64_t slot, slots;
	// Trees: a node by itself, and then the tree below another one; 0 for none.
	uint64_t node, root;
	// Nodes above `root` that come after it.
	unsigned depth_above;
};

struct ets_parts {
	struct ets_part *parts;
	size_t count, capacity;
	// As in etp_ets_iter, for all parts together.
	uint64_t budget, segtab;
	// Of the budget, what finding the parts took.
	uint64_t visits;
};

// Divide a table into parts of about `rows` rows. No parts are found of a small table, nor of
// one whose head or upper nodes cannot be read. False when memory ran out.
bool ets_parts_init(struct ets_parts *parts, const struct etp_vm *vm, struct etp_reader *reader,
                    const struct etp_ets_table *table, uint64_t rows);
void ets_parts_deinit(struct ets_parts *parts);

// Walk one part, with etp_ets_iter_next(). The budget is that of the whole table: who walks
// the parts sees to it that they do not take more together. What is missing of the whole
// table by its counter is for ets_iter_compare_with_counter() to find.
void ets_iter_init_part(struct etp_ets_iter *iter, const struct etp_vm *vm,
                        struct etp_reader *reader, const struct etp_ets_table *table,
                        const struct ets_parts *parts, const struct ets_part *part);

// How many nodes a walk over a tree may visit.
uint64_t ets_iter_tree_budget(const struct etp_ets_iter *iter);

// At the end of a walk over all of a table: are there fewer objects than it counts?
void ets_iter_compare_with_counter(struct etp_ets_iter *iter);

#endif
