# SPDX-License-Identifier: Apache-2.0
"""Who holds a binary or a term, and how one gets there from what holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .census import ROOT_LABELS, Holder, HolderKind
from .text import safe

if TYPE_CHECKING:
    from _etp import EtsRow, Term

    from .vm import VM

ARROW = " -> "
ROWS_SHOWN = 3
"""Rows of one table for which a path is told."""


@dataclass(frozen=True)
class Step:
    """One step of a path; include/etp/path.h says what the kinds mean."""

    kind: str
    index: int
    key: Term | None

    def text(self, options: dict[str, Any]) -> str:
        if self.kind == "element":
            return f"{{{self.index + 1}}}"
        if self.kind == "list":
            return f"[{self.index}]"
        if self.kind == "tail":
            return f"[{self.index}..]"
        if self.kind == "environment":
            return f"fun({self.index})"
        if self.kind == "original":
            return "part of"
        if self.kind == "external_format":
            return "external format"
        if self.kind == "further":
            return "..."
        key = "?" if self.key is None else self.key.format(**options)
        return f"key {key}" if self.kind == "key" else key


@dataclass(frozen=True)
class Path:
    """From a root of the holder to the target."""

    root: str
    root_index: int
    root_key: Term | None
    steps: tuple[Step, ...]
    #: None behind a step "external_format", and where a row of a compressed table was looked at and
    #: is forgotten.
    target: Term | None
    #: Of the root "signal": "exit", "monitor_down" ...
    signal: str = ""

    @staticmethod
    def of(facts: dict[str, Any]) -> Path:
        return Path(
            root=facts["root"],
            root_index=facts["root_index"],
            root_key=facts["root_key"],
            steps=tuple(Step(*step) for step in facts["steps"]),
            target=facts["target"],
            signal=facts["root_signal"],
        )

    def text(self, options: dict[str, Any]) -> str:
        """``dictionary -> cache -> [17] -> "body"``; options are those of Term.format()."""
        root = self.root.replace("_", " ")
        if self.root == "dictionary" and self.root_key is not None:
            parts = [root, self.root_key.format(**options)]
        elif self.root == "term":
            parts = []
        elif self.root in ("message", "message_in_transit"):
            parts = [f"{root} {self.root_index + 1}"]
        elif self.root in ("stack", "register", "saved_argument"):
            parts = [f"{root} {self.root_index}"]
        elif self.root == "signal":
            parts = [f"signal {self.signal}"]
        else:
            parts = [root]
        # A sub-binary and what it is a part of are one thing to whoever reads this.
        parts += [step.text(options) for step in self.steps if step.kind != "original"]
        return ARROW.join(parts)


@dataclass(frozen=True)
class Holding:
    """A holder and the paths in it; no path: only garbage refers to the target."""

    kind: HolderKind
    address: int
    #: "<0.1.0> name", a table's label, a persistent term's key, a module.
    label: str
    refs: int
    paths: tuple[Path, ...]
    #: Key of the row that the paths start from.
    row: EtsRow | None = None
    #: References from further rows of the table, for which no path was sought.
    more_refs: int = 0
    truncated: bool = False
    unreadable: int = 0
    #: "running" or "in GC": a way may lead from registers, which are not known, or none be found
    #: because things are being moved. "in a BIF": one that is to go on has terms of its own.
    doubt: str = ""


def holdings_of_binary(
    vm: VM, binary: dict[str, Any], options: dict[str, Any], max_paths: int = 1
) -> Iterator[Holding]:
    """All holders of a binary as the census gives it (_etp.Census.binary()); ``options`` are those
    of Term.format(), for keys of persistent terms."""
    target = binary["address"]
    for kind, address, refs, term in binary["holders"]:
        if kind == "process":
            found = vm.native.paths_in_process(address, target, max_paths)
            yield _holding(kind, address, _process_label(vm, address), refs, found)
        elif kind == "ets":
            yield from _in_table(vm, address, refs, target, max_paths)
        elif kind == "timer" or kind == "port":
            label = Holder(kind, address, refs, term).label(vm)
            search = vm.native.paths_in_timer if kind == "timer" else vm.native.paths_in_port
            yield _holding(kind, address, label, refs, search(address, target, max_paths))
        elif kind in ROOT_LABELS:
            label = Holder(kind, address, refs, term).label(vm)
            yield Holding(kind, address, label, refs, ())
        else:
            yield _in_literals(vm, kind, address, refs, term.format(**options), target, max_paths)


def holdings_of_term(vm: VM, address: int, max_paths: int = 1) -> Iterator[Holding]:
    """The holder of the thing or cons cell at an address; heaps share nothing, so it is one."""
    place = vm.native.place_of(address)
    if place is None:
        return
    kind, holder, dbterm = place
    if kind == "process":
        found = vm.native.paths_in_process(holder, address, max_paths)
        yield _holding("process", holder, _process_label(vm, holder), 1, found)
        return
    table = vm.ets_tables.at(holder)
    for row in vm.native.ets_rows(holder):
        if row.address == dbterm:
            label = table.label if table else f"{holder:#x}"
            yield _holding("ets", holder, label, 1, row.paths(address, max_paths), row)


def _holding(
    kind: HolderKind,
    address: int,
    label: str,
    refs: int,
    found: dict[str, Any],
    row: EtsRow | None = None,
    more_refs: int = 0,
) -> Holding:
    paths = tuple(Path.of(path) for path in found["paths"])
    doubts = {"in_gc": "in GC", "gc_disabled": "in a BIF", "running": "running"}
    doubt = next((text for key, text in doubts.items() if found[key]), "")
    truncated, unreadable = found["truncated"], found["unreadable"]
    return Holding(kind, address, label, refs, paths, row, more_refs, truncated, unreadable, doubt)


def _process_label(vm: VM, address: int) -> str:
    facts = vm.native.process(address)
    if facts is None:
        return f"{address:#x}"
    process = vm.process(facts["pid"])
    return f"{facts['pid']} {process.label if process else ''}".rstrip()


def _in_table(vm: VM, address: int, refs: int, target: int, max_paths: int) -> Iterator[Holding]:
    table = vm.ets_tables.at(address)
    label = table.label if table else f"{address:#x}"
    shown = 0
    for row in vm.native.ets_rows(address):
        count = row.binaries().count(target)
        if not count:
            continue
        shown += 1
        refs -= count
        last = refs <= 0 or shown == ROWS_SHOWN
        found = row.paths(target, max_paths)
        yield _holding("ets", address, label, count, found, row, max(refs, 0) if last else 0)
        if last:
            return


def _in_literals(
    vm: VM, kind: HolderKind, address: int, refs: int, name: str, target: int, max_paths: int
) -> Holding:
    if kind == "module":
        label = f"literals of {safe(name)}"
        return Holding(kind, address, label, refs, ())
    found = vm.native.paths_in_literals(address, target, max_paths)
    # The area starts with {Key, Value}; what matters is the way from the value.
    for path in found["paths"]:
        del path["steps"][:1]
    return _holding(kind, address, f"persistent term {safe(name)}", refs, found)
