# SPDX-License-Identifier: Apache-2.0
"""The VM of a core or of a process as typed Python objects.

A thin skin over the binding: what costs time is done there, and nothing is read before it is
asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, overload

from ._binding import _etp
from .errors import Problem
from .text import safe

if TYPE_CHECKING:
    from _etp import Progress, Term

    from .census import Census
    from .ets import EtsScan, EtsTable, EtsTables

Error = _etp.Error

LAYOUT_DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layouts")
"""The layout files that etp ships."""


PROCESSES_KEPT = 10_000
"""Of those that were asked for."""


@dataclass(frozen=True)
class Check:
    """One self-check of the layout against the core."""

    claim: str
    tried: int
    failed: int
    unreadable: int
    failure: str | None


@dataclass(frozen=True)
class LayoutTrial:
    """A layout file, and whether it fits (include/etp/layouts.h)."""

    path: str
    #: From the user's own directory.
    is_users: bool
    #: None if the file cannot be read.
    otp_release: str | None
    erts_version: str | None
    machine: str | None
    flavor: str | None
    origin: str | None
    #: "build-id", "same build", "near" or "other"; None if it could not be tried.
    match: str | None
    #: What it was made for, if that is something else.
    difference: str | None
    #: Why it does not fit; None if every self-check holds.
    refusal: str | None

    @staticmethod
    def _of(
        answer: tuple[list[dict[str, Any]], str | None]
    ) -> tuple[list[LayoutTrial], str | None]:
        trials, problem = answer
        if problem:
            # Nothing was compared with the VM.
            trials = [{**trial, "match": None} for trial in trials]
        return [LayoutTrial(**trial) for trial in trials], problem

    @staticmethod
    def all_of(**target: Any) -> tuple[list[LayoutTrial], str | None]:
        """Those of a target, given as for VM.open(), and why none could be tried."""
        return LayoutTrial._of(_etp.layouts(layout_directories=[LAYOUT_DIRECTORY], **target))


@dataclass(frozen=True)
class MappedFile:
    """A file that the VM had mapped, and whether it stands in for pages that were not saved."""

    path: str
    used_path: str | None
    start: int
    end: int
    core_build_id: str
    file_build_id: str
    is_executable: bool
    matched: bool


@dataclass(frozen=True)
class Info:
    """What kind of VM this is, and how good the core."""

    otp_release: str
    erts_version: str
    flavor: str
    machine: str
    schedulers: int
    dirty_cpu_schedulers: int
    dirty_io_schedulers: int
    processes: int
    process_limit: int
    ports: int
    port_limit: int
    atoms: int
    atom_limit: int
    ets_tables: int
    node: str
    creation: int
    #: Nanoseconds by the VM's own clock, to the last time it looked; -1 when unknown.
    uptime_ns: int
    #: A process, not a core.
    is_process: bool
    #: A core that etp-snapshot wrote.
    is_snapshot: bool
    #: Of a process or a snapshot: nanoseconds since the epoch at which its memory was as we have it, and for
    #: how many it was stopped to copy it (0: we did not, or it stands still yet).
    taken_at_ns: int
    pause_ns: int
    #: None of its threads executed while it was copied: it was stopped for its registers only.
    copied_at_rest: bool
    core_path: str
    executable_path: str
    core_build_id: str
    executable_build_id: str
    pid: int
    signal: int
    command: str
    #: Time of the core file, seconds since the epoch, 0 when unknown: when it was written, or copied.
    core_mtime: int
    threads: int
    segments: int
    bytes_total: int
    bytes_saved: int
    bytes_from_files: int
    bytes_missing: int
    bytes_truncated: int
    layout_source: str
    layout_origin: str
    layout_otp_release: str
    layout_erts_version: str
    layout_flavor: str
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]
    files: tuple[MappedFile, ...]

    @staticmethod
    def of(facts: dict[str, Any]) -> Info:
        values: dict[str, Any] = {}
        for field in fields(Info):
            if field.name == "warnings":
                values["warnings"] = tuple(facts.get("warnings", ()))
            elif field.name == "checks":
                values["checks"] = tuple(_only(Check, entry) for entry in facts.get("checks", ()))
            elif field.name == "files":
                values["files"] = tuple(
                    _only(MappedFile, entry) for entry in facts.get("files", ())
                )
            else:
                value = facts.get(field.name)
                values[field.name] = (
                    ("" if str(field.type) == "str" else 0) if value is None else value
                )
        return Info(**values)


def _only(kind: type[Any], entry: dict[str, Any]) -> Any:
    return kind(**{field.name: entry.get(field.name) for field in fields(kind)})


@dataclass(frozen=True)
class Process:
    """A live process in a few words."""

    address: int
    pid: Term
    #: Registered name.
    name: str | None
    initial_call: tuple[str, str, int] | None
    #: "proc_lib", "spawn" or "none"; "unreadable": what proc_lib was given is not in the core, and the call is
    #: that of proc_lib.
    initial_call_source: str

    @property
    def initial_call_text(self) -> str:
        if self.initial_call is None:
            return ""
        module, function, arity = self.initial_call
        text = f"{module}:{function}/{arity}"
        return text + " (#Unreadable)" if self.initial_call_source == "unreadable" else text

    @property
    def label(self) -> str:
        """Registered name, or else initial call."""
        return safe(self.name or self.initial_call_text)


class Atoms(Sequence[str]):
    """All atoms of the VM by index."""

    def __init__(self, native: _etp.VM) -> None:
        self._native = native

    def __len__(self) -> int:
        return self._native.atom_count()

    @overload
    def __getitem__(self, index: int) -> str:
        ...

    @overload
    def __getitem__(self, index: slice) -> list[str]:
        ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._native.atom(i) for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"no atom {index}: the VM has {len(self)}")
        return self._native.atom(index)


class VM:
    """One VM, as its memory shows it."""

    def __init__(self, native: _etp.VM) -> None:
        #: The object of the binding (plugin/_etp.pyi).
        self.native = native
        self._info: Info | None = None
        self._ets_tables: EtsTables | None = None
        self._census: Census | None = None
        self._applications: dict[str, str] | None = None
        self._processes: dict[int, Process | None] = {}
        self._loaded_modules: frozenset[str] | None = None

    @staticmethod
    def open(
        core: str | None = None,
        executable: str | None = None,
        sysroot: str | None = None,
        layout: str | None = None,
        use_dwarf: bool = True,
        pid: int = 0,
        copy: bool = True,
        search_path: str | None = None,
        without: bytes = b"",
        rehearsal: bool = False,
        max_libraries: int = 0,
    ) -> VM:
        """Of a core, or of the process ``pid``, which is stopped for a copy of its memory; with
        ``copy=False`` it must stand still already, for as long as the VM is used.  In a
        ``rehearsal`` it runs, and answers only show which memory they need: the rest, ``unused_memory()``
        of ``native``, a copy may be made ``without``."""
        if pid:
            import gc

            # An earlier copy, as large as the process, may wait in a cycle of references.
            gc.collect()
        return VM(
            _etp.VM(
                core=core,
                pid=pid,
                copy=copy,
                without=without,
                rehearsal=rehearsal,
                executable=executable,
                sysroot=sysroot,
                search_path=search_path,
                max_libraries=max_libraries,
                layout=layout,
                layout_directories=[LAYOUT_DIRECTORY],
                use_dwarf=use_dwarf,
            )
        )

    @property
    def info(self) -> Info:
        if self._info is None:
            self._info = Info.of(self.native.info())
        return self._info

    def layouts(self) -> tuple[list[LayoutTrial], str | None]:
        """All layout files, each tried on this VM, and why none could be."""
        return LayoutTrial._of(self.native.layouts([LAYOUT_DIRECTORY]))

    @property
    def atoms(self) -> Atoms:
        return Atoms(self.native)

    def term(self, word: int) -> Term:
        """The term that a raw tagged word denotes."""
        return self.native.term(word)

    def term_at(self, word: int) -> Term:
        """As term(), but a plain address (of a boxed thing, or of a cons cell) will do as well."""
        term = self.native.term(word)
        if term.kind not in ("header", "invalid", "non_value") or word & 3 or word == 0:
            return term
        # An untagged address: a boxed thing begins with a header word (primary tag 00), which no
        # cons cell can hold.  The primary tags are the same in all releases (erl_term.h).
        try:
            first = int.from_bytes(self.native.read(word, 8), "little")
        except Error:
            return term
        return self.native.term(word | (2 if first & 3 == 0 and first else 1))

    def find_atom(self, name: str) -> Term:
        return self.native.find_atom(name)

    def read(self, address: int, size: int) -> bytes:
        return self.native.read(address, size)

    def symbol(self, name: str) -> tuple[int, int]:
        """(address, size) of a global symbol of beam.smp."""
        return self.native.symbol(name)

    def symbol_at(self, address: int) -> tuple[str, int] | None:
        return self.native.symbol_at(address)

    def process(self, pid: Term | int) -> Process | None:
        """The live process of a pid (or at an address); None when it is dead."""
        key = pid if isinstance(pid, int) else pid.word
        if isinstance(pid, int) or pid.address == 0:
            if key not in self._processes:
                if len(self._processes) == PROCESSES_KEPT:
                    self._processes.clear()
                self._processes[key] = self._process(pid)
            return self._processes[key]
        return self._process(pid)

    def _process(self, pid: Term | int) -> Process | None:
        summary = self.native.process(pid)
        if summary is None:
            return None
        call = summary["initial_call"]
        return Process(
            address=summary["address"],
            pid=summary["pid"],
            name=summary["name"],
            initial_call=None if call is None else (str(call[0]), str(call[1]), int(call[2])),
            initial_call_source=summary["initial_call_source"],
        )

    def processes(self) -> Iterator[Process]:
        for address, _pid in self.native.processes():
            process = self.process(address)
            if process is not None:
                yield process

    def process_by_text(self, text: str) -> Process:
        """The live process that prints as ``<0.123.0>``."""
        for address, pid in self.native.processes():
            if str(pid) == text:
                process = self.process(address)
                if process is not None:
                    return process
        raise Problem(
            f"No live process has the pid {text}: {self.info.processes:,} were looked at. "
            "It had exited when the core was taken, or it is a pid of another node."
        )

    def find_process(self, which: str | int) -> Process:
        """A live process by pid (``<0.1.0>``), by registered name, or by the address of its
        Process."""
        from .text import plural

        if isinstance(which, str):
            text = which.strip()
            pid = pid_text(text)
            if pid is not None:
                return self.process_by_text(pid)
            try:
                address = int(text, 0)
            except ValueError:
                return self._process_of_name(text)
        else:
            address = which
        for known, _pid in self.native.processes():
            if known == address:
                process = self.process(address)
                if process is not None:
                    return process
        raise Problem(
            f"No live process is at {address:#x}: {plural(self.info.processes, 'process', 'processes')}"
            " were looked at. Give a pid such as <0.1.0>, a registered name, or the address of a"
            " Process."
        )

    def process_by_name(self, text: str) -> Process | None:
        """The live process that is registered by this name, with or without quotes."""
        name = _unquoted(text)
        for process in self.processes():
            if process.name is not None and process.name in (name, f"Elixir.{name}"):
                return process
        return None

    def _process_of_name(self, text: str) -> Process:
        from .text import similar

        process = self.process_by_name(text)
        if process is not None:
            return process
        name = _unquoted(text)
        hint = similar(name, (each.name for each in self.processes() if each.name is not None))
        raise Problem(
            f"No live process is registered as {safe(name)}: {self.info.processes:,} processes"
            f" were looked at.{hint} Give a pid such as <0.1.0>, a registered name, or the address"
            " of a Process."
        )

    @property
    def loaded_modules(self) -> frozenset[str]:
        """Names of all modules that have code."""
        if self._loaded_modules is None:
            self._loaded_modules = frozenset(module["name"] for module in self.native.modules())
        return self._loaded_modules

    @property
    def applications(self) -> dict[str, str]:
        """Versions of the applications that are loaded, by name."""
        if self._applications is None:
            from .applications import versions

            self._applications = versions(self)
        return self._applications

    @property
    def elixir_version(self) -> str:
        """Version of the application elixir, ``1.14.0``; "" when it is not loaded."""
        from .elixir import version

        return version(self)

    @property
    def ets_tables(self) -> EtsTables:
        """All ETS tables: a sequence, with what could not be read in ``.gaps``."""
        if self._ets_tables is None:
            from .ets import EtsTables

            self._ets_tables = EtsTables(self)
        return self._ets_tables

    def ets_table(self, which: str | int) -> EtsTable:
        """A table by name, by reference (``#Ref<...>``), or by address."""
        return self.ets_tables.find(which)

    def scan_ets(
        self, tables: Sequence[EtsTable] | None = None, progress: Progress | None = None
    ) -> EtsScan:
        """One pass over the rows of all tables, or of these."""
        from .ets import EtsScan

        addresses = None if tables is None else [table.address for table in tables]
        return EtsScan(self.native.scan_ets(addresses, progress))

    def census(self, progress: Progress | None = None, tables_only: bool = False) -> Census:
        """One pass over all processes, tables, literals, timers and ports.  A whole one is kept:
        the memory that we see does not change.  With ``tables_only`` only these must have been
        looked at, and their binaries summed up; who wants more later has all looked at."""
        from .census import Census

        census, self._census = self._census, None
        if census is None or not (tables_only or census.has_others):
            import time

            started = time.monotonic() - (census.seconds if census else 0)
            if census is None:
                native = self.native.census(progress, tables_only=tables_only)
            else:
                native = census.native
                native.take_others(progress)
            census = Census(native, time.monotonic() - started)
            if not census.complete:
                return census
        self._census = census
        return census


_PID = re.compile(r"^(?:#PID)?(<\d+\.\d+\.\d+>)$")
_REF = re.compile(r"^#(?:Ref|Reference)(<\d+(?:\.\d+)+>)$")


def pid_text(text: str) -> str | None:
    """``<0.1.0>`` of a pid in Erlang's or Elixir's spelling; None for other text."""
    match = _PID.match(text.strip())
    return match.group(1) if match else None


def ref_text(text: str) -> str | None:
    """``#Ref<0.1.2.3>`` of a reference in Erlang's or Elixir's spelling."""
    match = _REF.match(text.strip())
    return "#Ref" + match.group(1) if match else None


def _unquoted(name: str) -> str:
    return name[1:-1] if name[:1] == name[-1:] == "'" and len(name) > 1 else name
