# SPDX-License-Identifier: Apache-2.0
"""From where on a number is suspicious: all in one place.

They are chosen so that an ordinary busy VM is clean: each needs both an amount that matters and a
share that ordinary use does not reach.  ``--explain`` of etp-ets-leaks, etp-db-connections and
etp-hung prints theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..units import MIB


@dataclass(frozen=True)
class Thresholds:
    #: Rows pin binaries: at least so many bytes that no row sees, and such a share of the bytes
    #: that the table keeps in memory.
    pin_bytes: int = 1 * MIB
    pin_share: float = 0.5

    #: Rows keyed by pids of dead processes: at least so many, and such a share of the rows that
    #: are keyed by a dead pid or hold a live one.  A few are normal: cleaning up takes a moment.
    dead_key_rows: int = 100
    dead_key_share: float = 0.2

    #: Rows that hold dead pids (or alias references) elsewhere than in the key: history may well
    #: be kept on purpose, so more is asked.
    dead_rows: int = 500
    dead_share: float = 0.5

    #: One table has such a share of the memory (or rows) of all ETS, and at least so much.
    dominating_share: float = 0.5
    dominating_bytes: int = 16 * MIB
    dominating_rows: int = 100_000
    #: If one of its rows has such a share of it, that row is shown.
    largest_row_share: float = 0.1

    #: So many tables of one name or of one owner.  An empty table costs about
    #: 2.5 KiB.  Pools of connections have some dozens.
    swarm_tables: int = 200

    #: Rows that were deleted while the table was fixed, and wait for the fixation to end.
    fixed_rows: int = 1000
    fixed_bytes: int = 1 * MIB
    #: An older fixation is suspicious with a tenth of that.
    fixed_seconds: int = 300

    #: Tables of a shell, or of a process that nobody supervises, are suspicious from this size on.
    shell_bytes: int = 16 * MIB
    stray_bytes: int = MIB // 2

    #: A table that its heir got is suspicious from so many rows on.
    inherited_rows: int = 100


@dataclass(frozen=True)
class DbThresholds:
    """Of etp-db-connections."""

    #: Cursors on idle connections: nobody can use them any more.  A driver that is not known to leak
    #: may leave a few behind.
    idle_cursors: int = 10
    #: Cursors on a connection that is checked out: a client has a few streams at a time.
    busy_cursors: int = 100

    #: Tables that reconnects left behind, of a driver that is not known to do so.
    orphan_tables: int = 10

    #: Statements that one connection caches.
    cached_queries: int = 5000

    #: A buffer, a last result, or another part of a connection's state.
    part_bytes: int = 1 * MIB

    #: Callers that wait while no connection is idle are suspicious when they are as many as there are
    #: connections, or one has waited for longer than the pool's queue_target or this.
    wait_ms: int = 1000


@dataclass(frozen=True)
class HungThresholds:
    """Of etp-hung."""

    #: A scheduler that executes the same for so long.  A process is scheduled out after 4000
    #: reductions, mostly within a millisecond, and a NIF should return as soon; but a host that is
    #: short of processors may keep a thread from running for tenths of a second.
    stuck_ms: int = 1000

    #: Callers behind one process: that many wait for a server now and then that does nothing but
    #: answer.
    callers: int = 200
    #: Callers behind one that does not get to answer: it waits for something else itself, collects
    #: a large heap, or stands still.  A server that asks a database has a few.
    stalled_callers: int = 30
    #: Callers behind one of the processes that everything rests on: code_server, erl_prim_loader,
    #: application_controller, kernel_sup, init, logger and its handlers, user.
    system_callers: int = 3

    #: Heap of a process that collects garbage while somebody waits for it.  To copy a gigabyte takes
    #: about a second.
    collected_bytes: int = 32 * MIB

    #: Messages in one mailbox.  Each receive that takes none of them looks at all of them.
    mailbox: int = 100_000
    #: The same while the process waits for something else, such as the answer to a call.
    waiting_mailbox: int = 10_000
    #: The same when its receive has looked at the share below of them: nobody takes them.
    unmatched: int = 2_000
    #: Share of them that a receive has looked at and left, for a selective receive.
    selective_share: float = 0.9

    #: Messages of a process that traces others: it takes microseconds to format one.
    traced: int = 10_000
    #: Messages of a handler of logger in async mode: it should be in another by then.
    logged: int = 10_000

    #: Timers that are due within a second.  To serve so many takes one scheduler about a tenth of it.
    timers_a_second: int = 50_000

    #: Processes that wait in run queues, for each scheduler that is online: at a millisecond each, a
    #: message is answered after so many milliseconds.
    run_queue: int = 500

    #: Processes that exit: it takes a moment, or longer where large tables go with them.
    exiting: int = 100

    #: Share of the limit on atoms, processes or ports.  Atoms are never freed.
    table_share: float = 0.9

    #: Share of the memory that the VM may have at all, or of files that it may open.
    memory_share: float = 0.9


@dataclass(frozen=True)
class TimerThresholds:
    """Of etp-timers."""

    #: So many for one process: it may never cancel them.
    storm_timers: int = 1000
    #: A scheduler that works gets round to a timer within milliseconds.
    overdue_ms: int = 1000


THRESHOLDS = Thresholds()
DB_THRESHOLDS = DbThresholds()
HUNG_THRESHOLDS = HungThresholds()
TIMER_THRESHOLDS = TimerThresholds()
