# SPDX-License-Identifier: Apache-2.0
"""The order in which commands list what they list, on real cores."""

from typing import Any, List

import pytest

from etp.commands.registry import COMMANDS
from etp.errors import UsageError
from etp.vm import VM
from reader import Reader


@pytest.fixture(scope="module")
def truth(core):
    return core("processes").truth


@pytest.fixture(scope="module")
def vm(core):
    dump = core("processes")
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture
def reader(vm):
    return Reader(vm)


# What the census and processes are asked with.
LISTS = """
    etp-processes etp-process-info etp-stacktrace etp-stackdump etp-heapdump etp-dictdump
    etp-offheapdump etp-msgq etp-links etp-monitors etp-messages etp-bins etp-bin-leaks etp-who
    etp-accumulators etp-histogram etp-memory etp-ets-leaks
""".split()


@pytest.mark.parametrize("name", LISTS)
def test_every_list_can_be_sorted_limited_and_read_by_machines(name):
    (command,) = [command for command in COMMANDS if command.name == name]
    options = {name for argument in command.options() for name in argument.names}
    assert {"--json", "--limit", "--sort"} <= options


def column(found: List[Any], key: str) -> List[Any]:
    return [row[key] for row in found]


def test_dictionary(reader, truth):
    sizes = truth.workload["expect"]["sizes"]
    found = reader.json("etp-dictdump", "sized_dictionary", "--sort", "size")["dictionary"]
    words = {row["key"]: row["words"] for row in found if row["key"] in sizes}
    assert words == sizes
    assert column(found, "words") == sorted(column(found, "words"), reverse=True)
    assert f"[{sizes['large']:,} words] large => [1,2," in reader.run(
        "etp-dictdump", "sized_dictionary", "--sort", "size", "--limit", "1"
    )
    found = reader.json("etp-dictdump", "sized_dictionary", "--sort", "key")["dictionary"]
    assert column(found, "key") == ["binaries", "large", "medium", "small", "tuple"]
    assert set(column(found, "words")) == {None}


def test_stack(reader, truth):
    sizes = truth.workload["expect"]["sizes"]
    found = reader.json("etp-stackdump", "sized_stack", "--sort", "size")["words"]
    assert column(found, "words")[:4] == sorted(sizes.values(), reverse=True)
    one = reader.json("etp-stackdump", "sized_stack", "--sort", "size", "--limit", "1")["words"]
    assert one == found[:1] and one[0]["term"].startswith("[1,2,3")
    # The same word as from the top.
    whole = {
        row.get("address"): row for row in reader.json("etp-stackdump", "sized_stack")["words"]
    }
    for row in found:
        assert {**whole[row["address"]], "words": row["words"]} == row
    text = reader.run("etp-stackdump", "sized_stack", "--sort", "size", "--limit", "1")
    assert "those that refer to most" in text


def test_stacktrace(reader):
    found = reader.json("etp-stacktrace", "catching", "--sort", "function", "--limit", "all")
    assert column(found["frames"], "name") == sorted(column(found["frames"], "name"))
    assert (
        len(reader.json("etp-stacktrace", "catching", "--sort", "place", "--limit", "1")["frames"])
        == 1
    )


def test_heap(reader):
    found = reader.json("etp-heapdump", "sized_dictionary", "--sort", "size", "--limit", "3")[
        "things"
    ]
    # A tuple of 500.
    assert (found[0]["words"], found[0]["kind"]) == (501, "term")
    everything = reader.json("etp-heapdump", "sized_dictionary", "--limit", "all")["things"]
    ranked = sorted(everything, key=lambda row: (-row["words"], int(row["address"], 16)))
    assert found == ranked[:3]
    assert (
        reader.json("etp-heapdump", "sized_dictionary", "--sort", "size", "--limit", "all")[
            "things"
        ]
        == ranked
    )
    assert "The largest 3 things shown" in reader.run(
        "etp-heapdump", "sized_dictionary", "--sort", "size", "--limit", "3"
    )


def test_off_heap(reader, truth):
    said = sorted(
        (int(size) for _, size, _ in truth.process("sized_dictionary")["binary"]), reverse=True
    )
    found = reader.json("etp-offheapdump", "sized_dictionary", "--sort", "size", "--limit", "4")
    assert (
        [size for size in column(found["things"], "size")] == said[:4] == [9000, 5000, 3000, 1000]
    )
    assert found["total"] >= 4
    natural = reader.json("etp-offheapdump", "sized_dictionary")["things"]
    assert column(natural, "size") != column(found["things"], "size")


def test_messages_of_one_process(reader):
    found = reader.json("etp-msgq", "sized_mailbox", "--sort", "size")["messages"]
    # A cell is two words, the tuple three.
    assert column(found, "words") == [2 * n + 3 for n in (300, 100, 20, 3)]
    assert "1 of 4 shown" in reader.run(
        "etp-msgq", "sized_mailbox", "--sort", "size", "--limit", "1"
    )
    with pytest.raises(UsageError, match="Either --newest or --sort"):
        reader.run("etp-msgq", "sized_mailbox", "--sort", "size", "--newest")


def test_senders(reader, truth):
    pid = truth.workload["expect"]["states"]["starved_with_buffers"]["pid"]
    found = reader.json("etp-msgq", pid, "--sort", "sender")["messages"]
    numbers = [int(sender.split(".")[1]) for sender in column(found, "from")]
    assert len(numbers) == 10 and numbers == sorted(numbers)


def test_relations(reader, truth):
    said = truth.process("link_hub")["links"]
    natural = reader.json("etp-process-info", "link_hub")["links"]
    by_pid = reader.json("etp-process-info", "link_hub", "--sort", "pid")["links"]
    assert natural == said and sorted(by_pid) == sorted(said)
    numbers = [int(pid.split(".")[1]) for pid in by_pid]
    assert numbers == sorted(numbers) != [int(pid.split(".")[1]) for pid in said]


def test_suspects(core):
    dump = core("demo")
    reader = Reader(VM.open(str(dump.path), executable=str(dump.executable)))
    reader.settings.set("stats", True)
    # No table has much that others hold too.
    assert "Census of tables:" in reader.run("etp-ets-leaks")
    assert "terms/s." in reader.run("etp-bins")
    freeable = column(
        reader.json("etp-ets-leaks", "--sort", "freeable")["suspects"], "freeable_bytes"
    )
    assert freeable == sorted(freeable, reverse=True)


def test_more_holders_than_are_shown(core):
    """300 processes hold one binary."""
    dump = core("holders")
    vm = VM.open(str(dump.path), executable=str(dump.executable))
    reader = Reader(vm)
    (crowd,) = [b for b in vm.census().binaries() if vm.read(b.data_address, 5) == b"crowd"]
    assert crowd.holder_count == crowd.refc == 300
    assert len(reader.json("etp-who", f"{crowd.address:#x}", "--limit", "all")["holders"]) == 300
    text = reader.run("etp-who", f"{crowd.address:#x}", "--limit", "5")
    assert "295 more holders not shown; --limit all shows all." in text
