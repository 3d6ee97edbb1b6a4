# SPDX-License-Identifier: Apache-2.0
"""Servers of OTP that have others do what they are asked for: whom their callers wait for in truth.

    from etp.otp.on_behalf import on_behalf
    from etp.waits import waits

    found = on_behalf(vm)
    print(found.roles)
    print(waits(vm, edges=found.edges).roots)

application_controller answers who starts an application when a process of that application is done
(application_controller.erl, application_master.erl), code_server who loads a module when its on_load function
has returned (code_server.erl).  An application's master passes on requests for input and output to the group
leader that it was started with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .frames import frames
from .records import APPLICATION_CONTROLLER, APPLICATION_MASTER, named
from .roles import is_record

if TYPE_CHECKING:
    from _etp import Term

    from ..vm import VM, Process
    from ..waits import Edge

CALLERS = 20_000
"""Of one server; the others are left with that."""


@dataclass
class OnBehalf:
    edges: list[Edge] = field(default_factory=list)
    #: What a process does for those who wait, by its address: "starts the application shop".
    roles: dict[int, str] = field(default_factory=dict)


def on_behalf(vm: VM) -> OnBehalf:
    found = OnBehalf()
    _applications(vm, found)
    _on_load(vm, found)
    return found


def _find(vm: VM, name: str) -> Process | None:
    """None before the application kernel has been started, or when that goes down."""
    from ..errors import Problem

    try:
        return vm.find_process(name)
    except Problem:
        return None


def _linked(vm: VM, process: Process, function: str) -> Iterator[Process]:
    """Processes of application_master whose first function was that."""
    for link in vm.native.process_info(process.address, lists=("links",))["links"]:
        linked = vm.process(link) if link.kind == "pid" else None
        call = linked.initial_call if linked is not None else None
        if linked is not None and call is not None and call[:2] == ("application_master", function):
            yield linked


def _records(vm: VM, process: Process, module: str) -> Iterator[Term]:
    """What may be #state{} in the frames of a module's functions."""
    for frame in frames(vm, process.address, vm.native.execution(process.address)):
        if frame.function is not None and frame.function[0] == module:
            for _y, term in frame.slots:
                if is_record(term, "state"):
                    yield term


# ---- applications --------------------------------------------------------------------------


def _applications(vm: VM, found: OnBehalf) -> None:
    from .state import state

    controller = _find(vm, "application_controller")
    if controller is None:
        return
    starters = {}
    for master in _linked(vm, controller, "init"):
        record = next(
            (
                fields
                for term in _records(vm, master, "application_master")
                for fields in [named(term, APPLICATION_MASTER)]
                if fields is not None and is_record(fields["appl_data"], "appl_data")
            ),
            None,
        )
        if record is None:
            continue
        _relay(vm, found, master, record["gleader"])
        name = str(record["appl_data"][1])
        for linked in _linked(vm, master, "start_it"):
            starters[name] = linked
    if not starters:
        return
    term = state(vm, controller).term
    controlled = None if term is None else named(term, APPLICATION_CONTROLLER)
    for entry in _elements(controlled["start_req"]) if controlled else []:
        # {Name, {Pid, Tag}}
        who = _nested(entry, 1, 0)
        starter = starters.get(str(entry[0])) if who is not None else None
        if who is not None and starter is not None:
            found.edges.append((who.word, starter.pid.word, controller.pid.word, "start"))
            found.roles[starter.address] = f"starts the application {entry[0]}"


def _relay(vm: VM, found: OnBehalf, master: Process, leader: Term) -> None:
    # init passes on to user what it does not know; since OTP 28 the master does.
    init, user = _find(vm, "init"), _find(vm, "user")
    is_init = str(leader) == "init" or (init is not None and leader.word == init.pid.word)
    if is_init and user is not None:
        leader = user.pid
    if leader.kind == "pid":
        found.edges.append((master.pid.word, leader.word, 0, "call"))


# ---- code ----------------------------------------------------------------------------------


def _on_load(vm: VM, found: OnBehalf) -> None:
    server = _find(vm, "code_server")
    record = next(_records(vm, server, "code_server"), None) if server is not None else None
    if server is None or record is None:
        return
    for module, loader, callers in _loading(record):
        process = vm.process(loader)
        if process is None:
            continue
        found.roles[process.address] = f"runs the on_load function of {module}"
        for caller in callers:
            found.edges.append((caller.word, loader.word, server.pid.word, "call"))


def _loading(record: Term) -> Iterator[tuple[Term, Term, list[Term]]]:
    """(Module, who runs its on_load function, who waits for that)."""
    parts = list(record)[1:]
    for part in parts:
        if part.kind == "cons":
            # Up to OTP 25: [{{Pid, Ref}, Module, [{Caller, Action}]}].
            for entry in _elements(part):
                loader = _nested(entry, 0, 0)
                if loader is not None and len(entry) == 3 and entry[1].kind == "atom":
                    yield entry[1], loader, _pids(entry[2], 0)
        elif part.kind == "map":
            # #{Module => {File, Caller, Pid}}, and of the others #{Module => [{Action, Caller}]}.
            for module, entry in part.items():
                if entry.kind != "tuple" or len(entry) != 3 or entry[2].kind != "pid":
                    continue
                callers = [entry[1]] if entry[1].kind == "pid" else []
                for other in parts:
                    if other.kind == "map" and module in other and other.word != part.word:
                        callers += _pids(other[module], 1)
                yield module, entry[2], callers


def _pids(entries: Term, at: int) -> list[Term]:
    found = (_nested(entry, at) for entry in _elements(entries))
    return [term for term in found if term is not None]


def _elements(term: Term) -> list[Term]:
    """Of a proper list, the first."""
    from itertools import islice

    if term.kind != "cons" or not term.is_proper_list():
        return []
    return list(islice(term, CALLERS))


def _nested(term: Term, *path: int) -> Term | None:
    """The pid at a place in tuples of tuples."""
    for at in path:
        if term.kind != "tuple" or len(term) <= at:
            return None
        term = term[at]
    return term if term.kind == "pid" else None
