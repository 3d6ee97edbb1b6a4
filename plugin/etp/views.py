# SPDX-License-Identifier: Apache-2.0
"""What commands return: tables, reports, terms and listings, without a thought of how they look.

Each has the text for people and, in ``data()``, the same facts for machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union

from .commands.declaration import Column
from .errors import UsageError

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


@dataclass
class Table:
    """Rows of values by the key of their column; values that no column shows go to JSON only."""

    columns: tuple[Column, ...]
    rows: list[dict[str, Any]]
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
            self.rows.sort(key=lambda row: order(row.get(column.key)))
        if reverse:
            self.rows.reverse()
        if limit and limit < len(self.rows):
            self.total = len(self.rows)
            del self.rows[limit:]
        if columns:
            self.chosen = self._choose(columns)
        self.units = units
        return self

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
