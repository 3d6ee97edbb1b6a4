# SPDX-License-Identifier: Apache-2.0
"""Names that processes can be reached by: registered, global, groups of pg, Elixir's Registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from .. import processes
from ..errors import Problem
from ..text import plural
from ..vm import Error, ref_text
from .roles import is_atom
from .state import state

if TYPE_CHECKING:
    from _etp import Term

    from ..ets import EtsTable
    from ..vm import VM, Process

KINDS = ("local", "global", "pg", "registry")


@dataclass
class Entry:
    """One name of one process or port."""

    #: "local" (register/2), "global", "pg" (``name`` is a group), "registry" (Elixir's).
    kind: str
    #: Which scope of pg, or which Registry.
    where: str
    #: Text for local names, which are atoms; a term for others.
    name: str | Term
    who: Term
    #: What Registry.register/3 was given.
    value: Optional[Term] = None


@dataclass
class Names:
    entries: list[Entry] = field(default_factory=list)
    #: What could not be read, a sentence each.
    problems: list[str] = field(default_factory=list)


def names(vm: VM, kinds: tuple[str, ...] = KINDS) -> Names:
    """All names of these kinds."""
    found = Names()
    if vm.ets_tables.gaps and kinds != ("local",):
        found.problems.extend(gap.rstrip(".") for gap in vm.ets_tables.gaps)
    readers = {"local": _local, "global": _global, "pg": _pg, "registry": _registries}
    for kind in kinds:
        try:
            found.entries.extend(readers[kind](vm, found.problems))
        except (Error, Problem) as error:
            found.problems.append(f"{kind}: {error}")
    return found


def _local(vm: VM, problems: list[str]) -> Iterator[Entry]:
    """registered/0: of processes and ports."""
    found = processes.rows(vm)
    for i, name in enumerate(found.values("name")):
        if name is not None:
            yield Entry("local", "", name, found[i].pid)
    ports, unreadable = vm.native.ports()
    for port in ports:
        if port["registered_name"] is not None:
            yield Entry("local", "", str(port["registered_name"].value()), port["port"])
    if unreadable:
        problems.append(f"{plural(unreadable, 'port')} could not be read")


def _global(vm: VM, problems: list[str]) -> Iterator[Entry]:
    """{Name, Pid, Method, Ref} in global_names (global.erl)."""
    for table in vm.ets_tables:
        if table.named and table.name == "global_names":
            for row in _rows(table, 4, problems):
                yield Entry("global", "", row[0], row[1])


def _pg(vm: VM, problems: list[str]) -> Iterator[Entry]:
    """{Group, All, Local} in the table of a scope, which is named as its process (pg.erl)."""
    for table in vm.ets_tables:
        process = vm.process(table.owner) if table.named else None
        if process is None or not _is_scope_of_pg(vm, process, problems):
            continue
        for row in _rows(table, 3, problems):
            if not row[1].is_proper_list():
                problems.append(f"{table.name}: the members of {row[0]} could not be read")
                continue
            for pid in row[1]:
                yield Entry("pg", table.name, row[0], pid)


def _is_scope_of_pg(vm: VM, process: Process, problems: list[str]) -> bool:
    """Since OTP 29 a scope is a data_publisher, of which pg is the callback module."""
    if process.initial_call != ("data_publisher", "init", 1):
        return process.initial_call == ("pg", "init", 1)
    found = state(vm, process)
    # {state, Scope, Module, ...} (data_publisher.erl).
    if found.term is None or found.term.kind != "tuple" or len(found.term) < 3:
        why = found.problem or "its state is no record"
        problems.append(f"{process.pid} {process.label} may be a scope of pg: {why}")
        return False
    return is_atom(found.term[2], "pg")


def _registries(vm: VM, problems: list[str]) -> Iterator[Entry]:
    """{Key, {Pid, Value}} in the tables of keys of each Registry."""
    for table in vm.ets_tables:
        process = vm.process(table.owner) if table.named else None
        call = None if process is None else process.initial_call
        if call is None or call[:2] != ("supervisor", "Elixir.Registry.Supervisor"):
            continue
        for keys in _key_tables(vm, table, problems):
            for row in _rows(keys, 2, problems):
                if row[1].kind == "tuple" and len(row[1]) == 2:
                    yield Entry("registry", table.name, row[0], row[1][0], row[1][1])


def _key_tables(vm: VM, table: EtsTable, problems: list[str]) -> Iterator[EtsTable]:
    """Of one partition the table of keys stands in the row -1, {Kind, 1, Keys ...}; of more each
    has a row, {Number, Keys, {Pid, Pids}} (registry.ex)."""
    for row in _rows(table, 0, problems):
        key = row[0]
        if key.kind != "small":
            continue
        number = int(key.value())
        found: Term | None = None
        if number >= 0 and len(row) == 3:
            found = row[1]
        elif number == -1 and len(row) == 2 and row[1].kind == "tuple" and len(row[1]) > 2:
            found = row[1][2]
        if found is None or found.kind not in ("ref", "atom") or str(found) in ("nil", "undefined"):
            continue
        which = ref_text(str(found)) or str(found.value())
        try:
            yield vm.ets_table(which)
        except Problem as error:
            problems.append(f"{table.name}: {error}")


def _rows(table: EtsTable, arity: int, problems: list[str]) -> Iterator[Term]:
    """Rows that are tuples of so many elements (0: any); what cannot be read is a problem."""
    rows = table.rows()
    for row in rows:
        if not row.pseudo_deleted and (not arity or len(row.term) == arity):
            yield row.term
    if rows.gaps:
        problems.append(f"{table.name}: {rows.gaps:,} rows could not be read ({rows.problem})")
