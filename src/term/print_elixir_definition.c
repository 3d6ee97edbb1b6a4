// SPDX-License-Identifier: Apache-2.0
//
// The order in which the fields of a struct were defined, which is that in which
// inspect/2 shows them.
//
// Elixir asks the module: __info__(:struct) returns a list of maps, %{field: :name,
// ...}. The list is one of the module's literals, and it is looked for among them. There
// is none before Elixir 1.14, which shows fields in the order of the map.

#include "term/print_private.h"
#include "vm/vm.h"

#include <etp/code.h>

#include <stdlib.h>
#include <string.h>

// Fields that Elixir's own structs do not show when they have their default value
// (`@derive {Inspect, optional: ...}`).
static const struct {
	const char *module, *field;
	// `nil`, or else the empty list.
	bool is_nil;
} optional_fields[] = {
	{"Elixir.URI", "authority", true},
	{"Elixir.Version", "pre", false},
	{"Elixir.Version", "build", true},
};

static void drop_optional_fields(struct etp_printer *p, struct elixir_struct *s)
{
	for (size_t i = 0; i < sizeof(optional_fields) / sizeof(*optional_fields); i++) {
		if (!elixir_module_is(p, s, optional_fields[i].module))
			continue;
		size_t kept = 0;
		for (size_t f = 0; f < s->count; f++) {
			etp_term value = s->fields[f].value;
			bool is_default = optional_fields[i].is_nil
			                          ? etp_vm_is_atom(p->vm, p->reader, value, "nil")
			                          : term_is_nil(value);
			if (!is_default || !etp_vm_is_atom(p->vm, p->reader, s->fields[f].key,
			                                   optional_fields[i].field))
				s->fields[kept++] = s->fields[f];
		}
		s->count = kept;
	}
}

// The literals of a module.
struct literals {
	uint64_t start, end;
	const void *words;
};

static bool find_literals(struct etp_printer *p, const struct etp_code_module *module,
                          struct literals *ret)
{
	uint64_t area = module->literal_area;
	if (!area || !READ_WORD(p->vm, p->reader, area, ErtsLiteralArea, end, &ret->end))
		return false;
	ret->start = area + OFFSET(p->vm, ErtsLiteralArea, start);
	if (ret->end <= ret->start)
		return false;
	ret->words = etp_reader_at(p->reader, ret->start, ret->end - ret->start);
	return ret->words;
}

static bool is_inside(const struct literals *l, etp_term term)
{
	uint64_t address = term_pointer(term);
	return address >= l->start && address < l->end;
}

// Is it %{field: NAME, ...}?
static bool is_field_info(struct etp_printer *p, const struct literals *l, etp_term term,
                          etp_term *name_ret)
{
	struct etp_term_view map;
	if (term_primary(term) != TAG_PRIMARY_BOXED || !is_inside(l, term) ||
	    print_decode(p, term, &map) != ETP_TERM_FLATMAP)
		return false;
	for (uint64_t i = 0; i < map.flatmap.size; i++) {
		etp_term value = etp_word_at(map.flatmap.values, i);
		if (term_is_atom(value) &&
		    etp_vm_is_atom(p->vm, p->reader, etp_word_at(map.flatmap.keys, i), "field")) {
			*name_ret = value;
			return true;
		}
	}
	return false;
}

// If the list that begins with the words at `index` names exactly the fields of `s`:
// puts them into its order, in `ordered`.
static bool is_definition(struct etp_printer *p, const struct literals *l, uint64_t index,
                          const struct elixir_struct *s, struct elixir_pair *ordered)
{
	size_t count = 0;
	for (;;) {
		etp_term name, tail = etp_word_at(l->words, index + 1);
		if (!is_field_info(p, l, etp_word_at(l->words, index), &name))
			return false;
		if (!etp_vm_is_atom(p->vm, p->reader, name, "__exception__") &&
		    !etp_vm_is_atom(p->vm, p->reader, name, "__struct__")) {
			size_t f = 0;
			while (f < s->count && s->fields[f].key != name)
				f++;
			if (f == s->count || count == s->count)
				return false;
			ordered[count++] = s->fields[f];
		}
		if (term_is_nil(tail))
			return count == s->count;
		if (term_primary(tail) != TAG_PRIMARY_LIST || !is_inside(l, tail) ||
		    (term_pointer(tail) - l->start) / 8 + 1 >= (l->end - l->start) / 8)
			return false;
		index = (term_pointer(tail) - l->start) / 8;
	}
}

enum definition {
	NO_DEFINITION,
	OTHER_DEFINITION,
	DEFINITION_FOUND,
};

static enum definition find_definition(struct etp_printer *p, const struct literals *l,
                                       const struct elixir_struct *s, struct elixir_pair *ordered)
{
	enum definition found = NO_DEFINITION;
	uint64_t count = (l->end - l->start) / 8;
	for (uint64_t i = 0; i + 1 < count; i++) {
		etp_term name, tail = etp_word_at(l->words, i + 1);
		bool may_be_list = term_is_nil(tail) ||
		                   (term_primary(tail) == TAG_PRIMARY_LIST && is_inside(l, tail));
		if (!may_be_list || !is_field_info(p, l, etp_word_at(l->words, i), &name))
			continue;
		if (is_definition(p, l, i, s, ordered))
			return DEFINITION_FOUND;
		found = OTHER_DEFINITION;
	}
	return found;
}

bool elixir_define(struct etp_printer *p, struct elixir_struct *s)
{
	const struct etp_code_module *modules;
	const char *problem;
	size_t count = etp_code_modules(p->vm, &modules, &problem), i = 0;
	etp_term name = term_make_atom(s->module);
	while (i < count && (modules[i].name != name || modules[i].version != ETP_CODE_CURRENT))
		i++;
	if (i == count)
		return !count || problem;
	struct literals literals;
	if (find_literals(p, &modules[i], &literals)) {
		struct elixir_pair *ordered = malloc((s->count + 1) * sizeof(*ordered));
		if (!ordered) {
			p->no_memory = true;
			return true;
		}
		enum definition found = find_definition(p, &literals, s, ordered);
		if (found == DEFINITION_FOUND) {
			free(s->fields);
			s->fields = ordered;
		} else {
			free(ordered);
		}
		if (found == OTHER_DEFINITION)
			return false;
	}
	drop_optional_fields(p, s);
	return true;
}
