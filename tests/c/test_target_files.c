// SPDX-License-Identifier: Apache-2.0
// Pages and symbols from the files that were mapped: which file, and when not.

#include <sys/inotify.h>

#include "elf_builder.h"

#include "target/reader.h"

static const uint64_t base = 0x555500000000;
static const uint64_t library = 0x7f1100000000;

// What the core says of its executable.
struct core_options {
	const char *path;
	unsigned char seed;
	bool no_first_page, no_build_id, no_notes, no_loads_for_holes;
};

static void write_image(const char *path, struct image_options options)
{
	struct buffer image = build_image(options);
	write_file(path, &image);
	free(image.bytes);
}

// As the kernel dumps it: the first page, no read-only data, .data and .bss.
static void map_image(struct core_builder *core, uint64_t at, struct core_options options)
{
	struct image_options image_options = {.seed = options.seed,
	                                      .no_build_id = options.no_build_id};
	struct buffer image = build_image(image_options);
	static unsigned char data[2 * PAGE];
	memset(data, 0xdd, sizeof(data));
	core_load(core, at, PAGE, PF_R, image.bytes, options.no_first_page ? 0 : PAGE);
	if (!options.no_loads_for_holes)
		core_load(core, at + IMAGE_RODATA, PAGE, PF_R | PF_X, NULL, 0);
	core_load(core, at + IMAGE_DATA, 2 * PAGE, PF_R | PF_W, data, 2 * PAGE);
	if (!options.no_notes) {
		core_map_file(core, options.path, at, at + PAGE, 0);
		core_map_file(core, options.path, at + PAGE, at + 2 * PAGE, PAGE);
		core_map_file(core, options.path, at + 2 * PAGE, at + 3 * PAGE, 2 * PAGE);
	}
	free(image.bytes);
}

static void write_core(struct core_options options)
{
	struct core_builder core = {0};
	core_thread(&core, 7, 6);
	if (!options.no_notes)
		core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	map_image(&core, base, options);
	core_write(&core, in_dir("core"));
}

static bool can_read(const struct etp_target *target, uint64_t address)
{
	unsigned char byte;
	struct etp_error *err = etp_target_read(target, address, &byte, 1);
	if (!err)
		return true;
	assert_int_equal(err->kind, ETP_ERROR_FAULT);
	etp_error_destroy(err);
	return false;
}

// Symbols are at their runtime address, and the read-only page is that of the file.
static void check_in_use(const struct etp_target *target, const char *path)
{
	const struct etp_target_info *info = etp_target_info(target);
	assert_non_null(info->executable_path);
	assert_string_equal(info->executable_path, path);
	assert_int_equal(info->executable_bias, base);
	assert_int_equal(info->executable_start, base);
	assert_int_equal(info->executable_end, base + IMAGE_END);
	uint64_t address, size;
	assert_null(etp_target_symbol(target, "etp_otp_release", &address, &size));
	assert_int_equal(address, base + IMAGE_RELEASE);
	assert_int_equal(size, 3);
	char release[3];
	assert_null(etp_target_read(target, address, release, sizeof(release)));
	assert_string_equal(release, "25");
	assert_int_equal(info->bytes_total, info->bytes_saved + info->bytes_from_files +
	                                            info->bytes_missing + info->bytes_reserved);
}

static void check_not_in_use(const struct etp_target *target)
{
	const struct etp_target_info *info = etp_target_info(target);
	assert_null(info->executable_path);
	assert_false(can_read(target, base + IMAGE_RODATA));
	assert_int_equal(info->bytes_from_files, 0);
	uint64_t address;
	struct etp_error *err = etp_target_symbol(target, "etp_otp_release", &address, NULL);
	assert_non_null(err);
	assert_int_equal(err->kind, ETP_ERROR_NOT_FOUND);
	etp_error_destroy(err);
	assert_null(etp_target_dwarf_path(target));
}

static void test_path_that_the_core_names(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_core((struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->warning_count, 0);
	assert_int_equal(info->bytes_from_files, PAGE);
	assert_int_equal(info->bytes_missing, 0);
	assert_int_equal(info->file_count, 1);
	assert_true(info->files[0].is_executable);
	assert_true(info->files[0].matched);
	assert_string_equal(info->files[0].path, in_dir("beam.smp"));
	assert_string_equal(info->files[0].used_path, in_dir("beam.smp"));
	assert_int_equal(info->files[0].start, base);
	assert_int_equal(info->files[0].end, base + 3 * PAGE);
	assert_int_equal(info->core_build_id.size, 20);
	assert_int_equal(info->core_build_id.bytes[19], 5);
	assert_int_equal(info->executable_build_id.bytes[0], 5);
	// Each byte of the page, from the file; .data from the core, not from the file.
	struct buffer image = build_image((struct image_options){.seed = 5});
	unsigned char bytes[PAGE];
	assert_null(etp_target_read(target, base + IMAGE_RODATA, bytes, PAGE));
	assert_memory_equal(bytes, image.bytes + IMAGE_RODATA, PAGE);
	assert_null(etp_target_read(target, base + IMAGE_DATA, bytes, PAGE));
	assert_int_equal(bytes[0], 0xdd);
	free(image.bytes);
	// Across the seam between both.
	assert_null(etp_target_read(target, base + IMAGE_DATA - 8, bytes, 16));
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	const unsigned char *seam = etp_reader_at(&reader, base + IMAGE_DATA - 8, 16);
	assert_non_null(seam);
	assert_memory_equal(seam, bytes, 16);
	etp_target_destroy(target);
}

static void test_symbols_of_the_executable(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_core((struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	uint64_t address, size, offset;
	assert_null(etp_target_symbol(target, "erts_table", &address, &size));
	assert_int_equal(address, base + IMAGE_TABLE);
	assert_int_equal(size, 64);
	// A static is found if there is one of that name only.
	assert_null(etp_target_symbol(target, "hidden_too", &address, &size));
	assert_int_equal(address, base + IMAGE_DATA + 0x300);
	expect_error(etp_target_symbol(target, "hidden", &address, &size), ETP_ERROR_NOT_FOUND,
	             "More than one", "hidden", NULL);
	expect_error(etp_target_symbol(target, "absent", &address, &size), ETP_ERROR_NOT_FOUND,
	             "absent", in_dir("beam.smp"), NULL);
	assert_string_equal(etp_target_symbol_at(target, base + IMAGE_TABLE + 63, &offset),
	                    "erts_table");
	assert_int_equal(offset, 63);
	assert_string_equal(etp_target_symbol_at(target, base + IMAGE_TABLE + 16, &offset),
	                    "alias");
	assert_null(etp_target_symbol_at(target, base + IMAGE_TABLE + 64, NULL));
	assert_null(etp_target_dwarf_path(target));
	etp_target_destroy(target);
}

static void test_executable_of_the_user(void **state)
{
	(void)state;
	write_image(in_dir("copy"), (struct image_options){.seed = 5});
	write_core((struct core_options){.path = "/nowhere/beam.smp", .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), in_dir("copy"), NULL);
	check_in_use(target, in_dir("copy"));
	assert_int_equal(etp_target_info(target)->warning_count, 0);
	etp_target_destroy(target);
}

// gcore leaves what was not modified out of the program headers altogether.
static void test_hole_without_program_header(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_core((struct core_options){
		.path = in_dir("beam.smp"), .seed = 5, .no_loads_for_holes = true});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	assert_int_equal(etp_target_info(target)->bytes_total, 4 * PAGE);
	etp_target_destroy(target);
}

static void test_wrong_executable_is_named_and_not_used(void **state)
{
	(void)state;
	write_image(in_dir("other"), (struct image_options){.seed = 0xab});
	write_core((struct core_options){.path = "/nowhere/beam.smp", .seed = 0xcd});
	struct etp_target *target = open_core(in_dir("core"), in_dir("other"), NULL);
	check_not_in_use(target);
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->warning_count, 1);
	assert_true(has_warning(target, in_dir("other")));
	assert_true(has_warning(target, "/nowhere/beam.smp"));
	assert_true(has_warning(target, "abababababababababababababababababababab"));
	assert_true(has_warning(target, "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"));
	// Where it was loaded is known from the core all the same.
	assert_int_equal(info->executable_bias, base);
	assert_int_equal(info->executable_end, base + IMAGE_END);
	assert_int_equal(info->file_count, 1);
	assert_false(info->files[0].matched);
	assert_int_equal(info->files[0].file_build_id.bytes[0], 0xab);
	etp_target_destroy(target);
}

static void test_wrong_executable_is_replaced_by_the_right_one(void **state)
{
	(void)state;
	write_image(in_dir("other"), (struct image_options){.seed = 0xab});
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 0xcd});
	write_core((struct core_options){.path = in_dir("beam.smp"), .seed = 0xcd});
	struct etp_target *target = open_core(in_dir("core"), in_dir("other"), NULL);
	check_in_use(target, in_dir("beam.smp"));
	assert_int_equal(etp_target_info(target)->warning_count, 1);
	assert_true(has_warning(target, "abababab"));
	assert_true(has_warning(target, "used instead"));
	etp_target_destroy(target);
}

// The file was upgraded since: another one is at the path now.
static void test_wrong_file_at_the_path_of_the_core(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 0xab});
	write_core((struct core_options){.path = in_dir("beam.smp"), .seed = 0xcd});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_not_in_use(target);
	assert_true(has_warning(target, "abababab"));
	assert_true(has_warning(target, "cdcdcdcd"));
	etp_target_destroy(target);
}

static void test_deleted_executable(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	char deleted[128];
	snprintf(deleted, sizeof(deleted), "%s (deleted)", in_dir("beam.smp"));
	write_core((struct core_options){.path = deleted, .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	etp_target_destroy(target);
}

static void test_no_file_at_the_path_of_the_core(void **state)
{
	(void)state;
	write_core((struct core_options){.path = "/nowhere/beam.smp", .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_not_in_use(target);
	assert_true(has_warning(target, "/nowhere/beam.smp"));
	assert_true(has_warning(target, "No such file"));
	uint64_t address;
	expect_error(etp_target_symbol(target, "erts_proc", &address, NULL), ETP_ERROR_NOT_FOUND,
	             "erts_proc", "/nowhere/beam.smp", "No such file", NULL);
	etp_target_destroy(target);
}

static void expect_open_error(const char *executable, enum etp_error_kind kind, const char *word)
{
	struct etp_core_options options = {.core = in_dir("core"), .executable = executable};
	struct etp_target *target;
	expect_error(etp_target_open_core(&options, &target), kind, executable, word,
	             "/nowhere/beam.smp", NULL);
}

static void test_unusable_executable_of_the_user(void **state)
{
	(void)state;
	write_core((struct core_options){.path = "/nowhere/beam.smp", .seed = 5});
	expect_open_error(in_dir("none"), ETP_ERROR_OS, "No such file");
	expect_open_error(test_dir, ETP_ERROR_UNSUPPORTED, "not a regular file");
	expect_open_error(in_dir("core"), ETP_ERROR_UNSUPPORTED, "core file");
	struct buffer text = {(unsigned char *)"#!/bin/sh\n", 10};
	write_file(in_dir("script"), &text);
	expect_open_error(in_dir("script"), ETP_ERROR_UNSUPPORTED, "not a 64-bit");
	text.size = 0;
	write_file(in_dir("empty"), &text);
	expect_open_error(in_dir("empty"), ETP_ERROR_UNSUPPORTED, "empty");
}

static void test_sysroot(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("root"), 0700), 0);
	assert_int_equal(mkdir(in_dir("root/opt"), 0700), 0);
	write_image(in_dir("root/opt/beam.smp"), (struct image_options){.seed = 5});
	write_core((struct core_options){.path = "/opt/beam.smp", .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), NULL, in_dir("root"));
	check_in_use(target, in_dir("root/opt/beam.smp"));
	etp_target_destroy(target);

	// An absolute link is followed below the sysroot.
	assert_int_equal(symlink("/opt", in_dir("root/link")), 0);
	write_core((struct core_options){.path = "/link/beam.smp", .seed = 5});
	target = open_core(in_dir("core"), NULL, in_dir("root"));
	check_in_use(target, in_dir("root/opt/beam.smp"));
	etp_target_destroy(target);

	write_core((struct core_options){.path = "/opt/none", .seed = 5});
	target = open_core(in_dir("core"), NULL, in_dir("root"));
	check_not_in_use(target);
	assert_true(has_warning(target, in_dir("root")));
	etp_target_destroy(target);
}

static struct etp_target *open_with_search_path(const char *search_path)
{
	const struct etp_core_options options = {
		.core = in_dir("core"), .sysroot = in_dir("none"), .search_path = search_path};
	struct etp_target *target;
	assert_null(etp_target_open_core(&options, &target));
	return target;
}

static void test_search_path(void **state)
{
	(void)state;
	char path[4096];
	for (const char *const *name =
	             (const char *const[]){"flat", "tree", "tree/opt", "other", NULL};
	     *name; name++)
		assert_int_equal(mkdir(in_dir(*name), 0700), 0);
	write_core((struct core_options){.path = "/opt/beam.smp", .seed = 5});
	write_image(in_dir("other/beam.smp"), (struct image_options){.seed = 6});

	// By name; another build of that name is passed over, and what is no directory.
	write_image(in_dir("flat/beam.smp"), (struct image_options){.seed = 5});
	snprintf(path, sizeof(path), ":%s/other:/nowhere:%s/flat:", test_dir, test_dir);
	struct etp_target *target = open_with_search_path(path);
	check_in_use(target, in_dir("flat/beam.smp"));
	etp_target_destroy(target);

	// By path, which comes before the name.
	write_image(in_dir("tree/opt/beam.smp"), (struct image_options){.seed = 5});
	write_image(in_dir("tree/beam.smp"), (struct image_options){.seed = 5});
	target = open_with_search_path(in_dir("tree"));
	check_in_use(target, in_dir("tree/opt/beam.smp"));
	etp_target_destroy(target);

	// Only another build is there: it is not used, and named.
	target = open_with_search_path(in_dir("other"));
	check_not_in_use(target);
	assert_true(has_warning(target, "another one"));
	etp_target_destroy(target);

	// The first that cannot be told apart, if the core has no build-id.
	write_core(
		(struct core_options){.path = "/opt/beam.smp", .seed = 5, .no_first_page = true});
	snprintf(path, sizeof(path), "%s/flat:%s/tree", test_dir, test_dir);
	target = open_with_search_path(path);
	check_in_use(target, in_dir("flat/beam.smp"));
	assert_true(has_warning(target, "could not be verified"));
	etp_target_destroy(target);
}

static void test_core_without_the_first_page(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_core((struct core_options){
		.path = in_dir("beam.smp"), .seed = 5, .no_first_page = true});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	assert_true(has_warning(target, "could not be verified"));
	assert_false(etp_target_info(target)->files[0].matched);
	assert_int_equal(etp_target_info(target)->bytes_from_files, 2 * PAGE);
	etp_target_destroy(target);
}

// Distributions that do not put build-ids into their files (Alpine).
static void test_executable_without_build_id(void **state)
{
	(void)state;
	struct image_options options = {.seed = 5, .no_build_id = true};
	write_image(in_dir("beam.smp"), options);
	write_core(
		(struct core_options){.path = in_dir("beam.smp"), .seed = 5, .no_build_id = true});
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	assert_true(has_warning(target, "could not be verified"));
	etp_target_destroy(target);

	// But the first pages must agree, apart from what stripping changes.
	options.no_symbols = true;
	write_image(in_dir("beam.smp"), options);
	target = open_core(in_dir("core"), NULL, NULL);
	assert_non_null(etp_target_info(target)->executable_path);
	assert_true(has_warning(target, "no symbols"));
	etp_target_destroy(target);
	options.seed = 6;
	write_image(in_dir("beam.smp"), options);
	target = open_core(in_dir("core"), NULL, NULL);
	check_not_in_use(target);
	etp_target_destroy(target);
}

// A truncated gcore core has lost the notes, which are at its end.
static void test_core_without_notes(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_core((struct core_options){.seed = 5, .no_notes = true});
	struct etp_target *target = open_core(in_dir("core"), in_dir("beam.smp"), NULL);
	check_in_use(target, in_dir("beam.smp"));
	assert_int_equal(etp_target_info(target)->warning_count, 0);
	etp_target_destroy(target);

	target = open_core(in_dir("core"), NULL, NULL);
	check_not_in_use(target);
	assert_true(has_warning(target, "does not say which executable"));
	etp_target_destroy(target);

	write_image(in_dir("beam.smp"), (struct image_options){.seed = 6});
	target = open_core(in_dir("core"), in_dir("beam.smp"), NULL);
	check_not_in_use(target);
	assert_true(has_warning(target, "does not say where"));
	etp_target_destroy(target);
}

static void test_only_auxv(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	struct core_builder core = {0};
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	map_image(&core, base, (struct core_options){.seed = 5, .no_notes = true});
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), in_dir("beam.smp"), NULL);
	check_in_use(target, in_dir("beam.smp"));
	assert_int_equal(etp_target_info(target)->warning_count, 0);
	etp_target_destroy(target);
}

// The symbols are those of the file with debug information, the pages those of
// the executable that the core names.
static void test_separate_debug_information(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5, .no_symbols = true});
	write_image(in_dir("beam.debug"), (struct image_options){.seed = 5, .debug_only = true});
	write_core((struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	struct etp_target *target = open_core(in_dir("core"), in_dir("beam.debug"), NULL);
	check_in_use(target, in_dir("beam.debug"));
	assert_int_equal(etp_target_info(target)->warning_count, 0);
	assert_string_equal(etp_target_info(target)->files[0].used_path, in_dir("beam.smp"));
	etp_target_destroy(target);

	assert_int_equal(unlink(in_dir("beam.smp")), 0);
	target = open_core(in_dir("core"), in_dir("beam.debug"), NULL);
	assert_true(has_warning(target, "separate debug information"));
	assert_false(can_read(target, base + IMAGE_RODATA));
	uint64_t address;
	assert_null(etp_target_symbol(target, "erts_table", &address, NULL));
	assert_int_equal(address, base + IMAGE_TABLE);
	etp_target_destroy(target);
}

static void test_offsets_in_bytes(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	struct core_builder core = {.offsets_in_bytes = true};
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	map_image(&core, base, (struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	etp_target_destroy(target);
}

// `ld.so beam.smp`: AT_PHDR is the dynamic linker's.
static void test_started_by_the_dynamic_linker(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_image(in_dir("ld.so.1"), (struct image_options){.seed = 6});
	struct core_builder core = {0};
	core_auxv(&core, library + sizeof(Elf64_Ehdr), library + IMAGE_ENTRY);
	map_image(&core, library, (struct core_options){.path = in_dir("ld.so.1"), .seed = 6});
	map_image(&core, base, (struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	etp_target_destroy(target);
}

// A writable page that was not saved may have been written to before.
static void test_writable_pages_are_never_taken(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	struct buffer image = build_image((struct image_options){.seed = 5});
	const uint32_t flags[] = {PF_R | PF_W, PF_R};
	for (size_t i = 0; i < 2; i++) {
		struct core_builder core = {0};
		core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
		core_map_file(&core, in_dir("beam.smp"), base, base + PAGE, 0);
		core_map_file(&core, in_dir("beam.smp"), base + PAGE, base + 2 * PAGE, PAGE);
		core_map_file(&core, in_dir("beam.smp"), base + 2 * PAGE, base + 3 * PAGE,
		              2 * PAGE);
		core_load(&core, base, PAGE, PF_R, image.bytes, PAGE);
		// Text that was made writable; .data that was made read-only (relro).
		core_load(&core, base + PAGE, PAGE, flags[i], NULL, 0);
		core_load(&core, base + 2 * PAGE, PAGE, PF_R, NULL, 0);
		core_write(&core, in_dir("core"));
		struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
		assert_true(can_read(target, base));
		assert_int_equal(can_read(target, base + PAGE), i == 1);
		assert_false(can_read(target, base + 2 * PAGE));
		assert_int_equal(etp_target_info(target)->bytes_missing, i == 1 ? PAGE : 2 * PAGE);
		etp_target_destroy(target);
	}
	free(image.bytes);
}

// A core that was cut off within the read-only data which it did save.
static void test_saved_part_is_preferred(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	struct buffer image = build_image((struct image_options){.seed = 5});
	struct core_builder core = {0};
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	core_map_file(&core, in_dir("beam.smp"), base, base + 2 * PAGE, 0);
	core_load(&core, base, PAGE, PF_R, image.bytes, PAGE);
	memset(image.bytes + PAGE, 0x11, 100);
	core_load(&core, base + PAGE, PAGE, PF_R, image.bytes + PAGE, 100);
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	unsigned char bytes[PAGE];
	assert_null(etp_target_read(target, base + PAGE, bytes, PAGE));
	assert_memory_equal(bytes, image.bytes + PAGE, PAGE);
	assert_int_equal(bytes[99], 0x11);
	assert_int_equal(etp_target_info(target)->bytes_from_files, PAGE - 100);
	etp_target_destroy(target);
	free(image.bytes);
}

static void test_libraries(void **state)
{
	(void)state;
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	write_image(in_dir("right.so"), (struct image_options){.seed = 6, .no_symbols = true});
	write_image(in_dir("wrong.so"), (struct image_options){.seed = 0xab});
	struct core_builder core = {0};
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	map_image(&core, library, (struct core_options){.path = in_dir("right.so"), .seed = 6});
	map_image(&core, base, (struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	map_image(&core, 2 * library, (struct core_options){.path = in_dir("wrong.so"), .seed = 7});
	map_image(&core, 3 * library, (struct core_options){.path = "/nowhere/x.so", .seed = 8});
	// Data files are none of ours.
	core_map_file(&core, "/nowhere/locale-archive", 4 * library, 4 * library + PAGE, 0);
	core_write(&core, in_dir("core"));

	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->warning_count, 0);
	assert_int_equal(info->file_count, 4);
	assert_true(info->files[0].is_executable);
	assert_string_equal(info->files[1].path, in_dir("right.so"));
	assert_true(info->files[1].matched);
	assert_string_equal(info->files[1].used_path, in_dir("right.so"));
	assert_false(info->files[2].matched);
	assert_null(info->files[2].used_path);
	assert_int_equal(info->files[2].core_build_id.bytes[0], 7);
	assert_int_equal(info->files[2].file_build_id.bytes[0], 0xab);
	assert_null(info->files[3].used_path);
	assert_true(can_read(target, library + IMAGE_RODATA));
	assert_false(can_read(target, 2 * library + IMAGE_RODATA));
	assert_false(can_read(target, 3 * library + IMAGE_RODATA));
	etp_target_destroy(target);
}

static struct etp_target *open_with_limit(size_t max_libraries)
{
	const struct etp_core_options options = {.core = in_dir("core"),
	                                         .max_libraries = max_libraries};
	struct etp_target *target;
	assert_null(etp_target_open_core(&options, &target));
	check_in_use(target, in_dir("beam.smp"));
	return target;
}

// A forged core may name a library a million times, under as many names. The executable is sought
// in any case, though it is among the last by name.
static void test_number_of_libraries(void **state)
{
	(void)state;
	enum { LIBRARIES = 5 };
	char names[LIBRARIES][8];
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	struct core_builder core = {0};
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	map_image(&core, base, (struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	for (unsigned i = 0; i < LIBRARIES; i++) {
		unsigned char seed = (unsigned char)(10 + i);
		snprintf(names[i], sizeof(names[i]), "a%u.so", i);
		write_image(in_dir(names[i]), (struct image_options){.seed = seed});
		map_image(&core, (i + 1) * library,
		          (struct core_options){.path = in_dir(names[i]), .seed = seed});
	}
	core_map_file(&core, in_dir("a-table"), 9 * library, 9 * library + PAGE, 0);
	core_write(&core, in_dir("core"));

	struct etp_target *target = open_with_limit(2);
	assert_int_equal(etp_target_info(target)->file_count, 3);
	assert_true(can_read(target, 2 * library + IMAGE_RODATA));
	assert_false(can_read(target, 3 * library + IMAGE_RODATA));
	assert_int_equal(etp_target_info(target)->warning_count, 1);
	assert_true(has_warning(target, "names 3 libraries beyond the limit of 2:"));
	assert_true(has_warning(target, "`set etp max-libraries`"));
	etp_target_destroy(target);

	const size_t enough[] = {0, LIBRARIES, LIBRARIES + 1, SIZE_MAX};
	for (size_t i = 0; i < sizeof(enough) / sizeof(enough[0]); i++) {
		target = open_with_limit(enough[i]);
		assert_int_equal(etp_target_info(target)->file_count, LIBRARIES + 1);
		assert_int_equal(etp_target_info(target)->warning_count, 0);
		assert_true(can_read(target, LIBRARIES * library + IMAGE_RODATA));
		etp_target_destroy(target);
	}
}

// What a core names may be a FIFO or a device, to which opening it does something.
static void test_only_regular_files_are_opened(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in_dir("beam.smp"), 0600), 0);
	assert_int_equal(mkfifo(in_dir("library.so"), 0600), 0);
	write_image(in_dir("regular.so"), (struct image_options){.seed = 7, .no_symbols = true});
	struct core_builder core = {0};
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	map_image(&core, base, (struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	map_image(&core, library, (struct core_options){.path = in_dir("library.so"), .seed = 6});
	map_image(&core, 2 * library,
	          (struct core_options){.path = in_dir("regular.so"), .seed = 7});
	core_write(&core, in_dir("core"));
	int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(events >= 0);
	int regular = inotify_add_watch(events, in_dir("regular.so"), IN_OPEN);
	assert_true(regular > 0);
	assert_true(inotify_add_watch(events, in_dir("beam.smp"), IN_OPEN) > 0);
	assert_true(inotify_add_watch(events, in_dir("library.so"), IN_OPEN) > 0);

	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	assert_true(can_read(target, 2 * library + IMAGE_RODATA));
	etp_target_destroy(target);
	struct inotify_event event;
	size_t opened = 0;
	while (read(events, &event, sizeof(event)) == (ssize_t)sizeof(event)) {
		assert_int_equal(event.wd, regular);
		opened++;
	}
	assert_true(opened > 0);
	close(events);
}

// With neither AT_PHDR nor AT_ENTRY, the name tells which one is the VM.
static void test_executable_by_name(void **state)
{
	(void)state;
	write_image(in_dir("aaa.so"), (struct image_options){.seed = 6});
	write_image(in_dir("beam.smp"), (struct image_options){.seed = 5});
	struct core_builder core = {0};
	map_image(&core, library, (struct core_options){.path = in_dir("aaa.so"), .seed = 6});
	map_image(&core, base, (struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_in_use(target, in_dir("beam.smp"));
	etp_target_destroy(target);
}

// Change every byte of the executable's headers and symbol tables.
static void test_forged_executable(void **state)
{
	(void)state;
	struct buffer image = build_image((struct image_options){.seed = 5});
	write_core((struct core_options){.path = in_dir("beam.smp"), .seed = 5});
	write_file(in_dir("beam.smp"), &image);
	int fd = open(in_dir("beam.smp"), O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size_t in_use = 0;
	for (size_t at = 0; at < image.size; at++) {
		if (at == IMAGE_NOTE + 64)
			at = IMAGE_BSS;
		const unsigned char was = image.bytes[at];
		const unsigned char values[] = {0, 0xff, (unsigned char)(was + 1)};
		for (size_t i = 0; i < sizeof(values); i++) {
			assert_int_equal(pwrite(fd, &values[i], 1, (off_t)at), 1);
			struct etp_core_options options = {.core = in_dir("core")};
			struct etp_target *target;
			struct etp_error *err = etp_target_open_core(&options, &target);
			// The user did not name the file: it can only be warned of.
			assert_null(err);
			uint64_t address;
			err = etp_target_symbol(target, "etp_otp_release", &address, NULL);
			in_use += !err;
			etp_error_destroy(err);
			can_read(target, base + IMAGE_RODATA);
			etp_target_destroy(target);
		}
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	close(fd);
	assert_true(in_use > 100);
	free(image.bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_dir, teardown_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_path_that_the_core_names),
		TEST(test_symbols_of_the_executable),
		TEST(test_executable_of_the_user),
		TEST(test_hole_without_program_header),
		TEST(test_wrong_executable_is_named_and_not_used),
		TEST(test_wrong_executable_is_replaced_by_the_right_one),
		TEST(test_wrong_file_at_the_path_of_the_core),
		TEST(test_deleted_executable),
		TEST(test_no_file_at_the_path_of_the_core),
		TEST(test_unusable_executable_of_the_user),
		TEST(test_sysroot),
		TEST(test_search_path),
		TEST(test_core_without_the_first_page),
		TEST(test_executable_without_build_id),
		TEST(test_core_without_notes),
		TEST(test_only_auxv),
		TEST(test_separate_debug_information),
		TEST(test_offsets_in_bytes),
		TEST(test_started_by_the_dynamic_linker),
		TEST(test_writable_pages_are_never_taken),
		TEST(test_saved_part_is_preferred),
		TEST(test_libraries),
		TEST(test_number_of_libraries),
		TEST(test_only_regular_files_are_opened),
		TEST(test_executable_by_name),
		TEST(test_forged_executable),
	};
	// Symbols must come from the files of the test, not from the network.
	unsetenv("DEBUGINFOD_URLS");
	return cmocka_run_group_tests_name("target: mapped files", tests, NULL, NULL);
}
