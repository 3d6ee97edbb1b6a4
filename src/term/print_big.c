// SPDX-License-Identifier: Apache-2.0
//
// Bignums in decimal. GMP does it in less than quadratic time: the largest that the
// VM can make (33 million bits) would take minutes otherwise.

#include "term/print_private.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

void print_big(struct etp_printer *p, const struct etp_term_view *view)
{
	uint64_t count = view->big.count;
	if (count > PRINT_BIG_MAX_WORDS) {
		print_format(p, "#Big<%llu words>", (unsigned long long)count);
		return;
	}
	// 20 digits hold a word. Room is made beforehand: GMP ends the program when it
	// runs out of memory.
	char *text = malloc(count * 20 + 3);
	if (!text) {
		p->no_memory = true;
		return;
	}
	mpz_t number;
	mpz_init(number);
	mpz_import(number, count, -1, 8, 0, 0, view->big.digits);
	if (view->big.negative)
		mpz_neg(number, number);
	mpz_get_str(text, 10, number);
	mpz_clear(number);
	print_slice(p, text, strlen(text));
	free(text);
}
