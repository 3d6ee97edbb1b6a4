// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_MESSAGE_SHAPES_H
#define ETP_MESSAGE_SHAPES_H

/**
 * @file
 * What kinds of messages wait in a mailbox, counted by shape.
 *
 * The shape of a tuple is its arity and its first element if that is an atom:
 * `{log,_,_}`; behind tags of OTP, which begin with a dollar sign, the shape of the
 * last element tells: `{'$gen_cast',{log,_,_}}`. That of a map are its keys, or the
 * name of its struct.
 *
 * Thread safety: shapes belong to one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/print.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum {
	/** Shapes that are told apart; messages of further ones count as others. */
	ETP_MESSAGE_SHAPES_MAX = 256,
	ETP_SHAPE_KEY_WORDS = 20,
};

/** A message as it is found again. */
struct etp_message_sample {
	etp_term term;
	/** Its ErtsDistExternal, if it is not decoded yet; else 0. */
	uint64_t external;
};

struct etp_message_shape {
	/** What makes the shape, for comparison only. */
	uint64_t key[ETP_SHAPE_KEY_WORDS];
	unsigned key_words;
	/** Messages, and the words behind them. */
	uint64_t count, words;
	/** The oldest and the newest of them. */
	struct etp_message_sample first, last;
};

struct etp_message_shapes {
	/** Most frequent first. */
	size_t count;
	struct etp_message_shape *shapes;
	/** Messages altogether, and those of shapes that are not in the array. */
	uint64_t messages, others;
	/** Chains that break off, and why: a static string or NULL. */
	uint64_t gaps;
	const char *problem;
};

/** Count the messages of the Process at `process`, those in transit included.
 *  Release with etp_message_shapes_deinit(). Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_message_shapes_init(struct etp_message_shapes *shapes,
                                                     const struct etp_vm *vm,
                                                     struct etp_reader *reader, uint64_t process);
ETP_EXPORT void etp_message_shapes_deinit(struct etp_message_shapes *shapes);

/** Append the text of a shape. With options->redact atoms are shown as first
 *  elements and as keys only. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_message_shape_print(const struct etp_vm *vm,
                                                     struct etp_reader *reader,
                                                     const struct etp_message_shape *shape,
                                                     const struct etp_print_options *options,
                                                     struct etp_string *out);

#endif
