# SPDX-License-Identifier: Apache-2.0
"""etp inside lldb: the commands, and ``etp-set`` for the settings."""

from __future__ import annotations

import sys

import lldb

from ..commands.context import Context
from ..commands.declaration import Command
from ..commands.registry import COMMANDS
from ..errors import Problem
from .linux import mapped_cores
from .lldb_settings import run_set
from .lldb_target import exec_search_paths, platform_sysroot, stopped_pid, thread_registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..backtrace import Registers
    from ..render import Screen


class LldbContext(Context):
    """The VM of lldb's current core or process."""

    def __init__(self, debugger: lldb.SBDebugger) -> None:
        super().__init__()
        self.debugger = debugger
        #: Where the command that runs writes to.
        self.result: Any = None
        #: Commands that were run.
        self.commands = 0
        self._key: tuple[object, ...] | None = None

    @property
    def _process(self) -> lldb.SBProcess:
        return self.debugger.GetSelectedTarget().GetProcess()

    def is_stale(self) -> bool:
        # A process that ran, or in which an expression ran, has another stop. That `memory write` or an
        # assignment changed its memory, lldb does not tell: each command reads it anew.
        process = self._process
        is_core = process.IsValid() and process.GetPluginName() == "elf-core"
        key = (
            0 if is_core else self.commands,
            process.GetUniqueID(),
            process.GetStopID(True),
            process.GetState(),
            _path(self.debugger.GetSelectedTarget().GetExecutable()),
            self._sysroot(),
            self._search_path(),
            self.settings.max_libraries,
            self.settings.layout,
        )
        changed = key != self._key
        self._key = key
        return changed

    def target(self) -> dict[str, Any]:
        pid = stopped_pid(self._process)
        return dict(
            core=None if pid else self._core(),
            executable=_path(self.debugger.GetSelectedTarget().GetExecutable()),
            sysroot=self._sysroot(),
            search_path=self._search_path(),
            max_libraries=self.settings.max_libraries,
            layout=self.settings.layout,
            pid=pid,
            copy=False,
        )

    def process(self) -> tuple[int, bool]:
        pid = stopped_pid(self._process)
        return (pid, True) if pid else super().process()

    def thread_registers(self) -> Registers | None:
        return thread_registers(self._process) if stopped_pid(self._process) else None

    def _sysroot(self) -> str | None:
        return self.settings.sysroot or platform_sysroot(self.debugger)

    def _search_path(self) -> str | None:
        return self.settings.search_path or exec_search_paths(self.debugger)

    def _core(self) -> str:
        process = self._process
        if not process.IsValid():
            raise Problem(
                "lldb has no core file open, and is attached to no process. Start it as: lldb"
                " /path/to/beam.smp -c CORE, or lldb -p PID."
            )
        # Newer than lldb 14; before, its own mappings tell.
        if hasattr(process, "GetCoreFile"):
            found = [_path(process.GetCoreFile()) or ""]
        else:
            found = mapped_cores()
        if len(found) != 1:
            raise Problem(
                f"lldb has {len(found)} core files open, and does not tell which belongs to this"
                " target. Open one at a time."
            )
        return found[0]

    def evaluate(self, expression: str) -> int | None:
        options = lldb.SBExpressionOptions()
        # Interpreted: nothing is written into the process, and none of its functions runs.
        options.SetAllowJIT(False)
        value = self.debugger.GetSelectedTarget().EvaluateExpression(expression, options)
        if value.GetError().Fail():
            lines = (value.GetError().GetCString() or "it has no value").split("\n")
            said = " ".join(line.strip() for line in lines if "error:" in line) or lines[0]
            raise Problem(
                f"lldb could not evaluate {expression!r}: {said}. A term is given as a raw word"
                " (0x...), an address, a pid (<0.1.0>), the name of a process, or an expression of"
                " lldb with such a value."
            )
        return int(value.GetValueAsUnsigned())

    def screen(self) -> Screen:
        import locale

        from ..render import Screen, may_color

        tty = sys.__stdout__ is not None and sys.__stdout__.isatty()
        charset = locale.getpreferredencoding(False).lower().replace("-", "")
        return Screen(
            self.result.write,
            width=self.debugger.GetTerminalWidth() if tty else None,
            color=tty and self.debugger.GetUseColor() and may_color(),
            unicode=charset == "utf8",
        )


def _path(file: lldb.SBFileSpec) -> str | None:
    return file.fullpath or None


def _run(context: LldbContext, command: Command, line: str, result: Any) -> None:
    from ..commands.runner import explain, run_command

    context.result = result
    context.commands += 1
    try:
        run_command(command, line, context)
    except KeyboardInterrupt:
        result.SetError("Quit")
    except Exception as error:
        if context.settings.debug:
            import traceback

            traceback.print_exc()
        result.SetError(explain(error, command))


def _command_class(help_text: str, run: Callable[[str, Any], None]) -> type[object]:
    """A class as ``command script add --class`` wants it."""

    class LldbCommand:
        def __init__(self, _debugger: lldb.SBDebugger, _session: object) -> None:
            pass

        def __call__(self, _debugger: Any, line: str, _frame: Any, result: Any) -> None:
            run(line, result)

        def get_short_help(self) -> str:
            return help_text.partition("\n")[0]

        def get_long_help(self) -> str:
            return help_text

    return LldbCommand


def register(debugger: lldb.SBDebugger, session: dict[str, Any]) -> None:
    """Define all commands in this lldb, which looks their classes up in ``session``."""
    context = LldbContext(debugger)
    own = [(command.name, command.help(), _bound(context, command)) for command in COMMANDS]
    own.append(
        (
            "etp-set",
            "Show or change the settings of etp: etp-set [NAME [VALUE]].",
            lambda line, result: run_set(context.settings, line, result),
        )
    )
    for name, help_text, run in own:
        identifier = "etp_command_" + name.replace("-", "_")
        session[identifier] = _command_class(help_text, run)
        debugger.HandleCommand(f"command script add -c {identifier} {name}")


def _bound(context: LldbContext, command: Command) -> Callable[[str, Any], None]:
    return lambda line, result: _run(context, command, line, result)
