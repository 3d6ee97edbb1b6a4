// SPDX-License-Identifier: Apache-2.0
//
// Where ~p breaks lines (stdlib: io_lib_pretty:pp/8 and cind/7).
//
// A part that fits on the rest of the line is copied as it was printed on one line.
// Of one that does not, the parts are placed one after another: leaves fill lines,
// anything else begins a line of its own. Before that, the same walk is made
// without printing ("dry", the VM's cind) to choose how far the elements of tagged
// tuples are indented: below the element after the tag, else by 4, else by 1.

#include "term/print_private.h"

#include <stdlib.h>
#include <string.h>

// A list, tuple, map, pair or native record of which parts remain to be placed.
struct frame {
	enum { PLACE_ELEMENTS, PLACE_PAIRS, PLACE_FIELDS, PLACE_VALUE } kind : 8;
	// The next part is the first of its line.
	bool is_first;
	// Before an improper tail or the dots that stand for it, and at the end.
	char separator, closer;
	// Next part, and where they end.
	uint32_t part, end;
	// Column where lines begin, column now, indentation.
	int64_t first_column, column, indent;
	// How many brackets follow the last part on its line, and how many
	// characters there are on this line before the next part.
	int64_t last_depth, width;
};

struct layout {
	struct etp_printer *p;
	const char *text;
	const struct pretty_node *nodes;
	bool dry;
	// A dry walk found that this indentation will not do.
	bool no_good;
	int64_t line, total, tag_indent;
	struct frame *frames;
	size_t depth, capacity;
};

static void copy(struct layout *l, const struct pretty_node *node)
{
	if (!l->dry)
		print_slice(l->p, l->text + node->offset, node->size);
}

static void put(struct layout *l, const char *text)
{
	if (!l->dry)
		print_str(l->p, text);
}

static void new_line(struct layout *l, int64_t indent)
{
	if (l->dry)
		return;
	print_char(l->p, '\n');
	print_spaces(l->p, (uint64_t)indent);
}

static bool is_text(const struct pretty_node *node)
{
	return node->kind == PRETTY_TEXT;
}

static bool is_text_pair(const struct layout *l, uint32_t pair)
{
	uint32_t key = pair + 1;
	return is_text(&l->nodes[key]) && is_text(&l->nodes[l->nodes[key].next]);
}

static bool fits(const struct layout *l, const struct pretty_node *node, int64_t column,
                 int64_t last_depth, int64_t width)
{
	return node->width < l->line - column - last_depth &&
	       node->width + width + last_depth <= l->total;
}

static struct frame *push(struct layout *l)
{
	if (!print_grow(l->p, &l->frames, &l->capacity, l->depth, sizeof(*l->frames)))
		return NULL;
	return &l->frames[l->depth++];
}

// Break the numbers of <<1,2,3>> (io_lib_pretty:pp_binary/4).
static void place_binary(struct layout *l, const struct pretty_node *node, int64_t column,
                         int64_t indent, int64_t last_depth, int64_t width)
{
	int64_t room = l->line - column;
	if (l->total - 4 - width < room)
		room = l->total - 4 - width;
	room -= last_depth;
	if (room < 8)
		room = 8;
	const char *text = l->text + node->offset;
	size_t end = node->size - 2, start = 2;
	int64_t left = room;
	put(l, "<<");
	while (start < end && !print_done(l->p)) {
		const char *comma = memchr(text + start, ',', end - start);
		size_t size = comma ? (size_t)(comma - (text + start)) + 1 : end - start;
		if ((int64_t)size > left) {
			new_line(l, indent);
			left = room;
		}
		print_slice(l->p, text + start, size);
		left -= (int64_t)size;
		start += size;
	}
	put(l, ">>");
}

// The dry walk gives up on tags that are too long for this column.
static bool dry_room(struct layout *l, int64_t column, bool inclusive)
{
	if (!l->dry)
		return true;
	bool ok = inclusive ? l->total + column <= l->line || column <= l->line / 2
	                    : l->total + column < l->line || column < l->line / 2;
	if (!ok)
		l->no_good = true;
	return ok;
}

static void place_tagged_tuple(struct layout *l, uint32_t index, int64_t column, int64_t indent,
                               int64_t last_depth, int64_t width)
{
	const struct pretty_node *tag = &l->nodes[index + 1];
	int64_t tag_width = tag->width;
	int64_t tag_indent = tag_width + 2;
	int64_t after_tag = column + tag_indent;
	bool below = l->tag_indent > 0 && tag_indent > l->tag_indent;
	if (!dry_room(l, below ? column + l->tag_indent : after_tag, below))
		return;
	struct frame *frame = push(l);
	if (!frame)
		return;
	put(l, "{");
	copy(l, tag);
	*frame = (struct frame){
		.kind = PLACE_ELEMENTS,
		.separator = ',',
		.closer = '}',
		.part = tag->next,
		.end = l->nodes[index].next,
		.first_column = below ? column + l->tag_indent : after_tag,
		.column = after_tag,
		.indent = indent + (below ? l->tag_indent : tag_indent),
		.last_depth = last_depth,
		.width = width + 1 + tag_width,
	};
	if (!below) {
		put(l, ",");
		frame->is_first = true;
		frame->width++;
	}
}

// Where the fields of a record, or the value of a field, go: behind the `size` characters of
// the name, or below it (io_lib_pretty:rec_indent/5 and cind_rec/6). False if that will not do.
struct record_place {
	bool below;
	int64_t column, indent, width;
};

static bool place_behind_name(struct layout *l, int64_t size, int64_t column, int64_t indent,
                              int64_t width, struct record_place *ret)
{
	bool below = l->tag_indent > 0 && size > l->tag_indent;
	int64_t more = below ? l->tag_indent : size;
	*ret = (struct record_place){
		.below = below,
		.column = column + more,
		.indent = indent + more,
		.width = below ? 0 : width + size,
	};
	return dry_room(l, ret->column, true);
}

static void place_record(struct layout *l, uint32_t index, int64_t column, int64_t indent,
                         int64_t last_depth, int64_t width)
{
	const struct pretty_node *name = &l->nodes[index + 1];
	uint32_t end = l->nodes[index].next;
	copy(l, name);
	put(l, "{");
	if (name->next == end) {
		put(l, "}");
		return;
	}
	struct record_place at;
	if (!place_behind_name(l, (int64_t)name->width + 1, column, indent, width, &at))
		return;
	struct frame *frame = push(l);
	if (!frame)
		return;
	*frame = (struct frame){
		.kind = PLACE_FIELDS,
		.is_first = true,
		.separator = ',',
		.closer = '}',
		.part = name->next,
		.end = end,
		.first_column = at.column,
		.column = at.column,
		.indent = at.indent,
		.last_depth = last_depth,
		.width = at.width,
	};
	if (at.below)
		new_line(l, at.indent);
}

static void place(struct layout *l, uint32_t index, int64_t column, int64_t indent,
                  int64_t last_depth, int64_t width)
{
	const struct pretty_node *node = &l->nodes[index];
	// A print that was cut short leaves brackets without parts.
	bool is_empty = node->kind != PRETTY_BIN && node->next == index + 1;
	if (is_empty || fits(l, node, column, last_depth, width)) {
		copy(l, node);
		return;
	}
	struct frame frame = {
		.is_first = true,
		.closer = '}',
		.separator = ',',
		.part = index + 1,
		.end = node->next,
		.first_column = column + 1,
		.indent = indent + 1,
		.last_depth = last_depth,
		.width = width + 1,
	};
	switch (node->kind) {
	case PRETTY_LIST:
		frame.closer = ']';
		frame.separator = '|';
		put(l, "[");
		break;
	case PRETTY_TUPLE:
		put(l, "{");
		break;
	case PRETTY_MAP:
		frame.kind = PLACE_PAIRS;
		frame.first_column++;
		frame.indent++;
		// The two walks of the VM differ here.
		frame.width += l->dry;
		put(l, "#{");
		break;
	case PRETTY_TAGGED_TUPLE:
		place_tagged_tuple(l, index, column, indent, last_depth, width);
		return;
	case PRETTY_RECORD:
		place_record(l, index, column, indent, last_depth, width);
		return;
	case PRETTY_BIN:
		if (!l->dry)
			place_binary(l, node, column + 2, indent + 2, last_depth, width);
		return;
	default:
		copy(l, node);
		return;
	}
	struct frame *top = push(l);
	if (top)
		*top = frame;
}

static bool is_element(const struct layout *l, uint32_t part)
{
	return l->nodes[part].kind != PRETTY_DOTS && !l->nodes[part].is_tail;
}

// Brackets that must find room behind this part: those of the containers that end
// with it.
static int64_t depth_after(const struct layout *l, const struct frame *frame, uint32_t part)
{
	uint32_t next = l->nodes[part].next;
	return next != frame->end && is_element(l, next) ? 0 : frame->last_depth + 1;
}

// Does this part go on the line, behind a comma?
static bool continues_line(const struct layout *l, const struct frame *frame, uint32_t part,
                           int64_t last_depth)
{
	int64_t width = 1 + (int64_t)l->nodes[part].width;
	// Room for the comma behind it.
	int64_t more = last_depth ? last_depth : 1;
	return width < l->line - frame->column - more && frame->width + width + more <= l->total;
}

// A field whose value does not fit behind its name (io_lib_pretty:pp_field/9).
static void place_field(struct layout *l, uint32_t field, int64_t column, int64_t indent,
                        int64_t last_depth, int64_t width)
{
	static const int64_t equals_width = 3; // " = "
	const struct pretty_node *name = &l->nodes[field + 1];
	struct record_place at;
	if (!place_behind_name(l, (int64_t)name->width + equals_width, column, indent, width, &at))
		return;
	copy(l, name);
	put(l, at.below ? " =" : " = ");
	if (at.below)
		new_line(l, at.indent);
	place(l, name->next, at.column, at.indent, last_depth, at.width);
}

// Is the part a leaf, or a pair or field of leaves?
static bool is_text_part(const struct layout *l, const struct frame *frame, uint32_t part)
{
	return frame->kind == PLACE_ELEMENTS ? is_text(&l->nodes[part]) : is_text_pair(l, part);
}

// The first part of a line.
static void start_line(struct layout *l, struct frame *frame, int64_t last_depth)
{
	uint32_t part = frame->part;
	const struct pretty_node *node = &l->nodes[part];
	int64_t column = frame->first_column, indent = frame->indent, width = frame->width;
	bool fit = fits(l, node, column, last_depth, width);
	bool fills = fit && is_text_part(l, frame, part);
	// Nothing follows on the line of a part that is not a leaf.
	int64_t used = fills ? node->width : l->line;
	frame->column = column + used;
	frame->width = width + used;
	if (frame->kind == PLACE_PAIRS && !(l->dry && frame->is_first))
		frame->width = used;
	frame->is_first = false;
	frame->part = node->next;
	if (fit) {
		copy(l, node);
	} else if (frame->kind == PLACE_ELEMENTS) {
		place(l, part, column, indent, last_depth, width);
	} else if (frame->kind == PLACE_FIELDS) {
		place_field(l, part, column, indent, last_depth, width);
	} else {
		struct frame *pair = push(l);
		if (!pair)
			return;
		*pair = (struct frame){
			.kind = PLACE_VALUE,
			.part = l->nodes[part + 1].next,
			.first_column = column,
			.indent = indent,
			.last_depth = last_depth,
		};
		place(l, part + 1, column, indent, last_depth, width);
	}
}

static void step_value(struct layout *l)
{
	// By value: place() reuses its slot.
	struct frame frame = l->frames[--l->depth];
	int64_t more = l->tag_indent > 0 ? l->tag_indent : 4;
	put(l, " =>");
	new_line(l, frame.indent + more);
	place(l, frame.part, frame.first_column + more, frame.indent + more, frame.last_depth, 0);
}

static void step_tail(struct layout *l, struct frame *frame)
{
	uint32_t part = frame->part;
	const struct pretty_node *node = &l->nodes[part];
	int64_t depth = frame->last_depth + 1;
	char separator[2] = {frame->separator, '\0'};
	frame->part = frame->end;
	if (node->kind == PRETTY_DOTS) {
		if (!frame->is_first)
			put(l, separator);
		copy(l, node);
		return;
	}
	put(l, separator);
	int64_t width = (int64_t)node->width + 1;
	if (is_text(node) && width < l->line - frame->column - depth &&
	    width + frame->width + depth <= l->total) {
		copy(l, node);
		return;
	}
	new_line(l, frame->indent);
	place(l, part, l->dry ? frame->column : frame->first_column, frame->indent, depth, 0);
}

static void step(struct layout *l)
{
	struct frame *frame = &l->frames[l->depth - 1];
	if (frame->kind == PLACE_VALUE) {
		step_value(l);
		return;
	}
	uint32_t part = frame->part;
	if (part == frame->end) {
		char closer[2] = {frame->closer, '\0'};
		put(l, closer);
		l->depth--;
		return;
	}
	if (!is_element(l, part)) {
		step_tail(l, frame);
		return;
	}
	int64_t last_depth = depth_after(l, frame, part);
	if (frame->is_first) {
		start_line(l, frame, last_depth);
		return;
	}
	put(l, ",");
	const struct pretty_node *node = &l->nodes[part];
	if (is_text_part(l, frame, part) && continues_line(l, frame, part, last_depth)) {
		copy(l, node);
		frame->column += 1 + (int64_t)node->width;
		frame->width += 1 + (int64_t)node->width;
		frame->part = node->next;
		return;
	}
	new_line(l, frame->indent);
	frame->width = 0;
	start_line(l, frame, last_depth);
}

static void run(struct layout *l, int64_t column)
{
	place(l, 0, column, column - 1, 0, 0);
	while (l->depth && !l->no_good && !print_done(l->p))
		step(l);
	l->depth = 0;
}

void print_pretty(struct etp_printer *p, const char *text, const struct pretty_nodes *nodes)
{
	if (!nodes->count)
		return;
	struct layout l = {
		.p = p,
		.text = text,
		.nodes = nodes->items,
		.line = p->options->width,
		.total = nodes->items[0].width,
		.dry = true,
	};
	int64_t column = (int64_t)p->options->column + 1;
	if (l.total < l.line - column) {
		print_slice(p, text, nodes->items[0].size);
		return;
	}
	static const int64_t indents[] = {-1, 4, 1};
	for (size_t i = 0; i < sizeof(indents) / sizeof(*indents); i++) {
		l.tag_indent = indents[i];
		l.no_good = false;
		// The last is taken whatever it looks like.
		if (i + 1 < sizeof(indents) / sizeof(*indents))
			run(&l, column);
		if (!l.no_good)
			break;
	}
	l.dry = false;
	run(&l, column);
	free(l.frames);
}
