// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_CENSUS_H
#define ETP_CENSUS_H

/**
 * @file
 * The census: one pass over the memory of the VM that finds every reference to
 * every off-heap binary, and what of each heap is alive.
 *
 * Holders are processes (their heap, fragments, messages and other signals), ETS tables,
 * persistent terms, the literals of modules, timers, ports, connections to other nodes
 * and magic binaries whose kind ERTS knows. For a process it tells
 * what `process_info(P, binary)` would, and what a major garbage collection would change about it,
 * without one: references that no live term needs would be released, those in fragments and
 * messages pulled in.
 *
 * Memory: at most 56 bytes a distinct binary and 24 a (binary, holder) pair, as allocated, and as
 * much for resources of NIFs that terms refer to; some 40 bytes a process. For the parts that are
 * seen of binaries, where these are several, 64 MiB at most; beyond that what lies between two
 * parts counts as seen. While it is taken, for each thread the same for the largest process or
 * table that it meets, and a bitmap of one bit a word of that process.
 *
 * Threads: tables and processes are shared out among as many threads as there are
 * processors, up to 8; the progress callback is called by the caller's thread only. What is
 * found does not depend on how many there are.
 *
 * Thread safety: a census belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <etp/error.h>
#include <etp/ets_scan.h>
#include <etp/export.h>
#include <etp/term.h>

struct etp_vm;
struct etp_census;

enum etp_holder_kind {
	ETP_HOLDER_ETS_TABLE,
	ETP_HOLDER_PROCESS,
	ETP_HOLDER_PERSISTENT_TERM,
	/** Literals of a module. */
	ETP_HOLDER_MODULE,
	/** Message of erlang:send_after/3 or start_timer/3. */
	ETP_HOLDER_TIMER,
	/** A port; etp_paths_in_port() tells where in it. */
	ETP_HOLDER_PORT,
	/** What waits to be sent to another node, and messages from it of which only
	 *  some fragments have come. */
	ETP_HOLDER_DIST_OUTPUT,
	ETP_HOLDER_DIST_INPUT,
	/** A magic binary whose kind ERTS knows (etp/magic.h). */
	ETP_HOLDER_MAGIC,
	/** The state of a BIF that was interrupted in the middle: a binary that is being built,
	 *  and that no term refers to yet. A guess, by the form of what is there. */
	ETP_HOLDER_TRAP,
	/** A trace session (since OTP 27): the state of the tracer that it was made with. */
	ETP_HOLDER_TRACE_SESSION,
};

enum { ETP_HOLDER_KINDS = ETP_HOLDER_TRACE_SESSION + 1 };

struct etp_census_holder {
	enum etp_holder_kind kind;
	/** Of the DbTable or Process, of the ErtsLiteralArea, ErtsBifTimer, Port,
	 *  DistEntry, magic Binary or ErtsTraceSession. */
	uint64_t address;
	/** Key of a persistent term, name of a module, receiver of a timer's message
	 *  (pid or registered name), the port, name of the other node, pid of who is
	 *  sending to one, or in the middle of a BIF, name of a trace session; otherwise 0. */
	etp_term term;
	uint64_t refs;
};

/** What was found in one holder that is neither of a process, a table nor a literal. */
struct etp_census_root {
	enum etp_holder_kind kind;
	/** As in etp_census_holder. */
	uint64_t address;
	etp_term term;
	/** References to off-heap binaries, and sizes of the distinct ones. */
	uint64_t binary_refs, binary_bytes;
};

/** An entry of the list that process_info(P, binary) gives. */
struct etp_process_binary {
	/** Of the Binary; size in bytes. */
	uint64_t address, size, refc;
};

/** What was found in one area of literals. */
struct etp_census_literals {
	enum etp_holder_kind kind;
	/** Of the ErtsLiteralArea. */
	uint64_t address;
	/** Key of the persistent term or name of the module; value of a persistent term, else 0. */
	etp_term term, value;
	uint64_t words;
	/** References to off-heap binaries, and sizes of the distinct ones. */
	uint64_t binary_refs, binary_bytes;
	uint64_t unreadable;
	const char *problem;
};

/** What was found in one process. */
struct etp_census_process {
	/** Of the Process. */
	uint64_t address;
	etp_term pid;
	/** Words in use: young and old heap, heap fragments (its own and those of
	 *  messages it received), messages and other signals in its queues and in transit,
	 *  and what no collector moves: tags of its monitors, state of its tracer. */
	uint64_t young_words, old_words, fragment_words, message_words, transit_words, aside_words;
	/** Not in use as that: its stack, and free room of its young and old heap. */
	uint64_t stack_words, free_words;
	/** Of the words in use, those that live terms occupy. */
	uint64_t live_words;
	/** Messages in the private queues, and in transit (in the outer queue). */
	uint64_t messages, messages_in_transit;
	/** Entries that process_info(P, binary) lists, and their bytes. */
	uint64_t binary_refs, binary_bytes;
	/** Of these, the entries that a major garbage collection would release; and
	 *  entries that it would add, from messages and their fragments. */
	uint64_t released_refs, released_bytes, added_refs, added_bytes;
	/** Writable binaries, which process_info/2 does not list. */
	uint64_t writable_refs, writable_bytes;
	/** Distinct binaries that it refers to in any way, their bytes, the bytes
	 *  that its live terms see of them. */
	uint64_t binaries, distinct_bytes, visible_bytes;
	/** Terms visited. */
	uint64_t terms;
	/** On a scheduler: registers are not saved, so that what only they hold looks
	 *  dead. Collecting garbage: its heap is between two states. */
	bool running, in_gc;
	/** A BIF that is to go on forbids collections meanwhile: it has terms that look dead. */
	bool gc_disabled;
	/** Things that could not be read, and the last reason, a static string. */
	uint64_t unreadable;
	const char *problem;
	/** The census was interrupted before this process. */
	bool incomplete;
};

/** Sums over all processes. */
struct etp_census_totals {
	uint64_t processes;
	/** Words in use, those of live terms, and what is in use and not live. */
	uint64_t used_words, live_words, garbage_words;
	/** Of the words in use, those of messages and other signals, received or in transit. */
	uint64_t message_words;
	/** As in etp_census_process. */
	uint64_t stack_words, free_words;
	/** Heap fragments with the messages of timers, in bytes. */
	uint64_t timer_bytes;
	uint64_t released_refs, released_bytes;
	/** Distinct binaries that these references are to; of these, the ones that nobody else
	 *  refers to, so that they would be freed if all processes collected, and their bytes. */
	uint64_t released_binaries, freed_binaries, freed_bytes;
	uint64_t terms;
	/** How many were running, and how many could not be read whole. */
	uint64_t running, unreadable;
};

/** How many binaries, and their bytes. */
struct etp_census_sum {
	uint64_t binaries, bytes;
};

/** Sums over all distinct binaries. */
struct etp_census_binaries {
	struct etp_census_sum all;
	/** Bytes that some holder can see. */
	uint64_t visible_bytes;
	/** Those with a higher count than references were found, and how many are missing. */
	struct etp_census_sum unaccounted;
	uint64_t unaccounted_refs;
	/** Those with more references than their count says. */
	uint64_t excess;
	/** By the kinds of their holders: bit K of the index for enum etp_holder_kind K. */
	struct etp_census_sum by_kinds[1 << ETP_HOLDER_KINDS];
	struct etp_census_sum unaccounted_by_kinds[1 << ETP_HOLDER_KINDS];
};

struct etp_census_options {
	/** As in etp_ets_scan_options; `what` is "tables" or "processes". May be NULL. */
	bool (*progress)(void *context, uint64_t done, uint64_t total, const char *what);
	void *context;
	/** As in etp_ets_scan_options. */
	unsigned threads;
	uint64_t rows_a_part;
	/** Only what tables hold, and of most of their binaries only sums: as `sums_only` of
	 *  etp_ets_scan_options. etp_census_take_others() looks at the rest if need be, and at
	 *  the tables again if that was not interrupted. */
	bool tables_only;
};

/** Take the census of the VM. An interrupted one is a result, not an error.
 *  Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_census_take(const struct etp_vm *vm,
                                             const struct etp_census_options *options,
                                             struct etp_census **ret);

/** Go on with a census of tables only, to what it would be without that option; does nothing to
 *  one that has the others already. Errors: NO_MEMORY; then it can only be destroyed. */
ETP_EXPORT struct etp_error *etp_census_take_others(struct etp_census *census,
                                                    const struct etp_census_options *options);
/** Were others than tables looked at too? */
ETP_EXPORT bool etp_census_has_others(const struct etp_census *census);

ETP_EXPORT void etp_census_destroy(struct etp_census *census);

ETP_EXPORT bool etp_census_is_complete(const struct etp_census *census);

/** How many processes there are: those of etp_vm_processes(), or none in a census of tables
 *  only. */
ETP_EXPORT size_t etp_census_process_count(const struct etp_census *census);

/** Process number `index`, in the order of etp_vm_processes(). */
ETP_EXPORT void etp_census_process(const struct etp_census *census, size_t index,
                                   struct etp_census_process *ret);

/** In which order processes are wanted: where a garbage collection would take most away first, by
 *  references and by bytes; or with the largest number of what it would take away or add, or of
 *  what they have, first. */
enum etp_census_process_order {
	ETP_PROCESS_BY_DELTA,
	ETP_PROCESS_BY_DELTA_BYTES,
	ETP_PROCESS_BY_RELEASED,
	ETP_PROCESS_BY_RELEASED_BYTES,
	ETP_PROCESS_BY_ADDED,
	ETP_PROCESS_BY_ADDED_BYTES,
	ETP_PROCESS_BY_REFS,
	ETP_PROCESS_BY_REFS_BYTES,
};

struct etp_process_choice {
	enum etp_census_process_order order;
	/** Only those of whose binaries a garbage collection would change something. */
	bool changing;
	/** From the other end. */
	bool reverse;
	/** At most so many. */
	size_t limit;
};

/** The first processes of a choice, by their index, and how many there would be without its limit.
 *  The caller frees `*ret` with free(). Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_census_choose_processes(const struct etp_census *census,
                                                         const struct etp_process_choice *choice,
                                                         size_t **ret, size_t *count_ret,
                                                         size_t *all_ret);

ETP_EXPORT void etp_census_totals(const struct etp_census *census, struct etp_census_totals *ret);

/** One entry a persistent term, then one a module with literals. `problem_ret` (may be
 *  NULL) gets what kept the census from finding all of them, or NULL. */
ETP_EXPORT const struct etp_census_literals *
etp_census_literals(const struct etp_census *census, size_t *count_ret, const char **problem_ret);

/** Timers, ports and so on that hold off-heap binaries or resources of NIFs. `unreadable_ret` gets
 * how many things could not be read, `problem_ret` the last reason or NULL. */
ETP_EXPORT const struct etp_census_root *etp_census_roots(const struct etp_census *census,
                                                          size_t *count_ret,
                                                          uint64_t *unreadable_ret,
                                                          const char **problem_ret);

/** What process_info(P, binary) lists of the Process at `process`, an entry a reference, in
 *  no particular order. The caller frees `*ret` with free(). `problem_ret` gets what
 *  kept it from being whole, or NULL. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_process_binaries(const struct etp_vm *vm, uint64_t process,
                                                  struct etp_process_binary **ret,
                                                  size_t *count_ret, const char **problem_ret);

/** The tables' part; it belongs to the census. Its binaries are those of the whole
 *  census: use the functions below for them. */
ETP_EXPORT const struct etp_ets_scan *etp_census_ets(const struct etp_census *census);

/** Distinct binaries that rows of tables refer to, and their bytes, each counted once
 *  however many tables have it. */
ETP_EXPORT void etp_census_ets_binaries(const struct etp_census *census, uint64_t *count_ret,
                                        uint64_t *bytes_ret);

ETP_EXPORT size_t etp_census_binary_count(const struct etp_census *census);

/** Binary number `index`, in no particular order; `refs` counts all holders. */
ETP_EXPORT void etp_census_binary(const struct etp_census *census, size_t index,
                                  struct etp_ets_scan_binary *ret);

/** `*ret` is large: some 64 KiB. */
ETP_EXPORT void etp_census_sum_binaries(const struct etp_census *census,
                                        struct etp_census_binaries *ret);

/** Index of the binary at `address`, SIZE_MAX if nothing refers to it. */
ETP_EXPORT size_t etp_census_find(const struct etp_census *census, uint64_t address);

/** Binaries of which more counts as seen than is, because too many parts are seen of too many. */
ETP_EXPORT size_t etp_census_coarse_binaries(const struct etp_census *census);

/** How many hold binary `index`. */
ETP_EXPORT size_t etp_census_holder_count(const struct etp_census *census, size_t index);

/** Holders of binary `index`, most references first: as many as there are, but at most
 *  `capacity`, are written. Errors: NO_MEMORY. */
ETP_EXPORT struct etp_error *etp_census_holders(const struct etp_census *census, size_t index,
                                                struct etp_census_holder *holders, size_t capacity);

#endif
