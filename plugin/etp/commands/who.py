# SPDX-License-Identifier: Apache-2.0
"""etp-who: every holder of a binary or heap term, with the path to it."""

from __future__ import annotations

from ..errors import Problem, UsageError
from .declaration import JSON, Argument, Command, limit, sort_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from ..paths import Holding
    from ..views import Block, Report
    from ..vm import VM
    from .context import Context

NO_PATH = {
    "module": "a literal in its code",
    "timer": "in the message that it will send",
    "dist_output": "waits to be sent to that node",
    "dist_input": "of a message that has not come as a whole",
    "trap": "no term refers to it yet, only the state of a BIF that was interrupted in the middle, by"
    " the form of what is there",
    "trace_session": "in the state of the tracer that it was made with",
    "magic": "kept in a magic binary, to which a process has a reference",
}
"""Where in its holder it is, if no term leads to it."""

MOVING = (
    "it was collecting garbage: its terms were being moved, and the path may lead through copies"
)

ALL_PATHS = 1000
"""Of one holder: what --paths all means."""

ALL = -1

ORDERS: dict[str, Callable[[Holding], tuple[int, ...]]] = {
    # Shortest path first, garbage last.
    "path": lambda holding: (len(holding.paths[0].steps) if holding.paths else 1 << 30,),
    "refs": lambda holding: (-holding.refs,),
}


def run(context: Context, args: Namespace) -> Report:
    from ..paths import holdings_of_binary, holdings_of_term
    from ..views import Paragraph

    try:
        address = int(args.ADDRESS, 0)
    except ValueError:
        raise UsageError(
            f"{args.ADDRESS!r} is no address; etp-bins lists those of binaries, and a raw term"
            " (0x...) will do."
        ) from None
    options = context.settings.format_options(width=0)
    options.update(max_depth=4, max_length=8, max_string=40)
    census = context.census("Looking for holders")
    binary = census.native.binary(address, args.limit or ALL)
    if binary is not None:
        found = list(holdings_of_binary(context.vm, binary, options, args.paths or ALL_PATHS))
        found.sort(key=ORDERS[args.sort])
        report = _report(_binary_title(context.vm, binary), found, options, binary, census.complete)
        if context.settings.stats:
            report.blocks += [None, Paragraph(census.statistics, "dim")]
        return report
    found = list(holdings_of_term(context.vm, address & ~7, args.paths or ALL_PATHS))
    if not found:
        raise Problem(
            f"Nothing that the census saw holds {address:#x}: it is no Binary that a process, a"
            " table or a persistent term refers to, and lies in no heap, message or row. It may"
            " be freed, or be a literal of a module."
        )
    title = f"The term at {address & ~7:#x}"
    return _report(title, found, options, None, census.complete)


def _binary_title(vm: VM, binary: dict[str, Any]) -> str:
    from ..census import Binary
    from ..text import plural
    from ..units import format_bytes

    title = (
        f"The binary at {binary['address']:#x}: {format_bytes(binary['size'])}, reference count"
        f" {binary['refc']:,}, {plural(binary['refs'], 'reference')} found"
    )
    missing = binary["refc"] - binary["refs"]
    if missing > 0:
        title += f"; {plural(missing, 'reference')} that nothing accounts for"
    resource = Binary.of(binary).resource(vm)
    return title + (f". It is the NIF resource {resource}." if resource else ".")


def _report(
    title: str,
    found: list[Holding],
    options: dict[str, Any],
    binary: dict[str, Any] | None,
    complete: bool,
) -> Report:
    from ..text import plural
    from ..views import Paragraph, Report

    blocks: list[Block | None] = [Paragraph(title, "strong"), None]
    for holding in found:
        blocks.extend(_blocks(holding, options))
    hidden = binary["holder_count"] - len(binary["holders"]) if binary else 0
    if hidden > 0:
        blocks.append(
            Paragraph(f"{plural(hidden, 'more holder')} not shown; --limit all shows all.")
        )
    report = Report(
        blocks,
        {
            "address": f"{binary['address']:#x}" if binary else None,
            "refc": binary["refc"] if binary else None,
            "refs": binary["refs"] if binary else None,
            "complete": complete,
            "holders": [_data(holding, options) for holding in found],
        },
    )
    if not complete:
        report.warnings.append("Interrupted: holders may be missing.")
    unreadable = sum(holding.unreadable for holding in found)
    if unreadable:
        report.warnings.append(f"{unreadable:,} things on the way could not be read.")
    return report


def _blocks(holding: Holding, options: dict[str, Any]) -> list[Block]:
    from ..text import plural
    from ..views import Paragraph

    head = holding.label
    if holding.row is not None:
        head += f", row with key {holding.row.key.format(**options)}"
    if holding.refs > 1:
        head += f" ({holding.refs:,} references)"
    blocks: list[Block] = [Paragraph(head)]
    for path in holding.paths:
        blocks.append(Paragraph(path.text(options) or "the term itself", indent=3, hang=3))
    if holding.paths and holding.doubt == "in GC":
        blocks.append(Paragraph(MOVING, "dim", indent=3))
    if not holding.paths:
        blocks.append(Paragraph(_no_path(holding), "dim", indent=3))
    if holding.more_refs:
        more = plural(holding.more_refs, "more reference")
        blocks.append(Paragraph(f"{more} from other rows of {holding.label}", "dim"))
    return blocks


def _no_path(holding: Holding) -> str:
    if holding.kind in NO_PATH:
        return NO_PATH[holding.kind]
    if holding.truncated:
        return "no path among the things looked at; the heap has more (set etp max-things)"
    if holding.doubt == "running":
        return "no path found, but it was running: its registers are not known"
    if holding.doubt == "in GC":
        return "no path found, but it was collecting garbage: its heap is between two states"
    if holding.doubt == "in a BIF":
        return "no path found, but a BIF that it is in the middle of may need it"
    if holding.kind == "process":
        return "garbage: no live term of the process leads to it; a garbage collection frees it"
    return "no path found"


def _data(holding: Holding, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": holding.kind,
        "address": f"{holding.address:#x}",
        "label": holding.label,
        "refs": holding.refs,
        "row_key": holding.row.key.format(**options) if holding.row is not None else None,
        "paths": [path.text(options) for path in holding.paths],
        "truncated": holding.truncated,
        "doubt": holding.doubt or None,
    }


COMMAND = Command(
    name="etp-who",
    summary="Tell who holds a binary or a term, and by which path.",
    description="""
    ADDRESS is that of a Binary (etp-bins and process_info(Pid, binary) show it), or a term on a
    heap, in a message or in a row of a table. For each process, table and persistent term that
    refers to it, the shortest path from a root to it is shown: {2} is an element of a tuple, [17]
    one of a list, anything else the key of a map. "external format" is what came from another node
    and is not decoded yet. References that only garbage has are said to be so.
    """,
    run=run,
    arguments=(
        Argument("ADDRESS", help="address of a Binary, or a raw term"),
        Argument("--paths", help="paths for each holder", metavar="N", kind="limit", default=1),
        sort_by(*ORDERS, help="path: shortest path first; refs: most references first"),
        limit(16, "holders"),
        JSON,
    ),
    examples=(("etp-who 0x7f3c1a2b4c50", "a binary that etp-bins lists"),),
)
