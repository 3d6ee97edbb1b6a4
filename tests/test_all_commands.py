# SPDX-License-Identifier: Apache-2.0
"""What holds of every command that there is, whatever a core says: new ones are in by themselves."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

import command_lines
import cores
from etp.commands.registry import COMMANDS
from etp.errors import Problem
from etp.vm import VM
from reader import Reader
from test_hostile_text import SECRETS, unsafe

#: A call that changes something, and its path.
WRITES = re.compile(
    r"^(?:\d+ +)?(?:open\w*\(.*O_(?:WRONLY|RDWR|CREAT)|(?:unlink|rename|mkdir|link|symlink|ch\w+|mknod)\w*\()"
)
CALL = re.compile(r'(?:^\d+ +)?(\w+)\((?:AT_FDCWD(?:<[^>]*>)?, )?"([^"]*)"')
FAILED = re.compile(r"= -1 \w+")


def open_core(dump: cores.Core) -> VM:
    return VM.open(core=str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module")
def hostile(core) -> cores.Core:
    return core("hostile_text")


def test_terminal_is_safe(hostile, tmp_path):
    vm = open_core(hostile)
    lines = command_lines.Lines(vm, random.Random(1), str(tmp_path / "written")).of_all()
    told = command_lines.answers(vm, lines)
    # Of some there is nothing here to be told: pools, other nodes.
    refused = {line for line, text in told.items() if text.endswith("(could not be answered)")}
    assert len(refused) < len(lines) / 4
    found = {line: unsafe(text.encode()) for line, text in told.items()}
    assert {line: characters for line, characters in found.items() if characters} == {}


def test_redact_shows_no_content(hostile, tmp_path):
    vm = open_core(hostile)
    lines = command_lines.Lines(vm, random.Random(2), str(tmp_path / "written")).of_all()
    # What is typed is no content, and errors say it again.
    lines = [line for line in lines if not any(s.decode() in line[1] for s in SECRETS)]
    assert len(lines) > 50
    for line, text in command_lines.answers(vm, lines, redact=True).items():
        assert [s for s in SECRETS if s in text.encode()] == [], line


def test_every_order_goes_with_every_flag(hostile):
    """A flag may take away or bring the columns of an order."""
    reader = Reader(open_core(hostile))
    asked = 0
    for command in COMMANDS:
        if any(not argument.optional for argument in command.positionals()):
            continue
        options = command.options()
        flags = [[a.names[-1]] for a in options if a.kind == "flag" and a.names[-1] != "--help"]
        orders = [key for a in options if a.names[-1] == "--sort" for key in a.choices]
        for key in orders:
            for flag in [[], *flags]:
                try:
                    assert reader.run(command.name, "--sort", key, *flag)
                except Problem:
                    # Of pools and other nodes there is nothing here.
                    continue
                asked += 1
    assert asked > 200


SCRIPT = """
import random, sys
sys.path[:0] = {path!r}
import command_lines
from etp.vm import VM
vm = VM.open(core="core", executable={executable!r})
lines = command_lines.Lines(vm, random.Random(3), {written!r}).of_all()
print(len(command_lines.answers(vm, lines)))
"""


def traps(directory: Path) -> None:
    """What somebody who expects to be run, or loaded, could leave beside a core."""
    for name in (
        "sitecustomize.py", "_etp.py", "etp.py", "rich.py", "json.py", "inspectors/trap.py",
        ".gdbinit", ".lldbinit", ".erlang", "core-gdb.py", "beam.smp-gdb.py", "etp/inspectors/trap.py",
        "layouts/trap.json", "etp/layouts/trap.json", "libc.so.6", "beam.smp", "vars", "pyvenv.cfg",
    ):  # fmt: skip
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit(99)\n")
        path.chmod(0o755)


def test_nothing_is_run_loaded_or_written(hostile, tmp_path):
    """As the kernel sees it: one program runs, what lies beside the core is not opened, and nothing is
    written but what a command was told to."""
    beside, home, written = tmp_path / "dump", tmp_path / "home", tmp_path / "written"
    for directory in (beside, home):
        directory.mkdir()
    traps(beside)
    subprocess.run(
        ["cp", "--reflink=auto", "--sparse=always", hostile.path, beside / "core"], check=True
    )
    path = [str(cores.ROOT / "tests"), str(cores.ROOT / "plugin"), str(cores.extension_directory())]
    code = SCRIPT.format(path=path, executable=str(hostile.executable), written=str(written))
    log = tmp_path / "calls"
    result = subprocess.run(
        ["strace", "-f", "-y", "-s", "4096", "-e", "trace=%file,execve,execveat", "-o", str(log)]
        + ["/usr/bin/python3", "-I", "-B", "-c", code],
        cwd=beside,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) > 80
    calls = [line for line in log.read_text().splitlines() if not FAILED.search(line)]
    names = [found.groups() for line in calls if (found := CALL.match(line))]
    assert len(names) > 100
    assert [name for call, name in names if call.startswith("exec")] == ["/usr/bin/python3"]
    opened = {os.path.join(beside, name) for call, name in names if call.startswith("open")}
    assert {name for name in opened if name.startswith(str(beside) + "/")} == {f"{beside}/core"}
    wrote = [line for line in calls if WRITES.search(line) and not _is_harmless(line, written)]
    assert wrote == []


def _is_harmless(call: str, written: Path) -> bool:
    return any(f'"{name}' in call for name in (written, "/dev/null", "/dev/tty"))
