# SPDX-License-Identifier: Apache-2.0
"""`import etp`, as a script uses it: each thing that it offers, against what the VM said."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import asdict

import pytest

import etp
import cores
from etp.census import Census
from etp.errors import Problem
from etp.ets import EtsScan, EtsTables, table_names
from etp.vm import LayoutTrial, pid_text, ref_text

# What `import etp` gives, and the classes of what that returns.
PACKAGE = [cores.ROOT / "plugin" / "etp" / name for name in ("__init__.py", "vm.py", "ets.py")]
BINDING = cores.ROOT / "plugin" / "_etp.pyi"
WORD = 8


def offered(path):
    """Public functions, methods and attributes of a module."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    yield part.name
                elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    yield part.target.id


def used_in(*directories):
    """Names that are called, imported or asked of an object there, or written between quotes."""
    found = set()
    for path in [path for directory in directories for path in directory.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.alias):
                found.add(node.name.rpartition(".")[2])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.name)
def test_everything_that_the_package_offers_is_used_in_the_tests(path):
    names = {name for name in offered(path) if not name.startswith("_")}
    assert names - used_in(cores.ROOT / "tests") == set()


def test_everything_that_the_binding_offers_is_used():
    names = {name for name in offered(BINDING) if not name.startswith("_")}
    assert len(names) > 100
    assert names - used_in(cores.ROOT / "tests", cores.ROOT / "plugin") == set()


@pytest.fixture(scope="module")
def case(core):
    dump = core("ets_kinds")
    return dump, etp.open(core=str(dump.path), executable=str(dump.executable))


def test_info(case):
    dump, vm = case
    said, info = dump.truth.system, vm.info
    for name in ("otp_release", "erts_version", "node", "atom_limit", "port_limit"):
        assert getattr(info, name) == said[name], name
    assert info.process_limit == said["process_limit"]
    assert info.layout_otp_release == said["otp_release"]
    assert info.layout_erts_version == said["erts_version"]
    assert info.flavor == info.layout_flavor == said["emu_flavor"]
    assert said["system_architecture"].startswith(info.machine)
    for kind in ("schedulers", "dirty_cpu_schedulers", "dirty_io_schedulers"):
        assert getattr(info, kind) == said[kind], kind
    assert (info.processes, info.ports) == (said["process_count"], said["port_count"])
    assert info.atoms == said["atom_count"] == len(vm.atoms) == len(vm.atoms[:])
    assert info.ets_tables == said["ets_count"] == len(vm.ets_tables)
    # Of a node that is not distributed.
    assert info.creation == said["creation"]
    assert info.pid == int(said["os_pid"])
    assert info.uptime_ns >= said["uptime_ms"] * 10**6


def test_info_about_the_core(case):
    dump, vm = case
    info = vm.info
    assert not info.is_process and not info.is_snapshot and not info.copied_at_rest
    assert info.taken_at_ns == info.pause_ns == 0
    assert (info.core_path, info.executable_path) == (str(dump.path), str(dump.executable))
    assert info.core_build_id == info.executable_build_id != ""
    assert info.core_mtime == int(os.stat(dump.path).st_mtime)
    assert os.WTERMSIG(dump.about.get("signal", info.signal)) == info.signal > 0
    assert info.threads > info.schedulers and info.segments > 10 and "beam.smp" in info.command
    parts = (info.bytes_saved, info.bytes_from_files, info.bytes_missing)
    # The rest is address space that was only reserved.
    assert 0 < sum(parts) <= info.bytes_total and min(parts) >= 0
    assert info.bytes_truncated == 0 and info.warnings == ()
    assert info.bytes_saved <= os.stat(dump.path).st_size
    assert info.layout_source.startswith("layout file ") and info.layout_origin
    for check in info.checks:
        assert check.claim and check.tried > 0, check
        assert (check.failed, check.unreadable, check.failure) == (0, 0, ""), check
    (beam,) = {file.path for file in info.files if file.path.endswith("/beam.smp")}
    for file in info.files:
        assert file.start < file.end
        assert not file.matched or file.core_build_id == file.file_build_id
        if file.path == beam and file.is_executable:
            assert file.used_path == str(dump.executable) and file.matched


def test_layouts(case):
    dump, vm = case
    trials, problem = vm.layouts()
    assert problem is None
    assert [trial.path for trial in trials if trial.refusal is None] == [
        trial.path for trial in trials if trial.match == "build-id"
    ]
    assert all(trial.difference for trial in trials if trial.match == "other")
    assert all(not trial.is_users and trial.origin and trial.machine for trial in trials)
    fits = next(trial for trial in trials if trial.match == "build-id")
    assert fits.erts_version == dump.truth.system["erts_version"]
    target = {"core": str(dump.path), "executable": str(dump.executable)}
    assert LayoutTrial.all_of(**target) == (trials, None)
    with pytest.raises(etp.Error, match="/nowhere/core"):
        LayoutTrial.all_of(core="/nowhere/core")


def test_memory_and_symbols(case):
    _, vm = case
    address, size = vm.symbol("etp_otp_release")
    assert vm.read(address, size).rstrip(b"\0").decode() == vm.info.otp_release
    assert vm.symbol_at(address + 1) == ("etp_otp_release", 1)
    assert vm.symbol_at(16) is None
    with pytest.raises(etp.Error, match="no memory at 0x10") as raised:
        vm.read(16, 8)
    assert (raised.value.kind, raised.value.address, raised.value.errno) == ("fault", 16, 0)
    with pytest.raises(etp.Error) as raised:
        etp.open(core="/nowhere/core")
    assert (raised.value.kind, raised.value.errno) == ("os", 2)


def test_atoms(case):
    dump, vm = case
    said = dump.truth.atoms
    assert vm.atoms[0] == said[0] == "false" and vm.atoms[-1] == vm.atoms[len(said) - 1]
    assert vm.atoms[4:9] == [vm.atoms[i] for i in range(4, 9)]
    assert vm.find_atom("ets").value() == "ets" == vm.term(vm.find_atom("ets").word).value()
    for index in (len(said), -len(said) - 1):
        with pytest.raises(IndexError, match=f"the VM has {len(said)}"):
            vm.atoms[index]
    assert vm.loaded_modules == {module for module in dump.truth.system["modules"]}
    assert {"kernel", "stdlib"} <= set(vm.applications)


def test_processes(case):
    dump, vm = case
    found = {str(process.pid): process for process in vm.processes()}
    assert found.keys() == dump.truth.processes.keys()
    for pid, said in dump.truth.processes.items():
        process = found[pid]
        assert process == vm.process(process.pid) == vm.process(process.address)
        assert process == vm.process_by_text(pid) == vm.find_process(pid)
        assert process.name == said["registered_name"]
        if said["translated_initial_call"]:
            assert process.initial_call_source == "proc_lib"
            assert list(process.initial_call) == said["translated_initial_call"]
        elif process.initial_call_source == "spawn":
            assert list(process.initial_call) == said["initial_call"]
        if process.name:
            assert process == vm.find_process(process.name)
            assert process.label == process.name
        elif process.initial_call:
            assert process.label == process.initial_call_text
    for wrong in ("<0.99999.0>", "nobody_of_that_name", 16):
        with pytest.raises(Problem, match="No live process"):
            vm.find_process(wrong)


def test_text_of_pids_and_references():
    assert pid_text("#PID<0.12.0>") == pid_text(" <0.12.0>") == "<0.12.0>"
    assert pid_text("<0.12>") is None and pid_text("0.12.0") is None
    assert ref_text("#Reference<0.1.2.3>") == ref_text("#Ref<0.1.2.3>") == "#Ref<0.1.2.3>"
    assert ref_text("#Port<0.1>") is None
    assert table_names("'Elixir.Some.Cache'") >= {"Elixir.Some.Cache"}
    assert "Elixir.Some.Cache" in table_names("Some.Cache")
    assert "sessions" in table_names(":sessions")


def test_tables(case):
    dump, vm = case
    tables = vm.ets_tables
    assert isinstance(tables, EtsTables) and tables.gaps == []
    assert tables[:2] == [tables[0], tables[1]]
    assert tables.names() == sorted({said["name"] for said in dump.truth.tables.values()})
    by_pid = {str(process.pid): process for process in vm.processes()}
    compared = ["name", "type", "protection", "size", "keypos", "compressed", "read_concurrency"]
    compared += ["decentralized_counters", "fixed"]
    for ref, said in dump.truth.tables.items():
        table = vm.ets_table(ref)
        assert isinstance(table, etp.EtsTable)
        assert table is tables.at(table.address) is vm.ets_table(table.address)
        assert {name: getattr(table, name) for name in compared} == {
            name: said[name] for name in compared
        }
        assert table.memory_words == said["memory"] == table.memory_bytes // WORD
        assert (str(table.owner), table.named) == (said["owner"], said["named_table"])
        assert table.owner_alive and table.owner_label == by_pid[said["owner"]].label
        assert ("none" if table.heir is None else str(table.heir)) == said["heir"]
        concurrency = table.write_concurrency
        if isinstance(concurrency, tuple):
            concurrency = list(concurrency)
        assert concurrency == said["write_concurrency"]
        assert table.fix_count == sum(count for _, count in table.fixing)
        assert sum(
            count for _, count in (said["safe_fixed"] or {"processes": []})["processes"]
        ) == (table.fix_count)
        assert (table.fixed_since_ns > 0) == (table.fixed_for_ns >= 0) == said["fixed"]
        # The VM was quiet.
        assert not (table.is_write_locked or table.is_read_locked or table.is_lock_awaited)
        assert not (table.is_resizing or table.is_deleting)
        assert table.is_catree == ("CA tree" in table.states)
        assert table.label == (table.name if table.named else f"{table.name} {ref}")
        assert ("named_table" in table.options) == table.named
        rows = table.rows()
        # Those that were deleted while the table is fixed do not count.
        assert sum(not row.pseudo_deleted for row in rows) == said["size"]
        assert (rows.gaps, rows.problem) == (0, "")
        first = table.row()
        assert first is not None or said["size"] == 0
        assert first is None or table.row(first.address).address == first.address
    for wrong in ("no_table_of_that_name", "#Ref<0.1.2.3>", 16):
        with pytest.raises(Problem, match="No table"):
            vm.ets_table(wrong)


def test_scan(core):
    """Each row of the session cache sees 110 bytes of a binary of its own."""
    dump = core("demo")
    vm = etp.open(core=str(dump.path), executable=str(dump.executable))
    table = vm.ets_table("session_cache")
    whole, scan = vm.scan_ets(), vm.scan_ets([table])
    assert isinstance(scan, EtsScan) and whole.complete and scan.complete
    assert list(scan.tables) == [table.address]
    found = scan.tables[table.address]
    assert asdict(found) == asdict(whole.tables[table.address])
    ref = str(table.ref)
    said, leak, digest = (d[ref] for d in (dump.truth.tables, dump.truth.leaks, dump.truth.digests))
    assert found.rows == said["size"] == found.binary_refs == found.pinned_rows
    # A row is a tuple with a word for the table behind its header.
    assert found.words == digest["flat_words"]
    assert (found.pseudo_deleted, found.pseudo_deleted_words, found.unreadable) == (0, 0, 0)
    distinct = {int(address): (int(size), int(refc)) for address, size, refc in said["binary"]}
    assert found.binaries == found.own_binaries == scan.binary_count() == len(distinct)
    sizes = sum(size for size, _ in distinct.values())
    assert found.binary_bytes == found.own_bytes == scan.binary_bytes() == sizes
    assert found.visible_bytes == found.own_visible_bytes == leak["visible_bytes"]
    assert found.unseen_bytes == found.own_unseen_bytes == sizes - leak["visible_bytes"]
    for binary in scan.binaries("waste", 10) + scan.binaries("address"):
        assert (binary.size, binary.refc) == distinct[binary.address]
        assert (binary.refs, binary.holders) == (1, [(table.address, 1)])
        assert binary.unseen_bytes == binary.size - binary.visible_bytes > 0
        assert binary == scan.binary(binary.address)
    assert scan.binary(16) is None
    pins = table.row(found.sample_pin)
    assert found.sample_pin_bytes == sum(distinct[each][0] for each in pins.binaries())
    assert 0 < found.sample_pin_visible < found.sample_pin_bytes
    largest = max(row["words"] for row in dump.truth.rows_of[ref])
    assert found.largest_row_words >= largest and table.row(found.largest_row) is not None
    begun = vm.census(tables_only=True)
    assert not begun.has_others and begun is vm.census(tables_only=True)
    assert isinstance(vm.census(), Census) and vm.census() is vm.census() is not begun
    assert vm.census(tables_only=True) is vm.census() and vm.census().has_others


def test_scan_of_rows_about_the_dead(core):
    dump = core("ets_dead_pids")
    vm = etp.open(core=str(dump.path), executable=str(dump.executable))
    scan = vm.scan_ets()
    for name, said in dump.truth.workload["expect"]["dead"].items():
        table = vm.ets_table(name)
        found = scan.tables[table.address]
        if name == "dead_ports":
            continue
        assert found.dead_pid_keys == said.get("keys", 0), name
        assert found.dead_pid_rows == said.get("keys", 0) + said.get("values", 0), name
        assert found.live_pid_rows == said["live"], name
        sample = table.row(found.sample_dead)
        dead = re.findall(r"<0\.\d+\.\d+>", str(sample.term))
        assert dead and not set(dead) & dump.truth.processes.keys()
        assert found.dead_ref_rows == 0
    for name, count in dump.truth.workload["expect"]["dead_refs"].items():
        found = scan.tables[vm.ets_table(name).address]
        assert (found.dead_ref_rows, found.dead_pid_rows) == (count, 0)
        assert found.rows == count + dump.truth.workload["expect"]["live_refs"]


def test_a_limit_to_libraries(core):
    """What is beyond it is counted, in a warning that stands before each first answer."""
    dump = core("healthy")
    files = dict(core=str(dump.path), executable=str(dump.executable))
    whole, few = etp.open(**files).info, etp.open(**files, max_libraries=1).info
    assert whole.warnings == ()
    (warning,) = few.warnings
    assert "`set etp max-libraries`" in warning
    (left_out,) = re.findall(r"names ([0-9]+) libraries beyond the limit of 1:", warning)
    assert len(few.files) + int(left_out) == len(whole.files)
    command = [sys.executable, "-m", "etp", "--set", "max-libraries=1", str(dump.path), "etp-info"]
    result = subprocess.run(
        command,
        cwd=cores.ROOT / "plugin",
        env={**os.environ, "PYTHONPATH": str(cores.extension_directory())},
        capture_output=True,
        text=True,
    )
    assert warning in " ".join((result.stdout + result.stderr).split())
