// SPDX-License-Identifier: Apache-2.0
#include "util/string.h"

#include <stdlib.h>
#include <string.h>

void etp_string_deinit(struct etp_string *string)
{
	free(string->data);
	*string = (struct etp_string){0};
}

bool etp_string_reserve(struct etp_string *string, size_t more)
{
	if (more < string->capacity - string->size)
		return true;
	size_t need;
	if (__builtin_add_overflow(string->size, more, &need) || need > SIZE_MAX / 2)
		return false;
	size_t capacity = string->capacity ? string->capacity : 64;
	while (capacity <= need)
		capacity *= 2;
	char *data = realloc(string->data, capacity);
	if (!data)
		return false;
	string->data = data;
	string->capacity = capacity;
	return true;
}

bool etp_string_append(struct etp_string *string, const void *bytes, size_t size)
{
	if (!etp_string_reserve(string, size))
		return false;
	if (size)
		memcpy(string->data + string->size, bytes, size);
	string->size += size;
	string->data[string->size] = '\0';
	return true;
}

bool etp_string_append_str(struct etp_string *string, const char *text)
{
	return etp_string_append(string, text, strlen(text));
}

bool etp_string_append_utf8(struct etp_string *string, uint32_t code_point)
{
	char bytes[4];
	size_t size;
	if (code_point < 0x80) {
		bytes[0] = (char)code_point;
		size = 1;
	} else if (code_point < 0x800) {
		bytes[0] = (char)(0xc0 | code_point >> 6);
		bytes[1] = (char)(0x80 | (code_point & 0x3f));
		size = 2;
	} else if (code_point < 0x10000) {
		bytes[0] = (char)(0xe0 | code_point >> 12);
		bytes[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code_point & 0x3f));
		size = 3;
	} else {
		bytes[0] = (char)(0xf0 | code_point >> 18);
		bytes[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (code_point & 0x3f));
		size = 4;
	}
	return etp_string_append(string, bytes, size);
}
