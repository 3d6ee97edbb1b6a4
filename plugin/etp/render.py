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
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from .commands.declaration import Column
from .text import safe
from .units import WORD, format_bytes, format_count, format_duration, format_pause
from .views import Block, Facts, Lines, Listing, Paragraph, Report, Table, TermText, Units, View

if TYPE_CHECKING:
    from rich.console import Console

READING_WIDTH = 100
"""Paragraphs are not wider than this: longer lines read badly."""

UNLIMITED = 100_000
"""More columns than any line has."""

LINES_A_WRITE = 200
"""Of a long table."""

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
    def terminal() -> Screen:
        """Standard output of this process."""
        tty = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if tty or "COLUMNS" in os.environ else None
        encoding = (sys.stdout.encoding or "").lower().replace("-", "")
        return Screen(
            sys.stdout.write, width=width, color=tty and may_color(), unicode=encoding == "utf8"
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
    screen.write(_json(data, indent=2) + "\n")


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
        for line in block.lines:
            text = safe(line)
            if block.cut and screen.width:
                text = _cut(text, screen.width - block.indent - _width(block.tail))
            screen.write(" " * block.indent + text + block.tail + "\n")
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
    label_width = max((_width(label) for label, _ in facts.entries), default=0)
    column = facts.indent + label_width + 2
    for label, value in facts.entries:
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


def _column_texts(table: Table, column: Column) -> list[str]:
    """A text for each row. There may be very many rows, of which most have the same."""
    values = [row.get(column.key) for row in table.rows]
    # Of other types there are values that are equal, and not the same text: True and 1.
    if {*map(type, values)} <= {str, int, type(None)}:
        texts = {value: cell_text(value, column, table.units) for value in {*values}}
        return [*map(texts.__getitem__, values)]
    return [cell_text(value, column, table.units) for value in values]


def _table(table: Table, screen: Screen) -> None:
    columns = _wanted(table)
    texts = [_column_texts(table, column) for column in columns]
    headers = [_header(column, table.units) for column in columns]
    distinct = [{header, *texts[i]} for i, header in enumerate(headers)]
    widths = [max(map(_width, of_column)) for of_column in distinct]
    shown = _fit(columns, headers, widths, screen.width, fixed=table.chosen is not None)
    aligned = [{text: _aligned(text, columns[i], widths[i]) for text in distinct[i]} for i in shown]
    if not table.rows:
        _block(Paragraph(f"No {table.noun}."), screen)
    else:
        header = _line(cells[headers[i]] for cells, i in zip(aligned, shown))
        screen.print((header, "bold"))
    rows = zip(*(map(cells.__getitem__, texts[i]) for cells, i in zip(aligned, shown)))
    while lines := "".join(_line(cells) + "\n" for cells in islice(rows, LINES_A_WRITE)):
        screen.write(lines)
    for note in _notes(table, [columns[i].name for i in range(len(columns)) if i not in shown]):
        _block(Paragraph(note, "dim"), screen)


def _wanted(table: Table) -> list[Column]:
    if table.chosen is not None:
        by_name = {column.name: column for column in table.columns}
        return [by_name[name] for name in table.chosen]
    # A column without a value in any row says nothing.
    return [
        column
        for column in table.columns
        if not column.hidden
        and any(row.get(column.key) not in (None, "", []) for row in table.rows)
    ]


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
