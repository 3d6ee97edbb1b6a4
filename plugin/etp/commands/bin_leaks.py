# SPDX-License-Identifier: Apache-2.0
"""etp-bin-leaks: what recon:bin_leak/1 would print."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..census import ProcessCensus
    from ..views import Table
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("pid", "the process"),
    Column("name", "its registered name, or its initial call", flexible=8),
    Column("delta", "references after a collection minus before, as recon has it", kind="count"),
    Column("bytes", "the same in bytes of binaries", kind="bytes", key="delta_bytes"),
    Column("released", "references that only garbage has", kind="count", key="released_refs"),
    Column("released-bytes", "their bytes", kind="bytes", key="released_bytes", rank=1),
    Column("added", "references that come in from messages", kind="count", key="added_refs"),
    Column("added-bytes", "their bytes", kind="bytes", key="added_bytes", rank=2),
    Column("refs", "references that process_info(Pid, binary) lists", "count", key="binary_refs"),
    Column("refs-bytes", "their bytes", kind="bytes", key="binary_bytes", rank=3),
    Column("current", "current function", key="current_function", rank=4, flexible=12),
    Column("doubt", "running, in GC or damaged: the numbers may be off", key="doubt"),
)


RANKED = (
    "delta",
    "bytes",
    "released",
    "released-bytes",
    "added",
    "added-bytes",
    "refs",
    "refs-bytes",
)
"""By these the census itself can sort: worst first, which is the most negative difference."""


def run(context: Context, args: Namespace) -> Table:
    from ..code import gaps
    from ..text import plural
    from ..units import format_bytes
    from ..views import MadeRows, Table

    census = context.census("Looking at processes")
    ranked = args.sort in RANKED
    if ranked:
        total, numbers = census.ranked_processes(args.sort, not args.all, args.reverse, args.limit)
    else:
        total, numbers = census.ranked_processes("refs", not args.all)
        numbers.sort()

    def make(start: int, stop: int) -> list[dict[str, object]]:
        return [_row(context.vm, census.process(number)) for number in numbers[start:stop]]

    view = Table(
        COLUMNS,
        MadeRows(len(numbers), make),
        noun="processes",
        warnings=census.gaps + gaps(context.vm),
    )
    totals = census.totals
    view.notes.append(
        f"Collecting all {totals.processes:,} processes would release"
        f" {plural(totals.released_refs, 'reference')} to"
        f" {plural(totals.released_binaries, 'binary', 'binaries')}, and free"
        f" {totals.freed_binaries:,} of these with {format_bytes(totals.freed_bytes)}, to which"
        " nobody else refers. Nothing was collected: this is what is garbage in the core."
    )
    if totals.released_refs > totals.released_binaries:
        view.notes.append("bytes and released-bytes count a binary once for each reference to it.")
    view.facts["freed"] = {"binaries": totals.freed_binaries, "bytes": totals.freed_bytes}
    if totals.running:
        view.notes.append(
            f"{plural(totals.running, 'process was', 'processes were')} running: what only registers hold"
            " counts as garbage there."
        )
    if context.settings.stats:
        view.notes.append(census.statistics)
    view.facts["complete"] = census.complete
    if ranked:
        view.arrange(columns=args.columns, units=args.units)
    else:
        view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)
    if total > len(view.rows):
        view.total = total
    return view


def _row(vm: VM, process: ProcessCensus) -> dict[str, object]:
    known = vm.process(process.address)
    return {
        "pid": str(process.pid),
        "name": known.label if known else None,
        "delta": process.delta_refs,
        "delta_bytes": process.delta_bytes,
        "released_refs": process.released_refs,
        "released_bytes": process.released_bytes,
        "added_refs": process.added_refs,
        "added_bytes": process.added_bytes,
        "binary_refs": process.binary_refs,
        "binary_bytes": process.binary_bytes,
        "current_function": _current_function(vm, process.address),
        "doubt": ", ".join(process.doubts),
        "running": process.running,
        "in_gc": process.in_gc,
        "unreadable": process.unreadable,
        "problem": process.problem or None,
    }


def _current_function(vm: VM, address: int) -> str | None:
    from ..text import safe
    from ..vm import Error

    try:
        location = vm.native.execution(address)["current_function"]
    except Error:
        return None
    if location is None:
        return None
    if location["function"] is None:
        return safe(location["module"] or location["fragment"] or "") or None
    return safe(f"{location['module']}:{location['function']}/{location['arity']}")


COMMAND = Command(
    name="etp-bin-leaks",
    summary="Tell which binaries a collection would release, as recon:bin_leak/1.",
    description="""
    recon:bin_leak/1 counts the references of each process to off-heap binaries, collects its
    garbage, and counts again. Here nothing is collected: what live terms do not lead to is what a
    collection would release. delta is negative when references would be released, and positive
    when more would come in with messages, which a collection moves to the heap.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument("--all", help="also processes for which nothing would change", kind="flag"),
        *table_arguments(COLUMNS, "bytes", 20, "processes"),
    ),
    examples=(
        ("etp-bin-leaks", "processes that would release most bytes first"),
        ("etp-bin-leaks --sort delta", "most references first, as recon:bin_leak/1"),
    ),
)
