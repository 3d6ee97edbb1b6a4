// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_REASON_H
#define ETP_UTIL_REASON_H

#include <string.h>

// Of several reasons, static strings, one is told: the first in the alphabet, so that it does not
// depend on the order in which things were looked at. `other` may be NULL.
static inline void reason_add(const char **reason, const char *other)
{
	if (other && (!*reason || strcmp(other, *reason) < 0))
		*reason = other;
}

#endif
