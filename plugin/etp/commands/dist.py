# SPDX-License-Identifier: Apache-2.0
"""etp-dist: other nodes, and the connections to them."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..connections import Connection, Connections
    from ..views import Block, Report, Table
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("node", "its name", flexible=16),
    Column("kind", "visible, hidden, as nodes/1 has it; this: the node itself", rank=1),
    Column("state", "connected, pending (net_kernel connects), exiting, not connected; busy"),
    Column("controller", "port or process that carries the bytes", flexible=12),
    Column("queue", "bytes that wait for the controller", kind="bytes", key="queue_size"),
    Column("suspended", "processes that wait until it is not busy any more", kind="count"),
    Column("links", "to processes there", kind="count", rank=2),
    Column("monitors", "of processes there", kind="count", rank=2),
    Column("monitored_by", "processes there that watch one here", kind="count", rank=3),
    Column("monitor_node", "calls of monitor_node/2", kind="count", hidden=True),
    Column("received", "packets since it was connected", kind="count", rank=4),
    Column("sent", "packets since it was connected", kind="count", rank=4),
    Column("creation", "which incarnation of the node it is", kind="count", rank=5),
    Column("address", "address of the DistEntry", kind="address", hidden=True),
)

TIE_COLUMNS = (
    Column("tie", "link, monitor, monitored by, monitor node, suspended"),
    Column("process", "process of this node; the name, if it is monitored by that"),
    Column("label", "its registered name or initial call", flexible=16),
)


def run(context: Context, args: Namespace) -> Table | Report:
    from ..connections import connections

    found = connections(context.vm)
    if args.NODE:
        return _one(context, args, found)
    return _all(context, args, found)


def _all(context: Context, args: Namespace, found: Connections) -> Table:
    from ..views import Table

    rows = [_row(context, connection) for connection in found.connections]
    view = Table(COLUMNS, rows, noun="nodes", warnings=_warnings(found))
    view.notes.append(_note(found))
    view.facts = {"dist_buf_busy_limit": found.busy_limit}
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _note(found: Connections) -> str:
    from ..text import plural
    from ..units import format_bytes

    others = [c for c in found.connections if not c.is_this]
    connected = sum(c.state == "connected" for c in others)
    note = f"{plural(len(others), 'other node')}, {connected:,} of them connected"
    busy = [c for c in others if c.is_busy]
    if busy:
        suspended = sum(c.ties["suspended"] for c in busy)
        note += f"; {len(busy):,} busy, on which {plural(suspended, 'process', 'processes')} are suspended"
    if found.busy_limit is not None:
        note += f"; busy from {format_bytes(found.busy_limit)} on"
    return note + "."


def _one(context: Context, args: Namespace, found: Connections) -> Report:
    from ..connections import ties
    from ..text import plural
    from ..units import format_bytes
    from ..views import Facts, Report, Table

    vm = context.vm
    connection = _find(found, args.NODE)
    row = _row(context, connection)
    entries = [
        ("node", row["node"]),
        ("kind", row["kind"]),
        ("state", row["state"]),
        ("controller", row["controller"]),
        ("creation", str(connection.creation) if connection.creation else ""),
        ("queue", format_bytes(connection.queue_size)),
        ("busy limit", "" if found.busy_limit is None else format_bytes(found.busy_limit)),
        ("received", plural(connection.received, "packet")),
        ("sent", plural(connection.sent, "packet")),
        ("address", row["address"]),
    ]
    known, gaps = ties(vm, connection)
    rows = [
        {"tie": tie.replace("_", " "), "process": str(term), "label": _label(vm, term)}
        for tie, term in known
    ]
    table = Table(TIE_COLUMNS, rows, noun="ties").arrange(limit=args.limit)
    facts: dict[str, object] = {**row, "dist_buf_busy_limit": found.busy_limit, **table.data()}
    warnings = _warnings(found)
    if gaps:
        warnings.append(f"{plural(gaps, 'place')} could not be read: ties may be missing.")
    blocks: list[Block | None] = [Facts([(label, str(value)) for label, value in entries if value])]
    if rows:
        blocks += [None, table]
    return Report(blocks, facts, warnings)


def _row(context: Context, connection: Connection) -> dict[str, object]:
    state = connection.state.replace("_", " ")
    if connection.is_busy:
        state += ", busy"
    controller, address = connection.controller, f"{connection.address:#x}"
    return {
        # Names of nodes have names of hosts in them.
        "node": address if context.settings.redact else str(connection.node),
        "kind": connection.kind,
        "state": None if connection.is_this else state,
        "is_busy": connection.is_busy,
        "controller": None if controller is None else _who(context.vm, controller),
        "controller_id": None if controller is None else str(controller),
        "creation": connection.creation or None,
        "queue_size": connection.queue_size,
        "queue_size_respected": connection.queue_size_respected,
        "received": connection.received,
        "sent": connection.sent,
        "suspended": connection.ties["suspended"],
        "links": connection.ties["link"],
        "monitors": connection.ties["monitor"],
        "monitored_by": connection.ties["monitored_by"],
        "monitor_node": connection.ties["monitor_node"],
        "is_incomplete": connection.is_incomplete,
        "address": address,
    }


def _label(vm: VM, term: Term) -> str | None:
    process = vm.process(term) if term.kind == "pid" else None
    return process.label if process else None


def _who(vm: VM, term: Term) -> str:
    return f"{term} {_label(vm, term) or ''}".strip()


def _warnings(found: Connections) -> list[str]:
    from ..text import plural

    warnings = []
    if found.gaps:
        warnings.append(
            f"{plural(found.gaps, 'place')} could not be read, so that nodes may be missing: {found.problem}."
        )
    incomplete = sum(connection.is_incomplete for connection in found.connections)
    if incomplete:
        warnings.append(f"Of {plural(incomplete, 'node')} something could not be read.")
    return warnings


def _find(found: Connections, which: str) -> Connection:
    from ..errors import Problem
    from ..text import safe

    wanted = which.strip()
    for connection in found.connections:
        name = str(connection.node)
        if wanted in (name, name.strip("'"), f"{connection.address:#x}"):
            return connection
    raise Problem(
        f"This node knows none of the name {safe(wanted)}: {len(found.connections):,} were looked at."
        " Give a name such as node@host, or the address of a DistEntry."
    )


def _complete(context: Context) -> list[str]:
    from ..connections import connections

    return [str(connection.node).strip("'") for connection in connections(context.vm).connections]


COMMAND = Command(
    name="etp-dist",
    summary="List the nodes that this one knows, and the connections to them.",
    description="""
    Each node that this one has ever heard of has an entry, connected or not. What is sent to it waits in a queue
    until the connection's port or process takes it; from a limit on (+zdbbl) the connection is busy, and whoever sends to it
    is suspended.

    With NODE, that one alone, and which processes are tied to it: by links and monitors, or because they are suspended.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "NODE",
            help="name of a node, or address of its DistEntry",
            optional=True,
            complete=_complete,
        ),
        *table_arguments(COLUMNS, "node", 50, "nodes or ties"),
    ),
    examples=(
        ("etp-dist --sort queue", "which connection has most to send"),
        ("etp-dist rabbit@host2", "who waits for that node"),
    ),
)
