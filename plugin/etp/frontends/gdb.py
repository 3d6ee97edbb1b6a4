# SPDX-License-Identifier: Apache-2.0
"""etp inside gdb.

Registers the commands and settings; everything that costs time is imported when a command runs,
because gdb loads this at every start, whatever it then debugs.
"""

from __future__ import annotations

import os
import re
import sys

import gdb

from ..commands.context import Context
from ..commands.registry import COMMANDS
from ..errors import Problem
from .gdb_command import GdbCommand
from .gdb_remote import fetch_executable, remote_pid, write_snapshot
from .gdb_settings import register_settings
from .gdb_target import core_or_problem, core_path, stopped_pid, thread_registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tempfile import TemporaryDirectory
    from typing import Any

    from _etp import Progress

    from ..backtrace import Registers
    from ..render import Screen
    from ..vm import Info


class GdbContext(Context):
    """The VM of gdb's current core or process."""

    def __init__(self) -> None:
        super().__init__()
        # What a process had in its memory is so no more once it ran, or gdb wrote to it.
        for event in ("cont", "exited", "inferior_call", "memory_changed"):
            getattr(gdb.events, event).connect(lambda _event: self.drop_vm())
        #: What the open VM depends on: inferior, connection, executable, settings.
        self._key: tuple[object, ...] | None = None
        #: With the snapshot of a process of another machine, for as long as that stands still.
        self._copies: TemporaryDirectory[str] | None = None

    def is_stale(self) -> bool:
        key = self._current_key()
        changed = key != self._key
        self._key = key
        return changed

    def _current_key(self) -> tuple[object, ...]:
        # A core that is opened gets a new connection number, so this changes with it.
        inferior = gdb.selected_inferior()
        connection = getattr(inferior, "connection", None)
        return (
            inferior.num,
            inferior.pid,
            connection.num if connection else core_path(),
            gdb.current_progspace().filename,
            self._sysroot(),
            self._search_path(),
            self.settings.max_libraries,
            self.settings.layout,
        )

    def target(self) -> dict[str, Any]:
        remote = remote_pid()
        pid = 0 if remote else stopped_pid()
        executable = gdb.current_progspace().filename
        core = self._copy_of_remote() if remote else None if pid else core_or_problem()
        if executable and executable.startswith("target:"):
            executable = fetch_executable(executable, os.path.dirname(core)) if core else None
        return dict(
            core=core,
            executable=executable,
            sysroot=self._sysroot(),
            search_path=self._search_path(),
            max_libraries=self.settings.max_libraries,
            layout=self.settings.layout,
            pid=pid,
            copy=False,
        )

    def _copy_of_remote(self) -> str:
        import tempfile

        self._drop_copies()
        self._copies = tempfile.TemporaryDirectory(prefix="etp-")
        path = os.path.join(self._copies.name, "snapshot")
        with self.progress("Reading the VM through gdb") as progress:
            write_snapshot(path, False, progress)
        return path

    def _drop_copies(self) -> None:
        if self._copies is not None:
            self._copies.cleanup()
            self._copies = None

    def drop_vm(self) -> None:
        super().drop_vm()
        self._drop_copies()

    def is_of_process(self, info: Info) -> bool:
        return info.is_process or self._copies is not None

    def process(self) -> tuple[int, bool]:
        pid = remote_pid() or stopped_pid()
        return (pid, True) if pid else super().process()

    def snapshot(self, path: str, force: bool, progress: Progress) -> dict[str, Any]:
        if remote_pid():
            return write_snapshot(path, force, progress)
        return super().snapshot(path, force, progress)

    def thread_registers(self) -> Registers | None:
        return thread_registers() if not remote_pid() and stopped_pid() else None

    def _sysroot(self) -> str | None:
        if self.settings.sysroot:
            return self.settings.sysroot
        path = str(gdb.parameter("sysroot") or "")
        # "target:" is where gdb looks by default, which for a core is this machine.
        path = path[len("target:") :] if path.startswith("target:") else path
        return path if path not in ("", "/") else None

    def _search_path(self) -> str | None:
        return self.settings.search_path or str(gdb.parameter("solib-search-path") or "") or None

    def evaluate(self, expression: str) -> int | None:
        try:
            return int(gdb.parse_and_eval(expression))
        except gdb.error as error:
            if re.search(r"\s[|>]", expression):
                from ..commands.line import no_shell

                raise Problem(no_shell("etp TERM")) from None
            said = str(error).rstrip(".")
            raise Problem(
                f"gdb could not evaluate {expression!r}: {said}. A term is given as a raw word"
                " (0x...), an address, a pid (<0.1.0>), the name of a process, or an expression of"
                " gdb with such a value."
            ) from None

    def screen(self) -> Screen:
        from ..render import Screen, may_color

        tty = sys.__stdout__ is not None and sys.__stdout__.isatty()
        width = gdb.parameter("width")
        if width is None and tty and not gdb.parameter("confirm"):
            # gdb -batch has no width of its own, but the terminal has.
            import shutil

            width = shutil.get_terminal_size().columns
        color = tty and bool(gdb.parameter("style enabled")) and may_color()
        unicode = _host_charset().lower().replace("-", "") == "utf8"
        return Screen(gdb.write, width=width, color=color, unicode=unicode)


def _host_charset() -> str:
    import locale

    if hasattr(gdb, "host_charset"):
        return gdb.host_charset()
    return locale.getpreferredencoding(False)


def register() -> GdbContext:
    """Define all commands and settings in this gdb."""
    context = GdbContext()
    register_settings(context.settings)
    for command in COMMANDS:
        GdbCommand(command, context)
    return context
