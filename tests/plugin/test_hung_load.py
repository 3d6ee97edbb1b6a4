# SPDX-License-Identifier: Apache-2.0
"""What is said of schedulers, on made-up ones."""

from types import SimpleNamespace

import pytest

from etp.diagnosis.finding import Severity
from etp.diagnosis.hung_load import (
    REQUESTS,
    abandoned,
    all_schedulers,
    dirty_schedulers,
    stuck_schedulers,
)
from etp.diagnosis.hung_locks import table_locks
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.schedulers import INVALID_PIDS, Scheduler
from etp.processes import Mailbox, Message
from etp.term_parser import Atom, Identifier
from etp.vm import Error
from fakes import FakeTerm

FIRST = 0x1000
LONG = 5 * 10**9


def scheduler(number, kind="normal", **changes):
    """It executes a process."""
    facts = {name: 0 for name in Scheduler.__dataclass_fields__}
    facts.update(
        kind=kind,
        number=number,
        activity="process",
        process=FIRST * number,
        pid=FakeTerm(Identifier(f"<0.{number}.0>")),
        port=None,
        is_in_nif=False,
    )
    return Scheduler(**{**facts, **changes})


def hang_of(schedulers, queued=0, behind=None, dead=(), driver="shop_drv"):
    """``behind``: how many wait for the process at an address; ``dead``: words of pids."""
    doing = SimpleNamespace(function=None, text="executes")
    return SimpleNamespace(
        waits=None,
        progress=None,
        timers=None,
        locks=[],
        process=lambda pid: pid if pid.word not in dead else None,
        port=lambda term: {"driver": driver},
        schedulers=schedulers,
        queue_of=lambda kind: queued,
        behind=lambda address: (behind or {}).get(address, 0),
        activity=lambda address: doing,
        name=str,
        syntax="erlang",
    )


@pytest.mark.parametrize(
    "waiting, severity",
    [(0, None), (1, Severity.STRAIN), (3, Severity.STRAIN), (4, Severity.LIKELY)],
)
def test_dirty_schedulers_have_a_few_waiting(waiting, severity):
    own = [scheduler(number, "dirty_cpu") for number in range(1, 5)]
    hang = hang_of(own, waiting, {FIRST: 7})
    findings = list(dirty_schedulers(hang, HUNG_THRESHOLDS, set()))
    assert [finding.severity for finding in findings] == [severity] * (severity is not None)
    # No more than those are that wait.
    assert [finding.rank[1] for finding in findings] == [-(waiting + 7)] * len(findings)


def of_port(number, clock_age_ns=LONG):
    port = FakeTerm(Identifier(f"#Port<0.{number}>"))
    return scheduler(
        number, activity="port", process=0, pid=None, port=port, clock_age_ns=clock_age_ns
    )


def stuck(hang):
    return list(stuck_schedulers(hang, HUNG_THRESHOLDS, set()))


def test_a_driver_is_executed_for_a_port():
    # A node whose connection is not known has the address 0 as well.
    (finding,) = stuck(hang_of([of_port(1), scheduler(2)], behind={0: 99}))
    assert finding.title == "Scheduler 1 has executed the driver of #Port<0.1> for 5.0 s"
    assert finding.subjects == ["#Port<0.1>"] and finding.doubt == ""
    assert finding.commands[-1][0] == "etp-port-info #Port<0.1>"
    assert finding.explains == set() and finding.behind == 0
    (finding,) = stuck(hang_of([of_port(1), of_port(2), scheduler(3)]))
    assert finding.title.startswith("2 of 3 schedulers have executed the driver for up to 5.0 s")


def test_a_process_that_is_freed_executes_no_match():
    own = scheduler(1, clock_age_ns=LONG)
    (finding,) = stuck(hang_of([own], dead={own.pid.word}))
    assert finding.title == "Scheduler 1 has executed the end of <0.1.0>, which is freed, for 5.0 s"
    assert [command for command, _ in finding.commands] == ["etp-schedulers"]
    assert finding.doubt == "" and finding.explains == {FIRST}


@pytest.mark.parametrize("word", INVALID_PIDS)
def test_a_stand_in_executes_a_match(word):
    own = scheduler(1, clock_age_ns=LONG)
    own.pid.word = word
    (finding,) = stuck(hang_of([own], behind={0: 99}, dead={word}))
    assert finding.title == "Scheduler 1 has executed a match specification of a process for 5.0 s"
    assert finding.explains == set() and finding.behind == 0


def test_who_waits_for_a_table_need_not_be_a_process():
    hang = hang_of([of_port(1), scheduler(2)], behind={0: 99})
    facts = {"is_lock_awaited": True, "is_write_locked": True, "label": "t", "name": "t", "size": 1}
    hang.tables = [SimpleNamespace(address=0x9000, **facts)]
    (finding,) = table_locks(hang, HUNG_THRESHOLDS, set())
    assert finding.explains == set() and finding.behind == 0


def in_nif(number, **changes):
    return scheduler(number, is_in_nif=True, nif_library="lib", **changes)


def found_in_all(*own, **facts):
    return list(all_schedulers(hang_of(own, **facts), HUNG_THRESHOLDS, set()))


def test_when_all_are_in_c_no_clock_tells_for_how_long():
    sleeping = scheduler(3, activity="suspended")
    (finding,) = found_in_all(in_nif(1), in_nif(2), sleeping, queued=9, behind={FIRST: 2, 0: 99})
    what = "the NIF code that is not known of <0.1.0>"
    assert finding.title == (
        f"All 2 schedulers execute NIFs (first: {what}); 9 processes wait in run queues;"
        " 2 processes wait for these"
    )
    assert finding.severity == Severity.LIKELY and finding.doubt
    assert finding.explains == {FIRST, 2 * FIRST}
    (finding,) = found_in_all(in_nif(1), of_port(2, 0))
    assert "execute NIFs or drivers" in finding.title


def test_one_of_them_that_is_not_in_c_looks_at_the_clock():
    assert found_in_all(in_nif(1), scheduler(2), queued=9) == []
    # Then it is known for how long.
    assert found_in_all(in_nif(1), in_nif(2, clock_age_ns=LONG), queued=9) == []


@pytest.mark.parametrize(
    "driver, is_found", [("shop_drv", True), ("tcp_inet", False), (None, False)]
)
def test_sockets_are_always_worked_on(driver, is_found):
    findings = found_in_all(of_port(1, 0), queued=9, driver=driver)
    assert [finding.kind for finding in findings] == ["all_schedulers"] * is_found


def test_the_only_scheduler_is_in_a_nif_now_and_then():
    assert found_in_all(in_nif(1)) == []
    assert len(found_in_all(in_nif(1), queued=1)) == 1
    (finding,) = found_in_all(in_nif(1), behind={FIRST: 1})
    assert finding.title.startswith("The only scheduler executes the NIF")
    assert finding.title.endswith("of <0.1.0>; 1 process waits for it")


DEAD, ALIVE = Identifier("<0.99.0>"), Identifier("<0.98.0>")
STALLED = HUNG_THRESHOLDS.stalled_callers


def call_of(pid, label="$gen_call"):
    return (Atom(label), (pid, Atom("tag")), Atom("get"))


def found_in_mailbox(contents, kind="waiting", explained=()):
    terms = [c if c is None or isinstance(c, FakeTerm) else FakeTerm(c) for c in contents]
    messages = [Message("inner", "message", term, None, "", "", 0, 0, 0, "") for term in terms]
    hang = hang_of([])
    hang.vm = SimpleNamespace(native=SimpleNamespace(messages=lambda address: iter(messages)))
    hang.process = lambda pid: pid if str(pid) == ALIVE else None
    hang.activity = lambda address: SimpleNamespace(kind=kind, text="waits in shop:query/1")
    box = Mailbox(FIRST, FakeTerm(Identifier("<0.1.0>")), len(terms), 0, None)
    hang.mailboxes = SimpleNamespace(boxes=[box])
    return list(abandoned(hang, HUNG_THRESHOLDS, set(explained)))


def test_nobody_waits_for_who_has_outlived_its_callers():
    others = [call_of(ALIVE), Atom("tick"), (Atom("tick"), 1, 2), (1, (DEAD, 2), 3), None]
    (finding,) = found_in_mailbox([call_of(DEAD)] * STALLED + others)
    assert finding.title == (
        f"{STALLED} of the first {STALLED + 1} requests in the mailbox of <0.1.0> are of callers that are"
        " dead; it waits in shop:query/1"
    )
    assert finding.severity == Severity.LIKELY and finding.explains == {FIRST}
    written = (Atom("io_request"), DEAD, Atom("ref"), Atom("put_chars"))
    assert len(found_in_mailbox([written] * STALLED)) == 1
    assert found_in_mailbox([(Atom("event"), DEAD, 1, 2)] * STALLED) == []


def test_some_callers_die():
    calls = [call_of(DEAD)] * STALLED
    assert found_in_mailbox([*calls[1:], call_of(ALIVE)]) == []
    assert found_in_mailbox(calls, explained=[FIRST]) == []
    # It gets round to them.
    for kind in ("running", "runnable"):
        assert found_in_mailbox(calls, kind) == []


def test_who_is_on_another_node_may_live():
    assert found_in_mailbox([call_of(Identifier("<9.99.0>"))] * STALLED) == []


def test_only_the_first_are_looked_at():
    calls = [call_of(ALIVE)] * REQUESTS + [call_of(DEAD)] * STALLED
    assert found_in_mailbox(calls) == [] and found_in_mailbox(calls[1:]) == []
    (finding,) = found_in_mailbox(calls[STALLED:])
    assert f"of the first {REQUESTS:,} requests" in finding.title


def test_what_cannot_be_read_is_left_out():
    class Torn(FakeTerm):
        def __getitem__(self, index):
            raise Error("not in the core")

    calls = [call_of(DEAD)] * STALLED
    assert len(found_in_mailbox([Torn(call_of(DEAD)), *calls])) == 1
