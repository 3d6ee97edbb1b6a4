# SPDX-License-Identifier: Apache-2.0
"""Pools of DBConnection, their connections and clients, as db_connection.py finds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _etp import Term

    from ..code import Location
    from ..ets import EtsTable
    from ..vm import Process
    from .driver_state import Copy, DriverState

Status = Literal[
    "idle", "checked out", "after connect", "connecting", "disconnected", "busy", "unknown"
]


@dataclass
class Client:
    """A process that has a connection, or waits for one."""

    pid: Term
    process: Process | None
    function: Location | None
    #: Since when it waits, in nanoseconds before the VM's last look at its clock; None: unknown.
    waits_ns: int | None = None
    #: The query that stands on its stack.
    query: str = ""
    query_struct: str = ""

    @property
    def label(self) -> str:
        return self.process.label if self.process is not None else ""


@dataclass
class Connection:
    """One connection, or the attempt of one."""

    process: Process
    status: Status
    module: str
    pool_pid: Term | None = None
    client: Client | None = None
    #: The state as of now, None when there is none or it was not found.
    live: Copy | None = None
    #: What others have of an earlier moment: the process, and while a proxy has it, the pool's holder
    #: (from 2.0 on) or the proxy (1.x, while a client has it).
    older: list[Copy] = field(default_factory=list)
    holder: EtsTable | None = None
    #: :ok, :error or :aborted of the holder.
    holder_status: str = ""
    #: Proxy of the ownership pool that has the connection, and whose it is; since when in nanoseconds,
    #: and in how many milliseconds the proxy takes it away, None: unknown, or never.
    proxy: Process | None = None
    owner: Term | None = None
    owned_ns: int | None = None
    owner_left_ms: int | None = None
    #: How long it has been idle, and connected, in nanoseconds.
    idle_ns: int | None = None
    connected_ns: int | None = None
    #: How long ago its client asked for it (from 2.0 on, so that waiting counts) or got it (1.x), in
    #: nanoseconds, and in how many milliseconds the pool takes it away, less than 0: has to.  None:
    #: unknown; ``out_unknown`` says why.
    out_ns: int | None = None
    deadline_ms: int | None = None
    out_unknown: str = ""
    #: Type and bounds of the backoff, and milliseconds until it ends.
    backoff: str = ""
    backoff_ms: int | None = None
    #: Releases of db_connection whose processes look so.
    release: str = ""
    #: Tables of queries of earlier connections that the process still owns.
    orphans: list[EtsTable] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    #: Callers that wait in the connection's own queue (1.x), or its proxy's.
    waiting: list[Client] = field(default_factory=list)

    @property
    def cursors(self) -> int:
        """Cursors that are held now."""
        if self.live is None or self.live.content.cursors is None:
            return 0
        return self.live.content.cursors.count

    @property
    def content(self) -> DriverState | None:
        return self.live.content if self.live is not None else None

    def take_own(self) -> None:
        """What the process has is what there is."""
        self.live = self.older.pop() if self.older else None


@dataclass
class Pool:
    """One pool: in 1.x without poolboy or sbroker, the connection itself."""

    pid: Term
    process: Process | None
    name: str
    #: "ConnectionPool", "Ownership", "Connection", "Poolboy", "Sojourn", or "" of another.
    kind: str
    #: Releases of db_connection that have this layout.
    release: str
    #: "ready", "busy" or "".
    status: str = ""
    connections: list[Connection] = field(default_factory=list)
    waiting: list[Client] = field(default_factory=list)
    #: target, interval, idle_interval, idle_limit, delay in milliseconds; slow.  Sojourn: timeout in
    #: milliseconds, max.
    settings: dict[str, int | bool] = field(default_factory=dict)
    #: As the options of its connections say; None: they do not.
    pool_size: int | None = None
    problems: list[str] = field(default_factory=list)

    def count(self, *statuses: Status) -> int:
        return sum(connection.status in statuses for connection in self.connections)

    @property
    def modules(self) -> list[str]:
        return sorted({c.module for c in self.connections if c.module})

    @property
    def cursors(self) -> int:
        return sum(connection.cursors for connection in self.connections)


@dataclass
class Pools:
    """All pools, and what goes with none of them."""

    pools: list[Pool]
    #: Holder tables that no connection's process refers to.
    stray_holders: list[EtsTable]
    problems: list[str]

    @property
    def connections(self) -> list[Connection]:
        return [connection for pool in self.pools for connection in pool.connections]

    @property
    def cursors(self) -> int:
        return sum(pool.cursors for pool in self.pools)
