// SPDX-License-Identifier: Apache-2.0
//
// inspect/2 on one line (Elixir: lib/elixir/lib/inspect.ex), with notes about where
// the documents that Elixir makes of terms have groups and breaks.
//
// Implementations of the Inspect protocol other than Elixir's own are code, which
// cannot be run here: such structs are shown as those that have none.

#include "term/print_private.h"
#include "term/scheme.h"

#include <stdlib.h>
#include <string.h>

#include <etp/vm.h>

struct frame {
	enum { FRAME_LIST, FRAME_TUPLE, FRAME_MAP, FRAME_HASHMAP, FRAME_STRUCT } kind : 8;
	// Elements are shown as `key: value`.
	bool is_keyword;
	// Only the keys, as elements of a list (MapSet).
	bool keys_only;
	// Elements of a Stream; its funs are shown in reverse.
	bool is_stream;
	// Lists below are not shown as charlists.
	bool as_lists;
	// The next thing to print is the value that belongs to the key just printed.
	bool at_value;
	// All elements so far are mere text; there was a break.
	bool is_simple, has_break;
	// Index of its first mark; end of the last group in it that may be broken.
	uint32_t mark, fit_end;
	const char *closer;
	uint64_t shown, count;
	union {
		etp_term rest;
		const void *words;
		struct etp_map_iter *iter;
		struct elixir_pair *fields;
	};
	union {
		const void *values;
		etp_term value;
	};
};

struct walk {
	struct etp_printer *p;
	struct frame *frames;
	size_t depth, capacity;
	struct elixir_marks *marks;
};

// ---- Marks -------------------------------------------------------------------------

static uint32_t add_mark(struct walk *w, enum elixir_mark_type type)
{
	struct elixir_marks *marks = w->marks;
	if (!marks ||
	    !print_grow(w->p, &marks->items, &marks->capacity, marks->count, sizeof(*marks->items)))
		return 0;
	marks->items[marks->count] = (struct elixir_mark){
		.offset = (uint32_t)w->p->out->size,
		.type = type,
	};
	return (uint32_t)marks->count++;
}

// The group that began at `mark` ends here.
static void end_group(struct walk *w, uint32_t mark, uint32_t fit_end)
{
	uint32_t end = add_mark(w, MARK_END);
	if (!w->marks || end >= w->marks->count)
		return;
	w->marks->items[mark].end = end;
	w->marks->items[mark].fit_end = fit_end;
	if (w->depth && w->frames[w->depth - 1].fit_end < fit_end)
		w->frames[w->depth - 1].fit_end = fit_end;
}

static void put_break(struct walk *w)
{
	add_mark(w, MARK_BREAK);
	print_char(w->p, ' ');
}

// What was printed is a group, which lists with one element a line are made of.
static void not_simple(struct walk *w)
{
	if (w->depth)
		w->frames[w->depth - 1].is_simple = false;
}

// ---- Leaves ------------------------------------------------------------------------

static void put_leaf(struct walk *w, const struct etp_term_view *view, bool is_tag)
{
	if (!w->p->options->redact || !print_redacted_leaf(w->p, view, is_tag))
		print_elixir_leaf(w->p, view);
}

// ---- Strings -----------------------------------------------------------------------

static void put_bytes(struct walk *w, const struct etp_term_view *view)
{
	struct etp_printer *p = w->p;
	uint64_t bits = view->bits.bit_size, limit = p->options->max_length;
	unsigned rest = bits % 8;
	if (!view->bits.bytes) {
		print_format(p, "#Unreadable<0x%llx>", (unsigned long long)view->bits.data_address);
		return;
	}
	not_simple(w);
	uint32_t mark = add_mark(w, MARK_BITS);
	print_str(p, "<<");
	for (uint64_t i = 0; i < bits / 8 + (rest != 0) && !print_done(p); i++) {
		if (i) {
			print_char(p, ',');
			put_break(w);
		}
		if (limit && i == limit) {
			print_str(p, "...");
			break;
		}
		unsigned byte = etp_bits_byte(view, i);
		if (i < bits / 8)
			print_format(p, "%u", byte);
		else
			print_format(p, "%u::size(%u)", byte >> (8 - rest), rest);
	}
	print_str(p, ">>");
	end_group(w, mark, bits > 8 ? (uint32_t)p->out->size : 0);
}

static void put_bitstring(struct walk *w, const struct etp_term_view *view)
{
	struct etp_printer *p = w->p;
	uint64_t length;
	if (p->options->redact)
		print_redacted_bitstring(p, view);
	else if (elixir_string_length(p, view, &length))
		print_elixir_string(p, view, length);
	else
		put_bytes(w, view);
}

// Characters of the charlist that a list is (List.ascii_printable?/2), 0 if it is not.
static uint64_t charlist_length(struct walk *w, const struct etp_term_view *list)
{
	struct etp_printer *p = w->p;
	struct etp_term_view cell = *list, head;
	uint64_t length = 0, limit = p->options->max_string ? p->options->max_string : p->limit;
	for (; cell.kind == ETP_TERM_CONS; print_decode(p, cell.cons.tail, &cell)) {
		if (length == limit)
			return length;
		if (print_decode(p, cell.cons.head, &head) != ETP_TERM_SMALL || head.small < '\a' ||
		    head.small > '~' ||
		    (head.small > '\r' && head.small < ' ' && head.small != 0x1b))
			return 0;
		length++;
	}
	return cell.kind == ETP_TERM_NIL ? length : 0;
}

static void put_charlist(struct walk *w, const struct etp_term_view *list, uint64_t length)
{
	struct etp_printer *p = w->p;
	bool is_sigil = p->options->elixir_minor >= 15;
	char quote = is_sigil ? '"' : '\'';
	print_str(p, is_sigil ? "~c" : "");
	if (p->options->redact) {
		print_redacted_string(p, length, quote);
		return;
	}
	struct etp_term_view cell = *list, head;
	print_char(p, quote);
	print_decode(p, cell.cons.head, &head);
	for (uint64_t i = 0; i < length && !print_done(p); i++) {
		uint32_t c = (uint32_t)head.small, next = 0;
		if (print_decode(p, cell.cons.tail, &cell) == ETP_TERM_CONS &&
		    print_decode(p, cell.cons.head, &head) == ETP_TERM_SMALL)
			next = (uint32_t)head.small;
		print_elixir_char(p, c, next, quote, false);
	}
	print_char(p, quote);
	if (cell.kind == ETP_TERM_CONS)
		print_str(p, " ++ ...");
}

// ---- Keywords ----------------------------------------------------------------------

static bool is_keyword_key(struct etp_printer *p, etp_term key)
{
	struct etp_term_view view;
	size_t size;
	if (print_decode(p, key, &view) != ETP_TERM_ATOM)
		return false;
	const char *name = etp_vm_atom(p->vm, p->reader, view.atom, &size);
	return !name || !is_elixir_module_name(name, size);
}

// Is it {key, value}?
static bool is_keyword_pair(struct etp_printer *p, etp_term term, struct elixir_pair *ret)
{
	struct etp_term_view view;
	if (print_decode(p, term, &view) != ETP_TERM_TUPLE || view.tuple.arity != 2)
		return false;
	ret->key = etp_word_at(view.tuple.elements, 0);
	ret->value = etp_word_at(view.tuple.elements, 1);
	return is_keyword_key(p, ret->key);
}

static bool is_keyword_list(struct etp_printer *p, const struct etp_term_view *list)
{
	struct etp_term_view cell = *list;
	struct elixir_pair pair;
	uint64_t count = 0;
	for (; cell.kind == ETP_TERM_CONS; print_decode(p, cell.cons.tail, &cell))
		if (++count > p->limit || !is_keyword_pair(p, cell.cons.head, &pair))
			return false;
	return cell.kind == ETP_TERM_NIL;
}

static bool is_keyword_map(struct etp_printer *p, const struct etp_term_view *map, bool keys_only)
{
	struct etp_map_iter iter;
	struct elixir_pair pair;
	etp_term key, value;
	etp_map_iter_init(&iter, p->vm, p->reader, map, ETP_MAP_ORDER_TO_LIST);
	while (etp_map_iter_next(&iter, &key, &value))
		if (keys_only ? !is_keyword_pair(p, key, &pair) : !is_keyword_key(p, key))
			return false;
	return true;
}

static void put_key(struct walk *w, etp_term key)
{
	struct etp_term_view view;
	if (print_decode(w->p, key, &view) == ETP_TERM_ATOM)
		print_elixir_atom(w->p, view.atom, ELIXIR_KEY);
	print_char(w->p, ' ');
}

// ---- The walk ----------------------------------------------------------------------

static bool too_deep(const struct walk *w)
{
	uint64_t max_depth = w->p->options->max_depth;
	return w->depth >= PRINT_MAX_LEVELS || (max_depth && w->depth >= max_depth);
}

// Takes over the frame's resources. The name of `s` (NULL: none) is part of the opening
// bracket.
static void push(struct walk *w, struct frame *frame, const char *opener,
                 const struct elixir_struct *s)
{
	not_simple(w);
	if (!print_grow(w->p, &w->frames, &w->capacity, w->depth, sizeof(*w->frames))) {
		if (frame->kind == FRAME_HASHMAP || frame->kind == FRAME_STRUCT)
			free(frame->iter);
		return;
	}
	frame->is_simple = true;
	frame->mark = add_mark(w, frame->kind == FRAME_TUPLE ? MARK_FLEX : MARK_STRICT);
	print_str(w->p, opener);
	if (s) {
		print_elixir_atom(w->p, s->module, ELIXIR_LITERAL);
		print_char(w->p, '{');
	}
	add_mark(w, MARK_OPEN);
	w->frames[w->depth++] = *frame;
}

static void pop(struct walk *w)
{
	struct frame frame = w->frames[--w->depth];
	bool is_list = frame.kind == FRAME_LIST || frame.keys_only ||
	               (frame.kind == FRAME_STRUCT && !frame.is_keyword);
	bool is_flex =
		frame.kind == FRAME_TUPLE || (is_list && frame.is_simple && !frame.is_keyword);
	add_mark(w, MARK_CLOSE);
	print_char(w->p, frame.closer[0]);
	if (w->marks && frame.mark < w->marks->count)
		w->marks->items[frame.mark].type = is_flex ? MARK_FLEX : MARK_STRICT;
	end_group(w, frame.mark,
	          !is_flex || frame.has_break ? (uint32_t)w->p->out->size : frame.fit_end);
	print_str(w->p, frame.closer + 1);
	if (frame.kind == FRAME_HASHMAP || frame.kind == FRAME_STRUCT)
		free(frame.iter);
}

// `closer` is "]" and what follows it.
static void put_list(struct walk *w, const struct etp_term_view *view, bool as_lists,
                     const char *closer)
{
	struct etp_printer *p = w->p;
	uint64_t length = as_lists ? 0 : charlist_length(w, view);
	if (length || too_deep(w)) {
		if (length)
			put_charlist(w, view, length);
		else
			print_str(p, "[...]");
		print_str(p, closer + 1);
		return;
	}
	struct frame frame = {
		.kind = FRAME_LIST,
		.is_keyword = is_keyword_list(p, view),
		.as_lists = as_lists,
		.closer = closer,
		.rest = view->word,
	};
	push(w, &frame, "[", NULL);
}

static void put_tuple(struct walk *w, const struct etp_term_view *view, bool as_lists)
{
	if (!view->tuple.arity || too_deep(w)) {
		print_str(w->p, view->tuple.arity ? "{...}" : "{}");
		return;
	}
	struct frame frame = {
		.kind = FRAME_TUPLE,
		.as_lists = as_lists,
		.closer = "}",
		.words = view->tuple.elements,
		.count = view->tuple.arity,
	};
	push(w, &frame, "{", NULL);
}

static uint64_t map_size(const struct etp_term_view *map)
{
	return map->kind == ETP_TERM_FLATMAP ? map->flatmap.size : map->hashmap.size;
}

static void put_pairs(struct walk *w, const struct etp_term_view *view, bool keys_only,
                      bool as_lists)
{
	struct etp_printer *p = w->p;
	struct frame frame = {
		.kind = view->kind == ETP_TERM_FLATMAP ? FRAME_MAP : FRAME_HASHMAP,
		.is_keyword = is_keyword_map(p, view, keys_only),
		.keys_only = keys_only,
		.as_lists = as_lists,
		.closer = keys_only ? "])" : "}",
		.count = map_size(view),
	};
	if (frame.kind == FRAME_MAP) {
		frame.words = view->flatmap.keys;
		frame.values = view->flatmap.values;
	} else {
		frame.iter = malloc(sizeof(*frame.iter));
		if (!frame.iter) {
			p->no_memory = true;
			return;
		}
		etp_map_iter_init(frame.iter, p->vm, p->reader, view, ETP_MAP_ORDER_TO_LIST);
	}
	push(w, &frame, keys_only ? "[" : "%{", NULL);
}

// Takes over s->fields.
static void put_fields(struct walk *w, struct elixir_struct *s, bool as_lists)
{
	struct etp_printer *p = w->p;
	if (!s->count || too_deep(w)) {
		print_char(p, '%');
		print_elixir_atom(p, s->module, ELIXIR_LITERAL);
		print_str(p, s->count ? "{...}" : "{}");
		free(s->fields);
		return;
	}
	struct frame frame = {
		.kind = FRAME_STRUCT,
		.is_keyword = true,
		.as_lists = as_lists,
		.closer = "}",
		.count = s->count,
		.fields = s->fields,
	};
	push(w, &frame, "%", s);
}

// The elements of a list from the last to the first. False if it is not a proper one.
static bool put_reversed(struct walk *w, etp_term list)
{
	struct etp_printer *p = w->p;
	struct etp_term_view cell;
	struct frame frame = {
		.kind = FRAME_STRUCT,
		.as_lists = w->frames[w->depth - 1].as_lists,
		.closer = "]",
	};
	size_t capacity = 0;
	for (; print_decode(p, list, &cell) == ETP_TERM_CONS; list = cell.cons.tail) {
		if (frame.count == p->limit ||
		    !print_grow(p, &frame.fields, &capacity, frame.count, sizeof(*frame.fields)))
			break;
		frame.fields[frame.count++].value = cell.cons.head;
	}
	if (cell.kind != ETP_TERM_NIL || frame.count < 2 || too_deep(w)) {
		free(frame.fields);
		return false;
	}
	for (size_t i = 0, j = frame.count - 1; i < j; i++, j--) {
		struct elixir_pair pair = frame.fields[i];
		frame.fields[i] = frame.fields[j];
		frame.fields[j] = pair;
	}
	push(w, &frame, "[", NULL);
	return true;
}

// #Stream<[enum: ..., funs: [...]]>; takes over s->fields.
static void put_stream(struct walk *w, struct elixir_struct *s, bool as_lists)
{
	etp_term key;
	size_t count = 0;
	static const char *const shown[] = {"enum", "funs"};
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		for (size_t f = count; f < s->count; f++) {
			key = s->fields[f].key;
			if (!etp_vm_is_atom(w->p->vm, w->p->reader, key, shown[i]))
				continue;
			struct elixir_pair pair = s->fields[f];
			s->fields[f] = s->fields[count];
			s->fields[count++] = pair;
			break;
		}
	}
	struct frame frame = {
		.kind = FRAME_STRUCT,
		.is_keyword = true,
		.is_stream = true,
		.as_lists = as_lists,
		.closer = "]>",
		.count = count,
		.fields = s->fields,
	};
	print_str(w->p, "#Stream<");
	push(w, &frame, "[", NULL);
}

// Regex.compile!("source", [:option]), for a regular expression with options that ~r
// has no letters for. False if this is not one.
static bool put_regex(struct walk *w, const struct elixir_struct *s, bool as_lists)
{
	struct etp_printer *p = w->p;
	etp_term term;
	struct etp_term_view source, options;
	if (!elixir_module_is(p, s, "Elixir.Regex") || !elixir_field(p, s, "source", &term) ||
	    print_decode(p, term, &source) != ETP_TERM_BITSTRING ||
	    !elixir_field(p, s, "opts", &term) ||
	    (print_decode(p, term, &options) != ETP_TERM_CONS && options.kind != ETP_TERM_NIL))
		return false;
	print_str(p, "Regex.compile!(");
	put_bitstring(w, &source);
	print_str(p, ", ");
	if (options.kind == ETP_TERM_CONS)
		put_list(w, &options, as_lists, "])");
	else
		print_str(p, "[])");
	return true;
}

// Takes over s->fields, unless it returns false: then it is not a struct to Elixir.
static bool put_struct(struct walk *w, struct elixir_struct *s, bool as_lists)
{
	struct etp_printer *p = w->p;
	struct etp_term_view elements;
	if (!p->options->redact && (print_elixir_special(p, s) || put_regex(w, s, as_lists))) {
		free(s->fields);
		return true;
	}
	if (elixir_module_is(p, s, "Elixir.Stream") && s->count >= 2 && !too_deep(w)) {
		put_stream(w, s, as_lists);
		return true;
	}
	if (!elixir_map_set(p, s, &elements)) {
		if (!elixir_define(p, s))
			return false;
		put_fields(w, s, as_lists);
		return true;
	}
	free(s->fields);
	bool is_empty = !map_size(&elements);
	if (is_empty || too_deep(w)) {
		print_str(p, is_empty ? "MapSet.new([])" : "MapSet.new([...])");
	} else {
		print_str(p, "MapSet.new(");
		put_pairs(w, &elements, true, true);
	}
	return true;
}

static void put_map(struct walk *w, const struct etp_term_view *view, bool as_lists)
{
	struct etp_printer *p = w->p;
	struct elixir_struct s;
	if (elixir_struct_of(p, view, &s)) {
		if (put_struct(w, &s, as_lists))
			return;
		free(s.fields);
	}
	if (!map_size(view) || too_deep(w))
		print_str(p, map_size(view) ? "%{...}" : "%{}");
	else
		put_pairs(w, view, false, as_lists);
}

static void put(struct walk *w, etp_term term, bool is_tag)
{
	struct etp_term_view view;
	bool as_lists = w->depth && w->frames[w->depth - 1].as_lists;
	switch (print_decode(w->p, term, &view)) {
	case ETP_TERM_CONS:
		put_list(w, &view, as_lists, "]");
		break;
	case ETP_TERM_TUPLE:
		put_tuple(w, &view, as_lists);
		break;
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP:
		put_map(w, &view, as_lists);
		break;
	case ETP_TERM_BITSTRING:
		put_bitstring(w, &view);
		break;
	case ETP_TERM_RECORD:
		// Elixir has no form of its own for them.
		print_erlang(w->p, term, NULL);
		break;
	default:
		put_leaf(w, &view, is_tag);
	}
}

// What stands between elements. False when no more may be shown; then it has been
// said that there are.
static bool separate(struct walk *w, struct frame *frame, const char *separator)
{
	uint64_t limit = w->p->options->max_length;
	if (frame->shown) {
		print_str(w->p, separator);
		put_break(w);
		frame->has_break = true;
	}
	if (!limit || frame->shown < limit) {
		frame->shown++;
		return true;
	}
	print_str(w->p, "...");
	return false;
}

static void put_element(struct walk *w, struct frame *frame, etp_term term, bool is_tag)
{
	struct elixir_pair pair;
	if (frame->is_keyword && is_keyword_pair(w->p, term, &pair)) {
		put_key(w, pair.key);
		put(w, pair.value, false);
	} else {
		put(w, term, is_tag);
	}
}

static void step_list(struct walk *w, struct frame *frame)
{
	struct etp_term_view cell;
	enum etp_term_kind kind = print_decode(w->p, frame->rest, &cell);
	if (kind == ETP_TERM_NIL) {
		pop(w);
	} else if (!separate(w, frame, kind == ETP_TERM_CONS ? "," : " |")) {
		pop(w);
	} else if (kind == ETP_TERM_CONS) {
		frame->rest = cell.cons.tail;
		put_element(w, frame, cell.cons.head, false);
	} else {
		// The next that comes is the end.
		etp_term tail = frame->rest;
		frame->rest = ETP_NIL;
		put(w, tail, false);
	}
}

static void step_tuple(struct walk *w, struct frame *frame)
{
	if (frame->shown == frame->count || !separate(w, frame, ",")) {
		pop(w);
		return;
	}
	uint64_t index = frame->shown - 1;
	put(w, etp_word_at(frame->words, index), index == 0);
}

static void step_struct(struct walk *w, struct frame *frame)
{
	if (frame->shown == frame->count || !separate(w, frame, ",")) {
		pop(w);
		return;
	}
	struct elixir_pair pair = frame->fields[frame->shown - 1];
	if (frame->is_keyword)
		put_key(w, pair.key);
	if (!frame->is_stream || frame->shown != 2 || !put_reversed(w, pair.value))
		put(w, pair.value, false);
}

// The pair after those shown. False at the end.
static bool next_pair(struct walk *w, struct frame *frame, etp_term *key_ret)
{
	if (frame->kind == FRAME_MAP) {
		if (frame->shown == frame->count)
			return false;
		*key_ret = etp_word_at(frame->words, frame->shown);
		return true;
	}
	if (etp_map_iter_next(frame->iter, key_ret, &frame->value))
		return true;
	if (frame->iter->damaged && separate(w, frame, ","))
		print_format(w->p, "#Unreadable<0x%llx>",
		             (unsigned long long)w->p->reader->fault_address);
	return false;
}

static void step_map(struct walk *w, struct frame *frame)
{
	struct etp_printer *p = w->p;
	etp_term key;
	if (frame->at_value) {
		frame->at_value = false;
		if (!frame->is_keyword)
			print_str(p, " => ");
		put(w,
		    frame->kind == FRAME_HASHMAP ? frame->value
		                                 : etp_word_at(frame->values, frame->shown - 1),
		    false);
		return;
	}
	if (!next_pair(w, frame, &key) || !separate(w, frame, ",")) {
		pop(w);
	} else if (frame->keys_only) {
		put_element(w, frame, key, false);
	} else if (frame->is_keyword) {
		frame->at_value = true;
		put_key(w, key);
	} else {
		frame->at_value = true;
		put(w, key, true);
	}
}

void print_elixir(struct etp_printer *p, etp_term term, struct elixir_marks *marks)
{
	struct walk w = {.p = p, .marks = marks};
	put(&w, term, false);
	while (w.depth && !print_done(p)) {
		struct frame *frame = &w.frames[w.depth - 1];
		switch (frame->kind) {
		case FRAME_LIST:
			step_list(&w, frame);
			break;
		case FRAME_TUPLE:
			step_tuple(&w, frame);
			break;
		case FRAME_STRUCT:
			step_struct(&w, frame);
			break;
		default:
			step_map(&w, frame);
		}
	}
	while (w.depth)
		pop(&w);
	free(w.frames);
}
