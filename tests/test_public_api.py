# SPDX-License-Identifier: Apache-2.0
"""The C library as others get it: public headers that stand alone, and a shared library."""

import subprocess

import pytest

import cores

HEADERS = sorted((cores.ROOT / "include" / "etp").glob("*.h"))


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_header_stands_alone(header):
    result = subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"]
        + ["-I", str(header.parent.parent), str(header)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_program_of_somebody_else(core):
    dump = core("demo")
    result = subprocess.run(
        [
            str(cores.BUILD / "tests" / "c" / "public_api"),
            str(dump.path),
            str(dump.executable),
            str(cores.ROOT / "plugin" / "etp" / "layouts"),
            "rooms",
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    tables = sorted(line[len("table ") :] for line in lines if line.startswith("table "))
    truth = dump.truth
    assert tables == sorted(f"{said['name']} {said['size']}" for said in truth.tables.values())
    first = truth.rows_of[truth.table("rooms")["table"]][0]["w"]
    assert [line for line in lines if line.startswith("row ")] == [f"row {first}"]
