# SPDX-License-Identifier: Apache-2.0
"""Pools of NimblePool, which Finch is built on.

From lib/nimble_pool.ex of 0.1.0, 0.2.6 and 1.1.0: `requests` has {pid, monitor, :command, ...} of
callers that wait and {pid, monitor, :state, ...} of those that have a resource, `resources` is a
queue of the idle ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..text import plural, safe
from .base import Inspector, Seen, atom, element, integer, register, size


@register
class NimblePools(Inspector):
    name = "nimble_pool"
    summary = "Pools of NimblePool (Finch has one a host): idle, checked out, waiting."
    modules = ("Elixir.NimblePool",)
    sort = "waiting"

    def inspect(self, seen: Seen) -> dict[str, object]:
        requests = seen.at("requests")
        if requests is None or requests.kind != "map":
            return {"problem": "its state is not that of a release that is known"}
        kinds = {"command": 0, "state": 0}
        for request in requests.values():
            kind = atom(element(request, 2)) or ""
            if kind in kinds:
                kinds[kind] += 1
        worker = atom(seen.at("worker")) or ""
        return {
            "worker": safe(worker.replace("Elixir.", "", 1)),
            "idle": seen.count("resources"),
            "out": kinds["state"],
            "waiting": kinds["command"],
            "starting": size(seen.at("async")),
            # Not yet started, of a lazy pool.
            "lazy": integer(seen.at("lazy")),
        }

    def suspicions(self, seen: Seen, facts: dict[str, object]) -> Iterator[str]:
        waiting, out = facts.get("waiting"), facts.get("out")
        if isinstance(waiting, int) and waiting and not facts.get("idle") and not facts.get("lazy"):
            yield f"All {out} are checked out, and {plural(waiting, 'caller waits', 'callers wait')}."
