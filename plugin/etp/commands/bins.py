# SPDX-License-Identifier: Apache-2.0
"""etp-bins: the off-heap binaries known so far."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..ets import Binary
    from ..views import Table
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("address", "address of the Binary, as in process_info(Pid, binary)", kind="address"),
    Column("size", "bytes of the binary", kind="bytes"),
    Column("visible", "of these, bytes that some row can see", kind="bytes", key="visible_bytes"),
    Column("waste", "the difference", kind="bytes", key="unseen_bytes", rank=1),
    Column("refc", "reference count", kind="count"),
    Column("refs", "references found in tables; the others are elsewhere", kind="count"),
    Column("holders", "tables that refer to it", flexible=8),
    Column("preview", "its first bytes", rank=2, flexible=10),
)

SORTS = ("size", "waste", "refs", "address")
PREVIEW = 24


def run(context: Context, args: Namespace) -> Table:
    from ..text import plural
    from ..units import format_bytes
    from ..views import Table

    vm = context.vm
    with context.progress("Looking for binaries in tables") as progress:
        scan = vm.scan_ets(progress=progress)
    count = scan.binary_count()
    native = {"size": "size", "waste": "waste", "refs": "refs", "address": "address"}.get(args.sort)
    if native:
        # Sorted there, so that only what is shown becomes Python objects.
        everything = args.reverse or not args.limit
        found = scan.binaries(native, -1 if everything else args.limit)  # type: ignore[arg-type]
    else:
        found = scan.binaries("size", -1)
    view = Table(
        COLUMNS,
        [_row(vm, binary, context.settings.redact) for binary in found],
        noun="binaries",
        warnings=list(vm.ets_tables.gaps),
    )
    if not scan.complete:
        view.warnings.append("Interrupted: only the rows seen until then are counted.")
    unreadable = sum(table.unreadable for table in scan.tables.values())
    if unreadable:
        view.warnings.append(
            f"{plural(unreadable, 'row or chain of rows', 'rows or chains of rows')} could not be"
            " read; the binaries that they hold are not counted."
        )
    own = sum(table.own_bytes for table in scan.tables.values())
    view.notes.append(
        f"{plural(count, 'binary', 'binaries')} referred to by rows of tables;"
        f" {format_bytes(own)} are held by one table alone. Binaries that only processes, messages"
        " or ports hold are not looked for yet."
    )
    view.facts["complete"] = scan.complete
    view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)
    if count > len(view.rows):
        view.total = count
    return view


def _row(vm: VM, binary: Binary, redact: bool) -> dict[str, object]:
    holders = []
    for address, refs in binary.holders:
        table = vm.ets_tables.at(address)
        name = table.label if table else f"{address:#x}"
        holders.append(f"{name} x{refs:,}" if refs > 1 else name)
    return {
        "address": f"{binary.address:#x}",
        "size": binary.size,
        "visible_bytes": binary.visible_bytes,
        "unseen_bytes": binary.unseen_bytes,
        "refc": binary.refc,
        "refs": binary.refs,
        "holders": ", ".join(holders),
        "preview": None if redact else _preview(vm, binary),
    }


def _preview(vm: VM, binary: Binary) -> str | None:
    from ..text import preview
    from ..vm import Error

    if not binary.data_address:
        return None
    try:
        return preview(vm.read(binary.data_address, min(binary.size, PREVIEW)), binary.size)
    except Error:
        return "(not in the core)"


COMMAND = Command(
    name="etp-bins",
    summary="List off-heap binaries that rows of ETS tables refer to.",
    description="""
    Each refc binary once, however many rows refer to it. When refc is larger than refs, something
    besides tables holds it: a process, a message, a port.
    """,
    run=run,
    columns=COLUMNS,
    arguments=tuple(
        a
        if a.names[0] != "--sort"
        else Argument(
            "--sort",
            help="sort by this column",
            metavar="COLUMN",
            choices=(*SORTS, "visible", "refc"),
            default="size",
        )
        for a in table_arguments(COLUMNS, "size", 20, "binaries")
    ),
    examples=(("etp-bins --sort waste", "those of which most bytes are unseen first"),),
)
