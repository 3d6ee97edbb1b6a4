// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <etp/layout.h>

#include "layout/build_options.h"
#include "layout/dwarf_structs.h"
#include "layout/layout_private.h"
#include "layout/registry.h"
#include "layout_sample.h"

static const char *sample_path;
static char directory[] = "/tmp/etp-test-layout-XXXXXX";

static void assert_ok(struct etp_error *err)
{
	if (err)
		print_error("%s\n", err->message);
	assert_null(err);
}

static void assert_error(struct etp_error *err, enum etp_error_kind kind, const char *part)
{
	assert_non_null(err);
	if (err->kind != kind || !strstr(err->message, part))
		print_error("kind %d, wanted \"%s\" in: %s\n", err->kind, part, err->message);
	assert_int_equal(err->kind, kind);
	assert_non_null(strstr(err->message, part));
	etp_error_destroy(err);
}

static char *path_in_directory(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

// DWARF

enum { MAX_SAMPLE_MEMBERS = 24 };

struct sample_result {
	struct etp_layout_member members[MAX_SAMPLE_MEMBERS];
	uint32_t sizes[4];
};

static struct etp_error *resolve(const struct etp_registry_struct *structs, size_t struct_count,
                                 const struct etp_registry_member *members, size_t member_count,
                                 struct sample_result *ret)
{
	assert_true(member_count <= MAX_SAMPLE_MEMBERS);
	struct etp_registry registry = {structs, struct_count, members, member_count};
	return etp_dwarf_structs(sample_path, &registry, ret->members, ret->sizes);
}

#define M(index, path, required)                                                                   \
	{                                                                                          \
		index, path, "Struct." path, path, required                                        \
	}
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void assert_member(const struct etp_layout_member *member, size_t offset, size_t size,
                          size_t count)
{
	assert_int_equal(member->offset, offset);
	assert_int_equal(member->size, size);
	assert_int_equal(member->count, count);
}

static void test_dwarf_members(void **state)
{
	static const struct etp_registry_struct structs[] = {
		{"All", "sample_all_s|SampleAll"},
		{"Term", "SampleTerm"},
		{"Inner", "sample_inner"},
	};
	static const struct etp_registry_member members[] = {
		M(0, "number", true),      M(0, "u.r.o.deep", true), M(0, "low", true),
		M(0, "high", true),        M(0, "both", true),       M(0, "qualified", true),
		M(0, "numbers", true),     M(0, "matrix", true),     M(0, "pair", true),
		M(0, "pair.o.deep", true), M(0, "pointer", true),    M(0, "function", true),
		M(0, "byte", true),        M(0, "rest", true),       M(0, "tail", true),
		M(0, "bit", false),        M(0, "nope|both", true),  M(0, "nope", false),
		M(0, "numbers.x", false),  M(0, "u.", false),        M(1, "tpl", true),
		M(1, "size", true),        M(2, "o", true),
	};
	struct sample_result r;
	assert_ok(resolve(structs, COUNT(structs), members, COUNT(members), &r));
	assert_int_equal(r.sizes[0], sizeof(SampleAll));
	assert_int_equal(r.sizes[1], sizeof(SampleTerm));
	assert_int_equal(r.sizes[2], sizeof(struct sample_inner));

	const struct etp_layout_member *m = r.members;
	assert_member(m++, offsetof(SampleAll, number), sizeof(int), 1);
	assert_member(m++, offsetof(SampleAll, u.r.o.deep), 8, 1);
	assert_member(m++, offsetof(SampleAll, low), 2, 1);
	assert_member(m++, offsetof(SampleAll, high), 2, 1);
	assert_member(m++, offsetof(SampleAll, both), 4, 1);
	assert_member(m++, offsetof(SampleAll, qualified), 8, 1);
	assert_member(m++, offsetof(SampleAll, numbers), 4, 3);
	assert_member(m++, offsetof(SampleAll, matrix), 2, 10);
	assert_member(m++, offsetof(SampleAll, pair), sizeof(struct sample_inner), 2);
	assert_member(m++, offsetof(SampleAll, pair[0].o.deep), 8, 1);
	assert_member(m++, offsetof(SampleAll, pointer), sizeof(void *), 1);
	assert_member(m++, offsetof(SampleAll, function), sizeof(void *), 1);
	// The bit-fields share the word that follows `function`.
	size_t bits = offsetof(SampleAll, function) + sizeof(void *);
	assert_member(m++, bits + 1, 1, 1);
	assert_member(m++, bits + 2, 2, 1);
	assert_member(m++, offsetof(SampleAll, tail), 8, 0);
	assert_member(m++, bits, 1, 1); // the byte that one bit is in
	assert_member(m++, offsetof(SampleAll, both), 4, 1);
	assert_int_equal((m++)->offset, ETP_LAYOUT_ABSENT);
	assert_int_equal((m++)->offset, ETP_LAYOUT_ABSENT);
	assert_int_equal((m++)->offset, ETP_LAYOUT_ABSENT);
	assert_member(m++, offsetof(SampleTerm, tpl), 8, 1);
	assert_member(m++, offsetof(SampleTerm, size), 4, 1);
	assert_member(m++, offsetof(struct sample_inner, o), 16, 1);
	assert_int_equal(m - r.members, COUNT(members));
}

static void test_dwarf_missing(void **state)
{
	static const struct etp_registry_struct structs[] = {
		{"Inner", "sample_inner"},
		{"Opaque", "sample_opaque"},
		{"Gone", "sample_gone|SampleGone"},
	};
	static const struct etp_registry_member members[] = {
		M(0, "first", true),
		{0, "last", "Inner.last", "last|final", true},
		{1, "x", "Opaque.x", "x", true},
		{2, "y", "Gone.y", "y", true},
	};
	struct sample_result r;
	assert_error(resolve(structs, 3, members, 4, &r), ETP_ERROR_LAYOUT,
	             "Inner.last (no last|final), Opaque (no struct or typedef sample_opaque), "
	             "Gone (no struct or typedef sample_gone|SampleGone)");
	// Only optional members: absent, not wrong.
	static const struct etp_registry_member optional[] = {M(0, "first", true), M(1, "x", false),
	                                                      M(2, "y", false)};
	assert_ok(resolve(structs, 3, optional, 3, &r));
	assert_int_equal(r.sizes[1], ETP_LAYOUT_ABSENT);
	assert_int_equal(r.members[1].offset, ETP_LAYOUT_ABSENT);
}

static void test_dwarf_same_name(void **state)
{
	static const struct etp_registry_struct structs[] = {{"Common", "sample_common_name"}};
	static const struct etp_registry_member members[] = {M(0, "wanted", true),
	                                                     M(0, "also_wanted", true)};
	struct sample_result r;
	// Whichever unit comes first, the struct that has all members is meant.
	assert_ok(resolve(structs, 1, members, 2, &r));
	assert_member(&r.members[0], 0, 1, 1);
	static const struct etp_registry_member other[] = {M(0, "something_else", true),
	                                                   M(0, "wanted", true)};
	assert_ok(resolve(structs, 1, other, 2, &r));
	assert_member(&r.members[1], 4, 1, 1);
	// Which of two that fit equally well, nobody can tell.
	static const struct etp_registry_struct twins[] = {{"Twin", "sample_twin"}};
	static const struct etp_registry_member twin[] = {M(0, "a", true), M(0, "b", true)};
	assert_error(resolve(twins, 1, twin, 2, &r), ETP_ERROR_LAYOUT,
	             "Twin (two different structs, in ");
}

// Where in the file of the sample it stands how many bytes the struct of this name has.
static uint64_t place_of_size(Dwarf *dwarf, const char *name)
{
	size_t names, header;
	Elf *elf = dwarf_getelf(dwarf);
	GElf_Shdr section = {0};
	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	for (Elf_Scn *next = NULL; (next = elf_nextscn(elf, next));) {
		gelf_getshdr(next, &section);
		if (strcmp(elf_strptr(elf, names, section.sh_name), ".debug_info") == 0)
			break;
	}
	for (Dwarf_Off at = 0, next; !dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL);
	     at = next) {
		Dwarf_Die unit, die;
		dwarf_offdie(dwarf, at + header, &unit);
		if (dwarf_child(&unit, &die) != 0)
			continue;
		do {
			Dwarf_Attribute size;
			if (dwarf_tag(&die) == DW_TAG_structure_type && dwarf_diename(&die) &&
			    strcmp(dwarf_diename(&die), name) == 0 &&
			    dwarf_attr(&die, DW_AT_byte_size, &size))
				return section.sh_offset + dwarf_dieoffset(&die) +
				       (uint64_t)(size.valp - (unsigned char *)die.addr);
		} while (dwarf_siblingof(&die, &die) == 0);
	}
	fail_msg("no struct %s", name);
	return 0;
}

// DWARF by which a member is beyond the end of its struct: whoever has the struct's bytes has not
// the member's.
static void test_dwarf_of_members_beyond_their_struct(void **state)
{
	static const struct etp_registry_struct structs[] = {{"Inner", "sample_inner"}};
	static const struct etp_registry_member members[] = {M(0, "first", true),
	                                                     M(0, "o.deep", true)};
	char command[1200], *path = path_in_directory("forged");
	snprintf(command, sizeof(command), "cp '%s' '%s'", sample_path, path);
	assert_int_equal(system(command), 0);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
	assert_non_null(dwarf);
	uint64_t place = place_of_size(dwarf, "sample_inner");
	dwarf_end(dwarf);
	unsigned char size;
	assert_int_equal(pread(fd, &size, 1, (off_t)place), 1);
	assert_int_equal(size, sizeof(struct sample_inner));

	const struct etp_registry registry = {structs, 1, members, 2};
	struct sample_result r;
	size--;
	assert_int_equal(pwrite(fd, &size, 1, (off_t)place), 1);
	assert_error(etp_dwarf_structs(path, &registry, r.members, r.sizes), ETP_ERROR_LAYOUT,
	             "Struct.o.deep");
	close(fd);
	unlink(path);
}

static void test_dwarf_bad_files(void **state)
{
	struct etp_layout *layout = NULL;
	assert_error(etp_layout_from_dwarf(path_in_directory("none"), &layout), ETP_ERROR_OS,
	             "No such file");
	char *path = path_in_directory("text");
	write_text(path, "This is not an ELF file.\n");
	assert_error(etp_layout_from_dwarf(path, &layout), ETP_ERROR_UNSUPPORTED,
	             "is not an ELF file");
	write_text(path, "");
	assert_error(etp_layout_from_dwarf(path, &layout), ETP_ERROR_UNSUPPORTED,
	             "is not an ELF file");
	write_text(path, "\177ELF\2\1\1");
	assert_error(etp_layout_from_dwarf(path, &layout), ETP_ERROR_UNSUPPORTED, path);
	assert_error(etp_layout_from_dwarf(sample_path, &layout), ETP_ERROR_UNSUPPORTED,
	             "is not a beam.smp");
	assert_null(layout);
}

// Build options

static const char config_h[] = "/* x.h.  Generated from config.h.in by configure.  */\n"
			       "#ifndef __ERTS_CONFIG_H__\n"
			       "#define __ERTS_CONFIG_H__\n"
			       "#define SIZEOF_VOID_P 8\n"
			       "#define HAVE_PPOLL 1\n"
			       "/* #undef SHCOPY */\n"
			       "  #  define\tERLANG_FRAME_POINTERS /**/\n"
			       "#define ERTS_EMU_CMDLINE_FLAGS \"-I/build/SHCOPY=1\"\n"
			       "#define ERTS_ENDIANNESS -1  \n"
			       "#if defined(DEBUG)\n"
			       "#define ERTS_ENABLE_LOCK_CHECK 1\n"
			       "#endif\n"
			       "#endif\n";
static const char options_text[] = "ERLANG_FRAME_POINTERS=\n"
				   "ERTS_ENDIANNESS=-1\n"
				   "SIZEOF_VOID_P=8\n"
				   "etp_lock_count=0\n";

static void test_build_options(void **state)
{
	char *text = NULL;
	assert_ok(etp_build_options_normalize(config_h, "etp_lock_count=0\n", &text));
	assert_string_equal(text, options_text);
	free(text);

	char difference[256];
	assert_false(etp_build_options_differ(options_text, options_text, difference,
	                                      sizeof(difference)));
	assert_true(etp_build_options_differ("A=1\nB=2\nC=\n", "A=1\nB=3\nD=4\n", difference,
	                                     sizeof(difference)));
	assert_string_equal(difference, "B=2 instead of 3, C=, no D=4");
	// SIZEOF_LONG is not the beginning of SIZEOF_LONG_LONG.
	assert_true(
		etp_build_options_differ("AB=1\n", "A=1\nAB=1\n", difference, sizeof(difference)));
	assert_string_equal(difference, "no A=1");
	assert_true(etp_build_options_differ("LONG_NAME=1\n", "", difference, 6));
	assert_true(strlen(difference) < 6);
}

static void test_glibc_for_musl(void **state)
{
	(void)state;
	static const char glibc[] = "A=1\nlibc=gnu\n", musl[] = "A=1\nlibc=musl\n";
	assert_true(etp_build_options_glibc_for_musl(glibc, musl));
	assert_false(etp_build_options_glibc_for_musl(musl, glibc));
	assert_false(etp_build_options_glibc_for_musl(musl, musl));
	// Something else differs too, before and behind.
	assert_false(etp_build_options_glibc_for_musl("A=2\nlibc=gnu\n", musl));
	assert_false(etp_build_options_glibc_for_musl("A=1\nlibc=gnu\nz=1\n", musl));
	assert_false(etp_build_options_glibc_for_musl(glibc, "A=1\nlibc=musl2\n"));
}

// Layout files

// A layout with numbers that are all different and fit.
static struct etp_layout *make_layout(void)
{
	struct etp_layout_private *private;
	assert_ok(etp_layout_create(&private));
	struct etp_layout *layout = &private->layout;
	assert_ok(etp_layout_set_string(&layout->otp_release, "25"));
	assert_ok(etp_layout_set_string(&layout->erts_version, "13.1.5"));
	assert_ok(etp_layout_set_string(&layout->flavor, "jit"));
	assert_ok(etp_layout_set_string(&layout->machine, "x86_64"));
	assert_ok(etp_layout_set_string(&layout->origin, "a \"test\"\n with \\ and ä"));
	assert_ok(etp_layout_set_string(&layout->build_options, options_text));
	layout->build_id = (struct etp_build_id){{0xab, 0xcd, 0x01}, 3};
	for (uint32_t i = 0; i < ETP_STRUCT_COUNT; i++)
		layout->struct_sizes[i] = 10000 + i;
	for (uint32_t i = 0; i < ETP_MEMBER_COUNT; i++)
		if (etp_registry.members[i].required)
			layout->members[i] = (struct etp_layout_member){i, i % 8, i % 3};
	return layout;
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char *text = calloc(1, 1 << 20);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void test_file_round_trip(void **state)
{
	struct etp_layout *layout = make_layout();
	struct etp_build_id also = {{0x12, 0x34}, 2};
	assert_ok(etp_layout_add_build_id(etp_layout_private(layout), &also));
	assert_ok(etp_layout_add_build_id(etp_layout_private(layout), &also));
	char *path = path_in_directory("round-trip.json");
	assert_ok(etp_layout_write(layout, NULL, path));

	struct etp_layout *read;
	assert_ok(etp_layout_from_file(path, &read));
	char difference[256] = "";
	assert_true(etp_layout_equal(layout, read, difference, sizeof(difference)));
	assert_string_equal(read->otp_release, "25");
	assert_string_equal(read->erts_version, "13.1.5");
	assert_string_equal(read->flavor, "jit");
	assert_string_equal(read->machine, "x86_64");
	assert_string_equal(read->origin, layout->origin);
	assert_string_equal(read->build_options, options_text);
	assert_non_null(strstr(read->source, path));
	assert_true(etp_layout_has_build_id(read, &layout->build_id));
	assert_true(etp_layout_has_build_id(read, &also));
	assert_false(etp_layout_has_build_id(read, &(struct etp_build_id){{0x12, 0x34, 0}, 3}));
	assert_false(etp_layout_has_build_id(read, &(struct etp_build_id){.size = 0}));
	assert_int_equal(etp_layout_private(read)->also_count, 1);

	// What was read is written as it stood.
	char *first = read_text(path);
	assert_ok(etp_layout_write(read, NULL, path));
	char *second = read_text(path);
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "\n        \"htop\": ["));
	free(first);
	free(second);

	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_mode & S_IRUSR);
	etp_layout_destroy(read);

	assert_error(etp_layout_write(layout, NULL, path_in_directory("no/such/file")),
	             ETP_ERROR_OS, "No such file");
	etp_layout_destroy(layout);
}

static void test_equal(void **state)
{
	struct etp_layout *a = make_layout(), *b = make_layout();
	char difference[256] = "";
	assert_true(etp_layout_equal(a, b, NULL, 0));
	b->members[ETP_MEMBER_Process_htop].offset++;
	assert_false(etp_layout_equal(a, b, NULL, 0));
	assert_false(etp_layout_equal(a, b, difference, sizeof(difference)));
	assert_non_null(strstr(difference, "Process.htop"));
	b->members[ETP_MEMBER_Process_htop] = a->members[ETP_MEMBER_Process_htop];
	b->members[ETP_MEMBER_DbTerm_tpl].count++;
	assert_false(etp_layout_equal(a, b, difference, sizeof(difference)));
	assert_non_null(strstr(difference, "DbTerm.tpl"));
	b->members[ETP_MEMBER_DbTerm_tpl].offset = ETP_LAYOUT_ABSENT;
	assert_false(etp_layout_equal(a, b, difference, sizeof(difference)));
	assert_string_equal(difference, "DbTerm.tpl is only in the first of the two");
	b->members[ETP_MEMBER_DbTerm_tpl] = a->members[ETP_MEMBER_DbTerm_tpl];
	b->struct_sizes[ETP_STRUCT_Atom]++;
	assert_false(etp_layout_equal(a, b, difference, sizeof(difference)));
	assert_non_null(strstr(difference, "Atom has "));
	etp_layout_destroy(a);
	etp_layout_destroy(b);
}

// Write a good file with the first `from` replaced by `to`, and read that.
static struct etp_error *read_changed(const char *from, const char *to, struct etp_layout **ret)
{
	struct etp_layout *layout = make_layout();
	char *path = path_in_directory("changed.json");
	assert_ok(etp_layout_write(layout, NULL, path));
	etp_layout_destroy(layout);
	char *text = read_text(path);
	char *at = strstr(text, from);
	assert_non_null(at);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_int_equal(fclose(f), 0);
	free(text);
	return etp_layout_from_file(path, ret);
}

static void test_file_malformed(void **state)
{
	static const struct {
		const char *from, *to;
		enum etp_error_kind kind;
		const char *message;
	} cases[] = {
		{"\"etp-layout\"", "\"other\"", ETP_ERROR_BAD_DATA, "is not a layout file"},
		{"\"format_version\": 1", "\"format_version\": 2", ETP_ERROR_LAYOUT, "newer etp"},
		{"\"format_version\": 1", "\"format_version\": \"1\"", ETP_ERROR_BAD_DATA,
	         "format_version"},
		{"\"otp_release\": \"25\"", "\"otp_release\": 25", ETP_ERROR_BAD_DATA,
	         "\"otp_release\""},
		{"\"flavor\": \"jit\"", "\"flavor\": \"\"", ETP_ERROR_BAD_DATA, "is empty"},
		{"\"machine\"", "\"other\"", ETP_ERROR_BAD_DATA, "\"machine\" is missing"},
		{"\"jit\"", "\"j\\u0000it\"", ETP_ERROR_BAD_DATA, "NUL"},
		{"\"abcd01\"", "\"abcd0\"", ETP_ERROR_BAD_DATA, "\"build_id\""},
		{"\"abcd01\"", "\"xyzw\"", ETP_ERROR_BAD_DATA, "\"build_id\""},
		{"\"also_build_ids\": []", "\"also_build_ids\": [7]", ETP_ERROR_BAD_DATA, "item 1"},
		{"\"SIZEOF_VOID_P=8\"", "\"SIZEOF_VOID_P\"", ETP_ERROR_BAD_DATA,
	         "\"build_options\""},
		{"\"structs\": {", "\"structs\": 3, \"x\": {", ETP_ERROR_BAD_DATA, "\"structs\""},
		{"\"size\": 10000", "\"size\": -1", ETP_ERROR_BAD_DATA, "struct Atom"},
		{"\"size\": 10000", "\"size\": 99999999999", ETP_ERROR_BAD_DATA, "struct Atom"},
		{"\"size\": 10000", "\"size\": 10000.5", ETP_ERROR_BAD_DATA, "struct Atom"},
		{"\"size\": 10000", "\"size\": 2", ETP_ERROR_BAD_DATA, "its struct has only 2"},
		{"\"size\": 10000", "\"size\": 10000, \"size\": 10001", ETP_ERROR_BAD_DATA,
	         "twice"},
		{"\"len\": [1, 1, 1]", "\"len\": [1, 1]", ETP_ERROR_BAD_DATA, "Atom.len"},
		{"\"len\": [1, 1, 1]", "\"len\": [1, 1, 1, 1]", ETP_ERROR_BAD_DATA, "Atom.len"},
		{"\"len\": [1, 1, 1]", "\"len\": [1, \"1\", 1]", ETP_ERROR_BAD_DATA, "Atom.len"},
		{"\"len\": [1, 1, 1]", "\"len\": [-1, 1, 1]", ETP_ERROR_BAD_DATA, "Atom.len"},
		{"\"len\": [1, 1, 1]", "\"len\": [1, 65535, 65536]", ETP_ERROR_BAD_DATA,
	         "Atom.len ends at byte 4294901761"},
		{"\"len\": [1, 1, 1]", "\"len\": {}", ETP_ERROR_BAD_DATA, "Atom.len"},
		{"\"len\": [1, 1, 1]", "\"len\": null", ETP_ERROR_LAYOUT, "Atom.len"},
		{"\"len\": [1, 1, 1]", "\"len2\": [1, 1, 1]", ETP_ERROR_LAYOUT,
	         "An older etp wrote it"},
		{"\"Atom\": {", "\"Atom\": null, \"Atom2\": {", ETP_ERROR_LAYOUT,
	         "Atom.index, Atom.len, Atom.name"},
		{"\"len\": [", "\"len\": [,", ETP_ERROR_BAD_DATA, "is not JSON"},
		{"{", "[", ETP_ERROR_BAD_DATA, "is not JSON"},
		{"{", "{} {", ETP_ERROR_BAD_DATA, "is not JSON"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct etp_layout *layout = NULL;
		assert_error(read_changed(cases[i].from, cases[i].to, &layout), cases[i].kind,
		             cases[i].message);
		assert_null(layout);
	}
	struct etp_layout *layout;
	// What a newer etp may add is ignored.
	assert_ok(read_changed("\"otp_release\"",
	                       "\"news\": {\"a:b\": [\":\\\"\"]}, \"otp_release\"", &layout));
	etp_layout_destroy(layout);
	assert_ok(read_changed("\"Atom\": {", "\"Atom2\": 3, \"Atom\": {\"x\": [],", &layout));
	etp_layout_destroy(layout);
}

// Every prefix of a layout file is an error, never a crash or a layout.
static void test_file_truncated(void **state)
{
	struct etp_layout *layout = make_layout();
	char *path = path_in_directory("truncated.json");
	assert_ok(etp_layout_write(layout, NULL, path));
	etp_layout_destroy(layout);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	// The last two bytes are "}" and a newline.
	for (off_t size = st.st_size - 2; size >= 0; size -= size > 300 ? 97 : 1) {
		assert_int_equal(truncate(path, size), 0);
		struct etp_error *err = etp_layout_from_file(path, &layout);
		assert_non_null(err);
		assert_int_equal(err->kind, ETP_ERROR_BAD_DATA);
		etp_error_destroy(err);
	}
	assert_error(etp_layout_from_file(directory, &layout), ETP_ERROR_BAD_DATA,
	             "not a regular file");
	assert_error(etp_layout_from_file(path_in_directory("none.json"), &layout), ETP_ERROR_OS,
	             "No such file");
}

// The choice of a layout

struct vm {
	char release[3], version[7], arch[20];
	int32_t beamasm, debug, lock_check, lock_count, arch_bits;
	uint64_t config_h;
	char config_text[sizeof(config_h)];
};

enum { VM_ADDRESS = 0x400000 };

static void make_vm(struct vm *vm)
{
	*vm = (struct vm){.release = "25",
	                  .version = "13.1.5",
	                  .arch = "x86_64-pc-linux-gnu",
	                  .beamasm = 1,
	                  .arch_bits = 64,
	                  .config_h = VM_ADDRESS + offsetof(struct vm, config_text)};
	memcpy(vm->config_text, config_h, sizeof(config_h));
}

static struct etp_target *make_target(const struct vm *vm)
{
#define S(name, field)                                                                             \
	{                                                                                          \
		name, VM_ADDRESS + offsetof(struct vm, field), sizeof(vm->field)                   \
	}
	const struct etp_memory_symbol symbols[] = {
		S("etp_otp_release", release),
		S("etp_erts_version", version),
		S("etp_arch", arch),
		S("etp_beamasm", beamasm),
		S("etp_debug_compiled", debug),
		S("etp_lock_check", lock_check),
		S("etp_lock_count", lock_count),
		S("etp_arch_bits", arch_bits),
		S("erts_build_flags_CONFIG_H", config_h),
	};
#undef S
	const struct etp_memory memory = {VM_ADDRESS, sizeof(*vm), vm};
	struct etp_target *target;
	assert_ok(etp_target_create_memory(&memory, 1, symbols, COUNT(symbols), &target));
	return target;
}

// A layout file for the VM of make_vm(), in a directory of its own.
static void put_layout(const char *path, const char *version, const char *options)
{
	struct etp_layout *layout = make_layout();
	assert_ok(etp_layout_set_string(&layout->erts_version, version));
	assert_ok(etp_layout_set_string(&layout->build_options, options));
	assert_ok(etp_layout_write(layout, NULL, path));
	etp_layout_destroy(layout);
}

static const char vm_options[] = "ERLANG_FRAME_POINTERS=\n"
				 "ERTS_ENDIANNESS=-1\n"
				 "SIZEOF_VOID_P=8\n"
				 "etp_arch_bits=64\n"
				 "etp_debug_compiled=0\n"
				 "etp_lock_check=0\n"
				 "etp_lock_count=0\n"
				 "libc=gnu\n";

static void test_choose(void **state)
{
	char user[300], shipped[300], path[400];
	snprintf(user, sizeof(user), "%s/config/etp/layouts", directory);
	snprintf(shipped, sizeof(shipped), "%s/shipped", directory);
	setenv("XDG_CONFIG_HOME", path_in_directory("config"), 1);
	assert_int_equal(mkdir(shipped, 0777), 0);
	const char *const directories[] = {shipped, NULL};
	struct etp_layout_options options = {.directories = directories};

	struct vm vm;
	make_vm(&vm);
	struct etp_target *target = make_target(&vm);
	struct etp_layout *layout = NULL;

	// Nothing there: the message names what was sought, and each place.
	struct etp_error *err = etp_layout_choose(target, &options, &layout);
	assert_non_null(err);
	assert_non_null(strstr(err->message, "OTP 25, ERTS 13.1.5, x86_64, jit"));
	assert_non_null(strstr(err->message, user));
	assert_non_null(strstr(err->message, "there is no such directory"));
	assert_non_null(strstr(err->message, shipped));
	assert_non_null(strstr(err->message, "no layout files"));
	assert_error(err, ETP_ERROR_LAYOUT, "scripts/extract-layout");

	// A patch release, a build with other options, and a damaged file do not fit.
	snprintf(path, sizeof(path), "%s/patch.json", shipped);
	put_layout(path, "13.1.4", vm_options);
	snprintf(path, sizeof(path), "%s/options.json", shipped);
	put_layout(path, "13.1.5", "ERTS_ENDIANNESS=1\n");
	snprintf(path, sizeof(path), "%s/damaged.json", shipped);
	write_text(path, "{");
	err = etp_layout_choose(target, &options, &layout);
	assert_non_null(err);
	assert_non_null(strstr(err->message, "patch.json is for OTP 25, ERTS 13.1.4"));
	assert_non_null(strstr(err->message, "options.json is for a build with other options: "
	                                     "ERTS_ENDIANNESS=1 instead of -1"));
	assert_error(err, ETP_ERROR_LAYOUT, "damaged.json");

	snprintf(path, sizeof(path), "%s/right.json", shipped);
	put_layout(path, "13.1.5", vm_options);
	assert_ok(etp_layout_choose(target, &options, &layout));
	assert_non_null(strstr(layout->source, path));
	etp_layout_destroy(layout);

	// The user's own comes first.
	assert_int_equal(mkdir(path_in_directory("config"), 0777), 0);
	assert_int_equal(mkdir(path_in_directory("config/etp"), 0777), 0);
	assert_int_equal(mkdir(user, 0777), 0);
	snprintf(path, sizeof(path), "%s/mine.json", user);
	put_layout(path, "13.1.5", vm_options);
	assert_ok(etp_layout_choose(target, &options, &layout));
	assert_non_null(strstr(layout->source, path));
	etp_layout_destroy(layout);
	etp_target_destroy(target);

	// The emulator flavor, and a VM with lock counters, are other builds.
	vm.beamasm = 0;
	target = make_target(&vm);
	assert_error(etp_layout_choose(target, &options, &layout), ETP_ERROR_LAYOUT, "x86_64, emu");
	etp_target_destroy(target);
	vm.beamasm = 1;
	vm.lock_count = 1;
	target = make_target(&vm);
	assert_error(etp_layout_choose(target, &options, &layout), ETP_ERROR_LAYOUT,
	             "etp_lock_count=0 instead of 1");

	// A file that is named is taken, whatever it is for.
	options.file = path;
	assert_ok(etp_layout_choose(target, &options, &layout));
	etp_layout_destroy(layout);
	etp_target_destroy(target);
}

static void test_choose_not_a_vm(void **state)
{
	struct etp_target *target;
	struct etp_layout *layout;
	struct etp_layout_options options = {0};
	const struct etp_memory memory = {0x1000, 4, "abc"};
	assert_ok(etp_target_create_memory(&memory, 1, NULL, 0, &target));
	assert_error(etp_layout_choose(target, &options, &layout), ETP_ERROR_LAYOUT,
	             "etp_otp_release");
	etp_target_destroy(target);

	// Symbols without their bytes.
	const struct etp_memory_symbol symbols[] = {{"etp_otp_release", 0x5000, 3}};
	assert_ok(etp_target_create_memory(&memory, 1, symbols, 1, &target));
	assert_error(etp_layout_choose(target, &options, &layout), ETP_ERROR_LAYOUT, "0x5000");
	etp_target_destroy(target);

	// A string that does not end, and one that is not a version.
	struct vm vm;
	make_vm(&vm);
	memcpy(vm.release, "2\n", 3);
	target = make_target(&vm);
	assert_error(etp_layout_choose(target, &options, &layout), ETP_ERROR_BAD_DATA,
	             "do not hold versions");
	etp_target_destroy(target);
	make_vm(&vm);
	char endless[256];
	memset(endless, '1', sizeof(endless));
	const struct etp_memory block = {0x5000, sizeof(endless), endless};
	assert_ok(etp_target_create_memory(&block, 1, symbols, 1, &target));
	assert_error(etp_layout_choose(target, &options, &layout), ETP_ERROR_BAD_DATA,
	             "does not end");
	etp_target_destroy(target);
}

static int make_directory(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "Usage: test_layout LAYOUT-SAMPLE\n");
		return 2;
	}
	sample_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dwarf_members),
		cmocka_unit_test(test_dwarf_missing),
		cmocka_unit_test(test_dwarf_same_name),
		cmocka_unit_test(test_dwarf_bad_files),
		cmocka_unit_test(test_dwarf_of_members_beyond_their_struct),
		cmocka_unit_test(test_build_options),
		cmocka_unit_test(test_glibc_for_musl),
		cmocka_unit_test(test_file_round_trip),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_file_malformed),
		cmocka_unit_test(test_file_truncated),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_choose_not_a_vm),
	};
	return cmocka_run_group_tests_name("layout", tests, make_directory, remove_directory);
}
