# SPDX-License-Identifier: Apache-2.0
"""etp-persistent-terms: what each of them takes, and keeps alive."""

from __future__ import annotations

from .declaration import Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..census import LiteralArea
    from ..views import Row, Table
    from .context import Context

COLUMNS = (
    Column("key", "what persistent_term:get/1 is given", flexible=30),
    Column("size", "words of the key, the value and the pair of both", kind="bytes"),
    Column("binaries", "sizes of the off-heap binaries that it refers to", kind="bytes"),
    Column("refs", "how many references to off-heap binaries", kind="count", rank=1),
    Column("value", "the term, for `etp VALUE`", kind="address"),
    Column("problem", "what could not be read", flexible=16, rank=2),
    Column("address", "address of the ErtsLiteralArea", kind="address", hidden=True),
)

SORTED_BY = {"size": "words", "binaries": "binary_bytes", "refs": "binary_refs"}
"""Columns that are numbers of a LiteralArea: only what is shown is printed then."""


def run(context: Context, args: Namespace) -> Table:
    from ..text import plural
    from ..units import WORD, format_bytes
    from ..views import MadeRows, Table, ranked

    census = context.census("Looking for persistent terms")
    areas = [area for area in census.literals if area.kind == "persistent_term"]
    sort = args.sort
    if sort in SORTED_BY:
        areas = ranked(areas, lambda area: getattr(area, SORTED_BY[sort]))
        sort = None
    rows = MadeRows(len(areas), lambda start, stop: _rows(context, areas[start:stop]))
    view = Table(COLUMNS, rows, noun="persistent terms", warnings=list(census.gaps))
    size = sum(area.words for area in areas) * WORD
    view.facts.update(count=len(areas), bytes=size)
    view.notes.append(f"{plural(len(areas), 'persistent term')}, {format_bytes(size)}.")
    return view.arrange(sort, args.reverse, args.limit, args.columns, args.units)


def _rows(context: Context, areas: list[LiteralArea]) -> list[Row]:
    options = context.settings.format_options()
    return [_row(area, options) for area in areas]


def _row(area: LiteralArea, options: dict[str, Any]) -> Row:
    from ..units import WORD

    return {
        "key": " ".join(area.term.format(**options).split()),
        "size": area.words * WORD,
        "binaries": area.binary_bytes,
        "refs": area.binary_refs,
        "value": f"{area.value.word:#x}" if area.value is not None else None,
        "problem": area.problem,
        "address": f"{area.address:#x}",
    }


COMMAND = Command(
    name="etp-persistent-terms",
    summary="List the persistent terms: how much each takes, and keeps alive.",
    description="""
    What persistent_term:get/0 would list, the largest first, and the off-heap binaries that each refers to. Their sizes
    together, with those of the VM's own table, are the memory that persistent_term:info/0 tells. What is large inside of one,
    etp-accumulators says.
    """,
    run=run,
    columns=COLUMNS,
    arguments=table_arguments(COLUMNS, "size", 30, "persistent terms"),
    examples=(("etp-persistent-terms --sort binaries", "those that keep binaries alive"),),
)
