# SPDX-License-Identifier: Apache-2.0
"""Runs one command line: parse, run, render."""

from __future__ import annotations

from .declaration import Command
from .line import HelpRequested, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .context import Context


def run_command(command: Command, line: str | list[str], context: Context) -> None:
    """Raises Problem, etp.Error and KeyboardInterrupt."""
    try:
        args = parse(command, line)
    except HelpRequested:
        from ..render import Screen  # noqa: F401 - the screen needs rich either way

        context.screen().write(command.help() + "\n")
        return
    from ..render import render

    as_json = bool(getattr(args, "json", False))
    context.quiet = as_json
    view = command.run(context, args)
    render(view, context.screen(), as_json, context.new_warnings())
