# SPDX-License-Identifier: Apache-2.0
"""A core of aarch64, looked at on x86-64: what it is, that layouts of another machine are not taken for it, and that
etp says what it cannot tell of such a core. And the other way round: etp as it is compiled for aarch64 reads cores of
both.

With --otp 25-arm64 only: the VM runs in an emulator, which takes a minute to write its core.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import cores
import etp
from reader import Reader

pytestmark = pytest.mark.skipif(
    "-" not in (cores.release or ""), reason="no --otp of another machine's root"
)
LAYOUTS = sorted((cores.ROOT / "plugin" / "etp" / "layouts").glob("*.json"))


@pytest.fixture(scope="module")
def dump(core):
    return core("terms")


@pytest.mark.parametrize("flavor", ["stripped", "emu"])
def test_it_is_told_what_it_is(core, flavor, tmp_path):
    """Release, version and flavor come from the memory of the core by the symbols of a stripped beam.smp."""
    dump, stripped = core("terms", flavor=flavor), tmp_path / "beam.smp"
    run("aarch64-linux-gnu-strip", "--strip-all", dump.executable, "-o", stripped)
    info = etp.open(str(dump.path), executable=str(stripped)).info
    system = dump.truth.system
    assert (info.otp_release, info.erts_version) == (
        system["otp_release"],
        system["erts_version"],
    )
    assert (info.machine, info.flavor) == ("aarch64", system["emu_flavor"])
    assert f"-aarch64-{info.flavor}.json" in info.layout_source


def test_stacks_of_threads_are_not_read(dump):
    reader = Reader(etp.open(str(dump.path), executable=str(dump.executable)))
    assert "read on x86-64 only" in reader.run("etp-bt")
    assert reader.json("etp-bt")["threads"] == []


@pytest.mark.parametrize(
    "path", [path for path in LAYOUTS if "x86_64" in path.name], ids=lambda path: path.stem
)
def test_layouts_of_another_machine_are_refused(dump, path):
    """Even one of the same release, version and flavor, which differs by a word in Process."""
    with pytest.raises(etp.Error, match="is for x86_64, and this VM ran on aarch64"):
        etp.open(str(dump.path), executable=str(dump.executable), layout=str(path))


CROSS_FILE = """
[binaries]
c = ['aarch64-linux-gnu-gcc', '--sysroot={root}']
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
[properties]
sys_root = '{root}'
pkg_config_libdir = ['{root}/usr/lib/aarch64-linux-gnu/pkgconfig', '{root}/usr/share/pkgconfig']
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
"""


@pytest.fixture(scope="module")
def compiled():
    """Where etp is, compiled for aarch64 with the libraries of the root."""
    root = cores.root()
    directory = cores.BUILD / root.name
    with cores.lock(root.name):
        if not (directory / "build.ninja").exists():
            description = cores.BUILD / f"{root.name}.ini"
            description.write_text(CROSS_FILE.format(root=root))
            run("meson", "setup", directory, cores.ROOT, "--cross-file", description)
        run("ninja", "-C", directory, "src/python/_etp.abi3.so")
    return directory


def test_units_are_right_on_aarch64(compiled):
    """The tests in C; without those that look at other processes, which qemu-user lets nobody do."""
    tests = json.loads(run("meson", "introspect", "--tests", compiled))
    chosen = [test for test in tests if "etp:processes" not in test["suite"]]
    assert 0 < len(chosen) < len(tests)
    run("ninja", "-C", compiled, *{name for test in chosen for name in built_for(test, compiled)})
    for test in chosen:
        run(*cores.inside_root(), *test["cmd"], cwd=compiled)


def built_for(test, directory):
    """Paths of the programs that a test runs or reads, as ninja names them."""
    for word in test["cmd"]:
        path = (directory / word).resolve()
        if directory in path.parents:
            yield path.relative_to(directory)


@pytest.fixture(scope="module")
def native_core():
    """Of this machine's own Erlang, with its beam.smp, because the root has another one in its place."""
    # In the checkout, which is in the root, too.
    with tempfile.TemporaryDirectory(dir=cores.BUILD) as name:
        directory = Path(name)
        run(cores.MAKE_CORE, "demo", "--output", directory)
        about = json.loads((directory / "about.json").read_text())
        executable = directory / "beam.smp"
        shutil.copyfile(about["executable"], executable)
        yield directory / "core", executable


def run(*command, **options):
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


QUESTIONS = [
    ["etp-info"],
    ["etp-ets-tables", "--limit", "all"],
    ["etp-processes", "--limit", "all"],
    ["etp-ets-leaks"],
    ["etp-bins", "--limit", "all"],
    ["etp-schedulers"],
    ["etp-hung"],
]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda words: words[0])
@pytest.mark.parametrize("of", ["aarch64", "x86_64"])
def test_etp_on_aarch64_says_the_same(dump, native_core, compiled, question, of, form, tmp_path):
    files = (dump.path, dump.executable) if of == "aarch64" else native_core
    # Each machine has other libraries, which etp-info names; neither shall find any.
    words = ["-m", "etp", f"--sysroot={tmp_path}", *files, *question]
    if form == "json":
        words.append("--json")
    there = [*cores.inside_root(), "env", f"ETP_BUILD_DIR={compiled}", "/usr/bin/python3", *words]
    here = ["env", f"ETP_BUILD_DIR={cores.BUILD}", sys.executable, *words]
    plugin = cores.ROOT / "plugin"
    answer = run(*here, cwd=plugin)
    assert answer
    assert run(*there, cwd=plugin) == answer
