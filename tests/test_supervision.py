# SPDX-License-Identifier: Apache-2.0
"""Supervision trees against supervisor:which_children/1 and count_children/1, and those of a broker."""

import pytest

import cores
import rabbitmq
from etp.errors import Problem
from etp.otp.supervision import Child, Trees
from etp.vm import VM
from reader import Reader

FLAVORS = ["stripped", "dwarf", "emu"]


def open_vm(dump: cores.Core) -> VM:
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module", params=FLAVORS)
def dump(request, core):
    return core("otp_states", flavor=request.param)


@pytest.fixture(scope="module")
def vm(dump):
    return open_vm(dump)


@pytest.fixture(scope="module")
def broker(core):
    dump = core("rabbitmq", method="gcore", flags=rabbitmq.FLAGS, plugins=str(rabbitmq.plugins()))
    return dump, open_vm(dump)


def told(child: Child):
    """As supervisor:which_children/1 tells it."""
    ident = "undefined" if child.id is None else child.id.format(syntax="w")
    return [ident, child.status if child.pid is None else str(child.pid), child.type]


def supervisors(trees: Trees):
    by_pid = {str(row.pid): row for row in trees.rows.values()}
    return lambda pid: trees.supervisor(by_pid[pid])


def test_children(dump, vm):
    find = supervisors(Trees(vm))
    strategies = set()
    for said in dump.truth.workload["expect"]["supervisors"]:
        found = find(said["pid"])
        assert found is not None and found.problem == "", said["pid"]
        expected = [entry[:3] for entry in said["children"]]
        children = [told(child) for child in found.children]
        if found.strategy == "simple_one_for_one":
            children, expected = sorted(children), sorted(expected)
        assert children == expected, said["pid"]
        modules = [child.modules.format(syntax="w") for child in found.children]
        assert sorted(modules) == sorted(entry[3] for entry in said["children"])
        strategies.add(found.strategy)
        counts = said["counts"]
        assert found.specs == counts["specs"]
        assert sum(child.status == "running" for child in found.children) == counts["active"]
        assert sum(child.type == "worker" for child in found.children) == counts["workers"]
        assert found.restarts == said["restarts"]
    assert strategies == {"one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"}
    restarts = [said["restarts"] for said in dump.truth.workload["expect"]["supervisors"]]
    assert {2, 3} <= set(restarts)


def test_totals_are_those_of_the_processes(dump, vm):
    """Memory and mailboxes of a supervisor and all below it, as process_info/2 said of each."""
    trees = Trees(vm)
    said = {entry["pid"]: entry for entry in dump.truth.workload["expect"]["supervisors"]}

    def below(pid):
        yield pid
        for _id, child, _type, _modules in said.get(pid, {"children": []})["children"]:
            if child in dump.truth.processes:
                yield from below(child)

    waiting = 0
    rows = {str(row.pid): row for row in trees.rows.values()}
    for pid in said:
        name = dump.truth.processes[pid]["registered_name"]
        if name is None or not name.startswith("otp_states"):
            continue
        lines = [dump.truth.processes[one] for one in below(pid)]
        top = trees.of(rows[pid])
        total = trees.totals(top)[id(top)]
        assert total.processes == len(lines) > 7
        assert total.memory == sum(line["memory"] for line in lines), name
        assert total.message_queue_len == sum(line["message_queue_len"] for line in lines)
        waiting += total.message_queue_len
    assert waiting == 7


def test_children_of_a_broker(broker):
    """RabbitMQ's supervisors, which are of two kinds; those that were asked after the core was taken."""
    dump, vm = broker
    trees = Trees(vm)
    find = supervisors(trees)
    seen = set()
    for said in dump.truth.by_kind["supervisor"]:
        found = find(said["pid"])
        assert found is not None and found.problem == "", said["pid"]
        assert sorted(told(child) for child in found.children) == sorted(said["children"])
        seen.add(found.behaviour)
    assert seen == {"supervisor", "supervisor2"}
    assert len(dump.truth.by_kind["supervisor"]) > 140


def test_children_of_dynamic_supervisors(core):
    dump = core("elixir_otp")
    find = supervisors(Trees(open_vm(dump)))
    seen = set()
    for said in dump.truth.workload["expect"]["supervisors"]:
        found = find(said["pid"])
        assert found is not None and found.problem == "", said["pid"]
        assert sorted(told(child) for child in found.children) == sorted(said["children"])
        assert sum(c.status == "running" for c in found.children) == said["counts"]["active"]
        assert found.specs == said["counts"]["specs"]
        seen.add((found.behaviour, found.strategy, found.intensity, found.period))
    assert ("DynamicSupervisor", "one_for_one", 7, 60) in seen
    assert ("supervisor", "rest_for_one", 3, 5) in seen


def test_applications_of_a_broker(broker):
    dump, vm = broker
    found = {a.name: (str(a.master.pid), str(a.top.pid)) for a in Trees(vm).applications()}
    assert found == {
        line["name"]: (line["master"], line["top"]) for line in dump.truth.by_kind["application"]
    }


def test_totals_of_a_broker_are_sums_over_the_tree(broker):
    _dump, vm = broker
    trees = Trees(vm)
    (rabbit,) = [a for a in trees.applications() if a.name == "rabbit"]
    totals = trees.totals(rabbit.top)
    children = [child for _depth, child, _parent in trees.walk(rabbit.top)]
    pids = [child.pid.word for child in children if child.row is not None]
    # RabbitMQ 3.8 starts fewer of its own.
    assert len(pids) == len(set(pids)) > 90
    total = totals[id(rabbit.top)]
    rows = [trees.rows[pid] for pid in pids]
    assert total.processes == len(rows)
    assert total.memory == sum(row.memory for row in rows)
    assert total.message_queue_len == sum(row.message_queue_len for row in rows)
    # The connections of TCP are below a supervisor of ranch's own kind.
    assert {"rabbit_connection_sup"} <= {
        child.supervisor.module for child in children if child.supervisor is not None
    }


def test_command_on_a_broker(broker):
    _dump, vm = broker
    reader = Reader(vm)
    text = reader.run("etp-supervision", "--limit", "all")
    assert "\nkernel  " in text and "\n  code_server  " in text and "rex" not in text
    text = reader.run("etp-supervision", "kernel", "--children", "all")
    assert "\n  rex  " in text and "\n    disk_log_server  " in text
    assert "kernel: 3" in text and "group leader" in text
    found = reader.json("etp-supervision", "rabbit_sup", "--limit", "all", "--children", "3")
    assert found["children"][0]["strategy"] == "one_for_all"
    rest = [row for row in found["children"] if row.get("more")]
    assert rest and rest[0]["child"].strip() == f"... {rest[0]['more']} more"
    everything = reader.json("etp-supervision", "rabbit_sup", "--limit", "all", "--children", "all")
    assert everything["children"][0]["subtree"] == found["children"][0]["subtree"]
    largest = reader.json("etp-supervision", "rabbit", "--sort", "subtree", "--limit", "3")
    sizes = [row["subtree"] for row in largest["children"]]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(
        Problem, match="neither a process nor an application that runs; these do: am"
    ):
        reader.run("etp-supervision", "rabbits")


def test_redacted_trees_have_names_only(vm):
    reader = Reader(vm)
    assert '"c"' in reader.run("etp-supervision", "otp_states_sup")
    reader.settings.set("redact", True)
    text = reader.run("etp-supervision", "otp_states_sup")
    assert '"c"' not in text and "nested" in text
