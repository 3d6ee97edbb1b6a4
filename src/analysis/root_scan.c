// SPDX-License-Identifier: Apache-2.0
#include "analysis/root_scan.h"

#include <stdlib.h>

#include <etp/chain.h>

#include "analysis/off_heap.h"
#include "util/array.h"
#include "vm/tracing.h"

enum {
	// A red-black tree of that many levels has more nodes than there is memory.
	DEPTH_MAX = 128,
};

void root_scan_give_up(struct root_scan *scan, const char *problem)
{
	scan->unreadable++;
	scan->problem = problem;
}

bool root_scan_add_binary(struct root_scan *scan, uint64_t address, uint64_t start, uint64_t end)
{
	struct off_heap_binary binary;
	if (!off_heap_read_binary(scan->vm, &scan->reader, address, &binary)) {
		root_scan_give_up(
			scan, "an off-heap binary of a timer, port or connection cannot be read");
		return true;
	}
	struct binary_entry *entry = binary_map_add_reference(&scan->local, address, binary.size,
	                                                      binary.refc, (uint32_t)binary.flags);
	if (!entry)
		return false;
	if (end > binary.size)
		end = binary.size;
	return binary_map_add_range(&scan->local, entry, start, end);
}

bool root_scan_add_tree(struct root_scan *scan, const struct root_tree *tree, uint64_t root,
                        uint64_t *left_to_see)
{
	uint64_t stack[DEPTH_MAX];
	unsigned depth = 0;
	if (root)
		stack[depth++] = root;
	while (depth) {
		uint64_t node = stack[--depth], left, right;
		if (!*left_to_see || depth + 2 > DEPTH_MAX) {
			root_scan_give_up(scan, tree->circular);
			return true;
		}
		--*left_to_see;
		if (!etp_vm_read_member(scan->vm, &scan->reader, node, tree->left, &left) ||
		    !etp_vm_read_member(scan->vm, &scan->reader, node, tree->right, &right)) {
			root_scan_give_up(scan, tree->unreadable);
			continue;
		}
		if (right)
			stack[depth++] = right;
		if (left)
			stack[depth++] = left;
		if (!tree->add_node(scan, node))
			return false;
	}
	return true;
}

bool root_scan_add_iovec(struct root_scan *scan, uint64_t drv_binary, uint64_t iovec)
{
	const struct etp_vm *vm = scan->vm;
	uint64_t base, length;
	uint64_t binary = drv_binary - OFFSET(vm, Binary, orig_size);
	uint64_t data = binary + OFFSET(vm, Binary, orig_bytes);
	if (!etp_read_u64(&scan->reader, iovec, &base) ||
	    !etp_read_u64(&scan->reader, iovec + 8, &length) || base < data) {
		root_scan_give_up(scan, "output that waits cannot be read");
		return true;
	}
	uint64_t start = base - data;
	return root_scan_add_binary(scan, binary, start, start + length);
}

bool root_scan_add_io_vector(struct root_scan *scan, uint64_t eiov)
{
	const struct etp_vm *vm = scan->vm;
	uint32_t count;
	uint64_t iovec, binaries;
	if (!READ_U32(vm, &scan->reader, eiov, ErlIOVec, vsize, &count) ||
	    !READ_WORD(vm, &scan->reader, eiov, ErlIOVec, iov, &iovec) ||
	    !READ_WORD(vm, &scan->reader, eiov, ErlIOVec, binv, &binaries) || count > INT32_MAX) {
		root_scan_give_up(scan, "output that waits cannot be read");
		return true;
	}
	for (uint64_t i = 0; i < count; i++) {
		uint64_t binary;
		if (!etp_read_u64(&scan->reader, binaries + i * sizeof(uint64_t), &binary)) {
			root_scan_give_up(scan, "output that waits cannot be read");
			break;
		}
		if (binary && !root_scan_add_iovec(scan, binary, iovec + i * ROOT_IOVEC_SIZE))
			return false;
	}
	return true;
}

bool root_scan_add_off_heap(struct root_scan *scan, uint64_t first)
{
	struct off_heap_iter iter = off_heap_iter(scan->vm, &scan->reader, first);
	uint64_t proc_bin, binary;
	while (off_heap_next_proc_bin(&iter, &proc_bin)) {
		if (!READ_WORD(scan->vm, &scan->reader, proc_bin, BinRef, val, &binary))
			root_scan_give_up(scan, "an off-heap chain cannot be read");
		else if (!root_scan_add_binary(scan, binary, 0, UINT64_MAX))
			return false;
	}
	if (iter.problem)
		root_scan_give_up(scan, iter.problem);
	return magic_finder_add_chain(&scan->local_magic, first);
}

bool root_scan_add_fragments(struct root_scan *scan, uint64_t fragment, uint64_t *bytes)
{
	const struct etp_vm *vm = scan->vm;
	static const char *const problem = "the message of a timer, port or match specification "
					   "cannot be read";
	struct etp_chain chain = {0};
	while (fragment) {
		uint64_t first, next, words;
		if (!etp_chain_step(&chain, fragment) ||
		    !READ_WORD(vm, &scan->reader, fragment, ErlHeapFragment, used_size, &words) ||
		    !READ_WORD(vm, &scan->reader, fragment, ErlHeapFragment, off_heap, &first) ||
		    !READ_WORD(vm, &scan->reader, fragment, ErlHeapFragment, next, &next)) {
			root_scan_give_up(scan, problem);
			return true;
		}
		if (!root_scan_add_off_heap(scan, first))
			return false;
		uint64_t start = fragment + OFFSET(vm, ErlHeapFragment, mem);
		// A size that is not one counts as nothing.
		if (bytes && words < UINT64_C(1) << 44 &&
		    etp_reader_at(&scan->reader, start, words * 8))
			*bytes += start + words * 8 - fragment;
		fragment = next;
	}
	return true;
}

bool root_scan_add_tracer(struct root_scan *scan, etp_term tracer)
{
	uint64_t fragment = 0;
	if (!tracer_fragment(scan->vm, &scan->reader, tracer, &fragment))
		root_scan_give_up(scan, "the tracer of a port or trace session cannot be read");
	return root_scan_add_fragments(scan, fragment, NULL);
}

bool root_scan_finish(struct root_scan *scan, enum etp_holder_kind kind, uint64_t address,
                      etp_term term)
{
	if (!scan->local.count && !scan->local_magic.resources.count) {
		bool merged = magic_store_merge(scan->magic, &scan->local_magic, UINT32_MAX);
		magic_finder_clear(&scan->local_magic);
		return merged;
	}
	struct etp_census_root root = {.kind = kind, .address = address, .term = term};
	for (size_t i = 0; i < scan->local.count; i++) {
		root.binary_refs += binary_entry_refs(binary_map_at(&scan->local, i));
		root.binary_bytes += binary_map_at(&scan->local, i)->size;
	}
	uint32_t holder = scan->first_holder + (uint32_t)scan->count;
	struct etp_census_root *slot =
		array_add(&scan->roots, &scan->count, &scan->capacity, sizeof(*slot));
	if (!slot)
		return false;
	*slot = root;
	bool ok = binary_store_merge(scan->store, &scan->local, holder) &&
	          magic_store_merge(scan->magic, &scan->local_magic, holder);
	binary_map_clear(&scan->local);
	magic_finder_clear(&scan->local_magic);
	return ok;
}

bool root_scan_refers_to(struct root_scan *scan, uint64_t address)
{
	bool refers = binary_map_find(&scan->local, address) ||
	              binary_map_find(&scan->local_magic.resources, address);
	binary_map_clear(&scan->local);
	magic_finder_clear(&scan->local_magic);
	return refers;
}

void root_scan_init(struct root_scan *scan, const struct etp_vm *vm)
{
	*scan = (struct root_scan){.vm = vm};
	etp_reader_init(&scan->reader, vm->target);
	etp_magic_kinds_init(&scan->magic_kinds, vm);
	binary_map_init(&scan->local);
	magic_finder_init(&scan->local_magic, vm, &scan->reader, &scan->magic_kinds);
}

bool root_scan_run(struct root_scan *scan, const struct etp_vm *vm, struct binary_store *store,
                   uint32_t first_holder, struct magic_store *magic)
{
	root_scan_init(scan, vm);
	scan->store = store;
	scan->first_holder = first_holder;
	scan->magic = magic;
	return timer_scan_run(scan) && port_scan_run(scan) && dist_scan_run(scan) &&
	       trace_session_scan_run(scan) && magic_scan_run(scan);
}

void root_scan_deinit(struct root_scan *scan)
{
	binary_map_deinit(&scan->local);
	magic_finder_deinit(&scan->local_magic);
	free(scan->roots);
}
