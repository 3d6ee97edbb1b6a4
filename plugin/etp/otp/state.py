# SPDX-License-Identifier: Apache-2.0
"""The state of an OTP process: what sys:get_state/1 would have returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from ..code import unread_stack
from . import events, loops
from .frames import Frame, Function, frames, function_of
from .records import SUPERVISOR, named
from .roles import TESTS, Known, Way, arguments, assign, is_atom, is_record

if TYPE_CHECKING:
    from _etp import Term

    from ..vm import VM, Process

OTP_MODULES = frozenset(
    [
        "gen", "gen_event", "gen_fsm", "gen_server", "gen_server2", "gen_statem", "proc_lib", "sys"
    ]  # fmt: skip
)


@dataclass
class OtpState:
    """What was found of one process.

    ``term`` is what sys:get_state/1 would have returned; None when it is not known, and then
    ``problem`` says why.  ``activity`` is what the process did:

    waiting      for a message, in its loop
    hibernated   the same, after erlang:hibernate/3
    suspended    by sys:suspend/1
    busy         in a callback (``callback``); the state is the one that the callback was given
    starting     in init/1: there is no state yet
    terminating  in terminate/2
    exiting      dead but for the cleaning up
    unknown      something else, such as a loop of its own
    """

    process: Process
    #: gen_server, gen_statem, gen_event, supervisor, gen_fsm; or, on top of gen_server, Agent,
    #: DynamicSupervisor, Registry, Connection, supervisor2, supervisor_bridge; gen_server2; Task; None: of no kind
    #: that is known.
    behaviour: Optional[str] = None
    #: The callback module.
    module: Optional[str] = None
    activity: str = "unknown"
    term: Optional[Term] = None
    #: gen_statem: its two halves; for others data is term.
    state_name: Optional[Term] = None
    data: Optional[Term] = None
    #: gen_statem: events that it has put off until its state changes.
    postponed: int = 0
    #: gen_event: (module, id, state) of each handler, in the order of sys:get_state/1.
    handlers: list[tuple[Term, Term, Term]] = field(default_factory=list)
    #: Where the state was found, in words.
    how: str = ""
    #: False: a guess; ``how`` says why.
    sure: bool = False
    #: The function above the loop that a busy process is in.
    callback: Optional[Function] = None
    problem: str = ""
    #: Terms of which one may be the state, when it is not known which.
    candidates: list[Term] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """False: the state is that of before the callback that is running."""
        return self.activity in ("waiting", "hibernated", "suspended")

    @property
    def callback_text(self) -> str:
        if self.callback is None:
            return ""
        module, function, arity = self.callback
        return f"{module}:{function}/{arity}"


def state(vm: VM, process: Process) -> OtpState:
    """The state of a process, as far as its stack or its registers tell."""
    return _Search(vm, process).run()


class _Search:
    def __init__(self, vm: VM, process: Process) -> None:
        self.vm = vm
        self.found = OtpState(process)
        self.execution = vm.native.execution(process.address)
        self.info = vm.native.process_info(process.address, lists=("dictionary",))
        self.known = Known(
            process.pid,
            process.name,
            self._parents(process),
            vm.loaded_modules,
        )
        self.stack: list[Frame] = []

    def _parents(self, process: Process) -> frozenset[int]:
        """The first of '$ancestors', or whom the VM knows as parent, or the process itself."""
        parents = {process.pid.word}
        if self.info["parent"] is not None:
            parents.add(self.info["parent"].word)
        for key, value in self.info["dictionary"]:
            if is_atom(key, "$ancestors") and value.kind == "cons":
                first = value[0]
                if first.kind == "atom":
                    # Another process may have the name by now.
                    return frozenset()
                parents.add(first.word)
        return frozenset(parents)

    def run(self) -> OtpState:
        found = self.found
        self._name_behaviour()
        if self.info["is_exiting"]:
            found.activity = "exiting"
            found.problem = "the process was exiting"
            return found
        if self.execution["problem"]:
            found.problem = self.execution["problem"]
            return found
        if self._hibernated() or self._in_frames():
            self._finish()
        elif not found.problem:
            found.problem = self._why_not()
        unread: int = self.execution["stack_unreadable"]
        if unread and found.problem:
            found.problem += f"; {unread_stack(unread)}"
        return found

    # ---- where -----------------------------------------------------------------------------

    def _hibernated(self) -> bool:
        """The call that the process goes on with stands in its registers."""
        registers: list[Term] = self.execution["registers"]
        function = function_of(self.execution["current_function"])
        if function != ("erlang", "hibernate", 3) or len(registers) != 3:
            return False
        module, name, args = registers
        if is_atom(module, "proc_lib") and is_atom(name, "wake_up") and _is_list(args, 3):
            module, name, args = args[0], args[1], args[2]
        if module.kind != "atom" or name.kind != "atom" or not _is_list(args):
            return False
        self.found.activity = "hibernated"
        call = (str(module.value()), str(name.value()))
        for roles in loops.HIBERNATED.get(call, ()):
            way = arguments(roles, list(args), self.known)
            if way is not None:
                if call[0] == "sys":
                    self.found.activity = "suspended"
                where = f"argument registers for {call[0]}:{call[1]}/{len(args)}"
                return self._accept((*call, len(args)), [way], where)
        text = f"{call[0]}:{call[1]}/{len(args)}"
        self.found.problem = f"it hibernates until {text}, which is no loop of OTP"
        self.found.candidates = list(args)
        return False

    def _in_frames(self) -> bool:
        stack = self.stack = frames(self.vm, self.found.process.address, self.execution)
        # The innermost loop is the one that would answer: a callback may enter another.
        for i, frame in enumerate(stack):
            if frame.function == ("gen_event", "handle_msg", 6):
                return self._in_event_handler(stack[: i + 1])
            if frame.function in loops.STARTING:
                self.found.activity = "starting"
                self.found.problem = f"init/1 has not returned: it is in {stack[0].text}"
                return False
            if frame.function in loops.FRAMES or frame.function in loops.HOLDERS:
                return self._in_loop(stack, i)
        return False

    def _in_loop(self, stack: list[Frame], i: int) -> bool:
        frame = stack[i]
        assert frame.function is not None
        self._set_activity(stack, i)
        ways = self._from_registers(frame.function) if i == 0 else []
        where = f"argument registers of {frame.text}"
        if not ways:
            terms = [term for _y, term in frame.slots]
            where = frame.text
            ways = assign(loops.FRAMES.get(frame.function, ()), terms, self.known)
            tag = loops.HOLDERS.get(frame.function)
            if tag is not None:
                ways += [{tag: term} for term in terms if TESTS[tag](term, self.known)]
        return self._accept(frame.function, ways, where, frame)

    def _from_registers(self, function: Function) -> list[Way]:
        """A process that was scheduled out at the head of a function has its arguments in full."""
        registers: list[Term] = self.execution["registers"]
        if len(registers) != function[2]:
            return []
        ways = []
        for roles in loops.FRAMES.get(function, ()):
            way = arguments([role.rstrip("?") for role in roles], registers, self.known)
            if way is not None:
                ways.append(way)
        return ways

    def _set_activity(self, stack: list[Frame], i: int) -> None:
        function = stack[i].function
        assert function is not None
        if function[0] == "sys":
            self.found.activity = "suspended"
        elif function[1] == "terminate":
            self.found.activity = "terminating"
        elif function[1] == "loop_hibernate":
            self.found.activity = "hibernated"
        elif i == 0:
            self.found.activity = "waiting"
        else:
            self.found.activity = "busy"
        for frame in reversed(stack[:i]):
            if frame.function is not None and frame.function[0] not in OTP_MODULES:
                self.found.callback = frame.function
                break

    def _in_event_handler(self, stack: list[Frame]) -> bool:
        self._set_activity(stack, len(stack) - 1)
        self.found.behaviour = "gen_event"
        handlers = events.handlers_in_flight(stack, self.known)
        if handlers is None:
            self.found.problem = f"its handlers are on the way through {stack[0].text}"
            return False
        self._set_handlers(handlers)
        self.found.how = "frames of gen_event that go through its handlers"
        self.found.sure = True
        return True

    # ---- what ------------------------------------------------------------------------------

    def _accept(
        self, function: Function, ways: list[Way], where: str, frame: Frame | None = None
    ) -> bool:
        """Take the state if all ways agree on it."""
        found = self.found
        key = _state_role(function)
        states = _distinct([way[key] for way in ways])
        if len(states) != 1:
            found.behaviour = found.behaviour or function[0]
            found.candidates = states or [term for _y, term in frame.slots] if frame else []
            found.problem = (
                f"{len(states)} registers of {where} may be the state"
                if states
                else f"the registers of {where} are not what is expected there"
            )
            return False
        found.how = where
        if frame is not None:
            ys = [y for y, term in frame.slots if term.word == states[0].word]
            if len(ys) == 1 and where == frame.text:
                found.how = f"y{ys[0]} of {where}"
        found.sure = True
        return self._unpack(function, states[0], ways[0])

    def _unpack(self, function: Function, term: Term, way: Way) -> bool:
        """From what a loop keeps to what sys:get_state/1 makes of it."""
        found = self.found
        module = function[0]
        if module == "sys":
            return self._unpack_misc(str(way["module"].value()), term)
        found.behaviour = module
        if module == "gen_server":
            self._set_module(way)
            found.term = found.data = term
        elif module == "gen_statem":
            self._set_statem(way, way.get("pair", term[1]))
            self._count_postponed(term)
        elif module == "gen_fsm":
            found.module = str(way["module"].value())
            found.state_name, found.data = way["atom"], term
            found.term = self.vm.native.compose((way["atom"], term))
        elif module == "gen_server2":
            self._set_server2(term)
        else:
            self._set_handlers(list(term) if term.kind == "cons" else [])
        return True

    def _set_module(self, way: Way) -> None:
        module = way.get("module")
        if module is None:
            module = _module_of_record(way["server_data"], self.known)
        elif module.kind == "tuple":
            module = _module_of_record(module, self.known)
        if module is not None and module.kind == "atom":
            self.found.module = str(module.value())

    def _set_statem(self, way: Way, pair: Term) -> None:
        found = self.found
        modules = [e for e in way["params"] if e.kind == "cons"] if "params" in way else []
        if modules and modules[0][0].kind == "atom":
            found.module = str(modules[0][0].value())
        found.term = pair
        found.state_name, found.data = pair[0], pair[1]

    def _count_postponed(self, record: Term) -> None:
        """#state{state_data, postponed, ...} (gen_statem.erl)."""
        if len(record) > 2 and record[2].kind == "cons" and record[2].is_proper_list():
            self.found.postponed = len(record[2])

    def _set_server2(self, record: Term) -> None:
        """#gs2_state{parent, name, state, mod, ...}, all of which sys:get_state/1 returns."""
        self.found.behaviour = "gen_server2"
        self.found.term, self.found.data = record, record[3]
        if record[4].kind == "atom":
            self.found.module = str(record[4].value())

    def _set_handlers(self, records: Sequence[Term]) -> None:
        """#handler{module, id, state, ...} (gen_event.erl)."""
        found = self.found
        found.handlers = [(record[1], record[2], record[3]) for record in records]
        found.term = found.data = self.vm.native.compose(list(found.handlers))

    def _unpack_misc(self, module: str, misc: Term) -> bool:
        """What a module gave to sys:handle_system_msg/6."""
        found = self.found
        found.how += f", which {module} gave to sys"
        if module in ("gen_server", "gen_event") and _is_list(misc) and len(misc) >= 3:
            found.behaviour = module
            if module == "gen_event":
                if events.is_handlers(misc[1]):
                    self._set_handlers(list(misc[1]) if misc[1].kind == "cons" else [])
                    return True
            else:
                found.term = found.data = misc[1]
                # [Name, State, Module | #callback_cache{} ...], or [#server_data{}, State ...].
                has_record = is_record(misc[0], "server_data")
                self._set_module(
                    {"server_data" if has_record else "module": misc[0 if has_record else 2]}
                )
                return True
        elif module == "gen_statem" and misc.kind == "tuple" and len(misc) == 2:
            found.behaviour = module
            if is_record(misc[0], "params") and TESTS["statem"](misc[1], self.known):
                self._set_statem({"params": misc[0]}, misc[1][1])
                self._count_postponed(misc[1])
                return True
        elif module == "gen_fsm" and _is_list(misc) and len(misc) >= 5:
            found.behaviour = module
            found.state_name, found.data = misc[1], misc[2]
            found.term = self.vm.native.compose((misc[1], misc[2]))
            found.module = str(misc[3].value())
            return True
        elif is_record(misc, "gs2_state", 5):
            self._set_server2(misc)
            return True
        elif module not in OTP_MODULES:
            # A special process; what its system_get_state/1 would make of this, if it has one,
            # only its code knows.
            found.module = module
            found.term = found.data = misc
            found.sure = False
            found.how += f"; {module}:system_get_state/1, if there is one, may make another of it"
            return True
        found.problem = f"what {module} gave to sys is not what is expected there"
        found.candidates = [misc]
        return False

    # ---- who -------------------------------------------------------------------------------

    def _name_behaviour(self) -> None:
        """From what proc_lib was given, for processes whose loop is not found."""
        call = self.found.process.initial_call
        if call is None or self.found.process.initial_call_source != "proc_lib":
            return
        if call[0] == "supervisor":
            self.found.behaviour, self.found.module = "supervisor", call[1]
        elif call[1:] == ("init", 1):
            self.found.module = call[0]

    def _finish(self) -> None:
        found = self.found
        if self.execution["running"] or self.execution["in_gc"]:
            what = "ran" if self.execution["running"] else "collected garbage"
            found.sure = False
            found.how += f"; of the last time it was scheduled out: the process {what}"
        if found.behaviour != "gen_server":
            return
        special = SPECIAL.get(found.module or "")
        if found.module in ("supervisor", "supervisor2"):
            found.behaviour = found.module
            record = None if found.term is None else named(found.term, SUPERVISOR)
            module = None if record is None else record["module"]
            found.module = str(module.value()) if module is not None else None
        elif special is not None:
            found.behaviour = special
            found.module = _inner_module(found)

    def _why_not(self) -> str:
        """Why no state was found, in a sentence without its period."""
        known = [frame.function for frame in self.stack if frame.function is not None]
        if any(function[0] == "Elixir.Task.Supervised" for function in known):
            self.found.behaviour, self.found.activity = "Task", "busy"
            self.found.callback = known[0]
            return "a task has no state: it runs a function until that returns"
        outermost = next((f for f in reversed(known) if f[0] != "proc_lib"), None)
        if outermost is not None and outermost[0] in OTP_MODULES:
            self.found.behaviour = self.found.behaviour or outermost[0]
            return "it was in {}:{}/{}, between callbacks".format(*outermost)
        own = [f for f in self.stack if f.function is not None and f.function[0] not in OTP_MODULES]
        if own:
            self.found.candidates = [term for _y, term in own[-1].slots if term.kind != "nil"]
            return f"it runs a loop of its own, {own[-1].text}; etp-stackdump shows what it holds"
        return "nothing on its stack is a loop of OTP"


SPECIAL = {
    "supervisor_bridge": "supervisor_bridge",
    "Elixir.Agent.Server": "Agent",
    "Elixir.DynamicSupervisor": "DynamicSupervisor",
    "Elixir.Registry.Partition": "Registry",
    "Elixir.Connection": "Connection",
}
"""Behaviours that are built on gen_server, by its callback module."""


def _inner_module(found: OtpState) -> str | None:
    """The callback module of a behaviour that is built on another, out of its struct."""
    if found.behaviour == "Agent":
        return "Elixir.Agent"
    if found.behaviour == "Registry":
        return "Elixir.Registry"
    term = found.term
    if found.behaviour == "supervisor_bridge" and term is not None and is_record(term, "state"):
        return str(term[1].value()) if term[1].kind == "atom" else None
    if term is not None and term.kind == "map" and "mod" in term:
        module = term["mod"]
        if module.kind == "atom":
            return str(module.value())
    return found.module


def _state_role(function: Function) -> str:
    if function[0] == "sys":
        return "misc"
    roles = {"gen_statem": "statem", "gen_event": "handlers", "gen_server2": "gs2_state"}
    return roles.get(function[0], "state")


def _module_of_record(record: Term, known: Known) -> Term | None:
    """The callback module in #server_data{} or #callback_cache{} (gen_server.erl): the first atom
    that is a module and not the process's name, or else whatever is."""
    atoms = [e for e in list(record)[1:] if e.kind == "atom" and e.value() in known.modules]
    other = [atom for atom in atoms if atom.value() != known.name]
    found = other or atoms
    return found[0] if found else None


def _is_list(term: Term, length: int | None = None) -> bool:
    if term.kind == "nil":
        return length in (None, 0)
    if term.kind != "cons" or not term.is_proper_list():
        return False
    return length is None or len(term) == length


def _distinct(terms: Sequence[Term]) -> list[Term]:
    """Terms that are not =:= to one before them."""
    found: list[Term] = []
    for term in terms:
        if not any(term.word == other.word or term == other for other in found):
            found.append(term)
    return found


__all__: list[Any] = ["OtpState", "state"]
