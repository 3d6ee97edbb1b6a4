# SPDX-License-Identifier: Apache-2.0
"""etp-accumulators: what grows, by the path that leads to it."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..accumulators import Accumulators
    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("bytes", "heap of all of them and binaries, each once a holder", kind="bytes"),
    Column("elements", "pairs of maps, elements of lists, bytes of binaries", kind="count"),
    Column("largest", "elements of the largest one", kind="count", rank=1),
    Column("kind", "map, list, tuple, binary, dictionary, queue, set, dict ..."),
    Column("collections", "how many there are at this path", kind="count", rank=1),
    Column(
        "holders", "processes (or tables, persistent terms) that have one", kind="count", rank=2
    ),
    Column("where", "registered name, initial call, table or persistent term", flexible=12),
    Column("path", "how one gets there; [*] is any element, * any key", flexible=20),
    Column("sample", "holder of the largest one", rank=2),
)


def run(context: Context, args: Namespace) -> Table:
    from ..accumulators import find
    from ..text import plural
    from ..units import format_bytes
    from ..views import Table

    options = context.settings.format_options(width=0)
    options.update(max_depth=3, max_length=6, max_string=30)
    with context.progress("Looking for collections") as progress:
        found = find(context.vm, args.min_elements, args.min_bytes, options, progress)
    view = Table(
        COLUMNS,
        [
            {
                "bytes": item.bytes,
                "elements": item.count,
                "largest": item.largest,
                "kind": item.kind,
                "collections": item.collections,
                "holders": item.holders,
                "where": item.where,
                "path": item.path,
                "sample": item.sample,
            }
            for item in found.items
        ],
        noun="paths",
        none=f"No collection of {plural(args.min_elements, 'element')} or more, and no off-heap"
        f" binary of {format_bytes(args.min_bytes)} or more.",
    )
    if not found.complete:
        view.warnings.append("Interrupted: only what was seen until then is listed.")
    if found.unreadable:
        view.warnings.append(
            f"{plural(found.unreadable, 'thing')} could not be read; what they lead to is missing."
        )
    if found.truncated:
        view.warnings.append(
            f"{plural(found.truncated, 'holder')} had more things than one search looks at:"
            " `set etp max-things` raises that."
        )
    if found.problem:
        view.warnings.append(f"Persistent terms: {found.problem}.")
    if found.mailboxes:
        view.notes.append(
            f"Mailboxes are no collections here: {plural(found.mailboxes, 'process has', 'processes have')}"
            f" {found.messages:,} messages, see etp-messages."
        )
    view.notes.append(_looked_at(found))
    view.facts["complete"] = found.complete
    view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)
    return view


def _looked_at(found: Accumulators) -> str:
    from ..text import plural

    small = f" ({found.small_rows:,} more are too small)" if found.small_rows else ""
    return (
        f"Looked at {plural(found.processes, 'process', 'processes')}, {plural(found.rows, 'row')}"
        f"{small} and {plural(found.persistent_terms, 'persistent term')}; a collection inside of"
        " another counts in both."
    )


COMMAND = Command(
    name="etp-accumulators",
    summary="List large collections of processes, tables and persistent terms.",
    description="""
    Whatever grows with traffic and is never emptied shows up here, whichever library it is in: a
    map of cursors in each connection of a pool, a list of waiting clients, a row that collects.
    Queues, sets, dicts, trees, arrays and orddicts are told by their form, and count as one thing;
    a pair of lists, neither of them empty, may be something else than the queue that it looks like.
    Paths that differ only in positions or in keys that are no atoms are put together: what they
    hold in common counts once. A dictionary of many pairs is a collection too; a mailbox is not,
    but the last lines tell whether there are long ones.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "--min-elements",
            help="smallest collection",
            metavar="N",
            kind="limit",
            default=1000,
        ),
        Argument(
            "--min-bytes",
            help="smallest off-heap binary",
            metavar="N",
            kind="limit",
            default=1 << 20,
        ),
        *table_arguments(COLUMNS, "bytes", 20, "paths"),
    ),
    examples=(("etp-accumulators --min-elements 100", "smaller ones too"),),
)
