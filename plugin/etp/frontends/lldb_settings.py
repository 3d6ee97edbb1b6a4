# SPDX-License-Identifier: Apache-2.0
"""The settings of etp in lldb, which has none for scripts: ``etp-set``."""

from __future__ import annotations

from ..errors import Problem
from ..settings import SETTINGS, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run_set(settings: Settings, line: str, result: Any) -> None:
    """``etp-set [NAME [VALUE]]``."""
    name, _, value = line.strip().partition(" ")
    try:
        if value:
            settings.set(name, value.strip())
        elif name:
            result.write(f"{name}: {settings.show(name)}\n")
        else:
            for setting in SETTINGS:
                shown = settings.show(setting.name)
                result.write(f"{setting.name + ':':12} {shown:10} {setting.summary}\n")
    except Problem as error:
        result.SetError(str(error))
