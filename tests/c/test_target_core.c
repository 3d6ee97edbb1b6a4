// SPDX-License-Identifier: Apache-2.0
// Core files, good and bad: headers, segments, notes, truncation, forgery.

#include "elf_builder.h"

#include "target/reader.h"

static const uint64_t heap = 0x7f0000000000;

static unsigned char page_of(uint64_t seed, size_t i)
{
	return (unsigned char)(seed * 31 + i * 3 + (i >> 8));
}

static const unsigned char *page(uint64_t seed)
{
	static unsigned char bytes[PAGE];
	for (size_t i = 0; i < PAGE; i++)
		bytes[i] = page_of(seed, i);
	return bytes;
}

static void check_byte(const struct etp_target *target, uint64_t address, unsigned char expected)
{
	unsigned char byte;
	struct etp_error *err = etp_target_read(target, address, &byte, 1);
	if (err)
		fail_msg("%s", err->message);
	assert_int_equal(byte, expected);
}

static void check_fault(const struct etp_target *target, uint64_t address)
{
	unsigned char byte;
	struct etp_error *err = etp_target_read(target, address, &byte, 1);
	assert_non_null(err);
	assert_int_equal(err->kind, ETP_ERROR_FAULT);
	assert_int_equal(err->address, address);
	etp_error_destroy(err);
}

// Counts that add up, segments in order, and the bytes at their borders readable: what must hold of
// any target, however bad the core.
static void check_invariants(const struct etp_target *target)
{
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->bytes_total, info->bytes_saved + info->bytes_from_files +
	                                            info->bytes_missing + info->bytes_reserved);
	volatile unsigned char sink = 0;
	struct etp_segment segment;
	for (uint64_t address = 0; etp_target_next_segment(target, address, &segment);) {
		assert_true(segment.size > 0);
		assert_true(segment.start >= address);
		sink += segment.bytes[0];
		sink += segment.bytes[segment.size - 1];
		address = segment.start + segment.size;
		if (address == 0)
			break;
	}
	(void)sink;
	assert_non_null(info->command);
	for (size_t i = 0; i < info->warning_count; i++)
		assert_true(strlen(info->warnings[i]) > 10);
}

// A VM in miniature: two heap pages that continue each other, a page apart, a
// page that was not saved, and a reservation.
static void describe_core(struct core_builder *core)
{
	core_thread(core, 4243, 6);
	core_process(core, 4242, "beam.smp -- -root /usr/lib/erlang");
	core_thread(core, 4244, 0);
	core_auxv(core, 0x400040, 0x401000);
	core_load(core, heap, PAGE, PF_R | PF_W, page(1), PAGE);
	core_load(core, heap + PAGE, PAGE, PF_R, page(2), PAGE);
	core_load(core, heap + 4 * PAGE, PAGE, PF_R | PF_W, page(3), PAGE);
	core_load(core, heap + 5 * PAGE, PAGE, PF_R | PF_W, NULL, 0);
	core_load(core, heap + 64 * PAGE, UINT64_C(1) << 30, 0, NULL, 0);
}

static void test_good_core(void **state)
{
	(void)state;
	struct core_builder core = {0};
	describe_core(&core);
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->machine, ETP_MACHINE_X86_64);
	assert_string_equal(info->core_path, in_dir("core"));
	assert_int_equal(info->pid, 4242);
	assert_int_equal(info->signal, 6);
	assert_string_equal(info->command, "beam.smp -- -root /usr/lib/erlang");
	assert_int_equal(info->thread_count, 2);
	assert_int_equal(info->segment_count, 5);
	assert_int_equal(info->bytes_saved, 3 * PAGE);
	assert_int_equal(info->bytes_missing, PAGE);
	assert_int_equal(info->bytes_reserved, 1 << 30);
	assert_int_equal(info->bytes_from_files, 0);
	assert_int_equal(info->bytes_truncated, 0);
	struct stat stat_of_core;
	assert_int_equal(stat(in_dir("core"), &stat_of_core), 0);
	assert_int_equal(info->core_mtime, stat_of_core.st_mtime);
	check_invariants(target);

	// What continues in memory and in the file is one segment.
	struct etp_segment segment;
	assert_true(etp_target_next_segment(target, 0, &segment));
	assert_int_equal(segment.start, heap);
	assert_int_equal(segment.size, 2 * PAGE);
	assert_true(etp_target_next_segment(target, heap + 2 * PAGE, &segment));
	assert_false(etp_target_next_segment(target, segment.start + segment.size, &segment));
	check_byte(target, heap, page_of(1, 0));
	check_byte(target, heap + PAGE - 1, page_of(1, PAGE - 1));
	check_byte(target, heap + PAGE, page_of(2, 0));
	check_byte(target, heap + 5 * PAGE - 1, page_of(3, PAGE - 1));
	check_fault(target, heap + 5 * PAGE);
	check_fault(target, heap + 2 * PAGE);
	check_fault(target, heap + 64 * PAGE);
	etp_target_destroy(target);
}

// gcore writes segments at any offset.
static void test_unaligned_offsets(void **state)
{
	(void)state;
	struct core_builder core = {.skew = 0x211};
	describe_core(&core);
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	uint64_t word, expected;
	for (uint64_t at = 0; at < 2 * PAGE - 8; at += 5) {
		unsigned char bytes[8];
		for (size_t i = 0; i < 8; i++)
			bytes[i] = page_of(1 + (at + i) / PAGE, (at + i) % PAGE);
		memcpy(&expected, bytes, 8);
		assert_true(etp_read_u64(&reader, heap + at, &word));
		assert_int_equal(word, expected);
	}
	etp_target_destroy(target);
}

static void test_aarch64(void **state)
{
	(void)state;
	struct core_builder core = {.machine = EM_AARCH64};
	describe_core(&core);
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	assert_int_equal(etp_target_info(target)->machine, ETP_MACHINE_AARCH64);
	assert_string_equal(etp_machine_name(ETP_MACHINE_AARCH64), "aarch64");
	etp_target_destroy(target);
}

enum { MANY = 70000 };

static void make_many(struct buffer *file)
{
	struct core_builder core = {0};
	core_thread(&core, 1, 6);
	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t word = i * 3;
		core_load(&core, heap + i * 2 * PAGE, PAGE, PF_R | PF_W, &word, sizeof(word));
	}
	*file = core_finish(&core);
}

static void test_more_than_65534_segments(void **state)
{
	(void)state;
	struct buffer file;
	make_many(&file);
	write_file(in_dir("core"), &file);
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	assert_int_equal(etp_target_info(target)->segment_count, MANY);
	assert_int_equal(etp_target_info(target)->bytes_truncated, 0);
	assert_false(has_warning(target, "number"));
	for (uint64_t i = 0; i < MANY; i += 7) {
		uint64_t word;
		assert_null(etp_target_read(target, heap + i * 2 * PAGE, &word, sizeof(word)));
		assert_int_equal(word, i * 3);
	}
	check_fault(target, heap + 8);
	etp_target_destroy(target);

	// Cut off by one byte, the count at the end is lost; the segments are not.
	file.size--;
	write_file(in_dir("core"), &file);
	target = open_core(in_dir("core"), NULL, NULL);
	assert_int_equal(etp_target_info(target)->segment_count, MANY);
	assert_true(has_warning(target, "65,534"));
	uint64_t word;
	assert_null(etp_target_read(target, heap + (MANY - 1) * 2 * PAGE, &word, sizeof(word)));
	assert_int_equal(word, (MANY - 1) * 3);
	etp_target_destroy(target);
	free(file.bytes);
}

static void test_truncated_anywhere(void **state)
{
	(void)state;
	struct core_builder core = {0};
	describe_core(&core);
	struct buffer file = core_finish(&core);
	Elf64_Phdr first;
	memcpy(&first, file.bytes + sizeof(Elf64_Ehdr) + sizeof(first), sizeof(first));
	const size_t full = file.size;
	for (size_t size = full; size > 0; size -= size > 512 ? 512 : 1) {
		file.size = size;
		write_file(in_dir("core"), &file);
		struct etp_core_options options = {.core = in_dir("core")};
		struct etp_target *target;
		struct etp_error *err = etp_target_open_core(&options, &target);
		if (size < sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr)) {
			expect_error(err, ETP_ERROR_BAD_DATA, in_dir("core"), "cut off", NULL);
			continue;
		}
		assert_null(err);
		check_invariants(target);
		const struct etp_target_info *info = etp_target_info(target);
		size_t headers_end = sizeof(Elf64_Ehdr) + 6 * sizeof(Elf64_Phdr);
		if (size < full) {
			assert_true(has_warning(target, "truncated"));
			assert_true(info->bytes_truncated > 0);
		}
		if (size >= headers_end)
			assert_int_equal(info->bytes_truncated, full - size);
		else
			assert_true(has_warning(target, "lost"));
		// The byte before the cut is there, the one behind it is a fault.
		if (size > first.p_offset && size <= first.p_offset + 2 * PAGE) {
			uint64_t last = size - first.p_offset - 1;
			check_byte(target, heap + last, page_of(1 + last / PAGE, last % PAGE));
			check_fault(target, heap + last + 1);
		}
		etp_target_destroy(target);
	}
	free(file.bytes);
}

// Change every byte of the headers and notes, and look only that nothing breaks.
static void test_forged_headers(void **state)
{
	(void)state;
	struct image_options options = {.seed = 9};
	struct buffer image = build_image(options);
	write_file(in_dir("beam.smp"), &image);

	const uint64_t base = 0x555500000000;
	struct core_builder core = {0};
	core_thread(&core, 7, 6);
	core_auxv(&core, base + sizeof(Elf64_Ehdr), base + IMAGE_ENTRY);
	core_map_file(&core, in_dir("beam.smp"), base, base + PAGE, 0);
	core_map_file(&core, in_dir("beam.smp"), base + PAGE, base + 2 * PAGE, PAGE);
	core_load(&core, base, PAGE, PF_R, image.bytes, PAGE);
	core_load(&core, base + PAGE, PAGE, PF_R | PF_X, NULL, 0);
	core_load(&core, base + 2 * PAGE, PAGE, PF_R | PF_W, page(4), PAGE);
	struct buffer file = core_finish(&core);
	write_file(in_dir("core"), &file);
	Elf64_Phdr first;
	memcpy(&first, file.bytes + sizeof(Elf64_Ehdr) + sizeof(first), sizeof(first));

	// Also the headers of the executable in the core's memory.
	size_t end = first.p_offset + IMAGE_NOTE + 36;
	int fd = open(in_dir("core"), O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size_t opened = 0, refused = 0;
	for (size_t at = 0; at < end; at++) {
		const unsigned char was = file.bytes[at];
		const unsigned char values[] = {
			0, 0xff, 0x80, 0x7f, (unsigned char)(was + 1), (unsigned char)(was ^ 0x10)};
		for (size_t i = 0; i < sizeof(values); i++) {
			if (values[i] == was)
				continue;
			assert_int_equal(pwrite(fd, &values[i], 1, (off_t)at), 1);
			struct etp_core_options open_options = {.core = in_dir("core")};
			struct etp_target *target;
			struct etp_error *err = etp_target_open_core(&open_options, &target);
			if (err) {
				refused++;
				etp_error_destroy(err);
				continue;
			}
			opened++;
			check_invariants(target);
			uint64_t address;
			etp_error_destroy(
				etp_target_symbol(target, "etp_otp_release", &address, NULL));
			etp_target_destroy(target);
		}
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	close(fd);
	assert_true(opened > 1000);
	assert_true(refused > 10);
	free(file.bytes);
	free(image.bytes);
}

static void test_overlapping_segments(void **state)
{
	(void)state;
	struct core_builder core = {0};
	core_load(&core, heap, PAGE, PF_R, page(1), PAGE);
	core_load(&core, heap, PAGE, PF_R, page(2), PAGE);
	core_load(&core, heap + 100, PAGE, PF_R, page(3), PAGE);
	core_load(&core, heap + 200, 8, PF_R, page(4), 8);
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_invariants(target);
	assert_true(has_warning(target, "3 of its segments overlap"));
	check_byte(target, heap, page_of(1, 0));
	check_byte(target, heap + 200, page_of(1, 200));
	check_byte(target, heap + PAGE, page_of(3, PAGE - 100));
	check_byte(target, heap + PAGE + 99, page_of(3, PAGE - 1));
	check_fault(target, heap + PAGE + 100);
	assert_int_equal(etp_target_info(target)->bytes_total, PAGE + 100);
	etp_target_destroy(target);
}

static void test_impossible_segments(void **state)
{
	(void)state;
	struct core_builder core = {0};
	core_load(&core, UINT64_MAX - 10, PAGE, PF_R, page(1), PAGE);
	core_load(&core, UINT64_MAX - PAGE + 1, PAGE, PF_R, page(2), PAGE);
	core_load(&core, heap, 16, PF_R, page(3), PAGE);
	core_load(&core, 0, UINT64_MAX, PF_R, NULL, 0);
	core_write(&core, in_dir("core"));
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_invariants(target);
	assert_true(has_warning(target, "2 of its program headers describe impossible"));
	check_fault(target, heap + 16);
	etp_target_destroy(target);

	// Bytes at the end of the address space, as vsyscall nearly is.
	core_load(&core, UINT64_MAX - PAGE + 1, PAGE, PF_R, page(2), PAGE);
	core_write(&core, in_dir("core"));
	target = open_core(in_dir("core"), NULL, NULL);
	check_invariants(target);
	check_byte(target, UINT64_MAX, page_of(2, PAGE - 1));
	etp_target_destroy(target);
}

// Notes that each of very many headers says to have would be read very many times.
static void test_overlapping_notes(void **state)
{
	(void)state;
	enum { HEADERS = 5000 };
	struct core_builder core = {0};
	for (uint64_t i = 0; i < HEADERS; i++)
		core_load(&core, heap + i * PAGE, PAGE, PF_R, NULL, 0);
	core_thread(&core, 7, 6);
	core_process(&core, 7, "beam.smp -S");
	struct buffer file = core_finish(&core);
	Elf64_Phdr *phdrs = (Elf64_Phdr *)(file.bytes + sizeof(Elf64_Ehdr));
	for (size_t i = 1; i < HEADERS; i++)
		phdrs[i] = phdrs[0];
	write_file(in_dir("core"), &file);
	struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
	check_invariants(target);
	assert_true(has_warning(target, "notes overlap"));
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->pid, 7);
	assert_true(info->thread_count <= file.size / phdrs[0].p_filesz);
	etp_target_destroy(target);
	free(file.bytes);
}

// Offsets far beyond the file and beyond 64 bits are missing bytes, no more.
static void test_offsets_beyond_the_file(void **state)
{
	(void)state;
	struct core_builder core = {0};
	core_load(&core, heap, PAGE, PF_R, page(1), PAGE);
	core_load(&core, heap + PAGE, PAGE, PF_R, page(2), PAGE);
	struct buffer file = core_finish(&core);
	Elf64_Phdr *phdr = (Elf64_Phdr *)(file.bytes + sizeof(Elf64_Ehdr)) + 2;
	const uint64_t offsets[] = {file.size, UINT64_MAX, UINT64_MAX - PAGE, INT64_MAX};
	for (size_t i = 0; i < 4; i++) {
		phdr->p_offset = offsets[i];
		write_file(in_dir("core"), &file);
		struct etp_target *target = open_core(in_dir("core"), NULL, NULL);
		check_invariants(target);
		assert_true(has_warning(target, "truncated"));
		check_byte(target, heap + 7, page_of(1, 7));
		check_fault(target, heap + PAGE);
		etp_target_destroy(target);
	}
	free(file.bytes);
}

static void expect_refusal(const char *path, const char *executable, enum etp_error_kind kind,
                           const char *word)
{
	struct etp_core_options options = {.core = path, .executable = executable};
	struct etp_target *target = (void *)1;
	struct etp_error *err = etp_target_open_core(&options, &target);
	assert_ptr_equal(target, (void *)1);
	expect_error(err, kind, path ? path : word, word, NULL);
}

static void write_text(const char *name, const void *bytes, size_t size)
{
	struct buffer buffer = {(unsigned char *)bytes, size};
	write_file(in_dir(name), &buffer);
}

static void test_files_that_are_no_core(void **state)
{
	(void)state;
	expect_refusal(NULL, NULL, ETP_ERROR_ARGUMENT, "No core");
	expect_refusal(in_dir("none"), NULL, ETP_ERROR_OS, "No such file");
	expect_refusal(test_dir, NULL, ETP_ERROR_UNSUPPORTED, "directory");
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	expect_refusal(in_dir("fifo"), NULL, ETP_ERROR_UNSUPPORTED, "FIFO");
	expect_refusal("/dev/zero", NULL, ETP_ERROR_UNSUPPORTED, "special file");
	write_text("empty", "", 0);
	expect_refusal(in_dir("empty"), NULL, ETP_ERROR_UNSUPPORTED, "empty");
	write_text("text", "hello", 5);
	expect_refusal(in_dir("text"), NULL, ETP_ERROR_UNSUPPORTED, "not an ELF file");
	write_text("short",
	           "\x7f"
	           "E",
	           2);
	expect_refusal(in_dir("short"), NULL, ETP_ERROR_BAD_DATA, "cut off");
	write_text("zst", "\x28\xb5\x2f\xfd....", 8);
	expect_refusal(in_dir("zst"), NULL, ETP_ERROR_UNSUPPORTED, "zstd -d");
	write_text("dump", "=erl_crash_dump:0.5\n", 20);
	expect_refusal(in_dir("dump"), NULL, ETP_ERROR_UNSUPPORTED, "crashdump_viewer");
	if (geteuid() != 0) {
		assert_int_equal(chmod(in_dir("text"), 0), 0);
		expect_refusal(in_dir("text"), NULL, ETP_ERROR_OS, "Permission denied");
	}
}

// A core whose ELF header has one field set to something else.
static void expect_header_refusal(size_t offset, uint16_t value, size_t size,
                                  enum etp_error_kind kind, const char *word)
{
	struct core_builder core = {0};
	describe_core(&core);
	struct buffer file = core_finish(&core);
	memcpy(file.bytes + offset, &value, size);
	write_file(in_dir("core"), &file);
	free(file.bytes);
	expect_refusal(in_dir("core"), NULL, kind, word);
}

static void test_cores_of_other_kinds(void **state)
{
	(void)state;
	const enum etp_error_kind unsupported = ETP_ERROR_UNSUPPORTED;
	expect_header_refusal(EI_CLASS, ELFCLASS32, 1, unsupported, "32-bit");
	expect_header_refusal(EI_DATA, ELFDATA2MSB, 1, unsupported, "big-endian");
	expect_header_refusal(EI_CLASS, 9, 1, ETP_ERROR_BAD_DATA, "damaged");
	expect_header_refusal(offsetof(Elf64_Ehdr, e_machine), EM_RISCV, 2, unsupported, "243");
	expect_header_refusal(offsetof(Elf64_Ehdr, e_type), ET_REL, 2, unsupported, "type 1");
	expect_header_refusal(offsetof(Elf64_Ehdr, e_phentsize), 32, 2, ETP_ERROR_BAD_DATA,
	                      "32 bytes each");
	expect_header_refusal(offsetof(Elf64_Ehdr, e_phnum), 0, 2, ETP_ERROR_BAD_DATA,
	                      "no program headers");
}

static void test_swapped_paths(void **state)
{
	(void)state;
	struct image_options options = {.seed = 1};
	struct buffer image = build_image(options);
	write_file(in_dir("beam.smp"), &image);
	free(image.bytes);
	struct core_builder core = {0};
	describe_core(&core);
	core_write(&core, in_dir("core"));
	expect_refusal(in_dir("beam.smp"), in_dir("core"), ETP_ERROR_UNSUPPORTED, "swapped");
	expect_refusal(in_dir("beam.smp"), NULL, ETP_ERROR_UNSUPPORTED, "not a core file");
}

// Names in a message are made harmless: the path of a core can be anything.
static void test_control_characters_in_paths(void **state)
{
	(void)state;
	struct etp_core_options options = {.core = in_dir("\x1b[31mred\xff\xc3\xa9")};
	struct etp_target *target;
	struct etp_error *err = etp_target_open_core(&options, &target);
	assert_non_null(err);
	assert_null(strchr(err->message, '\x1b'));
	assert_null(strchr(err->message, '\xff'));
	assert_non_null(strstr(err->message, "?[31mred?\xc3\xa9"));
	etp_error_destroy(err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_dir, teardown_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_good_core),
		TEST(test_unaligned_offsets),
		TEST(test_aarch64),
		TEST(test_more_than_65534_segments),
		TEST(test_truncated_anywhere),
		TEST(test_forged_headers),
		TEST(test_overlapping_segments),
		TEST(test_impossible_segments),
		TEST(test_overlapping_notes),
		TEST(test_offsets_beyond_the_file),
		TEST(test_files_that_are_no_core),
		TEST(test_cores_of_other_kinds),
		TEST(test_swapped_paths),
		TEST(test_control_characters_in_paths),
	};
	return cmocka_run_group_tests_name("target: core files", tests, NULL, NULL);
}
