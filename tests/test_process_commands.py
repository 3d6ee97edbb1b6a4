# SPDX-License-Identifier: Apache-2.0
"""The commands about processes on a real core, in text, as JSON and redacted."""

import re
from collections import Counter

import pytest

import cores
from etp import processes
from etp.commands.line import parse
from etp.commands.processes import COMMAND
from etp.errors import Problem
from etp.render import Screen, render
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


@pytest.mark.parametrize("units", ["human", "bytes", "words"])
@pytest.mark.parametrize("width", [None, 60, 90, 200])
@pytest.mark.parametrize("columns", [None, "all", "name,pid,pid,function,heap"])
def test_what_the_binding_writes_is_what_python_would(vm, units, width, columns):
    """A table of many rows is the same as one of rows in Python."""
    texts = []
    for make_rows in (lambda rows: rows, list):
        context = Reader(vm)
        arguments = parse(COMMAND, ["--limit", "all", "--units", units])
        arguments.columns = columns
        view = COMMAND.run(context, arguments)
        view.rows = make_rows(view.rows)
        text = []
        render(view, Screen(text.append, width=width))
        texts.append("".join(text))
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) > len(view.rows) > 3000


def test_rows_are_made_when_they_are_looked_at(vm):
    rows = processes.rows(vm)
    assert [row.address for row in rows] == rows.values("address")
    assert rows[-1] == rows[len(rows) - 1] == rows[len(rows) - 3 :][2]
    assert [row.pid for row in rows.pick([5, 0, 5])] == [rows[i].pid for i in (5, 0, 5)]
    assert {row.status for row in rows} <= set(rows.native.shared("status"))
    with pytest.raises(IndexError):
        rows[len(rows)]
    with pytest.raises(IndexError):
        rows.pick([len(rows)])


def test_columns_of_the_binding_are_the_fields_of_a_row(vm):
    """What the binding calls a column stands where Row has the field of that name."""
    rows = processes.rows(vm)
    columns = [rows.values(name) for name in processes.Row._fields]
    assert [*zip(*columns)] == [rows.native[i] for i in range(len(rows))]
    told_apart = [name for name in processes.Row._fields if len({*rows.values(name)}) > 1]
    assert len({str(rows.values(name)) for name in told_apart}) == len(told_apart) > 15


@pytest.mark.parametrize(
    "call",
    [
        lambda records: records.values("nothing"),
        lambda records: records.shared("memory"),
        lambda records: records.width("memory", "furlongs", 1, False),
        lambda records: records.width("memory", "count", 9, False),
        lambda records: records.lines(2, 1, []),
        lambda records: records.lines(0, 1, ["memory"]),
        lambda records: records.lines(0, 1, [("memory", "count", 1, False, -1)]),
        lambda records: records.lines(0, 1, [("name", [])]),
        lambda records: records.lines(0, 1, [(b"1234", [b"text"])]),
        lambda records: records.lines(0, 1, [("name", ["text"] * 1000)]),
        lambda records: records.pick(["1"]),
    ],
)
def test_wrong_arguments_are_refused(vm, call):
    with pytest.raises((KeyError, ValueError, TypeError, IndexError)):
        call(processes.rows(vm).native)


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


def test_processes_by_their_monitors(reader, truth):
    said = {pid: len(p["monitors"]) for pid, p in truth.processes.items() if not p["volatile"]}
    pid = max(said, key=lambda pid: said[pid])
    first = reader.json("etp-processes", "--sort", "monitors", "--limit", "1")["processes"][0]
    assert (first["pid"], first["monitors"]) == (pid, said[pid]) and said[pid] > 400


def test_processes_are_grouped(reader, truth):
    """Counts and memory of those of one function and status, as the VM said of each."""
    settled = [p for p in truth.processes.values() if not p["volatile"] and p["current_function"]]
    counts = Counter("{}:{}/{}".format(*said["current_function"]) for said in settled)
    function, count = counts.most_common(1)[0]
    assert count > 100
    found = reader.json("etp-processes", "--group", "function", "--limit", "all")["groups"]
    (group,) = [each for each in found if each["function"] == function]
    assert group["processes"] == count
    those = [p for p in settled if "{}:{}/{}".format(*p["current_function"]) == function]
    for item in ("memory", "message_queue_len"):
        assert group[item] == sum(said[item] for said in those)
    assert group["total_heap_bytes"] == 8 * sum(said["total_heap_size"] for said in those)
    largest = max(said["memory"] for said in those)
    assert truth.processes[group["example"]]["memory"] == largest
    total = reader.json("etp-processes", "--limit", "1")["total"]
    assert sum(each["processes"] for each in found) == total
    by_status = reader.json("etp-processes", "--group", "status", "--sort", "status")["groups"]
    assert {"suspended": 20}.items() <= {g["status"]: g["processes"] for g in by_status}.items()
    text = " ".join(reader.run("etp-processes", "--group", "initial", "--limit", "1").split())
    assert re.search(r"Most by initial call: [\d,]+ of \S+:\S+/\d", text)


def test_process_info(reader, truth):
    said = truth.process("monitor_hub")
    found = reader.json("etp-process-info", "monitor_hub")
    for item in ("memory", "total_heap_size", "reductions", "links", "garbage_collection_info"):
        if item != "reductions":
            assert found[item] == said[item]
    assert [["process", m["other"]] for m in found["monitors"]] == said["monitors"]
    text = reader.run("etp-process-info", said["pid"])
    assert re.search(r"^memory +.*\(" + f"{said['memory']:,} bytes", text, re.M)
    # Two of each process: 8 processes are shown.
    assert "... 484 more" in " ".join(text.split())


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
    # The other end was watched by its name, and so knows it; what matters there is who watches.
    watcher = truth.process("monitor_by_name")["pid"]
    said = truth.process("watched")["monitored_by"]
    assert said.count(watcher) == 2
    text = " ".join(reader.run("etp-process-info", "watched").split())
    assert f"2 x {watcher} monitor_by_name (by name)" in text and "watched on" not in text
    rows = reader.json("etp-monitors", "watched", "--limit", "all")["monitors"]
    found = [row for row in rows if row["listed"] and row["direction"] == "watched by"]
    assert sorted(row["other"] for row in found) == sorted(said)
    assert {row["label"] for row in found if row["other"] == watcher} == {"monitor_by_name"}
    assert {row["note"] for row in found if row["other"] == watcher} == {"by the name watched"}
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


def test_a_process_by_its_name(reader, vm, truth):
    pid = truth.process("link_hub")["pid"]
    for name in ("link_hub", "'link_hub'"):
        assert str(vm.process_by_name(name).pid) == pid
    assert vm.process_by_name("link_hup") is None
    assert reader.run("etp", "link_hub").split()[:2] == [pid, "link_hub"]
    for command in ("etp-process-info", "etp-links"):
        with pytest.raises(Problem, match="registered as link_hup.* Did you mean link_hub"):
            reader.run(command, "link_hup")
    with pytest.raises(Problem, match="no name of a process"):
        reader.run("etp", "link_hup")
