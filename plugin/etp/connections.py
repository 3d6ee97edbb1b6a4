# SPDX-License-Identifier: Apache-2.0
"""Other nodes and the connections to them (include/etp/dist_entry.h).

    from etp.connections import connections

    for connection in connections(vm).connections:
        if connection.is_busy:
            print(connection.node, connection.queue_size, connection.ties["suspended"])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .system_info import dist_buf_busy_limit

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM

State = Literal["not_connected", "pending", "connected", "exiting", "unknown"]
Tie = Literal["link", "monitor", "monitored_by", "monitor_node", "suspended"]


@dataclass(frozen=True)
class Connection:
    """What this node knows of another one: a DistEntry."""

    address: int
    node: Term
    #: The node itself.
    is_this: bool
    state: State
    #: nodes() lists it, while it is connected.
    is_visible: bool
    creation: int
    #: Port or process that carries the bytes.
    controller: Term | None
    #: Bytes that wait for the controller, and what of them counts against the limit.
    queue_size: int
    queue_size_respected: int
    #: Packets since it was connected.
    received: int
    sent: int
    is_busy: bool
    ties: dict[Tie, int]
    is_incomplete: bool

    @property
    def kind(self) -> Literal["this", "visible", "hidden", None]:
        """As nodes/1 has it; None of one that is not connected."""
        if self.is_this:
            return "this"
        if self.state not in ("connected", "exiting"):
            return None
        return "visible" if self.is_visible else "hidden"


@dataclass(frozen=True)
class Connections:
    connections: list[Connection]
    #: erlang:system_info(dist_buf_busy_limit); None if it cannot be read.
    busy_limit: int | None
    gaps: int
    problem: str


def connections(vm: VM) -> Connections:
    found, gaps, problem = vm.native.dist_entries()
    return Connections(
        [Connection(**entry) for entry in found], dist_buf_busy_limit(vm), gaps, problem
    )


def ties(vm: VM, connection: Connection, limit: int = 0) -> tuple[list[tuple[Tie, Term]], int]:
    """The processes of this node that are tied to the other one, and how many could not be read."""
    return vm.native.dist_entry_ties(connection.address, limit)  # type: ignore[return-value]
