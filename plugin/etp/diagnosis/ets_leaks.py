# SPDX-License-Identifier: Apache-2.0
"""Which ETS tables leak, and how.

Works on numbers alone: the tables as ets:info/1 describes them, and what one pass over their rows
counted (EtsScan).  Every finding is a Suspect; they are ranked by the bytes at stake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..ets import EtsTable, TableScan
from ..text import plural, safe
from ..units import WORD, format_bytes, format_duration, format_percent
from .suspect import Number, Suspect
from .thresholds import THRESHOLDS, Thresholds

BINARY_OVERHEAD = 24 + 6 * WORD
"""Bytes of a refc binary besides its contents: the Binary (24 bytes) and a ProcBin."""

HEAP_BINARY_LIMIT = 64
"""A copy of at most so many bytes is a heap binary (ERL_ONHEAP_BIN_LIMIT), inside the row."""

MANAGERS = {"mnesia_monitor"}
"""Registered names of processes that own the tables of many others, as is their work."""

SHELLS = {
    ("shell", "evaluator"),
    ("shell", "eval_loop"),
    ("Elixir.IEx.Evaluator", "init"),
    ("erl_eval", "expr"),
}
"""Initial calls of processes that evaluate what a person types."""


@dataclass
class LookedAt:
    """What an answer rests on."""

    tables: int = 0
    rows: int = 0
    #: Of these: deleted while their table was fixed, and not freed yet; ets:info(T, size) does
    #: not count them.
    deleted_rows: int = 0
    table_bytes: int = 0
    binaries: int = 0
    #: Bytes of the binaries; summed over tables, where one that several share counts in each,
    #: until whoever knows the distinct ones puts these here.
    binary_bytes: int = 0
    binary_refs: int = 0
    unreadable: int = 0
    unreadable_tables: int = 0
    unscanned_tables: int = 0


@dataclass
class Diagnosis:
    suspects: list[Suspect]
    looked_at: LookedAt
    #: What could not be read, a sentence each.
    gaps: list[str] = field(default_factory=list)
    #: What is worth knowing and not wrong.
    remarks: list[str] = field(default_factory=list)

    @property
    def freeable_bytes(self) -> int:
        return sum(suspect.freeable_bytes for suspect in self.suspects)


@dataclass
class Held:
    """Who else refers to the binaries of one table."""

    #: References that nothing accounts for: those of NIFs and drivers.
    unaccounted: int = 0
    #: References of processes, persistent terms, timers ..., by the label of the holder.
    others: dict[str, int] = field(default_factory=dict)
    #: Labels of other tables.
    tables: set[str] = field(default_factory=set)
    #: Unseen bytes of binaries that several tables, but nobody outside of ETS, hold.
    together_bytes: int = 0
    #: The same, each binary counted for one of its tables only, so that it can be summed.
    together_once_bytes: int = 0
    #: How many binaries of the VM, those with most waste, this rests on; 0: on all.
    looked_at: int = 0


def diagnose(
    tables: Sequence[EtsTable],
    scans: Mapping[int, TableScan],
    held: Mapping[int, Held] | None = None,
    limits: Thresholds = THRESHOLDS,
    only: EtsTable | None = None,
) -> Diagnosis:
    """``held``: by address of a table, who else holds its binaries, as far as that is known.
    ``only``: what this table has a part in, judged against all tables as ever."""
    pairs = [(table, scans[table.address]) for table in tables if table.address in scans]
    looked_at = _looked_at(tables, pairs)
    found: list[Suspect] = []
    for table, scan in pairs:
        found += _pins(table, scan, (held or {}).get(table.address), limits)
        found += _dead_pids(table, scan, limits)
        found += _dead_refs(table, scan, limits)
        found += _fixed(table, scan, limits)
        found += _owner(table, scan, limits)
    # A table that is being deleted is nobody's any more.
    kept = [(table, scan) for table, scan in pairs if not table.is_deleting]
    found += _strays(kept, limits)
    found = _merge(found, _dominating(kept, looked_at, limits))
    found += _swarms(pairs, limits)
    found.sort(key=lambda s: (-s.rank, -s.at_stake_bytes, s.title))
    if only is not None:
        found = [suspect for suspect in found if only.address in suspect.tables]
        # What is suspected of several tables rests on all of them.
        concerned = {only.address}.union(*(suspect.tables for suspect in found))
        tables = [table for table in tables if table.address in concerned]
        pairs = [pair for pair in pairs if pair[0].address in concerned]
        own = [pair for pair in pairs if pair[0].address == only.address]
        looked_at = _looked_at([only], own)
    return Diagnosis(found, looked_at, _gaps(tables, pairs), _remarks(tables))


def _looked_at(tables: Sequence[EtsTable], pairs: list[tuple[EtsTable, TableScan]]) -> LookedAt:
    result = LookedAt(tables=len(pairs), unscanned_tables=len(tables) - len(pairs))
    for table, scan in pairs:
        result.rows += scan.rows
        result.deleted_rows += scan.pseudo_deleted
        result.table_bytes += table.memory_bytes
        result.binaries += scan.binaries
        result.binary_bytes += scan.binary_bytes
        result.binary_refs += scan.binary_refs
        result.unreadable += scan.unreadable
        result.unreadable_tables += bool(scan.unreadable)
    return result


def _gaps(tables: Sequence[EtsTable], pairs: list[tuple[EtsTable, TableScan]]) -> list[str]:
    gaps = []
    damaged = [
        (table, scan.unreadable)
        for table, scan in pairs
        if scan.unreadable and not table.is_deleting
    ]
    if damaged:
        worst = max(damaged, key=lambda pair: pair[1])
        gaps.append(
            f"{plural(sum(n for _, n in damaged), 'row or chain of rows', 'rows or chains of rows')}"
            f" of {plural(len(damaged), 'table')} could not be read"
            f" (most in {worst[0].label}: {worst[1]:,}); what they hold is not counted."
        )
    broken = [table for table in tables if table.problem]
    for table in broken[:3]:
        gaps.append(f"Table {table.label}: {safe(table.problem)}")
    if len(broken) > 3:
        gaps.append(f"{len(broken) - 3} more tables could not be read whole.")
    return gaps


def _remarks(tables: Sequence[EtsTable]) -> list[str]:
    deleting = [table for table in tables if table.is_deleting]
    if not deleting:
        return []
    size = sum(table.memory_bytes for table in deleting)
    return [
        f"{plural(len(deleting), 'table')} ({format_bytes(size)}) had been deleted and "
        f"{'was' if len(deleting) == 1 else 'were'} being freed when the core was taken; rows of"
        " these that are gone already are no gap."
    ]


def copy_cost(visible: int, references: int) -> int:
    """Bytes that copies of what rows see would take, at most."""
    if references and visible <= references * HEAP_BINARY_LIMIT:
        return visible + references * 2 * WORD
    return visible + references * BINARY_OVERHEAD


def _pins(table: EtsTable, scan: TableScan, held: Held | None, limits: Thresholds) -> list[Suspect]:
    unseen = scan.unseen_bytes
    if unseen < limits.pin_bytes or unseen < limits.pin_share * scan.binary_bytes:
        return []
    # References to binaries that this table alone holds, for the cost of copying them: not
    # counted apart, so in proportion.
    own_refs = scan.binary_refs * scan.own_binaries // max(1, scan.binaries)
    freeable = max(0, scan.own_unseen_bytes - copy_cost(scan.own_visible_bytes, own_refs))
    numbers = [
        Number("rows that see less than half of a binary", scan.pinned_rows, "rows"),
        Number("distinct binaries", scan.binaries, "binaries"),
        Number("their bytes", scan.binary_bytes, "bytes"),
        Number("of these, rows can see", scan.visible_bytes, "bytes"),
        Number("references to them in rows", scan.binary_refs, "references"),
        Number("bytes of binaries that nobody else holds", scan.own_bytes, "bytes"),
        Number("copying would free about", freeable, "bytes"),
    ]
    derivation = [
        f"{format_bytes(scan.binary_bytes)} in {plural(scan.binaries, 'distinct binary', 'distinct binaries')}"
        f" (each counted once, though rows hold {plural(scan.binary_refs, 'reference')} to them)"
        f" - {format_bytes(scan.visible_bytes)} that some row can see = {format_bytes(unseen)}"
        " that no row of this table can see. ets:info(T, memory) counts none of these bytes.",
        f"Nobody else holds {plural(scan.own_binaries, 'binary', 'binaries')} of"
        f" {format_bytes(scan.own_bytes)} (their refcount equals the references found in this"
        f" table's rows); rows see {format_bytes(scan.own_visible_bytes)} of them, and copies of"
        f" that take at most {format_bytes(copy_cost(scan.own_visible_bytes, own_refs))}:"
        f" {format_bytes(freeable)} would be freed.",
    ]
    sample_note = ""
    if scan.sample_pin_bytes:
        sample_note = (
            f"sees {format_bytes(scan.sample_pin_visible)} of {format_bytes(scan.sample_pin_bytes)}"
        )
    use = (
        f"use {format_bytes(scan.visible_bytes)} of the {format_bytes(scan.binary_bytes)} of"
        " binaries that they keep alive"
    )
    if freeable >= limits.pin_bytes or freeable >= unseen // 2:
        return [
            Suspect(
                kind="pins",
                title=f"{table.label} pins binaries",
                sentence=f"Its {plural(scan.rows, 'row')} {use}.",
                freeable_bytes=freeable,
                at_stake_bytes=unseen,
                certainty="measured",
                tables=[table.address],
                numbers=numbers,
                derivation=derivation,
                advice=[
                    "Insert a copy, binary:copy(Part), not a part of a larger binary; rewrite the"
                    " rows that are there."
                ],
                sample=(table.address, scan.sample_pin),
                sample_note=sample_note,
            )
        ]
    held = held or Held()
    together = freeable + held.together_bytes
    alone = f"copying in this table alone would free {format_bytes(freeable)}"
    if held.together_bytes:
        alone += f", in all these tables {format_bytes(together)}"
    if held.looked_at:
        alone += (
            f" (who holds them is known of the {plural(held.looked_at, 'binary', 'binaries')} with most"
            " waste in this VM)"
        )
    return [
        Suspect(
            kind="shared_pins",
            title=f"{table.label} pins binaries that others hold too",
            sentence=f"Its {plural(scan.rows, 'row')} {use}, but {_others(held)}: {alone}.",
            freeable_bytes=freeable + held.together_once_bytes,
            at_stake_bytes=unseen,
            # What nothing that is done to tables can free comes last.
            rank_bytes=together,
            certainty="measured",
            tables=[table.address],
            numbers=numbers,
            derivation=derivation,
            advice=[
                "Find where the others hold them (etp-bins --sort waste lists the binaries,"
                " etp-who ADDRESS shows the paths to one), then copy in all places."
            ],
            sample=(table.address, scan.sample_pin),
            sample_note=sample_note,
        )
    ]


def _others(held: Held) -> str:
    """Who else holds what a table pins: tables, then those with most references."""
    tables = sorted(held.tables)
    others = sorted(held.others, key=lambda label: (-held.others[label], label))
    parts = []
    if tables:
        more = f" and {len(tables) - 3} more tables" if len(tables) > 3 else ""
        parts.append("table " * (len(tables) == 1) + ", ".join(tables[:3]) + more)
    if others:
        more = f" and {len(others) - 3:,} more holders" if len(others) > 3 else ""
        refs = sum(held.others.values())
        parts.append(f"{', '.join(others[:3])}{more} ({plural(refs, 'reference')})")
    if held.unaccounted:
        parts.append(
            f"something that etp cannot see ({plural(held.unaccounted, 'reference')} of a NIF or"
            " driver)"
        )
    if not parts:
        return "others hold them too"
    many = len(tables) + len(others) + bool(held.unaccounted) > 1
    return " and ".join(parts) + (" hold" if many else " holds") + " them too"


def _share_bytes(scan: TableScan, rows: int) -> int:
    """Bytes of ``rows`` average rows: words on the heap, and binaries that nobody else holds."""
    if not scan.rows:
        return 0
    return (scan.words * WORD + scan.own_bytes) * min(rows, scan.rows) // scan.rows


def _dead_pids(table: EtsTable, scan: TableScan, limits: Thresholds) -> list[Suspect]:
    keyed = scan.dead_pid_keys
    holding = scan.dead_pid_rows
    by_key = keyed >= limits.dead_key_rows and keyed >= limits.dead_key_share * (
        keyed + scan.live_pid_rows
    )
    by_value = holding >= limits.dead_rows and holding >= limits.dead_share * scan.rows
    if not by_key and not by_value:
        return []
    rows = keyed if by_key else holding
    size = _share_bytes(scan, rows)
    verb = "are keyed by" if by_key else "hold"
    return [
        Suspect(
            kind="dead_pids",
            title=f"{table.label} outlives its processes",
            sentence=f"{rows:,} of its {plural(scan.rows, 'row')}"
            f" ({format_percent(rows, scan.rows)}) {verb} pids of processes that are dead;"
            f" {scan.live_pid_rows:,} hold pids of live ones.",
            freeable_bytes=size if by_key else 0,
            at_stake_bytes=size,
            certainty="estimate",
            tables=[table.address],
            numbers=[
                Number("rows keyed by a dead pid", keyed, "rows"),
                Number("rows that hold a dead pid", holding, "rows"),
                Number("rows that hold a live pid", scan.live_pid_rows, "rows"),
                Number("rows", scan.rows, "rows"),
                Number("estimated bytes of these rows", size, "bytes"),
            ],
            derivation=[
                "A local pid is dead when its slot in the process table holds no process, or one"
                " of another serial. Pids of other nodes are not judged.",
                f"Estimate: {rows:,} of {scan.rows:,} rows, in proportion of"
                f" {format_bytes(scan.words * WORD)} of rows and {format_bytes(scan.own_bytes)} of"
                " binaries that this table alone holds.",
            ],
            advice=[
                "Monitor the process when its row is inserted and delete the row at 'DOWN'; check"
                " that the clean-up also runs when a process is killed."
            ],
            sample=(table.address, scan.sample_dead),
        )
    ]


def _dead_refs(table: EtsTable, scan: TableScan, limits: Thresholds) -> list[Suspect]:
    rows = scan.dead_ref_rows
    if rows < limits.dead_rows or rows < limits.dead_share * scan.rows:
        return []
    size = _share_bytes(scan, rows)
    return [
        Suspect(
            kind="dead_refs",
            title=f"{table.label} holds references of dead processes",
            sentence=f"{rows:,} of its {plural(scan.rows, 'row')} hold alias references of"
            " processes that are dead: no reply to them can arrive any more.",
            freeable_bytes=size,
            at_stake_bytes=size,
            certainty="estimate",
            tables=[table.address],
            numbers=[
                Number("rows that hold such a reference", rows, "rows"),
                Number("rows", scan.rows, "rows"),
                Number("estimated bytes of these rows", size, "bytes"),
            ],
            derivation=[
                "An alias reference contains the pid of its process; the process table has no such"
                " process. The bytes are in proportion to the rows."
            ],
            advice=[
                "Delete the row when the call ends, also when it ends by a timeout or a crash."
            ],
            sample=(table.address, scan.sample_dead),
        )
    ]


def _fixed(table: EtsTable, scan: TableScan, limits: Thresholds) -> list[Suspect]:
    if not table.fixed or not scan.pseudo_deleted:
        return []
    size = scan.pseudo_deleted_words * WORD
    age = max(0, table.fixed_for_ns) / 1e9
    scale = 10 if age >= limits.fixed_seconds else 1
    if scan.pseudo_deleted * scale < limits.fixed_rows and size * scale < limits.fixed_bytes:
        return []
    who = ", ".join(_process_label(table, pid) for pid, _count in table.fixing[:3]) or "unknown"
    long = f" for {format_duration(age)}" if age else ""
    return [
        Suspect(
            kind="fixed",
            title=f"{table.label} is fixed and cannot free deleted rows",
            sentence=f"{plural(scan.pseudo_deleted, 'deleted row')} cannot be freed because the"
            f" table has been fixed{long} by {who}.",
            freeable_bytes=size,
            at_stake_bytes=size,
            certainty="measured",
            tables=[table.address],
            numbers=[
                Number("deleted rows that wait", scan.pseudo_deleted, "rows"),
                Number("their bytes, without binaries", size, "bytes"),
                Number("fixed since", int(age), "seconds"),
                Number("fixations", table.fix_count, "times"),
            ],
            derivation=[
                "safe_fixtable, first/next, select with a continuation or match with a limit fix a"
                " table; rows that are deleted meanwhile stay until the last fixation ends.",
                "The age is by the VM's own clock, to the last time that a scheduler looked at it.",
            ],
            advice=[
                "Look at what the fixing process is doing: a traversal that never ends, or"
                " safe_fixtable(T, true) without its false."
            ],
        )
    ]


def _process_label(table: EtsTable, pid: object) -> str:
    process = table.vm.process(pid)  # type: ignore[arg-type]
    return f"{pid} {process.label}".strip() if process else f"{pid} (dead)"


def _owner(table: EtsTable, scan: TableScan, limits: Thresholds) -> list[Suspect]:
    size = table.memory_bytes + scan.own_bytes
    about_owner = partial(
        Suspect,
        freeable_bytes=0,
        at_stake_bytes=size,
        certainty="guess",
        tables=[table.address],
        numbers=[Number("bytes of the table and its own binaries", size, "bytes")],
    )
    if not table.owner_alive and not table.is_deleting:
        return [
            about_owner(
                kind="dead_owner",
                title=f"{table.label} has a dead owner",
                sentence=f"Its owner {table.owner} is not among the live processes, and the table"
                f" ({format_bytes(size)}) is not being deleted.",
                derivation=["The process table has no process with the owner's pid."],
                advice=[
                    "Most often the owner was exiting when the core was taken, and the VM had not"
                    " come to this table yet: look at a second core before you believe it."
                ],
            )
        ]
    process = table.vm.process(table.owner) if size >= limits.shell_bytes else None
    if process and process.initial_call and process.initial_call[:2] in SHELLS:
        return [
            about_owner(
                kind="shell_owner",
                title=f"{table.label} belongs to a shell",
                sentence=f"It takes {format_bytes(size)} and its owner {table.owner} began in"
                f" {process.initial_call_text}: it was probably made by hand and forgotten.",
                derivation=["The owner's initial call is that of a shell's evaluator."],
                advice=["Delete it with ets:delete/1, or close that shell."],
            )
        ]
    heir = table.heir
    if heir is not None and heir.word == table.owner.word and scan.rows >= limits.inherited_rows:
        return [
            about_owner(
                kind="inherited",
                title=f"{table.label} was left to its heir",
                sentence=f"Its owner died and the heir {_owner_text(table)} got it, with"
                f" {plural(scan.rows, 'row')} in {format_bytes(size)}.",
                derivation=["Owner and heir of the table are the same process."],
                advice=[
                    "The heir must give it to a new owner (ets:give_away/3) or delete it: does it"
                    " handle 'ETS-TRANSFER'?"
                ],
            )
        ]
    return []


def _strays(pairs: list[tuple[EtsTable, TableScan]], limits: Thresholds) -> list[Suspect]:
    """Tables of processes that nobody registered and no supervisor started."""
    by_owner: dict[int, list[tuple[EtsTable, TableScan]]] = defaultdict(list)
    for table, scan in pairs:
        if table.owner_alive and (table.heir is None or table.heir.word != table.owner.word):
            by_owner[table.owner.word].append((table, scan))
    found = []
    for group in by_owner.values():
        size = sum(table.memory_bytes + scan.own_bytes for table, scan in group)
        if size < limits.stray_bytes:
            continue
        first = max(group, key=lambda pair: pair[0].memory_words + pair[1].own_bytes)[0]
        process = first.vm.process(first.owner)
        if process is None or process.name or process.initial_call_source != "spawn":
            continue
        if process.initial_call and process.initial_call[:2] in SHELLS:
            continue
        more = f" and {plural(len(group) - 1, 'more table')}" if len(group) > 1 else ""
        found.append(
            Suspect(
                kind="stray_owner",
                title=f"{first.label}{more} of an unsupervised process",
                sentence=f"The owner {first.owner} has no registered name and was started by plain"
                f" spawn ({process.initial_call_text}), not by a supervisor; its"
                f" {plural(len(group), 'table')} {'takes' if len(group) == 1 else 'take'}"
                f" {format_bytes(size)}.",
                freeable_bytes=0,
                at_stake_bytes=size,
                certainty="guess",
                tables=[table.address for table, _ in group],
                numbers=[
                    Number("tables", len(group), "tables"),
                    Number("rows", sum(scan.rows for _, scan in group), "rows"),
                    Number("bytes of the tables and their own binaries", size, "bytes"),
                ],
                derivation=[
                    "The owner has no registered name and no $initial_call in its dictionary, which"
                    " proc_lib leaves in the processes of OTP's behaviours."
                ],
                advice=[
                    "Is it a request handler or a helper that hangs? Its tables live as long as it"
                    " does."
                ],
            )
        )
    return found


def _dominating(
    pairs: list[tuple[EtsTable, TableScan]], looked_at: LookedAt, limits: Thresholds
) -> list[Suspect]:
    if len(pairs) < 2:
        return []
    weights = {t.address: t.memory_bytes + s.binary_bytes for t, s in pairs}
    all_bytes = sum(weights.values())
    found = []
    for table, scan in pairs:
        weight = weights[table.address]
        by_bytes = (
            weight >= limits.dominating_bytes and weight >= limits.dominating_share * all_bytes
        )
        by_rows = (
            scan.rows >= limits.dominating_rows
            and scan.rows >= limits.dominating_share * looked_at.rows
        )
        if not by_bytes and not by_rows:
            continue
        shares = []
        if by_bytes:
            shares.append(
                f"{format_percent(weight, all_bytes)} of the memory of all tables"
                f" ({format_bytes(weight)} of {format_bytes(all_bytes)})"
            )
        if by_rows:
            shares.append(
                f"{format_percent(scan.rows, looked_at.rows)} of all rows ({scan.rows:,})"
            )
        largest = 0 if table.compressed else scan.largest_row_words * WORD
        stands_out = scan.rows > 1 and largest >= limits.largest_row_share * weight
        sentence = f"It has {' and '.join(shares)}."
        if stands_out:
            sentence += f" One of its {scan.rows:,} rows has {format_bytes(largest)}."
        found.append(
            Suspect(
                kind="dominating",
                title=f"{table.label} dominates",
                sentence=sentence,
                freeable_bytes=0,
                at_stake_bytes=weight,
                certainty="guess",
                tables=[table.address],
                numbers=[
                    Number("memory without binaries", table.memory_bytes, "bytes"),
                    Number("distinct binaries of its rows", scan.binary_bytes, "bytes"),
                    Number("rows", scan.rows, "rows"),
                    Number("the largest row, without binaries", largest, "bytes"),
                ],
                derivation=[
                    "ets:info(T, memory) plus the distinct binaries that rows refer to, against"
                    " the sum of the same over all tables. A binary in two tables counts in both."
                ],
                advice=[
                    (
                        "Ask what should have kept this row small."
                        if stands_out
                        else "If it is a cache, does it have a bound? Look at some rows"
                        " (etp-ets-show) and ask what should have deleted the oldest."
                    )
                ],
                sample=(table.address, scan.largest_row),
                sample_note="the largest" if stands_out else "",
            )
        )
    return found


def _merge(suspects: list[Suspect], dominating: Iterable[Suspect]) -> list[Suspect]:
    """A dominating table that is suspect anyway is one suspect, not two."""
    merged = list(suspects)
    for suspect in dominating:
        worst = max(
            (s for s in suspects if s.tables == suspect.tables),
            key=lambda s: s.at_stake_bytes,
            default=None,
        )
        if worst is None:
            merged.append(suspect)
        else:
            worst.also.append(suspect.sentence)
    return merged


def _swarms(pairs: list[tuple[EtsTable, TableScan]], limits: Thresholds) -> list[Suspect]:
    by_name: dict[str, list[tuple[EtsTable, TableScan]]] = defaultdict(list)
    by_owner: dict[int, list[tuple[EtsTable, TableScan]]] = defaultdict(list)
    for table, scan in pairs:
        by_name[table.name].append((table, scan))
        by_owner[table.owner.word].append((table, scan))
    found = []
    explained: set[int] = set()
    for name, group in by_name.items():
        if len(group) >= limits.swarm_tables:
            owners = {table.owner.word for table, _ in group}
            owned = (
                f"all owned by {_owner_text(group[0][0])}"
                if len(owners) == 1
                else f"of {len(owners):,} owners"
            )
            found.append(_swarm(f"the name {safe(name)}", owned, group))
            explained.update(table.address for table, _ in group)
    for group in by_owner.values():
        rest = [pair for pair in group if pair[0].address not in explained]
        if len(rest) >= limits.swarm_tables and rest[0][0].owner_label not in MANAGERS:
            names = {table.name for table, _ in rest}
            found.append(
                _swarm(
                    f"the owner {_owner_text(rest[0][0])}",
                    f"of {plural(len(names), 'name')}",
                    rest,
                )
            )
    return found


def _empty(count: int) -> str:
    return f"; {count:,} of them {'is' if count == 1 else 'are'} empty" if count else ""


def _owner_text(table: EtsTable) -> str:
    return f"{table.owner} {table.owner_label}".strip()


def _swarm(common: str, more: str, group: list[tuple[EtsTable, TableScan]]) -> Suspect:
    size = sum(table.memory_bytes + scan.own_bytes for table, scan in group)
    rows = sum(scan.rows for _, scan in group)
    largest = sorted(group, key=lambda pair: -pair[0].memory_words)
    empty = sum(1 for _, scan in group if scan.rows == 0)
    return Suspect(
        kind="swarm",
        title=f"{len(group):,} tables of {common}",
        sentence=f"They are {more}; together they take {format_bytes(size)} for"
        f" {plural(rows, 'row')}{_empty(empty)}.",
        freeable_bytes=0,
        at_stake_bytes=size,
        certainty="guess",
        tables=[table.address for table, _ in largest],
        numbers=[
            Number("tables", len(group), "tables"),
            Number("of these empty", empty, "tables"),
            Number("rows", rows, "rows"),
            Number("memory and own binaries", size, "bytes"),
        ],
        derivation=[
            "Tables were grouped by name, and the others by owner. An empty table costs some"
            " 2.5 KiB, and all tables share the limit of ets:new/2 (+e)."
        ],
        advice=[
            "Something makes a table for each request or connection and does not delete it:"
            " ets:delete/1 when done, or let a process that ends own it."
        ],
        sample=(largest[0][0].address, 0),
    )
