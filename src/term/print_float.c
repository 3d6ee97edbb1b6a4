// SPDX-License-Identifier: Apache-2.0
//
// Floats as float_to_list(F, [short]) prints them (ERTS: ryu/d2s.c): the fewest
// digits that read back as the same float, of these the closest ones, in whichever
// of the two notations is shorter.

#include "term/print_private.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 17 };

// No decimal point in what is read, so that the locale does not matter.
static bool reads_back(uint64_t mantissa, int exponent, double value)
{
	char text[48];
	snprintf(text, sizeof(text), "%llue%d", (unsigned long long)mantissa, exponent);
	return strtod(text, NULL) == value;
}

// `value` rounded to `count` digits: mantissa * 10^exponent.
static uint64_t round_to(double value, int count, int *exponent_ret)
{
	char text[48];
	snprintf(text, sizeof(text), "%.*e", count - 1, value);
	uint64_t mantissa = 0;
	const char *c = text;
	for (; *c && *c != 'e'; c++)
		if (isdigit((unsigned char)*c))
			mantissa = mantissa * 10 + (uint64_t)(*c - '0');
	*exponent_ret = atoi(c + 1) - (count - 1);
	return mantissa;
}

int float_shortest(double value, char digits[17], int *exponent_ret)
{
	value = fabs(value);
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	bool is_subnormal = bits >> 52 == 0;
	// Floats below a power of two are closer to it than those above, so that
	// the nearest decimal may read back as another float while its neighbour
	// above does not.
	bool is_power_of_two = !(bits & ((UINT64_C(1) << 52) - 1));
	// 15 digits determine every normal float that has so few, but for the ones
	// that the above is about.
	int count = is_subnormal || is_power_of_two ? 1 : 15;
	uint64_t mantissa;
	int exponent;
	for (;; count++) {
		mantissa = round_to(value, count, &exponent);
		if (count == MAX_DIGITS || reads_back(mantissa, exponent, value))
			break;
		if (is_power_of_two && reads_back(mantissa + 1, exponent, value)) {
			mantissa++;
			break;
		}
	}
	while (mantissa && mantissa % 10 == 0) {
		mantissa /= 10;
		exponent++;
	}
	char text[24];
	int size = snprintf(text, sizeof(text), "%llu", (unsigned long long)mantissa);
	memcpy(digits, text, (size_t)size);
	*exponent_ret = exponent + size;
	return size;
}

static bool is_beyond_exact_integers(uint64_t value_bits)
{
	double value, limit = 9007199254740992.0;
	memcpy(&value, &value_bits, sizeof(value));
	return fabs(value) >= limit;
}

void print_float(struct etp_printer *p, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	// The VM has no infinities and no NaN.
	if (!isfinite(value)) {
		print_format(p, "#Float<0x%016llx>", (unsigned long long)bits);
		return;
	}
	if (bits >> 63)
		print_char(p, '-');
	if (value == 0) {
		print_str(p, "0.0");
		return;
	}
	char digits[MAX_DIGITS + 1];
	int point;
	int count = float_shortest(value, digits, &point);
	// DIGITS times 10^exponent, or D.IGITS times 10^scientific.
	int exponent = point - count, scientific = point - 1;
	int least = count == 1 ? -4 : -(count + 2);
	int most = count == 1 || scientific >= 10 ? 2 : 1;
	if (exponent < least || exponent > most || is_beyond_exact_integers(bits)) {
		print_char(p, digits[0]);
		print_char(p, '.');
		if (count > 1)
			print_bytes(p, digits + 1, (size_t)count - 1);
		else
			print_char(p, '0');
		print_format(p, "e%d", scientific);
	} else if (exponent >= 0) {
		print_bytes(p, digits, (size_t)count);
		print_bytes(p, "00", (size_t)exponent);
		print_str(p, ".0");
	} else if (point > 0) {
		print_bytes(p, digits, (size_t)point);
		print_char(p, '.');
		print_bytes(p, digits + point, (size_t)(count - point));
	} else {
		print_str(p, "0.");
		for (int i = point; i < 0; i++)
			print_char(p, '0');
		print_bytes(p, digits, (size_t)count);
	}
}
