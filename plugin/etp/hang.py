# SPDX-License-Identifier: Apache-2.0
"""Everything that may say why a VM does not answer, read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from . import code, limits, locks, processes, schedulers, timers, tracers
from .activity import Activity, activity
from .errors import Problem
from .otp import loggers
from .otp.loggers import Handler, Handlers
from .otp.on_behalf import OnBehalf, on_behalf
from .text import safe
from .vm import Error
from .waits import Root, Waiter, Waits, waits

if TYPE_CHECKING:
    from _etp import Term

    from .ets import EtsTable
    from .limits import Rooms
    from .locks import Lock
    from .processes import Mailboxes
    from .schedulers import RunQueues, Scheduler, ThreadProgress
    from .timers import Timers
    from .tracers import Tracers
    from .vm import VM, Process

SYSTEM = frozenset(
    "application_controller code_server erl_prim_loader erl_signal_server erts_code_purger"
    " file_server_2 global_name_server inet_db init kernel_sup logger net_kernel rex user".split()
)
"""Processes of OTP that everything rests on."""

MAILBOXES = 10
"""The longest ones, which are looked at."""

_T = TypeVar("_T")


@dataclass
class Hang:
    """What was read of a VM; None, or an empty list, for what could not be."""

    vm: VM
    syntax: str = "erlang"
    #: Contents are not to be shown, and neither are paths of files.
    redact: bool = False
    schedulers: list[Scheduler] = field(default_factory=list)
    queues: RunQueues | None = None
    progress: ThreadProgress | None = None
    waits: Waits | None = None
    #: What processes do for those who asked a server of OTP, by their address.
    roles: dict[int, str] = field(default_factory=dict)
    mailboxes: Mailboxes | None = None
    ports: list[dict[str, Any]] = field(default_factory=list)
    tables: list[EtsTable] = field(default_factory=list)
    timers: Timers | None = None
    locks: list[Lock] = field(default_factory=list)
    tracers: Tracers | None = None
    handlers: list[Handler] = field(default_factory=list)
    rooms: Rooms | None = None
    #: What could not be read, a sentence each.
    unread: list[str] = field(default_factory=list)
    _activities: dict[int, Activity] = field(default_factory=dict)

    def activity(self, address: int) -> Activity:
        """What the Process at an address was doing."""
        if address not in self._activities:
            self._activities[address] = activity(self.vm, address, self.schedulers, self.syntax)
        return self._activities[address]

    def name(self, term: Term) -> str:
        """``<0.81.0> slow_server``; of a port, what it was opened with."""
        if term.kind == "pid":
            process = self.vm.process(term)
            return f"{term} {process.label}".strip() if process else str(term)
        if term.kind == "port":
            port = self.port(term)
            return f"{term} {_port_name(port, self.redact)}".strip() if port else str(term)
        return "of another host" if self.redact else safe(str(term))

    def process(self, term: Term) -> Process | None:
        return self.vm.process(term) if term.kind == "pid" else None

    def port(self, term: Term) -> dict[str, Any] | None:
        return next((p for p in self.ports if p["port"].word == term.word), None)

    def behind(self, address: int) -> int:
        """How many wait for the one at an address, directly or not."""
        if self.waits is None:
            return 0
        path = self.path(address)
        if path:
            return path[0].behind
        found = [root.waiter for root in self.waits.roots]
        return next((waiter.behind for waiter in found if waiter.address == address), 0)

    def path(self, address: int) -> list[Waiter]:
        """The process at an address, whom that waits for, and so on; [] if it neither waits nor is waited
        for, or is not one of those that are followed: those that everything rests on, those that write
        what is logged, and those that schedulers execute, that have a long mailbox, that do something on
        behalf of others or have a lock that is held."""
        return self.waits.paths.get(address, []) if self.waits else []

    def members(self, root: Root) -> list[Waiter]:
        """A root, the longest chain that ends there, and those that are followed and wait for it."""
        found = {waiter.address: waiter for waiter in (root.waiter, *root.chain)}
        for path in self.waits.paths.values() if self.waits else []:
            if path[-1].address == root.waiter.address:
                found.setdefault(path[0].address, path[0])
        return list(found.values())

    def unjudged(self, callers: int) -> list[str]:
        """A sentence, if some were left out of whom so many wait for one that a cause could be among them."""
        if self.waits is None:
            return []
        count, urgent, behind = self.waits.unlisted
        if not urgent and behind < callers:
            return []
        return [
            f"Of {self.waits.root_count:,} whom others wait for, {count:,} were not looked at; at most"
            f" {behind:,} wait for one of these."
        ]

    def queue_of(self, kind: str) -> int:
        """Length of the queues of schedulers of a kind."""
        if self.queues is None:
            return 0
        return sum(queue.length for queue in self.queues.queues if queue.kind == kind)


def _port_name(port: dict[str, Any], redact: bool) -> str:
    """What it was opened with, without arguments, which may be secret."""
    registered, name = port["registered_name"], (port["name"] or "").split(" ")[0]
    if redact:
        name = name.rsplit("/", 1)[-1]
    if registered is None:
        return safe(name)
    return f"{registered} ({safe(name)})" if name else str(registered)


def read(vm: VM, syntax: str = "erlang", redact: bool = False) -> Hang:
    hang = Hang(vm, syntax, redact)

    def attempt(what: str, take: Callable[[], _T]) -> _T | None:
        try:
            return take()
        except (Error, Problem) as error:
            hang.unread.append(f"{what} could not be read: {error}")
            return None

    hang.schedulers = attempt("Schedulers", lambda: schedulers.schedulers(vm)) or []
    hang.queues = attempt("Run queues", lambda: schedulers.run_queues(vm))
    hang.progress = attempt("Thread progress", lambda: schedulers.thread_progress(vm))
    known = attempt("What servers of OTP have others do", lambda: on_behalf(vm)) or OnBehalf()
    hang.roles = known.roles
    hang.mailboxes = attempt("Mailboxes", lambda: processes.mailboxes(vm, MAILBOXES))
    found = attempt("Ports", vm.native.ports)
    hang.ports = found[0] if found else []
    hang.tables = attempt("ETS tables", lambda: list(vm.ets_tables)) or []
    hang.timers = attempt("Timers", lambda: timers.take(vm, limit=1))
    held = attempt("Locks", lambda: locks.locks(vm))
    hang.locks = held.locks if held else []
    hang.tracers = attempt("Tracers", lambda: tracers.tracers(vm))
    handlers = attempt("Handlers of logger", lambda: loggers.handlers(vm)) or Handlers()
    hang.handlers = handlers.handlers
    followed = _followed(hang, known)
    hang.waits = attempt(
        "Who waits for whom", lambda: waits(vm, edges=known.edges, followed=followed)
    )
    hang.rooms = attempt("Limits on memory", lambda: limits.rooms(vm))
    _note_handlers(hang, handlers)
    _note_gaps(hang, found[1] if found else 0, held.gaps if held else 0)
    return hang


def _followed(hang: Hang, known: OnBehalf) -> list[int]:
    """Pids and names of those of whom is asked whom they wait for, as Term.word."""
    pids = [handler.process.pid for handler in hang.handlers]
    pids += [box.pid for box in hang.mailboxes.boxes] if hang.mailboxes else []
    pids += [scheduler.pid for scheduler in hang.schedulers if scheduler.pid is not None]
    pids += [lock.term for lock in hang.locks if lock.owner == "process"]
    words = [pid.word for pid in pids] + [target for _, target, _, _ in known.edges]
    for name in SYSTEM:
        try:
            words.append(hang.vm.native.find_atom(name).word)
        except Error:
            # Nobody has ever said that name.
            pass
    return sorted(set(words))


def _note_handlers(hang: Hang, handlers: Handlers) -> None:
    from .text import plural

    if handlers.unknown:
        hang.unread.append(
            f"Handlers of logger: of {plural(handlers.unknown, 'child', 'children')} of logger_sup,"
            " it could not be read whether it is one."
        )
    if handlers.is_incomplete:
        hang.unread.append("Handlers of logger: not all children of logger_sup could be read.")


def _note_gaps(hang: Hang, ports: int, held: int) -> None:
    from .text import plural

    if held:
        hang.unread.append(f"{plural(held, 'lock')} could not be read.")
    if hang.tracers is not None and hang.tracers.gaps:
        hang.unread.append(f"{plural(hang.tracers.gaps, 'tracer')} could not be read.")
    if hang.rooms is not None:
        hang.unread += hang.rooms.problems

    incomplete = sum(scheduler.is_incomplete for scheduler in hang.schedulers)
    if incomplete:
        hang.unread.append(f"Of {plural(incomplete, 'scheduler')} something could not be read.")
    if ports:
        hang.unread.append(f"{plural(ports, 'port')} could not be read.")
    places: tuple[tuple[str, Any], ...] = (
        ("Who waits for whom", hang.waits),
        ("Mailboxes", hang.mailboxes),
        ("Timers", hang.timers),
    )
    for what, part in places:
        if part is not None and part.gaps:
            hang.unread.append(
                f"{what}: {plural(part.gaps, 'place')} could not be read, because {part.problem}."
            )
    hang.unread += hang.vm.ets_tables.gaps if hang.tables else []
    hang.unread += code.gaps(hang.vm)
