# SPDX-License-Identifier: Apache-2.0
"""etp-bins: all off-heap binaries, and who holds them."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Callable

    from _etp import Records

    from ..census import Binary, BinaryTotals, Census
    from ..views import RecordPages, Table
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("address", "address of the Binary, as in process_info(Pid, binary)", kind="address"),
    Column("size", "bytes of the binary", kind="bytes"),
    Column("visible", "of these, bytes that some holder can see", "bytes", key="visible_bytes"),
    Column("waste", "the difference", kind="bytes", key="unseen_bytes", rank=1),
    Column("refc", "reference count", kind="count"),
    Column("refs", "references found; if fewer, a NIF or driver has the others", kind="count"),
    Column("holders", "who refers to it: processes, tables, timers ...", flexible=8),
    Column("preview", "its first bytes", rank=2, flexible=10),
)

SORTS = ("size", "waste", "visible", "refc", "refs", "address")
PREVIEW = 24
SAMPLED = 20_000
"""How many binaries with references not found are looked at for who may have them."""
MIDDLE_SHOWN = 3


def run(context: Context, args: Namespace) -> Table:
    from ..views import Table

    vm = context.vm
    census = context.census("Looking for binaries")
    totals = census.binary_totals
    count = totals.unaccounted + totals.excess if args.unaccounted else totals.binaries
    shown = min(count, args.limit or count)
    # Sorted there, so that only what is shown becomes Python objects.
    between = census.addresses_between(shown, args.sort, args.unaccounted, args.reverse)
    view = Table(
        COLUMNS,
        _rows(vm, census, shown, between, context.settings.redact),
        noun="binaries",
        warnings=[*vm.ets_tables.gaps, *census.gaps],
    )
    view.facts["complete"] = census.complete
    view.notes += _notes(vm, census, view)
    if context.settings.stats:
        view.notes.append(census.statistics)
    view.arrange(columns=args.columns, units=args.units)
    if count > len(view.rows):
        view.total = count
    return view


def _rows(
    vm: VM, census: Census, count: int, between: Callable[[int, int], list[int]], redact: bool
) -> RecordPages:
    from ..views import Numbers, RecordPages, SharedTexts

    def binary(address: int) -> Binary:
        found = census.binary(address)
        assert found is not None
        return found

    def make(start: int, stop: int) -> list[dict[str, object]]:
        return [_row(vm, binary(address), redact) for address in between(start, stop)]

    def records(start: int, stop: int) -> Records:
        return census.native.binary_page(
            between(start, stop),
            lambda address: _holders(vm, binary(address), redact),
            None if redact else lambda address: _preview(vm, binary(address)),
        )

    return RecordPages(
        count,
        make,
        records,
        {
            "address": Numbers("address"),
            "size": Numbers("size"),
            "visible_bytes": Numbers("visible_bytes"),
            "unseen_bytes": Numbers("unseen_bytes"),
            "refc": Numbers("refc"),
            "refs": Numbers("refs"),
            "holders": SharedTexts("holders"),
            "preview": SharedTexts("preview"),
        },
    )


def _notes(vm: VM, census: Census, view: Table) -> list[str]:
    from ..text import plural
    from ..units import format_bytes

    totals = census.binary_totals
    notes = [f"{plural(totals.binaries, 'distinct binary', 'distinct binaries')} found."]
    if totals.unaccounted:
        notes.append(
            f"{plural(totals.unaccounted_refs, 'reference')} to"
            f" {plural(totals.unaccounted, 'binary', 'binaries')} of"
            f" {format_bytes(totals.unaccounted_bytes)} unaccounted for: a NIF or a driver has them"
            f" ({_by_kind(totals)})."
        )
        largest = census.binaries("size", SAMPLED, unaccounted=True)
        notes += _in_the_middle(vm, [b for b in largest if b.unaccounted_refs > 0])
    else:
        notes.append("Every reference is accounted for.")
    if totals.excess:
        notes.append(
            f"{plural(totals.excess, 'binary', 'binaries')} with more references than its count says:"
            " the core was taken while it changed."
        )
    view.facts["unaccounted"] = {
        "binaries": totals.unaccounted,
        "bytes": totals.unaccounted_bytes,
        "refs": totals.unaccounted_refs,
    }
    return notes


def _in_the_middle(vm: VM, lacking: list[Binary]) -> list[str]:
    """Who may be in the middle of a BIF that has further references: a process that waits is in
    none."""
    from ..code import execution
    from ..processes import info

    found: dict[int, str] = {}
    holders = {h.address for binary in lacking for h in binary.holders if h.kind == "process"}
    for address in sorted(holders):
        process = vm.process(address)
        if process is None or info(vm, process).status == "waiting":
            continue
        function = execution(vm, process).current_function
        found[address] = f"{process.pid} in {function.name('erlang')}" if function else ""
        if len(found) == MIDDLE_SHOWN:
            break
    names = ", ".join(name for name in found.values() if name)
    if not names:
        return []
    return [f"Or a BIF has some of them, which one of these is in the middle of: {names}."]


def _by_kind(totals: BinaryTotals) -> str:
    """Totals by the kinds of holders that were found."""
    from ..units import format_bytes

    ranked = sorted(totals.unaccounted_by_kinds, key=lambda item: -item[2])
    return "; ".join(
        f"{count:,} held by {' and '.join(sorted(kinds)).replace('_', ' ')}: {format_bytes(size)}"
        for kinds, count, size in ranked
    )


def _holders(vm: VM, binary: Binary, redact: bool) -> str:
    holders = []
    for holder in binary.holders:
        name = holder.label(vm, redact)
        holders.append(f"{name} x{holder.refs:,}" if holder.refs > 1 else name)
    if binary.holder_count > len(binary.holders):
        holders.append(f"{binary.holder_count - len(binary.holders):,} more")
    return ", ".join(holders)


def _row(vm: VM, binary: Binary, redact: bool) -> dict[str, object]:
    return {
        "address": f"{binary.address:#x}",
        "size": binary.size,
        "visible_bytes": binary.visible_bytes,
        "unseen_bytes": binary.unseen_bytes,
        "refc": binary.refc,
        "refs": binary.refs,
        "holders": _holders(vm, binary, redact),
        "holder_count": binary.holder_count,
        "held_by": [
            {"kind": h.kind, "address": f"{h.address:#x}", "refs": h.refs} for h in binary.holders
        ],
        "resource": binary.resource(vm),
        "preview": None if redact else _preview(vm, binary),
    }


def _preview(vm: VM, binary: Binary) -> str:
    from ..text import preview
    from ..vm import Error

    resource = binary.resource(vm)
    if resource is not None:
        return f"NIF resource {resource}"
    try:
        return preview(vm.read(binary.data_address, min(binary.size, PREVIEW)), binary.size)
    except Error:
        return "(not in the core)"


COMMAND = Command(
    name="etp-bins",
    summary="List off-heap binaries and who holds them.",
    description="""
    Each refc binary once, however many references there are. Holders are processes (heap, messages
    and other signals), rows of ETS tables, persistent terms, literals of modules, messages of
    timers, ports, and what is on its way from and to other nodes. When refc is larger than refs,
    something else has the missing references: a NIF or a driver. etp-who shows the path to a binary.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "--unaccounted",
            help="only those whose reference count is not the number of references found",
            kind="flag",
        ),
        *(
            a
            if a.names[0] != "--sort"
            else Argument(
                "--sort",
                help="sort by this column",
                metavar="COLUMN",
                choices=SORTS,
                default="size",
            )
            for a in table_arguments(COLUMNS, "size", 20, "binaries")
        ),
    ),
    examples=(
        ("etp-bins --sort waste", "those of which most bytes are unseen first"),
        ("etp-bins --unaccounted", "those that a NIF or driver keeps"),
    ),
)
