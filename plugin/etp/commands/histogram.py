# SPDX-License-Identifier: Apache-2.0
"""etp-histogram: live terms by their shape."""

from __future__ import annotations

from ..errors import UsageError
from .declaration import Argument, Column, Command, table_arguments
from .ets_tables import complete_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("bytes", "heap words that they themselves occupy", kind="bytes"),
    Column("count", "how many there are; of lists, cons cells", kind="count"),
    Column("kind", "tuple, struct, map, list, queue, set, refc_binary ...", rank=1),
    Column("shape", "tag and arity, name of the struct, keys of the map", flexible=20),
    Column("elements", "of all queues, sets, trees ... of this kind", kind="count", rank=1),
    Column("binaries", "sizes of the off-heap binaries they refer to", kind="bytes", rank=1),
)

KEYS_SHOWN = 6


def run(context: Context, args: Namespace) -> Table:
    from ..text import plural
    from ..units import WORD
    from ..views import Table

    if args.process and args.table:
        raise UsageError("Either --process or --table, or none of them for the whole VM.")
    vm = context.vm
    process = vm.find_process(args.process).address if args.process else 0
    table = vm.ets_table(args.table).address if args.table else 0
    with context.progress("Counting terms") as progress:
        found = vm.native.histogram(process, table, progress)
    view = Table(
        COLUMNS,
        [
            {
                "bytes": shape["words"] * WORD,
                "count": shape["count"],
                "kind": shape["kind"],
                "shape": text(shape),
                "elements": shape["elements"] if shape["is_collection"] else None,
                "binaries": shape["binary_bytes"],
            }
            for shape in found["shapes"]
        ],
        noun="shapes",
    )
    if not found["complete"]:
        view.warnings.append("Interrupted: only what was seen until then is counted.")
    if found["unreadable"]:
        view.warnings.append(f"{plural(found['unreadable'], 'thing')} could not be read.")
    if found["truncated"]:
        view.warnings.append(
            f"{plural(found['truncated'], 'holder')} had more things than one search looks at:"
            " `set etp max-things` raises that."
        )
    view.notes.append(
        f"{plural(found['holders'], 'process or row', 'processes and rows')} looked at; garbage and"
        " immediates are not counted."
    )
    view.facts["complete"] = found["complete"]
    view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)
    return view


def text(shape: dict[str, Any]) -> str:
    """The shape as Erlang would write a pattern for it."""
    from ..text import safe

    tag: Any = shape["tag"]
    if shape["kind"] == "tuple":
        if tag is None:
            return "{" + ",".join("_" * min(shape["arity"], 8)) + "}" + _dots(shape["arity"], 8)
        rest: str = ",_" * min(shape["arity"] - 1, 8)
        return "{" + safe(str(tag)) + rest + "}" + _dots(shape["arity"] - 1, 8)
    if shape["kind"] == "struct":
        return f"%{safe(tag.value()).removeprefix('Elixir.')}{{}}"
    if shape["kind"] == "map" and shape["keys"] is not None:
        keys = [safe(str(key)) for key in shape["keys"][:KEYS_SHOWN]]
        more = ",..." if shape["arity"] > KEYS_SHOWN else ""
        return "#{" + ",".join(keys) + more + "}" + _dots(shape["arity"], KEYS_SHOWN)
    if shape["kind"] == "fun" and tag is not None:
        return f"fun of {safe(str(tag))}"
    return ""


def _dots(count: int, shown: int) -> str:
    return f" ({count:,} in all)" if count > shown else ""


COMMAND = Command(
    name="etp-histogram",
    summary="Count live terms by their shape.",
    description="""
    Tuples by tag and arity, structs by name, small maps by their keys: which records fill the
    memory of the VM, of one process or of one table. Bytes are those of the things themselves,
    without what they refer to. Queues, sets, dicts, trees and arrays are told by their form, and
    count with all that they are built of, but without their elements.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument("--process", help="of this process only (pid or registered name)", metavar="PID"),
        Argument("--table", help="of this table only", metavar="TABLE", complete=complete_names),
        *table_arguments(COLUMNS, "bytes", 20, "shapes"),
    ),
    examples=(("etp-histogram --table sessions", "what the rows of one table are made of"),),
)
