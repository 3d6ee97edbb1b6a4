# SPDX-License-Identifier: Apache-2.0
"""etp-atoms: names and order as the VM told them, and what those have in common that fill its table."""

import re

import pytest

import cores
import etp
from etp.commands.atoms import shape_of
from reader import Reader
from test_hung import make


@pytest.fixture(scope="module")
def dump(core) -> cores.Core:
    return make(core, "atoms")


@pytest.fixture
def reader(dump):
    return Reader(etp.open(core=str(dump.path), executable=str(dump.executable)))


def test_names_and_order_are_those_of_the_vm(dump, reader):
    said = dump.truth.atoms
    found = reader.json("etp-atoms", "--list", "--newest", "all", "--limit", "all")
    assert found["count"] == found["looked_at"] == len(found["atoms"]) > len(said)
    names = {row["index"]: row["atom"] for row in found["atoms"]}
    assert [*names] == [*reversed(range(found["count"]))]
    plain = {i: name for i, name in enumerate(said) if re.fullmatch(r"[a-z][\w@]*", name)}
    assert {i: names[i] for i in plain} == plain and len(plain) > 5000


def test_who_fills_the_table_comes_first(dump, reader):
    cause = dump.truth.workload["expect"]["cause"]
    made = cause["atoms"] - len(dump.truth.atoms)
    found = reader.json("etp-atoms", "--limit", "1", "--newest", "all")
    (first,) = found["shapes"]
    assert (found["count"], found["limit"]) == (cause["atoms"], cause["limit"])
    # Some were made by what wrote the truth.
    assert first["shape"] == "user_#" and made - 1000 < first["atoms"] <= made
    assert re.fullmatch(r"user_\d+", first["example"])
    text = reader.run("etp-atoms", "--newest", "100")
    assert re.search(r"^user_# +100 +user_", text, re.M) and "the newest 100 were looked at" in text
    assert "etp-atoms" in reader.run("etp-hung")


def test_redacted(reader):
    reader.settings.set("redact", True)
    for words in ((), ("--list",), ("--json",), ("--list", "--json")):
        said = reader.run("etp-atoms", *words)
        assert "user_" not in said and "#Atom<" in said


@pytest.mark.parametrize(
    "name, shape",
    [
        ("user_17", "user_#"),
        ("session-1f09ab33c8d2", "session-@"),
        ("deadbeefcafe", "deadbeefcafe"),
        ("v1.2.3", "v#.#.#"),
        ("a\x1b[2J", "a\x1b[#J"),
    ],
)
def test_shapes(name, shape):
    assert shape_of(name) == shape
