// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_ARRAY_H
#define ETP_UTIL_ARRAY_H

#include <stddef.h>

// Room for one more item of `size` bytes behind the `*count` that the array at
// `*items` has; counts it, and returns it uninitialised. `items` is the address of
// the pointer to the first item. NULL when memory ran out: then nothing changed.
void *array_add(void *items, size_t *count, size_t *capacity, size_t size);

#endif
