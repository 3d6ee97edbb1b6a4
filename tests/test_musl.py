# SPDX-License-Identifier: Apache-2.0
"""Cores of a VM that was built for musl and stripped of all but .dynsym, as those of Alpine are, against what it said.

No layout for musl is shipped: that of glibc is used, less what glibc keeps in a mutex. Only where scripts/build-beam has
made the emulator.
"""

import json
import subprocess

import pytest

import _etp
import cores
import etp
import test_terms
from native import open_vm
from reader import Reader

# These run on the cores of this file's `case`.
from test_census import test_binaries_of_every_process, test_every_reference_is_found
from test_ets import (
    test_all_tables_are_there,
    test_binaries_of_every_table,
    test_every_row,
    test_info_of_every_table,
    test_row_counts,
)
from test_processes import test_every_item_of_every_process, test_list_agrees_with_info

pytestmark = pytest.mark.skipif(
    not cores.built_beam(cores.MUSL).exists(),
    reason=f"no {cores.built_beam(cores.MUSL)}; scripts/build-beam --flavor musl makes it",
)
LAYOUTS = cores.ROOT / "plugin" / "etp" / "layouts"


@pytest.fixture(scope="module", params=["terms", "ets_kinds", "healthy"])
def case(request, core):
    dump = core(request.param, flavor=cores.MUSL)
    return dump, open_vm(dump)


@pytest.fixture(scope="module")
def dump(core):
    return core("terms", flavor=cores.MUSL)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """Made of the debug information of the same build."""
    path = tmp_path_factory.mktemp("layouts") / "musl.json"
    extract = cores.ROOT / "scripts" / "extract-layout"
    beam = cores.built_beam(cores.MUSL)
    # A program with sanitizers brings their runtime itself.
    subprocess.run([extract, beam, "-o", path], check=True, env=cores.ENVIRONMENT)
    return path


def shipped():
    (path,) = LAYOUTS.glob(f"otp-{cores.otp_release()}-*-x86_64-emu.json")
    return path


def test_every_row_in_every_syntax(dump):
    test_terms.test_every_row_in_every_syntax((dump, open_vm(dump)))


def test_the_layout_of_glibc_is_used_and_said_to_be(dump):
    info = open_vm(dump).info()
    assert str(shipped()) in info["layout_source"]
    (warning,) = [text for text in info["warnings"] if "for musl" in text]
    assert "That of ERTS" in warning and "who holds a mutex is not known" in warning


def test_only_the_mutex_is_of_the_c_library(layout):
    """Debug information of both says that all else is at the same place."""
    glibc, musl = (json.loads(path.read_text())["structs"] for path in (shipped(), layout))
    assert glibc["erts_mtx_t"].pop("members") != musl["erts_mtx_t"].pop("members")
    assert glibc == musl


def test_a_mutex_of_glibc_is_not_read(dump, layout):
    """Neither with the layout that was chosen, nor with one that is given. That of musl knows no more."""
    target = dict(core=str(dump.path), executable=str(dump.executable))
    counts = []
    for options in ({}, {"layout": str(shipped())}, {"layout": str(layout)}):
        locks, gaps = _etp.VM(**target, layout_directories=[str(LAYOUTS)], **options).locks()
        assert gaps > 0
        counts.append((locks, gaps))
    assert counts[0] == counts[1] == counts[2]


def test_a_layout_for_musl_is_taken_for_the_build(dump, layout):
    target = dict(core=str(dump.path), executable=str(dump.executable))
    info = _etp.VM(**target, layout_directories=[str(layout.parent), str(LAYOUTS)]).info()
    assert str(layout) in info["layout_source"]
    assert not [text for text in info["warnings"] if "for musl" in text]


def test_another_size_of_mutex_is_not_taken(dump, tmp_path):
    """As on aarch64, where that of glibc has 48 bytes."""
    other = json.loads(shipped().read_text())
    other["structs"]["erts_mtx_t"]["size"] = 48
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(_etp.Error, match="other options: libc=gnu instead of musl"):
        _etp.VM(
            core=str(dump.path), executable=str(dump.executable), layout_directories=[str(tmp_path)]
        )


def test_its_layouts_are_listed(dump):
    vm = etp.open(str(dump.path), executable=str(dump.executable))
    text = " ".join(Reader(vm).run("etp-layouts").split())
    assert f"{shipped().name}: fits, in use: is for a build with other options: libc=gnu" in text
