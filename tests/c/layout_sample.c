// SPDX-License-Identifier: Apache-2.0
#include "layout_sample.h"

extern int sample_other(struct sample_opaque *opaque);

SampleAll sample_all;
SampleTerm sample_term;
struct sample_twin sample_twin;
struct sample_common_name sample_common_name;

int main(void)
{
	return sample_other((struct sample_opaque *)0);
}
