# SPDX-License-Identifier: Apache-2.0
"""The cores are cores of the right program, and the truth about each agrees with itself."""

import struct
from collections import Counter
from pathlib import Path

import cores
import pytest

ET_CORE = 4
EM_OF_CLASS_64 = 2
PT_NOTE = 4
NT_FILE = 0x46494C45

# RabbitMQ and ejabberd are never quiet, and need what only their own tests give them.  large_node writes no truth of single
# things.
every_workload = pytest.mark.parametrize(
    "workload", sorted(set(cores.workloads()) - {"rabbitmq", "ejabberd_at_work", "large_node"})
)


def notes(path):
    """(type, descriptor) of each note of a 64-bit little-endian ELF file."""
    with open(path, "rb") as file:
        header = file.read(64)
        (phoff,) = struct.unpack_from("<Q", header, 32)
        phentsize, phnum = struct.unpack_from("<HH", header, 54)
        file.seek(phoff)
        table = file.read(phentsize * phnum)
        for index in range(phnum):
            kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", table, index * phentsize)
            if kind == PT_NOTE:
                file.seek(offset)
                yield from parse_notes(file.read(size))


def parse_notes(data):
    at = 0
    while at + 12 <= len(data):
        namesz, descsz, kind = struct.unpack_from("<III", data, at)
        desc = at + 12 + (namesz + 3 & ~3)
        yield kind, data[desc : desc + descsz]
        at = desc + (descsz + 3 & ~3)


def mapped_files(path):
    (descriptor,) = [desc for kind, desc in notes(path) if kind == NT_FILE]
    (count,) = struct.unpack_from("<Q", descriptor)
    return [Path(name.decode()) for name in descriptor[16 + 24 * count :].split(b"\0") if name]


@every_workload
def test_is_a_core_of_its_executable(core, workload):
    made = core(workload)
    with open(made.path, "rb") as file:
        ident = file.read(20)
    assert ident[:4] == b"\x7fELF"
    assert ident[4] == EM_OF_CLASS_64
    assert struct.unpack_from("<H", ident, 16) == (ET_CORE,)
    assert made.executable.name == "beam.smp"
    assert made.mapped_executable in mapped_files(made.path)


@every_workload
def test_counts_agree(core, workload):
    truth = core(workload).truth
    system = truth.system
    assert system["process_count"] == len(truth.processes)
    assert system["port_count"] == len(truth.ports)
    assert system["ets_count"] == len(truth.tables)
    assert system["atom_count"] == len(truth.atoms)
    assert truth.atoms[:3] == ["false", "true", "'_'"]


@every_workload
def test_every_table_is_complete(core, workload):
    truth = core(workload).truth
    assert set(truth.tables) == set(truth.leaks) == set(truth.digests)
    for table, line in truth.tables.items():
        assert line["id"] == table
        assert line["size"] == truth.digests[table]["rows"] == truth.leaks[table]["rows"]
        assert line["owner"] in truth.processes
        if line["named_table"]:
            assert line["whereis"] == table
        written = len(truth.rows_of[table])
        assert written == line["size"] if truth.digests[table]["full"] else written <= line["size"]


@every_workload
def test_binaries_of_rows_are_in_the_table(core, workload):
    """The references found by walking the rows are those of ets:info(T, binary), which knows nothing of terms.

    It counts the binaries of deleted rows of fixed tables as well, and those of up to 64 bytes that are off the heap.
    """
    truth = core(workload).truth
    for table, leak in truth.leaks.items():
        sizes = [size for _, size, _ in truth.tables[table]["binary"] if size > 64]
        if truth.tables[table]["fixed"] or leak["unmeasured"]:
            assert leak["references"] <= len(sizes)
            assert leak["referenced_bytes"] <= sum(sizes)
        else:
            assert leak["references"] == len(sizes)
            assert leak["referenced_bytes"] == sum(sizes)
        assert leak["visible_bytes"] <= leak["referenced_bytes"]


@every_workload
def test_reference_counts_suffice(core, workload):
    """A Binary has at least the references that tables and processes have."""
    truth = core(workload).truth
    found, refcounts = Counter(), {}
    owners = [*truth.tables.values(), *(p for p in truth.processes.values() if not p["volatile"])]
    for owner in owners:
        for address, _, refc in owner["binary"]:
            found[address] += 1
            refcounts.setdefault(address, refc)
    for address, references in found.items():
        assert refcounts[address] >= references


@every_workload
def test_processes_are_still(core, workload):
    truth = core(workload).truth
    for process in truth.processes.values():
        if not process["volatile"]:
            assert process["status"] in ("waiting", "suspended"), process
            assert process["group_leader"] in truth.processes
    assert truth.processes[truth.workload["writer"]]["volatile"]


@pytest.mark.parametrize(
    "flavor, emu_flavor", [("stripped", "jit"), ("dwarf", "jit"), ("emu", "emu")]
)
def test_flavors(core, flavor, emu_flavor):
    made = core("healthy", flavor=flavor)
    emu_flavor = emu_flavor if cores.has_jit() else "emu"
    assert made.truth.system["emu_flavor"] == made.about["emu_flavor"] == emu_flavor
    assert made.executable == cores.beam(flavor).resolve()
    assert made.mapped_executable in mapped_files(made.path)
    assert has_section(made.executable, b".debug_info") == (flavor != "stripped")


def test_gcore(core):
    made = core("healthy", method="gcore")
    assert made.about["method"] == "gcore"
    assert made.mapped_executable in mapped_files(made.path)
    # Nothing moved between the truth and the core: the file that tells gcore to start is the last thing the VM did.
    assert not (made.directory / "ready").exists()


def has_section(path, name):
    """Whether the table of section names of an ELF file holds a name."""
    with open(path, "rb") as file:
        header = file.read(64)
        (shoff,) = struct.unpack_from("<Q", header, 40)
        shentsize, _, shstrndx = struct.unpack_from("<HHH", header, 58)
        file.seek(shoff + shentsize * shstrndx)
        _, _, _, _, offset, size = struct.unpack_from("<IIQQQQ", file.read(shentsize))
        file.seek(offset)
        return name in file.read(size).split(b"\0")
