# SPDX-License-Identifier: Apache-2.0
"""Fixtures, and the paths by which the tests import the package under test from the source tree and the build."""

import sys
from contextlib import ExitStack
from functools import cache

import pytest

import cores

sys.path.insert(0, str(cores.ROOT / "plugin"))
if (extension := cores.extension_directory()) is not None:
    sys.path.insert(0, str(extension))


def pytest_addoption(parser):
    parser.addoption(
        "--otp",
        metavar="RELEASE",
        help="run VMs of this OTP release, in the root that scripts/add-release made (default: the installed Erlang)",
    )
    parser.addoption(
        "--thorough", action="store_true", help="run what takes long, too: reading a whole ejabberd"
    )
    parser.addoption(
        "--soak",
        metavar="ROUNDS",
        type=int,
        default=20,
        help="how often to attach to a VM, analyse it, and let it run (default: 20)",
    )


def pytest_configure(config):
    cores.release = config.getoption("--otp")


@pytest.fixture(scope="session")
def core():
    """core(workload, flavor="stripped"|"dwarf"|"emu", method="abort"|"gcore", elixir="auto"|"yes"|"no", **args)

    A cores.Core: its path, its executable and the truth about it. The truth of a core is read once a session.
    """
    return cache(cores.make)


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """live(workload, flavor="stripped"|"dwarf"|"emu", **args)

    A cores.Live: a VM that has written down the truth and goes on, until the end of the session.
    """
    with ExitStack() as started:

        @cache
        def start(workload, **options):
            vm = cores.start(workload, tmp_path_factory.mktemp(workload), **options)
            started.callback(vm.close)
            return vm

        yield start
