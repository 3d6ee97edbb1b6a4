// SPDX-License-Identifier: Apache-2.0
#include "term/scheme.h"

#include <stdlib.h>

static const enum etp_member_id members_24_to_26[] = {
	ETP_MEMBER_ProcBin_size,
	ETP_MEMBER_ProcBin_val,
	ETP_MEMBER_ProcBin_bytes,
	ETP_MEMBER_ProcBin_flags,
	ETP_MEMBER_ErlSubBin_size,
	ETP_MEMBER_ErlSubBin_offs,
	ETP_MEMBER_ErlSubBin_bitsize,
	ETP_MEMBER_ErlSubBin_bitoffs,
	ETP_MEMBER_ErlSubBin_orig,
	ETP_MEMBER_ErlHeapBin_size,
	ETP_MEMBER_ErlHeapBin_data,
	ETP_MEMBER_ErlBinMatchState_orig,
	ETP_MEMBER_ErtsORefThing_marker,
	ETP_MEMBER_ErlFunThing_next,
	ETP_MEMBER_ErlFunThing_arity,
	ETP_MEMBER_ErlFunThing_num_free,
	ETP_MEMBER_ErlFunThing_creator,
	ETP_MEMBER_DbTable_counters,
	ETP_MEMBER_ErtsFlxCtr_is_decentralized,
	ETP_MEMBER_ErtsFlxCtr_counters_ptr,
	ETP_MEMBER_ErtsFlxCtr_counters,
	ETP_MEMBER_ErtsFlxCtrDecentralizedCtrArray_snapshot_status,
	ETP_MEMBER_ErtsFlxCtrDecentralizedCtrArray_array,
};

// To OTP 26: ProcBin, heap binary, sub-binary and match state. OTP 23's EXPORT
// header (subtag 7) is gone since 24.
static const struct etp_term_scheme scheme_24_to_26 = {
	.releases = "24 to 26",
	.things =
		{
			[0x0] = ETP_THING_TUPLE,
			[0x1] = ETP_THING_MATCH_STATE,
			[0x2] = ETP_THING_POS_BIG,
			[0x3] = ETP_THING_NEG_BIG,
			[0x4] = ETP_THING_REF,
			[0x5] = ETP_THING_FUN,
			[0x6] = ETP_THING_FLOAT,
			[0x8] = ETP_THING_PROC_BIN,
			[0x9] = ETP_THING_HEAP_BIN,
			[0xa] = ETP_THING_SUB_BIN,
			[0xc] = ETP_THING_EXTERNAL_PID,
			[0xd] = ETP_THING_EXTERNAL_PORT,
			[0xe] = ETP_THING_EXTERNAL_REF,
			[0xf] = ETP_THING_MAP,
		},
	.members = members_24_to_26,
	.member_count = sizeof(members_24_to_26) / sizeof(members_24_to_26[0]),
};

const struct etp_term_scheme *etp_term_scheme_find(const char *otp_release)
{
	switch (atoi(otp_release)) {
	case 25:
		return &scheme_24_to_26;
	default:
		return NULL;
	}
}
