# SPDX-License-Identifier: Apache-2.0
"""Every table and every row of real cores, against what the VM said a moment before it dumped."""

from collections import Counter
from typing import Any, Dict

import pytest

import _etp
import etp
import cores
from native import open_vm

WORKLOADS = ["ets_kinds", "ets_pins", "ets_dead_pids", "ets_swarm", "terms", "healthy", "demo"]
FLAVORS = ["stripped", "dwarf", "emu"]


@pytest.fixture(scope="module", params=[(w, f) for w in WORKLOADS for f in FLAVORS], ids="-".join)
def case(request, core):
    workload, flavor = request.param
    dump = core(workload, flavor=flavor)
    return dump, open_vm(dump)


def tables_by_ref(vm: "_etp.VM") -> Dict[str, Dict[str, Any]]:
    return {str(table["ref"]): table for table in vm.ets_tables() if not table["is_deleting"]}


def pid_or_none(term) -> str:
    return "none" if term is None else str(term)


def as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_all_tables_are_there(case):
    dump, vm = case
    assert vm.ets_tables_gaps() == []
    assert tables_by_ref(vm).keys() == dump.truth.tables.keys()


def test_info_of_every_table(case):
    dump, vm = case
    tables = tables_by_ref(vm)
    for ref, said in dump.truth.tables.items():
        table = tables[ref]
        assert table["problem"] == ""
        found = {
            "id": str(table["id"]) if table["named"] else ref,
            "name": table["name"],
            "type": table["type"],
            "protection": table["protection"],
            "named_table": table["named"],
            "owner": str(table["owner"]),
            "heir": pid_or_none(table["heir"]),
            "size": table["size"],
            "memory": table["memory_words"],
            "keypos": table["keypos"],
            "compressed": table["compressed"],
            "read_concurrency": table["read_concurrency"],
            "write_concurrency": as_json(table["write_concurrency"]),
            "decentralized_counters": table["decentralized_counters"],
            "fixed": table["fixed"],
        }
        expected = {key: said[key] for key in found}
        # ets:info(T, id) of a named table is its reference; the VM takes the name as well.
        expected["id"] = found["id"]
        assert found == expected, ref
        fixing = sorted([str(pid), count] for pid, count in table["fixing"])
        assert fixing == sorted((said["safe_fixed"] or {"processes": []})["processes"]), ref


def test_every_row(case):
    """Multisets of rows as ~tw prints them; ordered sets also in their order."""
    dump, vm = case
    tables = tables_by_ref(vm)
    compared = 0
    for ref, said in dump.truth.rows_of.items():
        rows = vm.ets_rows(tables[ref]["address"])
        found = [
            cores.same_floats(row.term.format(syntax="w")) for row in rows if not row.pseudo_deleted
        ]
        assert rows.gaps == 0, (ref, rows.problem)
        expected = [cores.same_floats(row["tw"]) for row in said]
        if dump.truth.digests[ref]["full"]:
            assert Counter(found) == Counter(expected), said[0]["name"]
            if tables[ref]["type"] == "ordered_set":
                assert found == expected, said[0]["name"]
        else:
            assert not Counter(expected) - Counter(found), said[0]["name"]
        compared += len(expected)
    assert compared > 50


def test_a_row_by_its_address(case):
    _, vm = case
    for table in vm.ets_tables():
        rows = list(vm.ets_rows(table["address"]))
        for row in rows[:1] + rows[-1:]:
            found = vm.ets_row(table["address"], row.address)
            assert found.address == row.address and str(found.term) == str(row.term)
        first = vm.ets_row(table["address"])
        assert (first and first.address) == (rows[0].address if rows else None)
        if rows:
            # A word of the row itself is not a row.
            assert vm.ets_row(table["address"], rows[0].address + 8) is None


def test_row_counts(case):
    dump, vm = case
    scan = vm.scan_ets()
    assert scan.complete
    found = scan.tables
    tables = tables_by_ref(vm)
    for ref, said in dump.truth.digests.items():
        numbers = found[tables[ref]["address"]]
        assert numbers["unreadable"] == 0, (said["name"], numbers["problem"])
        assert numbers["rows"] - numbers["pseudo_deleted"] == said["rows"], said["name"]
        if said["full"] and ref in dump.truth.rows_of:
            words = max(row["words"] for row in dump.truth.rows_of[ref])
            assert numbers["largest_row_words"] == words, said["name"]


def test_kept_items(case):
    """ets:info(T, stats) counts the objects that were deleted while the table was fixed."""
    dump, vm = case
    found = vm.scan_ets().tables
    tables = tables_by_ref(vm)
    for ref, said in dump.truth.tables.items():
        if said["stats"] and "kept_items" in said["stats"]:
            numbers = found[tables[ref]["address"]]
            assert numbers["pseudo_deleted"] == said["stats"]["kept_items"], said["name"]


def test_binaries_of_every_table(case):
    """ets:info(T, binary) lists address, size and reference count, once for each reference."""
    dump, vm = case
    scan = vm.scan_ets()
    by_table: Dict[int, Counter] = {}
    for binary in scan.binaries():
        for table, refs in binary["holders"]:
            found = by_table.setdefault(table, Counter())
            found[(binary["address"], binary["size"], binary["refc"])] += refs
    tables = tables_by_ref(vm)
    compared = 0
    for ref, said in dump.truth.tables.items():
        if said["binary"] is None or not said["refc_exact"]:
            continue
        expected = Counter(tuple(int(n) for n in entry) for entry in said["binary"])
        found = by_table.get(tables[ref]["address"], Counter())
        assert found == expected, said["name"]
        compared += len(expected)
    if dump.truth.workload["name"] in ("ets_pins", "ets_kinds", "demo"):
        assert compared > 20


def test_dwarf_and_shipped_layout_agree(core):
    """The same core, once through DWARF and once through the shipped layout file."""
    dump = core("ets_kinds", flavor="dwarf")
    texts = []
    for use_dwarf in (True, False):
        vm = open_vm(dump, use_dwarf=use_dwarf)
        source = vm.info()["layout_source"]
        assert ("DWARF" in source) == use_dwarf
        scan = vm.scan_ets()
        texts.append(
            [
                (str(t["ref"]), t["size"], t["memory_words"], scan.tables[t["address"]])
                for t in vm.ets_tables()
            ]
        )
    assert texts[0] == texts[1]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_pins(core, flavor):
    """Distinct binaries and their bytes; what rows see of them, as binary:referenced_byte_size/1
    and byte_size/1 tell the VM itself."""
    dump = core("ets_pins", flavor=flavor)
    vm = open_vm(dump)
    found = vm.scan_ets().tables
    tables = tables_by_ref(vm)
    wasteful = 0
    for ref, leak in dump.truth.leaks.items():
        numbers = found[tables[ref]["address"]]
        said = dump.truth.tables[ref]
        distinct = {int(address): int(size) for address, size, _ in said["binary"]}
        assert numbers["binaries"] == len(distinct), leak["name"]
        assert numbers["binary_bytes"] == sum(distinct.values()), leak["name"]
        assert numbers["binary_refs"] == len(said["binary"]), leak["name"]
        if leak["unmeasured"] or not leak["references"]:
            continue
        if len(distinct) == leak["references"]:
            # One reference a binary: nothing is counted twice in the VM's sums.
            assert numbers["binary_bytes"] == leak["referenced_bytes"], leak["name"]
            assert numbers["visible_bytes"] == leak["visible_bytes"], leak["name"]
            wasteful += numbers["visible_bytes"] * 2 < numbers["binary_bytes"]
        else:
            assert numbers["visible_bytes"] <= leak["visible_bytes"], leak["name"]
    assert wasteful >= 2


@pytest.mark.parametrize("flavor", FLAVORS)
def test_own_binaries(core, flavor):
    """A binary is a table's own if its reference count is met by the references from there."""
    dump = core("ets_pins", flavor=flavor)
    vm = open_vm(dump)
    found = vm.scan_ets().tables
    tables = tables_by_ref(vm)
    shared = 0
    for ref, said in dump.truth.tables.items():
        if not said["binary"] or not said["refc_exact"]:
            continue
        references = Counter(int(address) for address, _, _ in said["binary"])
        facts = {int(address): (int(size), int(refc)) for address, size, refc in said["binary"]}
        own = [a for a, (_, refc) in facts.items() if refc == references[a]]
        numbers = found[tables[ref]["address"]]
        assert numbers["own_binaries"] == len(own), said["name"]
        assert numbers["own_bytes"] == sum(facts[a][0] for a in own), said["name"]
        shared += len(facts) - len(own)
    assert shared > 0


@pytest.mark.parametrize("flavor", FLAVORS)
def test_tables_being_freed(core, flavor):
    """A table that is being deleted has left ets:all/0, but not the memory."""
    dump = core("ets_deleting", flavor=flavor)
    vm = open_vm(dump)
    freed = [table for table in vm.ets_tables() if table["is_deleting"]]
    labelled = {ref for ref, said in dump.truth.tables.items() if said["label"]}
    assert freed
    assert {str(table["ref"]) for table in freed} == labelled
    found = vm.scan_ets().tables
    for table in freed:
        numbers = found[table["address"]]
        assert numbers["rows"] > 0 or numbers["problem"], table["name"]


def test_the_age_of_a_fixation_is_by_the_clock_of_the_vm(core):
    """A copy of a core has another time than the core, so that must not matter."""
    swarm = core("ets_swarm")
    vm = etp.open(str(swarm.path), str(swarm.executable))
    fixed = vm.ets_table("abandoned_walk")
    system = swarm.truth.system
    started_ms = system["system_time_ms"] - system["uptime_ms"]
    expected = started_ms / 1e3 + vm.info.uptime_ns / 1e9 - fixed.fixed_since_ns / 1e9
    assert abs(fixed.fixed_for_ns / 1e9 - expected) < 2
    assert all(table.fixed_for_ns == -1 for table in vm.ets_tables if not table.fixing)
