# SPDX-License-Identifier: Apache-2.0
"""What commands return: tables, reports, terms and listings, without a thought of how they look.

Each has the text for people and, in ``data()``, the same facts for machines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, overload

from .commands.declaration import Column
from .errors import UsageError

if TYPE_CHECKING:
    from _etp import Records

Style = Literal["plain", "strong", "warning", "good", "dim"]
Units = Literal["human", "bytes", "words"]


@dataclass
class Paragraph:
    text: str
    style: Style = "plain"
    indent: int = 0
    #: Columns by which lines after the first are indented further.
    hang: int = 0


@dataclass
class Facts:
    """Labels and values, one below the other."""

    entries: list[tuple[str, str]]
    indent: int = 0


@dataclass
class Lines:
    """Text that is already broken into lines, such as a term."""

    lines: list[str]
    indent: int = 0
    #: Cut at the width of the screen instead of wrapping.
    cut: bool = False
    #: Follows each line, and is not cut.
    tail: str = ""


Row = dict[str, Any]
"""Values by the key of their column; values that no column shows go to JSON only."""

PAGE = 500
"""Rows that are made at a time."""


class MadeRows(Sequence[Row]):
    """Rows that are made when somebody looks at them, and not kept: there may be very many."""

    def __init__(self, count: int, make: Callable[[int, int], list[Row]]) -> None:
        self._count = count
        #: Those from an index up to another.
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Row:
        ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]:
        ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._count)
            return self._make(start, max(start, stop))[::step]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return self._make(index % self._count, index % self._count + 1)[0]

    def __iter__(self) -> Iterator[Row]:
        for page in pages(self):
            yield from page


def pages(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """All of them, some at a time."""
    for start in range(0, len(rows), PAGE):
        yield rows[start : start + PAGE]


@dataclass
class Numbers:
    """A column of numbers or terms of Records."""

    name: str
    #: The table shows the number times this.
    factor: int = 1
    #: Of a 0 it shows nothing.
    omits_zero: bool = False


@dataclass
class SharedTexts:
    """A column of values of Records that many rows share."""

    name: str


@dataclass
class Texts:
    """Values that many rows share, and for each row the index of its own, in four bytes."""

    numbers: bytes
    values: list[Any]

    def of(self, row: int) -> Any:
        return self.values[int.from_bytes(self.numbers[4 * row : 4 * row + 4], sys.byteorder)]


class RecordRows(MadeRows):
    """Rows of Records. A table of them is written by the binding; only JSON makes them."""

    def __init__(
        self,
        records: Records,
        make: Callable[[int, int], list[Row]],
        sources: dict[str, Numbers | SharedTexts | Texts],
    ) -> None:
        super().__init__(len(records), make)
        self.records = records
        #: Of what is shown, by the key of the column.
        self.sources = sources


class RecordPages(MadeRows):
    """The same of so many that there are never Records of all of them: ``records`` makes those from
    an index up to another."""

    def __init__(
        self,
        count: int,
        make: Callable[[int, int], list[Row]],
        records: Callable[[int, int], Records],
        sources: dict[str, Numbers | SharedTexts | Texts],
    ) -> None:
        super().__init__(count, make)
        self._records = records
        self._sources = sources

    def pages(self) -> Iterator[RecordRows]:
        for start in range(0, len(self), PAGE):
            records = self._records(start, min(start + PAGE, len(self)))
            yield RecordRows(records, self._make, self._sources)


@dataclass
class Table:
    """Rows in columns."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    #: Shown above the table, before anything else.
    warnings: list[str] = field(default_factory=list)
    #: Shown below it.
    notes: list[str] = field(default_factory=list)
    units: Units = "human"
    #: Columns asked for, in their order; None: those that fit.
    chosen: tuple[str, ...] | None = None
    #: Rows before a limit was applied; None: there was none.
    total: int | None = None
    #: Rows are called so.
    noun: str = "rows"
    #: What is said when there are none, if that is more than "No rows."
    none: str = ""
    #: More facts for JSON.
    facts: dict[str, Any] = field(default_factory=dict)

    def arrange(
        self,
        sort: str | None = None,
        reverse: bool = False,
        limit: int = 0,
        columns: str | None = None,
        units: Units = "human",
    ) -> Table:
        """Apply the options that all tables have; returns itself."""
        if sort:
            column = next(c for c in self.columns if c.name == sort)
            numeric = column.kind in ("count", "bytes", "percent")
            # Largest first, and what has no number last.
            order = _descending_key if numeric else _sort_key
            keys = [order(row.get(column.key)) for row in self.rows]
            self._pick(sorted(range(len(keys)), key=keys.__getitem__))
        if reverse:
            self._pick(range(len(self.rows))[::-1])
        if limit and limit < len(self.rows):
            self.total = len(self.rows)
            self._pick(range(limit))
        if columns:
            self.chosen = self._choose(columns)
        self.units = units
        return self

    def _pick(self, indexes: Sequence[int]) -> None:
        rows = self.rows
        if isinstance(rows, MadeRows):
            self.rows = MadeRows(len(indexes), lambda i, j: [rows[at] for at in indexes[i:j]])
        else:
            self.rows = [rows[at] for at in indexes]

    def _choose(self, columns: str) -> tuple[str, ...]:
        names = [column.name for column in self.columns]
        chosen = names if columns == "all" else [c.strip() for c in columns.split(",") if c.strip()]
        for name in chosen:
            if name not in names:
                raise UsageError(f"no column {name!r}; there are: {', '.join(names)}")
        return tuple(chosen)

    def data(self) -> Any:
        return {
            **self.facts,
            "warnings": self.warnings,
            "notes": self.notes,
            "total": self.total if self.total is not None else len(self.rows),
            self.noun.replace(" ", "_"): self.rows,
        }


def _sort_key(value: Any) -> tuple[int, Any]:
    """Numbers before texts before nothing, so that mixed columns can be sorted."""
    if value is None or value == "":
        return (2, "")
    if isinstance(value, (int, float)):
        return (0, value)
    if isinstance(value, (list, tuple)):
        return (1, " ".join(str(v) for v in value))
    return (1, str(value))


def _descending_key(value: Any) -> tuple[int, Any]:
    rank, comparable = _sort_key(value)
    return (rank, -comparable if rank == 0 else comparable)


T = TypeVar("T")


def ranked(items: Iterable[T], key: Callable[[T], Any], most: int = 0) -> list[T]:
    """In the order of tables: the largest number or the first text first, what has none last.
    At most ``most`` items (0: all) are kept meanwhile."""
    from heapq import nsmallest

    def order(item: T) -> tuple[int, Any]:
        return _descending_key(key(item))

    return nsmallest(most, items, key=order) if most else sorted(items, key=order)


Block = Union[Paragraph, Facts, Lines, Table]


@dataclass
class Report:
    """Blocks one after the other; ``None`` is an empty line."""

    blocks: list[Block | None]
    facts: Any
    warnings: list[str] = field(default_factory=list)

    def data(self) -> Any:
        if isinstance(self.facts, dict):
            return {**self.facts, "warnings": self.warnings}
        return self.facts


@dataclass
class TermText:
    """The text of one term."""

    text: str
    facts: dict[str, Any]

    def data(self) -> Any:
        return self.facts


@dataclass
class Listing:
    """Terms one after the other, produced while they are printed."""

    entries: Iterable[tuple[str, Any]]
    #: Called at the end with the number of entries and whether the user stopped it: what could
    #: not be read, what was left out.
    close: Callable[[int, bool], list[str]]
    header: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    noun: str = "rows"

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.entries)


View = Union[Table, Report, TermText, Listing]
