// SPDX-License-Identifier: Apache-2.0
#include <etp/fds.h>

#include "vm/vm.h"

enum {
	// A process cannot have more (fs.nr_open).
	FDS_MAX = 1 << 24,
	// <poll.h>; <sys/epoll.h> has the same numbers.
	EVENT_IN = 0x001,
	EVENT_OUT = 0x004,
	EVENT_ERR = 0x008,
	EVENT_HUP = 0x010,
};

const char *etp_fd_type_name(enum etp_fd_type type)
{
	static const char *const names[ETP_FD_TYPE_COUNT] = {
		[ETP_FD_NONE] = "none",
		[ETP_FD_DRIVER] = "driver",
		[ETP_FD_STOP_DRIVER] = "stop_driver",
		[ETP_FD_NIF] = "nif",
		[ETP_FD_STOP_NIF] = "stop_nif",
	};
	return type < ETP_FD_TYPE_COUNT ? names[type] : "unknown";
}

static void gap(struct etp_fd_iter *iter, const char *problem)
{
	iter->gaps++;
	iter->problem = problem;
}

void etp_fd_iter_init(struct etp_fd_iter *iter, const struct etp_vm *vm, struct etp_reader *reader)
{
	*iter = (struct etp_fd_iter){.vm = vm, .reader = reader};
	uint64_t shared, states, count;
	if (!HAS(vm, drv_ev_state_shared, v) || !HAS(vm, ErtsDrvEventState, type)) {
		gap(iter, "the layout does not have the file descriptors of this release");
		return;
	}
	struct etp_error *err = etp_target_symbol(vm->target, "drv_ev_state", &shared, NULL);
	if (err) {
		etp_error_destroy(err);
		gap(iter, "there is no symbol for the table of file descriptors");
		return;
	}
	if (!READ_WORD(vm, reader, shared, drv_ev_state_shared, v, &states) ||
	    !READ_WORD(vm, reader, shared, drv_ev_state_shared, len, &count) || count > FDS_MAX) {
		gap(iter, "the table of file descriptors cannot be read");
		return;
	}
	iter->states = states;
	iter->count = count;
}

static unsigned event_set(uint64_t bits)
{
	return (bits & EVENT_IN ? ETP_FD_IN : 0U) | (bits & EVENT_OUT ? ETP_FD_OUT : 0U) |
	       (bits & (EVENT_ERR | EVENT_HUP) ? ETP_FD_ERROR : 0U);
}

// Who is told, where a member says it; NIL for nobody.
static etp_term receiver(struct etp_fd_iter *iter, uint64_t address, enum etp_member_id id,
                         struct etp_fd *fd)
{
	etp_term term;
	if (!etp_layout_has(iter->vm->layout, id))
		return 0;
	if (!etp_vm_read_member(iter->vm, iter->reader, address, id, &term)) {
		fd->is_incomplete = true;
		return 0;
	}
	return term_is_internal_pid(term) || term_is_internal_port(term) ? term : 0;
}

static void read_driver(struct etp_fd_iter *iter, uint64_t select, struct etp_fd *fd)
{
	fd->in = receiver(iter, select, ETP_MEMBER_ErtsDrvSelectDataState_inport, fd);
	fd->out = receiver(iter, select, ETP_MEMBER_ErtsDrvSelectDataState_outport, fd);
}

static void read_nif(struct etp_fd_iter *iter, uint64_t nif, struct etp_fd *fd)
{
	fd->in = receiver(iter, nif, ETP_MEMBER_ErtsNifSelectDataState_in_pid, fd);
	fd->out = receiver(iter, nif, ETP_MEMBER_ErtsNifSelectDataState_out_pid, fd);
	fd->error = receiver(iter, nif, ETP_MEMBER_ErtsNifSelectDataState_err_pid, fd);
}

static void read_resource(struct etp_fd_iter *iter, uint64_t resource, struct etp_fd *fd)
{
	const struct etp_vm *vm = iter->vm;
	uint64_t type;
	etp_term module, name;
	fd->resource = resource;
	if (!HAS(vm, ErtsResource, type) || !HAS(vm, ErlNifResourceType, name))
		return;
	if (!READ_WORD(vm, iter->reader, resource, ErtsResource, type, &type) ||
	    !READ_WORD(vm, iter->reader, type, ErlNifResourceType, module, &module) ||
	    !READ_WORD(vm, iter->reader, type, ErlNifResourceType, name, &name) ||
	    !term_is_atom(module) || !term_is_atom(name)) {
		fd->is_incomplete = true;
		return;
	}
	fd->resource_module = module;
	fd->resource_name = name;
}

bool etp_fd_iter_next(struct etp_fd_iter *iter, struct etp_fd *ret)
{
	const struct etp_vm *vm = iter->vm;
	while (iter->next < iter->count) {
		uint64_t number = iter->next++;
		uint64_t address = iter->states + number * SIZEOF(vm, ErtsDrvEventState);
		const void *state =
			etp_reader_at(iter->reader, address, SIZEOF(vm, ErtsDrvEventState));
		if (!state) {
			gap(iter, "entries of the table of file descriptors cannot be read");
			continue;
		}
		uint64_t type = SMALL_OF(vm, state, ErtsDrvEventState, type);
		uint64_t select = WORD_OF(vm, state, ErtsDrvEventState, select);
		uint64_t nif = WORD_OF(vm, state, ErtsDrvEventState, nif);
		struct etp_fd fd = {
			.fd = (int32_t)number,
			.type = type < ETP_FD_TYPE_COUNT ? (enum etp_fd_type)type
		                                         : ETP_FD_TYPE_COUNT,
			.events = event_set(SMALL_OF(vm, state, ErtsDrvEventState, events)),
			.active_events =
				event_set(SMALL_OF(vm, state, ErtsDrvEventState, active_events)),
		};
		if (type == ETP_FD_NONE && !fd.events && !fd.active_events)
			continue;
		// An entry knows its number.
		fd.is_incomplete = type >= ETP_FD_TYPE_COUNT ||
		                   SMALL_OF(vm, state, ErtsDrvEventState, fd) != number;
		if (type == ETP_FD_DRIVER && select)
			read_driver(iter, select, &fd);
		if (type == ETP_FD_NIF && nif)
			read_nif(iter, nif, &fd);
		if (type == ETP_FD_NIF || type == ETP_FD_STOP_NIF)
			read_resource(iter, WORD_OF(vm, state, ErtsDrvEventState, stop_resource),
			              &fd);
		*ret = fd;
		return true;
	}
	return false;
}
