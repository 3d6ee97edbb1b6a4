# SPDX-License-Identifier: Apache-2.0
"""etp-processes: all processes."""

from __future__ import annotations

from operator import attrgetter

from .declaration import Argument, Column, Command, table_arguments
from .stacktrace import complete_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..processes import Row
    from ..views import Table
    from .context import Context

STATUSES = (
    "exiting",
    "garbage_collecting",
    "runnable",
    "running",
    "suspended",
    "waiting",
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
    Column("place", "file and line of the current function", hidden=True),
    Column("address", "address of the Process", kind="address", hidden=True),
)

COSTLY = ("function", "place")
"""Columns that are worked out for what is shown only, unless they are to be sorted by."""


SORTED_AS_ROWS = {
    "msgq": "message_queue_len",
    "transit": "in_transit",
    "memory": "memory",
    "heap": "total_heap_size",
    "stack": "stack_size",
    "reductions": "reductions",
    "links": "links",
}
"""Columns by which rows are sorted before anything is made of those that are not shown."""


def run(context: Context, args: Namespace) -> Table:
    from .. import processes
    from ..views import Table

    rows = processes.rows(context.vm)
    chosen = [row for row in rows if _wanted(row, args)]
    warnings = _warnings(chosen) + (_unnamed(rows) if args.name else [])
    view = Table(COLUMNS, [], noun="processes", warnings=warnings)
    view.notes.append(_summary(chosen))
    view.facts["memory"] = sum(row.memory for row in chosen)
    key = SORTED_AS_ROWS.get(args.sort)
    if key:
        shown = sorted(chosen, key=attrgetter(key), reverse=True)
        if args.reverse:
            shown.reverse()
        if args.limit and args.limit < len(shown):
            view.total = len(shown)
            del shown[args.limit :]
        view.rows = [_row(row) for row in shown]
        view.arrange(columns=args.columns, units=args.units)
    else:
        view.rows = [_row(row) for row in chosen]
        if args.sort in COSTLY:
            _locate(context, view.rows)
        view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)
    _locate(context, view.rows)
    return view


def _wanted(row: Row, args: Namespace) -> bool:
    from fnmatch import fnmatchcase

    if args.status and row.status != args.status:
        return False
    if args.name:
        wanted = args.name.replace("#PID", "")
        return any(
            fnmatchcase(text, wanted) for text in (str(row.pid), row.name or "", row.call_text)
        )
    return True


def _unnamed(rows: list[Row]) -> list[str]:
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


def _locate(context: Context, rows: list[dict[str, object]]) -> None:
    from ..code import current_places

    if not rows or "function" in rows[0]:
        return
    syntax = str(context.settings.get("syntax"))
    addresses = [int(str(row["address"]), 16) for row in rows]
    named: dict[int, tuple[str | None, str | None]] = {}
    for row, place in zip(rows, current_places(context.vm, addresses)):
        # Most processes are at few places.
        if id(place) not in named:
            function, location = place
            named[id(place)] = (
                function.name(syntax) if function else None,
                location.place if location else None,
            )
        row["function"], row["place"] = named[id(place)]


def _summary(rows: list[Row]) -> str:
    from collections import Counter

    from ..text import plural
    from ..units import format_bytes

    counts = Counter(row.status for row in rows)
    hibernated = sum(row.is_hibernated for row in rows)
    statuses = [f"{count:,} {status}" for status, count in counts.most_common()]
    if hibernated:
        statuses.append(f"{hibernated:,} hibernated")
    text = f"{plural(len(rows), 'process', 'processes')}"
    text += f" ({', '.join(statuses)})" if statuses else ""
    text += f", {format_bytes(sum(row.memory for row in rows))} without off-heap binaries"
    waiting = sum(row.message_queue_len for row in rows)
    if waiting:
        text += f", {plural(waiting, 'message')} in mailboxes"
        transit = sum(row.in_transit for row in rows)
        text += f", {transit:,} of them in transit" if transit else ""
    return text + "."


def _warnings(rows: list[Row]) -> list[str]:
    from ..processes import unread
    from ..text import plural

    found = unread(rows)
    moving = [row for row in rows if row.uncertain_bits]
    if moving:
        found.append(
            f"{plural(len(moving), 'process', 'processes')} ran, collected garbage or exited when"
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
        *table_arguments(COLUMNS, "memory", 50, "processes"),
    ),
    examples=(
        ("etp-processes --sort msgq --limit 10", "the ten longest mailboxes"),
        ("etp-processes --status running", "what the schedulers ran"),
        ("etp-processes --name 'rabbit_*' --columns all", "those of RabbitMQ"),
    ),
)
