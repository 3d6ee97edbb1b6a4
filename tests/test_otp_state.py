# SPDX-License-Identifier: Apache-2.0
"""The states of OTP processes against what sys:get_state/1 returned a moment before the VM dumped."""

from collections import Counter

import pytest

import rabbitmq
from etp import otp, processes
from etp.vm import VM

FLAVORS = ["stripped", "dwarf", "emu"]


@pytest.fixture(scope="module", params=FLAVORS)
def dump(request, core):
    return core("otp_states", flavor=request.param)


@pytest.fixture(scope="module")
def expect(dump):
    return dump.truth.workload["expect"]


@pytest.fixture(scope="module")
def vm(dump):
    return VM.open(str(dump.path), executable=str(dump.executable))


def test_states(vm, expect):
    """Idle, hibernated, suspended and busy: of a busy one, the state before its callback."""
    seen = Counter()
    for said in expect["states"]:
        found = otp.state(vm, vm.find_process(said["pid"]))
        assert found.term is not None, (said, found.problem)
        assert found.term.format(syntax="w") == said["state"], (said, found.how)
        activity = "busy" if found.activity == "terminating" else found.activity
        assert activity == said["activity"], said
        assert found.is_current == (activity != "busy")
        seen[found.behaviour, activity] += 1
        # What sys was given by a process that is no behaviour may not be what its state is.
        assert found.sure == (found.behaviour is not None), said
    for behaviour in ("gen_server", "gen_statem", "gen_fsm", "gen_event"):
        for activity in ("waiting", "hibernated", "suspended", "busy"):
            assert seen[behaviour, activity], (behaviour, activity)
    assert seen["supervisor", "waiting"] + seen["supervisor", "hibernated"] >= 10
    assert sum(seen.values()) > 350


def test_modules_and_halves(vm, expect):
    for said in expect["states"]:
        found = otp.state(vm, vm.find_process(said["pid"]))
        assert found.module or found.behaviour == "gen_event", said
        if found.behaviour in ("gen_statem", "gen_fsm"):
            halves = (found.state_name.format(syntax="w"), found.data.format(syntax="w"))
            assert "{%s,%s}" % halves == said["state"]
        if found.behaviour == "gen_event":
            texts = [
                "{%s}" % ",".join(part.format(syntax="w") for part in handler)
                for handler in found.handlers
            ]
            assert "[%s]" % ",".join(texts) == said["state"]


def test_callbacks(vm, expect):
    """Which function of the callback module a busy process is in."""
    functions = Counter()
    for said in expect["states"]:
        found = otp.state(vm, vm.find_process(said["pid"]))
        if said["activity"] == "busy":
            assert found.callback is not None
            functions[found.callback_text] += 1
    for function in ("handle_call/3", "handle_cast/2", "handle_info/2", "handle_continue/2"):
        assert functions[f"otp_states:{function}"] == 15 + (function == "handle_call/3")


def test_no_state_is_made_up(vm, expect):
    for name, pid in expect["stateless"].items():
        found = otp.state(vm, vm.find_process(pid))
        assert found.term is None and not found.sure, name
        if name == "starting":
            assert found.activity == "starting"
            assert "init/1 has not returned: it is in otp_states:be_busy/1" in found.problem
            continue
        assert "a loop of its own, otp_states:" in found.problem, name
    plain = otp.state(vm, vm.find_process(expect["stateless"]["plain"]))
    assert "#{plain => state}" in [term.format(syntax="w") for term in plain.candidates]


def test_what_runs_is_never_sure(vm, expect):
    """Its stack is that of the last time that it was scheduled out: it may be told, as a guess."""
    found = otp.state(vm, vm.find_process("otp_states_spinning"))
    if found.term is not None:
        assert found.term.format(syntax="w") == expect["spinning"]
    running = vm.native.execution(found.process.address)["running"]
    assert found.sure == (found.term is not None and not running)
    assert not found.sure or found.activity == "busy"


def test_terms_are_composed(vm):
    term = vm.term(vm.find_atom("ok").word)
    found = vm.native.compose(([term, term], (), (term, [()])))
    assert found.format(syntax="w") == "{[ok,ok],{},{ok,[{}]}}"
    assert vm.native.compose([]).format(syntax="w") == "[]"
    with pytest.raises(ValueError):
        vm.native.compose([found])
    with pytest.raises(TypeError):
        vm.native.compose([1])
    nested = term
    for _ in range(9):
        nested = (nested,)
    with pytest.raises(ValueError):
        vm.native.compose(nested)


@pytest.fixture(scope="module")
def broker(core):
    return core("rabbitmq", method="gcore", flags=rabbitmq.FLAGS, plugins=str(rabbitmq.plugins()))


def test_states_of_a_broker(broker):
    """RabbitMQ's processes.  Who has more reductions than in the core moved before it was asked.  The books of
    gen_server2 on its naps are written anew when it is woken by the question: what it holds for others is compared.
    """
    vm = VM.open(str(broker.path), executable=str(broker.executable))
    seen = Counter()
    moved = 0
    for said in broker.truth.by_kind["state"]:
        process = vm.find_process(said["pid"])
        if processes.info(vm, process).reductions != said["reductions"]:
            moved += 1
            continue
        found = otp.state(vm, process)
        assert found.activity == said["activity"], said["pid"]
        if found.behaviour is None:
            # rabbit_writer hibernates in a loop of its own.
            assert found.term is None and "is no loop of OTP" in found.problem
            assert said["state"] in [term.format(syntax="w") for term in found.candidates]
            seen["loop of its own"] += 1
            continue
        assert found.sure and found.term is not None, (said["pid"], found.problem)
        if said["data"] is not None and said["activity"] == "hibernated":
            assert found.data.format(syntax="w") == said["data"], said["pid"]
        else:
            assert found.term.format(syntax="w") == said["state"], said["pid"]
        seen[found.behaviour, found.activity] += 1
    assert moved < 30
    assert sum(seen.values()) > 300
    for key in (
        ("gen_server", "waiting"), ("gen_server", "hibernated"), ("gen_server2", "waiting"),
        ("gen_server2", "hibernated"), ("gen_server2", "busy"), ("gen_server2", "suspended"),
        ("gen_statem", "waiting"), ("gen_event", "busy"), ("supervisor", "busy"),
    ):  # fmt: skip
        assert seen[key], key


@pytest.fixture(scope="module")
def elixir(core):
    return core("elixir_otp")


def test_states_of_elixir(elixir):
    """GenServer, Agent, Registry, DynamicSupervisor and Supervisor, as those that they are built on."""
    vm = VM.open(str(elixir.path), executable=str(elixir.executable))
    seen, links = Counter(), Counter()
    for said in elixir.truth.workload["expect"]["states"]:
        found = otp.state(vm, vm.find_process(said["pid"]))
        assert found.sure and found.term is not None, (said, found.problem)
        assert found.term.format(syntax="w") == said["state"], said
        assert found.activity == said["activity"], said
        seen[found.behaviour, found.module] += 1
        if found.behaviour == "Connection":
            links[found.activity] += 1
    assert links.keys() == {"waiting", "hibernated", "suspended", "busy"}, links
    assert seen.keys() >= {
        ("gen_server", "Elixir.ElixirOtp.Server"),
        ("Agent", "Elixir.Agent"),
        ("Connection", "Elixir.ElixirOtp.Link"),
        ("Registry", "Elixir.Registry"),
        ("DynamicSupervisor", "Elixir.Supervisor.Default"),
        ("DynamicSupervisor", "Elixir.Task.Supervisor"),
        ("supervisor", "Elixir.Registry.Supervisor"),
    }, seen
    for pid in elixir.truth.workload["expect"]["tasks"]:
        found = otp.state(vm, vm.find_process(pid))
        assert (found.behaviour, found.term) == ("Task", None)
        assert "a task has no state" in found.problem
