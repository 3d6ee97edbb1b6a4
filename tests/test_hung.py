# SPDX-License-Identifier: Apache-2.0
"""etp-hung: for each VM that hangs the cause is in the first three lines, and nothing else comes first.

What must be named are the pids, functions and counts that the VM wrote down (expect.cause).
"""

import json
import os
import re
import shutil
import subprocess
import sys

import cores
import pytest
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.vm import VM
from reader import Reader


def reader_of(core):
    reader = Reader(VM.open(str(core.path), executable=str(core.executable)), width=100)
    # That the VM was dumped in the middle of a change is told once, before the first answer.
    assert reader.vm
    reader.new_warnings()
    return reader


CASES = {
    "call_cycle": {},
    "call_cycle-30": {"size": 30},
    "slow_server": {},
    "suspended": {},
    "own_protocol-disk_log": {"server": "disk_log"},
    "own_protocol-dets": {"server": "dets"},
    "own_protocol-mnesia_read": {"server": "mnesia_read"},
    "own_protocol-mnesia_write": {"server": "mnesia_write"},
    "sys_suspended": {},
    "crowded": {},
    "crowded-rex": {"cause": "rex"},
    "postponed": {},
    "full_pipe": {},
    "code_server": {},
    "start_cycle": {},
    "stopping": {},
    "stopping_children": {},
    "stopping_children-elixir": {"supervisor": "elixir", "elixir": "yes"},
    "tcp_peer": {},
    "start_itself": {},
    "start_itself-1": {"size": 1},
    "booting": {},
    "on_load": {},
    "halting": {},
    "nif": {},
    "nif-alone": {"flags": ("+S", "1:1")},
    "dirty_cpu": {},
    "huge_gc": {},
    "ets_lock": {},
    "mailbox": {},
    "mailbox-3000": {"messages": 3000},
    "behind_call": {},
    "abandoned": {},
    "atoms": {"flags": ("+t", "16384")},
    "timers": {},
    "main_lock": {},
    "logger_sync": {},
    "logger_port": {},
    "logger_drop": {},
    "tracer": {},
    "literals": {},
    "super_carrier": {"flags": ("+MMscs", "64")},
}


def make(core, case):
    options = dict(CASES.get(case, {}))
    return core("hangs", kind=case.partition("-")[0], **options)


@pytest.fixture(scope="module", params=CASES)
def case(request, core):
    dump = make(core, request.param)
    context = reader_of(dump)
    yield request.param, dump, context
    # A core of a huge heap is a large map.
    context.drop_vm()


def cause_of(dump):
    return dump.truth.workload["expect"]["cause"]


def named(case, cause):
    """What the first three lines must have."""
    kind = case.partition("-")[0]
    if kind == "call_cycle":
        size = len(cause["members"])
        return [f"Deadlock of {size} processes", *cause["members"][: 3 if size == 3 else 2]]
    if kind == "slow_server":
        return [
            f"{cause['behind']:,} processes wait for {cause['server']} slow_server",
            "hangs:slow_query/0",
        ]
    if kind == "suspended" or case == "crowded":
        return [
            f"{cause['suspended']} suspended_server is suspended by {cause['by']} forgetful_debugger",
            f"{cause['behind']} processes wait behind",
        ]
    if kind == "own_protocol":
        return [
            f"{cause['suspended']}",
            f"is suspended by {cause['by']} forgetful_debugger",
            f"{cause['behind']} processes wait behind",
        ]
    if case == "crowded-rex":
        return [
            f"{cause['behind']} processes wait for {cause['server']} rex",
            "which was suspended with sys:suspend/1, and waits for sys:resume/1",
        ]
    if kind == "sys_suspended":
        return [
            f"{cause['behind']} processes wait for {cause['server']} sys_suspended_server",
            "which was suspended with sys:suspend/1, and waits for sys:resume/1",
        ]
    if kind == "postponed":
        return [
            f"{cause['behind']} processes wait for {cause['server']} broker_client",
            "which waits for the next message",
        ]
    if kind == "full_pipe":
        return [
            f"{cause['suspended']} processes are suspended on the busy port {cause['port']} full_pipe",
            f"process {cause['os_pid']} of the system",
            f"{cause['behind'] - cause['suspended']} more wait behind",
        ]
    if kind == "start_cycle":
        return ["Deadlock of 2 processes", *cause["members"]]
    if kind in ("stopping", "stopping_children"):
        return [
            "The VM is stopping: <0.0.0> init",
            f"{cause['stubborn']} stubborn, which was told to end",
            "hangs:ignore_everything/0",
        ]
    if kind == "tcp_peer":
        return [
            f"{cause['writer']} tcp_writer waits to send to the busy port {cause['port']} tcp_inet",
            f"{cause['behind'] - 1} more wait behind; {cause['messages']} messages wait in its mailbox",
        ]
    if kind == "start_itself" and len(cause["members"]) == 1:
        return [
            f"Deadlock: {cause['members'][0]} application_master:start_it/4 starts the application"
            f" {cause['applications'][0]}, and waits itself until that is done",
            "from hangs:start/2",
        ]
    if kind == "start_itself":
        starts = (
            f"{pid} application_master:start_it/4 starts the application {name}."
            for pid, name in zip(cause["members"], cause["applications"])
        )
        # The third line has one of them.
        return ["Deadlock of 2 processes", *cause["members"], tuple(starts)]
    if kind == "booting":
        return [
            f"1 process waits for {cause['starter']} application_master:start_it/4, which starts the"
            f" application {cause['application']} and waits in hangs:slow_query/0",
        ]
    if kind == "on_load":
        return [
            f"{cause['behind']} processes wait for {cause['server']} license_server",
            "hangs:slow_query/0",
            f"{cause['loader']} loader runs the on_load function of {cause['module']}",
        ]
    if kind == "halting":
        # halt/1 calls it.
        return [
            f"The VM is halting: {cause['halts']}",
            "called erlang:halt/2",
            f"until {cause['port']} /bin/sleep has written its output",
        ]
    if kind == "code_server":
        server = f"{cause['code_server']} code_server"
        if cause["reader"] == cause["code_server"]:
            wait = f"{cause['behind']} processes wait for {server}"
        else:
            wait = f"{server} and {cause['behind'] - 1} more wait for {cause['reader']} erl_prim_loader"
        return [wait, "prim_file:read_file_nif/1"]
    if case == "nif-alone":
        return [
            f"The only scheduler executes the NIF hangs:spin/0 of {cause['server']} nif_server",
            f"{cause['behind']} processes wait for it",
        ]
    if kind == "nif":
        return [
            f"Scheduler {cause['scheduler']} has executed the NIF hangs:spin/0 of {cause['server']} nif_server",
            f"{cause['behind']} processes wait for it",
        ]
    if kind == "dirty_cpu":
        return [
            f"All {len(cause['running'])} dirty CPU schedulers are taken, all by hangs:spin_dirty/0",
            f"{len(cause['queued'])} processes wait for one",
        ]
    if kind == "huge_gc":
        return [
            f"{cause['server']} huge_server collects garbage in a heap of",
            f"{cause['behind']} processes wait for it",
        ]
    if kind == "ets_lock":
        return [
            f"{cause['reader']} reader has had the lock of the ETS table {cause['table']}",
            # Where it was when it last was scheduled out, if that was in the select.
            ("in ets:select/2", "in a match specification"),
            f"scheduler 3 with {cause['writer']} writer waits for it",
        ]
    if kind == "mailbox":
        return [
            f"{cause['process']} flooded has {cause['messages']:,} messages, and waits for one that is not"
        ]
    if kind == "behind_call":
        return [
            f"{cause['messages']:,} messages wait for {cause['process']} collector, which",
            f"waits for {cause['waits_for']} database",
        ]
    if kind == "abandoned":
        count = cause["requests"]
        return [
            f"{count} of the first {count} requests in the mailbox of {cause['server']} abandoned_server are"
            " of callers that are dead",
            "it waits in hangs:slow_query/0",
        ]
    if kind == "atoms":
        return [f"The atom table is nearly full: {cause['atoms']:,} of {cause['limit']:,}"]
    if kind == "main_lock":
        return [
            f"The main lock of {cause['server']} locked_server has been held for",
            f"by scheduler {cause['scheduler']}, in the NIF hangs:spin/0",
            f"scheduler {cause['waiting']} with {cause['waiter']} erlang:apply/2 waits for it",
        ]
    if kind == "logger_sync":
        return [
            f"The logger handler {cause['handler']} logger_std_h_console is in sync mode",
            f"{cause['callers']} processes wait for it",
            f"which waits for {cause['device']} stopped_console",
        ]
    if kind == "logger_port":
        return [
            f"The logger handler {cause['handler']} logger_std_h_console is in sync mode",
            f"{cause['callers']} processes wait for it",
            f"which waits for {cause['device']} stopped_console, which waits for {cause['port']} full_pipe",
        ]
    if kind == "logger_drop":
        return [
            f"The logger handler {cause['handler']} logger_std_h_console throws away what is logged",
            f"which waits for {cause['device']} stopped_console",
        ]
    if kind == "tracer":
        return [
            f"{cause['tracer']} slow_tracer traces {cause['traced']} processes",
            f"{cause['messages']:,} messages wait in its mailbox",
        ]
    if kind == "literals":
        used, total = cause["used"] / 2**20, cause["total"] / 2**20
        return [
            f"literals and persistent terms (+MIscs) is nearly full: {used:.1f} MiB of {total:.1f} MiB"
        ]
    if kind == "super_carrier":
        return [
            "(+MMscs, +MMsco true), is nearly full: ",
            f" MiB of {cause['total'] / 2**20:.1f} MiB (9",
        ]
    return ["timers are due within a second", f"{cause['receiver']} ticker has"]


FIRST = {
    "call_cycle": "deadlock",
    "slow_server": "blocker",
    "suspended": "suspended",
    "own_protocol": "suspended",
    "crowded": "suspended",
    "crowded-rex": "blocker",
    "sys_suspended": "blocker",
    "postponed": "blocker",
    "full_pipe": "busy_port",
    "code_server": "blocker",
    "nif": "stuck_scheduler",
    "nif-alone": "all_schedulers",
    "dirty_cpu": "dirty_cpu",
    "huge_gc": "collection",
    "ets_lock": "table_lock",
    "mailbox": "selective_receive",
    "behind_call": "mailbox",
    "abandoned": "abandoned",
    "atoms": "atom_table",
    "timers": "timer_storm",
    "main_lock": "process_lock",
    "logger_sync": "logger",
    "logger_port": "logger",
    "start_cycle": "deadlock",
    "stopping": "blocker",
    "stopping_children": "blocker",
    "tcp_peer": "full_port",
    "start_itself": "deadlock",
    "booting": "blocker",
    "on_load": "blocker",
    "halting": "halting",
    "logger_drop": "logger",
    "tracer": "tracer",
    "literals": "literals",
    "super_carrier": "super_carrier",
}


def test_the_cause_is_in_the_first_three_lines(case):
    name, dump, context = case
    # Where lines break is no matter here.
    first = " ".join("\n".join(context.run("etp-hung").split("\n")[:3]).split())
    for words in named(name, cause_of(dump)):
        either = words if isinstance(words, tuple) else (words,)
        assert any(words in first for words in either)


def test_nothing_else_comes_first(case):
    name, _, context = case
    found = json.loads(context.run("etp-hung", "--json"))
    assert found["findings"][0]["kind"] == FIRST.get(name, FIRST[name.partition("-")[0]])
    assert [f["kind"] for f in found["findings"] if f["severity"] != "strain"][1:] == []
    if name != "timers":
        assert found["unread"] == []


def test_numbers_are_those_of_the_vm(case):
    name, dump, context = case
    cause = cause_of(dump)
    first = json.loads(context.run("etp-hung", "--json"))["findings"][0]
    if name.startswith("call_cycle"):
        at = cause["members"].index(first["subjects"][0])
        assert first["subjects"] == cause["members"][at:] + cause["members"][:at]
        assert first["behind"] == len(cause["members"]) + 2
    elif name in ("suspended", "crowded") or name.startswith("own_protocol"):
        assert first["behind"] == cause["behind"] + 1
        assert first["subjects"] == [cause["suspended"], cause["by"]]
    elif name == "start_cycle":
        assert first["behind"] == len(cause["members"]) + 1
    elif name.startswith("start_itself"):
        assert first["behind"] == len(cause["members"]) + 1
        assert set(first["subjects"]) == set(cause["members"])
    elif name == "tcp_peer":
        assert first["behind"] == cause["behind"]
        assert first["subjects"] == [cause["port"], cause["writer"]]
    elif name.startswith("stopping"):
        # init, the application's controller, its two masters and its supervisor.
        assert first["behind"] == 5 and first["subjects"] == [cause["stubborn"]]
    elif "behind" in cause:
        assert first["behind"] == cause["behind"]
    if name == "huge_gc":
        # The list that it has in its dictionary, two words each.
        (size,) = re.findall(r"in a heap of ([\d.]+) MiB", first["title"])
        assert float(size) >= 3000000 * 2 * 8 / 2**20
    if name == "timers":
        # Each is set anew when it has fired. That went on while the core was taken, so that a list
        # of timers may break off.
        (count,) = re.findall(r"ticker has ([\d,]+) of", first["title"])
        ticker = context.vm.native.process_info(context.vm.find_process("ticker").address)
        found = int(count.replace(",", "")) + ticker["message_queue_len"]
        assert cause["timers"] * 0.9 <= found <= cause["timers"]
    if name == "code_server":
        assert any('/stuck/stuck.beam"' in sentence for sentence in first["evidence"])
    if name == "mailbox":
        assert f"{cause['messages']:,} {{event,_}}" in " ".join(first["evidence"])
    if name == "tracer":
        assert f"{cause['messages']:,} {{trace,_,_,_}}" in " ".join(first["evidence"])
    if name in ("logger_sync", "logger_port"):
        assert first["behind"] == cause["callers"]
    if name.startswith("logger"):
        assert first["subjects"] == [cause["handler"], cause.get("port", cause["device"])]


def test_the_commands_that_it_names_work(case):
    _, _, context = case
    for finding in json.loads(context.run("etp-hung", "--json"))["findings"]:
        assert finding["commands"]
        for line in finding["commands"]:
            assert context.run(*line.split()), line


def test_what_a_server_that_idles_owes_is_in_its_state(core):
    dump = make(core, "postponed")
    context, cause = reader_of(dump), cause_of(dump)
    (finding,) = json.loads(context.run("etp-hung", "--json"))["findings"]
    assert finding["commands"] == [
        f"etp-state {cause['server']}",
        f"etp-monitors {cause['server']}",
    ]
    assert cause["postponed"] == 540
    assert "540 events are postponed until its state changes." in context.run(
        "etp-state", cause["server"]
    )
    found = json.loads(context.run("etp-state", cause["server"], "--json"))
    assert found["postponed"] == cause["postponed"]


def test_how_many_messages_are_too_many_can_be_said(core):
    context = reader_of(make(core, "mailbox-3000"))

    def causes(*words):
        return json.loads(context.run("etp-hung", "--json", *words))["findings"]

    assert [cause["kind"] for cause in causes()] == ["selective_receive"]
    assert causes("--mailbox", "3001") == []
    assert len(causes("--mailbox", "3000")) == 1


@pytest.mark.parametrize("workload", ["hangs", "healthy", "demo"])
def test_a_healthy_vm_is_called_healthy(core, workload):
    context = reader_of(core(workload))
    lines = context.run("etp-hung").split("\n")
    assert lines[0] == "Nothing found that hangs."
    assert lines[1].startswith("Checked: ")
    found = json.loads(context.run("etp-hung", "--json"))
    assert found["verdict"] == "nothing" and found["findings"] == [] and found["unread"] == []


def test_the_busy_vm_is_busy(core):
    """Or else it would be no merit that nothing is found."""
    checked = " ".join(json.loads(reader_of(core("hangs")).run("etp-hung", "--json"))["checked"])
    (executing,) = re.findall(r"schedulers, (\d+) of which executes?", checked)
    (queued,) = re.findall(r"run queues with (\d+) entries", checked)
    (waiting,) = re.findall(r"(\d+) of which wait for another", checked)
    # The process that dumps always executes. Another scheduler may just look for what to run next.
    assert int(executing) >= 1 and int(queued) + int(waiting) >= 10


def test_thresholds_are_options(core):
    context = reader_of(make(core, "huge_gc"))
    assert "huge_server" in context.run("etp-hung", "--callers", "100")
    quiet = reader_of(make(core, "nif"))
    found = json.loads(quiet.run("etp-hung", "--stuck-ms", "100000", "--json"))
    assert found["findings"] == []
    (finding,) = json.loads(
        quiet.run("etp-hung", "--stuck-ms", "100000", "--callers", "3", "--json")
    )["findings"]
    assert finding["kind"] == "blocker" and finding["behind"] == 3
    explained = quiet.run("etp-hung", "--explain")
    assert re.search(rf"stuck +{HUNG_THRESHOLDS.stuck_ms:,} ms", explained)


def test_nothing_secret_is_shown(core):
    context = reader_of(make(core, "code_server"))
    context.settings.set("redact", True)
    assert "stuck.beam" not in context.run("etp-hung")
    assert "code_server" in context.run("etp-hung")
    context = reader_of(make(core, "atoms"))
    context.settings.set("redact", True)
    assert "user_1" not in context.run("etp-hung")


class Watched:
    """The binding's VM, which remembers the lists that process_info() was asked for."""

    def __init__(self, native):
        self._native = native
        self.lists = []

    def __getattr__(self, name):
        return getattr(self._native, name)

    def process_info(self, which, lists=("links", "all_monitors", "dictionary")):
        self.lists += lists
        return self._native.process_info(which, lists=lists)


def test_no_object_is_made_for_each_caller(core):
    context = reader_of(make(core, "slow_server"))
    context.vm.native = watched = Watched(context.vm.native)
    assert "slow_server" in context.run("etp-hung")
    assert "links" in watched.lists and "all_monitors" not in watched.lists


ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "ETP_BUILD_DIR": str(cores.BUILD)}
PACKAGES = "/usr/lib/llvm-14/lib/python3.11/dist-packages"


def run(*command, **environment):
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        cwd=cores.ROOT / "plugin", env={**ENVIRONMENT, **environment},
    )  # fmt: skip
    assert "Traceback" not in result.stdout + result.stderr, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("name", ["nif", "code_server"])
def test_all_front_ends_say_the_same(core, name):
    dump = make(core, name)
    expected = json.loads(reader_of(dump).run("etp-hung", "--json"))
    line = run(
        sys.executable, "-m", "etp", str(dump.path), str(dump.executable), "etp-hung", "--json"
    )
    assert json.loads(line) == expected
    entry = cores.ROOT / "plugin" / "etp-gdb.py"
    out = run("gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", str(entry),
              str(dump.executable), "-c", str(dump.path), "-ex", "echo ---\\n", "-ex", "etp-hung --json")  # fmt: skip
    assert json.loads(out.partition("---\n")[2]) == expected
    if shutil.which("lldb"):
        entry = cores.ROOT / "plugin" / "etp_lldb.py"
        out = run("lldb", "-x", "-b", "-c", str(dump.path), str(dump.executable),
                  "-o", f"command script import {entry}", "-o", "etp-hung --json", PYTHONPATH=PACKAGES)  # fmt: skip
        assert json.loads(out.partition("(lldb) etp-hung --json\n")[2]) == expected


def torn(core, tmp_path):
    """The first half of what a core has."""
    dump = core("healthy")
    path = tmp_path / "torn"
    with open(dump.path, "rb") as whole:
        path.write_bytes(whole.read(os.path.getsize(dump.path) // 2))
    return dump, path


def test_a_torn_core_is_not_called_healthy(core, tmp_path):
    dump, path = torn(core, tmp_path)
    context = Reader(VM.open(str(path), executable=str(dump.executable)))
    lines = context.run("etp-hung").split("\n")
    assert lines[0].startswith(f"Warning: {path} is truncated")
    (verdict,) = [line for line in lines if line.startswith("Nothing found that hangs")]
    assert "in what could be read, which is not all" in verdict


def test_what_a_torn_core_lacks_stands_before_an_error(core, tmp_path):
    """That may be why something was not found; in all front ends."""
    dump, path = torn(core, tmp_path)
    outs = [run(sys.executable, "-m", "etp", str(path), str(dump.executable), "ets-show", "nosuch")]
    entry = cores.ROOT / "plugin" / "etp-gdb.py"
    outs.append(
        run("gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", str(entry),
            str(dump.executable), "-c", str(path), "-ex", "echo ---\\n", "-ex", "etp-ets-show nosuch",
            "-ex", "etp-ets-show nosuch").partition("---\n")[2]  # fmt: skip
    )
    if shutil.which("lldb"):
        entry = cores.ROOT / "plugin" / "etp_lldb.py"
        out = run("lldb", "-x", "-b", "-c", str(path), str(dump.executable), "-o",
                  f"command script import {entry}", "-o", "etp-ets-show nosuch", PYTHONPATH=PACKAGES)  # fmt: skip
        outs.append(out.partition("(lldb) etp-ets-show nosuch\n")[2])
    for out in outs:
        assert " ".join(out.split()).startswith(f"Warning: {path} is truncated")
        assert out.count("is truncated") == 1


def test_a_vm_that_lives(live):
    vm = live("hangs", kind="suspended")
    out = run(sys.executable, "-m", "etp", str(vm.pid), "etp-hung")
    if not out:
        pytest.skip("tracing is not allowed here")
    first = " ".join("\n".join(out.split("\n")[:3]).split())
    assert "\nAs of " in out
    for words in named("suspended", cause_of(vm)):
        assert words in first
    # What the system lets it have is known of a process, and only of that.
    assert re.search(r"of their limits: [^.]*files \d+ %", " ".join(out.split()))
    assert "ulimit" not in out
    assert vm.ask()
