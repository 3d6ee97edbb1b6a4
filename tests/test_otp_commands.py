# SPDX-License-Identifier: Apache-2.0
"""etp-state, and etp with paths, on a real core: in text, as JSON, redacted and completed."""

import re

import pytest

from etp.commands.line import complete
from etp.commands.registry import find
from etp.errors import Problem
from etp.vm import VM
from reader import Reader


@pytest.fixture(scope="module")
def truth(core):
    return core("otp_states").truth


@pytest.fixture(scope="module")
def vm(core):
    dump = core("otp_states")
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture
def reader(vm):
    return Reader(vm)


def test_state(reader, truth):
    text = reader.run("etp-state", "otp_states_named")
    pid = truth.process("otp_states_named")["pid"]
    # The loop has other arguments since OTP 28.
    assert re.fullmatch(
        f"{pid} otp_states_named: gen_server otp_states, waiting.\n"
        "Found in y[0-9] of gen_server:loop/[57].\nnamed\n",
        text,
    )
    found = reader.json("etp-state", "otp_states_named")
    assert (found["state"], found["sure"], found["current"]) == ("named", True, True)
    assert found["problem"] is None and found["warnings"] == []


def test_states_that_are_old_or_guessed_say_so(reader, truth):
    states = truth.workload["expect"]["states"]
    busy = next(said for said in states if said["activity"] == "busy")
    text = reader.run("etp-state", busy["pid"])
    assert "one that the callback was given" in " ".join(text.split())
    special = next(said for said in states if "special" in said["state"])
    text = " ".join(reader.run("etp-state", special["pid"]).split())
    assert "A guess, from " in text and "system_get_state/1, if there is one" in text


def test_processes_without_a_state(reader, truth):
    plain = truth.workload["expect"]["stateless"]["plain"]
    text = reader.run("etp-state", plain)
    assert "No state is known: it runs a loop of its own, otp_states:plain_loop/3" in text
    assert "#{plain => state}" in text
    with pytest.raises(Problem, match="no state, because it runs a loop of its own"):
        reader.run("etp-state", plain, ".plain")


def test_parts(reader):
    for path in ([".mod_state.opts.port"], [".mod_state", ".opts", "->", "port"]):
        assert reader.json("etp-state", "otp_states_paths", *path)["state"] == "1"
    assert reader.json("etp-state", "kernel_sup", ".strategy")["state"] == "one_for_all"
    assert reader.json("etp-state", "kernel_sup", ".children[1].user{2}")["state"].startswith("<")


def test_terms_have_parts(reader, vm):
    from etp import code, otp

    word = otp.state(vm, vm.find_process("otp_states_paths")).term.word
    assert reader.run("etp", f"{word:#x} .mod_state.state.cursors[77]") == "{number,77}\n"
    assert reader.run("etp", f"{word:#x} -> mod_state -> opts -> [1]") == "verbose\n"
    assert reader.run("etp", f"{word:#x} .list[1]") == "{one,[1.0]}\n"
    assert "the nearest is .list" in str(
        pytest.raises(Problem, reader.run, "etp", f"{word:#x} .lst").value
    )
    pid = str(vm.find_process("otp_states_paths").pid)
    assert "gen_server" not in reader.run("etp", f"{pid} dictionary -> '$initial_call'")
    assert reader.run("etp", f"{pid} dictionary -> '$initial_call' -> {{2}}") == "init\n"
    # Where the state is among what gen_server keeps there differs by release.
    words = [slot.word for slot in code.stack(vm, vm.find_process("otp_states_paths"))]
    assert reader.run("etp", f"{pid} stack {words.index(word)} .tuple[0]") == "record\n"


def test_redacted_states_show_shapes(reader):
    reader.settings.set("redact", True)
    for words in (["otp_states_paths"], ["otp_states_paths", ".mod_state.state.cursors[77]"]):
        for text in (reader.run("etp-state", *words), reader.run("etp-state", *words, "--json")):
            assert "two" not in text and "verbose" not in text and "77}" not in text
    with pytest.raises(Problem) as error:
        reader.run("etp-state", "otp_states_paths", ".x")
    assert "binary" not in str(error.value)


def test_completion(reader, vm):
    from etp import otp

    state = find("etp-state")
    assert "otp_states_paths" in complete(state, "otp_states_p", reader)
    assert complete(state, "otp_states_paths .mod_state.state.c", reader) == [
        ".mod_state.state.cursors"
    ]
    assert complete(state, "otp_states_paths .mod_state --j", reader) == ["--json"]
    word = otp.state(vm, vm.find_process("otp_states_paths")).term.word
    assert complete(find("etp"), f"{word:#x} .mod_s", reader) == [".mod_state"]
    assert complete(find("etp"), "nonsense .mod_s", reader) == []
