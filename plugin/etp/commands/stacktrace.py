# SPDX-License-Identifier: Apache-2.0
"""etp-stacktrace: where a process is, and how it came there."""

from __future__ import annotations

from .declaration import JSON, Argument, Column, Command, limit, sort_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..code import Execution
    from ..views import Table
    from ..vm import Process
    from .context import Context


def complete_processes(context: Context) -> list[str]:
    return [process.name for process in context.vm.processes() if process.name]


PROCESS = Argument(
    "PROCESS",
    help="pid (<0.1.0>), registered name, or address of the Process",
    complete=complete_processes,
)

COLUMNS = (
    Column("frame", "0 is the function that the process is in; each was called by the next"),
    Column("function", "module, function and arity", key="name", flexible=30),
    Column("place", "file and line of the call", flexible=16, rank=1),
    Column("pc", "address in the code", kind="address", hidden=True),
)

ALL = 1 << 40


def run(context: Context, args: Namespace) -> Table:
    from ..code import execution, gaps, stacktrace
    from ..views import Table

    process = context.vm.find_process(args.PROCESS)
    found = execution(context.vm, process)
    in_order = args.sort == "frame"
    # One more than is shown tells whether there are more.
    frames = stacktrace(context.vm, process, args.limit + 1 if args.limit and in_order else ALL)
    shown = frames[: args.limit] if args.limit and in_order else frames
    syntax = str(context.settings.get("syntax"))
    view = Table(
        COLUMNS,
        [
            {
                "frame": number,
                "name": frame.name(syntax),
                "place": frame.place,
                **frame.data(),
            }
            for number, frame in enumerate(shown)
        ],
        warnings=found.warnings + gaps(context.vm),
        notes=[title(process, found)],
        noun="frames",
        facts=facts(process, found),
    )
    if not in_order:
        view.arrange(args.sort, limit=args.limit)
    elif len(shown) < len(frames):
        view.notes.append("There are more frames; --limit all shows them.")
    if not frames and not found.stack_unreadable:
        view.notes.append("It is in no code that is known: it has not begun, or is about to exit.")
    return view


def title(process: Process, found: Execution) -> str:
    from ..text import plural

    return f"{process.pid} {process.label}: {plural(found.stack_words, 'word')} of stack."


def facts(process: Process, found: Execution) -> dict[str, object]:
    return {
        "pid": str(process.pid),
        "name": process.name,
        "address": f"{process.address:#x}",
        "running": found.running,
        "in_gc": found.in_gc,
        "stack_words": found.stack_words,
    }


COMMAND = Command(
    name="etp-stacktrace",
    summary="Show where a process is, and how it came there.",
    description="""
    The frames are those of process_info(Pid, current_stacktrace), with file and line; the VM stops
    after 8 of them, this after --limit. Calls from the same place, as deep recursion makes them,
    are one frame.
    """,
    run=run,
    arguments=(
        PROCESS,
        sort_by(
            "frame",
            "function",
            "place",
            help="frame: that of the current function first; otherwise by this column",
        ),
        limit(50, "frames"),
        JSON,
    ),
    columns=COLUMNS,
    examples=(
        ("etp-stacktrace <0.123.0>", "the process that prints so"),
        ("etp-stacktrace code_server --limit all", "a registered one, to the bottom of its stack"),
    ),
)
