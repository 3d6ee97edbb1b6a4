# SPDX-License-Identifier: Apache-2.0
"""What signals other than messages hold, and what is kept for the message that they will become."""

import pytest

import cores
import etp
from etp import paths, processes
from marker import marker

TEXT = {"syntax": "p", "width": 0}


@pytest.fixture(scope="module", params=["stripped", "dwarf", "emu"])
def sent(request, core):
    dump: cores.Core = core("signals", flavor=request.param)
    return dump, etp.open(core=str(dump.path), executable=str(dump.executable))


def test_each_binary_is_found_by_its_way(sent):
    dump, vm = sent
    expect, also = (dump.truth.workload["expect"][key] for key in ("paths", "others"))
    census = vm.native.census()
    assert census.binaries(unaccounted=True) == []
    assert [p["problem"] for p in census.processes if p["unreadable"]] == []
    found = {}
    for binary in census.binaries():
        kind = marker(vm, binary)
        if kind is not None:
            holding, *others = sorted(
                paths.holdings_of_binary(vm, binary, TEXT), key=lambda one: one.kind != "process"
            )
            assert holding.label.endswith(f"sent_{kind}")
            assert [one.label for one in others] == ([also[kind]] if kind in also else [])
            found[kind] = [path.text(TEXT) for path in holding.paths]
    assert found == {kind: [path] for kind, path in expect.items()}


@pytest.mark.parametrize(
    "kind, text",
    [
        ("exit", "{'EXIT',<"),
        ("exit_linked", "{'EXIT',<"),
        ("monitor_down", "{'DOWN',#Ref<"),
    ],
)
def test_signal_says_what_it_will_become(sent, kind, text):
    _, vm = sent
    process = vm.find_process(f"sent_{kind}")
    (signal,) = [m for m in processes.messages(vm, process) if m.signal == kind]
    assert signal.kind == "signal" and signal.queue == "outer"
    assert signal.term.format(**TEXT).startswith(text)
    assert str(signal.sender) in signal.term.format(**TEXT)
    assert "{reason,<<" in signal.term.format(**TEXT)
