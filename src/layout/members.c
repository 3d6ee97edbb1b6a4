// SPDX-License-Identifier: Apache-2.0
#include "layout/registry.h"

#include <etp/layout.h>

static const struct etp_registry_struct structs[] = {
#define ETP_STRUCT(id, names) {#id, names},
#define ETP_MEMBER(id, member, path, need)
#include <etp/members.def>
#undef ETP_STRUCT
#undef ETP_MEMBER
};

enum {
	OPTIONAL = false,
	REQUIRED = true,
};

static const struct etp_registry_member members[] = {
#define ETP_STRUCT(id, names)
#define ETP_MEMBER(id, member, path, need) {ETP_STRUCT_##id, #member, #id "." #member, path, need},
#include <etp/members.def>
#undef ETP_STRUCT
#undef ETP_MEMBER
};

const struct etp_registry etp_registry = {
	.structs = structs,
	.struct_count = ETP_STRUCT_COUNT,
	.members = members,
	.member_count = ETP_MEMBER_COUNT,
};

const char *etp_member_name(enum etp_member_id id)
{
	return (unsigned int)id < ETP_MEMBER_COUNT ? members[id].full_name : "?";
}

const char *etp_struct_name(enum etp_struct_id id)
{
	return (unsigned int)id < ETP_STRUCT_COUNT ? structs[id].name : "?";
}
