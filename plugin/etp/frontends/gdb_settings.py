# SPDX-License-Identifier: Apache-2.0
"""The settings of etp as gdb's ``set etp NAME`` and ``show etp NAME``."""

from __future__ import annotations

import gdb

from ..errors import UsageError
from ..settings import SETTINGS, Setting, Settings


class GdbParameter(gdb.Parameter):
    """One setting as ``set etp NAME`` and ``show etp NAME``."""

    def __init__(self, setting: Setting, settings: Settings) -> None:
        self._setting = setting
        self._settings = settings
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
            self._settings.set(self._setting.name, self.value)
        except UsageError as error:
            raise gdb.GdbError(str(error)) from None
        return ""

    def get_show_string(self, _value: str) -> str:
        return f"{self._setting.name}: {self._settings.show(self._setting.name)}"


class GdbPrefix(gdb.Command):
    """``set etp`` and ``show etp``."""

    def __init__(self, verb: str, settings: Settings) -> None:
        self.__doc__ = f"{verb.capitalize()} how etp reads and prints terms and tables."
        self._settings = settings
        super().__init__(f"{verb} etp", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, line: str, _from_tty: bool) -> None:
        if line:
            raise gdb.GdbError(f"No setting {line.split()[0]!r}; `show etp` lists the settings.")
        for setting in SETTINGS:
            value = self._settings.show(setting.name)
            gdb.write(f"{setting.name + ':':12} {value:10} {setting.summary}\n")


def register_settings(settings: Settings) -> None:
    GdbPrefix("set", settings)
    GdbPrefix("show", settings)
    for setting in SETTINGS:
        GdbParameter(setting, settings)
