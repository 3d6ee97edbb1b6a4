# SPDX-License-Identifier: Apache-2.0
"""etp-supervision: the supervision tree of each application."""

from __future__ import annotations

from ..errors import Problem, UsageError
from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from ..otp.supervision import Application, Child, Line, Totals, Trees
    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("child", "its id, or name; indented below its supervisor", flexible=30),
    Column("pid", "or what the supervisor has instead: restarting, undefined"),
    Column("kind", "worker; of a supervisor its strategy", rank=2, flexible=11),
    Column("restart", "permanent, transient, temporary ...", rank=4),
    Column("memory", "process_info(Pid, memory)", kind="bytes", rank=5),
    Column("subtree", "memory of it and all below it", kind="bytes"),
    Column("processes", "it and all below it", kind="count", rank=1),
    Column("msgq", "messages in the mailboxes of it and all below it", kind="count"),
    Column(
        "restarts",
        "restarts that it, and supervisors below it, remember: those of the last period",
        kind="count",
    ),
    Column("allowed", "restarts in so many seconds that a supervisor allows", rank=6),
    Column("label", "registered name or initial call", rank=3, flexible=16),
    Column("application", "whose tree it is", hidden=True),
    Column("problem", "what is not known", flexible=12, hidden=True),
)


OVERVIEW_DEPTH = 1
"""Levels shown when all applications are."""


def run(context: Context, args: Namespace) -> Table:
    from .. import code
    from ..otp.supervision import Trees
    from ..views import Table

    trees = Trees(context.vm)
    depth = _depth(args)
    rows: list[dict[str, object]] = []
    view = Table(COLUMNS, rows, noun="children")
    for application, top in _tops(context, trees, args.TOP):
        if application is not None and application.problem:
            view.warnings.append(f"{application.name}: {application.problem}.")
        if top is None:
            continue
        totals = trees.totals(top)
        name = application.name if application is not None else None
        for line in trees.outline(top, totals, args.children, depth):
            rows.append(_row(context, line, totals, name, indent="" if args.sort else "  "))
        if application is not None and args.TOP:
            view.notes.append(_summary(application, totals[id(top)]))
    if not args.TOP:
        view.notes.append("etp-supervision APPLICATION shows a whole tree.")
    # The loop of a supervisor is known by name.
    view.warnings += trees.problems + code.gaps(context.vm)
    for problem in sorted({str(row["problem"]) for row in rows if row["problem"]}):
        view.warnings.append(f"{_who(rows, problem)}: {problem}.")
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _depth(args: Namespace) -> int:
    from ..units import parse_limit

    if args.depth is None:
        return 0 if args.TOP else OVERVIEW_DEPTH
    try:
        return parse_limit(args.depth)
    except ValueError:
        raise UsageError(f"--depth is a number or all, not {args.depth!r}.") from None


def _tops(
    context: Context, trees: Trees, which: str | None
) -> Iterator[tuple[Application | None, Child | None]]:
    """The tops of the trees that were asked for, and whose they are."""
    from ..text import safe

    applications = trees.applications()
    chosen = [a for a in applications if which in (None, a.name)]
    if chosen or which is None:
        yield from ((application, application.top) for application in chosen)
        return
    try:
        process = context.vm.find_process(which)
    except Problem:
        names = ", ".join(application.name for application in applications)
        raise Problem(
            f"{safe(which)} is neither a process nor an application that runs; these do: {names}."
        ) from None
    row = trees.rows.get(process.pid.word)
    if row is not None:
        yield None, trees.of(row)


def _row(
    context: Context,
    line: Line,
    totals: dict[int, Totals],
    application: str | None,
    indent: str,
) -> dict[str, object]:
    from ..otp.supervision import Totals
    from ..text import safe

    before = indent * line.depth

    child = line.child
    if child is None:
        total = Totals()
        for other in line.rest:
            total.add(totals[id(other)])
        text = f"... {len(line.rest):,} more"
        return _with_totals(
            {"child": before + text, "more": len(line.rest)}, total, line, application
        )
    supervisor = child.supervisor
    name = _id(context, child) or _label(child)
    if child.id is None and supervisor is not None and child.row is not None:
        # What it supervises tells more than that it is a supervisor.
        name = child.row.name or supervisor.module or name
    if application is not None and not line.depth:
        name = application
    row: dict[str, object] = {
        "child": before + safe(name),
        "id": _id(context, child),
        "pid": str(child.pid) if child.pid is not None else child.status,
        "status": child.status,
        "kind": (supervisor.strategy or supervisor.behaviour) if supervisor else child.type,
        "type": child.type,
        "restart": child.restart,
        "memory": child.row.memory if child.row else None,
        "label": _label(child),
        "module": supervisor.module if supervisor else None,
        "strategy": supervisor.strategy if supervisor else None,
        "own_restarts": supervisor.restarts if supervisor else None,
        "intensity": supervisor.intensity if supervisor else None,
        "period": supervisor.period if supervisor else None,
        "problem": (supervisor.problem if supervisor else "") or None,
    }
    if supervisor is not None and supervisor.intensity is not None:
        row["allowed"] = f"{supervisor.intensity:,} in {supervisor.period:,} s"
    return _with_totals(row, totals[id(child)], line, application)


def _with_totals(
    row: dict[str, object], total: Totals, line: Line, application: str | None
) -> dict[str, object]:
    return {
        **row,
        "application": application,
        "depth": line.depth,
        "parent": str(line.parent.row.pid) if line.parent is not None else None,
        "subtree": total.memory,
        "processes": total.processes,
        "msgq": total.message_queue_len,
        "restarts": total.restarts or None,
        "problem": row.get("problem"),
        "label": row.get("label"),
        "pid": row.get("pid"),
    }


def _id(context: Context, child: Child) -> str:
    if child.id is None:
        return ""
    if child.id.kind == "atom":
        # A name, as those of processes are.
        return str(child.id)
    options = context.settings.format_options(width=0)
    options.update(max_depth=4, max_length=8, max_string=40)
    return child.id.format(**options)


def _label(child: Child) -> str:
    return child.row.label if child.row is not None else ""


def _summary(application: Application, total: Totals) -> str:
    from ..text import plural
    from ..units import format_bytes

    memory = sum(row.memory for row in application.processes)
    beside = len(application.processes) - total.processes
    text = (
        f"{application.name}: {plural(total.processes, 'process', 'processes')} in its tree"
        f" ({format_bytes(total.memory)})"
    )
    if total.restarts:
        text += f", {plural(total.restarts, 'restart')} remembered"
    if beside > 0:
        text += (
            f"; with those that have its master as group leader"
            f" {len(application.processes):,} ({format_bytes(memory)})"
        )
    return text + "."


def _who(rows: list[dict[str, object]], problem: str) -> str:
    labels = [str(row["label"] or row["pid"]) for row in rows if row["problem"] == problem]
    return ", ".join(labels[:3]) + (f" and {len(labels) - 3:,} more" if len(labels) > 3 else "")


def _complete(context: Context) -> list[str]:
    from ..otp.supervision import Trees

    names = [application.name for application in Trees(context.vm).applications()]
    return [*names, *(process.name for process in context.vm.processes() if process.name)]


COMMAND = Command(
    name="etp-supervision",
    summary="Show the supervision tree of each application.",
    description="""
    What each supervisor knows of its children, in its own order: that of supervisor:which_children/1
    (the last one started comes first). Erlang's supervisors, Elixir's DynamicSupervisor and
    RabbitMQ's supervisor2 are known; of another kind of supervisor, children are those that have
    it as the first of their '$ancestors'. A supervisor forgets restarts only when the next one
    comes. Processes that are not supervised are in the totals below the table only.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "TOP",
            help="an application, or a process (pid, registered name, address); all applications"
            " when left out",
            optional=True,
            complete=_complete,
        ),
        Argument(
            "--children",
            help='children to show of one supervisor, those with most memory; "all" for all',
            metavar="N",
            kind="limit",
            default=10,
        ),
        Argument(
            "--depth",
            help=f"levels to show below the top (default: {OVERVIEW_DEPTH} of all applications, all of"
            " one)",
            metavar="N",
        ),
        *table_arguments(COLUMNS, "", 200, "children"),
    ),
    examples=(
        ("etp-supervision kernel", "one application"),
        ("etp-supervision", "the top level of each application, with totals"),
        ("etp-supervision rabbit_sup --children all", "all below one supervisor"),
        ("etp-supervision --sort restarts --limit 10", "where restarts happened"),
    ),
)
