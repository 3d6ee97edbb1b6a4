// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_CODE_H
#define ETP_CODE_H

/**
 * @file
 * Loaded code: modules, and what function and line an address belongs to.
 *
 * Names come from the VM's own tables, as those in a stacktrace do, and not from
 * symbols: the module table leads to the header of each module's code
 * (BeamCodeHeader, beam_code.h), which lists its functions and lines. That works
 * alike for the JIT and the emulator, and for a stripped beam.smp.
 *
 * The JIT keeps headers, names and line tables inside of the code, in a mapping
 * that a core may lack. The module of an address is known nevertheless, and of its
 * functions those that are exported; see enum etp_code_kind.
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

/** Which of the instances of a module that can be loaded at once (module.h). */
enum etp_code_version {
	ETP_CODE_CURRENT,
	/** Replaced or deleted, not purged yet. */
	ETP_CODE_OLD,
	/** Its on_load function has not returned. */
	ETP_CODE_ON_LOAD,
};

/** "current", "old" or "on_load". */
ETP_EXPORT const char *etp_code_version_name(enum etp_code_version version);

struct etp_code_module {
	/** The module's name, an atom. */
	etp_term name;
	enum etp_code_version version;
	/** Address of the BeamCodeHeader, and bytes from there to the end of the code,
	 *  as code:module_info and erlang:memory(code) count them. */
	uint64_t start, size;
	/** Number of functions, 0 when the header cannot be read. */
	uint64_t functions;
	/** Address of the ErtsLiteralArea, 0 if there is none or it is unknown. */
	uint64_t literal_area;
	/** Index of its first catch, or UINT32_MAX. */
	uint32_t catches;
	/** The code is not in the core. */
	bool is_missing;
	/** What is wrong with it, a static string, or NULL. */
	const char *problem;
};

/** All instances of all modules in ascending order of address. `problem_ret` (may
 *  be NULL) gets a sentence if the module table could not be read, else NULL. All
 *  belong to the VM. */
ETP_EXPORT size_t etp_code_modules(const struct etp_vm *vm, const struct etp_code_module **ret,
                                   const char **problem_ret);

/** How much is known of an address. */
enum etp_code_kind {
	/** It is in no loaded code. */
	ETP_CODE_UNKNOWN,
	/** A piece of code of the VM itself, such as the one at the bottom of every
	 *  stack; see `fragment`. */
	ETP_CODE_FRAGMENT,
	/** Only the module is known: its code is not in the core, or damaged. */
	ETP_CODE_MODULE,
	/** The code is not in the core; the function is the last exported one that
	 *  begins before the address, which may belong to a local one behind it. */
	ETP_CODE_NEAR_EXPORT,
	/** The function is known. */
	ETP_CODE_FUNCTION,
};

/** "unknown", "fragment", "module", "near_export" or "function". */
ETP_EXPORT const char *etp_code_kind_name(enum etp_code_kind kind);

/** Where in the function, or the module, an address is cannot be told. */
#define ETP_CODE_NO_OFFSET UINT64_MAX

struct etp_code_location {
	enum etp_code_kind kind;
	uint64_t pc;
	enum etp_code_version version;
	/** Atoms; 0 when unknown. */
	etp_term module, function;
	uint64_t arity;
	/** Bytes from the function's ErtsCodeMFA to the address, as in crash dumps
	 *  ("lists:map/2 + 56"); from the start of the module when only that is known;
	 *  ETP_CODE_NO_OFFSET where the name comes from elsewhere than from `pc`. */
	uint64_t offset;
	/** Name of the file, a list of characters or (to OTP 23) an atom, and line; 0
	 *  when there are none. With is_own_file it is the module, and the name is that
	 *  and ".erl". */
	etp_term file;
	bool is_own_file;
	uint32_t line;
	/** As crash dumps name it ("terminate process normally"), or NULL. */
	const char *fragment;
};

/** Look an address up as erts_lookup_function_info() does (beam_ranges.c): `pc` is
 *  that of an instruction. A return address belongs to the next one already; look up
 *  etp_code_call_of() it. Always fills `ret`; returns ret->kind. */
ETP_EXPORT enum etp_code_kind etp_code_locate(const struct etp_vm *vm, struct etp_reader *reader,
                                              uint64_t pc, struct etp_code_location *ret);

/** An address inside of the call instruction that left this return address. */
ETP_EXPORT uint64_t etp_code_call_of(const struct etp_vm *vm, uint64_t return_address);

/** What a pointer to an ErtsCodeMFA says, as Process.current. Without line. Where
 *  the code is not in the core, the name is known if the function is exported. */
ETP_EXPORT enum etp_code_kind etp_code_mfa(const struct etp_vm *vm, struct etp_reader *reader,
                                           uint64_t mfa, struct etp_code_location *ret);

/** The function that a local fun runs, from the address of its ErlFunEntry
 *  (view->fun.entry): fun_info(F, name), such as `-init/1-fun-0-`. Any kind but
 *  ETP_CODE_FUNCTION: the name is not known; it is ETP_CODE_FRAGMENT if the fun's
 *  module was purged (fun_info(F, name) is []). */
ETP_EXPORT enum etp_code_kind etp_code_fun(const struct etp_vm *vm, struct etp_reader *reader,
                                           uint64_t fun_entry, struct etp_code_location *ret);

/** Address of the handler of a catch (view->catch_index); 0 if it is unknown. */
ETP_EXPORT uint64_t etp_code_catch(const struct etp_vm *vm, struct etp_reader *reader,
                                   uint64_t index);

/** The name of location->file as UTF-8 with a terminating zero, cut to fit into `size`
 *  bytes; "" if it is neither a list of characters nor an atom. Returns `buffer`. */
ETP_EXPORT const char *etp_code_file_name(const struct etp_vm *vm, struct etp_reader *reader,
                                          const struct etp_code_location *location, char *buffer,
                                          size_t size);

#endif
