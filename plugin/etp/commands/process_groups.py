# SPDX-License-Identifier: Apache-2.0
"""etp-processes --group: processes that have something in common, counted."""

from __future__ import annotations

from collections import Counter

from .declaration import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from ..processes import Rows
    from ..views import Table

GROUPS = ("function", "initial", "place", "status")

UNKNOWN = "unknown"
"""What processes have in common of which nothing is known."""

SWARM = 100
"""So many processes of one initial call are worth a word."""

_SUMS = ("processes", "memory", "heap", "messages", "reductions")


def grouped(rows: Rows, column: str, values: Sequence[str | None], args: Namespace) -> Table:
    """``values``: what each row has in the column."""
    from ..views import Table

    columns = (
        Column(column, "what they have in common", flexible=24),
        Column("processes", "how many", kind="count"),
        Column("memory", "of them all: without off-heap binaries", kind="bytes"),
        Column("heap", "of them all: total heap size", kind="bytes", key="total_heap_bytes"),
        Column("msgq", "in all their mailboxes", kind="count", key="message_queue_len"),
        Column("reductions", "of them all", kind="count", rank=1),
        Column("example", "pid of the one with most memory", rank=2),
    )
    groups: dict[str, dict[str, int]] = {}
    for index, (value, *numbers) in enumerate(
        zip(
            values,
            rows.values("memory"),
            rows.values("total_heap_size"),
            rows.values("message_queue_len"),
            rows.values("reductions"),
        )
    ):
        group = groups.setdefault(value or UNKNOWN, dict.fromkeys(_SUMS, 0))
        for name, number in zip(_SUMS, (1, *numbers)):
            group[name] += number
        if numbers[0] >= group.get("most", 0):
            group["most"], group["index"] = numbers[0], index
    view = Table(
        columns,
        [
            {
                column: value,
                "processes": group["processes"],
                "memory": group["memory"],
                "total_heap_bytes": group["heap"] * 8,
                "message_queue_len": group["messages"],
                "reductions": group["reductions"],
                "example": str(rows[group["index"]].pid),
            }
            for value, group in groups.items()
        ],
        noun="groups",
    )
    known = {each.name for each in columns}
    return view.arrange(
        args.sort if args.sort in known else "processes",
        args.reverse,
        args.limit,
        args.columns,
        args.units,
    )


def swarms(rows: Rows) -> str:
    """A sentence on the initial calls that most processes have, "" if none has many."""
    counts = Counter(rows.values("call_text")).most_common(3)
    many = [f"{count:,} of {call or UNKNOWN}" for call, count in counts if count >= SWARM]
    return (
        f" Most by initial call: {', '.join(many)} (--group initial or function)." if many else ""
    )
