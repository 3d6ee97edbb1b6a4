# SPDX-License-Identifier: Apache-2.0
"""The Python above the binding, tested on made-up numbers: no core and no debugger."""

import sys
import types

import pytest

try:
    from etp import _binding  # noqa: F401 - the real one, when it is built
except ImportError:
    stand_in = types.ModuleType("_etp")
    stand_in.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    sys.modules["_etp"] = stand_in

from fakes import FakeContext, FakeNative  # noqa: E402 - needs _etp


@pytest.fixture
def native():
    return FakeNative()


@pytest.fixture
def context(native):
    return FakeContext(native)
