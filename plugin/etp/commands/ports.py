# SPDX-License-Identifier: Apache-2.0
"""etp-ports and etp-port-info: what erlang:port_info/1,2 says of ports."""

from __future__ import annotations

from .declaration import JSON, Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..views import Report, Table
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("port", "as the VM prints it"),
    Column("name", "what it was opened with: a driver, or a command line", flexible=12),
    Column("registered", "registered name", key="registered_name", rank=2),
    Column("connected", "owner: who gets its data", flexible=12),
    Column("state", "busy: whoever sends to it is suspended; queue full, closing, distribution"),
    Column("queue", "bytes that wait in its driver's queue", kind="bytes", key="queue_size"),
    Column("input", "bytes read from it", kind="bytes", rank=3),
    Column("output", "bytes written to it", kind="bytes", rank=3),
    Column("os_pid", "pid of its program", rank=1),
    Column("driver", "name of its driver", rank=4),
    Column("address", "address of the Port", kind="address", hidden=True),
)


def run(context: Context, args: Namespace) -> Table:
    from ..text import plural
    from ..units import format_bytes
    from ..views import Table

    ports, unreadable = context.vm.native.ports()
    rows = [_row(context, port) for port in ports]
    view = Table(COLUMNS, rows, noun="ports", warnings=_warnings(rows, unreadable))
    busy = [row for row in rows if row["is_busy"] or row["is_queue_full"]]
    queued = sum(row["queue_size"] for row in rows)
    note = f"{plural(len(rows), 'port')}, {format_bytes(queued)} in their queues"
    if busy:
        suspended = sum(row["has_suspended"] for row in busy)
        note += f"; {len(busy):,} busy, on {suspended:,} of which processes are suspended"
    view.notes.append(note + ".")
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def port_info(context: Context, args: Namespace) -> Report:
    from ..units import format_bytes
    from ..views import Facts, Report

    vm = context.vm
    port = _find(vm, args.PORT)
    row = _row(context, port)
    linked, gaps = vm.native.port_links(port["port"])
    links = [_label(vm, term) for term in linked]
    entries = [
        ("port", row["port"]),
        ("registered_name", row["registered_name"]),
        ("name", row["name"]),
        ("driver", row["driver"]),
        ("connected", row["connected"]),
        ("links", ", ".join(links)),
        ("state", row["state"] or "open"),
        ("queue_size", format_bytes(row["queue_size"])),
        ("input", format_bytes(row["input"])),
        ("output", format_bytes(row["output"])),
        ("os_pid", str(row["os_pid"] or "")),
        ("address", row["address"]),
    ]
    if row["has_suspended"]:
        entries.insert(7, ("suspended", "a process waits until it is not busy any more"))
    warnings = _warnings([row], 0)
    if gaps:
        warnings.append("Some of its links could not be read.")
    facts = {**row, "links": [str(term) for term in linked]}
    shown = [(label, value) for label, value in entries if value]
    return Report([Facts(shown)], facts, warnings)


def _row(context: Context, port: dict[str, Any]) -> dict[str, Any]:
    vm = context.vm
    name = port["name"]
    if context.settings.redact and name:
        # A command line may have a password in it.
        name = name.split(" ")[0].rsplit("/", 1)[-1] + (" ..." if " " in name else "")
    states = ("busy", "queue_full", "closing", "distribution")
    registered = port["registered_name"]
    return {
        **port,
        "port": str(port["port"]),
        "name": name,
        "registered_name": None if registered is None else str(registered),
        "connected_pid": None if port["connected"] is None else str(port["connected"]),
        "connected": _label(vm, port["connected"]),
        "state": ", ".join(state.replace("_", " ") for state in states if port["is_" + state])
        or None,
        "os_pid": port["os_pid"] or None,
        "address": f"{port['address']:#x}",
    }


def _label(vm: VM, term: Any) -> str:
    if term is None:
        return ""
    process = vm.process(term) if term.kind == "pid" else None
    return f"{term} {process.label}".strip() if process else str(term)


def _warnings(rows: list[dict[str, Any]], unreadable: int) -> list[str]:
    from ..text import plural

    found = []
    incomplete = sum(row["is_incomplete"] for row in rows)
    if incomplete:
        found.append(f"Of {plural(incomplete, 'port')} something could not be read.")
    if unreadable:
        found.append(f"{plural(unreadable, 'port')} could not be read at all.")
    return found


def _find(vm: VM, which: str) -> dict[str, Any]:
    from ..errors import Problem
    from ..text import safe

    ports, _unreadable = vm.native.ports()
    for port in ports:
        name = port["registered_name"]
        names = {str(port["port"]), f"{port['address']:#x}", None if name is None else str(name)}
        if which.strip().lower() in names or which.strip() in names:
            return port
    raise Problem(
        f"No open port is {safe(which)}: {len(ports):,} were looked at. Give a port such as"
        " #Port<0.1>, a registered name, or the address of a Port."
    )


def _complete(context: Context) -> list[str]:
    ports, _unreadable = context.vm.native.ports()
    return [str(port["registered_name"]) for port in ports if port["registered_name"] is not None]


PORTS = Command(
    name="etp-ports",
    summary="List the ports with what erlang:port_info/1 says of each.",
    description="""
    A port is busy when its driver has so much to write that whoever sends to it is suspended until it
    has written it: a program that does not read, or a connection whose other side does not.
    """,
    run=run,
    columns=COLUMNS,
    arguments=table_arguments(COLUMNS, "queue", 30, "ports"),
    examples=(("etp-ports --sort output", "which of them wrote most"),),
)

PORT_INFO = Command(
    name="etp-port-info",
    summary="Show what erlang:port_info/1 says of a port.",
    description="As erlang:port_info(Port), with who its owner and its links are.",
    run=port_info,
    arguments=(
        Argument(
            "PORT",
            help="port (#Port<0.1>), registered name, or address of the Port",
            complete=_complete,
        ),
        JSON,
    ),
)
