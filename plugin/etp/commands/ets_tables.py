# SPDX-License-Identifier: Apache-2.0
"""etp-ets-tables: all ETS tables."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..ets import EtsTable
    from ..views import Table
    from .context import Context

TYPES = ("set", "ordered_set", "bag", "duplicate_bag")

COLUMNS = (
    Column("id", "reference, or the name of a named table, as the VM prints it", rank=7),
    Column("name", "name of the table", flexible=20),
    Column("type", "set, ordered_set, bag or duplicate_bag", rank=1),
    Column("protection", "public, protected or private", rank=4),
    Column("owner", "pid of the owner, and its registered name or initial call", flexible=24),
    Column("heir", "pid that inherits the table", rank=6),
    Column("size", "rows", kind="count"),
    Column(
        "memory",
        "what ets:info/2 says: without off-heap binaries",
        kind="bytes",
        key="memory_bytes",
    ),
    Column("options", "options of ets:new/2 that are not the default", rank=5, flexible=14),
    Column("state", "fixed, resizing, being deleted", rank=3, flexible=8),
    Column("address", "address of the DbTable", kind="address", hidden=True),
)


def run(context: Context, args: Namespace) -> Table:
    from ..views import Table

    tables = context.vm.ets_tables
    chosen = [table for table in tables if _wanted(table, args)]
    view = Table(
        COLUMNS,
        [row(table) for table in chosen],
        warnings=list(tables.gaps),
        noun="tables",
    )
    total = sum(table.memory_bytes for table in chosen)
    view.facts["memory_bytes"] = total
    view.notes.append(_summary(chosen, total))
    damaged = [table for table in chosen if table.problem]
    view.warnings += [f"Table {table.label}: {table.problem}" for table in damaged]
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _wanted(table: EtsTable, args: Namespace) -> bool:
    from fnmatch import fnmatchcase

    from ..ets import table_names

    if args.type and table.type != args.type:
        return False
    if args.name and not any(fnmatchcase(table.name, name) for name in table_names(args.name)):
        return False
    if args.owner:
        wanted = args.owner.replace("#PID", "")
        process = table.vm.process(table.owner) if table.owner_alive else None
        labels = [str(table.owner), table.owner_label]
        if process:
            labels += [process.name or "", process.initial_call_text]
        return any(fnmatchcase(label, wanted) for label in labels)
    return True


def row(table: EtsTable) -> dict[str, object]:
    process = table.vm.process(table.owner) if table.owner_alive else None
    return {
        "id": str(table.id),
        "ref": str(table.ref),
        "name": table.name,
        "type": table.type,
        "protection": table.protection,
        "owner": f"{table.owner} {table.owner_label}".strip(),
        "owner_pid": str(table.owner),
        "owner_alive": table.owner_alive,
        "owner_name": process.name if process else None,
        "owner_initial_call": process.initial_call_text if process else None,
        "heir": str(table.heir) if table.heir is not None else None,
        "size": table.size,
        "memory_bytes": table.memory_bytes,
        "memory_words": table.memory_words,
        "options": table.options,
        "state": table.states,
        "keypos": table.keypos,
        "named_table": table.named,
        "compressed": table.compressed,
        "read_concurrency": table.read_concurrency,
        "write_concurrency": table.write_concurrency,
        "decentralized_counters": table.decentralized_counters,
        "fixed": table.fixed,
        "address": f"{table.address:#x}",
    }


def _summary(tables: list[EtsTable], total: int) -> str:
    from ..text import plural
    from ..units import format_bytes, format_words

    rows = plural(sum(table.size for table in tables), "row")
    return (
        f"{plural(len(tables), 'table')}, {rows}, {format_bytes(total)}"
        f" ({format_words(total // 8)}) without off-heap binaries; etp-ets-leaks counts those."
    )


def complete_names(context: Context) -> list[str]:
    return context.vm.ets_tables.names()


def complete_owners(context: Context) -> list[str]:
    return sorted({table.owner_label for table in context.vm.ets_tables} - {"", "dead"})


COMMAND = Command(
    name="etp-ets-tables",
    summary="List the ETS tables with what ets:info/1 says of each.",
    description="""
    All tables of the VM, those that are being deleted and CA trees included. Values are those of
    ets:info/1, to the word with --units words. A column that no table has anything for is left out.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "--name",
            help="only tables of this name; * and ? stand for any characters",
            complete=complete_names,
        ),
        Argument(
            "--owner",
            help="only tables of this owner: pid, registered name or initial call, * and ? as above",
            complete=complete_owners,
        ),
        Argument("--type", help="only tables of this type", choices=TYPES),
        *table_arguments(COLUMNS, "memory", 50, "tables"),
    ),
    examples=(
        ("etp-ets-tables --sort size --limit 10", "the ten tables with most rows"),
        ("etp-ets-tables --owner 'rabbit*' --columns name,size,memory", "those of RabbitMQ"),
    ),
)
