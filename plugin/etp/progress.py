# SPDX-License-Identifier: Apache-2.0
"""A progress bar for long work, on standard error and only when that is a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _etp import Progress

SHOW_AFTER = 0.4
"""Seconds: shorter work shows nothing."""


def _terminal() -> IO[str] | None:
    """The real standard error; in a debugger sys.stderr is the debugger's."""
    try:
        if os.environ.get("TERM") == "dumb" or not os.isatty(2):
            return None
        return open(os.dup(2), "w", encoding="utf-8", errors="replace")
    except OSError:
        return None


@contextmanager
def progress(what: str, visible: bool = True) -> Iterator[Progress]:
    """Gives a callback for the binding.  Ctrl-C makes it ask the work to stop; the work then
    returns what it has so far."""
    started = time.monotonic()
    bar: Any = None
    task: Any = None
    stream = _terminal() if visible else None

    def show(done: int, total: int, phase: str) -> None:
        nonlocal bar, task
        if bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%", markup=False),
                TimeElapsedColumn(),
                TextColumn("Ctrl-C stops", markup=False),
                console=Console(file=stream, force_terminal=True),
                transient=True,
                auto_refresh=False,
            )
            bar.start()
            task = bar.add_task(what, total=total or None)
        bar.update(task, completed=done, total=total or None)
        bar.refresh()

    last = 0.0

    def step(done: int, total: int, phase: str) -> bool | None:
        nonlocal last
        try:
            now = time.monotonic()
            if stream is not None and now - started > SHOW_AFTER and now - last > 0.1:
                last = now
                show(done, total, phase)
        except KeyboardInterrupt:
            return True
        return None

    try:
        yield step
    finally:
        if bar is not None:
            bar.stop()
        if stream is not None:
            stream.close()
        sys.stderr.flush()
