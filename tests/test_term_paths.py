# SPDX-License-Identifier: Apache-2.0
"""Paths into terms of real cores: those that a workload names, and those that etp-who tells."""

import pytest

import cores
from etp import otp, paths, process_path
from etp.errors import Problem
from etp.term_path import completions, parse, walk
from etp.vm import VM

FLAVORS = ["stripped", "dwarf", "emu"]
TEXT = {"syntax": "p", "width": 0}


def open_vm(dump: cores.Core) -> VM:
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module", params=FLAVORS)
def dump(request, core):
    return core("otp_states", flavor=request.param)


@pytest.fixture(scope="module")
def state(dump):
    vm = open_vm(dump)
    return otp.state(vm, vm.find_process("otp_states_paths")).term


def test_paths_lead_where_the_workload_says(dump, state):
    said = dump.truth.workload["expect"]["paths"]
    assert len(said) > 30
    for path, value in said:
        assert walk(state, parse(path)).format(syntax="w") == value, path


@pytest.mark.parametrize(
    "path, text",
    [
        (".mod_stat", "no .mod_stat: the term is a map with 12 keys; the nearest is .mod_state. There are: "),
        (".mod_state.state.cursor", "no step 3, .cursor: .mod_state.state is a map with 2 keys; the nearest is .cursors"),
        (".mod_state.state.cursors[1001]", ".mod_state.state.cursors is a map with 1,000 keys; the nearest is [1"),
        (".tuple{4}", "no step 2, {4}: .tuple is a tuple with 3 elements. There are: {1} to {3}."),
        (".list[4]", "[4]: .list is a list with 4 elements"),
        (".list[5..]", "[5..]: "),
        (".improper[2]", "[2]: .improper is a list"),
        (".mod_state.opts.prt", "is a list with 2 elements. There are: .port."),
        ('["binary"].x', 'no step 2, .x: ["binary"] is an atom.'),
        (".fun fun(2)", "is a fun"),
    ],
)  # fmt: skip
def test_errors_say_which_step_and_what_there_is(state, path, text):
    with pytest.raises(Problem) as error:
        walk(state, parse(path))
    assert text in str(error.value)


def test_errors_hide_keys_that_are_no_atoms(state):
    with pytest.raises(Problem) as error:
        walk(state, parse(".x"), redact=True)
    assert "binary" not in str(error.value) and ".mod_state" in str(error.value)
    assert not any("binary" in step for step in completions(state, "", redact=True))


def test_completion(state):
    assert completions(state, ".mod") == [".mod_state"]
    assert completions(state, ".mod_state.state.") == [
        ".mod_state.state.__struct__",
        ".mod_state.state.cursors",
    ]
    assert '[<<"binary">>]' in completions(state, "[")
    numbers = [99, *range(990, 1000)]
    found = completions(state, ".mod_state.state.cursors[99")
    assert sorted(found) == sorted(f".mod_state.state.cursors[{n}]" for n in numbers)
    assert completions(state, ".tup") == [".tuple"]
    assert completions(state, ".tuple") == [".tuple{1}", ".tuple{2}", ".tuple{3}", ".tuple"]
    assert completions(state, ".tuple{") == [".tuple{1}", ".tuple{2}", ".tuple{3}"]
    assert completions(state, ".nothing.") == []


@pytest.mark.parametrize("flavor", FLAVORS)
def test_paths_of_etp_who_can_be_pasted(core, flavor):
    """What etp-who tells of what processes hold leads to the very term."""
    vm = open_vm(core("holders", flavor=flavor))
    census = vm.native.census()
    pasted = set()
    for binary in census.binaries():
        for holding in paths.holdings_of_binary(vm, binary, TEXT, 3):
            for path in holding.paths:
                if holding.kind != "process" or path.root not in process_path.ROOTS_OF:
                    continue
                if "holds_for_alias" in holding.label:
                    # The message is in a tuple of the VM's own until it arrives.
                    continue
                process = vm.process(holding.address)
                found = process_path.find(vm, process, path.text(TEXT))
                # The path may end at the binary that a sub-binary is a part of.
                assert found == path.target or found.binary()["address"] == binary["address"]
                pasted.add(path.root)
    assert {"dictionary", "message", "message_in_transit"} <= pasted
