# SPDX-License-Identifier: Apache-2.0
"""etp-atoms: the atoms that were made last, and what they have in common."""

from __future__ import annotations

import re

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from ..views import Table
    from .context import Context

NEWEST = 10_000
"""So many are looked at unless somebody wants more: who makes atoms without an end made most of
these."""

SHAPES = (
    Column("shape", "with # for digits, and @ for a longer number to the base 16", flexible=24),
    Column("atoms", "how many, of those that were looked at", kind="count"),
    Column("example", "the newest", flexible=24),
)

ATOMS = (
    Column("index", "in the table of atoms: they stand in the order in which they were made"),
    Column("atom", "its name", flexible=40),
)


def run(context: Context, args: Namespace) -> Table:
    from ..views import Table

    atoms = context.vm.atoms
    first = max(0, len(atoms) - args.newest) if args.newest else 0
    looked_at = range(len(atoms) - 1, first - 1, -1)
    redact = context.settings.redact
    if args.list:
        shown = looked_at[: args.limit] if args.limit else looked_at
        rows = [{"index": i, "atom": _name(atoms[i], redact)} for i in shown]
        view = Table(ATOMS, rows, noun="atoms")
        view.total = len(looked_at) if len(rows) < len(looked_at) else None
    else:
        view = Table(SHAPES, _shapes((atoms[i] for i in looked_at), redact), noun="shapes")
    view.facts.update(count=len(atoms), limit=context.vm.info.atom_limit, looked_at=len(looked_at))
    view.notes.append(_summary(context, len(looked_at)))
    names = {column.name for column in view.columns}
    return view.arrange(
        args.sort if args.sort in names else None,
        args.reverse,
        0 if args.list else args.limit,
        args.columns,
        args.units,
    )


def shape_of(name: str) -> str:
    """Atoms that are made of numbers differ in these only."""
    name = re.sub(r"(?=[A-Fa-f]*\d)[0-9A-Fa-f]{8,}", "@", name)
    return re.sub(r"\d+", "#", name)


def _shapes(names: Iterable[str], redact: bool) -> list[dict[str, object]]:
    from ..text import safe

    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for name in names:
        shape = _name(name, True) if redact else shape_of(safe(name))
        counts[shape] = counts.get(shape, 0) + 1
        examples.setdefault(shape, name)
    ordered = sorted(counts, key=lambda shape: -counts[shape])
    return [
        {
            "shape": shape,
            "atoms": counts[shape],
            "example": None if redact else _name(examples[shape], redact),
        }
        for shape in ordered
    ]


def _name(name: str, redact: bool) -> str:
    from ..text import safe

    return f"#Atom<{len(name)}>" if redact else safe(name)


def _summary(context: Context, looked_at: int) -> str:
    from ..text import plural
    from ..units import format_percent

    info = context.vm.info
    text = plural(info.atoms, "atom")
    if info.atom_limit:
        text += f", {format_percent(info.atoms, info.atom_limit)} of the {info.atom_limit:,} that there may be"
    if looked_at < info.atoms:
        text += f"; the newest {looked_at:,} were looked at"
    return f"{text}. Atoms are never freed."


COMMAND = Command(
    name="etp-atoms",
    summary="Tell what the atoms that were made last have in common.",
    description="""
    Atoms are never freed, and a VM that cannot make one more ends. Whoever makes them of what comes
    from outside (binary_to_atom/1, keys of JSON) made nearly all of the newest: these are counted by their
    shape, which is the name with # for the digits and @ for a longer number to the base 16.
    """,
    run=run,
    columns=(*SHAPES, *ATOMS),
    arguments=(
        Argument("--list", help="list each of them, the newest first", kind="flag"),
        Argument(
            "--newest",
            help='look at so many of those that were made last; "all" for all',
            kind="limit",
            metavar="N",
            default=NEWEST,
        ),
        *table_arguments((*SHAPES, *ATOMS), "", 20, "rows"),
    ),
    examples=(
        ("etp-atoms", "who fills the table"),
        ("etp-atoms --list --limit 100", "the last hundred"),
    ),
)
