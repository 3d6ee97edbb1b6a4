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


#: Families of DBConnection of which the commands about pools are asked too.
FAMILIES = ["1.1", "2.10"]


def run(dump, seconds, count, *options):
    if "ETP_MUTATIONS" in os.environ:
        count = COUNT
    command = ["/usr/bin/python3", str(cores.ROOT / "tests" / "mutate.py"), str(dump.path)]
    command += ["--executable", str(dump.executable), "--count", str(count), "--seed", str(SEED)]
    command += options
    # A busy machine may try fewer in its time, unless more were asked for.
    if "ETP_MUTATIONS" not in os.environ:
        command += ["--seconds", str(seconds)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(result.stdout)
    assert result.returncode == 0, result.stdout
    assert "mutations of" in result.stdout and "0 failed" in result.stdout


@pytest.mark.parametrize("workload", WORKLOADS)
def test_damaged_cores(core, workload):
    run(core(workload), 15, COUNT)


@pytest.mark.parametrize("workload, how", [("ets_kinds", []), ("otp_states", ["--lossy"])])
def test_commands_on_damaged_cores(core, workload, how):
    """Every command of the registry."""
    run(core(workload), 12, 12, "--ask", "commands", *how)


@pytest.mark.parametrize("family", FAMILIES)
def test_pools_of_damaged_cores(core, family):
    """No traceback, and nothing of what was taken away is missing without a word."""
    run(core("db_connections", family=family), 8, 24, "--ask", "pools")
