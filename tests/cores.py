# SPDX-License-Identifier: Apache-2.0
"""Real cores for the tests, and the truth that each VM wrote down about itself before it was dumped.

A core is made once and kept in build/cores until something that it was made from changes.

The VMs are those of the installed Erlang, or with `pytest --otp RELEASE` those of a root that scripts/add-release made.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("ETP_BUILD_DIR", ROOT / "build")).resolve()
COREFILES = ROOT / "corefiles"
MAKE_CORE = COREFILES / "make-core"

IN_ROOT = ROOT / "scripts" / "in-root"
CACHE = Path(os.environ.get("ETP_CACHE_DIR") or Path.home() / ".cache" / "etp").resolve()

# Where scripts/build-beam leaves the emulators that it builds: both with debug information, one with each loader.
BUILT_BEAMS = {"dwarf": "jit", "emu": "emu"}

# The flavor that is built when it is asked for, and stripped as Alpine does it.
MUSL = "musl"

# The release 1.N of Elixir from which on it can run these workloads: 1.12 brought ranges with a step, 1.14 the
# PartitionSupervisor.
NEEDED_ELIXIR = {"db_connections": 12, "elixir_otp": 14, "elixir_terms": 12, "inspected": 12}

# Releases of OTP that brought what these workloads are about.
NEEDED_OTP = {"priority_messages": 28}

# Asking a process for most of the items of process_info/2 is a signal, and handling it costs a reduction or two.
REDUCTIONS_OF_A_QUESTION = 2

# Processes of ERTS that may do something between asking and dumping: the first handles the signals of processes on dirty
# schedulers, such as the writer of the truth's file; the others hibernate after a minute without a request.
BUSY_BY_THEMSELVES = {
    "erts_dirty_process_signal_handler",
    "erts_code_purger",
    "erts_literal_area_collector",
    "erts_trace_cleaner",
}

# What VMs are started with: a library that is loaded into the tests (scripts/sanitize) is none of theirs.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}

# The OTP release under test, "27", "25-arm64" if it is for another machine, or None for the installed Erlang.
release: Optional[str] = None

Line = Dict[str, Any]


class Truth:
    """The lines of truth.jsonl; corefiles/README.md says what they hold."""

    def __init__(self, path: Path):
        self.by_kind: Dict[str, List[Line]] = defaultdict(list)
        with open(path, encoding="utf-8") as lines:
            for text in lines:
                line = json.loads(text)
                self.by_kind[line["kind"]].append(line)

    @property
    def workload(self) -> Line:
        return self.by_kind["workload"][0]

    @property
    def system(self) -> Line:
        return self.by_kind["system"][0]

    @property
    def atoms(self) -> List[str]:
        """`~tw` of each atom, at its index."""
        return self.by_kind["atoms"][0]["names"]

    @cached_property
    def tables(self) -> Dict[str, Line]:
        """Table lines by the reference as the VM prints it."""
        return self._index("table", "table")

    @cached_property
    def leaks(self) -> Dict[str, Line]:
        return self._index("leak", "table")

    @cached_property
    def digests(self) -> Dict[str, Line]:
        return self._index("digest", "table")

    @cached_property
    def processes(self) -> Dict[str, Line]:
        """Process lines by pid, `<0.1.0>`."""
        return self._index("process", "pid")

    @cached_property
    def ports(self) -> Dict[str, Line]:
        return self._index("port", "port")

    @cached_property
    def rows_of(self) -> Dict[str, List[Line]]:
        """Row lines by the table's reference, in the order of ets:tab2list/1."""
        rows = defaultdict(list)
        for row in self.by_kind["row"]:
            rows[row["table"]].append(row)
        return rows

    def table(self, name: str) -> Line:
        """The table of that name, which must be the only one."""
        found = [table for table in self.tables.values() if table["name"] == name]
        assert len(found) == 1, f"{len(found)} tables are named {name}"
        return found[0]

    def process(self, registered_name: str) -> Line:
        found = [p for p in self.processes.values() if p["registered_name"] == registered_name]
        assert len(found) == 1, f"{len(found)} processes are registered as {registered_name}"
        return found[0]

    def _index(self, kind: str, key: str) -> Dict[str, Line]:
        return {line[key]: line for line in self.by_kind[kind]}


class Core:
    """A core, the executable it came from, and the truth about it."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.path = directory / "core"
        self.about: Line = json.loads((directory / "about.json").read_text())
        # As the VM knew it, and where it is on this machine.
        self.mapped_executable = Path(self.about["executable"])
        self.executable = outside(self.mapped_executable)

    @cached_property
    def truth(self) -> Truth:
        return Truth(self.directory / "truth.jsonl")

    def __repr__(self) -> str:
        return f"<Core {self.path}>"


def outside(path: Path) -> Path:
    """Where a path of the root in which a VM ran is on this machine."""
    directory = root()
    if directory is None or BUILD in path.parents:
        return path
    return directory / path.relative_to("/")


def workloads() -> List[str]:
    return subprocess.run(
        [str(MAKE_CORE), "--list"], check=True, capture_output=True, text=True
    ).stdout.split()


@cache
def roots() -> Dict[str, Path]:
    """The roots of other suites by the OTP release that is in them; "25-arm64" if it is for another machine than this."""
    found = {}
    machine = machine_of(Path("/bin/sh"))
    for path in sorted((CACHE / "roots").glob("*/usr/lib/erlang/releases/[0-9]*/OTP_VERSION")):
        directory = path.parents[5]
        name = path.parent.name
        if machine_of(directory / "bin" / "sh") != machine:
            name += "-" + directory.name.rpartition("-")[2]
        found[name] = directory
    return found


def machine_of(executable: Path) -> int:
    """e_machine of an ELF file."""
    with open(executable, "rb") as file:
        return int.from_bytes(file.read(20)[18:], "little")


def machine() -> str:
    """Of the VMs under test, as layout files call it."""
    return {62: "x86_64", 183: "aarch64"}[machine_of(installed_beam())]


def is_emulated() -> bool:
    """The VMs under test are for another machine, and run in qemu-user."""
    return "-" in (release or "")


@cache
def installed_release() -> str:
    """That of the installed Erlang."""
    code = "io:put_chars(erlang:system_info(otp_release)), halt()."
    return subprocess.run(
        ["erl", "-noinput", "-eval", code],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def otp_release() -> str:
    """That of the VMs under test, without the machine."""
    return release.partition("-")[0] if release else installed_release()


def root() -> Optional[Path]:
    """The root that VMs run in, None for this machine's own."""
    if release is None:
        return None
    assert release in roots(), (
        f"there is no root with OTP {release} in {CACHE / 'roots'}, only {sorted(roots())}; "
        "scripts/add-release SUITE makes one"
    )
    return roots()[release]


def inside_root() -> List[str]:
    """What to put before a command that is to run where the VMs run."""
    return [] if release is None else [str(IN_ROOT), str(root())]


@cache
def installed_beam() -> Path:
    """The beam.smp that `erl` runs, which Debian strips."""
    if (directory := root()) is not None:
        (found,) = directory.glob("usr/lib/erlang/erts-*/bin/beam.smp")
        return found
    code = 'io:format("~ts/erts-~ts/bin/beam.smp", [code:root_dir(), erlang:system_info(version)]), halt().'
    try:
        result = subprocess.run(
            ["erl", "-noinput", "-eval", code],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise AssertionError(
            "erl was looked for in PATH and not found; on Debian: apt install erlang-base"
        ) from None
    return Path(result.stdout)


@cache
def elixir_version() -> str:
    """Of the Elixir that VMs can run."""
    if (directory := root()) is not None:
        home = directory / "usr" / "lib" / "elixir"
    else:
        home = Path(shutil.which("elixir") or "/").resolve().parent.parent
    found = re.search(
        r'\{vsn,\s*"([^"]+)"', (home / "lib" / "elixir" / "ebin" / "elixir.app").read_text()
    )
    assert found, f"there is no version of Elixir in {home}"
    return found[1]


def elixir_minor() -> int:
    return int(elixir_version().split(".")[1])


def same_floats(text: str) -> str:
    """A printed term in which floats of equal value look alike.

    OTP 23 prints -0.0 as 0.0, and those from 2^53 on without an exponent; what etp prints can be read back, as of later
    releases.
    """
    if otp_release() != "23":
        return text
    return re.sub(r"-?\d+\.\d+(e[+-]?\d+)?", lambda found: repr(float(found[0]) + 0.0), text)


def built_beam(flavor: str) -> Path:
    """Where scripts/build-beam or scripts/add-release leaves the emulator `jit` or `emu` of the release under test."""
    directory = root()
    suite = () if directory is None else (directory.name,)
    return BUILD.joinpath("beam", *suite, flavor, "beam.smp")


def has_jit() -> bool:
    """OTP 23 has none."""
    return otp_release() != "23"


def has_aliases() -> bool:
    """And the options of monitor/3; since OTP 24."""
    return otp_release() != "23"


def beam(flavor: str) -> Path:
    """`stripped` is the installed beam.smp; `dwarf` and `emu` are built by scripts/build-beam, with debug information."""
    if flavor == "stripped":
        return installed_beam()
    if flavor == MUSL:
        return musl_beam()
    variable = f"ETP_BEAM_{flavor.upper()}"
    path = Path(os.environ.get(variable, built_beam(BUILT_BEAMS[flavor])))
    assert path.exists(), (
        f"these tests need a beam.smp of flavor {flavor!r}: {path} does not exist; "
        f"run scripts/build-beam, or set {variable} to one"
    )
    return path


@cache
def musl_beam() -> Path:
    """That of musl, of which `strip --strip-all` has left .dynsym."""
    whole = built_beam(MUSL)
    if not whole.exists():
        pytest.skip(f"{whole} is not there; scripts/build-beam --flavor {MUSL} makes it")
    stripped = whole.parent / "stripped" / "beam.smp"
    with lock(MUSL):
        if not stripped.exists() or stripped.stat().st_mtime < whole.stat().st_mtime:
            stripped.parent.mkdir(exist_ok=True)
            subprocess.run(["strip", "--strip-all", whole, "-o", stripped], check=True)
    return stripped


def make(
    workload: str,
    flavor: str = "stripped",
    method: str = "abort",
    elixir: str = "auto",
    flags: Tuple[str, ...] = (),
    **args: Union[int, str],
) -> Core:
    """The core of a workload, from build/cores if nothing that it depends on has changed since it was made."""
    if flavor == "dwarf" and not has_jit():
        # There is one build with DWARF, not two.
        flavor = "emu"
    if workload in NEEDED_ELIXIR and elixir_minor() < NEEDED_ELIXIR[workload]:
        pytest.skip(f"Elixir {elixir_version()} cannot run the workload {workload}")
    if workload in NEEDED_OTP and int(otp_release()) < NEEDED_OTP[workload]:
        pytest.skip(f"{workload} needs OTP {NEEDED_OTP[workload]}")
    if is_emulated() and method == "gcore":
        pytest.skip("gcore would dump the emulator")
    inside = inside_root()
    command = [*inside, str(MAKE_CORE), workload, "--method", method, "--elixir", elixir]
    if flavor != "stripped":
        command += ["--beam", str(beam(flavor))]
    command += [f"--flag={flag}" for flag in flags]
    for key, value in sorted(args.items()):
        command += ["--arg", f"{key}={value}"]
    family = f"{workload}-{flavor}-{method}-" + digest(release or "", *command[1 + len(inside) :])
    directory = BUILD / "cores" / f"{family}-{digest(*ingredients(workload, flavor))}"
    with lock(family):
        if not (directory / "about.json").exists():
            run(command, directory)
            forget_others(family, directory)
    return Core(directory)


class Live(Core):
    """A VM that runs, and the truth about it."""

    def __init__(self, directory: Path, maker: "subprocess.Popen[bytes]"):
        super().__init__(directory)
        self.pid: int = self.about["pid"]
        self._maker = maker

    def ask(self) -> Line:
        """What the VM answers now. It must be running."""
        answer = self.directory / "answer"
        answer.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR2)
        # It writes to a disk that others may keep busy.
        deadline = time.monotonic() + 300
        while not answer.exists():
            assert time.monotonic() < deadline, f"the VM {self.pid} does not answer any more"
            time.sleep(0.01)
        line: Line = json.loads(answer.read_text())
        return line

    def is_traced(self) -> bool:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return "TracerPid:\t0\n" not in status

    def close(self) -> None:
        assert self._maker.stdin
        self._maker.stdin.close()
        self._maker.wait(timeout=30)


def start(
    workload: str,
    directory: Path,
    flavor: str = "stripped",
    executable: Optional[Path] = None,
    **args: Union[int, str],
) -> Live:
    """A VM that has written down the truth, and goes on."""
    command = [str(MAKE_CORE), workload, "--method", "live", "--output", str(directory)]
    if flavor != "stripped" or executable:
        command += ["--beam", str(executable or beam(flavor))]
    for key, value in sorted(args.items()):
        command += ["--arg", f"{key}={value}"]
    return Live(directory, start_maker(command, directory))


def start_maker(command: List[str], directory: Path) -> "subprocess.Popen[bytes]":
    """make-core, when the VM that it started has written down the truth."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "make-core.log"
    with open(log, "wb") as output:
        maker = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=output, stderr=output
        )
    while not (directory / "about.json").exists():
        assert maker.poll() is None, f"{' '.join(command)} failed:\n{log.read_text()}"
        time.sleep(0.02)
    return maker


def ingredients(workload: str, flavor: str) -> Iterator[Union[bytes, str]]:
    for source in sorted(
        [
            MAKE_CORE,
            *COREFILES.glob("truth*.erl"),
            *COREFILES.glob(f"{workload}.*"),
            *COREFILES.glob(f"{workload}_nif.c"),
        ]
    ):
        yield source.read_bytes()
    stat = beam(flavor).resolve().stat()
    yield f"{stat.st_size} {stat.st_mtime_ns}"


def digest(*parts: Union[bytes, str]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
        whole.update(b"\0")
    return whole.hexdigest()[:10]


def run(command: List[str], directory: Path) -> None:
    patience = ["--timeout", "3600"] if is_emulated() else []
    result = subprocess.run(
        [*command, *patience, "--output", str(directory)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(command)} failed:\n{result.stdout}")


def forget_others(family: str, directory: Path) -> None:
    """Cores are large: an older one of the same family is of no use any more."""
    for other in directory.parent.glob(f"{family}-*"):
        if other != directory and other.is_dir():
            shutil.rmtree(other)


@contextmanager
def lock(family: str) -> Iterator[None]:
    """Two test processes must not make the same core at once."""
    (BUILD / "cores").mkdir(parents=True, exist_ok=True)
    with open(BUILD / "cores" / f"{family}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def extension_directory() -> Optional[Path]:
    """Where the build left the Python extension `_etp`."""
    for directory in (BUILD, BUILD / "src" / "python", BUILD / "plugin"):
        if any(directory.glob("_etp*.so")):
            return directory
    return None
