# SPDX-License-Identifier: Apache-2.0
"""Input that is not what it should be: one clear error each, and never a traceback or a crash.

Each case goes through the binding and, where gdb gets as far, through a real gdb.
"""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator, List, Optional

import pytest

import _etp
import cores

LAYOUTS = cores.ROOT / "plugin" / "etp" / "layouts"
PLUGIN = cores.ROOT / "plugin" / "etp-gdb.py"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
COMMANDS = ["etp-info", "etp-ets-tables", "etp-ets-leaks", "etp-bins"]


def open_vm(core, executable=None, layouts=(LAYOUTS,), **options) -> "_etp.VM":
    return _etp.VM(
        core=str(core),
        executable=None if executable is None else str(executable),
        layout_directories=[str(directory) for directory in layouts],
        **options,
    )


def refusal(core, executable=None, **options) -> "_etp.Error":
    with pytest.raises(_etp.Error) as caught:
        open_vm(core, executable, **options)
    message = str(caught.value)
    assert message[-1] in ".?" and "\x1b" not in message
    return caught.value


def gdb(*arguments, commands: List[str] = COMMANDS[:1], prefix: Optional[List[str]] = None) -> str:
    """What gdb prints.  It must end by itself, and must not have met a mistake of ours."""
    line = [*(prefix or []), "gdb", "-nx", "-batch", "-x", str(PLUGIN)]
    for command in commands:
        line += ["-ex", command]
    result = subprocess.run(
        [*line, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    text = result.stdout.decode("utf-8", "replace")
    assert result.returncode >= 0, f"gdb died of signal {-result.returncode}:\n{text}"
    assert "Traceback" not in text and "mistake in etp" not in text, text
    return text


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def healthy(core) -> cores.Core:
    return core("healthy")


@pytest.fixture
def copy(healthy, tmp_path) -> Path:
    path = tmp_path / "core"
    command = ["cp", "--reflink=auto", "--sparse=always", str(healthy.path), str(path)]
    subprocess.run(command, check=True)
    return path


# ---- files that are no core of a 64-bit program ------------------------------------------------


def elf(bits: int = 64, order: str = "<", machine: int = 62) -> bytes:
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    return ident + struct.pack(order + "HHI", 4, machine, 1) + bytes(200)


FILES = {
    "empty": (b"", ["is empty", "ulimit -c"]),
    "text": (b"This is a log, not a core.\n" * 100, ["not an ELF file"]),
    "crash dump": (b"=erl_crash_dump:0.5\n", ["Erlang crash dump", "crashdump_viewer"]),
    "compressed": (b"\x28\xb5\x2f\xfd" + bytes(100), ["zstd -d"]),
    "start of an ELF header": (b"\x7fELF", ["cut off after 4 bytes"]),
    "32 bits": (elf(bits=32, machine=3), ["32-bit program", "x86_64"]),
    "big-endian": (elf(order=">", machine=21), ["big-endian", "x86_64"]),
    "another machine": (elf(machine=243), ["machine with ELF number 243", "x86_64"]),
    "no program headers": (elf(), ["no program headers"]),
}


@pytest.mark.parametrize("name", FILES)
def test_not_a_core(name, tmp_path):
    content, said = FILES[name]
    path = tmp_path / "core"
    path.write_bytes(content)
    error = refusal(path, cores.installed_beam())
    assert str(path) in str(error)
    for words in said:
        assert words in str(error)
    assert "no core file open" in flat(gdb(cores.installed_beam(), path))


def test_no_such_file(tmp_path):
    error = refusal(tmp_path / "core", cores.installed_beam())
    assert error.kind == "os" and "No such file" in str(error)
    assert "no core file open" in flat(gdb(cores.installed_beam(), tmp_path / "core"))


def test_directory(tmp_path):
    error = refusal(tmp_path, cores.installed_beam())
    assert f"{tmp_path} is a directory, not a core file" in str(error)
    gdb(cores.installed_beam(), tmp_path)


def test_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "core")
    assert "is a FIFO" in str(refusal(tmp_path / "core", cores.installed_beam()))


def test_executable_given_as_core(healthy):
    error = refusal(cores.installed_beam())
    assert "an executable or a library, not a core file" in str(error)
    assert "swapped" in str(refusal(cores.installed_beam(), healthy.path))


# ---- the wrong program, the wrong executable ----------------------------------------------------


@pytest.fixture(scope="module")
def sleep_core(tmp_path_factory) -> Path:
    process = subprocess.Popen(["sleep", "1000"], env=cores.ENVIRONMENT)
    path = tmp_path_factory.mktemp("sleep") / "core"
    try:
        time.sleep(0.2)
        command = ["gcore", "-o", str(path), str(process.pid)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        process.kill()
        process.wait()
    return path.with_name(f"core.{process.pid}")


def test_core_of_another_program(sleep_core):
    sleep = os.path.realpath(shutil.which("sleep"))
    error = refusal(sleep_core, sleep)
    assert "etp_otp_release" in str(error) and sleep in str(error)
    assert "beam.smp" in str(error)
    text = flat(gdb(sleep, sleep_core))
    assert "etp_otp_release" in text and "beam.smp" in text


def test_beam_given_for_the_core_of_another_program(sleep_core):
    """Both build-ids are named."""
    error = refusal(sleep_core, cores.installed_beam())
    assert "build-id" in str(error) and build_id(cores.installed_beam()) in str(error)
    assert build_id(cores.installed_beam()) in flat(gdb(cores.installed_beam(), sleep_core))


def test_another_program_given_for_the_core_of_a_beam(healthy):
    """The core names its beam.smp, which is there: it is used instead, and that is said first."""
    true = os.path.realpath(shutil.which("true"))
    warnings = " ".join(open_vm(healthy.path, true).info()["warnings"])
    assert build_id(true) in warnings and build_id(healthy.executable) in warnings
    text = flat(gdb(true, healthy.path))
    first = text.index(build_id(true))
    assert build_id(healthy.executable) in text
    assert "Erlang/OTP 25" not in text[:first]


def build_id(path) -> str:
    text = subprocess.run(["readelf", "-n", str(path)], capture_output=True, text=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", text).group(1)


def test_beam_of_another_build(healthy):
    """A warning that names both build-ids comes before any answer, or there is none."""
    other = cores.beam("dwarf")
    ids = (build_id(other), build_id(healthy.executable))
    try:
        warnings = " ".join(open_vm(healthy.path, other).info()["warnings"])
    except _etp.Error as error:
        warnings = str(error)
    assert all(each in warnings for each in ids)
    for command in COMMANDS:
        text = flat(gdb(other, healthy.path, commands=[command]))
        first = min(text.find(each) for each in ids)
        assert first >= 0
        for answer in ("Erlang/OTP 25", "worker_registry", "Looked at", "nothing suspicious"):
            assert answer not in text[:first]


def test_executable_that_is_gone(healthy, tmp_path):
    error = refusal(healthy.path, tmp_path / "beam.smp")
    assert str(tmp_path / "beam.smp") in str(error) and "No such file" in str(error)


def test_unknown_release(healthy, tmp_path):
    """A beam.smp that says it is OTP 99, with the build-id of the core's."""
    symbols = ["readelf", "--wide", "--dyn-syms", str(healthy.executable)]
    text = subprocess.run(symbols, capture_output=True, text=True, check=True).stdout
    address = int(
        re.search(r"([0-9a-f]+) +\d+ OBJECT .* etp_otp_release$", text, re.M).group(1), 16
    )
    beam = tmp_path / "beam.smp"
    content = bytearray(healthy.executable.read_bytes())
    # .rodata stands in the file where it stands in memory.
    assert content[address : address + 3] == b"25\0"
    content[address : address + 2] = b"99"
    beam.write_bytes(content)
    beam.chmod(0o755)
    error = refusal(healthy.path, beam)
    assert error.kind == "unsupported" or error.kind == "layout"
    assert "OTP 99" in str(error) and "OTP 23 to 29" in str(error)
    assert "OTP 99" in flat(gdb(beam, healthy.path))


# ---- rights --------------------------------------------------------------------------------------


@pytest.fixture
def unreadable(healthy) -> Iterator[Path]:
    """A core in a place that everybody may enter, which nobody but its owner may read."""
    directory = Path(tempfile.mkdtemp(prefix="etp-rights-"))
    directory.chmod(0o755)
    path = directory / "core"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    yield path
    shutil.rmtree(directory)


def test_no_permission(unreadable):
    as_other = NOBODY if os.geteuid() == 0 else []
    if subprocess.run([*as_other, "test", "-r", str(PLUGIN)]).returncode:
        pytest.skip("another user may not read this checkout")
    code = (
        f"import sys; sys.path[:0] = [{str(cores.extension_directory())!r}]\n"
        "import _etp\n"
        f"try: _etp.VM(core={str(unreadable)!r})\n"
        "except _etp.Error as error: print(error.kind, error)\n"
    )
    command = [*as_other, "/usr/bin/python3", "-c", code]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.startswith("os Cannot open the core file") and "Permission denied" in text
    assert "no core file open" in flat(gdb(cores.installed_beam(), unreadable, prefix=as_other))


# ---- parts of a core ----------------------------------------------------------------------------


def sizes(full: int) -> List[int]:
    return [0, 1, 64, 4096, 1 << 20, full // 4, full // 2, full * 3 // 4, full * 19 // 20, full - 1]


@pytest.mark.parametrize("index", range(len(sizes(0))))
def test_truncated(index, healthy, copy):
    """Either there is an answer that counts what is missing, or an error that says why there is none."""
    full = copy.stat().st_size
    size = sizes(full)[index]
    os.truncate(copy, size)
    try:
        vm = open_vm(copy, healthy.executable)
    except _etp.Error as error:
        if size > 4096:
            assert "truncated" in str(error) and f"{size:,}".replace(",", "") in str(error)
        assert index < 6, error
    else:
        assert any("truncated" in warning for warning in vm.info()["warnings"])
        assert vm.info()["bytes_truncated"] == full - size
        count_rows(vm, healthy)
    text = flat(gdb(healthy.executable, copy, commands=COMMANDS))
    assert "truncated" in text or "no core file open" in text or "no program headers" in text


def test_core_without_private_memory(healthy, copy):
    """As with bit 0 of coredump_filter off: it is the core that is at fault, not the executable."""
    with open(copy, "r+b") as file:
        header = file.read(64)
        offset, count = (
            struct.unpack_from("<Q", header, 32)[0],
            struct.unpack_from("<H", header, 56)[0],
        )
        for number in range(count):
            at = offset + 56 * number
            file.seek(at)
            kind, flags = struct.unpack("<II", file.read(8))
            if kind == 1 and flags & 2:  # PT_LOAD, PF_W
                file.seek(at + 32)
                file.write(bytes(8))  # p_filesz
    error = flat(str(refusal(copy, healthy.executable)))
    assert "the core lacks the memory" in error and "coredump_filter" in error
    assert "without its beam.smp" not in error


def count_rows(vm: "_etp.VM", healthy: cores.Core) -> None:
    """Each table of the truth is whole, or is known to have gaps."""
    scan = vm.scan_ets()
    found = {str(table["ref"]): table for table in vm.ets_tables()}
    for ref, said in healthy.truth.digests.items():
        if ref not in found:
            assert vm.ets_tables_gaps(), said["name"]
            continue
        numbers = scan.tables[found[ref]["address"]]
        assert numbers["rows"] == said["rows"] or numbers["unreadable"] > 0, said["name"]


def test_last_byte_missing_changes_nothing_else(healthy, copy):
    os.truncate(copy, copy.stat().st_size - 1)
    whole, cut = open_vm(healthy.path, healthy.executable), open_vm(copy, healthy.executable)
    assert len(cut.ets_tables()) == len(whole.ets_tables())
    assert cut.scan_ets().tables == whole.scan_ets().tables


# ---- layouts --------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_layouts_of_the_user(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


def layout_of(flavor: str) -> dict:
    return json.loads((LAYOUTS / f"otp-25-erts-13.1.5-x86_64-{flavor}.json").read_text())


def test_no_layout(healthy, tmp_path):
    error = refusal(healthy.path, healthy.executable, layouts=[tmp_path], use_dwarf=False)
    assert error.kind == "layout"
    for words in ("OTP 25", "ERTS 13.1.5", "jit", str(tmp_path), build_id(healthy.executable)):
        assert words in str(error)
    assert "scripts/extract-layout" in str(error)


def test_layout_of_another_flavor(healthy):
    path = LAYOUTS / "otp-25-erts-13.1.5-x86_64-emu.json"
    try:
        vm = open_vm(healthy.path, healthy.executable, layout=str(path))
    except _etp.Error as error:
        assert error.kind == "layout" and str(path) in str(error)
    else:
        # The structs that are used are the same in both: the answers must be right.
        count_rows(vm, healthy)


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_layout_that_is_cut_off(healthy, tmp_path, size):
    path = tmp_path / "cut.json"
    path.write_bytes((LAYOUTS / "otp-25-erts-13.1.5-x86_64-jit.json").read_bytes()[:size])
    error = refusal(healthy.path, healthy.executable, layout=str(path))
    assert error.kind == "bad_data" and str(path) in str(error)
    text = flat(
        gdb(healthy.executable, healthy.path, commands=[f"set etp layout {path}", "etp-info"])
    )
    assert str(path) in text


WRONG = [
    ("Atom", "index"),
    ("Atom", "name"),
    ("IndexTable", "seg_table"),
    ("Process", "heap"),
    ("Process", "id"),
    ("ErtsSchedulerData", "ets_tables_clist"),
    ("ErlNode", "sysname"),
    ("DbTable", "all_next"),
    ("DbTable", "all_prev"),
    ("DbTable", "the_name"),
    ("DbTable", "owner"),
    ("DbTable", "keypos"),
    ("DbTableHash", "segtab"),
    ("HashDbTerm", "dbterm"),
    ("HashDbTerm", "next"),
    ("TreeDbTerm", "dbterm"),
    ("TreeDbTerm", "left"),
    ("DbTerm", "tpl"),
]


@pytest.mark.parametrize("shift", [8, 16, -8])
@pytest.mark.parametrize("where", WRONG, ids=".".join)
def test_layout_with_a_wrong_offset(healthy, tmp_path, where, shift):
    """The self-checks notice, and name the check."""
    struct_, member = where
    layout = layout_of("jit")
    where = layout["structs"][struct_]["members"][member]
    where[0] = max(0, where[0] + shift) if where[0] + shift >= 0 else where[0] + 24
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(layout))
    error = refusal(healthy.path, healthy.executable, layout=str(path))
    assert error.kind in ("layout", "fault", "bad_data"), error
    assert str(path) in str(error)


# ---- gdb ----------------------------------------------------------------------------------------


def test_gdb_without_a_core():
    for command in COMMANDS:
        text = flat(gdb(commands=[command]))
        assert "gdb has no core file open" in text and "core-file CORE" in text


def test_gdb_with_a_process_that_is_no_vm():
    process = subprocess.Popen(["sleep", "1000"], env=cores.ENVIRONMENT)
    try:
        time.sleep(0.2)
        text = flat(gdb("-p", process.pid))
        if "ptrace: Operation not permitted" in text:
            pytest.skip("this machine does not let gdb attach")
        assert "which every Erlang emulator exports" in text
        assert 'Its command line is "sleep 1000"' in text
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_gdb_changes_cores(healthy, sleep_core):
    """An error does not stick to the next core, nor an answer to the next one."""
    commands = [
        f"core-file {sleep_core}",
        "etp-info",
        f"core-file {healthy.path}",
        "etp-info",
        f"core-file {sleep_core}",
        "etp-info",
    ]
    text = flat(gdb(healthy.executable, commands=commands))
    assert text.count("Erlang/OTP 25") == 1
