# SPDX-License-Identifier: Apache-2.0
"""What a process was doing: the words in which a diagnosis says why others wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .code import Location, location
from .text import safe, shorten
from .units import WORD, format_bytes, format_pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _etp import Term

    from .schedulers import Scheduler
    from .vm import VM

Kind = Literal[
    "nif",
    "collecting",
    "running",
    "runnable",
    "dirty",
    "suspended",
    "exiting",
    "idle",
    "waiting",
    "unknown",
]

LOOPS = frozenset(
    {
        ("gen_server", "loop"),
        ("gen_statem", "loop_receive"),
        # OTP 29.
        ("gen_statem", "loop"),
        ("gen_event", "fetch_msg"),
        ("gen_fsm", "loop"),
        ("erlang", "hibernate"),
    }
)
"""Where a process of OTP waits for the next message."""


CALLING = frozenset(
    {"gen", "gen_server", "gen_statem", "gen_event", "code_server", "code", "erpc", "rpc", "io"}
    | {"application", "application_controller", "gen_tcp", "inet_tcp", "inet6_tcp", "prim_inet"}
    | {
        "Elixir.GenServer",
        "Elixir.GenStage",
        "Elixir.Agent",
        "Elixir.Task",
        "Elixir.DBConnection.Holder",
    }
)
"""Modules whose functions wait for somebody on behalf of their callers."""

FRAMES = 12
"""Frames in which such a caller is sought."""


@dataclass(frozen=True)
class Activity:
    kind: Kind
    #: A verb with what belongs to it: ``waits in shop:query/1 (shop.erl:12)``.
    text: str
    function: Location | None
    #: Who called one of CALLING; ``shop:query/1 (shop.erl:12)``, or "".
    caller: str
    #: Arguments of a BIF or NIF that goes on later, or is executed by a dirty scheduler.
    arguments: list[Term]
    #: Bytes of the heap.
    heap_bytes: int
    messages: int
    #: That runs it.
    scheduler: Scheduler | None


def activity(
    vm: VM, address: int, schedulers: Sequence[Scheduler], syntax: str = "erlang"
) -> Activity:
    """Of the Process at an address."""
    from .vm import Error

    scheduler = next((s for s in schedulers if s.process == address), None)
    try:
        info = vm.native.process_info(address, lists=())
        execution = vm.native.execution(address)
    except Error:
        return Activity("unknown", "cannot be read", None, "", [], 0, 0, scheduler)
    function = location(execution["current_function"])
    place = location(execution["current_location"]) or function
    heap = info["total_heap_size"] * WORD
    name = "" if function is None else function.name(syntax)
    where = in_text(function, place, syntax)
    kind: Kind
    if info["is_collecting_garbage"]:
        kind, text = "collecting", f"collects garbage in a heap of {format_bytes(heap)}"
    elif scheduler is not None and scheduler.is_in_nif:
        library = safe(scheduler.nif_library or "an unknown library")
        kind, text = "nif", f"executes the NIF {name} of {library}"
    elif info["is_exiting"]:
        kind, text = "exiting", "exits"
    elif info["is_running"]:
        kind, text = "running", f"executes{where}"
    elif info["status"] == "suspended":
        kind, text = "suspended", f"is suspended{where}"
    elif info["status"] == "runnable":
        dirty = "dirty " if info["state"] & _DIRTY else ""
        kind = "dirty" if dirty else "runnable"
        text = f"waits for a {dirty}scheduler, to go on{where}"
    elif _is_suspended_by_sys(function):
        kind, text = "waiting", "was suspended with sys:suspend/1, and waits for sys:resume/1"
    elif info["is_hibernated"] or _is_loop(function):
        kind, text = "idle", f"waits for the next message{where}"
    else:
        kind, text = "waiting", f"waits{where}"
    if scheduler is not None:
        text += f" on {scheduler.name}"
        if scheduler.kind == "normal" and scheduler.clock_age_ns:
            text += f", for {format_pause(scheduler.clock_age_ns / 1e9)}"
    return Activity(
        kind=kind,
        text=text,
        function=function,
        caller=_caller(vm, address, syntax) if kind in ("waiting", "suspended") else "",
        arguments=execution["registers"],
        heap_bytes=heap,
        messages=info["message_queue_len"],
        scheduler=scheduler,
    )


_DIRTY = 1 << 26 | 1 << 27
"""ERTS_PSFLG_DIRTY_CPU_PROC and ERTS_PSFLG_DIRTY_IO_PROC, erl_process.h."""


def _caller(vm: VM, address: int, syntax: str) -> str:
    frames = [location(facts) for facts in vm.native.stacktrace(address, FRAMES)]
    if not frames or frames[0] is None or frames[0].module not in CALLING:
        return ""
    for frame in frames:
        if frame is not None and frame.module is not None and frame.module not in CALLING:
            return frame.name(syntax) + (f" ({frame.place})" if frame.place else "")
    return ""


def argument_text(term: Term, redact: bool) -> str:
    """A term on one line; names of files as they are, without the zero at their end."""
    if term.kind == "bitstring" and not redact and 0 < len(term) < 4096:
        name = term.bytes().rstrip(b"\0").decode("utf-8", "replace")
        if name.isprintable():
            return f'"{name}"'
    text = term.format(syntax="p", redact=redact, max_depth=4, max_length=6, max_string=100)
    return shorten(" ".join(text.split()), 100)


def _is_loop(function: Location | None) -> bool:
    return function is not None and (function.module, function.function) in LOOPS


def _is_suspended_by_sys(function: Location | None) -> bool:
    return function is not None and (function.module, function.function) == ("sys", "suspend_loop")


def in_text(function: Location | None, place: Location | None, syntax: str = "erlang") -> str:
    """`` in shop:query/1 (shop.erl:12)``, or ""."""
    if function is None:
        return ""
    line = place.place if place is not None and place.function == function.function else ""
    return f" in {function.name(syntax)}" + (f" ({line})" if line else "")
