# SPDX-License-Identifier: Apache-2.0
"""What a driver of DBConnection keeps in the state of one connection: how much, and of which kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..text import safe
from ..units import WORD
from .base import (
    DRIVERS,
    LARGE_PARTS,
    Driver,
    Entries,
    Measure,
    atom,
    element,
    get,
    size,
    struct_name,
)

if TYPE_CHECKING:
    from _etp import Term

    from ..ets import EtsTable

LARGE_BYTES = 64 * 1024
LARGE_COUNT = 1000
"""A part of a state that no driver names is told from this size, or this number of elements, on."""

STATEMENT_MAX = 2000
"""Bytes of a statement that are read."""

Part = tuple[str, "int | None", int]
"""A field, its elements (None of a binary), its bytes."""

Tables = dict[str, "EtsTable"]
"""All tables by their references."""


@dataclass
class Queries:
    """Cached statements."""

    count: int
    bytes: int
    #: The table that they are in, if it is one.
    table: EtsTable | None = None


@dataclass
class DriverState:
    """What one copy of a driver's state holds."""

    struct: str
    driver: Driver | None
    #: Releases that have these fields; "" when that is not known.
    release: str
    bytes: int
    cursors: Entries | None = None
    queries: Queries | None = None
    buffer_bytes: int = 0
    result_bytes: int = 0
    transaction: str = ""
    statement: str = ""
    #: What else is large: collections and binaries that the driver does not name.
    parts: list[Part] = field(default_factory=list)
    unreadable: int = 0


@dataclass
class Copy:
    """A driver's state, and where it stands."""

    #: "holder", "proxy's holder", "proxy", "process" or "client's dictionary".
    where: str
    term: Term
    measure: Measure
    content: DriverState


def content(state: Term, measure: Measure, tables: Tables) -> DriverState:
    """What a state holds; ``tables`` are all tables of the VM by their references."""
    struct = struct_name(state)
    driver = DRIVERS.get(struct)
    total = measure(state)
    found = DriverState(
        struct, driver, driver.release(state) if driver else "", _bytes(total),
        unreadable=total["unreadable"],
    )  # fmt: skip
    if state.kind == "map":
        found.unreadable += sum(value.kind == "invalid" for value in state.values())
    found.parts = _large_parts(state, measure, driver.fields if driver is not None else ())
    if driver is None:
        return found
    cursors = get(state, driver.cursors) if driver.cursors else None
    if cursors is not None and cursors.kind == "map":
        found.cursors = entries(cursors, measure)
    queries = get(state, driver.queries) if driver.queries else None
    found.queries = _queries(queries, measure, tables)
    for name in driver.buffers:
        found.buffer_bytes += _held(get(state, name), measure)
    for name in driver.results:
        found.result_bytes += _held(get(state, name), measure)
    texts = (_status(get(state, name)) for name in driver.transaction)
    found.transaction = next((text for text in texts if text), "")
    statement = get(state, driver.statement) if driver.statement else None
    found.statement = statement_text(statement)
    found.result_bytes += _held(statement, measure)
    return found


def _queries(term: Term | None, measure: Measure, tables: Tables) -> Queries | None:
    """In a table, in {Size, Table}, or in a map."""
    if term is None:
        return None
    if term.kind == "map":
        return Queries(len(term), _bytes(measure(term)))
    inner = element(term, 1)
    table = table_of(tables, inner if inner is not None else term)
    if table is None:
        return None
    # The table of Mariaex has a row with a counter.
    counter = 1 if inner is not None and table.size else 0
    return Queries(table.size - counter, table.memory_bytes, table)


def table_of(tables: Tables, term: Term | None) -> EtsTable | None:
    """The table of a tid."""
    if term is None or term.kind != "ref":
        return None
    return tables.get(str(term))


def entries(term: Term, measure: Measure) -> Entries:
    """A map of cursors: how many, of which kinds, how large."""
    tally = term.tally()
    kinds: dict[str, int] = {}
    for tag, arity, count, _sample in tally["kinds"]:
        name = safe(str(tag.value())) if tag is not None else "tuple" if arity else "other"
        kinds[name] = kinds.get(name, 0) + count
    if tally["others"]:
        kinds["other"] = kinds.get("other", 0) + tally["others"]
    measured = measure(term)
    missing = tally["size"] - tally["found"]
    return Entries(tally["size"], kinds, _bytes(measured), missing + measured["unreadable"])


def _bytes(measured: dict[str, int]) -> int:
    return measured["words"] * WORD + measured["binary_bytes"]


def _held(term: Term | None, measure: Measure) -> int:
    """What a field holds; 0 for nil and for a status that it has instead."""
    if term is None or term.kind in ("atom", "nil", "small"):
        return 0
    return _bytes(measure(term))


def _status(term: Term | None) -> str:
    """idle, or transaction, or of {transaction, Ref} its first element."""
    name = atom(term) or atom(element(term, 0))
    return safe(name) if name else ""


def statement_text(term: Term | None) -> str:
    """A statement: a binary, or iodata, of which only the size is told."""
    if term is None:
        return ""
    if term.kind == "bitstring":
        return safe(" ".join(term.bytes(STATEMENT_MAX).decode("utf-8", "replace").split()))
    return f"({size(term) or 0:,} elements)" if term.kind == "cons" else ""


def _large_parts(state: Term, measure: Measure, known: tuple[str, ...]) -> list[Part]:
    """Fields of a state that hold much, but for those that are told anyway."""
    if state.kind != "map" or len(state) > 100:
        return []
    found = []
    for key, value in state.items():
        count = size(value)
        name = atom(key)
        if count is None or name is None or name in known:
            continue
        is_collection = value.kind != "bitstring"
        total = _bytes(measure(value))
        if total >= LARGE_BYTES or (is_collection and count >= LARGE_COUNT):
            found.append((safe(name), count if is_collection else None, total))
    found.sort(key=lambda part: -part[2])
    return found[:LARGE_PARTS]


def cursor_entries(copy: Copy) -> Iterator[tuple[Term, Term]]:
    """The cursors of a state: (reference, entry)."""
    driver = copy.content.driver
    cursors = get(copy.term, driver.cursors) if driver is not None and driver.cursors else None
    if cursors is not None and cursors.kind == "map":
        yield from cursors.items()
