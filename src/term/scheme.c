// SPDX-License-Identifier: Apache-2.0
#include "term/scheme.h"

#include <stdlib.h>

// What all of these have and the registry knows as optional, because older releases
// than they do not.
#define MEMBERS_OF_ALL                                                                             \
	ETP_MEMBER_ErtsORefThing_marker, ETP_MEMBER_DbTable_counters,                              \
		ETP_MEMBER_ErtsFlxCtr_is_decentralized, ETP_MEMBER_ErtsFlxCtr_counters_ptr,        \
		ETP_MEMBER_ErtsFlxCtr_counters,                                                    \
		ETP_MEMBER_ErtsFlxCtrDecentralizedCtrArray_snapshot_status,                        \
		ETP_MEMBER_ErtsFlxCtrDecentralizedCtrArray_array

#define MEMBERS_TO_26                                                                              \
	ETP_MEMBER_ProcBin_size, ETP_MEMBER_ProcBin_bytes, ETP_MEMBER_ProcBin_flags,               \
		ETP_MEMBER_ErlSubBin_size, ETP_MEMBER_ErlSubBin_offs,                              \
		ETP_MEMBER_ErlSubBin_bitsize, ETP_MEMBER_ErlSubBin_bitoffs,                        \
		ETP_MEMBER_ErlSubBin_orig, ETP_MEMBER_ErlBinMatchState_orig,                       \
		ETP_MEMBER_ErtsMonLnkNode_type, ETP_MEMBER_ErlFunThing_next,                       \
		ETP_MEMBER_ErlFunThing_arity, ETP_MEMBER_ErlFunThing_num_free,                     \
		ETP_MEMBER_ErlFunThing_creator

#define MEMBERS_SINCE_27                                                                           \
	ETP_MEMBER_ErlSubBits_base_flags, ETP_MEMBER_ErlSubBits_start, ETP_MEMBER_ErlSubBits_end,  \
		ETP_MEMBER_ErlSubBits_orig

// ERTS_MON_TYPE_*, erl_monitor_link.h: OTP 24 brought monitors of ports of other nodes,
// and aliases. Links are numbered after them.
#define MONITORS_TO_23                                                                             \
	.monitor_types = {ETP_MONITOR_PROC,      ETP_MONITOR_PORT,     ETP_MONITOR_TIME_OFFSET,    \
	                  ETP_MONITOR_DIST_PROC, ETP_MONITOR_RESOURCE, ETP_MONITOR_NODE,           \
	                  ETP_MONITOR_NODES,     ETP_MONITOR_SUSPEND},                             \
	.monitor_type_count = 8

#define MONITORS_SINCE_24                                                                          \
	.monitor_types = {ETP_MONITOR_PROC,      ETP_MONITOR_PORT,      ETP_MONITOR_TIME_OFFSET,   \
	                  ETP_MONITOR_DIST_PROC, ETP_MONITOR_DIST_PORT, ETP_MONITOR_RESOURCE,      \
	                  ETP_MONITOR_NODE,      ETP_MONITOR_NODES,     ETP_MONITOR_SUSPEND,       \
	                  ETP_MONITOR_ALIAS},                                                      \
	.monitor_type_count = 10

static const enum etp_member_id members_to_26[] = {MEMBERS_OF_ALL, MEMBERS_TO_26};
static const enum etp_member_id members_27[] = {MEMBERS_OF_ALL, MEMBERS_SINCE_27,
                                                ETP_MEMBER_FunRef_entry};
static const enum etp_member_id members_29[] = {
	MEMBERS_OF_ALL,
	MEMBERS_SINCE_27,
	ETP_MEMBER_Atom_bin,
	ETP_MEMBER_ErtsRecordInstance_record_definition,
	ETP_MEMBER_ErtsRecordInstance_values,
	ETP_MEMBER_ErtsRecordDefinition_field_order,
	ETP_MEMBER_ErtsRecordDefinition_module,
	ETP_MEMBER_ErtsRecordDefinition_name,
	ETP_MEMBER_ErtsRecordDefinition_is_exported,
	ETP_MEMBER_ErtsRecordDefinition_keys,
};
#define MEMBERS(array) .members = (array), .member_count = sizeof(array) / sizeof((array)[0])

// What has never changed.
#define THINGS_OF_ALL                                                                              \
	[0x0] = ETP_THING_TUPLE, [0x2] = ETP_THING_POS_BIG, [0x3] = ETP_THING_NEG_BIG,             \
	[0x4] = ETP_THING_REF, [0x5] = ETP_THING_FUN, [0x6] = ETP_THING_FLOAT,                     \
	[0xc] = ETP_THING_EXTERNAL_PID, [0xd] = ETP_THING_EXTERNAL_PORT,                           \
	[0xe] = ETP_THING_EXTERNAL_REF

#define THINGS_TO_26                                                                               \
	[0x1] = ETP_THING_MATCH_STATE, [0x8] = ETP_THING_PROC_BIN, [0x9] = ETP_THING_HEAP_BIN,     \
	[0xa] = ETP_THING_SUB_BIN, [0xf] = ETP_THING_MAP

// OTP 27 made all bitstrings alike.
#define THINGS_SINCE_27                                                                            \
	[0x8] = ETP_THING_HEAP_BITS, [0x9] = ETP_THING_SUB_BITS, [0xa] = ETP_THING_BIN_REF,        \
	[0xb] = ETP_THING_MAP

static const struct etp_term_scheme scheme_23 = {
	.releases = "23",
	// External funs are things of their own.
	.things = {THINGS_OF_ALL, THINGS_TO_26, [0x7] = ETP_THING_EXPORT},
	.alias_numbers = 3,
	.max_heap_size_flags = 2,
	.first_flag_after_hipe = 17,
	MONITORS_TO_23,
	.keywords = "",
	MEMBERS(members_to_26),
};

static const struct etp_term_scheme scheme_24_to_26 = {
	.releases = "24 to 26",
	.things = {THINGS_OF_ALL, THINGS_TO_26},
	.alias_numbers = 3,
	.max_heap_size_flags = 2,
	.first_flag_after_hipe = 16,
	MONITORS_SINCE_24,
	.own_file_has_name = true,
	.keywords = "",
	MEMBERS(members_to_26),
};

#define OTHERS_SINCE_27                                                                            \
	.alias_numbers = 5, .max_heap_size_flags = 3, .first_flag_after_hipe = 16,                 \
	MONITORS_SINCE_24, .own_file_has_name = true, .lists_writable = true,                      \
	.keywords = " maybe else "

static const struct etp_term_scheme scheme_27 = {
	.releases = "27 and 28",
	// What keeps its entry alive follows the environment of a local fun.
	.things = {THINGS_OF_ALL, THINGS_SINCE_27, [0x1] = ETP_THING_FUN_REF},
	OTHERS_SINCE_27,
	MEMBERS(members_27),
};

static const struct etp_term_scheme scheme_29 = {
	.releases = "29",
	// Native records; funs keep nothing alive.
	.things = {THINGS_OF_ALL, THINGS_SINCE_27, [0x7] = ETP_THING_RECORD},
	.fun_kind_shift = 24,
	OTHERS_SINCE_27,
	MEMBERS(members_29),
};

const struct etp_term_scheme *etp_term_scheme_find(const char *otp_release)
{
	switch (atoi(otp_release)) {
	case 23:
		return &scheme_23;
	case 24:
	case 25:
	case 26:
		return &scheme_24_to_26;
	case 27:
	case 28:
		return &scheme_27;
	case 29:
		return &scheme_29;
	default:
		return NULL;
	}
}
