# SPDX-License-Identifier: Apache-2.0
"""Processes: what process_info/2 says of each, and what waits in their mailboxes.

    from etp import processes

    for row in processes.rows(vm):
        print(row.pid, row.name, row.message_queue_len, row.memory)
    server = vm.find_process("shop_server")
    print(processes.info(vm, server).links)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union, overload

from .text import plural, safe
from .units import WORD

if TYPE_CHECKING:
    from _etp import Records, Term

    from .vm import VM, Process

Call = tuple[str, str, int]

#: In the order of enum etp_process_item (include/etp/process.h).
ITEMS = (
    "memory",
    "total_heap_size",
    "heap_size",
    "stack_size",
    "garbage_collection_info",
    "reductions",
    "message_queue_len",
    "links",
    "monitors",
    "initial_call",
    "registered_name",
    "error_handler",
    "dictionary",
)


class Row(NamedTuple):
    """A process in one line; process_list() in plugin/_etp.pyi."""

    address: int
    pid: Term
    name: Optional[str]
    #: As proc_lib left it, or else what spawn was given.
    initial_call: Optional[Call]
    #: As process_info(P, status), or "unknown".
    status: str
    message_queue_len: int
    #: Of these, those that had not arrived in the message queue proper.
    in_transit: int
    #: Bytes.
    memory: int
    reductions: int
    #: Words.
    total_heap_size: int
    heap_size: int
    stack_size: int
    links: int
    monitors: int
    program_counter: int
    #: As Term.word.
    group_leader: int
    unknown_bits: int
    uncertain_bits: int
    is_hibernated: bool
    #: The initial call, "" without one; says if it could not be read whole.
    call_text: str

    @property
    def label(self) -> str:
        """Registered name, or else initial call."""
        return safe(self.name or self.call_text)

    @property
    def unknown(self) -> list[str]:
        """Items that could not be read in full."""
        return _items(self.unknown_bits)

    @property
    def uncertain(self) -> list[str]:
        """Items that were in registers, or changing, when the core was taken."""
        return _items(self.uncertain_bits)


def call_text(call: Call | None) -> str:
    return "" if call is None else f"{call[0]}:{call[1]}/{call[2]}"


def _items(bits: int) -> list[str]:
    return [name for i, name in enumerate(ITEMS) if bits >> i & 1] if bits else []


class Rows(Sequence[Row]):
    """Rows that the binding keeps, and that are made when somebody looks."""

    def __init__(self, native: Records) -> None:
        #: The object of the binding (plugin/_etp.pyi).
        self.native = native

    def __len__(self) -> int:
        return len(self.native)

    @overload
    def __getitem__(self, index: int) -> Row:
        ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]:
        ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return Row._make(self.native[index if index >= 0 else index + len(self)])

    def values(self, name: str) -> list[Any]:
        """One of the fields, of all of them."""
        return self.native.values(name)

    def pick(self, indexes: list[int]) -> Rows:
        """These in this order."""
        return Rows(self.native.pick(indexes))


def rows(vm: VM) -> Rows:
    """All processes, in one pass."""
    return Rows(vm.native.process_list())


def unread(found: Rows) -> list[str]:
    """What must be said of processes that could not be read in full, a sentence each."""
    states = zip(found.values("unknown_bits"), found.values("status"))
    incomplete = [i for i, (bits, status) in enumerate(states) if bits and status != "exiting"]
    if not incomplete:
        return []
    return [
        f"{plural(len(incomplete), 'process', 'processes')} could not be read in full, first"
        f" {found[incomplete[0]].pid}; etp-process-info tells what is missing."
    ]


@dataclass(frozen=True)
class Monitor:
    """One end of a monitor."""

    #: "process", "port", "time_offset", "dist_process", "resource", "suspend", "alias" ...
    type: str
    #: The process is watched; otherwise it watches.
    is_target: bool
    #: Who is at the other end: pid, port, reference of a NIF resource, atom.
    other: Term | None
    ref: Term | None
    #: Set up by name, on that node.
    name: Term | None
    node: Term | None
    spawn_pending: bool
    suspend_count: int
    suspend_active: bool
    #: process_info(P, monitors) or (P, monitored_by) lists it.
    listed: bool


@dataclass(frozen=True)
class ProcessInfo:
    """What process_info/2 says; names and units are its own (heap sizes in words)."""

    address: int
    pid: Term
    registered_name: str | None
    #: What spawn was given; None when the process exits.
    initial_call: Call | None
    #: What proc_lib was given.
    proc_lib_initial_call: Call | None
    status: str
    priority: str
    trap_exit: bool
    message_queue_data: str
    message_queue_len: int
    #: Messages in the "inner", "middle" and "outer" queue, and in "buffer".
    queues: dict[str, int]
    external_messages: int
    #: Signals in transit that are no messages.
    signals: int
    links: list[Term]
    all_monitors: list[Monitor]
    dictionary: list[tuple[Term, Term]]
    group_leader: Term
    parent: Term | None
    error_handler: str
    sequential_trace_token: Term
    #: Bytes.
    memory: int
    total_heap_size: int
    heap_size: int
    stack_size: int
    min_heap_size: int
    fullsweep_after: int
    reductions: int
    catchlevel: int
    garbage_collection: dict[str, Any]
    garbage_collection_info: dict[str, int]
    is_running: bool
    is_dirty_running: bool
    is_exiting: bool
    is_collecting_garbage: bool
    is_hibernated: bool
    #: process_flag(sensitive, true): the VM shows neither messages nor dictionary.
    is_sensitive: bool
    #: ("normal", "dirty_cpu" or "dirty_io", number) of the scheduler that runs it.
    scheduler: tuple[str, int] | None
    state: int
    flags: int
    unknown: list[str]
    uncertain: list[str]
    gaps: int
    problem: str

    @property
    def monitors(self) -> list[Monitor]:
        return [m for m in self.all_monitors if m.listed and not m.is_target]

    @property
    def monitored_by(self) -> list[Monitor]:
        return [m for m in self.all_monitors if m.listed and m.is_target]

    @property
    def suspending(self) -> list[Monitor]:
        return [m for m in self.all_monitors if m.type == "suspend" and not m.is_target]

    @property
    def suspended_by(self) -> list[Monitor]:
        return [m for m in self.all_monitors if m.type == "suspend" and m.is_target]

    @property
    def in_transit(self) -> int:
        return self.message_queue_len - self.queues["inner"]

    @property
    def heap_bytes(self) -> int:
        return self.total_heap_size * WORD

    @property
    def scheduler_text(self) -> str:
        if not self.scheduler:
            return ""
        kind, number = self.scheduler
        return f"{'' if kind == 'normal' else kind.replace('_', ' ') + ' '}scheduler {number}"

    @property
    def warnings(self) -> list[str]:
        """What makes the answer doubtful, a sentence each."""
        found = []
        uncertain = ", ".join(self.uncertain)
        if self.is_exiting:
            found.append(f"The process was exiting; not certain any more: {uncertain}.")
        elif self.is_collecting_garbage:
            found.append(f"The process was collecting garbage; not certain: {uncertain}.")
        elif self.is_running:
            where = f" on {self.scheduler_text}" if self.scheduler else ""
            found.append(
                f"The process was running{where}; of the last time that it was scheduled out, and"
                f" not certain: {uncertain}."
            )
        if self.gaps:
            unknown = ", ".join(self.unknown)
            found.append(f"Incomplete, because {self.problem}: {unknown}.")
        return found


def info(vm: VM, process: Process | int) -> ProcessInfo:
    """Of a process, or of the Process at an address."""
    address = process if isinstance(process, int) else process.address
    facts = vm.native.process_info(address)
    values = {
        name: facts[name] for name in ProcessInfo.__dataclass_fields__ if name != "all_monitors"
    }
    monitors = [Monitor(**monitor) for monitor in facts["all_monitors"]]
    return ProcessInfo(all_monitors=monitors, **values)


class Message(NamedTuple):
    """A message or another signal; messages() in plugin/_etp.pyi says what a signal has."""

    queue: str
    #: "message", "external", "alias" or "signal".
    kind: str
    term: Union[Term, None]
    sender: Union[Term, None]
    signal: str
    storage: str
    words: Union[int, None]
    external_bytes: int
    address: int
    #: Why a message in external format has no term.
    undecoded: str


class Messages:
    """Iterates over the signals of a process, oldest first; counts what could not be read."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        return Message._make(next(self._native))

    @property
    def gaps(self) -> int:
        return int(self._native.gaps)

    @property
    def problem(self) -> str:
        return str(self._native.problem)


def messages(vm: VM, process: Process | int) -> Messages:
    return Messages(vm.native.messages(process if isinstance(process, int) else process.address))


@dataclass(frozen=True)
class Shape:
    """Messages that look alike."""

    text: str
    count: int
    #: Words in heap fragments; what is on the heap of the process is not counted.
    words: int
    oldest: Term | None
    newest: Term | None


@dataclass(frozen=True)
class Shapes:
    shapes: list[Shape]
    messages: int
    #: Messages of further shapes.
    others: int
    gaps: int
    problem: str


def shapes(vm: VM, process: Process | int, elixir: bool = False, redact: bool = False) -> Shapes:
    """The messages of a process by shape, most frequent first."""
    address = process if isinstance(process, int) else process.address
    facts = vm.native.message_shapes(address, elixir=elixir, redact=redact)
    return Shapes(
        shapes=[Shape(*shape) for shape in facts["shapes"]],
        messages=facts["messages"],
        others=facts["others"],
        gaps=facts["gaps"],
        problem=facts["problem"],
    )


@dataclass(frozen=True)
class Mailbox:
    """One of the longest mailboxes; include/etp/mailboxes.h."""

    address: int
    pid: Term
    #: In the queue that a receive looks through, and on their way to it.
    messages: int
    in_transit: int
    #: Those that the receive has looked at and left; None when unknown.
    looked_at: int | None


@dataclass(frozen=True)
class Mailboxes:
    """The longest mailboxes, longest first."""

    boxes: list[Mailbox]
    #: Messages of all processes.
    messages: int
    gaps: int
    problem: str


def mailboxes(vm: VM, limit: int) -> Mailboxes:
    facts = vm.native.mailboxes(limit)
    boxes = [Mailbox(*box) for box in facts["boxes"]]
    return Mailboxes(boxes, facts["messages"], facts["gaps"], facts["problem"])
