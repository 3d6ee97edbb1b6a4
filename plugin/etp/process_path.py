# SPDX-License-Identifier: Apache-2.0
"""Paths that begin in a process, as etp-who tells them: ``dictionary -> cache -> [17]``."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from . import code, processes, term_path
from .errors import Problem, UsageError
from .term_path import PathProblem
from .text import safe

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM, Process

_ROOT = re.compile(
    r"(?:(dictionary)|(message in transit|message|stack|register)\s+(\d{1,9}))\s*(?=$|->|[.\[{])"
)

ROOTS_OF = frozenset(["dictionary", "message", "message_in_transit", "stack", "register"])
"""Roots (include/etp/path.h) that a path may begin with."""


def find(
    vm: VM, process: Process, path: str, sensitive: bool = False, redact: bool = False
) -> Term:
    """What a path in a process leads to.  Messages count from 1, words of the stack from its top
    and registers from 0.  Raises Problem."""
    match = _ROOT.match(path.strip())
    if match is None:
        raise UsageError(
            f"{safe(path)!r} is no path in a process, which begins with dictionary, message N,"
            " message in transit N, stack N or register N; etp-state takes one in its state."
        )
    steps = term_path.parse(path.strip()[match.end() :])
    kind, index = match[1] or match[2], int(match[3] or 0)
    private = kind == "dictionary" or kind.startswith("message")
    if private and not sensitive and vm.native.process_info(process.address)["is_sensitive"]:
        raise Problem(f"{process.pid} {process.label} is sensitive: etp does not show its {kind}.")
    return term_path.walk(_root(vm, process, kind, index), steps, redact=redact)


def _root(vm: VM, process: Process, kind: str, index: int) -> Term:
    if kind == "dictionary":
        pairs: list[tuple[Term, Term]] = vm.native.process_info(process.address)["dictionary"]
        return vm.native.compose(pairs)
    found: Term | None
    if kind == "stack":
        slots = list(islice(code.stack(vm, process, index + 1), index, index + 1))
        found = slots[0].term if slots else None
    elif kind == "register":
        registers = code.execution(vm, process).registers
        found = registers[index] if index < len(registers) else None
    else:
        found = _message(vm, process, kind != "message", index)
    if found is None:
        raise PathProblem(f"{process.pid} {process.label} has no {kind} {index}, or no term there.")
    return found


def _message(vm: VM, process: Process, in_transit: bool, number: int) -> Term | None:
    queues = ("outer", "buffer") if in_transit else ("inner", "middle")
    count = 0
    for message in processes.messages(vm, process):
        if message.queue not in queues:
            continue
        if message.kind == "alias" and count == number - 1:
            # It is no message yet, and has the number of the next one.
            raise PathProblem(f"The {number}. is on its way to an alias; etp-msgq shows it.")
        if message.kind in ("message", "external"):
            count += 1
            if count == number:
                return message.term
    return None
