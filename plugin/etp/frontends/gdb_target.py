# SPDX-License-Identifier: Apache-2.0
"""Which core or process gdb has."""

from __future__ import annotations

import re

import gdb

from ..errors import Problem


def core_path() -> str | None:
    """Path of the core file that gdb has open, which its Python API does not tell."""
    # "Local core dump file:" and the path in quotes, both in the user's language.  The core comes
    # before the executable.
    executable = gdb.current_progspace().filename
    for match in re.finditer(
        r"^\s*[`'‘](.+)['’], .*elf", gdb.execute("info files", to_string=True), re.MULTILINE
    ):
        if match.group(1) != executable:
            return match.group(1)
    return None


def stopped_pid() -> int:
    """The process that gdb has attached to, 0 if it has none."""
    inferior = gdb.selected_inferior()
    connection = getattr(inferior, "connection", None)
    if connection is None or connection.type == "core" or not inferior.pid:
        return 0
    if connection.type != "native":
        raise Problem(
            f"gdb's target {connection.type} is none that etp knows to read process {inferior.pid}"
            " through. Take a snapshot of it where it is, with: etp PID etp-snapshot FILE."
        )
    if any(thread.is_running() for thread in inferior.threads()):
        raise Problem(
            f"Process {inferior.pid} runs. etp reads it while it stands still: `interrupt` stops it."
        )
    return inferior.pid


def thread_registers() -> dict[int, list[int]]:
    """Registers of a process that gdb has stopped (etp.backtrace.REGISTERS), by thread."""
    from ..backtrace import REGISTERS, THREAD_REGISTER

    selected, found = gdb.selected_thread(), {}
    frame = gdb.selected_frame() if selected else None
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        newest = gdb.newest_frame()
        found[thread.ptid[1]] = [
            int(newest.read_register(name)) & (1 << 64) - 1
            for name in (*REGISTERS, THREAD_REGISTER)
        ]
    if selected and frame:
        selected.switch()
        frame.select()
    return found


def core_or_problem() -> str:
    path = core_path()
    if path is None:
        raise Problem(
            "gdb has no core file open, and is attached to no process. Start it as: gdb"
            " /path/to/beam.smp CORE, or gdb -p PID, or give the command: core-file CORE."
        )
    return path
