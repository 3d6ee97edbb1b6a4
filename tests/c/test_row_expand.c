// SPDX-License-Identifier: Apache-2.0
// Rows of compressed tables, laid by hand: what they expand to, and that nothing
// which is wrong with them gets further than a reason.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "term/row_expand.h"
#include "vm/vm.h"

static const char *layout_path;

enum {
	BASE = 0x100000,
	SIZE = 1 << 20,
	// Where things are in the memory.
	ATOM_PAGES = BASE,
	ATOM_PAGE = BASE + 0x1000,
	ATOMS = BASE + 0x4000,
	ATOM_NAMES = BASE + 0x5000,
	NODE_TABLE = BASE + 0x6000,
	NODE_BUCKETS = BASE + 0x6100,
	NODE = BASE + 0x6200,
	THIS_NODE = BASE + 0x6300,
	KEY = BASE + 0x6400,
	PROCESS_TABLE = BASE + 0x7000,
	BINARY = BASE + 0x8000,
	ROW = BASE + 0x10000,
};

// Atoms, by index.
enum {
	ATOM_NONODE = 1,
	ATOM_EXTERNAL,
	ATOM_LOCAL,
	ATOM_OTHER_NODE,
	ATOM_UNKNOWN_NODE,
	ATOM_LISTS,
	ATOM_MAP,
	ATOM_COUNT,
	// There is no atom above; the table has some more slots.
	ATOM_LIMIT = 70000,
};

struct fixture {
	unsigned char *memory;
	struct etp_vm vm;
	struct etp_reader reader;
	struct etp_row_words words;
	// The row that is being written: next byte, and the tuple.
	uint64_t p, tpl, arity;
};

static void put(struct fixture *f, uint64_t address, const void *bytes, size_t size)
{
	assert_in_range(address, BASE, BASE + SIZE - size);
	if (size)
		memcpy(f->memory + (address - BASE), bytes, size);
}

static void put_word(struct fixture *f, uint64_t address, uint64_t word)
{
	put(f, address, &word, sizeof(word));
}

static void put_member(struct fixture *f, uint64_t address, enum etp_member_id id, uint64_t value)
{
	const struct etp_layout_member *member = &f->vm.layout->members[id];
	put(f, address + member->offset, &value, member->size);
}
#define PUT(f, address, struct_, member, value)                                                    \
	put_member(f, address, ETP_MEMBER_##struct_##_##member, value)

static void put_atoms(struct fixture *f)
{
	static const char *const names[ATOM_COUNT] = {
		"", "nonode@nohost", "external", "3RT$", "x@y", "gone@away", "lists", "map",
	};
	put_word(f, ATOM_PAGES, ATOM_PAGE);
	uint64_t text = ATOM_NAMES;
	for (uint64_t i = 0; i < ATOM_COUNT; i++) {
		uint64_t atom = ATOMS + i * 0x40;
		put_word(f, ATOM_PAGE + i * 8, atom);
		PUT(f, atom, Atom, len, strlen(names[i]));
		PUT(f, atom, Atom, name, text);
		put(f, text, names[i], strlen(names[i]));
		text += strlen(names[i]);
	}
	f->vm.atoms.seg_table = ATOM_PAGES;
	f->vm.atoms.count = ATOM_LIMIT;
	f->vm.am[AM_EXTERNAL] = term_make_atom(ATOM_EXTERNAL);
}

static void put_tables(struct fixture *f)
{
	// Four buckets, and the one node in the last of them.
	PUT(f, NODE_TABLE, Hash, shift, 62);
	PUT(f, NODE_TABLE, Hash, nobjs, 1);
	PUT(f, NODE_TABLE, Hash, bucket, NODE_BUCKETS);
	put_word(f, NODE_BUCKETS + 3 * 8, NODE);
	PUT(f, NODE, ErlNode, sysname, term_make_atom(ATOM_OTHER_NODE));
	PUT(f, NODE, ErlNode, creation, 5);
	// 4096 slots, with cache lines of eight: as erl_ptab.c sets it up.
	PUT(f, PROCESS_TABLE, ErtsPTab, pix_cl_mask, 511);
	PUT(f, PROCESS_TABLE, ErtsPTab, pix_cl_shift, 3);
	PUT(f, PROCESS_TABLE, ErtsPTab, pix_cli_mask, 7);
	PUT(f, PROCESS_TABLE, ErtsPTab, pix_cli_shift, 9);
	f->vm.info.node_name = ATOM_NONODE;
	f->vm.info.node_creation = 7;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->memory = calloc(1, SIZE);
	assert_null(etp_layout_from_file(layout_path, &f->vm.layout));
	const struct etp_memory block = {BASE, SIZE, f->memory};
	const struct etp_memory_symbol symbols[] = {
		{"erts_node_table", NODE_TABLE, 8},
	};
	assert_null(etp_target_create_memory(&block, 1, symbols, 1, &f->vm.target));
	f->vm.scheme = etp_term_scheme_find("25");
	put_atoms(f);
	put_tables(f);
	etp_reader_init(&f->reader, f->vm.target);
	assert_true(etp_id_format_read(&f->vm, &f->reader, PROCESS_TABLE, &f->vm.processes.format));
	f->vm.ports.format = f->vm.processes.format;
	etp_row_words_init(&f->words);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	etp_row_words_deinit(&f->words);
	etp_layout_destroy(f->vm.layout);
	etp_target_destroy(f->vm.target);
	free(f->memory);
	free(f);
	return 0;
}

//
// Writing rows
//

static void set_alloc_size(struct fixture *f, uint64_t end)
{
	uint64_t start = ROW - f->vm.layout->members[ETP_MEMBER_HashDbTerm_dbterm].offset;
	put_word(f, f->tpl + (f->arity + 1) * 8, end - start);
}

// A row of `arity` elements with key `key` in the first; the others are [].
static void begin_row(struct fixture *f, uint64_t arity, uint64_t heap_words)
{
	memset(f->memory + (ROW - BASE), 0xee, 4096);
	f->arity = arity;
	f->tpl = ROW + f->vm.layout->members[ETP_MEMBER_DbTerm_tpl].offset;
	PUT(f, ROW, DbTerm, size, heap_words);
	put_word(f, f->tpl, arity << HEADER_ARITY_SHIFT);
	for (uint64_t i = 1; i <= arity; i++)
		put_word(f, f->tpl + i * 8, i == 1 ? term_make_small(1) : ETP_NIL);
	f->p = f->tpl + (arity + 2) * 8;
	set_alloc_size(f, f->p);
}

// Element `i` has the external format that follows.
static void begin_element(struct fixture *f, uint64_t i)
{
	put_word(f, f->tpl + i * 8, (f->p - f->tpl) << 2);
}

static void add_bytes(struct fixture *f, const void *bytes, size_t size)
{
	put(f, f->p, bytes, size);
	f->p += size;
	set_alloc_size(f, f->p);
}
#define ADD(f, ...)                                                                                \
	add_bytes(f, (const unsigned char[]){__VA_ARGS__},                                         \
	          sizeof((const unsigned char[]){__VA_ARGS__}))

static void add_int(struct fixture *f, uint32_t value)
{
	ADD(f, value >> 24, value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff);
}

static void add_proc_bin(struct fixture *f, uint64_t address, uint64_t size)
{
	uint64_t start = f->p;
	unsigned char nothing[64] = {0};
	add_bytes(f, nothing, f->vm.layout->struct_sizes[ETP_STRUCT_ProcBin]);
	put_word(f, start, 5 << HEADER_ARITY_SHIFT | 8 << HEADER_SUBTAG_SHIFT);
	PUT(f, start, ProcBin, size, size);
	PUT(f, start, BinRef, val, BINARY);
	PUT(f, start, ProcBin, bytes, address);
}

static const char *expand(struct fixture *f, etp_term *row_ret)
{
	const char *reason = NULL;
	bool done = etp_row_expand(&f->vm, &f->reader, ROW, 1, &f->words, row_ret, &reason);
	assert_int_equal(done, reason == NULL);
	assert_int_equal(f->reader.overlay.size != 0, done);
	return reason;
}

// The row expands; element `i` of it.
static etp_term element(struct fixture *f, uint64_t i)
{
	etp_term row;
	struct etp_term_view view;
	const char *reason = expand(f, &row);
	if (reason)
		fail_msg("%s", reason);
	assert_int_equal(etp_term_decode(&f->vm, &f->reader, row, &view), ETP_TERM_TUPLE);
	assert_int_equal(view.tuple.arity, f->arity);
	return etp_word_at(view.tuple.elements, i - 1);
}

static void decode(struct fixture *f, etp_term term, enum etp_term_kind kind,
                   struct etp_term_view *view)
{
	enum etp_term_kind its = etp_term_decode(&f->vm, &f->reader, term, view);
	if (its == ETP_TERM_INVALID)
		fail_msg("%s", view->reason);
	assert_int_equal(its, kind);
}

// The row {1, Term} whose second element has these bytes and may take `heap` words.
static void second(struct fixture *f, uint64_t heap, enum etp_term_kind kind,
                   struct etp_term_view *view, const void *bytes, size_t size)
{
	begin_row(f, 2, 3 + heap);
	begin_element(f, 2);
	add_bytes(f, bytes, size);
	decode(f, element(f, 2), kind, view);
}
#define SECOND(f, heap, kind, view, ...)                                                           \
	second(f, heap, kind, view, (const unsigned char[]){__VA_ARGS__},                          \
	       sizeof((const unsigned char[]){__VA_ARGS__}))

//
// What rows expand to
//

static void test_immediates_and_key(void **state)
{
	struct fixture *f = *state;
	begin_row(f, 3, 4 + 3);
	put_word(f, KEY, 2 << HEADER_ARITY_SHIFT);
	put_word(f, f->tpl + 8, KEY | TAG_PRIMARY_BOXED);
	put_word(f, f->tpl + 16, term_make_atom(ATOM_LISTS));
	assert_int_equal(element(f, 1), KEY | TAG_PRIMARY_BOXED);
	assert_int_equal(element(f, 2), term_make_atom(ATOM_LISTS));
	assert_int_equal(element(f, 3), ETP_NIL);
}

static void test_numbers(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	SECOND(f, 0, ETP_TERM_SMALL, &view, 'a', 255);
	assert_int_equal(view.small, 255);
	SECOND(f, 0, ETP_TERM_SMALL, &view, 'b', 0xff, 0xff, 0xff, 0xfe);
	assert_int_equal(view.small, -2);
	// The least small, the least and the greatest big that are next to smalls.
	SECOND(f, 0, ETP_TERM_SMALL, &view, 'n', 8, 1, 0, 0, 0, 0, 0, 0, 0, 8);
	assert_true(view.small == -(INT64_C(1) << 59));
	SECOND(f, 2, ETP_TERM_BIG, &view, 'n', 8, 0, 0, 0, 0, 0, 0, 0, 0, 8);
	assert_false(view.big.negative);
	assert_int_equal(view.big.count, 1);
	assert_true(etp_word_at(view.big.digits, 0) == UINT64_C(1) << 59);
	SECOND(f, 3, ETP_TERM_BIG, &view, 'o', 0, 0, 0, 9, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2);
	assert_true(view.big.negative);
	assert_int_equal(view.big.count, 2);
	assert_int_equal(etp_word_at(view.big.digits, 1), 2);
	SECOND(f, 2, ETP_TERM_FLOAT, &view, 'F', 0xbf, 0xf8, 0, 0, 0, 0, 0, 0);
	assert_true(view.float_value == -1.5);
}

static void test_atoms(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	SECOND(f, 0, ETP_TERM_ATOM, &view, 'I', 0, ATOM_LISTS);
	assert_int_equal(view.atom, ATOM_LISTS);
	SECOND(f, 0, ETP_TERM_ATOM, &view, 'K', 1, 0, 1);
	assert_int_equal(view.atom, 65537);
}

static void test_lists_and_tuples(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	SECOND(f, 4, ETP_TERM_CONS, &view, 'k', 0, 2, 'h', 'i');
	assert_int_equal(view.cons.head, term_make_small('h'));
	decode(f, view.cons.tail, ETP_TERM_CONS, &view);
	assert_int_equal(view.cons.head, term_make_small('i'));
	assert_int_equal(view.cons.tail, ETP_NIL);
	// [{}, {[]} | lists]
	SECOND(f, 7, ETP_TERM_CONS, &view, 'l', 0, 0, 0, 2, 'h', 0, 'i', 0, 0, 0, 1, 'j', 'I', 0,
	       ATOM_LISTS);
	struct etp_term_view inner;
	decode(f, view.cons.head, ETP_TERM_TUPLE, &inner);
	assert_int_equal(inner.tuple.arity, 0);
	decode(f, view.cons.tail, ETP_TERM_CONS, &view);
	decode(f, view.cons.head, ETP_TERM_TUPLE, &inner);
	assert_int_equal(inner.tuple.arity, 1);
	assert_int_equal(etp_word_at(inner.tuple.elements, 0), ETP_NIL);
	assert_int_equal(view.cons.tail, term_make_atom(ATOM_LISTS));
	assert_int_equal(f->reader.faults, 0);
}

// Lists in lists, deeper than any stack: [[[...]]].
static void test_depth(void **state)
{
	struct fixture *f = *state;
	enum { DEPTH = 100000 };
	begin_row(f, 2, 3 + 2 * DEPTH);
	begin_element(f, 2);
	for (int i = 0; i < DEPTH; i++)
		ADD(f, 'l', 0, 0, 0, 1);
	for (int i = 0; i <= DEPTH; i++)
		ADD(f, 'j');
	etp_term term = element(f, 2);
	struct etp_term_view view;
	for (int i = 0; i < DEPTH; i++) {
		decode(f, term, ETP_TERM_CONS, &view);
		assert_int_equal(view.cons.tail, ETP_NIL);
		term = view.cons.head;
	}
	assert_int_equal(term, ETP_NIL);
}

// A map of `size` pairs I => lists, with keys that go up.
static void check_map(struct fixture *f, uint32_t size)
{
	begin_row(f, 2, 3 + (size > 32 ? 2 * size : 4 + 2 * size));
	begin_element(f, 2);
	ADD(f, 't');
	add_int(f, size);
	for (uint32_t i = 0; i < size; i++) {
		ADD(f, 'b');
		add_int(f, i);
		ADD(f, 'I', 0, ATOM_LISTS);
	}
	struct etp_term_view view;
	decode(f, element(f, 2), size > 32 ? ETP_TERM_HASHMAP : ETP_TERM_FLATMAP, &view);
	struct etp_map_iter iter;
	etp_term key, value;
	// What the VM encodes is in the order of maps:to_list/1.
	etp_map_iter_init(&iter, &f->vm, &f->reader, &view, ETP_MAP_ORDER_TO_LIST);
	for (uint32_t i = 0; i < size; i++) {
		assert_true(etp_map_iter_next(&iter, &key, &value));
		assert_int_equal(key, term_make_small(i));
		assert_int_equal(value, term_make_atom(ATOM_LISTS));
	}
	assert_false(etp_map_iter_next(&iter, &key, &value));
	assert_false(iter.damaged);
	etp_map_iter_init(&iter, &f->vm, &f->reader, &view, ETP_MAP_ORDER_ITERATOR);
	for (uint32_t i = 0; i < size; i++) {
		assert_true(etp_map_iter_next(&iter, &key, &value));
		assert_int_equal(key, term_make_small(size > 32 ? size - 1 - i : i));
	}
	assert_false(iter.damaged);
}

static void test_maps(void **state)
{
	static const uint32_t sizes[] = {0,   1,   2,   31,  32,   33,   48,   240,
	                                 255, 256, 257, 272, 4095, 4096, 4097, 9999};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_map(*state, sizes[i]);
}

static void test_binaries(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	SECOND(f, 3, ETP_TERM_BITSTRING, &view, 'm', 0, 0, 0, 3, 'a', 'b', 'c');
	assert_int_equal(view.bits.bit_size, 24);
	assert_int_equal(view.bits.storage, ETP_BITSTRING_HEAP);
	assert_memory_equal(view.bits.bytes, "abc", 3);
	SECOND(f, 8, ETP_TERM_BITSTRING, &view, 'M', 0, 0, 0, 2, 3, 0xff, 0xa0);
	assert_int_equal(view.bits.bit_size, 11);
	SECOND(f, 3, ETP_TERM_BITSTRING, &view, 'M', 0, 0, 0, 2, 8, 0xff, 0xa0);
	assert_int_equal(view.bits.bit_size, 16);

	// ProcBins at odd addresses.
	begin_row(f, 3, 4 + 6 + 11);
	put(f, BINARY + 0x40, "0123456789", 10);
	begin_element(f, 2);
	ADD(f, 'J');
	add_proc_bin(f, BINARY + 0x40, 10);
	begin_element(f, 3);
	ADD(f, 'L', 3, 7);
	add_proc_bin(f, BINARY + 0x41, 8);
	decode(f, element(f, 2), ETP_TERM_BITSTRING, &view);
	assert_int_equal(view.bits.storage, ETP_BITSTRING_REFC);
	assert_int_equal(view.bits.binary, BINARY);
	assert_int_equal(view.bits.bit_size, 80);
	assert_memory_equal(view.bits.bytes, "0123456789", 10);
	decode(f, element(f, 3), ETP_TERM_BITSTRING, &view);
	assert_int_equal(view.bits.storage, ETP_BITSTRING_SUB);
	assert_int_equal(view.bits.binary, BINARY);
	// Eight bytes, of which two hold the odd bits at either end.
	assert_int_equal(view.bits.bit_offset, 3);
	assert_int_equal(view.bits.bit_size, 6 * 8 + 7);
	assert_int_equal(view.bits.data_address, BINARY + 0x41);
}

static void test_pids_and_ports(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	// The row says "this node"; its name with its creation is this node too.
	for (int i = 0; i < 2; i++) {
		SECOND(f, 0, ETP_TERM_PID, &view, 'X', 'I', 0, i ? ATOM_NONODE : ATOM_LOCAL, 0, 0,
		       2, 1, 0, 0, 0, 3, 0, 0, 0, 7);
		assert_false(view.id.is_external);
		assert_int_equal(view.id.number, 0x201);
		assert_int_equal(view.id.serial, 3);
		// Slot: 0x201 of 512 lines is the second of line 1.
		assert_int_equal(view.word >> 32, (1 << 3) + 1);
	}
	SECOND(f, 4, ETP_TERM_PID, &view, 'X', 'I', 0, ATOM_OTHER_NODE, 0, 0, 0, 9, 0, 0, 0, 8, 0,
	       0, 0, 5);
	assert_true(view.id.is_external);
	assert_int_equal(view.id.sysname, ATOM_OTHER_NODE);
	assert_int_equal(view.id.channel, ATOM_OTHER_NODE);
	assert_int_equal(view.id.creation, 5);
	assert_int_equal(view.id.number, 9);
	assert_int_equal(view.id.serial, 8);
	uint64_t node;
	assert_true(READ_WORD(&f->vm, &f->reader, view.address, ExternalThing, node, &node));
	assert_int_equal(node, NODE);
	// Nodes that the table does not have: another creation, another name.
	SECOND(f, 4, ETP_TERM_PID, &view, 'X', 'I', 0, ATOM_OTHER_NODE, 0, 0, 0, 9, 0, 0, 0, 8, 0,
	       0, 0, 6);
	assert_int_equal(view.id.creation, 6);
	SECOND(f, 4, ETP_TERM_PORT, &view, 'x', 'I', 0, ATOM_UNKNOWN_NODE, 0, 0, 0, 1, 0, 0, 0, 2,
	       0, 0, 0, 6);
	assert_int_equal(view.id.sysname, ATOM_UNKNOWN_NODE);
	assert_true(view.id.number == (UINT64_C(1) << 32) + 2);
	// A former life of this node is another node.
	SECOND(f, 4, ETP_TERM_PID, &view, 'X', 'I', 0, ATOM_NONODE, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0,
	       6);
	assert_true(view.id.is_external);
	assert_int_equal(view.id.channel, 0);
	SECOND(f, 0, ETP_TERM_PORT, &view, 'Y', 'I', 0, ATOM_LOCAL, 0, 0, 0, 6, 0, 0, 0, 7);
	assert_false(view.id.is_external);
	assert_int_equal(view.id.number, 6);
}

static void test_references(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	SECOND(f, 3, ETP_TERM_REF, &view, 'Z', 0, 3, 'I', 0, ATOM_LOCAL, 0, 0, 0, 7, 0, 0, 0, 1, 0,
	       0, 0, 2, 0, 0, 0, 3);
	assert_false(view.id.is_external);
	assert_int_equal(view.id.count, 3);
	assert_int_equal(view.id.numbers[0], 1);
	assert_int_equal(view.id.numbers[2], 3);
	SECOND(f, 6, ETP_TERM_REF, &view, 'Z', 0, 5, 'I', 0, ATOM_OTHER_NODE, 0, 0, 0, 5, 0, 0, 0,
	       1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5);
	assert_true(view.id.is_external);
	assert_int_equal(view.id.count, 5);
	assert_int_equal(view.id.numbers[4], 5);
}

static void test_funs(void **state)
{
	struct fixture *f = *state;
	struct etp_term_view view;
	SECOND(f, 5, ETP_TERM_EXPORT, &view, 'q', 'I', 0, ATOM_LISTS, 'I', 0, ATOM_MAP, 'a', 2);
	assert_int_equal(view.export.module, ATOM_LISTS);
	assert_int_equal(view.export.function, ATOM_MAP);
	assert_int_equal(view.export.arity, 2);
	// fun in lists with two variables, made by <0.1.0>
	SECOND(f, 7, ETP_TERM_FUN, &view, 'p', 0, 0, 0, 99, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
	       12, 13, 14, 15, 16, 0, 0, 0, 4, 0, 0, 0, 2, 'I', 0, ATOM_LISTS, 'a', 4, 'b', 0x7f,
	       0xff, 0xff, 0xff, 'X', 'I', 0, ATOM_LOCAL, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 'a',
	       10, 'a', 11);
	assert_int_equal(view.fun.module, ATOM_LISTS);
	assert_int_equal(view.fun.arity, 1);
	assert_int_equal(view.fun.index, 4);
	assert_int_equal(view.fun.old_index, 4);
	assert_int_equal(view.fun.old_uniq, 0x7fffffff);
	assert_int_equal(view.fun.uniq[15], 16);
	assert_int_equal(view.fun.num_free, 2);
	assert_int_equal(etp_word_at(view.fun.env, 0), term_make_small(10));
	assert_int_equal(etp_word_at(view.fun.env, 1), term_make_small(11));
	struct etp_term_view creator;
	decode(f, view.fun.creator, ETP_TERM_PID, &creator);
	assert_int_equal(creator.id.number, 1);
}

//
// What is wrong with rows
//

static void assert_reason(struct fixture *f, const char *part)
{
	etp_term row;
	const char *reason = expand(f, &row);
	assert_non_null(reason);
	if (!strstr(reason, part))
		fail_msg("\"%s\" does not say \"%s\"", reason, part);
}

static void test_bad_rows(void **state)
{
	struct fixture *f = *state;
	begin_row(f, 2, 3);
	put_word(f, f->tpl, 3);
	assert_reason(f, "not a tuple");
	begin_row(f, 0, 1);
	assert_reason(f, "not a tuple with a key");
	begin_row(f, 2, 2);
	assert_reason(f, "too small");
	begin_row(f, 2, 3);
	put_word(f, f->tpl + 3 * 8, 8);
	assert_reason(f, "too small");
	put_word(f, f->tpl + 3 * 8, UINT64_MAX);
	assert_reason(f, "beyond the target's memory");
	// A key or another element that cannot be where it is.
	begin_row(f, 2, 3);
	put_word(f, f->tpl + 8, 0);
	assert_reason(f, "not in it");
	begin_row(f, 2, 3);
	put_word(f, f->tpl + 16, KEY | TAG_PRIMARY_BOXED);
	assert_reason(f, "not in it");
	put_word(f, f->tpl + 16, 0x100000 << 2);
	assert_reason(f, "not in it");
	// Two elements that share their bytes.
	begin_row(f, 3, 4);
	begin_element(f, 2);
	begin_element(f, 3);
	ADD(f, 'j');
	assert_reason(f, "not in it");
}

#define BAD(f, heap, part, ...)                                                                    \
	do {                                                                                       \
		begin_row(f, 2, 3 + (heap));                                                       \
		begin_element(f, 2);                                                               \
		ADD(f, __VA_ARGS__);                                                               \
		assert_reason(f, part);                                                            \
	} while (0)

static void test_bad_elements(void **state)
{
	struct fixture *f = *state;
	enum { ENOUGH = 1000 };
	BAD(f, ENOUGH, "tag that compressed rows do not use", 131);
	BAD(f, ENOUGH, "tag that compressed rows do not use", 'w', 1, 'a');
	BAD(f, ENOUGH, "beyond its row", 'm', 0, 0, 1, 0, 1);
	BAD(f, ENOUGH, "beyond its row", 'b', 0, 0, 1);
	BAD(f, ENOUGH, "than there are bytes", 'l', 0xff, 0xff, 0xff, 0xff, 'j');
	BAD(f, ENOUGH, "than there are bytes", 'i', 0, 0, 0, 9, 'j');
	BAD(f, ENOUGH, "than there are bytes", 't', 0xff, 0xff, 0xff, 0xff, 'j');
	// Each promises no more than there is, but both do.
	BAD(f, ENOUGH, "than there are bytes", 'h', 5, 'h', 5, 'j', 'j', 'j', 'j', 'j');
	BAD(f, 3, "more words than its row", 'h', 3, 'j', 'j', 'j');
	BAD(f, ENOUGH, "beyond the atom table", 'K', 2, 0, 0);
	BAD(f, ENOUGH, "where an atom must be", 'q', 'j', 'I', 0, 1, 'a', 0);
	BAD(f, ENOUGH, "too many numbers", 'Z', 0, 6, 'I', 0, ATOM_OTHER_NODE, 0, 0, 0, 1);
	BAD(f, ENOUGH, "too many numbers", 'Z', 0, 4, 'I', 0, ATOM_LOCAL, 0, 0, 0, 1);
	BAD(f, ENOUGH, "pid of this node", 'X', 'I', 0, ATOM_LOCAL, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0,
	    0, 0);
	BAD(f, ENOUGH, "impossible number of bits", 'M', 0, 0, 0, 1, 9, 1);

	begin_row(f, 2, 3 + ENOUGH);
	begin_element(f, 2);
	ADD(f, 'L', 1, 1);
	add_proc_bin(f, BINARY, 0);
	assert_reason(f, "odd bits");
	begin_row(f, 2, 3 + ENOUGH);
	begin_element(f, 2);
	ADD(f, 'J');
	add_proc_bin(f, BINARY, 8);
	put_word(f, f->p - 48, 0);
	assert_reason(f, "that is not one");
}

// One of everything.
static void add_everything(struct fixture *f)
{
	begin_row(f, 4, 1000);
	begin_element(f, 2);
	ADD(f, 'h', 8, 'a', 1, 'n', 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'k', 0, 2, 'a', 'b', 'F', 64,
	    0, 0, 0, 0, 0, 0, 0, 'M', 0, 0, 0, 2, 3, 1, 2, 'l', 0, 0, 0, 1, 'j', 'j', 'q', 'I', 0,
	    ATOM_LISTS, 'I', 0, ATOM_MAP, 'a', 2, 't', 0, 0, 0, 1, 'j', 'j');
	begin_element(f, 3);
	ADD(f, 't', 0, 0, 0, 40);
	for (unsigned char i = 0; i < 40; i++)
		ADD(f, 'a', i, 'X', 'I', 0, ATOM_UNKNOWN_NODE, 0, 0, 0, i, 0, 0, 0, 0, 0, 0, 0, 1);
	begin_element(f, 4);
	ADD(f, 'l', 0, 0, 0, 2, 'L', 1, 7);
	add_proc_bin(f, BINARY, 100);
	ADD(f, 'p', 0, 0, 0, 99, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0,
	    4, 0, 0, 0, 1, 'I', 0, ATOM_LISTS, 'a', 4, 'a', 5, 'X', 'I', 0, ATOM_LOCAL, 0, 0, 0, 1,
	    0, 0, 0, 0, 0, 0, 0, 7, 'Z', 0, 1, 'I', 0, ATOM_LOCAL, 0, 0, 0, 7, 0, 0, 0, 1, 'j');
}

// Look at every word that the row got, whatever it is.
static void look_at_all(struct fixture *f)
{
	for (size_t i = 0; i < f->words.words.used; i++) {
		struct etp_term_view view;
		etp_term_decode(&f->vm, &f->reader, f->words.words.words[i], &view);
		etp_term_decode(&f->vm, &f->reader, etp_words_address(i) | TAG_PRIMARY_BOXED,
		                &view);
	}
}

static void test_torn(void **state)
{
	struct fixture *f = *state;
	add_everything(f);
	uint64_t end = f->p;
	etp_term row;
	assert_null(expand(f, &row));
	look_at_all(f);
	uint64_t start = f->tpl + (f->arity + 2) * 8;
	for (uint64_t at = start; at < end; at++) {
		set_alloc_size(f, at);
		assert_non_null(expand(f, &row));
	}
}

static void test_garbage(void **state)
{
	struct fixture *f = *state;
	static const char tags[] = "FIJKLMXYZabhijklmnopqtx";
	uint32_t random = 1;
	uint64_t expanded = 0;
	for (int round = 0; round < 20000; round++) {
		add_everything(f);
		uint64_t start = f->tpl + (f->arity + 2) * 8;
		for (int i = 0; i < 3; i++) {
			random = random * 1664525 + 1013904223;
			unsigned char byte = (unsigned char)(random >> 24);
			if (i)
				byte = (unsigned char)tags[byte % (sizeof(tags) - 1)];
			put(f, start + (random >> 8 & 0xffff) % (f->p - start), &byte, 1);
		}
		etp_term row;
		if (expand(f, &row))
			continue;
		expanded++;
		look_at_all(f);
	}
	assert_int_not_equal(expanded, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s LAYOUT\n", argv[0]);
		return 2;
	}
	layout_path = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_immediates_and_key),
		TEST(test_numbers),
		TEST(test_atoms),
		TEST(test_lists_and_tuples),
		TEST(test_depth),
		TEST(test_maps),
		TEST(test_binaries),
		TEST(test_pids_and_ports),
		TEST(test_references),
		TEST(test_funs),
		TEST(test_bad_rows),
		TEST(test_bad_elements),
		TEST(test_torn),
		TEST(test_garbage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
