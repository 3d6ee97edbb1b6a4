// SPDX-License-Identifier: Apache-2.0
//
// Elixir's structs: maps with a key :__struct__. Those of its standard library that
// inspect/2 shows in a form of their own.

#include "term/print_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <etp/vm.h>

static bool atom_is(struct etp_printer *p, etp_term term, const char *name, size_t length)
{
	struct etp_term_view view;
	size_t size;
	if (print_decode(p, term, &view) != ETP_TERM_ATOM)
		return false;
	const char *text = etp_vm_atom(p->vm, p->reader, view.atom, &size);
	return text && size == length && !memcmp(text, name, size);
}

static bool is_atom(struct etp_printer *p, etp_term term, const char *name)
{
	return atom_is(p, term, name, strlen(name));
}

bool elixir_module_is(struct etp_printer *p, const struct elixir_struct *s, const char *name)
{
	size_t size;
	const char *text = etp_vm_atom(p->vm, p->reader, s->module, &size);
	return text && size == strlen(name) && !memcmp(text, name, size);
}

static struct elixir_pair *find_field(struct etp_printer *p, struct elixir_pair *fields,
                                      size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (atom_is(p, fields[i].key, name, length))
			return &fields[i];
	return NULL;
}

bool elixir_field(struct etp_printer *p, const struct elixir_struct *s, const char *name,
                  etp_term *ret)
{
	const struct elixir_pair *field = find_field(p, s->fields, s->count, name, strlen(name));
	if (field)
		*ret = field->value;
	return field;
}

bool elixir_struct_of(struct etp_printer *p, const struct etp_term_view *map,
                      struct elixir_struct *ret)
{
	struct etp_map_iter iter;
	struct elixir_pair pair;
	struct etp_term_view module;
	bool found = false;
	size_t count = 0;
	etp_map_iter_init(&iter, p->vm, p->reader, map, ETP_MAP_ORDER_TO_LIST);
	for (; etp_map_iter_next(&iter, &pair.key, &pair.value); count++) {
		if (!found && is_atom(p, pair.key, "__struct__")) {
			if (print_decode(p, pair.value, &module) != ETP_TERM_ATOM)
				return false;
			found = true;
		}
	}
	if (!found || iter.damaged)
		return false;
	*ret = (struct elixir_struct){
		.module = module.atom,
		.fields = malloc(count * sizeof(*ret->fields)),
	};
	if (!ret->fields) {
		p->no_memory = true;
		return false;
	}
	etp_map_iter_init(&iter, p->vm, p->reader, map, ETP_MAP_ORDER_TO_LIST);
	while (ret->count < count && etp_map_iter_next(&iter, &pair.key, &pair.value))
		if (!is_atom(p, pair.key, "__struct__") && !is_atom(p, pair.key, "__exception__"))
			ret->fields[ret->count++] = pair;
	return true;
}

// ---- Forms of their own ------------------------------------------------------------

static bool small_field(struct etp_printer *p, const struct elixir_struct *s, const char *name,
                        int64_t least, int64_t most, int64_t *ret)
{
	etp_term term;
	struct etp_term_view view;
	if (!elixir_field(p, s, name, &term) || print_decode(p, term, &view) != ETP_TERM_SMALL ||
	    view.small < least || view.small > most)
		return false;
	*ret = view.small;
	return true;
}

static bool binary_field(struct etp_printer *p, const struct elixir_struct *s, const char *name,
                         struct etp_term_view *ret)
{
	etp_term term;
	return elixir_field(p, s, name, &term) &&
	       print_decode(p, term, ret) == ETP_TERM_BITSTRING && ret->bits.bit_size % 8 == 0 &&
	       (ret->bits.bytes || !ret->bits.bit_size);
}

static bool has_iso_calendar(struct etp_printer *p, const struct elixir_struct *s)
{
	etp_term term;
	return elixir_field(p, s, "calendar", &term) && is_atom(p, term, "Elixir.Calendar.ISO");
}

static void put_text(struct etp_printer *p, const struct etp_term_view *view, char quote,
                     bool is_regex)
{
	struct bits_cursor cursor = {.view = view, .size = view->bits.bit_size / 8};
	while (cursor.position < cursor.size && !print_done(p)) {
		unsigned char byte = etp_bits_byte(view, cursor.position);
		unsigned char next = cursor.position + 1 < cursor.size
		                             ? etp_bits_byte(view, cursor.position + 1)
		                             : 0;
		// An escaped slash is a slash; two backslashes stay together.
		if (is_regex && byte == '\\' && next == '\\') {
			print_str(p, "\\\\");
			cursor.position += 2;
			continue;
		}
		cursor.position += is_regex && byte == '\\' && next == '/';
		uint32_t c = bits_next_utf8(&cursor);
		next = cursor.position < cursor.size ? etp_bits_byte(view, cursor.position) : 0;
		if (c == UTF8_BAD)
			print_elixir_bad_byte(p, byte);
		else
			print_elixir_char(p, c, next, quote, is_regex);
	}
}

// A date or time: what a struct has of the one and the other.
struct moment {
	int64_t year, month, day, hour, minute, second, microsecond, precision;
	int64_t utc_offset, std_offset;
	struct etp_term_view zone, abbreviation;
};

static bool read_date(struct etp_printer *p, const struct elixir_struct *s, struct moment *m)
{
	return has_iso_calendar(p, s) &&
	       small_field(p, s, "year", INT64_MIN, INT64_MAX, &m->year) &&
	       small_field(p, s, "month", INT64_MIN, INT64_MAX, &m->month) &&
	       small_field(p, s, "day", INT64_MIN, INT64_MAX, &m->day);
}

static bool read_time(struct etp_printer *p, const struct elixir_struct *s, struct moment *m)
{
	etp_term term;
	struct etp_term_view pair, value, precision;
	if (!has_iso_calendar(p, s) || !small_field(p, s, "hour", 0, 23, &m->hour) ||
	    !small_field(p, s, "minute", 0, 59, &m->minute) ||
	    !small_field(p, s, "second", 0, 59, &m->second) ||
	    !elixir_field(p, s, "microsecond", &term) ||
	    print_decode(p, term, &pair) != ETP_TERM_TUPLE || pair.tuple.arity != 2 ||
	    print_decode(p, etp_word_at(pair.tuple.elements, 0), &value) != ETP_TERM_SMALL ||
	    print_decode(p, etp_word_at(pair.tuple.elements, 1), &precision) != ETP_TERM_SMALL)
		return false;
	m->microsecond = value.small;
	m->precision = precision.small;
	return m->microsecond >= 0 && m->microsecond <= 999999 && m->precision >= 0 &&
	       m->precision <= 6;
}

static void put_padded(struct etp_printer *p, int64_t value, int digits)
{
	if (value < 0)
		print_char(p, '-');
	print_format(p, "%0*llu", digits,
	             value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value);
}

static void put_date(struct etp_printer *p, const struct moment *m)
{
	put_padded(p, m->year, 4);
	print_char(p, '-');
	put_padded(p, m->month, 2);
	print_char(p, '-');
	put_padded(p, m->day, 2);
}

static void put_time(struct etp_printer *p, const struct moment *m)
{
	print_format(p, "%02d:%02d:%02d", (int)m->hour, (int)m->minute, (int)m->second);
	if (m->precision) {
		char digits[8];
		snprintf(digits, sizeof(digits), "%06u", (unsigned)m->microsecond % 1000000);
		print_char(p, '.');
		print_bytes(p, digits, (size_t)m->precision);
	}
}

static bool print_date(struct etp_printer *p, const struct elixir_struct *s)
{
	struct moment m;
	if (!elixir_module_is(p, s, "Elixir.Date") || !read_date(p, s, &m))
		return false;
	print_str(p, "~D[");
	put_date(p, &m);
	print_char(p, ']');
	return true;
}

static bool print_time(struct etp_printer *p, const struct elixir_struct *s)
{
	struct moment m;
	if (!read_time(p, s, &m))
		return false;
	print_str(p, "~T[");
	put_time(p, &m);
	print_char(p, ']');
	return true;
}

static bool print_naive_datetime(struct etp_printer *p, const struct elixir_struct *s)
{
	struct moment m;
	if (!read_date(p, s, &m) || !read_time(p, s, &m))
		return false;
	print_str(p, "~N[");
	put_date(p, &m);
	print_char(p, ' ');
	put_time(p, &m);
	print_char(p, ']');
	return true;
}

static bool is_utc(const struct etp_term_view *zone)
{
	static const char name[] = "Etc/UTC";
	if (zone->bits.bit_size != 8 * (sizeof(name) - 1))
		return false;
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		if (etp_bits_byte(zone, i) != (unsigned char)name[i])
			return false;
	return true;
}

static bool print_datetime(struct etp_printer *p, const struct elixir_struct *s)
{
	enum { OFFSET_MAX = 1 << 30 };
	struct moment m;
	if (!read_date(p, s, &m) || !read_time(p, s, &m) ||
	    !small_field(p, s, "utc_offset", -OFFSET_MAX, OFFSET_MAX, &m.utc_offset) ||
	    !small_field(p, s, "std_offset", -OFFSET_MAX, OFFSET_MAX, &m.std_offset) ||
	    !binary_field(p, s, "time_zone", &m.zone) ||
	    !binary_field(p, s, "zone_abbr", &m.abbreviation))
		return false;
	bool utc = is_utc(&m.zone), is_sigil = utc && !m.utc_offset && !m.std_offset;
	print_str(p, is_sigil ? "~U[" : "#DateTime<");
	put_date(p, &m);
	print_char(p, ' ');
	put_time(p, &m);
	if (is_sigil) {
		print_str(p, "Z]");
		return true;
	}
	int64_t total = m.utc_offset + m.std_offset, seconds = total < 0 ? -total : total;
	print_char(p, total < 0 ? '-' : '+');
	put_padded(p, seconds / 3600, 2);
	print_char(p, ':');
	put_padded(p, seconds % 3600 / 60, 2);
	if (!utc) {
		print_char(p, ' ');
		put_text(p, &m.abbreviation, '\0', false);
		print_char(p, ' ');
		put_text(p, &m.zone, '\0', false);
	}
	print_char(p, '>');
	return true;
}

static bool integer_field(struct etp_printer *p, const struct elixir_struct *s, const char *name,
                          struct etp_term_view *ret)
{
	etp_term term;
	if (!elixir_field(p, s, name, &term))
		return false;
	print_decode(p, term, ret);
	return ret->kind == ETP_TERM_SMALL || ret->kind == ETP_TERM_BIG;
}

static bool is_negative(const struct etp_term_view *integer)
{
	return integer->kind == ETP_TERM_BIG ? integer->big.negative : integer->small < 0;
}

// a <= b, for integers
static bool at_most(const struct etp_term_view *a, const struct etp_term_view *b)
{
	if (a->kind == ETP_TERM_SMALL && b->kind == ETP_TERM_SMALL)
		return a->small <= b->small;
	bool negative = is_negative(a);
	if (negative != is_negative(b))
		return negative;
	if (a->kind != b->kind)
		return (a->kind == ETP_TERM_SMALL) != negative;
	if (a->big.count != b->big.count)
		return (a->big.count < b->big.count) != negative;
	for (uint64_t i = a->big.count; i-- > 0;) {
		uint64_t x = etp_word_at(a->big.digits, i), y = etp_word_at(b->big.digits, i);
		if (x != y)
			return (x < y) != negative;
	}
	return true;
}

static bool print_range(struct etp_printer *p, const struct elixir_struct *s)
{
	struct etp_term_view first, last, step;
	if (!integer_field(p, s, "first", &first) || !integer_field(p, s, "last", &last))
		return false;
	bool ascends = at_most(&first, &last);
	// A range of before Elixir 1.12 has no step.
	if (!integer_field(p, s, "step", &step)) {
		step.kind = ETP_TERM_SMALL;
		step.small = ascends ? 1 : -1;
	}
	print_leaf(p, &first);
	print_str(p, "..");
	print_leaf(p, &last);
	if (!ascends || step.kind != ETP_TERM_SMALL || step.small != 1) {
		print_str(p, "//");
		print_leaf(p, &step);
	}
	return true;
}

static bool date_field(struct etp_printer *p, const struct elixir_struct *s, const char *name,
                       struct elixir_struct *ret)
{
	etp_term term;
	struct etp_term_view view;
	struct moment m;
	if (!elixir_field(p, s, name, &term) || print_decode(p, term, &view) != ETP_TERM_FLATMAP ||
	    !elixir_struct_of(p, &view, ret))
		return false;
	if (elixir_module_is(p, ret, "Elixir.Date") && read_date(p, ret, &m))
		return true;
	free(ret->fields);
	return false;
}

static bool print_date_range(struct etp_printer *p, const struct elixir_struct *s)
{
	struct elixir_struct first, last;
	struct etp_term_view step;
	if (!integer_field(p, s, "step", &step) || !date_field(p, s, "first", &first))
		return false;
	bool ok = date_field(p, s, "last", &last);
	if (ok) {
		print_str(p, "Date.range(");
		print_date(p, &first);
		print_str(p, ", ");
		print_date(p, &last);
		if (step.kind != ETP_TERM_SMALL || step.small != 1) {
			print_str(p, ", ");
			print_leaf(p, &step);
		}
		print_char(p, ')');
		free(last.fields);
	}
	free(first.fields);
	return ok;
}

static bool print_regex(struct etp_printer *p, const struct elixir_struct *s)
{
	struct etp_term_view source, options;
	if (!binary_field(p, s, "source", &source) || !binary_field(p, s, "opts", &options))
		return false;
	print_str(p, "~r/");
	put_text(p, &source, '/', true);
	print_char(p, '/');
	put_text(p, &options, '\0', false);
	return true;
}

static bool print_requirement(struct etp_printer *p, const struct elixir_struct *s)
{
	struct etp_term_view source;
	if (!binary_field(p, s, "source", &source))
		return false;
	print_str(p, "Version.parse_requirement!(\"");
	put_text(p, &source, '"', false);
	print_str(p, "\")");
	return true;
}

bool print_elixir_special(struct etp_printer *p, const struct elixir_struct *s)
{
	static const struct {
		const char *module;
		bool (*print)(struct etp_printer *p, const struct elixir_struct *s);
	} specials[] = {
		{"Elixir.Range", print_range},
		{"Elixir.Date", print_date},
		{"Elixir.Time", print_time},
		{"Elixir.NaiveDateTime", print_naive_datetime},
		{"Elixir.DateTime", print_datetime},
		{"Elixir.Date.Range", print_date_range},
		{"Elixir.Regex", print_regex},
		{"Elixir.Version.Requirement", print_requirement},
	};
	for (size_t i = 0; i < sizeof(specials) / sizeof(*specials); i++)
		if (elixir_module_is(p, s, specials[i].module))
			return specials[i].print(p, s);
	return false;
}

bool elixir_map_set(struct etp_printer *p, const struct elixir_struct *s,
                    struct etp_term_view *map_ret)
{
	etp_term term;
	return elixir_module_is(p, s, "Elixir.MapSet") && elixir_field(p, s, "map", &term) &&
	       (print_decode(p, term, map_ret) == ETP_TERM_FLATMAP ||
	        map_ret->kind == ETP_TERM_HASHMAP);
}
