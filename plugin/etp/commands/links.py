# SPDX-License-Identifier: Apache-2.0
"""etp-links and etp-monitors: who is tied to a process."""

from __future__ import annotations

from .declaration import Column, Command, table_arguments
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..processes import Monitor
    from ..views import Table
    from ..vm import VM
    from .context import Context

LINK_COLUMNS = (
    Column("link", "pid or port at the other end", key="other"),
    Column("label", "its registered name or initial call", flexible=16),
    Column("alive", "no: it is dead, and the exit signal has not arrived", kind="yesno"),
)

MONITOR_COLUMNS = (
    Column("direction", "watches: set up by the process; watched by: set up by the other"),
    Column("type", "process, port, dist_process, resource, alias ..."),
    Column("other", "pid, port or atom at the other end"),
    Column(
        "label", "its registered name or initial call, or the name that is watched", flexible=16
    ),
    Column("alive", "no: it is dead, and the 'DOWN' has not arrived", kind="yesno", rank=1),
    Column("ref", "the monitor's reference", rank=2),
    Column("note", "whatever is special", flexible=8, rank=3),
)


def links(context: Context, args: Namespace) -> Table:
    from .. import processes
    from ..text import plural
    from ..views import Table

    vm = context.vm
    process = vm.find_process(args.PROCESS)
    info = processes.info(vm, process)
    view = Table(
        LINK_COLUMNS,
        [{"other": str(term), **_known(vm, term)} for term in info.links],
        warnings=info.warnings if "links" in info.unknown + info.uncertain else [],
        notes=[f"{process.pid} {process.label}: {plural(len(info.links), 'link')}."],
        facts={"pid": str(process.pid)},
        noun="links",
    )
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def monitors(context: Context, args: Namespace) -> Table:
    from .. import processes
    from ..text import plural
    from ..views import Table

    vm = context.vm
    process = vm.find_process(args.PROCESS)
    info = processes.info(vm, process)
    view = Table(
        MONITOR_COLUMNS,
        [_monitor(vm, monitor) for monitor in info.all_monitors],
        warnings=info.warnings if "monitors" in info.unknown + info.uncertain else [],
        notes=[
            f"{process.pid} {process.label}: process_info/2 lists"
            f" {plural(len(info.monitors), 'monitor')} that it has, and"
            f" {len(info.monitored_by):,} of which it is the target."
        ],
        facts={"pid": str(process.pid)},
        noun="monitors",
    )
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _known(vm: VM, term: Term | None) -> dict[str, object]:
    """Who a pid or port is, and whether it lives; of other nodes nothing is known."""
    if term is None or term.address:
        return {"label": None, "alive": None}
    if term.kind == "pid":
        process = vm.process(term)
        return {"label": process.label if process else None, "alive": process is not None}
    if term.kind == "port":
        return {"label": None, "alive": vm.native.port_is_open(term)}
    return {"label": None, "alive": None}


def _monitor(vm: VM, monitor: Monitor) -> dict[str, object]:
    row: dict[str, object] = {
        "direction": "watched by" if monitor.is_target else "watches",
        "type": monitor.type,
        "other": None if monitor.other is None else str(monitor.other),
        "ref": str(monitor.ref) if monitor.ref is not None and monitor.ref.kind == "ref" else None,
        "listed": monitor.listed,
        **_known(vm, monitor.other),
    }
    notes = []
    if monitor.name is not None and monitor.is_target:
        notes.append(f"by the name {monitor.name}")
    elif monitor.name is not None:
        row["label"] = f"{monitor.name} on {monitor.node}"
    if monitor.spawn_pending:
        notes.append("waits for a spawn")
    if monitor.type == "suspend":
        state = "" if monitor.suspend_active else ", not in effect yet"
        notes.append(f"{monitor.suspend_count}x{state}")
    row["note"] = ", ".join(notes) or None
    return row


LINKS = Command(
    name="etp-links",
    summary="Show the links of a process.",
    description="As process_info(Pid, links), with who is at the other end.",
    run=links,
    columns=LINK_COLUMNS,
    arguments=(PROCESS, *table_arguments(LINK_COLUMNS, "", 50, "links")),
)

MONITORS = Command(
    name="etp-monitors",
    summary="Show the monitors of a process, in both directions.",
    description="""
    Those of process_info(Pid, monitors) and of process_info(Pid, monitored_by), and besides them
    what these do not list: aliases, monitors of nodes, suspensions.
    """,
    run=monitors,
    columns=MONITOR_COLUMNS,
    arguments=(PROCESS, *table_arguments(MONITOR_COLUMNS, "", 50, "monitors")),
)
