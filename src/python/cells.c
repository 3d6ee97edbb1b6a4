// SPDX-License-Identifier: Apache-2.0
#include "python/cells.h"

#include <string.h>

enum { WORD = 8, TENTHS = 10, KIB_BITS = 10, KIB = 1 << KIB_BITS };

// What fits into 64 bits is divided as such, which is much faster.
static unsigned next_digit(unsigned __int128 *number, unsigned base)
{
	uint64_t small = (uint64_t)*number;
	unsigned digit;
	if (small == *number) {
		digit = (unsigned)(small % base);
		*number = small / base;
	} else {
		digit = (unsigned)(*number % base);
		*number /= base;
	}
	return digit;
}

// With a comma between groups of so many digits, 0 for none.
static size_t write_digits(unsigned __int128 number, unsigned base, unsigned group, char *text)
{
	char reversed[CELL_SIZE];
	size_t size = 0;
	for (unsigned digits = 0; digits == 0 || number; digits++) {
		if (digits && group && digits % group == 0)
			reversed[size++] = ',';
		reversed[size++] = "0123456789abcdef"[next_digit(&number, base)];
	}
	for (size_t i = 0; i < size; i++)
		text[i] = reversed[size - 1 - i];
	return size;
}

// To one digit behind the point, as Python rounds: what lies in the middle to the even one.
static uint64_t tenths_of(unsigned __int128 number, unsigned bits)
{
	unsigned __int128 tenths = number * TENTHS;
	unsigned __int128 half = (unsigned __int128)1 << (bits - 1);
	unsigned __int128 rest = tenths & (2 * half - 1);
	uint64_t whole = (uint64_t)(tenths >> bits);
	return whole + (rest > half || (rest == half && whole % 2));
}

static size_t write_bytes(unsigned __int128 count, char *text)
{
	static const char *const units[] = {" KiB", " MiB", " GiB", " TiB"};
	enum { UNITS = sizeof(units) / sizeof(units[0]) };
	size_t size, unit = 0;
	if (count < KIB) {
		size = write_digits(count, 10, 0, text);
		text[size++] = ' ';
		text[size++] = 'B';
		return size;
	}
	// A number of Python is divided as a double.
	unsigned __int128 number = (unsigned __int128)(double)count;
	uint64_t tenths = tenths_of(number, KIB_BITS);
	while (tenths >= KIB * TENTHS && unit < UNITS - 1)
		tenths = tenths_of(number, (unsigned)(++unit + 1) * KIB_BITS);
	size = write_digits(tenths / TENTHS, 10, 0, text);
	text[size++] = '.';
	text[size++] = (char)('0' + tenths % TENTHS);
	memcpy(text + size, units[unit], strlen(units[unit]));
	return size + strlen(units[unit]);
}

size_t cell_write(enum cell_style style, unsigned __int128 number, char text[CELL_SIZE])
{
	enum { DECIMAL = 10, HEXADECIMAL = 16, THOUSANDS = 3 };
	switch (style) {
	case CELL_BYTES:
		return write_bytes(number, text);
	case CELL_ADDRESS:
		text[0] = '0';
		text[1] = 'x';
		return 2 + write_digits(number, HEXADECIMAL, 0, text + 2);
	case CELL_WORDS:
		return write_digits(number / WORD, DECIMAL, THOUSANDS, text);
	case CELL_COUNT:
		break;
	}
	return write_digits(number, DECIMAL, THOUSANDS, text);
}
