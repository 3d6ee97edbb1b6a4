# SPDX-License-Identifier: Apache-2.0
"""A core of aarch64, looked at on x86-64: what it is, and that layouts of another machine are not taken for it.

With --otp 25-arm64 only: the VM runs in an emulator, which takes a minute to write its core.
"""

import re

import pytest

import cores
import etp

pytestmark = pytest.mark.skipif(
    "-" not in (cores.release or ""), reason="no --otp of another machine's root"
)
LAYOUTS = sorted((cores.ROOT / "plugin" / "etp" / "layouts").glob("*.json"))


@pytest.fixture(scope="module")
def dump(core):
    return core("terms")


def test_it_is_told_what_it_is(dump):
    """Release, version and flavor come from the memory of the core by the symbols of a stripped beam.smp."""
    with pytest.raises(etp.Error) as raised:
        etp.open(str(dump.path), executable=str(dump.executable))
    system = dump.truth.system
    said = str(raised.value)
    assert f"OTP {system['otp_release']}, ERTS {system['erts_version']}, aarch64, jit" in said
    assert re.search(r"build-id [0-9a-f]{40}", said)


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_layouts_of_another_machine_are_refused(dump, path):
    """Even one of the same release, version and flavor, which differs by a word in Process."""
    with pytest.raises(etp.Error, match="is for x86_64, and this VM ran on aarch64"):
        etp.open(str(dump.path), executable=str(dump.executable), layout=str(path))
