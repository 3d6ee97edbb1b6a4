# SPDX-License-Identifier: Apache-2.0
"""Commands on a VM without a debugger, and what they write."""

import json
from typing import Any, Dict, Optional

from etp.commands.context import Context
from etp.commands.registry import find
from etp.commands.runner import run_command
from etp.render import Screen
from etp.vm import VM


class Reader(Context):
    """Runs commands, and gives back what they write."""

    def __init__(self, vm: VM, width: Optional[int] = 120) -> None:
        super().__init__()
        self._opened = vm
        self._width = width
        self.text = ""

    def open_vm(self) -> VM:
        return self._opened

    def screen(self) -> Screen:
        def write(text: str) -> None:
            self.text += text

        return Screen(write, width=self._width)

    def run(self, name: str, *words: str) -> str:
        command = find(name)
        assert command is not None
        self.text = ""
        run_command(command, list(words), self)
        return self.text

    def json(self, name: str, *words: str) -> Dict[str, Any]:
        return json.loads(self.run(name, *words, "--json"))
