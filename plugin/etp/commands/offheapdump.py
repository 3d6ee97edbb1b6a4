# SPDX-License-Identifier: Apache-2.0
"""etp-offheapdump: what hangs on the off-heap chains of a process."""

from __future__ import annotations

from ..errors import Problem
from .declaration import JSON, Argument, Column, Command, limit, sort_by
from .stacktrace import complete_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from _etp import Term

    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("chain", "heap, fragment, or writable: binaries that are being appended to", rank=2),
    Column("address", "of the thing on the heap", kind="address"),
    Column("kind", "what it is"),
    Column("size", "bytes of the binary that it refers to", kind="bytes"),
    Column("refc", "that binary's reference count", kind="count"),
    Column("binary", "address of the Binary, as in process_info(Pid, binary)", kind="address"),
    Column("value", "the term", flexible=12, rank=1),
)

VALUE_LIMITS = {"max_depth": 4, "max_length": 8, "max_string": 40}
ALL = -1


def run(context: Context, args: Namespace) -> Table:
    from ..views import Table

    rows: list[dict[str, object]] = []
    view = Table(COLUMNS, rows, noun="things")
    sorts = args.sort != "chain"
    left = args.limit if args.limit and not sorts else ALL
    for name, first in _chains(context, args.PROCESS, view):
        terms, rest, problem = context.vm.native.off_heap(first, left)
        rows += [_row(context, name, term) for term in terms]
        if problem:
            view.warnings.append(f"The chain of the {name} is not whole: {problem}.")
        if left != ALL:
            left -= len(terms)
            if rest and not left:
                view.notes.append("There is more; --limit all shows it.")
                break
    if not rows and not view.warnings:
        view.notes.append("Nothing is off the heap.")
    if sorts:
        view.arrange(args.sort, limit=args.limit)
    for row in view.rows:
        _show_value(context, row)
    return view


def _chains(context: Context, which: str, view: Table) -> list[tuple[str, int]]:
    """Name and first thing of each chain that is not empty."""
    from ..vm import Error

    native = context.vm.native
    try:
        process = context.vm.find_process(which)
    except Problem:
        # Not that of a process: OTP's macro takes the first thing of a chain.
        try:
            address = int(which, 0)
            native.read(address, 16)
        except (ValueError, OverflowError, Error):
            address = 0
        if not address or address % 8:
            raise
        return [("chain", address)]
    view.facts.update(pid=str(process.pid), address=f"{process.address:#x}")
    areas, problem = native.heap_areas(process.address)
    if problem:
        view.warnings.append(f"Parts of the heap are left out: {problem}.")
    chains = [("heap" if a["kind"] != "fragment" else "fragment", a["off_heap"]) for a in areas]
    chains.append(("writable", native.writable_binaries(process.address)))
    return [(name, first) for name, first in chains if first]


def _row(context: Context, chain: str, term: Term) -> dict[str, Any]:
    from ..vm import Error

    kind = "binary" if term.kind == "bitstring" else term.kind
    row: dict[str, Any] = {"chain": chain, "address": term.address, "kind": kind, "value": term}
    bits = term.binary()
    if bits is not None and bits["address"]:
        row["binary"] = bits["address"]
        try:
            binary = context.vm.native.binary_header(bits["address"])
        except Error:
            return row
        row.update(size=binary["size"], refc=binary["refc"])
    return row


def _show_value(context: Context, row: dict[str, Any]) -> None:
    """Only of what is shown."""
    options = context.settings.format_options(width=0)
    options.update(VALUE_LIMITS)
    term = row["value"]
    row["value"] = term.format(**options) if term.kind != "invalid" else "(unreadable)"


COMMAND = Command(
    name="etp-offheapdump",
    summary="Show what hangs on the off-heap chains of a process.",
    description="""
    Everything that a heap refers to outside of it is on a chain, so that the references can be
    given up when the heap goes: large binaries, funs, pids and references of other nodes, and
    magic references (ETS tables, NIF resources). In use or not: what is garbage stays on the chain
    until the next collection. The first thing of some other chain can be given instead of a
    process.
    """,
    run=run,
    arguments=(
        Argument(
            "PROCESS",
            help="pid, registered name, address of the Process, or of the first thing of a chain",
            complete=complete_processes,
        ),
        sort_by(
            "chain",
            "size",
            "refc",
            "kind",
            "address",
            help="chain: as they hang there; otherwise by this column",
        ),
        limit(50, "things"),
        JSON,
    ),
    columns=COLUMNS,
    examples=(
        ("etp-offheapdump <0.123.0>", "what process_info(Pid, binary) lists, and more"),
        ("etp-offheapdump <0.123.0> --sort size", "the largest binaries first"),
    ),
)
