# SPDX-License-Identifier: Apache-2.0
"""Where the memory is: what the allocators say, and what of it the census can attribute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .units import WORD

if TYPE_CHECKING:
    from .census import Census, HolderKind
    from .vm import VM

NOT_COUNTED = ("temp", "test")
"""Allocators that erlang:memory/0 leaves out."""

OF_PROCESSES = {
    "proc": "processes",
    "monitor": "monitors",
    "link": "links",
    "msg_ref": "messages",
    "ll_ptimer": "timers of processes: low level",
    "hl_ptimer": "timers of processes: high level",
    "bif_timer": "timers of erlang:send_after/3 and start_timer/3",
}
"""Types of fix_alloc that erlang:memory/0 counts as memory of processes; the others are the
system's."""

CODE_TABLES = {
    "export_list": "exported functions",
    "export_table": "tables of exports",
    "module_table": "tables of modules",
    "fun_table": "table of funs",
    "fun_list": "funs",
    "module_refs": "ranges of modules",
}
"""As erlang:system_info(allocated_areas) names them. Literals have a row of their own."""

UNEXPLAINED = "what nothing here explains"
OF_THE_ABOVE = "of the above, "
CARRIERS = "carriers"

BINARY_HEADER = 24
"""Bytes of a Binary before its contents (erl_binary.h)."""

LARGE_PERCENT = 10
"""Of total: a part that has so much is worth a line of its own."""

_OF_PROCESSES_SEE = {
    "proc": "etp-processes --group initial",
    "monitor": "etp-processes --sort monitors",
    "link": "etp-processes --sort links",
    "msg_ref": "etp-processes --sort msgq",
    "bif_timer": "etp-timers",
}
_HELD_SEE: dict[tuple[HolderKind, ...], str] = {
    ("ets",): "etp-ets-leaks",
    ("process",): "etp-bin-leaks",
    ("timer",): "etp-timers",
    ("port",): "etp-ports",
}


@dataclass
class Row:
    """An amount of memory; what it consists of stands below it."""

    name: str
    bytes: int
    note: str = ""
    #: The command that says more of it.
    see: str = ""
    parts: list[Row] = field(default_factory=list)

    def add(self, name: str, size: int, note: str = "", see: str = "") -> Row:
        part = Row(name, size, note, see)
        self.parts.append(part)
        return part

    @property
    def is_of_the_above(self) -> bool:
        """It tells something else of what other parts tell."""
        return self.name.startswith(OF_THE_ABOVE)

    def add_rest(self, name: str, note: str = "", see: str = "") -> None:
        """What the parts leave over."""
        self.add(name, self.bytes - sum(part.bytes for part in self.parts), note, see)


@dataclass
class Memory:
    """Rows of erlang:memory/0, each with its parts."""

    rows: list[Row]
    gaps: list[str]

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def largest(self, most: int) -> list[tuple[Row, Row]]:
        """Parts that have much of all there is, the largest first, each behind its row."""
        least = self.row("total").bytes * LARGE_PERCENT / 100
        sums = {row.name for row in self.rows}
        found = [
            (row, part)
            for row in self.rows
            for part in row.parts
            if row.name != CARRIERS and part.name not in sums and not part.is_of_the_above
        ]
        found = [pair for pair in found if pair[1].bytes >= least]
        return sorted(found, key=lambda pair: -pair[1].bytes)[:most]


def memory(vm: VM, census: Census) -> Memory:
    facts = vm.native.memory()
    blocks = {name: numbers["blocks"] for name, numbers in facts["allocators"].items()}
    carriers = sum(numbers["carriers"] for numbers in facts["allocators"].values())
    in_use = sum(size for name, size in blocks.items() if name not in NOT_COUNTED)
    # The JIT has pages of its own for code; else it is in an allocator as all is.
    code_apart = facts["code"] if vm.info.flavor == "jit" else 0
    fixed: dict[str, dict[str, int]] = facts["fixed"]
    total = Row("total", in_use + code_apart)
    processes = _processes(blocks, fixed, facts["process_table"], census)
    free = sum(
        fixed[name]["allocated"] - fixed[name]["used"]
        for name in fixed.keys() & OF_PROCESSES.keys()
    )
    processes_used = Row(
        "processes_used", processes.bytes - free, "without what fix_alloc has free"
    )
    atom = _atoms(facts["areas"])
    atom_used = Row(
        "atom_used", atom.bytes - atom.parts[-1].bytes, "without what no name takes yet"
    )
    binary = _binaries(blocks, census)
    ets = _ets(vm, blocks, facts["ets_misc"])
    code = _code(facts["code"], facts["areas"])
    literals = _literals(blocks, census)
    system = Row("system", total.bytes - processes.bytes, "total - processes")
    for row in (atom, binary, code, ets, literals):
        system.add(row.name, row.bytes)
    others = sum(fixed[name]["allocated"] for name in fixed.keys() - OF_PROCESSES.keys())
    system.add("port table", facts["port_table"])
    system.add("entries of atoms", facts["areas"]["atom_blocks"], "not in atom", "etp-atoms")
    system.add("other types of fix_alloc", others, "references, queues, buffers of signals")
    system.add(
        "drivers and NIFs",
        blocks.get("driver", 0),
        "driver_alloc; the VM does not note whose",
        "etp-ports",
    )
    system.add_rest(UNEXPLAINED, "nodes, tables of the VM itself; what is freed late")
    total.add("processes", processes.bytes)
    total.add("system", system.bytes)
    carriers_row = Row(CARRIERS, carriers, "what the allocators got from the system")
    carriers_row.add("in use", in_use + sum(blocks.get(name, 0) for name in NOT_COUNTED))
    carriers_row.add_rest("free", "fragmentation and reserve")
    gaps = []
    if facts["unreadable"]:
        gaps.append(f"Not all allocators could be read: {facts['problem']}.")
    rows = [total, processes, processes_used, system, atom, atom_used, binary, code, ets]
    return Memory([*rows, literals, carriers_row], gaps)


def _processes(
    blocks: dict[str, int], fixed: dict[str, dict[str, int]], table: int, census: Census
) -> Row:
    """Heaps, messages and fragments are in eheap_alloc; Process and the like in fix_alloc."""
    sizes = {name: fixed[name]["allocated"] for name in OF_PROCESSES if name in fixed}
    row = Row("processes", blocks.get("eheap", 0) + table + sum(sizes.values()))
    row.add("process table", table)
    for name, size in sizes.items():
        note = f"{fixed[name]['used']:,} bytes in use"
        row.add(OF_PROCESSES[name], size, note, _OF_PROCESSES_SEE.get(name, ""))
    totals = census.totals
    # Nearly all of what messages have is alive: they were copied to where they are.
    live = max(0, totals.live_words - totals.message_words)
    whose = "etp-processes --sort"
    row.add("heaps: live", live * WORD, "terms that a collection would keep", f"{whose} memory")
    row.add(
        "heaps: garbage",
        totals.garbage_words * WORD,
        "what a collection would free",
        f"{whose} memory",
    )
    row.add("heaps: free room", totals.free_words * WORD, "what no term takes yet", f"{whose} heap")
    row.add("stacks", totals.stack_words * WORD, "", f"{whose} stack")
    row.add(
        "messages and other signals",
        (totals.live_words - live) * WORD,
        "received or in transit, in no heap yet",
        f"{whose} msgq",
    )
    row.add("messages of timers", totals.timer_bytes, "", "etp-timers")
    row.add_rest("heaps: all else", "headers, what allocators round up, heaps that are being made")
    return row


def _atoms(areas: dict[str, int]) -> Row:
    row = Row("atom", areas["atom_table"] + areas["atom_space"])
    row.add("atom table", areas["atom_table"], see="etp-atoms")
    row.add("names", areas["atom_space_used"], "without those of the VM's own atoms", "etp-atoms")
    row.add_rest("free", "room for names")
    return row


def _code(loaded: int, areas: dict[str, int]) -> Row:
    row = Row("code", loaded + sum(areas[name] for name in CODE_TABLES))
    row.add("loaded code", loaded, see="etp-modules")
    for name, text in CODE_TABLES.items():
        row.add(text, areas[name])
    return row


def _binaries(blocks: dict[str, int], census: Census) -> Row:
    row = Row("binary", blocks.get("binary", 0))
    totals = census.binary_totals
    held: dict[tuple[HolderKind, ...], tuple[int, int]] = {}
    for kinds, count, size in totals.by_kinds:
        kind = (kinds[0],) if len(kinds) == 1 else ()
        before = held.get(kind, (0, 0))
        held[kind] = (before[0] + count, before[1] + size)
    for kind, (count, size) in sorted(held.items(), key=lambda item: -item[1][1]):
        name = kind[0].replace("_", " ") if kind else "several kinds of holders"
        row.add(
            f"held by {name}", size, f"{count:,} distinct binaries", _HELD_SEE.get(kind, "etp-bins")
        )
    row.add("headers of binaries", totals.binaries * BINARY_HEADER, see="etp-bins")
    row.add_rest(
        "held by nobody that is known",
        "NIFs, drivers, ports' input, rounding of allocators",
        "etp-bins --unaccounted",
    )
    visible = totals.visible_bytes
    row.parts.append(Row(OF_THE_ABOVE + "visible", visible, "what some holder can see"))
    wasted = totals.bytes - visible
    row.parts.append(Row(OF_THE_ABOVE + "wasted", wasted, "kept alive, and seen by nobody"))
    missing = f"{totals.unaccounted:,} with references not found"
    row.parts.append(Row(OF_THE_ABOVE + "unaccounted", totals.unaccounted_bytes, missing))
    return row


def _ets(vm: VM, blocks: dict[str, int], misc: int) -> Row:
    row = Row("ets", blocks.get("ets", 0) + misc)
    tables = [table for table in vm.ets_tables if not table.is_deleting]
    row.add(
        "tables",
        sum(t.memory_bytes for t in tables),
        f"ets:info(T, memory) of {len(tables):,}",
        "etp-ets-tables --sort memory",
    )
    freed = [table for table in vm.ets_tables if table.is_deleting]
    if freed:
        size = sum(table.memory_bytes for table in freed)
        row.add("tables that are being freed", size, f"{len(freed):,}")
    row.add_rest("not in a table", "of the VM itself; negative: sizes of rows are rounded up")
    return row


def _literals(blocks: dict[str, int], census: Census) -> Row:
    row = Row("literals", blocks.get("literal", 0), "part of system")
    for kind, name, see in (
        ("persistent_term", "persistent terms", "etp-persistent-terms"),
        ("module", "modules", "etp-modules"),
    ):
        areas = [area for area in census.literals if area.kind == kind]
        row.add(name, sum(area.words for area in areas) * WORD, f"{len(areas):,}", see)
    row.add_rest("other", "headers, literals of old code")
    return row
