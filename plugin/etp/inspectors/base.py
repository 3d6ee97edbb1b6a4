# SPDX-License-Identifier: Apache-2.0
"""What an inspector is: knowledge of one library's processes, or of one driver's connections.

A file of one's own looks as those here do:

    from etp.inspectors import Inspector, Seen, register

    @register
    class Sessions(Inspector):
        name = "sessions"
        summary = "Sessions of our chat server."
        modules = ("Elixir.Chat.Session",)

        def inspect(self, seen: Seen) -> dict[str, object]:
            return {"user": seen.text("user"), "unread": seen.count("unread")}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, Union

if TYPE_CHECKING:
    from _etp import Term

    from ..otp import OtpState
    from ..vm import VM, Process

Measure = Callable[["Term"], "dict[str, int]"]

LARGE_PARTS = 3
"""Collections that are named of a state that no inspector knows."""


def get(term: Term | None, *keys: str) -> Term | None:
    """What a map has under an atom, and what that has under the next; None where there is none."""
    for key in keys:
        if term is None or term.kind != "map" or key not in term:
            return None
        term = term[key]
    return term


def element(term: Term | None, index: int) -> Term | None:
    """An element of a tuple, counted from 0; None where there is none."""
    if term is None or term.kind != "tuple" or not 0 <= index < len(term):
        return None
    return term[index]


def tagged(term: Term | None, tag: str, arity: int = 0) -> bool:
    """Is it a tuple that begins with this atom (and has so many elements)?"""
    if term is None or term.kind != "tuple" or not len(term):
        return False
    return atom(term[0]) == tag and arity in (0, len(term))


def atom(term: Term | None) -> str | None:
    """The name of an atom; None of anything else, of nil and of undefined."""
    if term is None or term.kind != "atom":
        return None
    name = str(term.value())
    return None if name in ("nil", "undefined") else name


def integer(term: Term | None) -> int | None:
    if term is None or term.kind not in ("small", "big"):
        return None
    return int(term.value())


def size(term: Term | None) -> int | None:
    """Elements of a collection: pairs, elements, bytes; None of other terms."""
    if term is None:
        return None
    if term.kind == "nil":
        return 0
    if term.kind == "cons":
        return len(term) if term.is_proper_list() else None
    return len(term) if term.kind in ("map", "tuple", "bitstring") else None


def queue(term: Term | None) -> Iterator[Term]:
    """The elements of a queue of the module queue: {In, Out}, the last of In first."""
    if term is None or term.kind != "tuple" or len(term) != 2:
        return
    front, rear = term[1], term[0]
    for part, backwards in ((front, False), (rear, True)):
        if part.kind == "cons" and part.is_proper_list():
            yield from reversed(list(part)) if backwards else iter(part)


def queue_length(term: Term | None) -> int | None:
    """Elements of a queue of the module queue, or of a lqueue; None if it is neither."""
    if term is None or term.kind != "tuple":
        return None
    parts = [size(part) for part in term if part.kind in ("nil", "cons")]
    if len(parts) != 2 or any(part is None for part in parts):
        return None
    return sum(part or 0 for part in parts)


def struct_name(term: Term | None) -> str:
    """``Elixir.MyXQL.Connection`` of that struct; "" of any other term."""
    return atom(get(term, "__struct__")) or ""


@dataclass
class Seen:
    """A process that an inspector is to look at."""

    vm: VM
    process: Process
    found: OtpState

    @property
    def state(self) -> Term | None:
        """The state; the data of a gen_statem. None when it was not found."""
        return self.found.data

    def at(self, *path: Union[str, int]) -> Term | None:
        """A part of the state: atoms for keys of maps, numbers (from 0) for elements of tuples."""
        term = self.state
        for step in path:
            term = get(term, step) if isinstance(step, str) else element(term, step)
        return term

    def count(self, *path: Union[str, int]) -> int | None:
        """Elements of a collection in the state; of a queue, those that are in it."""
        term = self.at(*path)
        length = queue_length(term)
        return size(term) if length is None else length

    def text(self, *path: Union[str, int]) -> str | None:
        """An atom, number or text in the state, as people read it."""
        term = self.at(*path)
        if term is None:
            return None
        if term.kind == "bitstring":
            return term.bytes(100).decode("utf-8", "replace")
        return str(term.value()) if term.kind in ("atom", "small", "big") else None

    def bytes(self, *path: Union[str, int]) -> int | None:
        """What a part of the state occupies, with the binaries off the heap that it refers to."""
        term = self.at(*path)
        if term is None:
            return None
        found = self.vm.native.measure(self.process.address, term)
        return found["words"] * 8 + found["binary_bytes"]


class Inspector:
    """Looks at the processes of one kind."""

    #: What etp-inspect calls it.
    name: str = ""
    #: One line, with a final period.
    summary: str = ""
    #: Callback modules of the processes that it knows; Elixir's with their prefix.
    modules: tuple[str, ...] = ()
    #: The fact by which processes are sorted, largest first.
    sort: str = ""

    def inspect(self, seen: Seen) -> dict[str, object]:
        """What is worth knowing of one process: numbers, and texts of names. A name that ends with
        ``_bytes`` is in bytes.  None is what is not known.  Neither passwords nor contents."""
        raise NotImplementedError

    def suspicions(self, seen: Seen, facts: dict[str, object]) -> Iterator[str]:
        """What is wrong with it, a sentence each."""
        return iter(())


@dataclass
class Entries:
    """A collection of a driver's state that grows with use."""

    count: int
    #: Kinds of entries with their numbers.
    kinds: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    #: Parts that could not be read.
    unreadable: int = 0


@dataclass
class Driver:
    """Knowledge of the state of one database driver's connections.  Fields of structs are looked up
    by name: their positions change from release to release."""

    #: Struct of the state, with the prefix.
    struct: str
    #: The application, whose version is that of the driver.
    application: str
    #: What people call it.
    title: str
    #: Field with the open cursors, "" if it has none.
    cursors: str = ""
    #: Field with the table (or number of rows) of cached queries.
    queries: str = ""
    #: Fields with what was received and not used up, and with the last result.
    buffers: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    #: Fields that say whether a transaction is open.
    transaction: tuple[str, ...] = ()
    #: Field that has a statement while it is executed, or ever after.
    statement: str = ""
    #: Cursors are never deleted in (from, to); fixed in.
    cursor_leak: tuple[str, str, str] | None = None
    #: The table of queries is left behind by each reconnect in releases (from, to); fixed in.
    table_leak: tuple[str, str, str] | None = None
    #: A cursor's entry: by its tag, which field is the id of the statement, and which the columns.
    entry: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[str, ...]:
        """All that are named above, but for the transaction's, which are small."""
        return (self.cursors, self.queries, self.statement, *self.buffers, *self.results)

    def release(self, state: Term) -> str:
        """Which releases the struct's fields are of, "" if they do not tell."""
        return ""


REGISTERED: dict[str, Inspector] = {}
DRIVERS: dict[str, Driver] = {}

Kind = TypeVar("Kind", bound=Any)


def register(kind: Kind) -> Kind:
    """Make an inspector known, by its class or an object, or a driver; a later one of the same name
    takes the place of an earlier one."""
    known = kind() if isinstance(kind, type) else kind
    if isinstance(known, Driver):
        DRIVERS[known.struct] = known
    elif isinstance(known, Inspector) and known.name:
        REGISTERED[known.name] = known
    else:
        raise TypeError(f"{kind!r} is no Inspector with a name, and no Driver")
    return kind


__all__ = [
    "DRIVERS", "REGISTERED", "Driver", "Entries", "Inspector", "Measure", "Seen", "atom", "element",
    "get", "integer", "queue", "queue_length", "register", "size", "struct_name", "tagged",
]  # fmt: skip
