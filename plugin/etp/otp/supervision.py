# SPDX-License-Identifier: Apache-2.0
"""Supervision trees: applications, supervisors and what they know of their children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from ..errors import Problem
from ..processes import Row, rows, unread
from ..vm import Error
from ..text import plural
from .records import CHILD, SUPERVISOR, named
from .roles import is_atom
from .state import OtpState, state

if TYPE_CHECKING:
    from _etp import Term

    from ..vm import VM

MAX_DEPTH = 100
"""Levels of supervisors below an application."""

KINDS = ("supervisor", "supervisor2", "supervisor_bridge", "DynamicSupervisor")
"""Behaviours that supervise."""


@dataclass
class Child:
    """A child as its supervisor knows it."""

    #: None of a simple_one_for_one, and of Elixir's DynamicSupervisor.
    id: Optional[Term]
    pid: Optional[Term]
    #: "running"; "restarting"; "undefined" (terminated, or start returned ignore); "dead": its exit
    #: signal has not been handled.
    status: str
    restart: str = ""
    #: "worker" or "supervisor".
    type: str = ""
    modules: Optional[Term] = None
    row: Optional[Row] = None
    #: What it supervises.
    supervisor: Optional[Supervisor] = None


@dataclass
class Supervisor:
    row: Row
    #: "supervisor", "supervisor2", "DynamicSupervisor", or "" of one that is not known.
    behaviour: str
    module: Optional[str] = None
    strategy: str = ""
    intensity: Optional[int] = None
    #: Seconds.
    period: Optional[int] = None
    #: Restarts that are remembered: those of the last period before the last one.
    restarts: int = 0
    children: list[Child] = field(default_factory=list)
    #: Specifications of children, as supervisor:count_children/1 counts them.
    specs: int = 0
    #: What is not sure or not known.
    problem: str = ""


@dataclass
class Totals:
    """Of a process and all below it."""

    processes: int = 0
    #: Bytes, without off-heap binaries.
    memory: int = 0
    message_queue_len: int = 0
    restarts: int = 0

    def add(self, other: Totals) -> None:
        self.processes += other.processes
        self.memory += other.memory
        self.message_queue_len += other.message_queue_len
        self.restarts += other.restarts


@dataclass
class Line:
    """One line of an outline."""

    depth: int
    #: None: the line is for children that have none of their own.
    child: Optional[Child]
    parent: Optional[Supervisor]
    rest: list[Child] = field(default_factory=list)


@dataclass
class Application:
    name: str
    #: The application master, and the process at the top of the tree.
    master: Row
    top: Optional[Child]
    #: All processes that have the master as group leader, and the master itself.
    processes: list[Row]
    problem: str = ""


class Trees:
    """The supervision trees of a VM; what one supervisor says is read when it is asked for."""

    def __init__(self, vm: VM) -> None:
        self.vm = vm
        found = rows(vm)
        self.rows = {row.pid.word: row for row in found}
        self._ancestors: dict[int, int] = {}
        self._by_ancestor: dict[int, list[Row]] | None = None
        #: What could not be read, a sentence each.
        self.problems = unread(found)
        self._names = {row.name: row.pid.word for row in self.rows.values() if row.name}

    # ---- applications ----------------------------------------------------------------------

    def applications(self) -> list[Application]:
        """Those that run, by name."""
        by_leader: dict[int, list[Row]] = {}
        for row in self.rows.values():
            by_leader.setdefault(row.group_leader, []).append(row)
        found = [
            self._application(name, row, by_leader.get(row.pid.word, []))
            for name, row in self._masters()
        ]
        return sorted(found, key=lambda application: application.name)

    def _masters(self) -> Iterator[tuple[str, Row]]:
        """{{application_master, Name}, Pid} in ac_tab (application_controller.erl)."""
        found = self.vm.ets_table("ac_tab").rows()
        for row in found:
            key = row.key
            if key.kind != "tuple" or len(key) != 2 or not is_atom(key[0], "application_master"):
                continue
            pid = row.term[1]
            if pid.kind == "pid" and pid.word in self.rows:
                yield str(key[1].value()), self.rows[pid.word]
        if found.gaps:
            self.problems.append(
                f"Applications may be missing: {plural(found.gaps, 'row')} of ac_tab could not be read."
            )

    def _application(self, name: str, master: Row, led: list[Row]) -> Application:
        processes = [master, *(row for row in led if row is not master)]
        # The master starts a process that starts the top supervisor, and stays between them
        # (application_master.erl, loop_it/4).
        starters = [row for row in led if row.initial_call == ("application_master", "start_it", 4)]
        starters = starters or [row for row in led if row.pid.word in self._links(master)]
        for starter in starters:
            for word in self._links(starter):
                row = self.rows.get(word)
                if row is not None and self._first_ancestor(row) == starter.pid.word:
                    return Application(name, master, self._below(row), processes)
        return Application(
            name, master, None, processes, "the process at the top of its tree was not found"
        )

    def _below(self, row: Row) -> Child:
        child = Child(None, row.pid, "running", row=row)
        child.supervisor = self.supervisor(row)
        child.type = "supervisor" if child.supervisor else "worker"
        return child

    # ---- supervisors -----------------------------------------------------------------------

    def of(self, row: Row) -> Child:
        """The tree below any process."""
        return self._below(row)

    def supervisor(self, row: Row) -> Supervisor | None:
        """What a supervisor says of itself; None of a process that is none."""
        process = self.vm.process(row.address)
        if process is None:
            return None
        found = state(self.vm, process)
        if found.behaviour not in KINDS:
            return None
        supervisor = Supervisor(row, found.behaviour or "", found.module)
        if found.term is None:
            supervisor.problem = f"its children are not known, because {found.problem}"
            return supervisor
        if not found.sure:
            supervisor.problem = "its state is a guess"
        try:
            self._read(supervisor, found)
        except (Error, KeyError, IndexError, TypeError, ValueError) as error:
            supervisor.problem = f"its children could not be read ({error})"
        return supervisor

    def _read(self, supervisor: Supervisor, found: OtpState) -> None:
        assert found.term is not None
        if found.behaviour == "DynamicSupervisor":
            self._read_dynamic(supervisor, found.term)
            return
        if found.behaviour == "supervisor_bridge":
            # #state{mod, pid, child_state, name} (supervisor_bridge.erl).
            supervisor.children = [self._running(found.term[2])]
            supervisor.children[0].type = "worker"
            return
        record = named(found.term, SUPERVISOR)
        if record is None:
            supervisor.problem = f"its record of {len(found.term)} elements is not known"
            return
        supervisor.strategy = str(record["strategy"].value())
        supervisor.intensity = _integer(record["intensity"])
        supervisor.period = _integer(record["period"])
        restarts = record["restarts"]
        supervisor.restarts = len(restarts) if restarts.kind == "cons" else 0
        children = list(_specifications(record["children"]))
        supervisor.specs = len(children)
        if supervisor.strategy != "simple_one_for_one":
            supervisor.children = [self._child(spec) for spec in children]
        elif children:
            spec = children[0]
            dynamic = _dynamics(record["dynamics"])
            if dynamic is None:
                supervisor.problem = "its children are kept in a way that is not known"
            for term in dynamic or []:
                child = self._child(spec, term)
                child.id = None
                supervisor.children.append(child)

    def _child(self, spec: dict[str, Term], pid: Term | None = None) -> Child:
        pid = spec["pid"] if pid is None else pid
        child = self._running(pid)
        child.id = spec["id"]
        # supervisor2: {permanent, Delay}.
        restart = spec["restart_type"]
        child.restart = str(restart[0] if restart.kind == "tuple" else restart)
        child.type = str(spec["child_type"])
        child.modules = spec["modules"]
        return child

    def _running(self, pid: Term) -> Child:
        if pid.kind == "tuple" and len(pid) == 2 and is_atom(pid[0], "restarting"):
            return Child(None, None, "restarting")
        if pid.kind != "pid":
            return Child(None, None, "undefined")
        row = self.rows.get(pid.word)
        alive = row is not None or pid.address != 0
        return Child(None, pid, "running" if alive else "dead", row=row)

    def _read_dynamic(self, supervisor: Supervisor, struct: Term) -> None:
        """%DynamicSupervisor{}: children is %{pid => {mfa, restart, shutdown, type, modules} or
        {:restarting, that}}."""
        supervisor.strategy = str(struct["strategy"].value())
        supervisor.intensity = _integer(struct["max_restarts"])
        supervisor.period = _integer(struct["max_seconds"])
        restarts = struct["restarts"]
        supervisor.restarts = len(restarts) if restarts.kind == "cons" else 0
        for pid, entry in struct["children"].items():
            child = self._running(pid)
            if len(entry) == 2 and is_atom(entry[0], "restarting"):
                child, entry = Child(None, None, "restarting"), entry[1]
            child.restart = str(entry[1].value())
            child.type = str(entry[3].value())
            child.modules = entry[4]
            supervisor.children.append(child)
        supervisor.specs = len(supervisor.children)

    # ---- trees -----------------------------------------------------------------------------

    def walk(self, top: Child) -> Iterator[tuple[int, Child, Supervisor | None]]:
        """A tree from the top: depth, child, and who supervises it.  What is a supervisor is read
        on the way; one that is met twice is not descended into."""
        seen: set[int] = set()
        # An explicit stack: a tree of a core may go round.
        stack: list[tuple[int, Child, Supervisor | None]] = [(0, top, None)]
        while stack:
            depth, child, parent = stack.pop()
            if child.row is not None and depth < MAX_DEPTH and child.row.pid.word not in seen:
                seen.add(child.row.pid.word)
                if child.supervisor is None and child.type == "supervisor":
                    child.supervisor = self.supervisor(child.row) or self._unknown(child.row)
                if child.supervisor is not None:
                    below = [(depth + 1, c, child.supervisor) for c in child.supervisor.children]
                    stack.extend(reversed(below))
            yield depth, child, parent

    def _unknown(self, row: Row) -> Supervisor:
        """A supervisor of a kind that is not known: its children are those whose first ancestor it
        is, as proc_lib noted."""
        supervisor = Supervisor(row, "")
        supervisor.problem = (
            "of a kind that is not known: its children are those that have it as first of"
            " '$ancestors'"
        )
        for child in self._descendants(row):
            entry = Child(None, child.pid, "running", row=child)
            entry.supervisor = self.supervisor(child)
            entry.type = "supervisor" if entry.supervisor else "worker"
            supervisor.children.append(entry)
        return supervisor

    def _descendants(self, row: Row) -> list[Row]:
        if self._by_ancestor is None:
            self._by_ancestor = {}
            for other in self.rows.values():
                self._by_ancestor.setdefault(self._first_ancestor(other), []).append(other)
        return self._by_ancestor.get(row.pid.word, [])

    def totals(self, top: Child) -> dict[int, Totals]:
        """Totals by id() of each child in a tree that was walked."""
        found: dict[int, Totals] = {}
        path: list[tuple[int, Child]] = []
        for depth, child, _parent in self.walk(top):
            while path and path[-1][0] >= depth:
                self._close(path, found)
            own = Totals()
            if child.row is not None:
                own = Totals(1, child.row.memory, child.row.message_queue_len)
            if child.supervisor is not None:
                own.restarts = child.supervisor.restarts
            found[id(child)] = own
            path.append((depth, child))
        while path:
            self._close(path, found)
        return found

    @staticmethod
    def outline(top: Child, totals: dict[int, Totals], most: int, deepest: int) -> Iterator[Line]:
        """A tree line by line: of each supervisor's children at most ``most`` (0: all), those with
        most memory below them in the supervisor's order, and a line for the rest."""
        stack = [Line(0, top, None)]
        while stack:
            line = stack.pop()
            yield line
            supervisor = None if line.child is None else line.child.supervisor
            if supervisor is None or deepest and line.depth >= deepest:
                continue
            children = [child for child in supervisor.children if id(child) in totals]
            shown, rest = children, []
            if most and len(children) > most:
                largest = sorted(children, key=lambda child: -totals[id(child)].memory)[:most]
                wanted = {id(child) for child in largest}
                shown = [child for child in children if id(child) in wanted]
                rest = [child for child in children if id(child) not in wanted]
            depth = line.depth + 1
            if rest:
                stack.append(Line(depth, None, supervisor, rest))
            stack += [Line(depth, child, supervisor) for child in reversed(shown)]

    @staticmethod
    def _close(path: list[tuple[int, Child]], found: dict[int, Totals]) -> None:
        _depth, child = path.pop()
        if path:
            found[id(path[-1][1])].add(found[id(child)])

    # ---- facts about processes -------------------------------------------------------------

    def _first_ancestor(self, row: Row) -> int:
        """The word of the first of $ancestors in its dictionary, 0 without any."""
        word = row.pid.word
        if word not in self._ancestors:
            self._ancestors[word] = 0
            for key, value in self._dictionary(row):
                if is_atom(key, "$ancestors") and value.kind == "cons":
                    self._ancestors[word] = self._word_of(value[0])
                    break
        return self._ancestors[word]

    def _dictionary(self, row: Row) -> list[tuple[Term, Term]]:
        try:
            pairs: list[tuple[Term, Term]] = self.vm.native.process_info(row.address)["dictionary"]
        except (Error, Problem):
            return []
        return pairs

    def _word_of(self, term: Term) -> int:
        """Of a pid, or of the process that is registered so."""
        if term.kind != "atom":
            return term.word
        return self._names.get(str(term.value()), 0)

    def _links(self, row: Row) -> set[int]:
        return {link.word for link in self.vm.native.process_info(row.address)["links"]}


def _integer(term: Term) -> int | None:
    return int(term.value()) if term.kind == "small" else None


def _specifications(children: Term) -> Iterator[dict[str, Term]]:
    """{Ids, #{Id => #child{}}}, or a list of these."""
    if children.kind == "tuple" and len(children) == 2 and children[1].kind == "map":
        ids = children[0]
        by_id = children[1]
        for key in list(ids) if ids.kind == "cons" else []:
            spec = named(by_id[key], CHILD)
            if spec is not None:
                yield spec
    elif children.kind == "cons":
        for element in children:
            spec = named(element, CHILD)
            if spec is not None:
                yield spec


def _dynamics(dynamics: Term) -> list[Term] | None:
    """The pids of {maps, #{Pid => Args}}, {mapsets, #{Pid => []}} or {sets, Set}; supervisor2 to
    RabbitMQ 3.8 has a set, or a dict, without the tag.  None if it is nothing of these."""
    if dynamics.kind == "tuple" and len(dynamics) == 2:
        dynamics = dynamics[1]
    if dynamics.kind == "map":
        return list(dynamics.keys())
    if dynamics.kind != "tuple" or len(dynamics) != 9 or not is_atom(dynamics[0], "set", "dict"):
        return None
    # #set{} and #dict{} of sets.erl and dict.erl: segments of buckets, which are lists.
    entries = [
        entry
        for segment in dynamics[8]
        for bucket in segment
        if bucket.kind == "cons"
        for entry in bucket
    ]
    # An entry of a dict is [Key | Value].
    return [entry[0] if entry.kind == "cons" else entry for entry in entries]
