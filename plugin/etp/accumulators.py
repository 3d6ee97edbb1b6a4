# SPDX-License-Identifier: Apache-2.0
"""Large collections in processes and rows, put together by the path that leads to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .paths import ARROW, Path, Step
from .units import WORD

if TYPE_CHECKING:
    from _etp import Progress

    from .vm import VM


@dataclass
class Accumulator:
    """Collections of one kind, at one path, in holders of one kind."""

    #: "session_cache rows", or the registered name or initial call of the processes.
    where: str
    path: str
    kind: str
    #: How many such collections, and the elements (bytes of a binary) of all.
    collections: int = 0
    count: int = 0
    largest: int = 0
    words: int = 0
    binary_bytes: int = 0
    #: Addresses of the holders: processes, or tables.
    holders: set[int] = field(default_factory=set)
    #: The holder of the largest one, as "<0.1.0>" or a table's label.
    sample: str = ""

    @property
    def bytes(self) -> int:
        return self.words * WORD + self.binary_bytes


@dataclass
class Accumulators:
    items: list[Accumulator]
    #: Collections that were large, but not among the largest.
    more: int
    holders: int
    truncated: int
    unreadable: int
    complete: bool


def find(
    vm: VM, min_count: int, min_bytes: int, options: dict[str, Any], progress: Progress | None
) -> Accumulators:
    """All that is at least so large; ``options`` are those of Term.format(), for keys."""
    native = vm.native.accumulators(min_count, min_bytes, 5000, progress)
    groups: dict[tuple[str, str, str], Accumulator] = {}
    for item in native["items"]:
        where, sample = _holder(vm, item)
        path = pattern(Path.of(item["path"]), options)
        key = (where, path, item["kind"])
        group = groups.setdefault(key, Accumulator(where, path, item["kind"]))
        group.collections += 1
        group.count += item["count"]
        group.words += item["words"]
        group.binary_bytes += item["binary_bytes"]
        group.holders.add(item["holder"])
        if item["count"] > group.largest:
            group.largest = item["count"]
            group.sample = sample
    items = sorted(groups.values(), key=lambda group: -group.bytes)
    return Accumulators(
        items,
        native["more"],
        native["holders"],
        native["truncated"],
        native["unreadable"],
        native["complete"],
    )


def pattern(path: Path, options: dict[str, Any]) -> str:
    """The path without what differs from one instance to the next: positions in lists and on
    the stack, and keys that are no atoms."""
    parts = [path.root.replace("_", " ")]
    if path.root == "dictionary" and path.root_key is not None:
        parts.append(_key(path.root_key, options))
    if path.root == "term":
        parts = []
    for step in path.steps:
        if step.kind == "list":
            parts.append("[*]")
        elif step.kind in ("value", "key"):
            prefix = "key " if step.kind == "key" else ""
            parts.append(prefix + _key(step.key, options))
        elif step.kind != "original":
            parts.append(Step(step.kind, step.index, None).text(options))
    return ARROW.join(parts) or "the row"


def _key(key: Any, options: dict[str, Any]) -> str:
    return str(key.format(**options)) if key is not None and key.kind == "atom" else "*"


def _holder(vm: VM, item: dict[str, Any]) -> tuple[str, str]:
    if item["place"] == "ets":
        table = vm.ets_tables.at(item["holder"])
        label = table.label if table else f"{item['holder']:#x}"
        return f"rows of {label}", label
    facts = vm.native.process(item["holder"])
    if facts is None:
        return "?", f"{item['holder']:#x}"
    process = vm.process(facts["pid"])
    return (process.label if process else "") or "?", str(facts["pid"])
