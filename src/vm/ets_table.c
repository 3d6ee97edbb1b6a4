// SPDX-License-Identifier: Apache-2.0
#include <etp/ets.h>

#include <stdio.h>
#include <stdlib.h>

#include "vm/vm.h"

// Status bits of a table (erl_db_util.h). The same values from OTP 22 on; auto
// is new in 25.
enum {
	DB_PRIVATE = 1 << 0,
	DB_PROTECTED = 1 << 1,
	DB_PUBLIC = 1 << 2,
	DB_DELETE = 1 << 3,
	DB_SET = 1 << 4,
	DB_BAG = 1 << 5,
	DB_DUPLICATE_BAG = 1 << 6,
	DB_ORDERED_SET = 1 << 7,
	DB_CA_ORDERED_SET = 1 << 8,
	DB_FINE_LOCKED = 1 << 9,
	DB_FREQ_READ = 1 << 10,
	DB_NAMED_TABLE = 1 << 11,
	DB_EXPLICIT_LOCK_GRANULARITY = 1 << 13,
	DB_FINE_LOCKED_AUTO = 1 << 14,
};

enum {
	// Counters of a table (ERTS_DB_TABLE_*_COUNTER_ID, erl_db_util.h).
	COUNTER_NITEMS = 0,
	COUNTER_MEMORY = 1,
	// ERTS_MAX_FLXCTR_GROUPS + 1, erl_flxctr.h.
	FLXCTR_SLOTS_MAX = 257,
	// More tables than a VM can have: the default limit on references.
	TABLES_MAX = 1 << 26,
	// ERTS_PSD_ETS_OWNED_TABLES, erl_process.h; the same since OTP 21.
	PSD_ETS_OWNED_TABLES = 6,
};

const char *etp_ets_type_name(enum etp_ets_type type)
{
	switch (type) {
	case ETP_ETS_SET:
		return "set";
	case ETP_ETS_BAG:
		return "bag";
	case ETP_ETS_DUPLICATE_BAG:
		return "duplicate_bag";
	default:
		return "ordered_set";
	}
}

const char *etp_ets_protection_name(enum etp_ets_protection protection)
{
	switch (protection) {
	case ETP_ETS_PRIVATE:
		return "private";
	case ETP_ETS_PROTECTED:
		return "protected";
	default:
		return "public";
	}
}

// Slots of a decentralised counter that any scheduler writes to.
struct counter_slots {
	unsigned count;
	// A scheduler's slot is unknown: there may be more.
	bool uncertain;
};

// Slot 0, where snapshots are put, and up to the highest that a scheduler has.
static struct counter_slots counter_slots(const struct etp_vm *vm, struct etp_reader *reader)
{
	struct counter_slots slots = {.count = 1};
	for (uint64_t i = 0; i < vm->info.schedulers; i++) {
		uint64_t esd = vm->scheduler_data + i * vm->scheduler_stride +
		               OFFSET(vm, ErtsAlignedSchedulerData, esd);
		uint32_t slot;
		if (!HAS(vm, ErtsSchedulerData, flxctr_slot_no) ||
		    !READ_U32(vm, reader, esd, ErtsSchedulerData, flxctr_slot_no, &slot) ||
		    slot >= FLXCTR_SLOTS_MAX)
			slots.uncertain = true;
		else if (slot + 1 > slots.count)
			slots.count = slot + 1;
	}
	return slots;
}

// Both counters of a table (erl_flxctr.h): two words in the table, or, when they
// are decentralised, two words in each cache line of an array. The sums are
// signed: a slot may be negative.
static bool read_counters(const struct etp_vm *vm, struct etp_reader *reader,
                          struct etp_ets_table *table, struct counter_slots slots)
{
	uint64_t counters = table->address + OFFSET(vm, DbTable, counters);
	uint64_t decentralized;
	if (!READ_ANY(vm, reader, counters, ErtsFlxCtr, is_decentralized, &decentralized))
		return false;
	table->decentralized_counters = decentralized;
	if (!decentralized) {
		const void *pair =
			etp_reader_at(reader, counters + OFFSET(vm, ErtsFlxCtr, counters), 16);
		if (!pair)
			return false;
		table->size = (int64_t)etp_word_at(pair, COUNTER_NITEMS);
		table->memory = (int64_t)etp_word_at(pair, COUNTER_MEMORY);
		return true;
	}
	uint64_t array, status;
	if (!READ_WORD(vm, reader, counters, ErtsFlxCtr, counters_ptr, &array) ||
	    !READ_WORD(vm, reader, array, ErtsFlxCtrDecentralizedCtrArray, snapshot_status,
	               &status))
		return false;
	// 0 is ERTS_FLXCTR_SNAPSHOT_NOT_ONGOING.
	table->counters_uncertain = status != 0 || slots.uncertain;
	uint64_t sums[2] = {0};
	for (unsigned i = 0; i < slots.count; i++) {
		const void *pair =
			etp_reader_at(reader,
		                      array + OFFSET(vm, ErtsFlxCtrDecentralizedCtrArray, array) +
		                              i * SIZEOF(vm, ErtsFlxCtrDecentralizedCtrArrayElem),
		                      16);
		if (!pair)
			return false;
		sums[0] += etp_word_at(pair, COUNTER_NITEMS);
		sums[1] += etp_word_at(pair, COUNTER_MEMORY);
	}
	table->size = (int64_t)sums[0];
	table->memory = (int64_t)sums[1];
	return true;
}

static void read_status(struct etp_ets_table *table, uint32_t type)
{
	uint32_t status = table->status;
	if (status & DB_SET)
		table->type = ETP_ETS_SET;
	else if (status & DB_BAG)
		table->type = ETP_ETS_BAG;
	else if (status & DB_DUPLICATE_BAG)
		table->type = ETP_ETS_DUPLICATE_BAG;
	else if (status & DB_ORDERED_SET)
		table->type = ETP_ETS_ORDERED_SET;
	else
		table->type = ETP_ETS_CA_ORDERED_SET;

	if (status & DB_PRIVATE)
		table->protection = ETP_ETS_PRIVATE;
	else if (status & DB_PROTECTED)
		table->protection = ETP_ETS_PROTECTED;
	else
		table->protection = ETP_ETS_PUBLIC;

	bool is_hash = status & (DB_SET | DB_BAG | DB_DUPLICATE_BAG);
	if ((status & DB_FINE_LOCKED) && is_hash && (status & DB_EXPLICIT_LOCK_GRANULARITY))
		table->write_concurrency = ETP_ETS_WRITE_CONCURRENCY_FIXED_LOCKS;
	else if ((status & DB_FINE_LOCKED) && (status & DB_FINE_LOCKED_AUTO))
		table->write_concurrency = ETP_ETS_WRITE_CONCURRENCY_AUTO;
	else if (status & DB_FINE_LOCKED)
		table->write_concurrency = ETP_ETS_WRITE_CONCURRENCY_TRUE;
	table->read_concurrency = status & DB_FREQ_READ;
	// A table keeps its type when it is deleted, its status loses the kind.
	table->is_named = type & DB_NAMED_TABLE;
}

// erts_rwmtx_t (ethr_mutex.h, OTP 23 to 29): readers are counted in the low bits. Of a table
// with read_concurrency they are not; but whoever waits, waits for a writer or for readers.
static void read_lock(const struct etp_vm *vm, struct etp_reader *reader,
                      struct etp_ets_table *table)
{
	const uint32_t write_locked = UINT32_C(1) << 31;
	const uint32_t waiting = UINT32_C(1) << 30 | UINT32_C(1) << 29;
	const uint32_t readers = (UINT32_C(1) << 27) - 1;
	uint32_t flags;
	if (!HAS(vm, DbTable, lock_flags) ||
	    !READ_U32(vm, reader, table->address, DbTable, lock_flags, &flags))
		return;
	table->is_lock_awaited = flags & waiting;
	table->is_write_locked = flags & write_locked;
	table->is_read_locked =
		flags & readers || (table->is_lock_awaited && !table->is_write_locked);
}

// A table is alive as long as its reference leads to it (is_table_alive(),
// erl_db.c): the first word of data of its magic binary points back.
static void read_identity(const struct etp_vm *vm, struct etp_reader *reader,
                          struct etp_ets_table *table)
{
	uint64_t back;
	const void *numbers =
		etp_reader_at(reader, table->btid + OFFSET(vm, ErtsMagicBinary, refn), 12);
	if (!numbers ||
	    !READ_WORD(vm, reader, table->btid, ErtsMagicBinary, unaligned_data, &back)) {
		table->problem = "its reference cannot be read";
		return;
	}
	memcpy(table->ref_numbers, numbers, 12);
	if (back != table->address)
		table->is_deleting = true;
}

static bool read_table(const struct etp_vm *vm, struct etp_reader *reader, uint64_t address,
                       struct counter_slots slots, struct etp_ets_table *table)
{
	*table = (struct etp_ets_table){.address = address};
	uint32_t type, keypos;
	uint64_t compress, monotonic, offset;
	if (!READ_U32(vm, reader, address, DbTable, status, &table->status) ||
	    !READ_U32(vm, reader, address, DbTable, type, &type) ||
	    !READ_U32(vm, reader, address, DbTable, keypos, &keypos) ||
	    !READ_ANY(vm, reader, address, DbTable, compress, &compress) ||
	    !READ_WORD(vm, reader, address, DbTable, the_name, &table->name) ||
	    !READ_WORD(vm, reader, address, DbTable, owner, &table->owner) ||
	    !READ_WORD(vm, reader, address, DbTable, heir, &table->heir) ||
	    !READ_WORD(vm, reader, address, DbTable, btid, &table->btid) ||
	    !READ_WORD(vm, reader, address, DbTable, fix_count, &table->fix_count) ||
	    !READ_WORD(vm, reader, address, DbTable, fixing_procs, &table->fixing_procs) ||
	    !READ_WORD(vm, reader, address, DbTable, time_monotonic, &monotonic) ||
	    !READ_WORD(vm, reader, address, DbTable, time_offset, &offset))
		return false;
	table->keypos = keypos;
	table->is_compressed = compress;
	read_status(table, type);
	if (table->status & DB_DELETE)
		table->is_deleting = true;
	table->fixed_for_ns = -1;
	if (table->fixing_procs) {
		table->fixed_since_ns = (int64_t)(monotonic + offset);
		int64_t now = vm->info.uptime_ns + etp_vm_monotonic_begin_ns;
		if (vm->info.uptime_ns >= 0 && monotonic <= (uint64_t)now)
			table->fixed_for_ns = now - (int64_t)monotonic;
	}
	read_identity(vm, reader, table);
	read_lock(vm, reader, table);
	if (!read_counters(vm, reader, table, slots))
		table->problem = "its counters cannot be read";
	uint64_t resizing, locks;
	if (table->type <= ETP_ETS_DUPLICATE_BAG &&
	    READ_WORD(vm, reader, address, DbTableHash, is_resizing, &resizing))
		table->is_resizing = resizing;
	if (table->type <= ETP_ETS_DUPLICATE_BAG && HAS(vm, DbTableHash, nlocks) &&
	    READ_ANY(vm, reader, address, DbTableHash, nlocks, &locks))
		table->locks = locks;
	return true;
}

// Takes over `text`, which is NULL when memory ran out.
static bool add_gap_text(struct etp_ets_tables *tables, char *text)
{
	char **gaps =
		text ? reallocarray(tables->gaps, tables->gap_count + 1, sizeof(*gaps)) : NULL;
	if (!gaps) {
		free(text);
		return false;
	}
	tables->gaps = gaps;
	gaps[tables->gap_count++] = text;
	return true;
}

static bool add_gap(struct etp_ets_tables *tables, uint64_t scheduler, uint64_t seen,
                    uint64_t announced, uint64_t address, const char *why, bool contradiction)
{
	char *text;
	if (asprintf(&text,
	             "The list of ETS tables of scheduler %llu breaks off after %llu of %llu "
	             "tables, at 0x%llx: %s.",
	             (unsigned long long)scheduler, (unsigned long long)seen,
	             (unsigned long long)announced, (unsigned long long)address, why) < 0)
		return false;
	if (!add_gap_text(tables, text))
		return false;
	if (contradiction && !tables->contradiction_count++)
		tables->contradiction = text;
	return true;
}

// Tables that are being freed are known to their owners alone.
static bool add_owners_gap(struct etp_ets_tables *tables, uint64_t owners)
{
	char *text;
	if (asprintf(&text,
	             "Of %llu processes the list of tables that they own cannot be followed to its "
	             "end; tables that they were freeing may be missing.",
	             (unsigned long long)owners) < 0)
		return false;
	return add_gap_text(tables, text);
}

static struct etp_ets_table *add_table(struct etp_ets_tables *tables, size_t *capacity)
{
	if (tables->count == *capacity) {
		size_t more = *capacity ? *capacity * 2 : 64;
		struct etp_ets_table *grown =
			realloc(tables->tables, more * sizeof(*tables->tables));
		if (!grown)
			return NULL;
		tables->tables = grown;
		*capacity = more;
	}
	return &tables->tables[tables->count];
}

static struct etp_error *walk_scheduler(struct etp_ets_tables *tables, size_t *capacity,
                                        const struct etp_vm *vm, struct etp_reader *reader,
                                        uint64_t scheduler, struct counter_slots slots)
{
	uint64_t esd = vm->scheduler_data + scheduler * vm->scheduler_stride +
	               OFFSET(vm, ErtsAlignedSchedulerData, esd);
	uint64_t count = 0, first = 0, seen = 0, previous = 0;
	if (!READ_WORD(vm, reader, esd, ErtsSchedulerData, ets_tables_count, &count) ||
	    !READ_WORD(vm, reader, esd, ErtsSchedulerData, ets_tables_clist, &first))
		return add_gap(tables, scheduler + 1, 0, 0, esd, "the scheduler cannot be read",
		               !etp_target_is_missing(vm->target, reader->fault_address))
		               ? NULL
		               : &etp_error_no_memory;
	tables->list_count += count > 2;
	const char *why = NULL;
	bool contradiction = false;
	uint64_t address = first;
	while (address) {
		struct etp_ets_table *table = add_table(tables, capacity);
		if (!table)
			return &etp_error_no_memory;
		uint64_t next, back;
		why = "that table cannot be read";
		if (!read_table(vm, reader, address, slots, table) ||
		    !READ_WORD(vm, reader, address, DbTable, all_next, &next) ||
		    !READ_WORD(vm, reader, address, DbTable, all_prev, &back)) {
			contradiction = !etp_target_is_missing(vm->target, reader->fault_address);
			break;
		}
		contradiction = true;
		why = "that table does not point back to the one before it";
		if (previous && back != previous)
			break;
		tables->count++;
		seen++;
		why = "the list does not come back to its start";
		if (next != first && (seen > count + 1000 || seen > TABLES_MAX))
			break;
		why = NULL;
		if (next == first) {
			contradiction = seen < count;
			why = contradiction ? "the list comes back to its start too early" : NULL;
			break;
		}
		previous = address;
		address = next;
		contradiction = !next;
		why = next ? NULL : "the list ends without coming back to its start";
	}
	if (why && !add_gap(tables, scheduler + 1, seen, count, address, why, contradiction))
		return &etp_error_no_memory;
	return NULL;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

// Addresses of the tables found so far, sorted. Owned by the caller; NULL when
// memory ran out.
static uint64_t *sorted_addresses(const struct etp_ets_tables *tables)
{
	uint64_t *addresses = calloc(tables->count + 1, sizeof(*addresses));
	for (size_t i = 0; addresses && i < tables->count; i++)
		addresses[i] = tables->tables[i].address;
	if (addresses)
		qsort(addresses, tables->count, sizeof(*addresses), compare_addresses);
	return addresses;
}

struct known_tables {
	uint64_t *addresses;
	size_t count;
	// Tables that may still be looked at in lists of owners.
	uint64_t budget;
	// Owners whose list could not be followed to its end.
	uint64_t broken;
};

static bool is_known(const struct known_tables *known, uint64_t address)
{
	return bsearch(&address, known->addresses, known->count, sizeof(address),
	               compare_addresses);
}

// There are few of these: tables that are being freed.
static bool add_known(struct known_tables *known, uint64_t address)
{
	uint64_t *grown = reallocarray(known->addresses, known->count + 1, sizeof(*grown));
	if (!grown)
		return false;
	size_t i = known->count++;
	for (; i && grown[i - 1] > address; i--)
		grown[i] = grown[i - 1];
	grown[i] = address;
	known->addresses = grown;
	return true;
}

// The list of tables that a process owns (erl_db.c, save_owned_table()). It has the
// tables that the process is freeing, which no scheduler's list has any more, and,
// where such a list broke off, the tables behind the break.
static struct etp_error *walk_owner(struct etp_ets_tables *tables, size_t *capacity,
                                    struct known_tables *known, const struct etp_vm *vm,
                                    struct etp_reader *reader, uint64_t process,
                                    struct counter_slots slots)
{
	uint64_t psd, first = 0;
	if (!READ_WORD(vm, reader, process, Process, psd, &psd) ||
	    (psd &&
	     !etp_read_u64(reader,
	                   psd + OFFSET(vm, ErtsPSD, data) + PSD_ETS_OWNED_TABLES * UINT64_C(8),
	                   &first))) {
		known->broken++;
		return NULL;
	}
	uint64_t address = first, tortoise = 0, power = 1, steps = 0;
	for (; address && known->budget; known->budget--) {
		uint32_t status;
		if (address == tortoise || !READ_U32(vm, reader, address, DbTable, status, &status))
			break;
		if (++steps == power) {
			tortoise = address;
			power *= 2;
			steps = 0;
		}
		if ((status & DB_DELETE || tables->gap_count) && !is_known(known, address)) {
			struct etp_ets_table *table = add_table(tables, capacity);
			if (!table)
				return &etp_error_no_memory;
			if (read_table(vm, reader, address, slots, table)) {
				tables->count++;
				if (!add_known(known, address))
					return &etp_error_no_memory;
			}
		}
		if (!READ_WORD(vm, reader, address, DbTable, owned_next, &address))
			break;
		if (address == first)
			return NULL;
	}
	known->broken += first != 0;
	return NULL;
}

struct etp_error *etp_ets_tables_init(struct etp_ets_tables *tables, const struct etp_vm *vm)
{
	*tables = (struct etp_ets_tables){0};
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	struct counter_slots slots = counter_slots(vm, &reader);
	size_t capacity = 0;
	struct etp_error *err = NULL;
	for (uint64_t i = 0; !err && i < vm->info.schedulers; i++)
		err = walk_scheduler(tables, &capacity, vm, &reader, i, slots);
	// Each table stands in one list at most: no more of them than fit into the
	// core are looked at, wherever the lists lead.
	struct known_tables known = {.count = tables->count};
	known.budget = etp_target_info(vm->target)->bytes_saved / SIZEOF(vm, DbTable) + 1;
	if (!err) {
		known.addresses = sorted_addresses(tables);
		err = known.addresses ? NULL : &etp_error_no_memory;
	}
	for (size_t i = 0; !err && i < vm->processes.count; i++)
		err = walk_owner(tables, &capacity, &known, vm, &reader, vm->processes.addresses[i],
		                 slots);
	if (!err && known.broken && !add_owners_gap(tables, known.broken))
		err = &etp_error_no_memory;
	free(known.addresses);
	if (err)
		etp_ets_tables_deinit(tables);
	return err;
}

void etp_ets_tables_deinit(struct etp_ets_tables *tables)
{
	for (size_t i = 0; i < tables->gap_count; i++)
		free(tables->gaps[i]);
	free(tables->gaps);
	free(tables->tables);
	*tables = (struct etp_ets_tables){0};
}

// The fixations are a red-black tree with pointers to the parent; we walk it with
// a stack, which a sound tree cannot overflow.
size_t etp_ets_fixations(const struct etp_vm *vm, struct etp_reader *reader,
                         const struct etp_ets_table *table, struct etp_ets_fixation *fixations,
                         size_t capacity)
{
	uint64_t stack[ETP_ETS_STACK_DEPTH];
	unsigned depth = 0;
	size_t count = 0;
	enum { FIXATIONS_MAX = 1 << 20 };
	if (table->fixing_procs)
		stack[depth++] = table->fixing_procs;
	while (depth && count < FIXATIONS_MAX) {
		uint64_t node = stack[--depth];
		uint64_t left, right, process, pid, n;
		if (!READ_WORD(vm, reader, node, DbFixation, left, &left) ||
		    !READ_WORD(vm, reader, node, DbFixation, right, &right) ||
		    !READ_WORD(vm, reader, node, DbFixation, p, &process) ||
		    !READ_WORD(vm, reader, node, DbFixation, counter, &n) ||
		    !READ_WORD(vm, reader, process, Process, id, &pid))
			continue;
		if (count < capacity)
			fixations[count] = (struct etp_ets_fixation){.pid = pid, .count = n};
		count++;
		if (left && depth < ETP_ETS_STACK_DEPTH)
			stack[depth++] = left;
		if (right && depth < ETP_ETS_STACK_DEPTH)
			stack[depth++] = right;
	}
	return count;
}
