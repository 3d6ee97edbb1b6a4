# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom: the monitors, suspensions and functions that the VM said make the same graph."""

from collections import defaultdict

import pytest

from etp.vm import VM
from native import open_vm
from reader import Reader

CASES = {
    "call_cycle-3": ("stripped", {"kind": "call_cycle"}),
    "call_cycle-30": ("emu", {"kind": "call_cycle", "size": 30}),
    "slow_server": ("stripped", {"kind": "slow_server"}),
    "suspended": ("stripped", {"kind": "suspended"}),
    "full_pipe": ("emu", {"kind": "full_pipe"}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, core):
    flavor, args = CASES[request.param]
    dump = core("hangs", flavor, **args)
    return dump.truth, open_vm(dump).waits()


@pytest.fixture(scope="module", params=CASES)
def followed(request, core):
    flavor, args = CASES[request.param]
    dump = core("hangs", flavor, **args)
    return dump.truth, open_vm(dump)


def targets(truth):
    """Whom each process waits for, by what the VM says of it."""
    found = {}
    for pid, process in truth.processes.items():
        function = process["current_function"][:2]
        if process["status"] == "waiting" and function == ["gen", "do_call"]:
            ((_, target),) = process["monitors"]
            found[pid] = target
        for suspended, _active, _pending in process["suspending"]:
            found[suspended] = pid
    cause = truth.workload["expect"]["cause"]
    for pid, process in truth.processes.items():
        if process["status"] == "suspended" and pid not in found:
            found[pid] = cause["port"]
    return found


def walk(target_of, start):
    """Where one gets from there, in order, until somebody waits for nobody or comes again."""
    way = [start]
    while target_of.get(way[-1]) and target_of[way[-1]] not in way:
        way.append(target_of[way[-1]])
    return way


def test_everybody_is_behind_the_one_that_the_vm_says(case):
    truth, waits = case
    target_of = targets(truth)
    behind = defaultdict(int)
    members = set()
    for pid in target_of:
        way = walk(target_of, pid)
        if way[-1] not in target_of:
            behind[way[-1]] += 1
        elif target_of[way[-1]] == pid:
            members.add(pid)
    assert {str(root["term"]): root["behind"] for root in waits["roots"]} == behind
    assert {str(m["term"]) for cycle in waits["cycles"] for m in cycle["members"]} == members
    assert sum(waits["kinds"].values()) == len(target_of)
    assert waits["gaps"] == 0 and waits["suspended_unknown"] == 0


def test_chains_lead_from_each_to_the_next(case):
    truth, waits = case
    target_of = targets(truth)
    for root in waits["roots"]:
        chain = [str(waiter["term"]) for waiter in root["chain"]]
        assert len(chain) == root["depth"]
        assert walk(target_of, chain[-1]) == [*reversed(chain), str(root["term"])]
        direct = sum(target == str(root["term"]) for target in target_of.values())
        assert root["direct"] == sum(root["waits"].values()) == direct


def test_ways_lead_from_each_to_the_next(followed):
    truth, vm = followed
    target_of = targets(truth)
    words = {str(pid): pid.word for _, pid in vm.processes()}
    paths = vm.waits(64, [], [words[pid] for pid in target_of if pid in words])["paths"]
    found = {str(path[0]["term"]): [str(waiter["term"]) for waiter in path] for path in paths}
    assert found == {pid: walk(target_of, pid)[:64] for pid in target_of}
    assert vm.waits()["paths"] == []
    # Short ones break off.
    for path in vm.waits(2, [], list(words.values()))["paths"]:
        assert [str(waiter["term"]) for waiter in path] == walk(target_of, str(path[0]["term"]))[:2]


def test_statuses_are_those_of_the_vm(case):
    truth, waits = case
    counts = defaultdict(int)
    for process in truth.processes.values():
        counts[process["status"]] += 1
    assert {status: count for status, (count, _) in waits["statuses"].items()} == counts


def test_what_is_left_out_is_counted(core):
    vm = open_vm(core("hangs", kind="crowded"))
    every = vm.waits(1000)
    assert every["unlisted"] == (0, 0, 0)
    assert [root["behind"] for root in every["roots"]] == [6] * 70 + [3]
    # The last one has suspended somebody.
    few = vm.waits(5)
    assert [root["term"] for root in few["roots"]] == [
        root["term"] for root in [*every["roots"][:5], every["roots"][-1]]
    ]
    assert few["root_count"] == 71 and few["unlisted"] == (65, 0, 6)
    assert vm.waits(0)["unlisted"] == (71, 1, 6)
    # Whoever is at the end of a way that is asked for is not left out, neither by its pid nor by a name.
    pid, name = every["roots"][40]["chain"][0]["term"], vm.find_atom("pool_70")
    followed = vm.waits(5, [], [pid.word, name.word])
    assert {str(path[-1]["term"]) for path in followed["paths"]} == {
        str(root["term"]) for root in followed["roots"][5:7]
    }
    assert followed["roots"][5]["term"] == every["roots"][40]["term"]
    assert followed["unlisted"] == (63, 0, 6)
    with pytest.raises(TypeError):
        vm.waits(5, [], ["pool_70"])


@pytest.mark.parametrize("size, flavor", [(3, "stripped"), (30, "emu")])
def test_a_cycle_is_told_in_its_order(core, size, flavor):
    args = CASES[f"call_cycle-{size}"][1]
    dump = core("hangs", flavor, **args)
    waits = open_vm(dump).waits()
    (cycle,) = waits["cycles"]
    members = [str(waiter["term"]) for waiter in cycle["members"]]
    expected = dump.truth.workload["expect"]["cause"]["members"]
    assert cycle["size"] == size and cycle["behind"] == 2 and cycle["is_certain"]
    at = expected.index(members[0])
    assert members == expected[at:] + expected[:at]
    assert waits["roots"] == []


def test_who_waits_for_a_busy_connection(core):
    dump = core("distributed")
    waits = open_vm(dump).waits()
    (root,) = waits["roots"]
    assert root["kind"] == "node" and str(root["term"]) == "'etp_peer@127.0.0.1'"
    # The workload went on only when its senders were.
    suspended, examples = waits["statuses"]["suspended"]
    exiting, ended = waits["statuses"]["free"]
    assert [str(waiter["term"]) for waiter in ended] == [dump.truth.workload["expect"]["dying"]]
    assert root["waits"] == {"node": suspended + exiting} and suspended >= 1
    assert {waiter["wait"] for waiter in examples} == {"node"}


def findings(dump):
    return Reader(VM.open(str(dump.path), executable=str(dump.executable))).json("etp-hung")[
        "findings"
    ]


def test_a_monitor_at_hand_is_no_wait(core):
    """Hundreds have a monitor's reference on their stack, but wait for something else; one waits for
    a message with it (processes:marked/1). OTP 23 has no marks that tell these apart."""
    dump = core("processes")
    waits = open_vm(dump).waits()
    suspender = dump.truth.process("suspender")
    ((_, target),) = dump.truth.process("marked_mailbox")["monitors"]
    found = {str(root["term"]): root["waits"] for root in waits["roots"]}
    certain = {suspender["pid"]: {"suspended": len(suspender["suspending"])}}
    if dump.truth.system["otp_release"] == "23":
        at_hand = {term: found.pop(term) for term in [*found] if set(found[term]) == {"monitor"}}
        assert at_hand[target] == {"monitor": 1}
        watched = dump.truth.process("watched")["pid"]
        (finding,) = [f for f in findings(dump) if f["kind"] == "blocker"]
        assert finding["subjects"] == [watched] and finding["severity"] == "strain"
        assert finding["doubt"].startswith("They have the reference of a monitor at hand, but may")
    else:
        certain[target] = {"call": 1}
    assert found == certain
    assert waits["cycles"] == []
