// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PATH_H
#define ETP_PATH_H

/**
 * @file
 * Paths: how one gets from a process, an object of a table, an area of literals or a port
 * to a thing that it holds.
 *
 * Thread safety: as etp_vm.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_reader;

enum etp_path_root {
	ETP_PATH_STACK,
	ETP_PATH_REGISTER,
	ETP_PATH_DICTIONARY,
	/** Message number `root_index` of the private queues, from 0. */
	ETP_PATH_MESSAGE,
	/** The same, of the messages in transit. */
	ETP_PATH_MESSAGE_IN_TRANSIT,
	/** Another signal; `root_index` is its operation, see etp_signal_op_name(). */
	ETP_PATH_SIGNAL,
	/** Tag of a monitor or spawn request, which the message that ends it begins with. */
	ETP_PATH_MONITOR_TAG,
	/** State of the tracer that traces it. */
	ETP_PATH_TRACER,
	/** Id of a request that it collect garbage or check its code. */
	ETP_PATH_SYSTEM_TASK,
	/** Argument of a NIF or BIF that yielded. */
	ETP_PATH_SAVED_ARGUMENT,
	ETP_PATH_GROUP_LEADER,
	ETP_PATH_FVALUE,
	ETP_PATH_FTRACE,
	ETP_PATH_SEQ_TRACE_TOKEN,
	ETP_PATH_PARENT,
	/** Reference that a `receive` waits for a message with. */
	ETP_PATH_RECEIVE_MARKER,
	/** Of a port: output that its driver has not written yet. */
	ETP_PATH_OUTPUT_QUEUE,
	/** Of a port: what a process asked of it, and it has not begun with. */
	ETP_PATH_WAITING_COMMAND,
	/** Of a port: what erlang:port_set_data/2 was given. */
	ETP_PATH_PORT_DATA,
	/** Of a port: where a socket's input is put. */
	ETP_PATH_INPUT_BUFFER,
	/** The term itself that the search started from. */
	ETP_PATH_TERM,
};

/** "stack", "register", "dictionary", "message" ... */
ETP_EXPORT const char *etp_path_root_name(enum etp_path_root root);

enum etp_path_step_kind {
	/** Element `index` of a tuple, from 0. */
	ETP_PATH_ELEMENT,
	/** Element `index` of a list, from 0. */
	ETP_PATH_LIST_ELEMENT,
	/** What stands behind the last element of an improper list. */
	ETP_PATH_TAIL,
	/** Value of the pair with key `key`. */
	ETP_PATH_VALUE,
	/** The key `key` itself. */
	ETP_PATH_KEY,
	/** Free variable `index` of a fun. */
	ETP_PATH_ENVIRONMENT,
	/** The binary that a sub-binary or match context is a part of. */
	ETP_PATH_ORIGINAL,
	/** The binary that the bytes of a signal from another node are in. */
	ETP_PATH_EXTERNAL_FORMAT,
	/** Of the paths of etp/accumulators.h only: further steps, which are not told apart. */
	ETP_PATH_FURTHER,
};

/** "element", "list", "tail", "value", "key", "environment", "original",
 *  "external_format", "further". */
ETP_EXPORT const char *etp_path_step_name(enum etp_path_step_kind kind);

struct etp_path_step {
	enum etp_path_step_kind kind;
	uint64_t index;
	/** For VALUE and KEY; otherwise 0. */
	etp_term key;
};

struct etp_path {
	enum etp_path_root root;
	/** Word of the stack from its top, register, argument, or message. */
	uint64_t root_index;
	/** Dictionary: the key under which the value is kept. */
	etp_term root_key;
	/** The term at the end of the path, 0 after EXTERNAL_FORMAT. */
	etp_term target;
	size_t step_count;
	struct etp_path_step *steps;
};

struct etp_paths {
	size_t count;
	/** Shortest first. */
	struct etp_path *paths;
	/** Of a process: it was on a scheduler, so that what only its registers hold is not
	 *  found; it was collecting garbage. */
	bool running, in_gc, gc_disabled;
	/** There is more in the holder than the search was allowed to look at. */
	bool truncated;
	/** Things that could not be read. */
	uint64_t unreadable;
};

ETP_EXPORT void etp_paths_deinit(struct etp_paths *paths);

enum {
	/** Things of one holder that a search looks at unless told otherwise; each takes 16
	 *  bytes meanwhile. */
	ETP_SEARCH_THINGS_DEFAULT = 32 << 20,
};

struct etp_path_options {
	/** Address of a Binary, or of a boxed thing or cons cell. */
	uint64_t target;
	/** Paths wanted; 0 means 1. */
	size_t max_paths;
	/** Things to look at; 0 means ETP_SEARCH_THINGS_DEFAULT. */
	size_t max_things;
};

/** Paths from the Process at `address` to the target; none is no error.
 *  Release with etp_paths_deinit(). Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_paths_in_process(const struct etp_vm *vm, uint64_t address,
                                                  const struct etp_path_options *options,
                                                  struct etp_paths *ret);

/** `count` words at an address. */
struct etp_path_words {
	uint64_t address, count;
};

/** Paths from `term` to the target, through these words only: those of an object
 *  (DbTerm.tpl), of an expanded row and its key, or of an ErtsLiteralArea. */
ETP_EXPORT struct etp_error *etp_paths_in_words(const struct etp_vm *vm, struct etp_reader *reader,
                                                etp_term term, const struct etp_path_words *words,
                                                size_t count,
                                                const struct etp_path_options *options,
                                                struct etp_paths *ret);

/** The same through the heap fragments from `fragment` on, those of a timer's message. */
ETP_EXPORT struct etp_error *etp_paths_in_fragments(const struct etp_vm *vm, etp_term term,
                                                    uint64_t fragment,
                                                    const struct etp_path_options *options,
                                                    struct etp_paths *ret);

/** Where the Port at `address` has the Binary at the target: a path for each of its places that
 *  refers to it, in the order of the census; those of what port_set_data/2 was given lead through
 *  that term. Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_paths_in_port(const struct etp_vm *vm, uint64_t address,
                                               const struct etp_path_options *options,
                                               struct etp_paths *ret);

enum etp_place_kind {
	ETP_PLACE_UNKNOWN,
	/** In the heap, a fragment or a message of the Process at `holder`. */
	ETP_PLACE_PROCESS,
	/** In the object whose DbTerm is at `row`, of the DbTable at `holder`. */
	ETP_PLACE_ETS_ROW,
	/** In the persistent term of the ErtsLiteralArea at `holder`; of etp/accumulators.h
	 *  only. */
	ETP_PLACE_PERSISTENT_TERM,
};

struct etp_place {
	enum etp_place_kind kind;
	uint64_t holder, row;
};

/** Where the heap word at `address` belongs: looks through all processes, then through
 *  all tables. Error: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_find_place(const struct etp_vm *vm, uint64_t address,
                                            struct etp_place *ret);

#endif
