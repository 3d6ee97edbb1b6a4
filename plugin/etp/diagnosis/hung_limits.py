# SPDX-License-Identifier: Apache-2.0
"""Limits that a VM comes near to: of its own tables, of its allocators, and of the system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..text import safe
from ..units import format_bytes
from .finding import Finding, Severity

if TYPE_CHECKING:
    from ..hang import Hang
    from ..limits import Room
    from .thresholds import HungThresholds

FULL = 1 << 40
"""Weight of a limit that is reached."""


def full_tables(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    info = hang.vm.info
    then = {
        "atom": "Atoms are never freed, and a VM that cannot make one more ends.",
        "process": "spawn fails when there are as many.",
        "port": "open_port, and with it every socket and file of a port, fails when there are as many.",
    }
    commands = {
        "atom": ("etp-atoms", "what those that were made last have in common"),
        "process": ("etp-processes --group initial", "of what there are many"),
        "port": ("etp-ports", "which ports there are"),
    }
    for name, count, limit in (
        ("atom", info.atoms, info.atom_limit),
        ("process", info.processes, info.process_limit),
        ("port", info.ports, info.port_limit),
    ):
        if not limit or count < limits.table_share * limit:
            continue
        state = "full" if count >= limit else "nearly full"
        evidence = [then[name]]
        if name == "atom" and not hang.redact:
            evidence.append(f"The last ones: {_last_atoms(hang, count)}.")
        yield Finding(
            f"{name}_table",
            Severity.STRAIN,
            f"The {name} table is {state}: {count:,} of {limit:,} ({100 * count / limit:.1f} %)",
            evidence,
            [commands[name]],
            0,
            [],
            weight=FULL + (FULL if count >= limit else 0),
        )


def _last_atoms(hang: Hang, count: int) -> str:
    """A few of those that were made last: they show the pattern."""
    atoms = hang.vm.atoms
    return ", ".join(safe(atoms[i]) for i in range(max(0, count - 4), count))


def memory(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    for room in hang.rooms.rooms if hang.rooms else []:
        if room.share < limits.memory_share:
            continue
        yield Finding(
            room.name,
            Severity.STRAIN,
            f"{room.what} is {'full' if room.share >= 1 else 'nearly full'}: {_of(room)}",
            [room.then],
            [_command(room)],
            0,
            [],
            weight=FULL,
        )


def _of(room: Room) -> str:
    share = f"({100 * room.share:.1f} %)"
    if room.unit == "bytes":
        return f"{format_bytes(room.used)} of {format_bytes(room.limit)} {share}"
    return f"{room.used:,} of {room.limit:,} {share}"


def _command(room: Room) -> tuple[str, str]:
    if room.unit == "files":
        return "etp-fds", "what is open"
    if room.name == "literals":
        return "etp-bins --sort size", "what persistent terms hold"
    return "etp-memory", "what takes it"
