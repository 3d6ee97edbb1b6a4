# SPDX-License-Identifier: Apache-2.0
"""What is on its way between nodes: messages that are not decoded yet, in the terms that were sent, and
every reference to a binary on the way in or out."""

import os
import random
import subprocess
from collections import Counter

import pytest

import cores
import etp
import mutate
from etp import paths, processes
from reader import Reader

TEXT = {"syntax": "p", "width": 0}
PEER = "'etp_peer@127.0.0.1'"


@pytest.fixture(scope="module", params=["stripped", "dwarf", "emu"])
def case(request, core):
    dump: cores.Core = core("distributed", flavor=request.param)
    return dump, etp.open(core=str(dump.path), executable=str(dump.executable))


def messages(vm: etp.VM, name: str):
    found = processes.messages(vm, vm.find_process(name))
    assert not found.gaps
    return list(found)


def test_messages_are_decoded(case):
    dump, vm = case
    found = messages(vm, "dist_receiver")
    assert {(m.queue, m.kind, m.storage, m.undecoded) for m in found} == {
        ("outer", "external", "external", "")
    }
    assert {str(m.sender) for m in found} == {PEER}
    expect = dump.truth.workload["expect"]["messages"]
    assert [m.term.format(syntax="w", unicode=False) for m in found] == expect


def test_messages_by_shape(case):
    _, vm = case
    found = processes.shapes(vm, vm.find_process("dist_receiver_off_heap"))
    assert [(s.text, s.count) for s in found.shapes] == [("{off_heap,_}", 2)]
    assert found.shapes[0].newest[1].bytes().startswith(b"holder:off_heap:")
    assert len(found.shapes[0].newest[1].bytes()) > 150000 > len(found.shapes[0].oldest[1].bytes())


@pytest.mark.parametrize(
    "name, signal, contents",
    [
        ("dist_aliased", "alias_message", b"holder:alias:"),
        ("dist_linked_to", "exit_linked", b"holder:reason:"),
        ("dist_watching", "monitor_down", b"holder:reason:"),
    ],
)
def test_other_signals_are_decoded(case, name, signal, contents):
    _, vm = case
    if signal == "alias_message" and not cores.has_aliases():
        pytest.skip("OTP 23 has no aliases")
    (found,) = messages(vm, name)
    assert found.signal == signal and found.undecoded == ""
    assert found.term[1].bytes().startswith(contents)


def test_messages_of_priority_are_decoded(case):
    """One came whole, the other in fragments; both say who sent them."""
    dump, vm = case
    found = messages(vm, "dist_preferred")
    if int(cores.otp_release()) < cores.NEEDED_OTP["priority_messages"]:
        assert found == []
        return
    sender = dump.truth.workload["expect"]["control"]
    assert {(m.signal, m.undecoded, str(m.sender)) for m in found} == {
        ("alias_message", "", sender)
    }
    assert [len(m.term[1].bytes()) for m in found] == [213, 150013]
    assert {m.term[1].bytes()[:13] for m in found} == {b"holder:prior:"}


def test_every_reference_is_found(case):
    _, vm = case
    census = vm.native.census()
    assert census.roots_unreadable == (0, "")
    assert [p["problem"] for p in census.processes if p["unreadable"]] == []
    assert census.binaries(unaccounted=True) == []
    kinds = Counter(root["kind"] for root in census.roots)
    assert kinds["dist_output"] == kinds["dist_input"] == 1
    # Of two processes that send and one that exits, those that are in the middle of a message.
    assert kinds["magic"] in (1, 2, 3)
    for root in census.roots:
        if root["kind"].startswith("dist_"):
            assert str(root["term"]) == PEER
        elif root["kind"] == "magic":
            assert processes.info(vm, vm.process(root["term"])).status in ("suspended", "free")


def test_ways_to_binaries(case):
    _, vm = case
    found = {}
    for binary in vm.native.census().binaries():
        for holding in paths.holdings_of_binary(vm, binary, TEXT):
            for path in holding.paths:
                found.setdefault(holding.label.split(" ")[-1], set()).add(path.text(TEXT))
    count = len(messages(vm, "dist_receiver"))
    # What came in one piece may share its binary with what came before.
    assert f"message in transit {count} -> external format" in found["dist_receiver"]
    assert "message in transit 2 -> external format" in found["dist_receiver_off_heap"]
    assert found["dist_linked_to"] == {"signal exit_linked -> external format"}
    assert found["dist_watching"] == {"signal monitor_down -> external format"}
    if cores.has_aliases():
        # With the options of monitor/3 came its tag.
        assert found["dist_monitors"] == {"monitor tag -> {2}"}


def test_who_exits_is_read(case):
    """It has left the process table, and its links and name are gone; what it holds is not."""
    dump, vm = case
    pid = dump.truth.workload["expect"]["dying"]
    process = vm.find_process(pid)
    info = processes.info(vm, process)
    assert (info.status, process.name, info.links, info.monitors) == ("free", None, [], [])
    assert info.message_queue_len == 1
    found = {
        path.text(TEXT)
        for binary in vm.native.census().binaries()
        for holding in paths.holdings_of_binary(vm, binary, TEXT)
        if holding.label.split(" ")[0] == pid
        for path in holding.paths
    }
    assert {"dictionary -> cache", "message 1 -> {2}"} <= found
    listed = Reader(vm).json("etp-processes", "--limit", "all")["processes"]
    assert [row["status"] for row in listed if row["pid"] == pid] == ["free"]
    assert pid in str(vm.native.waits()["statuses"]["free"][1][0]["term"])


def test_no_way_is_told_of_what_only_registers_hold(case):
    """Who wrote the truth is running, and has the terms that it sent in its heap."""
    dump, vm = case
    writer = dump.truth.workload["writer"]
    found = [
        holding
        for binary in vm.native.census().binaries()
        for holding in paths.holdings_of_binary(vm, binary, TEXT)
        if holding.kind == "process"
    ]
    running = [holding for holding in found if holding.label.split(" ")[0] == writer]
    assert {holding.doubt for holding in running} == {"running"}
    still = {"dist_receiver", "dist_monitors", "dist_watching"}
    assert {h.doubt for h in found if h.label.split(" ")[-1] in still} == {""}


def test_forged_bytes(core, tmp_path):
    """Whatever bytes came, each message is a term or says why it is none."""
    dump: cores.Core = core("distributed")
    path = tmp_path / "core"
    subprocess.run(["cp", "--sparse=always", str(dump.path), str(path)], check=True)
    image = mutate.Image(path)
    census = etp.open(core=str(dump.path), executable=str(dump.executable)).native.census()
    received = [
        binary
        for binary in census.binaries()
        if {holder[0] for holder in binary["holders"]} == {"process"} and binary["size"] < 2000
    ]
    dice = random.Random(1)
    undecoded = 0
    for _ in range(30):
        for binary in dice.sample(received, 5):
            offset = image.offset(binary["data_address"] + dice.randrange(min(binary["size"], 80)))
            os.pwrite(image.file.fileno(), bytes([dice.randrange(256)]), offset)
        vm = etp.open(core=str(path), executable=str(dump.executable))
        for message in messages(vm, "dist_receiver"):
            if message.term is None:
                undecoded += 1
                assert message.undecoded
            else:
                message.term.format(**TEXT)
    assert undecoded
