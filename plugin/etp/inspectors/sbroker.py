# SPDX-License-Identifier: Apache-2.0
"""The queues of an sbroker, the pool of DBConnection.Sojourn: who asks, and who bids.

From sbroker.erl and sbroker_*_queue.erl of 1.0.0.  The broker is no gen_server: its loop is
``idle_recv(State, Timeout, Time, Asks, Bids, Config)``, where State tells which of the two queues may
have entries.  Of the queues, Asks and Bids are the states of the modules that the configuration
names; those of sbroker end with their length and a queue of {SendTime, From, Value, Monitor}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..otp.frames import frames
from ..otp.roles import is_atom, is_record
from .base import element, integer, queue, queue_length, tagged

if TYPE_CHECKING:
    from _etp import Term

    from ..vm import VM, Process

LOOP = ("sbroker", "idle_recv", 6)

KEYS_MAX = 10_000
"""Queues of an sbroker_fair_queue that are looked at."""


@dataclass(frozen=True)
class Entry:
    """One that waits in a queue."""

    pid: Term
    #: What it came with: of DBConnection, {Pid, Timeout}, and {Connection, Module, State}.
    value: Term
    #: erlang:monotonic_time() of when it came.
    sent: int | None


@dataclass
class Broker:
    #: "asking" or "bidding".
    state: str = ""
    #: Callers that wait, and connections that nobody waits for.
    asks: list[Entry] = field(default_factory=list)
    bids: list[Entry] = field(default_factory=list)
    #: Of the callers' queue: milliseconds after which one is dropped, and how many it has room for.
    timeout_ms: int | None = None
    max: int | None = None
    problem: str = ""


def read(vm: VM, process: Process) -> Broker:
    """What a broker's stack has, while it waits for a message."""
    broker = Broker()
    execution = vm.native.execution(process.address)
    stack = [] if execution["problem"] else frames(vm, process.address, execution)
    if not stack or stack[0].function != LOOP:
        where = execution["problem"] or (stack[0].text if stack else "nowhere")
        broker.problem = f"the broker {process.pid} does not wait in its loop: it is in {where}"
        return broker
    found = _arguments([term for _y, term in stack[0].slots])
    if found is None:
        broker.problem = f"the registers of the broker {process.pid} are not what is expected there"
        return broker
    state, asks, bids = found
    broker.state = str(state.value())
    _read_queue(broker, asks, broker.asks, "callers")
    _read_queue(broker, bids, broker.bids, "connections")
    if tagged(asks, "state", 9):
        # #state{out, timeout, drop, min, max, timeout_next, len, queue} of sbroker_timeout_queue.
        native = integer(asks[2])
        broker.timeout_ms = None if native is None else native // 10**6
        broker.max = integer(asks[5])
    return broker


def _arguments(terms: list[Term]) -> tuple[Term, Term, Term] | None:
    """State, Asks and Bids: arguments keep their order among the registers, forwards or backwards,
    and the queues stand between #time{} and #config{}."""
    for ordered in (terms, terms[::-1]):
        times = [i for i, term in enumerate(ordered) if is_record(term, "time", 6)]
        configs = [i for i, term in enumerate(ordered) if is_record(term, "config", 6)]
        states = [term for term in ordered if is_atom(term, "asking", "bidding")]
        if len(times) == len(configs) == len(states) == 1 and configs[0] - times[0] == 3:
            return states[0], ordered[times[0] + 1], ordered[times[0] + 2]
    return None


def _read_queue(broker: Broker, state: Term, entries: list[Entry], whose: str) -> None:
    for part in _parts(state):
        if part is None:
            broker.problem = f"of the queue of {whose}, only {KEYS_MAX:,} parts were looked at"
            break
        count = len(part)
        length = integer(part[count - 2]) if count > 2 else None
        if not tagged(part, "state") or length is None or queue_length(part[count - 1]) != length:
            broker.problem = f"the queue of {whose} is none that is known"
            continue
        for item in queue(part[count - 1]):
            pid = element(element(item, 1), 0)
            value = element(item, 2)
            if pid is not None and value is not None:
                entries.append(Entry(pid, value, integer(element(item, 0))))


def _parts(state: Term) -> Iterator[Term | None]:
    """The state of one queue; of an sbroker_fair_queue, that of each of its queues: #state{module,
    index, args, robin, remove_time, next, empties, queues}; None: there are more."""
    inner = element(state, 8)
    if not tagged(state, "state", 9) or inner is None or inner.kind != "map":
        if state.kind == "tuple":
            yield state
        return
    for number, (_key, part) in enumerate(inner.items()):
        if number == KEYS_MAX:
            yield None
            return
        yield part


__all__ = ["Broker", "Entry", "read"]
