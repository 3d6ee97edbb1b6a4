// SPDX-License-Identifier: Apache-2.0
//
// Messages of other nodes on hand-laid memory: what they decode to, whole and in fragments, and
// that of each that cannot be decoded it is said why.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <etp/dist_external.h>

#include "mock_test.h"
#include "term/dist_expand.h"

enum {
	FRAGMENTS_MAX = 3,
	// external.h
	DFLAG_HDR = 1,
	ATOM_TRANS_TAB = 2,
};

// {ok, "abc"} with the first atom of the table.
static const unsigned char with_table[] = {'h', 2, 'R', 0, 'k', 0, 3, 'a', 'b', 'c'};
// [node | 7] with an atom by its name, and the version that is sent where there is no table.
static const unsigned char by_name[] = {131, 'l', 0, 0, 0, 1, 'w', 4, 'n', 'o', 'd', 'e', 'a', 7};

struct message {
	uint64_t external, data, bytes, dep;
	etp_term ok, node;
};

// The bytes in so many fragments, each in memory of its own.
static struct message new_message(struct mock *m, const unsigned char *bytes, size_t size,
                                  unsigned fragments)
{
	struct message message = {
		.external = new_struct(m, ETP_STRUCT_ErtsDistExternal),
		.data = mock_alloc(m, FRAGMENTS_MAX * SIZEOF(&m->vm, ErtsDistExternalData) / 8),
		.dep = new_struct(m, ETP_STRUCT_DistEntry),
		.ok = mock_atom(m, "ok"),
		.node = mock_atom(m, "node"),
	};
	PUT(m, message.dep, DistEntry, sysname, message.node);
	PUT(m, message.external, ErtsDistExternal, dep, message.dep);
	PUT(m, message.external, ErtsDistExternal, data, message.data);
	PUT(m, message.data, ErtsDistExternalData, frag_id, fragments);
	for (unsigned i = 0; i < fragments; i++) {
		uint64_t from = size * i / fragments, to = size * (i + 1) / fragments;
		uint64_t part = message.data + i * SIZEOF(&m->vm, ErtsDistExternalData);
		uint64_t place = mock_alloc(m, 8);
		memcpy(m->memory + (place - MOCK_BASE), bytes + from, to - from);
		PUT(m, part, ErtsDistExternalData, extp, place);
		PUT(m, part, ErtsDistExternalData, ext_endp, place + (to - from));
		PUT(m, part, ErtsDistExternalData, binp, place);
	}
	return message;
}

static void put_table(struct mock *m, const struct message *message, uint64_t count)
{
	PUT(m, message->external, ErtsDistExternal, flags, DFLAG_HDR | ATOM_TRANS_TAB);
	PUT(m, message->external, ErtsDistExternal, attab_size, count);
	PUT(m, message->external, ErtsDistExternal, attab_atom, message->ok);
}

// NULL, and the term with the reader to read it by, or why not.
static const char *expand(struct mock *m, const struct message *message,
                          struct etp_row_words *words, struct etp_term_view *view)
{
	const char *reason = NULL;
	etp_term term;
	if (!etp_dist_expand(&m->vm, &m->reader, message->external, words, &term, &reason)) {
		assert_non_null(reason);
		return reason;
	}
	etp_term_decode(&m->vm, &m->reader, term, view);
	return NULL;
}

static void check_reason(struct mock *m, const struct message *message, const char *expected)
{
	struct etp_row_words words;
	struct etp_term_view view;
	etp_row_words_init(&words);
	const char *reason = expand(m, message, &words, &view);
	assert_non_null(reason);
	assert_string_equal(reason, expected);
	etp_row_words_deinit(&words);
}

static void test_whole_and_in_fragments(void **state)
{
	struct mock *m = *state;
	struct etp_row_words words;
	struct etp_term_view view;
	etp_row_words_init(&words);
	for (unsigned fragments = 1; fragments <= FRAGMENTS_MAX; fragments++) {
		struct message message = new_message(m, with_table, sizeof(with_table), fragments);
		put_table(m, &message, 1);
		assert_null(expand(m, &message, &words, &view));
		assert_int_equal(view.kind, ETP_TERM_TUPLE);
		assert_int_equal(view.tuple.arity, 2);
		assert_int_equal(etp_word_at(view.tuple.elements, 0), message.ok);

		message = new_message(m, by_name, sizeof(by_name), fragments);
		assert_null(expand(m, &message, &words, &view));
		assert_int_equal(view.kind, ETP_TERM_CONS);
		// The first atom of that name; each message has made one.
		assert_int_equal(view.cons.tail, term_make_small(7));

		struct etp_dist_external external;
		assert_true(
			etp_dist_external_read(&m->vm, &m->reader, message.external, &external));
		assert_int_equal(external.bytes, sizeof(by_name));
		assert_int_equal(external.fragment_count, fragments);
		assert_int_equal(external.node, message.node);
	}
	etp_row_words_deinit(&words);
}

static void test_fragments_that_are_missing(void **state)
{
	struct mock *m = *state;
	static const char missing[] = "fragments of it have not come, or are not in the target";
	for (unsigned fragments = 1; fragments <= FRAGMENTS_MAX; fragments++) {
		struct message message = new_message(m, by_name, sizeof(by_name), fragments);
		uint64_t last =
			message.data + (fragments - 1) * SIZEOF(&m->vm, ErtsDistExternalData);
		// Its bytes were not saved.
		PUT(m, last, ErtsDistExternalData, extp, MOCK_NOWHERE);
		PUT(m, last, ErtsDistExternalData, ext_endp, MOCK_NOWHERE + 8);
		check_reason(m, &message, missing);
		if (fragments == 1)
			continue;
		// It has not come.
		PUT(m, last, ErtsDistExternalData, extp, 0);
		PUT(m, last, ErtsDistExternalData, ext_endp, 0);
		check_reason(m, &message, missing);
	}
}

static void test_what_cannot_be_read(void **state)
{
	struct mock *m = *state;
	static const char unreadable[] = "its ErtsDistExternal cannot be read";
	struct message message = new_message(m, by_name, sizeof(by_name), 1);
	const uint64_t counts[] = {0, UINT64_C(1) << 22, (UINT64_C(1) << 22) + 1, UINT64_MAX};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		PUT(m, message.data, ErtsDistExternalData, frag_id, counts[i]);
		if (counts[i] == UINT64_C(1) << 22)
			PUT(m, message.external, ErtsDistExternal, data, MOCK_NOWHERE);
		check_reason(m, &message, unreadable);
		PUT(m, message.external, ErtsDistExternal, data, message.data);
	}
	PUT(m, message.data, ErtsDistExternalData, frag_id, 1);
	PUT(m, message.dep, DistEntry, sysname, term_make_small(1));
	check_reason(m, &message, unreadable);
	PUT(m, message.external, ErtsDistExternal, dep, MOCK_NOWHERE);
	check_reason(m, &message, unreadable);
	PUT(m, message.dep, DistEntry, sysname, message.node);
	PUT(m, message.external, ErtsDistExternal, dep, message.dep);

	// The end before the beginning, and more than anybody sends.
	uint64_t start = m->top - 64;
	PUT(m, message.data, ErtsDistExternalData, ext_endp, start - 1);
	check_reason(m, &message, unreadable);
	PUT(m, message.data, ErtsDistExternalData, ext_endp, start + (UINT64_C(1) << 31));
	check_reason(m, &message, "more than 1 GiB");
}

static void test_atoms(void **state)
{
	struct mock *m = *state;
	struct message message = new_message(m, with_table, sizeof(with_table), 1);
	put_table(m, &message, 0);
	check_reason(m, &message, "external format with an atom that its table does not have");
	put_table(m, &message, 2049);
	check_reason(m, &message, "its ErtsDistExternal cannot be read");
	put_table(m, &message, 1);
	PUT(m, message.external, ErtsDistExternal, attab_atom, term_make_small(3));
	check_reason(m, &message, "external format whose table of atoms has something else in it");
	PUT(m, message.external, ErtsDistExternal, attab_atom, term_make_atom(m->vm.atoms.count));
	check_reason(m, &message, "external format whose table of atoms has something else in it");
	// A table that was not sent.
	PUT(m, message.external, ErtsDistExternal, flags, DFLAG_HDR);
	check_reason(m, &message, "external format with an atom that its table does not have");
	PUT(m, message.external, ErtsDistExternal, flags, 0);
	check_reason(m, &message, "external format without a version");

	unsigned char other[sizeof(by_name)];
	memcpy(other, by_name, sizeof(by_name));
	other[8] = 'k';
	message = new_message(m, other, sizeof(other), 1);
	check_reason(m, &message, "external format with an atom that this VM does not have yet");
	other[6] = 200;
	message = new_message(m, other, sizeof(other), 1);
	check_reason(m, &message, "external format with a tag that nodes of today do not send");
}

static void test_cut_off(void **state)
{
	struct mock *m = *state;
	struct etp_row_words words;
	struct etp_term_view view;
	etp_row_words_init(&words);
	for (size_t size = 0; size < sizeof(by_name); size++) {
		struct message message = new_message(m, by_name, size, 1);
		assert_non_null(expand(m, &message, &words, &view));
	}
	etp_row_words_deinit(&words);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	layout_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_and_in_fragments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fragments_that_are_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_atoms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
