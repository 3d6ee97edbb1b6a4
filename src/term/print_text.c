// SPDX-License-Identifier: Apache-2.0
#include "term/print_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unigbrk.h>

static bool has_room(struct etp_printer *p, size_t size)
{
	if (print_done(p))
		return false;
	if (size > p->limit - p->out->size) {
		p->stopped = true;
		return false;
	}
	return true;
}

void print_bytes(struct etp_printer *p, const void *bytes, size_t size)
{
	if (has_room(p, size) && !etp_string_append(p->out, bytes, size))
		p->no_memory = true;
}

void print_slice(struct etp_printer *p, const char *text, size_t size)
{
	if (print_done(p))
		return;
	size_t room = p->limit - p->out->size;
	bool cut = size > room;
	if (cut) {
		size = room;
		while (size && ((unsigned char)text[size] & 0xc0) == 0x80)
			size--;
	}
	print_bytes(p, text, size);
	if (cut)
		p->stopped = true;
}

void print_str(struct etp_printer *p, const char *text)
{
	print_bytes(p, text, strlen(text));
}

void print_char(struct etp_printer *p, char c)
{
	print_bytes(p, &c, 1);
}

void print_code_point(struct etp_printer *p, uint32_t code_point)
{
	if (has_room(p, 4) && !etp_string_append_utf8(p->out, code_point))
		p->no_memory = true;
}

void print_spaces(struct etp_printer *p, uint64_t count)
{
	static const char spaces[] =
		"                                                                ";
	while (count && !print_done(p)) {
		size_t n = count < sizeof(spaces) - 1 ? count : sizeof(spaces) - 1;
		print_slice(p, spaces, n);
		count -= n;
	}
}

void print_format(struct etp_printer *p, const char *format, ...)
{
	char text[128];
	va_list ap;
	va_start(ap, format);
	// va_start() is right above. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
	int size = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (size > 0)
		print_bytes(p, text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

// The character that up to `available` bytes begin with, and how many of them it is.
static uint32_t decode_utf8(const unsigned char bytes[4], size_t available, size_t *used_ret)
{
	*used_ret = 1;
	unsigned char b = bytes[0];
	if (b < 0x80)
		return b;
	size_t length = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
	if (b < 0xc2 || b > 0xf4 || length > available)
		return UTF8_BAD;
	uint32_t code_point = b & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return UTF8_BAD;
		code_point = code_point << 6 | (bytes[i] & 0x3f);
	}
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (code_point < least[length] || code_point > 0x10ffff ||
	    (code_point >= 0xd800 && code_point <= 0xdfff))
		return UTF8_BAD;
	*used_ret = length;
	return code_point;
}

uint32_t utf8_next(const unsigned char *text, size_t size, size_t *position)
{
	unsigned char bytes[4] = {0};
	size_t available = size - *position < 4 ? size - *position : 4;
	memcpy(bytes, text + *position, available);
	size_t used;
	uint32_t code_point = decode_utf8(bytes, available, &used);
	*position += used;
	return code_point;
}

uint32_t bits_next_utf8(struct bits_cursor *cursor)
{
	unsigned char bytes[4] = {0};
	uint64_t left = cursor->size - cursor->position;
	size_t available = left < 4 ? (size_t)left : 4;
	for (size_t i = 0; i < available; i++)
		bytes[i] = etp_bits_byte(cursor->view, cursor->position + i);
	size_t used;
	uint32_t code_point = decode_utf8(bytes, available, &used);
	cursor->position += used;
	return code_point;
}

bool code_point_is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f) ||
	       (c >= 0xd800 && c <= 0xdfff) || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f) || c > 0x10ffff;
}

size_t print_chars_length(const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t count = 0;
	bool beyond_latin1 = false;
	for (size_t i = 0; i < size; i++) {
		count += (bytes[i] & 0xc0) != 0x80;
		beyond_latin1 |= bytes[i] >= 0xc4;
	}
	if (!beyond_latin1)
		return count;
	// u8_grapheme_next() would take flags apart: it sees two characters at a time.
	char *breaks = malloc(size);
	if (!breaks)
		return count;
	u8_grapheme_breaks(bytes, size, breaks);
	count = 0;
	for (size_t i = 0; i < size; i++)
		count += (size_t)breaks[i];
	free(breaks);
	return count;
}

bool print_grow(struct etp_printer *p, void *items, size_t *capacity, size_t count,
                size_t item_size)
{
	if (count < *capacity)
		return true;
	size_t bigger = *capacity ? *capacity + *capacity / 2 : 64;
	void *old;
	memcpy(&old, items, sizeof(old));
	void *grown = realloc(old, bigger * item_size);
	if (!grown) {
		p->no_memory = true;
		return false;
	}
	memcpy(items, &grown, sizeof(grown));
	*capacity = bigger;
	// cppcheck-suppress memleak ; it was copied to where `items` points
	return true;
}
