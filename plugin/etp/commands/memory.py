# SPDX-License-Identifier: Apache-2.0
"""etp-memory: where the memory is."""

from __future__ import annotations

from .declaration import JSON, Argument, Column, Command, sort_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..memory import Memory, Row
    from ..views import Block, Report
    from .context import Context

LARGEST = 3
"""Parts that stand above the table, if they have much."""

FREE_PERCENT = 30
"""So much of what the allocators have is free: worth a word."""

COLUMNS = (
    Column("what", "a row of erlang:memory/0, and indented below it what it consists of"),
    Column("bytes", "how much", kind="bytes"),
    Column("share", "of the row that it is a part of", kind="percent"),
    Column("note", "where the number comes from", flexible=20),
    Column("see", "the command that says more", hidden=True),
)


def run(context: Context, args: Namespace) -> Report:
    from ..memory import memory
    from ..views import Report, Table

    census = context.census("Looking for memory")
    found = memory(context.vm, census)
    rows: list[dict[str, Any]] = []
    for row in found.rows:
        rows.append(
            {"what": row.name, "bytes": row.bytes, "share": None, "note": row.note, "see": ""}
        )
        parts = row.parts
        if args.sort == "bytes":
            parts = sorted(parts, key=lambda part: -part.bytes)
        for part in parts[: args.limit or None]:
            rows.append(_part(row, part))
    view = Table(COLUMNS, rows, noun="rows")
    view.facts["complete"] = census.complete
    view.facts["memory"] = {row.name: row.bytes for row in found.rows}
    view.notes.append(
        "The rows down to ets are those of erlang:memory/0. literals is a part of system that it"
        " does not tell; carriers is what the allocators have of the operating system."
    )
    if context.settings.stats:
        view.notes.append(census.statistics)
    view.arrange(None, False, 0, None, args.units)
    facts = {**view.data(), "largest": [_fact(row, part) for row, part in found.largest(LARGEST)]}
    return Report([*_first(found), None, view], facts, warnings=[*found.gaps, *census.gaps])


def _first(found: Memory) -> list[Block | None]:
    """What most of it is, and where to look next."""
    from ..units import format_bytes, format_percent
    from ..views import Paragraph

    total = found.row("total").bytes
    blocks: list[Block | None] = []
    for row, part in found.largest(LARGEST):
        share = format_percent(part.bytes, total)
        see = f": {part.see}" if part.see else ""
        text = f"{share} {row.name}, {part.name}, {format_bytes(part.bytes)}{see}"
        blocks.append(Paragraph(text, "strong", hang=2))
    carriers = found.row("carriers")
    free = carriers.parts[-1].bytes
    if free * 100 >= FREE_PERCENT * carriers.bytes:
        text = (
            f"{format_percent(free, carriers.bytes)} of what the allocators have of the system is free,"
            f" {format_bytes(free)}: fragmentation, or left from when there was more."
        )
        blocks.append(Paragraph(text, "strong", hang=2))
    return blocks


def _fact(row: Row, part: Row) -> dict[str, Any]:
    return {"of": row.name, "what": part.name, "bytes": part.bytes, "see": part.see}


def _part(row: Row, part: Row) -> dict[str, Any]:
    share = 100 * part.bytes / row.bytes if row.bytes else None
    return {
        "what": "  " + part.name,
        "bytes": part.bytes,
        "share": share,
        "note": part.note,
        "see": part.see,
        "of": row.name,
    }


COMMAND = Command(
    name="etp-memory",
    summary="Show where the memory is: erlang:memory/0, in parts.",
    description="""
    First stands what most of it is, and the command that says more of that. The rows come from the
    statistics of the VM's allocators, as erlang:memory/0 does. What stands below each is what the
    census can attribute: heaps by what is live, garbage and free, messages, binaries by who holds
    them, tables, literals; and what nothing explains.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        sort_by("meaning", "bytes", help="order of the parts of each row"),
        Argument("--limit", help="parts of each row; all for all", kind="limit", default="all"),
        Argument(
            "--units",
            help="human: 1.5 MiB; bytes, words: exact numbers",
            choices=("human", "bytes", "words"),
            default="human",
        ),
        JSON,
    ),
    examples=(("etp-memory --units bytes", "to compare with erlang:memory/0"),),
)
