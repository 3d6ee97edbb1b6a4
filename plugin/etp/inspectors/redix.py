# SPDX-License-Identifier: Apache-2.0
"""Connections of Redix.

From lib/redix/connection.ex of 0.10.4, 1.0.0 and 1.5.2: a gen_statem whose state is connecting,
connected or disconnected; `table` has a row for each command that waits for its reply,
{counter, from, ncommands, timed_out?}.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..text import plural, safe
from .base import Inspector, Seen, atom, integer, register, struct_name

PENDING_MAX = 1000
"""Commands that wait for a reply."""


@register
class Redix(Inspector):
    name = "redix"
    summary = "Connections of Redix: commands that wait for a reply."
    modules = ("Elixir.Redix.Connection",)
    sort = "pending"

    def inspect(self, seen: Seen) -> dict[str, object]:
        if struct_name(seen.state) != "Elixir.Redix.Connection":
            return {"problem": "its state is not that of a release that is known"}
        table = seen.at("table")
        pending = next((t.size for t in seen.vm.ets_tables if t.ref == table), None)
        backoff = seen.at("backoff_current")
        return {
            "state": safe(atom(seen.found.state_name) or ""),
            "address": safe(seen.text("connected_address") or ""),
            "pending": pending,
            "sent": seen.at("counter") and integer(seen.at("counter")),
            "backoff_ms": integer(backoff),
        }

    def suspicions(self, seen: Seen, facts: dict[str, object]) -> Iterator[str]:
        pending = facts.get("pending")
        if isinstance(pending, int) and pending >= PENDING_MAX:
            yield f"{plural(pending, 'command')} wait for a reply: is the server slow, or a command blocking?"
        if facts.get("state") == "disconnected":
            yield "It is disconnected."
