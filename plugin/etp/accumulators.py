# SPDX-License-Identifier: Apache-2.0
"""Large collections in processes, rows and persistent terms, by the path that leads to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .paths import ARROW, Path, Step
from .text import safe
from .units import WORD

if TYPE_CHECKING:
    from _etp import Progress

    from .vm import VM


@dataclass
class Accumulator:
    """Collections of one kind, at one path, in holders of one kind."""

    #: "rows of session_cache", "persistent term routing", or the registered name or initial call
    #: of the processes.
    where: str
    path: str
    kind: str
    #: How many such collections, and the elements (bytes of a binary) of all.
    collections: int = 0
    count: int = 0
    largest: int = 0
    words: int = 0
    binary_bytes: int = 0
    #: Processes, or tables.
    holders: int = 0
    #: The holder of the largest one, as "<0.1.0>" or a table's label.
    sample: str = ""

    @property
    def bytes(self) -> int:
        return self.words * WORD + self.binary_bytes


@dataclass
class Accumulators:
    items: list[Accumulator]
    #: Looked at; of the rows, those that are large enough.
    processes: int
    rows: int
    small_rows: int
    persistent_terms: int
    #: Processes with as many messages as a large collection has elements, and these messages.
    mailboxes: int
    messages: int
    truncated: int
    unreadable: int
    #: About the table of persistent terms, or "".
    problem: str
    complete: bool


def find(
    vm: VM, min_count: int, min_bytes: int, options: dict[str, Any], progress: Progress | None
) -> Accumulators:
    """All that is at least so large; ``options`` are those of Term.format(), for keys."""
    groups: dict[tuple[str, str, str], Accumulator] = {}

    def add(item: dict[str, Any]) -> None:
        where, sample = _holder(vm, item, options)
        path = Path.of(item["path"])
        text = pattern(path, options)
        if item["place"] == "persistent_term":
            text = _in_persistent_term(path, options)
        key = (where, text, item["kind"])
        group = groups.setdefault(key, Accumulator(where, text, item["kind"]))
        group.collections += item["collections"]
        group.count += item["count"]
        group.words += item["words"]
        group.binary_bytes += item["binary_bytes"]
        group.holders += 1
        if item["largest"] > group.largest:
            group.largest = item["largest"]
            group.sample = sample

    sums = vm.native.accumulators(add, min_count, min_bytes, progress)
    return Accumulators(sorted(groups.values(), key=lambda group: -group.bytes), **sums)


def pattern(path: Path, options: dict[str, Any]) -> str:
    """The path in words, without positions in lists and keys that are no atoms."""
    parts = [] if path.root == "term" else [path.root.replace("_", " ")]
    for step in path.steps:
        if step.kind in ("list", "tail"):
            parts.append("[*]" if step.kind == "list" else "[*..]")
        elif step.kind in ("value", "key"):
            prefix = "key " if step.kind == "key" else ""
            parts.append(prefix + _key(step.key, options))
        else:
            parts.append(Step(step.kind, step.index, None).text(options))
    return ARROW.join(parts) or "the row"


def _in_persistent_term(path: Path, options: dict[str, Any]) -> str:
    """Its area starts with {Key, Value}; what matters is the way from the value."""
    inner = replace(path, steps=path.steps[1:])
    return pattern(inner, options) if inner.steps else "the term"


def _key(key: Any, options: dict[str, Any]) -> str:
    return "*" if key is None else str(key.format(**options))


def _holder(vm: VM, item: dict[str, Any], options: dict[str, Any]) -> tuple[str, str]:
    if item["place"] == "persistent_term":
        label = f"persistent term {safe(item['key'].format(**options))}"
        return label, label
    if item["place"] == "ets":
        table = vm.ets_tables.at(item["holder"])
        label = table.label if table else f"{item['holder']:#x}"
        return f"rows of {label}", label
    facts = vm.native.process(item["holder"])
    if facts is None:
        return "?", f"{item['holder']:#x}"
    process = vm.process(facts["pid"])
    return (process.label if process else "") or "?", str(facts["pid"])
