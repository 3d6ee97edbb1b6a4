// SPDX-License-Identifier: Apache-2.0
#include "fuzz/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <etp/ets.h>
#include <etp/measure.h>
#include <etp/ports.h>
#include <etp/print.h>

#include "target/internal.h"
#include "term/compare.h"
#include "vm/code.h"

enum {
	// How far pointers are followed from what is known by name.
	LEVELS = 5,
	KINDS = 6 * LEVELS,
	// Words of memory that pointers of one kind lead to.
	PLACES_MAX = 1 << 16,
	// Words of one thing behind a pointer.
	THING_WORDS = 12,
	PATCHES_MAX = 64,
	DROPS_MAX = 4,
	PAGE_SIZE = 4096,
};

// Words of the memory that answers rest on, by what they belong to, and how many pointers
// lead there.
struct places {
	uint64_t *addresses;
	size_t count;
};

struct patch {
	unsigned char *where;
	uint64_t old;
};

static struct {
	struct image image;
	bool is_open;
	struct places places[KINDS];
	struct patch patches[PATCHES_MAX];
	size_t patch_count;
	struct {
		uint64_t start, end;
	} drops[DROPS_MAX];
	size_t drop_count;
	// The segments as they are, and with what was dropped.
	struct etp_segment *whole, *torn;
	size_t whole_count;
	unsigned char *scratch;
} state;

static void need(struct etp_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	if (!value) {
		fprintf(stderr, "%s is not set: start this by scripts/fuzz\n", name);
		exit(1);
	}
	return value;
}

static unsigned char *bytes_at(uint64_t address, uint64_t size)
{
	struct etp_segment segment;
	if (!etp_target_find_segment(state.image.target, address, &segment) ||
	    size > segment.size - (address - segment.start))
		return NULL;
	return (unsigned char *)segment.bytes + (address - segment.start);
}

static void add_places(struct places *places, uint64_t address, uint64_t words)
{
	for (uint64_t i = 0; i < words && places->count < PLACES_MAX; i++) {
		if (address % 8 == 0 && bytes_at(address + i * 8, 8))
			places->addresses[places->count++] = address + i * 8;
	}
}

static int compare_words(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

// What the words of `from` point to, each once. When there is more than there is room for,
// some of all.
static void follow(const struct places *from, struct places *to)
{
	uint64_t *found = calloc(from->count + 1, sizeof(*found));
	size_t count = 0, distinct = 0;
	for (size_t i = 0; i < from->count; i++) {
		uint64_t word = etp_word_at(bytes_at(from->addresses[i], 8), 0) & ~UINT64_C(7);
		if (word && bytes_at(word, 8))
			found[count++] = word;
	}
	qsort(found, count, sizeof(*found), compare_words);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || found[i] != found[i - 1])
			found[distinct++] = found[i];
	}
	size_t step = distinct * THING_WORDS / PLACES_MAX + 1;
	for (size_t i = 0; i < distinct; i += step)
		add_places(to, found[i], THING_WORDS);
	free(found);
}

static void put_word(uint64_t address, uint64_t word)
{
	unsigned char *bytes = bytes_at(address, 8);
	if (bytes)
		memcpy(bytes, &word, sizeof(word));
}

// Take large tables out of their lists, and most modules out of the census: thousands of rows
// of the same kind would only make each input slower.
static void leave_out(void)
{
	enum { ROWS_MAX = 40, MODULES_STEP = 8 };
	const struct etp_vm *vm = state.image.vm;
	struct etp_ets_tables tables;
	need(etp_ets_tables_init(&tables, vm));
	for (size_t i = 0; i < tables.count; i++) {
		uint64_t address = tables.tables[i].address, next, prev;
		if (tables.tables[i].size <= ROWS_MAX)
			continue;
		next = etp_word_at(bytes_at(address + OFFSET(vm, DbTable, all_next), 8), 0);
		prev = etp_word_at(bytes_at(address + OFFSET(vm, DbTable, all_prev), 8), 0);
		put_word(prev + OFFSET(vm, DbTable, all_next), next);
		put_word(next + OFFSET(vm, DbTable, all_prev), prev);
		for (uint64_t j = 0; j < vm->info.schedulers; j++) {
			uint64_t first = vm->scheduler_data + j * vm->scheduler_stride +
			                 OFFSET(vm, ErtsSchedulerData, ets_tables_clist);
			if (etp_word_at(bytes_at(first, 8), 0) == address)
				put_word(first, next);
		}
	}
	etp_ets_tables_deinit(&tables);
	size_t kept = 0;
	for (size_t i = 0; i < vm->code->count; i += MODULES_STEP)
		vm->code->modules[kept++] = vm->code->modules[i];
	vm->code->count = kept;
}

static void find_places(void)
{
	const struct etp_vm *vm = state.image.vm;
	for (size_t i = 0; i < KINDS; i++)
		state.places[i].addresses = calloc(PLACES_MAX, sizeof(uint64_t));
	struct places *globals = &state.places[0], *schedulers = &state.places[LEVELS];
	for (size_t i = 0; i < state.image.target->symbol_count; i++) {
		const struct etp_symbol *symbol = &state.image.target->symbols_by_name[i];
		if (!strncmp(symbol->name, "erts_", 5) && symbol->size >= 8)
			add_places(globals, symbol->address,
			           symbol->size < 256 ? symbol->size / 8 : 32);
	}
	for (uint64_t i = 0; i < vm->info.schedulers; i++)
		add_places(schedulers, vm->scheduler_data + i * vm->scheduler_stride,
		           vm->scheduler_stride / 8);
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(vm, &addresses, &pids);
	for (size_t i = 0; i < count; i++)
		add_places(&state.places[2 * LEVELS], addresses[i], SIZEOF(vm, Process) / 8);
	struct etp_ets_tables tables;
	need(etp_ets_tables_init(&tables, vm));
	for (size_t i = 0; i < tables.count; i++)
		add_places(&state.places[3 * LEVELS], tables.tables[i].address,
		           SIZEOF(vm, DbTableHash) / 8);
	etp_ets_tables_deinit(&tables);
	count = etp_vm_ports(vm, &addresses);
	for (size_t i = 0; i < count; i++)
		add_places(&state.places[4 * LEVELS], addresses[i], SIZEOF(vm, Port) / 8);
	add_places(&state.places[5 * LEVELS], vm->this_node, SIZEOF(vm, ErlNode) / 8);
	for (size_t i = 0; i < KINDS; i++) {
		if (i % LEVELS)
			follow(&state.places[i - 1], &state.places[i]);
	}
}

// The map of the core is private: what is written to it stays with us.
static void make_writable(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	for (size_t i = 0; i < state.whole_count; i++) {
		uintptr_t start = (uintptr_t)state.whole[i].bytes & ~(page - 1);
		uintptr_t end = (uintptr_t)state.whole[i].bytes + state.whole[i].size;
		if (mprotect((void *)start, end - start, PROT_READ | PROT_WRITE) != 0) {
			perror("mprotect");
			exit(1);
		}
	}
}

struct image *image_get(void)
{
	if (state.is_open)
		return &state.image;
	static const char *directories[2];
	directories[0] = environment("ETP_FUZZ_LAYOUTS");
	state.image.layout_options.directories = directories;
	state.image.layout_options.no_dwarf = true;
	const struct etp_core_options options = {
		.core = environment("ETP_FUZZ_CORE"),
		.executable = environment("ETP_FUZZ_EXECUTABLE"),
	};
	need(etp_target_open_core(&options, &state.image.target));
	struct etp_target *target = state.image.target;
	need(etp_vm_open(target, &state.image.layout_options, &state.image.vm));
	state.whole_count = target->segment_count;
	state.whole = target->segments;
	make_writable();
	leave_out();
	// One more for the scratch memory, and two for what each drop divides.
	state.torn = calloc(state.whole_count + 1 + 2 * DROPS_MAX, sizeof(*state.torn));
	find_places();
	image_scratch(NULL, 0);
	state.is_open = true;
	return &state.image;
}

// Set the target's segments to the scratch memory and what remains of the others.
static void set_segments(size_t scratch_size)
{
	size_t count = 0;
	state.torn[count++] = (struct etp_segment){IMAGE_SCRATCH, scratch_size, state.scratch};
	memcpy(state.torn + count, state.whole, state.whole_count * sizeof(*state.torn));
	count += state.whole_count;
	for (size_t i = 0; i < state.drop_count; i++) {
		uint64_t start = state.drops[i].start, end = state.drops[i].end;
		for (size_t j = 1; j < count; j++) {
			struct etp_segment *segment = &state.torn[j];
			uint64_t size = segment->size, behind = segment->start + size;
			if (start < segment->start || start >= behind)
				continue;
			segment->size = start - segment->start;
			if (end >= behind)
				break;
			memmove(segment + 2, segment + 1, (count - j - 1) * sizeof(*segment));
			segment[1] = (struct etp_segment){end, behind - end,
			                                  segment->bytes + (end - segment->start)};
			count++;
			break;
		}
	}
	struct etp_target *target = state.image.target;
	target->segments = state.torn;
	target->segment_count = count;
	// What was put together of several segments may have changed.
	etp_stitches_destroy(target->stitches);
	target->stitches = etp_stitches_create();
}

void image_scratch(const void *bytes, size_t size)
{
	free(state.scratch);
	// Of the exact size, so that AddressSanitizer notices a byte too far.
	state.scratch = malloc(size ? size : 1);
	if (size)
		memcpy(state.scratch, bytes, size);
	set_segments(size);
}

static uint64_t choose(uint8_t kind, uint64_t number)
{
	for (size_t i = 0; i < KINDS; i++) {
		const struct places *places = &state.places[(kind + i) % KINDS];
		if (places->count)
			return places->addresses[number % places->count];
	}
	abort();
}

static uint64_t changed(uint8_t how, uint64_t address, uint64_t old, uint8_t kind, uint64_t value)
{
	switch (how % 8) {
	case 0:
		return value;
	case 1:
		return old ^ value;
	case 2:
		return old ^ UINT64_C(1) << value % 64;
	case 3:
		// To something else of the same kind, or of any, with the same tag.
		return choose(kind, value) | (old & 7);
	case 4:
		return choose((uint8_t)value, value >> 8) | (old & 7);
	case 5:
		return etp_word_at(bytes_at(choose(kind, value), 8), 0);
	case 6:
		// Back to where it stands, or near.
		return address + (value % 8) * 8 | (old & 7);
	default:
		return old + (value % 64 - 32) * 8;
	}
}

void image_damage(const uint8_t *data, size_t size)
{
	enum { RECORD = 13, DROP = 31 };
	for (; size >= RECORD && state.patch_count < PATCHES_MAX; size -= RECORD, data += RECORD) {
		uint32_t number;
		uint64_t value;
		memcpy(&number, data + 1, sizeof(number));
		memcpy(&value, data + 5, sizeof(value));
		uint8_t kind = (uint8_t)(number >> 24);
		uint64_t address = choose(kind, number & 0xffffff);
		if (data[0] % 32 == DROP && state.drop_count < DROPS_MAX) {
			uint64_t start = address & -(uint64_t)(value & 1 ? PAGE_SIZE : 8);
			state.drops[state.drop_count].start = start;
			state.drops[state.drop_count++].end =
				start + (value & 1 ? PAGE_SIZE : 8) * (1 + (value >> 8) % 64);
			continue;
		}
		struct patch *patch = &state.patches[state.patch_count++];
		patch->where = bytes_at(address, 8);
		patch->old = etp_word_at(patch->where, 0);
		uint64_t word = changed(data[0], address, patch->old, kind, value);
		memcpy(patch->where, &word, sizeof(word));
	}
	set_segments(state.torn[0].size);
}

void image_repair(void)
{
	while (state.patch_count > 0) {
		const struct patch *patch = &state.patches[--state.patch_count];
		memcpy(patch->where, &patch->old, sizeof(patch->old));
	}
	state.drop_count = 0;
	set_segments(state.torn[0].size);
}

struct etp_target *image_target(void)
{
	const struct etp_target *target = state.image.target;
	struct etp_memory *blocks = calloc(target->segment_count, sizeof(*blocks));
	struct etp_memory_symbol *symbols = calloc(target->symbol_count, sizeof(*symbols));
	struct etp_target *copy;
	for (size_t i = 0; i < target->segment_count; i++)
		blocks[i] = (struct etp_memory){target->segments[i].start, target->segments[i].size,
		                                target->segments[i].bytes};
	for (size_t i = 0; i < target->symbol_count; i++) {
		const struct etp_symbol *symbol = &target->symbols_by_name[i];
		symbols[i] =
			(struct etp_memory_symbol){symbol->name, symbol->address, symbol->size};
	}
	need(etp_target_create_memory(blocks, target->segment_count, symbols, target->symbol_count,
	                              &copy));
	copy->info.machine = target->info.machine;
	copy->info.executable_build_id = target->info.executable_build_id;
	copy->info.executable_start = target->info.executable_start;
	copy->info.executable_end = target->info.executable_end;
	free(blocks);
	free(symbols);
	return copy;
}

void image_forgive(struct etp_error *err)
{
	if (!err)
		return;
	if (strlen(err->message) < 3)
		abort();
	etp_error_destroy(err);
}

void image_look_at(struct etp_reader *reader, etp_term term)
{
	static const enum etp_syntax syntaxes[] = {ETP_SYNTAX_ERLANG_WRITE,
	                                           ETP_SYNTAX_ERLANG_PRETTY, ETP_SYNTAX_ELIXIR};
	const struct etp_vm *vm = state.image.vm;
	// Two of eight ways to print it, always the same for the same term.
	for (unsigned i = term >> 3 & 3; i < 8; i += 4) {
		struct etp_print_options options;
		struct etp_string text = {0};
		etp_print_options_init(&options, syntaxes[i % 3]);
		options.max_bytes = 1 << 14;
		options.width = i % 2 ? 40 : 0;
		options.unicode = i > 3;
		options.redact = i > 5;
		options.max_depth = i < 3 ? 10 : 0;
		options.max_length = i < 3 ? 20 : 0;
		image_forgive(etp_print_term(vm, reader, term, &options, &text));
		etp_string_deinit(&text);
	}
	bool equal;
	struct etp_tally tally;
	image_forgive(etp_term_equal(vm, reader, term, reader, term, &equal));
	etp_term_hash(vm, reader, term);
	image_forgive(etp_map_tally(vm, reader, term, &tally));
}

void image_file(const void *bytes, size_t size, char *path)
{
	static int file = -1;
	if (file < 0)
		file = memfd_create("fuzz", 0);
	if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, bytes, size, 0) != (ssize_t)size) {
		perror("memfd");
		exit(1);
	}
	snprintf(path, 32, "/proc/self/fd/%d", file);
}
