# SPDX-License-Identifier: Apache-2.0
"""etp-system-info: the emulator, its limits, and how it was started."""

from __future__ import annotations

from .declaration import JSON, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..system_info import SystemInfo
    from ..views import Block, Report
    from .context import Context


def run(context: Context, args: Namespace) -> Report:
    from dataclasses import asdict

    from ..schedulers import schedulers, unread
    from ..system_info import system_info
    from ..views import Facts, Report

    found = system_info(context.vm)
    facts = asdict(found)
    if context.settings.redact:
        facts["command_line"] = _redacted(found.command_line)
        facts["node"] = found.node.split("@")[0] + "@..." if "@" in found.node else found.node
    entries = _entries(found, facts)
    blocks: list[Block | None] = [Facts([(name, text) for name, text in entries if text])]
    warnings = [*context.vm.ets_tables.gaps, *unread(schedulers(context.vm))]
    return Report(blocks, facts, warnings=warnings)


def _entries(found: SystemInfo, facts: dict[str, Any]) -> list[tuple[str, str]]:
    from ..text import safe
    from ..units import format_bytes, format_duration

    alive = {True: ", distributed", False: ", not distributed", None: ""}[found.is_alive]
    states = [
        text
        for text, holds in (
            ("it halts", found.is_halting),
            ("it writes a crash dump", found.is_writing_crash_dump),
        )
        if holds
    ]
    return [
        ("release", f"OTP {found.otp_release}, ERTS {found.erts_version}"),
        ("emulator", f"{found.emu_flavor}, {found.emu_type}, {found.arch or 'unknown machine'}"),
        ("state", ", ".join(states)),
        ("node", facts["node"] + alive),
        (
            "schedulers",
            _online(found.schedulers, found.schedulers_online)
            + f", dirty CPU {_online(found.dirty_cpu_schedulers, found.dirty_cpu_schedulers_online)}"
            + f", dirty IO {found.dirty_io_schedulers}",
        ),
        ("threads", _threads(found)),
        ("processes", _share(found.processes, found.process_limit)),
        ("ports", _share(found.ports, found.port_limit)),
        ("atoms", _share(found.atoms, found.atom_limit)),
        ("ETS tables", _share(found.ets_tables, found.ets_limit)),
        (
            "memory",
            f"{format_bytes(found.allocated)} allocated, {format_bytes(found.carriers)} of the"
            " operating system",
        ),
        ("uptime", "" if found.uptime_ns is None else format_duration(found.uptime_ns / 1e9)),
        ("command line", safe(" ".join(facts["command_line"]))),
    ]


def _online(count: int, online: int | None) -> str:
    return f"{count}" if online in (None, count) else f"{count} ({online} online)"


def _threads(found: SystemInfo) -> str:
    parts = []
    if found.async_threads is not None:
        parts.append(f"{found.async_threads} async")
    if found.poll_threads is not None:
        parts.append(f"{found.poll_threads} for polling")
    return ", ".join(parts)


def _share(count: int, limit: int | None) -> str:
    from ..units import format_percent

    return f"{count:,}" + (
        f" of at most {limit:,} ({format_percent(count, limit)})" if limit else ""
    )


def _redacted(arguments: list[str]) -> list[str]:
    """Flags only: their values come from whoever started the VM."""
    return [word if word[:1] in ("-", "+") else "..." for word in arguments]


COMMAND = Command(
    name="etp-system-info",
    summary="Show the emulator, its limits, and how it was started.",
    description="""
    What erlang:system_info/1 says: emulator, schedulers, tables of processes, ports, atoms and ETS with how
    full they are, and the command line of the emulator, in which cookies are never shown. Where these answers come
    from, and how good the core is, etp-info says.
    """,
    run=run,
    arguments=(JSON,),
)
