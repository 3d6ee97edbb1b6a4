// SPDX-License-Identifier: Apache-2.0
//
// ~w and ~p on one line (stdlib: io_lib:write/2, io_lib_pretty:print_length/6).

#include "term/print_private.h"
#include "term/scheme.h"

#include <stdlib.h>
#include <string.h>

// A list, tuple, map or native record that is being printed.
struct frame {
	enum { FRAME_LIST, FRAME_TUPLE, FRAME_MAP, FRAME_HASHMAP, FRAME_RECORD } kind : 8;
	// The next thing to print is the value that belongs to the key just printed.
	bool at_value;
	uint32_t node, pair_node;
	uint64_t shown, count;
	union {
		// List: what is still to print; record: all of it.
		etp_term rest;
		// Tuple: its elements; flatmap: its keys.
		const void *words;
		struct etp_map_iter *iter;
	};
	union {
		const void *values;
		etp_term value;
	};
};

struct walk {
	struct etp_printer *p;
	bool pretty;
	struct frame *frames;
	size_t depth, capacity;
	struct pretty_nodes *nodes;
	// Characters in the output up to `counted` bytes.
	uint64_t chars;
	size_t counted;
};

// ---- Parts, for the second pass ----------------------------------------------------

static const struct etp_string *count_chars(struct walk *w)
{
	const struct etp_string *out = w->p->out;
	// There is no data before there is text.
	if (out->size > w->counted)
		w->chars += print_chars_length(out->data + w->counted, out->size - w->counted);
	w->counted = out->size;
	return out;
}

static uint32_t begin_node(struct walk *w, enum pretty_kind kind)
{
	struct pretty_nodes *nodes = w->nodes;
	if (!nodes ||
	    !print_grow(w->p, &nodes->items, &nodes->capacity, nodes->count, sizeof(*nodes->items)))
		return 0;
	const struct etp_string *out = count_chars(w);
	nodes->items[nodes->count] = (struct pretty_node){
		.kind = kind,
		.offset = (uint32_t)out->size,
		.width = (uint32_t)w->chars,
	};
	return (uint32_t)nodes->count++;
}

static void end_node(struct walk *w, uint32_t index)
{
	struct pretty_nodes *nodes = w->nodes;
	if (!nodes || index >= nodes->count)
		return;
	const struct etp_string *out = count_chars(w);
	struct pretty_node *node = &nodes->items[index];
	node->size = (uint32_t)out->size - node->offset;
	node->width = (uint32_t)w->chars - node->width;
	node->next = (uint32_t)nodes->count;
}

static void put_dots(struct walk *w)
{
	uint32_t node = begin_node(w, PRETTY_DOTS);
	print_str(w->p, "...");
	end_node(w, node);
}

static void put_unreadable(struct walk *w)
{
	uint32_t node = begin_node(w, PRETTY_DOTS);
	print_format(w->p, "#Unreadable<0x%llx>", (unsigned long long)w->p->reader->fault_address);
	end_node(w, node);
}

// ---- Strings -----------------------------------------------------------------------

// io_lib:printable_latin1_list/1, printable_unicode_list/1.
static bool is_printable(uint32_t c, bool unicode)
{
	if ((c >= ' ' && c < 0x7f) || (c >= 0xa0 && c <= 0xff))
		return true;
	if (unicode && c > 0xff)
		return c < 0xd800 || (c > 0xdfff && c < 0xfffe) || (c > 0xffff && c <= 0x10ffff);
	return (c >= '\b' && c <= '\r') || c == 0x1b;
}

static bool shows_beyond_latin1(const struct etp_printer *p)
{
	return p->options->unicode && p->options->printable_unicode;
}

// Characters of the string that a list is, up to max_string of them; 0 if it is not.
static uint64_t string_length(struct walk *w, const struct etp_term_view *list)
{
	struct etp_printer *p = w->p;
	bool unicode = shows_beyond_latin1(p);
	// A list that is longer than the output can be has no end that matters.
	uint64_t limit = p->options->max_string ? p->options->max_string : p->limit;
	struct etp_term_view cell = *list, head;
	uint64_t length = 0;
	for (; cell.kind == ETP_TERM_CONS; print_decode(p, cell.cons.tail, &cell)) {
		if (length == limit)
			return length;
		if (print_decode(p, cell.cons.head, &head) != ETP_TERM_SMALL || head.small < 0 ||
		    head.small > 0x10ffff || !is_printable((uint32_t)head.small, unicode))
			return 0;
		length++;
	}
	return cell.kind == ETP_TERM_NIL ? length : 0;
}

static void put_string(struct walk *w, const struct etp_term_view *list, uint64_t length)
{
	struct etp_printer *p = w->p;
	if (p->options->redact) {
		print_redacted_string(p, length, '"');
		return;
	}
	struct etp_term_view cell = *list, head;
	print_char(p, '"');
	for (uint64_t i = 0; i < length && !print_done(p); i++) {
		print_decode(p, cell.cons.head, &head);
		print_erlang_char(p, (uint32_t)head.small, '"', true);
		print_decode(p, cell.cons.tail, &cell);
	}
	print_char(p, '"');
	if (cell.kind == ETP_TERM_CONS)
		print_str(p, "...");
}

enum text_encoding {
	NOT_TEXT,
	TEXT_BYTES,
	TEXT_UTF8,
};

// How a binary can be shown as text, and how many characters that are
// (io_lib_pretty:printable_bin/4).
static enum text_encoding binary_text(struct walk *w, const struct etp_term_view *view,
                                      uint64_t *length_ret)
{
	const struct etp_print_options *options = w->p->options;
	uint64_t size = view->bits.bit_size / 8;
	if (view->bits.bit_size % 8 || !size || !view->bits.bytes)
		return NOT_TEXT;
	uint64_t limit = options->max_string ? options->max_string : UINT64_MAX;
	bool valid = options->unicode, printable = true;
	struct bits_cursor cursor = {.view = view, .size = size};
	uint64_t length = 0;
	if (valid) {
		for (; cursor.position < size && length < limit; length++) {
			uint32_t c = bits_next_utf8(&cursor);
			if (c == UTF8_BAD) {
				valid = false;
				break;
			}
			printable &= is_printable(c, options->printable_unicode);
		}
	}
	if (valid) {
		*length_ret = length;
		if (!printable)
			return NOT_TEXT;
		return cursor.position == length ? TEXT_BYTES : TEXT_UTF8;
	}
	length = size < limit ? size : limit;
	for (uint64_t i = 0; i < length; i++)
		if (!is_printable(etp_bits_byte(view, i), false))
			return NOT_TEXT;
	*length_ret = length;
	return TEXT_BYTES;
}

static void put_text(struct walk *w, const struct etp_term_view *view, enum text_encoding encoding,
                     uint64_t length)
{
	struct etp_printer *p = w->p;
	struct bits_cursor cursor = {.view = view, .size = view->bits.bit_size / 8};
	print_str(p, "<<\"");
	for (uint64_t i = 0; i < length && !print_done(p); i++) {
		uint32_t c = encoding == TEXT_UTF8 ? bits_next_utf8(&cursor)
		                                   : etp_bits_byte(view, cursor.position++);
		print_erlang_char(p, c, '"', true);
	}
	print_str(p, encoding == TEXT_UTF8 ? "\"/utf8" : "\"");
	print_str(p, cursor.position < cursor.size ? "...>>" : ">>");
}

static void put_bitstring(struct walk *w, const struct etp_term_view *view)
{
	struct etp_printer *p = w->p;
	uint64_t length;
	enum text_encoding encoding = NOT_TEXT;
	bool hidden = p->options->redact;
	if (w->pretty && !hidden)
		encoding = binary_text(w, view, &length);
	bool is_text = hidden || encoding != NOT_TEXT || !view->bits.bit_size || !view->bits.bytes;
	uint32_t node = begin_node(w, is_text ? PRETTY_TEXT : PRETTY_BIN);
	if (hidden)
		print_redacted_bitstring(p, view);
	else if (encoding != NOT_TEXT)
		put_text(w, view, encoding, length);
	else
		print_bitstring(p, view);
	end_node(w, node);
}

// ---- The walk ----------------------------------------------------------------------

static bool first_is_atom(struct walk *w, const struct etp_term_view *tuple)
{
	struct etp_term_view first;
	return print_decode(w->p, etp_word_at(tuple->tuple.elements, 0), &first) == ETP_TERM_ATOM;
}

static const char *const openers[] = {
	[FRAME_LIST] = "[",     [FRAME_TUPLE] = "{",  [FRAME_MAP] = "#{",
	[FRAME_HASHMAP] = "#{", [FRAME_RECORD] = "{",
};

static void put_record_name(struct walk *w, const struct etp_term_view *record)
{
	uint32_t node = begin_node(w, PRETTY_TEXT);
	print_char(w->p, '#');
	print_atom(w->p, record->record.module);
	print_char(w->p, ':');
	print_atom(w->p, record->record.name);
	end_node(w, node);
}

static void push(struct walk *w, const struct etp_term_view *view)
{
	struct etp_printer *p = w->p;
	struct frame frame = {0};
	enum pretty_kind kind;
	switch (view->kind) {
	case ETP_TERM_CONS:
		frame.kind = FRAME_LIST;
		frame.rest = view->word;
		kind = PRETTY_LIST;
		break;
	case ETP_TERM_TUPLE:
		frame.kind = FRAME_TUPLE;
		frame.words = view->tuple.elements;
		frame.count = view->tuple.arity;
		kind = w->nodes && frame.count > 1 && first_is_atom(w, view) ? PRETTY_TAGGED_TUPLE
		                                                             : PRETTY_TUPLE;
		break;
	case ETP_TERM_FLATMAP:
		frame.kind = FRAME_MAP;
		frame.words = view->flatmap.keys;
		frame.values = view->flatmap.values;
		frame.count = view->flatmap.size;
		kind = PRETTY_MAP;
		break;
	case ETP_TERM_RECORD:
		frame.kind = FRAME_RECORD;
		frame.rest = view->word;
		frame.count = view->record.size;
		kind = PRETTY_RECORD;
		break;
	default:
		frame.kind = FRAME_HASHMAP;
		frame.count = view->hashmap.size;
		kind = PRETTY_MAP;
	}
	uint64_t max_depth = p->options->max_depth;
	if (w->depth >= PRINT_MAX_LEVELS || (max_depth && w->depth >= max_depth)) {
		uint32_t node = begin_node(w, PRETTY_TEXT);
		if (frame.kind == FRAME_RECORD)
			put_record_name(w, view);
		print_str(p, openers[frame.kind]);
		print_str(p, "...");
		print_char(p, frame.kind == FRAME_LIST ? ']' : '}');
		end_node(w, node);
		return;
	}
	if (!print_grow(p, &w->frames, &w->capacity, w->depth, sizeof(*w->frames)))
		return;
	if (frame.kind == FRAME_HASHMAP) {
		frame.iter = malloc(sizeof(*frame.iter));
		if (!frame.iter) {
			p->no_memory = true;
			return;
		}
		etp_map_iter_init(frame.iter, p->vm, p->reader, view, ETP_MAP_ORDER_ITERATOR);
	}
	frame.node = begin_node(w, kind);
	if (frame.kind == FRAME_RECORD)
		put_record_name(w, view);
	print_str(p, openers[frame.kind]);
	w->frames[w->depth++] = frame;
}

static void pop(struct walk *w)
{
	struct frame *frame = &w->frames[--w->depth];
	print_char(w->p, frame->kind == FRAME_LIST ? ']' : '}');
	end_node(w, frame->node);
	if (frame->kind == FRAME_HASHMAP)
		free(frame->iter);
}

// A whole term, or the beginning of one.
static void put(struct walk *w, etp_term term, bool is_tag, bool is_tail)
{
	struct etp_printer *p = w->p;
	struct etp_term_view view;
	size_t node_count = w->nodes ? w->nodes->count : 0;
	uint32_t node;
	uint64_t length;
	switch (print_decode(p, term, &view)) {
	case ETP_TERM_CONS:
		length = w->pretty ? string_length(w, &view) : 0;
		if (!length) {
			push(w, &view);
			break;
		}
		node = begin_node(w, PRETTY_TEXT);
		put_string(w, &view, length);
		end_node(w, node);
		break;
	case ETP_TERM_TUPLE:
	case ETP_TERM_FLATMAP:
	case ETP_TERM_HASHMAP:
		if (view.kind == ETP_TERM_TUPLE
		            ? view.tuple.arity
		            : view.kind == ETP_TERM_HASHMAP || view.flatmap.size) {
			push(w, &view);
			break;
		}
		node = begin_node(w, PRETTY_TEXT);
		print_str(p, view.kind == ETP_TERM_TUPLE ? "{}" : "#{}");
		end_node(w, node);
		break;
	case ETP_TERM_RECORD:
		push(w, &view);
		break;
	case ETP_TERM_BITSTRING:
		put_bitstring(w, &view);
		break;
	default:
		node = begin_node(w, PRETTY_TEXT);
		if (!p->options->redact || !print_redacted_leaf(p, &view, is_tag))
			print_leaf(p, &view);
		end_node(w, node);
	}
	if (is_tail && w->nodes && node_count < w->nodes->count)
		w->nodes->items[node_count].is_tail = true;
}

// True when no more elements may be shown; then it has been said that there are.
static bool limit_reached(struct walk *w, const struct frame *frame, char separator)
{
	uint64_t limit = w->p->options->max_length;
	if (!limit || frame->shown < limit)
		return false;
	print_char(w->p, separator);
	put_dots(w);
	return true;
}

static void step_list(struct walk *w, struct frame *frame)
{
	struct etp_printer *p = w->p;
	struct etp_term_view cell;
	switch (print_decode(p, frame->rest, &cell)) {
	case ETP_TERM_NIL:
		pop(w);
		break;
	case ETP_TERM_CONS:
		if (limit_reached(w, frame, '|')) {
			pop(w);
			break;
		}
		if (frame->shown++)
			print_char(p, ',');
		frame->rest = cell.cons.tail;
		put(w, cell.cons.head, false, false);
		break;
	default:
		if (!limit_reached(w, frame, '|')) {
			// What comes back here after the tail has been printed is the
			// end of the list.
			etp_term tail = frame->rest;
			frame->rest = ETP_NIL;
			print_char(p, '|');
			put(w, tail, false, true);
		} else {
			pop(w);
		}
	}
}

static void step_tuple(struct walk *w, struct frame *frame)
{
	if (frame->shown == frame->count || limit_reached(w, frame, ',')) {
		pop(w);
		return;
	}
	if (frame->shown)
		print_char(w->p, ',');
	uint64_t index = frame->shown++;
	put(w, etp_word_at(frame->words, index), index == 0, false);
}

static bool next_pair(struct frame *frame, etp_term *key_ret)
{
	if (frame->kind == FRAME_HASHMAP)
		return etp_map_iter_next(frame->iter, key_ret, &frame->value);
	if (frame->shown == frame->count)
		return false;
	*key_ret = etp_word_at(frame->words, frame->shown);
	return true;
}

static void step_map(struct walk *w, struct frame *frame)
{
	struct etp_printer *p = w->p;
	etp_term key;
	if (frame->at_value) {
		frame->at_value = false;
		print_str(p, " => ");
		put(w,
		    frame->kind == FRAME_HASHMAP ? frame->value
		                                 : etp_word_at(frame->values, frame->shown - 1),
		    false, false);
		return;
	}
	if (frame->shown)
		end_node(w, frame->pair_node);
	if (frame->shown < frame->count && limit_reached(w, frame, ',')) {
		pop(w);
		return;
	}
	if (!next_pair(frame, &key)) {
		if (frame->kind == FRAME_HASHMAP && frame->iter->damaged) {
			if (frame->shown)
				print_char(p, ',');
			put_unreadable(w);
		}
		pop(w);
		return;
	}
	if (frame->shown++)
		print_char(p, ',');
	frame->at_value = true;
	frame->pair_node = begin_node(w, PRETTY_PAIR);
	put(w, key, true, false);
}

// Position of a field, in the order of the declaration, among keys and values.
static bool field_position(struct walk *w, const struct etp_term_view *record, uint64_t index,
                           uint64_t *ret)
{
	struct etp_term_view order, position;
	if (print_decode(w->p, record->record.field_order, &order) != ETP_TERM_TUPLE ||
	    index >= order.tuple.arity ||
	    print_decode(w->p, etp_word_at(order.tuple.elements, index), &position) !=
	            ETP_TERM_SMALL ||
	    position.small < 0 || (uint64_t)position.small >= record->record.size)
		return false;
	*ret = (uint64_t)position.small;
	return true;
}

static void step_record(struct walk *w, struct frame *frame)
{
	struct etp_printer *p = w->p;
	if (frame->shown)
		end_node(w, frame->pair_node);
	if (frame->shown == frame->count || limit_reached(w, frame, ',')) {
		pop(w);
		return;
	}
	if (frame->shown)
		print_char(p, ',');
	struct etp_term_view record, key;
	uint64_t position;
	uint64_t index = frame->shown++;
	frame->pair_node = begin_node(w, PRETTY_FIELD);
	uint32_t node = begin_node(w, PRETTY_TEXT);
	bool is_sound = print_decode(p, frame->rest, &record) == ETP_TERM_RECORD &&
	                field_position(w, &record, index, &position);
	if (is_sound) {
		print_decode(p, etp_word_at(record.record.keys, position), &key);
		print_leaf(p, &key);
	} else {
		print_char(p, '_');
	}
	end_node(w, node);
	print_str(p, " = ");
	if (is_sound)
		put(w, etp_word_at(record.record.values, position), false, false);
	else
		put_unreadable(w);
}

void print_erlang(struct etp_printer *p, etp_term term, struct pretty_nodes *nodes)
{
	struct walk w = {
		.p = p,
		.pretty = p->options->syntax == ETP_SYNTAX_ERLANG_PRETTY,
		.nodes = nodes,
		.counted = p->out->size,
	};
	put(&w, term, false, false);
	while (w.depth && !print_done(p)) {
		struct frame *frame = &w.frames[w.depth - 1];
		switch (frame->kind) {
		case FRAME_LIST:
			step_list(&w, frame);
			break;
		case FRAME_TUPLE:
			step_tuple(&w, frame);
			break;
		case FRAME_RECORD:
			step_record(&w, frame);
			break;
		default:
			step_map(&w, frame);
		}
	}
	// Of a print that was cut short: the parts end where the text does.
	while (w.depth) {
		struct frame *frame = &w.frames[w.depth - 1];
		// A pair has two parts; a field too, which are begun together.
		if (frame->at_value)
			end_node(&w, begin_node(&w, PRETTY_TEXT));
		if (frame->kind >= FRAME_MAP && frame->shown)
			end_node(&w, frame->pair_node);
		pop(&w);
	}
	free(w.frames);
}
