// SPDX-License-Identifier: Apache-2.0
#include <etp/heap.h>
#include <etp/measure.h>

#include "analysis/mark.h"
#include "term/scheme.h"

static struct etp_error *measure(const struct etp_vm *vm, struct etp_reader *reader,
                                 const struct process_heap *heap, etp_term term,
                                 struct etp_measure *ret)
{
	struct marker marker;
	struct binary_map binaries;
	marker_init(&marker, vm, reader);
	binary_map_init(&binaries);
	bool ok = marker_measure(&marker, heap, term, &binaries);
	if (ok) {
		*ret = (struct etp_measure){
			.words = marker.live_words,
			.binaries = binaries.count,
			.unreadable = marker.unreadable + heap->unreadable,
		};
		for (size_t i = 0; i < binaries.count; i++)
			ret->binary_bytes += binary_map_at(&binaries, i)->size;
	}
	binary_map_deinit(&binaries);
	marker_deinit(&marker);
	return ok ? NULL : &etp_error_no_memory;
}

struct etp_error *etp_measure_in_process(const struct etp_vm *vm, struct etp_reader *reader,
                                         uint64_t process, etp_term term, struct etp_measure *ret)
{
	struct process_heap heap;
	process_heap_init(&heap);
	struct etp_error *err = process_heap_load(&heap, vm, reader, process)
	                                ? measure(vm, reader, &heap, term, ret)
	                                : &etp_error_no_memory;
	process_heap_deinit(&heap);
	return err;
}

// Measures terms of one process one after the other.
struct scale {
	struct process_heap heap;
	struct marker marker;
	struct binary_map binaries;
};

static bool scale_init(struct scale *scale, const struct etp_vm *vm, struct etp_reader *reader,
                       uint64_t process)
{
	process_heap_init(&scale->heap);
	marker_init(&scale->marker, vm, reader);
	binary_map_init(&scale->binaries);
	return process_heap_load(&scale->heap, vm, reader, process) &&
	       marker_measure(&scale->marker, &scale->heap, ETP_NIL, &scale->binaries);
}

static void scale_deinit(struct scale *scale)
{
	binary_map_deinit(&scale->binaries);
	marker_deinit(&scale->marker);
	process_heap_deinit(&scale->heap);
}

static bool weigh(struct scale *scale, etp_term term, uint64_t *words_ret)
{
	uint64_t before = scale->marker.live_words;
	if (!marker_measure_more(&scale->marker, term))
		return false;
	*words_ret = scale->marker.live_words - before;
	return true;
}

struct etp_error *etp_measure_each(const struct etp_vm *vm, struct etp_reader *reader,
                                   uint64_t process, const etp_term *terms, size_t count,
                                   uint64_t *words)
{
	struct scale scale;
	bool ok = scale_init(&scale, vm, reader, process);
	for (size_t i = 0; ok && i < count; i++)
		ok = weigh(&scale, terms[i], &words[i]);
	scale_deinit(&scale);
	return ok ? NULL : &etp_error_no_memory;
}

struct etp_error *etp_measure_slots(const struct etp_vm *vm, struct etp_reader *reader,
                                    uint64_t process, uint64_t address, uint64_t count,
                                    struct etp_heap_largest *largest)
{
	struct scale scale;
	bool ok = scale_init(&scale, vm, reader, process);
	for (uint64_t i = 0; ok && i < count; i++) {
		struct etp_heap_thing thing = {.address = address + i * 8};
		if (!etp_read_u64(reader, thing.address, &thing.term))
			break;
		ok = weigh(&scale, thing.term, &thing.words) &&
		     (!thing.words || etp_heap_largest_put(largest, &thing));
	}
	scale_deinit(&scale);
	return ok ? NULL : &etp_error_no_memory;
}

struct etp_error *etp_measure_in_words(const struct etp_vm *vm, struct etp_reader *reader,
                                       const struct etp_path_words *words, size_t count,
                                       etp_term term, struct etp_measure *ret)
{
	struct process_heap heap;
	process_heap_init(&heap);
	struct etp_error *err = process_heap_set_words(&heap, reader, words, count)
	                                ? measure(vm, reader, &heap, term, ret)
	                                : &etp_error_no_memory;
	process_heap_deinit(&heap);
	return err;
}

// Arity and tag of a value: all that is no tuple is one kind.
static struct etp_tally_kind kind_of(const struct etp_vm *vm, struct etp_reader *reader,
                                     etp_term value)
{
	struct etp_tally_kind kind = {.sample = value, .count = 1};
	struct etp_term_view view;
	if (etp_term_decode(vm, reader, value, &view) == ETP_TERM_TUPLE && view.tuple.arity) {
		etp_term first = etp_word_at(view.tuple.elements, 0);
		kind.arity = view.tuple.arity;
		kind.tag = term_is_atom(first) ? first : 0;
	}
	return kind;
}

static void add(struct etp_tally *tally, const struct etp_tally_kind *kind)
{
	for (size_t i = 0; i < tally->kind_count; i++) {
		struct etp_tally_kind *known = &tally->kinds[i];
		if (known->tag == kind->tag && known->arity == kind->arity) {
			known->count++;
			return;
		}
	}
	if (tally->kind_count < ETP_TALLY_KINDS_MAX)
		tally->kinds[tally->kind_count++] = *kind;
	else
		tally->others++;
}

struct etp_error *etp_map_tally(const struct etp_vm *vm, struct etp_reader *reader, etp_term map,
                                struct etp_tally *ret)
{
	struct etp_term_view view;
	struct etp_tally tally = {0};
	switch (etp_term_decode(vm, reader, map, &view)) {
	case ETP_TERM_FLATMAP:
		tally.size = view.flatmap.size;
		break;
	case ETP_TERM_HASHMAP:
		tally.size = view.hashmap.size;
		break;
	default:
		return etp_error_create(ETP_ERROR_ARGUMENT, "the term is no map");
	}
	struct etp_map_iter iter;
	etp_term key, value;
	etp_map_iter_init(&iter, vm, reader, &view, ETP_MAP_ORDER_ITERATOR);
	while (etp_map_iter_next(&iter, &key, &value)) {
		struct etp_tally_kind kind = kind_of(vm, reader, value);
		add(&tally, &kind);
		tally.found++;
	}
	*ret = tally;
	return NULL;
}
