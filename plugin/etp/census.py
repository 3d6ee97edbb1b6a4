# SPDX-License-Identifier: Apache-2.0
"""The census: who holds which binary, and what of each heap is alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from .ets import TableScan
from .text import safe
from .units import WORD

if TYPE_CHECKING:
    import _etp
    from _etp import Term

    from .vm import VM

RootKind = Literal["timer", "port", "dist_output", "dist_input", "magic", "trap", "trace_session"]
HolderKind = Literal["ets", "process", "persistent_term", "module", RootKind]
Sort = Literal["size", "waste", "visible", "refc", "refs", "address"]


ROOT_LABELS: dict[RootKind, str] = {
    "timer": "timer for",
    "port": "port",
    "dist_output": "output to",
    "dist_input": "fragments from",
    "magic": "distribution send of",
    "trap": "being built by",
    "trace_session": "trace session",
}


@dataclass(frozen=True)
class Holder:
    """Somebody who refers to a binary."""

    kind: HolderKind
    #: Of the Process, DbTable, ErtsLiteralArea, ErtsBifTimer, Port, DistEntry, magic Binary or
    #: ErtsTraceSession.
    address: int
    refs: int
    #: Key of a persistent term, name of a module, receiver of a timer's message, the port, name of
    #: another node, pid of who sends to one or is in the middle of a BIF, name of a trace session.
    term: Term | None

    def label(self, vm: VM, redact: bool = False) -> str:
        """``<0.1.0> name``, the name of a table, ``timer for <0.1.0>`` ..."""
        if self.kind == "process":
            process = vm.process(self.address)
            return f"{process.pid} {process.label}".rstrip() if process else f"{self.address:#x}"
        if self.kind == "ets":
            table = vm.ets_tables.at(self.address)
            return f"table {table.label}" if table else f"table {self.address:#x}"
        text = "?" if self.term is None else safe(self.term.format(max_length=8, max_string=40))
        if self.kind == "persistent_term":
            return "persistent term" if redact else f"persistent term {text}"
        if self.kind == "module":
            return f"literals of {text}"
        if self.kind == "magic" and self.term is None:
            return "match specification"
        if self.kind == "trap":
            return f"being built by {text} in {_current_function(vm, self.term)} (a guess)"
        return f"{ROOT_LABELS[self.kind]} {text}"


def _current_function(vm: VM, pid: Term | None) -> str:
    """Of a process that was interrupted in the middle of a BIF, the function by which it goes on."""
    from .code import execution

    process = None if pid is None else vm.process(pid)
    function = execution(vm, process).current_function if process else None
    return function.name("erlang") if function else "a BIF"


ORDERED = 500_000
"""Binaries of which the order is found at a time."""

NAMED = 3
"""Processes that a warning names."""

MAGIC = 1
"""Of Binary.flags: BIN_FLAG_MAGIC."""


@dataclass(frozen=True)
class Binary:
    """An off-heap binary; sizes in bytes."""

    #: Of the Binary, as in process_info(P, binary).
    address: int
    size: int
    refc: int
    flags: int
    #: References found; if refc is larger, something that etp cannot see has the others.
    refs: int
    #: What the holders can see of it, each byte counted once.
    visible_bytes: int
    #: Most references first, at most 16 of holder_count.
    holders: list[Holder]
    holder_count: int
    #: Address of the first byte.
    data_address: int

    @staticmethod
    def of(facts: dict[str, Any]) -> Binary:
        values: dict[str, Any] = dict(facts)
        values["holders"] = [Holder(*holder) for holder in facts["holders"]]
        return Binary(**values)

    def resource(self, vm: VM) -> str | None:
        """``"name" of module``, the type of the NIF's resource that it is; None if it is none."""
        if not self.flags & MAGIC:
            return None
        kind, module, name = vm.native.magic_binary(self.address)
        return f"{name} of {module}" if kind == "resource" else None

    @property
    def unseen_bytes(self) -> int:
        return max(0, self.size - self.visible_bytes)

    @property
    def unaccounted_refs(self) -> int:
        return self.refc - self.refs


@dataclass(frozen=True)
class ProcessCensus:
    """What was found in one process; words where the name says so."""

    #: Of the Process.
    address: int
    pid: Term
    young_words: int
    old_words: int
    #: Heap fragments of its own and of messages that it received.
    fragment_words: int
    #: Messages and other signals in its queues, and on their way there.
    message_words: int
    transit_words: int
    #: Tags of its monitors and the state of its tracer, which no collector moves.
    aside_words: int
    #: Its stack, and free room of its young and old heap, which are in none of the above.
    stack_words: int
    free_words: int
    #: Of the words in use, what live terms occupy.
    live_words: int
    messages: int
    messages_in_transit: int
    #: What process_info(P, binary) lists.
    binary_refs: int
    binary_bytes: int
    #: What a major garbage collection would take from that list and add to it.
    released_refs: int
    released_bytes: int
    added_refs: int
    added_bytes: int
    #: Binaries that are being appended to, which process_info/2 does not list.
    writable_refs: int
    writable_bytes: int
    #: Distinct binaries, their bytes, and what live terms see of them.
    binaries: int
    distinct_bytes: int
    visible_bytes: int
    terms: int
    #: On a scheduler: what only its registers hold looks dead.
    running: bool
    #: In a garbage collection: its heap is between two states.
    in_gc: bool
    #: A BIF that is to go on forbids collections meanwhile, because it has terms that look dead.
    gc_disabled: bool
    unreadable: int
    problem: str
    #: The census was interrupted before it.
    incomplete: bool

    @property
    def used_words(self) -> int:
        return (
            self.young_words
            + self.old_words
            + self.fragment_words
            + self.message_words
            + self.transit_words
            + self.aside_words
        )

    @property
    def garbage_words(self) -> int:
        return max(0, self.used_words - self.live_words)

    @property
    def delta_refs(self) -> int:
        """What recon:bin_leak/1 tells: negative when references would be released."""
        return self.added_refs - self.released_refs

    @property
    def delta_bytes(self) -> int:
        return self.added_bytes - self.released_bytes

    @property
    def doubts(self) -> list[str]:
        """Why the numbers may be off, in a word each."""
        found = ["running"] if self.running else []
        if self.in_gc:
            found.append("in GC")
        if self.gc_disabled:
            found.append("in a BIF")
        if self.unreadable:
            found.append("damaged")
        if self.incomplete:
            found.append("not looked at")
        return found


@dataclass(frozen=True)
class LiteralArea:
    """The literals of a persistent term or a module."""

    kind: Literal["persistent_term", "module"]
    address: int
    #: Key or name, and the value of a persistent term.
    term: Term
    value: Term | None
    words: int
    binary_refs: int
    binary_bytes: int
    unreadable: int
    problem: str


@dataclass(frozen=True)
class Root:
    """What holds binaries and is no process, table or literal."""

    kind: RootKind
    address: int
    term: Term | None
    binary_refs: int
    binary_bytes: int


@dataclass(frozen=True)
class BinaryTotals:
    """Sums over all distinct binaries; sizes in bytes."""

    binaries: int
    bytes: int
    #: What some holder can see.
    visible_bytes: int
    #: Those with a higher count than references were found, and how many are missing.
    unaccounted: int
    unaccounted_bytes: int
    unaccounted_refs: int
    #: Those with more references than their count says.
    excess: int
    #: By the kinds of their holders: kinds, how many, bytes.
    by_kinds: list[tuple[list[HolderKind], int, int]]
    unaccounted_by_kinds: list[tuple[list[HolderKind], int, int]]


@dataclass(frozen=True)
class CensusTotals:
    """Sums over all processes; words where the name says so."""

    processes: int
    used_words: int
    live_words: int
    garbage_words: int
    #: Of the words in use, those of messages and other signals, received or in transit.
    message_words: int
    stack_words: int
    #: Free room of heaps.
    free_words: int
    #: Heap fragments with the messages of timers, in bytes.
    timer_bytes: int
    released_refs: int
    released_bytes: int
    #: Distinct binaries of these references, and those that nobody else refers to: bytes once each.
    released_binaries: int
    freed_binaries: int
    freed_bytes: int
    terms: int
    #: How many were running, and how many could not be read whole.
    running: int
    unreadable: int


class Census:
    """What one pass over the memory of the VM found."""

    def __init__(self, native: _etp.Census, seconds: float = 0.0) -> None:
        self.native = native
        #: How long it took.
        self.seconds = seconds
        #: Were others than tables looked at too?
        self.has_others: bool = native.has_others
        #: False when it was interrupted.
        self.complete: bool = native.complete
        self.totals = CensusTotals(**native.totals)
        self.literals: list[LiteralArea] = [LiteralArea(**area) for area in native.literals]
        self.roots: list[Root] = [Root(**root) for root in native.roots]
        names = TableScan.__dataclass_fields__
        self.tables: dict[int, TableScan] = {
            address: TableScan(**{name: n for name, n in numbers.items() if name in names})
            for address, numbers in native.tables.items()
        }

    @cached_property
    def processes(self) -> list[ProcessCensus]:
        """All of them: rather use what follows where it serves, there may be very many."""
        return [ProcessCensus(**p) for p in self.native.processes]

    def unreadable_processes(self, limit: int) -> list[ProcessCensus]:
        """The first of those that could not be read whole: totals has how many there are."""
        return [ProcessCensus(**p) for p in self.native.unreadable_processes(limit)]

    @property
    def changing_processes(self) -> list[ProcessCensus]:
        """Those that a major collection would release binaries of, or pull some in."""
        return [ProcessCensus(**p) for p in self.native.changing_processes]

    def ranked_processes(
        self, order: str, changing: bool = True, reverse: bool = False, limit: int = 0
    ) -> tuple[int, list[int]]:
        """How many there are, of which a collection would change something if ``changing``; and the
        numbers of the first ``limit`` of these (0: all): by "delta" or "bytes" what would lose most,
        by "refs", "released", "added" or one of these with "-bytes" the largest."""
        return self.native.ranked_processes(order, changing, reverse, limit)

    def process(self, number: int) -> ProcessCensus:
        return ProcessCensus(**self.native.process(number))

    def binary_count(self) -> int:
        """Distinct off-heap binaries found."""
        return self.native.binary_count()

    def ets_binaries(self) -> tuple[int, int]:
        """Distinct binaries that rows of tables refer to, and their bytes."""
        return self.native.ets_binaries()

    @cached_property
    def binary_totals(self) -> BinaryTotals:
        return BinaryTotals(**self.native.binary_totals)

    def binaries(
        self,
        sort: Sort = "size",
        limit: int = -1,
        unaccounted: bool = False,
        reverse: bool = False,
    ) -> list[Binary]:
        """Largest first; with ``unaccounted`` those whose refc is not the references found."""
        found = self.native.binaries(sort, limit, unaccounted, reverse)
        return [Binary.of(facts) for facts in found]

    def addresses_between(
        self, count: int, sort: Sort = "size", unaccounted: bool = False, reverse: bool = False
    ) -> Callable[[int, int], list[int]]:
        """Gives addresses of the first ``count`` of binaries() from one up to another: of very many,
        there is never more than a part of the order. It is made to be asked for one part after the
        other."""
        addresses: list[int] = []
        first = 0

        def part(start: int, stop: int) -> list[int]:
            nonlocal addresses, first
            found: list[int] = []
            while start < stop:
                if not first <= start < first + len(addresses):
                    is_next = addresses and start == first + len(addresses)
                    after = addresses[-1] if is_next else 0
                    first = start if is_next else 0
                    most = min(ORDERED if is_next else max(ORDERED, start + 1), count - first)
                    addresses = self.native.binary_addresses(
                        sort, most, unaccounted, reverse, after
                    )
                    if start >= first + len(addresses):
                        break
                end = min(stop, first + len(addresses))
                found += addresses[start - first : end - first]
                start = end
            return found

        return part

    def binary(self, address: int) -> Binary | None:
        facts = self.native.binary(address)
        return None if facts is None else Binary.of(facts)

    @property
    def gaps(self) -> list[str]:
        """What could not be read, a sentence each."""
        from .text import plural

        found = []
        if not self.complete:
            found.append("Interrupted: only what was seen until then is counted.")
        damaged = self.totals.unreadable
        if damaged:
            named = self.unreadable_processes(NAMED)
            shown = ", ".join(f"{p.pid} ({safe(p.problem)})" for p in named)
            more = f" and {damaged - len(named):,} more" if damaged > len(named) else ""
            found.append(
                f"{plural(damaged, 'process', 'processes')} could not be read whole: {shown}{more}."
            )
        rows = sum(table.unreadable for table in self.tables.values())
        if rows:
            found.append(
                f"{plural(rows, 'row or chain of rows', 'rows or chains of rows')} could not be"
                " read; the binaries that they hold are not counted."
            )
        areas = [area for area in self.literals if area.unreadable]
        if areas:
            found.append(
                f"{plural(len(areas), 'area')} of literals could not be read whole:"
                f" {safe(areas[0].problem)}."
            )
        if self.native.literals_problem:
            found.append(f"Literals: {safe(self.native.literals_problem)}")
        coarse = self.native.coarse_binaries()
        if coarse:
            found.append(
                f"Of {plural(coarse, 'binary', 'binaries')} too many parts are seen to keep them"
                " apart: what is visible of these is an upper bound."
            )
        unreadable, problem = self.native.roots_unreadable
        if unreadable:
            found.append(
                f"{plural(unreadable, 'timer or port', 'timers or ports')} could not be read:"
                f" {problem}."
            )
        return found

    @property
    def statistics(self) -> str:
        """Its own throughput."""
        from .units import format_bytes

        totals = self.totals
        size = totals.used_words * WORD
        size += sum(table.words for table in self.tables.values()) * WORD
        rows = sum(table.rows for table in self.tables.values())
        seconds = max(self.seconds, 1e-6)
        # Of tables alone, most are not listed.
        binaries = self.binary_count() if self.has_others else self.ets_binaries()[0]
        looked_at = f"{rows:,} rows, {binaries:,} binaries"
        rate = f"{format_bytes(int(size / seconds))}/s"
        if not self.has_others:
            return (
                f"Census of tables: {self.seconds:.2f} s for {looked_at};"
                f" {format_bytes(size)} of rows at {rate}."
            )
        return (
            f"Census: {self.seconds:.2f} s for {totals.processes:,} processes with"
            f" {totals.terms:,} terms, {looked_at}; {format_bytes(size)} of heap and rows at"
            f" {rate}, {int(totals.terms / seconds):,} terms/s."
        )
