# SPDX-License-Identifier: Apache-2.0
"""Who holds which binary, and what a garbage collection would free, against what the VM said itself."""

from collections import Counter
from typing import Any, Dict

import pytest

import _etp
import cores
import recon

LAYOUTS = [str(cores.ROOT / "plugin" / "etp" / "layouts")]
WORKLOADS = ["healthy", "terms", "ets_kinds", "ets_pins", "demo"]
FLAVORS = ["stripped", "dwarf", "emu"]


def open_vm(core: cores.Core) -> "_etp.VM":
    return _etp.VM(core=str(core.path), executable=str(core.executable), layout_directories=LAYOUTS)


@pytest.fixture(scope="module", params=[(w, f) for w in WORKLOADS for f in FLAVORS], ids="-".join)
def case(request, core):
    workload, flavor = request.param
    dump = core(workload, flavor=flavor)
    return dump, open_vm(dump)


def by_pid(census: "_etp.Census") -> Dict[str, Dict[str, Any]]:
    return {str(process["pid"]): process for process in census.processes}


def entries(binaries) -> Counter:
    """address, size and reference count, once for each reference."""
    return Counter(tuple(int(number) for number in entry) for entry in binaries)


def check_lists(dump: cores.Core, vm: "_etp.VM") -> int:
    census = by_pid(vm.census())
    compared = 0
    for pid, said in dump.truth.processes.items():
        found = census[pid]
        assert found["unreadable"] == 0, (pid, found["problem"])
        if said["volatile"]:
            continue
        expected = entries(said["binary"])
        assert entries(vm.process_binaries(found["address"])) == expected, (
            pid,
            said["registered_name"],
        )
        assert found["binary_refs"] == sum(expected.values())
        assert found["binary_bytes"] == sum(
            size * count for (_, size, _), count in expected.items()
        )
        compared += sum(expected.values())
    return compared


def test_binaries_of_every_process(case):
    """process_info(P, binary)."""
    dump, vm = case
    compared = check_lists(dump, vm)
    if dump.truth.workload["name"] in ("terms", "ets_pins"):
        assert compared > 5


def test_every_reference_is_found(case):
    dump, vm = case
    census = vm.census()
    assert census.complete
    assert census.literals_problem == ""
    assert census.roots_unreadable == (0, "")
    assert census.binaries(unaccounted=True) == []
    binaries = census.binaries()
    assert sum(binary["refs"] for binary in binaries) == sum(binary["refc"] for binary in binaries)
    assert len(binaries) == census.binary_count()


def test_numbers_agree(case):
    """What the parts of a census say of the same thing."""
    _, vm = case
    census = vm.census()
    scan = vm.scan_ets()
    assert census.tables.keys() == scan.tables.keys()
    for address, numbers in census.tables.items():
        assert numbers["binary_refs"] == scan.tables[address]["binary_refs"]
    for process in census.processes:
        areas = ("young_words", "old_words", "fragment_words", "message_words", "transit_words")
        assert process["live_words"] <= sum(process[area] for area in areas)
        assert process["visible_bytes"] <= process["distinct_bytes"]
        assert process["released_refs"] <= process["binary_refs"]


@pytest.fixture(scope="module", params=FLAVORS)
def holders(request, core):
    dump = core("holders", flavor=request.param)
    return dump, open_vm(dump)


PROCESSES = {
    "dictionary": "holds_in_dictionary",
    "received": "holds_received",
    "mailbox_on_heap": "holds_on_heap",
    "mailbox_off_heap": "holds_off_heap",
    "in_transit_on_heap": "holds_in_transit",
    "in_transit_off_heap": "holds_in_transit_off",
    "fun_environment": "holds_in_fun",
    "nested_map": "holds_in_map",
    "nif": "holds_with_nif",
}


def test_holders(holders):
    """Each kind of holder is found, and nobody else holds its binary."""
    dump, vm = holders
    names = {said["pid"]: name for name, said in named_processes(dump).items()}
    tables = {table["address"]: table["name"] for table in vm.ets_tables()}
    pids = {address: str(pid) for address, pid in vm.processes()}
    found = {}
    for binary in vm.census().binaries():
        kind = marker(vm, binary)
        if kind is None:
            continue
        assert binary["holder_count"] == 1 and binary["refs"] == 1, kind
        holder, address, refs, term = binary["holders"][0]
        assert refs == 1
        label = {"process": lambda: names[pids[address]], "ets": lambda: tables[address]}.get(
            holder, lambda: str(term)
        )()
        found[kind] = (holder, label)
    target = dump.truth.process("holds_timers")["pid"]
    expected = {kind: ("process", name) for kind, name in PROCESSES.items()}
    expected["ets_row"] = ("ets", "holders_rows")
    expected["persistent_term"] = ("persistent_term", "{holders,key}")
    expected["module_literal"] = ("module", "holders")
    expected["send_after"] = ("timer", target)
    expected["start_timer"] = ("timer", "holds_timers")
    assert found == expected
    assert {*found, "port_queue"} == set(dump.truth.workload["expect"]["kinds"])


def named_processes(dump: cores.Core) -> Dict[str, Any]:
    return {p["registered_name"]: p for p in dump.truth.processes.values() if p["registered_name"]}


def marker(vm: "_etp.VM", binary: Dict[str, Any]):
    """KIND of a binary that begins with `holder:KIND:`."""
    parts = vm.read(binary["data_address"], min(binary["size"], 40)).split(b":")
    return parts[1].decode() if len(parts) > 2 and parts[0] == b"holder" else None


def test_queue_of_a_port(holders):
    """What does not fit into the pipe waits in the port; the driver copied it to a binary of its own."""
    dump, vm = holders
    ports = [root for root in vm.census().roots if root["kind"] == "port"]
    assert [root["binary_refs"] for root in ports] == [1]
    assert str(ports[0]["term"]) in dump.truth.ports
    held = [b for b in vm.census().binaries() if b["holders"][0][0] == "port"]
    assert [b["refc"] for b in held] == [1]
    assert held[0]["size"] == ports[0]["binary_bytes"] > 200000
    assert set(vm.read(held[0]["data_address"], 1000)) == {ord(".")}


def test_a_reference_of_a_nif_is_unaccounted(holders):
    dump, vm = holders
    census = vm.census()
    assert census.roots_unreadable == (0, "")
    unaccounted = census.binaries(unaccounted=True)
    assert [marker(vm, binary) for binary in unaccounted] == ["nif"]
    assert unaccounted[0]["refc"] - unaccounted[0]["refs"] == 1


def test_lists_of_holders(holders):
    assert check_lists(*holders) > 5


@pytest.fixture(scope="module", params=FLAVORS)
def leaks(request, core):
    dump = core("bin_leaks", flavor=request.param, method="gcore", recon=str(recon.ebin()))
    return dump, open_vm(dump)


def test_bin_leaks_as_recon_says(leaks):
    """recon:bin_leak/1 collected every process right after the core was taken."""
    dump, vm = leaks
    processes = by_pid(vm.census())
    writer = dump.truth.workload["writer"]
    said = {line["pid"]: line for line in dump.truth.by_kind["bin_leak"] if line["pid"] != writer}
    assert said.keys() == processes.keys() - {writer}
    found = {
        pid: p["added_refs"] - p["released_refs"] for pid, p in processes.items() if pid != writer
    }
    assert found == {pid: line["delta"] for pid, line in said.items()}
    deltas = found.values()
    assert min(deltas) <= -60 and max(deltas) >= 5
    assert sum(delta < 0 for delta in deltas) >= 10 and sum(delta > 0 for delta in deltas) >= 5


def test_bytes_of_bin_leaks(leaks):
    """The bytes that recon does not tell, from the list before and after."""
    dump, vm = leaks
    writer = dump.truth.workload["writer"]
    processes = by_pid(vm.census())
    for line in dump.truth.by_kind["bin_leak"]:
        if line["pid"] == writer:
            continue
        found = processes[line["pid"]]
        # Reference counts fall meanwhile; addresses and sizes stay.
        before = Counter((a, s) for a, s, _ in vm.process_binaries(found["address"]))
        after = Counter((int(a), int(s)) for a, s, _ in line["after"])
        assert size_of(before) + found["added_bytes"] - found["released_bytes"] == size_of(
            after
        ), line["name"]
        # A binary that is released once and added once is on both lists.
        assert sum((before - after).values()) <= found["released_refs"], line["name"]
        assert sum((after - before).values()) <= found["added_refs"], line["name"]


def size_of(counted: Counter) -> int:
    return sum(size * count for (_, size), count in counted.items())


def test_lists_before_the_leaks(leaks):
    assert check_lists(*leaks) > 200
    assert leaks[1].census().binaries(unaccounted=True) == []
