# SPDX-License-Identifier: Apache-2.0
"""ETS tables, their rows, and what one pass over all rows found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from .errors import Problem
from .text import safe, similar
from .units import WORD
from .vm import VM, ref_text

if TYPE_CHECKING:
    import _etp
    from _etp import EtsRow, Term


@dataclass(frozen=True, eq=False)
class EtsTable:
    """One table; names and values as ets:info/1 gives them."""

    vm: VM = field(repr=False)
    address: int
    #: The reference, or the atom of a named table.
    id: Term
    ref: Term
    name: str
    type: Literal["set", "ordered_set", "bag", "duplicate_bag"]
    is_catree: bool
    protection: Literal["public", "protected", "private"]
    named: bool
    owner: Term
    owner_alive: bool
    heir: Term | None
    #: Rows.
    size: int
    #: What ets:info(T, memory) says: words, without off-heap bytes.
    memory_words: int
    keypos: int
    compressed: bool
    read_concurrency: bool
    #: The pair is ("debug_hash_fixed_number_of_locks", locks).
    write_concurrency: bool | Literal["auto"] | tuple[str, int]
    decentralized_counters: bool
    fixed: bool
    fix_count: int
    #: Erlang system time in nanoseconds, 0 when unknown or not fixed.
    fixed_since_ns: int
    #: Age of the fixation by the VM's own clock (as Info.uptime_ns), -1 when unknown or not fixed.
    fixed_for_ns: int
    #: Who fixed it, and how often.
    fixing: list[tuple[Term, int]]
    #: A process writes to it, or some read, and others wait for its lock.
    is_write_locked: bool
    is_read_locked: bool
    is_lock_awaited: bool
    is_deleting: bool
    is_resizing: bool
    status: int
    #: What could not be read of the table itself, "" when all could.
    problem: str

    @staticmethod
    def of(vm: VM, facts: dict[str, Any]) -> EtsTable:
        values = {name: facts[name] for name in EtsTable.__dataclass_fields__ if name != "vm"}
        return EtsTable(vm=vm, **values)

    @property
    def memory_bytes(self) -> int:
        return self.memory_words * WORD

    @property
    def label(self) -> str:
        """How people call it: its name, with the reference when the name alone is not enough."""
        return safe(self.name) if self.named else f"{safe(self.name)} {self.ref}"

    @property
    def owner_label(self) -> str:
        """Registered name or initial call of the owner; "dead" when it is; "" when unknown."""
        if not self.owner_alive:
            return "dead"
        process = self.vm.process(self.owner)
        return process.label if process else ""

    @property
    def options(self) -> list[str]:
        """The options of ets:new/2 that are not the default, as it takes them."""
        found = ["named_table"] if self.named else []
        if self.keypos != 1:
            found.append(f"{{keypos,{self.keypos}}}")
        if self.compressed:
            found.append("compressed")
        if self.read_concurrency:
            found.append("{read_concurrency,true}")
        if self.write_concurrency:
            value = self.write_concurrency
            if isinstance(value, tuple):
                text = f"{{{value[0]},{value[1]}}}"
            else:
                text = value if isinstance(value, str) else "true"
            found.append(f"{{write_concurrency,{text}}}")
        if self.decentralized_counters:
            found.append("{decentralized_counters,true}")
        return found

    @property
    def states(self) -> list[str]:
        """What is going on with the table."""
        found = []
        if self.fixed:
            found.append(f"fixed {self.fix_count}x")
        if self.is_lock_awaited:
            found.append("its lock is awaited")
        if self.is_resizing:
            found.append("resizing")
        if self.is_deleting:
            found.append("being deleted")
        if self.is_catree:
            found.append("CA tree")
        return found

    def row(self, address: int = 0) -> EtsRow | None:
        """The row whose DbTerm is at an address (0: the first)."""
        return self.vm.native.ets_row(self.address, address)

    def rows(self) -> EtsRows:
        """The rows in the order of ets:tab2list/1."""
        return EtsRows(self.vm.native.ets_rows(self.address))


class EtsRows:
    """Iterates over rows; counts those that could not be read."""

    def __init__(self, native: Iterator[EtsRow]) -> None:
        self._native: Any = native

    def __iter__(self) -> Iterator[EtsRow]:
        return self

    def __next__(self) -> EtsRow:
        row: EtsRow = next(self._native)
        return row

    @property
    def gaps(self) -> int:
        """Rows (or chains of rows) so far that could not be read."""
        return int(getattr(self._native, "gaps", 0))

    @property
    def problem(self) -> str:
        return str(getattr(self._native, "problem", "") or "")


class EtsTables(Sequence[EtsTable]):
    """All tables of a VM."""

    def __init__(self, vm: VM) -> None:
        self._vm = vm
        self._tables = [EtsTable.of(vm, facts) for facts in vm.native.ets_tables()]
        #: What of the VM's lists of tables could not be read, a sentence each.
        self.gaps: list[str] = list(vm.native.ets_tables_gaps())
        self._by_address = {table.address: table for table in self._tables}

    def __len__(self) -> int:
        return len(self._tables)

    @overload
    def __getitem__(self, index: int) -> EtsTable:
        ...

    @overload
    def __getitem__(self, index: slice) -> list[EtsTable]:
        ...

    def __getitem__(self, index: int | slice) -> EtsTable | list[EtsTable]:
        return self._tables[index]

    def at(self, address: int) -> EtsTable | None:
        return self._by_address.get(address)

    def names(self) -> list[str]:
        return sorted({table.name for table in self._tables})

    def find(self, which: str | int) -> EtsTable:
        """A table by name, reference or address.  Raises Problem."""
        if isinstance(which, int):
            return self._find_address(which)
        text = which.strip()
        try:
            return self._find_address(int(text, 0))
        except ValueError:
            pass
        ref = ref_text(text)
        if ref is not None:
            for table in self._tables:
                if str(table.ref) == ref:
                    return table
            raise Problem(f"No table has the reference {ref}; {self._looked_at()}.")
        return self._find_name(text)

    def _looked_at(self) -> str:
        return f"{len(self._tables):,} tables were looked at, etp-ets-tables lists them"

    def _find_address(self, address: int) -> EtsTable:
        table = self._by_address.get(address)
        if table is None:
            raise Problem(f"No table is at {address:#x}; {self._looked_at()}.")
        return table

    def _find_name(self, text: str) -> EtsTable:
        names = table_names(text)
        found = [table for table in self._tables if table.name in names]
        named = [table for table in found if table.named]
        if len(named) == 1:
            return named[0]
        if len(found) == 1:
            return found[0]
        shown = safe(text)
        if found:
            refs = ", ".join(str(table.ref) for table in found[:5])
            more = ", ..." if len(found) > 5 else ""
            raise Problem(
                f"{len(found)} tables have the name {shown}: give one's reference, "
                f"of {refs}{more} (etp-ets-tables --name '{shown}' lists them)."
            )
        hint = similar(text, self.names())
        raise Problem(f"No table has the name {shown}; {self._looked_at()}.{hint}")


def table_names(text: str) -> set[str]:
    """The names of tables that ``text`` may mean: quotes dropped, Elixir modules with their prefix."""
    bare = text
    if len(text) > 1 and text[0] == text[-1] == "'":
        bare = text[1:-1]
    elif text.startswith(":"):
        bare = text[1:].strip('"')
    names = {text, bare}
    if bare[:1].isupper():
        names.add("Elixir." + bare)
    return names


@dataclass
class TableScan:
    """What the rows of one table hold; counts of rows, bytes where the name says so."""

    rows: int = 0
    words: int = 0
    pseudo_deleted: int = 0
    pseudo_deleted_words: int = 0
    unreadable: int = 0
    #: References to refc binaries (ProcBins), and the distinct binaries behind them.
    binary_refs: int = 0
    binaries: int = 0
    binary_bytes: int = 0
    #: What the rows can see of these bytes, each byte counted once.
    visible_bytes: int = 0
    #: The same for binaries that nobody but this table refers to.
    own_binaries: int = 0
    own_bytes: int = 0
    own_visible_bytes: int = 0
    #: Rows that see less than half of some binary that they hold.
    pinned_rows: int = 0
    dead_pid_rows: int = 0
    dead_pid_keys: int = 0
    live_pid_rows: int = 0
    dead_ref_rows: int = 0
    #: Address of a row that pins most, and of one that holds a dead pid or reference; 0 for none.
    sample_pin: int = 0
    sample_dead: int = 0
    sample_pin_bytes: int = 0
    sample_pin_visible: int = 0
    #: Address of the row with most words, of those that are not deleted; 0 for none.
    largest_row: int = 0
    largest_row_words: int = 0

    @property
    def unseen_bytes(self) -> int:
        """Bytes kept in memory that no row of the table can see."""
        return max(0, self.binary_bytes - self.visible_bytes)

    @property
    def own_unseen_bytes(self) -> int:
        """The same, of binaries that nobody else holds: what copying the rows' parts frees."""
        return max(0, self.own_bytes - self.own_visible_bytes)


@dataclass(frozen=True)
class Binary:
    """An off-heap binary that rows refer to."""

    address: int
    size: int
    refc: int
    flags: int
    #: References found in tables; the difference to refc is held elsewhere.
    refs: int
    visible_bytes: int
    #: (address of the table, references)
    holders: list[tuple[int, int]]
    #: Address of the first byte, 0 when the binding does not say.
    data_address: int = 0

    @property
    def unseen_bytes(self) -> int:
        return max(0, self.size - self.visible_bytes)


class EtsScan:
    """What one pass over the rows found."""

    def __init__(self, native: _etp.EtsScan) -> None:
        self._native = native
        #: False when it was interrupted.
        self.complete: bool = native.complete
        names = TableScan.__dataclass_fields__
        self.tables: dict[int, TableScan] = {
            address: TableScan(**{name: n for name, n in numbers.items() if name in names})
            for address, numbers in native.tables.items()
        }

    def binary_count(self) -> int:
        """Distinct off-heap binaries found."""
        return self._native.binary_count()

    def binary_bytes(self) -> int:
        """Their sizes, each counted once however many tables have it."""
        return self._native.binary_bytes()

    def binaries(
        self, sort: Literal["size", "waste", "refs", "address"] = "size", limit: int = -1
    ) -> list[Binary]:
        return [_binary(entry) for entry in self._native.binaries(sort, limit)]

    def binary(self, address: int) -> Binary | None:
        entry = self._native.binary(address)
        return None if entry is None else _binary(entry)


def _binary(entry: dict[str, Any]) -> Binary:
    names = Binary.__dataclass_fields__
    return Binary(**{name: value for name, value in entry.items() if name in names})
