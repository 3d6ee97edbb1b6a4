# SPDX-License-Identifier: Apache-2.0
"""Locks that somebody waits for with a scheduler, for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..text import agree, plural
from ..units import format_pause
from .finding import Finding, Severity
from .hung_limits import FULL
from .hung_load import Stuck, stuck

if TYPE_CHECKING:
    from _etp import Term

    from ..ets import EtsTable
    from ..hang import Hang
    from ..locks import Lock
    from ..schedulers import Scheduler
    from .thresholds import HungThresholds


def process_locks(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Processes one of whose locks others wait for.  A process that is executed has its main lock."""
    long = {s.scheduler.address for s in stuck(hang, limits)}
    for lock in hang.locks:
        if lock.owner != "process" or not lock.is_awaited:
            continue
        involved = {s.address for s in (*lock.waiting, *([lock.holder] if lock.holder else []))}
        if involved & long:
            yield _locked_process(hang, lock)


def _locked_process(hang: Hang, lock: Lock) -> Finding:
    holder, waiting = lock.holder, lock.waiting
    title = f"The {_LOCKS.get(lock.name, lock.name)} of {hang.name(lock.term)}"
    if holder is None:
        title += " is held"
    else:
        title += f" has been held{_since(holder)} by {holder.name}, in {_where(hang, lock.address)}"
    first = waiting[0] if waiting else None
    if first is None:
        count = lock.waiter_count
        title += (
            f"; {plural(count, 'thread')} {agree('wait', count)} for it"
            if count
            else ", and awaited"
        )
    elif lock.waiter_count == 1:
        title += f"; {first.name} with {_with(hang, first)} waits for it"
    else:
        title += f"; {lock.waiter_count} threads wait for it, {first.name} with {_with(hang, first)} first"
    evidence = [
        f"{_with(hang, s)} {hang.activity(s.process).text}." for s in waiting[:3] if s.process
    ]
    evidence.append("A scheduler that waits for a lock executes nothing else.")
    executed = [s.process for s in waiting if s.process]
    pids = [s.pid for s in waiting if s.pid is not None]
    return Finding(
        "process_lock",
        Severity.HANG,
        title,
        evidence,
        [
            ("etp-locks", "who holds which lock, and who waits"),
            ("etp-schedulers", "what all of them execute"),
            *((f"etp-stacktrace {pid}", "what it does") for pid in [lock.term, *pids[:1]]),
        ],
        hang.behind(lock.address) + sum(hang.behind(address) for address in executed),
        [str(lock.term), *(str(pid) for pid in pids)],
        "Functions are those of the last time that the process called C."
        if holder
        else "The lock does not say which thread has it.",
        weight=FULL,
        explains={lock.address, *executed},
    )


_LOCKS = {
    "proc_main": "main lock",
    "proc_msgq": "lock of the messages",
    "proc_btm": "lock of the timers",
    "proc_status": "status lock",
    "proc_trace": "trace lock",
}


def _since(scheduler: Scheduler) -> str:
    """Dirty schedulers do not look at the clock."""
    age = scheduler.clock_age_ns
    return f" for {format_pause(age / 1e9)}" if age else ""


def _with(hang: Hang, scheduler: Scheduler) -> str:
    return "work of its own" if scheduler.pid is None else hang.name(scheduler.pid)


def _where(hang: Hang, address: int) -> str:
    doing = hang.activity(address)
    name = doing.function.name(hang.syntax) if doing.function else "code that is not known"
    return f"the NIF {name}" if doing.kind == "nif" else name


def table_locks(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Tables whose lock somebody waits for with a scheduler, for long."""
    found = stuck(hang, limits)
    for table in hang.tables if found else []:
        if not table.is_lock_awaited:
            continue
        # The lock has a list of who waits, but none of who has it. Whoever is not in a walk has it
        # for a moment only.
        queued = _waiting_for(hang, table)
        waiters = [s for s in found if s.scheduler.address in queued]
        others = [s for s in found if s not in waiters]
        holders = [s for s in others if s.is_in_ets and s.walks(table)]
        waiters = waiters or [s for s in others if not s.is_in_ets] or found
        yield _locked_table(hang, table, holders, waiters)


def _waiting_for(hang: Hang, table: EtsTable) -> set[int]:
    """Addresses of the schedulers that stand in its queue."""
    for lock in hang.locks:
        if lock.owner == "table" and lock.name == "db_tab" and lock.address == table.address:
            return {scheduler.address for scheduler in lock.waiting}
    return set()


def _locked_table(
    hang: Hang, table: EtsTable, holders: list[Stuck], waiters: list[Stuck]
) -> Finding:
    mode = "writing" if table.is_write_locked else "reading"
    label = f"the lock of the ETS table {table.label}"
    first = waiters[0]
    if len(holders) == 1:
        holder = holders[0]
        who = f"{holder.name(hang)} has had {label} for {format_pause(holder.seconds)}, in {holder.function}"
    else:
        who = f"{label[0].upper()}{label[1:]} is held for {mode}"
    count = len(waiters)
    waiting = f"scheduler {first.scheduler.number} with {first.name(hang)} waits for it"
    if count > 1:
        waiting = f"{count} schedulers wait for it, one with {first.name(hang)}"
    evidence = [
        f"The lock is held for {mode}, and others wait for it; {plural(table.size, 'row')}.",
    ]
    evidence += [
        f"Scheduler {s.scheduler.number} has executed {s.name(hang)} for {format_pause(s.seconds)}."
        for s in (holders + waiters)[:4]
    ]
    commands = [s.commands[0] for s in holders + waiters if s.commands]
    executed = {s.address for s in holders + waiters} - {0}
    return Finding(
        "table_lock",
        Severity.HANG,
        f"{who}; {waiting}",
        evidence,
        [
            ("etp-schedulers", "what all of them execute"),
            *commands[:2],
            (f"etp-ets-tables --name {table.name}", "the table"),
        ],
        sum(hang.behind(address) for address in executed),
        [table.label, *(str(s.pid) for s in holders + waiters if s.pid is not None)],
        "A lock does not say who has it: this is told by what the schedulers execute.",
        weight=FULL,
        explains=executed,
    )
