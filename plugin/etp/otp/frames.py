# SPDX-License-Identifier: Apache-2.0
"""A stack as frames: a function, where in it, and its Y registers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _etp import Location, Term

    from ..vm import VM

Function = tuple[str, str, int]

MAX_WORDS = 4096
"""Words at the bottom of a stack that are looked at: the loop of a behaviour is there."""


@dataclass
class Frame:
    """One frame; the one at the top comes first."""

    #: None: unknown code.
    function: Function | None
    #: Where in the function: the program counter of the first frame, else a return address.
    pc: int
    #: Y registers in ascending order, without catches.
    slots: list[tuple[int, Term]] = field(default_factory=list)

    @property
    def text(self) -> str:
        if self.function is None:
            return f"unknown code at {self.pc:#x}"
        module, function, arity = self.function
        return f"{module}:{function}/{arity}"


def function_of(location: Location | None) -> Function | None:
    if location is None or location["kind"] != "function":
        return None
    module, function, arity = location["module"], location["function"], location["arity"]
    if module is None or function is None or arity is None:
        return None
    return module, function, arity


def frames(vm: VM, address: int, facts: dict[str, object]) -> list[Frame]:
    """The frames of a process, from the top; of a deep stack only those at the bottom.  ``facts``
    are what VM.native.execution() said of it."""
    top, start = facts["stack_top"], facts["stack_start"]
    assert isinstance(top, int) and isinstance(start, int)
    skip = max(0, (start - top) // 8 - MAX_WORDS)
    location: Location | None = facts["current_location"]  # type: ignore[assignment]
    found = [Frame(function_of(location), 0 if location is None else location["pc"])]
    for slot in vm.native.stack(address, -1, skip):
        if slot["kind"] == "return":
            where = slot["location"]
            if where is not None and where["fragment"] is not None:
                found.append(Frame(None, slot["word"]))
            else:
                found.append(Frame(function_of(where), slot["word"]))
        elif slot["kind"] == "term" and slot["term"] is not None and slot["y"] is not None:
            found[-1].slots.append((slot["y"], slot["term"]))
    # The first frame of what is left of a deep stack is not whole.
    return found[1:] if skip else found
