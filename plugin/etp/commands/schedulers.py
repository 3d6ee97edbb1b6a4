# SPDX-License-Identifier: Apache-2.0
"""etp-schedulers and etp-run-queues: who executes what, and what waits for it."""

from __future__ import annotations

from .declaration import Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..schedulers import RunQueue, RunQueues, Running, Scheduler, ThreadProgress
    from ..views import Table
    from ..vm import VM
    from .context import Context

SCHEDULER_COLUMNS = (
    Column("scheduler", "its number, of its kind"),
    Column(
        "activity",
        "process or port that it executes; sleeping, polling, spinning (about to sleep), suspended"
        " (not online), scheduling (in code of its own)",
    ),
    Column("process", "whom it executes", key="executes", flexible=12),
    Column("function", "where that is, or was when it last called C", flexible=16),
    Column("in", "NIF and its library, garbage collection, system task, exiting", key="inside"),
    Column("queue", "processes and ports that wait in its run queue", kind="count"),
    Column(
        "clock_ms",
        "milliseconds that it looked at the clock before the scheduler that did last; one that"
        " executes looks at least every 4000 reductions",
        kind="count",
        rank=1,
    ),
    Column(
        "used",
        "reductions that the process has used since it was scheduled in",
        kind="count",
        key="process_reductions",
        rank=2,
    ),
    Column("aux_work", "work of its own that is to be done", rank=3),
    Column("reductions", "executed on it", kind="count", rank=4),
    Column("flags", "of the process: ERTS_PSFLG_*", hidden=True),
    Column("sleep_flags", "ERTS_SSI_FLG_*", hidden=True),
    Column("id", "among all schedulers, as in crash dumps", hidden=True),
    Column("cpu", "logical processor that it is bound to", hidden=True),
    Column("thread", "pthread_self() of its thread", kind="address", hidden=True),
    Column("address", "address of the ErtsSchedulerData", kind="address", hidden=True),
)

QUEUE_COLUMNS = (
    Column("queue", "the number of its scheduler, or the kind that shares it", key="name"),
    Column("length", "processes and ports that wait", kind="count"),
    Column("max", "of priority max", kind="count", rank=1),
    Column("high", "of priority high", kind="count", rank=1),
    Column("normal", "of priority normal", kind="count", rank=1),
    Column("low", "of priority low", kind="count", rank=1),
    Column("ports", "with tasks to be executed", kind="count", rank=1),
    Column("misc", "operations of the VM itself", kind="count", rank=2),
    Column("first", "process that waits for longest, of the highest priority", flexible=12),
    Column("longest", "largest length since queues were balanced", kind="count", rank=3),
    Column("state", "executing; suspended, halting, inactive, evacuated", rank=2),
    Column("migrates", "queues that its processes are sent to", rank=4),
    Column("switches", "processes that were scheduled in", kind="count", rank=4),
    Column("reductions", "that these used", kind="count", rank=4),
    Column("flags", "ERTS_RUNQ_FLG_*", hidden=True),
    Column("index", "as erlang:statistics(run_queue_lengths_all) has them, from 0", hidden=True),
    Column("address", "address of the ErtsRunQueue", kind="address", hidden=True),
)


def run(context: Context, args: Namespace) -> Table:
    from .. import code, schedulers
    from ..views import Table

    vm = context.vm
    found = schedulers.schedulers(vm)
    queues = schedulers.run_queues(vm)
    progress = _progress(vm)
    rows = [_scheduler_row(vm, scheduler, queues) for scheduler in found]
    view = Table(
        SCHEDULER_COLUMNS,
        rows,
        noun="schedulers",
        warnings=_warnings(found, queues, progress) + code.gaps(vm),
        facts={"thread_progress": _progress_facts(progress)},
    )
    view.notes += _notes(found, queues)
    view.notes += _progress_notes(progress)
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def run_queues(context: Context, args: Namespace) -> Table:
    from .. import schedulers
    from ..text import plural
    from ..views import Table

    vm = context.vm
    queues = schedulers.run_queues(vm)
    rows = [_queue_row(vm, queue) for queue in queues.queues]
    view = Table(QUEUE_COLUMNS, rows, noun="run_queues", warnings=_warnings([], queues, None))
    view.notes.append(
        f"{queues.length:,} {'waits' if queues.length == 1 else 'wait'} in"
        f" {plural(len(rows), 'run queue')}, without what is being executed."
    )
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _scheduler_row(vm: VM, scheduler: Scheduler, queues: RunQueues) -> dict[str, Any]:
    from ..schedulers import KINDS, running

    what = running(vm, scheduler)
    queue = queues.of(scheduler)
    age = scheduler.clock_age_ns
    port = None if scheduler.port is None else str(scheduler.port)
    return {
        "scheduler": f"{KINDS[scheduler.kind]}{scheduler.number}",
        "kind": scheduler.kind,
        "number": scheduler.number,
        "id": scheduler.id,
        "activity": scheduler.activity,
        "executes": what.text if what else port,
        "pid": None if scheduler.pid is None else str(scheduler.pid),
        "port": port,
        "function": what.function.name() if what and what.function else None,
        "location": what.location.data() if what and what.location else None,
        "status": what.status if what else None,
        "priority": what.priority if what else None,
        "inside": _inside(scheduler, what),
        "is_in_nif": scheduler.is_in_nif,
        "nif_library": scheduler.nif_library,
        "queue": None if queue is None else queue.length,
        "clock_ms": None if age is None else age // 10**6,
        "clock_age_ns": age,
        "process_reductions": scheduler.process_reductions,
        "reductions": scheduler.reductions,
        "aux_work": ", ".join(scheduler.aux_work) or None,
        "sleep_flags": ", ".join(scheduler.sleep_flags) or None,
        "flags": ", ".join(what.flags) or None if what else None,
        "cpu": scheduler.cpu,
        "thread": f"{scheduler.thread:#x}" if scheduler.thread else None,
        "address": f"{scheduler.address:#x}",
    }


def _inside(scheduler: Scheduler, what: Running | None) -> str | None:
    from ..text import safe

    parts = []
    if scheduler.is_in_nif:
        parts.append(f"NIF of {safe(scheduler.nif_library or 'an unknown library')}")
    if what and what.is_collecting_garbage:
        parts.append("garbage collection")
    if what and what.is_system_task:
        parts.append("system task")
    if what and what.is_exiting:
        parts.append("exiting")
    return ", ".join(parts) or None


def _notes(found: list[Scheduler], queues: RunQueues) -> list[str]:
    from ..schedulers import KINDS
    from ..text import plural

    busy = sum(scheduler.is_busy for scheduler in found)
    notes = [
        f"{busy} of {plural(len(found), 'scheduler')} execute; {queues.length:,} processes and"
        " ports wait in run queues."
    ]
    for kind in ("dirty_cpu", "dirty_io"):
        own = [scheduler for scheduler in found if scheduler.kind == kind]
        behind = queues.of(own[0]) if own else None
        if behind and behind.length and all(scheduler.is_busy for scheduler in own):
            notes.append(
                f"All {KINDS[kind]}schedulers are taken, and"
                f" {plural(behind.length, 'process', 'processes')} wait for one."
            )
    return notes


def _progress(vm: VM) -> ThreadProgress | None:
    from ..schedulers import thread_progress
    from ..vm import Error

    try:
        return thread_progress(vm)
    except Error:
        return None


def _progress_notes(progress: ThreadProgress | None) -> list[str]:
    from ..text import plural

    if progress is None:
        return []
    notes = []
    if progress.awaited:
        names = ", ".join(thread.name for thread in progress.awaited)
        notes.append(
            f"Thread progress waits for {names}: that is usual for a moment; what is to be freed"
            " stays until then."
        )
    delaying = sum(progress.unmanaged)
    if delaying > 0:
        notes.append(f"{plural(delaying, 'unmanaged thread')} delay thread progress.")
    if progress.is_blocking:
        notes.append(
            f"A thread wants to execute alone; {progress.unblocked:,} have not stopped for it."
        )
    return notes


def _progress_facts(progress: ThreadProgress | None) -> dict[str, Any] | None:
    from dataclasses import asdict

    if progress is None:
        return None
    return {**asdict(progress), "awaited": [thread.name for thread in progress.awaited]}


def _queue_row(vm: VM, queue: RunQueue) -> dict[str, Any]:
    from ..schedulers import KINDS

    states = ("executing", "suspended", "halting", "inactive", "evacuated")
    return {
        "name": str(queue.index + 1) if queue.kind == "normal" else KINDS[queue.kind].strip(),
        "kind": queue.kind,
        "index": queue.index,
        "length": queue.length,
        **{level: queue.lengths[level] for level in ("max", "high", "normal", "low")},
        "ports": queue.lengths["port"],
        "misc": queue.misc,
        "first": _first(vm, queue),
        "longest": queue.max_length,
        "longest_by_level": queue.max_lengths,
        "state": ", ".join(state for state in states if getattr(queue, f"is_{state}")) or None,
        "migrates": _migrates(queue),
        "migrates_to": queue.emigrates_to,
        "switches": queue.context_switches,
        "reductions": queue.reductions,
        "flags": ", ".join(queue.flags) or None,
        "address": f"{queue.address:#x}",
    }


def _first(vm: VM, queue: RunQueue) -> str | None:
    from ..schedulers import PRIORITIES, waiting

    for level in PRIORITIES:
        if queue.lengths[level] > 0:
            found, _whole = waiting(vm, queue, level, 1)
            if found:
                process = vm.process(found[0])
                return f"{found[0]} {process.label if process else ''}".strip()
    return None


def _migrates(queue: RunQueue) -> str | None:
    """``all to 1``, or ``max, high to 1; low to 3``."""
    levels: dict[int, list[str]] = {}
    for level, index in queue.emigrates_to.items():
        levels.setdefault(index, []).append(level)
    parts = [
        f"{'all' if len(names) == len(queue.lengths) else ', '.join(names)} to {index + 1}"
        for index, names in sorted(levels.items())
    ]
    return "; ".join(parts) or None


def _warnings(
    found: list[Scheduler], queues: RunQueues, progress: ThreadProgress | None
) -> list[str]:
    from ..schedulers import unread
    from ..text import plural

    warnings = unread(found)
    broken = sum(queue.is_incomplete for queue in queues.queues) + queues.unreadable
    if broken:
        warnings.append(f"Of {plural(broken, 'run queue')} something could not be read.")
    if not queues.queues:
        warnings.append("Where the run queues are is not known.")
    if found and progress is None:
        warnings.append("Nothing is known of thread progress.")
    elif progress and (progress.is_incomplete or progress.unreadable):
        warnings.append("Of thread progress only the part of the schedulers is known.")
    return warnings


SCHEDULERS = Command(
    name="etp-schedulers",
    summary="List the schedulers with what each of them executes.",
    description="""
    Normal schedulers, dirty CPU schedulers and dirty IO schedulers: the process or port that each executes, the
    function that it is in, and whether that is a NIF, a garbage collection, or a system task.

    What one executes for long shows in the age of its clock, and in thread progress, which waits for it: until it comes
    back, no memory is freed that others may still read, and no code is loaded or purged.
    """,
    run=run,
    columns=SCHEDULER_COLUMNS,
    arguments=table_arguments(SCHEDULER_COLUMNS, "id", 100, "schedulers"),
    examples=(("etp-schedulers --sort clock_ms", "which has executed the same for longest"),),
)

RUN_QUEUES = Command(
    name="etp-run-queues",
    summary="List the run queues: how many processes wait to be executed.",
    description="""
    Each normal scheduler takes its work from a run queue of its own, dirty CPU schedulers share one, and so do dirty IO
    schedulers. Lengths are those of erlang:statistics(run_queue_lengths_all), and how they are made up.
    """,
    run=run_queues,
    columns=QUEUE_COLUMNS,
    arguments=table_arguments(QUEUE_COLUMNS, "index", 100, "run queues"),
    examples=(("etp-run-queues --sort length", "the longest first"),),
)
