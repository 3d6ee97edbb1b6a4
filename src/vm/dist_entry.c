// SPDX-License-Identifier: Apache-2.0
#include <etp/dist_entry.h>

#include <etp/links.h>

#include "vm/proc_list.h"
#include "vm/vm.h"

enum {
	// hash.c: a Hash has 1 << (MAX_SHIFT - shift) buckets.
	HASH_MAX_SHIFT = 64,
	BUCKETS_LOG_MAX = 24,
	// dist.h
	DFLAG_PUBLISHED = 0x01,
	// ERTS_DE_QFLG_*, erl_node_tables.h.
	QFLG_BUSY = 1 << 0,
};

const char *etp_dist_state_name(enum etp_dist_state state)
{
	static const char *const names[ETP_DIST_STATE_COUNT] = {
		[ETP_DIST_IDLE] = "not_connected",
		[ETP_DIST_PENDING] = "pending",
		[ETP_DIST_CONNECTED] = "connected",
		[ETP_DIST_EXITING] = "exiting",
	};
	return state < ETP_DIST_STATE_COUNT ? names[state] : "unknown";
}

const char *etp_dist_tie_name(enum etp_dist_tie tie)
{
	static const char *const names[ETP_DIST_TIE_COUNT] = {
		[ETP_DIST_LINK] = "link",
		[ETP_DIST_MONITOR] = "monitor",
		[ETP_DIST_MONITORED_BY] = "monitored_by",
		[ETP_DIST_MONITOR_NODE] = "monitor_node",
		[ETP_DIST_SUSPENDED] = "suspended",
	};
	return tie < ETP_DIST_TIE_COUNT ? names[tie] : "unknown";
}

// ---- the table --------------------------------------------------------------------------

static void gap(struct etp_dist_entry_iter *iter, const char *problem)
{
	iter->gaps++;
	iter->problem = problem;
}

void etp_dist_entry_iter_init(struct etp_dist_entry_iter *iter, const struct etp_vm *vm,
                              struct etp_reader *reader)
{
	*iter = (struct etp_dist_entry_iter){.vm = vm, .reader = reader};
	uint64_t table, buckets;
	uint32_t shift, nobjs;
	struct etp_error *err = etp_target_symbol(vm->target, "erts_dist_table", &table, NULL);
	if (err) {
		etp_error_destroy(err);
		gap(iter, "there is no symbol for the table of connections");
		return;
	}
	if (!HAS(vm, Hash, shift) || !READ_U32(vm, reader, table, Hash, shift, &shift) ||
	    !READ_U32(vm, reader, table, Hash, nobjs, &nobjs) ||
	    !READ_WORD(vm, reader, table, Hash, bucket, &buckets) || shift >= HASH_MAX_SHIFT ||
	    HASH_MAX_SHIFT - shift > BUCKETS_LOG_MAX) {
		gap(iter, "the table of connections cannot be read");
		return;
	}
	iter->buckets = buckets;
	iter->bucket_count = UINT64_C(1) << (HASH_MAX_SHIFT - shift);
	iter->nobjs = nobjs;
}

bool etp_dist_entry_iter_next(struct etp_dist_entry_iter *iter, uint64_t *address_ret)
{
	while (!iter->next) {
		if (iter->bucket == iter->bucket_count)
			return false;
		uint64_t at = iter->buckets + iter->bucket++ * sizeof(uint64_t);
		if (!etp_read_u64(iter->reader, at, &iter->next)) {
			gap(iter, "the table of connections cannot be read");
			iter->bucket = iter->bucket_count;
		}
	}
	if (iter->seen++ == iter->nobjs) {
		gap(iter, "the table of connections has more entries than it says");
		iter->next = 0;
		iter->bucket = iter->bucket_count;
		return false;
	}
	// The bucket is the first member of a DistEntry.
	uint64_t address = iter->next;
	if (!READ_WORD(iter->vm, iter->reader, address, HashBucket, next, &iter->next)) {
		gap(iter, "the table of connections breaks off");
		iter->next = 0;
	}
	*address_ret = address;
	return true;
}

// ---- what ties processes to a node ------------------------------------------------------

static bool see_links(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                      bool (*see)(void *, enum etp_dist_tie, etp_term), void *context,
                      uint64_t *gaps)
{
	struct etp_link_iter links;
	struct etp_link link;
	etp_link_iter_init_dist(&links, vm, reader, address);
	while (etp_link_iter_next(&links, &link))
		if (!see(context, ETP_DIST_LINK, link.other))
			return false;
	*gaps += links.nodes.gaps;
	return true;
}

static bool see_monitors(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                         bool (*see)(void *, enum etp_dist_tie, etp_term), void *context,
                         uint64_t *gaps)
{
	struct etp_monitor_iter monitors;
	struct etp_monitor monitor;
	etp_monitor_iter_init_dist(&monitors, vm, reader, address);
	while (etp_monitor_iter_next(&monitors, &monitor)) {
		enum etp_dist_tie tie = !monitor.is_target                 ? ETP_DIST_MONITORED_BY
		                        : monitor.type == ETP_MONITOR_NODE ? ETP_DIST_MONITOR_NODE
		                                                           : ETP_DIST_MONITOR;
		if (!see(context, tie, monitor.other))
			return false;
	}
	*gaps += monitors.nodes.gaps;
	return true;
}

static bool see_suspended(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                          bool (*see)(void *, enum etp_dist_tie, etp_term), void *context,
                          uint64_t *gaps)
{
	uint64_t first, ignored;
	if (!HAS(vm, DistEntry, suspended) || !HAS(vm, ErtsProcList, next) ||
	    !READ_WORD(vm, reader, address, DistEntry, suspended, &first)) {
		++*gaps;
		return true;
	}
	struct etp_proc_list list;
	etp_term pid;
	etp_proc_list_init(&list, vm, reader, first);
	while (etp_proc_list_next(&list, &pid, &ignored))
		if (!see(context, ETP_DIST_SUSPENDED, pid))
			return false;
	*gaps += list.is_broken;
	return true;
}

uint64_t etp_dist_entry_ties(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                             bool (*see)(void *context, enum etp_dist_tie tie, etp_term process),
                             void *context)
{
	uint64_t gaps = 0;
	if (see_links(vm, reader, address, see, context, &gaps) &&
	    see_monitors(vm, reader, address, see, context, &gaps))
		see_suspended(vm, reader, address, see, context, &gaps);
	return gaps;
}

// ---- an entry ---------------------------------------------------------------------------

static bool count_tie(void *context, enum etp_dist_tie tie, etp_term process)
{
	(void)process;
	((uint64_t *)context)[tie]++;
	return true;
}

// A member that tells a number; notes when it cannot be had.
static uint64_t member(const struct etp_vm *vm, struct etp_reader *reader, enum etp_member_id id,
                       struct etp_dist_entry *entry)
{
	uint64_t value;
	if (etp_layout_has(vm->layout, id) &&
	    etp_vm_read_member(vm, reader, entry->address, id, &value))
		return value;
	entry->is_incomplete = true;
	return 0;
}

#define ENTRY_MEMBER(name) member(vm, reader, ETP_MEMBER_DistEntry_##name, &entry)

struct etp_error *etp_dist_entry_read(const struct etp_vm *vm, struct etp_reader *reader,
                                      uint64_t address, struct etp_dist_entry *ret)
{
	struct etp_dist_entry entry = {.address = address};
	if (!HAS(vm, DistEntry, sysname) ||
	    !READ_WORD(vm, reader, address, DistEntry, sysname, &entry.node) ||
	    !term_is_atom(entry.node))
		return etp_error_fault(reader->fault_address, "A distribution entry");
	entry.is_this = entry.node == term_make_atom(vm->info.node_name);
	uint64_t state = ENTRY_MEMBER(state), controller = ENTRY_MEMBER(cid);
	entry.is_incomplete |= state >= ETP_DIST_STATE_COUNT;
	entry.state =
		state < ETP_DIST_STATE_COUNT ? (enum etp_dist_state)state : ETP_DIST_STATE_COUNT;
	entry.is_visible = ENTRY_MEMBER(dflags) & DFLAG_PUBLISHED;
	entry.creation = (uint32_t)ENTRY_MEMBER(creation);
	if (term_is_internal_pid(controller) || term_is_internal_port(controller))
		entry.controller = controller;
	entry.queue_size_respected = entry.queue_size = ENTRY_MEMBER(qsize);
	if (HAS(vm, DistEntry, total_qsize))
		entry.queue_size = ENTRY_MEMBER(total_qsize);
	entry.received = ENTRY_MEMBER(in);
	entry.sent = ENTRY_MEMBER(out);
	entry.is_busy = ENTRY_MEMBER(qflgs) & QFLG_BUSY;
	if (etp_dist_entry_ties(vm, reader, address, count_tie, entry.ties))
		entry.is_incomplete = true;
	*ret = entry;
	return NULL;
}
