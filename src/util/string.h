// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_UTIL_STRING_H
#define ETP_UTIL_STRING_H

// A growing buffer of bytes (struct etp_string). Appending returns false when
// memory ran out, and leaves the string as it was.

#include <stdbool.h>

#include <etp/print.h>

bool etp_string_reserve(struct etp_string *string, size_t more);
bool etp_string_append(struct etp_string *string, const void *bytes, size_t size);
bool etp_string_append_str(struct etp_string *string, const char *text);
// The UTF-8 form of a code point up to 0x10ffff.
bool etp_string_append_utf8(struct etp_string *string, uint32_t code_point);

#endif
