// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TEST_LAYOUT_SAMPLE_H
#define ETP_TEST_LAYOUT_SAMPLE_H

// Structs as ERTS writes them. layout_sample is built from them with -g, and
// test_layout compares what it finds in that DWARF with offsetof and sizeof.

#include <stdint.h>

typedef uint64_t sample_word;
typedef const volatile sample_word sample_qualified;

struct sample_inner {
	char first;
	struct {
		char pad;
		sample_word deep;
	} o;
};

// A typedef of a struct without a tag, with a tag of another name inside.
typedef struct {
	int number;
	union {
		struct sample_inner r;
		char align[64];
	} u;
	union {
		struct {
			short low;
			short high;
		};
		int both;
	};
	sample_qualified qualified;
	uint32_t numbers[3];
	uint16_t matrix[2][5];
	struct sample_inner pair[2];
	void *pointer;
	int (*function)(void);
	unsigned int bit : 1;
	unsigned int : 7;
	unsigned int byte : 8;
	unsigned int rest : 16;
	sample_word tail[];
} SampleAll;

// Like DbTerm: the last array has one element and is longer in truth.
struct sample_term {
	uint32_t size;
	sample_word tpl[1];
};
typedef struct sample_term SampleTerm;

// Defined differently by layout_sample_other.c.
#ifndef SAMPLE_OTHER
struct sample_twin {
	int a;
	int b;
};
struct sample_common_name {
	char wanted;
	char also_wanted;
};
#else
struct sample_twin {
	int b;
	int a;
};
struct sample_common_name {
	int something_else;
	char wanted;
};
#endif

// Never defined.
struct sample_opaque;

#endif
