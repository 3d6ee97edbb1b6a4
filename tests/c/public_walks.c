// SPDX-License-Identifier: Apache-2.0
// Another program of somebody else's, which walks what the Python binding has no need to walk by
// itself. Prints a line for each thing that it meets:
//
//   public_walks CORE EXECUTABLE LAYOUT_DIRECTORY

#include <inttypes.h>
#include <stdio.h>

#include <etp/dist_entry.h>
#include <etp/dist_external.h>
#include <etp/links.h>
#include <etp/persistent_term.h>
#include <etp/print.h>
#include <etp/process.h>
#include <etp/reader.h>
#include <etp/signal_queue.h>
#include <etp/timers.h>
#include <etp/vm.h>

static const struct etp_vm *vm;
static struct etp_reader reader;

static int fail(struct etp_error *err)
{
	fprintf(stderr, "%s\n", err->message);
	etp_error_destroy(err);
	return 1;
}

static void print(const char *before, etp_term term, const char *after)
{
	struct etp_print_options options;
	struct etp_string text = {0};
	etp_print_options_init(&options, ETP_SYNTAX_ERLANG_WRITE);
	struct etp_error *err = etp_print_term(vm, &reader, term, &options, &text);
	printf("%s%s%s", before, err ? err->message : text.data, after);
	etp_error_destroy(err);
	etp_string_deinit(&text);
}

static void walk_external(uint64_t address)
{
	struct etp_dist_external external;
	uint64_t bytes = 0;
	if (!etp_dist_external_read(vm, &reader, address, &external))
		return;
	for (uint64_t i = 0; i < external.fragment_count; i++) {
		struct etp_dist_fragment fragment;
		if (etp_dist_external_fragment(vm, &reader, &external, i, &fragment))
			bytes += fragment.end - fragment.start;
	}
	print("external ", external.node, " ");
	printf("%" PRIu64 " fragments %" PRIu64 " bytes %s\n", external.fragment_count, bytes,
	       bytes == external.bytes ? "all" : "not all");
}

static void walk_process(uint64_t address, etp_term pid)
{
	enum etp_process_status status;
	print("process ", pid, "");
	if (etp_process_status(vm, &reader, address, &status))
		printf(" %s", etp_process_status_name(status));

	struct etp_monitor_iter iter;
	struct etp_monitor monitor, same;
	unsigned origins = 0, targets = 0;
	etp_monitor_iter_init(&iter, vm, &reader, address);
	while (etp_monitor_iter_next(&iter, &monitor)) {
		if (!etp_monitor_read(vm, &reader, monitor.address, &same))
			continue;
		origins += etp_monitor_is_origin_listed(&same);
		targets += etp_monitor_is_target_listed(&same);
	}
	printf(" monitors %u monitored_by %u\n", origins, targets);

	struct etp_signal_iter signals;
	struct etp_signal signal;
	etp_signal_iter_init(&signals, vm, &reader, address);
	while (etp_signal_iter_next(&signals, &signal))
		if (signal.external)
			walk_external(signal.external);
}

static void walk_connections(void)
{
	struct etp_dist_entry_iter entries;
	uint64_t address;
	etp_dist_entry_iter_init(&entries, vm, &reader);
	while (etp_dist_entry_iter_next(&entries, &address)) {
		struct etp_dist_entry entry;
		struct etp_error *err = etp_dist_entry_read(vm, &reader, address, &entry);
		if (err) {
			fail(err);
			continue;
		}
		struct etp_link_iter links;
		struct etp_link link;
		etp_link_iter_init_dist(&links, vm, &reader, address);
		while (etp_link_iter_next(&links, &link)) {
			print("link ", entry.node, "");
			print(" ", link.other, "\n");
		}
		struct etp_monitor_iter monitors;
		struct etp_monitor monitor;
		etp_monitor_iter_init_dist(&monitors, vm, &reader, address);
		while (etp_monitor_iter_next(&monitors, &monitor)) {
			print(monitor.is_target ? "monitor " : "monitored ", entry.node, "");
			print(" ", monitor.other, "\n");
		}
	}
}

static struct etp_error *walk_persistent_terms(void)
{
	struct etp_persistent_terms terms;
	struct etp_error *err = etp_persistent_terms_init(&terms, vm);
	if (err)
		return err;
	for (size_t i = 0; i < terms.count; i++)
		print("persistent_term ", terms.terms[i].key, "\n");
	etp_persistent_terms_deinit(&terms);
	return NULL;
}

static void walk_timers(void)
{
	struct etp_timer_iter iter;
	struct etp_timer timer;
	etp_timer_iter_init(&iter, vm, &reader);
	while (etp_timer_iter_next(&iter, &timer)) {
		if (!timer.has_ref)
			continue;
		printf("timer %s", etp_timer_kind_name(timer.kind));
		print(" ", timer.receiver, "");
		print(" ", timer.message, "\n");
	}
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	struct etp_core_options core = {.core = argv[1], .executable = argv[2]};
	const char *const directories[] = {argv[3], NULL};
	struct etp_layout_options layout = {.directories = directories};
	struct etp_target *target;
	struct etp_vm *opened;
	struct etp_error *err = etp_target_open_core(&core, &target);
	if (err)
		return fail(err);
	err = etp_vm_open(target, &layout, &opened);
	if (err) {
		etp_target_destroy(target);
		return fail(err);
	}
	vm = opened;
	etp_reader_init(&reader, etp_vm_target(vm));
	for (int i = 0; i < ETP_STRUCT_COUNT; i++)
		printf("struct %s\n", etp_struct_name(i));
	for (int i = 0; i < ETP_MEMBER_COUNT; i++)
		printf("member %s\n", etp_member_name(i));
	const uint64_t *processes;
	const etp_term *pids;
	size_t count = etp_vm_processes(vm, &processes, &pids);
	for (size_t i = 0; i < count; i++)
		walk_process(processes[i], pids[i]);
	walk_connections();
	walk_timers();
	err = walk_persistent_terms();
	etp_vm_close(opened);
	return err ? fail(err) : 0;
}
