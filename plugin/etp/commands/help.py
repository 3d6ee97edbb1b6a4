# SPDX-License-Identifier: Apache-2.0
"""etp-help: what to type first, then the commands by group."""

from __future__ import annotations

from .declaration import JSON, Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..views import Block, Report
    from .context import Context
    from .declaration import Group


def run(_context: Context, args: Namespace) -> Report:
    from ..errors import UsageError
    from ..views import Lines, Paragraph, Report
    from .registry import COMMANDS, FIRST, GROUPS, did_you_mean, find

    if not args.WHAT:
        return Report(_first_screen(), {"commands": _summaries(FIRST)})
    if args.WHAT == "all":
        blocks = [block for group in GROUPS for block in _group(group)]
        facts = {"commands": _summaries(COMMANDS), "settings": _settings_summaries()}
        return Report([*blocks, *_settings()], facts)
    if args.WHAT == "settings":
        return Report(_settings(), {"settings": _settings_summaries()})
    for group in GROUPS:
        if args.WHAT == group.name:
            more = Paragraph("etp-help COMMAND, or COMMAND --help, says all of one.", "dim")
            return Report([*_group(group), more], {"commands": _summaries(group.commands)})
    command = find(args.WHAT)
    if command is None:
        hint = did_you_mean(args.WHAT)
        raise UsageError(f"No command {args.WHAT!r}; `etp-help all` lists the commands.{hint}")
    return Report([Lines(command.help().split("\n"))], {"help": command.help()})


def _first_screen() -> list[Block | None]:
    """Fits 24 lines of 80 columns."""
    from ..views import Facts, Paragraph
    from .registry import FIRST, GROUPS

    return [
        Paragraph("To begin with:", "strong"),
        Facts([(command.name, command.summary) for command in FIRST], indent=2),
        Paragraph("All commands, by group; etp-help GROUP says what they do:", "strong"),
        Facts([(group.name, _names(group)) for group in GROUPS], indent=2),
        Paragraph("etp-help all: every command. etp-help settings: what can be set.", "dim"),
        Paragraph("Each command has --help, and --json for machines.", "dim"),
    ]


def _names(group: Group) -> str:
    # `etp` itself has nothing that could be left out.
    return ", ".join(command.name.removeprefix("etp-") for command in group.commands)


def _group(group: Group) -> list[Block | None]:
    from ..views import Facts, Paragraph

    return [
        Paragraph(f"{group.name}: {group.title}", "strong"),
        Facts([(command.name, command.summary) for command in group.commands], indent=2),
    ]


def _settings() -> list[Block | None]:
    from ..views import Facts, Paragraph

    return [
        Paragraph(
            "settings: by `set etp` of gdb, etp-set of lldb, --set on the command line", "strong"
        ),
        Facts(list(_settings_summaries().items()), indent=2),
    ]


def _settings_summaries() -> dict[str, str]:
    from ..settings import SETTINGS

    return {setting.name: setting.summary for setting in SETTINGS}


def _summaries(commands: tuple[Command, ...]) -> dict[str, str]:
    return {command.name: command.summary for command in commands}


def complete_what(_context: Context) -> list[str]:
    from .registry import COMMANDS, GROUPS

    groups = [group.name for group in GROUPS]
    return ["all", *groups, "settings", *(command.name for command in COMMANDS)]


COMMAND = Command(
    name="etp-help",
    summary="Say what to begin with, which commands there are, and all settings.",
    description="",
    run=run,
    arguments=(
        Argument(
            "WHAT",
            help="a command, whose help is shown; a group of commands; all; or settings",
            optional=True,
            complete=complete_what,
        ),
        JSON,
    ),
)
