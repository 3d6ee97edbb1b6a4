# SPDX-License-Identifier: Apache-2.0
"""Ports: what etp says of them is what erlang:port_info/1,2 said."""

import json

import pytest
from etp.vm import VM
from reader import Reader


def reader_of(core):
    return Reader(VM.open(str(core.path), executable=str(core.executable)), width=None)


@pytest.fixture(scope="module", params=["stripped", "emu"])
def ports(request, core):
    found = core("ports", request.param)
    return found, reader_of(found)


def test_ports_are_those_of_the_vm(ports):
    core, context = ports
    found = json.loads(context.run("etp-ports", "--json", "--limit", "all"))
    rows = {row["port"]: row for row in found["ports"]}
    assert set(rows) == set(core.truth.ports)
    assert found["warnings"] == []
    for port, said in core.truth.ports.items():
        row = rows[port]
        assert row["name"] == said["name"]
        assert row["registered_name"] == said["registered_name"]
        assert row["connected_pid"] == said["connected"]
        assert row["input"] == said["input"]
        assert row["output"] == said["output"]
        assert row["queue_size"] == said["queue_size"]
        assert row["os_pid"] == said["os_pid"]


def test_links_of_a_port_are_those_of_the_vm(ports):
    core, context = ports
    for port, said in core.truth.ports.items():
        row = json.loads(context.run("etp-port-info", port, "--json"))
        assert sorted(row["links"]) == sorted(said["links"])


def test_the_port_with_a_full_pipe_is_named(ports):
    core, context = ports
    out = context.run("etp-ports")
    (first, *_rest) = [line for line in out.split("\n") if "#Port" in line]
    assert "full_pipe" in first and "busy" in first
    assert "1 busy, on 1 of which processes are suspended" in out
    row = json.loads(context.run("etp-port-info", "full_pipe", "--json"))
    assert row["is_busy"] and row["has_suspended"] and row["driver"] == "spawn"
    assert row["queue_size"] == core.truth.ports[row["port"]]["queue_size"] > 100000
    busy = [r for r in json.loads(context.run("etp-ports", "--json"))["ports"] if r["is_busy"]]
    assert [r["registered_name"] for r in busy] == ["full_pipe"]


def test_no_such_port(ports):
    from etp.errors import Problem

    with pytest.raises(Problem, match="No open port is nobody"):
        ports[1].run("etp-port-info", "nobody")


def test_command_lines_are_redacted(ports):
    _core, context = ports
    context.settings.set("redact", True)
    try:
        assert "/bin/sleep" not in context.run("etp-ports", "--columns", "all")
    finally:
        context.settings.set("redact", False)
