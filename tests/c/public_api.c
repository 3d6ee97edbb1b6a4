// SPDX-License-Identifier: Apache-2.0
// A program of somebody else's: built from the public headers and the shared library
// alone. Prints each table's name and size, and the first row of the table named.
//
//   public_api CORE EXECUTABLE LAYOUT_DIRECTORY TABLE

#include <stdio.h>

#include <etp/census.h>
#include <etp/ets.h>
#include <etp/print.h>
#include <etp/reader.h>
#include <etp/vm.h>

static int fail(struct etp_error *err)
{
	fprintf(stderr, "%s\n", err->message);
	etp_error_destroy(err);
	return 1;
}

static struct etp_error *print_row(const struct etp_vm *vm, struct etp_reader *reader,
                                   const struct etp_ets_table *table)
{
	struct etp_ets_iter iter;
	struct etp_ets_row row;
	struct etp_print_options options;
	struct etp_string text = {0};
	const struct etp_layout *layout = etp_vm_layout(vm);
	etp_print_options_init(&options, ETP_SYNTAX_ERLANG_WRITE);
	etp_ets_iter_init(&iter, vm, reader, table);
	if (!etp_ets_iter_next(&iter, &row))
		return NULL;
	// A boxed pointer to the tuple that the object begins with.
	etp_term term = (row.dbterm + layout->members[ETP_MEMBER_DbTerm_tpl].offset) | 2;
	struct etp_error *err = etp_print_term(vm, reader, term, &options, &text);
	if (!err)
		printf("row %s\n", text.data);
	etp_string_deinit(&text);
	return err;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	struct etp_core_options core = {.core = argv[1], .executable = argv[2]};
	const char *const directories[] = {argv[3], NULL};
	struct etp_layout_options layout = {.directories = directories};
	struct etp_target *target;
	struct etp_vm *vm;
	struct etp_error *err = etp_target_open_core(&core, &target);
	if (err)
		return fail(err);
	err = etp_vm_open(target, &layout, &vm);
	if (err) {
		etp_target_destroy(target);
		return fail(err);
	}
	struct etp_reader reader;
	struct etp_ets_tables tables;
	etp_reader_init(&reader, etp_vm_target(vm));
	err = etp_ets_tables_init(&tables, vm);
	for (size_t i = 0; !err && i < tables.count; i++) {
		size_t size;
		const char *name = etp_vm_atom(vm, &reader, tables.tables[i].name >> 6, &size);
		printf("table %.*s %lld\n", (int)size, name, (long long)tables.tables[i].size);
		if (etp_vm_is_atom(vm, &reader, tables.tables[i].name, argv[4]))
			err = print_row(vm, &reader, &tables.tables[i]);
	}
	if (!err)
		etp_ets_tables_deinit(&tables);
	etp_vm_close(vm);
	return err ? fail(err) : 0;
}
