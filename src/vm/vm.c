// SPDX-License-Identifier: Apache-2.0
#include "vm/code.h"
#include "vm/proc_list.h"
#include "vm/trial.h"

#include "target/warn.h"

#include <stdlib.h>
#include <string.h>

enum {
	// ERTS_MAX_NO_OF_SCHEDULERS, erl_process.h.
	SCHEDULERS_MAX = 1024,
};

bool etp_vm_read_member(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                        enum etp_member_id id, uint64_t *ret)
{
	const struct etp_layout_member *member = &vm->layout->members[id];
	if (member->offset == ETP_LAYOUT_ABSENT || member->size > sizeof(*ret))
		return false;
	const void *bytes = etp_reader_at(reader, address + member->offset, member->size);
	if (!bytes)
		return false;
	uint64_t value = 0;
	memcpy(&value, bytes, member->size);
	*ret = value;
	return true;
}

const char *etp_vm_read_string(struct etp_reader *reader, uint64_t address, uint64_t max,
                               size_t *size_ret)
{
	// A page is there as a whole or not at all.
	enum { PAGE = 4096 };
	for (uint64_t size = 0; address && size < max;) {
		size += PAGE - (address + size) % PAGE;
		const char *text = etp_reader_at(reader, address, size);
		const char *end = text ? memchr(text, 0, size) : NULL;
		if (end) {
			*size_ret = (size_t)(end - text);
			return text;
		}
		if (!text)
			break;
	}
	return NULL;
}

struct etp_error *etp_vm_symbol_word(const struct etp_vm *vm, const char *name, uint64_t *ret)
{
	uint64_t address;
	struct etp_error *err = etp_target_symbol(vm->target, name, &address, NULL);
	if (err)
		return err;
	return etp_error_prefix(etp_target_read(vm->target, address, ret, sizeof(*ret)), "%s",
	                        name);
}

// The text of a `const char[]` of the VM. Owned by the caller.
static struct etp_error *read_text(const struct etp_vm *vm, const char *symbol, char **ret)
{
	uint64_t address;
	struct etp_error *err = etp_target_symbol(vm->target, symbol, &address, NULL);
	if (err)
		return err;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	char text[64];
	for (size_t i = 0; i < sizeof(text); i++) {
		const char *c = etp_reader_at(&reader, address + i, 1);
		if (!c)
			return etp_error_fault(address + i, symbol);
		text[i] = *c;
		if (!*c) {
			*ret = strdup(text);
			return *ret ? NULL : &etp_error_no_memory;
		}
	}
	return etp_error_create(ETP_ERROR_BAD_DATA, "%s at 0x%llx is not a short text.", symbol,
	                        (unsigned long long)address);
}

// Things are read in one piece up to some of their members; these must come last. A
// layout file that somebody edited may say otherwise.
static bool is_in_order(const struct etp_vm *vm)
{
	uint64_t creator = HAS(vm, ErlFunThing, creator) ? OFFSET(vm, ErlFunThing, creator)
	                                                 : OFFSET(vm, ErlFunThing, env);
	return (!HAS(vm, ErlFunThing, creator) || (OFFSET(vm, ErlFunThing, arity) < creator &&
	                                           OFFSET(vm, ErlFunThing, num_free) < creator &&
	                                           creator < OFFSET(vm, ErlFunThing, env))) &&
	       OFFSET(vm, ErlFunThing, entry) < creator && OFFSET(vm, flatmap, size) == 8 &&
	       OFFSET(vm, flatmap, keys) == 16 && OFFSET(vm, hashmap_head, size) == 8 &&
	       OFFSET(vm, hashmap_head, items) == 16 &&
	       OFFSET(vm, DbTerm, first_oh) < OFFSET(vm, DbTerm, tpl) &&
	       OFFSET(vm, DbTerm, size) < OFFSET(vm, DbTerm, tpl) &&
	       MEMBER_SIZE(vm, Process, initial) >= SIZEOF(vm, ErtsCodeMFA);
}

const char *etp_vm_lacking_member(const struct etp_vm *vm)
{
	for (size_t i = 0; i < vm->scheme->member_count; i++)
		if (!etp_layout_has(vm->layout, vm->scheme->members[i]))
			return etp_member_name(vm->scheme->members[i]);
	return NULL;
}

// Does the layout have what the decoder of this release needs, and in that order?
static struct etp_error *check_members(const struct etp_vm *vm)
{
	const char *lacking = etp_vm_lacking_member(vm);
	if (lacking)
		return etp_error_create(
			ETP_ERROR_LAYOUT,
			"The layout (%s, of OTP %s) does not say where %s is, which every VM of "
			"OTP %s has. It is of another release, was made by another version of etp, "
			"or is damaged; make it again with scripts/extract-layout.",
			vm->layout->source, vm->layout->otp_release, lacking, vm->scheme->releases);
	if (is_in_order(vm))
		return NULL;
	return etp_error_create(
		ETP_ERROR_LAYOUT,
		"The layout (%s) has members of ErlFunThing, flatmap_t, "
		"hashmap_head_t, DbTerm or Process in an order that no VM of OTP %s has. It is "
		"damaged; make it again with scripts/extract-layout.",
		vm->layout->source, vm->scheme->releases);
}

static struct etp_error *identify(struct etp_vm *vm)
{
	struct etp_error *err = read_text(vm, "etp_otp_release", &vm->otp_release);
	if (!err)
		err = read_text(vm, "etp_erts_version", &vm->erts_version);
	uint32_t beamasm = 0;
	uint64_t address;
	if (err)
		return err;
	err = etp_target_symbol(vm->target, "etp_beamasm", &address, NULL);
	if (!err) {
		err = etp_target_read(vm->target, address, &beamasm, sizeof(beamasm));
	} else if (err->kind == ETP_ERROR_NOT_FOUND) {
		// OTP 23 and older have no JIT, and do not say so.
		etp_error_destroy(err);
		err = NULL;
	}
	if (err)
		return err;
	vm->info.otp_release = vm->otp_release;
	vm->info.erts_version = vm->erts_version;
	vm->info.flavor = beamasm ? "jit" : "emu";
	vm->scheme = etp_term_scheme_find(vm->otp_release);
	if (!vm->scheme)
		return etp_error_create(
			ETP_ERROR_UNSUPPORTED,
			"This is OTP %s (ERTS %s, %s). This version of etp decodes the terms of "
			"OTP 23 to 29 only; a newer etp may know this release.",
			vm->otp_release, vm->erts_version, vm->info.flavor);
	err = etp_vm_check_tags(vm);
	return err ? err : check_members(vm);
}

// A count that ERTS keeps in a global of 8 or 4 bytes; 0 when it cannot be read.
static uint64_t read_count(const struct etp_vm *vm, const char *name)
{
	uint64_t address, size, value = 0;
	struct etp_error *err = etp_target_symbol(vm->target, name, &address, &size);
	if (!err)
		err = etp_target_read(vm->target, address, &value, size == 4 ? 4 : 8);
	if (err) {
		etp_error_destroy(err);
		return 0;
	}
	return value;
}

static struct etp_error *find_schedulers(struct etp_vm *vm)
{
	struct etp_error *err =
		etp_vm_symbol_word(vm, "erts_aligned_scheduler_data", &vm->scheduler_data);
	if (err)
		return err;
	vm->info.schedulers = read_count(vm, "erts_no_schedulers");
	vm->info.dirty_cpu_schedulers = read_count(vm, "erts_no_dirty_cpu_schedulers");
	vm->info.dirty_io_schedulers = read_count(vm, "erts_no_dirty_io_schedulers");
	vm->scheduler_stride = SIZEOF(vm, ErtsAlignedSchedulerData);
	if (!vm->info.schedulers || vm->info.schedulers > SCHEDULERS_MAX)
		return etp_error_create(
			ETP_ERROR_BAD_DATA,
			"erts_no_schedulers is %llu, which no VM has (1 to %d). The VM may have "
			"died before it was up.",
			(unsigned long long)vm->info.schedulers, SCHEDULERS_MAX);
	return NULL;
}

static struct etp_error *find_node(struct etp_vm *vm)
{
	struct etp_error *err = etp_vm_symbol_word(vm, "erts_this_node", &vm->this_node);
	if (err)
		return err;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t name;
	if (!READ_WORD(vm, &reader, vm->this_node, ErlNode, sysname, &name) ||
	    !READ_U32(vm, &reader, vm->this_node, ErlNode, creation, &vm->info.node_creation))
		return etp_error_fault(reader.fault_address, "This node (erts_this_node)");
	if (!term_is_atom(name))
		return etp_error_create(
			ETP_ERROR_LAYOUT,
			"The name of this node is not an atom; the layout (%s) does "
			"not fit this core.",
			vm->layout->source);
	vm->info.node_name = term_atom_index(name);
	return NULL;
}

// Time of the last look at the clock by any scheduler, since the VM's start.
static void find_uptime(struct etp_vm *vm)
{
	vm->info.uptime_ns = -1;
	uint64_t time_sup;
	struct etp_error *err = etp_target_symbol(vm->target, "erts_time_sup__", &time_sup, NULL);
	if (err) {
		etp_error_destroy(err);
		return;
	}
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	uint64_t unit;
	if (!READ_WORD(vm, &reader, time_sup, ErtsTimeSupData, monotonic_time_unit, &unit) ||
	    unit != 1000000000)
		return;
	int64_t last = INT64_MIN;
	for (uint64_t i = 0; i < vm->info.schedulers; i++) {
		uint64_t esd = vm->scheduler_data + i * vm->scheduler_stride +
		               OFFSET(vm, ErtsAlignedSchedulerData, esd);
		uint64_t time;
		if (READ_WORD(vm, &reader, esd, ErtsSchedulerData, last_monotonic_time, &time) &&
		    (int64_t)time > last)
			last = (int64_t)time;
	}
	if (last > etp_vm_monotonic_begin_ns)
		vm->info.uptime_ns = last - etp_vm_monotonic_begin_ns;
}

static struct etp_error *warn_unreadable(struct etp_vm *vm, const struct etp_ptab *ptab,
                                         const char *what, const char *consequence)
{
	if (!ptab->unreadable || vm->is_trial)
		return NULL;
	return etp_target_warn(
		vm->target,
		"%llu places of the %s table could not be read, or hold no %s: it may "
		"be that %s.",
		(unsigned long long)ptab->unreadable, what, what, consequence);
}

// What is wrong with the target may be why it made no sense.
static struct etp_error *add_warnings(struct etp_error *err, const struct etp_target *target)
{
	const struct etp_target_info *info = etp_target_info(target);
	for (size_t i = 0; i < info->warning_count; i++)
		err = etp_error_append(err, "%s", info->warnings[i]);
	return err;
}

static struct etp_error *open_tables(struct etp_vm *vm)
{
	struct etp_error *err = find_schedulers(vm);
	if (!err)
		err = etp_atoms_init(vm);
	if (!err)
		err = find_node(vm);
	if (!err)
		err = etp_ptab_init(&vm->processes, vm, "erts_proc", TAG_IMMED1_PID);
	if (!err)
		err = etp_vm_add_exiting(vm);
	if (!err)
		err = etp_ptab_init(&vm->ports, vm, "erts_port", TAG_IMMED1_PORT);
	if (!err)
		err = etp_code_init(vm);
	if (err)
		return err;
	err = warn_unreadable(vm, &vm->processes, "process", "a live process is taken for dead");
	if (!err)
		err = warn_unreadable(vm, &vm->ports, "port", "an open port is taken for closed");
	if (err)
		return err;
	find_uptime(vm);
	vm->info.processes = vm->processes.count;
	vm->info.process_limit = vm->processes.limit;
	vm->info.ports = vm->ports.count;
	vm->info.port_limit = vm->ports.limit;
	vm->info.atoms = vm->atoms.count;
	vm->info.atom_limit = vm->atoms.limit;
	return etp_vm_check(vm);
}

struct etp_error *etp_vm_make_sense(struct etp_vm *vm)
{
	struct etp_error *err = identify(vm);
	return err ? err : open_tables(vm);
}

void etp_vm_forget(struct etp_vm *vm)
{
	etp_checks_deinit(vm);
	etp_code_deinit(vm);
	etp_ptab_deinit(&vm->processes);
	etp_ptab_deinit(&vm->ports);
	free(vm->otp_release);
	free(vm->erts_version);
}

struct etp_error *etp_vm_open(struct etp_target *target, const struct etp_layout_options *options,
                              struct etp_vm **ret)
{
	struct etp_vm *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return &etp_error_no_memory;
	vm->target = target;
	struct etp_error *err = etp_layout_choose(target, options, &vm->layout);
	if (err && err->kind == ETP_ERROR_LAYOUT && !(options && options->file))
		err = etp_layout_nearest(target, options, err, &vm->layout);
	if (!err)
		err = etp_vm_make_sense(vm);
	if (err) {
		err = add_warnings(err, target);
		// On an error the target stays with the caller.
		vm->target = NULL;
		etp_vm_close(vm);
		return err;
	}
	*ret = vm;
	return NULL;
}

void etp_vm_close(struct etp_vm *vm)
{
	if (!vm)
		return;
	etp_vm_forget(vm);
	etp_layout_destroy(vm->layout);
	etp_target_destroy(vm->target);
	free(vm);
}

const struct etp_target *etp_vm_target(const struct etp_vm *vm)
{
	return vm->target;
}

const struct etp_layout *etp_vm_layout(const struct etp_vm *vm)
{
	return vm->layout;
}

const struct etp_vm_info *etp_vm_info(const struct etp_vm *vm)
{
	return &vm->info;
}
