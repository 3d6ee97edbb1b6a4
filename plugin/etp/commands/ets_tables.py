# SPDX-License-Identifier: Apache-2.0
"""etp-ets-tables: all ETS tables."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

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

BINARY_COLUMNS = (
    Column("binaries", "distinct refc binaries that the rows refer to", kind="count", rank=1),
    Column("binary-bytes", "their sizes", kind="bytes", key="binary_bytes"),
    Column("visible", "of these, what the rows can see", kind="bytes", key="visible_bytes", rank=3),
    Column("unseen", "the difference", kind="bytes", key="unseen_bytes"),
    Column("own", "binaries that nobody but this table refers to", kind="count", rank=2),
    Column("own-unseen", "what copying frees", kind="bytes", key="own_unseen_bytes"),
    Column("shared", "binaries that something else refers to as well", kind="count", rank=2),
)
"""With --binaries."""

GIVE_WAY = ("id", "type", "protection", "owner", "heir", "options", "state")
"""Columns that make room for these."""


def run(context: Context, args: Namespace) -> Table:
    from ..views import Table

    tables = context.vm.ets_tables
    chosen = [table for table in tables if _wanted(table, args)]
    rows = [row(table) for table in chosen]
    columns: tuple[Column, ...] = COLUMNS
    warnings = [*tables.gaps, *_unnamed(tables, args)]
    if args.binaries or _asks_for_binaries(args):
        warnings += _add_binaries(context, chosen, rows)
        columns = tuple(
            c for c in COLUMNS if c.name not in GIVE_WAY or args.columns or c.name == args.sort
        )
        columns += BINARY_COLUMNS
    view = Table(columns, rows, warnings=warnings, noun="tables")
    total = sum(table.memory_bytes for table in chosen)
    view.facts["memory_bytes"] = total
    view.notes.append(_summary(chosen, total))
    damaged = [table for table in chosen if table.problem]
    view.warnings += [f"Table {table.label}: {table.problem}" for table in damaged]
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _asks_for_binaries(args: Namespace) -> bool:
    wanted = {args.sort, *(args.columns or "").replace(" ", "").split(",")}
    return not wanted.isdisjoint(column.name for column in BINARY_COLUMNS)


def _add_binaries(
    context: Context, tables: list[EtsTable], rows: list[dict[str, object]]
) -> list[str]:
    """Put what the rows hold into ``rows``; returns what must be said of it."""
    from ..text import plural

    with context.progress("Looking for binaries in tables") as progress:
        scan = context.vm.scan_ets(tables, progress)
    unreadable = 0
    for table, values in zip(tables, rows):
        found = scan.tables[table.address]
        unreadable += found.unreadable
        values.update(
            binaries=found.binaries,
            binary_refs=found.binary_refs,
            binary_bytes=found.binary_bytes,
            visible_bytes=found.visible_bytes,
            unseen_bytes=found.unseen_bytes,
            own=found.own_binaries,
            own_bytes=found.own_bytes,
            own_unseen_bytes=found.own_unseen_bytes,
            shared=found.binaries - found.own_binaries,
        )
    warnings = []
    if not scan.complete:
        warnings.append("Interrupted: binaries of the rows seen until then.")
    if unreadable:
        what = plural(unreadable, "row or chain of rows", "rows or chains of rows")
        warnings.append(f"{what} could not be read; their binaries are not counted.")
    return warnings


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


def _unnamed(tables: Sequence[EtsTable], args: Namespace) -> list[str]:
    """What may be missing among those of one name or owner."""
    from ..text import is_unreadable, plural

    names = sum(is_unreadable(table.name) for table in tables if args.name)
    owners = sum(is_unreadable(table.owner_label) for table in tables if args.owner)
    return [
        f"{plural(count, 'table')} of unknown {what} may be among the wanted."
        for count, what in ((names, "name"), (owners, "owner"))
        if count
    ]


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
    columns=COLUMNS + BINARY_COLUMNS,
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
        Argument(
            "--binaries",
            help="count the off-heap binaries that each table's rows hold",
            kind="flag",
        ),
        *table_arguments(COLUMNS + BINARY_COLUMNS, "memory", 50, "tables"),
    ),
    examples=(
        ("etp-ets-tables --sort size --limit 10", "the ten tables with most rows"),
        ("etp-ets-tables --sort unseen", "those that keep most bytes that they cannot see"),
        ("etp-ets-tables --owner 'rabbit*' --columns name,size,memory", "those of RabbitMQ"),
    ),
)
