// SPDX-License-Identifier: Apache-2.0
// The printer, on hand-laid terms. What is expected of well-formed terms is what
// OTP 25 and Elixir 1.14 printed of the same; test_terms.py compares whole cores.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <etp/print.h>

#include "mock_vm.h"

static const char *layout_path;

static int setup(void **state)
{
	struct mock *m = malloc(sizeof(*m));
	*state = m;
	return mock_init(m, layout_path) ? -1 : 0;
}

static int teardown(void **state)
{
	mock_deinit(*state);
	free(*state);
	return 0;
}

static struct etp_print_options options_of(enum etp_syntax syntax)
{
	struct etp_print_options options;
	etp_print_options_init(&options, syntax);
	return options;
}

// Owned by the caller.
static char *print(struct mock *m, etp_term term, const struct etp_print_options *options)
{
	struct etp_string text = {0};
	assert_null(etp_print_term(&m->vm, &m->reader, term, options, &text));
	assert_non_null(text.data);
	assert_int_equal(text.size, strlen(text.data));
	return text.data;
}

static void expect_with(struct mock *m, etp_term term, const struct etp_print_options *options,
                        const char *expected)
{
	char *text = print(m, term, options);
	assert_string_equal(text, expected);
	free(text);
}

static void expect(struct mock *m, etp_term term, enum etp_syntax syntax, const char *expected)
{
	struct etp_print_options options = options_of(syntax);
	expect_with(m, term, &options, expected);
}

static void expect_all(struct mock *m, etp_term term, const char *write, const char *pretty,
                       const char *elixir)
{
	expect(m, term, ETP_SYNTAX_ERLANG_WRITE, write);
	expect(m, term, ETP_SYNTAX_ERLANG_PRETTY, pretty);
	expect(m, term, ETP_SYNTAX_ELIXIR, elixir);
}

static void same(struct mock *m, etp_term term, const char *expected)
{
	expect_all(m, term, expected, expected, expected);
}

static void test_numbers(void **state)
{
	struct mock *m = *state;
	same(m, term_make_small(0), "0");
	same(m, term_make_small(-(INT64_C(1) << 59)), "-576460752303423488");
	const uint64_t digits[] = {0, 0, 0, 256};
	same(m, mock_big(m, false, 4, digits),
	     "1606938044258990275541962092341162602522202993782792835301376");
	same(m, mock_big(m, true, 1, (const uint64_t[]){UINT64_C(1) << 63}),
	     "-9223372036854775808");
	same(m, mock_float(m, 0.1), "0.1");
	same(m, mock_float(m, -0.0), "-0.0");
	same(m, mock_float(m, 5.0e-324), "5.0e-324");
	same(m, mock_float(m, 1.0e22), "1.0e22");
	same(m, mock_float(m, 123456789.125), "123456789.125");
}

static void test_float_notation(void **state)
{
	struct mock *m = *state;
	expect_all(m, mock_float(m, 1.0e6), "1.0e6", "1.0e6", "1000000.0");
	expect_all(m, mock_float(m, 9007199254740992.0), "9.007199254740992e15",
	           "9.007199254740992e15", "9007199254740992.0");
	same(m, mock_float(m, 1.0e-4), "0.0001");
}

static void test_atoms(void **state)
{
	struct mock *m = *state;
	expect_all(m, mock_atom(m, "ok"), "ok", "ok", ":ok");
	expect_all(m, mock_atom(m, "nil"), "nil", "nil", "nil");
	expect_all(m, mock_atom(m, "receive"), "'receive'", "'receive'", ":receive");
	expect_all(m, mock_atom(m, "node@host"), "node@host", "node@host", ":node@host");
	expect_all(m, mock_atom(m, "a b"), "'a b'", "'a b'", ":\"a b\"");
	expect_all(m, mock_atom(m, ""), "''", "''", ":\"\"");
	expect_all(m, mock_atom(m, "Elixir.Foo.Bar"), "'Elixir.Foo.Bar'", "'Elixir.Foo.Bar'",
	           "Foo.Bar");
	expect_all(m, mock_atom(m, "a\nb"), "'a\\nb'", "'a\\nb'", ":\"a\\nb\"");
	expect_all(m, mock_atom(m, "+"), "'+'", "'+'", ":+");
	expect_all(m, mock_atom(m, "::"), "'::'", "'::'", ":\"::\"");
	expect_all(m, mock_atom(m, "λ"), "'\\x{3BB}'", "'\\x{3BB}'", ":λ");
	struct etp_print_options options = options_of(ETP_SYNTAX_ERLANG_WRITE);
	options.unicode = true;
	expect_with(m, mock_atom(m, "λ"), &options, "'λ'");
	// No such atom.
	same(m, term_make_atom(MOCK_ATOM_MAX + 1), "#Invalid<0x1004b>");
}

static void test_lists_and_text(void **state)
{
	struct mock *m = *state;
	expect_all(m, mock_string(m, "don't\n"), "[100,111,110,39,116,10]", "\"don't\\n\"",
	           "'don\\'t\\n'");
	expect_all(m, mock_cons(m, term_make_small(1), term_make_small(2)), "[1|2]", "[1|2]",
	           "[1 | 2]");
	expect_all(m, mock_binary(m, "h\"i", 3), "<<104,34,105>>", "<<\"h\\\"i\">>", "\"h\\\"i\"");
	expect_all(m, mock_binary(m, "\xff\x01", 2), "<<255,1>>", "<<255,1>>", "<<255, 1>>");
	expect_all(m, mock_binary(m, "", 0), "<<>>", "<<>>", "\"\"");
	struct etp_print_options options = options_of(ETP_SYNTAX_ELIXIR);
	options.elixir_minor = 15;
	expect_with(m, mock_string(m, "don't"), &options, "~c\"don't\"");
}

// {state,#{...}}, with texts, that does not fit on a line.
static etp_term wide_term(struct mock *m)
{
	etp_term session = mock_atom(m, "session"), timeout = mock_atom(m, "timeout");
	etp_term alice = mock_tuple(m, session, term_make_small(1),
	                            mock_list(m, mock_tuple(m, timeout, term_make_small(5000))));
	etp_term bob = mock_tuple(m, session, term_make_small(2), ETP_NIL);
	etp_term sessions =
		mock_map(m, mock_binary(m, "alice", 5), alice, mock_binary(m, "bob", 3), bob);
	etp_term queue = mock_tuple(
		m, mock_list(m, term_make_small(3), term_make_small(2), term_make_small(1)),
		mock_list(m, term_make_small(4)));
	return mock_tuple(m, mock_atom(m, "state"),
	                  mock_map(m, mock_atom(m, "queue"), queue, mock_atom(m, "sessions"),
	                           sessions, mock_atom(m, "timer"), mock_atom(m, "make_ref")));
}

static void test_lines(void **state)
{
	struct mock *m = *state;
	etp_term term = wide_term(m);
	expect(m, term, ETP_SYNTAX_ERLANG_PRETTY,
	       "{state,#{queue => {[3,2,1],[4]},\n"
	       "         sessions =>\n"
	       "             #{<<\"alice\">> => {session,1,[{timeout,5000}]},\n"
	       "               <<\"bob\">> => {session,2,[]}},\n"
	       "         timer => make_ref}}");
	expect(m, term, ETP_SYNTAX_ELIXIR,
	       "{:state,\n"
	       " %{\n"
	       "   queue: {[3, 2, 1], [4]},\n"
	       "   sessions: %{\n"
	       "     \"alice\" => {:session, 1, [timeout: 5000]},\n"
	       "     \"bob\" => {:session, 2, []}\n"
	       "   },\n"
	       "   timer: :make_ref\n"
	       " }}");
	struct etp_print_options options = options_of(ETP_SYNTAX_ELIXIR);
	options.width = 0;
	expect_with(m, term, &options,
	            "{:state, %{queue: {[3, 2, 1], [4]}, sessions: %{\"alice\" => {:session, 1, "
	            "[timeout: 5000]}, \"bob\" => {:session, 2, []}}, timer: :make_ref}}");
}

static void test_limits(void **state)
{
	struct mock *m = *state;
	etp_term a = mock_atom(m, "a"), one = term_make_small(1);
	etp_term nested = mock_tuple(m, a, mock_list(m, a, mock_map(m, a, mock_tuple(m, one))));
	struct etp_print_options options = options_of(ETP_SYNTAX_ERLANG_WRITE);
	options.max_depth = 2;
	expect_with(m, nested, &options, "{a,[a,#{...}]}");
	options.syntax = ETP_SYNTAX_ELIXIR;
	expect_with(m, nested, &options, "{:a, [:a, %{...}]}");

	etp_term list = mock_list(m, a, one, a, one);
	etp_term map = mock_map(m, a, one, mock_atom(m, "b"), one, mock_atom(m, "c"), one);
	etp_term bytes = mock_binary(m, "\1\2\3", 3);
	options = options_of(ETP_SYNTAX_ERLANG_WRITE);
	options.max_length = 2;
	expect_with(m, list, &options, "[a,1|...]");
	expect_with(m, mock_tuple(m, a, one, a), &options, "{a,1,...}");
	expect_with(m, map, &options, "#{a => 1,b => 1,...}");
	expect_with(m, bytes, &options, "<<1,2,...>>");
	expect_with(m, mock_list(m, a, one), &options, "[a,1]");
	options.syntax = ETP_SYNTAX_ELIXIR;
	expect_with(m, list, &options, "[:a, 1, ...]");
	expect_with(m, map, &options, "%{a: 1, b: 1, ...}");
	expect_with(m, bytes, &options, "<<1, 2, ...>>");

	options = options_of(ETP_SYNTAX_ERLANG_PRETTY);
	options.max_string = 3;
	expect_with(m, mock_string(m, "abcdef"), &options, "\"abc\"...");
	expect_with(m, mock_binary(m, "abcdef", 6), &options, "<<\"abc\"...>>");
	expect_with(m, mock_string(m, "abc"), &options, "\"abc\"");
	options.syntax = ETP_SYNTAX_ELIXIR;
	expect_with(m, mock_string(m, "abcdef"), &options, "'abc' ++ ...");
	expect_with(m, mock_binary(m, "abcdef", 6), &options, "\"abc\" <> ...");
}

static void test_what_is_no_term(void **state)
{
	struct mock *m = *state;
	same(m, mock_boxed(MOCK_NOWHERE), "#Unreadable<0x7000>");
	same(m, MOCK_NOWHERE | TAG_PRIMARY_LIST, "#Unreadable<0x7000>");
	same(m, 0, "<TNV>");
	same(m, 12 << 6 | TAG_IMMED2_CATCH, "#Catch<12>");
	same(m, mock_header(m, ETP_THING_TUPLE, 3), "#Header<0xc0>");
	same(m, MOCK_HEAP, "#CP<0x10002100>");
	etp_term a = mock_atom(m, "a");
	expect(m, mock_tuple(m, a, mock_cons(m, a, mock_boxed(MOCK_NOWHERE))),
	       ETP_SYNTAX_ERLANG_WRITE, "{a,[a|#Unreadable<0x7000>]}");
	assert_true(m->reader.faults > 0);
}

// No number of a bignum may take forever, or more than there is.
static void test_huge_bignum(void **state)
{
	struct mock *m = *state;
	struct etp_print_options options = options_of(ETP_SYNTAX_ERLANG_WRITE);
	uint64_t count = 52000, *digits = malloc(count * sizeof(*digits));
	memset(digits, 0x77, count * sizeof(*digits));
	char *text = print(m, mock_big(m, false, count, digits), &options);
	// As integer_to_list/1 of the same.
	assert_int_equal(strlen(text), 1001828);
	free(text);
	free(digits);
	uint64_t address = mock_alloc(m, 1 << 20);
	mock_put(m, address, mock_header(m, ETP_THING_POS_BIG, (1 << 20) - 1));
	same(m, mock_boxed(address), "#Big<1048575 words>");
}

static void test_deep(void **state)
{
	struct mock *m = *state;
	enum { LEVELS = 1000000 };
	etp_term list = ETP_NIL, tuple = ETP_NIL;
	for (int i = 0; i < LEVELS; i++) {
		list = mock_cons(m, list, ETP_NIL);
		tuple = mock_tuple(m, term_make_small(1), tuple);
	}
	for (int syntax = ETP_SYNTAX_ERLANG_WRITE; syntax <= ETP_SYNTAX_ELIXIR; syntax++) {
		struct etp_print_options options = options_of(syntax);
		options.width = 0;
		char *text = print(m, list, &options);
		assert_int_equal(strlen(text), 2 * (LEVELS + 1));
		free(text);
		text = print(m, tuple, &options);
		assert_int_equal(strlen(text), (syntax == ETP_SYNTAX_ELIXIR ? 5 : 4) * LEVELS + 2);
		free(text);
		// Lines are indented by a million columns then: cut.
		options.width = 80;
		options.max_bytes = 1000000;
		text = print(m, tuple, &options);
		assert_true(strlen(text) <= options.max_bytes + 3);
		assert_string_equal(text + strlen(text) - 3, "...");
		free(text);
	}
}

static void test_cycles(void **state)
{
	struct mock *m = *state;
	etp_term one = term_make_small(1);
	etp_term list = mock_cons(m, one, ETP_NIL), string = mock_string(m, "a");
	mock_put(m, term_pointer(list) + 8, list);
	mock_put(m, term_pointer(string) + 8, string);
	etp_term tuple = mock_tuple(m, one, one), map = mock_map(m, one, one);
	mock_put(m, term_pointer(tuple) + 8, tuple);
	mock_put(m, term_pointer(tuple) + 16, tuple);
	mock_put(m, term_pointer(map) + SIZEOF(&m->vm, flatmap), map);
	const etp_term terms[] = {list, string, tuple, map};
	for (size_t i = 0; i < sizeof(terms) / sizeof(*terms); i++) {
		for (int syntax = ETP_SYNTAX_ERLANG_WRITE; syntax <= ETP_SYNTAX_ELIXIR; syntax++) {
			for (unsigned width = 0; width <= 80; width += 80) {
				struct etp_print_options options = options_of(syntax);
				options.width = width;
				options.max_bytes = 100000;
				char *text = print(m, terms[i], &options);
				assert_in_range(strlen(text), 1000, options.max_bytes + 3);
				free(text);
			}
		}
	}
}

// Without white space, and without `dots` characters and brackets at the end.
static char *without_space(char *text, size_t dots)
{
	size_t size = 0;
	text[strlen(text) - dots] = '\0';
	for (const char *c = text; *c; c++)
		if (*c != ' ' && *c != '\n')
			text[size++] = *c;
	while (dots && size && strchr("]})>", text[size - 1]))
		size--;
	text[size] = '\0';
	return text;
}

// Wherever a print is cut, the second pass finds its way through what there is.
static void test_every_cut(void **state)
{
	struct mock *m = *state;
	etp_term key = mock_tuple(m, wide_term(m), mock_atom(m, "a key that fills a line"));
	etp_term term = mock_map(m, key, wide_term(m));
	for (int syntax = ETP_SYNTAX_ERLANG_WRITE; syntax <= ETP_SYNTAX_ELIXIR; syntax++) {
		struct etp_print_options options = options_of(syntax);
		options.width = 20;
		char *whole = without_space(print(m, term, &options), 0);
		for (uint64_t size = 1; size < 500; size++) {
			options.max_bytes = size;
			char *text = print(m, term, &options);
			assert_true(strlen(text) <= size + 3);
			if (strlen(text) > 3 && !strcmp(text + strlen(text) - 3, "...")) {
				without_space(text, 3);
				assert_memory_equal(text, whole, strlen(text));
			}
			free(text);
		}
		free(whole);
	}
}

static void test_redact(void **state)
{
	struct mock *m = *state;
	etp_term key = mock_atom(m, "user"), secret = mock_atom(m, "secret");
	etp_term row = mock_tuple(m, key, secret, term_make_small(42), mock_float(m, 1.5),
	                          mock_binary(m, "password", 8), mock_string(m, "hunter2"),
	                          mock_map(m, key, secret));
	struct etp_print_options options = options_of(ETP_SYNTAX_ERLANG_WRITE);
	options.redact = true;
	expect_with(m, row, &options,
	            "{user,#Atom,#Int,#Float,<<8 bytes>>,[#Int,#Int,#Int,#Int,#Int,#Int,#Int],"
	            "#{user => #Atom}}");
	options.syntax = ETP_SYNTAX_ERLANG_PRETTY;
	expect_with(m, row, &options,
	            "{user,#Atom,#Int,#Float,<<8 bytes>>,\"7 chars\",#{user => #Atom}}");
	options.syntax = ETP_SYNTAX_ELIXIR;
	expect_with(m, row, &options,
	            "{:user, #Atom, #Int, #Float, <<8 bytes>>, '7 chars', %{user: #Atom}}");
}

// Whatever the data, no character that a terminal would act on gets out.
static void check_safe(const char *text, bool lines)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (!lines || *c != '\n')
			assert_true(*c >= 0x20 && *c != 0x7f);
		if (*c == 0xc2)
			assert_true(c[1] >= 0xa0);
		// U+202A to U+202E, U+2066 to U+2069
		if (c[0] == 0xe2 && c[1] == 0x80)
			assert_false(c[2] >= 0xaa && c[2] <= 0xae);
		if (c[0] == 0xe2 && c[1] == 0x81)
			assert_false(c[2] >= 0xa6 && c[2] <= 0xa9);
	}
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	to[0] = (char)(0xe0 | c >> 12);
	to[1] = (char)(0x80 | (c >> 6 & 0x3f));
	to[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

static void test_terminal_safety(void **state)
{
	struct mock *m = *state;
	static const uint32_t acting[] = {0x61c, 0x200e, 0x202a, 0x202e, 0x2028, 0x2066, 0x2069};
	for (uint32_t i = 0; i < 0x100 + sizeof(acting) / sizeof(*acting); i++) {
		uint32_t c = i < 0x100 ? i : acting[i - 0x100];
		char name[4];
		size_t size = put_utf8(name, c);
		etp_term atom = mock_atom_of(m, name, size);
		etp_term term = mock_list(m, atom, mock_binary(m, name, size),
		                          mock_binary(m, (unsigned char[]){(unsigned char)c}, 1),
		                          mock_list(m, term_make_small(c)), mock_map(m, atom, atom),
		                          mock_list(m, mock_tuple(m, atom, atom)));
		for (int syntax = ETP_SYNTAX_ERLANG_WRITE; syntax <= ETP_SYNTAX_ELIXIR; syntax++) {
			struct etp_print_options options = options_of(syntax);
			options.unicode = options.printable_unicode = true;
			char *text = print(m, term, &options);
			check_safe(text, options.width);
			free(text);
		}
	}
}

// Text that is there stays as it is.
static void test_appends(void **state)
{
	struct mock *m = *state;
	struct etp_print_options options = options_of(ETP_SYNTAX_ERLANG_PRETTY);
	struct etp_string text = {0};
	assert_null(etp_print_term(&m->vm, &m->reader, mock_atom(m, "a"), &options, &text));
	assert_null(etp_print_term(&m->vm, &m->reader, mock_string(m, "b"), &options, &text));
	assert_string_equal(text.data, "a\"b\"");
	etp_string_deinit(&text);
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
		TEST(test_numbers),         TEST(test_float_notation), TEST(test_atoms),
		TEST(test_lists_and_text),  TEST(test_lines),          TEST(test_limits),
		TEST(test_what_is_no_term), TEST(test_huge_bignum),    TEST(test_deep),
		TEST(test_cycles),          TEST(test_redact),         TEST(test_terminal_safety),
		TEST(test_appends),         TEST(test_every_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
