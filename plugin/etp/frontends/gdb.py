# SPDX-License-Identifier: Apache-2.0
"""etp inside gdb.

Registers the commands and settings; everything that costs time is imported when a command runs,
because gdb loads this at every start, whatever it then debugs.
"""

from __future__ import annotations

import re
import sys
import textwrap

import gdb

from ..commands.context import Context
from ..commands.declaration import Command
from ..commands.registry import COMMANDS
from ..errors import Problem, UsageError
from ..settings import SETTINGS, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..render import Screen
    from ..vm import VM


class GdbContext(Context):
    """The VM of gdb's current core or process."""

    def __init__(self) -> None:
        super().__init__()
        # What a process had in its memory is so no more once it ran, or gdb wrote to it.
        for event in ("cont", "exited", "inferior_call", "memory_changed"):
            getattr(gdb.events, event).connect(lambda _event: self.drop_vm())
        #: What the open VM depends on: inferior, connection, executable, settings.
        self._key: tuple[object, ...] | None = None

    def is_stale(self) -> bool:
        key = self._current_key()
        changed = key != self._key
        self._key = key
        return changed

    def _current_key(self) -> tuple[object, ...]:
        # A core that is opened gets a new connection number, so this changes with it.
        inferior = gdb.selected_inferior()
        connection = getattr(inferior, "connection", None)
        return (
            inferior.num,
            inferior.pid,
            connection.num if connection else _core_path(),
            gdb.current_progspace().filename,
            self._sysroot(),
            self.settings.layout,
        )

    def open_vm(self) -> VM:
        from ..vm import VM

        pid = _stopped_pid()
        executable = gdb.current_progspace().filename
        if pid and executable and executable.startswith("target:"):
            executable = None
        return VM.open(
            None if pid else _core_or_problem(),
            executable=executable,
            sysroot=self._sysroot(),
            layout=self.settings.layout,
            pid=pid,
            copy=False,
        )

    def process(self) -> tuple[int, bool]:
        pid = _stopped_pid()
        return (pid, True) if pid else super().process()

    def _sysroot(self) -> str | None:
        if self.settings.sysroot:
            return self.settings.sysroot
        path = str(gdb.parameter("sysroot") or "")
        # "target:" is where gdb looks by default, which for a core is this machine.
        path = path[len("target:") :] if path.startswith("target:") else path
        return path if path not in ("", "/") else None

    def evaluate(self, expression: str) -> int | None:
        try:
            return int(gdb.parse_and_eval(expression))
        except gdb.error as error:
            if re.search(r"\s[|>]", expression):
                from ..commands.line import no_shell

                raise Problem(no_shell("etp TERM")) from None
            said = str(error).rstrip(".")
            raise Problem(
                f"gdb could not evaluate {expression!r}: {said}. A term is given as a raw word"
                " (0x...), an address, a pid (<0.1.0>), or an expression of gdb with such a value."
            ) from None

    def screen(self) -> Screen:
        from ..render import Screen, may_color

        tty = sys.__stdout__ is not None and sys.__stdout__.isatty()
        width = gdb.parameter("width")
        if width is None and tty and not gdb.parameter("confirm"):
            # gdb -batch has no width of its own, but the terminal has.
            import shutil

            width = shutil.get_terminal_size().columns
        color = tty and bool(gdb.parameter("style enabled")) and may_color()
        unicode = _host_charset().lower().replace("-", "") == "utf8"
        return Screen(gdb.write, width=width, color=color, unicode=unicode)


def _host_charset() -> str:
    import locale

    if hasattr(gdb, "host_charset"):
        return gdb.host_charset()
    return locale.getpreferredencoding(False)


def _core_path() -> str | None:
    """Path of the core file that gdb has open, which its Python API does not tell."""
    # "Local core dump file:" and the path in quotes, both in the user's language.  The core comes
    # before the executable.
    executable = gdb.current_progspace().filename
    for match in re.finditer(
        r"^\s*[`'‘](.+)['’], .*elf", gdb.execute("info files", to_string=True), re.MULTILINE
    ):
        if match.group(1) != executable:
            return match.group(1)
    return None


def _stopped_pid() -> int:
    """The process that gdb has attached to, 0 if it has none."""
    inferior = gdb.selected_inferior()
    connection = getattr(inferior, "connection", None)
    if connection is None or connection.type == "core" or not inferior.pid:
        return 0
    if connection.type != "native":
        raise Problem(
            f"This process (pid {inferior.pid}) is one of another machine (gdb's target"
            f" {connection.type}). etp reads memory where it is: run gdb there, or take a snapshot"
            " there with: etp PID etp-snapshot FILE."
        )
    if any(thread.is_running() for thread in inferior.threads()):
        raise Problem(
            f"Process {inferior.pid} runs. etp reads it while it stands still: `interrupt` stops it."
        )
    return inferior.pid


def _core_or_problem() -> str:
    path = _core_path()
    if path is None:
        raise Problem(
            "gdb has no core file open, and is attached to no process. Start it as: gdb"
            " /path/to/beam.smp CORE, or gdb -p PID, or give the command: core-file CORE."
        )
    return path


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

        message = str(error)
        if not isinstance(error, (gdb.error, gdb.GdbError)):
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


class GdbParameter(gdb.Parameter):
    """One setting as ``set etp NAME`` and ``show etp NAME``."""

    def __init__(self, setting: Setting, context: GdbContext) -> None:
        self._setting = setting
        self._context = context
        self.__doc__ = setting.help
        self.set_doc = "Set: " + setting.summary
        self.show_doc = "Show: " + setting.summary
        name = "etp " + setting.name
        if setting.kind == "choice":
            super().__init__(name, gdb.COMMAND_DATA, gdb.PARAM_ENUM, list(setting.choices))
        elif setting.kind == "switch":
            super().__init__(name, gdb.COMMAND_DATA, gdb.PARAM_BOOLEAN)
        elif setting.kind == "limit":
            super().__init__(name, gdb.COMMAND_DATA, gdb.PARAM_UINTEGER)
        else:
            super().__init__(name, gdb.COMMAND_DATA, gdb.PARAM_OPTIONAL_FILENAME)
        self.value = setting.default

    def get_set_string(self) -> str:
        try:
            self._context.settings.set(self._setting.name, self.value)
        except UsageError as error:
            raise gdb.GdbError(str(error)) from None
        return ""

    def get_show_string(self, _value: str) -> str:
        return f"{self._setting.name}: {self._context.settings.show(self._setting.name)}"


class GdbPrefix(gdb.Command):
    """``set etp`` and ``show etp``."""

    def __init__(self, verb: str, context: GdbContext) -> None:
        self.__doc__ = f"{verb.capitalize()} how etp reads and prints terms and tables."
        self._context = context
        super().__init__(f"{verb} etp", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, line: str, _from_tty: bool) -> None:
        if line:
            raise gdb.GdbError(f"No setting {line.split()[0]!r}; `show etp` lists the settings.")
        for setting in SETTINGS:
            value = self._context.settings.show(setting.name)
            gdb.write(f"{setting.name + ':':12} {value:10} {setting.summary}\n")


def register() -> GdbContext:
    """Define all commands and settings in this gdb."""
    context = GdbContext()
    GdbPrefix("set", context)
    GdbPrefix("show", context)
    for setting in SETTINGS:
        GdbParameter(setting, context)
    for command in COMMANDS:
        GdbCommand(command, context)
    return context
