# SPDX-License-Identifier: Apache-2.0
"""Whole systems, a RabbitMQ and an ejabberd, whose every table, process and binary is read, against what their VMs said.

They are never quite at rest: a process whose reductions are those that it had when it was asked is compared in full, and
a table that was of the same size before and after the core was taken.
"""

from collections import Counter
from typing import NamedTuple

import pytest

import cores
import ejabberd
import rabbitmq
from native import open_vm
from test_census import by_pid, entries
from test_ets import tables_by_ref
from test_processes import addresses, items, make_comparable

# A process may have been asked once more by the VM itself, whether it has literals that are to be freed.
REDUCTIONS_AT_REST = cores.REDUCTIONS_OF_A_QUESTION + 1


class Size(NamedTuple):
    """How much there is at least."""

    processes: int
    tables: int
    rows: int  # that the VM wrote down
    binaries: int
    references: int  # of processes at rest to binaries


SIZES = {
    "rabbitmq": Size(processes=450, tables=120, rows=50, binaries=500, references=500),
    "ejabberd_at_work": Size(processes=220, tables=110, rows=50, binaries=500, references=20),
}


@pytest.fixture(scope="module", params=SIZES)
def dump(request, core):
    if request.param != "rabbitmq" and not request.config.getoption("--thorough"):
        pytest.skip("only with --thorough")
    if request.param == "rabbitmq":
        options = dict(flags=rabbitmq.FLAGS, plugins=str(rabbitmq.plugins()))
    else:
        options = dict(libs=str(ejabberd.libs()))
    return core(request.param, method="gcore", **options)


@pytest.fixture(scope="module")
def least(dump):
    return SIZES[dump.about["workload"]]


@pytest.fixture(scope="module")
def vm(dump):
    return open_vm(dump)


@pytest.fixture(scope="module")
def census(vm):
    return vm.census()


@pytest.fixture(scope="module")
def still(dump, vm):
    """Addresses of the processes that have done nothing since they were asked, nor when they were, by pid."""
    found = {}
    for pid, address in addresses(vm).items():
        said = dump.truth.processes.get(pid)
        if said is None or said["initial_call"][0] in cores.BUSY_BY_THEMSELVES:
            continue
        moved = vm.process_info(address)["reductions"] - said["reductions"]
        if 0 <= moved <= REDUCTIONS_AT_REST and said["status"] not in ("running", "runnable"):
            found[pid] = address
    return found


def test_it_is_a_system_at_work(dump, vm, least):
    assert len(dump.truth.processes) > least.processes and len(dump.truth.tables) > least.tables
    tables = {table["name"]: table["size"] for table in vm.ets_tables()}
    modules = Counter(row[3][0] for row in vm.process_list())
    if dump.about["workload"] == "rabbitmq":
        # Since RabbitMQ 4.0 of the queue itself, and since 4.1 in Khepri.
        queues = modules["rabbit_prequeue"] + modules["rabbit_amqqueue_process"]
        assert queues == 24 and modules["rabbit_channel"] == 12
        assert modules["rabbit_reader"] == 3 and modules["ra_server_proc"] >= 1
        queues_of = tables.get("rabbit_queue") or tables["rabbit_khepri_queue"]
        assert queues_of == 26 or queues_of == 28
    else:
        assert modules["xmpp_stream_in"] == 12
        assert tables["session"] == 12 and tables["muc_online_users"] == 12


def test_every_table(dump, vm):
    """Each is there, and each row of it can be read: as many as the table says that it has."""
    assert vm.ets_tables_gaps() == []
    tables = tables_by_ref(vm)
    assert tables.keys() == dump.truth.tables.keys()
    after = {line["table"]: line for line in dump.truth.by_kind["table_after"]}
    scan = vm.scan_ets()
    assert scan.complete
    moved = []
    for ref, said in dump.truth.tables.items():
        table, numbers = tables[ref], scan.tables[tables[ref]["address"]]
        assert (table["problem"], numbers["problem"]) == ("", ""), said["name"]
        assert numbers["unreadable"] == 0 and numbers["rows"] == table["size"], said["name"]
        assert (table["name"], table["type"]) == (said["name"] or "undefined", said["type"])
        assert str(table["owner"]) == said["owner"]
        if ref not in after or any(said[key] != after[ref][key] for key in ("size", "memory")):
            moved.append(said["name"])
            continue
        assert (table["size"], table["memory_words"]) == (said["size"], said["memory"]), said[
            "name"
        ]
    assert len(moved) < 10, moved


def test_every_row(dump, vm, least):
    """Those that the VM wrote down, unless they were replaced meanwhile."""
    tables = tables_by_ref(vm)
    compared, gone = 0, []
    for ref, said in dump.truth.rows_of.items():
        rows = vm.ets_rows(tables[ref]["address"])
        found = {cores.same_floats(row.term.format(syntax="w")) for row in rows}
        assert rows.gaps == 0, (said[0]["name"], rows.problem)
        for row in said:
            if cores.same_floats(row["tw"]) in found:
                compared += 1
            else:
                gone.append(said[0]["name"])
    assert compared > least.rows
    assert len(gone) < 10, Counter(gone)


def test_every_process(dump, vm, still):
    """All can be read; who has not moved has all that it had."""
    for address, pid in vm.processes():
        info = vm.process_info(address)
        assert (info["unknown"], info["gaps"]) == ([], 0), (str(pid), info["problem"])
    for pid, address in still.items():
        said, found = dump.truth.processes[pid], items(vm, vm.process_info(address))
        make_comparable(found, said)
        assert found == {name: said[name] for name in found if name in said}, pid
    assert len(still) > 0.8 * len(dump.truth.processes)


def test_every_binary_is_accounted_for(vm, census, least):
    """Each reference count is met by the references that were found, without one left."""
    assert census.complete and census.literals_problem == ""
    assert census.roots_unreadable == (0, "")
    assert [p["problem"] for p in census.processes if p["unreadable"]] == []
    assert [t["problem"] for t in census.tables.values() if t["unreadable"]] == []
    assert census.binaries(unaccounted=True) == []
    binaries = census.binaries()
    assert len(binaries) > least.binaries
    assert all(binary["refs"] == binary["refc"] for binary in binaries)


def test_binaries_of_every_process(dump, vm, census, still, least):
    """process_info(P, binary). Reference counts are compared of binaries that nobody has who moved."""
    found = by_pid(census)
    known = {dump.truth.processes[pid]["pid"] for pid in still}
    shared = {
        address
        for pid, process in found.items()
        if pid not in known
        for address, _, _ in vm.process_binaries(process["address"])
    }
    compared = exact = 0
    for pid in still:
        said = entries(dump.truth.processes[pid]["binary"])
        assert found[pid]["binary_refs"] == sum(said.values()), pid
        now = entries(vm.process_binaries(found[pid]["address"]))
        for counter in (said, now):
            for address, size, refc in list(counter):
                if address in shared:
                    counter[address, size, None] = counter.pop((address, size, refc))
        different = {entry[:2] for entry in (said - now) + (now - said)}
        assert {e[:2] for e in said} == {e[:2] for e in now}, pid
        compared += sum(said.values())
        exact += not different
    assert compared > least.references and exact > 0.85 * len(still), (compared, exact, len(still))
