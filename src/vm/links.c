// SPDX-License-Identifier: Apache-2.0
#include <etp/links.h>
#include <etp/ports.h>

#include "vm/vm.h"

enum {
	// erl_monitor_link.h (OTP 25); node_flags() makes them of those since OTP 28.
	ML_FLG_TARGET = 1 << 0,
	ML_FLG_NAME = 1 << 3,
	ML_FLG_EXTENDED = 1 << 4,
	ML_FLG_SPAWN_PENDING = 1 << 5,
	ML_FLG_TAG = 1 << 13,
	// Low bits of a parent pointer are flags (ERTS_ML_TPFLGS_MASK).
	PARENT_FLAGS = 0x7,
};

static const uint64_t MSUSPEND_ACTIVE = UINT64_C(1) << 63;

// Since OTP 28 the low bits of the flags are the type and the state of an alias
// (ERTS_ML_F_BASE), and the tag has another bit.
enum {
	ML_TYPE_MASK = 0x1f,
	ML_FLAGS_SHIFT = 7,
	ML_FLG_TAG_28 = 1 << 11,
};

static unsigned node_type(const struct etp_vm *vm, const void *bytes)
{
	return HAS(vm, ErtsMonLnkNode, type)
	               ? (unsigned)SMALL_OF(vm, bytes, ErtsMonLnkNode, type)
	               : SMALL_OF(vm, bytes, ErtsMonLnkNode, flags) & ML_TYPE_MASK;
}

static unsigned node_flags(const struct etp_vm *vm, const void *bytes)
{
	unsigned flags = (unsigned)SMALL_OF(vm, bytes, ErtsMonLnkNode, flags);
	if (HAS(vm, ErtsMonLnkNode, type))
		return flags;
	flags >>= ML_FLAGS_SHIFT;
	return (flags & (ML_FLG_TAG_28 - 1)) | (flags & ML_FLG_TAG_28 ? ML_FLG_TAG : 0);
}

static void gap(struct etp_monlnk_iter *iter, const char *problem)
{
	iter->gaps++;
	iter->problem = problem;
}

static const void *node_at(struct etp_monlnk_iter *iter, uint64_t address)
{
	return etp_reader_at(iter->reader, address, SIZEOF(iter->vm, ErtsMonLnkNode));
}

static void nodes_init(struct etp_monlnk_iter *iter, const struct etp_vm *vm,
                       struct etp_reader *reader, uint64_t root, bool is_list)
{
	iter->vm = vm;
	iter->reader = reader;
	iter->is_list = is_list;
	iter->started = false;
	iter->root = iter->node = root;
}

// Go down from `node`, left before right, to the first node in post-order. A
// child that cannot be read, or that names another parent, is left out.
static uint64_t descend(struct etp_monlnk_iter *iter, uint64_t node)
{
	const struct etp_vm *vm = iter->vm;
	for (;;) {
		const void *bytes = node_at(iter, node);
		uint64_t left = WORD_OF(vm, bytes, ErtsMonLnkNode, left);
		uint64_t right = WORD_OF(vm, bytes, ErtsMonLnkNode, right);
		uint64_t child = left;
		bool is_sound = false;
		for (int side = 0; side < 2 && !is_sound; side++) {
			child = side ? right : left;
			if (!child)
				continue;
			const void *below = node_at(iter, child);
			is_sound = below && left != right &&
			           (WORD_OF(vm, below, ErtsMonLnkNode, parent) &
			            ~(uint64_t)PARENT_FLAGS) == node;
			if (!is_sound)
				gap(iter, "a tree of links or monitors is damaged");
		}
		if (!is_sound)
			return node;
		node = child;
	}
}

// The node after `node`, which was returned, in post-order.
static uint64_t ascend(struct etp_monlnk_iter *iter, uint64_t node)
{
	const struct etp_vm *vm = iter->vm;
	if (node == iter->root)
		return 0;
	const void *bytes = node_at(iter, node);
	uint64_t parent = WORD_OF(vm, bytes, ErtsMonLnkNode, parent) & ~(uint64_t)PARENT_FLAGS;
	const void *above = node_at(iter, parent);
	uint64_t right = WORD_OF(vm, above, ErtsMonLnkNode, right);
	if (!right || right == node)
		return parent;
	const void *sibling = node_at(iter, right);
	if (sibling &&
	    (WORD_OF(vm, sibling, ErtsMonLnkNode, parent) & ~(uint64_t)PARENT_FLAGS) == parent)
		return descend(iter, right);
	gap(iter, "a tree of links or monitors is damaged");
	return parent;
}

static uint64_t next_in_tree(struct etp_monlnk_iter *iter)
{
	if (iter->started)
		return ascend(iter, iter->node);
	if (!iter->root)
		return 0;
	const void *root = node_at(iter, iter->root);
	if (!root || WORD_OF(iter->vm, root, ErtsMonLnkNode, parent) & ~(uint64_t)PARENT_FLAGS) {
		gap(iter, "the root of a tree of links or monitors is damaged");
		return 0;
	}
	return descend(iter, iter->root);
}

// Each node must point back to the one that led to it, so the list can only end
// where it began.
static uint64_t next_in_list(struct etp_monlnk_iter *iter)
{
	const struct etp_vm *vm = iter->vm;
	if (!iter->started) {
		if (!iter->root || node_at(iter, iter->root))
			return iter->root;
		gap(iter, "a list of monitors cannot be read");
		return 0;
	}
	uint64_t next = WORD_OF(vm, node_at(iter, iter->node), ErtsMonLnkNode, next);
	const void *bytes = node_at(iter, next);
	if (!bytes || WORD_OF(vm, bytes, ErtsMonLnkNode, prev) != iter->node) {
		gap(iter, "a list of monitors breaks off");
		return 0;
	}
	return next == iter->root ? 0 : next;
}

// Bytes of the next node, or NULL at the end.
static const void *nodes_next(struct etp_monlnk_iter *iter)
{
	if (iter->started && !iter->node)
		return NULL;
	iter->node = iter->is_list ? next_in_list(iter) : next_in_tree(iter);
	iter->started = true;
	return iter->node ? node_at(iter, iter->node) : NULL;
}

// NC_HEAP_SIZE(): words of a pid, port or reference on a heap; 0 for one that is
// a word itself, or that cannot be read.
static uint64_t container_words(struct etp_monlnk_iter *iter, etp_term term)
{
	uint64_t header;
	if (term_primary(term) != TAG_PRIMARY_BOXED ||
	    !etp_read_u64(iter->reader, term_pointer(term), &header))
		return 0;
	return header_arity(header) + 1;
}

static bool words_are_plausible(uint64_t words)
{
	enum { CONTAINER_WORDS_MAX = 16 };
	return words <= CONTAINER_WORDS_MAX;
}

// The structs that hold both ends are shared: each end counts its part.
static uint64_t share(uint64_t bytes, uint32_t refc)
{
	return refc ? bytes / refc : bytes;
}

void etp_link_iter_init(struct etp_link_iter *iter, const struct etp_vm *vm,
                        struct etp_reader *reader, uint64_t process)
{
	*iter = (struct etp_link_iter){0};
	uint64_t root = 0;
	bool readable = etp_process_is_free(vm, reader, process) ||
	                READ_WORD(vm, reader, process, Process, links, &root);
	nodes_init(&iter->nodes, vm, reader, root, false);
	if (!readable)
		gap(&iter->nodes, "the links cannot be read");
}

void etp_link_iter_init_port(struct etp_link_iter *iter, const struct etp_vm *vm,
                             struct etp_reader *reader, uint64_t port)
{
	*iter = (struct etp_link_iter){0};
	uint64_t root = 0;
	bool readable = HAS(vm, Port, links) && READ_WORD(vm, reader, port, Port, links, &root);
	nodes_init(&iter->nodes, vm, reader, root, false);
	if (!readable)
		gap(&iter->nodes, "the links cannot be read");
}

// The ErtsMonLnkDist of a DistEntry, which it has while it is connected.
static bool read_dist(const struct etp_vm *vm, struct etp_reader *reader, uint64_t dist_entry,
                      uint64_t *ret)
{
	return HAS(vm, DistEntry, mld) && HAS(vm, ErtsMonLnkDist, links) &&
	       READ_WORD(vm, reader, dist_entry, DistEntry, mld, ret);
}

void etp_link_iter_init_dist(struct etp_link_iter *iter, const struct etp_vm *vm,
                             struct etp_reader *reader, uint64_t dist_entry)
{
	*iter = (struct etp_link_iter){0};
	uint64_t dist, first = 0;
	bool readable = read_dist(vm, reader, dist_entry, &dist) &&
	                (!dist || READ_WORD(vm, reader, dist, ErtsMonLnkDist, links, &first));
	nodes_init(&iter->nodes, vm, reader, first, true);
	if (!readable)
		gap(&iter->nodes, "the links over a connection cannot be read");
}

// erts_link_size(), erl_monitor_link.c.
static void read_remote_link(struct etp_monlnk_iter *nodes, const void *bytes,
                             struct etp_link *link)
{
	const struct etp_vm *vm = nodes->vm;
	uint64_t data = link->address - SMALL_OF(vm, bytes, ErtsMonLnkNode, offset);
	uint64_t unlinking = 0, header = 0;
	uint32_t refc = 1;
	link->is_remote = true;
	link->bytes = SIZEOF(vm, ErtsELink);
	if (!HAS(vm, ErtsELink, heap))
		return;
	if ((HAS(vm, ErtsELink, unlinking) &&
	     !READ_WORD(vm, nodes->reader, data, ErtsELink, unlinking, &unlinking)) ||
	    !READ_U32(vm, nodes->reader, data, ErtsELink, refc, &refc) ||
	    !READ_WORD(vm, nodes->reader, data, ErtsELink, heap, &header) ||
	    !words_are_plausible(header_arity(header))) {
		gap(nodes, "a link to another node cannot be read");
		return;
	}
	link->is_unlinking = unlinking;
	link->bytes = share(link->bytes + header_arity(header) * 8, refc);
}

// Both ends of a link were one struct to OTP 23.2, as those of a monitor are.
static void read_shared_link(struct etp_monlnk_iter *nodes, const void *bytes,
                             struct etp_link *link)
{
	const struct etp_vm *vm = nodes->vm;
	uint64_t data = link->address - SMALL_OF(vm, bytes, ErtsMonLnkNode, offset);
	uint32_t refc = 1;
	if (!READ_U32(vm, nodes->reader, data, ErtsLinkData, refc, &refc))
		gap(nodes, "a link cannot be read");
	link->bytes = share(SIZEOF(vm, ErtsLinkData), refc);
}

bool etp_link_iter_next(struct etp_link_iter *iter, struct etp_link *link)
{
	struct etp_monlnk_iter *nodes = &iter->nodes;
	const struct etp_vm *vm = nodes->vm;
	const void *bytes = nodes_next(nodes);
	if (!bytes)
		return false;
	*link = (struct etp_link){
		.address = nodes->node,
		.other = WORD_OF(vm, bytes, ErtsMonLnkNode, other),
		.bytes = SIZEOF(vm, ErtsMonLnkNode),
	};
	uint64_t unlinking;
	if (node_flags(vm, bytes) & ML_FLG_EXTENDED)
		read_remote_link(nodes, bytes, link);
	else if (!HAS(vm, ErtsILink, unlinking))
		read_shared_link(nodes, bytes, link);
	else if (node_type(vm, bytes) != scheme_link_dist_proc(vm->scheme) &&
	         READ_WORD(vm, nodes->reader, link->address, ErtsILink, unlinking, &unlinking))
		link->is_unlinking = unlinking;
	return true;
}

const char *etp_monitor_type_name(enum etp_monitor_type type)
{
	static const char *const names[ETP_MONITOR_TYPE_COUNT] = {
		[ETP_MONITOR_PROC] = "process",
		[ETP_MONITOR_PORT] = "port",
		[ETP_MONITOR_TIME_OFFSET] = "time_offset",
		[ETP_MONITOR_DIST_PROC] = "dist_process",
		[ETP_MONITOR_DIST_PORT] = "dist_port",
		[ETP_MONITOR_RESOURCE] = "resource",
		[ETP_MONITOR_NODE] = "node",
		[ETP_MONITOR_NODES] = "nodes",
		[ETP_MONITOR_SUSPEND] = "suspend",
		[ETP_MONITOR_ALIAS] = "alias",
	};
	return type < ETP_MONITOR_TYPE_COUNT ? names[type] : "unknown";
}

bool etp_monitor_is_origin_listed(const struct etp_monitor *monitor)
{
	return !monitor->is_target && !monitor->is_spawn_pending &&
	       monitor->type <= ETP_MONITOR_DIST_PORT;
}

bool etp_monitor_is_target_listed(const struct etp_monitor *monitor)
{
	return monitor->is_target &&
	       (monitor->type == ETP_MONITOR_PROC || monitor->type == ETP_MONITOR_PORT ||
	        monitor->type == ETP_MONITOR_DIST_PROC || monitor->type == ETP_MONITOR_DIST_PORT ||
	        monitor->type == ETP_MONITOR_RESOURCE);
}

static void monitor_iter_init(struct etp_monitor_iter *iter, const struct etp_vm *vm,
                              struct etp_reader *reader, uint64_t list, uint64_t tree,
                              bool readable)
{
	*iter = (struct etp_monitor_iter){.tree = tree};
	nodes_init(&iter->nodes, vm, reader, list, true);
	if (!readable)
		gap(&iter->nodes, "the monitors cannot be read");
}

void etp_monitor_iter_init(struct etp_monitor_iter *iter, const struct etp_vm *vm,
                           struct etp_reader *reader, uint64_t process)
{
	uint64_t list = 0, tree = 0;
	bool readable = etp_process_is_free(vm, reader, process) ||
	                ((!HAS(vm, Process, lt_monitors) ||
	                  READ_WORD(vm, reader, process, Process, lt_monitors, &list)) &
	                 READ_WORD(vm, reader, process, Process, monitors, &tree));
	monitor_iter_init(iter, vm, reader, list, tree, readable);
}

void etp_monitor_iter_init_dist(struct etp_monitor_iter *iter, const struct etp_vm *vm,
                                struct etp_reader *reader, uint64_t dist_entry)
{
	uint64_t dist, list = 0, tree = 0;
	bool readable = read_dist(vm, reader, dist_entry, &dist);
	if (readable && dist)
		readable = READ_WORD(vm, reader, dist, ErtsMonLnkDist, monitors, &list) &
		           READ_WORD(vm, reader, dist, ErtsMonLnkDist, orig_name_monitors, &tree);
	monitor_iter_init(iter, vm, reader, list, tree, readable);
}

// Words behind an extended monitor: reference, and pids of other nodes.
static uint64_t extended_words(struct etp_monlnk_iter *nodes, uint64_t data,
                               const struct etp_monitor *monitor)
{
	const struct etp_vm *vm = nodes->vm;
	if (monitor->type == ETP_MONITOR_NODE || monitor->type == ETP_MONITOR_NODES)
		return 0;
	uint64_t words = container_words(nodes, monitor->ref);
	uint64_t origin, target;
	uint64_t other = OFFSET(vm, ErtsMonLnkNode, other);
	if ((monitor->type == ETP_MONITOR_DIST_PROC || monitor->type == ETP_MONITOR_DIST_PORT) &&
	    etp_read_u64(nodes->reader, data + OFFSET(vm, ErtsMonitorData, origin) + other,
	                 &origin) &&
	    etp_read_u64(nodes->reader, data + OFFSET(vm, ErtsMonitorData, target) + other,
	                 &target))
		words += container_words(nodes, origin) + container_words(nodes, target);
	return words;
}

// erts_monitor_size(), erl_monitor_link.c.
static uint64_t monitor_bytes(struct etp_monlnk_iter *nodes, uint64_t data, bool is_extended,
                              const struct etp_monitor *monitor)
{
	const struct etp_vm *vm = nodes->vm;
	if (monitor->type == ETP_MONITOR_ALIAS)
		return SIZEOF(vm, ErtsMonitorData);
	if (monitor->type == ETP_MONITOR_SUSPEND)
		return SIZEOF(vm, ErtsMonitorSuspend);
	if (!is_extended)
		return SIZEOF(vm, ErtsMonitorDataHeap);
	uint64_t words = extended_words(nodes, data, monitor);
	if (!words_are_plausible(words)) {
		gap(nodes, "a monitor's reference is damaged");
		words = 1;
	}
	// The struct ends with the first of these words.
	return SIZEOF(vm, ErtsMonitorDataExtended) + words * 8 - 8;
}

static void read_name(struct etp_monlnk_iter *nodes, uint64_t data, struct etp_monitor *monitor)
{
	const struct etp_vm *vm = nodes->vm;
	uint64_t dist;
	monitor->is_named = true;
	if (!READ_WORD(vm, nodes->reader, data, ErtsMonitorDataExtended, name, &monitor->name) ||
	    !READ_WORD(vm, nodes->reader, data, ErtsMonitorDataExtended, dist, &dist)) {
		gap(nodes, "the name of a monitor cannot be read");
		return;
	}
	monitor->node = term_make_atom(vm->info.node_name);
	if (dist && !READ_WORD(vm, nodes->reader, dist, ErtsMonLnkDist, nodename, &monitor->node))
		gap(nodes, "the node of a monitor cannot be read");
}

// mk_heap_fragment_eterm(): an address, which no term is, hides a heap fragment.
static uint64_t hidden_fragment(uint64_t word)
{
	return term_primary(word) == TAG_PRIMARY_HEADER ? word : 0;
}

// The tags that the end which watches keeps for the message to come.
static void read_tags(struct etp_monlnk_iter *nodes, uint64_t data, uint64_t flags,
                      struct etp_monitor *monitor)
{
	const struct etp_vm *vm = nodes->vm;
	bool is_extended = flags & ML_FLG_EXTENDED;
	enum etp_member_id heap = is_extended ? ETP_MEMBER_ErtsMonitorDataExtended_heap
	                                      : ETP_MEMBER_ErtsMonitorDataTagHeap_heap;
	uint64_t word;
	if (flags & ML_FLG_TAG && etp_layout_has(vm->layout, heap)) {
		if (etp_read_u64(nodes->reader, data + vm->layout->members[heap].offset, &word))
			monitor->tag_fragment = hidden_fragment(word);
		else
			gap(nodes, "the tag of a monitor cannot be read");
	}
	if (!monitor->is_spawn_pending || !is_extended)
		return;
	if (READ_WORD(vm, nodes->reader, data, ErtsMonitorDataExtended, name, &word))
		monitor->reply_tag_fragment = hidden_fragment(word);
	else
		gap(nodes, "the tag of a spawn request cannot be read");
}

static enum etp_monitor_type monitor_type(const struct etp_vm *vm, unsigned number)
{
	return number < vm->scheme->monitor_type_count
	               ? (enum etp_monitor_type)vm->scheme->monitor_types[number]
	               : ETP_MONITOR_TYPE_COUNT;
}

static void read_monitor(struct etp_monlnk_iter *nodes, const void *bytes,
                         struct etp_monitor *monitor)
{
	const struct etp_vm *vm = nodes->vm;
	struct etp_reader *reader = nodes->reader;
	unsigned flags = node_flags(vm, bytes);
	uint64_t data = nodes->node - SMALL_OF(vm, bytes, ErtsMonLnkNode, offset);
	*monitor = (struct etp_monitor){
		.address = nodes->node,
		.type = monitor_type(vm, node_type(vm, bytes)),
		.is_target = flags & ML_FLG_TARGET,
		.other = WORD_OF(vm, bytes, ErtsMonLnkNode, other),
		.is_spawn_pending = flags & ML_FLG_SPAWN_PENDING,
	};
	uint32_t refc = 1;
	if (!READ_WORD(vm, reader, data, ErtsMonitorData, ref, &monitor->ref) ||
	    !READ_U32(vm, reader, data, ErtsMonitorData, refc, &refc))
		gap(nodes, "a monitor cannot be read");
	if (flags & ML_FLG_NAME)
		read_name(nodes, data, monitor);
	if (!monitor->is_target)
		read_tags(nodes, data, flags, monitor);
	if (monitor->type == ETP_MONITOR_RESOURCE && monitor->is_target) {
		// The resource is the data of its magic binary (erl_nif.c).
		monitor->resource = monitor->other - OFFSET(vm, ErtsMagicBinary, unaligned_data);
		monitor->other = 0;
	}
	uint64_t state;
	if (monitor->type == ETP_MONITOR_SUSPEND &&
	    READ_WORD(vm, reader, data, ErtsMonitorSuspend, state, &state)) {
		monitor->suspend_count = state & ~MSUSPEND_ACTIVE;
		monitor->is_suspend_active = state & MSUSPEND_ACTIVE;
	}
	monitor->bytes = share(monitor_bytes(nodes, data, flags & ML_FLG_EXTENDED, monitor), refc);
}

bool etp_monitor_iter_next(struct etp_monitor_iter *iter, struct etp_monitor *monitor)
{
	struct etp_monlnk_iter *nodes = &iter->nodes;
	const void *bytes = nodes_next(nodes);
	if (!bytes && nodes->is_list) {
		nodes_init(nodes, nodes->vm, nodes->reader, iter->tree, false);
		bytes = nodes_next(nodes);
	}
	if (!bytes)
		return false;
	read_monitor(nodes, bytes, monitor);
	return true;
}

bool etp_monitor_read(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                      struct etp_monitor *monitor)
{
	struct etp_monlnk_iter nodes = {.vm = vm, .reader = reader, .node = address};
	const void *bytes = node_at(&nodes, address);
	if (bytes)
		read_monitor(&nodes, bytes, monitor);
	return bytes && !nodes.gaps;
}
