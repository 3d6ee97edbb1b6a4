# SPDX-License-Identifier: Apache-2.0
"""What is found does not depend on how many threads look for it, nor on how tables are shared out among them."""

import pytest

import _etp
from native import open_vm

SHARED = [(2, 0), (2, 2048), (3, 1), (8, 300)]


@pytest.fixture(
    scope="module", params=["large_tables", "ets_kinds", "ets_deleting", "ets_swarm", "ets_pins"]
)
def case(request, core):
    dump = core(request.param)
    return dump, open_vm(dump)


def facts(scan: "_etp.EtsScan"):
    return scan.complete, scan.tables, scan.binaries(), scan.binary_bytes()


def test_scan_of_tables(case):
    _, vm = case
    alone = facts(vm.scan_ets(threads=1))
    assert alone[0]
    for threads, rows in SHARED:
        assert facts(vm.scan_ets(threads=threads, rows_a_part=rows)) == alone, (threads, rows)


def census_facts(census: "_etp.Census"):
    processes = [{**process, "pid": str(process["pid"])} for process in census.processes]
    binaries = [
        {**binary, "holders": [(*holder[:3], str(holder[3])) for holder in binary["holders"]]}
        for binary in census.binaries()
    ]
    roots = [{**root, "term": str(root["term"])} for root in census.roots]
    return census.complete, census.tables, processes, binaries, roots


def test_census(case):
    _, vm = case
    alone = census_facts(vm.census(threads=1))
    for threads, rows in SHARED:
        assert census_facts(vm.census(threads=threads, rows_a_part=rows)) == alone
        begun = vm.census(threads=threads, rows_a_part=rows, tables_only=True)
        assert begun.complete and not begun.has_others and begun.tables == alone[1]
        assert begun.processes == begun.roots == begun.literals == []
        in_tables = begun.ets_binaries()
        begun.take_others(threads=threads)
        begun.take_others()
        assert begun.has_others and begun.ets_binaries() == in_tables
        assert census_facts(begun) == alone


def test_taking_a_census_further(core):
    """An interruption leaves what it would leave of a whole one; a callback cannot ask meanwhile."""
    vm = open_vm(core("ets_pins"))
    begun = vm.census(tables_only=True)
    begun.take_others(progress=lambda done, total, what: what == "processes")
    assert begun.has_others and not begun.complete
    assert begun.processes and all(process["incomplete"] for process in begun.processes)
    begun = vm.census(tables_only=True)
    with pytest.raises(RuntimeError, match="is being taken"):
        begun.take_others(progress=lambda done, total, what: bool(begun.binaries()))
    assert begun.has_others and not begun.complete
    stopped = vm.census(progress=lambda done, total, what: True, tables_only=True)
    assert not stopped.complete
    stopped.take_others()
    assert not stopped.complete and all(process["incomplete"] for process in stopped.processes)


def test_rows_of_large_tables(core):
    """Counts as the VM told them, from tables in many parts."""
    dump = core("large_tables")
    vm = open_vm(dump)
    scan = vm.scan_ets(threads=4, rows_a_part=1000)
    by_name = {table["name"]: table["address"] for table in vm.ets_tables()}
    for name, rows in dump.truth.workload["expect"].items():
        found = scan.tables[by_name[name]]
        said = dump.truth.table(name)
        assert found["rows"] == said["size"] == rows
        assert found["unreadable"] == 0 and found["problem"] == ""
        assert found["binary_refs"] == found["binaries"] == rows
        # Of a name and 300 bytes more, 70 are seen.
        assert found["visible_bytes"] == 70 * rows
        assert found["pinned_rows"] == rows
        assert found["dead_pid_rows"] == (rows + 1000 - 17) // 1000


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_interrupted(core, threads):
    """Stopped by the callback, which only the caller's thread calls; tables say what is missing."""
    vm = open_vm(core("large_tables"))
    calls = []

    def stop(done: int, total: int, what: str) -> bool:
        calls.append((done, total, what))
        return done >= 8192

    scan = vm.scan_ets(progress=stop, threads=threads, rows_a_part=2048)
    assert not scan.complete
    assert calls and all(what == "rows" for _, _, what in calls)
    rows = sum(table["rows"] for table in scan.tables.values())
    assert 8192 <= rows < calls[-1][1]
    unfinished = [table for table in scan.tables.values() if table["incomplete"]]
    assert unfinished
    census = vm.census(progress=stop, threads=threads, rows_a_part=2048)
    assert not census.complete
    assert all(process["incomplete"] for process in census.processes)
