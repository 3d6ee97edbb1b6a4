// SPDX-License-Identifier: Apache-2.0
//
// Whether two files are the same program.

#include "elf_builder.h"
#include "layout/elf_image.h"

enum { CODE = IMAGE_RODATA, DATA = IMAGE_DATA };

static void write_image(const char *path, uint16_t machine, size_t at, uint32_t word)
{
	struct buffer file = build_image((struct image_options){.seed = 3});
	memcpy(file.bytes + offsetof(Elf64_Ehdr, e_machine), &machine, sizeof(machine));
	memcpy(file.bytes + at, &word, sizeof(word));
	write_file(path, &file);
	free(file.bytes);
}

// Two images of the machines that have these words at the place, and are equal else.
static struct etp_error *compare(uint16_t machine, uint16_t other, size_t at, uint32_t x,
                                 uint32_t y)
{
	write_image(in_dir("a"), machine, at, x);
	write_image(in_dir("b"), other, at, y);
	struct etp_elf_image *a = NULL, *b = NULL;
	assert_null(etp_elf_image_open(in_dir("a"), &a));
	assert_null(etp_elf_image_open(in_dir("b"), &b));
	struct etp_error *err = etp_elf_image_same_program(a, b);
	etp_elf_image_close(a);
	etp_elf_image_close(b);
	return err;
}

static void expect_same(uint32_t x, uint32_t y)
{
	assert_null(compare(EM_AARCH64, EM_AARCH64, CODE + 8, x, y));
	assert_null(compare(EM_AARCH64, EM_AARCH64, CODE + PAGE - 4, y, x));
}

static void expect_other(uint32_t x, uint32_t y)
{
	expect_error(compare(EM_AARCH64, EM_AARCH64, CODE + 8, x, y), ETP_ERROR_ARGUMENT,
	             "section .rodata", NULL);
	expect_error(compare(EM_AARCH64, EM_AARCH64, CODE + 8, y, x), ETP_ERROR_ARGUMENT,
	             "section .rodata", NULL);
}

// What aarch64-linux-gnu-as makes of the instructions.
static void test_addition_of_zero(void **state)
{
	(void)state;
	const uint32_t nop = 0xd503201f, add_0_1 = 0x91000020, mov_0_1 = 0xaa0103e0;
	expect_same(0x12345678, 0x12345678);
	// add x0, x1, #0; mov x0, x1
	expect_same(add_0_1, mov_0_1);
	// add x2, x2, #0; mov x2, x2 is no nop of a linker's.
	expect_same(0x91000042, nop);
	expect_other(0xaa0203e2, nop);
	// add x26, x24, #0; mov x26, x24
	expect_same(0x9100031a, 0xaa1803fa);

	// Another register, more than zero, 32 bits, the stack pointer.
	expect_other(add_0_1, 0xaa0203e0);
	expect_other(add_0_1, 0xaa0103e1);
	expect_other(add_0_1, nop);
	expect_other(0x91000420, mov_0_1);
	expect_other(0x11000020, mov_0_1);
	expect_other(0x910003e0, 0xaa1f03e0);
	expect_other(0x910003ff, nop);
}

static void test_only_in_code_of_that_machine(void **state)
{
	(void)state;
	const uint32_t add_0_1 = 0x91000020, mov_0_1 = 0xaa0103e0;
	expect_error(compare(EM_X86_64, EM_X86_64, CODE + 8, add_0_1, mov_0_1), ETP_ERROR_ARGUMENT,
	             "section .rodata", NULL);
	expect_error(compare(EM_AARCH64, EM_AARCH64, DATA + 8, add_0_1, mov_0_1),
	             ETP_ERROR_ARGUMENT, "section .data", NULL);
	// Words of code are where words are.
	expect_error(compare(EM_AARCH64, EM_AARCH64, CODE + 6, add_0_1, mov_0_1),
	             ETP_ERROR_ARGUMENT, "section .rodata", NULL);
	expect_error(compare(EM_X86_64, EM_AARCH64, CODE, 1, 1), ETP_ERROR_ARGUMENT, "machines",
	             NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addition_of_zero),
		cmocka_unit_test(test_only_in_code_of_that_machine),
	};
	return cmocka_run_group_tests_name("elf_image", tests, setup_dir, teardown_dir);
}
