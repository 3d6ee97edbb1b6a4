# SPDX-License-Identifier: Apache-2.0
"""The emulator and its limits: what erlang:system_info/1 says, and more that hangs have to do with.

    from etp import system_info

    found = system_info.system_info(vm)
    print(found.emu_type, found.schedulers_online, found.command_line)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .vm import VM

SECRET_FLAGS = ("-setcookie",)
"""What follows these on the command line is never shown: the last one is the cookie itself."""

# -setcookie Cookie, or -setcookie Node Cookie.
_SECRET_ARGUMENTS = 2

# DB_DEF_MAX_TABS, erl_db.c: that many tables are named even if fewer were asked for.
_ETS_LIMIT = 8192


@dataclass(frozen=True)
class SystemInfo:
    """None where it is not known.  Names are those of erlang:system_info/1 where it has them."""

    otp_release: str
    erts_version: str
    emu_flavor: str
    #: "opt", "debug", "lcnt" or "lock checking".
    emu_type: str
    arch: str | None
    wordsize: int
    kernel_poll: bool | None
    node: str
    #: The node is distributed.
    is_alive: bool | None
    schedulers: int
    #: Those that are not suspended.
    schedulers_online: int | None
    dirty_cpu_schedulers: int
    dirty_cpu_schedulers_online: int | None
    dirty_io_schedulers: int
    async_threads: int | None
    poll_threads: int | None
    processes: int
    process_limit: int
    ports: int
    port_limit: int
    atoms: int
    atom_limit: int
    ets_tables: int
    ets_limit: int | None
    uptime_ns: int | None
    #: Bytes that the allocators have handed out, and that they have of the operating system.
    allocated: int
    carriers: int
    dist_buf_busy_limit: int | None
    backtrace_depth: int | None
    #: erlang:halt/0,1,2 was called; a crash dump is being written.
    is_halting: bool
    is_writing_crash_dump: bool
    #: Without the values of SECRET_FLAGS.
    command_line: list[str]


def system_info(vm: VM) -> SystemInfo:
    info = vm.info
    allocators = vm.native.memory()["allocators"].values()
    requested = _number(vm, "user_requested_db_max_tabs")
    poll = _number(vm, "erts_use_kernel_poll")
    alive = _number(vm, "erts_is_alive")
    online = _online(vm)
    return SystemInfo(
        otp_release=info.otp_release,
        erts_version=info.erts_version,
        emu_flavor=info.flavor,
        emu_type=_emu_type(vm),
        arch=_text(vm, "etp_arch"),
        wordsize=8,
        kernel_poll=None if poll is None else bool(poll),
        node=info.node,
        is_alive=None if alive is None else bool(alive),
        schedulers=info.schedulers,
        schedulers_online=online.get("normal"),
        dirty_cpu_schedulers=info.dirty_cpu_schedulers,
        dirty_cpu_schedulers_online=online.get("dirty_cpu"),
        dirty_io_schedulers=info.dirty_io_schedulers,
        async_threads=_number(vm, "erts_async_max_threads"),
        poll_threads=_number(vm, "erts_no_poll_threads"),
        processes=info.processes,
        process_limit=info.process_limit,
        ports=info.ports,
        port_limit=info.port_limit,
        atoms=info.atoms,
        atom_limit=info.atom_limit,
        ets_tables=info.ets_tables,
        ets_limit=None if requested is None else max(requested, _ETS_LIMIT),
        uptime_ns=None if info.uptime_ns < 0 else info.uptime_ns,
        allocated=sum(allocator["blocks"] for allocator in allocators),
        carriers=sum(allocator["carriers"] for allocator in allocators),
        dist_buf_busy_limit=dist_buf_busy_limit(vm),
        backtrace_depth=_number(vm, "erts_backtrace_depth"),
        # It is -1 until the VM halts (erts_halt(), erl_process.c).
        is_halting=_number(vm, "erts_halt_progress") not in (None, -1),
        is_writing_crash_dump=bool(_number(vm, "erts_writing_erl_crash_dump")),
        command_line=without_secrets(vm.native.arguments()),
    )


def without_secrets(arguments: Sequence[str | None]) -> list[str]:
    """The command line with <redacted> for the values of SECRET_FLAGS."""
    shown: list[str] = []
    hidden = 0
    for argument in arguments:
        if argument is None:
            shown.append("<unreadable>")
        elif argument[:1] in ("-", "+"):
            hidden = _SECRET_ARGUMENTS if argument in SECRET_FLAGS else 0
            shown.append(argument)
        elif hidden:
            hidden -= 1
            shown.append("<redacted>")
        else:
            shown.append(argument)
    return shown


def _online(vm: VM) -> dict[str, int]:
    """How many schedulers of each kind are not suspended."""
    from .schedulers import schedulers

    online: dict[str, int] = {}
    for scheduler in schedulers(vm):
        is_online = "SUSPENDED" not in scheduler.sleep_flags
        online[scheduler.kind] = online.get(scheduler.kind, 0) + is_online
        if scheduler.activity == "unknown":
            return {}
    return online


def _emu_type(vm: VM) -> str:
    for symbol, name in (
        ("etp_debug_compiled", "debug"),
        ("etp_lock_check", "lock checking"),
        ("etp_lock_count", "lcnt"),
    ):
        if _number(vm, symbol):
            return name
    return "opt"


def dist_buf_busy_limit(vm: VM) -> int | None:
    """Bytes from which on the queue of a connection suspends whoever sends."""
    return _number(vm, "erts_dist_buf_busy_limit")


def _number(vm: VM, name: str) -> int | None:
    """A global of four or eight bytes."""
    from .vm import Error

    try:
        address, size = vm.symbol(name)
        return int.from_bytes(vm.read(address, 8 if size == 8 else 4), "little", signed=True)
    except Error:
        return None


def _text(vm: VM, name: str) -> str | None:
    """A global string."""
    from .text import safe
    from .vm import Error

    try:
        address, size = vm.symbol(name)
        return safe(vm.read(address, size).split(b"\0")[0].decode("utf-8", "replace"))
    except Error:
        return None
