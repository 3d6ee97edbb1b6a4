# SPDX-License-Identifier: Apache-2.0
"""etp-modules: the loaded modules."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..code import Module
    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("name", "name of the module", flexible=24),
    Column("version", "current; old: replaced, not purged; on_load: being loaded"),
    Column("size", "bytes of code", kind="bytes"),
    Column("functions", "number of functions", kind="count", rank=1),
    Column("problem", "why its functions have no names", flexible=16, rank=2),
    Column("address", "address of the BeamCodeHeader", kind="address", hidden=True),
)


def run(context: Context, args: Namespace) -> Table:
    from ..code import gaps, modules
    from ..text import plural
    from ..units import format_bytes
    from ..views import Table

    found = modules(context.vm)
    chosen = [module for module in found if not args.old or module.version == "old"]
    view = Table(COLUMNS, [_row(module) for module in chosen], noun="modules")
    view.warnings += gaps(context.vm, chosen)
    size = sum(module.size for module in chosen)
    view.notes.append(f"{plural(len(chosen), 'module')}, {format_bytes(size)} of code.")
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _row(module: Module) -> dict[str, object]:
    return {
        "name": module.name,
        "version": module.version,
        "size": module.size,
        "functions": module.functions,
        "problem": module.problem,
        "address": module.address,
    }


COMMAND = Command(
    name="etp-modules",
    summary="List the loaded modules.",
    description="""
    All modules that the VM can run, as code:all_loaded/0, and old code that has not been purged.
    """,
    run=run,
    arguments=(
        Argument("--old", help="only old code", kind="flag"),
        *table_arguments(COLUMNS, "size", 30, "modules"),
    ),
    columns=COLUMNS,
    examples=(("etp-modules --old", "what purging would free"),),
)
