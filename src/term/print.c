// SPDX-License-Identifier: Apache-2.0
#include <etp/print.h>

#include "term/print_private.h"

#include <stdlib.h>
#include <string.h>

void etp_print_options_init(struct etp_print_options *options, enum etp_syntax syntax)
{
	*options = (struct etp_print_options){
		.syntax = syntax,
		.width = syntax == ETP_SYNTAX_ERLANG_WRITE ? 0 : 80,
		.unicode = syntax == ETP_SYNTAX_ELIXIR,
		.elixir_minor = 14,
	};
}

static const char CUT[] = "...";

// One pass to a scratch string, a second one that breaks it into lines.
static void print_lines(struct etp_printer *p, etp_term term)
{
	struct etp_string *out = p->out, scratch = {0};
	size_t limit = p->limit;
	bool is_elixir = p->options->syntax == ETP_SYNTAX_ELIXIR;
	struct pretty_nodes nodes = {0};
	struct elixir_marks marks = {0};
	p->out = &scratch;
	p->limit = limit - out->size;
	if (is_elixir)
		print_elixir(p, term, &marks);
	else
		print_erlang(p, term, &nodes);
	// What was cut at the limit fills the output up to it, on any number of lines.
	bool cut = p->stopped;
	p->out = out;
	p->limit = limit;
	p->stopped = false;
	if (!p->no_memory && scratch.data) {
		if (is_elixir)
			print_elixir_lines(p, &scratch, &marks);
		else
			print_pretty(p, scratch.data, &nodes);
	}
	p->stopped |= cut;
	etp_string_deinit(&scratch);
	free(nodes.items);
	free(marks.items);
}

struct etp_error *etp_print_term(const struct etp_vm *vm, struct etp_reader *reader, etp_term term,
                                 const struct etp_print_options *options, struct etp_string *out)
{
	uint64_t max_bytes = options->max_bytes ? options->max_bytes : ETP_PRINT_DEFAULT_LIMIT;
	// Offsets in the first pass have 32 bits.
	if (max_bytes > UINT32_MAX / 2)
		max_bytes = UINT32_MAX / 2;
	struct etp_printer p = {
		.vm = vm,
		.reader = reader,
		.options = options,
		.out = out,
		.limit = out->size + (size_t)max_bytes,
	};
	if (options->syntax != ETP_SYNTAX_ERLANG_WRITE && options->width)
		print_lines(&p, term);
	else if (options->syntax == ETP_SYNTAX_ELIXIR)
		print_elixir(&p, term, NULL);
	else
		print_erlang(&p, term, NULL);
	if (p.no_memory)
		return &etp_error_no_memory;
	if (p.stopped && !etp_string_append_str(out, CUT))
		return &etp_error_no_memory;
	return NULL;
}
