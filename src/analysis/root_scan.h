// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_ROOT_SCAN_H
#define ETP_ANALYSIS_ROOT_SCAN_H

// Holders of off-heap binaries that belong to no process, table or literal: each is
// small, and only those that hold something are kept.

#include <etp/census.h>

#include "analysis/magic_store.h"
#include "vm/vm.h"

// struct iovec: base, length.
enum { ROOT_IOVEC_SIZE = 16 };

struct etp_magic;

struct root_scan {
	struct etp_census_root *roots;
	size_t count, capacity;
	uint64_t unreadable;
	// The last thing that went wrong, a static string, or NULL.
	const char *problem;
	// Heap fragments with the messages of timers.
	uint64_t timer_bytes;
	// While it runs.
	const struct etp_vm *vm;
	struct etp_reader reader;
	struct binary_store *store;
	uint32_t first_holder;
	struct magic_store *magic;
	struct etp_magic_kinds magic_kinds;
	// Binaries of the holder at hand, and magic ones.
	struct binary_map local;
	struct magic_finder local_magic;
};

// Look through all of them; what number i holds goes to `store` as holder
// `first_holder` + i, magic binaries to `magic`, where those that were found before are already.
// False when memory ran out.
bool root_scan_run(struct root_scan *scan, const struct etp_vm *vm, struct binary_store *store,
                   uint32_t first_holder, struct magic_store *magic);
void root_scan_deinit(struct root_scan *scan);

// For those who look at one holder only: before any of the functions below, in place of
// root_scan_run().
void root_scan_init(struct root_scan *scan, const struct etp_vm *vm);
// What was added since the last such call refers to the Binary at `address`; forget it all.
bool root_scan_refers_to(struct root_scan *scan, uint64_t address);

// For those who look through one kind. The holder at hand has a reference to the Binary at
// `address`, and sees these bytes of it. False when memory ran out.
bool root_scan_add_binary(struct root_scan *scan, uint64_t address, uint64_t start, uint64_t end);
// The same of a driver's binary (a Binary seen from `orig_size` on: ErlDrvBinary), of which
// the holder sees what the struct iovec at `iovec` says. False when memory ran out.
bool root_scan_add_iovec(struct root_scan *scan, uint64_t drv_binary, uint64_t iovec);
// The same of all that an ErlIOVec has (erl_driver.h). False when memory ran out.
bool root_scan_add_io_vector(struct root_scan *scan, uint64_t eiov);
// The same of all ProcBins in the off-heap chain at `first`, whole binaries. False when memory
// ran out.
bool root_scan_add_off_heap(struct root_scan *scan, uint64_t first);
// The same of all ProcBins in the heap fragments from `fragment` on, whole binaries. `bytes` (may
// be NULL) grows by what these fragments take. False when memory ran out.
bool root_scan_add_fragments(struct root_scan *scan, uint64_t fragment, uint64_t *bytes);
// The same of the state of a tracer. False when memory ran out.
bool root_scan_add_tracer(struct root_scan *scan, etp_term tracer);
// All that was added since the last call is of this holder. False when memory ran out.
bool root_scan_finish(struct root_scan *scan, enum etp_holder_kind kind, uint64_t address,
                      etp_term term);

// A red-black tree of ERTS (erl_rbtree.h): where a node has its subtrees, what is done with a
// node (false when memory ran out), and what is said of a tree that is damaged.
struct root_tree {
	enum etp_member_id left, right;
	bool (*add_node)(struct root_scan *scan, uint64_t node);
	const char *circular, *unreadable;
};

// Every node of the tree at `root` (0: it is empty), at most `left_to_see` of them, which are
// taken off. False when memory ran out.
bool root_scan_add_tree(struct root_scan *scan, const struct root_tree *tree, uint64_t root,
                        uint64_t *left_to_see);
void root_scan_give_up(struct root_scan *scan, const char *problem);

// timer_scan.c: messages of BIF timers. port_scan.c: what ports hold. dist_scan.c: what is on
// its way from and to other nodes. trace_session_scan.c: tracers that sessions have for
// themselves. magic_scan.c: what magic binaries hold.
bool timer_scan_run(struct root_scan *scan);
bool port_scan_run(struct root_scan *scan);
bool dist_scan_run(struct root_scan *scan);
bool trace_session_scan_run(struct root_scan *scan);
bool magic_scan_run(struct root_scan *scan);
// What a process that is in the middle of sending to another node still has; the magic binary
// at `address` is of that kind. False when memory ran out.
bool dist_scan_send(struct root_scan *scan, const struct etp_magic *magic, uint64_t address);

#endif
