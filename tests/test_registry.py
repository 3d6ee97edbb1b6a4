# SPDX-License-Identifier: Apache-2.0
"""Names against registered/0, global:registered_names/0, pg:get_members/2 and Registry.select/2."""

from collections import Counter

import pytest

from etp.otp import registry
from etp.vm import VM
from reader import Reader


@pytest.fixture(scope="module")
def dump(core):
    return core("elixir_otp")


@pytest.fixture(scope="module")
def expect(dump):
    return dump.truth.workload["expect"]


@pytest.fixture(scope="module")
def vm(dump):
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture
def reader(vm):
    return Reader(vm)


def entries(vm, kind):
    found = registry.names(vm, (kind,))
    assert found.problems == []
    return found.entries


def write(term):
    return term.format(syntax="w")


def test_registered(vm, dump, expect):
    found = {entry.name: str(entry.who) for entry in entries(vm, "local")}
    said = dict(expect["registered"])
    assert said["elixir_otp_port"].startswith("#Port<")
    # Of the truth's own writer, some names come and go.
    assert found == {name: who for name, who in said.items()}


def test_global(vm, expect):
    found = sorted([write(entry.name), str(entry.who)] for entry in entries(vm, "global"))
    assert found == sorted(expect["global"])
    assert len(found) == 2


def test_groups(vm, expect):
    found = Counter((e.where, write(e.name), str(e.who)) for e in entries(vm, "pg"))
    said = Counter((scope, group, pid) for scope, group, pids in expect["pg"] for pid in pids)
    assert found == said
    assert max(found.values()) == 2 and {where for where, _, _ in found} == {"pg", "other_scope"}


def test_registries(vm, expect):
    """Of one partition and of several, with unique keys and without."""
    found = {}
    for e in entries(vm, "registry"):
        found.setdefault(e.where, []).append([write(e.name), str(e.who), write(e.value)])
    assert {name: sorted(rows) for name, rows in found.items()} == {
        name: sorted(rows) for name, rows in expect["registries"].items()
    }
    assert [len(rows) for rows in found.values()] == [50] * 4


def test_command(reader):
    found = reader.json("etp-registry", "--limit", "all")
    assert Counter(row["kind"] for row in found["names"])["registry"] == 200
    text = reader.run("etp-registry", "--limit", "3")
    assert "3 of 2" in text and " registry." in text
    dead = reader.json("etp-registry", "--dead")["names"]
    names = {row["name"] for row in dead}
    assert names == {"{user,50}", '<<"key 50">>', "1", '<<"topic 0">>'} and len(dead) == 4
    assert {row["alive"] for row in dead} == {False}
    of_one = reader.json("etp-registry", "--who", dead[0]["who"])["names"]
    assert of_one == dead
    by_key = reader.json("etp-registry", "{user,1*}", "--where", "ElixirOtp.Unique")["names"]
    assert len(by_key) == 11
    by_name = reader.json("etp-registry", "ElixirOtp.*", "--kind", "local")["names"]
    assert {"Elixir.ElixirOtp.Plain", "Elixir.ElixirOtp.Unique"} <= {row["name"] for row in by_name}
    (port,) = reader.json("etp-registry", "elixir_otp_port")["names"]
    assert port["alive"] is True and port["who"].startswith("#Port<")


def test_redacted_names(reader):
    reader.settings.set("redact", True)
    text = reader.run("etp-registry", "--limit", "all")
    assert "key 50" not in text and "binary group" not in text and "value => 4" not in text
    assert "Elixir.ElixirOtp.Plain" in text
