# SPDX-License-Identifier: Apache-2.0
"""The process that lldb has stopped, the registers of its threads, and where lldb looks for files."""

from __future__ import annotations

import re

import lldb

from ..errors import Problem
from .linux import is_traced_by_us


def stopped_pid(process: lldb.SBProcess) -> int:
    """The process that lldb has attached to, 0 if it has none."""
    if not process.IsValid() or process.GetPluginName() == "elf-core":
        return 0
    pid = int(process.GetProcessID())
    if not is_traced_by_us(pid):
        raise Problem(
            f"This process (pid {pid}) is none that this lldb has attached to on this machine."
            " etp reads memory where it is: run lldb there, or take a snapshot there with: etp"
            " PID etp-snapshot FILE."
        )
    if process.GetState() != lldb.eStateStopped:
        raise Problem(
            f"Process {pid} runs. etp reads it while it stands still: `process interrupt`"
            " stops it."
        )
    return pid


def thread_registers(process: lldb.SBProcess) -> dict[int, list[int]]:
    """By thread, in the order of etp.backtrace.REGISTERS."""
    from ..backtrace import REGISTERS, THREAD_REGISTER

    found = {}
    for index in range(process.GetNumThreads()):
        thread = process.GetThreadAtIndex(index)
        frame = thread.GetFrameAtIndex(0)
        found[int(thread.GetThreadID())] = [
            int(frame.FindRegister(name).GetValueAsUnsigned())
            for name in (*REGISTERS, THREAD_REGISTER)
        ]
    return found


def platform_sysroot(debugger: lldb.SBDebugger) -> str | None:
    """Of ``platform select --sysroot``, which lldb's Python API does not tell."""
    result = lldb.SBCommandReturnObject()
    debugger.GetCommandInterpreter().HandleCommand("platform status", result)
    found = re.search(r"^\s*Sysroot: (.+)$", result.GetOutput() or "", re.MULTILINE)
    return found[1] if found and found[1] != "/" else None


def exec_search_paths(debugger: lldb.SBDebugger) -> str | None:
    """Of the setting ``target.exec-search-paths``, separated by colons."""
    values = lldb.SBDebugger.GetInternalVariableValue(
        "target.exec-search-paths", debugger.GetInstanceName()
    )
    # One string: "  [0]: /a  [1]: /b".
    paths = re.split(r"\s*\[\d+\]: ", "".join(values))
    return ":".join(path for path in paths if path) or None
