# SPDX-License-Identifier: Apache-2.0
"""etp-help: the commands, a line each."""

from __future__ import annotations

from .declaration import Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..views import Report
    from .context import Context


def run(_context: Context, args: Namespace) -> Report:
    from ..errors import UsageError
    from ..settings import SETTINGS
    from ..views import Facts, Lines, Paragraph, Report
    from .registry import COMMANDS, did_you_mean, find

    if args.COMMAND:
        command = find(args.COMMAND)
        if command is None:
            hint = did_you_mean(args.COMMAND)
            raise UsageError(f"No command {args.COMMAND!r}; etp-help lists the commands.{hint}")
        return Report([Lines(command.help().split("\n"))], {"help": command.help()})
    commands = [(command.name, command.summary) for command in COMMANDS]
    settings = [(f"set etp {setting.name}", setting.summary) for setting in SETTINGS]
    return Report(
        [
            Paragraph("Commands (each has --help):", "strong"),
            Facts(commands, indent=2),
            Paragraph("Settings:", "strong"),
            Facts(settings, indent=2),
        ],
        {"commands": dict(commands), "settings": dict(settings)},
    )


def complete_commands(_context: Context) -> list[str]:
    from .registry import COMMANDS

    return [command.name for command in COMMANDS]


COMMAND = Command(
    name="etp-help",
    summary="List the commands and settings of etp.",
    description="",
    run=run,
    arguments=(
        Argument(
            "COMMAND", help="show the help of this one", optional=True, complete=complete_commands
        ),
    ),
)
