// SPDX-License-Identifier: Apache-2.0
#include <etp/message_shapes.h>

#include <stdlib.h>
#include <string.h>

#include <etp/signal_queue.h>

#include "term/dist_expand.h"
#include "util/string.h"
#include "vm/vm.h"

// A key is a list of these, each followed by what it says.
enum shape_code {
	// The kind of a term, if no more is told.
	SHAPE_KIND = 1,
	// An atom.
	SHAPE_ATOM,
	// Arity; first element or 0.
	SHAPE_TUPLE,
	// As SHAPE_TUPLE, then the shape of the last element.
	SHAPE_WRAPPER,
	// Number of keys, then those of them that are atoms, up to MAP_KEYS, then 0.
	SHAPE_MAP,
	// Atom with the name of the struct.
	SHAPE_STRUCT,
	// In external format, and not to be decoded.
	SHAPE_EXTERNAL,
};

enum {
	MAP_KEYS = 8,
	SLOTS = 1024,
};

struct shaper {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	// The last tag that was looked at, and whether it begins with a dollar sign.
	etp_term tag;
	bool is_wrapper;
	// Key under construction.
	uint64_t key[ETP_SHAPE_KEY_WORDS];
	unsigned words;
	// Of the message from another node that was decoded last.
	struct etp_row_words row;
};

static void put(struct shaper *shaper, uint64_t word)
{
	if (shaper->words < ETP_SHAPE_KEY_WORDS)
		shaper->key[shaper->words++] = word;
}

static bool is_wrapper(struct shaper *shaper, etp_term tag)
{
	if (tag != shaper->tag) {
		size_t size;
		const char *name =
			etp_vm_atom(shaper->vm, shaper->reader, term_atom_index(tag), &size);
		shaper->tag = tag;
		shaper->is_wrapper = name && size > 1 && name[0] == '$';
	}
	return shaper->is_wrapper;
}

static void put_map(struct shaper *shaper, const struct etp_term_view *view)
{
	uint64_t size = view->flatmap.size;
	for (uint64_t i = 0; i < size; i++) {
		etp_term key = etp_word_at(view->flatmap.keys, i);
		etp_term value = etp_word_at(view->flatmap.values, i);
		if (term_is_atom(value) &&
		    etp_vm_is_atom(shaper->vm, shaper->reader, key, "__struct__")) {
			put(shaper, SHAPE_STRUCT);
			put(shaper, value);
			return;
		}
	}
	put(shaper, SHAPE_MAP);
	put(shaper, size);
	for (uint64_t i = 0; i < size && i < MAP_KEYS; i++) {
		etp_term key = etp_word_at(view->flatmap.keys, i);
		if (term_is_atom(key))
			put(shaper, key);
	}
	put(shaper, 0);
}

static void put_term(struct shaper *shaper, etp_term term)
{
	for (int depth = 0;; depth++) {
		struct etp_term_view view;
		enum etp_term_kind kind = etp_term_decode(shaper->vm, shaper->reader, term, &view);
		if (kind == ETP_TERM_ATOM) {
			put(shaper, SHAPE_ATOM);
			put(shaper, term);
			return;
		}
		if (kind == ETP_TERM_FLATMAP) {
			put_map(shaper, &view);
			return;
		}
		if (kind != ETP_TERM_TUPLE || !view.tuple.arity) {
			put(shaper, SHAPE_KIND);
			put(shaper, kind == ETP_TERM_BIG ? ETP_TERM_SMALL : kind);
			return;
		}
		uint64_t arity = view.tuple.arity;
		etp_term tag = etp_word_at(view.tuple.elements, 0);
		bool wraps = depth < 2 && arity > 1 && term_is_atom(tag) && is_wrapper(shaper, tag);
		put(shaper, wraps ? SHAPE_WRAPPER : SHAPE_TUPLE);
		put(shaper, arity);
		put(shaper, term_is_atom(tag) ? tag : 0);
		if (!wraps)
			return;
		term = etp_word_at(view.tuple.elements, arity - 1);
	}
}

static void put_external(struct shaper *shaper, uint64_t external)
{
	etp_term term;
	const char *ignored;
	if (etp_dist_expand(shaper->vm, shaper->reader, external, &shaper->row, &term, &ignored))
		put_term(shaper, term);
	else
		put(shaper, SHAPE_EXTERNAL);
	memset(&shaper->reader->overlay, 0, sizeof(shaper->reader->overlay));
}

// Position in the array of the shape that the shaper has made, SIZE_MAX when
// there is no room for another.
static size_t find_shape(const struct shaper *shaper, struct etp_message_shapes *shapes,
                         uint16_t *slots)
{
	uint64_t hash = 0;
	for (unsigned i = 0; i < shaper->words; i++)
		hash = (hash ^ shaper->key[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
	size_t slot = (hash >> 32) % SLOTS;
	size_t bytes = shaper->words * sizeof(*shaper->key);
	for (; slots[slot]; slot = (slot + 1) % SLOTS) {
		struct etp_message_shape *shape = &shapes->shapes[slots[slot] - 1];
		if (shape->key_words == shaper->words && !memcmp(shape->key, shaper->key, bytes))
			return slots[slot] - 1U;
	}
	if (shapes->count == ETP_MESSAGE_SHAPES_MAX)
		return SIZE_MAX;
	struct etp_message_shape *shape = &shapes->shapes[shapes->count];
	memcpy(shape->key, shaper->key, bytes);
	shape->key_words = shaper->words;
	slots[slot] = (uint16_t)++shapes->count;
	return shapes->count - 1;
}

static int compare_counts(const void *a, const void *b)
{
	uint64_t x = ((const struct etp_message_shape *)a)->count;
	uint64_t y = ((const struct etp_message_shape *)b)->count;
	return x < y ? 1 : x > y ? -1 : 0;
}

struct etp_error *etp_message_shapes_init(struct etp_message_shapes *shapes,
                                          const struct etp_vm *vm, struct etp_reader *reader,
                                          uint64_t process)
{
	*shapes = (struct etp_message_shapes){
		.shapes = calloc(ETP_MESSAGE_SHAPES_MAX, sizeof(*shapes->shapes))};
	if (!shapes->shapes)
		return &etp_error_no_memory;
	struct shaper shaper = {.vm = vm, .reader = reader};
	etp_row_words_init(&shaper.row);
	uint16_t slots[SLOTS] = {0};
	struct etp_signal_iter iter;
	struct etp_signal signal;
	etp_signal_iter_init(&iter, vm, reader, process);
	while (etp_signal_iter_next(&iter, &signal)) {
		if (signal.kind != ETP_SIGNAL_MESSAGE && signal.kind != ETP_SIGNAL_EXTERNAL_MESSAGE)
			continue;
		shapes->messages++;
		shaper.words = 0;
		if (signal.kind == ETP_SIGNAL_MESSAGE)
			put_term(&shaper, signal.term);
		else
			put_external(&shaper, signal.external);
		size_t i = find_shape(&shaper, shapes, slots);
		if (i == SIZE_MAX) {
			shapes->others++;
			continue;
		}
		struct etp_message_shape *shape = &shapes->shapes[i];
		shape->last = (struct etp_message_sample){signal.term, signal.external};
		if (!shape->count++)
			shape->first = shape->last;
		shape->words += signal.words;
	}
	etp_row_words_deinit(&shaper.row);
	shapes->gaps = iter.gaps;
	shapes->problem = iter.problem;
	qsort(shapes->shapes, shapes->count, sizeof(*shapes->shapes), compare_counts);
	return NULL;
}

void etp_message_shapes_deinit(struct etp_message_shapes *shapes)
{
	free(shapes->shapes);
	*shapes = (struct etp_message_shapes){0};
}

struct shape_printer {
	const struct etp_vm *vm;
	struct etp_reader *reader;
	const struct etp_print_options *options;
	struct etp_string *out;
	bool elixir;
	struct etp_error *err;
};

static void text(struct shape_printer *printer, const char *text)
{
	if (!printer->err && !etp_string_append_str(printer->out, text))
		printer->err = &etp_error_no_memory;
}

// An atom as it stands in code, whatever the settings hide.
static void atom(struct shape_printer *printer, etp_term atom)
{
	struct etp_print_options options = *printer->options;
	options.redact = false;
	options.width = 0;
	if (!printer->err)
		printer->err =
			etp_print_term(printer->vm, printer->reader, atom, &options, printer->out);
}

static void kind(struct shape_printer *printer, enum etp_term_kind kind)
{
	switch (kind) {
	case ETP_TERM_SMALL:
		return text(printer, "integer");
	case ETP_TERM_FLOAT:
		return text(printer, "float");
	case ETP_TERM_NIL:
		return text(printer, "[]");
	case ETP_TERM_CONS:
		return text(printer, "list");
	case ETP_TERM_TUPLE:
		return text(printer, "{}");
	case ETP_TERM_HASHMAP:
		return text(printer, "map");
	case ETP_TERM_BITSTRING:
		return text(printer, "binary");
	case ETP_TERM_PID:
		return text(printer, "pid");
	case ETP_TERM_PORT:
		return text(printer, "port");
	case ETP_TERM_REF:
		return text(printer, "reference");
	case ETP_TERM_FUN:
	case ETP_TERM_EXPORT:
		return text(printer, "fun");
	default:
		return text(printer, "unreadable");
	}
}

// `{tag,_,_` of a tuple, without what ends it; a wrapper leaves room for its last.
static void tuple(struct shape_printer *printer, uint64_t arity, etp_term tag, bool wraps)
{
	enum { SHOWN = 8 };
	const char *comma = printer->elixir ? ", " : ",";
	text(printer, "{");
	if (tag)
		atom(printer, tag);
	else
		text(printer, "_");
	uint64_t blanks = arity - 1 - wraps;
	for (uint64_t i = 0; i < blanks && i < SHOWN; i++) {
		text(printer, comma);
		text(printer, "_");
	}
	if (blanks > SHOWN)
		text(printer, printer->elixir ? ", ..." : ",...");
	if (wraps)
		text(printer, comma);
}

static void map(struct shape_printer *printer, const uint64_t *keys, uint64_t size)
{
	const char *comma = printer->elixir ? ", " : ",";
	uint64_t shown = 0;
	text(printer, printer->elixir ? "%{" : "#{");
	for (; keys[shown]; shown++) {
		if (shown)
			text(printer, comma);
		atom(printer, keys[shown]);
	}
	if (shown < size) {
		if (shown)
			text(printer, comma);
		text(printer, "...");
	}
	text(printer, "}");
}

// Like Elixir's inspect in both syntaxes: no other name says what it is.
static void structure(struct shape_printer *printer, etp_term name)
{
	size_t size;
	const char *module =
		etp_vm_atom(printer->vm, printer->reader, term_atom_index(name), &size);
	text(printer, "%");
	if (module && size > 7 && !memcmp(module, "Elixir.", 7)) {
		// Through the printer, which escapes what may not be seen raw.
		struct etp_print_options options = *printer->options;
		options.syntax = ETP_SYNTAX_ELIXIR;
		options.redact = false;
		options.width = 0;
		if (!printer->err)
			printer->err = etp_print_term(printer->vm, printer->reader, name, &options,
			                              printer->out);
	} else {
		atom(printer, name);
	}
	text(printer, "{}");
}

struct etp_error *etp_message_shape_print(const struct etp_vm *vm, struct etp_reader *reader,
                                          const struct etp_message_shape *shape,
                                          const struct etp_print_options *options,
                                          struct etp_string *out)
{
	struct shape_printer printer = {
		.vm = vm,
		.reader = reader,
		.options = options,
		.out = out,
		.elixir = options->syntax == ETP_SYNTAX_ELIXIR,
	};
	const uint64_t *key = shape->key;
	unsigned braces = 0;
	for (; *key == SHAPE_WRAPPER; key += 3, braces++)
		tuple(&printer, key[1], key[2], true);
	switch ((enum shape_code) * key) {
	case SHAPE_ATOM:
		if (options->redact)
			text(&printer, "atom");
		else
			atom(&printer, key[1]);
		break;
	case SHAPE_TUPLE:
		tuple(&printer, key[1], key[2], false);
		text(&printer, "}");
		break;
	case SHAPE_MAP:
		map(&printer, key + 2, key[1]);
		break;
	case SHAPE_STRUCT:
		structure(&printer, key[1]);
		break;
	case SHAPE_EXTERNAL:
		text(&printer, "(in external format)");
		break;
	case SHAPE_KIND:
	default:
		kind(&printer, (enum etp_term_kind)key[1]);
		break;
	}
	while (braces--)
		text(&printer, "}");
	return printer.err;
}
