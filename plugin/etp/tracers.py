# SPDX-License-Identifier: Apache-2.0
"""Who traces processes and ports (include/etp/tracers.h).

    from etp.tracers import tracers

    for tracer in tracers(vm).tracers:
        print(tracer.state, "traces", tracer.processes)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM


@dataclass(frozen=True)
class Tracer:
    module: Term | None
    #: Pid or port that gets the messages, of the module erl_tracer; else whatever the module was given.
    state: Term
    #: How many it traces.
    processes: int
    ports: int

    @property
    def is_process(self) -> bool:
        own = self.module is None or self.module.value() == "erl_tracer"
        return own and self.state.kind == "pid"


@dataclass(frozen=True)
class Tracers:
    tracers: list[Tracer]
    #: Processes and ports of further tracers.
    others: int
    gaps: int


def tracers(vm: VM) -> Tracers:
    found, others, gaps = vm.native.tracers()
    return Tracers([Tracer(*facts) for facts in found], others, gaps)
