// SPDX-License-Identifier: Apache-2.0
// The first allocation of a process into which scripts/sanitize loads the sanitizer's runtime.
//
// With its first allocation the runtime looks for symbols. In gdb, that would be an allocation in
// newlocale(), called by the constructor of a library: under a lock of libc that dlerror() waits
// for. This module is initialized before all others.
#include <stdlib.h>

static __attribute__((constructor)) void allocate_first(void)
{
	free(malloc(1));
}
