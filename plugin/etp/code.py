# SPDX-License-Identifier: Apache-2.0
"""Loaded code and stacks: names of functions as Erlang and Elixir write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from .text import plural, safe

if TYPE_CHECKING:
    import _etp as binding

    from .vm import VM, Process

_PLAIN_ATOM = re.compile(r"[a-z\u00df-\u00f6\u00f8-\u00ff][\w@]*", re.ASCII)
_ELIXIR_NAME = re.compile(r"[a-z_]\w*[?!]?")
# What the compilers call the functions of funs: -parent/arity-fun-number-.
_FUN = re.compile(r"-(?P<parent>.+)/(?P<arity>\d+)-[^/-]*-[^/-]*-")
_RESERVED = frozenset(
    "after and andalso band begin bnot bor bsl bsr bxor case catch cond div else end fun if let"
    " maybe not of or orelse receive rem try when xor".split()
)


def erlang_atom(name: str) -> str:
    """An atom as ``~w`` prints it, made safe for a terminal."""
    if _PLAIN_ATOM.fullmatch(name) and name not in _RESERVED:
        return name
    return "'" + safe(name.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def elixir_module(name: str) -> str:
    if name.startswith("Elixir.") and re.fullmatch(r"[\w.]+", name):
        return name[len("Elixir.") :]
    plain = _ELIXIR_NAME.fullmatch(name)
    return ":" + (name if plain else '"' + safe(name.replace('"', '\\"')) + '"')


def elixir_call(module: str, function: str, arity: int) -> str:
    """As Exception.format_mfa/3."""
    fun = _FUN.fullmatch(function)
    if fun:
        parent = elixir_call(module, fun["parent"], int(fun["arity"]))
        return f"anonymous fn/{arity} in {parent}"
    name = function if _ELIXIR_NAME.fullmatch(function) else '"' + safe(function) + '"'
    return f"{elixir_module(module)}.{name}/{arity}"


@dataclass(frozen=True)
class Location:
    """The code that an address is in; see Location in plugin/_etp.pyi for the fields."""

    pc: int
    kind: str
    module: str | None
    function: str | None
    arity: int | None
    offset: int | None
    file: str | None
    line: int | None
    version: str | None
    fragment: str | None

    def name(self, syntax: str = "erlang") -> str:
        """``lists:map/2``, or what else is known."""
        if self.fragment is not None:
            return f"<{self.fragment}>"
        if self.module is None:
            return f"<unknown code at {self.pc:#x}>"
        if self.function is None or self.arity is None:
            named = elixir_module if syntax == "elixir" else erlang_atom
            return f"{named(self.module)}: a function whose name is not in the core"
        if syntax == "elixir":
            name = elixir_call(self.module, self.function, self.arity)
        else:
            module, function = erlang_atom(self.module), erlang_atom(self.function)
            name = f"{module}:{function}/{self.arity}"
        if self.kind == "near_export":
            return f"{name}, or a local function behind it"
        return name + (", in old code" if self.version == "old" else "")

    @property
    def place(self) -> str:
        """``lists.erl:1239``, or ``""``."""
        return "" if self.file is None else f"{safe(self.file)}:{self.line}"

    def data(self) -> dict[str, Any]:
        return {
            "module": self.module,
            "function": self.function,
            "arity": self.arity,
            "file": self.file,
            "line": self.line,
            "known": self.kind,
            "version": self.version,
            "fragment": self.fragment,
            "pc": self.pc,
            "offset": self.offset,
        }


@dataclass(frozen=True)
class Slot:
    """One word of a stack; see StackSlot in plugin/_etp.pyi for the fields."""

    address: int
    word: int
    kind: str
    frame: int
    y: int | None
    term: binding.Term | None
    location: Location | None


@dataclass(frozen=True)
class Execution:
    """Where a process is."""

    current_function: Location | None
    current_location: Location | None
    stack_top: int
    stack_start: int
    #: Words from the first that is not in the core on.
    stack_unreadable: int
    registers: list[binding.Term]
    running: bool
    in_gc: bool
    problem: str

    @property
    def stack_words(self) -> int:
        return (self.stack_start - self.stack_top) // 8

    @property
    def warnings(self) -> list[str]:
        """What makes the answer doubtful."""
        found = []
        if self.running:
            found.append(
                "The process was running: its registers and the top of its stack were in the"
                " scheduler's own registers; what is shown is of the last time it came or went."
            )
        if self.in_gc:
            found.append(
                "The process was in a garbage collection: terms may have moved to a heap that is"
                " not shown, and their old place may hold anything."
            )
        if self.problem:
            found.append(f"Left out, because {self.problem}.")
        if self.stack_unreadable:
            found.append(f"{unread_stack(self.stack_unreadable)}.")
        return found


def unread_stack(words: int) -> str:
    """What is said of a stack of which these are not in the core, without a period."""
    return f"{plural(words, 'word')} at the bottom of its stack could not be read"


@dataclass(frozen=True)
class Module:
    """One loaded instance of a module."""

    name: str
    #: "current", "old" or "on_load".
    version: str
    address: int
    size: int
    functions: int | None
    missing: bool
    problem: str


def location(facts: binding.Location | None) -> Location | None:
    return None if facts is None else Location(**facts)


def execution(vm: VM, process: Process | int) -> Execution:
    """Of a process, or of the one at an address."""
    address = process if isinstance(process, int) else process.address
    facts = vm.native.execution(address)
    return Execution(
        current_function=location(facts["current_function"]),
        current_location=location(facts["current_location"]),
        stack_top=facts["stack_top"],
        stack_start=facts["stack_start"],
        stack_unreadable=facts["stack_unreadable"],
        registers=facts["registers"],
        running=facts["running"],
        in_gc=facts["in_gc"],
        problem=facts["problem"],
    )


Place = tuple[Optional[Location], Optional[Location]]


def current_places(vm: VM, addresses: list[int]) -> list[Place]:
    """Of the processes at these addresses, current_function and current_location of execution();
    one object for all that are at the same place."""
    made: dict[int, Place] = {}
    places = vm.native.current_places(addresses)
    return [
        made.get(id(place)) or made.setdefault(id(place), (location(place[0]), location(place[1])))
        for place in places
    ]


def stacktrace(vm: VM, process: Process, depth: int = 0) -> list[Location]:
    """process_info(P, current_stacktrace); ``depth`` 0: as many entries as the VM would give."""
    return [Location(**facts) for facts in vm.native.stacktrace(process.address, depth)]


def stack(
    vm: VM, process: Process, limit: int = -1, only: list[int] | None = None
) -> Iterator[Slot]:
    """From the top; ``only`` those at some addresses, which are ascending."""
    for facts in vm.native.stack(process.address, limit, 0, only):
        yield Slot(
            address=facts["address"],
            word=facts["word"],
            kind=facts["kind"],
            frame=facts["frame"],
            y=facts["y"],
            term=facts["term"],
            location=location(facts["location"]),
        )


def gaps(vm: VM, which: list[Module] | None = None) -> list[str]:
    """What keeps names and lines of functions from being known, a sentence each; of these modules,
    or of all."""
    listed = modules(vm) if which is None else which
    problem = vm.native.modules_problem()
    found = [problem] if problem else []
    missing = sum(module.missing for module in listed)
    if missing:
        found.append(
            f"The code of {plural(missing, 'module')} is not in the core (the JIT's code is shared"
            " memory, which coredump_filter can leave out): of its functions only those that are"
            " exported have names, and none has lines. A core by gcore would have it."
        )
    damaged = [module for module in listed if module.functions is None and not module.missing]
    if damaged:
        first = damaged[0]
        found.append(
            f"The functions of {plural(len(damaged), 'module')} could not be read, and have no"
            f" names: of {safe(first.name)}, {first.problem}."
        )
    return found


def modules(vm: VM) -> list[Module]:
    """All loaded instances of modules, in ascending order of address."""
    return [
        Module(
            name=facts["name"],
            version=facts["version"],
            address=facts["address"],
            size=facts["size"],
            functions=facts["functions"],
            missing=facts["missing"],
            problem=facts["problem"],
        )
        for facts in vm.native.modules()
    ]
