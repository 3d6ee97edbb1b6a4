// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_H
#define ETP_TERM_H

/**
 * @file
 * Terms: what an Eterm of the VM denotes.
 *
 * An Eterm is a tagged word (ERTS: erl_term.h). etp_term_decode() turns one into
 * a view that says what it is and where its parts are, without following
 * pointers further than the thing itself. Nothing is copied: pointers in a view
 * point into the target's memory and may be misaligned (use etp_word_at()).
 *
 * Thread safety: each thread decodes with a reader of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <etp/error.h>
#include <etp/export.h>

struct etp_vm;
struct etp_reader;

/** A term of the VM: the tagged word as it stands in memory. */
typedef uint64_t etp_term;

enum etp_term_kind {
	/** Not a term, or unreadable; `reason` says why. */
	ETP_TERM_INVALID,
	ETP_TERM_SMALL,
	ETP_TERM_BIG,
	ETP_TERM_FLOAT,
	ETP_TERM_ATOM,
	ETP_TERM_NIL,
	ETP_TERM_CONS,
	ETP_TERM_TUPLE,
	/** Flatmap: at most 32 keys, sorted, in a key tuple that maps share. */
	ETP_TERM_FLATMAP,
	/** HAMT: root of a hash array mapped trie. */
	ETP_TERM_HASHMAP,
	/** Any binary or bitstring. */
	ETP_TERM_BITSTRING,
	/** Match context of a binary (on stacks and in registers only). */
	ETP_TERM_MATCH_CONTEXT,
	ETP_TERM_PID,
	ETP_TERM_PORT,
	ETP_TERM_REF,
	/** A local fun. */
	ETP_TERM_FUN,
	/** An external fun, `fun m:f/a`. */
	ETP_TERM_EXPORT,
	/** A native record (since OTP 29). */
	ETP_TERM_RECORD,
	/** A catch tag on a stack. */
	ETP_TERM_CATCH,
	/** A header word or continuation pointer where a term was expected. */
	ETP_TERM_HEADER,
	/** THE_NON_VALUE (zero in most builds). */
	ETP_TERM_NON_VALUE,
};

/** How a bitstring is stored. */
enum etp_bitstring_storage {
	/** In the words behind its header. */
	ETP_BITSTRING_HEAP,
	/** A reference to a whole off-heap Binary: a ProcBin (to OTP 26), or sub-bits
	 *  that leave nothing out. */
	ETP_BITSTRING_REFC,
	/** A part of another binary, on the heap or off it. */
	ETP_BITSTRING_SUB,
};

struct etp_term_view {
	enum etp_term_kind kind;
	/** Low bit 2 of the tag: the term lies in a literal area. */
	bool is_literal;
	etp_term word;
	/** Address of the boxed thing or cons cell, 0 for immediates. */
	uint64_t address;
	/** Words that the thing itself occupies, header included; 2 for a cons cell. */
	uint64_t words;
	/** For ETP_TERM_INVALID: what is wrong, a static string. */
	const char *reason;
	union {
		int64_t small;
		struct {
			bool negative;
			/** Count of 64-bit digits, least significant first. */
			uint64_t count;
			const void *digits;
		} big;
		double float_value;
		/** Index into the atom table. */
		uint64_t atom;
		struct {
			etp_term head, tail;
		} cons;
		/** For ETP_TERM_TUPLE: `arity` words. */
		struct {
			uint64_t arity;
			const void *elements;
		} tuple;
		/** For ETP_TERM_FLATMAP: `size` words each. */
		struct {
			uint64_t size;
			const void *keys, *values;
			etp_term key_tuple;
		} flatmap;
		/** For ETP_TERM_HASHMAP; iterate with etp_map_iter. */
		struct {
			/** Number of pairs, as the head says. */
			uint64_t size;
		} hashmap;
		/** For ETP_TERM_BITSTRING and ETP_TERM_MATCH_CONTEXT (there: the whole
		 *  binary that is matched on, and since OTP 27 what is left of it). */
		struct {
			enum etp_bitstring_storage storage;
			/** Address of the first byte, bits to skip in it, and length. */
			uint64_t data_address;
			unsigned bit_offset;
			uint64_t bit_size;
			/** The bytes, or NULL if they were not saved. */
			const unsigned char *bytes;
			/** Address of the off-heap Binary, 0 if there is none. */
			uint64_t binary;
			/** The ProcBin (since OTP 27: BinRef) that refers to `binary`, 0 if
			 *  there is none. */
			uint64_t proc_bin;
		} bits;
		/** For ETP_TERM_PID and ETP_TERM_PORT and ETP_TERM_REF. */
		struct {
			bool is_external;
			/** The number before the first dot: 0 for this node. */
			uint64_t channel;
			/** Node name (atom index) and creation of its node. */
			uint64_t sysname;
			uint32_t creation;
			/** pid: number and serial; port: number. */
			uint64_t number, serial;
			/** ref: numbers as stored (printed last to first). */
			unsigned count;
			/** ref: pid of the process that an alias leads to, else 0. */
			etp_term alias;
			uint32_t numbers[5];
			/** ref: address of the ErtsMagicBinary, 0 for a plain one. */
			uint64_t magic_binary;
		} id;
		/** For ETP_TERM_FUN. */
		struct {
			uint64_t module;
			/** From -1 for what the entry does not know. */
			int32_t old_index, old_uniq;
			uint32_t index;
			unsigned char uniq[16];
			/** As is_function/2 sees it. */
			unsigned arity;
			unsigned num_free;
			const void *env;
			/** 0 since OTP 27, where funs do not keep it. */
			etp_term creator;
			/** Address of the ErlFunEntry. */
			uint64_t entry;
		} fun;
		/** For ETP_TERM_EXPORT. */
		struct {
			uint64_t module, function;
			uint64_t arity;
		} export;
		/** For ETP_TERM_RECORD: `size` words each, in the order in which the VM
		 *  stores fields. */
		struct {
			uint64_t module, name, size;
			const void *keys, *values;
			/** Of small integers: the field in the order of the declaration at
			 *  each position. */
			etp_term field_order;
			/** The atom `true` or `false`. */
			etp_term is_exported;
			/** The tuple that all records of one declaration share. */
			etp_term definition;
		} record;
		uint64_t catch_index;
	};
};

/** Word `index` of an array of words in target memory. */
static inline uint64_t etp_word_at(const void *words, uint64_t index)
{
	uint64_t word;
	memcpy(&word, (const unsigned char *)words + index * sizeof(word), sizeof(word));
	return word;
}

/** Decode `term`. Always fills `view`; what cannot be read or is not a term gets
 *  kind ETP_TERM_INVALID. Returns view->kind. */
ETP_EXPORT enum etp_term_kind etp_term_decode(const struct etp_vm *vm, struct etp_reader *reader,
                                              etp_term term, struct etp_term_view *view);

/** Order in which a hash map is walked. */
enum etp_map_order {
	/** maps:iterator/1, io_lib. */
	ETP_MAP_ORDER_ITERATOR,
	/** maps:to_list/1. */
	ETP_MAP_ORDER_TO_LIST,
};

enum { ETP_MAP_ITER_DEPTH = 20 };

/** Iterates over the pairs of a map of either kind, without allocation. */
struct etp_map_iter {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	/** Pairs that were still to come when the map was well-formed. */
	uint64_t remaining;
	/** Heap words of the nodes that were entered so far, without the head's. */
	uint64_t node_words;
	/** Set when a node could not be read or the trie contradicts its head. */
	bool damaged;
	bool is_flat, backwards;
	const void *keys, *values;
	uint64_t position;
	unsigned depth;
	struct {
		const void *slots;
		unsigned count, next;
	} path[ETP_MAP_ITER_DEPTH];
};

/** Start on `map`, a view of kind FLATMAP or HASHMAP. */
ETP_EXPORT void etp_map_iter_init(struct etp_map_iter *iter, const struct etp_vm *vm,
                                  struct etp_reader *reader, const struct etp_term_view *map,
                                  enum etp_map_order order);

/** The next pair; false at the end, or when iter->damaged. */
ETP_EXPORT bool etp_map_iter_next(struct etp_map_iter *iter, etp_term *key_ret,
                                  etp_term *value_ret);

/** Byte `index` of a bitstring as Erlang sees it (bit offset applied). The last
 *  byte of a bitstring comes left-aligned. view->bits.bytes must not be NULL. */
static inline unsigned char etp_bits_byte(const struct etp_term_view *view, uint64_t index)
{
	const unsigned char *p = view->bits.bytes + index;
	unsigned shift = view->bits.bit_offset;
	if (!shift)
		return p[0];
	uint64_t bits_left = view->bits.bit_size - index * 8;
	unsigned byte = (unsigned)p[0] << shift;
	if (bits_left > 8 - shift)
		byte |= p[1] >> (8 - shift);
	return (unsigned char)byte;
}

#endif
