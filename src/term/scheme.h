// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TERM_SCHEME_H
#define ETP_TERM_SCHEME_H

// The tags of Eterms (ERTS: erl_term.h). Primary and immediate tags are the same
// in every release that we read; what the subtag of a header means is a table,
// one for each family of releases.

#include <stdbool.h>
#include <stdint.h>

#include <etp/layout.h>
#include <etp/links.h>
#include <etp/term.h>

enum {
	TAG_PRIMARY_MASK = 0x3,
	TAG_PRIMARY_HEADER = 0x0,
	TAG_PRIMARY_LIST = 0x1,
	TAG_PRIMARY_BOXED = 0x2,
	TAG_PRIMARY_IMMED1 = 0x3,

	TAG_IMMED1_MASK = 0xf,
	TAG_IMMED1_PID = 0x3,
	TAG_IMMED1_PORT = 0x7,
	TAG_IMMED1_IMMED2 = 0xb,
	TAG_IMMED1_SMALL = 0xf,

	TAG_IMMED2_MASK = 0x3f,
	TAG_IMMED2_ATOM = 0x0b,
	TAG_IMMED2_CATCH = 0x1b,
	TAG_IMMED2_NIL = 0x3b,

	// Low bits of a pointer that are not address; bit 2 marks a literal.
	TAG_PTR_MASK = 0x7,
	TAG_LITERAL_PTR = 0x4,

	HEADER_SUBTAG_SHIFT = 2,
	HEADER_SUBTAG_MASK = 0xf,
	HEADER_ARITY_SHIFT = 6,
};

// What we write ourselves. To OTP 23 all the other bits of [] were set.
static const etp_term ETP_NIL = TAG_IMMED2_NIL;
static const etp_term ETP_NIL_TO_23 = ~(etp_term)TAG_IMMED2_MASK | TAG_IMMED2_NIL;

// What a header word announces.
enum etp_thing {
	ETP_THING_NONE,
	ETP_THING_TUPLE,
	ETP_THING_MATCH_STATE,
	ETP_THING_POS_BIG,
	ETP_THING_NEG_BIG,
	ETP_THING_REF,
	ETP_THING_FUN,
	ETP_THING_FLOAT,
	ETP_THING_PROC_BIN,
	ETP_THING_HEAP_BIN,
	ETP_THING_SUB_BIN,
	ETP_THING_HEAP_BITS,
	ETP_THING_SUB_BITS,
	ETP_THING_BIN_REF,
	ETP_THING_FUN_REF,
	ETP_THING_EXPORT,
	ETP_THING_RECORD,
	ETP_THING_EXTERNAL_PID,
	ETP_THING_EXTERNAL_PORT,
	ETP_THING_EXTERNAL_REF,
	ETP_THING_MAP,
};

struct etp_term_scheme {
	// Releases that use it, for messages.
	const char *releases;
	// By subtag.
	unsigned char things[16];
	// Bit of a fun's header from which on it says that the fun is external; 0 where
	// a fun is external that has no environment.
	unsigned char fun_kind_shift;
	// Numbers of an alias as a reference: those of the pid in it count since OTP 27.
	unsigned char alias_numbers;
	// Bits of Process.max_heap_size that are flags; since OTP 27 one says whether
	// binaries off the heap count (MAX_HEAP_SIZE_*, erl_process.h).
	unsigned char max_heap_size_flags;
	// Bit of Process.flags from which on F_DELAYED_DEL_PROC and all after it stand: the
	// one before them was HiPE's to OTP 23 (F_HIPE_MODE, erl_process.h).
	unsigned char first_flag_after_hipe;
	// What the types of monitors mean. Those of links follow them, and then those that
	// only signals have.
	unsigned char monitor_types[ETP_MONITOR_TYPE_COUNT];
	unsigned char monitor_type_count;
	// Is the module's own file among the names of files in its table of lines? To OTP 23
	// these are atoms, and that one is not there (BeamCodeLineTab, beam_code.h).
	bool own_file_has_name;
	// Does process_info(P, binary) list writable binaries too (since OTP 27)?
	bool lists_writable;
	// Keywords of features that are on by default: "" or " maybe else ".
	const char *keywords;
	// Members that are optional in the registry, because other releases do not
	// have them, and that these releases do have.
	const enum etp_member_id *members;
	size_t member_count;
};

// The scheme of an OTP release ("25"), or NULL if this library does not know it.
const struct etp_term_scheme *etp_term_scheme_find(const char *otp_release);

static inline unsigned term_primary(etp_term term)
{
	return term & TAG_PRIMARY_MASK;
}

static inline bool term_is_immediate(etp_term term)
{
	return term_primary(term) == TAG_PRIMARY_IMMED1;
}

static inline bool term_is_nil(etp_term term)
{
	return term == ETP_NIL || term == ETP_NIL_TO_23;
}

static inline bool term_is_atom(etp_term term)
{
	return (term & TAG_IMMED2_MASK) == TAG_IMMED2_ATOM;
}

static inline uint64_t term_atom_index(etp_term term)
{
	return term >> 6;
}

static inline etp_term term_make_atom(uint64_t index)
{
	return index << 6 | TAG_IMMED2_ATOM;
}

static inline bool term_is_small(etp_term term)
{
	return (term & TAG_IMMED1_MASK) == TAG_IMMED1_SMALL;
}

static inline int64_t term_small(etp_term term)
{
	return (int64_t)term >> 4;
}

static inline etp_term term_make_small(int64_t value)
{
	return (uint64_t)value << 4 | TAG_IMMED1_SMALL;
}

static inline bool term_is_internal_pid(etp_term term)
{
	return (term & TAG_IMMED1_MASK) == TAG_IMMED1_PID;
}

static inline bool term_is_internal_port(etp_term term)
{
	return (term & TAG_IMMED1_MASK) == TAG_IMMED1_PORT;
}

static inline uint64_t term_pointer(etp_term term)
{
	return term & ~(uint64_t)TAG_PTR_MASK;
}

static inline bool scheme_has(const struct etp_term_scheme *scheme, enum etp_thing thing)
{
	for (size_t i = 0; i < sizeof(scheme->things); i++)
		if (scheme->things[i] == thing)
			return true;
	return false;
}

static inline enum etp_thing header_thing(const struct etp_term_scheme *scheme, uint64_t header)
{
	return scheme->things[header >> HEADER_SUBTAG_SHIFT & HEADER_SUBTAG_MASK];
}

// The things of off-heap chains that refer to a Binary: a ProcBin is a binary itself,
// while a BinRef (since OTP 27) is only ever referred to by sub-bits.
static inline bool thing_refers_to_binary(enum etp_thing thing)
{
	return thing == ETP_THING_PROC_BIN || thing == ETP_THING_BIN_REF;
}

// ERTS_LNK_TYPE_DIST_PROC: the links of processes and ports come before it.
static inline unsigned scheme_link_dist_proc(const struct etp_term_scheme *scheme)
{
	return scheme->monitor_type_count + 2U;
}

static inline uint64_t header_arity(uint64_t header)
{
	return header >> HEADER_ARITY_SHIFT;
}

// Maps have a type of their own in the low bits of the arity (erl_map.h).
enum etp_map_type {
	ETP_MAP_FLAT = 0,
	ETP_MAP_NODE_BITMAP = 1,
	ETP_MAP_HEAD_ARRAY = 2,
	ETP_MAP_HEAD_BITMAP = 3,
};

static inline enum etp_map_type header_map_type(uint64_t header)
{
	return header_arity(header) & 0x3;
}

static inline unsigned header_map_bitmap(uint64_t header)
{
	return header_arity(header) >> 10 & 0xffff;
}

#endif
