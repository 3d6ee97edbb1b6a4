// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_PYTHON_BINDING_H
#define ETP_PYTHON_BINDING_H

// The extension module `_etp`: a thin skin over the library, within Python's
// limited API so that one module serves the Python of every debugger. What the
// types are for stands in plugin/_etp.pyi.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <etp/ets.h>
#include <etp/path.h>
#include <etp/ets_scan.h>
#include <etp/print.h>
#include <etp/threads.h>
#include <etp/vm.h>

#include "target/reader.h"
#include "term/row_expand.h"
#include "vm/vm.h"

typedef struct {
	PyObject_HEAD
	struct etp_vm *vm;
	// The tables of ETS, once they were asked for: a core does not change.
	struct etp_ets_tables *tables;
	// Once a stack was asked for: it has the libraries open.
	struct etp_unwinder *unwinder;
	// Things of one holder that a search looks at, 0 for the library's default.
	size_t max_things;
} VMObject;

// Words of one expanded row of a compressed table, or of one message that the VM has not
// decoded yet, shared by the terms in it.
typedef struct {
	PyObject_HEAD
	struct etp_row_words words;
	struct etp_segment overlay;
} RowWordsObject;

typedef struct {
	PyObject_HEAD
	VMObject *vm;
	// NULL for a term in the target's own memory.
	RowWordsObject *row;
	etp_term word;
} TermObject;

extern PyTypeObject *VM_type, *Term_type, *RowWords_type;

// Create the types of a part and add them to the module. 0, or -1 with an
// exception set.
int binding_init_errors(PyObject *module);
int binding_init_terms(PyObject *module);
int binding_init_term_iterator(void);
int binding_init_vm(PyObject *module);
int binding_init_ets(PyObject *module);
int binding_init_scan(PyObject *module);
int binding_init_messages(PyObject *module);
int binding_init_census(PyObject *module);
int binding_init_records(PyObject *module);

// Raise _etp.Error for `err` and destroy it. Returns NULL.
PyObject *raise_error(struct etp_error *err);

// The tail of every tp_dealloc.
void binding_free(PyObject *self);

// tp_new of every type but VM: Python cannot make what only a VM hands out. The limited
// API has Py_TPFLAGS_DISALLOW_INSTANTIATION from 3.10 on only.
PyObject *binding_no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

// A type from its spec, added to the module under its name. NULL on an exception.
PyTypeObject *binding_add_type(PyObject *module, PyType_Spec *spec);

// New references. `row` may be NULL.
PyObject *Term_new(VMObject *vm, RowWordsObject *row, etp_term word);
// What the ErtsDistExternal at `address` holds. None if it cannot be decoded; then
// `reason_ret` gets why.
PyObject *Term_of_external(VMObject *vm, uint64_t address, const char **reason_ret);
// The reference that leads to an ErtsMagicBinary: of a table, or of a NIF resource.
PyObject *Term_of_magic_binary(VMObject *vm, uint64_t binary);
// An ordinary reference of this node.
PyObject *Term_of_ref_numbers(VMObject *vm, const uint32_t numbers[3]);
PyObject *atom_to_str(const struct etp_vm *vm, uint64_t index);

// None without a name; "#UnreadableName" for one that is not in the core.
PyObject *registered_name(const struct etp_vm *vm, bool has_name, bool is_unreadable,
                          uint64_t name);

// Is the term of this VM? Sets an exception if not: words of two cores say nothing about
// each other.
bool Term_is_of(const TermObject *self, const VMObject *vm);

// A reader for a term: sees the words of its row, if it has one.
void Term_reader(const TermObject *self, struct etp_reader *reader);

// What the term is, decoded through such a reader, which is initialised and with which `view`
// is valid.
enum etp_term_kind Term_decode(const TermObject *self, struct etp_reader *reader,
                               struct etp_term_view *view);

// Another term of the same VM and row.
PyObject *Term_sibling(const TermObject *self, etp_term word);

// iter(term): elements of a tuple, a list without an improper tail, keys of a map; term.keys(),
// .values() and .items() of a map.
PyObject *Term_iter(TermObject *self);
PyObject *Term_keys(TermObject *self, PyObject *ignored);
PyObject *Term_values(TermObject *self, PyObject *ignored);
PyObject *Term_items(TermObject *self, PyObject *ignored);

// Address of the Process that a Term (a pid) or a number denotes. 0 with an
// exception when there is none, or the VM is not open.
uint64_t VM_process_address(VMObject *self, PyObject *which);

// Set a key to a new reference, which is stolen; NULL passes the exception on.
// Returns false on an exception.
bool dict_set(PyObject *dict, const char *key, PyObject *value);

// Was VM.__init__ called? Every other method needs it; sets an exception if not.
bool VM_is_open(VMObject *self);

// A path as a dict; `row` are the words that its terms are in, or NULL.
PyObject *path_dict(VMObject *vm, RowWordsObject *row, const struct etp_path *path);

// EtsRow.paths(target, max_paths): through the `words` words of the row, or those that
// it was expanded to.
PyObject *row_paths(VMObject *vm, RowWordsObject *row, etp_term tuple, uint64_t words,
                    PyObject *args);

// EtsRow.measure(term), likewise; Term.tally().
PyObject *row_measure(VMObject *vm, RowWordsObject *row, etp_term tuple, uint64_t words,
                      PyObject *args);
PyObject *Term_tally(TermObject *self, PyObject *ignored);

// Append a new reference, which is stolen; as dict_set() otherwise.
bool list_append(PyObject *list, PyObject *item);

// All tables of a VM, which keeps them; NULL with an exception.
const struct etp_ets_tables *VM_tables(VMObject *self);

// Forget the tables of a VM that goes.
void VM_tables_free(VMObject *self);

// Methods of VM that live with the things they make.
PyObject *VM_ets_tables(VMObject *self, PyObject *ignored);
PyObject *VM_ets_tables_gaps(VMObject *self, PyObject *ignored);
PyObject *VM_ets_rows(VMObject *self, PyObject *args);
PyObject *VM_ets_row(VMObject *self, PyObject *args);
PyObject *VM_scan_ets(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_paths_in_process(VMObject *self, PyObject *args);
PyObject *VM_accumulators(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_histogram(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_place_of(VMObject *self, PyObject *args);
PyObject *VM_magic_binary(VMObject *self, PyObject *args);
PyObject *VM_paths_in_literals(VMObject *self, PyObject *args);
PyObject *VM_paths_in_timer(VMObject *self, PyObject *args);
PyObject *VM_paths_in_port(VMObject *self, PyObject *args);
PyObject *VM_census(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_memory(VMObject *self, PyObject *ignored);
PyObject *VM_process_binaries(VMObject *self, PyObject *args);
PyObject *VM_process_info(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_process_list(VMObject *self, PyObject *ignored);
PyObject *VM_messages(VMObject *self, PyObject *args);
PyObject *VM_message_shapes(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_info(VMObject *self, PyObject *ignored);
PyObject *VM_arguments(VMObject *self, PyObject *ignored);
PyObject *VM_compose(VMObject *self, PyObject *value);
PyObject *VM_measure(VMObject *self, PyObject *args);
PyObject *VM_measure_each(VMObject *self, PyObject *args);
PyObject *VM_measure_slots(VMObject *self, PyObject *args);
PyObject *VM_ports(VMObject *self, PyObject *ignored);
PyObject *VM_port_links(VMObject *self, PyObject *args);
PyObject *VM_dist_entries(VMObject *self, PyObject *ignored);
PyObject *VM_dist_entry_ties(VMObject *self, PyObject *args);
PyObject *VM_fds(VMObject *self, PyObject *ignored);
PyObject *VM_locks(VMObject *self, PyObject *ignored);
PyObject *VM_persistent_term(VMObject *self, PyObject *key);
PyObject *VM_super_carriers(VMObject *self, PyObject *ignored);
PyObject *VM_tracers(VMObject *self, PyObject *ignored);
PyObject *VM_thread_types(VMObject *self, PyObject *ignored);
PyObject *VM_mailboxes(VMObject *self, PyObject *args);
PyObject *VM_waits(VMObject *self, PyObject *args);
PyObject *VM_timers(VMObject *self, PyObject *args, PyObject *kwargs);
PyObject *VM_schedulers(VMObject *self, PyObject *ignored);
PyObject *VM_run_queues(VMObject *self, PyObject *ignored);
PyObject *VM_run_queue(VMObject *self, PyObject *args);
PyObject *VM_threads(VMObject *self, PyObject *ignored);
PyObject *VM_unwind(VMObject *self, PyObject *args);
PyObject *VM_scheduler_outer_frame(VMObject *self, PyObject *args);
PyObject *VM_thread_progress(VMObject *self, PyObject *ignored);
PyObject *VM_location(VMObject *self, PyObject *args);
PyObject *VM_fun_location(VMObject *self, PyObject *args);
PyObject *VM_modules(VMObject *self, PyObject *ignored);
PyObject *VM_modules_problem(VMObject *self, PyObject *ignored);
PyObject *VM_execution(VMObject *self, PyObject *args);
PyObject *VM_current_places(VMObject *self, PyObject *args);
PyObject *VM_stacktrace(VMObject *self, PyObject *args);
PyObject *VM_stack(VMObject *self, PyObject *args);
PyObject *VM_heap_areas(VMObject *self, PyObject *args);
PyObject *VM_heap_things(VMObject *self, PyObject *args);
PyObject *VM_heap_largest(VMObject *self, PyObject *args);
PyObject *VM_off_heap(VMObject *self, PyObject *args);
PyObject *VM_writable_binaries(VMObject *self, PyObject *args);
PyObject *VM_binary_header(VMObject *self, PyObject *args);

// _etp.snapshot()
PyObject *binding_layouts(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *binding_snapshot(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *binding_snapshot_remote(PyObject *module, PyObject *args, PyObject *kwargs);

#endif
