# SPDX-License-Identifier: Apache-2.0
"""File descriptors of a VM: which it waits for events on, and for whom (include/etp/fds.h); of a process
also what they are.

    from etp.fds import file_descriptors

    for fd in file_descriptors(vm).fds:
        print(fd.number, fd.type, fd.path)
"""

from __future__ import annotations

import os
import re
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM

_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True)
class FileDescriptor:
    number: int
    #: Who selects it: "driver", "nif", "stop_driver", "stop_nif"; "none": nobody, and yet the VM has it in its
    #: poll set; None: the VM does not wait for it, as for files.
    type: str | None
    #: Asked for, and waited for at the moment: "in", "out", "error".
    events: tuple[str, ...]
    active_events: tuple[str, ...]
    #: Ports or processes that are told of each event.
    receivers: dict[str, Term]
    #: Module and name of the NIF's resource type.
    resource: str | None
    resource_address: int
    #: Of a process: what /proc/PID/fd says; a socket with its addresses.
    path: str | None
    is_incomplete: bool


@dataclass(frozen=True)
class FileDescriptors:
    fds: list[FileDescriptor]
    #: Why paths are not known; "" if they are.
    no_paths: str
    #: Of the process: the limit that open() fails at; None if it is not known.
    soft_limit: int | None
    gaps: int
    problem: str


def file_descriptors(vm: VM) -> FileDescriptors:
    selected, gaps, problem = vm.native.fds()
    paths, no_paths = _paths(vm)
    known = {facts["fd"]: facts for facts in selected}
    numbers = sorted({*known, *paths})
    return FileDescriptors(
        [_descriptor(number, known.get(number), paths.get(number)) for number in numbers],
        no_paths,
        _soft_limit(vm) if not no_paths else None,
        gaps,
        problem,
    )


def _descriptor(number: int, facts: dict[str, object] | None, path: str | None) -> FileDescriptor:
    if facts is None:
        return FileDescriptor(number, None, (), (), {}, None, 0, path, False)
    module, name = facts["resource_module"], facts["resource_name"]
    return FileDescriptor(
        number,
        str(facts["type"]),
        tuple(facts["events"]),  # type: ignore[arg-type]
        tuple(facts["active_events"]),  # type: ignore[arg-type]
        {way: facts[way] for way in ("in", "out", "error") if facts[way] is not None},  # type: ignore[misc]
        None if module is None else f"{module}:{name}",
        int(facts["resource"]),  # type: ignore[call-overload]
        path,
        bool(facts["is_incomplete"]),
    )


# ---- what /proc says -----------------------------------------------------------------------


def _paths(vm: VM) -> tuple[dict[int, str], str]:
    info = vm.info
    if not info.is_process:
        return {}, "a core does not have them"
    directory = f"/proc/{info.pid}/fd"
    try:
        numbers = [int(name) for name in os.listdir(directory)]
    except OSError as error:
        return {}, f"{directory} cannot be read ({error.strerror})"
    sockets = _Sockets(info.pid)
    found = {}
    for number in numbers:
        try:
            found[number] = sockets.describe(os.readlink(f"{directory}/{number}"))
        except OSError:
            # Closed meanwhile.
            continue
    return found, ""


def _soft_limit(vm: VM) -> int | None:
    try:
        with open(f"/proc/{vm.info.pid}/limits", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("Max open files"):
                    return int(line.split()[3])
    except (OSError, ValueError, IndexError):
        pass
    return None


@dataclass
class _Sockets:
    """Addresses of sockets by their inode, in the network namespace of a process."""

    pid: int
    _by_inode: dict[str, str] | None = field(default=None)

    def describe(self, link: str) -> str:
        match = _SOCKET.fullmatch(link)
        if match is None:
            return link
        if self._by_inode is None:
            self._by_inode = self._read()
        return self._by_inode.get(match[1], link)

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for protocol in ("tcp", "tcp6", "udp", "udp6"):
            for words in self._lines(protocol):
                if len(words) > 9:
                    local, remote = _address(words[1]), _address(words[2])
                    # 0A is TCP_LISTEN.
                    way = f"listens on {local}" if words[3] == "0A" else f"{local} -> {remote}"
                    found[words[9]] = f"{protocol} {way}"
        for words in self._lines("unix"):
            if len(words) > 6:
                found[words[6]] = " ".join(["unix", *words[7:8]])
        return found

    def _lines(self, name: str) -> list[list[str]]:
        try:
            with open(f"/proc/{self.pid}/net/{name}", encoding="utf-8", errors="replace") as lines:
                return [line.split() for line in lines][1:]
        except OSError:
            return []


def _address(text: str) -> str:
    """``0100007F:1F90`` of /proc/net is 127.0.0.1:8080."""
    host, _, port = text.partition(":")
    try:
        words = [int(host[i : i + 8], 16) for i in range(0, len(host), 8)]
        # In the byte order of the machine.
        packed = struct.pack(f"={len(words)}I", *words)
        if len(packed) == 4:
            return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port, 16)}"
        return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"
    except (ValueError, struct.error):
        return text
