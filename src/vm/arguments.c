// SPDX-License-Identifier: Apache-2.0
#include <etp/vm.h>

#include "vm/vm.h"

enum {
	// What Linux passes to a program: MAX_ARG_STRINGS is larger, MAX_ARG_STRLEN is this.
	ARGUMENTS_MAX = 1 << 16,
	ARGUMENT_MAX_BYTES = 1 << 17,
};

static uint64_t arguments(const struct etp_vm *vm)
{
	uint64_t address;
	if (!HAS(vm, ErtsEmuArgs, argc) || !HAS(vm, ErtsEmuArgs, arg) || !HAS(vm, ErtsEmuArg, sz) ||
	    !HAS(vm, ErtsEmuArg, ptr))
		return 0;
	struct etp_error *err = etp_target_symbol(vm->target, "saved_emu_args", &address, NULL);
	if (err) {
		etp_error_destroy(err);
		return 0;
	}
	return address;
}

size_t etp_vm_argument_count(const struct etp_vm *vm, struct etp_reader *reader)
{
	uint64_t address = arguments(vm);
	uint32_t count;
	if (!address || !READ_U32(vm, reader, address, ErtsEmuArgs, argc, &count) ||
	    count > ARGUMENTS_MAX)
		return 0;
	return count;
}

const char *etp_vm_argument(const struct etp_vm *vm, struct etp_reader *reader, size_t index,
                            size_t *size_ret)
{
	uint64_t array, size, text;
	if (index >= etp_vm_argument_count(vm, reader) ||
	    !READ_WORD(vm, reader, arguments(vm), ErtsEmuArgs, arg, &array))
		return NULL;
	uint64_t argument = array + index * SIZEOF(vm, ErtsEmuArg);
	if (!READ_WORD(vm, reader, argument, ErtsEmuArg, sz, &size) || size > ARGUMENT_MAX_BYTES ||
	    !READ_WORD(vm, reader, argument, ErtsEmuArg, ptr, &text))
		return NULL;
	const char *bytes = etp_reader_at(reader, text, size);
	if (bytes)
		*size_ret = size;
	return bytes;
}
