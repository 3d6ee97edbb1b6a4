// SPDX-License-Identifier: Apache-2.0
//
// Walks over the objects of ETS tables (ERTS: erl_db_hash.c, erl_db_tree.c,
// erl_db_catree.c). Nothing is trusted: chains have a cycle detector, trees a
// bound on depth and number of nodes.

#include <etp/ets.h>

#include "util/reason.h"
#include "vm/ets_order.h"
#include "vm/ets_parts.h"
#include "vm/vm.h"

enum {
	// Slots whose objects are fetched together.
	SLOTS_AHEAD = 16,
	// Trees: rows beyond twice the table's own count that we still believe.
	TREE_SLACK = 1 << 16,
};

static bool is_hash(const struct etp_ets_iter *iter)
{
	return iter->table->type <= ETP_ETS_DUPLICATE_BAG;
}

static void give_up(struct etp_ets_iter *iter, const char *problem)
{
	iter->unreadable++;
	reason_add(&iter->problem, problem);
}

static void init_hash(struct etp_ets_iter *iter)
{
	uint64_t address = iter->table->address;
	uint64_t active, slots, segments;
	if (!READ_WORD(iter->vm, iter->reader, address, DbTableHash, nactive, &active) ||
	    !READ_WORD(iter->vm, iter->reader, address, DbTableHash, segtab, &iter->segtab) ||
	    !READ_ANY(iter->vm, iter->reader, address, DbTableHash, nslots, &slots) ||
	    !READ_ANY(iter->vm, iter->reader, address, DbTableHash, nsegs, &segments)) {
		give_up(iter, "the head of the hash table cannot be read");
		return;
	}
	// A table that is being freed loses its segments from the end.
	iter->slots = active < slots ? active : slots;
	// Empty slots cost nothing of the budget: they must be no more than the core can hold.
	uint64_t most = etp_target_info(iter->vm->target)->bytes_saved / (SEGMENT_SLOTS * 8) + 1;
	if (segments > most)
		segments = most;
	uint64_t room = segments ? FIRST_SEGMENT_SLOTS + (segments - 1) * SEGMENT_SLOTS : 0;
	if (iter->slots > room) {
		give_up(iter, "the hash table has more slots than there is room for");
		iter->slots = room;
	}
	// Chains that lead into each other can make many objects of few.
	iter->budget =
		etp_target_info(iter->vm->target)->bytes_saved / SIZEOF(iter->vm, HashDbTerm);
}

// Nodes of trees that lead into each other can be visited forever, route nodes among
// them without meeting a single object.
static bool may_visit(struct etp_ets_iter *iter)
{
	if (iter->budget) {
		iter->budget--;
		return true;
	}
	give_up(iter, "the tree has more nodes than its counter allows; its links are damaged");
	iter->depth = iter->route_depth = 0;
	return false;
}

// The left spine below `node`, root first.
static void push_left_spine(struct etp_ets_iter *iter, uint64_t node)
{
	while (node && may_visit(iter)) {
		if (iter->depth + iter->depth_above >= ETP_ETS_STACK_DEPTH) {
			give_up(iter, "a tree deeper than any AVL tree can be");
			return;
		}
		iter->stack[iter->depth++] = node;
		uint64_t at = node;
		if (!READ_WORD(iter->vm, iter->reader, at, TreeDbTerm, left, &node)) {
			iter->depth--;
			give_up(iter, "a node of the tree cannot be read");
			return;
		}
		etp_reader_prefetch(&iter->ahead, node);
	}
}

// Go down the left route nodes to a base node, whose AVL tree comes next.
static void push_route_spine(struct etp_ets_iter *iter, uint64_t node)
{
	const struct etp_vm *vm = iter->vm;
	while (node && may_visit(iter)) {
		uint64_t is_base, next;
		if (!READ_ANY(vm, iter->reader, node, DbTableCATreeNode, is_base_node, &is_base)) {
			give_up(iter, "a node of the CA tree cannot be read");
			return;
		}
		if (is_base) {
			if (!READ_WORD(vm, iter->reader, node, DbTableCATreeNode, base_root, &next))
				give_up(iter, "a base node of the CA tree cannot be read");
			else
				push_left_spine(iter, next);
			return;
		}
		if (iter->route_depth == ETP_ETS_STACK_DEPTH) {
			give_up(iter, "a CA tree deeper than any can be");
			return;
		}
		iter->route_stack[iter->route_depth++] = node;
		if (!READ_WORD(vm, iter->reader, node, DbTableCATreeNode, left, &next)) {
			give_up(iter, "a route node of the CA tree cannot be read");
			return;
		}
		node = next;
	}
}

uint64_t ets_iter_tree_budget(const struct etp_ets_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t size = iter->table->size > 0 ? (uint64_t)iter->table->size : 0;
	uint64_t budget =
		etp_target_info(vm->target)->bytes_saved / SIZEOF(vm, TreeDbTerm) + TREE_SLACK;
	// A counter that is known says more than the size of the core.
	return !iter->table->problem && size < budget / 2 ? size * 2 + TREE_SLACK : budget;
}

static void init_tree(struct etp_ets_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t address = iter->table->address, root;
	iter->budget = ets_iter_tree_budget(iter);
	// Freeing takes a tree apart from the root on, so what the root leads to
	// may be freed memory (db_free_table_continue_tree()).
	if (iter->table->is_deleting) {
		give_up(iter, "the tree is being freed: its remaining objects cannot be told "
		              "from freed memory");
		return;
	}
	if (iter->table->type == ETP_ETS_ORDERED_SET) {
		if (!READ_WORD(vm, iter->reader, address, DbTableTree, root, &root))
			give_up(iter, "the head of the tree cannot be read");
		else
			push_left_spine(iter, root);
		return;
	}
	if (!READ_WORD(vm, iter->reader, address, DbTableCATree, root, &root))
		give_up(iter, "the head of the CA tree cannot be read");
	else
		push_route_spine(iter, root);
}

static void begin(struct etp_ets_iter *iter, const struct etp_vm *vm, struct etp_reader *reader,
                  const struct etp_ets_table *table)
{
	memset(iter, 0, offsetof(struct etp_ets_iter, stack));
	iter->vm = vm;
	iter->reader = reader;
	iter->table = table;
	iter->depth = iter->route_depth = 0;
	etp_reader_init(&iter->ahead, reader->target);
}

void etp_ets_iter_init(struct etp_ets_iter *iter, const struct etp_vm *vm,
                       struct etp_reader *reader, const struct etp_ets_table *table)
{
	begin(iter, vm, reader, table);
	if (is_hash(iter))
		init_hash(iter);
	else
		init_tree(iter);
}

void ets_iter_init_part(struct etp_ets_iter *iter, const struct etp_vm *vm,
                        struct etp_reader *reader, const struct etp_ets_table *table,
                        const struct ets_parts *parts, const struct ets_part *part)
{
	begin(iter, vm, reader, table);
	iter->is_part = true;
	iter->budget = parts->budget;
	if (is_hash(iter)) {
		iter->segtab = parts->segtab;
		iter->slot = part->slot;
		iter->slots = part->slots;
		return;
	}
	iter->lone_node = part->node;
	iter->depth_above = part->depth_above;
	push_left_spine(iter, part->root);
}

// Make the buckets of the segment that holds iter->slot available; skips segments
// that cannot be read. False at the end of the table.
static bool load_buckets(struct etp_ets_iter *iter)
{
	while (iter->slot < iter->slots) {
		uint64_t segment =
			(iter->slot + SEGMENT_SLOTS - FIRST_SEGMENT_SLOTS) >> SEGMENT_SHIFT;
		uint64_t first = segment ? FIRST_SEGMENT_SLOTS + (segment - 1) * SEGMENT_SLOTS : 0;
		uint64_t end = FIRST_SEGMENT_SLOTS + segment * SEGMENT_SLOTS;
		uint64_t count = segment ? SEGMENT_SLOTS : FIRST_SEGMENT_SLOTS;
		uint64_t address;
		const void *buckets = NULL;
		if (etp_read_u64(iter->reader, iter->segtab + segment * 8, &address))
			buckets = etp_reader_at(iter->reader,
			                        address + OFFSET(iter->vm, segment, buckets),
			                        count * 8);
		if (buckets) {
			iter->buckets = buckets;
			iter->bucket_first = first;
			iter->bucket_end = end < iter->slots ? end : iter->slots;
			return true;
		}
		give_up(iter, "a segment of the hash table cannot be read");
		iter->slot = end;
	}
	return false;
}

// Where the bucket of a slot stands in its segment: one behind the first is filled from its slot
// modulo its size on, round its end, not from its start.
static uint64_t index_of(uint64_t slot)
{
	return slot & (SEGMENT_SLOTS - 1);
}

// Have what some buckets lead to fetched: the first objects of those behind these, and the second
// ones of these, whose first are there. All at once, for each is in another page, and looking pages
// up is what takes long: the processor does it for some of them at a time.
static void fetch_buckets(struct etp_ets_iter *iter)
{
	uint64_t left = iter->bucket_end - iter->slot, second;
	for (uint64_t i = SLOTS_AHEAD; i < 2 * SLOTS_AHEAD && i < left; i++)
		etp_reader_prefetch(&iter->ahead,
		                    etp_word_at(iter->buckets, index_of(iter->slot + i)));
	for (uint64_t i = 0; i < SLOTS_AHEAD && i < left; i++) {
		uint64_t first = etp_word_at(iter->buckets, index_of(iter->slot + i));
		if (first && READ_WORD(iter->vm, &iter->ahead, first, HashDbTerm, next, &second))
			etp_reader_prefetch(&iter->ahead, second);
	}
}

static void begin_chain(struct etp_ets_iter *iter, uint64_t node)
{
	iter->node = node;
	iter->tortoise = 0;
	iter->steps = 0;
	iter->power = 1;
}

void ets_iter_put_in_order(struct etp_ets_iter *iter, struct ets_order *order)
{
	if (is_hash(iter) && iter->slots - iter->slot > SEGMENT_SLOTS && ets_order_begin(order))
		iter->order = order;
}

// The chains of as many slots as there is room for.
static void gather_chains(struct etp_ets_iter *iter)
{
	struct ets_order *order = iter->order;
	(void)ets_order_begin(order);
	while (order->count < ETS_ORDER_CHAINS) {
		if (iter->slot >= iter->bucket_end && !load_buckets(iter))
			break;
		uint64_t first = etp_word_at(iter->buckets, index_of(iter->slot++));
		if (first)
			ets_order_add(order, first);
	}
	ets_order_sort(order);
}

static bool next_in_order(struct etp_ets_iter *iter)
{
	struct ets_order *order = iter->order;
	if (order->next == order->count && !order->is_rest)
		ets_order_take_rest(order);
	if (order->next == order->count)
		gather_chains(iter);
	if (!order->count)
		return false;
	if (order->next + SLOTS_AHEAD < order->count)
		etp_reader_prefetch(&iter->ahead, order->nodes[order->next + SLOTS_AHEAD]);
	begin_chain(iter, order->nodes[order->next++]);
	return true;
}

static bool next_bucket(struct etp_ets_iter *iter)
{
	if (iter->order)
		return next_in_order(iter);
	for (;;) {
		if (iter->slot >= iter->bucket_end && !load_buckets(iter))
			return false;
		while (iter->slot < iter->bucket_end) {
			if (iter->slot % SLOTS_AHEAD == 0)
				fetch_buckets(iter);
			uint64_t first = etp_word_at(iter->buckets, index_of(iter->slot++));
			if (first) {
				begin_chain(iter, first);
				return true;
			}
		}
	}
}

static bool read_dbterm(struct etp_ets_iter *iter, uint64_t dbterm, struct etp_ets_row *row)
{
	const struct etp_vm *vm = iter->vm;
	const void *head = etp_reader_at(iter->reader, dbterm, OFFSET(vm, DbTerm, tpl) + 8);
	if (!head)
		return false;
	row->dbterm = dbterm;
	row->first_oh = WORD_OF(vm, head, DbTerm, first_oh);
	row->words = WORD_OF(vm, head, DbTerm, size);
	iter->rows++;
	return true;
}

// A word of its own, or since OTP 28 the top bit of the last byte of the hash value.
static bool is_pseudo_deleted(const struct etp_vm *vm, uint64_t member)
{
	return MEMBER_SIZE(vm, HashDbTerm, pseudo_deleted) == 1 ? member & 0x80 : member;
}

// Whatever comes behind the object at `node`, the first of its chain, comes later.
static void leave_chain(struct etp_ets_iter *iter, uint64_t node)
{
	if (iter->node == node)
		give_up(iter, "a chain of the hash table runs in a circle");
	else if (iter->node)
		ets_order_put_aside(iter->order, iter->node);
	iter->node = 0;
}

static bool next_of_hash(struct etp_ets_iter *iter, struct etp_ets_row *row)
{
	const struct etp_vm *vm = iter->vm;
	for (;;) {
		if (!iter->node && !next_bucket(iter))
			return false;
		uint64_t node = iter->node;
		uint64_t pseudo_deleted;
		if (!iter->budget) {
			give_up(iter, "the hash table has more objects than fit into the core; its "
			              "chains are damaged");
			iter->node = 0;
			iter->slot = iter->bucket_end = iter->slots;
			iter->order = NULL;
			return false;
		}
		iter->budget--;
		if (node == iter->tortoise) {
			give_up(iter, "a chain of the hash table runs in a circle");
			iter->node = 0;
			continue;
		}
		if (++iter->steps == iter->power) {
			iter->tortoise = node;
			iter->power *= 2;
			iter->steps = 0;
		}
		if (!READ_WORD(vm, iter->reader, node, HashDbTerm, next, &iter->node) ||
		    !READ_ANY(vm, iter->reader, node, HashDbTerm, pseudo_deleted,
		              &pseudo_deleted) ||
		    !read_dbterm(iter, node + OFFSET(vm, HashDbTerm, dbterm), row)) {
			give_up(iter, "an object of the hash table cannot be read");
			iter->node = 0;
			continue;
		}
		row->pseudo_deleted = is_pseudo_deleted(vm, pseudo_deleted);
		if (iter->order && !iter->order->is_rest)
			leave_chain(iter, node);
		else
			etp_reader_prefetch(&iter->ahead, iter->node);
		return true;
	}
}

static bool next_of_tree(struct etp_ets_iter *iter, struct etp_ets_row *row)
{
	const struct etp_vm *vm = iter->vm;
	row->pseudo_deleted = false;
	if (iter->lone_node) {
		uint64_t node = iter->lone_node;
		iter->lone_node = 0;
		if (read_dbterm(iter, node + OFFSET(vm, TreeDbTerm, dbterm), row))
			return true;
		give_up(iter, "an object of the tree cannot be read");
	}
	for (;;) {
		while (!iter->depth) {
			if (!iter->route_depth)
				return false;
			uint64_t right, route = iter->route_stack[--iter->route_depth];
			if (!READ_WORD(vm, iter->reader, route, DbTableCATreeNode, right, &right))
				give_up(iter, "a route node of the CA tree cannot be read");
			else
				push_route_spine(iter, right);
		}
		uint64_t right, node = iter->stack[--iter->depth];
		if (READ_WORD(vm, iter->reader, node, TreeDbTerm, right, &right))
			push_left_spine(iter, right);
		else
			give_up(iter, "a node of the tree cannot be read");
		if (read_dbterm(iter, node + OFFSET(vm, TreeDbTerm, dbterm), row))
			return true;
		give_up(iter, "an object of the tree cannot be read");
	}
}

// A link that leads past objects leaves no other trace than that they are missing.
void ets_iter_compare_with_counter(struct etp_ets_iter *iter)
{
	const struct etp_ets_table *table = iter->table;
	if (iter->unreadable || table->problem || table->is_deleting || table->counters_uncertain ||
	    table->size <= 0 || (uint64_t)table->size <= iter->live)
		return;
	iter->unreadable = (uint64_t)table->size - iter->live;
	iter->problem = "the table has fewer objects than it counts";
}

bool etp_ets_iter_next(struct etp_ets_iter *iter, struct etp_ets_row *row)
{
	if (!(is_hash(iter) ? next_of_hash(iter, row) : next_of_tree(iter, row))) {
		if (!iter->is_part)
			ets_iter_compare_with_counter(iter);
		return false;
	}
	iter->live += !row->pseudo_deleted;
	return true;
}
