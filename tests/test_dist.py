# SPDX-License-Identifier: Apache-2.0
"""Other nodes and the connections to them: what etp says is what the VM said of them."""

import pytest
from etp.connections import connections
from etp.errors import Problem
from reader import Reader

import etp

PEER = "'etp_peer@127.0.0.1'"


@pytest.fixture(scope="module", params=["stripped", "emu"])
def case(request, core):
    dump = core("connections", flavor=request.param)
    reader = Reader(etp.open(core=str(dump.path), executable=str(dump.executable)))
    found = reader.json("etp-dist", "--limit", "all")
    assert found["warnings"] == []
    return dump, reader, {row["node"].strip("'"): row for row in found["nodes"]}


def test_nodes_are_those_of_the_vm(case):
    dump, _, rows = case
    expect = dump.truth.workload["expect"]
    assert set(rows) == set(expect["known"])
    for kind in ("visible", "hidden"):
        found = {name for name, row in rows.items() if row["kind"] == kind}
        assert found == set(expect[kind])
    assert [name for name, row in rows.items() if row["kind"] == "this"] == ["etp_main@127.0.0.1"]
    states = {name: row["state"] for name, row in rows.items()}
    assert states["visible@far.example"] == states["hidden@far.example"] == "connected"
    assert states["busy@far.example"] == "connected, busy"
    assert states["pending@far.example"] == "pending"
    assert states["gone@far.example"] == "not connected"


def test_connections_are_as_the_vm_said(case):
    dump, _, rows = case
    expect = dump.truth.workload["expect"]
    assert expect["dist_ctrl"] == {
        name: row["controller_id"] for name, row in rows.items() if row["controller_id"]
    }
    for said in expect["nodes"]:
        row = rows[said["node"]]
        assert row["creation"] == said["creation"]
        assert (row["received"], row["sent"]) == (said["received"], said["sent"])
        assert row["queue_size"] == said["pending"]
    assert sum(row["queue_size"] > 0 for row in rows.values()) == 2


def test_what_waits_for_a_carrier_is_found(case):
    """Binaries in the queues of connections that processes serve: each reference has its holder."""
    dump, _, _ = case
    vm = etp.open(core=str(dump.path), executable=str(dump.executable))
    census = vm.native.census()
    assert census.roots_unreadable == (0, "") and census.binaries(unaccounted=True) == []
    nodes = {str(r["term"]).strip("'") for r in census.roots if r["kind"] == "dist_output"}
    assert nodes == {"busy@far.example", "visible@far.example"}


def test_busy_limit(case):
    dump, reader, rows = case
    limit = dump.truth.system["dist_buf_busy_limit"]
    found = reader.json("etp-dist")
    assert found["dist_buf_busy_limit"] == limit
    for row in rows.values():
        assert row["is_busy"] == (row["queue_size_respected"] >= limit)
    assert [name for name, row in rows.items() if row["is_busy"]] == ["busy@far.example"]


def test_ties_of_processes(case):
    dump, reader, rows = case
    said = dump.truth.processes[dump.truth.workload["expect"]["ties"]]
    found = reader.json("etp-dist", "visible@far.example", "--limit", "all")
    assert {tie["process"] for tie in found["ties"]} == {said["pid"]}
    assert {tie["label"] for tie in found["ties"]} == {"dist_ties"}
    row, hidden = rows["visible@far.example"], rows["hidden@far.example"]
    assert row["links"] == len(said["links"]) == 3
    assert row["monitored_by"] == len(said["monitored_by"]) == 1
    assert row["monitors"] + hidden["monitors"] == len(said["monitors"]) == 6
    assert hidden["monitor_node"] == 1 and row["monitor_node"] == 0
    assert len(found["ties"]) == 3 + 5 + 1
    assert len(reader.json("etp-dist", "visible@far.example", "--limit", "2")["ties"]) == 2


def test_who_is_suspended(case):
    dump, reader, _ = case
    expect = dump.truth.workload["expect"]
    found = reader.json("etp-dist", "busy@far.example")
    assert [tie["tie"] for tie in found["ties"]] == ["suspended"] * 3
    assert {tie["process"] for tie in found["ties"]} == set(expect["senders"])
    assert "3 processes wait for the busy connection" in reader.run("etp-hung")


def test_no_such_node(case):
    with pytest.raises(Problem, match="none of the name nobody@nowhere: 7 were looked at"):
        case[1].run("etp-dist", "nobody@nowhere")


def test_names_of_hosts_are_redacted(case):
    _, reader, _ = case
    reader.settings.set("redact", True)
    try:
        assert "far.example" not in reader.run("etp-dist", "--columns", "all")
        (busy, *_) = reader.json("etp-dist", "--sort", "queue")["nodes"]
        assert busy["is_busy"]
        assert "far.example" not in reader.run("etp-dist", busy["address"])
    finally:
        reader.settings.set("redact", False)


def test_connection_by_a_port(core):
    """Links and monitors over it are those that process_info/2 said its processes have."""
    dump = core("distributed")
    vm = etp.open(core=str(dump.path), executable=str(dump.executable))
    (peer,) = (c for c in connections(vm).connections if str(c.node) == PEER)
    assert (peer.state, peer.kind, peer.is_busy) == ("connected", "hidden", True)
    assert str(peer.controller) in dump.truth.ports
    ports = {str(p["port"]): p for p in vm.native.ports()[0]}
    assert ports[str(peer.controller)]["is_distribution"]
    found = Reader(vm).json("etp-dist", PEER, "--limit", "all")["ties"]
    for name, tie, key in (
        ("dist_links", "link", "links"),
        ("dist_monitors", "monitor", "monitors"),
        ("dist_monitored", "monitored by", "monitored_by"),
        ("dist_monitored", "link", "links"),
    ):
        said = dump.truth.process(name)
        pids = {said["pid"], name} if tie == "monitored by" else {said["pid"]}
        count = sum(entry["tie"] == tie and entry["process"] in pids for entry in found)
        assert count == len(said[key]) > 0, (name, tie)
    # Two that send, and one that exits.
    assert peer.ties["suspended"] == 3
