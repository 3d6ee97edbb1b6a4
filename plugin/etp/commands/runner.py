# SPDX-License-Identifier: Apache-2.0
"""Runs one command line: parse, run, render."""

from __future__ import annotations

import gc

from ..errors import Problem
from ..text import safe
from .declaration import Command
from .line import HelpRequested, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .context import Context

OBJECTS_A_COLLECTION = 1_000_000
"""A table of 200,000 rows is a million objects, none of them garbage: Python's collector would look
at all of them again and again, for a third of the time that the table takes."""


def run_command(command: Command, line: str | list[str], context: Context) -> None:
    """Raises Problem, etp.Error and KeyboardInterrupt."""
    try:
        args = parse(command, line)
    except HelpRequested:
        context.screen().write(command.help() + "\n")
        return
    from ..render import render, warn

    as_json = bool(getattr(args, "json", False))
    context.quiet = as_json
    context.vm_was_used = False
    threshold = gc.get_threshold()
    gc.set_threshold(OBJECTS_A_COLLECTION, *threshold[1:])
    try:
        view = command.run(context, args)
        render(view, context.screen(), as_json, context.new_warnings(), context.as_of())
    except Exception:
        # What is wrong with the core may be the reason that something was not found in it.
        if not as_json and (warnings := context.new_warnings()):
            warn(context.screen(), warnings)
        raise
    finally:
        gc.set_threshold(*threshold)


def explain(error: Exception, command: Command) -> str:
    """What the user is told of an error, safe for a terminal: it may name what the core names."""
    return safe(_told(error, command), keep_newlines=True)


def _told(error: Exception, command: Command) -> str:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "rich":
        return _rich_is_missing()
    if is_for_users(error):
        return str(error)
    what = f"({type(error).__name__}: {error})"
    if _binding_is_outdated():
        return (
            f"{command.name} failed {what}. The sources of etp have changed since its part in C was"
            " built: run scripts/build, and try again."
        )
    return (
        f"{command.name} failed by a mistake in etp itself {what}."
        " `set etp debug on` shows where; please report it."
    )


def _binding_is_outdated() -> bool:
    try:
        from .._binding import is_outdated
    except Problem:
        return False
    return is_outdated()


def _rich_is_missing() -> str:
    import sys

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    advice = "Install it for that Python: Debian's package is python3-rich."
    who = sys.executable
    if "gdb" in sys.modules:
        who = "The Python inside of this gdb"
    elif who != "/usr/bin/python3":
        advice = (
            "Use /usr/bin/python3, with Debian's package python3-rich, or install rich for this"
            " Python."
        )
    return f"{who} (Python {version}) has no package rich, which etp prints with. {advice}"


def is_for_users(error: Exception) -> bool:
    if isinstance(error, Problem):
        return True
    from .._binding import _etp

    return isinstance(error, _etp.Error)
