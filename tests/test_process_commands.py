# SPDX-License-Identifier: Apache-2.0
"""The commands about processes on a real core, in text, as JSON and redacted."""

import re

import pytest

import cores
from etp import processes
from etp.errors import Problem
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


def test_rows(vm, truth):
    rows = {str(row.pid): row for row in processes.rows(vm)}
    for pid, said in truth.processes.items():
        if said["volatile"] or said["initial_call"][0] in cores.BUSY_BY_THEMSELVES:
            continue
        row = rows[pid]
        assert (row.name, row.memory, row.message_queue_len, row.status) == (
            said["registered_name"],
            said["memory"],
            said["message_queue_len"],
            said["status"],
        )
        assert row.unknown == row.uncertain == []


def test_processes(reader, truth):
    found = reader.json("etp-processes", "--limit", "all", "--sort", "msgq")
    lengths = [row["message_queue_len"] for row in found["processes"]]
    assert lengths == sorted(lengths, reverse=True)
    assert found["processes"][0]["name"] == "long_mailbox"
    functions = {row["pid"]: row["function"] for row in found["processes"]}
    for pid, said in truth.processes.items():
        if said["volatile"] or not said["current_function"]:
            continue
        module, function, arity = said["current_function"]
        if re.fullmatch(r"[a-z][\w@]*", function) and re.fullmatch(r"[a-z][\w@]*", module):
            assert functions[pid] == f"{module}:{function}/{arity}", pid


def test_processes_are_filtered_and_summed_up(reader):
    text = reader.run("etp-processes", "--status", "suspended", "--limit", "3")
    assert "3 of 20 processes shown" in text
    assert "20 processes (20 suspended" in text
    found = reader.json("etp-processes", "--name", "long_*")
    assert {row["name"] for row in found["processes"]} == {
        "long_mailbox",
        "long_off_heap_mailbox",
    }
    assert "were of the last time" not in reader.run("etp-processes", "--name", "long_*")
    assert "exited when the core was taken" in reader.run("etp-processes")


def test_process_info(reader, truth):
    said = truth.process("monitor_hub")
    found = reader.json("etp-process-info", "monitor_hub")
    for item in ("memory", "total_heap_size", "reductions", "links", "garbage_collection_info"):
        if item != "reductions":
            assert found[item] == said[item]
    assert [["process", m["other"]] for m in found["monitors"]] == said["monitors"]
    text = reader.run("etp-process-info", said["pid"])
    assert re.search(r"^memory +.*\(" + f"{said['memory']:,} bytes", text, re.M)
    assert "... 492" in " ".join(text.split())


def test_process_info_names_what_is_not_certain(reader, truth):
    states = truth.workload["expect"]["states"]
    running = reader.run("etp-process-info", states["on_dirty_cpu"]["pid"])
    assert "was running on dirty cpu scheduler" in running
    assert "not certain: " in running and "reductions" in running
    assert "was exiting" in reader.run("etp-process-info", states["exiting"]["pid"])


def test_msgq(reader, truth):
    text = reader.run("etp-msgq", "long_mailbox", "--limit", "2")
    assert '{log,info,{2,"a line of the log"}}' in text and "flush" not in text
    assert "The 2 oldest of 20,010 shown" in text
    newest = reader.json("etp-msgq", "long_mailbox", "--newest", "--limit", "1")
    assert [message["term"] for message in newest["messages"]] == ["flush"]
    states = truth.workload["expect"]["states"]
    transit = reader.run("etp-msgq", states["starved"]["pid"])
    assert "7 messages, 7 of them in transit, 7 other signals in transit" in transit
    assert "[outer] from <" in transit and ">: signal monitor" in transit
    assert "[buffer] from <" in reader.run("etp-msgq", states["starved_with_buffers"]["pid"])


def test_sensitive_processes_are_left_alone_unless_asked(reader):
    assert "secret" not in reader.run("etp-dictdump", "sensitive")
    assert "secret => 42" in reader.run("etp-dictdump", "sensitive", "--sensitive")


def test_links_and_monitors(reader, truth):
    found = reader.json("etp-links", "link_hub", "--limit", "all")
    assert [row["other"] for row in found["links"]] == truth.process("link_hub")["links"]
    assert all(row["alive"] for row in found["links"])
    found = reader.json("etp-monitors", "suspender", "--limit", "all")
    assert {row["note"] for row in found["monitors"]} == {"1x", "2x"}
    text = reader.run("etp-monitors", "monitor_by_name")
    assert "watched on nonode@nohost" in text
    assert "resource" in reader.run("etp-monitors", "monitored_by_resource")


def test_dictdump(reader):
    text = reader.run("etp-dictdump", "odd_dictionary")
    assert "1.5 => 1267650600228229401496703205376" in text
    assert "7 pairs" in text
    assert "50 of 10,000 pairs shown" in reader.run("etp-dictdump", "large_dictionary")


def test_messages(reader):
    text = reader.run("etp-messages", "--limit", "1")
    lines = [line.split() for line in text.split("\n")]
    assert ["90", "%", "18,000", "{log,_,_}"] in lines
    assert 'oldest: {log,info,{1,"a line of the log"}}' in text
    found = reader.json("etp-messages")
    assert found["mailboxes"][0]["message_queue_len"] == 20010
    assert found["mailboxes"][0]["shapes"][1]["shape"] == "{'$gen_cast',{flush,_}}"
    for order, key in (("memory", "memory"), ("transit", "in_transit")):
        found = reader.json("etp-messages", "--sort", order, "--limit", "all")
        numbers = [mailbox[key] for mailbox in found["mailboxes"]]
        assert len(numbers) > 2 and numbers == sorted(numbers, reverse=True), order


def test_redacted_output_has_no_contents(reader):
    reader.settings.set("redact", True)
    for name, words in (
        ("etp-messages", ()),
        ("etp-msgq", ("long_mailbox",)),
        ("etp-dictdump", ("odd_dictionary",)),
        ("etp-dictdump", ("large_dictionary",)),
    ):
        for text in (reader.run(name, *words), reader.run(name, *words, "--json")):
            assert "line of the log" not in text
            assert "12676506002282294" not in text
            assert not re.search(r"value,\d", text)


def test_who_is_not_there(reader):
    for who in ("<0.9999.0>", "nobody", "0x1000"):
        with pytest.raises(Problem, match="No live process"):
            reader.run("etp-process-info", who)
