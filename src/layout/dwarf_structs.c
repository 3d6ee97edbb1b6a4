// SPDX-License-Identifier: Apache-2.0
//
// Structs of the registry, found in DWARF.
//
// A beam.smp with the JIT has 20 MB of .debug_info, two thirds of it C++ (asmjit
// and the code generator). ERTS's structs are C, and C has no scopes around
// types, so it is enough to look at the children of each C unit. Every unit
// repeats the structs that its headers define: a struct that was seen with the
// same size on the same line is not resolved again.

#include "layout/dwarf_structs.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	// Structs within structs, and typedefs of typedefs, in C source that people
	// wrote. A file with deeper ones is forged.
	MAX_NESTING = 32,
	MAX_TYPEDEFS = 64,
	// Different structs of one name that are remembered.
	MAX_SEEN = 8,
};

struct seen {
	uint64_t size;
	uint64_t line;
};

// What was found for one struct of the registry so far.
struct found {
	bool found;
	// Two structs of the same name fit equally well, and differ.
	bool ambiguous;
	uint32_t size;
	unsigned int required, optional;
	// The unit that defines it, for messages.
	const char *unit;
	const char *other_unit;
	struct seen seen[MAX_SEEN];
	unsigned int seen_count;
};

struct name_entry {
	const char *name;
	size_t length;
	unsigned int struct_index;
};

struct search {
	const struct etp_registry *registry;
	const char *path;
	// Open addressing, keyed by name; a name may occur for several structs.
	struct name_entry *names;
	size_t name_mask;
	// [first_member[s], first_member[s + 1]) are the members of struct s.
	size_t *first_member;
	struct found *found;
	struct etp_layout_member *members;
	struct etp_layout_member *scratch;
	uint32_t *sizes;
};

static struct etp_error *dwarf_error(const char *path)
{
	return etp_error_create(ETP_ERROR_LAYOUT, "The DWARF of %s cannot be read: %s.", path,
	                        dwarf_errmsg(-1));
}

static size_t hash_name(const char *name, size_t length)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < length; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

static struct etp_error *search_init(struct search *s, const struct etp_registry *registry)
{
	size_t name_count = 0;
	for (size_t i = 0; i < registry->struct_count; i++) {
		name_count++;
		for (const char *p = registry->structs[i].c_names; *p; p++)
			name_count += *p == '|';
	}
	size_t capacity = 16;
	while (capacity < 2 * name_count)
		capacity *= 2;
	s->registry = registry;
	s->names = calloc(capacity, sizeof(*s->names));
	s->name_mask = capacity - 1;
	s->first_member = calloc(registry->struct_count + 1, sizeof(*s->first_member));
	s->found = calloc(registry->struct_count + 1, sizeof(*s->found));
	s->scratch = calloc(registry->member_count + 1, sizeof(*s->scratch));
	if (!s->names || !s->first_member || !s->found || !s->scratch)
		return &etp_error_no_memory;

	for (size_t i = 0; i < registry->struct_count; i++) {
		const char *name = registry->structs[i].c_names;
		for (;;) {
			size_t length = strcspn(name, "|");
			size_t slot = hash_name(name, length) & s->name_mask;
			while (s->names[slot].name)
				slot = (slot + 1) & s->name_mask;
			s->names[slot] = (struct name_entry){name, length, (unsigned int)i};
			if (!name[length])
				break;
			name += length + 1;
		}
	}
	size_t m = 0;
	for (size_t i = 0; i < registry->struct_count; i++) {
		s->first_member[i] = m;
		while (m < registry->member_count && registry->members[m].struct_index == i)
			m++;
	}
	s->first_member[registry->struct_count] = m;
	if (m != registry->member_count)
		return etp_error_create(
			ETP_ERROR_ARGUMENT,
			"Member %s of the registry does not stand behind its struct.",
			registry->members[m].full_name);
	return NULL;
}

static void search_deinit(struct search *s)
{
	free(s->names);
	free(s->first_member);
	free(s->found);
	free(s->scratch);
}

// Follow typedefs and qualifiers. False if there is no type (void), or no end.
static bool peel_type(Dwarf_Die *die, Dwarf_Die *ret)
{
	*ret = *die;
	for (int i = 0; i < MAX_TYPEDEFS; i++) {
		switch (dwarf_tag(ret)) {
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			break;
		default:
			return true;
		}
		Dwarf_Attribute attr;
		Dwarf_Die next;
		if (!dwarf_attr_integrate(ret, DW_AT_type, &attr) ||
		    !dwarf_formref_die(&attr, &next))
			return false;
		*ret = next;
	}
	return false;
}

static bool die_type(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Die type;
	return dwarf_attr_integrate(die, DW_AT_type, &attr) && dwarf_formref_die(&attr, &type) &&
	       peel_type(&type, ret);
}

static bool is_aggregate(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

static bool unsigned_attr(Dwarf_Die *die, unsigned int name, Dwarf_Word *ret)
{
	Dwarf_Attribute attr;
	return dwarf_attr_integrate(die, name, &attr) && dwarf_formudata(&attr, ret) == 0;
}

// Elements of an array type, over all its dimensions; 0 for `[]`.
static uint64_t array_count(Dwarf_Die *array)
{
	Dwarf_Die child;
	if (dwarf_child(array, &child) != 0)
		return 0;
	uint64_t count = 1;
	bool any = false;
	do {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		Dwarf_Word n;
		if (unsigned_attr(&child, DW_AT_count, &n)) {
			// as it is
		} else if (unsigned_attr(&child, DW_AT_upper_bound, &n)) {
			n++; // GCC writes [0] as an upper bound of -1
		} else {
			n = 0;
		}
		any = true;
		if (n > UINT32_MAX || count * n > UINT32_MAX)
			return UINT64_MAX;
		count *= n;
	} while (dwarf_siblingof(&child, &child) == 0);
	return any ? count : 0;
}

// A member on the way through a path.
struct place {
	uint64_t offset;
	Dwarf_Die member;
};

// Where a member begins, in bits from the start of its struct.
static bool member_bit_offset(Dwarf_Die *member, uint64_t *ret)
{
	Dwarf_Word offset = 0, bits, value;
	// Members of a union say no place.
	unsigned_attr(member, DW_AT_data_member_location, &offset);
	if (offset > UINT32_MAX)
		return false;
	*ret = offset * 8;
	if (unsigned_attr(member, DW_AT_data_bit_offset, &value)) {
		if (value > UINT32_MAX)
			return false;
		*ret += value;
	} else if (unsigned_attr(member, DW_AT_bit_offset, &value) &&
	           unsigned_attr(member, DW_AT_bit_size, &bits)) {
		// Up to DWARF 3, and in clang's DWARF 5: counted from the most
		// significant bit of the storage unit.
		Dwarf_Word unit;
		if (!unsigned_attr(member, DW_AT_byte_size, &unit) || unit > 16 ||
		    bits > unit * 8 || value > unit * 8 - bits)
			return false;
		*ret += unit * 8 - value - bits;
	}
	return true;
}

// Find a member by name, through anonymous structs and unions.
static bool find_member(Dwarf_Die *aggregate, const char *name, size_t length, int depth,
                        struct place *ret)
{
	Dwarf_Die child;
	if (depth > MAX_NESTING || dwarf_child(aggregate, &child) != 0)
		return false;
	do {
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		uint64_t bit_offset;
		if (!member_bit_offset(&child, &bit_offset))
			continue;
		uint64_t offset = bit_offset / 8;
		const char *child_name = dwarf_diename(&child);
		if (child_name) {
			if (strlen(child_name) == length && !memcmp(child_name, name, length)) {
				ret->offset += offset;
				ret->member = child;
				return true;
			}
			continue;
		}
		Dwarf_Die type;
		if (die_type(&child, &type) && is_aggregate(&type)) {
			struct place inner = {.offset = ret->offset + offset};
			if (find_member(&type, name, length, depth + 1, &inner)) {
				*ret = inner;
				return true;
			}
		}
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

// Resolve one alternative of a path, of `length` characters.
static bool resolve_path(Dwarf_Die *aggregate, const char *path, size_t length,
                         struct etp_layout_member *ret)
{
	Dwarf_Die type = *aggregate;
	struct place place = {0};
	const char *end = path + length;
	for (const char *p = path;;) {
		const char *dot = memchr(p, '.', (size_t)(end - p));
		size_t n = (size_t)((dot ? dot : end) - p);
		// A path through an array means its first element.
		while (dwarf_tag(&type) == DW_TAG_array_type) {
			Dwarf_Die element;
			if (!die_type(&type, &element))
				return false;
			type = element;
		}
		if (!is_aggregate(&type) || !find_member(&type, p, n, 0, &place) ||
		    !die_type(&place.member, &type))
			return false;
		p += n;
		if (p == end)
			break;
		p++;
	}

	uint64_t count = 1;
	Dwarf_Word size;
	Dwarf_Word bits;
	if (unsigned_attr(&place.member, DW_AT_bit_size, &bits)) {
		// The bytes that a bit-field is in; who reads it knows its bits.
		uint64_t bit_offset;
		if (!member_bit_offset(&place.member, &bit_offset))
			return false;
		size = (bit_offset % 8 + bits + 7) / 8;
	} else {
		for (int i = 0; dwarf_tag(&type) == DW_TAG_array_type; i++) {
			uint64_t n = array_count(&type);
			Dwarf_Die element;
			if (i > MAX_NESTING || n > UINT32_MAX || count * n > UINT32_MAX ||
			    !die_type(&type, &element))
				return false;
			count *= n;
			type = element;
		}
		if (dwarf_aggregate_size(&type, &size) != 0)
			return false;
	}
	if (place.offset >= UINT32_MAX || size > UINT32_MAX)
		return false;
	*ret = (struct etp_layout_member){
		.offset = (uint32_t)place.offset, .size = (uint32_t)size, .count = (uint32_t)count};
	return true;
}

// A member that is not within the `size` bytes of its struct is none: what has that many bytes in
// memory is read by these offsets.
static bool resolve_alternatives(Dwarf_Die *aggregate, uint64_t size, const char *path,
                                 struct etp_layout_member *ret)
{
	for (;;) {
		size_t length = strcspn(path, "|");
		if (resolve_path(aggregate, path, length, ret) &&
		    ret->offset + (uint64_t)ret->size * ret->count <= size)
			return true;
		if (!path[length])
			break;
		path += length + 1;
	}
	*ret = (struct etp_layout_member){.offset = ETP_LAYOUT_ABSENT};
	return false;
}

static bool seen_before(struct found *found, Dwarf_Die *die, uint64_t size)
{
	struct seen seen = {.size = size};
	Dwarf_Word line;
	if (unsigned_attr(die, DW_AT_decl_line, &line))
		seen.line = line;
	for (unsigned int i = 0; i < found->seen_count; i++)
		if (found->seen[i].size == seen.size && found->seen[i].line == seen.line)
			return true;
	if (found->seen_count < MAX_SEEN)
		found->seen[found->seen_count++] = seen;
	return false;
}

// A definition of the name of struct `index`: take it if it has more of the
// members that are wanted than what was found before. Names such as "hash" or
// "segment" also belong to structs that ERTS's libraries define.
static void consider(struct search *s, unsigned int index, Dwarf_Die *named, const char *unit)
{
	Dwarf_Die die;
	Dwarf_Word size;
	if (!peel_type(named, &die) || !is_aggregate(&die) ||
	    dwarf_hasattr_integrate(&die, DW_AT_declaration) ||
	    !unsigned_attr(&die, DW_AT_byte_size, &size) || size >= UINT32_MAX)
		return;
	struct found *found = &s->found[index];
	if (seen_before(found, &die, size))
		return;

	size_t first = s->first_member[index], end = s->first_member[index + 1];
	unsigned int required = 0, optional = 0;
	for (size_t m = first; m < end; m++) {
		const struct etp_registry_member *member = &s->registry->members[m];
		if (resolve_alternatives(&die, size, member->path, &s->scratch[m])) {
			required += member->required;
			optional += !member->required;
		}
	}
	if (found->found) {
		if (required < found->required ||
		    (required == found->required && optional < found->optional))
			return;
		if (required == found->required && optional == found->optional) {
			if (size == found->size && !memcmp(&s->members[first], &s->scratch[first],
			                                   (end - first) * sizeof(*s->members)))
				return;
			found->ambiguous = true;
			found->other_unit = unit;
			return;
		}
	}
	found->found = true;
	found->ambiguous = false;
	found->size = (uint32_t)size;
	found->required = required;
	found->optional = optional;
	found->unit = unit;
	memcpy(&s->members[first], &s->scratch[first], (end - first) * sizeof(*s->members));
	s->sizes[index] = (uint32_t)size;
}

static void search_unit(struct search *s, Dwarf_Die *unit)
{
	const char *unit_name = dwarf_diename(unit);
	if (!unit_name)
		unit_name = "a unit without a name";
	Dwarf_Die die;
	if (dwarf_child(unit, &die) != 0)
		return;
	do {
		int tag = dwarf_tag(&die);
		if (tag != DW_TAG_structure_type && tag != DW_TAG_union_type &&
		    tag != DW_TAG_typedef)
			continue;
		const char *name = dwarf_diename(&die);
		if (!name)
			continue;
		size_t length = strlen(name);
		for (size_t slot = hash_name(name, length) & s->name_mask; s->names[slot].name;
		     slot = (slot + 1) & s->name_mask) {
			const struct name_entry *entry = &s->names[slot];
			if (entry->length == length && !memcmp(entry->name, name, length))
				consider(s, entry->struct_index, &die, unit_name);
		}
	} while (dwarf_siblingof(&die, &die) == 0);
}

static bool is_c_plus_plus(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2a: // DW_LANG_C_plus_plus_17
	case 0x2b: // DW_LANG_C_plus_plus_20
		return true;
	default:
		// Partial units, which dwz makes for Debian's debug packages, may not
		// say their language.
		return false;
	}
}

// erl_poll.c is compiled a second time with other macros, which change structs that only
// it sees so (erl_poll.flbk.c, ERTS_POLL_IS_FALLBACK; OTP 29: ErtsSchedulerData).
static bool is_fallback(Dwarf_Die *unit)
{
	const char *name = dwarf_diename(unit);
	return name && strstr(name, ".flbk.");
}

static struct etp_error *search_dwarf(struct search *s, Dwarf *dwarf, size_t *unit_count)
{
	Dwarf_CU *cu = NULL;
	for (;;) {
		Dwarf_Die unit;
		int rc = dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL);
		if (rc < 0)
			return dwarf_error(s->path);
		if (rc > 0)
			return NULL;
		++*unit_count;
		if (!is_c_plus_plus(&unit) && !is_fallback(&unit))
			search_unit(s, &unit);
	}
}

static struct etp_error *check_found(struct search *s)
{
	const struct etp_registry *registry = s->registry;
	char *missing = NULL;
	size_t missing_size = 0;
	FILE *out = open_memstream(&missing, &missing_size);
	if (!out)
		return &etp_error_no_memory;
	size_t count = 0;
	for (size_t i = 0; i < registry->struct_count; i++) {
		const struct found *found = &s->found[i];
		if (found->ambiguous)
			fprintf(out, "%s%s (two different structs, in %s and in %s)",
			        count++ ? ", " : "", registry->structs[i].name, found->unit,
			        found->other_unit);
		for (size_t m = s->first_member[i]; m < s->first_member[i + 1]; m++) {
			const struct etp_registry_member *member = &registry->members[m];
			if (!member->required || s->members[m].offset != ETP_LAYOUT_ABSENT)
				continue;
			if (!found->found) {
				fprintf(out, "%s%s (no struct or typedef %s)", count++ ? ", " : "",
				        registry->structs[i].name, registry->structs[i].c_names);
				break;
			}
			fprintf(out, "%s%s (no %s)", count++ ? ", " : "", member->full_name,
			        member->path);
		}
	}
	if (fclose(out) != 0) {
		free(missing);
		return &etp_error_no_memory;
	}
	struct etp_error *err = NULL;
	if (count)
		err = etp_error_create(
			ETP_ERROR_LAYOUT,
			"The DWARF of %s lacks what this version of etp needs: %s. It is not "
			"that of a beam.smp, or of an OTP release that etp does not know yet.",
			s->path, missing);
	free(missing);
	return err;
}

static struct etp_error *search_module(struct search *s, Dwfl_Module *module)
{
	Dwarf_Addr bias;
	Dwarf *dwarf = dwfl_module_getdwarf(module, &bias);
	size_t unit_count = 0;
	struct etp_error *err = NULL;
	if (dwarf) {
		err = search_dwarf(s, dwarf, &unit_count);
		Dwarf *alt = err ? NULL : dwarf_getalt(dwarf);
		if (alt)
			err = search_dwarf(s, alt, &unit_count);
		if (err)
			return err;
	}
	if (!unit_count)
		return etp_error_create(
			ETP_ERROR_LAYOUT,
			"%s has no debug information (DWARF), and none was found for "
			"it elsewhere: neither by its .gnu_debuglink nor by its "
			"build-id below /usr/lib/debug. Build beam.smp with -g, or "
			"install the debug package that belongs to it.",
			s->path);
	return check_found(s);
}

struct etp_error *etp_dwarf_structs(const char *path, const struct etp_registry *registry,
                                    struct etp_layout_member *members, uint32_t *sizes)
{
	// libdwfl does not tell "no such file" from "not ELF".
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return etp_error_os(errno, "Cannot open %s", path);
	close(fd);

	for (size_t i = 0; i < registry->member_count; i++)
		members[i] = (struct etp_layout_member){.offset = ETP_LAYOUT_ABSENT};
	for (size_t i = 0; i < registry->struct_count; i++)
		sizes[i] = ETP_LAYOUT_ABSENT;

	static char *debuginfo_path = NULL; // libdwfl's default
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
		.debuginfo_path = &debuginfo_path,
	};
	struct search s = {.path = path, .members = members, .sizes = sizes};
	struct etp_error *err = search_init(&s, registry);
	Dwfl *dwfl = NULL;
	if (!err) {
		dwfl = dwfl_begin(&callbacks);
		if (!dwfl)
			err = &etp_error_no_memory;
	}
	if (!err) {
		Dwfl_Module *module = dwfl_report_offline(dwfl, path, path, -1);
		if (!module || dwfl_report_end(dwfl, NULL, NULL) != 0)
			err = etp_error_create(ETP_ERROR_UNSUPPORTED,
			                       "%s is not an ELF file that can be read: %s.", path,
			                       dwfl_errmsg(-1));
		else
			err = search_module(&s, module);
	}
	dwfl_end(dwfl);
	search_deinit(&s);
	return err;
}
