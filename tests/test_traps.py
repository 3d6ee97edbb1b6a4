# SPDX-License-Identifier: Apache-2.0
"""What BIFs hold that were interrupted in the middle, against what the VM said of itself while they were."""

import pytest

import etp
from reader import Reader


@pytest.fixture(scope="module", params=["stripped", "emu"])
def dump(request, core):
    return core("traps", flavor=request.param)


@pytest.fixture(scope="module")
def vm(dump):
    return etp.open(core=str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module")
def traps(dump):
    return {trap["kind"]: trap for trap in dump.truth.workload["expect"]["traps"]}


@pytest.fixture
def reader(vm):
    return Reader(vm)


def of(vm, traps, kind):
    """The census of the process that is in the middle of it."""
    return next(p for p in vm.census().processes if str(p.pid) == traps[kind]["pid"])


def test_binaries_that_are_being_built(vm, traps):
    """Nothing in memory says their size but themselves; the VM said how much they are."""
    found = {}
    for binary in vm.census().binaries():
        for holder in binary.holders:
            if holder.kind == "trap":
                assert (binary.holder_count, binary.refc, binary.refs) == (1, 1, 1)
                assert "(a guess)" in holder.label(vm)
                found.setdefault(str(holder.term), []).append(binary.size)
    building = {t["pid"]: t["size"] for t in traps.values() if t["size"] != "none"}
    if int(vm.info.otp_release) >= 27:
        # Then what binary:copy/2 builds is an argument of its trap, as any other term.
        size = building.pop(traps["copy"]["pid"])
        (copied,) = [binary for binary in vm.census().binaries() if binary.size == size]
        assert [h.address for h in copied.holders] == [of(vm, traps, "copy").address]
        assert (copied.refc, copied.refs) == (1, 1)
    assert found.keys() == building.keys() and len(building) >= 2
    for pid, size in building.items():
        # Compression has another one for what comes out.
        assert size in found[pid] and len(found[pid]) <= 2
        assert len(found[pid]) == 1 or pid == traps["compress"]["pid"]


def test_they_are_told_as_guesses(reader, vm, traps):
    (binary,) = [b for b in vm.census().binaries() if b.size == traps["copy"]["size"]]
    text = " ".join(reader.run("etp-who", f"{binary.address:#x}").split())
    if int(vm.info.otp_release) < 27:
        assert (
            f"being built by {traps['copy']['pid']} in erlang:binary_copy_trap/2 (a guess)" in text
        )
        assert "no term refers to it yet" in text
    memory = reader.json("etp-memory")["rows"]
    assert any(row["what"].strip() == "held by trap" for row in memory)


def test_references_of_objects_that_are_being_inserted(reader, vm, traps):
    (lacking,) = vm.census().binaries(unaccounted=True)
    assert vm.read(lacking.data_address, 12) == b"insertinsert"
    holders = {holder.kind: holder.address for holder in lacking.holders}
    assert holders["process"] == of(vm, traps, "insert").address
    # Some objects may be in the table already.
    assert len(lacking.holders) == len(holders) and holders.keys() <= {"process", "ets"}
    text = " ".join(reader.run("etp-bins", "--unaccounted").split())
    assert f"is in the middle of: {traps['insert']['pid']} in ets:insert/2." in text


def test_what_a_bif_needs_is_not_called_garbage(reader, vm, traps):
    process = of(vm, traps, "to_list")
    assert process.gc_disabled and process.doubts == ["in a BIF"]
    (source,) = [b for b in vm.census().binaries() if vm.read(b.data_address, 6) == b"source"]
    assert source.refs == source.refc == 1
    # The list is being made behind the top of the heap; its reference is garbage to others.
    row = next(
        row
        for row in reader.json("etp-bin-leaks", "--all", "--limit", "all")["processes"]
        if row["pid"] == traps["to_list"]["pid"]
    )
    assert row["doubt"] == "in a BIF"


def test_a_collection_that_has_to_wait(vm, traps):
    """The id of the request is in a queue of its own."""
    (request,) = [b for b in vm.census().binaries() if vm.read(b.data_address, 7) == b"request"]
    assert of(vm, traps, "to_list").address in [holder.address for holder in request.holders]
    # The writer, which asked, has it as well.
    assert request.refs == request.refc == 2
