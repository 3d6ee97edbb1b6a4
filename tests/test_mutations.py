# SPDX-License-Identifier: Apache-2.0
"""Thousands of damaged cores: see mutate.py.  ETP_MUTATIONS is how many of each workload (default 60)."""

import os
import subprocess

import pytest

import cores

COUNT = int(os.environ.get("ETP_MUTATIONS", "60"))
SEED = int(os.environ.get("ETP_MUTATIONS_SEED", "1"))
WORKLOADS = [
    "terms",
    "ets_pins",
    "ets_dead_pids",
    "ets_kinds",
    "holders",
    "collections",
    "distributed",
]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_damaged_cores(core, workload):
    dump = core(workload)
    command = ["/usr/bin/python3", str(cores.ROOT / "tests" / "mutate.py"), str(dump.path)]
    command += ["--executable", str(dump.executable), "--count", str(COUNT), "--seed", str(SEED)]
    # A busy machine may try fewer in its 15 seconds, unless more were asked for.
    if "ETP_MUTATIONS" not in os.environ:
        command += ["--seconds", "15"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(result.stdout)
    assert result.returncode == 0, result.stdout
    assert "mutations of" in result.stdout and "0 failed" in result.stdout
