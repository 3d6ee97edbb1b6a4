# SPDX-License-Identifier: Apache-2.0
"""A process of another machine, which gdb reads through a gdbserver there: copied into a snapshot here.

Its number means nothing on this machine: whatever is asked of it goes through gdb.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
import tempfile

import gdb

from ..errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _etp import Progress

#: struct user_regs_struct of each machine, in gdb's words.
REGISTERS = {
    "x86_64": (
        "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx",
        "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds",
        "es", "fs", "gs",
    ),
    "aarch64": (*(f"x{i}" for i in range(31)), "sp", "pc", "cpsr"),
}  # fmt: skip

MACHINES = {"i386:x86-64": "x86_64", "aarch64": "aarch64"}


def remote_pid() -> int:
    """The process that gdb has attached to through a gdbserver, 0 if there is none."""
    inferior = gdb.selected_inferior()
    connection = getattr(inferior, "connection", None)
    if connection is None or connection.type not in ("remote", "extended-remote"):
        return 0
    if any(thread.is_running() for thread in inferior.threads()):
        raise Problem(
            f"Process {inferior.pid} runs. etp reads it while it stands still: `interrupt` stops it."
        )
    return inferior.pid


def write_snapshot(path: str, force: bool, progress: Progress) -> dict[str, Any]:
    """Of the process that gdb has stopped; facts as of _etp.snapshot().  Raises Problem."""
    from .._binding import _etp

    inferior = gdb.selected_inferior()
    architecture = inferior.architecture().name()
    machine = MACHINES.get(architecture)
    if machine is None:
        raise Problem(f"The other machine is one of {architecture}; etp reads x86_64 and aarch64.")
    with tempfile.TemporaryDirectory(prefix="etp-") as directory:
        maps, command, auxv = (
            _file_of_process(inferior.pid, name, directory) for name in ("maps", "cmdline", "auxv")
        )
    return _etp.snapshot_remote(
        path=path,
        force=force,
        pid=inferior.pid,
        machine=machine,
        maps=maps,
        # As much as the kernel puts into a core.
        command=command.rstrip(b"\0").replace(b"\0", b" ")[:79],
        auxv=auxv,
        threads=_threads(machine),
        read=_read,
        progress=progress,
        executable=_executable(),
    )


def fetch_executable(path: str, directory: str) -> str:
    """A copy, below ``directory``, of the file that gdb calls target:PATH."""
    # Apart from what else is there: the name is the other machine's.
    to = os.path.join(directory, "executable", os.path.basename(path))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    return _get(path[len("target:") :], to)


def _file_of_process(pid: int, name: str, directory: str) -> bytes:
    try:
        with open(_get(f"/proc/{pid}/{name}", os.path.join(directory, name)), "rb") as file:
            return file.read()
    except gdb.error as error:
        raise Problem(
            f"gdb cannot read /proc/{pid}/{name} of the other machine ({str(error).rstrip('.')}), so"
            " that nobody tells where its memory is. Take a snapshot there, and open that: etp PID"
            " etp-snapshot FILE."
        ) from None


def _get(path: str, to: str) -> str:
    # The name is the other machine's. gdb takes each line for a command, and a backslash for one that
    # quotes, also between single quotes: a name could say where the file is written to.
    if not path.isprintable() or "\\" in path or "'" in path:
        raise Problem(
            f"The file {path!a} of the other machine is not fetched, because of the characters in its"
            " name."
        )
    gdb.execute(f"remote get {shlex.quote(path)} {shlex.quote(to)}", to_string=True)
    return to


def _executable() -> bytes:
    said = gdb.execute("info proc exe", to_string=True)
    found = re.search(r"^exe = '(.*)'$", said, re.MULTILINE)
    return found[1].encode("utf-8", "surrogateescape") if found else b""


def _read(address: int, size: int) -> bytes:
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        return b""


def _threads(machine: str) -> list[tuple[int, bytes]]:
    selected, found = gdb.selected_thread(), []
    frame = gdb.selected_frame() if selected else None
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num):
        thread.switch()
        newest = gdb.newest_frame()
        words = [_register(newest, name) for name in REGISTERS[machine]]
        found.append((thread.ptid[1], struct.pack(f"<{len(words)}Q", *words)))
    if selected and frame:
        selected.switch()
        frame.select()
    return found


def _register(frame: gdb.Frame, name: str) -> int:
    try:
        return int(frame.read_register(name)) & (1 << 64) - 1
    except (ValueError, gdb.error):
        # Not every stub has orig_rax.
        return 0
