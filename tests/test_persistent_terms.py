# SPDX-License-Identifier: Apache-2.0
"""etp-persistent-terms: their number, sizes and binaries, against persistent_term:info/0."""

import pytest
from etp.vm import VM

from reader import Reader


@pytest.fixture(scope="module")
def dump(core):
    return core("holders")


@pytest.fixture(scope="module")
def reader(dump):
    return Reader(VM.open(str(dump.path), executable=str(dump.executable)), width=150)


@pytest.fixture(scope="module")
def found(reader):
    return reader.json("etp-persistent-terms", "--limit", "all")


def test_all_are_there(dump, found):
    said = dump.truth.system["persistent_term"]
    rows = found["persistent_terms"]
    assert found["count"] == len(rows) == said["count"]
    sizes = [row["size"] for row in rows]
    assert found["bytes"] == sum(sizes) and sizes == sorted(sizes, reverse=True)
    # The rest is the VM's own table, which has room for as many again, and a few words about itself.
    assert 0 < said["memory"] - found["bytes"] <= 8 * (4 * said["count"] + 64)
    assert not any(row["problem"] for row in rows)


def test_binaries_of_one(reader, found):
    (first,) = reader.json("etp-persistent-terms", "--sort", "binaries", "--limit", "1")[
        "persistent_terms"
    ]
    (row,) = [row for row in found["persistent_terms"] if row["key"] == "{holders,key}"]
    assert first == row and row["refs"] == 1 and row["binaries"] > 64
    value = reader.run("etp", row["value"])
    assert value.split()[:2] == ["#{body", "=>"] and '<<"holder:persistent_term:' in value


def test_etp_memory_leads_there(reader, found):
    rows = {row["what"].strip(): row for row in reader.json("etp-memory")["rows"]}
    told = rows["persistent terms"]
    assert (told["bytes"], told["see"]) == (found["bytes"], "etp-persistent-terms")


def test_redacted(reader):
    reader.settings.set("redact", "on")
    shown = reader.run("etp-persistent-terms", "--sort", "key")
    reader.settings.set("redact", "off")
    assert "{holders,key}" not in shown and "{holders," in shown
