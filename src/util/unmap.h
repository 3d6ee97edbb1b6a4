// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_UNMAP_H
#define ETP_UTIL_UNMAP_H

#include <stddef.h>

// munmap(), by as many threads as pay: of a core of some gigabytes the kernel has a million pages
// to take out, one by one.
void unmap(void *bytes, size_t size);

#endif
