# SPDX-License-Identifier: Apache-2.0
"""etp-processes: all processes."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments
from .process_groups import GROUPS
from .stacktrace import complete_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..processes import Row, Rows
    from ..views import RecordRows, Table, Texts
    from .context import Context

STATUSES = (
    "exiting",
    "garbage_collecting",
    "runnable",
    "running",
    "suspended",
    "waiting",
    "unknown",
)

COLUMNS = (
    Column("pid", "as the VM prints it"),
    Column("name", "registered name", flexible=10),
    Column("initial", "initial call, that of proc_lib where there is one", rank=3, flexible=16),
    Column("function", "current function", rank=2, flexible=16),
    Column("status", "as process_info(Pid, status)", rank=1),
    Column("msgq", "message queue length", kind="count", key="message_queue_len"),
    Column("transit", "of these, in transit", kind="count", key="in_transit", rank=7),
    Column("memory", "process_info(Pid, memory): without off-heap binaries", kind="bytes"),
    Column("heap", "total heap size", kind="bytes", key="total_heap_bytes", rank=5),
    Column("stack", "size of the stack", kind="bytes", key="stack_bytes", rank=6),
    Column("reductions", "up to the last time that it was scheduled out", kind="count", rank=4),
    Column("links", "number of links", kind="count", rank=8),
    Column("monitors", "number of monitors that it has", kind="count", rank=9),
    Column("place", "file and line of the current function", hidden=True),
    Column("address", "address of the Process", kind="address", hidden=True),
)

NUMBERS = {
    "msgq": "message_queue_len",
    "transit": "in_transit",
    "memory": "memory",
    "heap": "total_heap_size",
    "stack": "stack_size",
    "reductions": "reductions",
    "links": "links",
    "monitors": "monitors",
}
"""Fields of a row by the column that shows them."""


def run(context: Context, args: Namespace) -> Table:
    from .. import code, processes
    from ..views import Table

    rows = processes.rows(context.vm)
    chosen = _chosen(rows, args)
    warnings = _warnings(chosen) + code.gaps(context.vm) + (_unnamed(rows) if args.name else [])
    if args.group:
        return _grouped(context, chosen, args, warnings)
    order = _order(context, chosen, args.sort)
    if args.reverse:
        order.reverse()
    shown = chosen.pick(order[: args.limit] if args.limit else order)
    view = Table(COLUMNS, _table_rows(context, shown), noun="processes", warnings=warnings)
    view.notes.append(_summary(chosen))
    view.facts["memory"] = sum(chosen.values("memory"))
    view.total = len(chosen) if len(shown) < len(chosen) else None
    return view.arrange(columns=args.columns, units=args.units)


def _grouped(context: Context, rows: Rows, args: Namespace, warnings: list[str]) -> Table:
    from .process_groups import grouped

    view = grouped(rows, args.group, _values(context, rows, args.group), args)
    view.warnings += warnings
    view.notes.append(_summary(rows))
    return view


def _chosen(rows: Rows, args: Namespace) -> Rows:
    from fnmatch import fnmatchcase

    indexes = [*range(len(rows))]
    if args.status:
        indexes = [i for i, status in enumerate(rows.values("status")) if status == args.status]
    elif not args.name:
        return rows
    if args.name:
        wanted = args.name.replace("#PID", "")
        indexes = [i for i in indexes if any(fnmatchcase(t, wanted) for t in _names(rows[i]))]
    return rows.pick(indexes)


def _names(row: Row) -> tuple[str, str, str]:
    return str(row.pid), row.name or "", row.call_text


def _unnamed(rows: Rows) -> list[str]:
    """What may be missing among those of one name."""
    from ..text import is_unreadable, plural

    unread = sum(
        is_unreadable(f"{row.name} {row.call_text}")
        or not {"registered_name", "initial_call"}.isdisjoint(row.unknown)
        for row in rows
    )
    if not unread:
        return []
    return [f"{plural(unread, 'process', 'processes')} of unknown name may be among the wanted."]


def _order(context: Context, rows: Rows, column: str) -> list[int]:
    """Indexes of rows as they are listed: by a number the largest first."""
    from ..views import ranked

    indexes = range(len(rows))
    if column in NUMBERS:
        return sorted(indexes, key=rows.values(NUMBERS[column]).__getitem__, reverse=True)
    if column in ("pid", "address"):
        values = [
            f"{value:#x}" if column == "address" else str(value) for value in rows.values(column)
        ]
    else:
        values = _values(context, rows, column)
    return ranked(indexes, values.__getitem__)


def _table_rows(context: Context, rows: Rows) -> RecordRows:
    from ..units import WORD
    from ..views import Numbers, RecordRows, SharedTexts

    places = _places(context, rows)

    def make(start: int, stop: int) -> list[dict[str, object]]:
        return [
            {**_row(rows[i]), **{key: places[key].of(i) for key in places}}
            for i in range(start, stop)
        ]

    return RecordRows(
        rows.native,
        make,
        {
            "pid": Numbers("pid"),
            "name": SharedTexts("name"),
            "initial": SharedTexts("call_text"),
            "status": SharedTexts("status"),
            "message_queue_len": Numbers("message_queue_len"),
            "in_transit": Numbers("in_transit", omits_zero=True),
            "memory": Numbers("memory"),
            "total_heap_bytes": Numbers("total_heap_size", WORD),
            "stack_bytes": Numbers("stack_size", WORD),
            "reductions": Numbers("reductions"),
            "links": Numbers("links"),
            "monitors": Numbers("monitors"),
            "address": Numbers("address"),
            **places,
        },
    )


def _row(row: Row) -> dict[str, object]:
    return {
        "pid": str(row.pid),
        "name": row.name,
        "initial": row.call_text,
        "status": row.status,
        "message_queue_len": row.message_queue_len,
        "in_transit": row.in_transit or None,
        "memory": row.memory,
        "total_heap_bytes": row.total_heap_size * 8,
        "stack_bytes": row.stack_size * 8,
        "reductions": row.reductions,
        "links": row.links,
        "monitors": row.monitors,
        "total_heap_size": row.total_heap_size,
        "heap_size": row.heap_size,
        "stack_size": row.stack_size,
        "hibernated": row.is_hibernated,
        "unknown": row.unknown,
        "uncertain": row.uncertain,
        "address": f"{row.address:#x}",
    }


def _values(context: Context, rows: Rows, column: str) -> list[Any]:
    """What each row shows in a column of names."""
    if column in ("function", "place"):
        places = _places(context, rows)[column]
        return [places.values[number] for number in memoryview(places.numbers).cast("I")]
    return rows.values({"initial": "call_text"}.get(column, column))


def _places(context: Context, rows: Rows) -> dict[str, Texts]:
    """Function and place: worked out for what is shown only, unless they are to be sorted by."""
    from array import array

    from ..code import current_places
    from ..views import Texts

    syntax = str(context.settings.get("syntax"))
    # Most processes are at few places, each of which is one object.
    found = current_places(context.vm, rows.values("address"))
    distinct = {id(place): place for place in found}
    number = {key: i for i, key in enumerate(distinct)}
    numbers = array("I", [number[id(place)] for place in found]).tobytes()
    functions = [function.name(syntax) if function else None for function, _ in distinct.values()]
    places = [location.place if location else None for _, location in distinct.values()]
    return {"function": Texts(numbers, functions), "place": Texts(numbers, places)}


def _summary(rows: Rows) -> str:
    from collections import Counter

    from ..text import plural
    from ..units import format_bytes
    from .process_groups import swarms

    counts = Counter(rows.values("status"))
    hibernated = sum(rows.values("is_hibernated"))
    statuses = [f"{count:,} {status}" for status, count in counts.most_common()]
    if hibernated:
        statuses.append(f"{hibernated:,} hibernated")
    text = f"{plural(len(rows), 'process', 'processes')}"
    text += f" ({', '.join(statuses)})" if statuses else ""
    text += f", {format_bytes(sum(rows.values('memory')))} without off-heap binaries"
    waiting = sum(rows.values("message_queue_len"))
    if waiting:
        text += f", {plural(waiting, 'message')} in mailboxes"
        transit = sum(rows.values("in_transit"))
        text += f", {transit:,} of them in transit" if transit else ""
    return f"{text}.{swarms(rows)}"


def _warnings(rows: Rows) -> list[str]:
    from ..processes import unread
    from ..text import plural

    found = unread(rows)
    moving = sum(bits != 0 for bits in rows.values("uncertain_bits"))
    if moving:
        found.append(
            f"{plural(moving, 'process', 'processes')} ran, collected garbage or exited when"
            " the core was taken: stack, heap and reductions of these are of the last time they"
            " were scheduled out."
        )
    return found


COMMAND = Command(
    name="etp-processes",
    summary="List the processes with what process_info/2 says of each.",
    description="""
    Values are those of process_info/2. Messages in transit count as they would have counted if
    somebody had asked. Memory is without off-heap binaries, as in process_info(Pid, memory).
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "--name",
            help="only processes of this pid, registered name or initial call; * and ? stand for"
            " any characters",
            complete=complete_processes,
        ),
        Argument(
            "--status", help="only processes of this status", metavar="STATUS", choices=STATUSES
        ),
        Argument(
            "--group",
            help="count the processes that have the same, and sum their numbers up",
            metavar="COLUMN",
            choices=GROUPS,
        ),
        *table_arguments(COLUMNS, "memory", 50, "processes"),
    ),
    examples=(
        ("etp-processes --sort msgq --limit 10", "the ten longest mailboxes"),
        ("etp-processes --status running", "what the schedulers ran"),
        ("etp-processes --name 'rabbit_*' --columns all", "those of RabbitMQ"),
        ("etp-processes --group initial", "of what there are very many"),
    ),
)
