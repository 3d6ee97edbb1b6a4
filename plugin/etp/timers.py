# SPDX-License-Identifier: Apache-2.0
"""Timers: of erlang:send_after/3 and erlang:start_timer/3, of ``receive ... after``, of ports, and
those that ERTS has set for itself (include/etp/timers.h)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM

TimerKind = Literal["send_after", "start_timer", "receive", "port", "callback"]


@dataclass(frozen=True)
class Timer:
    kind: TimerKind
    #: Of the ErtsBifTimer, ErtsTWTimer and so on.
    address: int
    #: The scheduler that has it, from 1; 0 of a paused one.
    scheduler: int
    #: As erlang:read_timer/1 says it; less than 0: it has been due for so long.
    remaining_ms: int
    #: Pid, registered name or port; None of ERTS's own, or when unknown.
    receiver: Term | None
    #: Of send_after and start_timer; of the latter with {timeout, Ref, _} around it.
    message: Term | None
    #: What erlang:cancel_timer/1 is given.
    ref: Term | None
    #: Of ERTS's own: address of the function that is to be called, and its argument.
    callback: int
    arg: int
    #: It stands still, because its process is suspended (since OTP 29).
    is_paused: bool


@dataclass(frozen=True)
class Timers:
    """Timers by when they are due, and facts about all of them, also of those that are left out."""

    timers: list[Timer]
    count: int
    #: Of these, due already.
    overdue: int
    #: Due within a second, or already.
    due_soon: int
    soonest_ms: int
    longest_ms: int
    #: Numbers by kind.
    kinds: dict[TimerKind, int]
    #: Who has most of them, how many, and when the first is due; 20 at most.
    receivers: list[tuple[Term, int, int]]
    #: Cancelled, but not removed by their scheduler yet; not counted otherwise.
    cancelled: int
    #: Places that could not be read, and why the last.
    gaps: int
    problem: str


def take(
    vm: VM, receivers: Sequence[Term] | None = None, limit: int = 0, reverse: bool = False
) -> Timers:
    """All timers, or those of these pids, names and ports; of them the first ``limit`` (0: all)."""
    found = vm.native.timers(receivers=receivers, limit=limit, reverse=reverse)
    return Timers(
        timers=[Timer(**timer) for timer in found["timers"]],
        **{name: found[name] for name in Timers.__dataclass_fields__ if name != "timers"},
    )


__all__ = ["Timer", "TimerKind", "Timers", "take"]
