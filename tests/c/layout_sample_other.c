// SPDX-License-Identifier: Apache-2.0
#define SAMPLE_OTHER 1
#include "layout_sample.h"

extern int sample_other(struct sample_opaque *opaque);

struct sample_twin sample_other_twin;
struct sample_common_name sample_other_common_name;

int sample_other(struct sample_opaque *opaque)
{
	return opaque != (struct sample_opaque *)0;
}
