// SPDX-License-Identifier: Apache-2.0
#include <etp/ports.h>

#include "vm/vm.h"

enum {
	// ERTS_PORT_SFLG_*, erl_port.h.
	SFLG_EXITING = 1 << 1,
	SFLG_DISTRIBUTION = 1 << 2,
	SFLG_CLOSING = 1 << 5,
	// ERTS_PTS_FLG_*, erl_port_task.h.
	PTS_FLG_BUSY_PORT = 1 << 4,
	PTS_FLG_BUSY_PORT_Q = 1 << 5,
};

size_t etp_vm_ports(const struct etp_vm *vm, const uint64_t **addresses_ret)
{
	*addresses_ret = vm->ports.addresses;
	return vm->ports.count;
}

// A member that tells a word; notes when it cannot be had.
static uint64_t member(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                       enum etp_member_id id, struct etp_port_info *info)
{
	uint64_t value;
	if (etp_layout_has(vm->layout, id) && etp_vm_read_member(vm, reader, address, id, &value))
		return value;
	info->is_incomplete = true;
	return 0;
}

#define PORT_MEMBER(name) member(vm, reader, address, ETP_MEMBER_Port_##name, &info)

struct etp_error *etp_port_info(const struct etp_vm *vm, struct etp_reader *reader,
                                uint64_t address, struct etp_port_info *ret)
{
	struct etp_port_info info = {.address = address};
	uint64_t name, registered;
	if (!READ_WORD(vm, reader, address, Port, id, &info.port) ||
	    !READ_WORD(vm, reader, address, Port, name, &name) ||
	    !READ_WORD(vm, reader, address, Port, reg, &registered))
		return etp_error_fault(reader->fault_address, "A port");
	info.name = etp_vm_read_string(reader, name, ETP_PORT_NAME_MAX, &info.name_size);
	uint64_t driver = PORT_MEMBER(drv_ptr), driver_name;
	if (driver && HAS(vm, erts_driver_t, name) &&
	    READ_WORD(vm, reader, driver, erts_driver_t, name, &driver_name))
		info.driver = etp_vm_read_string(reader, driver_name, ETP_PORT_NAME_MAX,
		                                 &info.driver_size);
	if (registered && !READ_WORD(vm, reader, registered, RegProc, name, &info.registered_name))
		info.is_incomplete = true;
	info.connected = PORT_MEMBER(connected);
	info.input = PORT_MEMBER(bytes_in);
	info.output = PORT_MEMBER(bytes_out);
	info.os_pid = (int64_t)PORT_MEMBER(os_pid);
	// -1 of a driver.
	if (info.os_pid < 0)
		info.os_pid = 0;
	info.has_suspended = PORT_MEMBER(suspended) != 0;
	uint64_t state = PORT_MEMBER(state), flags = PORT_MEMBER(sched_flags);
	info.is_closing = state & (SFLG_EXITING | SFLG_CLOSING);
	info.is_distribution = state & SFLG_DISTRIBUTION;
	info.is_busy = flags & PTS_FLG_BUSY_PORT;
	info.is_queue_full = flags & PTS_FLG_BUSY_PORT_Q;
	if (HAS(vm, Port, ioq))
		info.queue_size = member(vm, reader, address + OFFSET(vm, Port, ioq),
		                         ETP_MEMBER_ErtsIOQueue_size, &info);
	info.is_incomplete |= !info.name || !info.driver || !HAS(vm, Port, ioq);
	*ret = info;
	return NULL;
}
