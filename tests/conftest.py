# SPDX-License-Identifier: Apache-2.0
"""Fixtures, and the paths by which the tests import the package under test from the source tree and the build."""

import sys
from functools import cache

import pytest

import cores

sys.path.insert(0, str(cores.ROOT / "plugin"))
if (extension := cores.extension_directory()) is not None:
    sys.path.insert(0, str(extension))


@pytest.fixture(scope="session")
def core():
    """core(workload, flavor="stripped"|"dwarf"|"emu", method="abort"|"gcore", elixir="auto"|"yes"|"no", **args)

    A cores.Core: its path, its executable and the truth about it. The truth of a core is read once a session.
    """
    return cache(cores.make)
