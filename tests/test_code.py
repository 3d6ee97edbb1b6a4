# SPDX-License-Identifier: Apache-2.0
"""Where every process is, and the names of code, against what the VM said a moment before it dumped."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

import _etp
import cores
from native import open_vm

FLAVORS = ["stripped", "dwarf", "emu"]
CASES = [
    *(
        (workload, flavor, "abort", ())
        for workload in ("stacks", "healthy", "terms")
        for flavor in FLAVORS
    ),
    ("ets_kinds", "stripped", "abort", ()),
    ("stacks", "stripped", "gcore", ()),
    ("healthy", "stripped", "gcore", ()),
    # Frame pointers on the stack (erts_frame_layout).
    ("stacks", "stripped", "abort", ("+JPperf", "map")),
]

PT_LOAD = 1
PT_NOTE = 4
NT_FILE = 0x46494C45


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join([*case[:3], *case[3]]))
def case(request, core):
    workload, flavor, method, flags = request.param
    if flags and not cores.has_jit():
        pytest.skip("there is no JIT, and so nothing that +JPperf is about")
    dump = core(workload, flavor=flavor, method=method, flags=flags)
    return dump, open_vm(dump)


def processes(dump: cores.Core, vm: "_etp.VM") -> List[Tuple[int, Dict[str, Any]]]:
    """Address and truth of each process that stood still."""
    pairs = [(address, dump.truth.processes.get(str(pid))) for address, pid in vm.processes()]
    found = [
        (address, said)
        for address, said in pairs
        if said
        and not said["volatile"]
        and said["initial_call"][0] not in cores.BUSY_BY_THEMSELVES
        and not hibernated_since(vm, address, said)
    ]
    assert len(found) > 30
    return found


def hibernated_since(vm: "_etp.VM", address: int, said: Dict[str, Any]) -> bool:
    """Supervisors hibernate a second after their last message since OTP 28; the dump may come later than that."""
    if said["current_function"] != ["gen_server", "loop", 5]:
        return False
    return mfa(vm.execution(address)["current_function"]) == ["gen_server", "loop_hibernate", 4]


def process(vm: "_etp.VM", name: str) -> int:
    found = [
        address for address, _ in vm.processes() if (vm.process(address) or {})["name"] == name
    ]
    assert len(found) == 1, name
    return found[0]


def mfa(location: Optional[Dict[str, Any]]) -> Optional[List[Any]]:
    return location and [location["module"], location["function"], location["arity"]]


def entry(location: Dict[str, Any]) -> List[Any]:
    return [*mfa(location), location["file"], location["line"]]


def test_modules(case):
    dump, vm = case
    assert vm.modules_problem() == ""
    modules = vm.modules()
    assert [m for m in modules if m["problem"]] == []
    by_version = {
        version: sorted(m["name"] for m in modules if m["version"] == version)
        for version in ("current", "old", "on_load")
    }
    assert by_version == {
        "current": dump.truth.system["modules"],
        "old": dump.truth.system["old_modules"],
        "on_load": [],
    }
    # code_size is of all code, in use or not, so it is an upper bound that is not far away.
    code = int(dump.truth.system["memory"]["code"])
    assert 0.5 * code < sum(m["size"] for m in modules) <= code


def test_current_function(case):
    dump, vm = case
    for address, said in processes(dump, vm):
        found = vm.execution(address)
        assert found["problem"] == "" and not found["in_gc"], said["pid"]
        assert mfa(found["current_function"]) == said["current_function"], said["pid"]


def test_current_places(case):
    """Of many processes at once."""
    dump, vm = case
    live = list(processes(dump, vm))
    places = vm.current_places([address for address, _ in live])
    for (address, said), (function, location) in zip(live, places):
        assert mfa(function) == said["current_function"], said["pid"]
        assert location == vm.execution(address)["current_location"]
    assert vm.current_places([0, 8]) == [(None, None)] * 2
    for mistake in ([-1], ["1"], 1):
        with pytest.raises((TypeError, OverflowError)):
            vm.current_places(mistake)


def test_stacktrace(case):
    """current_stacktrace with file and line; its first entry is current_location."""
    dump, vm = case
    lines = 0
    for address, said in processes(dump, vm):
        found = [entry(location) for location in vm.stacktrace(address)]
        assert found == said["stacktrace"], said["pid"]
        lines += sum(location[4] is not None for location in found)
        if found and said["current_function"] == found[0][:3]:
            assert entry(vm.execution(address)["current_location"]) == found[0], said["pid"]
    assert lines > 30


def test_depth(case):
    """A deeper trace begins with what the VM shows."""
    dump, vm = case
    deeper = 0
    for address, said in processes(dump, vm):
        everything = [entry(location) for location in vm.stacktrace(address, 1 << 20)]
        assert everything[: len(said["stacktrace"])] == said["stacktrace"], said["pid"]
        assert [entry(location) for location in vm.stacktrace(address, 1)] == said["stacktrace"][:1]
        deeper += len(everything) > len(said["stacktrace"])
    if dump.truth.workload["name"] == "stacks":
        assert deeper


def test_catches(case):
    """As many catches as the VM counts, each with a handler in the function whose frame it is in."""
    dump, vm = case
    seen = 0
    for address, said in processes(dump, vm):
        functions = {0: mfa(vm.execution(address)["current_function"])}
        catches = []
        for slot in vm.stack(address):
            if slot["kind"] == "return" and slot["location"]:
                functions[slot["frame"]] = mfa(slot["location"])
            elif slot["kind"] == "catch":
                catches.append((mfa(slot["location"]), functions[slot["frame"]]))
        assert len(catches) == said["catchlevel"], said["pid"]
        assert all(handler == function for handler, function in catches), said["pid"]
        seen += len(catches)
    if dump.truth.workload["name"] == "stacks":
        assert seen > 5


def test_stack_is_whole(case):
    dump, vm = case
    for address, said in processes(dump, vm):
        found = vm.execution(address)
        slots = vm.stack(address)
        assert [slot["address"] for slot in slots] == list(
            range(found["stack_top"], found["stack_start"], 8)
        )
        assert len(slots) == said["stack_size"], said["pid"]
        assert [slot["address"] for slot in vm.stack(address, 3)] == [
            slot["address"] for slot in slots[:3]
        ]
        assert not [slot for slot in slots if slot["kind"] == "unreadable"]
        assert slots[-1]["location"]["fragment"] == "terminate process normally"


def test_writer_runs(core):
    """The process that aborts the VM is on a scheduler while it does."""
    dump = core("stacks")
    vm = open_vm(dump)
    writer = dump.truth.workload["writer"]
    running = {str(pid) for address, pid in vm.processes() if vm.execution(address)["running"]}
    assert running - {str(vm.process(process(vm, "stacks_spinning"))["pid"])} == {writer}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_terms_of_a_stack(core, flavor):
    dump = core("stacks", flavor=flavor)
    vm = open_vm(dump)
    slots = vm.stack(process(vm, "stacks_terms"))
    found = [slot["term"].format() for slot in slots if slot["kind"] == "term"]
    said = dump.truth.process("stacks_terms")["dictionary"]
    assert len(found) == 6
    assert all(text in said for text in found)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_registers(core, flavor):
    dump = core("stacks", flavor=flavor)
    vm = open_vm(dump)
    registers = vm.execution(process(vm, "stacks_hibernated"))["registers"]
    said = dump.truth.process("stacks_hibernated")["dictionary"]
    assert len(registers) == 3
    assert "[" + ",".join(term.format() for term in registers) + "]" in said
    assert vm.execution(process(vm, "stacks_mutual"))["registers"] == []


@pytest.mark.parametrize("flavor", FLAVORS)
def test_tracing(core, flavor):
    """Return addresses of tracing, and the functions that they are for."""
    dump = core("stacks", flavor=flavor)
    vm = open_vm(dump)
    slots = vm.stack(process(vm, "stacks_traced"))
    fragments = {slot["location"]["fragment"] for slot in slots if slot["kind"] == "return"}
    assert {"exception trace", "return trace", "return to trace"} <= fragments
    traced = {tuple(mfa(slot["location"])) for slot in slots if slot["kind"] == "mfa"}
    assert traced == {("stacks", "traced", 2), ("stacks", "traced_return", 1)}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_old_code(core, flavor):
    dump = core("stacks", flavor=flavor)
    vm = open_vm(dump)
    frames = vm.stacktrace(process(vm, "stacks_old"))
    assert {frame["version"] for frame in frames if frame["module"] == "stacks"} == {"old"}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_functions_of_funs(core, flavor):
    """fun_info(F, name) of the local funs of all rows."""
    dump = core("terms", flavor=flavor)
    vm = open_vm(dump)
    (table,) = [t for t in vm.ets_tables() if t["name"] == "etp_terms"]
    funs = [row.term[2] for row in vm.ets_rows(table["address"]) if row.term[2].kind == "fun"]
    assert funs
    found = []
    unloaded = 0
    for fun in funs:
        module = fun.format().removeprefix("#Fun<").split(".")[0]
        location = vm.fun_location(fun)
        if location["kind"] == "fragment":
            # What came in the external format from nowhere has no code.
            assert (module, location["fragment"]) == ("gone_module", "unloaded fun")
            unloaded += 1
        else:
            assert (location["kind"], location["module"]) == ("function", module)
            found.append([module, location["function"]])
    said = dump.truth.workload["expect"]["functions"]
    assert found == [name for name in said if name[0] != "gone_module"]
    assert unloaded == len(said) - len(found) == 3


def without_jit_code(dump: cores.Core, directory: Path) -> Path:
    """A copy of the core as a kernel writes it that leaves out shared memory (coredump_filter)."""
    copy = directory / "core"
    shutil.copyfile(dump.path, copy)
    with open(copy, "r+b") as file:
        header = file.read(64)
        (phoff,) = struct.unpack_from("<Q", header, 32)
        phentsize, phnum = struct.unpack_from("<HH", header, 54)
        file.seek(phoff)
        table = bytearray(file.read(phentsize * phnum))
        headers = [struct.unpack_from("<IIQQQQQQ", table, i * phentsize) for i in range(phnum)]
        (note,) = [h for h in headers if h[0] == PT_NOTE]
        file.seek(note[2])
        code = set(mapped_at(file.read(note[5]), "memfd:vmem"))
        emptied = 0
        for index, (kind, _, _, address, _, size, _, _) in enumerate(headers):
            if kind == PT_LOAD and size and any(start <= address < end for start, end in code):
                struct.pack_into("<Q", table, index * phentsize + 32, 0)
                emptied += 1
        assert emptied
        file.seek(phoff)
        file.write(table)
    return copy


def mapped_at(notes: bytes, name: str) -> List[Tuple[int, int]]:
    """Address ranges of the mapped files whose path contains `name`."""
    at = 0
    while at + 12 <= len(notes):
        namesz, size, kind = struct.unpack_from("<III", notes, at)
        at += 12 + (namesz + 3 & ~3)
        if kind == NT_FILE:
            (count,) = struct.unpack_from("<Q", notes, at)
            ranges = [struct.unpack_from("<QQQ", notes, at + 16 + 24 * i)[:2] for i in range(count)]
            paths = notes[at + 16 + 24 * count : at + size].split(b"\0")
            return [r for r, path in zip(ranges, paths) if name in path.decode()]
        at += size + 3 & ~3
    return []


@pytest.fixture(scope="module")
def without_code(core, tmp_path_factory):
    if not cores.has_jit():
        pytest.skip("there is no JIT, and code is on the heap of the VM")
    dump = core("stacks")
    directory = tmp_path_factory.mktemp("without-code")
    path = without_jit_code(dump, directory)
    yield dump, open_vm(dump, path)
    path.unlink()


def test_modules_without_code(without_code):
    dump, vm = without_code
    modules = vm.modules()
    assert {m["name"] for m in modules if m["version"] == "current"} == set(
        dump.truth.system["modules"]
    )
    assert all(m["missing"] and m["problem"] and m["functions"] is None for m in modules)


def test_stacktraces_without_code(without_code):
    """Modules are right, what claims to be a function is one, and guesses say that they are."""
    dump, vm = without_code
    functions = near = 0
    for address, said in processes(dump, vm):
        found = vm.execution(address)["current_function"]
        if found["kind"] == "function":
            assert mfa(found) == said["current_function"], said["pid"]
            functions += 1
        assert found["module"] == said["current_function"][0], said["pid"]
        trace = vm.stacktrace(address)
        assert [frame["module"] for frame in trace] == [frame[0] for frame in said["stacktrace"]]
        assert {frame["kind"] for frame in trace} <= {"module", "near_export"}
        near += sum(
            frame[1] == said_frame[1]
            for frame, said_frame in zip(map(mfa, trace), said["stacktrace"])
        )
        assert not any(frame["line"] for frame in trace)
    assert functions and near


def test_offsets_without_code(without_code):
    """A place in a function is told where it is known, and never the beginning of the function instead."""
    dump, vm = without_code
    whole = open_vm(dump)
    known = unknown = 0
    # Both are of one core: here processes count that went on after the truth was told.
    for address, pid in vm.processes():
        found = vm.execution(address)["current_location"]
        expected = whole.execution(address)["current_location"]
        assert (found and found["pc"]) == (expected and expected["pc"])
        if not found:
            continue
        if found["offset"] is None:
            unknown += 1
        elif mfa(found) == mfa(expected):
            assert found["offset"] == expected["offset"] > 0, str(pid)
            known += 1
    assert known and unknown
    path = Path(vm.info()["core_path"])
    assert " + 0" not in run_command(dump, "stackdump", "init", path=path)


def test_catches_without_code(without_code):
    dump, vm = without_code
    slots = vm.stack(process(vm, "stacks_catches"))
    assert [slot["location"]["module"] for slot in slots if slot["kind"] == "catch"] == [
        "stacks",
        "stacks",
    ]


def run_command(dump: cores.Core, *words: str, path: Optional[Path] = None) -> str:
    plugin = [str(cores.ROOT / "plugin"), str(cores.extension_directory())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(plugin), "COLUMNS": "200"}
    command = [
        sys.executable,
        "-m",
        "etp",
        "--executable",
        str(dump.executable),
        str(path or dump.path),
    ]
    result = subprocess.run([*command, *words], capture_output=True, text=True, env=environment)
    assert result.returncode == 0 and not result.stderr, result.stderr
    return result.stdout


@pytest.mark.parametrize("flavor", ["stripped", "emu"])
def test_commands(core, flavor):
    dump = core("stacks", flavor=flavor)
    frames = json.loads(run_command(dump, "stacktrace", "stacks_mutual", "--limit", "8", "--json"))[
        "frames"
    ]
    assert [entry(frame) for frame in frames] == dump.truth.process("stacks_mutual")["stacktrace"]
    text = run_command(dump, "stackdump", "stacks_catches")
    assert re.search(r"^y\d: catch, handled in stacks:catches_more/1", text, re.M)
    assert re.search(r"^-- 2 stacks:catches/1.* \(.*stacks.erl:\d+\) --$", text, re.M)
    assert re.search(r"^x1: asleep$", run_command(dump, "stackdump", "stacks_hibernated"), re.M)
    writer = dump.truth.workload["writer"]
    assert "was running" in run_command(dump, "stacktrace", writer)
    assert "stacks" in run_command(dump, "modules", "--old")


@pytest.mark.parametrize("flavor", FLAVORS)
def test_heaps(core, flavor):
    """Every area can be walked from end to end, and the off-heap things stand in them."""
    dump = core("terms", flavor=flavor)
    vm = open_vm(dump)
    seen = 0
    for address, said in processes(dump, vm):
        areas, problem = vm.heap_areas(address)
        assert problem == ""
        things = set()
        for area in areas:
            found, position, unreadable = vm.heap_things(area["start"], area["top"], 1 << 30)
            assert (position, unreadable) == (area["top"], 0)
            assert "invalid" not in {kind for _, _, kind, _ in found}, said["pid"]
            things |= {thing[0] for thing in found}
        for area in areas:
            terms, rest, problem = vm.off_heap(area["off_heap"])
            assert (rest, problem) == (0, "")
            assert {term.address for term in terms} <= things, said["pid"]
            seen += len(terms)
        assert vm.off_heap(vm.writable_binaries(address))[2] == ""
    assert seen > 50


def test_heap_commands(core):
    dump = core("terms")
    binaries = json.loads(
        run_command(dump, "offheapdump", "terms_dictionary", "--limit", "all", "--json")
    )["things"]
    said = {
        (int(a), int(size), int(refc))
        for a, size, refc in dump.truth.process("terms_dictionary")["binary"]
    }
    assert {(b["binary"], b["size"], b["refc"]) for b in binaries if b.get("binary")} == said
    things = json.loads(run_command(dump, "heapdump", "terms_stack", "--limit", "20", "--json"))
    assert len(things["things"]) == 20
    assert sum(thing["words"] for thing in things["things"]) <= things["words"]


def test_commands_without_code(without_code):
    dump, vm = without_code
    core_path = Path(vm.info()["core_path"])
    assert "is not in the core" in run_command(dump, "modules", path=core_path)
    text = run_command(dump, "stacktrace", "code_server", path=core_path)
    assert "or a local function behind it" in text
    # Old code has no exports any more.
    text = run_command(dump, "stacktrace", "stacks_old", path=core_path)
    assert "stacks: a function whose name is not in the core" in text
