# SPDX-License-Identifier: Apache-2.0
"""Every command on a VM that lives, in all front ends: gdb, lldb, the command line.

Expected is what the same command says on a core of the same VM, taken while it stood still; that such
answers are right, the tests of cores show.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cores
import pytest
from etp.vm import VM
from reader import Reader

ENTRY = cores.ROOT / "plugin" / "etp-gdb.py"
LLDB_ENTRY = cores.ROOT / "plugin" / "etp_lldb.py"
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8"}
# Debian 12's lldb looks for its own Python package where it is not.
LLDB_PACKAGES = "/usr/lib/llvm-14/lib/python3.11/dist-packages"

ARGUMENTS = {
    "etp": "0xcf",
    "etp-bins": "--limit 5",
    "etp-ets-leaks": "--explain",
    "etp-ets-show": "session_cache --key {user,17}",
    "etp-ets-tables": "--binaries --limit all",
    "etp-histogram": "--table session_cache",
    "etp-port-info": "#Port<0.0>",
    "etp-processes": "--limit all",
    "etp-who": "{binary}",
}
"""What commands are given; a PROCESS is session_cache_server."""

OTHER = ("etp-fds", "etp-info", "etp-snapshot")
"""These say other things of a process than of a core, and have tests of their own."""

MORE = ("etp-bt", "etp-hung")
"""/proc tells names of threads, and limits of the system; a core does not have them."""

AS_OF = re.compile(
    r"^As of [^:]+:\d\d:\d\d UTC, .* ago: the memory of process (\d+),[^.]*\.\n", re.M
)


def gdb(*arguments, check=True):
    """Standard output from the first command of ours on."""
    result = subprocess.run(
        [
            "gdb",
            "-nx",
            "-batch",
            "-iex",
            "set debuginfod enabled off",
            "-x",
            str(ENTRY),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    if check:
        assert "Traceback" not in result.stderr, result.stderr
    return result.stdout.partition("---\n")[2], result.stderr


def lldb(*arguments, commands):
    """Standard output of the commands, each with a line === behind it."""
    script = [word for command in commands for word in ("-o", command, "-o", 'script print("===")')]
    result = subprocess.run(
        ["lldb", "-x", "-b", *arguments, "-o", f"command script import {LLDB_ENTRY}", *script],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env={**ENVIRONMENT, "PYTHONPATH": LLDB_PACKAGES, "ETP_BUILD_DIR": str(cores.BUILD)},
    )
    assert "Traceback" not in result.stdout + result.stderr, result.stdout + result.stderr
    # lldb repeats each command behind its prompt.
    found = result.stdout.partition(f"command script import {LLDB_ENTRY}\n")[2]
    return re.sub(r"^\(lldb\) .*\n", "", found, flags=re.M)


def etp(target, *words, check=True):
    """The command line."""
    result = subprocess.run(
        [sys.executable, "-m", "etp", str(target), *words],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        cwd=cores.ROOT / "plugin",
        env={**ENVIRONMENT, "ETP_BUILD_DIR": str(cores.BUILD)},
    )
    assert "Traceback" not in result.stderr, result.stderr
    if check:
        assert result.returncode == 0, result.stderr
    return result.stdout


def commands(vm):
    """A line for every command, with the address of a binary of this VM."""
    from etp.commands.registry import COMMANDS

    (binary,) = json.loads(etp(vm.pid, "etp-bins", "--json", "--limit", "1"))["binaries"]
    for command in COMMANDS:
        needed = [argument for argument in command.positionals() if not argument.optional]
        words = ARGUMENTS.get(command.name, "session_cache_server" if needed else "")
        if command.name not in OTHER:
            yield f"{command.name} {words.replace('{binary}', binary['address'])}".strip()


def parts(out):
    """The output of each command, without the lines that tell the age of the bytes."""
    return [AS_OF.sub("", part) for part in out.split("===\n")]


def require_tracing(vm):
    """The same VM, if processes may be looked at here."""
    try:
        assert etp(vm.pid, "etp-info")
    except AssertionError as error:
        if "SYS_PTRACE" in str(error):
            pytest.skip("tracing is not allowed here")
        raise
    return vm


@pytest.fixture(scope="module")
def demo(live):
    return require_tracing(live("demo"))


def state_of(pid):
    """As the kernel has it: T of one that was stopped by a signal, t of one that is traced."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def stopped(directory, workload, **args):
    """A VM that was stopped by a signal: nothing of it changes from one front end to the next."""
    vm = cores.start(workload, directory, **args)
    try:
        os.kill(vm.pid, signal.SIGSTOP)
        while state_of(vm.pid) != "T":
            time.sleep(0.01)
        yield vm
        assert state_of(vm.pid) == "T" and not vm.is_traced()
    finally:
        os.kill(vm.pid, signal.SIGCONT)
        vm.close()


@pytest.fixture(scope="module")
def frozen(demo, tmp_path_factory):
    with stopped(tmp_path_factory.mktemp("frozen") / "vm", "demo") as vm:
        yield vm


@pytest.fixture(scope="module")
def answers(frozen, tmp_path_factory):
    """What gdb says on the live VM, and on a core that it took in the same stop; and that core."""
    path = tmp_path_factory.mktemp("gcore") / "core"
    lines = list(commands(frozen))
    asked = [word for line in lines for word in ("-ex", line, "-ex", "echo ===\\n")]
    live_out, error = gdb(
        "-p", str(frozen.pid), "-ex", "echo ---\\n", *asked, "-ex", f"gcore {path}", "-ex", "detach"
    )
    if not path.exists():
        pytest.skip(f"attaching is not allowed here: {error}")
    core_out, _ = gdb(str(frozen.executable), "-c", str(path), "-ex", "echo ---\\n", *asked)
    yield lines, live_out, core_out, path
    path.unlink()


def test_gdb_answers_on_a_process_as_on_a_core(answers):
    lines, live_out, core_out, _ = answers
    for line, found, expected in zip(lines, parts(live_out), parts(core_out)):
        assert expected, line
        assert found == expected or line in MORE, line
    assert len(AS_OF.findall(live_out)) == len(lines) - 1, "all but the help tell their age"


def words_of(line):
    """As a shell would split it, but for the braces of terms."""
    name, _, rest = line.partition(" ")
    return [name, *([rest] if name == "etp" else rest.split())]


def test_the_command_line_answers_as_gdb(answers, frozen):
    lines, live_out, core_out, core = answers
    for line, on_live, on_core in zip(lines, parts(live_out), parts(core_out)):
        assert AS_OF.sub("", etp(frozen.pid, *words_of(line))) == on_live, line
        if line in (*MORE, "etp-ets-leaks --explain"):
            assert etp(core, *words_of(line)) == on_core, line


@pytest.mark.skipif(shutil.which("lldb") is None, reason="lldb is needed")
def test_lldb_answers_as_gdb(answers, frozen):
    lines, live_out, core_out, core = answers
    on_core = lldb("-c", str(core), str(frozen.executable), commands=lines)
    for line, found, expected in zip(lines, parts(on_core), parts(core_out)):
        assert found == expected, line
    on_live = lldb("-p", str(frozen.pid), commands=[*lines, "etp-info --json", "detach"])
    assert len(AS_OF.findall(on_live)) == len(lines) - 1
    for line, found, expected in zip(lines, parts(on_live), parts(live_out)):
        assert found == expected, line


def as_json(line):
    name, _, rest = line.partition(" ")
    return f"{name} --json {rest}".strip()


def test_json_on_a_core_is_the_same_in_all_front_ends(answers, frozen):
    """Of gdb, lldb, and Python without a debugger, in which the command line runs commands."""
    lines, _, _, core = answers
    lines = [as_json(line) for line in lines]
    context = Reader(VM.open(str(core), executable=str(frozen.executable)), width=None)
    expected = [json.loads(context.run(*line.split())) for line in lines]
    asked = [word for line in lines for word in ("-ex", line, "-ex", "echo ===\\n")]
    in_gdb, _ = gdb(str(frozen.executable), "-c", str(core), "-ex", "echo ---\\n", *asked)
    outs = [in_gdb]
    if shutil.which("lldb"):
        outs.append(lldb("-c", str(core), str(frozen.executable), commands=lines))
    for out in outs:
        for line, found, wanted in zip(lines, out.split("===\n"), expected):
            assert json.loads(found) == wanted, line


OF_THE_COPY = ("as_of", "taken_at_ns", "pause_ns", "copied_at_rest", "bytes_saved", "bytes_missing")
"""What etp-info says of when and how much was read: a copy leaves text of libraries out."""


def in_all_front_ends(vm, *lines):
    """JSON of commands on a process: of gdb, of the command line, and of lldb."""
    asked = [word for line in lines for word in ("-ex", line, "-ex", "echo ===\\n")]
    in_gdb, _ = gdb("-p", str(vm.pid), "-ex", "echo ---\\n", *asked, "-ex", "detach")
    outs = [in_gdb.split("===\n"), [etp(vm.pid, *words_of(line)) for line in lines]]
    if shutil.which("lldb"):
        outs.append(lldb("-p", str(vm.pid), commands=[*lines, "detach"]).split("===\n"))
    return [[json.loads(text) for text in out[: len(lines)]] for out in outs]


def test_info_and_files_of_a_process_are_the_same_in_all_front_ends(frozen):
    said = in_all_front_ends(frozen, "etp-info --json", "etp-fds --json --limit all")
    for info, files in said:
        assert info["otp_release"] == frozen.truth.system["otp_release"] and info["is_process"]
        assert info["bytes_saved"] + info["bytes_missing"] == said[0][0]["bytes_saved"]
        numbers = {str(file["fd"]) for file in files["file_descriptors"]}
        assert numbers == set(os.listdir(f"/proc/{frozen.pid}/fd"))
    for found in said:
        for answer, expected in zip(found, said[0]):
            assert without(answer, OF_THE_COPY) == without(expected, OF_THE_COPY)


def without(answer, names):
    return {name: value for name, value in answer.items() if name not in names}


def test_what_hangs_is_the_same_in_a_process_and_in_its_core(demo, tmp_path):
    """But for what /proc tells alone: names of threads, and limits of the system."""
    names, core = ("etp-bt --json", "etp-hung --json"), tmp_path / "core"
    with stopped(tmp_path / "vm", "hangs", kind="nif") as vm:
        on_live = in_all_front_ends(vm, *names)
        gdb("-p", str(vm.pid), "-ex", f"gcore {core}", "-ex", "detach")
    stacks, hung = (json.loads(etp(core, *words_of(name))) for name in names)
    assert hung["verdict"] != "nothing"
    for live_stacks, live_hung in on_live:
        assert len(live_stacks["threads"]) == len(stacks["threads"])
        for found, expected in zip(live_stacks["threads"], stacks["threads"]):
            if found["known_by"] == "proc":
                assert expected["known_by"] is None
                found = {**found, **{key: expected[key] for key in ("name", "kind", "known_by")}}
            if found["tid"] == vm.pid and found["thread"] is None:
                # lldb 14 has no register for it, and the first thread has another kind of stack.
                found = {**found, "thread": expected["thread"]}
            assert found == expected
        *checked, limits = live_hung["checked"]
        assert [*checked, re.sub(r", files \d+ %$", "", limits)] == hung["checked"]
        assert hung["not_known"][1:] == live_hung["not_known"]
        assert hung["not_known"][0].startswith("limits of the system")
        same = ("as_of", "checked", "not_known")
        assert without(live_hung, same) == without(hung, same)


@pytest.mark.skipif(shutil.which("lldb") is None, reason="lldb is needed")
def test_settings_errors_and_help_in_lldb(answers, frozen):
    lines, _, _, core = answers
    out = lldb(
        "-c", str(core), str(frozen.executable),
        commands=["etp 0xc0 + 0xf", "etp-set syntax elixir", "etp-set syntax",
                  "etp-ets-show session_cache --key {:user, 17}", "help etp-msgq"],
    )  # fmt: skip
    small, _, shown, row, helped, _ = out.split("===\n")
    assert small == "12\n" and shown == "syntax: elixir\n"
    assert "%{" in row and "{:user, 17}" in row
    assert "Usage: etp-msgq" in helped


def test_tables_and_processes_are_those_of_the_vm(demo):
    tables = json.loads(etp(demo.pid, "etp-ets-tables", "--json", "--limit", "all"))
    found = {table["ref"]: table for table in tables["tables"]}
    assert set(found) == set(demo.truth.tables)
    for reference, table in demo.truth.tables.items():
        assert found[reference]["size"] == table["size"]
        assert found[reference]["memory_words"] == table["memory"]
    processes = json.loads(etp(demo.pid, "etp-processes", "--json", "--limit", "all"))
    rows = {row["pid"]: row for row in processes["processes"]}
    assert set(rows) == set(demo.truth.processes)
    at_rest = 0
    for pid, process in demo.truth.processes.items():
        # That one answers demo.ask().
        if not process["volatile"] and process["registered_name"] != "erl_signal_server":
            assert rows[pid]["status"] == process["status"]
            # Some of OTP's look after something now and then, or hibernate when they had nothing to do,
            # which may cost them no more reductions than the question has.
            moved = rows[pid]["reductions"] - process["reductions"]
            hibernates = "hibernate" in rows[pid]["function"]
            if moved <= cores.REDUCTIONS_OF_A_QUESTION and not hibernates:
                assert rows[pid]["total_heap_size"] == process["total_heap_size"]
                at_rest += 1
    assert at_rest > len(rows) / 2


def test_the_vm_runs_on_and_answers(answers, demo):
    for _ in range(3):
        before = demo.ask()
        etp(demo.pid, "etp-ets-tables")
        assert not demo.is_traced()
        after = demo.ask()
        assert after["process_count"] == before["process_count"]
        assert after["ets_count"] == demo.truth.system["ets_count"]


def test_the_age_and_the_pause_are_told(demo):
    said = json.loads(etp(demo.pid, "etp-ets-tables", "--json"))["as_of"]
    assert said["pid"] == demo.pid
    assert 0 < said["pause_seconds"] < 30
    assert 0 <= said["age_seconds"] < 60


def test_continue_makes_the_answers_anew(demo):
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        "gdb",
        ["-nx", "-q", "-iex", "set debuginfod enabled off", "-iex", "set pagination off",
         "-iex", "handle SIGUSR2 nostop noprint", "-x", str(ENTRY), "-p", str(demo.pid)],
        env=ENVIRONMENT, timeout=60, encoding="utf-8", dimensions=(24, 200),
    )  # fmt: skip

    def run(command):
        child.sendline(command)
        child.expect(r"\(gdb\) ")
        return child.before

    child.expect(r"\(gdb\) ")
    try:
        first = run("etp-info --json")
        again = run("etp-info --json")
        child.sendline("continue")
        child.expect("Continuing")
        demo.ask()
        child.sendintr()
        child.expect(r"\(gdb\) ")
        later = run("etp-info --json")
        assert "Traceback" not in first + again + later
        taken = [re.findall(r'"taken_at_ns": (\d+)', text)[-1] for text in (first, again, later)]
        assert taken[0] == taken[1] < taken[2]
        assert "no process" in run("detach").lower() + run("etp-info").lower()
    finally:
        child.close(force=True)
    assert demo.ask()


REDUCTIONS = "etp-process-info erl_signal_server --json"
"""Of the process that answers demo.ask(), and has nothing else to do."""

DEBUGGERS = {
    "gdb": (
        ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "handle SIGUSR2 nostop noprint",
         "-x", str(ENTRY)],
        "-ex", 'python print("READY", flush=True)',
    ),
    "lldb": (
        ["lldb", "-x", "-b", "-o", f"command script import {LLDB_ENTRY}",
         "-o", "process handle SIGUSR2 -s false -n false -p true"],
        "-o", 'script print("READY", flush=True)',
    ),
}  # fmt: skip


@pytest.mark.parametrize("debugger", DEBUGGERS)
def test_what_the_vm_changes_between_two_stops_is_told_anew(demo, debugger):
    if shutil.which(debugger) is None:
        pytest.skip(f"{debugger} is needed")
    command, option, ready = DEBUGGERS[debugger]
    lines = [
        REDUCTIONS,
        "etp-info --json",
        ready,
        "continue",
        REDUCTIONS,
        "etp-info --json",
        "detach",
    ]
    child = subprocess.Popen(
        [*command, "-p", str(demo.pid), *(word for line in lines for word in (option, line))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        env={**ENVIRONMENT, "PYTHONPATH": LLDB_PACKAGES, "ETP_BUILD_DIR": str(cores.BUILD)},
    )  # fmt: skip
    out = ""
    while not out.endswith("\nREADY\n"):
        line = child.stdout.readline()
        assert line, out
        out += line
    demo.ask()
    # It answered, so that it runs; what has answered is done once no thread executes any more.
    tasks = Path(f"/proc/{demo.pid}/task")
    while any(state_of(f"{demo.pid}/task/{tid}") != "S" for tid in os.listdir(tasks)):
        time.sleep(0.01)
    # The debugger stops it for this, and keeps it for itself.
    os.kill(demo.pid, signal.SIGINT)
    out += child.communicate(timeout=120)[0]
    assert "Traceback" not in out, out
    before, after = (int(number) for number in re.findall(r'"reductions": (\d+)', out))
    now = json.loads(etp(demo.pid, *words_of(REDUCTIONS)))["reductions"]
    assert before < after <= now
    first, second = (int(taken) for taken in re.findall(r'"taken_at_ns": (\d+)', out))
    assert first < second
    assert demo.ask() and not demo.is_traced()


@pytest.fixture
def key_of_a_row(demo):
    """The key {user,N} of a row: its term, where the word of N stands, and that word."""
    import etp as package

    vm = package.open(pid=demo.pid)
    key = next(iter(vm.ets_table("session_cache").rows())).term[0]
    return key.word, key.address + 16, key[1].word


# A small integer.
FORGED = 4711 << 4 | 0xF


def test_what_is_written_in_gdb_is_read(demo, key_of_a_row):
    key, at, word = key_of_a_row
    write = f"set var *(unsigned long *){at:#x} ="
    out, _ = gdb(
        "-p", str(demo.pid), "-ex", "echo ---\\n", "-ex", f"etp {key:#x}", "-ex", f"{write} {FORGED}",
        "-ex", f"etp {key:#x}", "-ex", f"{write} {word}", "-ex", f"etp {key:#x}", "-ex", "detach",
    )  # fmt: skip
    said = re.findall(r"^\{user,\d+\}$", out, re.M)
    assert len(said) == 3 and said[0] == said[2] and said[1] == "{user,4711}"


@pytest.mark.skipif(shutil.which("lldb") is None, reason="lldb is needed")
def test_what_is_written_in_lldb_is_read(demo, key_of_a_row):
    key, at, word = key_of_a_row
    write = f"memory write -s 8 {at:#x}"
    out = lldb(
        "-p", str(demo.pid),
        commands=[f"etp {key:#x}", f"{write} {FORGED:#x}", f"etp {key:#x}",
                  f"expression *(unsigned long *){at:#x} = {FORGED + 16}", f"etp {key:#x}",
                  f"{write} {word:#x}", f"etp {key:#x}", "detach"],
    )  # fmt: skip
    said = re.findall(r"^\{user,\d+\}$", out, re.M)
    assert len(said) == 4 and said[0] == said[3]
    assert said[1:3] == ["{user,4711}", "{user,4712}"]


def test_a_deleted_executable_is_found(live, tmp_path):
    beam = tmp_path / "beam.smp"
    shutil.copy(cores.installed_beam(), beam)
    vm = cores.start("healthy", tmp_path / "vm", executable=beam)
    try:
        beam.unlink()
        said = json.loads(etp(vm.pid, "etp-info", "--json"))
        assert said["executable_path"] == f"/proc/{vm.pid}/exe"
        assert said["otp_release"] == vm.truth.system["otp_release"]
        out, _ = gdb("-p", str(vm.pid), "-ex", "echo ---\\n", "-ex", "etp-ets-leaks")
        assert "Nothing suspicious" in out
    finally:
        vm.close()


def test_other_programs_and_no_programs(demo):
    sleep = subprocess.Popen(["sleep", "60"], env=cores.ENVIRONMENT)
    try:
        said = subprocess.run(
            [sys.executable, "-m", "etp", str(sleep.pid), "etp-info"],
            cwd=cores.ROOT / "plugin", capture_output=True, text=True,
        )  # fmt: skip
    finally:
        sleep.kill()
        sleep.wait()
    assert said.returncode == 1
    assert "is not a beam.smp" in said.stderr and "Traceback" not in said.stderr
    said = subprocess.run(
        [sys.executable, "-m", "etp", str(sleep.pid), "etp-info"],
        cwd=cores.ROOT / "plugin", capture_output=True, text=True,
    )  # fmt: skip
    assert "There is no process" in said.stderr


def test_a_vm_that_idles_is_not_stopped_for_its_copy(demo):
    """But for its registers. Now and then it has something to do."""
    vms = (VM.open(pid=demo.pid) for _ in range(50))
    vm = next(vm for vm in vms if vm.info.copied_at_rest)
    assert vm.info.is_process and vm.info.pause_ns > 0
    assert {t.ref.format(syntax="w"): t.memory_words for t in vm.ets_tables} == {
        reference: table["memory"] for reference, table in demo.truth.tables.items()
    }
    assert demo.ask() and not demo.is_traced()


def sizes_of(vm):
    return {table.ref.format(syntax="w"): table.size for table in vm.ets_tables}


def test_a_copy_has_what_its_rehearsal_has_used(demo):
    expected = {reference: table["size"] for reference, table in demo.truth.tables.items()}
    rehearsal = VM.open(pid=demo.pid, rehearsal=True)
    assert sizes_of(rehearsal) == expected
    unused = rehearsal.native.unused_memory()
    assert unused and not rehearsal.native.has_missed()
    assert rehearsal.info.pause_ns == 0
    vm = VM.open(pid=demo.pid, without=unused)
    assert sizes_of(vm) == expected and not vm.native.has_missed()
    assert vm.info.pause_ns > 0
    # All rows and heaps: that is more.
    vm.census()
    assert vm.native.has_missed()
    assert not VM.open(pid=demo.pid).native.has_missed()


def test_what_a_rehearsal_did_not_foresee_is_copied(demo, monkeypatch, capsys):
    """As if all had come into use after it; then the command is run on a copy of everything."""
    from etp.commands.registry import find
    from etp.frontends import command_line
    from etp.settings import Settings

    def answer():
        command_line.run(
            find("etp-ets-leaks"), ["--explain", "--json"], str(demo.pid), None, Settings()
        )
        return json.loads(capsys.readouterr().out)

    unused = VM.open(pid=demo.pid, rehearsal=True).native.unused_memory()
    opened, open_vm = [], VM.open

    def count(**target):
        vm = open_vm(**target)
        opened.append(vm.info)
        return vm

    monkeypatch.setattr(VM, "open", count)
    expected = answer()
    assert [info.pause_ns > 0 for info in opened] == [False, True]
    opened.clear()
    monkeypatch.setattr(command_line, "_rehearse", lambda *arguments: unused)
    found = answer()
    assert len(opened) == 2
    assert found["as_of"]["pause_seconds"] * 1e9 == pytest.approx(
        sum(info.pause_ns for info in opened)
    )
    assert {**found, "as_of": None} == {**expected, "as_of": None}
    assert any("session_cache pins" in suspect["title"] for suspect in found["suspects"])


def test_an_interrupted_rehearsal_is_the_end(demo, monkeypatch):
    from etp.commands.registry import find
    from etp.frontends import command_line
    from etp.settings import Settings

    def interrupted(command, words, context):
        assert isinstance(context, command_line.Rehearsal)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            # As work does that says what it has so far.
            pass

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(command_line, "run_command", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command_line.run(find("etp-ets-leaks"), [], str(demo.pid), None, Settings())
    assert signal.getsignal(signal.SIGINT) is before


SOAK = """
import os, re, sys
import etp

pid, rounds, tables = map(int, sys.argv[1:])

def resident(what):
    return int(re.search(what + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) << 10

def held():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

at_rest, first = 0, None
for done in range(rounds):
    vm = None
    vm = etp.open(pid=pid)
    assert len(vm.ets_tables) == tables
    assert vm.info.pause_ns > 0
    assert sum(1 for _ in vm.census().binaries(limit=10)) == 10
    at_rest += vm.info.copied_at_rest
    if done == min(rounds // 2, 10):
        first = held(), resident("VmRSS")
size = vm.info.bytes_saved
assert held() == first[0], f"(files, threads) were {first[0]}, are {held()}"
grown = resident("VmRSS") - first[1]
# AddressSanitizer keeps what was released for a while.
kept = 256 << 20 if "asan" in os.environ.get("LD_PRELOAD", "") else 0
assert grown < (16 << 20) + kept, f"{grown} bytes more than after a few rounds"
# Not ru_maxrss, which begins with that of the process that started this one.
peak = resident("VmHWM")
assert peak < 3 * size + kept, f"{peak} bytes at most, for copies of {size}"
print(f"{rounds} rounds, {at_rest} of them at rest, {grown >> 10} KiB more")
"""


def kept_by(pid):
    """Open files, threads, and bytes of memory of a process."""
    proc = Path(f"/proc/{pid}")
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", (proc / "status").read_text())[1]) << 10
    return len(os.listdir(proc / "fd")), len(os.listdir(proc / "task")), resident


def test_many_rounds_leave_the_vm_healthy(demo, pytestconfig):
    """pytest --soak 1000 makes a thousand. The VM answers all the time, so that some copies need a stop."""
    answered = demo.ask()["process_count"]
    files, threads, resident = kept_by(demo.pid)
    rounds, tables = pytestconfig.getoption("--soak"), demo.truth.system["ets_count"]
    soak = subprocess.Popen(
        [sys.executable, "-c", SOAK, *map(str, (demo.pid, rounds, tables))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cores.ROOT / "plugin",
        env={**ENVIRONMENT, "ETP_BUILD_DIR": str(cores.BUILD)},
    )
    try:
        while soak.poll() is None:
            assert demo.ask()["process_count"] == answered
            time.sleep(0.1)
    finally:
        soak.kill()
    out, error = soak.communicate()
    assert soak.returncode == 0, error
    print(out)
    assert demo.ask()["process_count"] == answered == demo.truth.system["process_count"]
    assert not demo.is_traced()
    now = kept_by(demo.pid)
    assert now[:2] == (files, threads)
    assert now[2] < resident + (16 << 20)


def test_without_room_for_a_copy_the_vm_stands_still(demo, tmp_path):
    """A control group that has nothing to spare, as a container would see it."""
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    mount = f"mount --bind {tmp_path} /sys/fs/cgroup"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")

    def answer(*words):
        command = f"{mount} && exec {sys.executable} -m etp {demo.pid} {' '.join(map(str, words))}"
        result = subprocess.run(
            ["unshare", "-m", "sh", "-c", command],
            capture_output=True,
            text=True,
            cwd=cores.ROOT / "plugin",
            env={**ENVIRONMENT, "ETP_BUILD_DIR": str(cores.BUILD)},
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    out = answer("etp-ets-leaks", "--json")
    assert "stands still until the command has ended" in out
    assert json.loads(out)["as_of"]["pause_seconds"] is None
    assert "session_cache pins binaries" in out
    path = tmp_path / "snapshot"
    assert "could not be read" not in answer("etp-snapshot", path)
    assert "session_cache pins binaries" in etp(path, "etp-ets-leaks")
    assert demo.ask() and not demo.is_traced()
