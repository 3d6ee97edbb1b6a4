// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_MEASURE_H
#define ETP_MEASURE_H

/**
 * @file
 * One collection at a time: what a term occupies with all that is in it, and of which
 * kinds the values of a map are. Both are one pass, however large the term is.
 *
 * Thread safety: as etp_vm; a reader belongs to one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/path.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;
struct etp_heap_largest;

struct etp_measure {
	/** Heap words; what is met twice counts once, literals do not. */
	uint64_t words;
	/** Distinct off-heap binaries, and their sizes in bytes. */
	uint64_t binaries, binary_bytes;
	/** Things that could not be read. */
	uint64_t unreadable;
};

/** Measure a term of the Process at `process`. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_measure_in_process(const struct etp_vm *vm,
                                                    struct etp_reader *reader, uint64_t process,
                                                    etp_term term, struct etp_measure *ret);

/** Heap words of each of `count` terms of the Process at `process`, into `words`; what several
 *  of them share counts for the first that has it. One pass. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_measure_each(const struct etp_vm *vm, struct etp_reader *reader,
                                              uint64_t process, const etp_term *terms, size_t count,
                                              uint64_t *words);

/** The same of the `count` words at `address`, those of a stack for example: the largest of them
 *  that are no immediates, each a thing with the address of the word and the words that the
 *  term in it occupies. One pass. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_measure_slots(const struct etp_vm *vm, struct etp_reader *reader,
                                               uint64_t process, uint64_t address, uint64_t count,
                                               struct etp_heap_largest *largest);

/** Measure a term of a row, whose words are `count` areas. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_measure_in_words(const struct etp_vm *vm,
                                                  struct etp_reader *reader,
                                                  const struct etp_path_words *words, size_t count,
                                                  etp_term term, struct etp_measure *ret);

/** Kinds that are told apart; further ones are counted together. */
enum { ETP_TALLY_KINDS_MAX = 16 };

struct etp_tally_kind {
	/** First element of a tuple, if that is an atom; otherwise 0. */
	etp_term tag;
	/** Of a tuple; otherwise 0. */
	uint64_t arity;
	/** A value of this kind. */
	etp_term sample;
	uint64_t count;
};

struct etp_tally {
	/** Pairs as the map says, and those that were found. */
	uint64_t size, found;
	/** In the order in which they were met: tuples by arity and tag, all else in one. */
	size_t kind_count;
	struct etp_tally_kind kinds[ETP_TALLY_KINDS_MAX];
	/** Values of further kinds. */
	uint64_t others;
};

/** Count the values of a map by their kind. `found` is less than `size` if parts of the
 *  map cannot be read. Errors: ARGUMENT if it is no map. */
ETP_EXPORT struct etp_error *etp_map_tally(const struct etp_vm *vm, struct etp_reader *reader,
                                           etp_term map, struct etp_tally *ret);

#endif
