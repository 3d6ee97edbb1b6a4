# SPDX-License-Identifier: Apache-2.0
"""Room that a VM may run out of: what its own allocators may take, and what the system lets a process have.

    from etp import limits

    for room in limits.rooms(vm).rooms:
        print(room.what, room.used, "of", room.limit)

The limits of the system are those of a process; a core does not have them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .vm import VM


@dataclass(frozen=True)
class Room:
    #: A name for machines, and what it is for people.
    name: str
    what: str
    used: int
    limit: int
    unit: Literal["bytes", "files"]
    #: What happens when it is full, a sentence.
    then: str

    @property
    def share(self) -> float:
        return self.used / self.limit


@dataclass
class Rooms:
    rooms: list[Room] = field(default_factory=list)
    #: Limits of the system were looked at: it is a process.
    is_process: bool = False
    #: What could not be read, a sentence each.
    problems: list[str] = field(default_factory=list)


def rooms(vm: VM, proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> Rooms:
    """``proc`` and ``cgroups`` are where these are mounted."""
    found = Rooms(_super_carriers(vm), vm.info.is_process)
    if found.is_process:
        directory = f"{proc}/{vm.info.pid}"
        _system_limits(directory, found)
        _control_group(directory, cgroups, found)
    return found


# ---- of the VM itself ----------------------------------------------------------------------


def _super_carriers(vm: VM) -> list[Room]:
    """erl_mmap.c: what erlang:system_info({allocator, erts_mmap}) says."""
    facts = vm.native.super_carriers()
    found = []
    literals = facts.get("literal_mmap")
    if literals and literals["total"]:
        found.append(
            Room(
                "literals",
                "The memory for literals and persistent terms (+MIscs)",
                literals["used"],
                literals["total"],
                "bytes",
                "A VM that cannot get more of it ends.",
            )
        )
    default = facts.get("default_mmap")
    if default and default["total"] and default["only"]:
        found.append(
            Room(
                "super_carrier",
                "The super carrier, from which all memory comes (+MMscs, +MMsco true),",
                default["used"],
                default["total"],
                "bytes",
                "A VM that cannot get more memory ends.",
            )
        )
    return found


# ---- of the system -------------------------------------------------------------------------

_ENDS = "A VM that cannot get more memory ends."
_OPEN = "Nothing can be opened then, no file and no connection (emfile)."


def _system_limits(directory: str, found: Rooms) -> None:
    """getrlimit(2)."""
    try:
        soft = _soft_limits(_text(f"{directory}/limits"))
        status = _status(_text(f"{directory}/status"))
        files = len(os.listdir(f"{directory}/fd"))
    except (OSError, ValueError) as error:
        found.problems.append(f"Limits of the process could not be read: {error}.")
        return
    for name, line, what, used in (
        ("address_space", "Max address space", "The address space (ulimit -v)", "VmSize"),
        ("data", "Max data size", "The data segment (ulimit -d)", "VmData"),
    ):
        if line in soft and used in status:
            found.rooms.append(Room(name, what, status[used], soft[line], "bytes", _ENDS))
    if "Max open files" in soft:
        found.rooms.append(
            Room(
                "files",
                "The table of open files (ulimit -n)",
                files,
                soft["Max open files"],
                "files",
                _OPEN,
            )
        )


def _soft_limits(text: str) -> dict[str, int]:
    """Without those that are unlimited.  Names are padded to a fixed width."""
    found = {}
    for line in text.splitlines()[1:]:
        value = line[26:].split()[0]
        if value.isdecimal() and int(value):
            found[line[:26].strip()] = int(value)
    return found


def _status(text: str) -> dict[str, int]:
    """Sizes, in bytes."""
    lines = (line.split() for line in text.splitlines())
    return {words[0][:-1]: int(words[1]) << 10 for words in lines if words[-1:] == ["kB"]}


def _control_group(directory: str, cgroups: str, found: Rooms) -> None:
    """The group of the process and those above it: the one with least room."""
    try:
        paths = _group_paths(_text(f"{directory}/cgroup"))
    except OSError as error:
        found.problems.append(f"The control group could not be read: {error}.")
        return
    tightest: Room | None = None
    for controller, path in paths:
        # A process of a container may tell a path that only the container has.
        roots = (f"{cgroups}{controller}", f"{directory}/root/sys/fs/cgroup{controller}")
        for root in roots:
            for group in _upwards(root, path):
                room = _group_room(group, controller)
                if room is not None and (tightest is None or room.share > tightest.share):
                    tightest = room
    if tightest is not None:
        found.rooms.append(tightest)


def _group_paths(text: str) -> list[tuple[str, str]]:
    """(directory of the controller, path) of version 2 and 1."""
    found = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append(("", path))
        elif "memory" in controllers.split(","):
            found.append(("/memory", path))
    return found


def _upwards(root: str, path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return ["/".join([root, *parts[:count]]) for count in range(len(parts), -1, -1)]


def _group_room(group: str, controller: str) -> Room | None:
    limit, used, cache = "memory.max", "memory.current", "inactive_file"
    if controller:
        limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        cache = "total_inactive_file"
    try:
        most, now = int(_text(f"{group}/{limit}")), int(_text(f"{group}/{used}"))
        # Pages of files that are given back when memory is needed.
        for line in _text(f"{group}/memory.stat").splitlines():
            if line.startswith(f"{cache} "):
                now -= int(line.split()[1])
                break
    except (OSError, ValueError):
        # No such group here, or it has no limit ("max").
        return None
    # Version 1 has a huge number for none.
    if not 0 < most < 1 << 60:
        return None
    return Room(
        "control_group",
        "The memory of the control group (container)",
        max(now, 0),
        most,
        "bytes",
        "The kernel then kills a process of the group.",
    )


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
