# SPDX-License-Identifier: Apache-2.0
"""Schedulers and run queues: who executes what, what waits behind it, who holds others up.

    from etp import schedulers

    for scheduler in schedulers.schedulers(vm):
        print(scheduler.name, scheduler.activity, scheduler.pid, schedulers.running(vm, scheduler))
    for queue in schedulers.run_queues(vm).queues:
        print(queue.name, queue.length, queue.lengths)
    for thread in schedulers.thread_progress(vm).awaited:
        print(thread.name)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .code import Location, location
from .text import plural

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM, Process

KINDS = {"normal": "", "dirty_cpu": "dirty CPU ", "dirty_io": "dirty IO "}

PRIORITIES = ("max", "high", "normal", "low")
LEVELS = (*PRIORITIES, "port")
"""Queues of a run queue, in ERTS's order; processes of normal and low priority share one."""

# ERTS_PSFLG_*, erl_process.h: those that say what a process does, and have not moved since OTP 23.
_STATE_FLAGS = {
    10: "FREE",
    11: "EXITING",
    13: "ACTIVE",
    14: "IN_RUNQ",
    15: "RUNNING",
    16: "SUSPENDED",
    17: "GC",
    18: "SYS_TASKS",
    20: "ACTIVE_SYS",
    21: "RUNNING_SYS",
    22: "PROXY",
    23: "DELAYED_SYS",
    24: "OFF_HEAP_MSGQ",
    25: "SIG_Q",
    26: "DIRTY_CPU_PROC",
    27: "DIRTY_IO_PROC",
    28: "DIRTY_ACTIVE_SYS",
    29: "DIRTY_RUNNING",
    30: "DIRTY_RUNNING_SYS",
}


@dataclass(frozen=True)
class Scheduler:
    """A scheduler; include/etp/schedulers.h has more about the fields."""

    #: "normal", "dirty_cpu" or "dirty_io".
    kind: str
    #: From 1 within its kind; and among all, as erlang:statistics(scheduler_wall_time_all) counts.
    number: int
    id: int
    address: int
    #: "process", "port", "sleeping", "polling", "spinning", "suspended", "scheduling" (in code of
    #: its own) or "unknown".
    activity: str
    #: pthread_self() of its thread, 0 when unknown.
    thread: int
    sleep_flags: list[str]
    aux_work: list[str]
    #: Address of the Process that it executes, 0 if none.
    process: int
    pid: Term | None
    port: Term | None
    is_in_nif: bool
    #: The name that the NIF's library gave itself (mostly its module); None when unknown.
    nif_library: str | None
    run_queue: int
    reductions: int
    #: Used by its process since it was scheduled in, up to the last call of C; None when unknown.
    process_reductions: int | None
    #: Nanoseconds between its last look at the clock and that of the scheduler that looked last.
    clock_age_ns: int | None
    #: Address of its ethr_ts_event, by which it waits for locks; 0 when unknown.
    event: int
    cpu: int | None
    is_incomplete: bool

    @property
    def name(self) -> str:
        return f"{KINDS[self.kind]}scheduler {self.number}"

    @property
    def is_busy(self) -> bool:
        """It executes a process or a port."""
        return self.activity in ("process", "port")


@dataclass(frozen=True)
class Running:
    """The process that a scheduler executes."""

    process: Process | None
    pid: Term
    #: Its registered name, or else its initial call.
    label: str
    #: A stand-in of ERTS's own that executes a match specification; for whom is not kept.
    is_match: bool
    #: process_info(P, status), and priority; "" when they cannot be read.
    status: str
    priority: str
    #: Where it is, or was when it last called C.
    function: Location | None
    location: Location | None
    is_collecting_garbage: bool
    is_exiting: bool
    #: It executes for another one: a collection, a check for old code, signals.
    is_system_task: bool
    #: Process.state: ERTS_PSFLG_*, without priorities.
    flags: list[str]

    @property
    def text(self) -> str:
        return "a match specification" if self.is_match else f"{self.pid} {self.label}".strip()


INVALID_PIDS = ((1 << 32) - 13, (1 << 64) - 13)
"""ERTS_INVALID_PID (erl_node_container_utils.h), to OTP 25 and since 26."""


@dataclass(frozen=True)
class RunQueue:
    """A run queue; include/etp/run_queues.h has more about the fields."""

    address: int
    #: From 0: those of the normal schedulers, dirty CPU, dirty IO.
    index: int
    kind: str
    #: As erlang:statistics(run_queue_lengths_all).
    length: int
    max_length: int
    #: By the names of LEVELS.
    lengths: dict[str, int]
    max_lengths: dict[str, int]
    misc: int
    flags: list[str]
    is_suspended: bool
    is_executing: bool
    is_nonempty: bool
    is_inactive: bool
    is_halting: bool
    is_evacuated: bool
    context_switches: int
    reductions: int
    #: Level to index of the queue that its processes go to.
    emigrates_to: dict[str, int]
    is_incomplete: bool

    @property
    def name(self) -> str:
        """``run queue 1`` belongs to scheduler 1."""
        return (
            f"run queue {self.index + 1}"
            if self.kind == "normal"
            else KINDS[self.kind] + "run queue"
        )


@dataclass(frozen=True)
class RunQueues:
    queues: list[RunQueue]
    #: Queues that could not be read.
    unreadable: int

    @property
    def length(self) -> int:
        return sum(queue.length for queue in self.queues)

    def of(self, scheduler: Scheduler) -> RunQueue | None:
        """The queue that a scheduler takes its work from."""
        return next((q for q in self.queues if q.address == scheduler.run_queue), None)


@dataclass(frozen=True)
class ManagedThread:
    """A thread that takes part in thread progress; include/etp/thread_progress.h."""

    id: int
    #: Number of the normal scheduler, None for another thread.
    scheduler: int | None
    confirmed: int | None
    is_waiting: bool
    is_awaited: bool
    is_leader: bool

    @property
    def name(self) -> str:
        if self.scheduler is not None:
            return f"scheduler {self.scheduler}"
        return "aux thread" if self.id == 0 else f"managed thread {self.id}"


@dataclass(frozen=True)
class ThreadProgress:
    current: int
    threads: list[ManagedThread]
    #: Unmanaged threads (dirty schedulers, async threads) that delay it, in two periods.
    unmanaged: tuple[int, int]
    #: A thread wants to execute alone, and so many have not stopped for it.
    is_blocking: bool
    unblocked: int
    #: Of threads that are no schedulers, nothing is known.
    is_incomplete: bool
    unreadable: int

    @property
    def awaited(self) -> list[ManagedThread]:
        """Those that the others wait for at this moment.  In a VM that works, that are often some:
        it is the age of a scheduler's clock that tells whether one has been awaited for long."""
        return [thread for thread in self.threads if thread.is_awaited]


def schedulers(vm: VM) -> list[Scheduler]:
    """All schedulers: normal, dirty CPU, dirty IO."""
    return [Scheduler(**facts) for facts in vm.native.schedulers()]


def unread(found: list[Scheduler]) -> list[str]:
    """What must be said of schedulers that could not be read, a sentence each."""
    incomplete = sum(scheduler.is_incomplete for scheduler in found)
    if not incomplete:
        return []
    return [f"Of {plural(incomplete, 'scheduler')} something could not be read."]


def run_queues(vm: VM) -> RunQueues:
    found, unreadable = vm.native.run_queues()
    return RunQueues([RunQueue(**facts) for facts in found], unreadable)


def waiting(vm: VM, queue: RunQueue, level: str, limit: int = 1 << 30) -> tuple[list[Term], bool]:
    """What waits in one of LEVELS, first first, and whether the chain was whole.  For "normal" and
    "low" that is the same: processes of both."""
    found, is_broken = vm.native.run_queue(queue.address, LEVELS.index(level), limit)
    return found, not is_broken


def thread_progress(vm: VM) -> ThreadProgress:
    """Raises etp.Error where the VM's value is not known."""
    facts = dict(vm.native.thread_progress())
    threads = [ManagedThread(**thread) for thread in facts.pop("threads")]
    return ThreadProgress(threads=threads, **facts)


def running(vm: VM, scheduler: Scheduler) -> Running | None:
    """What is known of the process that a scheduler executes; None if it executes none."""
    if not scheduler.process or scheduler.pid is None:
        return None
    # It may have left the process table already: then it exits.
    process = vm.process(scheduler.process)
    info = _info(vm, scheduler.process)
    state = info.get("state", 0)
    execution = _execution(vm, scheduler.process)
    return Running(
        process=process,
        pid=scheduler.pid,
        label=process.label if process else "",
        is_match=process is None and scheduler.pid.word in INVALID_PIDS,
        status=info.get("status", ""),
        priority=info.get("priority", ""),
        function=location(execution.get("current_function")),
        location=location(execution.get("current_location")),
        is_collecting_garbage=info.get("is_collecting_garbage", False),
        is_exiting=info.get("is_exiting", False),
        is_system_task=bool(state >> 21 & 1 or state >> 30 & 1),
        flags=state_flags(state),
    )


def state_flags(state: int) -> list[str]:
    """Names of what Process.state says."""
    return [name for bit, name in _STATE_FLAGS.items() if state >> bit & 1]


def _info(vm: VM, address: int) -> dict[str, Any]:
    from .vm import Error

    try:
        return vm.native.process_info(address, lists=())
    except Error:
        return {}


def _execution(vm: VM, address: int) -> dict[str, Any]:
    from .vm import Error

    try:
        return vm.native.execution(address)
    except Error:
        return {}
