# SPDX-License-Identifier: Apache-2.0
"""etp-memory: where the memory is."""

from __future__ import annotations

from .declaration import JSON, Argument, Column, Command, sort_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..memory import Row
    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("what", "a row of erlang:memory/0, and indented below it what it consists of"),
    Column("bytes", "how much", kind="bytes"),
    Column("share", "of the row that it is a part of", kind="percent"),
    Column("note", "where the number comes from", flexible=20),
)


def run(context: Context, args: Namespace) -> Table:
    from ..memory import memory
    from ..views import Table

    census = context.census("Looking for memory")
    found = memory(context.vm, census)
    rows: list[dict[str, Any]] = []
    for row in found.rows:
        rows.append({"what": row.name, "bytes": row.bytes, "share": None, "note": row.note})
        parts = row.parts
        if args.sort == "bytes":
            parts = sorted(parts, key=lambda part: -part.bytes)
        for part in parts[: args.limit or None]:
            rows.append(_part(row, part))
    view = Table(COLUMNS, rows, noun="rows", warnings=[*found.gaps, *census.gaps])
    view.facts["complete"] = census.complete
    view.facts["memory"] = {row.name: row.bytes for row in found.rows}
    view.notes.append(
        "The rows down to ets are those of erlang:memory/0. literals is a part of system that it"
        " does not tell; carriers is what the allocators have of the operating system."
    )
    if context.settings.stats:
        view.notes.append(census.statistics)
    view.arrange(None, False, 0, None, args.units)
    return view


def _part(row: Row, part: Row) -> dict[str, Any]:
    share = 100 * part.bytes / row.bytes if row.bytes else None
    return {
        "what": "  " + part.name,
        "bytes": part.bytes,
        "share": share,
        "note": part.note,
        "of": row.name,
    }


COMMAND = Command(
    name="etp-memory",
    summary="Show where the memory is: erlang:memory/0, and what is in its rows.",
    description="""
    The rows come from the statistics of the VM's allocators, as erlang:memory/0 does. What stands
    below each is what the census can attribute: heaps by what is live and garbage, binaries by who
    holds them, tables, literals; and what nothing explains.
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
