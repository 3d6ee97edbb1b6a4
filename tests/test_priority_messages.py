# SPDX-License-Identifier: Apache-2.0
"""Messages of priority, which go before others: in the order that process_info/2 tells, and on their way."""

import pytest

import cores
import etp
from etp import paths, processes
from marker import marker
from native import open_vm
from reader import Reader
from test_processes import items

TEXT = {"syntax": "p", "width": 0}
HOLDERS = ["prior_in_transit", "prior_in_transit_off_heap"]


@pytest.fixture(scope="module", params=["stripped", "dwarf", "emu"])
def dump(request, core):
    return core("priority_messages", flavor=request.param)


@pytest.fixture(scope="module")
def vm(dump):
    return etp.open(core=str(dump.path), executable=str(dump.executable))


@pytest.mark.parametrize(
    "name", ["prior_mailbox", "prior_off_heap", "prior_suspended", "prior_only"]
)
def test_what_was_looked_at_is_in_the_order_of_the_vm(dump, name):
    """... and so are size and count, with the marks in the queue that are no messages."""
    vm = open_vm(dump)
    said = dump.truth.process(name)
    (address,) = [address for address, pid in vm.processes() if str(pid) == said["pid"]]
    info = vm.process_info(address)
    assert (info["unknown"], info["uncertain"], info["gaps"]) == ([], [], 0)
    found = items(vm, info)
    assert found == {name: said[name] for name in found}
    assert found["messages"] and {message[0] for message in vm.messages(address)} == {"inner"}


def test_every_process(dump, vm):
    """None of the marks in its queue is counted."""
    listed = {
        row["pid"]: row for row in Reader(vm).json("etp-processes", "--limit", "all")["processes"]
    }
    for pid, said in dump.truth.processes.items():
        if not said["volatile"] and said["initial_call"][0] not in cores.BUSY_BY_THEMSELVES:
            assert listed[pid]["message_queue_len"] == said["message_queue_len"], pid


@pytest.mark.parametrize("name", HOLDERS)
def test_what_is_in_transit(dump, vm, name):
    expect = dump.truth.workload["expect"]
    found = list(processes.messages(vm, vm.find_process(name)))
    assert {m.queue for m in found} == {"outer"}
    kinds = ["message", "alias_message", "alias_message", "alias_message", "exit", "message"]
    assert [m.signal for m in found] == kinds
    terms = [m.term.format(syntax="w", unicode=False) for m in found if m.signal != "exit"]
    assert terms == expect["in_transit"][name]
    assert {str(m.sender) for m in found} == {expect["sender"]}


def test_each_binary_is_found_by_its_way(dump, vm):
    census = vm.native.census()
    assert census.binaries(unaccounted=True) == []
    assert [p["problem"] for p in census.processes if p["unreadable"]] == []
    found = {}
    for binary in census.binaries():
        name = marker(vm, binary)
        if name is not None:
            (holding,) = paths.holdings_of_binary(vm, binary, TEXT)
            assert holding.label.endswith(name)
            (path,) = holding.paths
            found[name] = path.text(TEXT)
    assert found == dump.truth.workload["expect"]["paths"]
