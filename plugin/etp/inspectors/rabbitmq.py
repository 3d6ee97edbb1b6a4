# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ's channels and classic queues.

From rabbit_channel.erl, rabbit_amqqueue_process.erl and rabbit_variable_queue.erl of 3.10.8, 3.13.7
and 4.0.5, in which the fields below stand at the same places; other records are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Union

from ..text import plural
from .base import Inspector, Seen, element, integer, register, size, tagged

if TYPE_CHECKING:
    from _etp import Term

UNACKED_MAX = 10_000
"""Deliveries that one channel has not acknowledged."""

READY_MAX = 100_000
"""Messages of a queue that wait for a consumer."""


def _pending(term: Term | None) -> int | None:
    """Entries of a gb_tree {Size, Tree}, or of a map."""
    if term is None:
        return None
    return size(term) if term.kind == "map" else integer(element(term, 0))


def _backing_queues(state: Term | None) -> Iterator[Term]:
    """States of rabbit_variable_queue, which rabbit_priority_queue.erl has one of, in #passthrough{bq,
    bqs}, or one a priority, in #state{bq, bqss, max_priority}."""
    if tagged(state, "passthrough", 3):
        state = element(state, 2)
    if state is None:
        return
    parts = element(state, 2) if tagged(state, "state", 4) else None
    if parts is not None and parts.kind == "cons" and parts.is_proper_list():
        for pair in parts:
            part = element(pair, 1)
            if part is not None:
                yield part
    else:
        yield state


def _sum(numbers: Iterable[int | None]) -> int | None:
    found = list(numbers)
    return None if None in found else sum(number or 0 for number in found)


def _resource(term: Term | None) -> tuple[Union[str, None], Union[str, None]]:
    """(name, virtual host) of {resource, VirtualHost, Kind, Name}."""
    if not tagged(term, "resource", 4):
        return None, None
    return _binary(element(term, 3)), _binary(element(term, 1))


def _binary(term: Term | None) -> str | None:
    if term is None or term.kind != "bitstring":
        return None
    return term.bytes(200).decode("utf-8", "replace")


@register
class Channels(Inspector):
    name = "rabbit_channel"
    summary = "Channels of RabbitMQ: what their clients have not acknowledged or confirmed."
    modules = ("rabbit_channel",)
    sort = "unacked"

    def inspect(self, seen: Seen) -> dict[str, object]:
        # #ch{cfg, limiter, tx, next_tag, unacked_message_q, queue_monitors, consumer_mapping,
        #     queue_consumers, stats_timer, confirm_enabled, publish_seqno, unconfirmed, ...}
        if not tagged(seen.state, "ch", 21):
            return {"problem": "its state is not that of a release that is known"}
        return {
            "connection": _binary(seen.at(1, 7)),
            "channel": integer(seen.at(1, 3)),
            "consumers": size(seen.at(7)),
            "unacked": seen.count(5),
            # #rabbit_confirms{smallest, unconfirmed}
            "unconfirmed": size(seen.at(12, 2)),
            "state_bytes": seen.bytes(),
        }

    def suspicions(self, seen: Seen, facts: dict[str, object]) -> Iterator[str]:
        unacked = facts.get("unacked")
        if isinstance(unacked, int) and unacked >= UNACKED_MAX:
            yield (
                f"{plural(unacked, 'delivery', 'deliveries')} were not acknowledged: does its"
                " consumer have a prefetch, and does it acknowledge?"
            )


@register
class Queues(Inspector):
    name = "rabbit_queue"
    summary = "Classic queues of RabbitMQ: messages that are ready and unacknowledged."
    modules = ("rabbit_amqqueue_process", "rabbit_prequeue")
    sort = "ready"

    def inspect(self, seen: Seen) -> dict[str, object]:
        # #q{q, active_consumer, has_had_consumers, backing_queue, backing_queue_state, consumers, ...}
        if not tagged(seen.state, "q", 26):
            return {"problem": "its state is not that of a release that is known"}
        name, host = _resource(seen.at(1, 1))
        facts: dict[str, object] = {"queue": name, "vhost": host}
        parts = list(_backing_queues(seen.at(5)))
        if not parts or not all(tagged(part, "vqstate") for part in parts):
            return {**facts, "problem": "its messages are in a queue of another kind"}
        return {
            **facts,
            # #vqstate{..., ram_pending_ack, disk_pending_ack, qi_pending_ack, ..., len, bytes, ...}
            "ready": _sum(integer(element(part, 18)) for part in parts),
            "unacked": _sum(
                _pending(element(part, at)) or 0 for part in parts for at in (8, 9, 10)
            ),
            "ready_bytes": _sum(integer(element(part, 19)) for part in parts),
            "unacked_bytes": _sum(integer(element(part, 20)) for part in parts),
            "state_bytes": seen.bytes(),
        }

    def suspicions(self, seen: Seen, facts: dict[str, object]) -> Iterator[str]:
        ready = facts.get("ready")
        if isinstance(ready, int) and ready >= READY_MAX:
            yield f"{plural(ready, 'message')} wait for a consumer: has the queue one, and a limit?"
