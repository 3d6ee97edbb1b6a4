# SPDX-License-Identifier: Apache-2.0
"""The one renderer: a view becomes text for a screen, or JSON.

Everything that comes from a core passes safe() before it is written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .commands.declaration import Column
from .text import safe
from .units import WORD, format_bytes, format_count, format_duration, format_pause
from .views import (
    PAGE,
    Block,
    Facts,
    Lines,
    Listing,
    MadeRows,
    Numbers,
    Paragraph,
    RecordPages,
    RecordRows,
    Report,
    Row,
    SharedTexts,
    Table,
    TermText,
    Units,
    View,
    pages,
)

if TYPE_CHECKING:
    from _etp import CellStyle, NumberCell, TextCell
    from rich.console import Console

READING_WIDTH = 100
"""Paragraphs are not wider than this: longer lines read badly."""

UNLIMITED = 100_000
"""More columns than any line has."""

_STYLES = {"strong": "bold", "warning": "bold yellow", "good": "bold green", "dim": "dim"}
_NUMERIC = ("count", "bytes", "percent")


class Screen:
    """Where text goes, and what fits there."""

    def __init__(
        self,
        write: Callable[[str], object],
        width: int | None = None,
        color: bool = False,
        unicode: bool = True,
    ) -> None:
        #: Columns; None is no limit.
        self.width = width
        self.unicode = unicode
        self._color = color
        self._write = write

    def print(self, *parts: tuple[str, str]) -> None:
        """A line of texts, each with its style."""
        if not self._color:
            # rich takes as long to be imported as a small core to be opened.
            self.write("".join(text for text, _ in parts) + "\n")
            return
        from rich.text import Text

        self._console.print(Text.assemble(*parts), soft_wrap=True)

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(
            file=_Writer(self),  # type: ignore[arg-type]
            # Text is wrapped and cut here: rich must not do it again.
            width=UNLIMITED,
            height=25,
            force_terminal=True,
            color_system="auto",
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=False,
            legacy_windows=False,
        )

    def write(self, text: str) -> None:
        if not self.unicode:
            text = text.replace("…", "...").replace("─", "-")
            text = text.encode("ascii", "backslashreplace").decode("ascii")
        self._write(text)

    @property
    def reading_width(self) -> int:
        return min(self.width or READING_WIDTH, READING_WIDTH)

    @staticmethod
    def terminal(write: Callable[[str], object] | None = None) -> Screen:
        """Standard output of this process; ``write`` gets the text instead."""
        tty = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if tty or "COLUMNS" in os.environ else None
        encoding = (sys.stdout.encoding or "").lower().replace("-", "")
        return Screen(
            write or sys.stdout.write,
            width=width,
            color=tty and may_color(),
            unicode=encoding == "utf8",
        )


def may_color() -> bool:
    """Do the environment's conventions allow colors?"""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


class _Writer:
    """The file that rich writes to."""

    encoding = "utf-8"

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, text: str) -> int:
        # rich pads lines with blanks, which only get in the way of copying.
        self._screen.write(text)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def render(
    view: View,
    screen: Screen,
    as_json: bool = False,
    warnings: tuple[str, ...] = (),
    as_of: dict[str, Any] | None = None,
) -> None:
    """Write a view to a screen; ``warnings`` come before all of it.  ``as_of`` tells of when the
    memory of a process is (Context.as_of), and comes behind."""
    if as_json:
        _render_json(view, screen, list(warnings), as_of)
        return
    own = [] if isinstance(view, TermText) else view.warnings
    warn(screen, [*warnings, *own])
    if isinstance(view, Table):
        _block(view, screen)
    elif isinstance(view, Report):
        for block in view.blocks:
            if block is None:
                screen.write("\n")
            else:
                _block(block, screen)
    elif isinstance(view, TermText):
        screen.write(safe(view.text, keep_newlines=True) + "\n")
    else:
        _listing(view, screen)
    if as_of:
        _block(Paragraph(_as_of_text(as_of), "dim"), screen)


def warn(screen: Screen, warnings: Iterable[str]) -> None:
    """Each once."""
    for warning in dict.fromkeys(warnings):
        _block(Paragraph("Warning: " + warning, "warning", hang=2), screen)


def _as_of_text(as_of: dict[str, Any]) -> str:
    clock = as_of["time"][11:-1]
    if as_of["pause_seconds"] is None:
        state = "which stands still since then or longer"
    else:
        state = f"which stood still for {format_pause(as_of['pause_seconds'])}"
    return (
        f"As of {clock} UTC, {format_duration(as_of['age_seconds'])} ago: the memory of process"
        f" {as_of['pid']}, {state}."
    )


def _render_json(
    view: View, screen: Screen, warnings: list[str], as_of: dict[str, Any] | None
) -> None:
    if isinstance(view, Listing):
        _listing_json(view, screen, warnings, as_of)
        return
    data = view.data()
    if isinstance(data, dict) and warnings:
        data = {**data, "warnings": list(dict.fromkeys([*warnings, *data.get("warnings", [])]))}
    if isinstance(data, dict) and as_of:
        data = {**data, "as_of": as_of}
    if isinstance(data, dict) and any(isinstance(value, MadeRows) for value in data.values()):
        _dict_json(data, screen)
    else:
        screen.write(_json(data, indent=2) + "\n")


def _dict_json(data: dict[str, Any], screen: Screen) -> None:
    """As _json() has it, without all of the rows at once."""
    for number, (key, value) in enumerate(data.items()):
        screen.write(("," if number else "{") + f"\n  {_json(key)}: ")
        if isinstance(value, MadeRows) and value:
            for count, page in enumerate(pages(value)):
                inner = _indented(_json(page, indent=2)[1:-2])
                screen.write(("," if count else "[") + inner)
            screen.write("\n  ]")
        else:
            screen.write(_indented(_json(list(value) if isinstance(value, MadeRows) else value, 2)))
    screen.write("\n}\n")


def _indented(text: str) -> str:
    """JSON within a dict; its strings have no ends of lines."""
    return text.replace("\n", "\n  ")


def _json(value: Any, indent: int | None = None) -> str:
    """ASCII only: what a core says must not act on the terminal that shows the JSON."""
    return json.dumps(value, indent=indent, ensure_ascii=True)


def _listing(view: Listing, screen: Screen) -> None:
    if view.header:
        _block(Paragraph(view.header, "strong"), screen)
    count = 0
    interrupted = False
    try:
        for text, _data in view:
            screen.write(safe(text, keep_newlines=True) + "\n")
            count += 1
    except KeyboardInterrupt:
        interrupted = True
    for note in view.close(count, interrupted):
        _block(Paragraph(note, "dim"), screen)


def _listing_json(
    view: Listing, screen: Screen, warnings: list[str], as_of: dict[str, Any] | None
) -> None:
    head = _json(view.facts)[1:-1]
    screen.write("{" + (head + ", " if head else "") + _json(view.noun) + ": [")
    count = 0
    interrupted = False
    try:
        for _text, data in view:
            screen.write((",\n  " if count else "\n  ") + _json(data))
            count += 1
    except KeyboardInterrupt:
        interrupted = True
    notes = view.close(count, interrupted)
    tail: dict[str, Any] = {"count": count, "notes": notes, "warnings": [*warnings, *view.warnings]}
    if as_of:
        tail["as_of"] = as_of
    screen.write("\n], " + _json({**tail, "complete": not interrupted})[1:] + "\n")


def _block(block: Block, screen: Screen) -> None:
    if isinstance(block, Paragraph):
        _paragraph(block, screen)
    elif isinstance(block, Facts):
        _facts(block, screen)
    elif isinstance(block, Lines):
        tail = safe(block.tail)
        for line in block.lines:
            text = safe(line)
            if block.cut and screen.width:
                text = _cut(text, screen.width - block.indent - _width(tail))
            screen.write(" " * block.indent + text + tail + "\n")
    else:
        _table(block, screen)


def _paragraph(paragraph: Paragraph, screen: Screen) -> None:
    """Wraps by words; a word longer than the line (a path, a term) is left whole."""
    style = _STYLES.get(paragraph.style, "")
    indent, rest = " " * paragraph.indent, " " * (paragraph.indent + paragraph.hang)
    for source in safe(paragraph.text, keep_newlines=True).split("\n"):
        for number, line in enumerate(
            _fill(source, screen.reading_width - paragraph.indent, paragraph.hang)
        ):
            screen.print(((rest if number else indent) + line, style))


def _fill(text: str, width: int, hang: int) -> list[str]:
    lines: list[str] = []
    line = ""
    # A number stays with its percent sign.
    for word in re.split(r" (?!%)", text):
        room = width - (hang if lines else 0)
        longer = f"{line} {word}" if line else word
        if line and _width(longer) > room:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]


def _facts(facts: Facts, screen: Screen) -> None:
    entries = [(safe(label), value) for label, value in facts.entries]
    label_width = max((_width(label) for label, _ in entries), default=0)
    column = facts.indent + label_width + 2
    for label, value in entries:
        lines = _fill(safe(value), screen.reading_width - column, 0)
        head = " " * facts.indent + label.ljust(label_width) + "  "
        for number, line in enumerate(lines):
            screen.print((" " * column, "") if number else (head, "dim"), (line, ""))


def _width(text: str) -> int:
    """In columns of the screen."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    out = ""
    room = width - 1
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        out += character
    return out + "…"


def cell_text(value: Any, column: Column, units: Units = "human") -> str:
    """One value as a table shows it."""
    if value is None or value == "" or value == []:
        return ""
    if column.kind == "bytes":
        if units == "bytes":
            return format_count(value)
        return format_count(value // WORD) if units == "words" else format_bytes(value)
    if column.kind == "count":
        return format_count(value)
    if column.kind == "percent":
        return f"{value:.0f} %"
    if column.kind == "address":
        return f"{value:#x}" if isinstance(value, int) else safe(str(value))
    if column.kind == "yesno":
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return safe(" ".join(str(v) for v in value))
    return safe(str(value))


def _column_texts(rows: Sequence[Row], column: Column, units: Units) -> list[str]:
    """A text for each row. There may be very many rows, of which most have the same."""
    values = [row.get(column.key) for row in rows]
    # Of other types there are values that are equal, and not the same text: True and 1.
    if {*map(type, values)} <= {str, int, type(None)}:
        texts = {value: cell_text(value, column, units) for value in {*values}}
        return [*map(texts.__getitem__, values)]
    return [cell_text(value, column, units) for value in values]


class _RowCells:
    """What a table of rows shows of them, in two passes: there may be more than can be kept."""

    def __init__(self, rows: Sequence[Row], units: Units) -> None:
        self._rows = rows
        self._units = units

    def widths(self, columns: Sequence[Column]) -> list[int | None]:
        """Of the widest text in each column; None if no row has a value there."""
        widths: list[int | None] = [None] * len(columns)
        for page in pages(self._rows):
            for i, column in enumerate(columns):
                if any(row.get(column.key) not in (None, "", []) for row in page):
                    texts = {*_column_texts(page, column, self._units)}
                    widths[i] = max(widths[i] or 0, *map(_width, texts))
        return widths

    def lines(self, columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
        """Some lines at a time."""
        for page in pages(self._rows):
            cells = []
            for column, width in zip(columns, widths):
                texts = _column_texts(page, column, self._units)
                aligned = {text: _aligned(text, column, width) for text in {*texts}}
                cells.append(map(aligned.__getitem__, texts))
            yield "".join(_line(line) + "\n" for line in zip(*cells))


class _RecordCells:
    """The same, written by the binding."""

    def __init__(self, rows: RecordRows, units: Units) -> None:
        self._rows = rows
        self._units = units

    def widths(self, columns: Sequence[Column]) -> list[int | None]:
        return [self._column_width(column) for column in columns]

    def _column_width(self, column: Column) -> int | None:
        source = self._rows.sources[column.key]
        if isinstance(source, Numbers):
            return self._rows.records.width(*self._number_cell(source, column)) or None
        if isinstance(source, SharedTexts):
            values = {*self._rows.records.values(source.name)}
        else:
            values = {*source.values}
        texts = {cell_text(value, column, self._units) for value in values} - {""}
        return max(map(_width, texts)) if texts else None

    def _number_cell(self, source: Numbers, column: Column) -> tuple[str, CellStyle, int, bool]:
        style: CellStyle = "address" if column.kind == "address" else "count"
        if column.kind == "bytes" and self._units != "bytes":
            style = "bytes" if self._units == "human" else "words"
        return source.name, style, source.factor, source.omits_zero

    def lines(self, columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
        cells = [self._cell(column, width) for column, width in zip(columns, widths)]
        for start in range(0, len(self._rows), PAGE):
            yield self._rows.records.lines(start, start + PAGE, cells)

    def _cell(self, column: Column, width: int) -> NumberCell | TextCell:
        source = self._rows.sources[column.key]
        if isinstance(source, Numbers):
            return (*self._number_cell(source, column), width)
        numbers: str | bytes
        if isinstance(source, SharedTexts):
            numbers, values = source.name, self._rows.records.shared(source.name)
        else:
            numbers, values = source.numbers, source.values
        texts = (cell_text(value, column, self._units) for value in values)
        return numbers, [_aligned(text, column, width).encode() for text in texts]


class _PageCells:
    """The same, a page at a time."""

    def __init__(self, rows: RecordPages, units: Units) -> None:
        self._rows = rows
        self._units = units

    def widths(self, columns: Sequence[Column]) -> list[int | None]:
        widths: list[int | None] = [None] * len(columns)
        for page in self._rows.pages():
            for i, width in enumerate(_RecordCells(page, self._units).widths(columns)):
                if width is not None:
                    widths[i] = max(widths[i] or 0, width)
        return widths

    def lines(self, columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
        for page in self._rows.pages():
            yield from _RecordCells(page, self._units).lines(columns, widths)


def _table(table: Table, screen: Screen) -> None:
    cells: _RowCells | _RecordCells | _PageCells = _RowCells(table.rows, table.units)
    if isinstance(table.rows, RecordRows):
        cells = _RecordCells(table.rows, table.units)
    elif isinstance(table.rows, RecordPages):
        cells = _PageCells(table.rows, table.units)
    columns = _wanted(table)
    found = cells.widths(columns)
    if table.chosen is None:
        # A column without a value in any row says nothing.
        columns = [column for column, width in zip(columns, found) if width is not None]
        found = [width for width in found if width is not None]
    headers = [_header(column, table.units) for column in columns]
    widths = [max(_width(header), width or 0) for header, width in zip(headers, found)]
    shown = _fit(columns, headers, widths, screen.width, fixed=table.chosen is not None)
    if not table.rows:
        _block(Paragraph(table.none or f"No {table.noun}."), screen)
    else:
        header = _line(_aligned(headers[i], columns[i], widths[i]) for i in shown)
        screen.print((header, "bold"))
    for lines in cells.lines([columns[i] for i in shown], [widths[i] for i in shown]):
        screen.write(lines)
    for note in _notes(table, [columns[i].name for i in range(len(columns)) if i not in shown]):
        _block(Paragraph(note, "dim"), screen)


def _wanted(table: Table) -> list[Column]:
    if table.chosen is not None:
        by_name = {column.name: column for column in table.columns}
        return [by_name[name] for name in table.chosen]
    return [column for column in table.columns if not column.hidden]


def _header(column: Column, units: Units) -> str:
    if column.kind == "bytes" and units != "human":
        return f"{column.name}/{units}"
    return column.name


def _fit(
    columns: list[Column], headers: list[str], widths: list[int], width: int | None, fixed: bool
) -> list[int]:
    """Which columns are shown; shortens ``widths`` of flexible ones so that the table fits."""
    shown = list(range(len(columns)))
    if width is None:
        return shown

    def least(i: int) -> int:
        flexible = columns[i].flexible
        return min(widths[i], max(flexible, _width(headers[i]))) if flexible else widths[i]

    def total(of: Callable[[int], int]) -> int:
        return sum(of(i) for i in shown) + 2 * (len(shown) - 1)

    while not fixed and len(shown) > 1 and total(least) > width:
        shown.remove(max(shown, key=lambda i: (columns[i].rank, i)))
    over = total(lambda i: widths[i]) - width
    while over > 0:
        # The widest that can still shrink gives way first.
        candidates = [i for i in shown if widths[i] > least(i)]
        if not candidates:
            break
        widest = max(candidates, key=lambda i: widths[i] - least(i))
        widths[widest] -= 1
        over -= 1
    return shown


def _line(cells: Iterable[str]) -> str:
    """Aligned here and not by rich, which pads after the last column, beyond the screen, and takes
    longer for a row of a long table than all else that it needs."""
    return "  ".join(cells).rstrip()


def _aligned(text: str, column: Column, width: int) -> str:
    missing = width - _width(text)
    if missing < 0:
        text = _cut(text, width)
        missing = width - _width(text)
    padding = " " * missing
    return padding + text if column.kind in _NUMERIC else text + padding


def _notes(table: Table, hidden: list[str]) -> list[str]:
    notes = []
    if table.total is not None:
        notes.append(
            f"{len(table.rows):,} of {table.total:,} {table.noun} shown; --limit all shows all."
        )
    notes += table.notes
    if hidden and table.rows:
        notes.append(f"No room for: {', '.join(hidden)}; --columns chooses, --json has all.")
    return notes


__all__ = ["Screen", "render", "cell_text", "may_color"]
