// SPDX-License-Identifier: Apache-2.0
#include <etp/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct etp_error etp_error_no_memory = {
	.kind = ETP_ERROR_NO_MEMORY,
	.message = "Out of memory.",
};

struct etp_error etp_error_interrupted = {
	.kind = ETP_ERROR_INTERRUPTED,
	.message = "Interrupted.",
};

static bool is_static(const struct etp_error *err)
{
	return err == &etp_error_no_memory || err == &etp_error_interrupted;
}

// NULL when out of memory; the caller frees the text.
static char *format_text(const char *format, va_list ap)
{
	char *text = NULL;
	return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

// Takes over `message`, which may be NULL when formatting ran out of memory.
static struct etp_error *create_with_message(enum etp_error_kind kind, char *message)
{
	if (!message)
		return &etp_error_no_memory;
	struct etp_error *err = calloc(1, sizeof(*err));
	if (!err) {
		free(message);
		return &etp_error_no_memory;
	}
	err->kind = kind;
	err->message = message;
	return err;
}

struct etp_error *etp_error_create(enum etp_error_kind kind, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	char *message = format_text(format, ap);
	va_end(ap);
	return create_with_message(kind, message);
}

struct etp_error *etp_error_os(int os_errno, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	char *what = format_text(format, ap);
	va_end(ap);
	if (!what)
		return &etp_error_no_memory;
	struct etp_error *err = etp_error_create(ETP_ERROR_OS, "%s: %s.", what, strerror(os_errno));
	free(what);
	if (!is_static(err))
		err->os_errno = os_errno;
	return err;
}

struct etp_error *etp_error_fault(uint64_t address, const char *what)
{
	struct etp_error *err =
		etp_error_create(ETP_ERROR_FAULT, "%s: no memory at 0x%llx in this target.", what,
	                         (unsigned long long)address);
	if (!is_static(err))
		err->address = address;
	return err;
}

struct etp_error *etp_error_prefix(struct etp_error *err, const char *format, ...)
{
	if (!err || is_static(err))
		return err;
	va_list ap;
	va_start(ap, format);
	char *prefix = format_text(format, ap);
	va_end(ap);
	char *message = NULL;
	if (prefix && asprintf(&message, "%s: %s", prefix, err->message) >= 0) {
		free((char *)err->message);
		err->message = message;
	}
	free(prefix);
	return err;
}

struct etp_error *etp_error_append(struct etp_error *err, const char *format, ...)
{
	if (!err || is_static(err))
		return err;
	va_list ap;
	va_start(ap, format);
	char *suffix = format_text(format, ap);
	va_end(ap);
	char *message = NULL;
	if (suffix && asprintf(&message, "%s %s", err->message, suffix) >= 0) {
		free((char *)err->message);
		err->message = message;
	}
	free(suffix);
	return err;
}

void etp_error_destroy(struct etp_error *err)
{
	if (!err || is_static(err))
		return;
	free((char *)err->message);
	free(err);
}
