# SPDX-License-Identifier: Apache-2.0
"""Timers: what etp says of them is what erlang:read_timer/1 said right before the dump."""

from collections import Counter

import cores
import pytest
from etp import timers
from etp.units import WORD
from etp.vm import VM
from reader import Reader

START_NS = -576_460_752 * 10**9
"""erlang:monotonic_time() when a VM starts (ERTS_MONOTONIC_TIME_START_EXTERNAL, erl_time.h)."""


@pytest.fixture(scope="module", params=["stripped", "dwarf", "emu"])
def dump(request, core):
    return core("timers", flavor=request.param)


@pytest.fixture(scope="module")
def expect(dump):
    return dump.truth.workload["expect"]


@pytest.fixture(scope="module")
def vm(dump):
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module")
def found(vm):
    return timers.take(vm)


def ticks(nanoseconds):
    """Milliseconds as get_time_left() (erl_hl_timer.c) counts them, which rounds up."""
    return (int(nanoseconds) - 1) // 10**6 + 1


@pytest.fixture(scope="module")
def now(vm):
    """The VM's monotonic time in the core, in nanoseconds."""
    return START_NS + vm.info.uptime_ns


def by_ref(found):
    return {str(timer.ref): timer for timer in found.timers if timer.ref is not None}


def is_over(line, now):
    """Did it have to fire between the question and the dump?  Some are due within seconds, which a
    machine with much to do can take to write the truth."""
    return line["left"] <= ticks(now) - ticks(line["before"])


def test_what_their_messages_take(dump, found, vm):
    """Each that is no immediate has a heap fragment, whose header has five words, for its words."""
    refs = by_ref(found)
    lines = [line for line in dump.truth.by_kind["timer"] if line["ref"] in refs]
    known = sum((5 + line["words"]) * WORD for line in lines if line["words"])
    assert known > 3000 * 9 * WORD
    told = {line["ref"] for line in lines}
    others = [t for t in found.timers if t.message is not None and str(t.ref) not in told]
    assert 0 <= vm.census().totals.timer_bytes - known <= 20 * WORD * len(others)
    memory = {part["what"].strip(): part for part in Reader(vm).json("etp-memory")["rows"]}
    assert memory["messages of timers"]["bytes"] == vm.census().totals.timer_bytes
    assert memory["messages of timers"]["see"] == "etp-timers"


def test_every_timer_runs_as_long_as_read_timer_said(dump, found, now):
    """What was left when the VM was asked, less the time from then to the core, to the tick; a tick
    more where one began between looking at the clock and asking."""
    refs = by_ref(found)
    lines = dump.truth.by_kind["timer"]
    assert len(lines) > 3000
    for line in lines:
        if line["ref"] not in refs and is_over(line, now):
            continue
        timer = refs[line["ref"]]
        left = [line["left"] - (ticks(now) - ticks(line[when])) for when in ("before", "after")]
        assert left[0] <= timer.remaining_ms <= left[1], line
        assert timer.kind == line["what"], line
        assert str(timer.receiver) == line["receiver"], line
        assert timer.message.format() == line["message"], line
        assert not timer.is_paused and timer.scheduler


def test_the_time_of_the_core_is_that_of_the_dump(dump, now):
    """No scheduler looked at the clock before the last question, and the dump came soon."""
    last = max(int(line["after"]) for line in dump.truth.by_kind["timer"])
    assert -(10**6) <= now - last < 60 * 10**9


def test_nothing_else_is_found(dump, found, expect):
    """Besides: what OTP itself has set, and the timers of the process that is suspended."""
    refs = by_ref(found)
    own = {line["ref"] for line in dump.truth.by_kind["timer"]}
    suspended = expect["suspended"]["pid"]
    names = {line["pid"]: line["registered_name"] for line in dump.truth.processes.values()}
    for ref in refs.keys() - own:
        receiver = str(refs[ref].receiver)
        assert receiver == suspended or names.get(receiver) == "inet_db", refs[ref]
    assert not set(expect["cancelled"]) & refs.keys()
    assert found.count == len(found.timers) == sum(found.kinds.values())
    assert Counter(timer.kind for timer in found.timers) == found.kinds
    assert found.gaps == 0 and found.problem == ""
    # A scheduler that the machine is late to run has ERTS's own still to serve.
    late = [timer for timer in found.timers if timer.remaining_ms < 0]
    assert found.overdue == len(late) and {timer.kind for timer in late} <= {"callback"}
    order = [timer.remaining_ms for timer in found.timers]
    assert order == sorted(order) and order[0] == found.soonest_ms and order[-1] == found.longest_ms


def close(timer, waits, now):
    """It was started for so long right after ``at``."""
    left = waits["ms"] - (ticks(now) - ticks(waits["at"]))
    return left <= timer.remaining_ms <= left + 500


def test_processes_that_wait_and_ports(found, expect, now):
    """Of these no VM tells how long they still run; when they were set, and for how long, is known."""
    receives = {str(timer.receiver): timer for timer in found.timers if timer.kind == "receive"}
    for waits in expect["receivers"]:
        assert close(receives[waits["pid"]], waits, now), waits
    ports = {str(timer.receiver): timer for timer in found.timers if timer.kind == "port"}
    assert set(ports) == {waits["port"] for waits in expect["ports"]}
    for waits in expect["ports"]:
        assert close(ports[waits["port"]], waits, now), waits


def test_timers_of_a_suspended_process(vm, found, expect, now):
    """They run on, to OTP 27; since 29 they stand still, at what they had when it was suspended."""
    waits = expect["suspended"]
    mine = sorted(
        (timer for timer in found.timers if str(timer.receiver) == waits["pid"]),
        key=lambda timer: timer.remaining_ms,
    )
    assert [timer.kind for timer in mine] == ["receive", "start_timer", "send_after"]
    is_paused = int(vm.info.otp_release) >= 29
    assert all(timer.is_paused == is_paused for timer in mine)
    at = waits["suspended_at"] if is_paused else now
    for timer, hours in zip(mine, (7, 8, 9)):
        assert close(timer, {"ms": hours * 3_600_000, "at": waits["at"]}, at), timer
    assert mine[2].message.format() == "{to_one,suspended}"


def test_a_storm_is_named(vm, found, expect):
    receiver, count, _soonest = found.receivers[0]
    assert (str(receiver), count) == (expect["storm"], expect["storm_timers"])
    text = Reader(vm, width=80).run("etp-timers")
    lines = text.splitlines()
    soonest = "overdue by" if found.overdue else "in"
    # Before it there may be a warning: of a core that qemu wrote, from which executable it is cannot be verified.
    first = f"{found.count:,} timers, the soonest {soonest} "
    assert [line for line in lines if line.startswith(first)]
    assert f"{expect['storm']} storm has {expect['storm_timers']:,} timers" in text
    assert all(len(line) <= 80 for line in lines)
    assert f"30 of {found.count:,} timers shown" in text


def test_a_receiver_can_be_chosen(dump, vm, expect, found, now):
    reader = Reader(vm)
    mine = reader.json("etp-timers", "--pid", "storm", "--limit", "2")
    assert mine["total"] == expect["storm_timers"] and len(mine["timers"]) == 2
    assert reader.json("etp-timers", "--pid", expect["storm"])["total"] == mine["total"]
    refs = by_ref(found)
    lines = dump.truth.by_kind["timer"]
    said = [line for line in lines if line["ref"] in refs or not is_over(line, now)]
    owner = dump.truth.process("timer_owner")["pid"]
    both = reader.json("etp-timers", "--pid", "timer_owner", "--limit", "all")
    assert both["total"] == sum(line["receiver"] in (owner, "timer_owner") for line in said)
    port = expect["ports"][0]["port"]
    (row,) = reader.json("etp-timers", "--pid", port)["timers"]
    assert row["driver"] == "tcp_inet" and row["receiver"] == port
    assert reader.json("etp-timers", "--pid", "no_process_of_that_name")["total"] == 2


def test_rows(dump, vm, found):
    reader = Reader(vm)
    rows = reader.json("etp-timers", "--limit", "all")["timers"]
    assert [row["remaining_ms"] for row in rows] == [t.remaining_ms for t in found.timers]
    last = reader.json("etp-timers", "--limit", "5", "--reverse")["timers"]
    assert last == rows[:-6:-1]
    receives = [row for row in rows if row["kind"] == "receive"]
    assert any(row["function"] == "erl_prim_loader:loop/3" for row in receives)
    assert "ten_years" in reader.run("etp-timers", "--reverse")
    # A start_timer shows what was given to it, and not what is around that.
    (row,) = [row for row in rows if row["message"] == "ten_years"]
    assert row["kind"] == "start_timer" and row["reference"].startswith("#Ref<")


def test_functions_of_erts_have_names_where_there_are_symbols(dump, vm, found):
    rows = Reader(vm).json("etp-timers", "--limit", "all")["timers"]
    calls = {row["callback"] for row in rows if row["kind"] == "callback"}
    assert calls
    if dump.executable != cores.installed_beam():
        assert "check_time_correction" in calls or "check_time_offset" in calls


def test_messages_are_redacted(vm):
    reader = Reader(vm, width=300)
    reader.settings.set("redact", "on")
    text = reader.run("etp-timers", "--limit", "all", "--columns", "all")
    assert "ten minutes" not in text and "ten_years" not in text
    assert "{session,#Int,#Atom}" in text and "erl_prim_loader" in text


def test_no_such_process(vm):
    from etp.errors import Problem

    with pytest.raises(Problem, match="nobody_at_all"):
        Reader(vm).run("etp-timers", "--pid", "nobody_at_all")
