// SPDX-License-Identifier: Apache-2.0
//
// Self-checks: facts that hold in every VM, looked up through the layout. A
// layout of another build does not survive them; a core that is merely torn does.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <etp/ets.h>

#include "target/warn.h"
#include "vm/vm.h"

enum {
	// Enough to be sure, few enough not to be felt when gdb starts.
	ATOMS_SAMPLE = 2000,
	PROCESSES_SAMPLE = 2000,
	TABLES_SAMPLE = 200,
	ROWS_SAMPLE = 200,
};

struct checker {
	struct etp_vm *vm;
	struct etp_reader reader;
	struct etp_check *check;
	struct etp_ets_tables *tables;
};

static void fail(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct checker *c, const char *format, ...)
{
	c->check->failed++;
	if (c->check->failure)
		return;
	va_list ap;
	va_start(ap, format);
	char *text = NULL;
	if (vasprintf(&text, format, ap) >= 0)
		c->check->failure = text;
	va_end(ap);
}

// Of what could not be read: does the core lack it, or was no memory there?
static bool lacks(const struct checker *c)
{
	return etp_target_is_missing(c->vm->target, c->reader.fault_address);
}

// Count a case; false if it could not be read.
static bool tried(struct checker *c, bool readable)
{
	c->check->tried++;
	if (readable)
		return true;
	if (lacks(c))
		c->check->unreadable++;
	else
		fail(c, "a pointer leads to 0x%llx, where this process had no memory",
		     (unsigned long long)c->reader.fault_address);
	return false;
}

static void check_schedulers(struct checker *c)
{
	const struct etp_vm *vm = c->vm;
	for (uint64_t i = 0; i < vm->info.schedulers; i++) {
		uint64_t esd = vm->scheduler_data + i * vm->scheduler_stride +
		               OFFSET(vm, ErtsAlignedSchedulerData, esd);
		uint64_t no;
		if (tried(c, READ_WORD(vm, &c->reader, esd, ErtsSchedulerData, no, &no)) &&
		    no != i + 1)
			fail(c, "scheduler %llu says it is number %llu",
			     (unsigned long long)(i + 1), (unsigned long long)no);
	}
}

static bool is_utf8(const unsigned char *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		unsigned more = text[i] < 0x80   ? 0
		                : text[i] < 0xc2 ? 4
		                : text[i] < 0xe0 ? 1
		                : text[i] < 0xf0 ? 2
		                : text[i] < 0xf5 ? 3
		                                 : 4;
		if (more == 4 || more >= size - i)
			return false;
		for (i++; more; more--, i++)
			if ((text[i] & 0xc0) != 0x80)
				return false;
	}
	return true;
}

// Each atom knows its index, and its name is UTF-8.
static void check_atoms(struct checker *c)
{
	const struct etp_vm *vm = c->vm;
	uint64_t count = vm->atoms.count < ATOMS_SAMPLE ? vm->atoms.count : ATOMS_SAMPLE;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t page, atom;
		uint32_t index = 0;
		size_t size;
		bool readable =
			etp_read_u64(&c->reader, vm->atoms.seg_table + i / 1024 * 8, &page) &&
			etp_read_u64(&c->reader, page + i % 1024 * 8, &atom) &&
			READ_U32(vm, &c->reader, atom, Atom, index, &index);
		if (!tried(c, readable))
			continue;
		const char *name = etp_vm_atom(vm, &c->reader, i, &size);
		if (index != i)
			fail(c, "atom %llu says it is number %u", (unsigned long long)i, index);
		else if (!name || !is_utf8((const unsigned char *)name, size))
			fail(c, "the name of atom %llu is not UTF-8", (unsigned long long)i);
	}
}

// Atoms that the emulator itself needs are there.
static void check_known_atoms(struct checker *c)
{
	const struct etp_vm *vm = c->vm;
	uint64_t count = vm->atoms.count < ATOMS_SAMPLE ? vm->atoms.count : ATOMS_SAMPLE;
	size_t size;
	bool readable = true;
	for (uint64_t i = 0; readable && i < count; i++)
		readable = etp_vm_atom(vm, &c->reader, i, &size);
	for (size_t i = 0; i < AM_COUNT; i++)
		if (tried(c, readable || vm->am[i]) && !vm->am[i])
			fail(c, "one of the atoms `external`, `true`, `undefined`, `none` is not "
			        "among the first");
}

// The id of a process leads to the slot that it stands in (erts_ptab_data2pix(),
// erl_ptab.h).
static void check_process_slots(struct checker *c)
{
	const struct etp_vm *vm = c->vm;
	for (size_t i = 0; i < vm->processes.no_id; i++) {
		c->check->tried++;
		fail(c, "a place of the process table leads to something without a pid");
	}
	size_t count =
		vm->processes.count < PROCESSES_SAMPLE ? vm->processes.count : PROCESSES_SAMPLE;
	for (size_t i = 0; i < count; i++) {
		uint64_t slot = etp_id_slot(&vm->processes.format, vm->processes.ids[i]);
		tried(c, true);
		if (slot != vm->processes.slots[i])
			fail(c, "the process in slot %u has an id that belongs into slot %llu",
			     vm->processes.slots[i], (unsigned long long)slot);
	}
}

// Heap start, top, stack and end of a process stand in this order, and the size
// is their distance. A process in the middle of a garbage collection may differ.
static void check_heaps(struct checker *c)
{
	const struct etp_vm *vm = c->vm;
	size_t count =
		vm->processes.count < PROCESSES_SAMPLE ? vm->processes.count : PROCESSES_SAMPLE;
	for (size_t i = 0; i < count; i++) {
		uint64_t p = vm->processes.addresses[i];
		uint64_t heap = 0, htop = 0, stop = 0, hend = 0, size = 0;
		if (!tried(c, READ_WORD(vm, &c->reader, p, Process, heap, &heap) &&
		                      READ_WORD(vm, &c->reader, p, Process, htop, &htop) &&
		                      READ_WORD(vm, &c->reader, p, Process, stop, &stop) &&
		                      READ_WORD(vm, &c->reader, p, Process, hend, &hend) &&
		                      READ_WORD(vm, &c->reader, p, Process, heap_sz, &size)))
			continue;
		if (heap > htop || htop > stop || stop > hend || hend - heap != size * 8)
			fail(c,
			     "process 0x%llx: heap 0x%llx, top 0x%llx, stack 0x%llx, end 0x%llx "
			     "do not go with a heap of %llu words",
			     (unsigned long long)p, (unsigned long long)heap,
			     (unsigned long long)htop, (unsigned long long)stop,
			     (unsigned long long)hend, (unsigned long long)size);
	}
}

static void check_node(struct checker *c)
{
	size_t size;
	const char *name = etp_vm_atom(c->vm, &c->reader, c->vm->info.node_name, &size);
	// tried() returns what it is given. NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker)
	if (tried(c, name != NULL) && !memchr(name, '@', size))
		fail(c, "this node is called %.*s", (int)size, name);
}

// Lists of tables come round and point back.
static void check_lists(struct checker *c)
{
	const struct etp_ets_tables *tables = c->tables;
	c->check->unreadable = tables->gap_count - tables->contradiction_count;
	c->check->tried =
		tables->list_count > tables->gap_count ? tables->list_count : tables->gap_count;
	for (size_t i = 0; i < tables->contradiction_count; i++)
		fail(c, "%s", tables->contradiction);
}

// What the tables say of themselves can be true.
static void check_tables(struct checker *c)
{
	size_t count = c->tables->count < TABLES_SAMPLE ? c->tables->count : TABLES_SAMPLE;
	for (size_t i = 0; i < count; i++) {
		const struct etp_ets_table *table = &c->tables->tables[i];
		tried(c, true);
		if (!term_is_atom(table->name) ||
		    term_atom_index(table->name) >= c->vm->atoms.count)
			fail(c, "the name of table 0x%llx is not an atom",
			     (unsigned long long)table->address);
		else if (!term_is_internal_pid(table->owner) && !table->is_deleting)
			fail(c, "the owner of table 0x%llx is not a process",
			     (unsigned long long)table->address);
		else if (!table->keypos || table->keypos > 1 << 24)
			fail(c, "table 0x%llx has key position %u",
			     (unsigned long long)table->address, table->keypos);
	}
}

// The first objects of a table: each is a tuple that reaches to the key position, and
// there are as many as the table counts. A table is one case, however many objects
// it loses.
static void check_table_rows(struct checker *c, const struct etp_ets_table *table)
{
	const struct etp_vm *vm = c->vm;
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	etp_ets_iter_init(&iter, vm, &c->reader, table);
	bool seen = false;
	for (int n = 0; n < ROWS_SAMPLE && !iter.unreadable && etp_ets_iter_next(&iter, &row);
	     n++) {
		uint64_t header;
		seen = true;
		if (!etp_read_u64(&c->reader, row.dbterm + OFFSET(vm, DbTerm, tpl), &header)) {
			tried(c, false);
			return;
		}
		if (header_thing(vm->scheme, header) != ETP_THING_TUPLE ||
		    term_primary(header) != TAG_PRIMARY_HEADER ||
		    header_arity(header) < table->keypos) {
			c->check->tried++;
			fail(c, "what stands at 0x%llx in table 0x%llx is not an object",
			     (unsigned long long)row.dbterm, (unsigned long long)table->address);
			return;
		}
	}
	c->check->tried += seen || iter.unreadable;
	if (!iter.unreadable) {
		if (table->size >= 0 && iter.live > (uint64_t)table->size &&
		    !table->counters_uncertain)
			fail(c, "table 0x%llx has more objects than it counts, %lld",
			     (unsigned long long)table->address, (long long)table->size);
		return;
	}
	if (lacks(c))
		c->check->unreadable++;
	else
		fail(c, "of table 0x%llx: %s", (unsigned long long)table->address, iter.problem);
}

static void check_rows(struct checker *c, bool of_hash)
{
	size_t count = c->tables->count < TABLES_SAMPLE ? c->tables->count : TABLES_SAMPLE;
	for (size_t i = 0; i < count; i++) {
		const struct etp_ets_table *table = &c->tables->tables[i];
		if (!table->is_deleting && (table->type <= ETP_ETS_DUPLICATE_BAG) == of_hash)
			check_table_rows(c, table);
	}
}

static void check_hash_rows(struct checker *c)
{
	check_rows(c, true);
}

static void check_tree_rows(struct checker *c)
{
	check_rows(c, false);
}

// On aarch64 the two flavors differ in nothing that the checks above look at.
static void check_flavor(struct checker *c)
{
	const char *ours = c->vm->info.flavor, *theirs = c->vm->layout->flavor;
	if (tried(c, true) && theirs && strcmp(ours, theirs) != 0)
		fail(c, "this VM has the flavor %s, the layout is of %s", ours, theirs);
}

static const struct {
	const char *claim;
	void (*run)(struct checker *c);
} checks[] = {
	{"scheduler N has number N", check_schedulers},
	{"atom N has index N and a name in UTF-8", check_atoms},
	{"atoms of the emulator are there", check_known_atoms},
	{"the id of a process leads to its slot", check_process_slots},
	{"heap, top, stack and end of a process are in order", check_heaps},
	{"the node's name has an @", check_node},
	{"lists of ETS tables come round", check_lists},
	{"ETS tables have a name, an owner and a key position", check_tables},
	{"objects of hash tables are tuples", check_hash_rows},
	{"objects of ordered sets are tuples", check_tree_rows},
	{"the emulator has the layout's flavor", check_flavor},
};

enum { CHECK_COUNT = sizeof(checks) / sizeof(checks[0]) };

// A wrong layout fails in most of the cases, a damaged core in some. What the core
// lacks speaks neither for the layout nor against it.
static bool is_refuted(const struct etp_check *check)
{
	uint64_t bad = check->failed + check->unreadable;
	uint64_t good = check->tried > bad ? check->tried - bad : 0;
	return check->failed > good;
}

static struct etp_error *warn_failed(struct etp_vm *vm, const struct etp_check *check)
{
	if (!check->failed || vm->is_trial)
		return NULL;
	return etp_target_warn(vm->target,
	                       "The core is damaged or was taken in the middle of a change: \"%s\" "
	                       "fails in %llu of %llu cases; first: %s. What rests on these may be "
	                       "wrong or missing.",
	                       check->claim, (unsigned long long)check->failed,
	                       (unsigned long long)check->tried,
	                       check->failure ? check->failure : "(no words for it)");
}

// Whoever asks for tables, or for all that refers to something, misses these.
static struct etp_error *warn_gaps(struct etp_vm *vm, const struct etp_ets_tables *tables)
{
	struct etp_error *err = NULL;
	for (size_t i = 0; !err && !vm->is_trial && i < tables->gap_count; i++)
		err = etp_target_warn(vm->target, "%s", tables->gaps[i]);
	return err;
}

static struct etp_error *refuse(const struct etp_vm *vm, const struct etp_check *check)
{
	const struct etp_layout *layout = vm->layout;
	return etp_error_create(
		ETP_ERROR_LAYOUT,
		"The layout of OTP %s, ERTS %s, %s, %s (%s) does not fit this core (OTP %s, ERTS "
		"%s, %s): \"%s\" failed %llu of %llu times, and %llu could not be read%s%s. If the "
		"core is intact, make the layout of exactly this beam.smp with "
		"scripts/extract-layout.",
		layout->otp_release, layout->erts_version, layout->machine, layout->flavor,
		layout->source, vm->otp_release, vm->erts_version, vm->info.flavor, check->claim,
		(unsigned long long)check->failed, (unsigned long long)check->tried,
		(unsigned long long)check->unreadable, check->failure ? "; first: " : "",
		check->failure ? check->failure : "");
}

struct etp_error *etp_vm_check(struct etp_vm *vm)
{
	vm->checks = calloc(CHECK_COUNT, sizeof(*vm->checks));
	if (!vm->checks)
		return &etp_error_no_memory;
	struct etp_ets_tables tables;
	struct etp_error *err = etp_ets_tables_init(&tables, vm);
	if (err)
		return err;
	vm->info.ets_tables = 0;
	for (size_t i = 0; i < tables.count; i++)
		vm->info.ets_tables += !tables.tables[i].is_deleting;
	vm->info.checks = vm->checks;
	vm->info.check_count = CHECK_COUNT;
	struct checker c = {.vm = vm, .tables = &tables};
	etp_reader_init(&c.reader, vm->target);
	const struct etp_check *refuted = NULL;
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		c.check = &vm->checks[i];
		c.check->claim = checks[i].claim;
		checks[i].run(&c);
		if (!refuted && is_refuted(c.check))
			refuted = c.check;
	}
	if (!refuted)
		err = warn_gaps(vm, &tables);
	etp_ets_tables_deinit(&tables);
	if (refuted)
		return refuse(vm, refuted);
	for (size_t i = 0; !err && i < CHECK_COUNT; i++)
		err = warn_failed(vm, &vm->checks[i]);
	return err;
}

void etp_checks_deinit(struct etp_vm *vm)
{
	for (size_t i = 0; vm->checks && i < CHECK_COUNT; i++)
		free((char *)vm->checks[i].failure);
	free(vm->checks);
}
