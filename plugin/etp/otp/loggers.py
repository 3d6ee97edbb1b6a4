# SPDX-License-Identifier: Apache-2.0
"""Processes that handlers of logger write with, and how they protect themselves from overload (logger_olp.erl).

    from etp.otp.loggers import handlers

    for handler in handlers(vm).handlers:
        print(handler.process.name, handler.mode)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..text import is_unreadable

if TYPE_CHECKING:
    from ..vm import VM, Process

MODES = ("async", "sync", "drop")


@dataclass(frozen=True)
class Handler:
    process: Process
    #: What callers do with an event: "async", they send it; "sync", they wait until it is handled; "drop",
    #: they throw it away.  None: not known.
    mode: str | None
    #: In its mailbox.
    messages: int


@dataclass(frozen=True)
class Handlers:
    handlers: list[Handler] = field(default_factory=list)
    #: Children of which cannot be told whether they are such processes.
    unknown: int = 0
    #: There may be further children.
    is_incomplete: bool = False


def handlers(vm: VM) -> Handlers:
    """The children of logger_sup that are such processes."""
    from ..errors import Problem

    try:
        top = vm.find_process("logger_sup")
    except Problem:
        # The application kernel has not been started, or goes down.
        return Handlers()
    found: list[Handler] = []
    unknown = 0
    facts = vm.native.process_info(top.address, lists=("links",))
    for link in facts["links"]:
        process = vm.process(link) if link.kind == "pid" else None
        if process is None:
            continue
        if is_unreadable(process.initial_call_text):
            unknown += 1
        elif process.initial_call and process.initial_call[0] == "logger_olp":
            info = vm.native.process_info(process.address, lists=())
            found.append(Handler(process, _mode(vm, process), info["message_queue_len"]))
    return Handlers(found, unknown, "links" in facts["unknown"])


def _mode(vm: VM, process: Process) -> str | None:
    """That which callers look at. The state of the process is older while it handles an event."""
    from ..vm import Error

    if process.name is None:
        return None
    try:
        key = vm.native.compose(
            (vm.native.find_atom("logger_olp"), vm.native.find_atom(process.name))
        )
        value = vm.native.persistent_term(key)
    except Error:
        return None
    if value is None:
        # logger_olp:get_mode/1 has this default.
        return "async"
    name = value.value()
    return name if name in MODES else None
