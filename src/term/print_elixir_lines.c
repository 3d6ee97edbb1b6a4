// SPDX-License-Identifier: Apache-2.0
//
// Where inspect/2 with `pretty: true` breaks lines (Inspect.Algebra.format/2).
//
// A group that fits on the rest of the line is copied; whether it does follows from
// the end of the last group in it that could be broken, as Inspect.Algebra only
// takes a document for too long once it has met a break. Otherwise the group is
// broken, and its parts are looked at.

#include "term/print_private.h"

#include <stdlib.h>

// A group that is broken.
struct group {
	uint32_t indent;
	enum elixir_mark_type type;
};

struct lines {
	struct etp_printer *p;
	const struct etp_string *text;
	const struct elixir_mark *marks;
	size_t mark_count;
	uint64_t width, column;
	// Up to here the text has been copied.
	uint32_t position;
	struct group *groups;
	size_t depth, capacity;
};

static void copy_to(struct lines *l, uint32_t offset)
{
	uint32_t size = offset - l->position;
	print_slice(l->p, l->text->data + l->position, size);
	l->position = offset;
	l->column += size;
}

static void new_line(struct lines *l, uint64_t indent)
{
	print_char(l->p, '\n');
	print_spaces(l->p, indent);
	l->column = indent;
}

static uint32_t inner_indent(const struct lines *l)
{
	if (!l->depth)
		return l->p->options->column;
	const struct group *group = &l->groups[l->depth - 1];
	return group->indent + (group->type == MARK_FLEX ? 1 : 2);
}

// Does what follows this break fit, up to the next one that is sure to be broken or
// could be?
static bool fits_after(const struct lines *l, size_t index)
{
	uint32_t start = l->marks[index].offset;
	uint64_t room = l->width > l->column ? l->width - l->column : 0;
	size_t depth = l->depth;
	for (size_t i = index + 1; i < l->mark_count; i++) {
		const struct elixir_mark *mark = &l->marks[i];
		if (mark->offset - start > room)
			return false;
		switch (mark->type) {
		case MARK_BREAK:
			return true;
		case MARK_OPEN:
		case MARK_CLOSE:
			if (depth && l->groups[depth - 1].type == MARK_STRICT)
				return true;
			break;
		case MARK_END:
			depth -= depth > 0;
			break;
		default:
			// On one line, with all breaks in it.
			i = mark->end;
			if (l->marks[i].offset - start > room)
				return false;
		}
	}
	return l->text->size - start <= room;
}

// Returns the index of the next mark to look at.
static size_t begin_group(struct lines *l, size_t index)
{
	const struct elixir_mark *mark = &l->marks[index];
	if (!mark->fit_end || l->column + (mark->fit_end - mark->offset) <= l->width) {
		copy_to(l, l->marks[mark->end].offset);
		return mark->end + 1;
	}
	if (!print_grow(l->p, &l->groups, &l->capacity, l->depth, sizeof(*l->groups)))
		return l->mark_count;
	struct group group = {.indent = inner_indent(l), .type = mark->type};
	l->groups[l->depth++] = group;
	return index + 1;
}

void print_elixir_lines(struct etp_printer *p, const struct etp_string *text,
                        const struct elixir_marks *marks)
{
	struct lines l = {
		.p = p,
		.text = text,
		.marks = marks->items,
		.mark_count = marks->count,
		.width = p->options->width,
		.column = p->options->column,
	};
	for (size_t i = 0; i < l.mark_count && !print_done(p);) {
		const struct elixir_mark *mark = &l.marks[i];
		copy_to(&l, mark->offset);
		struct group *group = l.depth ? &l.groups[l.depth - 1] : NULL;
		switch (mark->type) {
		case MARK_STRICT:
		case MARK_FLEX:
		case MARK_BITS:
			i = begin_group(&l, i);
			continue;
		case MARK_END:
			l.depth -= l.depth > 0;
			break;
		case MARK_BREAK:
			if (group && group->type != MARK_STRICT && fits_after(&l, i))
				break;
			l.position++;
			new_line(&l, inner_indent(&l));
			break;
		case MARK_OPEN:
			if (group && group->type == MARK_STRICT)
				new_line(&l, inner_indent(&l));
			break;
		case MARK_CLOSE:
			if (group && group->type == MARK_STRICT)
				new_line(&l, group->indent);
			break;
		}
		i++;
	}
	copy_to(&l, (uint32_t)text->size);
	free(l.groups);
}
