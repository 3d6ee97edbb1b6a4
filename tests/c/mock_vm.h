// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TESTS_MOCK_VM_H
#define ETP_TESTS_MOCK_VM_H

// A VM of hand-laid words, in which tests build terms as the VM does.

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vm/code.h"
#include "vm/vm.h"

enum {
	MOCK_BASE = 0x10000000,
	MOCK_SIZE = 128 << 20,
	MOCK_ATOM_PAGES = MOCK_BASE,
	// One page of the atom table: 1,024 atoms.
	MOCK_ATOM_PAGE = MOCK_BASE + 0x100,
	MOCK_ATOM_MAX = 1024,
	MOCK_HEAP = MOCK_ATOM_PAGE + MOCK_ATOM_MAX * 8,
	// An address that nothing is at.
	MOCK_NOWHERE = 0x7000,
};

struct mock {
	unsigned char *memory;
	uint64_t top;
	struct etp_vm vm;
	// No module is known.
	struct etp_code code;
	struct etp_reader reader;
};

static inline void mock_put(struct mock *m, uint64_t address, uint64_t word)
{
	memcpy(m->memory + (address - MOCK_BASE), &word, sizeof(word));
}

static inline uint64_t mock_alloc(struct mock *m, uint64_t words)
{
	uint64_t address = m->top;
	if (words > (MOCK_BASE + MOCK_SIZE - address) / 8)
		abort();
	m->top += words * 8;
	return address;
}

static inline void mock_member(struct mock *m, uint64_t address, enum etp_member_id id,
                               uint64_t value)
{
	const struct etp_layout_member *member = &m->vm.layout->members[id];
	memcpy(m->memory + (address + member->offset - MOCK_BASE), &value, member->size);
}

static inline struct etp_error *mock_init(struct mock *m, const char *layout_path)
{
	memset(m, 0, sizeof(*m));
	struct etp_error *err = etp_layout_from_file(layout_path, &m->vm.layout);
	if (err)
		return err;
	m->memory = calloc(1, MOCK_SIZE);
	const struct etp_memory block = {MOCK_BASE, MOCK_SIZE, m->memory};
	err = etp_target_create_memory(&block, 1, NULL, 0, &m->vm.target);
	if (err)
		return err;
	m->vm.scheme = etp_term_scheme_find("25");
	m->vm.code = &m->code;
	m->vm.atoms.seg_table = MOCK_ATOM_PAGES;
	mock_put(m, MOCK_ATOM_PAGES, MOCK_ATOM_PAGE);
	m->top = MOCK_HEAP;
	etp_reader_init(&m->reader, m->vm.target);
	return NULL;
}

static inline void mock_deinit(struct mock *m)
{
	etp_layout_destroy(m->vm.layout);
	etp_target_destroy(m->vm.target);
	free(m->memory);
}

static inline etp_term mock_boxed(uint64_t address)
{
	return address | TAG_PRIMARY_BOXED;
}

static inline uint64_t mock_header(const struct mock *m, enum etp_thing thing, uint64_t arity)
{
	uint64_t subtag = 0;
	while (m->vm.scheme->things[subtag] != thing)
		subtag++;
	return arity << HEADER_ARITY_SHIFT | subtag << HEADER_SUBTAG_SHIFT | TAG_PRIMARY_HEADER;
}

// Of a name in UTF-8; each call makes another atom.
static inline etp_term mock_atom_of(struct mock *m, const char *name, size_t size)
{
	uint64_t index = m->vm.atoms.count++;
	if (index >= MOCK_ATOM_MAX)
		abort();
	uint64_t atom = mock_alloc(m, SIZEOF(&m->vm, Atom) / 8 + 1);
	uint64_t text = mock_alloc(m, size / 8 + 1);
	memcpy(m->memory + (text - MOCK_BASE), name, size);
	mock_member(m, atom, ETP_MEMBER_Atom_len, size);
	mock_member(m, atom, ETP_MEMBER_Atom_name, text);
	mock_put(m, MOCK_ATOM_PAGE + index * 8, atom);
	return term_make_atom(index);
}

static inline etp_term mock_atom(struct mock *m, const char *name)
{
	return mock_atom_of(m, name, strlen(name));
}

static inline etp_term mock_cons(struct mock *m, etp_term head, etp_term tail)
{
	uint64_t address = mock_alloc(m, 2);
	mock_put(m, address, head);
	mock_put(m, address + 8, tail);
	return address | TAG_PRIMARY_LIST;
}

static inline etp_term mock_tuple_of(struct mock *m, uint64_t arity, const etp_term *elements)
{
	uint64_t address = mock_alloc(m, 1 + arity);
	mock_put(m, address, mock_header(m, ETP_THING_TUPLE, arity));
	for (uint64_t i = 0; i < arity; i++)
		mock_put(m, address + 8 + i * 8, elements[i]);
	return mock_boxed(address);
}

#define MOCK_COUNT(...) (sizeof((etp_term[]){__VA_ARGS__}) / sizeof(etp_term))
#define mock_tuple(m, ...)                                                                         \
	mock_tuple_of(m, MOCK_COUNT(__VA_ARGS__), (const etp_term[]){__VA_ARGS__})
#define mock_list(m, ...)                                                                          \
	mock_list_of(m, MOCK_COUNT(__VA_ARGS__), (const etp_term[]){__VA_ARGS__}, ETP_NIL)
// Keys and values in turn; the keys must be sorted.
#define mock_map(m, ...)                                                                           \
	mock_map_of(m, MOCK_COUNT(__VA_ARGS__) / 2, (const etp_term[]){__VA_ARGS__})

static inline etp_term mock_list_of(struct mock *m, uint64_t count, const etp_term *elements,
                                    etp_term tail)
{
	while (count-- > 0)
		tail = mock_cons(m, elements[count], tail);
	return tail;
}

static inline etp_term mock_map_of(struct mock *m, uint64_t count, const etp_term *pairs)
{
	uint64_t address = mock_alloc(m, SIZEOF(&m->vm, flatmap) / 8 + count);
	etp_term *keys = malloc((count + 1) * sizeof(*keys));
	for (uint64_t i = 0; i < count; i++) {
		keys[i] = pairs[2 * i];
		mock_put(m, address + SIZEOF(&m->vm, flatmap) + i * 8, pairs[2 * i + 1]);
	}
	mock_put(m, address, mock_header(m, ETP_THING_MAP, ETP_MAP_FLAT));
	mock_member(m, address, ETP_MEMBER_flatmap_size, count);
	mock_member(m, address, ETP_MEMBER_flatmap_keys, mock_tuple_of(m, count, keys));
	free(keys);
	return mock_boxed(address);
}

static inline etp_term mock_float(struct mock *m, double value)
{
	uint64_t address = mock_alloc(m, 2), bits;
	memcpy(&bits, &value, sizeof(bits));
	mock_put(m, address, mock_header(m, ETP_THING_FLOAT, 1));
	mock_put(m, address + 8, bits);
	return mock_boxed(address);
}

static inline etp_term mock_big(struct mock *m, bool negative, uint64_t count,
                                const uint64_t *digits)
{
	uint64_t address = mock_alloc(m, 1 + count);
	mock_put(m, address,
	         mock_header(m, negative ? ETP_THING_NEG_BIG : ETP_THING_POS_BIG, count));
	for (uint64_t i = 0; i < count; i++)
		mock_put(m, address + 8 + i * 8, digits[i]);
	return mock_boxed(address);
}

// A heap binary.
static inline etp_term mock_binary(struct mock *m, const void *bytes, uint64_t size)
{
	uint64_t header = OFFSET(&m->vm, ErlHeapBin, data), words = header / 8 + (size + 7) / 8;
	uint64_t address = mock_alloc(m, words);
	mock_put(m, address, mock_header(m, ETP_THING_HEAP_BIN, words - 1));
	mock_member(m, address, ETP_MEMBER_ErlHeapBin_size, size);
	memcpy(m->memory + (address + header - MOCK_BASE), bytes, size);
	return mock_boxed(address);
}

// A list of the characters of ASCII text.
static inline etp_term mock_string(struct mock *m, const char *text)
{
	etp_term list = ETP_NIL;
	for (size_t i = strlen(text); i-- > 0;)
		list = mock_cons(m, term_make_small((unsigned char)text[i]), list);
	return list;
}

#endif
