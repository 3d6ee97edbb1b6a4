# SPDX-License-Identifier: Apache-2.0
"""Commands of etp as commands of gdb: their errors and completion."""

from __future__ import annotations

import textwrap

import gdb

from ..commands.declaration import Command
from ..text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .gdb import GdbContext


class GdbCommand(gdb.Command):
    """One command of the registry as a command of gdb."""

    def __init__(self, command: Command, context: GdbContext) -> None:
        self.__doc__ = command.help()
        self._command = command
        self._context = context
        super().__init__(command.name, gdb.COMMAND_DATA)

    def invoke(self, line: str, _from_tty: bool) -> None:
        try:
            from ..commands.runner import run_command

            run_command(self._command, line, self._context)
        except KeyboardInterrupt:
            # Ctrl-C, or "q" at gdb's pager: what was printed is what there is.
            raise gdb.GdbError("Quit") from None
        except Exception as error:
            raise gdb.GdbError(self._explain(error)) from None

    def _explain(self, error: Exception) -> str:
        """One clear error; never a traceback unless asked for."""
        if self._context.settings.debug:
            import traceback

            traceback.print_exc()
        from ..commands.runner import explain

        if isinstance(error, (gdb.error, gdb.GdbError)):
            message = safe(str(error), keep_newlines=True)
        else:
            message = explain(error, self._command)
        if "\n" in message:
            return message
        width = min(gdb.parameter("width") or 100, 100)
        return textwrap.fill(message, width, break_long_words=False, break_on_hyphens=False)

    def complete(self, text: str, word: str | None) -> list[str]:
        from ..commands.line import complete

        try:
            found = complete(self._command, text, self._context)
        except Exception:  # completion has no way to tell, and the command will
            return []
        # gdb replaces only the part after the last character that it thinks ends a word.
        last = "" if not text or text[-1].isspace() else text.split()[-1]
        start = len(last) - len(word or "")
        return [value[start:] for value in found]
