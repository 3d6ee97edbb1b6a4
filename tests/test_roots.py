# SPDX-License-Identifier: Apache-2.0
"""VMs whose files are not where their cores, or the kernel, say: in a chroot or a container.

What must be said is what the VM wrote down; that answers are right once files are found, other tests show.
"""

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from functools import cache

import pytest

import container
import cores
import etp
from test_live import ENTRY, ENVIRONMENT, etp as command_line, gdb, lldb

APP = container.APP


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return container.make_root(tmp_path_factory.mktemp("roots"))


@pytest.fixture(scope="module")
def dump(root, tmp_path_factory):
    """A core that names files of a container."""
    return container.make("container", root, tmp_path_factory.mktemp("dumped"), "healthy")


@pytest.fixture(scope="module")
def flat(root, tmp_path_factory):
    """The files of the container without its directories, as one copies them out of it."""
    directory = tmp_path_factory.mktemp("flat")
    for path in (root / APP).rglob("*"):
        if path.is_file():
            shutil.copy(path, directory)
    return directory


@pytest.fixture(scope="module")
def start(root, tmp_path_factory):
    """start("chroot"|"container"): a VM whose servers wait for each other, in a root of its own."""
    with ExitStack() as started:

        @cache
        def start(way):
            output = tmp_path_factory.mktemp(way)
            vm = container.start(way, root, output, "hangs", "--arg", "kind=call_cycle")
            started.callback(vm.close)
            return vm

        yield start


def check_tables(said, dump):
    found = {table["ref"]: table["size"] for table in json.loads(said)["tables"]}
    assert found == {ref: table["size"] for ref, table in dump.truth.tables.items()}


def check_stack(said):
    """Of the thread that aborted: from libc's abort to the process, and to where libc started it."""
    (thread,) = json.loads(said)["threads"]
    frames = thread["frames"]
    assert any(f["function"] == "abort" and f["file"] == "libc.so.6" for f in frames), frames
    assert frames[-1]["file"] == "libc.so.6"
    assert not any("not known without that file" in w for w in thread["warnings"])


TABLES = "etp-ets-tables --limit all --json"


@pytest.fixture(scope="module")
def stack(dump):
    """The command that shows the thread that aborted."""
    return f"etp-bt {dump.truth.workload['writer']} --json"


def test_files_that_are_not_here(dump):
    """Nothing is found at the paths of the core, and the answer is what to do."""
    result = subprocess.run(
        [sys.executable, "-m", "etp", str(dump.path), "etp-info"],
        cwd=cores.ROOT / "plugin", capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "/srv/app/beam.smp" in result.stderr and "sysroot" in result.stderr


@pytest.mark.parametrize("option", ["--sysroot", "--search-path"])
def test_command_line(dump, root, flat, stack, option):
    value = str(root if option == "--sysroot" else f"/nonexistent:{flat}")
    for line, check in ((TABLES, lambda said: check_tables(said, dump)), (stack, check_stack)):
        check(command_line(option, value, str(dump.path), *line.split()))


def test_search_path_has_directories(dump, root):
    """A copy of the root is found below a directory of the search path, too."""
    vm = etp.open(str(dump.path), search_path=str(root))
    assert vm.info.executable_path == str(root / APP / "beam.smp")
    assert len(vm.ets_tables) == len(dump.truth.tables)
    libraries = {str(f.used_path) for f in vm.info.files if f.matched and not f.is_executable}
    assert str(root / APP / "lib" / "libc.so.6") in libraries


def test_api(dump, root, flat, tmp_path):
    for options in (dict(sysroot=str(root)), dict(search_path=str(flat))):
        vm = etp.open(str(dump.path), **options)
        assert {str(table.ref) for table in vm.ets_tables} == set(dump.truth.tables)
    # Another file of that name is passed over, whatever comes first.
    other = tmp_path / "beam.smp"
    shutil.copy(sys.executable, other)
    vm = etp.open(str(dump.path), search_path=f"{tmp_path}:{flat}")
    assert vm.info.executable_path == str(flat / "beam.smp")


@pytest.mark.parametrize("setting", ["sysroot", "solib-search-path"])
def test_gdb(dump, root, flat, stack, setting):
    value = root if setting == "sysroot" else flat
    words = [
        "-iex",
        f"set {setting} {value}",
        "-ex",
        f"core-file {dump.path}",
        "-ex",
        "echo ---\\n",
    ]
    out, _ = gdb(*words, "-ex", TABLES, "-ex", "echo ===\\n", "-ex", stack)
    tables, said = out.split("===\n")
    check_tables(tables, dump)
    check_stack(said)


@pytest.mark.parametrize("how", ["sysroot", "exec-search-paths"])
def test_lldb(dump, root, flat, stack, how):
    select = f"platform select --sysroot {root} remote-linux"
    setting = f"settings set target.exec-search-paths /nonexistent {flat}"
    words = ["-o", select if how == "sysroot" else setting, "-o", f"target create -c {dump.path}"]
    tables, said, _ = lldb(*words, commands=[TABLES, stack]).split("===\n")
    check_tables(tables, dump)
    check_stack(said)


def check_hung(said, vm):
    """The deadlock, whose members the VM named."""
    members = vm.truth.workload["expect"]["cause"]["members"]
    assert f"Deadlock of {len(members)} processes" in said
    assert all(member in said for member in members)


def check_libraries(said):
    """Stacks end where libc started the threads: its files were found."""
    threads = json.loads(said)["threads"]
    frames = [frame for thread in threads for frame in thread["frames"] if frame["file"]]
    assert {frame["file"] for frame in frames} >= {"libc.so.6", "beam.smp"}
    assert any(f["file"] == "libc.so.6" and f["function"] == "epoll_wait" for f in frames)
    assert not any("not known without that file" in w for t in threads for w in t["warnings"])


@pytest.mark.parametrize("way", container.UNSHARE)
def test_hung_vm_and_the_command_line(start, way):
    hung = start(way)
    check_hung(command_line(hung.pid, "etp-hung"), hung)
    check_libraries(command_line(hung.pid, "etp-bt", "--json"))
    info = json.loads(command_line(hung.pid, "etp-info", "--json"))
    assert info["executable_path"].endswith("/srv/app/beam.smp")
    assert hung.ask() and not hung.is_traced()


@pytest.mark.parametrize("way", container.UNSHARE)
def test_hung_vm_and_gdb(start, way):
    hung = start(way)
    words = ["-p", str(hung.pid), "-ex", "echo ---\\n", "-ex", "etp-hung", "-ex", "echo ===\\n"]
    out, _ = gdb(*words, "-ex", "etp-bt --json", "-ex", "echo ===\\n")
    said, stacks, _ = out.split("===\n")
    check_hung(said, hung)
    check_libraries(stacks)
    assert hung.ask() and not hung.is_traced()


def test_hung_vm_and_lldb(start):
    """lldb 14 loses its connection when it attaches to a process of a container."""
    hung = start("chroot")
    out = lldb("-p", str(hung.pid), commands=["etp-hung", "detach"])
    check_hung(out, hung)
    assert hung.ask() and not hung.is_traced()


def test_snapshot_of_a_vm_in_another_root(start, root, tmp_path):
    """Opened later, it is as a core: its files are sought below the root."""
    hung = start("container")
    path = tmp_path / "snapshot"
    command_line(hung.pid, "etp-snapshot", str(path))
    check_hung(command_line("--search-path", str(root / APP), str(path), "etp-hung"), hung)
