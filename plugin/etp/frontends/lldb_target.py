# SPDX-License-Identifier: Apache-2.0
"""The process that lldb has stopped, and the registers of its threads."""

from __future__ import annotations

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
