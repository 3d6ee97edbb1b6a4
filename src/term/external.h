// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_EXTERNAL_H
#define ETP_TERM_EXTERNAL_H

// The external term format, in two dialects. Rows of compressed ETS tables (ERTS:
// external.c with DFLAG_ETS_COMPRESSED): atoms are indexes into the atom table,
// off-heap binaries are ProcBins copied to wherever the bytes happen to be, and
// identifiers of this node carry a name that no node can have. And what other nodes
// send: atoms are references to a table that came with the message, or text.
//
// It is decoded into words that look like a heap of the VM, so that everything
// that reads terms reads these too.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/term.h>

struct etp_vm;
struct etp_reader;

// Where decoded words seem to be: an address that no process can have. On x86-64
// bit 62 differs from bit 63, which is canonical neither with 48 bits of address
// nor with 57; on aarch64 bit 55 is set, which makes it an address of the kernel
// whatever the tag in the top byte.
static const uint64_t ETP_WORDS_BASE = UINT64_C(0x4080000000000000);

enum {
	// 1 GiB: what a single term may grow to. The VM that wrote it had its heap
	// form in memory before; this only keeps forged cores from asking for more.
	ETP_WORDS_MAX = 1 << 27,
};

// A growing heap. Its words are known by their index, because they move when it
// grows; the terms in it refer to each other by address, and addresses do not.
struct etp_words {
	uint64_t *words;
	size_t used, capacity;
	// Words of `used` that the VM's own decoder would need too, and how many it
	// may need. The others stand in for what it has elsewhere (fun entries, nodes
	// of other names), or are inner nodes of maps.
	uint64_t heap_used, heap_limit;
};

static inline uint64_t etp_words_address(size_t index)
{
	return ETP_WORDS_BASE + index * UINT64_C(8);
}

// Take `count` zeroed words. Returns NULL, or why not (a static string).
const char *etp_words_take(struct etp_words *words, uint64_t count, size_t *index_ret);

struct etp_external_node {
	bool known;
	uint32_t creation;
	uint64_t sysname;
	// Address of the ErlNode, 0 if the node table does not have it.
	uint64_t node;
};

enum { ETP_EXTERNAL_NODES = 16, ETP_EXTERNAL_NAMES = 64 };

// What decoding needs to know of a VM, looked up once.
struct etp_external {
	const struct etp_vm *vm;
	// Index of the atom that stands for this node (INTERNAL_LOCAL_SYSNAME).
	uint64_t local_sysname;
	// erts_node_table; 0 buckets if it cannot be read.
	uint64_t node_buckets, node_bucket_count, node_count;
	// Nodes that were asked for before.
	struct etp_external_node nodes[ETP_EXTERNAL_NODES];
	// Indexes, plus 1, of atoms that were looked up by name before.
	uint64_t names[ETP_EXTERNAL_NAMES];
};

// Bytes in the external format.
struct etp_external_bytes {
	const unsigned char *bytes;
	uint64_t size;
	// Of another node, where the others are a row's.
	bool is_remote;
	// Remote: the atoms that ATOM_CACHE_REFs mean, `atom_count` words.
	const void *atoms;
	uint64_t atom_count;
	// Remote: the bytes are those at `address` of the target, in the Binary
	// `binary`; 0 if they were put together from several.
	uint64_t address, binary;
};

// Returns NULL, or why terms of this VM cannot be decoded (a static string).
const char *etp_external_init(struct etp_external *external, const struct etp_vm *vm);

// Address of the ErlNode with this name (atom index) and creation, 0 if the VM has
// none.
uint64_t etp_external_node(struct etp_external *external, struct etp_reader *reader,
                           uint64_t sysname, uint32_t creation);

// Index of the atom with this name (UTF-8); UINT64_MAX if the VM has none.
uint64_t etp_external_atom(struct etp_external *external, struct etp_reader *reader,
                           const char *name, size_t size);

// Decode the one term that `source` starts with and put it into word `slot`.
// `size_ret` gets the bytes it took. Returns NULL, or what is wrong (a static string);
// then the words hold nothing of use.
const char *etp_external_decode(struct etp_external *external, struct etp_reader *reader,
                                const struct etp_external_bytes *source, struct etp_words *words,
                                size_t slot, uint64_t *size_ret);

#endif
