# SPDX-License-Identifier: Apache-2.0
"""etp-bt: the stack of each thread, of C and of Erlang in one."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..backtrace import Frame, Thread
    from ..views import Block, Report
    from ..vm import Info
    from .context import Context

FRAMES_OF_ALL = 1 << 20
"""Of Erlang, of one stack: what --limit all means."""


def run(context: Context, args: Namespace) -> Report:
    from .. import backtrace, code
    from ..backtrace import FRAMES, threads
    from ..schedulers import schedulers, unread
    from ..text import plural
    from ..views import Lines, Paragraph, Report

    most = max(args.limit, FRAMES) if args.limit else FRAMES_OF_ALL
    found = threads(context.vm, context.thread_registers(), most)
    chosen = _choose(found, args.THREAD, args.sort)
    blocks: list[Block | None] = []
    if not found:
        blocks.append(Paragraph(_nothing(context.vm.info)))
    groups = _groups(context, chosen)
    for names, thread, lines in groups:
        blocks.append(Paragraph(names, "strong", hang=2))
        blocks += [Paragraph(warning, "warning", indent=2, hang=2) for warning in thread.warnings]
        shown = lines[: args.limit or None]
        blocks.append(Lines(shown, indent=2, cut=True))
        if len(shown) < len(lines):
            blocks.append(Paragraph(f"{len(lines) - len(shown):,} more frames.", "dim", indent=2))
        blocks.append(None)
    if len(groups) < len(chosen):
        blocks.append(
            Paragraph(f"{plural(len(chosen), 'thread')}, {len(groups):,} different stacks.", "dim")
        )
    elif blocks and blocks[-1] is None:
        blocks.pop()
    facts = {"threads": [_facts(context, thread, args.limit) for thread in chosen]}
    warnings = unread(schedulers(context.vm)) + code.gaps(context.vm) + backtrace.gaps(context.vm)
    return Report(blocks, facts, warnings=warnings)


def _nothing(info: Info) -> str:
    if info.machine != "x86_64":
        return (
            f"Stacks of threads are read on x86-64 only: of the {info.threads:,} threads of this VM,"
            f" which ran on {info.machine}, nothing is told. etp-schedulers says what they execute."
        )
    return "Of threads, nothing is known."


def _choose(found: list[Thread], which: str | None, sort: str) -> list[Thread]:
    from ..errors import Problem
    from ..text import safe

    if sort == "depth":
        found = sorted(found, key=lambda thread: -len(thread.frames))
    elif sort == "tid":
        found = sorted(found, key=lambda thread: thread.tid)
    if which is None:
        return found
    wanted = which.strip().lower()
    chosen = []
    for thread in found:
        names = {thread.name.lower(), str(thread.tid), f"{thread.thread:#x}"}
        if thread.scheduler:
            names.add(str(thread.scheduler.id))
            names.add(thread.name.lower().replace("scheduler ", ""))
            names.add(str(thread.scheduler.pid))
        if wanted in names:
            chosen.append(thread)
    if not chosen:
        raise Problem(
            f"No thread is {safe(which)}: {len(found):,} were looked at. Give the number of a scheduler,"
            " `dirty io 1`, the pid of a process that executes, or a thread id."
        )
    return chosen


def _groups(context: Context, chosen: list[Thread]) -> list[tuple[str, Thread, list[str]]]:
    """Names of threads whose stacks are the same, one of them, and the lines of the stack."""
    groups: dict[tuple[str, ...], list[Thread]] = {}
    for thread in chosen:
        lines = [_line(context, i, frame) for i, frame in enumerate(thread.frames)]
        key = (*lines, *thread.warnings)
        if thread.scheduler and thread.scheduler.process:
            # Who executes a process is told by itself.
            key += (str(thread.scheduler.pid),)
        groups.setdefault(key, []).append(thread)
    return [
        (
            ", ".join(_title(context, thread) for thread in same),
            same[0],
            [_line(context, i, frame) for i, frame in enumerate(same[0].frames)],
        )
        for same in groups.values()
    ]


_KNOWN = {
    "vm": "by the VM's own data",
    "core": "by its number",
    "proc": "by /proc",
}


def _title(context: Context, thread: Thread) -> str:
    from ..schedulers import running

    scheduler = thread.scheduler
    if scheduler is None:
        known = f", {_KNOWN[thread.known_by]}" if thread.known_by else ""
        return f"{thread.name} (thread {thread.tid}{known})" if thread.kind else thread.name
    title = f"{thread.name} (thread {thread.tid})"
    if (what := running(context.vm, scheduler)) is not None:
        title += f": {what.text}"
    elif scheduler.port is not None:
        title += f": {scheduler.port}"
    else:
        title += f": {scheduler.activity}"
    return title


def _line(context: Context, number: int, frame: Frame) -> str:
    place = f" ({frame.place})" if frame.place else ""
    return f"#{number:<3} {_text(context, frame)}{place}"


def _text(context: Context, frame: Frame) -> str:
    return frame.text(str(context.settings.get("syntax")))


def _facts(context: Context, thread: Thread, most: int) -> dict[str, Any]:
    scheduler = thread.scheduler
    return {
        "name": thread.name,
        "tid": thread.tid,
        "thread": f"{thread.thread:#x}" if thread.thread else None,
        "kind": thread.kind or None,
        "known_by": thread.known_by or None,
        "scheduler": scheduler.id if scheduler else None,
        "activity": scheduler.activity if scheduler else None,
        "pid": None if scheduler is None or scheduler.pid is None else str(scheduler.pid),
        "frames": [
            {
                "name": _text(context, frame),
                "place": frame.place or None,
                "is_erlang": frame.is_erlang,
                "pc": f"{frame.pc:#x}",
                "function": frame.function,
                "file": frame.file,
                "location": frame.location.data() if frame.location else None,
            }
            for frame in thread.frames[: most or None]
        ],
        "frame_count": len(thread.frames),
        "warnings": thread.warnings,
    }


COMMAND = Command(
    name="etp-bt",
    summary="Show the stack of each thread, of C and of Erlang in one.",
    description="""
    What a scheduler executes has frames of C (a NIF, a BIF, a driver, the system's libraries) on the stack of its
    thread, and frames of Erlang on that of the process. Here they are one stack, innermost first, with functions and lines
    of Erlang as in a stacktrace. Neither the JIT nor a stripped beam.smp make a difference to the frames of Erlang; functions
    of C that have no symbol are shown as addresses.

    Threads whose stacks are the same are told together. What is no scheduler's is named by what the VM has noted of it, and
    of a process by what /proc says; of a core, dispatchers of signals and of system messages, and threads of NIFs and
    drivers, have a number only.
    """,
    run=run,
    arguments=(
        Argument(
            "THREAD",
            help="number of a scheduler, `dirty io 1`, pid of a process that executes, or thread id;"
            " otherwise all",
            optional=True,
            kind="words",
        ),
        Argument(
            "--sort",
            help="order of the threads",
            choices=("scheduler", "depth", "tid"),
            default="scheduler",
        ),
        limit(50, "frames of each thread"),
        JSON,
    ),
    examples=(("etp-bt 2", "what scheduler 2 does"), ("etp-bt --limit 3", "all, in short")),
)
