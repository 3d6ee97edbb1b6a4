# SPDX-License-Identifier: Apache-2.0
"""Every item of process_info/2 for every process of real cores, against what the VM said."""

from typing import Any, Dict, List

import pytest

import _etp
import cores
from native import open_vm

FLAVORS = ["stripped", "dwarf", "emu"]
WORKLOADS = ["processes", "terms", "healthy", "demo", "distributed"]


@pytest.fixture(scope="module", params=[(w, f) for w in WORKLOADS for f in FLAVORS], ids="-".join)
def case(request, core):
    workload, flavor = request.param
    dump = core(workload, flavor=flavor)
    return dump, open_vm(dump)


@pytest.fixture(scope="module", params=FLAVORS)
def states(request, core):
    dump = core("processes", flavor=request.param)
    return dump, open_vm(dump)


def addresses(vm: "_etp.VM") -> Dict[str, int]:
    return {str(pid): address for address, pid in vm.processes()}


def write(term: "_etp.Term") -> str:
    """As ~w, in which characters beyond Latin-1 are escaped."""
    return term.format(syntax="w", unicode=False)


def monitor(entry: Dict[str, Any]) -> List[str]:
    kind = entry["type"] if entry["type"] in ("port", "time_offset") else "process"
    if entry["name"] is None:
        return [kind, write(entry["other"])]
    kind = "port" if entry["other"].kind == "port" else "process"
    return [kind, "{" + write(entry["name"]) + "," + write(entry["node"]) + "}"]


def suspending(entry: Dict[str, Any]) -> List[Any]:
    count = entry["suspend_count"]
    active = entry["suspend_active"]
    return [write(entry["other"]), count if active else 0, 0 if active else count]


def make_comparable(found: Dict[str, Any], said: Dict[str, Any]) -> None:
    """Leave out what is too large for the truth, and write floats in the same way."""
    if said["dictionary"] is None:
        found["dictionary"] = None
    for i, message in enumerate(said["messages"]):
        if message is None:
            found["messages"][i] = None
    for of in (found, said):
        of["dictionary"] = of["dictionary"] and cores.same_floats(of["dictionary"])


def items(vm: "_etp.VM", info: Dict[str, Any]) -> Dict[str, Any]:
    """In the form of the truth's process lines."""
    origins = [m for m in info["all_monitors"] if not m["is_target"]]
    targets = [m for m in info["all_monitors"] if m["is_target"]]
    pairs = [f"{{{write(key)},{write(value)}}}" for key, value in info["dictionary"]]
    # The VM keeps the contents of a sensitive process to itself.
    hidden = info["is_sensitive"]
    messages = [write(m[2]) for m in vm.messages(info["address"]) if m[1] == "message"]
    found = {
        name: info[name]
        for name in (
            "status",
            "message_queue_len",
            "memory",
            "total_heap_size",
            "heap_size",
            "stack_size",
            "min_heap_size",
            "trap_exit",
            "priority",
            "message_queue_data",
            "catchlevel",
            "garbage_collection",
            "garbage_collection_info",
            "error_handler",
            "registered_name",
        )
    }
    found.update(
        initial_call=list(info["initial_call"]),
        links=[write(link) for link in info["links"]],
        monitors=[monitor(m) for m in origins if m["listed"]],
        monitored_by=[write(m["other"]) for m in targets if m["listed"]],
        suspending=[suspending(m) for m in origins if m["type"] == "suspend"],
        group_leader=write(info["group_leader"]),
        parent=None if write(info["parent"]) == "undefined" else write(info["parent"]),
        dictionary="[]" if hidden else "[" + ",".join(pairs) + "]",
        messages=[] if hidden else messages,
    )
    return found


def test_every_item_of_every_process(case):
    """Lists in the VM's own order, too."""
    dump, vm = case
    live = addresses(vm)
    compared = 0
    for pid, said in dump.truth.processes.items():
        if said["volatile"] or said["initial_call"][0] in cores.BUSY_BY_THEMSELVES:
            continue
        info = vm.process_info(live[pid])
        assert (info["unknown"], info["gaps"]) == ([], 0), (pid, info["problem"])
        assert info["uncertain"] == [], pid
        found = items(vm, info)
        if "parent" not in said:
            # process_info/2 tells it since OTP 25.
            del found["parent"]
        expected = {name: said[name] for name in found}
        make_comparable(found, expected)
        assert found == expected, (pid, said["registered_name"])
        moved = info["reductions"] - said["reductions"]
        assert 0 <= moved <= cores.REDUCTIONS_OF_A_QUESTION, pid
        translated = info["proc_lib_initial_call"]
        assert (list(translated) if translated else None) == said["translated_initial_call"], pid
        compared += 1
    assert compared > (3000 if dump.truth.workload["name"] == "processes" else 35)


def test_list_agrees_with_info(case):
    _, vm = case
    rows = vm.process_list()
    assert [row[0] for row in rows] == [address for address, _ in vm.processes()]
    names = ("registered_name", None, "status", "message_queue_len", None, "memory", "reductions",
             "total_heap_size", "heap_size", "stack_size", "link_count",
             "monitor_count", "program_counter")  # fmt: skip
    for row in rows:
        info = vm.process_info(row[0])
        for value, name in zip(row[2:], names):
            assert name is None or value == info[name], (row, name)
        assert row[3] == (info["proc_lib_initial_call"] or info["initial_call"])
        assert row[6] == info["message_queue_len"] - info["queues"]["inner"]
        assert row[15] == info["group_leader"].word
        assert bool(row[16]) == bool(info["unknown"]) and bool(row[17]) == bool(info["uncertain"])


def test_states(states):
    """What happened after the truth was written; corefiles/processes.erl says how."""
    dump, vm = states
    live = addresses(vm)
    names = {row[2]: row[0] for row in vm.process_list() if row[2]}
    expected = dump.truth.workload["expect"]["states"]
    for name, state in expected.items():
        address = live[state["pid"]] if "pid" in state else names[state["name"]]
        info = vm.process_info(address)
        assert info["status"] in state["status"], name
        assert info["gaps"] == 0, (name, info["problem"])
        if "in_transit" in state:
            queues = info["queues"]
            assert queues["inner"] == state["inner"], name
            assert sum(queues.values()) - queues["inner"] == state["in_transit"], name
            assert info["message_queue_len"] == state["inner"] + state["in_transit"], name
    assert {"exiting", "on_dirty_cpu", "never_scheduled"} <= set(expected)


def test_who_runs_is_labelled(states):
    dump, vm = states
    running = [vm.process_info(row[0]) for row in vm.process_list() if row[4] == "running"]
    assert len(running) >= 4
    for info in running:
        assert {"reductions", "stack_size", "garbage_collection_info"} <= set(info["uncertain"])
        assert info["scheduler"] is not None
    live = addresses(vm)
    expected = dump.truth.workload["expect"]["states"]
    assert vm.process_info(live[expected["on_dirty_cpu"]["pid"]])["scheduler"][0] == "dirty_cpu"
    assert vm.process_info(live[expected["on_dirty_io"]["pid"]])["scheduler"][0] == "dirty_io"
    in_nif = live[expected["in_dirty_nif"]["pid"]]
    assert vm.process_info(in_nif)["scheduler"][0] == "dirty_io"
    function = vm.execution(in_nif)["current_function"]
    assert [function[key] for key in ("module", "function", "arity")] == ["processes", "sit", 1]
    exiting = vm.process_info(live[expected["exiting"]["pid"]])
    assert exiting["initial_call"] is None
    assert "memory" in exiting["uncertain"]


def test_buffered_messages(states):
    """Ten processes sent one message each to a process with parallel buffers, which OTP 23 does not have."""
    dump, vm = states
    said = dump.truth.workload["expect"]["states"]["starved_with_buffers"]
    found = list(vm.messages(addresses(vm)[said["pid"]]))
    assert {message[0] for message in found} == {said["queue"]}
    senders = [write(message[3]) for message in found]
    assert sorted(write(message[2]) for message in found) == sorted(
        "{from," + sender + "}" for sender in senders
    )
    assert len(set(senders)) == 10


def test_signals_in_transit(states):
    dump, vm = states
    pid = dump.truth.workload["expect"]["states"]["starved"]["pid"]
    kinds = [(m[0], m[1], m[4]) for m in vm.messages(addresses(vm)[pid])]
    assert kinds == [("outer", "message", "message"), ("outer", "signal", "monitor")] * 7


def test_shapes_of_messages(states):
    dump, vm = states
    address = addresses(vm)[dump.truth.process("long_mailbox")["pid"]]
    found = vm.message_shapes(address)
    assert (found["messages"], found["others"], found["gaps"]) == (20010, 0, 0)
    assert [(text, count) for text, count, *_ in found["shapes"]] == [
        ("{log,_,_}", 18000),
        ("{'$gen_cast',{flush,_}}", 2000),
        ("flush", 10),
    ]
    _, _, _, oldest, newest = found["shapes"][1]
    assert (str(oldest), str(newest)) == ("{'$gen_cast',{flush,1}}", "{'$gen_cast',{flush,2000}}")
    elixir = vm.message_shapes(address, elixir=True)
    assert elixir["shapes"][1][0] == '{:"$gen_cast", {:flush, _}}'
    assert vm.message_shapes(address, redact=True)["shapes"][2][0] == "atom"


def test_shapes_of_all_kinds(states):
    dump, vm = states
    address = addresses(vm)[dump.truth.process("mixed_mailbox")["pid"]]
    # Since OTP 26 a map's atoms are in the order of their indexes.
    counts = {
        "#{a,b}" if text == "#{b,a}" else text: count
        for text, count, *_ in vm.message_shapes(address)["shapes"]
    }
    assert counts == {
        "tick": 1,
        "integer": 2,
        "float": 1,
        "binary": 2,
        "pid": 1,
        "reference": 1,
        "fun": 1,
        "[]": 1,
        "{}": 1,
        "{tag,_}": 1,
        "#{a,b}": 1,
        "map": 1,
        "list": 2,
        "{'$gen_call',_,{get,_}}": 1,
    }


def test_layouts_agree(core):
    """The same core, once through DWARF and once through the shipped layout file."""
    dump = core("processes", flavor="dwarf")
    rows = []
    for use_dwarf in (True, False):
        vm = open_vm(dump, use_dwarf=use_dwarf)
        rows.append([[str(value) for value in row] for row in vm.process_list()])
    assert rows[0] == rows[1]


def test_no_process(states):
    _, vm = states
    with pytest.raises(_etp.Error):
        vm.process_info(8)
    with pytest.raises(_etp.Error):
        vm.messages(vm.find_atom("true"))
    with pytest.raises(ValueError):
        vm.process_info(0)


def test_lists_are_made_for_who_wants_them(states):
    dump, vm = states
    address = vm.process(addresses(vm)[dump.truth.process("suspender")["pid"]])["address"]
    whole = vm.process_info(address)
    lists = {"links", "all_monitors", "dictionary"}
    assert lists < set(whole) and whole["all_monitors"]
    for wanted in [(), ("links",), ("dictionary", "all_monitors"), ("links", "all_monitors")]:
        info = vm.process_info(address, lists=wanted)
        assert set(whole) - set(info) == lists - set(wanted)
        assert {name: str(info[name]) for name in info} == {name: str(whole[name]) for name in info}
    with pytest.raises(ValueError, match="no list of a process: monitors"):
        vm.process_info(address, lists=("monitors",))
    with pytest.raises(TypeError):
        vm.process_info(address, lists=("links",) * 4)
