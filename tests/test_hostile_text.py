# SPDX-License-Identifier: Apache-2.0
"""What a core says never acts on a terminal, and `set etp redact on` shows none of it.

Looks at the bytes that a real gdb writes.
"""

import os
import re
import subprocess
import unicodedata
from pathlib import Path
from typing import List

import pytest

import cores

PLUGIN = cores.ROOT / "plugin" / "etp-gdb.py"
TABLES = ["hostile_pins", "vault", "vault_compressed", "vault_keys"]
SECRETS = [b"s3cr3t", b"customer", b"7370387713", b"73703877.13", b"7.370387713"]
#: As lists of characters and as bytes of binaries.
SECRETS += [b"115,51,99,114,51,116", b"115, 51, 99, 114, 51, 116", b"of_the"]


@pytest.fixture(scope="module")
def hostile(core) -> cores.Core:
    return core("hostile_text")


def commands() -> List[str]:
    found = ["etp-info", "etp-info --verbose", "etp-bins --limit 0", "etp-bins --sort waste"]
    found += ["etp-ets-tables --limit 0", "etp-ets-tables --columns all", "etp-ets-leaks"]
    found += ["etp-ets-leaks --explain", "etp-bin-leaks --all --limit 0", "etp-memory"]
    for table in TABLES:
        found += [f"etp-ets-show {table} --limit 0", f"etp-ets-show {table} --raw"]
    found += ["etp-info --json", "etp-bins --json", "etp-ets-tables --json", "etp-ets-leaks --json"]
    found += ["etp-bin-leaks --all --limit 0 --json", "etp-bins --unaccounted --json"]
    found += [f"etp-ets-show {table} --limit 0 --json" for table in TABLES]
    for line in (
        "etp-state vault_state", "etp-state vault_state .values", "etp-state vault_state .hostile[3]",
        "etp-supervision vault_sup", "etp-registry --limit 0", "etp-registry --kind global",
    ):  # fmt: skip
        found += [line, f"{line} --json"]
    # Errors speak of names, too.
    found += [
        "etp-state vault_state .nothing",
        "etp-state vault_state .values[3].x",
        "etp-supervision x",
    ]
    found += ["etp-ets-show valt", "etp-ets-show no_such_table", "etp <0.99999.0>", "etp 0x1234567"]
    found += ["etp-ets-show vault --key {1,x}", "etp-ets-show vault --key 16"]
    return found


def gdb_bytes(executable: Path, core: Path, settings: List[str], asked: List[str]) -> bytes:
    """What gdb writes for the commands, without its own greeting."""
    line = ["gdb", "-nx", "-batch", "-x", str(PLUGIN), str(executable), str(core)]
    for command in [*settings, "echo BEGIN-OF-OUTPUT\\n", *asked]:
        line += ["-ex", command]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    result = subprocess.run(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    assert result.returncode >= 0 and b"Traceback" not in result.stdout, result.stdout[-2000:]
    assert b"mistake in etp" not in result.stdout, result.stdout[-2000:]
    # Errors may come first, with gdb's greeting.  It ends in a line of source code: number, tab.
    return re.sub(rb"^\d+\t.*$", b"", result.stdout, flags=re.M)


def unsafe(text: bytes) -> List[str]:
    """Characters other than line ends that are no plain part of a line."""
    found = []
    for match in re.finditer(r"[^\n]", text.decode("utf-8", "surrogateescape")):
        category = unicodedata.category(match.group())
        if category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            around = match.string[max(0, match.start() - 40) : match.end() + 20]
            found.append(f"U+{ord(match.group()):04X} in {around!r}")
    return found


@pytest.mark.parametrize("syntax", ["erlang", "elixir"])
def test_terminal_is_safe(hostile, syntax):
    output = gdb_bytes(hostile.executable, hostile.path, [f"set etp syntax {syntax}"], commands())
    assert unsafe(output) == []
    assert b"owned" in output and b"s3cr3t" in output
    assert b"hostile_pins pins binaries" in output


@pytest.mark.parametrize("syntax", ["erlang", "elixir"])
def test_redact_shows_no_content(hostile, syntax):
    settings = [f"set etp syntax {syntax}", "set etp redact on"]
    output = gdb_bytes(hostile.executable, hostile.path, settings, commands())
    assert len(output) > 10000
    for secret in SECRETS:
        at = output.find(secret)
        assert at < 0, output[max(0, at - 200) : at + 100].decode("utf-8", "replace")
    assert unsafe(output) == []


def test_redact_still_says_what_leaks(hostile):
    output = gdb_bytes(hostile.executable, hostile.path, ["set etp redact on"], ["etp-ets-leaks"])
    assert b"vault pins binaries" in output


def test_command_line_and_paths(hostile, tmp_path):
    """Notes of the core with escapes in the command line and in the paths of files."""
    path = tmp_path / "core"
    subprocess.run(
        ["cp", "--reflink=auto", "--sparse=always", str(hostile.path), str(path)], check=True
    )
    with open(path, "r+b") as file:
        head = file.read(1 << 20)
        for text in (
            b"beam.smp -S",
            b"/lib/x86_64-linux-gnu/libc.so.6\0",
            b"libtinfo.so",
            b"libm.so",
        ):
            for match in re.finditer(re.escape(text), head):
                file.seek(match.start())
                file.write(b"\x1b]0;\x07\xc2\x9b\r"[: len(text) - 1])
    asked = ["etp-info", "etp-info --verbose", "etp-info --json"]
    output = gdb_bytes(hostile.executable, path, [], asked).split(b"BEGIN-OF-OUTPUT")[-1]
    assert b"Erlang/OTP" in output
    assert unsafe(output) == []
