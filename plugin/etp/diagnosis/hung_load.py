# SPDX-License-Identifier: Apache-2.0
"""Causes that show in what schedulers execute, and in what there is too much of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ..activity import Activity
from ..schedulers import INVALID_PIDS, KINDS
from ..text import agree, plural, safe
from ..units import format_bytes, format_pause
from .finding import Finding, Severity

if TYPE_CHECKING:
    from _etp import Term

    from ..code import Location
    from ..ets import EtsTable
    from ..hang import Hang
    from ..processes import Mailbox
    from ..schedulers import Scheduler
    from .thresholds import HungThresholds

PROMPT_DRIVERS = frozenset("fd forker sctp_inet spawn tcp_inet udp_inet vanilla".split())
"""Of ERTS itself, which never block, and which a VM at work executes all the time."""

REQUESTS = 2000
"""Messages of one mailbox among which requests are sought."""

# ---- schedulers ----------------------------------------------------------------------------


@dataclass
class Stuck:
    """A scheduler that has executed the same for long."""

    scheduler: Scheduler
    #: The process; None if it is not known which, or if it executes a port.
    pid: Term | None
    #: 0 without one.
    address: int
    activity: Activity | None
    #: While it executes a match specification, a process of ERTS's own stands in for the one that
    #: asked for it (db_prog_match(), erl_db_util.c).
    in_match: bool = False
    #: The process has left the table, and is freed.
    is_freed: bool = False

    @property
    def seconds(self) -> float:
        return (self.scheduler.clock_age_ns or 0) / 1e9

    @property
    def is_in_ets(self) -> bool:
        """It walks a table: it matches rows, or is in a function of ets that goes on where it was
        interrupted."""
        return self.in_match or self._ets_function is not None

    def walks(self, table: EtsTable) -> bool:
        """As its arguments say; true if they do not."""
        activity = self.activity
        if activity is None or not activity.arguments or self._ets_function is None:
            return True
        return activity.arguments[0] in (table.id, table.ref)

    def name(self, hang: Hang) -> str:
        if self.is_port:
            port = self.scheduler.port
            return "a port" if port is None else hang.name(port)
        if self.pid is None:
            return "a process"
        return hang.name(self.pid) + (", which is freed," if self.is_freed else "")

    @property
    def is_port(self) -> bool:
        return self.scheduler.activity == "port"

    @property
    def what(self) -> str:
        """That is executed."""
        if self.is_port:
            return "the driver"
        if self.is_freed:
            return "the end"
        return f"the NIF {self.function}" if self.scheduler.is_in_nif else self.function

    @property
    def commands(self) -> list[tuple[str, str]]:
        if self.is_port and self.scheduler.port is not None:
            return [(f"etp-port-info {self.scheduler.port}", "its driver and owner")]
        if self.pid is None or self.is_freed:
            return []
        return [(f"etp-stacktrace {self.pid}", "who called it")]

    @property
    def function(self) -> str:
        if self.in_match and self._ets_function is None:
            # The function is the one that it was in when it last was scheduled out, before that.
            return "a match specification"
        function = None if self.activity is None else self.activity.function
        return "code that is not known" if function is None else function.name()

    @property
    def _ets_function(self) -> Location | None:
        function = None if self.activity is None else self.activity.function
        return function if function is not None and function.module == "ets" else None


def stuck(hang: Hang, limits: HungThresholds) -> list[Stuck]:
    found = []
    lost = _without_scheduler(hang)
    for scheduler in hang.schedulers:
        age = scheduler.clock_age_ns or 0
        if scheduler.kind != "normal" or not scheduler.is_busy or age < limits.stuck_ms * 10**6:
            continue
        pid, address = scheduler.pid, scheduler.process
        is_missing = pid is not None and hang.process(pid) is None
        in_match = is_missing and pid is not None and pid.word in INVALID_PIDS
        if in_match:
            pid, address = lost[0] if len(lost) == 1 else (None, 0)
        is_freed = is_missing and not in_match
        activity = hang.activity(address) if address and not is_freed else None
        found.append(Stuck(scheduler, pid, address, activity, in_match, is_freed))
    return found


def _without_scheduler(hang: Hang) -> list[tuple[Term, int]]:
    """Processes that run, but that no scheduler says it executes."""
    status = hang.waits.statuses.get("running") if hang.waits else None
    executed = {scheduler.process for scheduler in hang.schedulers}
    waiters = [] if status is None else status.first
    return [(w.term, w.address) for w in waiters if w.address not in executed]


def stuck_schedulers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    found = [s for s in stuck(hang, limits) if s.address not in explained]
    for what in dict.fromkeys(s.what for s in found):
        yield _stuck_finding(hang, [s for s in found if s.what == what])


def _stuck_finding(hang: Hang, group: list[Stuck]) -> Finding:
    first = max(group, key=lambda s: s.seconds)
    online = sum(s.kind == "normal" and s.activity != "suspended" for s in hang.schedulers)
    executed = {s.address for s in group} - {0}
    behind = sum(hang.behind(address) for address in executed)
    if len(group) == 1:
        title = (
            f"Scheduler {first.scheduler.number} has executed {first.what} of {first.name(hang)} for"
            f" {format_pause(first.seconds)}"
        )
    else:
        title = (
            f"{len(group)} of {online} schedulers have executed {first.what} for up to"
            f" {format_pause(first.seconds)}, one for {first.name(hang)}"
        )
    title += _waiting(behind, "for it")
    evidence = [_why_stuck(first)]
    awaited = {t.scheduler for t in hang.progress.awaited} if hang.progress else set()
    if awaited & {s.scheduler.number for s in group}:
        evidence.append(
            "Thread progress waits for it: until it comes back, no memory is freed that others may"
            " still read, and no code is loaded or purged."
        )
    queued = hang.queue_of("normal")
    if queued:
        evidence.append(
            f"{plural(queued, 'process', 'processes')} {agree('wait', queued)} in run queues."
        )
    if hang.timers is not None and hang.timers.overdue:
        late = plural(hang.timers.overdue, "timer")
        evidence.append(f"{late} {agree('are', hang.timers.overdue)} overdue.")
    subjects = [s.scheduler.port if s.is_port else s.pid for s in group]
    is_known = first.scheduler.is_in_nif or first.is_port or first.is_freed
    return Finding(
        "stuck_scheduler",
        Severity.HANG,
        title,
        evidence,
        [("etp-schedulers", "what all of them execute"), *first.commands],
        behind,
        [str(subject) for subject in subjects if subject is not None],
        "" if is_known else "The function is that of the last time that the process called C.",
        # Whoever takes a scheduler away holds up more than those who wait for it.
        weight=behind + len(group) * 1000,
        explains=executed,
    )


def _waiting(count: int, where: str) -> str:
    return (
        f"; {plural(count, 'process', 'processes')} {agree('wait', count)} {where}" if count else ""
    )


def _why_stuck(stuck: Stuck) -> str:
    library = stuck.scheduler.nif_library
    if stuck.scheduler.is_in_nif:
        return f"A NIF should return within 1 ms; this one, of the library {safe(library or '?')}, has not."
    if stuck.is_port:
        return "A driver should return within 1 ms; this one has not."
    return "A scheduler should look at the clock at least every 4000 reductions; this one has not."


def all_schedulers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """All normal schedulers are in C, so that none looks at the clock any more by which others are stuck."""
    own = [s for s in hang.schedulers if s.kind == "normal" and s.activity != "suspended"]
    if not own or not all(_is_in_c(hang, s) for s in own) or stuck(hang, limits):
        return
    executed = {s.process for s in own} - {0}
    behind = sum(hang.behind(address) for address in executed)
    queued = hang.queue_of("normal")
    if len(own) == 1 and not behind and not queued:
        return
    first = own[0]
    activity = hang.activity(first.process) if first.process else None
    one = Stuck(first, first.pid, first.process, activity)
    if len(own) == 1:
        title = f"The only scheduler executes {one.what} of {one.name(hang)}"
    else:
        kinds = "NIFs" if all(s.is_in_nif for s in own) else "NIFs or drivers"
        title = f"All {len(own)} schedulers execute {kinds} (first: {one.what} of {one.name(hang)})"
    title += _waiting(queued, "in run queues")
    title += _waiting(behind, "for it" if len(own) == 1 else "for these")
    subjects = [s.port if s.activity == "port" else s.pid for s in own]
    yield Finding(
        "all_schedulers",
        Severity.LIKELY,
        title,
        ["Meanwhile nothing else is executed, and no timer fires."],
        [("etp-schedulers", "what all of them execute"), *one.commands],
        behind,
        [str(subject) for subject in subjects if subject is not None],
        "No scheduler is left whose clock could tell for how long.",
        weight=behind + len(own) * 1000,
        explains=executed,
    )


def _is_in_c(hang: Hang, scheduler: Scheduler) -> bool:
    if scheduler.activity != "port" or scheduler.port is None:
        return scheduler.is_in_nif
    port = hang.port(scheduler.port)
    return port is not None and port["driver"] not in (None, *PROMPT_DRIVERS)


def dirty_schedulers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    for kind in ("dirty_cpu", "dirty_io"):
        own = [s for s in hang.schedulers if s.kind == kind and s.activity != "suspended"]
        waiting = hang.queue_of(kind)
        if not own or not waiting or not all(s.is_busy for s in own):
            continue
        activities = [hang.activity(s.process) for s in own]
        executed = {s.process for s in own} - {0}
        counts = Counter(a.function.name(hang.syntax) for a in activities if a.function)
        ((function, most),) = counts.most_common(1) or [("code that is not known", 0)]
        inside = "all" if most == len(own) else f"{most:,}"
        name = KINDS[kind] + "schedulers"
        evidence = [
            f"{hang.name(s.pid)} {a.text}."
            for s, a in zip(own[:3], activities)
            if s.pid is not None
        ]
        if kind == "dirty_cpu":
            evidence.append("Large garbage collections wait for them as well.")
        yield Finding(
            kind,
            # Work that takes long is what they are for, and a few may well wait.
            Severity.LIKELY if waiting >= len(own) else Severity.STRAIN,
            f"All {len(own)} {name} are taken, {inside} by {function};"
            f" {plural(waiting, 'process', 'processes')} {agree('wait', waiting)} for one",
            evidence,
            [("etp-schedulers", "what each executes"), ("etp-run-queues", "what waits")],
            waiting + sum(hang.behind(address) for address in executed),
            [str(s.pid) for s in own if s.pid is not None],
            "One look cannot tell for how long.",
            explains=executed,
        )


def collections(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Processes that collect a large heap, and for which others wait."""
    status = hang.waits.statuses.get("garbage_collecting") if hang.waits else None
    for waiter in [] if status is None else status.first:
        doing = hang.activity(waiter.address)
        enough = limits.collected_bytes if waiter.behind else 16 * limits.collected_bytes
        if waiter.address in explained or doing.heap_bytes < enough:
            continue
        behind = waiter.behind
        evidence = []
        if doing.function is not None:
            evidence.append(f"It was in {doing.function.name(hang.syntax)}.")
        if doing.messages:
            evidence.append(
                f"{plural(doing.messages, 'message')} {agree('wait', doing.messages)} in its mailbox."
            )
        yield Finding(
            "collection",
            Severity.LIKELY,
            f"{hang.name(waiter.term)} {doing.text}{_waiting(behind, 'for it')}",
            evidence,
            [
                (f"etp-process-info {waiter.term}", "its memory"),
                (f"etp-histogram --process {waiter.term}", "what is in its heap"),
            ],
            behind,
            [str(waiter.term)],
            "One look cannot tell for how long; heap pointers of a process that collects are not certain.",
            explains={waiter.address},
        )


def works(doing: Activity, limits: HungThresholds) -> bool:
    """It is executed, or will be, and may collect a little garbage meanwhile."""
    is_short = doing.kind == "collecting" and doing.heap_bytes < limits.collected_bytes
    return is_short or doing.kind in ("running", "runnable")


def run_queues(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    own = [s for s in hang.schedulers if s.kind == "normal" and s.activity != "suspended"]
    waiting = hang.queue_of("normal")
    if not own or waiting < limits.run_queue * len(own):
        return
    activities = [hang.activity(s.process) for s in own if s.process]
    counts = Counter(a.function.name(hang.syntax) for a in activities if a.function)
    executed = [
        f"{plural(n, 'scheduler')} {agree('execute', n)} {name}."
        for name, n in counts.most_common(3)
    ]
    busy = sum(s.is_busy for s in own)
    yield Finding(
        "run_queues",
        Severity.LIKELY,
        f"{plural(waiting, 'process', 'processes')} wait to be executed on {plural(len(own), 'scheduler')}",
        [f"{busy} of these execute a process or a port.", *executed],
        [("etp-run-queues", "how many wait for which"), ("etp-schedulers", "what is executed")],
        waiting,
        [],
    )


# ---- too much ------------------------------------------------------------------------------


def abandoned(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Who calls somebody that does not answer, and dies when its time is up, leaves its request behind: then
    nobody waits any more for a server that is stuck."""
    for box in hang.mailboxes.boxes if hang.mailboxes else []:
        if box.messages + box.in_transit < limits.stalled_callers or box.address in explained:
            continue
        doing = hang.activity(box.address)
        if works(doing, limits) or doing.kind in ("exiting", "unknown"):
            continue
        callers = _callers(hang, box.address)
        dead = sum(pid.address == 0 and hang.process(pid) is None for pid in callers)
        if dead >= limits.stalled_callers:
            yield _abandoned(hang, box, doing, dead, len(callers))


def _callers(hang: Hang, address: int) -> list[Term]:
    """Pids of those whose requests are first in a mailbox."""
    from ..processes import messages
    from ..vm import Error

    found = []
    for message in islice(messages(hang.vm, address), REQUESTS):
        try:
            caller = None if message.term is None else _caller(message.term)
        except Error:
            continue
        if caller is not None:
            found.append(caller)
    return found


def _caller(message: Term) -> Term | None:
    """Of {Label, {Pid, Tag}, Request} (gen.erl), or {io_request, Pid, ReplyAs, Request}."""
    if message.kind != "tuple" or len(message) not in (3, 4) or message[0].kind != "atom":
        return None
    sender = message[1]
    if len(message) == 4:
        is_request = message[0].value() == "io_request"
    else:
        is_request = sender.kind == "tuple" and len(sender) == 2
        sender = sender[0] if is_request else sender
    return sender if is_request and sender.kind == "pid" else None


def _abandoned(hang: Hang, box: Mailbox, doing: Activity, dead: int, requests: int) -> Finding:
    return Finding(
        "abandoned",
        Severity.LIKELY,
        f"{dead:,} of the first {requests:,} requests in the mailbox of {hang.name(box.pid)} are of callers"
        f" that are dead; it {doing.text}",
        ["They have given up: nobody waits for these answers any more."],
        [
            (f"etp-stacktrace {box.pid}", "where it is"),
            (f"etp-msgq {box.pid} --limit 5", "the oldest requests"),
        ],
        hang.behind(box.address),
        [str(box.pid)],
        "One look cannot tell for how long.",
        weight=dead,
        explains={box.address},
    )


def long_mailboxes(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    for box in hang.mailboxes.boxes if hang.mailboxes else []:
        if box.address not in explained and _is_long(hang, box, limits):
            yield _long_mailbox(hang, box, limits)


def _is_long(hang: Hang, box: Mailbox, limits: HungThresholds) -> bool:
    total = box.messages + box.in_transit
    if total >= limits.mailbox:
        return True
    if total < limits.unmatched or hang.activity(box.address).kind != "waiting":
        return False
    return total >= limits.waiting_mailbox or _is_selective(hang, box, limits)


def _is_selective(hang: Hang, box: Mailbox, limits: HungThresholds) -> bool:
    """Does it wait for a message that is none of those that have come?  Who calls somebody does, but
    its receive looks at none that came before, and the next one of its own takes them."""
    looked_at = box.looked_at or 0
    doing = hang.activity(box.address)
    return (
        doing.kind == "waiting"
        and not doing.caller
        and looked_at >= limits.selective_share * box.messages > 0
    )


def _long_mailbox(hang: Hang, box: Mailbox, limits: HungThresholds) -> Finding:
    total = box.messages + box.in_transit
    doing = hang.activity(box.address)
    looked_at = box.looked_at or 0
    selective = _is_selective(hang, box, limits)
    if selective:
        title = (
            f"{hang.name(box.pid)} has {total:,} messages, and waits for one that is not among them"
        )
    else:
        title = f"{total:,} messages wait for {hang.name(box.pid)}, which {_meanwhile(hang, box)}"
    evidence = []
    if selective:
        evidence.append(
            f"It {doing.text}; this receive has looked at {looked_at:,} of them, and the next one will"
            " look at them again."
        )
    elif doing.caller:
        evidence.append(f"It {doing.text}, called by {doing.caller}.")
    elif looked_at:
        evidence.append(f"Its receive has looked at {looked_at:,} of them, and left them.")
    shapes = shapes_of(hang, box.address)
    if shapes:
        evidence.append(f"They are: {shapes}.")
    return Finding(
        "selective_receive" if selective else "mailbox",
        Severity.STRAIN,
        title,
        evidence,
        [
            ("etp-messages --shapes all", "all shapes"),
            (f"etp-msgq {box.pid} --limit 5", "the oldest messages"),
            (f"etp-stacktrace {box.pid}", "where it is"),
        ],
        hang.behind(box.address),
        [str(box.pid)],
        weight=total,
    )


def _meanwhile(hang: Hang, box: Mailbox) -> str:
    """What the owner of a mailbox does, or whom it waits for, if that is known."""
    doing = hang.activity(box.address)
    if not doing.caller:
        return doing.text
    path = hang.path(box.address)
    if len(path) > 1:
        return f"waits for {hang.name(path[1].term)}"
    return f"waits for an answer, in a call from {doing.caller}"


def shapes_of(hang: Hang, address: int) -> str:
    """The most frequent messages of the process at an address, by their shape."""
    from ..processes import shapes

    found = shapes(hang.vm, address, elixir=hang.syntax == "elixir", redact=True)
    return ", ".join(f"{shape.count:,} {shape.text}" for shape in found.shapes[:3])


def timer_storm(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    found = hang.timers
    if found is None or found.due_soon < limits.timers_a_second:
        return
    evidence = []
    title = f"{found.due_soon:,} timers are due within a second"
    subjects = []
    if found.receivers:
        receiver, count, _ = found.receivers[0]
        subjects = [str(receiver)]
        title += f"; {hang.name(receiver)} has {count:,} of all {found.count:,}"
        address = next((p.address for p in [hang.process(receiver)] if p), 0)
        if address:
            doing = hang.activity(address)
            evidence.append(
                f"{receiver} {doing.text}, with {plural(doing.messages, 'message')} in its mailbox."
            )
    if found.overdue:
        evidence.append(f"{found.overdue:,} of them are overdue.")
    yield Finding(
        "timer_storm",
        Severity.STRAIN,
        title,
        evidence,
        [("etp-timers", "who has them"), ("etp-schedulers", "who serves them")],
        0,
        subjects,
        weight=found.due_soon,
    )
