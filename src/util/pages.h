// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_PAGES_H
#define ETP_UTIL_PAGES_H

// Arrays that can be large. A large one is from the kernel and goes back to it, whoever frees it,
// and in large pages where there are some: what is looked up all over it misses the processor's
// map of pages less often.

#include <stddef.h>

// All zero. NULL when memory ran out.
void *pages_alloc(size_t bytes);
// What is in this part of a large one, of whole pages, is not needed any more.
void pages_drop(void *part, size_t bytes);
// What pages_alloc(bytes) returned, or NULL.
void pages_free(void *items, size_t bytes);

#endif
