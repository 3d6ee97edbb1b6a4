# SPDX-License-Identifier: Apache-2.0
"""scripts/bench runs to its end, and what it compares answers the same. How long anything takes is not asserted."""

import json
import os
import re
import subprocess

import cores
import pytest

#: As scripts/bench makes it, so that it takes this one.
TINY = {"rows": 2400, "processes": 200, "repeat": 1}


@pytest.fixture(scope="module")
def node(core):
    return core("large_node", **TINY)


def etp(node, *command):
    environment = {**os.environ, "PYTHONPATH": str(cores.ROOT / "plugin")}
    program = ["/usr/bin/python3", "-m", "etp", str(node.path), str(node.executable)]
    result = subprocess.run(
        [*program, *command, "--json"], env=environment, check=True, stdout=subprocess.PIPE
    )
    return json.loads(result.stdout)


def test_both_give_the_same_answer(node):
    (asked,) = node.truth.by_kind["asked"]
    tables = {table["name"]: table for table in etp(node, "ets-tables", "--binaries")["tables"]}
    found = [tables[name] for name in ("large_set", "large_tree")]
    assert sum(table["size"] for table in found) == TINY["rows"]
    # No two rows share a binary.
    assert sum(table["binary_bytes"] for table in found) == asked["fold"]["answer"]
    # The process that asked, and ended, was one of them.
    processes = etp(node, "processes", "--limit", "all")["processes"]
    assert len(processes) == asked["process_info"]["answer"] - 1


def test_prints_its_tables(node):
    command = [str(cores.ROOT / "scripts" / "bench"), "--size", "tiny", "--repeat", "1", "--keep"]
    command += ["--tables", "ratios,start,growth", "--commands", "ets-leaks"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "2,400 rows, 200 processes" in result.stdout
    rows = re.findall(r"^\| (`etp-.*|the same.*) \| [\d.]+ (?:m?s|µs|MiB)", result.stdout, re.M)
    assert len(rows) == 6 + 5 + 1 + 1, result.stdout
