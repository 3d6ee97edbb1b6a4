// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PYTHON_CELLS_H
#define ETP_PYTHON_CELLS_H

// Numbers as tables show them, to the letter as plugin/etp/units.py has them.

#include <stddef.h>
#include <stdint.h>

enum cell_style {
	// 1,234,567
	CELL_COUNT,
	// 1.2 MiB
	CELL_BYTES,
	// Bytes as a count of whole words.
	CELL_WORDS,
	// 0x7f12
	CELL_ADDRESS,
};

// A number of bytes may be one of words that takes all 64 bits. Digits of that, with separators.
enum { CELL_SIZE = 32 };

// Writes the text of a number below 2^67, without a 0 behind it; returns its length.
size_t cell_write(enum cell_style style, unsigned __int128 number, char text[CELL_SIZE]);

#endif
