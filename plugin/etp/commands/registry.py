# SPDX-License-Identifier: Apache-2.0
"""All commands.  A new one is added here, and nowhere else."""

from __future__ import annotations

from . import (
    accumulators,
    atoms,
    bin_leaks,
    bins,
    bt,
    db_connections,
    dictdump,
    dist,
    ets_leaks,
    ets_show,
    ets_tables,
    fds,
    heapdump,
    help,
    histogram,
    hung,
    info,
    inspect,
    layouts,
    links,
    locks,
    memory,
    messages,
    modules,
    msgq,
    names,
    offheapdump,
    ports,
    otp_state,
    persistent_terms,
    process_info,
    processes,
    schedulers,
    snapshot,
    stackdump,
    stacktrace,
    supervision,
    system_info,
    term,
    timers,
    who,
)
from .declaration import Command, Group

GROUPS: tuple[Group, ...] = (
    Group(
        "hang",
        "why the VM does not answer",
        (
            hung.COMMAND,
            bt.COMMAND,
            schedulers.SCHEDULERS,
            schedulers.RUN_QUEUES,
            locks.COMMAND,
            timers.COMMAND,
        ),
    ),
    Group("ets", "tables of ETS", (ets_leaks.COMMAND, ets_tables.COMMAND, ets_show.COMMAND)),
    Group(
        "memory",
        "what takes it, and who holds it",
        (
            memory.COMMAND,
            bins.COMMAND,
            bin_leaks.COMMAND,
            who.COMMAND,
            accumulators.COMMAND,
            histogram.COMMAND,
            persistent_terms.COMMAND,
            atoms.COMMAND,
        ),
    ),
    Group(
        "processes",
        "each of them, and what it has",
        (
            processes.COMMAND,
            process_info.COMMAND,
            messages.COMMAND,
            msgq.COMMAND,
            links.LINKS,
            links.MONITORS,
            dictdump.COMMAND,
            stacktrace.COMMAND,
            stackdump.COMMAND,
            heapdump.COMMAND,
            offheapdump.COMMAND,
        ),
    ),
    Group(
        "otp",
        "what OTP and libraries make of processes",
        (
            otp_state.COMMAND,
            supervision.COMMAND,
            names.COMMAND,
            db_connections.COMMAND,
            inspect.COMMAND,
        ),
    ),
    Group(
        "ports",
        "ports, files and other nodes",
        (ports.PORTS, ports.PORT_INFO, dist.COMMAND, fds.COMMAND),
    ),
    Group(
        "vm",
        "terms, and the VM as a whole",
        (
            term.COMMAND,
            info.COMMAND,
            system_info.COMMAND,
            modules.COMMAND,
            layouts.COMMAND,
            snapshot.COMMAND,
            help.COMMAND,
        ),
    ),
)
"""As etp-help and the README list them."""

COMMANDS: tuple[Command, ...] = tuple(command for group in GROUPS for command in group.commands)

FIRST: tuple[Command, ...] = (
    hung.COMMAND,
    ets_leaks.COMMAND,
    memory.COMMAND,
    processes.COMMAND,
    db_connections.COMMAND,
    info.COMMAND,
)
"""What one begins with."""


def did_you_mean(name: str) -> str:
    """`` Did you mean ets-leaks?``, or "": for a name that is no command's."""
    from ..text import similar

    bare = name[4:] if name.startswith("etp-") else name
    return similar(bare, (command.name.removeprefix("etp-") for command in COMMANDS))


def find(name: str) -> Command | None:
    """A command by its name; the prefix ``etp-`` may be left out."""
    for command in COMMANDS:
        if command.name in (name, "etp-" + name):
            return command
    return None
