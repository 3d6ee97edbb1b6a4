# SPDX-License-Identifier: Apache-2.0
"""etp-timers: what is due when."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments
from .stacktrace import complete_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from typing import Any

    from _etp import Term

    from ..timers import Timer, Timers
    from ..views import Block, Report
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("remaining", "until it is due, as erlang:read_timer/1; overdue: since it was"),
    Column("kind", "send_after, start_timer, receive (... after), port, callback (of ERTS)"),
    Column("receiver", "process, name or port, with name or initial call", flexible=16),
    Column(
        "what",
        "the message; where the process waits; the port's driver; the function that is called",
        flexible=24,
    ),
    Column("reference", "what erlang:cancel_timer/1 is given", rank=1),
    Column("scheduler", "that has it", kind="count", rank=2),
    Column("address", "address of its struct", kind="address", hidden=True),
)

MOST = 5
"""Receivers that are named in the summary."""


def run(context: Context, args: Namespace) -> Report:
    from .. import code, timers
    from ..views import Report, Table

    vm = context.vm
    receivers = _receivers(vm, args.pid) if args.pid else None
    by_time = args.sort == "remaining"
    found = timers.take(
        vm, receivers, limit=args.limit if by_time else 0, reverse=by_time and args.reverse
    )
    drivers = {str(port["port"]): port["driver"] for port in vm.native.ports()[0]}
    rows = [_row(context, timer, drivers) for timer in found.timers]
    table = Table(COLUMNS, rows, noun="timers")
    if by_time:
        table.arrange(columns=args.columns, units=args.units)
        table.total = found.count if found.count > len(rows) else None
    else:
        table.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)
    blocks: list[Block | None] = [*_summary(vm, found)]
    if rows:
        blocks += [None, table]
    return Report(blocks, _data(vm, found, table.rows), _warnings(found) + code.gaps(vm))


def _receivers(vm: VM, which: str) -> list[Term]:
    """A process by its pid and by its registered name, a port, or a name that nobody has."""
    from ..errors import Problem

    text = which.strip()
    for port in vm.native.ports()[0]:
        if str(port["port"]) == text:
            return [port["port"]]
    try:
        process = vm.find_process(text)
    except Problem:
        for name in (text, f"Elixir.{text}"):
            term = _atom(vm, name)
            if term is not None:
                return [term]
        raise
    name_term = None if process.name is None else _atom(vm, process.name)
    return [process.pid] if name_term is None else [process.pid, name_term]


def _atom(vm: VM, name: str) -> Term | None:
    from ..vm import Error

    try:
        return vm.find_atom(name)
    except Error:
        return None


def _summary(vm: VM, found: Timers) -> list[Block | None]:
    from ..diagnosis.thresholds import TIMER_THRESHOLDS
    from ..text import plural
    from ..units import format_percent
    from ..views import Paragraph

    if not found.count:
        return [Paragraph("No timer runs.")]
    text = plural(found.count, "timer")
    if found.count == 1:
        text += f", {_when(found.soonest_ms)}."
    else:
        text += f", the soonest {_when(found.soonest_ms)}, the latest {_when(found.longest_ms)}."
    kinds = sorted(found.kinds.items(), key=lambda kind: -kind[1])
    blocks: list[Block | None] = [Paragraph(text, "strong")]
    blocks.append(Paragraph("Of these " + ", ".join(f"{n:,} {kind}" for kind, n in kinds) + "."))
    most = [
        f"{_who(vm, receiver)} {count:,} ({format_percent(count, found.count)})"
        for receiver, count, _ in found.receivers[:MOST]
        if count > 1 and count * 100 >= found.count
    ]
    if most and len(found.receivers) > 1:
        blocks.append(Paragraph("Most are for " + ", ".join(most) + "."))
    for receiver, count, _ in found.receivers:
        if count >= TIMER_THRESHOLDS.storm_timers:
            blocks.append(
                Paragraph(
                    f"{_who(vm, receiver)} has {count:,} timers: are those that are of no use any"
                    " more cancelled?",
                    "warning",
                )
            )
    late = -found.soonest_ms
    if late >= TIMER_THRESHOLDS.overdue_ms:
        is_are = "has" if found.overdue == 1 else "have"
        blocks.append(
            Paragraph(
                f"{plural(found.overdue, 'timer')} {is_are} been due for up to {_duration(late)}:"
                " the scheduler that has them does not get round to them.",
                "warning",
            )
        )
    return blocks


def _warnings(found: Timers) -> list[str]:
    from ..text import plural

    if not found.gaps:
        return []
    return [
        f"{plural(found.gaps, 'place')} could not be read, so that timers may be missing: {found.problem}."
    ]


def _duration(milliseconds: int) -> str:
    from ..units import format_milliseconds

    return format_milliseconds(milliseconds)


def _when(milliseconds: int) -> str:
    if milliseconds < 0:
        return f"overdue by {_duration(-milliseconds)}"
    return f"in {_duration(milliseconds)}"


def _who(vm: VM, receiver: Term | None) -> str:
    """A pid with the process's name or initial call; a name; a port with its name."""
    from ..text import safe

    if receiver is None:
        return ""
    if receiver.kind == "pid":
        process = vm.process(receiver)
        return f"{receiver} {process.label if process is not None else '(dead)'}".strip()
    return safe(str(receiver.value())) if receiver.kind == "atom" else str(receiver)


def _row(context: Context, timer: Timer, drivers: dict[str, str | None]) -> dict[str, Any]:
    vm = context.vm
    remaining = (
        f"overdue {_duration(-timer.remaining_ms)}"
        if timer.remaining_ms < 0
        else _duration(timer.remaining_ms)
    )
    message = None if timer.message is None else _message(context, timer)
    function = _function(context, timer) if timer.kind == "receive" else None
    callback = _callback(vm, timer) if timer.kind == "callback" else None
    driver = drivers.get(str(timer.receiver)) if timer.kind == "port" else None
    whats = (("", message), ("in ", function), ("calls ", callback), ("driver ", driver))
    return {
        "remaining": f"{remaining} (paused)" if timer.is_paused else remaining,
        "remaining_ms": timer.remaining_ms,
        "kind": timer.kind,
        "receiver": "ERTS" if timer.kind == "callback" else _who(vm, timer.receiver),
        "receiver_term": None if timer.receiver is None else str(timer.receiver),
        "what": next((f"{how}{text}" for how, text in whats if text), ""),
        "message": message,
        "function": function,
        "callback": callback,
        "driver": driver,
        "reference": None if timer.ref is None else str(timer.ref),
        "scheduler": timer.scheduler or None,
        "is_paused": timer.is_paused,
        "address": f"{timer.address:#x}",
    }


def _message(context: Context, timer: Timer) -> str:
    """In one line; of a start_timer, what {timeout, Ref, _} is around."""
    from .. import processes

    term = timer.message
    if term is None:
        return ""
    process = None if timer.receiver is None else context.vm.process(timer.receiver)
    if process is not None and processes.info(context.vm, process).is_sensitive:
        return "(of a process that is sensitive)"
    if timer.kind == "start_timer":
        term = term[2]
    options = context.settings.format_options(max_depth=6, max_length=12, max_string=60)
    return " ".join(term.format(**options).split())


def _function(context: Context, timer: Timer) -> str | None:
    """Where the process waits."""
    from ..code import location

    process = None if timer.receiver is None else context.vm.process(timer.receiver)
    if process is None:
        return None
    found = location(context.vm.native.execution(process.address)["current_function"])
    return None if found is None else found.name(str(context.settings.get("syntax")))


def _callback(vm: VM, timer: Timer) -> str:
    """A stripped beam.smp has no names of static functions."""
    symbol = vm.symbol_at(timer.callback)
    return f"{timer.callback:#x}" if symbol is None else symbol[0]


def _data(vm: VM, found: Timers, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "total": found.count,
        "overdue": found.overdue,
        "soonest_ms": found.soonest_ms if found.count else None,
        "latest_ms": found.longest_ms if found.count else None,
        "kinds": found.kinds,
        "receivers": [
            {"receiver": _who(vm, receiver), "timers": count, "soonest_ms": soonest}
            for receiver, count, soonest in found.receivers
        ],
        "cancelled": found.cancelled,
        "gaps": found.gaps,
        "timers": rows,
    }


COMMAND = Command(
    name="etp-timers",
    summary="List the timers: what is due when, and for whom.",
    description="""
    Those of erlang:send_after/3 and erlang:start_timer/3, of processes that wait in receive ...
    after, of ports, and those that the runtime system has set for itself. Times are by the VM's
    clock when a scheduler last looked at it: a timer that is overdue then is one that its scheduler
    does not get round to. Which process has so many timers that it may have forgotten to cancel
    them is said above the table.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "--pid",
            help="only those for this process (pid or registered name), port or name",
            metavar="PROCESS",
            complete=complete_processes,
        ),
        *table_arguments(COLUMNS, "remaining", 30, "timers"),
    ),
    examples=(
        ("etp-timers", "the next 30"),
        ("etp-timers --reverse --limit 10", "those furthest away"),
        ("etp-timers --pid my_server", "those of one process"),
    ),
)
