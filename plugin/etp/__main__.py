# SPDX-License-Identifier: Apache-2.0
"""``etp CORE|PID [BEAM] COMMAND ...``: the commands without a debugger."""

from __future__ import annotations

import argparse
import os
import sys

from .commands.help import COMMAND as HELP
from .commands.registry import COMMANDS, did_you_mean, find
from .errors import Problem
from .settings import SETTINGS, Settings
from .text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .commands.declaration import Command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="etp",
        usage="%(prog)s [options] CORE|PID [BEAM] COMMAND [ARGUMENT ...]",
        description="Read the memory of an Erlang VM: of a core file, or of a process, which is"
        " stopped for as long as it takes to copy what the command needs of its memory.",
        epilog="Commands: " + ", ".join(c.name for c in COMMANDS) + "; each has --help. The"
        ' prefix "etp-" may be left out.',
    )
    parser.add_argument("TARGET", metavar="CORE|PID", help="core file, or number of a process")
    parser.add_argument("COMMAND", nargs="?", help="etp-ets-leaks, for example")
    parser.add_argument("ARGUMENT", nargs=argparse.REMAINDER, help="arguments of the command")
    parser.add_argument(
        "-e", "--executable", metavar="BEAM", help="its beam.smp; may stand before COMMAND too"
    )
    for name in ("sysroot", "search-path"):
        parser.add_argument(
            f"--{name}",
            dest="set",
            action="append",
            default=[],
            type=f"{name}={{}}".format,
            metavar="DIR" if name == "sysroot" else "DIR[:DIR...]",
            help=next(setting.summary for setting in SETTINGS if setting.name == name),
        )
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting: " + ", ".join(setting.name for setting in SETTINGS),
    )
    return parser


def _command(name: str | None) -> Command:
    if name is None:
        raise Problem(
            "Which command? hung, memory, ets-leaks, processes and db-connections are those to"
            " begin with; `etp help` lists all."
        )
    command = find(name)
    if command is None:
        raise Problem(f"No command {name!r}.{did_you_mean(name)} `etp help all` lists all.")
    return command


def main(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.ARGUMENT and find(arguments.COMMAND) is None and find(arguments.ARGUMENT[0]):
        arguments.executable = arguments.COMMAND
        arguments.COMMAND = arguments.ARGUMENT.pop(0)
    if find(arguments.TARGET) is HELP and not os.path.exists(arguments.TARGET):
        # It needs no VM.
        if arguments.COMMAND is not None:
            arguments.ARGUMENT.insert(0, arguments.COMMAND)
        arguments.COMMAND = HELP.name
    settings = Settings()
    try:
        for assignment in arguments.set:
            name, _, value = assignment.partition("=")
            settings.set(name, value)
        command = _command(arguments.COMMAND)
        from .commands.runner import explain
        from .frontends.command_line import run

        try:
            run(command, arguments.ARGUMENT, arguments.TARGET, arguments.executable, settings)
        except BrokenPipeError:
            raise
        except Exception as error:
            raise Problem(explain(error, command)) from error
    except Problem as error:
        if settings.debug:
            raise
        print(f"etp: {safe(str(error), keep_newlines=True)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
