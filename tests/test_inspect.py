# SPDX-License-Identifier: Apache-2.0
"""Inspectors of libraries' processes against what these processes are, and RabbitMQ's against what it says."""

import pytest

import rabbitmq
from etp import inspectors
from etp.errors import Problem
from etp.vm import VM
from reader import Reader

OWN = """
from etp.inspectors import Inspector, register

@register
class Twice(Inspector):
    name = "own"
    summary = "Pools, by a file of one's own."
    modules = ("Elixir.NimblePool",)

    def inspect(self, seen):
        return {"requests": seen.count("requests"), "worker": seen.text("worker")}

@register
class Wrong(Inspector):
    name = "wrong"
    summary = "One with a mistake."
    modules = ("Elixir.NimblePool",)

    def inspect(self, seen):
        return {"nothing": 1 / 0}
"""


def open_vm(dump):
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module")
def dump(core):
    return core("inspected")


@pytest.fixture
def reader(dump, tmp_path, monkeypatch):
    """Without files of whoever runs the tests; what is registered is so only for a test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert inspectors.load() == []
    before = dict(inspectors.REGISTERED)
    yield Reader(open_vm(dump))
    inspectors.REGISTERED.clear()
    inspectors.REGISTERED.update(before)


@pytest.mark.parametrize("name", ["nimble_pool", "redix"])
def test_numbers(reader, dump, name):
    expect = dump.truth.workload["expect"][name]
    data = reader.json("etp-inspect", name, "--limit", "all")
    found = {row["pid"]: row for row in data["processes"]}
    suspicious = {entry["pid"] for entry in data["suspicions"]}
    assert len(found) == len(expect) == 3
    for said in expect:
        row = found[said["pid"]]
        for key, value in said.items():
            if key != "suspicious":
                assert row[key] == value, (key, said)
        assert (said["pid"] in suspicious) == said["suspicious"]
    if name == "nimble_pool":
        assert {row["worker"] for row in data["processes"]} == {"Finch.HTTP1.Pool"}


def test_what_there_is(reader):
    rows = {row["inspector"]: row["processes"] for row in reader.json("etp-inspect")["inspectors"]}
    assert rows == {"nimble_pool": 3, "redix": 3, "rabbit_channel": 0, "rabbit_queue": 0}


def test_one_process(reader, dump):
    pid = dump.truth.workload["expect"]["redix"][1]["pid"]
    text = reader.run("etp-inspect", pid)
    assert "pending" in text and "2,000" in text and "wait for a reply" in text
    with pytest.raises(Problem, match="No inspector knows"):
        reader.run("etp-inspect", "init")


def test_a_file_of_ones_own(reader, tmp_path):
    directory = tmp_path / "etp" / "inspectors"
    directory.mkdir(parents=True)
    (directory / "own.py").write_text(OWN)
    data = reader.json("etp-inspect", "own")
    assert sorted(row["requests"] for row in data["processes"]) == [0, 1, 6]
    assert data["processes"][0]["worker"] == "Elixir.Finch.HTTP1.Pool"
    wrong = reader.json("etp-inspect", "wrong")
    assert all("ZeroDivisionError" in row["problem"] for row in wrong["processes"])
    assert "Traceback" not in reader.run("etp-inspect", "wrong")


def test_redaction_and_secrets(reader):
    for redact in ("off", "on"):
        reader.settings.set("redact", redact)
        text = reader.run("etp-inspect", "redix") + reader.run("etp-inspect", "redix", "--json")
        assert "battery-staple" not in text
        assert ("redis.example.org" in text) == (redact == "off")


def test_rabbitmq_says_the_same(core):
    inspectors.load()
    dump = core("rabbitmq", method="gcore", flags=rabbitmq.FLAGS, plugins=str(rabbitmq.plugins()))
    reader = Reader(open_vm(dump))
    channels = {r["pid"]: r for r in reader.json("etp-inspect", "rabbit_channel")["processes"]}
    queues = {r["pid"]: r for r in reader.json("etp-inspect", "rabbit_queue")["processes"]}
    seen = {"rabbit_channel": 0, "rabbit_prequeue": 0}
    for said in dump.truth.by_kind["inspected"]:
        items = said["items"]
        seen[said["module"]] += 1
        if said["module"] == "rabbit_channel":
            row = channels[said["pid"]]
            assert row["channel"] == items["number"]
            assert row["consumers"] == items["consumer_count"]
            assert row["unacked"] == items["messages_unacknowledged"]
            assert row["unconfirmed"] == items["messages_unconfirmed"]
        else:
            row = queues[said["pid"]]
            assert row["ready"] == items["messages_ready"]
            assert row["unacked"] == items["messages_unacknowledged"]
            assert row["ready_bytes"] == items["message_bytes_ready"]
            assert row["unacked_bytes"] == items["message_bytes_unacknowledged"]
    assert seen["rabbit_channel"] >= 10 and seen["rabbit_prequeue"] >= 20
