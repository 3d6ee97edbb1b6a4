# SPDX-License-Identifier: Apache-2.0
"""Limits of the system, from files as the kernel writes them."""

from types import SimpleNamespace

import pytest
from etp.diagnosis import hung_limits
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.hang import Hang
from etp.limits import rooms

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max data size             unlimited            unlimited            bytes
Max address space         4294967296           unlimited            bytes
Max open files            8                    4096                 files
"""


def machine(tmp_path, cgroup="0::/kubepods/pod1\n"):
    """/proc and /sys/fs/cgroup of a process 17 with 7 open files."""
    process = tmp_path / "proc" / "17"
    (process / "fd").mkdir(parents=True)
    for number in range(7):
        (process / "fd" / str(number)).touch()
    (process / "limits").write_text(LIMITS)
    (process / "status").write_text("Name:\tbeam.smp\nVmSize:\t 1048576 kB\nVmData:\t 4096 kB\n")
    (process / "cgroup").write_text(cgroup)
    return str(tmp_path / "proc"), str(tmp_path / "cgroup")


def group(directory, limit, used, cache=0):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "memory.max").write_text(f"{limit}\n")
    (directory / "memory.current").write_text(f"{used}\n")
    (directory / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\n")


def vm(is_process=True, **carriers):
    return SimpleNamespace(
        info=SimpleNamespace(is_process=is_process, pid=17),
        native=SimpleNamespace(super_carriers=lambda: carriers),
    )


def test_of_a_process(tmp_path):
    places = machine(tmp_path)
    found = rooms(vm(), *places)
    assert found.is_process and found.problems == []
    assert {room.name: (room.used, room.limit) for room in found.rooms} == {
        "address_space": (1 << 30, 1 << 32),
        "files": (7, 8),
    }


def test_the_group_with_least_room_counts(tmp_path):
    places = machine(tmp_path)
    group(tmp_path / "cgroup" / "kubepods", 1000, 950, cache=400)
    group(tmp_path / "cgroup" / "kubepods" / "pod1", "max", 900)
    (room,) = [r for r in rooms(vm(), *places).rooms if r.name == "control_group"]
    # Pages of files can be given back.
    assert (room.used, room.limit) == (550, 1000)
    group(tmp_path / "cgroup" / "kubepods" / "pod1", 1000, 600)
    (room,) = [r for r in rooms(vm(), *places).rooms if r.name == "control_group"]
    assert (room.used, room.limit) == (600, 1000)


def test_the_group_that_a_container_sees(tmp_path):
    """Its path leads nowhere here; in its own root the group is the root of all."""
    places = machine(tmp_path, "0::/../../elsewhere\n")
    group(tmp_path / "proc" / "17" / "root" / "sys" / "fs" / "cgroup", 2000, 1900)
    (room,) = [r for r in rooms(vm(), *places).rooms if r.name == "control_group"]
    assert (room.used, room.limit) == (1900, 2000)


def test_version_1(tmp_path):
    places = machine(tmp_path, "5:cpu:/a\n4:memory:/docker/1\n0::/\n")
    directory = tmp_path / "cgroup" / "memory" / "docker" / "1"
    directory.mkdir(parents=True)
    (directory / "memory.limit_in_bytes").write_text("3000\n")
    (directory / "memory.usage_in_bytes").write_text("2900\n")
    (directory / "memory.stat").write_text("inactive_file 5\ntotal_inactive_file 100\n")
    (room,) = [r for r in rooms(vm(), *places).rooms if r.name == "control_group"]
    assert (room.used, room.limit) == (2800, 3000)
    (directory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert "control_group" not in [r.name for r in rooms(vm(), *places).rooms]


def test_a_core_has_only_what_the_vm_says(tmp_path):
    carriers = {
        "literal_mmap": {"total": 100, "used": 95, "only": True},
        "default_mmap": {"total": 100, "used": 99, "only": False},
    }
    found = rooms(vm(False, **carriers), *machine(tmp_path))
    assert not found.is_process
    assert [(room.name, room.used) for room in found.rooms] == [("literals", 95)]
    carriers["default_mmap"]["only"] = True
    assert [room.name for room in rooms(vm(False, **carriers)).rooms] == [
        "literals",
        "super_carrier",
    ]


def test_what_cannot_be_read_is_said(tmp_path):
    found = rooms(vm(), str(tmp_path / "proc"), str(tmp_path / "cgroup"))
    assert found.is_process and found.rooms == [] and len(found.problems) == 2


@pytest.mark.parametrize("used, count", [(950, 1), (500, 0)])
def test_findings(tmp_path, used, count):
    places = machine(tmp_path)
    group(tmp_path / "cgroup" / "kubepods" / "pod1", 1000, used)
    hang = Hang(vm(), rooms=rooms(vm(), *places))
    found = list(hung_limits.memory(hang, HUNG_THRESHOLDS, set()))
    assert [finding.kind for finding in found] == ["control_group"] * count
    for finding in found:
        assert "(95.0 %)" in finding.title
