# SPDX-License-Identifier: Apache-2.0
"""What a command may use: the VM, the settings, and what the front end offers."""

from __future__ import annotations

from ..errors import Problem
from ..settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from _etp import Progress

    from ..backtrace import Registers
    from ..census import Census
    from ..render import Screen
    from ..vm import VM, Info, LayoutTrial


class Context:
    """Front ends (gdb, the command line) subclass this."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.settings.elixir_minor = self._elixir_minor
        #: Progress is shown only when a person waits for text.
        self.quiet = True
        self._vm: VM | None = None
        self._warned: VM | None = None
        #: Did the command that runs ask for the VM?
        self.vm_was_used = False

    @property
    def vm(self) -> VM:
        """The VM at hand, opened on first use.  Raises Problem or etp.Error."""
        self.vm_was_used = True
        if self.is_stale():
            self.drop_vm()
        if self._vm is None:
            self._vm = self.open_vm()
        self._vm.native.max_things = self.settings.max_things
        return self._vm

    def is_stale(self) -> bool:
        """Is the VM at hand another one than the front end has now?"""
        return False

    def open_vm(self) -> VM:
        from ..vm import VM

        return VM.open(**self.target())

    def target(self) -> dict[str, Any]:
        """Arguments for VM.open() and LayoutTrial.all_of()."""
        raise NotImplementedError

    def layouts(self) -> tuple[list[LayoutTrial], str | None]:
        """All layout files, tried on the core or process when no VM can be opened."""
        from ..vm import LayoutTrial

        return LayoutTrial.all_of(**self.target())

    def _elixir_minor(self) -> int:
        from ..elixir import minor

        return minor(self.vm.elixir_version)

    def drop_vm(self) -> None:
        """Forget the VM; the next use opens it again."""
        self._vm = None

    def new_warnings(self) -> tuple[str, ...]:
        """What must be known about the core before any answer; told once for each VM."""
        if self._vm is None or self._warned is self._vm:
            return ()
        self._warned = self._vm
        return self._vm.info.warnings

    def as_of(self) -> dict[str, object] | None:
        """Of a process: which, and of when the bytes are that the last answer was made from."""
        if self._vm is None or not self.vm_was_used or not self.is_of_process(self._vm.info):
            return None
        import time

        info = self._vm.info
        return {
            "pid": info.pid,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(info.taken_at_ns // 10**9)),
            "age_seconds": round(time.time() - info.taken_at_ns / 1e9, 3),
            "pause_seconds": info.pause_ns / 1e9 if info.pause_ns else None,
        }

    def is_of_process(self, info: Info) -> bool:
        """Is the VM at hand a process, and no core?"""
        return info.is_process

    def process(self) -> tuple[int, bool]:
        """(pid, whether it stands still for us) of the process at hand.  Raises Problem."""
        raise Problem("A snapshot is taken of a process; here is none.")

    def snapshot(self, path: str, force: bool, progress: Progress) -> dict[str, Any]:
        """Write that process to a file; facts as of _etp.snapshot()."""
        from .._binding import _etp

        pid, stands_still = self.process()
        return _etp.snapshot(
            pid=pid, path=path, copy=not stands_still, force=force, progress=progress
        )

    def thread_registers(self) -> Registers | None:
        """Registers of the threads of a process that the debugger has stopped; None otherwise:
        then the binding knows them."""
        return None

    def evaluate(self, expression: str) -> int | None:
        """Value of an expression of the debugger; None when there is no debugger to ask."""
        return None

    def screen(self) -> Screen:
        """Where text goes, and what fits there."""
        from ..render import Screen

        return Screen.terminal()

    def census(self, what: str, tables_only: bool = False) -> Census:
        """The census, or what it says of tables, taken on first use; the bar says ``what`` it is
        for."""
        with self.progress(what) as progress:
            return self.vm.census(progress, tables_only)

    def progress(self, what: str) -> AbstractContextManager[Progress]:
        """To be handed to long work; shows a bar on a terminal, and lets Ctrl-C stop the work."""
        from ..progress import progress

        return progress(what, visible=not self.quiet)
