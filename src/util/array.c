// SPDX-License-Identifier: Apache-2.0
#include "util/array.h"

#include <stdlib.h>
#include <string.h>

void *array_add(void *items, size_t *count, size_t *capacity, size_t size)
{
	// The pointer has the type of its items: only its bytes are ours to touch.
	char *first;
	memcpy(&first, items, sizeof(first));
	if (*count == *capacity) {
		size_t more = *capacity ? *capacity * 2 : 16;
		char *grown = reallocarray(first, more, size);
		if (!grown)
			return NULL;
		first = grown;
		*capacity = more;
		memcpy(items, &first, sizeof(first));
	}
	return first + (*count)++ * size;
}
