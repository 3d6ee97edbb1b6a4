# SPDX-License-Identifier: Apache-2.0
"""Pools of DBConnection: their connections, who has them, who waits, and what drivers keep.

From lib/db_connection/*.ex of 1.1.3 and 2.0.0 to 2.10.2.  Which release it is, is told by what
stands in the terms.  While a connection is in the pool or checked out, its state is in the row of a
table, the holder (2.x), or in the dictionary of the client that uses it (1.x); the process of the
connection has a copy of an earlier moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import timers
from ..code import location
from ..otp import state as otp_state
from ..otp.frames import frames
from ..text import is_unreadable, plural, safe
from ..vm import VM, Error
from . import sbroker
from .base import (
    DRIVERS,
    Measure,
    atom,
    element,
    get,
    integer,
    queue,
    queue_length,
    struct_name,
    tagged,
)
from .db_pool import Client, Connection, Pool, Pools
from .driver_state import Copy, content, statement_text, table_of

if TYPE_CHECKING:
    from _etp import EtsRow, Term

    from ..ets import EtsTable
    from ..otp import OtpState
    from ..timers import Timer
    from ..vm import Process

POOL = ("Elixir.DBConnection.ConnectionPool", "init", 1)
CONNECTION = ("Elixir.DBConnection.Connection", "init", 1)
PROXY = ("Elixir.DBConnection.Ownership.Proxy", "init", 1)
MANAGER = ("Elixir.DBConnection.Ownership.Manager", "init", 1)
POOLBOY = ("poolboy", "init", 1)
SOJOURN = ("Elixir.DBConnection.Sojourn.Broker", "init", 1)
HOLDER = "Elixir.DBConnection.Holder"

MONOTONIC_START_NS = -576_460_752 * 10**9
"""erlang:monotonic_time() when the VM starts, if it counts nanoseconds: MIN_SMALL in whole seconds
(ERTS_MONOTONIC_TIME_START_EXTERNAL, erl_time.h)."""


def read(vm: VM) -> Pools:
    """Find all pools and connections of a VM."""
    return _Reader(vm).read()


@dataclass
class _Row:
    """{conn, connection, module, state, lock, [ts,] deadline, status} (lib/db_connection/holder.ex of
    2.0.0; ts from 2.4.1, connected_at in its place from 2.10.1)."""

    table: EtsTable
    row: EtsRow

    @property
    def connection(self) -> Term:
        return self.row.term[1]

    @property
    def module(self) -> str:
        return atom(self.row.term[2]) or ""

    @property
    def state(self) -> Term:
        return self.row.term[3]

    @property
    def deadline(self) -> Term:
        """Reference of the timer after which the pool takes it from the client; nil."""
        return self.row.term[len(self.row.term) - 2]

    @property
    def connected(self) -> int | None:
        """System.monotonic_time() of its making, from 2.10.1 on of the connection's."""
        return integer(self.row.term[5]) if len(self.row.term) == 8 else None

    @property
    def status(self) -> str:
        return atom(self.row.term[len(self.row.term) - 1]) or ""


class _Reader:
    def __init__(self, vm: VM) -> None:
        self.vm = vm
        self.problems: list[str] = []
        self.tables = {str(table.ref): table for table in vm.ets_tables}
        self.by_owner: dict[int, list[EtsTable]] = {}
        for table in vm.ets_tables:
            self.by_owner.setdefault(table.owner.word, []).append(table)
        self.by_name: dict[str, Process] = {}
        self.rows: dict[int, _Row] = {}
        #: Holders that a connection or a proxy refers to.
        self.claimed: set[int] = set()
        #: How long holders have been idle, by their reference.
        self.idle_ns: dict[str, int] = {}
        self.pools: dict[int, Pool] = {}
        #: Timers of pools, connections and proxies, by their reference.
        self.timers: dict[str, Timer] = {}
        uptime = vm.info.uptime_ns
        self.now = None if uptime < 0 else MONOTONIC_START_NS + uptime

    def read(self) -> Pools:
        kinds: dict[tuple[str, str, int], list[Process]] = {}
        unknown = 0
        for process in self.vm.processes():
            call = process.initial_call
            unknown += self._is_unknown(process)
            if process.name is not None:
                self.by_name[process.name] = process
            if call in (POOL, CONNECTION, PROXY, MANAGER, POOLBOY, SOJOURN):
                kinds.setdefault(call, []).append(process)
        if unknown:
            self.problems.append(
                f"of {plural(unknown, 'process', 'processes')} it could not be read what they are;"
                " pools and connections may be among them"
            )
        with self._gap("the timers of pools and connections"):
            self._read_timers(
                [*kinds.get(POOL, ()), *kinds.get(CONNECTION, ()), *kinds.get(PROXY, ())]
            )
        self._read_holders()
        for process in kinds.get(POOL, ()):
            with self._gap(f"the pool {process.pid}"):
                self._pool(process)
        for process in kinds.get(SOJOURN, ()):
            with self._gap(f"the broker {process.pid}"):
                self._sojourn(process)
        connections = [Connection(process, "unknown", "") for process in kinds.get(CONNECTION, ())]
        for connection in connections:
            with self._gap(f"the connection {connection.process.pid}"):
                self._connection(connection)
        for connection in connections:
            with self._gap(f"the pool of the connection {connection.process.pid}"):
                self._pool_of(connection).connections.append(connection)
        for process in kinds.get(PROXY, ()):
            with self._gap(f"the proxy {process.pid}"):
                self._proxy(process, connections)
        for process in kinds.get(MANAGER, ()):
            with self._gap(f"the ownership manager {process.pid}"):
                self._manager(process)
        for pool in self.pools.values():
            self._finish(pool)
        stray = [row.table for a, row in self.rows.items() if a not in self.claimed]
        pools = sorted(self.pools.values(), key=lambda pool: (pool.name, pool.pid.word))
        return Pools(pools, stray, self.problems + _unreadable(connections))

    def _is_unknown(self, process: Process) -> bool:
        """proc_lib leaves in the dictionary what it was given: is that what is missing?"""
        call = process.initial_call
        if call is not None and any(map(is_unreadable, call[:2])):
            return True
        if call is not None and (
            call[:2] != ("proc_lib", "init_p")
            or process.initial_call_source not in ("spawn", "unreadable")
        ):
            return False
        try:
            info = self.vm.native.process_info(process.address)
        except Error:
            return True
        lost = info["dictionary_size"] > len(info["dictionary"])
        return call is None or lost or "dictionary" in info["unknown"]

    @contextmanager
    def _gap(self, what: str) -> Iterator[None]:
        """What of it cannot be read is told, and the rest goes on."""
        try:
            yield
        except Error as error:
            self.problems.append(f"{what} was not read whole: {str(error).rstrip('.')}")

    # ---- timers ----------------------------------------------------------------------------

    def _read_timers(self, processes: list[Process]) -> None:
        if not processes:
            return
        found = timers.take(self.vm, [process.pid for process in processes])
        self.timers = {str(timer.ref): timer for timer in found.timers if timer.ref is not None}
        if found.gaps:
            self.problems.append(
                f"some timers were not read, so that times may be missing: {found.problem}"
            )

    def _set_deadline(self, connection: Connection, ref: Term | None) -> None:
        """What the timer says of a connection that is out: {timeout, Ref, {_, ..., Timeout}}, whose
        Timeout began when the client asked (from 2.0 on) or got it (1.x)."""
        connection.out_unknown = ""
        if ref is None or ref.kind != "ref":
            connection.out_unknown = "its client has no timeout"
            return
        timer = self.timers.get(str(ref))
        message = None if timer is None else element(timer.message, 2)
        if timer is None or message is None or message.kind != "tuple" or not len(message):
            connection.out_unknown = "the timer of its deadline does not run any more"
            return
        connection.deadline_ms = timer.remaining_ms
        timeout = integer(message[len(message) - 1])
        if timeout is None:
            connection.out_unknown = "the timer of its deadline is none that is known"
        else:
            connection.out_ns = max(0, timeout - timer.remaining_ms) * 10**6

    def _backoff_left(self, process: Process, ref: Term | None) -> int | None:
        """Of the library connection, whose state has the timer, or of a gen_statem with a timeout
        {timeout, backoff}."""
        timer = self.timers.get(str(ref)) if ref is not None and ref.kind == "ref" else None
        if timer is None and ref is None:
            timer = next((t for t in self.timers.values() if _is_backoff(t, process)), None)
        return None if timer is None else timer.remaining_ms

    # ---- holders ---------------------------------------------------------------------------

    def _read_holders(self) -> None:
        for table in self.vm.ets_tables:
            if table.name != HOLDER or table.is_deleting:
                continue
            with self._gap(f"the holder {table.ref}"):
                row = table.row()
                if row is not None and tagged(row.term, "conn") and len(row.term) in (7, 8):
                    # Fields that are not in the core fail here, and not in the middle of a connection.
                    list(row.term)
                    self.rows[table.address] = _Row(table, row)

    def _table(self, term: Term | None) -> EtsTable | None:
        return table_of(self.tables, term)

    # ---- pools -----------------------------------------------------------------------------

    def _pool(self, process: Process) -> None:
        found = otp_state(self.vm, process)
        pool = Pool(process.pid, process, self._name(process), "ConnectionPool", "")
        self.pools[process.pid.word] = pool
        state = found.data
        if state is None or state.kind != "tuple" or len(state) not in (3, 4):
            why = found.problem or "it is none that is known"
            pool.problems.append(f"the state of the pool {process.pid} was not read: {why}")
            return
        pool.status = atom(state[0]) or ""
        pool.release = "2.0.0 to 2.4.0" if len(state) == 3 else "2.4.1 to 2.4.3"
        for name in ("target", "interval", "idle_interval", "idle_limit", "delay"):
            number = integer(get(state[2], name))
            if number is not None:
                pool.settings[name] = number
        pool.settings["slow"] = atom(get(state[2], "slow")) == "true"
        self._queue(pool, self._table(state[1]), found)

    def _queue(self, pool: Pool, table: EtsTable | None, found: OtpState) -> None:
        """Rows are {{Time, Holder}} of the idle, and {{Time, Integer, {Pid, Ref}}} of the waiting
        (lib/db_connection/connection_pool.ex of 2.0.0 to 2.10.2)."""
        if table is None:
            pool.problems.append(f"the queue of the pool {pool.pid} is not among the tables")
            return
        rows = table.rows()
        for row in rows:
            with self._gap(f"a row of the queue of the pool {pool.pid}"):
                self._queue_row(pool, row.key)
        if rows.gaps:
            pool.problems.append(
                f"{rows.gaps:,} rows of the queue of the pool {pool.pid}: {rows.problem}"
            )

    def _queue_row(self, pool: Pool, key: Term) -> None:
        if key.kind != "tuple":
            return
        since = self._ago(_nanoseconds(element(key, 0)))
        pid = element(element(key, 2), 0)
        if len(key) == 3 and pid is not None:
            pool.waiting.append(self._client(pid, since))
        elif len(key) == 2 and since is not None:
            self.idle_ns[str(key[1])] = since

    def _ago(self, time: int | None) -> int | None:
        """Nanoseconds since a System.monotonic_time()."""
        if time is None or self.now is None or time > self.now + 10**9:
            return None
        return max(0, self.now - time)

    def _name(self, process: Process) -> str:
        """The registered name, or that of the nearest ancestor that has one, as db_connection's own
        messages name a pool."""
        if process.name:
            return process.name
        for ancestor in self._ancestors(process):
            name = atom(ancestor)
            if name is not None:
                return name
        return ""

    def _ancestors(self, process: Process) -> list[Term]:
        for key, value in self.vm.native.process_info(process.address)["dictionary"]:
            if atom(key) == "$ancestors" and value.kind == "cons" and value.is_proper_list():
                return list(value)
        return []

    def _pool_of(self, connection: Connection) -> Pool:
        pid = connection.pool_pid if connection.pool_pid is not None else connection.process.pid
        pool = self.pools.get(pid.word)
        if pool is None:
            process = self.vm.process(pid) if pid.kind == "pid" else None
            alone = pid.word == connection.process.pid.word
            name = self._name(process) if process is not None else ""
            pool = Pool(pid, process, name, "Connection" if alone else "", "")
            self.pools[pid.word] = pool
            if process is not None and process.initial_call == POOLBOY:
                pool.kind = "Poolboy"
                self._poolboy(pool, process)
            elif not alone and process is None:
                pool.problems.append(
                    f"the pool {pid} of the connection {connection.process.pid} is dead"
                )
        return pool

    def _poolboy(self, pool: Pool, process: Process) -> None:
        """#state{supervisor, workers, waiting, monitors, size, ...} of poolboy.erl: waiting is a
        queue of {From, Ref, Ref}."""
        found = otp_state(self.vm, process)
        state = found.data
        if not tagged(state, "state") or queue_length(element(state, 3)) is None:
            pool.problems.append(f"the state of poolboy {process.pid}: {found.problem}")
            return
        pool.pool_size = integer(element(state, 5))
        for entry in queue(element(state, 3)):
            pid = element(element(entry, 0), 0)
            if pid is not None:
                pool.waiting.append(self._client(pid, None))

    def _sojourn(self, process: Process) -> None:
        broker = sbroker.read(self.vm, process)
        pool = Pool(process.pid, process, self._name(process), "Sojourn", "", broker.state)
        self.pools[process.pid.word] = pool
        for name, value in (("timeout", broker.timeout_ms), ("max", broker.max)):
            if value is not None:
                pool.settings[name] = value
        for ask in broker.asks:
            pool.waiting.append(self._client(ask.pid, self._ago(ask.sent)))
        for bid in broker.bids:
            idle = self._ago(bid.sent)
            if idle is not None:
                self.idle_ns[str(bid.pid)] = idle
        if broker.problem:
            pool.problems.append(
                f"who waits for the pool {process.pid} is not known: {broker.problem}"
            )

    def _finish(self, pool: Pool) -> None:
        order = {"checked out": 0, "idle": 2, "disconnected": 3}
        pool.connections.sort(key=lambda c: (order.get(c.status, 1), c.process.pid.word))
        for connection in pool.connections:
            pool.waiting += connection.waiting
            pool.release = connection.release or pool.release
            pool.problems += connection.problems

    # ---- connections -----------------------------------------------------------------------

    def _connection(self, connection: Connection) -> None:
        process = connection.process
        found = otp_state(self.vm, process)
        data = found.data
        backoff_timer = None
        if data is not None and struct_name(data) == "Elixir.Connection":
            backoff_timer = get(data, "backoff")
            data = get(data, "mod_state")
        held = [row for row in self.rows.values() if row.connection.word == process.pid.word]
        if data is None or get(data, "mod") is None:
            why = found.problem or "it is none that is known"
            connection.problems.append(
                f"the state of the connection {process.pid} was not read: {why}"
            )
            if held:
                self._take_holder(connection, held[0])
                connection.pool_pid = held[0].table.heir
            return
        connection.module = atom(data["mod"]) or ""
        connection.pool_pid = get(data, "pool")
        state = get(data, "state")
        if state is not None and atom(state) is None and state.kind == "atom":
            state = None
        if state is not None:
            copy = self._copy("process", state, self._measure_in(process), process)
            connection.older += [] if copy is None else [copy]
        if not found.is_current:
            connection.problems.append(
                f"the connection {process.pid} was busy; of it, what it had before is shown"
            )
        connection.backoff = _backoff(get(data, "backoff"))
        connection.release = _release(found, data)
        if "pool" in data:
            self._new_connection(connection, get(data, "client"), held)
        else:
            self._old_connection(connection, data)
        if connection.status == "disconnected":
            connection.backoff_ms = self._backoff_left(process, backoff_timer)
        elif connection.status == "after connect":
            self._set_deadline(connection, get(data, "timer"))
        if connection.connected_ns is None:
            connection.connected_ns = self._ago(integer(get(data, "connected_at")))
        self._find_orphans(connection)

    def _new_connection(
        self, connection: Connection, client: Term | None, held: list[_Row]
    ) -> None:
        """2.x: client is closed, {Holder, pool}, {Ref, connect} or {Ref, after_connect}
        (lib/db_connection/connection.ex of 2.0.0 to 2.10.2)."""
        how = atom(element(client, 1))
        if atom(client) == "closed":
            connection.status = "disconnected"
        elif how == "pool":
            table = self._table(element(client, 0))
            row = self.rows.get(table.address) if table is not None else None
            if row is None:
                # While it pings, and before it notices that the pool took the holder away.
                connection.status = "busy"
                connection.take_own()
            else:
                self._take_holder(connection, row)
        elif how == "connect":
            connection.status = "connecting"
            connection.take_own()
        elif how == "after_connect":
            connection.status = "after connect"
            if held:
                self._take_holder(connection, held[0])
                connection.status = "after connect"
        elif client is not None:
            connection.problems.append(
                f"the client of {connection.process.pid} is none that is known"
            )

    def _take_holder(self, connection: Connection, row: _Row) -> None:
        """The owner of the holder has the connection."""
        table = row.table
        connection.holder = table
        connection.module = connection.module or row.module
        connection.holder_status = row.status
        connection.connected_ns = self._ago(row.connected)
        self.claimed.add(table.address)
        pool = connection.pool_pid or table.heir
        if pool is not None and table.owner.word == pool.word:
            connection.status = "idle"
            connection.idle_ns = self.idle_ns.get(str(table.ref))
        else:
            connection.status = "checked out"
            connection.client = self._client(table.owner, None, with_query=True)
            self._set_deadline(connection, row.deadline)
        connection.live = self._copy("holder", row.state, row.row.measure, connection.process)

    def _old_connection(self, connection: Connection, data: Term) -> None:
        """1.x: client is closed, nil, or {Ref, Monitor}; a checked-out state is with the client
        (lib/db_connection/connection.ex of 1.1.3)."""
        client = get(data, "client")
        pool = self._old_pool(connection, data)
        if pool is not None:
            connection.pool_pid = pool
        self._old_queue(connection, data)
        monitor = element(client, 1)
        if atom(client) == "closed":
            connection.status = "disconnected"
        elif client is not None and client.kind == "atom":
            connection.status = "idle"
            connection.take_own()
        elif monitor is not None and monitor.kind == "ref":
            connection.status = "checked out"
            self._set_deadline(connection, get(data, "timer"))
            self._find_old_client(connection, monitor)
        elif atom(monitor) in ("broker", "regulator"):
            connection.status = "idle" if atom(monitor) == "broker" else "connecting"
            connection.idle_ns = self.idle_ns.get(str(connection.process.pid))
            connection.take_own()
        elif atom(monitor) == "after_connect":
            connection.status = "after connect"
        else:
            connection.status = "connecting"
            connection.take_own()

    def _old_queue(self, connection: Connection, state: Term) -> None:
        """{{Ref, Monitor}, Timeout, {Pid, Tag}} each, which do not say since when."""
        for entry in queue(get(state, "queue")):
            pid = element(element(entry, 2), 0)
            if pid is not None:
                connection.waiting.append(self._client(pid, None))

    def _old_pool(self, connection: Connection, data: Term) -> Term | None:
        broker = get(data, "broker")
        if broker is not None and broker.kind == "pid":
            return broker
        for ancestor in self._ancestors(connection.process):
            # One that is registered is there by its name.
            if ancestor.kind == "pid":
                process = self.vm.process(ancestor)
            else:
                process = self.by_name.get(atom(ancestor) or "")
            if process is not None and process.initial_call == POOLBOY:
                return process.pid
        return None

    def _find_old_client(self, connection: Connection, monitor: Term) -> None:
        """The process behind the monitor, and the state that it has."""
        pid = self._monitored(connection.process, monitor)
        if pid is None:
            connection.problems.append(
                f"the client of {connection.process.pid} is not monitored any more"
            )
            return
        connection.client = self._client(pid, None, with_query=True)
        if connection.older:
            self._find_in_dictionary(connection, connection.older[0])

    def _monitored(self, process: Process, ref: Term | None) -> Term | None:
        """Whom a process monitors with a reference."""
        monitors = self.vm.native.process_info(process.address)["all_monitors"]
        found = (m["other"] for m in monitors if m["ref"] == ref and not m["is_target"])
        return next(found, None)

    def _find_in_dictionary(self, connection: Connection, stale: Copy) -> None:
        """{DBConnection, Ref} => {Status, State} of the client of 1.x (put_info/3,
        lib/db_connection.ex of 1.1.3)."""
        client = connection.client.process if connection.client is not None else None
        if client is None:
            return
        for key, value in self.vm.native.process_info(client.address)["dictionary"]:
            state = element(value, 1)
            if not tagged(key, "Elixir.DBConnection", 2) or state is None:
                continue
            # A client may have connections of several pools.
            if struct_name(state) == stale.content.struct and _same_socket(state, stale.term):
                measure = self._measure_in(client)
                connection.live = self._copy(
                    "client's dictionary", state, measure, connection.process
                )
                connection.holder_status = atom(element(value, 0)) or ""

    def _find_orphans(self, connection: Connection) -> None:
        """Tables of queries that the process owns, beside the one in its state."""
        driver = DRIVERS.get(connection.module)
        if driver is None or not driver.table_leak:
            return
        queries = connection.content.queries if connection.content is not None else None
        current = queries.table.address if queries is not None and queries.table else 0
        for table in self.by_owner.get(connection.process.pid.word, ()):
            if table.name == driver.struct and table.address != current and not table.is_deleting:
                connection.orphans.append(table)

    # ---- ownership -------------------------------------------------------------------------

    def _proxy(self, process: Process, connections: list[Connection]) -> None:
        """A proxy has checked out a connection for its owner, and hands it on to clients
        (lib/db_connection/ownership/proxy.ex of 1.0.0 to 2.10.2)."""
        found = otp_state(self.vm, process)
        state = found.data
        if state is None or state.kind != "map":
            self.problems.append(
                f"the state of the proxy {process.pid} was not read: {found.problem}"
            )
            return
        own = self._table(get(state, "holder"))
        row = self.rows.get(own.address) if own is not None else None
        if row is not None:
            self.claimed.add(row.table.address)
        connection = self._proxied(process, get(state, "pool_ref"), connections)
        if connection is None:
            return
        connection.proxy = process
        connection.owner = self._owner(process, state)
        self._set_ownership(connection, get(state, "ownership_timer"))
        connection.client = None
        connection.out_ns = connection.deadline_ms = None
        connection.out_unknown = ""
        if "conn_state" in state:
            self._old_hand_on(connection, process, state)
        else:
            self._hand_on(connection, process, state, row)
        if not found.is_current:
            connection.problems.append(
                f"the proxy {process.pid} was busy; of it, what it had before is shown"
            )

    def _proxied(
        self, process: Process, pool_ref: Term | None, connections: list[Connection]
    ) -> Connection | None:
        """{pool_ref, Pool, Reference, Deadline, Holder, Lock} from 2.0 on; of 1.x {Connection, Ref},
        of poolboy {Pool, Connection, {Connection, Ref}}."""
        if pool_ref is None or pool_ref.kind != "tuple":
            # It has not got one yet.
            return None
        if tagged(pool_ref, "pool_ref"):
            real = self._table(element(pool_ref, 4))
            return next((c for c in connections if real is not None and c.holder is real), None)
        pid = element(pool_ref, len(pool_ref) - 2)
        for connection in connections:
            client = connection.client
            if pid is None or connection.process.pid.word != pid.word or client is None:
                continue
            if client.pid.word == process.pid.word:
                return connection
        self.problems.append(
            f"the proxy {process.pid} has the connection {pid}, which is dead or not checked out by"
            " it any more"
        )
        return None

    def _owner(self, process: Process, state: Term) -> Term | None:
        """{Pid, Ref} from 2.0.6 on; before, only the reference of the monitor."""
        owner = get(state, "owner")
        if owner is not None:
            return element(owner, 0)
        return self._monitored(process, get(state, "owner_ref"))

    def _set_ownership(self, connection: Connection, ref: Term | None) -> None:
        """{timeout, Ref, {Proxy, Owner, Timeout}}, whose Timeout began when the owner came."""
        timer = self.timers.get(str(ref)) if ref is not None else None
        timeout = integer(element(element(timer.message, 2), 2)) if timer is not None else None
        if timer is not None and timeout is not None:
            connection.owned_ns = max(0, timeout - timer.remaining_ms) * 10**6
            connection.owner_left_ms = timer.remaining_ms

    def _hand_on(
        self, connection: Connection, process: Process, state: Term, row: _Row | None
    ) -> None:
        """From 2.0 on in a holder of the proxy's own."""
        for entry in queue(get(state, "queue")):
            pid = element(element(entry, 1), 0)
            if pid is not None:
                waits = self._ago(_nanoseconds(element(entry, 0)))
                connection.waiting.append(self._client(pid, waits))
        if row is None:
            return
        connection.holder_status = row.status
        if connection.live is not None:
            connection.older.insert(0, connection.live)
        connection.live = self._copy("proxy's holder", row.state, row.row.measure, process)
        if row.table.owner.word != process.pid.word:
            connection.client = self._client(row.table.owner, None, with_query=True)
            self._set_deadline(connection, row.deadline)

    def _old_hand_on(self, connection: Connection, process: Process, state: Term) -> None:
        """1.x: the proxy has the state, and its client {Pid, Ref, Monitor} meanwhile a newer one.  Who
        waits is as in the queue of a connection."""
        self._old_queue(connection, state)
        mine = get(state, "conn_state")
        copy = None
        if mine is not None:
            copy = self._copy("proxy", mine, self._measure_in(process), process)
        pid = element(get(state, "client"), 0)
        if pid is None:
            connection.live = copy
            return
        connection.client = self._client(pid, None, with_query=True)
        self._set_deadline(connection, get(state, "timer"))
        if copy is not None:
            connection.older.insert(0, copy)
            self._find_in_dictionary(connection, copy)

    def _manager(self, process: Process) -> None:
        found = otp_state(self.vm, process)
        inner = get(found.data, "pool")
        pool = self.pools.get(inner.word) if inner is not None else None
        if pool is not None:
            pool.kind = "Ownership"
            pool.name = self._name(process) or pool.name

    # ---- states of drivers -----------------------------------------------------------------

    def _measure_in(self, process: Process) -> Measure:
        return lambda term: self.vm.native.measure(process.address, term)

    def _copy(self, where: str, term: Term, measure: Measure, process: Process) -> Copy | None:
        if term.kind == "invalid":
            self.problems.append(
                f"the state of {process.pid} was not read whole: the {where} has {term}"
            )
            return None
        return Copy(where, term, measure, content(term, measure, self.tables))

    # ---- clients ---------------------------------------------------------------------------

    def _client(self, pid: Term, waits_ns: int | None, with_query: bool = False) -> Client:
        process = self.vm.process(pid)
        if process is None:
            return Client(pid, None, None, waits_ns)
        client = Client(pid, process, None, waits_ns)
        with self._gap(f"the stack of the client {pid}"):
            self._look_at(client, process, with_query)
        return client

    def _look_at(self, client: Client, process: Process, with_query: bool) -> None:
        """What it does, and the query on its stack."""
        execution = self.vm.native.execution(process.address)
        client.function = location(execution["current_function"])
        if with_query:
            for frame in frames(self.vm, process.address, execution):
                for _y, term in frame.slots:
                    struct = struct_name(term)
                    statement = get(term, "statement")
                    if struct and statement is not None and not client.query:
                        client.query, client.query_struct = statement_text(statement), struct


def _release(found: OtpState, data: Term) -> str:
    """Which releases of db_connection have such a process."""
    if "pool" not in data:
        return "up to 1.1.3"
    if "connected_at" in data:
        return "2.10.1 or later"
    if found.behaviour == "gen_statem":
        return "2.5.0 to 2.10.0"
    # The pool tells the others apart.
    return ""


def _nanoseconds(time: Term | None) -> int | None:
    """A System.monotonic_time() in nanoseconds or, far from what these can be, in milliseconds."""
    number = integer(time)
    if number is None:
        return None
    return number * 10**6 if abs(number) < 10**15 else number


def _is_backoff(timer: Timer, process: Process) -> bool:
    message = timer.message
    if timer.receiver is None or timer.receiver.word != process.pid.word:
        return False
    kind = element(message, 2)
    return tagged(kind, "timeout", 2) and atom(element(kind, 1)) == "backoff"


def _backoff(term: Term | None) -> str:
    """Of %DBConnection.Backoff{}: ``rand_exp, 1,000 to 30,000 ms``."""
    low, high, kind = integer(get(term, "min")), integer(get(term, "max")), atom(get(term, "type"))
    if low is None or high is None or kind is None:
        return ""
    return f"{safe(kind)}, {low:,} to {high:,} ms"


def _same_socket(state: Term, other: Term) -> bool:
    for name in ("sock", "client", "db", "connection_id"):
        mine, its = get(state, name), get(other, name)
        if mine is not None and its is not None:
            return mine == its
    return True


def _unreadable(connections: list[Connection]) -> list[str]:
    missing = sum(c.live.content.unreadable for c in connections if c.live is not None)
    missing += sum(
        c.live.content.cursors.unreadable
        for c in connections
        if c.live is not None and c.live.content.cursors is not None
    )
    if not missing:
        return []
    return [
        f"{missing:,} parts of the states of connections could not be read; what is told of them is too little"
    ]
