// SPDX-License-Identifier: Apache-2.0
#include <etp/allocators.h>

#include "vm/vm.h"

bool etp_vm_super_carrier(const struct etp_vm *vm, enum etp_memory_mapper mapper,
                          struct etp_super_carrier *ret)
{
	static const char *const symbols[] = {"erts_dflt_mmapper", "erts_literal_mmapper"};
	struct etp_reader reader;
	struct etp_super_carrier carrier;
	uint64_t address, only;
	if (!HAS(vm, ErtsMemMapper, total) || !HAS(vm, ErtsMemMapper, used) ||
	    !HAS(vm, ErtsMemMapper, no_os_mmap))
		return false;
	struct etp_error *err = etp_target_symbol(vm->target, symbols[mapper], &address, NULL);
	if (err) {
		etp_error_destroy(err);
		return false;
	}
	etp_reader_init(&reader, vm->target);
	if (!READ_WORD(vm, &reader, address, ErtsMemMapper, total, &carrier.total) ||
	    !READ_WORD(vm, &reader, address, ErtsMemMapper, used, &carrier.used) ||
	    !READ_ANY(vm, &reader, address, ErtsMemMapper, no_os_mmap, &only))
		return false;
	carrier.is_only = only;
	*ret = carrier;
	return true;
}
