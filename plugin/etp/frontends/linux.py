# SPDX-License-Identifier: Apache-2.0
"""What Linux tells of the debugger that we run in, where the debugger does not."""

from __future__ import annotations

import os


def mapped_cores() -> list[str]:
    """Core files that this process has mapped."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:
        paths = {line.rstrip("\n").split(None, 5)[5] for line in lines if "/" in line}
    return [path for path in sorted(paths) if _is_core(path)]


def _is_core(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(18)
    except OSError:
        return False
    # e_type is ET_CORE.
    return head[:4] == b"\x7fELF" and head[16:18] == b"\x04\0"


def is_traced_by_us(pid: int) -> bool:
    """Is it this debugger, or the server that it started, that has attached to ``pid``?"""
    tracer = _status(pid, "TracerPid")
    return tracer != 0 and os.getpid() in (tracer, _status(tracer, "PPid"))


def _status(pid: int, name: str) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))
    except (OSError, StopIteration):
        return 0
