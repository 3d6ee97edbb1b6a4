# SPDX-License-Identifier: Apache-2.0
"""Stacks of threads, of C and of Erlang in one.

    from etp import backtrace

    for thread in backtrace.threads(vm):
        print(thread.name)
        for frame in thread.frames:
            print("   ", frame.name, frame.place)

Frames of C come from the unwinder of the binding, which has registers and .eh_frame. It ends where the
JIT's code begins, which calls C on the stack of the thread, but has its own frames on the stack of the
process. What the scheduler of this thread executes is put there, then what called the JIT's main loop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from .code import Location, unread_stack
from .text import plural, safe
from .units import WORD

if TYPE_CHECKING:
    from .schedulers import Scheduler
    from .vm import VM

#: By DWARF numbers, x86-64: what a front end gives for a process that it has stopped.
REGISTERS = (
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip
#: What pthread_self() is made of; 0 where a debugger has no such register (lldb 14).
THREAD_REGISTER = "fs_base"

_FP, _SP, _PC = 6, 7, 16
_Frame = TypeVar("_Frame")

FRAMES = 256
"""Of C, and of Erlang, that are read of one stack unless more are asked for: those of a recursion that does
not end are a million, and all alike."""
_C_FRAMES_MAX = 1023
"""More of C are not read in any case; one less than what the binding gives, to know of more."""

# C functions that execute a process: its frames are called from there.
_MAIN_LOOPS = ("process_main", "erts_dirty_process_main")


@dataclass(frozen=True)
class Frame:
    """One frame: of C, or with a location of Erlang."""

    pc: int
    #: Of C: function, and bytes from its start (from that of the file, if it has no symbol); name
    #: of the file that has it.
    function: str | None = None
    offset: int = 0
    file: str | None = None
    #: The file is not here, or is none: what called it is not known.
    is_missing: bool = False
    location: Location | None = None

    @property
    def is_erlang(self) -> bool:
        return self.location is not None

    @property
    def name(self) -> str:
        return self.text("erlang")

    def text(self, syntax: str) -> str:
        """``lists:map/2``, ``pause+61``, or what else is known."""
        if self.location is not None:
            return self.location.name(syntax)
        if self.function is not None:
            return f"{safe(c_name(self.function))}+{self.offset}"
        return f"{safe(self.file)}+{self.offset:#x}" if self.file else f"{self.pc:#x}"

    @property
    def place(self) -> str:
        """``lists.erl:1239``, ``libc.so.6``, or ``""``."""
        if self.location is not None:
            return self.location.place
        return safe(self.file or "") if self.function is not None else ""


# A function of C++ without namespace, or one with: lengths and names, then its arguments.
_MANGLED = re.compile(r"_Z(?P<nested>N[VK]*)?(?=\d)")


def c_name(name: str) -> str:
    """A function as its source has it, without arguments, where C++ has put these into its name."""
    match = _MANGLED.match(name)
    if match is None:
        return name
    parts, rest = [], name[match.end() :]
    while number := re.match(r"\d+", rest):
        end = number.end() + int(number.group())
        if end > len(rest):
            return name
        parts.append(rest[number.end() : end])
        rest = rest[end:]
        if not match["nested"]:
            break
    return "::".join(parts)


@dataclass(frozen=True)
class Thread:
    tid: int
    #: pthread_self(), 0 when unknown.
    thread: int
    scheduler: Scheduler | None
    frames: list[Frame]
    #: What makes the answer doubtful, a sentence each.
    warnings: list[str] = field(default_factory=list)
    #: What it is called, if it is no scheduler's: "aux thread", "poll thread 0", "async thread 1", "main
    #: thread", or the name that it gave itself; and how that is known: "vm", "core", "proc", or "".
    kind: str = ""
    known_by: str = ""

    @property
    def name(self) -> str:
        return self.scheduler.name if self.scheduler else self.kind or f"thread {self.tid}"


Registers = Mapping[int, Sequence[int]]
"""Of each thread (tid): those of REGISTERS, and THREAD_REGISTER behind them."""


def threads(vm: VM, registers: Registers | None = None, most: int = FRAMES) -> list[Thread]:
    """All threads, schedulers first. ``registers`` are those of a process that a debugger has stopped,
    where we cannot ask for them. Of each stack, ``most`` frames of C and as many of Erlang are read; a warning
    of the thread says where there are more."""
    from .schedulers import schedulers

    every = schedulers(vm)
    places = {s.thread: i for i, s in enumerate(every) if s.thread}
    types, _breaks_off = vm.native.thread_types()
    found = []
    for tid, thread, values, is_partial in vm.native.threads():
        given = (registers or {}).get(tid)
        if given is not None:
            values, thread, is_partial = list(given[:-1]), given[-1] or thread, False
        index = places.get(thread)
        order = len(every) if index is None else index
        made = _thread(vm, tid, thread, values, is_partial, every, index, most)
        if index is None:
            kind, known_by = _kind(vm, tid, types.get(thread))
            made = replace(made, kind=kind, known_by=known_by)
        found.append((order, tid, made))
    return [thread for _order, _tid, thread in sorted(found, key=lambda entry: entry[:2])]


def gaps(vm: VM) -> list[str]:
    """Why threads may have no name, a sentence."""
    from .schedulers import schedulers

    types, breaks_off = vm.native.thread_types()
    known = {thread for _tid, thread, _registers, _is_partial in vm.native.threads()}
    # Each list has schedulers in it. A build without microstate accounting has no lists.
    is_headless = bool(types) and any(
        s.thread in known and s.thread not in types for s in schedulers(vm) if s.thread
    )
    if not breaks_off and not is_headless:
        return []
    return ["The VM's lists of its threads could not be read in full: threads may have no names."]


def _kind(vm: VM, tid: int, vm_type: tuple[str, int] | None) -> tuple[str, str]:
    """Of a thread that is no scheduler's, and how it is known."""
    if vm_type is not None:
        name, number = vm_type
        # There is one of these, but in debug builds.
        return (f"{name} thread" if name == "aux" else f"{name} thread {number}"), "vm"
    if tid == vm.info.pid:
        # The first thread of a process has its number.
        return "main thread", "core"
    if vm.info.is_process:
        try:
            with open(f"/proc/{vm.info.pid}/task/{tid}/comm", errors="replace") as file:
                name = safe(file.read().strip())
                return _COMM.get(name, f"thread {name}"), "proc"
        except OSError:
            # It has ended meanwhile.
            return "", ""
    return "", ""


# What ERTS calls the threads that have no type, to OTP 26 and since.
_COMM = {
    "sys_sig_dispatc": "signal dispatcher",
    "erts_ssig_disp": "signal dispatcher",
    "sys_msg_dispatc": "system message dispatcher",
    "erts_smsg_disp": "system message dispatcher",
}


def _thread(
    vm: VM,
    tid: int,
    thread: int,
    registers: list[int],
    is_partial: bool,
    every: list[Scheduler],
    index: int | None,
    most: int,
) -> Thread:
    warnings = []
    if is_partial:
        warnings.append("Its registers are not known, only where it is: the stack may end early.")
    scheduler = None if index is None else every[index]
    # The code of a scheduler that is of no file may be the JIT's.
    inner = _unwind(vm, registers, most, warnings, is_of_file=scheduler is None)
    if not _is_readable(vm, registers[_SP]):
        warnings.append("Its stack cannot be read: what called this is not known.")
    if scheduler is None or index is None:
        return Thread(tid, thread, None, inner, warnings)
    outer: list[Frame] = []
    loop = next((i for i, f in enumerate(inner) if f.function in _MAIN_LOOPS), None)
    if loop is not None:
        inner, outer = inner[:loop], inner[loop:]
    elif inner and not inner[-1].is_missing:
        # A whole stack, in which nobody can tell the place.
        if scheduler.process:
            warnings.append(
                "Which function is the VM's main loop cannot be told, for it has no symbols: frames of"
                " Erlang come last, and belong further up."
            )
    else:
        if inner and inner[-1].file is None:
            # The JIT's code, which is no file's.
            inner.pop()
        called = vm.native.scheduler_outer_frame(index)
        if called is not None:
            again = [0] * len(registers)
            again[_PC], again[_SP], again[_FP] = called
            outer = _unwind(vm, again, most, warnings)
        elif not inner or not inner[-1].is_missing:
            warnings.append("What called the VM's main loop was not found.")
    erlang = _erlang(vm, scheduler, registers, bool(inner), most, warnings)
    return Thread(tid, thread, scheduler, inner + erlang + outer, warnings)


def _is_readable(vm: VM, address: int) -> bool:
    from .vm import Error

    try:
        return bool(vm.read(address, WORD))
    except Error:
        return False


def _cut(frames: list[_Frame], most: int, language: str, warnings: list[str]) -> list[_Frame]:
    """The first of what was asked for one more of."""
    if len(frames) > most:
        warnings.append(
            f"Its stack is deeper: {plural(most, 'frame')} of {language} read. `etp-bt --limit` reads more."
        )
    return frames[:most]


def _unwind(
    vm: VM, registers: list[int], most: int, warnings: list[str], is_of_file: bool = True
) -> list[Frame]:
    """Frames of C; says which file would be needed to know more of them.  ``is_of_file``: all of the
    code should be."""
    most = min(most, _C_FRAMES_MAX)
    found = [
        Frame(pc, function, offset, file, bool(is_missing))
        for pc, function, offset, file, is_missing in vm.native.unwind(registers, most + 1)
    ]
    found = _cut(found, most, "C", warnings)
    last = found[-1] if found else None
    if last is None or not last.is_missing:
        return found
    if last.file is not None:
        warning = (
            f"What called the code in {safe(last.file)} is not known without that file: `set etp"
            " sysroot` says where to look."
        )
    else:
        warning = f"What called the code at {last.pc:#x} is not known: the core lacks what tells of which file it is."
    if (last.file is not None or is_of_file) and warning not in warnings:
        warnings.append(warning)
    return found


def _erlang(
    vm: VM,
    scheduler: Scheduler,
    registers: list[int],
    is_in_c: bool,
    most: int,
    warnings: list[str],
) -> list[Frame]:
    """The stack of the process that the scheduler executes."""
    from .vm import Error

    if not scheduler.process:
        return []
    top = pc = 0
    try:
        areas, _problem = vm.native.heap_areas(scheduler.process)
        heap = next((area for area in areas if area["kind"] == "heap"), None)
        if not is_in_c and heap and heap["start"] <= registers[_SP] <= heap["end"]:
            # The JIT has the stack of the process in the stack pointer.
            top, pc = registers[_SP], registers[_PC]
        elif not is_in_c:
            warnings.append("The process executes, and its stack is of when it last called C.")
        execution = vm.native.execution(scheduler.process)
        if execution["stack_unreadable"]:
            warnings.append(f"Of the process, {unread_stack(execution['stack_unreadable'])}.")
        # Where it called C from stands on its stack; what the Process says of it is older. But a NIF
        # leaves its function there.
        found = vm.native.stacktrace(scheduler.process, most + 1, top or execution["stack_top"], pc)
        found = _cut(found, most, "Erlang", warnings)
        if scheduler.is_in_nif and execution["current_function"]:
            found.insert(0, execution["current_function"])
    except (Error, ValueError):
        warnings.append("The stack of the process could not be read.")
        return []
    return [Frame(pc=facts["pc"], location=Location(**facts)) for facts in found]
