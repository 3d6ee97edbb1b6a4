# SPDX-License-Identifier: Apache-2.0
"""A process that was collecting garbage when the VM dumped: what is uncertain is said to be so."""

import pytest

import etp
from reader import Reader

ATTEMPTS = 4


@pytest.fixture(scope="module", params=["stripped", "emu"])
def found(request, core):
    """A VM, and its process that collects; the VM dumped the moment after it said that it does."""
    for attempt in range(ATTEMPTS):
        dump = core("collecting", flavor=request.param, attempt=attempt)
        vm = etp.open(core=str(dump.path), executable=str(dump.executable))
        process = vm.find_process(dump.truth.workload["expect"]["pid"])
        if vm.native.process_info(process.address)["is_collecting_garbage"]:
            return vm, process
    pytest.fail(f"in none of {ATTEMPTS} cores the process was collecting garbage")


def test_the_census_knows(found):
    vm, process = found
    (of,) = [p for p in vm.census().processes if p.address == process.address]
    assert of.in_gc and "in GC" in of.doubts


def test_who_says_so(found):
    vm, process = found
    kept = [b for b in vm.census().binaries() if vm.read(b.data_address, 9) == b"collected"]
    assert [[holder.address for holder in b.holders] for b in kept] == [[process.address]]
    text = " ".join(Reader(vm).run("etp-who", f"{kept[0].address:#x}").split())
    assert f"{process.pid} collecting" in text
    assert "it was collecting garbage" in text
    assert "garbage: no live term" not in text


@pytest.mark.parametrize(
    "command, said",
    [
        ("etp-process-info", "was collecting garbage"),
        ("etp-stackdump", "was in a garbage collection"),
        ("etp-heapdump", "was in a garbage collection"),
    ],
)
def test_others_say_so(found, command, said):
    vm, process = found
    assert said in " ".join(Reader(vm).run(command, str(process.pid), "--limit", "5").split())


def test_lists_say_so(found):
    vm, process = found
    reader = Reader(vm)
    (row,) = reader.json("etp-processes", "--name", str(process.pid))["processes"]
    assert row["status"] == "garbage_collecting"
    rows = reader.json("etp-bin-leaks", "--all", "--limit", "all")["processes"]
    (row,) = [row for row in rows if row["pid"] == str(process.pid)]
    assert "in GC" in row["doubt"]
