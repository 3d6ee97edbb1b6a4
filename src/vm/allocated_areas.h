// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_ALLOCATED_AREAS_H
#define ETP_VM_ALLOCATED_AREAS_H

#include <etp/allocators.h>

// Fill in ret->areas; what is not known is counted in `ret`.
void etp_allocated_areas(const struct etp_vm *vm, struct etp_allocators *ret);

#endif
