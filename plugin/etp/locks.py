# SPDX-License-Identifier: Apache-2.0
"""Locks of the VM that are held (include/etp/locks.h).

    from etp.locks import locks

    for lock in locks(vm).locks:
        if lock.is_awaited:
            print(lock.name, lock.term)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .schedulers import schedulers

if TYPE_CHECKING:
    from _etp import Term

    from .schedulers import Scheduler
    from .vm import VM


@dataclass(frozen=True)
class Lock:
    #: What it protects: address of the Process, Port, DbTable or DistEntry, and its pid, port or name.
    owner: Literal["process", "port", "table", "node"]
    address: int
    term: Term
    #: As ERTS calls it: "proc_main", "db_tab" ...
    name: str
    #: Which of the locks of a table.
    index: int
    is_exclusive: bool
    #: How many read; -1: some.
    readers: int
    is_awaited: bool
    #: Id of the thread that has it, as a mutex of glibc knows it; 0: not recorded.
    thread: int
    #: Threads that wait for it, of processes and whole tables; the first of them as ``event`` of schedulers.
    waiter_count: int
    waiters: list[int]
    #: The scheduler that has it: that thread; of a process or port whoever executes it must. None: not known.
    holder: Scheduler | None
    #: Schedulers that wait for it, of the first waiters: the others are threads of another kind.
    waiting: list[Scheduler]


@dataclass(frozen=True)
class Locks:
    locks: list[Lock]
    gaps: int


def locks(vm: VM) -> Locks:
    found, gaps = vm.native.locks()
    executing = schedulers(vm)
    threads = {tid: thread for tid, thread, *_ in vm.native.threads()} if found else {}
    events = {scheduler.event: scheduler for scheduler in executing if scheduler.event}
    return Locks(
        [
            Lock(
                **facts,
                holder=_holder(facts, executing, threads),
                waiting=[events[event] for event in facts["waiters"] if event in events],
            )
            for facts in found
        ],
        gaps,
    )


def _holder(
    facts: dict[str, object], executing: list[Scheduler], threads: dict[int, int]
) -> Scheduler | None:
    thread = threads.get(facts["thread"])  # type: ignore[call-overload]
    for scheduler in executing:
        if thread and scheduler.thread == thread:
            return scheduler
        if facts["name"] == "proc_main" and scheduler.process == facts["address"]:
            return scheduler
        if facts["name"] == "port_lock" and scheduler.port == facts["term"]:
            return scheduler
    return None
