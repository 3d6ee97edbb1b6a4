# SPDX-License-Identifier: Apache-2.0
"""``python3 -m etp.docs``: the documentation of commands and settings, from their declarations.

    python3 -m etp.docs            Markdown for the README
    python3 -m etp.docs commands   the names of the commands, one a line
    python3 -m etp.docs help       the whole help of all commands
    python3 -m etp.docs no-python  gdb script that explains a gdb without Python
"""

from __future__ import annotations

import sys

from .commands.registry import COMMANDS
from .settings import SETTINGS


def markdown() -> str:
    lines = ["| command | what it does |", "| --- | --- |"]
    for command in COMMANDS:
        usage = " ".join(argument.usage for argument in command.positionals())
        lines.append(f"| `{(command.name + ' ' + usage).strip()}` | {command.summary} |")
    lines += ["", "| setting | default | what it does |", "| --- | --- | --- |"]
    for setting in SETTINGS:
        values = " " + "\\|".join(setting.choices) if setting.choices else ""
        default = setting.show(setting.default)
        lines.append(f"| `set etp {setting.name}{values}` | {default} | {setting.summary} |")
    return "\n".join(lines)


def no_python() -> str:
    """In a gdb without Python every command says so, rather than being undefined."""
    message = (
        "This gdb was built without Python, which etp needs (on Debian, gdb-minimal is such a one;"
        " the package gdb has it). Outside of gdb: python3 -m etp CORE COMMAND."
    )
    return "\n".join(f"define {c.name}\n  echo {message}\\n\nend" for c in COMMANDS)


def main(arguments: list[str]) -> int:
    what = arguments[0] if arguments else "markdown"
    if what == "markdown":
        print(markdown())
    elif what == "commands":
        print("\n".join(command.name for command in COMMANDS))
    elif what == "help":
        print("\n\n\n".join(command.help() for command in COMMANDS))
    elif what == "no-python":
        print(no_python())
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
