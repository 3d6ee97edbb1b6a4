# SPDX-License-Identifier: Apache-2.0
"""Commands without a debugger: on a core, or on a process that runs on.

How long a process stands still follows from how much of its memory is copied.  So a command on a
process is run twice.  The first time, the rehearsal, memory is read while the VM runs: the answer is
thrown away, but shows what memory it needs.  The copy, from which the second run answers, is made
without the rest.  If the VM has changed so much meanwhile that the answer needs more than the copy
has, all is copied, and the command run once more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..commands.context import Context
from ..commands.runner import run_command
from ..errors import Problem

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from _etp import Progress

    from ..commands.declaration import Command
    from ..render import Screen
    from ..settings import Settings


class CommandLine(Context):
    """``given`` is a core file, or the number of a process, a copy of which is made ``without`` what
    a rehearsal did not use."""

    def __init__(
        self, given: str, executable: str | None, settings: Settings, without: bytes = b""
    ) -> None:
        super().__init__(settings)
        self._given = given
        self._executable = executable
        self._without = without
        #: For how long the process stood still for copies that were not sufficient.
        self.earlier_pauses = 0.0
        self._text: list[str] | None = None

    def target(self) -> dict[str, Any]:
        pid = process_of(self._given)
        return dict(
            core=None if pid else self._given,
            executable=self._executable,
            sysroot=self.settings.sysroot,
            search_path=self.settings.search_path,
            max_libraries=self.settings.max_libraries,
            layout=self.settings.layout,
            pid=pid,
            without=self._without,
        )

    def process(self) -> tuple[int, bool]:
        pid = process_of(self._given)
        return (pid, False) if pid else super().process()

    def as_of(self) -> dict[str, object] | None:
        said = super().as_of()
        if said and isinstance(pause := said["pause_seconds"], float):
            said["pause_seconds"] = pause + self.earlier_pauses
        return said

    def screen(self) -> Screen:
        from ..render import Screen

        return Screen.terminal() if self._text is None else Screen.terminal(self._text.append)

    @contextmanager
    def held_back(self) -> Iterator[list[str]]:
        """What is written meanwhile, none of which gets to the screen."""
        self._text = []
        try:
            yield self._text
        finally:
            self._text = None

    def has_missed(self) -> bool:
        """Did answers need what the copy was made without?"""
        return self._vm is not None and self._vm.native.has_missed()

    def pause(self) -> float:
        """Seconds for which the process stood still."""
        return self._vm.info.pause_ns / 1e9 if self._vm else 0.0


class Rehearsal(CommandLine):
    """Of a process that runs."""

    def target(self) -> dict[str, Any]:
        return {**super().target(), "rehearsal": True}

    def snapshot(self, path: str, force: bool, progress: Progress) -> dict[str, Any]:
        raise Problem("A rehearsal writes nothing.")

    def progress(self, what: str) -> AbstractContextManager[Progress]:
        return super().progress("Finding out what memory is needed")

    def unused(self) -> bytes:
        """What was not looked at; nothing if that is not known."""
        if self._vm is None or self._vm.native.has_missed():
            return b""
        return self._vm.native.unused_memory()


def process_of(given: str) -> int:
    """The process that is meant; 0 if a file is."""
    return int(given) if given.isdecimal() and not os.path.exists(given) else 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends all of it: work that it only interrupts would go on to the next thing."""
    interrupted = False
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    if callable(before):
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if callable(before):
            signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt


def _rehearse(context: Rehearsal, command: Command, words: list[str]) -> bytes:
    """What a copy may be made without."""
    with _interruptible(), context.held_back():
        try:
            run_command(command, words, context)
        except Exception:  # noqa: BLE001 - of memory that changes anything may be said
            # What is wrong in truth, the command will say of the copy.
            return b""
        return context.unused()


def run(
    command: Command, words: list[str], given: str, executable: str | None, settings: Settings
) -> None:
    """Run a command, twice or more on a process.  Raises as run_command() does."""
    if not process_of(given):
        run_command(command, words, CommandLine(given, executable, settings))
        return
    without = _rehearse(Rehearsal(given, executable, settings), command, words)
    context = CommandLine(given, executable, settings, without)
    failure: Exception | None = None
    with context.held_back() as text:
        try:
            run_command(command, words, context)
        except Exception as error:
            failure = error
    if context.has_missed():
        again = CommandLine(given, executable, settings)
        again.earlier_pauses = context.pause()
        # There may be no room for both copies.
        failure = None
        context.drop_vm()
        run_command(command, words, again)
        return
    context.screen().write("".join(text))
    if failure:
        raise failure
