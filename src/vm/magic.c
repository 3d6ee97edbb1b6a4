// SPDX-License-Identifier: Apache-2.0
#include <etp/chain.h>
#include <etp/magic.h>

#include "vm/vm.h"

const char *etp_magic_kind_name(enum etp_magic_kind kind)
{
	static const char *const names[] = {
		[ETP_MAGIC_OTHER] = "other",
		[ETP_MAGIC_DIST_SEND] = "dist_send",
		[ETP_MAGIC_MATCH_SPEC] = "match_spec",
		[ETP_MAGIC_RESOURCE] = "resource",
	};
	return names[kind];
}

static uint64_t symbol(const struct etp_vm *vm, const char *name)
{
	uint64_t address;
	struct etp_error *err = etp_target_symbol(vm->target, name, &address, NULL);
	if (!err)
		return address;
	etp_error_destroy(err);
	return 0;
}

void etp_magic_kinds_init(struct etp_magic_kinds *kinds, const struct etp_vm *vm)
{
	*kinds = (struct etp_magic_kinds){0};
	if (HAS(vm, ErtsDSigSendContext, c_p))
		kinds->dist_send = symbol(vm, "erts_dsend_context_dtor");
	if (HAS(vm, MatchProg, term_save))
		kinds->match_spec = symbol(vm, "erts_db_match_prog_destructor");
	if (HAS(vm, ErtsResource, type) && HAS(vm, ErlNifResourceType, name))
		kinds->resource_types = symbol(vm, "resource_type_list");
}

// All resources have the same destructor, which has no symbol; their type is in the list.
static bool is_resource_type(const struct etp_vm *vm, struct etp_reader *reader,
                             const struct etp_magic_kinds *kinds, uint64_t type)
{
	struct etp_chain chain = {0};
	uint64_t next = kinds->resource_types;
	do {
		if (!etp_chain_step(&chain, next) ||
		    !READ_WORD(vm, reader, next, ErlNifResourceType, next, &next))
			return false;
	} while (next != type && next != kinds->resource_types);
	return next == type && type != kinds->resource_types;
}

static void read_resource(const struct etp_vm *vm, struct etp_reader *reader,
                          const struct etp_magic_kinds *kinds, uint64_t address,
                          struct etp_magic *magic)
{
	uint64_t data = address + OFFSET(vm, ErtsMagicBinary, unaligned_data), type;
	if (!kinds->resource_types || !READ_WORD(vm, reader, data, ErtsResource, type, &type) ||
	    !is_resource_type(vm, reader, kinds, type) ||
	    !READ_WORD(vm, reader, type, ErlNifResourceType, module, &magic->module) ||
	    !READ_WORD(vm, reader, type, ErlNifResourceType, name, &magic->name) ||
	    !term_is_atom(magic->module) || !term_is_atom(magic->name))
		return;
	magic->kind = ETP_MAGIC_RESOURCE;
	magic->data = data;
}

void etp_magic_read(const struct etp_vm *vm, struct etp_reader *reader,
                    const struct etp_magic_kinds *kinds, uint64_t address, struct etp_magic *ret)
{
	struct etp_magic magic = {.data = address + OFFSET(vm, ErtsMagicBinary, data)};
	uint64_t destructor, process;
	if (!READ_WORD(vm, reader, address, ErtsMagicBinary, destructor, &destructor) ||
	    !destructor) {
		*ret = magic;
		return;
	}
	if (destructor == kinds->dist_send)
		magic.kind = ETP_MAGIC_DIST_SEND;
	else if (destructor == kinds->match_spec)
		magic.kind = ETP_MAGIC_MATCH_SPEC;
	else
		read_resource(vm, reader, kinds, address, &magic);
	if (magic.kind == ETP_MAGIC_DIST_SEND &&
	    READ_WORD(vm, reader, magic.data, ErtsDSigSendContext, c_p, &process) &&
	    (!READ_WORD(vm, reader, process, Process, id, &magic.sender) ||
	     !term_is_internal_pid(magic.sender)))
		magic.sender = 0;
	*ret = magic;
}
